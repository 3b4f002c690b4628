//! The command `health`: asks a worker on this machine how it is, for the health checks of containers.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args::{HealthArgs, Output};
use crate::output::exit::{DONE, Exit, SOURCE};
use crate::output::print::{out, out_json};

/// How long a worker may take to answer. It asks its databases first, and gives each of them three seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Size limit of an answer.
const LARGEST_ANSWER: u64 = 4 * 1024 * 1024;

/// What a worker answered.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    is_well: bool,
    text: String,
}

/// `health`: prints what the worker answers. An unwell worker, or none at all, is an error.
pub(super) async fn health(form: Output, arguments: &HealthArgs) -> Result<u8, Exit> {
    let address = arguments.address;
    let path = if arguments.metrics { "/metrics" } else { "/healthz" };
    let unreachable = |why: &str| {
        let next = format!("start one, or give its --address: qbo-backfill worker --listen {address}");
        Exit::new(SOURCE, format!("no worker answers at {address}: {why}"), next)
    };
    let bytes = match timeout(PATIENCE, ask(address, path)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(unreachable(&error.to_string())),
        Err(_) => return Err(unreachable("it took too long")),
    };
    let answer = read(&bytes).ok_or_else(|| unreachable("the answer is not a worker's"))?;
    if !answer.is_well {
        let what = format!("the worker at {address} is unwell: {}", answer.text.trim().replace('\n', ", "));
        return Err(Exit::new(SOURCE, what, "qbo-backfill doctor"));
    }
    match (form, arguments.metrics) {
        (Output::Text, _) => out(&answer.text),
        (Output::Json, true) => out_json(&json!({"address": address.to_string(), "metrics": answer.text})),
        (Output::Json, false) => {
            let companies: Vec<_> = answer.text.lines().collect();
            out_json(&json!({"address": address.to_string(), "companies": companies}));
        }
    }
    Ok(DONE)
}

/// Sends one request, and reads until the worker closes the connection.
async fn ask(address: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LARGEST_ANSWER).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Reads an answer of the worker's own listener. Anything else that may listen at the address is `None`.
fn read(bytes: &[u8]) -> Option<Answer> {
    let answer = std::str::from_utf8(bytes).ok()?;
    let (head, text) = answer.split_once("\r\n\r\n")?;
    let is_well = match head.lines().next()? {
        "HTTP/1.1 200 OK" => true,
        "HTTP/1.1 503 Service Unavailable" => false,
        _ => return None,
    };
    Some(Answer { is_well, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_workers_answer_is_read() {
        let answer = |is_well, text: &str| Some(Answer { is_well, text: text.to_owned() });
        let of = |status: &str| read(format!("HTTP/1.1 {status}\r\nx: y\r\n\r\ndefault: ok\n").as_bytes());
        assert_eq!(of("200 OK"), answer(true, "default: ok\n"));
        assert_eq!(of("503 Service Unavailable"), answer(false, "default: ok\n"));
        assert_eq!(of("404 Not Found"), None);
        assert_eq!(of("302 Found"), None);
        assert_eq!(read(b"HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(read(b"SSH-2.0-example\r\n\r\n"), None);
        assert_eq!(read(b"\xff\xfe"), None);
        assert_eq!(read(b""), None);
    }
}
