//! Serves the redirect address on this machine, to which Intuit's page sends the browser. Other visitors get an answer and
//! are ignored.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use qbo_auth::RedirectUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

/// How long the browser may take to fetch the last page.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long a client may take to send its request, and again to receive its page.
const PATIENCE: Duration = Duration::from_secs(10);

/// Size limit of a request. Intuit's answer has less than 4 KiB, and the browser's headers add to it.
const LARGEST_REQUEST: usize = 16 << 10;

/// The most concurrent connections. A further one replaces the connection that has been silent longest.
const MOST_VISITORS: usize = 32;

/// Attempts to find a port that is free on all loopback addresses.
const PORTS: u32 = 16;

/// The browser does not store the page or pass its address on, and the page runs and loads nothing.
const HEADERS: &str = "content-type: text/html; charset=utf-8\r\ncache-control: no-store\r\n\
                       referrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n\
                       content-security-policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n\
                       connection: close\r\n";

/// A listener that still waits for Intuit's answer.
#[derive(Debug)]
pub(crate) struct Callback {
    redirect: RedirectUrl,
    visitors: mpsc::Receiver<Visitor>,
    servers: Vec<Server>,
}

/// The visit that belongs to the login. The browser still waits for its page.
#[derive(Debug)]
pub(crate) struct Visit {
    /// The requested address with its parameters, which contain a secret.
    pub(crate) answer: String,
    page: oneshot::Sender<Page>,
    gone: oneshot::Receiver<()>,
    _servers: Vec<Server>,
}

/// A client that requested the right address, and waits for its page.
#[derive(Debug)]
struct Visitor {
    answer: String,
    page: oneshot::Sender<Page>,
    /// Ends when the page has been sent.
    gone: oneshot::Receiver<()>,
}

/// The pages shown in the browser. The terminal shows the reason of a failure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Page {
    Connected,
    Failed,
    Foreign,
    Over,
    NotHere,
}

/// A task that accepts connections. Dropping it ends the task and its connections.
#[derive(Debug)]
struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Callback {
    /// Starts listening on all loopback addresses of this machine, because `localhost` may mean any of them, and on no other
    /// address. Port 0 picks a free one.
    pub(crate) async fn bind(port: u16) -> io::Result<Self> {
        let mut tries = if port == 0 { PORTS } else { 1 };
        let listeners = loop {
            tries -= 1;
            match listeners(port).await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
                ended => break ended?,
            }
        };
        let port =
            listeners.first().map_or(Ok(port), |listener| listener.local_addr().map(|at| at.port()))?;
        let redirect = RedirectUrl::loopback(port);
        let (sender, visitors) = mpsc::channel(MOST_VISITORS);
        let serve = |listener| {
            let door = Door {
                path: redirect.path().to_owned(),
                redirect: redirect.clone(),
                visitors: sender.clone(),
            };
            Server(tokio::spawn(serve(listener, door)))
        };
        let servers = listeners.into_iter().map(serve).collect();
        Ok(Self { redirect, visitors, servers })
    }

    /// The redirect address.
    pub(crate) fn redirect(&self) -> &RedirectUrl {
        &self.redirect
    }

    /// Waits for the visit that belongs to the login, which `is_ours` recognises by its address; `None` if it does not come in
    /// time. Other visits get a page that says so, and change nothing.
    pub(crate) async fn visit(self, patience: Duration, is_ours: impl Fn(&str) -> bool) -> Option<Visit> {
        let Self { mut visitors, servers, .. } = self;
        let ours = async {
            loop {
                let visitor = visitors.recv().await?;
                if is_ours(&visitor.answer) {
                    return Some(visitor);
                }
                // A client that has left needs no page.
                let _ = visitor.page.send(Page::Foreign);
            }
        };
        let Visitor { answer, page, gone } = tokio::time::timeout(patience, ours).await.ok()??;
        // Later visits are too late.
        visitors.close();
        while let Ok(late) = visitors.try_recv() {
            let _ = late.page.send(Page::Over);
        }
        Some(Visit { answer, page, gone, _servers: servers })
    }
}

impl Visit {
    /// Sends the page, and stops listening.
    pub(crate) async fn conclude(self, page: Page) {
        let _ = self.page.send(page);
        let _ = tokio::time::timeout(FAREWELL, self.gone).await;
    }
}

