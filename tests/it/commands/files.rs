//! The files that a configuration is made of: what they may be, and who may write them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{alone, call, is_root, make_pipe};
use crate::support::bridge::Bridge;
use crate::support::config::Config;
use crate::support::wait_for;

/// A folder with a configuration whose password is in `secret`.
fn with_secret_file() -> (tempfile::TempDir, Config) {
    let (folder, mut config) = alone();
    config.servicenow = config
        .servicenow
        .replace("password: secret", "password_file: secret");
    config.write(folder.path());
    fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
    (folder, config)
}

/// No process writes to the pipes, so that reading one would never end.
#[test]
fn a_named_pipe_is_refused_wherever_a_file_belongs() {
    let (folder, good) = with_secret_file();
    let place = folder.path();
    make_pipe(&place.join("pipe"));
    for (from, to) in [
        ("password_file: secret", "password_file: pipe"),
        (
            "addr: 127.0.0.1:0",
            "addr: 127.0.0.1:0\n  admin_token_file: pipe",
        ),
        (
            "http://127.0.0.1:9\n",
            "https://127.0.0.1:9\n  tls: {ca_cert: pipe}\n",
        ),
        (
            "kafka:\n",
            "kafka:\n  tls: {enabled: true, ca_cert: pipe}\n",
        ),
    ] {
        let text = good.text().replacen(from, to, 1);
        assert_ne!(text, good.text(), "{from}");
        fs::write(place.join("config.yaml"), text).unwrap();
        let (_, errors, code) = call(place, &["check"]);
        assert_eq!(code, 78, "{to}: {errors}");
        assert!(errors.contains("named pipe"), "{to}: {errors}");
    }
    let (_, errors, code) = call(place, &["check", "--config", "pipe"]);
    assert_eq!(code, 78, "{errors}");
    assert!(errors.contains("named pipe"), "{errors}");
}

#[test]
fn a_pipe_in_the_place_of_a_secret_holds_up_no_reload() {
    let (folder, config) = with_secret_file();
    let mut bridge = Bridge::start(folder.path());
    fs::remove_file(folder.path().join("secret")).unwrap();
    make_pipe(&folder.path().join("secret"));
    bridge.signal("HUP");
    wait_for("the refusal of the pipe", || {
        bridge.log().contains("named pipe").then_some(())
    });
    // What comes behind it is read.
    fs::remove_file(folder.path().join("secret")).unwrap();
    fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
    config.source("batch_size: 77").write(folder.path());
    bridge.signal("HUP");
    bridge.wait_metric("bridge_config_last_reload_successful", 1.0);
    wait_for("the edit", || {
        bridge.log().contains("batch_size").then_some(())
    });
    bridge.kill();
}

#[test]
fn files_that_every_user_may_write_are_told_and_for_root_refused() {
    let (folder, _) = with_secret_file();
    let place = folder.path();
    for name in ["config.yaml", "secret"] {
        let file = place.join(name);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        let (_, errors, code) = call(place, &["check"]);
        assert_eq!(code, if is_root() { 78 } else { 0 }, "{errors}");
        for words in [name, "everybody on this machine may write it (mode 0666)"] {
            assert!(errors.contains(words), "no `{words}` in {errors}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let (_, errors, code) = call(place, &["check"]);
        assert!(code == 0 && !errors.contains("may write it"), "{errors}");
    }
}

#[test]
fn a_file_named_by_mistake_is_not_quoted() {
    let (folder, _) = alone();
    let shadow = "root:$6$topsecret:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n";
    fs::write(folder.path().join("shadow"), shadow).unwrap();
    for command in ["check", "run", "show-config"] {
        let (output, errors, code) = call(folder.path(), &[command, "--config", "shadow"]);
        assert_eq!((output.as_str(), code), ("", 78), "{errors}");
        assert!(
            errors.contains("is no configuration of this bridge"),
            "{errors}"
        );
        assert!(
            !errors.contains("topsecret") && !errors.contains("daemon"),
            "{errors}"
        );
    }
}
