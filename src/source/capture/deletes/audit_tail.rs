//! Follows the instance's lists of deletes: `sys_audit_delete`, which has most user tables, and where it
//! can be read quickly `sys_audit`, whose rows with the fieldname DELETED are of every delete and with
//! RECOVERED of every undelete (KB0634666).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::audit_cursor::{AuditCursor, AuditEntry};
use super::audit_list::{AuditList, ListReading};
use super::common::SearchContext;
use super::fate::RowFate;
use super::hold::Doubt;
use super::id_query::IDS_OF_A_QUESTION;
use super::state::{DeleteFinder, HeldDeletes};
use crate::config::{TableConfig, whole_seconds};
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
/// `sys_audit` is huge. Where its first answer takes longer than this, it is not used.
const HISTORY_MAX_TIME: Duration = Duration::from_secs(5);
/// A delete that both lists tell within so many seconds is one.
const SAME_DELETE_SECONDS: i64 = 5;

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
}

/// A reading of a list, and what it has found.
struct TailPass {
    reading: ListReading,
    /// Entries that are yet to be dealt with, oldest first.
    pending: Vec<AuditEntry>,
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
            self.pass = match self.begin(AuditList::Deletes, common)? {
                None => self.begin(AuditList::History, common)?,
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
        common
            .hold
            .show_outcome(Doubt::Lists, "the lists of deletes are not read on", &done);
        if common.hold.is_held() {
            return done;
        }
        if done.is_ok() && pass.reading.is_read && pass.pending.is_empty() {
            return self.end(&pass, common);
        }
        self.pass = Some(pass);
        done
    }

    /// Begins to read a list, where it can be read.
    fn begin(
        &self,
        list: AuditList,
        common: &mut SearchContext,
    ) -> Result<Option<TailPass>, PollError> {
        if self.usable.get(&list) == Some(&false) {
            return Ok(None);
        }
        let instance = common.asker.instance();
        let Some(now) = instance.closed_second(Instant::now()) else {
            return Ok(None);
        };
        let names = common.hierarchy(Instant::now())?.names.clone();
        let start = now.saturating_sub(self.settle);
        let from = list
            .cursor(&mut common.hold.state)
            .get_or_insert_with(|| AuditCursor::starting_at(start))
            .from();
        let reading = ListReading::new(
            list,
            &common.table,
            names,
            (from, now),
            common.asker.parts(),
        );
        Ok(Some(TailPass {
            reading,
            pending: Vec::new(),
        }))
    }

    /// Reads the next page of a list.
    fn read(&mut self, pass: &mut TailPass, common: &mut SearchContext) -> Result<(), PollError> {
        let began = Instant::now();
        let list = pass.reading.list;
        let is_first = !self.usable.contains_key(&list);
        let entries = match pass.reading.next_page() {
            Err(error) if error.is_refusal() => {
                self.leave(pass, common, "the integration user may not read it");
                return Ok(());
            }
            entries => entries?,
        };
        if list == AuditList::History && is_first && began.elapsed() > HISTORY_MAX_TIME {
            self.leave(pass, common, "it answers slowly");
            return Ok(());
        }
        self.usable.insert(list, true);
        let cursor = list.cursor(&mut common.hold.state);
        let is_new = |entry: &AuditEntry| cursor.as_ref().is_none_or(|cursor| cursor.is_new(entry));
        pass.pending = entries.into_iter().filter(is_new).collect();
        Ok(())
    }

    /// The list is of no use.
    fn leave(&mut self, pass: &mut TailPass, common: &SearchContext, why: &str) {
        self.usable.insert(pass.reading.list, false);
        pass.reading.is_read = true;
        log::warn!(table = common.table.name, list = pass.reading.list.table(), why;
            "a list of deletes is not followed");
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
        let cursor = pass.reading.list.cursor(&mut common.hold.state);
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
        let limit = common.guard_limit()?;
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
                    *list != pass.reading.list
                        && (created - entry.created).abs() <= SAME_DELETE_SECONDS
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
        })?;
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
            .map(|(id, created)| (id, (pass.reading.list, created)));
        self.told.extend(told);
        if dealt < entries.len() {
            let known = (pass.pending.len() - dealt) as u64;
            common.hold.hold(HeldDeletes {
                found_by: DeleteFinder::Audit,
                rows: known.saturating_add(pass.reading.remaining()),
                limit,
                to: pass.reading.to,
                named: BTreeSet::new(),
            });
        }
        Ok(dealt)
    }

    /// A list is read to its end; the next one follows.
    fn end(&mut self, pass: &TailPass, common: &mut SearchContext) -> Result<(), PollError> {
        let ListReading { list, to, .. } = pass.reading;
        if let Some(cursor) = list.cursor(&mut common.hold.state) {
            cursor.read_to(to, self.settle);
        }
        let settled = to.saturating_sub(self.settle);
        self.told.retain(|_, (_, created)| *created >= settled);
        common.hold.save();
        if self.usable.len() == 2 && !self.usable.values().any(|is_usable| *is_usable) {
            let why = "neither sys_audit_delete nor sys_audit can be read, so deletes are not seen at \
                 once; let the integration user read one of them, or set deletes: compare";
            common.hold.show_doubt(Doubt::Rights, Some(why));
        }
        self.next = Instant::now() + self.interval;
        if list == AuditList::Deletes {
            self.pass = self.begin(AuditList::History, common)?;
        }
        Ok(())
    }
}
