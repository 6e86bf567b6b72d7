//! This host: room and speed of the checkpoint's folder, limits of a process.

use std::path::PathBuf;
use std::time::Duration;

use crate::commands::doctor::finding::{Finding, FindingArea};

/// The checkpoint has some kilobytes, and is written beside the old one before it takes its place.
const MIN_FREE_BYTES: u64 = 16 << 20;
/// Less is warned of: what fills the disk goes on.
const FREE_BYTES_WARNING: u64 = 256 << 20;
/// A position is written when the one before is on the disk.
const SLOW_SYNC: Duration = Duration::from_secs(1);
/// Descriptors without which the bridge hardly runs, whatever is configured.
const MIN_DESCRIPTORS: u64 = 128;

/// The folder of the checkpoint.
#[derive(Debug, Clone)]
pub(in crate::commands::doctor) struct SeenFolder {
    pub(in crate::commands::doctor) path: PathBuf,
    /// Bytes that this user may still write, and files, where the file system counts them.
    pub(in crate::commands::doctor) free_bytes: u64,
    pub(in crate::commands::doctor) free_files: Option<u64>,
    /// How long it took until a small file was on the disk, or why it could not be written.
    pub(in crate::commands::doctor) sync: Result<Duration, String>,
    /// Something is mounted at the checkpoint file itself.
    pub(in crate::commands::doctor) file_is_mounted: bool,
    /// The file system is on another host.
    pub(in crate::commands::doctor) is_remote: bool,
}

pub(in crate::commands::doctor) fn folder(seen: &SeenFolder) -> Vec<Finding> {
    let subject = format!("checkpoint folder {}", seen.path.display());
    let mut findings = vec![room(&subject, seen), sync(&subject, seen)];
    if seen.file_is_mounted {
        let words =
            "the checkpoint file is a mount of its own, so that no new one can take its place";
        let cure = "mount its folder instead of the file";
        findings.push(FindingArea::Host.failure(subject.clone(), words, cure));
    }
    if seen.is_remote {
        let words =
            "is on another host (NFS or SMB), where a lock may not keep a second bridge away";
        let cure = "put offset.file_path on a local disk";
        findings.push(FindingArea::Host.warning(subject, words, cure));
    }
    findings
}

fn room(subject: &str, seen: &SeenFolder) -> Finding {
    let words = format!("{} MiB free", seen.free_bytes >> 20);
    if seen.free_bytes < MIN_FREE_BYTES || seen.free_files == Some(0) {
        let words = match seen.free_files {
            Some(0) => "no file can be made any more (inodes)".to_owned(),
            _ => words,
        };
        let cure = "make room: without it positions are not kept, and rows are sent again";
        return FindingArea::Host.failure(subject, words, cure);
    }
    if seen.free_bytes < FREE_BYTES_WARNING {
        return FindingArea::Host.warning(subject, words, "make room before the disk is full");
    }
    FindingArea::Host.ok(subject, words)
}

fn sync(subject: &str, seen: &SeenFolder) -> Finding {
    match &seen.sync {
        Ok(time) if *time < SLOW_SYNC => {
            let words = format!("a file is on the disk after {} ms", time.as_millis());
            FindingArea::Host.ok(subject, words)
        }
        Ok(time) => {
            let words = format!("a file is on the disk after {} ms only", time.as_millis());
            let cure = "see what keeps the disk busy, or put offset.file_path on another one: positions \
                        are kept that late";
            FindingArea::Host.warning(subject, words, cure)
        }
        Err(why) => {
            let cure = "let the user who runs the bridge write there, or set offset.file_path";
            FindingArea::Host.failure(subject, format!("no file can be written: {why}"), cure)
        }
    }
}

/// What a process may use, and what this configuration needs.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands::doctor) struct SeenResources {
    /// `None`: without a limit.
    pub(in crate::commands::doctor) descriptors: Option<u64>,
    pub(in crate::commands::doctor) descriptors_needed: u64,
    /// Bytes that there are at most for this process; `None`: not known.
    pub(in crate::commands::doctor) memory: Option<u64>,
    pub(in crate::commands::doctor) memory_needed: u64,
    pub(in crate::commands::doctor) is_root: bool,
}

