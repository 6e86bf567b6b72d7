//! Follows the instance's lists of deletes: `sys_audit_delete`, which has most user tables, and where it
//! can be read quickly `sys_audit`, whose rows with the fieldname DELETED are of every delete and with
//! RECOVERED of every undelete (KB0634666).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::audit_cursor::{AuditCursor, AuditEntry};
use super::common::SearchContext;
use super::fate::RowFate;
use super::guard::guard_limit;
use super::id_query::IDS_OF_A_QUESTION;
use super::state::{DeleteFinder, DeleteState, HeldDeletes};
use crate::config::{TableConfig, whole_seconds};
use crate::servicenow::AnswerRow;
use crate::servicenow::query::{Cursor, QueryColumns, Slice, TimeLiterals, parse_time};
use crate::source::capture::delivery::Versions;
use crate::source::capture::task::StepContext;
use crate::source::channels::Tombstone;
use crate::source::poll_error::PollError;

/// Shortest and longest time between two looks at the lists; between them it is that of the polls that find
/// nothing.
const TAIL_INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// Entries are waited for so long at least, whatever the table's own settle is: the instance may write them
/// in the background.
const MIN_AUDIT_SETTLE: Duration = Duration::from_secs(600);
/// Entries of one answer.
const ENTRIES_OF_A_PAGE: usize = 1_000;
/// More names of tables than this are not asked for but picked out of all entries: the query would be too
/// long.
const MAX_NAMES_IN_A_QUERY: usize = 100;
/// `sys_audit` is huge. Where its first answer takes longer than this, it is not used.
const HISTORY_MAX_TIME: Duration = Duration::from_secs(5);
/// A delete that both lists tell within so many seconds is one.
const SAME_DELETE_SECONDS: i64 = 5;

/// The lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum AuditList {
    /// `sys_audit_delete`.
    Deletes,
    /// `sys_audit`.
    History,
}

/// The tail of both lists.
pub(super) struct AuditTail {
    settle: i64,
    interval: Duration,
    next: Instant,
    /// A step has failed, and the pass under way goes on at `next`.
    is_postponed: bool,
    pass: Option<TailPass>,
    /// Lists that can be read; which is not known at first.
    usable: BTreeMap<AuditList, bool>,
    /// Rows of the last minutes that a tombstone was sent for: by which list, and when they were deleted.
    told: BTreeMap<String, (AuditList, i64)>,
    /// Rows of the table, as they were counted last.
    rows: Option<u64>,
}

/// One reading of a list.
struct TailPass {
    list: AuditList,
    after: Cursor,
    /// The last second that is read.
    to: i64,
    is_read: bool,
    /// Entries that are yet to be dealt with, oldest first.
    pending: Vec<AuditEntry>,
    /// How many entries the list has from the beginning of the pass on.
    total: u64,
}

impl AuditList {
    fn table(self) -> &'static str {
        match self {
            AuditList::Deletes => "sys_audit_delete",
            AuditList::History => "sys_audit",
        }
    }

    fn columns(self) -> &'static str {
        match self {
            AuditList::Deletes => "sys_id,sys_created_on,sys_created_by,documentkey,tablename",
            AuditList::History => "sys_id,sys_created_on,user,documentkey,tablename,fieldname",
        }
    }

    fn cursor(self, state: &mut DeleteState) -> &mut Option<AuditCursor> {
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

    /// The entry in a row of the list; `None`: it cannot be read, or is of another table.
    fn entry(self, row: &AnswerRow, names: &[String]) -> Option<AuditEntry> {
        let text = |column: &str| row.text(column).filter(|text| !text.is_empty());
        let table = text("tablename")?;
        if !names.iter().any(|name| name == table) {
            return None;
        }
        let by = match self {
            AuditList::Deletes => text("sys_created_by"),
            AuditList::History => text("user"),
        };
        Some(AuditEntry {
            entry_id: text("sys_id")?.to_owned(),
            created: parse_time(text("sys_created_on")?.as_bytes())?,
            row_id: text("documentkey")?.to_owned(),
            by: by.map(str::to_owned),
            is_recovery: row.text("fieldname") == Some("RECOVERED"),
        })
    }
}

impl AuditTail {
    /// Of a table: its seconds settle as late as an entry may come.
    pub(super) fn new(table: &TableConfig) -> AuditTail {
        let (shortest, longest) = TAIL_INTERVAL;
        AuditTail {
            settle: whole_seconds(table.settle.max(MIN_AUDIT_SETTLE)),
            interval: table.slow_poll_interval.clamp(shortest, longest),
            next: Instant::now(),
            is_postponed: false,
            pass: None,
            usable: BTreeMap::new(),
            told: BTreeMap::new(),
            rows: None,
        }
    }

    /// When the next step is due.
    pub(super) fn due(&self, now: Instant) -> Instant {
        if self.pass.is_some() && !self.is_postponed {
            now
        } else {
            self.next
        }
    }

