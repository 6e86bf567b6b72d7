//! Deletes: their trace in `sys_audit_delete`, and the way back (servicenow_api.md section 6,
//! checklist 33).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::clock::format_stamp;
use crate::error::Error;
use crate::options::Options;
use crate::row::{Row, Stored};
use crate::store::{Actor, Change, Store};

/// Where deletes are recorded.
const TABLE: &str = "sys_audit_delete";

/// `sys_*` tables whose deletes are recorded: `glide.ui.audit_deleted_tables` (section 6).
const AUDITED: [&str; 7] = [
    "sys_user",
    "sys_user_group",
    "sys_user_role",
    "sys_user_has_role",
    "sys_user_grmember",
    "sys_group_has_role",
    "sys_security_acl_role",
];

/// Deleted rows that can be brought back.
const KEPT: usize = 10_000;

/// How deletes are recorded, and the rows that they took.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    delay: Duration,
    loss: f64,
    without: Vec<String>,
    random: Rng,
    deleted: VecDeque<Arc<Stored>>,
}

impl Audit {
    pub(crate) fn new(options: &Options) -> Audit {
        Audit {
            delay: options.audit_delete_delay,
            loss: options.audit_delete_loss,
            without: options.no_audit_delete.clone(),
            random: Rng::with_seed(1),
            deleted: VecDeque::new(),
        }
    }

    fn records(&self, class: &str) -> bool {
        let system = class.starts_with("sys_") && !AUDITED.contains(&class);
        !system && !self.without.iter().any(|name| name == class)
    }
}

impl Store {
    /// Records a delete, as the background thread of older releases does: perhaps late, perhaps
    /// never.
    pub(super) fn record_delete(
        &mut self,
        old: &Arc<Stored>,
        actor: Actor<'_>,
    ) -> Result<(), Error> {
        if self.audit.deleted.len() >= KEPT {
            self.audit.deleted.pop_front();
        }
        self.audit.deleted.push_back(Arc::clone(old));
        let class = &old.class;
        let lost = self.audit.loss > 0.0 && self.audit.random.f64() < self.audit.loss;
        if lost || !self.audit.records(&class.name) || self.table(TABLE).is_err() {
            return Ok(());
        }
        let stamp = format_stamp(actor.now);
        let row = Row::new()
            // The real class, not the table of the request.
            .set("tablename", class.name.clone())
            .set("documentkey", old.sys_id())
            .set("display_value", old.value(class.display))
            .set("sys_created_on", stamp.as_str())
            .set("sys_updated_on", stamp);
        if self.audit.delay.is_zero() {
            let built = self.build(TABLE, std::iter::once(row), actor)?;
            self.add(TABLE, built, actor)?;
        } else {
            let due = Instant::now() + self.audit.delay;
            self.schedule(TABLE, due, Change::Insert(row), actor);
        }
        Ok(())
    }

    /// Inserts a deleted row again, as it was: same `sys_id`, old stamps.
    pub(crate) fn undelete(
        &mut self,
        table: &str,
        id: &str,
        actor: Actor<'_>,
    ) -> Result<(), Error> {
        self.table(table)?;
        let deleted = &mut self.audit.deleted;
        let is_it = |row: &Arc<Stored>| {
            row.sys_id() == id && row.class.chain.iter().any(|name| name == table)
        };
        let old = deleted
            .iter()
            .rposition(is_it)
            .and_then(|at| deleted.remove(at))
            .ok_or_else(|| Error::UnknownRow {
                table: table.to_owned(),
                sys_id: id.to_owned(),
            })?;
        let row = Stored::new(Arc::clone(&old.class), &old.values());
        self.add(&old.class.name, vec![(row, Vec::new())], actor)?;
        Ok(())
    }
}
