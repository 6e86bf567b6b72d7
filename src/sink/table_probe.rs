//! The thread `sink-probe`: asks for each of the sink's tables at the start, so that readiness does not
//! have to wait for the first record.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::Config;
use crate::health::{Condition, ConditionKey, Health};
use crate::servicenow::{InstanceClient, InstanceFailure, table_api};
use crate::stop::Stop;

/// Finds out whether the tables of the sink can be reached.
pub struct TableProbe {
    client: Arc<InstanceClient>,
    path: String,
    tables: Vec<(String, Condition)>,
}

impl TableProbe {
    /// For all tables of the sink.
    pub fn new(client: &Arc<InstanceClient>, config: &Config, health: &Arc<Health>) -> TableProbe {
        let tables: BTreeSet<&String> = config.sink.topics.iter().map(|it| &it.table).collect();
        let condition = |table: &String| {
            let condition =
                health.condition(ConditionKey::SinkTable(table.clone()), "not asked for yet");
            (table.clone(), condition)
        };
        TableProbe {
            client: Arc::clone(client),
            path: config.servicenow.table_api_path.clone(),
            tables: tables.into_iter().map(condition).collect(),
        }
    }

    /// Asks until each table has answered, or until the stop. A table that refuses is reported and
    /// asked again, as access rights are often granted while an operator watches the status.
    ///
    /// Returns the conditions: the caller keeps them for as long as the tables matter to readiness.
    pub fn run(self, stop: &Stop) -> Vec<Condition> {
        for (name, condition) in &self.tables {
            let request = table_api::one_row(&self.path, name);
            let mut backoff = self.client.backoff();
            loop {
                match self.client.get_result_once(&request, stop) {
                    Ok(_) => break condition.ok(),
                    // The user may be allowed to write without being allowed to read.
                    Err(error)
                        if matches!(error.cause(), Some(InstanceFailure::Forbidden { .. })) =>
                    {
                        log::warn!(table = name, error:% = error;
                            "the sink's table may not be read: lost answers cannot be looked up");
                        break condition.ok();
                    }
                    // The client tells of it, and lets the next request through as soon as it may.
                    Err(error) if error.is_held_by_client() => {
                        if stop.is_stopped() {
                            return self.into_conditions();
                        }
                        continue;
                    }
                    Err(error) => {
                        log::warn!(table = name, error:% = error; "the sink's table does not answer");
                        condition.fail(error.to_string());
                    }
                }
                if stop.wait(backoff.next_ceiling()) {
                    return self.into_conditions();
                }
            }
        }
        self.into_conditions()
    }

    fn into_conditions(self) -> Vec<Condition> {
        let tables = self.tables.into_iter();
        tables.map(|(_, condition)| condition).collect()
    }
}