    /// A step has failed: the next one waits, so that a comparison goes on meanwhile.
    pub(super) fn postpone(&mut self, now: Instant) {
        self.is_postponed = true;
        self.next = now + self.interval;
    }

    /// Does the next step.
    pub(super) fn step(
        &mut self,
        common: &mut SearchContext,
        context: &mut StepContext<'_>,
    ) -> Result<(), PollError> {
        self.is_postponed = false;
        let Some(mut pass) = self.pass.take() else {
            self.pass = match self.begin(AuditList::Deletes, common) {
                None => self.begin(AuditList::History, common),
                pass => pass,
            };
            if self.pass.is_none() {
                self.next = Instant::now() + self.interval;
            }
            return Ok(());
        };
        let done = if pass.pending.is_empty() {
            self.read(&mut pass, common)
        } else {
            self.deal_with(&mut pass, common, context)
        };
        if common.hold.is_held() {
            return done;
        }
        if done.is_ok() && pass.is_read && pass.pending.is_empty() {
            self.end(&pass, common);
        } else {
            self.pass = Some(pass);
        }
        done
    }

    /// Begins to read a list, where it can be read.
    fn begin(&self, list: AuditList, common: &mut SearchContext) -> Option<TailPass> {
        if self.usable.get(&list) == Some(&false) {
            return None;
        }
        let now = common.asker.instance().closed_second(Instant::now())?;
        let cursor = list.cursor(&mut common.hold.state);
        let start = now.saturating_sub(self.settle);
        let from = cursor
            .get_or_insert_with(|| AuditCursor::starting_at(start))
            .from();
        Some(TailPass {
            list,
            after: Cursor {
                seconds: from,
                id: None,
            },
            to: now,
            is_read: false,
            pending: Vec::new(),
            total: 0,
        })
    }

    /// Reads the next page of a list.
    fn read(&mut self, pass: &mut TailPass, common: &mut SearchContext) -> Result<(), PollError> {
        let names = common.hierarchy(Instant::now())?.names.clone();
        let literals: TimeLiterals = common.asker.literals()?.clone();
        let columns = QueryColumns {
            timestamp: "sys_created_on".to_owned(),
            identifier: "sys_id".to_owned(),
            filter: pass.list.filter(&names),
        };
        let slice = Slice {
            after: Some(pass.after.clone()),
            to: pass.to,
            id_to: None,
        };
        let query = columns.encode(&slice, &literals).text;
        let began = Instant::now();
        let (table, fields) = (pass.list.table(), pass.list.columns());
        let found = common
            .asker
            .rows_if_allowed(table, query, fields, ENTRIES_OF_A_PAGE)?;
        let is_first = !self.usable.contains_key(&pass.list);
        let is_slow =
            pass.list == AuditList::History && is_first && began.elapsed() > HISTORY_MAX_TIME;
        let Some(found) = found.filter(|_| !is_slow) else {
            self.usable.insert(pass.list, false);
            pass.is_read = true;
            let why = if is_slow {
                "it answers slowly"
            } else {
                "the integration user may not read it"
            };
            log::warn!(table = common.table.name, list = table, why;
                "a list of deletes is not followed");
            return Ok(());
        };
        self.usable.insert(pass.list, true);
        pass.total = pass.total.max(found.total.unwrap_or(0));
        let last = found.rows.iter().rev().find_map(|row| {
            let seconds = parse_time(row.text("sys_created_on")?.as_bytes())?;
            Some(Cursor {
                seconds,
                id: Some(row.text("sys_id")?.to_owned()),
            })
        });
        match last {
            Some(last) if last != pass.after => pass.after = last,
            _ => pass.is_read = true,
        }
        let cursor = pass.list.cursor(&mut common.hold.state);
        let entries = found
            .rows
            .iter()
            .filter_map(|row| pass.list.entry(row, &names));
        let is_new = |entry: &AuditEntry| cursor.as_ref().is_none_or(|cursor| cursor.is_new(entry));
        pass.pending = entries.filter(is_new).collect();
        Ok(())
    }

    /// Deals with the first entries that are of one kind.
    fn deal_with(
        &mut self,
        pass: &mut TailPass,
        common: &mut SearchContext,
        context: &mut StepContext<'_>,
    ) -> Result<(), PollError> {
        let is_recovery = pass.pending.first().is_some_and(|entry| entry.is_recovery);
        let of_kind = pass.pending.iter().take(IDS_OF_A_QUESTION);
        let count = of_kind
            .take_while(|entry| entry.is_recovery == is_recovery)
            .count();
        let entries: Vec<AuditEntry> = pass.pending.iter().take(count).cloned().collect();
        let dealt = if is_recovery {
            self.recover(&entries, context)?
        } else {
            self.delete(pass, &entries, common, context)?
        };
        let cursor = pass.list.cursor(&mut common.hold.state);
        for entry in entries.iter().take(dealt) {
            cursor.iter_mut().for_each(|cursor| cursor.done(entry));
        }
        pass.pending.drain(..dealt);
        Ok(())
    }

