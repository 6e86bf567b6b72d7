//! The instance's data: tables, rows, access rules and changes that become visible later.

mod access;
mod alter;
mod audit;
mod class;
mod dictionary;
mod history;
mod later;
mod refuse;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use access::{FieldGuard, FieldRule, RowRule};
pub(crate) use audit::Cascade;
pub use audit::{CascadeTrace, Removal};
pub use history::End;
use history::History;
pub(crate) use later::Change;
pub use refuse::Refusal;
pub(crate) use refuse::RefusalRule;
pub(crate) use write::{Failed, Job};

use crate::clock::format_stamp;
use crate::error::Error;
use crate::generator::random_sys_id;
use crate::index::Index;
use crate::options::Options;
use crate::row::{Row, Stored};
use crate::schema::{Kind, SYS_ID, Schema, Table};

/// All tables.
#[derive(Debug, Default)]
pub(crate) struct Store {
    tables: HashMap<String, TableData>,
    later: Vec<later::Later>,
    numbers: AtomicU64,
    insensitive: bool,
    /// Writes of clients that were carried out.
    applied: u64,
    audit: audit::Audit,
    history: History,
}

/// Generated numbers begin after this one, as on an instance with demo data: `INC0010001`.
const NUMBERS: u64 = 10_000;

/// One table: its own rows and those of the classes below it (checklist 12).
#[derive(Debug)]
pub(crate) struct TableData {
    pub(crate) schema: Arc<Schema>,
    /// By `sys_id` first, then by each stamp.
    pub(crate) indexes: Vec<Index>,
    pub(crate) row_rules: Vec<RowRule>,
    pub(crate) field_rules: Vec<FieldRule>,
    pub(crate) refusals: Vec<RefusalRule>,
    /// A rule of the table refuses aggregates.
    pub(crate) no_aggregates: bool,
}

impl TableData {
    /// Rows in `sys_id` order.
    pub(crate) fn by_id(&self) -> &Index {
        // The first index always exists: `create` makes it.
        self.indexes.first().unwrap_or(&EMPTY)
    }

    /// A row by its `sys_id`.
    pub(crate) fn find(&self, id: &str) -> Option<&Arc<Stored>> {
        self.by_id().find(id)
    }
}

static EMPTY: std::sync::LazyLock<Index> = std::sync::LazyLock::new(|| Index::new(None, true));

/// When and by whom a change is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Actor<'a> {
    /// Server time, epoch seconds.
    pub(crate) now: i64,
    /// `user_name`.
    pub(crate) user: &'a str,
}

impl Store {
    pub(crate) fn new(options: &Options) -> Store {
        Store {
            insensitive: options.case_insensitive,
            audit: audit::Audit::new(options),
            history: History::new(options.history),
            numbers: AtomicU64::new(NUMBERS),
            ..Store::default()
        }
    }

    /// Creates a table, or replaces an existing one of that name with an empty one.
    pub(crate) fn create(&mut self, table: Table) -> Result<(), Error> {
        let parent = match &table.parent {
            Some(name) => Some(self.table(name)?.schema.as_ref()),
            None => None,
        };
        let schema = Arc::new(Schema::new(table, parent));
        let mut indexes = vec![Index::new(None, self.insensitive)];
        for stamp in ["sys_updated_on", "sys_created_on"] {
            indexes.extend(
                schema
                    .find(stamp)
                    .map(|at| Index::new(Some(at), self.insensitive)),
            );
        }
        let name = schema.name.clone();
        let data = TableData {
            schema,
            indexes,
            row_rules: Vec::new(),
            field_rules: Vec::new(),
            refusals: Vec::new(),
            no_aggregates: false,
        };
        self.tables.insert(name.clone(), data);
        self.describe(&name)
    }

    /// A table by name.
    pub(crate) fn table(&self, name: &str) -> Result<&TableData, Error> {
        self.tables
            .get(name)
            .ok_or_else(|| Error::UnknownTable(name.to_owned()))
    }

    fn table_mut(&mut self, name: &str) -> Result<&mut TableData, Error> {
        self.tables
            .get_mut(name)
            .ok_or_else(|| Error::UnknownTable(name.to_owned()))
    }

    /// Names of `table` and of every class below it.
    pub(crate) fn classes_of(&self, table: &str) -> Vec<String> {
        let below = |data: &&TableData| data.schema.chain.iter().any(|name| name == table);
        self.tables
            .values()
            .filter(below)
            .map(|data| data.schema.name.clone())
            .collect()
    }