/// Binds one listener on each loopback address of this machine. It does not share a port that another process uses.
async fn listeners(port: u16) -> io::Result<Vec<TcpListener>> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = first.local_addr()?.port();
    let second = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port);
    match TcpListener::bind(second).await {
        Ok(second) => Ok(vec![first, second]),
        Err(error) if is_no_such_address(&error) => Ok(vec![first]),
        Err(error) => Err(error),
    }
}

/// Whether the machine has no IPv6, or none on its loopback interface.
fn is_no_such_address(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let absent = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::PROTONOSUPPORT];
    error.raw_os_error().is_some_and(|code| absent.iter().any(|errno| errno.raw_os_error() == code))
}

#[derive(Clone, Debug)]
struct Door {
    redirect: RedirectUrl,
    path: String,
    visitors: mpsc::Sender<Visitor>,
}

/// Accepts connections until the task ends.
async fn serve(listener: TcpListener, door: Door) {
    let mut connections = JoinSet::new();
    let mut reading: VecDeque<AbortHandle> = VecDeque::new();
    // Tasks whose request has been parsed; a new connection does not replace them.
    let (settled, mut understood) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            Some(id) = understood.recv() => reading.retain(|task: &AbortHandle| task.id() != id),
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    no_descriptor().await;
                    continue;
                };
                reading.retain(|task| !task.is_finished());
                if reading.len() >= MOST_VISITORS && let Some(oldest) = reading.pop_front() {
                    oldest.abort();
                }
                reading.push_back(connections.spawn(receive(stream, door.clone(), settled.clone())));
            }
        }
    }
}

/// Waits briefly for a free file descriptor.
#[expect(clippy::disallowed_methods, reason = "what the system lacks comes back by its own clock")]
async fn no_descriptor() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Serves one connection: one request, one page.
async fn receive(mut stream: TcpStream, door: Door, settled: mpsc::UnboundedSender<tokio::task::Id>) {
    let Ok(Some(target)) = tokio::time::timeout(PATIENCE, target(&mut stream)).await else { return };
    let (page, told) = oneshot::channel();
    let (going, gone) = oneshot::channel();
    let query = match target.strip_prefix(&door.path) {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix('?'),
        None => None,
    };
    let page = match query {
        None => Page::NotHere,
        Some(query) => {
            let answer = format!("{}?{query}", door.redirect);
            match door.visitors.try_send(Visitor { answer, page, gone }) {
                Ok(()) => {
                    let _ = settled.send(tokio::task::id());
                    told.await.unwrap_or(Page::Failed)
                }
                // The login no longer waits, or too many visits came at once.
                Err(_) => Page::Over,
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, async {
        stream.write_all(page.response().as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
    drop(going);
}

/// The target of a GET request; `None` for other methods and malformed requests.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::with_capacity(2048);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() >= LARGEST_REQUEST || stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    let line = request.split(|byte| *byte == b'\r').next()?;
    let mut words = str::from_utf8(line).ok()?.split(' ');
    match (words.next()?, words.next()?, words.next()?) {
        ("GET", target, version) if version.starts_with("HTTP/1.") => Some(target.to_owned()),
        // Handled like any unknown address.
        (_, _, version) if version.starts_with("HTTP/1.") => Some(String::new()),
        _ => None,
    }
}

impl Page {
    fn response(self) -> String {
        let (status, title, text) = match self {
            Self::Connected => {
                ("200 OK", "QuickBooks is connected", "You can close this page and go back to the terminal.")
            }
            Self::Failed => {
                ("400 Bad Request", "QuickBooks is not connected", "The terminal says why, and what to do.")
            }
            Self::Foreign => (
                "400 Bad Request",
                "This does not belong to the login",
                "It was ignored. Use the page whose address the terminal shows.",
            ),
            Self::Over => {
                ("410 Gone", "This login is over", "A login accepts one answer. Start again in the terminal.")
            }
            Self::NotHere => {
                ("404 Not Found", "Nothing is here", "Intuit's page leads to the right address.")
            }
        };
        let body = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
             <title>{title}</title><style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;\
             padding:0 1rem;color:#1b1f24;background:#fff}}@media(prefers-color-scheme:dark){{body{{color:#e6e8ea;\
             background:#15181b}}}}</style><h1>{title}</h1><p>{text}</p></html>\n"
        );
        format!("HTTP/1.1 {status}\r\n{HEADERS}content-length: {}\r\n\r\n{body}", body.len())
    }
}
