//! The binary.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::client::{BASIC, request};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_servicenow-sim"))
}

#[test]
fn help_teaches_and_bad_flags_are_usage_errors() {
    let output = program().arg("--help").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for word in ["--rows", "curl", "/sim/faults", "Ctrl-C", "bridge"] {
        assert!(text.contains(word), "{word}");
    }
    for bad in [
        ["--nonsense", "1"],
        ["--literal-tz", "mars"],
        ["--rows", "many"],
        ["--semaphore", "4"],
    ] {
        let output = program().args(bad).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(bad.iter().any(|word| text.contains(word)), "{text}");
    }
}

#[test]
fn it_serves_what_the_flags_ask_for() {
    let flags = [
        "--addr",
        "127.0.0.1:0",
        "--rows",
        "30",
        "--tables",
        "incident,problem",
    ];
    let mut child = program()
        .args(flags)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let addr = lines
        .filter_map(|line| line.strip_prefix("listening on http://").map(str::to_owned))
        .next()
        .unwrap();
    let mut stream = TcpStream::connect(&addr).unwrap();
    for table in ["incident", "problem"] {
        let path = format!("/api/now/table/{table}");
        assert_eq!(
            request(&mut stream, "GET", &path, BASIC, "").rows().len(),
            30
        );
    }
    // Not HTTP at all: 400, and the end.
    let mut noise = TcpStream::connect(&addr).unwrap();
    noise.write_all(b"\x16\x03\x01 hello\r\n\r\n").unwrap();
    let mut answer = String::new();
    noise.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{answer}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}
