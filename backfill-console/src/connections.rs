//! Limits the connections of a server: however many other programs open, it uses few descriptors and little memory.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most concurrent connections. A browser opens up to six to one host.
const MOST: usize = 48;

/// Accepts connections. One too many replaces the one that has been silent longest.
#[derive(Debug)]
pub(crate) struct Limited<L> {
    inner: L,
    open: Vec<Weak<Connection>>,
    /// Counts signs of life of all connections, so that no clock is needed to order them.
    signs: Arc<AtomicU64>,
}

/// What the listener knows of a connection.
#[derive(Debug, Default)]
struct Connection {
    last_sign: AtomicU64,
    is_evicted: AtomicBool,
    reader: Mutex<Option<Waker>>,
}

/// A connection that its listener may end.
#[derive(Debug)]
pub(crate) struct LimitedIo<I> {
    inner: I,
    connection: Arc<Connection>,
    signs: Arc<AtomicU64>,
}

impl<L> Limited<L> {
    pub(crate) fn new(inner: L) -> Self {
        Self { inner, open: Vec::with_capacity(MOST), signs: Arc::default() }
    }

    fn admit<I>(&mut self, inner: I) -> LimitedIo<I> {
        self.open.retain(|connection| connection.strong_count() > 0);
        let mut living: Vec<_> = self.open.iter().filter_map(Weak::upgrade).collect();
        living.retain(|connection| !connection.is_evicted.load(Ordering::Relaxed));
        if living.len() >= MOST
            && let Some(silent) =
                living.iter().min_by_key(|connection| connection.last_sign.load(Ordering::Relaxed))
        {
            silent.evict();
        }
        let connection = Arc::new(Connection::default());
        self.open.push(Arc::downgrade(&connection));
        let io = LimitedIo { inner, connection, signs: Arc::clone(&self.signs) };
        io.give_sign();
        io
    }
}

impl Connection {
    fn evict(&self) {
        self.is_evicted.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            reader.wake();
        }
    }
}

impl<I> LimitedIo<I> {
    fn give_sign(&self) {
        let sign = self.signs.fetch_add(1, Ordering::Relaxed) + 1;
        self.connection.last_sign.store(sign, Ordering::Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        if self.connection.is_evicted.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl<L: axum::serve::Listener> axum::serve::Listener for Limited<L> {
    type Io = LimitedIo<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (io, address) = self.inner.accept().await;
        (self.admit(io), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for LimitedIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Registered before the check, so that an eviction in between is not missed.
        *self.connection.reader.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(context.waker().clone());
        self.check()?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.give_sign();
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for LimitedIo<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        if polled.is_ready() {
            self.give_sign();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn one_connection_too_many_ends_the_one_that_was_silent_longest() {
        let mut listener = Limited::new(());
        let (mut clients, mut servers) = (Vec::new(), Vec::new());
        for _ in 0..MOST {
            let (client, server) = duplex(16);
            clients.push(client);
            servers.push(listener.admit(server));
        }
        // The first one speaks, so the second one is silent longest.
        clients[0].write_all(b"x").await.unwrap();
        servers[0].read_u8().await.unwrap();
        let mut silent = servers.remove(1);
        let waiting = tokio::spawn(async move { silent.read_u8().await });
        tokio::task::yield_now().await;
        let (_client, server) = duplex(16);
        let _newest = listener.admit(server);
        assert_eq!(waiting.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        clients[0].write_all(b"y").await.unwrap();
        assert_eq!(servers[0].read_u8().await.unwrap(), b'y');
    }
}
