//! A headless Chromium, driven over its DevTools protocol.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::Process;
use super::wait_for;

/// Names under which distributions have it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one tab.
pub(crate) struct Browser {
    _process: Process,
    _profile: TempDir,
    socket: BufReader<TcpStream>,
    last_id: u64,
    /// What came in between answers.
    events: VecDeque<Value>,
}

impl Browser {
    /// Starts it; `None` where there is none, which on CI is a failure.
    pub(crate) fn start() -> Option<Browser> {
        let profile = tempfile::tempdir().unwrap();
        let Some(process) = NAMES.iter().find_map(|name| spawn(name, &profile)) else {
            assert!(std::env::var_os("CI").is_none(), "no browser is installed");
            let words = "chromium is missing (Debian: apt install chromium): not checked";
            // Straight to the terminal: what a test prints is shown only when it fails.
            let mut terminal = std::io::stderr();
            writeln!(terminal, "{words}").unwrap();
            return None;
        };
        let port: u16 = wait_for("the browser's port", || {
            let text = fs::read_to_string(profile.path().join("DevToolsActivePort")).ok()?;
            text.lines().next()?.parse().ok()
        });
        let path = wait_for("the browser's tab", || tab(port));
        let mut browser = Browser {
            _process: process,
            _profile: profile,
            socket: BufReader::new(upgrade(port, &path)),
            last_id: 0,
            events: VecDeque::new(),
        };
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// Calls a method and waits for its result.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let text = json!({"id": id, "method": method, "params": params}).to_string();
        send(self.socket.get_mut(), text.as_bytes());
        loop {
            let mut message = self.receive();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push_back(message);
        }
    }

    /// The value of an expression in the page; a promise is waited for.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", &params);
        let failed = &answer["exceptionDetails"];
        assert!(failed.is_null(), "{expression}: {failed}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub(crate) fn wait(&mut self, expression: &str) {
        wait_for(expression, || {
            (self.value(expression) == true).then_some(())
        });
    }

    /// Width, height and theme of the window.
    pub(crate) fn window(&mut self, width: u32, height: u32, theme: &str) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": theme}]});
        self.call("Emulation.setEmulatedMedia", &media);
    }

    /// Opens a page.
    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", &json!({ "url": url }));
        self.wait("document.readyState === 'complete'");
    }

    /// The window as PNG.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let answer = self.call("Page.captureScreenshot", &json!({"format": "png"}));
        BASE64_STANDARD
            .decode(answer["data"].as_str().unwrap())
            .unwrap()
    }

    /// What the page's console was told that should not be there.
    pub(crate) fn complaints(&mut self) -> Vec<Value> {
        let bad = |event: &Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded") => true,
            _ => event["id"].is_u64(),
        };
        self.events.drain(..).filter(bad).collect()
    }

    /// The next message, put together from its frames.
    fn receive(&mut self) -> Value {
        let mut text = Vec::new();
        loop {
            let [first, second] = self.bytes();
            let length = match second & 0x7f {
                126 => u64::from(u16::from_be_bytes(self.bytes())),
                127 => u64::from_be_bytes(self.bytes()),
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.socket.read_exact(&mut payload).unwrap();
            // Continuation and text; what else there is (ping, close) is not for us.
            if first & 0x0f <= 1 {
                text.extend(payload);
                if first & 0x80 != 0 {
                    return serde_json::from_slice(&text).unwrap();
                }
            }
        }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.socket.read_exact(&mut bytes).unwrap();
        bytes
    }
}

fn spawn(name: &str, profile: &TempDir) -> Option<Process> {
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--disable-lcd-text",
        "--no-first-run",
        "--disable-background-networking",
        "--remote-debugging-port=0",
        "about:blank",
    ];
    Command::new(name)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
        .map(Process)
}

/// The path of the tab's socket.
fn tab(port: u16) -> Option<String> {
    let mut answer = ureq::get(format!("http://127.0.0.1:{port}/json/list"))
        .call()
        .ok()?;
    let body = answer.body_mut().read_to_string().ok()?;
    let list: Value = serde_json::from_str(&body).ok()?;
    let tab = list.as_array()?.iter().find(|it| it["type"] == "page")?;
    let url = tab["webSocketDebuggerUrl"].as_str()?;
    Some(url[url.find("/devtools")?..].to_owned())
}

/// Makes a connection a web socket.
fn upgrade(port: u16, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .unwrap();
    // Nothing comes after the head until we have asked for something.
    let mut lines = BufReader::with_capacity(1, stream.try_clone().unwrap()).lines();
    let status = lines.next().unwrap().unwrap();
    assert!(status.contains(" 101 "), "{status}");
    while !lines.next().unwrap().unwrap().is_empty() {}
    stream
}

/// One frame. A client masks what it sends; zeros are a mask.
fn send(stream: &mut TcpStream, text: &[u8]) {
    let mut frame = vec![0x81];
    match text.len() {
        short @ 0..=125 => frame.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            frame.push(0xff);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(text);
    stream.write_all(&frame).unwrap();
}
