//! A console of the real binary, and a visitor who speaks HTTP to it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};

use reqwest::header::{COOKIE, HOST, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Method, Response};

use crate::house::{Ended, House, signal, wait};

/// A console that answers on a port of its own.
pub(crate) struct Console {
    /// Until it is stopped.
    child: Option<Child>,
    stderr: Option<BufReader<ChildStderr>>,
    /// The host that its link names, with the port.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path of the link that it printed, which signs in once; `/` where it is published, and prints none.
    pub(crate) link: String,
    browser: reqwest::Client,
}

/// A test that fails leaves no process behind.
impl Drop for Console {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Console {
    pub(crate) fn start(house: &House, more: &[&str]) -> Self {
        Self::listen(house, 0, more)
    }

    pub(crate) fn listen(house: &House, port: u16, more: &[&str]) -> Self {
        let mut command = house.command(&["console", "--listen", &format!("127.0.0.1:{port}")]);
        command.args(more).args(house.addresses());
        Self::of(command)
    }

    /// Starts a command that serves a console, and waits until it has printed its link.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let link = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended: {said}");
            said.push_str(&line);
            if let Some(link) = line.trim().strip_prefix("console: http://") {
                break link.to_owned();
            }
        };
        let (host, path) = link.split_once('/').unwrap_or((&link, ""));
        let port = host.rsplit_once(':').unwrap().1.parse().unwrap();
        let browser = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self {
            child: Some(child),
            stderr: Some(stderr),
            host: host.to_owned(),
            port,
            link: format!("/{path}"),
            browser,
        }
    }

    /// Requests a path as a browser does that shows the console under the host name of its link.
    pub(crate) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = self.browser.request(method, format!("http://127.0.0.1:{}{path}", self.port));
        if !headers.iter().any(|(name, _)| *name == HOST.as_str()) {
            request = request.header(HOST, &self.host);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str, cookie: &str) -> (u16, String) {
        let answer = self.ask(Method::GET, path, &[(COOKIE.as_str(), cookie)]).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Opens a link, and returns the cookie of the session.
    pub(crate) async fn sign_in(&self, link: &str) -> Option<String> {
        let answer = self.ask(Method::GET, link, &[]).await;
        let cookie = answer.headers().get(SET_COOKIE)?.to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        Some(cookie.split(';').next().unwrap().to_owned())
    }

    pub(crate) async fn stop(mut self) -> Ended {
        let (child, mut stderr) = (self.child.take().unwrap(), self.stderr.take().unwrap());
        signal(&child, "-TERM");
        let reading = std::thread::spawn(move || {
            let mut rest = String::new();
            stderr.read_to_string(&mut rest).map(|_| rest)
        });
        let ended = wait(child).await;
        Ended { stderr: reading.join().unwrap().unwrap(), ..ended }
    }
}
