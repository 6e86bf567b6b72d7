//! The comparison of one table with its topic, from the first look to the report.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::certificate::CertificateCounts;
use super::certify::certify;
use super::conclusion::Conclusion;
use super::error::Error;
use super::judge::{DeliveredTo, ProvenDifference, Suspects, same};
use super::pace::progress_words;
use super::report::{KnownFrom, Report, Thoroughness};
use super::row_identifier::RowIdentifier;
use super::sieve::Sieve;
use super::slices::IdSlice;
use super::state_file::{ComparisonState, StateFile, resolved};
use super::table_side::{LISTING_LIMIT, LOOK_UP_LIMIT, TableSide};
use super::topic_index::TopicRow;
use super::topic_side::TopicSide;
use crate::config::{Config, TableConfig};
use crate::delivered::{index_identity, path_beside};
use crate::source::{self, SourceInstance};
use crate::stop::Stop;

/// Longest time between two looks at the rows that differ.
const LONGEST_LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How many times the wait the second step may take, after which what is left counts as in flight.
const LONGEST_WAITS: u32 = 4;
/// Rows of a slice by what the topic has, so that a request gets them with room for what came meanwhile.
const ROWS_PER_SLICE: usize = LISTING_LIMIT as usize * 4 / 5;
/// Rows that a certificate leaves out by name at most.
const MAX_EXCLUDED_ROWS: usize = 10_000;
/// Rows that are looked at between two words on the progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// What is to be compared, and how.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// How thoroughly.
    pub thoroughness: Thoroughness,
    /// From where it is to be known what the topic holds.
    pub known_from: KnownFrom,
    /// Which rows.
    pub slice: IdSlice,
    /// How long a difference must stay the same to count.
    pub wait: Duration,
    /// A certificate is wanted. Such a comparison is of all rows, and is not resumed.
    pub certificate: bool,
}

/// What a comparison works with.
pub struct Surroundings<'a> {
    /// The configuration of the bridge.
    pub config: &'a Config,
    /// The instance.
    pub instance: &'a SourceInstance,
    /// Ends the comparison; it can go on later.
    pub stop: &'a Stop,
    /// How far the stream has delivered, as far as that is known.
    pub delivered: &'a dyn Fn() -> Option<DeliveredTo>,
    /// Is told how far it is.
    pub progress: &'a mut dyn FnMut(&str),
}

/// Compares `table` with its topic.
///
/// # Errors
/// One of the two cannot be read, or it was stopped; what was done by then is kept in a file beside the
/// checkpoint.
pub fn compare<'a>(
    table: &'a TableConfig,
    wish: Wish,
    around: Surroundings<'a>,
) -> Result<Report, Error> {
    let state_file = StateFile::beside(&around.config.offset.file_path, &table.name)?;
    let mut comparison = Comparison::open(table, wish, around, &state_file)?;
    comparison.read_topic()?;
    comparison.look_at_all(&state_file)?;
    comparison.look_again()?;
    let report = comparison.report()?;
    state_file.remove()?;
    Ok(report)
}

struct Comparison<'a> {
    table: &'a TableConfig,
    wish: Wish,
    around: Surroundings<'a>,
    table_side: TableSide<'a>,
    topic_side: TopicSide,
    state: ComparisonState,
    sieve: Sieve,
    suspects: Suspects,
    proven: Vec<ProvenDifference>,
    /// Rows without a count of changes were seen.
    lacks_count: bool,
    /// Rows that were listed.
    readable: u64,
    told: Instant,
}

