//! What another user may have put beside the checkpoint, and what root must not do with it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use super::{call, is_root, make_pipe};
use crate::support::config::Config;

/// A user without an account.
const SERVICE: u32 = 4242;
const SECRET: &str = "of root alone\n";

/// A folder with a configuration, the state folder of the service, and a file of root's.
struct Place {
    folder: tempfile::TempDir,
    state: PathBuf,
    victim: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        // The service's user passes through here.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
        let (state, private) = (folder.path().join("state"), folder.path().join("private"));
        for (path, owner) in [(&state, SERVICE), (&private, 0)] {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
            if is_root() {
                chown(path, Some(owner), Some(owner)).unwrap();
            }
        }
        let victim = private.join("victim");
        fs::write(&victim, SECRET).unwrap();
        let mut config = Config::new("http://127.0.0.1:9", "127.0.0.1:9");
        config.offset = format!("file_path: {}", state.join("offsets.json").display());
        config.write(folder.path());
        Place {
            folder,
            state,
            victim,
        }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// What the commands that write say, all of which must fail and leave the file of root's as it is.
    fn refused(&self, what: &str) -> Vec<String> {
        let owner = |path: &Path| path.metadata().map(|it| (it.uid(), it.gid(), it.mode()));
        let before = owner(&self.victim).unwrap();
        let set = ["checkpoint", "set", "incident", "--timestamp", "1706140800"];
        let commands: [&[&str]; 3] = [&set, &["checkpoint", "reset", "incident"], &["run"]];
        let refuse = |command: &&[&str]| {
            let (output, errors, code) = call(self.folder.path(), command);
            assert!(
                code == 78 || code == 75,
                "{what}: {command:?}: {code} {output}{errors}"
            );
            assert_eq!(fs::read_to_string(&self.victim).unwrap(), SECRET, "{what}");
            assert_eq!(owner(&self.victim).unwrap(), before, "{what}: {command:?}");
            format!("{output}{errors}")
        };
        commands.iter().map(refuse).collect()
    }
}

/// Puts something that is no ordinary file at a path.
type Obstacle = fn(&Path, &Path);

#[test]
fn what_stands_in_the_place_of_the_lock_is_neither_followed_nor_changed() {
    let obstacles: [(&str, Obstacle); 4] = [
        ("it is a symbolic link", |victim, path| {
            symlink(victim, path).unwrap();
        }),
        ("a hard link", |victim, path| {
            fs::hard_link(victim, path).unwrap();
        }),
        ("not a regular file", |_, path| {
            make_pipe(path);
        }),
        ("s a directory", |_, path| fs::create_dir(path).unwrap()),
    ];
    for (words, put) in obstacles {
        let place = Place::new();
        let lock = place.beside("offsets.json.lock");
        put(&place.victim, &lock);
        if is_root() {
            lchown(&lock, Some(SERVICE), Some(SERVICE)).unwrap();
        }
        // A hard link is the file itself, which belongs to root again.
        chown_back(&place.victim);
        for said in place.refused(words) {
            let is_named = said.contains("offsets.json.lock") && said.contains(words);
            // Without root's rights the hard link cannot even be opened.
            let is_forbidden = said.contains("Permission denied") && words == "a hard link";
            assert!(is_named || is_forbidden, "{words}: {said}");
        }
    }
}

fn chown_back(victim: &Path) {
    if is_root() {
        chown(victim, Some(0), Some(0)).unwrap();
    }
}

#[test]
fn a_checkpoint_that_is_a_link_of_the_service_leads_root_nowhere() {
    if !is_root() {
        return;
    }
    for hard in [false, true] {
        let place = Place::new();
        let path = place.beside("offsets.json");
        if hard {
            fs::hard_link(&place.victim, &path).unwrap();
        } else {
            symlink(&place.victim, &path).unwrap();
            lchown(&path, Some(SERVICE), Some(SERVICE)).unwrap();
        }
        place.refused("a link");
        let names = fs::read_dir(place.victim.parent().unwrap()).unwrap();
        assert_eq!(
            names.count(),
            1,
            "nothing was made beside the file of root's"
        );
    }
}

#[test]
fn what_root_makes_belongs_to_the_owner_of_the_folder() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let set = ["checkpoint", "set", "incident", "--timestamp", "1706140800"];
    let (output, errors, code) = call(place.folder.path(), &set);
    assert_eq!(code, 0, "{output}{errors}");
    for name in ["offsets.json", "offsets.json.lock"] {
        let metadata = place.beside(name).metadata().unwrap();
        assert_eq!(
            (metadata.uid(), metadata.gid()),
            (SERVICE, SERVICE),
            "{name}"
        );
        assert_eq!(metadata.mode() & 0o777, 0o600, "{name}");
    }
    let (output, errors, code) = call(place.folder.path(), &["checkpoint", "show"]);
    assert_eq!(code, 0, "{output}{errors}");
    assert!(output.contains("incident"), "{output}");
}