    /// Rows that came back are read and sent, whatever their timestamps.
    fn recover(
        &mut self,
        entries: &[AuditEntry],
        context: &mut StepContext<'_>,
    ) -> Result<usize, PollError> {
        let ids: Vec<String> = entries.iter().map(|entry| entry.row_id.clone()).collect();
        let delivered =
            context
                .delivery
                .deliver_by_id(&ids, Versions::Unknown, context.heartbeat)?;
        if !delivered.is_whole() {
            return Ok(0);
        }
        for id in &ids {
            self.told.remove(id);
        }
        Ok(entries.len())
    }

    /// Sends the tombstones of rows that are gone; gives how many entries are dealt with. With more than
    /// pass the guard, the rest is held.
    fn delete(
        &mut self,
        pass: &TailPass,
        entries: &[AuditEntry],
        common: &mut SearchContext,
        context: &mut StepContext<'_>,
    ) -> Result<usize, PollError> {
        let limit = self.limit(common)?;
        let mut hour = common.hold.state.hour.clone();
        let accepted_to = common.hold.state.accepted_to;
        let mut dealt = 0;
        let mut sent: Vec<(String, i64)> = Vec::new();
        let told = &self.told;
        let delivered = context.delivery.deliver_tombstones(context.heartbeat, || {
            let ids: Vec<String> = entries.iter().map(|entry| entry.row_id.clone()).collect();
            let fates: BTreeMap<String, RowFate> = common.fates(&ids)?.into_iter().collect();
            let mut tombstones = Vec::new();
            for entry in entries {
                let fate = fates.get(&entry.row_id).copied();
                if fate == Some(RowFate::Unknown) {
                    return Err(PollError::NothingCounts);
                }
                let is_told = told.get(&entry.row_id).is_some_and(|(list, created)| {
                    *list != pass.list && (created - entry.created).abs() <= SAME_DELETE_SECONDS
                });
                if fate == Some(RowFate::Deleted) && !is_told {
                    if entry.created > accepted_to && !hour.admits(entry.created, limit) {
                        break;
                    }
                    sent.push((entry.row_id.clone(), entry.created));
                    tombstones.push(Tombstone {
                        id: entry.row_id.clone(),
                        by: entry.by.clone(),
                        at: Some(entry.created),
                    });
                }
                dealt += 1;
            }
            Ok(tombstones)
        });
        let delivered = match delivered {
            Ok(delivered) => delivered,
            Err(error) => {
                common.hold.show_doubt(Some(&error.to_string()));
                return Err(error);
            }
        };
        common.hold.show_doubt(None);
        if !delivered {
            return Ok(0);
        }
        common.hold.state.hour = hour;
        let labels = [common.table.name.as_str(), DeleteFinder::Audit.word()];
        common
            .metrics
            .source_deletes
            .with(&labels)
            .add(sent.len() as u64);
        let told = sent
            .into_iter()
            .map(|(id, created)| (id, (pass.list, created)));
        self.told.extend(told);
        if dealt < entries.len() {
            let known = (pass.pending.len() - dealt) as u64;
            common.hold.hold(HeldDeletes {
                found_by: DeleteFinder::Audit,
                rows: known.max(pass.total.saturating_sub(dealt as u64)),
                limit,
                to: pass.to,
            });
        }
        Ok(dealt)
    }

    /// How many deletes of an hour pass. The rows are counted once.
    fn limit(&mut self, common: &SearchContext) -> Result<u64, PollError> {
        let configured = common.table.deletes.guard;
        if configured.is_none() && self.rows.is_none() {
            let query = common.table.query.clone().unwrap_or_default();
            self.rows = common.asker.count(&common.table.name, query)?;
        }
        Ok(guard_limit(configured, self.rows))
    }

    /// A list is read to its end; the next one follows.
    fn end(&mut self, pass: &TailPass, common: &mut SearchContext) {
        if let Some(cursor) = pass.list.cursor(&mut common.hold.state) {
            cursor.read_to(pass.to, self.settle);
        }
        let settled = pass.to.saturating_sub(self.settle);
        self.told.retain(|_, (_, created)| *created >= settled);
        common.hold.save();
        if pass.list == AuditList::Deletes {
            self.pass = self.begin(AuditList::History, common);
        }
        if self.pass.is_none() {
            self.next = Instant::now() + self.interval;
        }
        if self.usable.len() == 2 && !self.usable.values().any(|is_usable| *is_usable) {
            common.hold.show_doubt(Some(
                "neither sys_audit_delete nor sys_audit can be read, so deletes are not seen at once; let the \
                 integration user read one of them, or set deletes: compare",
            ));
        }
    }
}