    /// Completes rows for `table` without adding them.
    pub(crate) fn build(
        &self,
        table: &str,
        rows: impl Iterator<Item = Row>,
        actor: Actor<'_>,
    ) -> Result<Vec<(Stored, Vec<Row>)>, Error> {
        let schema = &self.table(table)?.schema;
        let stamp = format_stamp(actor.now);
        let mut built = Vec::new();
        for row in rows {
            let mut values = vec![String::new(); schema.columns.len()];
            for (name, value) in row.0 {
                // Unknown columns are ignored (section 2.1, line 108).
                if let Some(slot) = schema.find(&name).and_then(|at| values.get_mut(at)) {
                    *slot = value;
                }
            }
            self.fill(schema, &mut values, &stamp, actor.user);
            let journal = take_journal(schema, &mut values, &stamp, actor.user);
            built.push((Stored::new(Arc::clone(schema), &values), journal));
        }
        Ok(built)
    }

    /// Values that the platform sets on insert, where none was given.
    fn fill(&self, schema: &Schema, values: &mut [String], stamp: &str, user: &str) {
        let mut default = |name: &str, value: &dyn Fn() -> String| {
            let slot = schema.find(name).and_then(|at| values.get_mut(at));
            if let Some(slot) = slot.filter(|slot| slot.is_empty()) {
                *slot = value();
            }
        };
        default("sys_id", &random_sys_id);
        default("sys_class_name", &|| schema.name.clone());
        default("sys_created_on", &|| stamp.to_owned());
        default("sys_created_by", &|| user.to_owned());
        default("sys_updated_on", &|| stamp.to_owned());
        default("sys_updated_by", &|| user.to_owned());
        default("sys_mod_count", &|| "0".to_owned());
        if let Some(prefix) = &schema.prefix {
            default("number", &|| {
                let next = self
                    .numbers
                    .fetch_add(1, Ordering::Relaxed)
                    .saturating_add(1);
                format!("{prefix}{next:07}")
            });
        }
    }

    /// Adds completed rows. A `sys_id` that exists is refused (section 2.1, line 107).
    pub(crate) fn add(
        &mut self,
        table: &str,
        built: Vec<(Stored, Vec<Row>)>,
        actor: Actor<'_>,
    ) -> Result<Vec<String>, Error> {
        let data = self.table(table)?;
        // An id is unique along the whole class chain, so the root knows.
        let root = data.schema.chain.last().map_or(table, String::as_str);
        let all = self.table(root)?;
        let mut fresh = HashSet::new();
        for (row, _) in &built {
            let id = row.sys_id();
            if all.find(id).is_none() && fresh.insert(id) {
                continue;
            }
            return Err(Error::DuplicateId {
                table: table.into(),
                sys_id: id.into(),
            });
        }
        let chain = data.schema.chain.clone();
        let ids = built
            .iter()
            .map(|(row, _)| row.sys_id().to_owned())
            .collect();
        let mut rows = Vec::with_capacity(built.len());
        let mut journal = Vec::new();
        for (row, entries) in built {
            let row = Arc::new(row);
            self.history.begin(&row);
            rows.push(row);
            journal.extend(entries);
        }
        for class in &chain {
            let data = self.table_mut(class)?;
            data.apply_row_rules(&rows);
            for index in &mut data.indexes {
                match rows.as_slice() {
                    [one] => index.insert(Arc::clone(one)),
                    many => index.extend(many.iter().cloned()),
                }
            }
        }
        if !journal.is_empty() {
            let entries = self.build("sys_journal_field", journal.into_iter(), actor)?;
            self.add("sys_journal_field", entries, actor)?;
        }
        Ok(ids)
    }

    /// Applies changes to one row. A change of nothing leaves the stamps alone (section 4,
    /// line 216); otherwise `sys_updated_on`, `sys_updated_by` and `sys_mod_count` move unless
    /// `changes` sets them.
    pub(crate) fn update(
        &mut self,
        table: &str,
        id: &str,
        changes: &Row,
        actor: Actor<'_>,
    ) -> Result<(), Error> {
        let old = self.find(table, id)?;
        match changed(&old, changes, actor) {
            Some((row, journal)) => self.put(&old, row, journal, actor),
            None => Ok(()),
        }
    }

    /// Puts a changed row and its journal entries in place.
    fn put(
        &mut self,
        old: &Stored,
        row: Stored,
        journal: Vec<Row>,
        actor: Actor<'_>,
    ) -> Result<(), Error> {
        self.replace(old, row)?;
        if !journal.is_empty() {
            let entries = self.build("sys_journal_field", journal.into_iter(), actor)?;
            self.add("sys_journal_field", entries, actor)?;
        }
        Ok(())
    }

    fn replace(&mut self, old: &Stored, row: Stored) -> Result<(), Error> {
        let row = Arc::new(row);
        self.history.end(old, End::Updated);
        self.history.begin(&row);
        for class in &old.class.chain {
            let data = self.table_mut(class)?;
            data.apply_row_rules(std::slice::from_ref(&row));
            for index in &mut data.indexes {
                index.remove(old);
                index.insert(Arc::clone(&row));
            }
        }
        Ok(())
    }

