//! A thread that reports when the content of a file of the configuration changes.
//!
//! It watches folders, not files: an editor writes a new file and renames it over the old one, and
//! Kubernetes swaps a symbolic link above the file. An event of the operating system only says when to
//! compare; a change is a different content. As some file systems (NFS, some container mounts) send no
//! events, the thread also compares every [`UNPROMPTED_CHECK_INTERVAL`].

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, after, bounded, select};
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::files::ConfigFiles;
use crate::regular_file::folder_of;
use crate::stop::{self, Stop, StopTrigger};

/// A change is complete when no further event comes for this long: an editor causes several.
const EVENTS_SETTLED_AFTER: Duration = Duration::from_millis(200);
/// The longest wait for that quiet: a file that is written all the time is compared this often.
const MAX_SETTLE_TIME: Duration = Duration::from_secs(2);
/// Time between two comparisons when there are no events at all.
const UNPROMPTED_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// The watching thread; joined when this is dropped.
#[derive(Debug)]
pub struct ConfigWatcher {
    files: Sender<ConfigFiles>,
    thread: Option<(StopTrigger, JoinHandle<()>)>,
}

impl ConfigWatcher {
    /// Watches `files`. The receiver gets a message when the content of one changes. The channel holds
    /// one message: changes that come before it is taken are told by that one.
    ///
    /// # Errors
    /// The operating system gives no thread. That it gives no events is only logged.
    pub fn start(files: ConfigFiles) -> io::Result<(ConfigWatcher, Receiver<()>)> {
        let (changed_in, changed) = bounded(1);
        let (files_in, newer) = bounded(1);
        let (trigger, stop) = stop::pair();
        let watcher = WatchThread::new(files, changed_in, newer, stop);
        let thread = thread::Builder::new().name("config-watch".to_owned());
        let handle = thread.spawn(move || watcher.run())?;
        let watch = ConfigWatcher {
            files: files_in,
            thread: Some((trigger, handle)),
        };
        Ok((watch, changed))
    }

    /// Replaces the watched files after a reload; changes are against the contents noted in `files`.
    pub fn follow(&self, files: ConfigFiles) {
        // The thread takes it as soon as it does not compare. The supervisor, which calls this, must
        // not wait for a slow disk: at worst the thread goes on with the files of before, among which
        // is the configuration itself.
        self.files.send_timeout(files, EVENTS_SETTLED_AFTER).ok();
    }
}

impl Drop for ConfigWatcher {
    fn drop(&mut self) {
        if let Some((trigger, thread)) = self.thread.take() {
            drop(trigger);
            if thread.join().is_err() {
                log::error!("the thread that watches the configuration ended by a panic");
            }
        }
    }
}

/// What the watching thread owns.
struct WatchThread {
    files: ConfigFiles,
    /// The watched folders with device and inode: a folder of the same name may be another one.
    folders: BTreeMap<PathBuf, (u64, u64)>,
    watcher: Option<RecommendedWatcher>,
    events: Receiver<()>,
    changed: Sender<()>,
    newer: Receiver<ConfigFiles>,
    stop: Stop,
}

impl WatchThread {
    fn new(
        files: ConfigFiles,
        changed: Sender<()>,
        newer: Receiver<ConfigFiles>,
        stop: Stop,
    ) -> WatchThread {
        let (event_in, events) = bounded(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_change(event.kind)) {
                // A full channel means that the thread is going to compare anyway.
                event_in.try_send(()).ok();
            }
        });
        let watcher = watcher.inspect_err(|error| {
            log::warn!(error:% = error, every:? = UNPROMPTED_CHECK_INTERVAL;
                "no events of the configuration's files: they are only looked at");
        });
        WatchThread {
            files,
            folders: BTreeMap::new(),
            watcher: watcher.ok(),
            events,
            changed,
            newer,
            stop,
        }
    }

    fn run(mut self) {
        loop {
            self.watch_folders();
            select! {
                recv(self.newer) -> newer => match newer {
                    Ok(newer) => self.files = newer,
                    Err(_) => return,
                },
                recv(self.events) -> _ => self.settle(),
                recv(self.stop.receiver()) -> _ => return,
                default(UNPROMPTED_CHECK_INTERVAL) => {}
            }
            if self.stop.is_stopped() {
                return;
            }
            self.compare();
        }
    }

    /// Waits until the change is complete.
    fn settle(&self) {
        let end = after(MAX_SETTLE_TIME);
        loop {
            select! {
                recv(self.events) -> _ => {}
                recv(end) -> _ => return,
                recv(self.stop.receiver()) -> _ => return,
                default(EVENTS_SETTLED_AFTER) => return,
            }
        }
    }

    fn compare(&mut self) {
        let now = self.files.read_again();
        if now != self.files {
            self.files = now;
            self.changed.try_send(()).ok();
        }
    }

    /// Watches the folders in which a change may happen, and no others.
    fn watch_folders(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let mut wanted = BTreeMap::new();
        for folder in self.files.paths().flat_map(folders_of) {
            if let Ok(metadata) = folder.metadata() {
                wanted.insert(folder, (metadata.dev(), metadata.ino()));
            }
        }
        for (folder, identity) in &self.folders {
            if wanted.get(folder) != Some(identity) {
                // It may be gone, and the watch with it.
                watcher.unwatch(folder).ok();
            }
        }
        let new = wanted
            .iter()
            .filter(|(folder, identity)| self.folders.get(*folder) != Some(identity));
        for (folder, _) in new {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                log::warn!(folder:% = folder.display(), error:% = error, every:? = UNPROMPTED_CHECK_INTERVAL;
                    "no events of a folder of the configuration: it is only looked at");
            }
        }
        self.folders = wanted;
    }
}

