//! A headless Chromium, spoken to over a pipe: no port, no driver.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where this is set, a machine without a browser fails the test instead of leaving it out.
const NEEDED: &str = "QBO_TEST_BROWSER_NEEDED";

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// One page of a browser, and everything that it has said.
pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    sent: u64,
    /// Events of the page, as the protocol names them.
    pub(crate) events: Vec<Value>,
    _home: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Starts one; `None` where none is installed and none is needed.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = find() else {
            assert!(environment(NEEDED).is_none(), "no Chromium is installed, and {NEEDED} is set");
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        // It reads commands from descriptor 3 and answers on 4.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"]).arg(program);
        // Tests run as root, too, where its sandbox refuses to.
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
        command.args(["--remote-debugging-pipe", "--no-first-run", "--disable-background-networking"]);
        command.arg(format!("--user-data-dir={}", home.path().join("profile").display()));
        command.env("HOME", home.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut browser =
            Self { child, input, output, session: None, sent: 0, events: Vec::new(), _home: home };
        let target = browser.ask("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.ask("Target.attachToTarget", &attach);
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// Opens a file in a window of this width.
    pub(crate) fn open(&mut self, page: &Path, width: u32) {
        self.resize(width);
        self.events.clear();
        self.ask("Page.navigate", &json!({"url": format!("file://{}", page.display())}));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.receive();
            self.events.push(event);
        }
    }

    pub(crate) fn resize(&mut self, width: u32) {
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500});
        self.ask("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Shows the page as on paper, or on a dark or light screen.
    pub(crate) fn show_as(&mut self, media: &str, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", &json!({"media": media, "features": features}));
    }

    /// What an expression comes to in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        self.ask("Runtime.evaluate", &asked)["result"]["value"].clone()
    }

    /// A picture of the whole page.
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        let asked = json!({"format": "png", "captureBeyondViewport": true});
        bytes(&self.ask("Page.captureScreenshot", &asked))
    }

    /// The page as it is printed.
    pub(crate) fn print(&mut self) -> Vec<u8> {
        bytes(&self.ask("Page.printToPDF", &json!({"preferCSSPageSize": true, "printBackground": true})))
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        write!(self.input, "{message}\0").unwrap();
        self.input.flush().unwrap();
        loop {
            let answer = self.receive();
            if answer["id"] == self.sent {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn receive(&mut self) -> Value {
        let mut message = Vec::new();
        self.output.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser has gone away");
        serde_json::from_slice(&message).unwrap()
    }
}

fn bytes(answer: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "where programs are, and what is needed, is said to this process"
)]
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

fn find() -> Option<PathBuf> {
    let path = environment("PATH").unwrap_or_else(|| OsString::from("/usr/bin"));
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut all = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    all.find(|program| program.is_file())
}
