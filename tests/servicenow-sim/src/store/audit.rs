//! Deletes: their traces in `sys_audit_delete` and `sys_audit`, cascades, the archive, and the way
//! back (servicenow_api.md section 6, checklist 33; capture.md section 4).

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::clock::format_stamp;
use crate::error::Error;
use crate::options::Options;
use crate::row::{Row, Stored};
use crate::schema::Table;
use crate::store::history::End;
use crate::store::{Actor, Change, Store};

/// Where deletes are recorded.
const TABLE: &str = "sys_audit_delete";
/// Where they are marked.
const MARKS: &str = "sys_audit";

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

/// Tables whose own rows leave no mark.
const UNMARKED: [&str; 3] = [TABLE, MARKS, "sys_archive_log"];

/// Who deletes in a cascade (capture.md section 4).
const SYSTEM: &str = "system";

/// How a row goes, which decides about the traces that it leaves (capture.md section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// By a user: a row of `sys_audit_delete` if its class is audited, and a mark in `sys_audit`.
    User,
    /// By a script with `setWorkflow(false)`: the mark only.
    Silent,
    /// By the table cleaner: no mark; [`crate::Options::cleaner_recorded`] decides about the row.
    Cleaner,
    /// Into the archive: the row moves to `ar_<class>`, `sys_archive_log` says so, no other trace
    /// (section 6).
    Archive,
}

/// What a cascade leaves behind of the rows that it deletes (capture.md section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CascadeTrace {
    /// As a delete by the user `system`.
    System,
    /// Nothing, as of the children of a project task (PRB1938591).
    Nothing,
}

/// Deleting a row of `parent` deletes the rows of `child` that refer to it.
#[derive(Debug, Clone)]
pub(crate) struct Cascade {
    pub(crate) parent: String,
    pub(crate) child: String,
    /// Place of the reference among the columns of `child`.
    pub(crate) column: usize,
    pub(crate) trace: CascadeTrace,
}

/// What a delete leaves behind.
#[derive(Debug, Clone, Copy)]
struct Traces {
    /// A row of `sys_audit_delete`.
    record: bool,
    /// A mark in `sys_audit`.
    mark: bool,
}

/// How deletes are recorded, and the rows that they took.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    delay: Duration,
    loss: f64,
    without: Vec<String>,
    marks: bool,
    unmarked: Vec<String>,
    cleaner_recorded: bool,
    random: Rng,
    deleted: VecDeque<Arc<Stored>>,
    cascades: Vec<Cascade>,
}

impl Audit {
    pub(crate) fn new(options: &Options) -> Audit {
        Audit {
            delay: options.audit_delete_delay,
            loss: options.audit_delete_loss,
            without: options.no_audit_delete.clone(),
            marks: options.audit_marks,
            unmarked: options.no_audit_marks.clone(),
            cleaner_recorded: options.cleaner_recorded,
            random: Rng::with_seed(1),
            deleted: VecDeque::new(),
            cascades: Vec::new(),
        }
    }

    fn records(&self, class: &str) -> bool {
        let system = class.starts_with("sys_") && !AUDITED.contains(&class);
        !system && !self.without.iter().any(|name| name == class)
    }

    /// Every delete is marked, also of tables that are not audited.
    fn marks(&self, class: &str) -> bool {
        let unmarked = UNMARKED.contains(&class) || self.unmarked.iter().any(|name| name == class);
        self.marks && !unmarked
    }

    fn is_lost(&mut self) -> bool {
        self.loss > 0.0 && self.random.f64() < self.loss
    }
}

impl Store {
    /// Removes one row and what goes with it.
    pub(crate) fn remove(
        &mut self,
        table: &str,
        id: &str,
        removal: Removal,
        actor: Actor<'_>,
    ) -> Result<(), Error> {
        let old = self.find(table, id)?;
        let (record, mark) = match removal {
            Removal::User => (true, true),
            Removal::Silent => (false, true),
            Removal::Cleaner => (self.audit.cleaner_recorded, false),
            Removal::Archive => (false, false),
        };
        if removal == Removal::Archive {
            self.archive(&old, actor)?;
        }
        self.remove_row(&old, Traces { record, mark }, actor)
    }

    /// Makes deletes of one table delete rows of another.
    pub(crate) fn cascade(&mut self, cascade: Cascade) {
        self.audit.cascades.push(cascade);
    }

