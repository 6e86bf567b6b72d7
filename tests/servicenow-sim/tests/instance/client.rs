//! A small HTTP client that shows everything, also what is broken.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use servicenow_sim::{Options, Row, Sim};

/// `bridge:secret`
pub(crate) const BASIC: &str = "Authorization: Basic YnJpZGdlOnNlY3JldA==\r\n";

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body was complete.
    pub(crate) complete: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|err| panic!("{err}: {}", self.text()))
    }

    /// The rows of a list.
    pub(crate) fn rows(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()["result"].as_array().unwrap().clone()
    }

    /// One column of every row.
    pub(crate) fn column(&self, name: &str) -> Vec<String> {
        self.rows()
            .iter()
            .map(|row| row[name].as_str().unwrap().to_owned())
            .collect()
    }
}

pub(crate) fn start() -> Sim {
    Sim::start(Options::default()).unwrap()
}

/// An instance whose clock is far from the turn of an hour.
pub(crate) fn start_mid_hour() -> Sim {
    let now = start().now();
    Sim::start(Options {
        skew_seconds: 1800 - now.rem_euclid(3600),
        ..Options::default()
    })
    .unwrap()
}

/// A row of the table `incident` with a short id.
pub(crate) fn row(id: &str) -> Row {
    Row::new().set("sys_id", id)
}

/// GET with Basic credentials.
pub(crate) fn get(sim: &Sim, target: &str) -> Answer {
    send(sim, "GET", target, BASIC, "")
}

/// GET of a list with an encoded query, percent-encoded here.
pub(crate) fn query(sim: &Sim, table: &str, query: &str, rest: &str) -> Answer {
    let query: String = query
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    get(
        sim,
        &format!("/api/now/table/{table}?sysparm_query={query}{rest}"),
    )
}

/// The `sys_id`s that a query finds, sorted.
pub(crate) fn ids(sim: &Sim, table: &str, text: &str) -> String {
    let mut ids = query(sim, table, text, "&sysparm_fields=sys_id").column("sys_id");
    ids.sort();
    ids.join(",")
}

/// Any request on a connection of its own.
pub(crate) fn send(sim: &Sim, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let mut stream = connect(sim);
    request(
        &mut stream,
        method,
        target,
        &format!("{headers}Connection: close\r\n"),
        body,
    )
}

pub(crate) fn connect(sim: &Sim) -> TcpStream {
    let stream = TcpStream::connect(sim.url().strip_prefix("http://").unwrap()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// Any request on a connection that stays open.
pub(crate) fn request(
    stream: &mut TcpStream,
    method: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: sim\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    read(stream, method == "HEAD")
}

fn read(stream: &mut TcpStream, head_only: bool) -> Answer {
    let mut raw = Vec::new();
    let mut chunk = [0; 65_536];
    loop {
        if let Some(answer) = parse(&raw, head_only).filter(|answer| answer.complete) {
            return answer;
        }
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => raw.extend_from_slice(&chunk[..count]),
            // The end or a reset: what came so far.
            _ => {
                let nothing = Answer {
                    status: 0,
                    headers: Vec::new(),
                    body: Vec::new(),
                    complete: false,
                };
                return parse(&raw, head_only).unwrap_or(nothing);
            }
        }
    }
}

fn parse(raw: &[u8], head_only: bool) -> Option<Answer> {
    let end = raw.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
        complete: false,
    };
    let mut rest = &raw[end + 4..];
    if head_only || answer.header("transfer-encoding").is_none() {
        answer.complete = true;
        return Some(answer);
    }
    while let Some(line) = rest.windows(2).position(|part| part == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        rest = &rest[line + 2..];
        if size == 0 {
            answer.complete = rest.starts_with(b"\r\n");
            break;
        }
        answer.body.extend_from_slice(&rest[..size.min(rest.len())]);
        let Some(next) = rest.get(size + 2..) else {
            break;
        };
        rest = next;
    }
    Some(answer)
}
