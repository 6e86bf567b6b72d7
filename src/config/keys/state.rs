//! Keys of `offset` and `observability`: where the bridge keeps its state and shows it.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::declare::{config_keys, words};
use crate::config::duration::{ms, secs};
use crate::config::key_info::KeyEffect;
use crate::config::kinds::{ValueKind, path, path_value, text, texts, time, word};
use crate::config::reader::Section;
use crate::config::secret::Secret;
use crate::config::{names, values};

config_keys! {
    /// `offset`: where checkpoints are kept.
    #[derive(Eq)]
    pub struct OffsetConfig default(()) {
        /// Where positions are kept: in file_path, or with kafka in kafka_topic, where the bridge finds
        /// them on any host. A checkpoint file that is found is taken over into Kafka once.
        storage: CheckpointStorage = CheckpointStorage::File, word(),
            effect: Some(KeyEffect::NextStart);

        /// The checkpoint file. With storage kafka it names the folder of what stays on this host: the
        /// lock, what was delivered in the newest seconds, snapshots under way.
        file_path: PathBuf = PathBuf::from("offsets.json"), path(),
            effect: Some(KeyEffect::NextStart);

        /// The topic of storage kafka. It is made if it is missing, and must be compacted. Bridges of
        /// different instances may share one; two bridges of one instance may not.
        kafka_topic: String = "_bridge_offsets", text(names::check_topic),
            values: "topic", effect: Some(KeyEffect::NextStart);

        /// The longest time between an acknowledgement of Kafka and the write of its checkpoint. The
        /// checkpoint follows the acknowledgements by itself, at most ten times a second and seldomer
        /// on a slow disk; this bounds how much seldomer.
        flush_interval: Duration = secs(5), time(ms(10), secs(3_600));
    }
}

words! {
    /// `offset.storage`.
    pub enum CheckpointStorage {
        /// A file of this machine.
        File = "file",
        /// A compacted Kafka topic.
        Kafka = "kafka",
    }
}

config_keys! {
    /// `observability`: the HTTP port.
    #[derive(Eq)]
    pub struct ObservabilityConfig check(CheckKeys) {
        /// Where the status page, /healthz, /readyz and /metrics are served. ":8080" is every
        /// address of this machine, v6 and v4.
        addr: String = ":8080", text(values::state::listen_address),
            values: "address and port", effect: Some(KeyEffect::NextStart);

        /// Further names by which the port may be asked, as those of a service in Kubernetes or
        /// Compose; "*" is any. Addresses, localhost and the names of this machine always are. Other
        /// names get 421, so that no page of another site can read the port in a browser.
        allowed_hosts: Vec<String> = Vec::new(), texts(names::check_host_name),
            values: "list of host names", effect: Some(KeyEffect::AtOnce);

        /// A file with the token that opens the admin API (pause, resume, poll and so on; `help
        /// admin`). Without a value the port is read-only. As there is no TLS here, keep addr on
        /// this machine or a network you trust.
        admin: Option<AdminAccess> = None, admin_access(), key: "admin_token_file";
    }
}

/// The token that opens the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminAccess {
    /// The file that `admin_token_file` names.
    pub token_file: PathBuf,
    /// The token in it.
    pub token: Secret,
}

/// The path of a file with the token in it, which is read.
fn admin_access() -> ValueKind<Option<AdminAccess>> {
    let read = |section: &Section<'_>, key| {
        let (token_file, token) = section.secret_file(key)?;
        Some(AdminAccess { token_file, token })
    };
    let shown = |access: &AdminAccess| path_value(&access.token_file);
    ValueKind::new("path of a file", read, shown).optional()
}