pub(in crate::commands::doctor) fn resources(seen: &SeenResources) -> Vec<Finding> {
    let user = if seen.is_root {
        "this is root: rights on files and limits are judged for root; call `doctor` as the user who \
         runs the bridge to see its own"
    } else {
        "rights on files and limits are judged for this user"
    };
    vec![
        FindingArea::Host.ok("user", user),
        descriptors(seen),
        memory(seen),
    ]
}

fn descriptors(seen: &SeenResources) -> Finding {
    let subject = "descriptors";
    let needed = seen.descriptors_needed.max(MIN_DESCRIPTORS);
    let Some(limit) = seen.descriptors else {
        return FindingArea::Host.ok(subject, format!("without a limit, {needed} may be needed"));
    };
    let words = format!("limit {limit}, {needed} may be needed");
    if limit < MIN_DESCRIPTORS {
        let cure = "raise the limit of open files (LimitNOFILE= of the unit, `ulimit -n`)";
        return FindingArea::Host.failure(subject, words, cure);
    }
    if limit < needed {
        let cure = "raise the limit of open files (LimitNOFILE= of the unit, `ulimit -n`), or lower \
                    sink.concurrency";
        return FindingArea::Host.warning(subject, words, cure);
    }
    FindingArea::Host.ok(subject, words)
}

fn memory(seen: &SeenResources) -> Finding {
    let subject = "memory";
    let needed = seen.memory_needed >> 20;
    let Some(memory) = seen.memory else {
        return FindingArea::Host.ok(subject, format!("up to {needed} MiB may be needed"));
    };
    let words = format!(
        "{} MiB to have, up to {needed} MiB may be needed",
        memory >> 20
    );
    if memory < seen.memory_needed {
        let cure = "give it more (MemoryMax= of the unit, the container's limit), or lower \
                    kafka.queue_bytes";
        return FindingArea::Host.warning(subject, words, cure);
    }
    FindingArea::Host.ok(subject, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::FindingLevel::{self, Failure, Ok as Well, Warning};

    fn worst(findings: &[Finding]) -> FindingLevel {
        findings.iter().map(|finding| finding.level).max().unwrap()
    }

    #[test]
    fn a_folder_has_room_and_is_quick() {
        let good = SeenFolder {
            path: PathBuf::from("/var/lib/x"),
            free_bytes: FREE_BYTES_WARNING,
            free_files: Some(1),
            sync: Ok(Duration::from_millis(3)),
            file_is_mounted: false,
            is_remote: false,
        };
        assert_eq!(worst(&folder(&good)), Well);
        let with = |change: fn(&mut SeenFolder)| {
            let mut seen = good.clone();
            change(&mut seen);
            worst(&folder(&seen))
        };
        assert_eq!(with(|it| it.free_bytes -= 1), Warning);
        assert_eq!(with(|it| it.free_bytes = MIN_FREE_BYTES - 1), Failure);
        assert_eq!(with(|it| it.free_files = Some(0)), Failure);
        assert_eq!(with(|it| it.sync = Ok(SLOW_SYNC)), Warning);
        assert_eq!(with(|it| it.sync = Err("denied".to_owned())), Failure);
        assert_eq!(with(|it| it.file_is_mounted = true), Failure);
        assert_eq!(with(|it| it.is_remote = true), Warning);
    }

    #[test]
    fn a_process_has_what_it_needs() {
        let good = SeenResources {
            descriptors: Some(1024),
            descriptors_needed: 200,
            memory: Some(64 << 20),
            memory_needed: 64 << 20,
            is_root: false,
        };
        assert_eq!(worst(&resources(&good)), Well);
        let with = |change: fn(&mut SeenResources)| {
            let mut seen = good;
            change(&mut seen);
            worst(&resources(&seen))
        };
        assert_eq!(with(|it| it.descriptors = Some(199)), Warning);
        assert_eq!(with(|it| it.descriptors = Some(127)), Failure);
        assert_eq!(with(|it| it.memory = Some((64 << 20) - 1)), Warning);
        assert_eq!(with(|it| it.is_root = true), Well);
    }
}
