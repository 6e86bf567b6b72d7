//! The demo as a newcomer runs it, and as `make static` does.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const DEMO: &str = env!("CARGO_BIN_EXE_bridge-demo");

/// The bridge beside the demo: built when the tests of the workspace are.
fn bridge() -> PathBuf {
    let path = Path::new(DEMO).with_file_name("servicenow-kafka-bridge");
    let words = "is missing: `cargo test --workspace` builds it, or `cargo build`";
    assert!(path.exists(), "{} {words}", path.display());
    path
}

#[test]
fn ends_by_itself_when_all_rows_have_arrived() {
    let output = Command::new(DEMO)
        .args(["--rows", "2000", "--until-read"])
        .arg(bridge())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}{errors}");
    assert!(
        text.contains("-- the bridge ended with exit code 0"),
        "{text}"
    );
    assert!(
        text.contains("-- 2,000 records of 2,000 rows arrived"),
        "{text}"
    );
    let inward = "-- servicenow.change_request.in: 90 written, 10 refused (dead letters)\n";
    assert!(text.ends_with(inward), "{text}");
    assert!(
        text.contains("-- dead letter: servicenow.change_request.in/"),
        "{text}"
    );
    assert_eq!(errors, "");
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let mut demo = Command::new(DEMO)
        .args(["--rows", "50"])
        .arg(bridge())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut line = |wanted: &str| loop {
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("no `{wanted}`"))
            .unwrap();
        if line.contains(wanted) {
            return line;
        }
    };
    let page = line("(the status page");
    let config = PathBuf::from(line("config ").split_whitespace().last().unwrap());
    assert!(config.exists());
    line(" status -c ");
    line("The first record in full, from topic servicenow.");
    line("\"sys_updated_on\": \"");
    // Rows that changed while it ran, too.
    line(" problem ");
    line("so far");
    // The other direction, too.
    line("dead letter: ");
    let status = line("-- servicenow.change_request.in: ");
    assert!(status.ends_with(" (dead letters), 0 held"), "{status}");
    let pid = demo.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    line("-- the bridge ended with exit code 0");
    line("rows arrived");
    let total = line("-- servicenow.change_request.in: ");
    assert!(!total.contains(" 0 written"), "{total}");
    assert!(demo.wait().unwrap().success());
    assert!(!config.exists(), "{} is left", config.display());
    line("docs/tutorial.md");
    assert!(
        TcpStream::connect(address_of(&page).unwrap()).is_err(),
        "the bridge still runs"
    );
}

/// `HOST:PORT` of the page in a line of the output.
fn address_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("http://")?;
    Some(rest.split_once('/')?.0)
}

/// What `make demo` gives: the folder stays, the commands that it names work, and a port that is taken
/// is told.
#[test]
fn a_kept_folder_serves_the_commands_that_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut demo = Command::new(DEMO)
        .args(["--rows", "20", "--port", &port, "--folder"])
        .arg(folder.path())
        .arg(bridge())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut line = |wanted: &str| {
        let found = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains(wanted));
        found.unwrap_or_else(|| panic!("no `{wanted}`"))
    };
    line(&format!("Port {port} is taken"));
    let page = line("(the status page");
    assert!(!address_of(&page).unwrap().ends_with(&port), "{page}");
    line("Try in another terminal");
    // Each is called as it is printed, but for the comment behind it.
    for command in ["status", "pause incident", "dead-letters list"] {
        let line = line(&format!(" {command} -c "));
        let words: Vec<&str> = line
            .split(" #")
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("mode"), "{line}: {errors}");
    }
    let pid = demo.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    line("are left in ");
    assert!(demo.wait().unwrap().success());
    for name in ["config.yaml", "bridge.log", "offsets.json"] {
        assert!(folder.path().join(name).exists(), "{name}");
    }
}

#[test]
fn says_what_is_wrong() {
    for (args, code, words) in [
        (&[][..], 64, "path of the bridge's binary is missing"),
        (&["--rows", "0", "x"], 64, "--rows takes 1 to 20000"),
        (&["--frob"], 64, "--frob"),
        (&["/no/such/bridge"], 1, "/no/such/bridge: No such file"),
        (&["/bin/false"], 1, "the bridge ended with exit code 1"),
    ] {
        let output = Command::new(DEMO).args(args).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
        assert!(errors.contains(words), "{args:?}: {errors}");
    }
}
