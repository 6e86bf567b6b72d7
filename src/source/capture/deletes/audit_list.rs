//! The instance's lists of deletes, read page by page as tables are.

use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;

use super::audit_cursor::{AuditCursor, AuditEntry};
use super::state::DeleteState;
use crate::config::{DisplayValue, OnBadRow, TableConfig};
use crate::json_text::JsonText;
use crate::servicenow::page::RowBlock;
use crate::servicenow::query::Cursor;
use crate::source::frontier::ClosedSeconds;
use crate::source::instance::SourceInstance;
use crate::source::page_fetch::{FetchedPage, PageFetch, PageRows};
use crate::source::poll_error::PollError;
use crate::source::window::{Window, WindowStep};
use crate::stop::Stop;

/// Entries of one answer.
const ENTRIES_OF_A_PAGE: u32 = 1_000;
/// More names of tables than this are not asked for but picked out of all entries: the query would be too
/// long.
const MAX_NAMES_IN_A_QUERY: usize = 100;

/// The lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AuditList {
    /// `sys_audit_delete`.
    Deletes,
    /// `sys_audit`.
    History,
}

impl AuditList {
    pub(super) fn table(self) -> &'static str {
        match self {
            AuditList::Deletes => "sys_audit_delete",
            AuditList::History => "sys_audit",
        }
    }

    fn columns(self) -> &'static [&'static str] {
        match self {
            AuditList::Deletes => &["sys_created_by", "documentkey", "tablename"],
            AuditList::History => &["user", "documentkey", "tablename", "fieldname"],
        }
    }

    pub(super) fn cursor(self, state: &mut DeleteState) -> &mut Option<AuditCursor> {
        match self {
            AuditList::Deletes => &mut state.deletes,
            AuditList::History => &mut state.history,
        }
    }

    /// The conditions for entries of these tables.
    fn filter(self, names: &[String]) -> Option<String> {
        let tables = (names.len() <= MAX_NAMES_IN_A_QUERY)
            .then(|| format!("tablenameIN{}", names.join(",")));
        let marks = match self {
            AuditList::Deletes => None,
            AuditList::History => Some("fieldnameINDELETED,RECOVERED".to_owned()),
        };
        let conditions: Vec<String> = tables.into_iter().chain(marks).collect();
        (!conditions.is_empty()).then(|| conditions.join("^"))
    }

    /// The list as a table that is read.
    fn config(self, table: &TableConfig, names: &[String]) -> TableConfig {
        TableConfig {
            name: self.table().to_owned(),
            timestamp_field: "sys_created_on".to_owned(),
            identifier_field: "sys_id".to_owned(),
            fields: self.columns().iter().map(ToString::to_string).collect(),
            query: self.filter(names),
            display_value: DisplayValue::False,
            // An entry without a time could stand nowhere in the list.
            on_bad_row: OnBadRow::Skip,
            skip_own_writes: false,
            ..table.clone()
        }
    }
}

/// One reading of a list.
pub(super) struct ListReading {
    pub(super) list: AuditList,
    /// The table and all that extend it.
    names: Vec<String>,
    fetch: PageFetch,
    window: Window,
    /// The last second that is read.
    pub(super) to: i64,
    pub(super) is_read: bool,
}

/// The columns of an entry beside its identifier and its time.
#[derive(Deserialize)]
struct EntryColumns {
    tablename: JsonText,
    documentkey: JsonText,
    #[serde(default)]
    sys_created_by: JsonText,
    #[serde(default)]
    user: JsonText,
    #[serde(default)]
    fieldname: JsonText,
}

/// The entries of a page.
struct EntriesOfPage<'a> {
    names: &'a [String],
    entries: Vec<AuditEntry>,
}

impl PageRows for EntriesOfPage<'_> {
    fn take(&mut self, block: RowBlock, _checked: bool) -> Result<(), PollError> {
        let entries = block.rows.iter().filter_map(|row| {
            let columns: EntryColumns = serde_json::from_slice(block.slice(&row.text)).ok()?;
            let known = |text: JsonText| text.0.filter(|text| !text.is_empty());
            let table = known(columns.tablename)?;
            if !self.names.contains(&table) {
                return None;
            }
            Some(AuditEntry {
                entry_id: String::from_utf8_lossy(block.slice(&row.id)).into_owned(),
                created: row.seconds,
                row_id: known(columns.documentkey)?,
                by: known(columns.user).or_else(|| known(columns.sys_created_by)),
                is_recovery: columns.fieldname.0.as_deref() == Some("RECOVERED"),
            })
        });
        self.entries.extend(entries);
        Ok(())
    }
}

impl ListReading {
    /// Of what `list` has of these tables from second `from` up to `to`.
    pub(super) fn new(
        list: AuditList,
        table: &TableConfig,
        names: Vec<String>,
        (from, to): (i64, i64),
        (instance, stop): (&Arc<SourceInstance>, &Stop),
    ) -> ListReading {
        let start = Cursor {
            seconds: from,
            id: None,
        };
        let mut window = Window::new(Some(start), ENTRIES_OF_A_PAGE);
        window.begin_round(Instant::now());
        ListReading {
            fetch: PageFetch::of_rows(instance, &list.config(table, &names), stop),
            list,
            names,
            window,
            to,
            is_read: false,
        }
    }

    /// Entries that are still to come, by the instance's count.
    pub(super) fn remaining(&self) -> u64 {
        self.window.remaining().unwrap_or(0)
    }

    /// The entries of the next page.
    ///
    /// # Errors
    /// The page does not count.
    pub(super) fn next_page(&mut self) -> Result<Vec<AuditEntry>, PollError> {
        let Some(request) = self.window.next_request(self.to) else {
            self.is_read = true;
            return Ok(Vec::new());
        };
        let mut page = EntriesOfPage {
            names: &self.names,
            entries: Vec::new(),
        };
        let read_before = self.window.read_ids();
        let fetched = self
            .fetch
            .fetch(&request, read_before, ClosedSeconds::ALL, &mut page)
            .inspect_err(|error| {
                if error.calls_for_smaller_page() {
                    self.window.shrink();
                }
            })?;
        // Without a count that is needed the same page is asked for again.
        let Some(FetchedPage { page: checked, .. }) = fetched else {
            return Ok(Vec::new());
        };
        let step = self.window.apply_page(&request, self.to, checked.summary);
        self.window.record_good_page();
        match step {
            WindowStep::More => {}
            WindowStep::CaughtUp => self.is_read = true,
            WindowStep::Stuck => return Err(PollError::HiddenRows),
        }
        Ok(page.entries)
    }
}
