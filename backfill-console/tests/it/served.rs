//! A console that is served on a free port.

use std::sync::Arc;

use backfill_console::{Console, Listener};
use qbo_auth::SystemClock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::browser::{Answer, send};
use crate::invented::{self, Invented};

/// A console that is served until it is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) port: u16,
    pub(crate) invented: Invented,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    pub(crate) async fn full() -> Self {
        let (console, invented) = invented::full(Arc::new(SystemClock::new())).await;
        Self::new(console, invented).await
    }

    pub(crate) async fn new(console: Console, invented: Invented) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            console.serve(Listener::Tcp(listener), std::future::pending()).await.unwrap();
        });
        Self { port, invented, task }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Signs in with the key, and returns the cookie.
    pub(crate) async fn sign_in(&self) -> String {
        let body = format!("name=op1&key={}&next=", invented::KEY);
        let answer = self.post("/enter", "", &body).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        answer.cookie()
    }

    pub(crate) async fn get(&self, path: &str, cookie: &str) -> Answer {
        send(self.port, "GET", path, &[("host", &self.host()), ("cookie", cookie)], "").await
    }

    /// Posts a form as a page of the console does.
    pub(crate) async fn post(&self, path: &str, cookie: &str, body: &str) -> Answer {
        let headers = [
            ("host", &*self.host()),
            ("cookie", cookie),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        send(self.port, "POST", path, &headers, body).await
    }
}