    /// Updates the first `count` rows by `sys_id` so that all carry the same second.
    pub(crate) fn bulk_update(
        &mut self,
        table: &str,
        count: usize,
        actor: Actor<'_>,
    ) -> Result<Vec<String>, Error> {
        let victims: Vec<Arc<Stored>> = self
            .table(table)?
            .by_id()
            .rows()
            .iter()
            .take(count)
            .cloned()
            .collect();
        let stamp = format_stamp(actor.now);
        let mut ids = Vec::with_capacity(victims.len());
        let mut fresh: HashMap<String, Vec<Arc<Stored>>> = HashMap::new();
        for old in &victims {
            let changes = Row::new().set("sys_updated_on", stamp.as_str());
            let (row, _) = changed(old, &changes, actor).unwrap_or_else(|| {
                (
                    Stored::new(Arc::clone(&old.class), &old.values()),
                    Vec::new(),
                )
            });
            let row = Arc::new(row);
            self.history.end(old, End::Updated);
            self.history.begin(&row);
            ids.push(row.sys_id().to_owned());
            for class in &old.class.chain {
                fresh
                    .entry(class.clone())
                    .or_default()
                    .push(Arc::clone(&row));
            }
        }
        ids.sort_unstable();
        for (class, rows) in fresh {
            let data = self.table_mut(&class)?;
            data.apply_row_rules(&rows);
            for index in &mut data.indexes {
                index.retain(|row| {
                    ids.binary_search_by(|id| id.as_str().cmp(row.sys_id()))
                        .is_err()
                });
                index.extend(rows.iter().cloned());
            }
        }
        Ok(ids)
    }

    /// Applies changes that move neither stamp nor count, as a script with `autoSysFields(false)` does
    /// (section 4, line 247).
    pub(crate) fn update_silently(
        &mut self,
        table: &str,
        id: &str,
        mut changes: Row,
        actor: Actor<'_>,
    ) -> Result<(), Error> {
        let old = self.find(table, id)?;
        write::keep_moved(&old, &mut changes);
        self.update(table, id, &changes, actor)
    }

    /// Takes a row out of its class and the tables above.
    fn take_out(&mut self, old: &Arc<Stored>, end: End) -> Result<(), Error> {
        self.history.end(old, end);
        for class in &old.class.chain {
            for index in &mut self.table_mut(class)?.indexes {
                index.remove(old);
            }
        }
        Ok(())
    }

    /// The versions of rows.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// A row by table and `sys_id`.
    pub(crate) fn find(&self, table: &str, id: &str) -> Result<Arc<Stored>, Error> {
        let row = self.table(table)?.find(id).cloned();
        row.ok_or_else(|| Error::UnknownRow {
            table: table.to_owned(),
            sys_id: id.to_owned(),
        })
    }
}

/// The row after `changes`, with its journal entries; `None` when nothing changes.
fn changed(old: &Stored, changes: &Row, actor: Actor<'_>) -> Option<(Stored, Vec<Row>)> {
    let schema = &old.class;
    let before = old.values();
    let mut values = before.clone();
    for (name, value) in changes.iter() {
        let slot = schema
            .find(name)
            .filter(|at| *at != SYS_ID)
            .and_then(|at| values.get_mut(at));
        if let Some(slot) = slot {
            value.clone_into(slot);
        }
    }
    if values == before {
        return None;
    }
    let stamp = format_stamp(actor.now);
    let count = changes.get("sys_mod_count").is_none();
    let mut set = |name: &str, value: &dyn Fn(&str) -> String| {
        if changes.get(name).is_none()
            && let Some(slot) = schema.find(name).and_then(|at| values.get_mut(at))
        {
            *slot = value(slot);
        }
    };
    set("sys_updated_on", &|_| stamp.clone());
    set("sys_updated_by", &|_| actor.user.to_owned());
    if count {
        set("sys_mod_count", &|old| {
            old.parse::<u64>()
                .unwrap_or_default()
                .saturating_add(1)
                .to_string()
        });
    }
    let journal = take_journal(schema, &mut values, &stamp, actor.user);
    Some((Stored::new(Arc::clone(schema), &values), journal))
}

/// Moves journal inputs out of the row: they read as empty, the entries are rows of
/// `sys_journal_field` (section 4, line 242).
fn take_journal(schema: &Schema, values: &mut [String], stamp: &str, user: &str) -> Vec<Row> {
    let id = values.first().cloned().unwrap_or_default();
    let mut entries = Vec::new();
    for (column, value) in schema.columns.iter().zip(values) {
        if column.kind == Kind::Journal && !value.is_empty() {
            entries.push(
                Row::new()
                    .set("name", schema.name.clone())
                    .set("element_id", id.clone())
                    .set("element", column.name.clone())
                    .set("value", std::mem::take(value))
                    .set("sys_created_on", stamp)
                    .set("sys_created_by", user),
            );
        }
    }
    entries
}
