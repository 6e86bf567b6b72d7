//! Where the positions are that a command reads or changes: the file, or the topic.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

use crate::checkpoint::{self, CheckpointPosition, CheckpointStore, RemoteTables};
use crate::checkpoint_topic::{Owner, TopicPositions, host_name, read_contents};
use crate::commands::failure::{CommandFailure, exit_code};
use crate::config::{CheckpointStorage, Config, CurrentConfig};
use crate::metrics::Metrics;
use crate::{regular_file, stop};

/// How long a command waits to say that it has ended its work in the topic.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// What is stored.
pub(super) struct StoredPositions {
    /// Where, for messages.
    pub(super) place: String,
    pub(super) tables: checkpoint::StoredTables,
    /// Tables of which something is stored that cannot be used, and why.
    pub(super) refused: std::collections::BTreeMap<String, String>,
}

/// Where the positions are, for messages.
pub(super) fn name(config: &Config) -> String {
    let offset = &config.offset;
    match offset.storage {
        CheckpointStorage::File => offset.file_path.display().to_string(),
        CheckpointStorage::Kafka => format!("topic {}", offset.kafka_topic),
    }
}

/// Reads what is stored, also while a bridge runs.
pub(super) fn read(config: &Config) -> Result<StoredPositions, CommandFailure> {
    let RemoteTables { tables, refused } = match config.offset.storage {
        CheckpointStorage::File => RemoteTables {
            tables: checkpoint::read_stored(&config.offset.file_path)?.unwrap_or_default(),
            ..RemoteTables::default()
        },
        CheckpointStorage::Kafka => {
            let contents = contents(config)?;
            RemoteTables {
                tables: contents.tables,
                refused: contents.refused,
            }
        }
    };
    Ok(StoredPositions {
        place: name(config),
        tables,
        refused,
    })
}

/// The stored position of a table; `None`: there is none, or it cannot be read now.
pub(in crate::commands) fn position_of(config: &Config, table: &str) -> Option<CheckpointPosition> {
    let stored = read(config).ok()?;
    Some(stored.tables.get(table)?.entry()?.position)
}

fn contents(config: &Config) -> Result<crate::checkpoint_topic::TopicContents, CommandFailure> {
    let (_trigger, stop) = stop::pair();
    let (topic, instance) = (&config.offset.kafka_topic, &config.servicenow.base_url);
    Ok(read_contents(&config.kafka, topic, instance, &stop)?)
}

/// Opens the positions to change them. `take_over`: also from a process that seems to write in the topic.
pub(super) fn open(config: &Config, take_over: bool) -> Result<CheckpointStore, CommandFailure> {
    let path = &config.offset.file_path;
    if config.offset.storage == CheckpointStorage::File {
        return open_file(path);
    }
    become_folder_owner(path)?;
    let current = Arc::new(CurrentConfig::new(config.clone()));
    let metrics = Arc::new(Metrics::new());
    let positions = Box::new(TopicPositions::new(&current, &metrics));
    // A bridge that works with the same folder has its lock.
    let store = CheckpointStore::open_remote(path, positions, &metrics)?;
    if let Some(owner) = contents(config)?.owner
        && !take_over
        && !has_ended(&owner)
    {
        let topic = name(config);
        return Err(CommandFailure::new(
            exit_code::TRY_AGAIN,
            format!(
                "{topic} is in use by {owner}, or that has ended without saying so; stop it and try again, or \
                 add `--take-over`: then it can write no more and ends with exit code 79"
            ),
        ));
    }
    let (_trigger, stop) = stop::pair();
    store.take_over(&stop)?;
    Ok(store)
}

/// Opens the positions in a file.
pub(in crate::commands) fn open_file(path: &Path) -> Result<CheckpointStore, CommandFailure> {
    become_folder_owner(path)?;
    Ok(CheckpointStore::open(path, &Metrics::new())?)
}

/// As the owner of the folder, so that root changes nothing there that the service could not.
fn become_folder_owner(path: &Path) -> Result<(), CommandFailure> {
    // Behind a link of root's the folder of the file itself counts: it may be the service's.
    let file = regular_file::resolve(path).unwrap_or_else(|_| path.to_owned());
    regular_file::become_folder_owner(&file).map_err(|error| {
        let path = path.display();
        let why = format!("cannot go on as the owner of the folder of {path}: {error}");
        CommandFailure::new(exit_code::TRY_AGAIN, why)
    })
}

/// Whether a process of this host is over. Of others that cannot be told from here.
fn has_ended(owner: &Owner) -> bool {
    let pid = i32::try_from(owner.pid).ok().and_then(Pid::from_raw);
    let is_gone = |pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
    owner.host == host_name() && pid.is_some_and(is_gone)
}

/// Writes what was changed, and says that this is all.
pub(super) fn finish(store: &CheckpointStore) -> Result<(), CommandFailure> {
    store.flush()?;
    release(store)
}

/// Says that nothing more is written.
pub(super) fn release(store: &CheckpointStore) -> Result<(), CommandFailure> {
    Ok(store.release(Instant::now() + RELEASE_TIMEOUT)?)
}