/// Reading a file is no change; otherwise each comparison would cause the next one.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// The folders of a file, of each symbolic link on the way to it, and of what it is in the end.
fn folders_of(path: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder_of(path)];
    let mut at = path.to_owned();
    for _ in 0..8 {
        let Ok(target) = std::fs::read_link(&at) else {
            break;
        };
        at = folder_of(&at).join(target);
        folders.push(folder_of(&at));
    }
    if let Ok(real) = path.canonicalize() {
        folders.push(folder_of(&real));
    }
    folders
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    struct WatchedFolder {
        folder: tempfile::TempDir,
        _watch: ConfigWatcher,
        changed: Receiver<()>,
    }

    fn world(prepare: impl FnOnce(&Path)) -> WatchedFolder {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let mut files = ConfigFiles::default();
        files.note_now(&folder.path().join("config.yaml"));
        files.note_now(&folder.path().join("secret"));
        let (watch, changed) = ConfigWatcher::start(files).unwrap();
        WatchedFolder {
            folder,
            _watch: watch,
            changed,
        }
    }

    impl WatchedFolder {
        #[track_caller]
        fn sees(&self, change: impl FnOnce(&Path)) {
            change(self.folder.path());
            let began = Instant::now();
            self.changed.recv_timeout(LONG).unwrap();
            assert!(
                began.elapsed() < UNPROMPTED_CHECK_INTERVAL,
                "events tell it, not the slow look"
            );
        }
    }

    #[test]
    fn writes_renames_and_new_files_are_seen_and_what_holds_the_same_is_not() {
        let world = world(|folder| fs::write(folder.join("config.yaml"), "a").unwrap());
        // The thread needs a moment to begin.
        assert!(
            world
                .changed
                .recv_timeout(EVENTS_SETTLED_AFTER * 2)
                .is_err()
        );
        world.sees(|folder| fs::write(folder.join("config.yaml"), "b").unwrap());
        for text in ["c", "d"] {
            world.sees(|folder| {
                fs::write(folder.join("new"), text).unwrap();
                fs::rename(folder.join("new"), folder.join("config.yaml")).unwrap();
            });
        }
        world.sees(|folder| fs::write(folder.join("secret"), "s").unwrap());
        fs::write(world.folder.path().join("config.yaml"), "d").unwrap();
        fs::write(world.folder.path().join("another"), "x").unwrap();
        assert!(
            world
                .changed
                .recv_timeout(EVENTS_SETTLED_AFTER * 5)
                .is_err()
        );
        world.sees(|folder| fs::remove_file(folder.join("config.yaml")).unwrap());
    }

    #[test]
    fn a_swapped_link_is_seen_as_kubernetes_does_it() {
        let put = |folder: &Path, version: &str| {
            let data = folder.join(version);
            fs::create_dir(&data).unwrap();
            fs::write(data.join("config.yaml"), version).unwrap();
            symlink(version, folder.join("..tmp")).unwrap();
            fs::rename(folder.join("..tmp"), folder.join("..data")).unwrap();
        };
        let world = world(|folder| {
            put(folder, "v1");
            symlink("..data/config.yaml", folder.join("config.yaml")).unwrap();
        });
        assert!(
            world
                .changed
                .recv_timeout(EVENTS_SETTLED_AFTER * 2)
                .is_err()
        );
        for (version, old) in [("v2", "v1"), ("v3", "v2")] {
            world.sees(|folder| {
                put(folder, version);
                fs::remove_dir_all(folder.join(old)).unwrap();
            });
        }
    }
}
