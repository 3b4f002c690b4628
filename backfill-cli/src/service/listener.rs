//! An HTTP listener for a few clients on this machine. However many connections other processes open, it uses few
//! descriptors and little memory, and does not slow down the work.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use qbo_auth::{Clock as _, SystemClock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// The most concurrent connections. A further one replaces the oldest connection that has not sent a request yet.
const MOST_VISITORS: usize = 16;

/// How long a client may take to send its request, and again to receive its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it may take to build an answer.
const LONGEST_ANSWER: Duration = Duration::from_mins(1);

/// Size limit of a request's head.
const LARGEST_HEAD: usize = 8 * 1024;

/// Pause after the system refused to accept a connection.
const PAUSE: Duration = Duration::from_secs(1);

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    /// Content type of the text.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

/// A connection, and whether its request has arrived.
#[derive(Debug)]
struct Visitor {
    has_asked: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Answer {
    /// Builds an answer of plain text.
    pub(crate) fn plain(status: &'static str, text: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", text: text.into() }
    }
}

/// Answers GET requests by their path, one per connection, until the task ends.
pub(crate) async fn serve<F, A>(listener: TcpListener, address: SocketAddr, answer: F)
where
    F: Fn(String) -> A + Clone + Send + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let mut visitors: VecDeque<Visitor> = VecDeque::with_capacity(MOST_VISITORS);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            SystemClock::new().sleep(PAUSE).await;
            continue;
        };
        visitors.retain(|visitor| !visitor.task.is_finished());
        if visitors.len() >= MOST_VISITORS {
            let silent = visitors.iter().position(|visitor| !visitor.has_asked.load(Ordering::Relaxed));
            if let Some(visitor) = visitors.remove(silent.unwrap_or_default()) {
                visitor.task.abort();
            }
        }
        let has_asked = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(visit(stream, address, Arc::clone(&has_asked), answer.clone()));
        visitors.push_back(Visitor { has_asked, task: task.abort_handle() });
    }
}

async fn visit<F, A>(mut stream: TcpStream, address: SocketAddr, has_asked: Arc<AtomicBool>, answer: F)
where
    F: Fn(String) -> A,
    A: Future<Output = Answer>,
{
    let Ok(Some(head)) = timeout(PATIENCE, head(&mut stream)).await else { return };
    has_asked.store(true, Ordering::Relaxed);
    let answer = match path(&head, address.ip()) {
        Ok(path) => timeout(LONGEST_ANSWER, answer(path))
            .await
            .unwrap_or_else(|_| Answer::plain("503 Service Unavailable", "the answer took too long\n")),
        Err(refused) => refused,
    };
    let Answer { status, kind, text } = answer;
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\nconnection: close\r\n\r\n",
        text.len()
    );
    let told = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    };
    // A client that has left needs no answer.
    drop(timeout(PATIENCE, told).await);
}

/// Reads the request line and the headers; `None` if they are missing or too long.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut part).await.ok().filter(|length| *length > 0)?;
        head.extend_from_slice(&part[..length]);
        if head.len() > LARGEST_HEAD {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

/// The requested path, if the `Host` header names this machine. A web page may point a name of its own at this machine (DNS
/// rebinding), but the browser sends that name.
fn path(head: &str, own: IpAddr) -> Result<String, Answer> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next().unwrap_or_default(), words.next());
    let headers = lines.map_while(|line| line.split_once(':'));
    let mut hosts = headers.filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let (host, another) = (hosts.next(), hosts.next());
    if !version.is_some_and(|version| version.starts_with("HTTP/1."))
        || !target.starts_with('/')
        || another.is_some()
    {
        return Err(Answer::plain("400 Bad Request", "the request is malformed\n"));
    }
    if !host.is_some_and(|(_, host)| is_own_name(host.trim(), own)) {
        return Err(Answer::plain("421 Misdirected Request", "the Host header names another machine\n"));
    }
    if method != Some("GET") {
        return Err(Answer::plain("405 Method Not Allowed", "only GET is supported\n"));
    }
    Ok(target.split('?').next().unwrap_or_default().to_owned())
}

/// Whether a `Host` header names the listening address or this machine. Its port may be that of a forwarding process.
fn is_own_name(host: &str, own: IpAddr) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || literal.parse() == Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let own = |host: &str, address: &str| is_own_name(host, address.parse().unwrap());
        for host in ["127.0.0.1", "127.0.0.1:9464", "localhost", "LocalHost:1"] {
            assert!(own(host, "127.0.0.1"), "{host}");
        }
        assert!(own("[::1]:9464", "::1") && own("[::1]", "::1") && own("localhost:9464", "::1"));
        for host in [
            "",
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::1]",
        ] {
            assert!(!own(host, "127.0.0.1"), "{host}");
        }
        assert!(!own("127.0.0.2:9464", "127.0.0.1") && !own("localhost:", "127.0.0.1"));
    }

    #[test]
    fn a_request_is_one_get_of_one_host() {
        let asked = |head: &str| {
            path(head, IpAddr::from([127, 0, 0, 1]))
                .map_err(|refused| refused.status.split(' ').next().unwrap_or("").to_owned())
        };
        let host = "Host: localhost\r\n\r\n";
        assert_eq!(asked(&format!("GET /healthz?x=1 HTTP/1.1\r\n{host}")), Ok("/healthz".into()));
        for (head, status) in [
            ("GET /healthz HTTP/1.1\r\n\r\n".to_owned(), "421"),
            ("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(), "421"),
            (format!("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n{host}"), "400"),
            (format!("GET http://localhost/healthz HTTP/1.1\r\n{host}"), "400"),
            (format!("GET /healthz\r\n{host}"), "400"),
            (format!("POST /healthz HTTP/1.1\r\n{host}"), "405"),
        ] {
            assert_eq!(asked(&head), Err(status.to_owned()), "{head}");
        }
    }
}