impl<'a> Comparison<'a> {
    fn open(
        table: &'a TableConfig,
        wish: Wish,
        around: Surroundings<'a>,
        state_file: &StateFile,
    ) -> Result<Comparison<'a>, Error> {
        let fingerprint = source::fingerprint(around.instance.base_url(), table);
        let mut topic_side = TopicSide::open(&around.config.kafka, table, around.stop)?;
        if wish.known_from == KnownFrom::Index {
            let checkpoint = resolved(&around.config.offset.file_path)?;
            let index = path_beside(&checkpoint, &table.name);
            let identity = index_identity(&fingerprint, &table.topic);
            topic_side.take_index(&index, &identity)?;
        }
        around.instance.read_clock(&table.name, around.stop)?;
        let fresh = ComparisonState {
            fingerprint: format!("{fingerprint} {}", table.topic),
            thoroughness: wish.thoroughness,
            known_from: wish.known_from,
            slice: [wish.slice.from, wish.slice.to].map(|end| end.map(hex)),
            begin: around.instance.closed_second(Instant::now()),
            done_below: hex(0),
            equal: 0,
            by_sums: 0,
            suspects: Vec::new(),
            requests: 0,
        };
        // What was compared before would speak of other offsets.
        let left = if wish.certificate {
            None
        } else {
            state_file.load()?.filter(|left| left.is_of(&fresh))
        };
        if left.is_some() {
            (around.progress)("an earlier comparison was interrupted; going on where it was");
        }
        let mut suspects = Suspects::new(wish.wait, wish.certificate);
        let state = left.unwrap_or(fresh);
        let now = Instant::now();
        for id in &state.suspects {
            // The next look tells both versions.
            suspects.add(RowIdentifier::new(id), None, None, now);
        }
        Ok(Comparison {
            table,
            wish,
            table_side: TableSide::new(around.instance, table, around.stop),
            around,
            topic_side,
            state,
            sieve: Sieve::default(),
            suspects,
            proven: Vec::new(),
            lacks_count: false,
            readable: 0,
            told: now,
        })
    }

    /// The topic to its present end.
    fn read_topic(&mut self) -> Result<(), Error> {
        let Comparison {
            topic_side, around, ..
        } = self;
        let began = Instant::now();
        let mut told = began;
        let progress = |records: u64, all: u64| {
            if told.elapsed() >= PROGRESS_INTERVAL {
                told = Instant::now();
                let words = progress_words("topic", "records", records, all, began.elapsed());
                (around.progress)(&words);
            }
        };
        topic_side.read_to_end(around.stop, |_, _| {}, progress)?;
        if topic_side.sights.without_row > 0 && topic_side.sights.records == 0 {
            return Err(Error::Unusable(format!(
                "topic `{}`: its records do not say of which row they are (the key is not the identifier, \
                 and the value is no JSON with it): they cannot be compared",
                self.table.topic
            )));
        }
        Ok(())
    }

    /// The first step: the table beside the topic, slice by slice.
    fn look_at_all(&mut self, state_file: &StateFile) -> Result<(), Error> {
        let done = Some(self.done_below()).filter(|done| *done > 0);
        let mut rest = Some(IdSlice {
            from: done.or(self.wish.slice.from),
            to: self.wish.slice.to,
        });
        let began = Instant::now();
        while let Some(slice) = rest.take() {
            let (done, all) = self.topic_side.index.place(slice.range().start);
            self.tell(&progress_words(
                "table",
                "rows",
                wide(done),
                wide(all),
                began.elapsed(),
            ));
            let rows = if self.uses_sums() {
                self.sieve.rows()
            } else {
                ROWS_PER_SLICE
            };
            let slice = self.cut(slice, rows, &mut rest);
            self.look_at(slice)?;
            if let Some(next) = rest.and_then(|rest| rest.from)
                && !self.wish.certificate
            {
                self.state.done_below = hex(next);
                self.state.suspects = self.suspects.open().map(ToString::to_string).collect();
                self.state.requests += std::mem::take(&mut self.table_side.requests);
                state_file.save(&self.state)?;
            }
        }
        if self.wish.slice == IdSlice::ALL {
            // Where the instance sorts other identifiers in is not known, so that they come last.
            for id in self.topic_side.index.unseen_others() {
                self.suspect_extra(id);
            }
        }
        Ok(())
    }

    /// The first part of a slice with about so many rows; `rest` is the other one.
    fn cut(&mut self, slice: IdSlice, rows: usize, rest: &mut Option<IdSlice>) -> IdSlice {
        let cut = self.topic_side.index.cut_behind(slice.range().start, rows);
        let (first, behind) = slice.split_at(cut);
        *rest = behind;
        first
    }

    fn uses_sums(&self) -> bool {
        self.wish.thoroughness == Thoroughness::Sums && self.sieve.refusal().is_none()
    }

    /// By its sums, if that is enough, and else row by row.
    fn look_at(&mut self, slice: IdSlice) -> Result<(), Error> {
        if !self.uses_sums() {
            return self.list(slice);
        }
        if self.is_equal_by_sums(slice)? {
            return Ok(());
        }
        let mut rest = Some(slice);
        while let Some(part) = rest.take() {
            let part = self.cut(part, ROWS_PER_SLICE, &mut rest);
            let is_all = part == slice;
            if !is_all && self.uses_sums() && self.is_equal_by_sums(part)? {
                continue;
            }
            let before = self.suspects.len();
            self.list(part)?;
            self.sieve.listed(wide(self.suspects.len() - before));
        }
        Ok(())
    }

    /// Whether count and sum of a slice are those of the topic.
    fn is_equal_by_sums(&mut self, slice: IdSlice) -> Result<bool, Error> {
        let index = &mut self.topic_side.index;
        let is_open = slice.from.is_none() || slice.to.is_none();
        // Where the instance sorts other identifiers in is not known.
        if is_open && index.has_others() {
            return Ok(false);
        }
        let Some(topic) = index.sums(&slice.range()) else {
            return Ok(false);
        };
        let Some((table, took)) = self.table_side.sums(slice)? else {
            self.sieve.refused();
            return Ok(false);
        };
        let rows = usize::try_from(topic.rows).unwrap_or(usize::MAX);
        self.sieve.took(rows, took);
        if table == topic {
            self.state.equal += table.rows;
            self.state.by_sums += table.rows;
        }
        Ok(table == topic)
    }

    fn done_below(&self) -> u128 {
        u128::from_str_radix(&self.state.done_below, 16).unwrap_or(0)
    }

    /// Each row of a slice beside the topic.
    fn list(&mut self, slice: IdSlice) -> Result<(), Error> {
        let Comparison {
            table_side,
            topic_side,
            suspects,
            state,
            lacks_count,
            readable,
            ..
        } = self;
        table_side.each_page(slice, |rows| {
            let now = Instant::now();
            *readable += wide(rows.len());
            for row in rows {
                *lacks_count |= row.version.mod_count.is_none();
                let id = RowIdentifier::new(&row.id);
                let topic = topic_side.index.see(&id).and_then(TopicRow::version);
                if same(Some(row.version), topic) {
                    state.equal += 1;
                } else {
                    suspects.add(id, Some(row.version), topic, now);
                }
            }
            Ok(())
        })?;
        for id in self.topic_side.index.unseen(&slice.range()) {
            self.suspect_extra(id);
        }
        Ok(())
    }

    fn suspect_extra(&mut self, id: RowIdentifier) {
        let topic = self.topic_side.index.get(&id).and_then(TopicRow::version);
        self.suspects.add(id, None, topic, Instant::now());
    }

    /// The second step: what differed is looked at until it is clear.
    fn look_again(&mut self) -> Result<(), Error> {
        let pause = (self.wish.wait / 4).min(LONGEST_LOOK_INTERVAL);
        let deadline = Instant::now() + self.wish.wait * LONGEST_WAITS;
        while !self.suspects.is_empty() {
            let open = self.suspects.len();
            self.tell(&format!("looking again at {open} rows that differed"));
            let ids: Vec<RowIdentifier> = self.suspects.open().cloned().collect();
            for ids in ids.chunks(LOOK_UP_LIMIT) {
                let found = self.table_side.look_up(ids, true)?;
                let now = Instant::now();
                for id in ids {
                    let version = found.get(id).map(|row| row.version);
                    self.suspects.table_says(id, version, now);
                }
            }
            if self.around.stop.wait(pause) {
                return Err(Error::Stopped);
            }
            let delivered = (self.around.delivered)();
            self.ask_topic(&ids)?;
            let verdicts = self.suspects.judge(Instant::now(), delivered.as_ref());
            self.state.equal += verdicts.equal;
            self.proven.extend(verdicts.proven);
            if Instant::now() >= deadline {
                break;
            }
        }
        Ok(())
    }

    /// What the topic says of these rows: what it held before, and each record since.
    fn ask_topic(&mut self, ids: &[RowIdentifier]) -> Result<(), Error> {
        let Comparison {
            topic_side,
            suspects,
            around,
            ..
        } = self;
        for id in ids {
            let version = topic_side.index.get(id).and_then(TopicRow::version);
            suspects.topic_says(id, version);
        }
        let (certificate, now) = (self.wish.certificate, Instant::now());
        let visit = |id: &RowIdentifier, row: TopicRow| {
            if certificate && !suspects.has(id) {
                // What the topic says at its new end is to be what is certified.
                suspects.add(id.clone(), None, None, now);
            }
            suspects.topic_says(id, row.version());
        };
        topic_side.read_to_end(around.stop, visit, |_, _| {})
    }

    fn report(&mut self) -> Result<Report, Error> {
        let end = self.around.instance.closed_second(Instant::now());
        let report = Report {
            table: self.table.name.clone(),
            topic: self.table.topic.clone(),
            thoroughness: if self.state.by_sums > 0 {
                Thoroughness::Sums
            } else {
                Thoroughness::Full
            },
            known_from: self.wish.known_from,
            equal: self.state.equal,
            in_flight: wide(self.suspects.len()),
            is_cut_short: self.suspects.is_cut_short(),
            offsets: self.topic_side.offsets.clone(),
            span: self.state.begin.zip(end),
            notes: self.notes(),
            ..Report::default()
        };
        let mut conclusion = Conclusion {
            config: self.around.config,
            table: self.table,
            table_side: &mut self.table_side,
            topic_side: &mut self.topic_side,
            stop: self.around.stop,
        };
        let mut report = conclusion.draw(&self.proven, report)?;
        if self.wish.certificate {
            self.certify(&mut report)?;
        }
        report.requests = self.state.requests + self.table_side.requests;
        Ok(report)
    }

    fn certify(&mut self, report: &mut Report) -> Result<(), Error> {
        let open = self.suspects.open().chain(&report.excused_rows);
        let excluded: BTreeSet<String> = open.map(ToString::to_string).collect();
        if report.differs() || excluded.len() > MAX_EXCLUDED_ROWS {
            let why = if report.differs() {
                "there is no certificate, as table and topic differ"
            } else {
                "there is no certificate, as too many rows changed until the end"
            };
            report.notes.push(why.to_owned());
            return Ok(());
        }
        let all = self.table_side.sums(IdSlice::ALL)?;
        let counts = CertificateCounts {
            all: all.map(|(sums, _)| sums.rows),
            readable: self.readable,
            ..CertificateCounts::default()
        };
        let instance = self.around.instance.base_url();
        let index = &mut self.topic_side.index;
        let certificate = certify(self.table, instance, report, excluded, counts, index);
        match certificate {
            Some(certificate) => report.certificate = Some(certificate),
            None => report.notes.push(
                "there is no certificate, as records do not say which version of their row they hold \
                 (set `version_headers`)"
                    .to_owned(),
            ),
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = Vec::new();
        if self.wish.known_from == KnownFrom::Index {
            notes.push(
                "the topic was read only from where the local index ends: rows in a wrong partition, and \
                 records that are gone since, are not seen"
                    .to_owned(),
            );
        }
        if self.wish.thoroughness == Thoroughness::Sums {
            notes.extend(self.sieve.refusal().map(str::to_owned));
        }
        if self.suspects.is_cut_short() {
            notes.push("there are more differences than are looked at one by one".to_owned());
        }
        if self.lacks_count {
            notes.push(
                "the table has rows without `sys_mod_count`: they are compared by their time"
                    .to_owned(),
            );
        }
        notes
    }

    fn tell(&mut self, words: &str) {
        if self.told.elapsed() >= PROGRESS_INTERVAL {
            self.told = Instant::now();
            (self.around.progress)(words);
        }
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn hex(id: u128) -> String {
    RowIdentifier::Hex(id).to_string()
}
