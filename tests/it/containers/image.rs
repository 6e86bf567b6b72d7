//! The image's root file system in a mount namespace of its own, with the user, the command, the
//! environment and the health check that the `Dockerfile` and the compose file give it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use real_kafka::{java::free_port, require_or_skip, shared};
use servicenow_sim::{Generator, Options, Sim};

use super::{as_text, compose, environment, last_stage, root, words};
use crate::support::bridge::PROGRAM;
use crate::support::process::Process;
use crate::support::wait_for;

const STATE: &str = "var/lib/servicenow-kafka-bridge";
const CONFIG: &str = "etc/servicenow-kafka-bridge/config.yaml";

/// Mounts as a container engine does with `read_only: true`, then becomes the user and the command.
const CONTAINER: &str = "
root=$1 state=$2 config=$3; shift 3
mount --bind \"$root\" \"$root\"
mount --bind \"$state\" \"$root/var/lib/servicenow-kafka-bridge\"
mount --bind \"$config\" \"$root/etc/servicenow-kafka-bridge/config.yaml\"
mount --rbind /proc \"$root/proc\"
mount -o remount,ro,bind \"$root\"
exec setpriv --no-new-privs unshare --setgid 65532 --setuid 65532 \\
  --root=\"$root\" --wd=/var/lib/servicenow-kafka-bridge \"$@\"";

struct Image {
    folder: PathBuf,
    environment: BTreeMap<String, String>,
}

impl Image {
    /// The root file system with the program under test. That one is linked to libraries of this machine,
    /// unlike the image's: they are put beside it.
    fn make(folder: &Path, environment: BTreeMap<String, String>) -> Image {
        let image = Image {
            folder: folder.to_owned(),
            environment,
        };
        let made = Command::new(root().join("packaging/container/rootfs"))
            .args([as_text(&image.root()), PROGRAM])
            .status();
        assert!(made.unwrap().success());
        let libraries = Command::new("ldd").arg(PROGRAM).output().unwrap();
        let libraries = String::from_utf8(libraries.stdout).unwrap();
        for library in libraries
            .split_whitespace()
            .filter(|it| it.starts_with('/'))
        {
            let place = image.root().join(&library[1..]);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::copy(library, place).unwrap();
        }
        // An engine makes what it mounts on.
        fs::create_dir(image.root().join("proc")).unwrap();
        File::create(image.root().join(CONFIG)).unwrap();
        // A new volume has owner and mode of the folder that it covers.
        let covered = image.root().join(STATE).metadata().unwrap();
        fs::create_dir(image.state()).unwrap();
        chown(image.state(), Some(covered.uid()), Some(covered.gid())).unwrap();
        fs::set_permissions(image.state(), covered.permissions()).unwrap();
        image
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-ec", CONTAINER, "container"])
            .args([self.root(), self.state(), self.folder.join("config.yaml")])
            .arg("--")
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(&self.environment)
            .stdin(Stdio::null());
        command
    }
}

/// Whether this machine lets the test make mount namespaces, which a container mostly does not.
fn may_mount() -> bool {
    let tried = Command::new("unshare")
        .args(["--mount", "mount", "--bind", "/tmp", "/tmp"])
        .output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        // Straight to the terminal: what a test prints is shown only when it fails.
        let mut terminal = std::io::stderr();
        writeln!(
            terminal,
            "the image is not run: this needs root and mount namespaces"
        )
        .unwrap();
    }
    may
}

#[test]
fn the_image_reads_rows_into_kafka_without_writing_to_its_root() {
    if !require_or_skip() || !may_mount() {
        return;
    }
    let sim = Sim::start(Options::default()).unwrap();
    let first = sim.now() - 3600;
    sim.insert_many("incident", Generator::new(1, 500, first).take(50))
        .unwrap();
    let (kafka, folder) = (shared().unwrap(), tempfile::tempdir().unwrap());

    // Other tests share the broker and the machine, so that topics and port are not those of the file.
    let addr = format!("127.0.0.1:{}", free_port().unwrap());
    let config = fs::read_to_string(root().join("config.yaml")).unwrap();
    let config = config.replace("topic_prefix: servicenow", "topic_prefix: container");
    let config = format!("{config}\nobservability:\n  addr: {addr}\n");
    fs::write(folder.path().join("config.yaml"), config).unwrap();
    let mut variables = environment(&compose());
    let known = variables.len();
    variables.insert("SN_BASE_URL".to_owned(), sim.url().to_owned());
    variables.insert("KAFKA_BROKER".to_owned(), kafka.plain_addr());
    assert_eq!(variables.len(), known, "the compose file has other names");
    let image = Image::make(folder.path(), variables);

    let stage = last_stage();
    let log = folder.path().join("log");
    let run = [words(&stage, "ENTRYPOINT"), words(&stage, "CMD")].concat();
    let file = File::create(&log).unwrap();
    let mut running = Process(image.command(&run).stderr(file).spawn().unwrap());
    let log = || fs::read_to_string(&log).unwrap_or_default();
    let probe = words(&stage, "HEALTHCHECK");
    let is_healthy = || image.command(&probe).output().unwrap().status;
    wait_for("fifty rows", || {
        let ended = running.0.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}: {}", log());
        let count = kafka.reader().count("container.incident").unwrap_or(0);
        (count >= 50).then_some(())
    });
    assert_eq!(is_healthy().code(), Some(0));
    let kill = Command::new("kill")
        .arg(running.0.id().to_string())
        .status();
    assert!(kill.unwrap().success());
    let code = wait_for("its end", || running.0.try_wait().unwrap()).code();
    assert_eq!(code, Some(0), "{}", log());
    assert_eq!(is_healthy().code(), Some(75));
    let left = fs::read_to_string(image.state().join("offsets.json")).unwrap();
    assert!(left.contains("incident"), "{left}");
    assert!(
        fs::read_dir(image.root().join(STATE))
            .unwrap()
            .next()
            .is_none()
    );
}