    fn remove_row(
        &mut self,
        old: &Arc<Stored>,
        traces: Traces,
        actor: Actor<'_>,
    ) -> Result<(), Error> {
        self.take_out(old, End::Deleted)?;
        if self.audit.deleted.len() >= KEPT {
            self.audit.deleted.pop_front();
        }
        self.audit.deleted.push_back(Arc::clone(old));
        let class = &old.class.name;
        if traces.record && self.audit.records(class) && !self.audit.is_lost() {
            let row = Row::new()
                // The real class, not the table of the request.
                .set("tablename", class.clone())
                .set("documentkey", old.sys_id())
                .set("display_value", old.value(old.class.display));
            self.trace(TABLE, row, actor)?;
        }
        if traces.mark && !self.audit.is_lost() {
            self.mark(old, "DELETED", actor)?;
        }
        self.remove_children(old, actor)
    }

    /// Deletes the rows that refer to a deleted one, where a cascade says so.
    fn remove_children(&mut self, old: &Stored, actor: Actor<'_>) -> Result<(), Error> {
        let chain = &old.class.chain;
        let cascades = self.audit.cascades.iter();
        let cascades: Vec<Cascade> = cascades
            .filter(|cascade| chain.contains(&cascade.parent))
            .cloned()
            .collect();
        for cascade in cascades {
            let rows = self.table(&cascade.child)?.by_id().rows().iter();
            let children: Vec<Arc<Stored>> = rows
                .filter(|row| row.value(cascade.column) == old.sys_id())
                .cloned()
                .collect();
            let all = cascade.trace == CascadeTrace::System;
            let traces = Traces {
                record: all,
                mark: all,
            };
            let actor = Actor {
                user: SYSTEM,
                ..actor
            };
            for child in children {
                // A cascade of its own may have taken it by now.
                if self.find(&cascade.child, child.sys_id()).is_ok() {
                    self.remove_row(&child, traces, actor)?;
                }
            }
        }
        Ok(())
    }

    /// Marks in `sys_audit` what became of a row, as field and as new value: sources differ
    /// (section 6, line 301; capture.md section 4).
    fn mark(&mut self, old: &Stored, what: &str, actor: Actor<'_>) -> Result<(), Error> {
        if !self.audit.marks(&old.class.name) {
            return Ok(());
        }
        let count = old.class.find("sys_mod_count").map(|at| old.value(at));
        let row = Row::new()
            .set("tablename", old.class.name.clone())
            .set("documentkey", old.sys_id())
            .set("fieldname", what)
            .set("newvalue", what)
            .set("user", actor.user)
            .set("record_checkpoint", count.unwrap_or_default());
        self.trace(MARKS, row, actor)
    }

    /// Adds a row to an audit table, perhaps late, as the background thread of older releases does.
    fn trace(&mut self, table: &str, row: Row, actor: Actor<'_>) -> Result<(), Error> {
        // While the instance is made there is no such table.
        if self.table(table).is_err() {
            return Ok(());
        }
        if self.audit.delay.is_zero() {
            return self.insert(table, row, actor);
        }
        let stamp = format_stamp(actor.now);
        let row = row
            .set("sys_created_on", stamp.as_str())
            .set("sys_updated_on", stamp);
        let due = Instant::now() + self.audit.delay;
        self.schedule(table, due, Change::Insert(row), actor);
        Ok(())
    }

    /// Copies a row into the archive (section 6, line 301; the columns of the log are inferred).
    fn archive(&mut self, old: &Stored, actor: Actor<'_>) -> Result<(), Error> {
        let class = &old.class;
        let archive = format!("ar_{}", class.name);
        if self.table(&archive).is_err() {
            let columns = class.columns.iter().cloned();
            self.create(columns.fold(Table::new(&archive), Table::column))?;
        }
        let names = class
            .columns
            .iter()
            .map(|column| Cow::Owned(column.name.clone()));
        let row = Row(names.zip(old.values()).collect());
        self.insert(&archive, row, actor)?;
        let log = Row::new()
            .set("from_table", class.name.clone())
            .set("to_table", archive)
            .set("id", old.sys_id());
        self.insert("sys_archive_log", log, actor)
    }

    fn insert(&mut self, table: &str, row: Row, actor: Actor<'_>) -> Result<(), Error> {
        let built = self.build(table, std::iter::once(row), actor)?;
        self.add(table, built, actor).map(drop)
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
        self.mark(&old, "RECOVERED", actor)
    }
}
