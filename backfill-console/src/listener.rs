//! Where a console listens.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

/// A bound socket. The process that composes the console binds it, because it alone knows files and their modes.
#[derive(Debug)]
pub enum Listener {
    /// An address of this machine. `X-Forwarded-User` is ignored, because any local program could send it.
    Tcp(TcpListener),
    /// A Unix socket, which only a reverse proxy can open: its `X-Forwarded-User` names the person.
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    /// The address and port, unless it is a Unix socket.
    pub fn tcp_address(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            #[cfg(unix)]
            Self::Unix(_) => Ok(None),
        }
    }
}
