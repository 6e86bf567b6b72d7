//! What `check` and `doctor` find without the network beyond the configuration's own rules: all for which `run`
//! would end with exit code 78.

use std::path::Path;

use rustix::fs::{Access, access};

use crate::config::{CheckpointStorage, Config, ConfigWarning};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::servicenow::InstanceClient;
use crate::{admin, checkpoint, kafka, source};

/// What is wrong, and what is doubtful.
#[derive(Default)]
pub(in crate::commands) struct OfflineFindings {
    /// For each of these `run` does not start.
    pub(in crate::commands) problems: Vec<String>,
    /// With these it starts.
    pub(in crate::commands) warnings: Vec<ConfigWarning>,
}

impl OfflineFindings {
    /// Makes what `run` makes first, and ends it again: clients without a connection, with their
    /// certificates. Reads the checkpoint.
    pub(in crate::commands) fn of(config: &Config) -> OfflineFindings {
        let mut findings = OfflineFindings::default();
        findings.note(InstanceClient::check_settings(&config.servicenow));
        let consumes = !config.active_topics().is_empty();
        let group = consumes.then_some(config.sink.group_id.as_str());
        findings.note(kafka::check_settings(&config.kafka, group));
        findings.note(Registry::configured(
            &config.schema_registry,
            &Metrics::new(),
        ));
        findings.note(admin::check_address(&config.observability.addr));
        findings.checkpoint(config);
        findings
    }

    fn note<T>(&mut self, result: Result<T, impl ToString>) {
        self.problems
            .extend(result.err().map(|error| error.to_string()));
    }

    fn checkpoint(&mut self, config: &Config) {
        let (mut entries, folder) = match checkpoint::check(&config.offset.file_path) {
            Ok(found) => found,
            Err(error) => return self.problems.push(error.to_string()),
        };
        if access(&folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
            self.warnings.push(not_writable(&folder));
        }
        if config.offset.storage == CheckpointStorage::Kafka {
            return;
        }
        let base_url = &config.servicenow.base_url;
        let tables = config.active_tables();
        let mut refused = Vec::new();
        for table in tables {
            let entry = entries.remove(&table.name);
            refused.extend(source::check_position(base_url, table, entry).err());
        }
        // One table that cannot start keeps no other from it.
        if refused.len() == tables.len() && config.active_topics().is_empty() {
            self.problems
                .extend(refused.iter().map(ToString::to_string));
        } else {
            self.warnings
                .extend(refused.iter().map(|error| ConfigWarning {
                    path: "source.tables".to_owned(),
                    line: None,
                    message: error.to_string(),
                }));
        }
    }
}

/// No problem: the user who checks may be another one than the service's.
fn not_writable(folder: &Path) -> ConfigWarning {
    ConfigWarning {
        path: "offset.file_path".to_owned(),
        line: None,
        message: format!(
            "this user may not write in {}, as the user who runs the bridge must",
            folder.display()
        ),
    }
}
