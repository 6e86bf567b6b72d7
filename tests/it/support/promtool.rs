//! Prometheus's own judge of metrics and rules.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use real_kafka::java;

/// Runs `promtool` with these arguments and this input, and asserts that it finds nothing. Where it is not
/// installed that is said; on CI it has to be.
pub(crate) fn promtool<S: AsRef<OsStr>>(args: &[S], input: &str) {
    let started = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            static SAID: OnceLock<()> = OnceLock::new();
            let why = format!("promtool: {error} (Debian: apt install prometheus)");
            java::require_or_skip("promtool", Err(why), &SAID);
            return;
        }
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{words}\n{input}");
}
