//! Questions to the instance about rows by their identifiers.

use std::collections::HashSet;
use std::sync::Arc;

use super::fate::Sighting;
use super::id_query::{SYS_ID, with_ids};
use crate::servicenow::{AnswerRow, table_api};
use crate::source::instance::SourceInstance;
use crate::source::poll_error::PollError;
use crate::stop::Stop;

/// Asks the instance.
pub(super) struct RowAsker {
    instance: Arc<SourceInstance>,
    stop: Stop,
}

/// Some rows of a table, and how many there are.
pub(super) struct CountedRows {
    pub(super) rows: Vec<AnswerRow>,
    /// Those that are hidden included; `None`: the answer does not say.
    pub(super) total: Option<u64>,
}

impl RowAsker {
    pub(super) fn new(instance: &Arc<SourceInstance>, stop: &Stop) -> RowAsker {
        RowAsker {
            instance: Arc::clone(instance),
            stop: stop.clone(),
        }
    }

    /// The instance's clock and zone.
    pub(super) fn instance(&self) -> &SourceInstance {
        &self.instance
    }

    /// What a reader of its own is made of.
    pub(super) fn parts(&self) -> (&Arc<SourceInstance>, &Stop) {
        (&self.instance, &self.stop)
    }

    /// At most `limit` rows of `table` that `query` finds, with these columns.
    pub(super) fn rows(
        &self,
        table: &str,
        query: String,
        columns: &str,
        limit: usize,
    ) -> Result<CountedRows, PollError> {
        let params = vec![
            ("sysparm_query", query),
            ("sysparm_fields", columns.to_owned()),
            ("sysparm_limit", limit.to_string()),
            ("sysparm_display_value", "false".to_owned()),
            ("sysparm_exclude_reference_link", "true".to_owned()),
            ("sysparm_suppress_pagination_header", "true".to_owned()),
            ("sysparm_no_count", "false".to_owned()),
        ];
        let request = table_api::probe(self.instance.table_api_path(), table, params);
        let client = self.instance.client();
        let (answer, head) = client.get_rows_once(&request, &self.stop)?;
        self.instance.observe(&head);
        Ok(CountedRows {
            rows: answer.rows,
            total: head.total_count,
        })
    }

    /// As [`RowAsker::rows`]; `None`: the instance refuses, and will the next time.
    pub(super) fn rows_if_allowed(
        &self,
        table: &str,
        query: String,
        columns: &str,
        limit: usize,
    ) -> Result<Option<CountedRows>, PollError> {
        match self.rows(table, query, columns, limit) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_refusal() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many rows of `table` the query finds, those that are hidden included; `None`: nothing counts.
    pub(super) fn count(&self, table: &str, query: &str) -> Result<Option<u64>, PollError> {
        let request = table_api::count(self.instance.stats_api_path(), table, query);
        match self.instance.client().get_result_once(&request, &self.stop) {
            Ok(answer) => Ok(answer.count()),
            Err(error) => match PollError::from(error) {
                error if error.is_refusal() => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Which of these rows `table` shows, as far as `filter` finds them, and how many of them there are.
    pub(super) fn sighting(
        &self,
        table: &str,
        filter: Option<&str>,
        ids: &[String],
    ) -> Result<Sighting, PollError> {
        let query = with_ids(filter, ids);
        let found = self.rows(table, query.clone(), SYS_ID, ids.len())?;
        let asked: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let shown: Vec<&str> = found
            .rows
            .iter()
            .filter_map(|row| row.text(SYS_ID))
            .collect();
        if let Some(other) = shown.iter().find(|id| !asked.contains(*id)) {
            // An instance drops conditions that it does not understand, and answers with the whole table.
            return Err(PollError::ConditionsIgnored(format!(
                "the row {other}, which was not asked for"
            )));
        }
        let counted = match found.total {
            Some(total) => Some(total),
            None => self.count(table, &query)?,
        };
        Ok(Sighting {
            shown: shown.into_iter().map(str::to_owned).collect(),
            counted,
        })
    }
}
