//! This host: the folder of the checkpoint, limits of the process.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{statfs, statvfs};
use rustix::process::{Resource, geteuid, getrlimit};

use super::finding::FindingArea;
use super::judge;
use super::judge::host::{SeenFolder, SeenResources};
use super::report::FindingReport;
use crate::checkpoint;
use crate::config::Config;

/// Types of file systems on other hosts, of statfs(2): NFS, SMB, SMB2, CIFS.
const REMOTE_FILE_SYSTEMS: [i64; 4] = [0x6969, 0x517b, 0xfe53_4d42, 0xff53_4d42];
/// Where the kernel shows the limits of groups of processes (cgroup v2).
const CGROUP_ROOT: &str = "/sys/fs/cgroup";
/// Connections of the port, sockets and files that are always there.
const OWN_DESCRIPTORS: u64 = 64 + 32;
/// Of each table or writer: its connection, and room for one to a broker.
const DESCRIPTORS_EACH: u64 = 2;
/// docs/operations.md, "Size it": what is always there, and what a table and the sink add.
const OWN_MEMORY_BYTES: u64 = 40 << 20;
const TABLE_MEMORY_BYTES: u64 = 8 << 20;
const SINK_MEMORY_BYTES: u64 = 20 << 20;

/// Looks at this host. Of the checkpoint's folder it writes and removes one small file.
pub(super) fn examine(config: &Config, report: &mut FindingReport<'_, '_>) {
    let file = &config.offset.file_path;
    // That it is no checkpoint was told with the configuration.
    if let Ok((_, folder)) = checkpoint::check(file) {
        match look_at_folder(file, &folder) {
            Ok(seen) => report.extend(judge::host::folder(&seen)),
            Err(error) => {
                let subject = format!("checkpoint folder {}", folder.display());
                let cure = "let the user who runs the bridge into it";
                report.add(FindingArea::Host.failure(subject, error.to_string(), cure));
            }
        }
    }
    report.extend(judge::host::resources(&look_at_process(config)));
}

fn look_at_folder(file: &Path, folder: &Path) -> io::Result<SeenFolder> {
    let room = statvfs(folder)?;
    let kind = statfs(folder)?.f_type;
    Ok(SeenFolder {
        path: folder.to_owned(),
        free_bytes: room.f_bavail.saturating_mul(room.f_frsize),
        // Some file systems do not count files.
        free_files: (room.f_files > 0).then_some(room.f_favail),
        sync: try_sync(folder).map_err(|error| error.to_string()),
        file_is_mounted: is_mount_point(file),
        is_remote: REMOTE_FILE_SYSTEMS.contains(&kind),
    })
}

/// Writes a small file and waits until it is on the disk. A file of that name, or a link, is left alone.
fn try_sync(folder: &Path) -> io::Result<Duration> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let began = Instant::now();
    let mut file = File::create_new(&path)?;
    let synced = file
        .write_all(&[b'\n'; 4096])
        .and_then(|()| file.sync_all());
    let time = began.elapsed();
    fs::remove_file(&path)?;
    synced.map(|()| time)
}

/// Whether something is mounted at this very path, as proc(5) tells in `mountinfo`.
fn is_mount_point(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    points.any(|point| Path::new(point) == path)
}

fn look_at_process(config: &Config) -> SeenResources {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let tables = count(config.active_tables().len());
    let writers = count(
        config
            .active_topics()
            .len()
            .saturating_mul(config.sink.concurrency),
    );
    let descriptors_needed = OWN_DESCRIPTORS + (tables + writers).saturating_mul(DESCRIPTORS_EACH);
    let memory_needed = OWN_MEMORY_BYTES
        + config.kafka.queue_bytes
        + tables.saturating_mul(TABLE_MEMORY_BYTES)
        + if config.sink.enabled {
            SINK_MEMORY_BYTES
        } else {
            0
        };
    SeenResources {
        descriptors: getrlimit(Resource::Nofile).current,
        descriptors_needed,
        memory: [memory_of_group(), available_memory()]
            .into_iter()
            .flatten()
            .min(),
        memory_needed,
        is_root: geteuid().is_root(),
    }
}

/// The smallest limit of the groups that this process is in.
fn memory_of_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mut folder = PathBuf::from(CGROUP_ROOT).join(own);
    let mut least: Option<u64> = None;
    while folder.starts_with(CGROUP_ROOT) {
        let limit = fs::read_to_string(folder.join("memory.max")).ok();
        let limit = limit.and_then(|text| text.trim().parse().ok());
        least = least.into_iter().chain(limit).min();
        folder.pop();
    }
    least
}

/// What the kernel says can be had without swapping (proc(5), `MemAvailable`).
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib << 10)
}
