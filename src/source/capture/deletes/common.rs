//! What both ways to find deletes work with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::asker::RowAsker;
use super::fate::{Place, Places, RowFate, fates};
use super::guard::guard_limit;
use super::hierarchy::{self, Hierarchy};
use super::hold::DeleteHold;
use crate::config::{OnLeave, TableConfig};
use crate::metrics::Metrics;
use crate::source::capture::shared::CaptureShared;
use crate::source::poll_error::PollError;

/// Time between two looks at the hierarchy of tables.
const HIERARCHY_INTERVAL: Duration = Duration::from_secs(3_600);

/// What both ways work with.
pub(super) struct SearchContext {
    pub(super) table: TableConfig,
    pub(super) shared: Arc<CaptureShared>,
    pub(super) asker: RowAsker,
    /// `None` until it was looked up.
    hierarchy: Option<Hierarchy>,
    hierarchy_due: Instant,
    /// Rows of the table, as they were counted for the guard.
    rows: Option<u64>,
    pub(super) hold: DeleteHold,
    pub(super) metrics: Arc<Metrics>,
}

impl SearchContext {
    pub(super) fn new(
        table: &TableConfig,
        shared: &Arc<CaptureShared>,
        asker: RowAsker,
        hold: DeleteHold,
        metrics: &Arc<Metrics>,
    ) -> SearchContext {
        SearchContext {
            table: table.clone(),
            shared: Arc::clone(shared),
            asker,
            hierarchy: None,
            hierarchy_due: Instant::now(),
            rows: None,
            hold,
            metrics: Arc::clone(metrics),
        }
    }

    /// The hierarchy of the table, looked up once an hour.
    pub(super) fn hierarchy(&mut self, now: Instant) -> Result<&Hierarchy, PollError> {
        if self.hierarchy.is_none() || self.hierarchy_due <= now {
            let found = hierarchy::look_up(&self.asker, &self.table.name)?;
            if !found.is_known && self.hierarchy.is_none() {
                log::warn!(table = self.table.name;
                    "sys_db_object cannot be read: deletes from tables that extend this one are not \
                     seen in the list of deletes, and a row whose class was changed counts as deleted");
            }
            self.hierarchy = Some(found);
            self.hierarchy_due = now + HIERARCHY_INTERVAL;
        }
        Ok(self.hierarchy.get_or_insert_with(Hierarchy::default))
    }

    /// How many deletes of an hour pass without a decision. The rows are counted once.
    pub(super) fn guard_limit(&mut self) -> Result<u64, PollError> {
        let configured = self.table.deletes.guard;
        if configured.is_none() && self.rows.is_none() {
            let query = self.table.query.as_deref().unwrap_or_default();
            self.rows = self.asker.count(&self.table.name, query)?;
        }
        Ok(guard_limit(configured, self.rows))
    }

    /// Whether a row with this fate is followed by a tombstone.
    pub(super) fn is_to_be_deleted(&self, fate: RowFate) -> bool {
        match fate {
            RowFate::Deleted => true,
            RowFate::Left | RowFate::ClassChanged => {
                self.table.deletes.on_leave == OnLeave::Tombstone
            }
            RowFate::Present | RowFate::Hidden | RowFate::Unknown => false,
        }
    }

    /// What became of each of these rows.
    pub(super) fn fates(&mut self, ids: &[String]) -> Result<Vec<(String, RowFate)>, PollError> {
        let root = self.hierarchy(Instant::now())?.root.clone();
        let (asker, table) = (&self.asker, &self.table);
        let places = Places {
            has_query: table.query.is_some(),
            has_root: root.is_some(),
        };
        fates(ids, places, |place, ids| match (place, &root) {
            (Place::Root, Some(root)) => asker.sighting(root, None, ids),
            (Place::Query, _) => asker.sighting(&table.name, table.query.as_deref(), ids),
            (Place::Table | Place::Root, _) => asker.sighting(&table.name, None, ids),
        })
    }
}
