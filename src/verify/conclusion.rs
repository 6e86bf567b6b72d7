//! From the rows that differ for good to the report: which of them have an excuse, and what else there is to say.

use super::error::Error;
use super::excuses::{Excuses, RowFacts};
use super::judge::{Difference, ProvenDifference};
use super::letters::oversized_rows;
use super::partition::partition_of;
use super::report::{Excuse, Report};
use super::row_identifier::RowIdentifier;
use super::table_side::{LOOK_UP_LIMIT, TableSide};
use super::topic_side::TopicSide;
use crate::config::{Config, OnBadRow, TableConfig};
use crate::stop::Stop;

/// What the end of a comparison works with.
pub(super) struct Conclusion<'c, 'a> {
    pub(super) config: &'a Config,
    pub(super) table: &'a TableConfig,
    pub(super) table_side: &'c mut TableSide<'a>,
    pub(super) topic_side: &'c mut TopicSide,
    pub(super) stop: &'a Stop,
}

impl Conclusion<'_, '_> {
    /// Completes a report by these rows.
    ///
    /// # Errors
    /// What excuses rows cannot be read.
    pub(super) fn draw(
        &mut self,
        proven: &[ProvenDifference],
        mut report: Report,
    ) -> Result<Report, Error> {
        if !proven.is_empty() {
            self.sort(proven, &mut report)?;
        }
        let (misplaced, example) = self.topic_side.index.misplaced();
        report.misplaced = u64::try_from(misplaced).unwrap_or(u64::MAX);
        report.notes.extend(self.notes(example));
        Ok(report)
    }

    /// Tells rows that differ for a good reason from the others.
    fn sort(&mut self, proven: &[ProvenDifference], report: &mut Report) -> Result<(), Error> {
        let excuses = self.excuses()?;
        for proven in proven.chunks(LOOK_UP_LIMIT) {
            for (found, excuse) in self.judge(&excuses, proven)? {
                match excuse {
                    Some(excuse) => {
                        *report.excused.entry(excuse).or_default() += 1;
                        report.excused_rows.push(found.id);
                    }
                    None => report.differences.push(found),
                }
            }
        }
        Ok(())
    }

    fn excuses(&self) -> Result<Excuses, Error> {
        let config = self.config;
        let starts_late = config.source.initial_query_hours_ago.is_some();
        Ok(Excuses {
            own_user: if self.table.skip_own_writes {
                config.servicenow.auth.user_name().map(str::to_owned)
            } else {
                None
            },
            start: if starts_late {
                self.topic_side.sights.oldest_stamp
            } else {
                None
            },
            skips_bad_rows: self.table.on_bad_row == OnBadRow::Skip,
            letters: oversized_rows(&config.kafka, self.table, self.stop)?,
        })
    }

    fn judge(
        &mut self,
        excuses: &Excuses,
        proven: &[ProvenDifference],
    ) -> Result<Vec<(ProvenDifference, Option<Excuse>)>, Error> {
        let ids = |wanted: &dyn Fn(&ProvenDifference) -> bool| -> Vec<RowIdentifier> {
            let chosen = proven.iter().filter(|found| wanted(found));
            chosen.map(|found| found.id.clone()).collect()
        };
        let is_extra = |found: &ProvenDifference| found.difference == Difference::Extra;
        let mut outside = [].into();
        if self.table.query.is_some() {
            outside = self.table_side.look_up(&ids(&is_extra), false)?;
        }
        let mut changed = [].into();
        if excuses.own_user.is_some() {
            changed = self
                .table_side
                .look_up(&ids(&|found| !is_extra(found)), true)?;
        }
        let judged = proven.iter().map(|found| {
            let facts = RowFacts {
                updated_by: changed
                    .get(&found.id)
                    .and_then(|row| row.updated_by.as_deref()),
                is_outside_query: outside.contains_key(&found.id),
                oldest_record: self.oldest_record_beside(&found.id),
            };
            (found.clone(), excuses.of(found, facts))
        });
        Ok(judged.collect())
    }

    /// When the oldest record was written of the partition of this row, if older ones were thrown away.
    fn oldest_record_beside(&self, id: &RowIdentifier) -> Option<i64> {
        let sights = &self.topic_side.sights;
        if !sights.is_aging {
            return None;
        }
        let id = id.to_string();
        let partition = partition_of(id.as_bytes(), self.topic_side.partitions())?;
        let offsets = self.topic_side.offsets.get(&partition)?;
        if offsets.start == 0 {
            return None;
        }
        // Nothing is left of an empty partition.
        Some(
            sights
                .oldest_record
                .get(&partition)
                .copied()
                .unwrap_or(i64::MAX),
        )
    }

    fn notes(&self, misplaced: Option<RowIdentifier>) -> Vec<String> {
        let sights = &self.topic_side.sights;
        let mut notes = Vec::new();
        if sights.without_version > 0 {
            notes.push(format!(
                "{} records do not say which version of their row they hold (set `version_headers`): of \
                 such rows only the presence is compared",
                sights.without_version
            ));
        }
        if sights.without_row > 0 {
            notes.push(format!(
                "{} records do not say of which row they are, and are not compared",
                sights.without_row
            ));
        }
        if let Some(id) = misplaced {
            notes.push(format!(
                "row {id}, for one, stands in another partition than that of its key: another producer \
                 wrote it, or partitions were added"
            ));
        }
        let configured = &self.config.source.tables;
        for (table, count) in &sights.other_tables {
            let is_known = configured
                .iter()
                .any(|known| known.name == *table && known.topic == self.table.topic);
            if !is_known {
                notes.push(format!(
                    "the topic holds {count} records of table `{table}`, which is not configured to go there"
                ));
            }
        }
        notes
    }
}
