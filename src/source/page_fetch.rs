//! Asks for one page of a table and checks it while it arrives.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::frontier::ClosedSeconds;
use super::instance::SourceInstance;
use super::key_order::KeyOrderCheck;
use super::page_buffer::PageBuffer;
use super::page_check::{CheckedPage, PageCheck};
use super::poll_error::PollError;
use super::read_ids::ReadIds;
use super::row_counts::RowCounts;
use super::window::PageRequest;
use crate::config::{DisplayValue, OnBadRow, TableConfig};
use crate::control::SnapshotPart;
use crate::servicenow::page::{BadRow, CursorColumns, PageChunk, PageReader, RowBlock};
use crate::servicenow::query::{EncodedQuery, IdentifierRange, QueryColumns};
use crate::servicenow::table_api::{self, TableRequests};
use crate::servicenow::{ReadRequest, ResponseBody};
use crate::stop::Stop;

/// Where the rows of a page go.
pub(super) trait PageRows {
    /// A used block whose memory takes the next rows.
    fn spare_block(&mut self) -> Option<RowBlock> {
        None
    }

    /// Takes rows. `checked`: their page is known to be good.
    ///
    /// # Errors
    /// The page is not to be read any further.
    fn take(&mut self, block: RowBlock, checked: bool) -> Result<(), PollError>;
}

/// A page that counts.
pub(super) struct FetchedPage {
    /// What was found out about it.
    pub(super) page: CheckedPage,
    /// How many rows its slice has, by the instance's count.
    pub(super) total: Option<u64>,
    /// Rows that are passed over.
    pub(super) bad_rows: Vec<BadRow>,
}

/// A page in the order of identifiers.
#[derive(Debug, Clone)]
pub(super) struct KeyPageRequest {
    /// The part of the table.
    pub(super) part: SnapshotPart,
    /// Rows behind this identifier.
    pub(super) after: Option<String>,
    /// Rows of those that are passed over, as they are hidden.
    pub(super) offset: u32,
    /// Most rows of the page.
    pub(super) limit: u32,
    /// Whether the instance has to count the rows behind `after`.
    pub(super) count: bool,
}

/// What is known of such a page.
pub(super) struct KeyPage {
    /// Rows on it.
    pub(super) rows: u32,
    /// The identifier of the last one.
    pub(super) last: Option<String>,
    /// Rows behind `after`, by the instance's count, including hidden ones.
    pub(super) total: Option<u64>,
}

/// Fetches the pages of one table.
pub(super) struct PageFetch {
    table: String,
    instance: Arc<SourceInstance>,
    requests: TableRequests,
    query_columns: QueryColumns,
    cursor_columns: CursorColumns,
    on_bad_row: OnBadRow,
    counts: RowCounts,
    stop: Stop,
}

impl PageFetch {
    /// Of whole rows, as they are produced.
    pub(super) fn of_rows(
        instance: &Arc<SourceInstance>,
        table: &TableConfig,
        stop: &Stop,
    ) -> PageFetch {
        let requests = TableRequests::new(instance.table_api_path(), table);
        PageFetch::new(instance, table, requests, table.display_value, stop)
    }

    /// Of listings: what tells versions of rows apart, and nothing else.
    pub(super) fn of_versions(
        instance: &Arc<SourceInstance>,
        table: &TableConfig,
        stop: &Stop,
    ) -> PageFetch {
        let requests = TableRequests::versions(instance.table_api_path(), table);
        PageFetch::new(instance, table, requests, DisplayValue::False, stop)
    }

    fn new(
        instance: &Arc<SourceInstance>,
        table: &TableConfig,
        requests: TableRequests,
        display: DisplayValue,
        stop: &Stop,
    ) -> PageFetch {
        PageFetch {
            requests,
            query_columns: table_api::query_columns(table),
            cursor_columns: CursorColumns::new(
                &table.timestamp_field,
                &table.identifier_field,
                display,
            ),
            on_bad_row: table.on_bad_row,
            counts: RowCounts::default(),
            stop: stop.clone(),
            table: table.name.clone(),
            instance: Arc::clone(instance),
        }
    }

    /// Fetches the page of `request`; its rows go to `rows`. `read_before` is what earlier pages have read in the
    /// cursor's second, and `closed` the seconds that the checkpoint may take in.
    ///
    /// `None`: the answer lacks a count that is needed, so that it does not count: the same page is to be
    /// asked for again, behind a count of its own.
    ///
    /// # Errors
    /// The page does not count.
    pub(super) fn fetch(
        &mut self,
        request: &PageRequest,
        read_before: Arc<ReadIds>,
        closed: ClosedSeconds,
        rows: &mut impl PageRows,
    ) -> Result<Option<FetchedPage>, PollError> {
        let started = Instant::now();
        let literals = self.instance.literals(&self.stop)?;
        let query = self.query_columns.encode(&request.slice, literals);
        let counts_first = request.count
            && self
                .counts
                .come_first(&self.instance.count_refusal(), started);
        let counted_before = if counts_first {
            Some(self.count(&query)?)
        } else {
            None
        };
        let get = self
            .requests
            .list(&query.text, request.limit, request.count);
        let response = self.instance.client().get(&get, &self.stop)?;
        self.instance.observe(&response.meta);
        let counted_before = counted_before.and_then(|count| self.accept_count(count));
        let total = counted_before.or(response.meta.total_count);
        if request.count && response.meta.total_count.is_some() {
            self.counts.came();
        }
        let mut check = PageCheck::new(query, request, read_before).closed_to(closed);
        let mut buffer = PageBuffer::default();
        let bad_rows = self.read(response.body, &mut check, rows, &mut buffer)?;
        let is_optional = self.instance.count_refusal().makes_counts_optional();
        let Some(page) = check.finish(total, is_optional) else {
            self.counts.missed();
            return Ok(None);
        };
        while let Some(block) = buffer.release_oldest() {
            rows.take(block, true)?;
        }
        Ok(Some(FetchedPage {
            page,
            total,
            bad_rows,
        }))
    }

    /// Fetches the rows with these identifiers, as they are now, whatever their time; one that is gone, or not
    /// part of the table's query any more, is not among them.
    ///
    /// # Errors
    /// The answer does not count.
    pub(super) fn fetch_by_id(
        &mut self,
        ids: &[String],
        rows: &mut impl PageRows,
    ) -> Result<(), PollError> {
        let query = self.query_columns.with_ids(ids);
        let limit = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let get = self.requests.list(&query.text, limit, false);
        let asked: HashSet<&[u8]> = ids.iter().map(|id| id.as_bytes()).collect();
        let mut check = AskedIds { asked, rows: 0 };
        self.answer(&get, &mut check, rows).map(drop)
    }

    /// Fetches rows in the order of their identifiers.
    ///
    /// # Errors
    /// The answer does not count.
    pub(super) fn fetch_by_key(
        &mut self,
        request: &KeyPageRequest,
        rows: &mut impl PageRows,
    ) -> Result<KeyPage, PollError> {
        let literals = self.instance.literals(&self.stop)?;
        let range = IdentifierRange {
            query: request.part.query.as_deref(),
            since: request.part.since,
            from: request.part.from.as_deref(),
            to: request.part.to.as_deref(),
        };
        let after = request.after.as_deref();
        let query = self.query_columns.by_identifier(&range, after, literals);
        let mut get = self
            .requests
            .list(&query.text, request.limit, request.count);
        if request.offset > 0 {
            get.params
                .push(("sysparm_offset", request.offset.to_string()));
        }
        let mut check = KeyOrderCheck::new(&range, after, request.limit);
        let total = self.answer(&get, &mut check, rows)?;
        Ok(KeyPage {
            rows: check.rows,
            last: check.last,
            total: total.filter(|_| request.count),
        })
    }

    /// Asks, and hands on the rows of the answer; gives the instance's count.
    fn answer(
        &mut self,
        get: &ReadRequest<'_>,
        check: &mut impl BlockCheck,
        rows: &mut impl PageRows,
    ) -> Result<Option<u64>, PollError> {
        let response = self.instance.client().get(get, &self.stop)?;
        self.instance.observe(&response.meta);
        let mut buffer = PageBuffer::default();
        self.read(response.body, check, rows, &mut buffer)?;
        while let Some(block) = buffer.release_oldest() {
            rows.take(block, true)?;
        }
        Ok(response.meta.total_count)
    }

    /// Reads an answer to its end. What may not be handed on before its page is known to be good is left in
    /// `buffer`.
    fn read(
        &mut self,
        body: ResponseBody,
        check: &mut impl BlockCheck,
        rows: &mut impl PageRows,
        buffer: &mut PageBuffer,
    ) -> Result<Vec<BadRow>, PollError> {
        let mut reader =
            PageReader::new(body, self.cursor_columns.clone()).on_bad_row(self.on_bad_row);
        let mut bad_rows = Vec::new();
        loop {
            let chunk = reader
                .next(rows.spare_block())
                .map_err(|error| PollError::of_page(error, self.instance.client(), &self.table))?;
            let PageChunk::Rows(mut block) = chunk else {
                break;
            };
            check
                .keep_asked_rows(&mut block)
                .map_err(PollError::ConditionsIgnored)?;
            bad_rows.append(&mut block.bad);
            if let Some(block) = buffer.hold_back(block) {
                rows.take(block, false)?;
            }
        }
        self.cursor_columns = reader.into_columns();
        Ok(bad_rows)
    }

    /// The number of rows in a slice from the Aggregate API, for instances whose pages carry none, or why
    /// there is none. It is asked for before the rows: of the past a slice only shrinks, and what is added to
    /// the present is found by the next poll.
    fn count(&self, query: &EncodedQuery) -> Result<Result<u64, String>, PollError> {
        let get = table_api::count(self.instance.stats_api_path(), &self.table, &query.text);
        match self.instance.client().get_result_once(&get, &self.stop) {
            Ok(answer) => {
                self.instance.observe(&answer.head);
                let count = answer.count();
                Ok(count.ok_or_else(|| "the answer has no count".to_owned()))
            }
            Err(error) if error.is_unusable_answer() => Ok(Err(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes in what became of asking for a count, now that the page behind it has been answered, so that it
    /// is not the instance that is away.
    fn accept_count(&self, count: Result<u64, String>) -> Option<u64> {
        let mut refusal = self.instance.count_refusal();
        match count {
            Ok(count) => {
                refusal.counted();
                Some(count)
            }
            Err(why) => {
                if refusal.refused(Instant::now()) {
                    log::warn!(table = self.table, error = why;
                        "nothing counts the rows: pages come without X-Total-Count, and the Aggregate API \
                         (servicenow.stats_api_path) does not count; tables end at an empty page now, and \
                         how many rows are hidden is not known; let both through at the gateway");
                }
                None
            }
        }
    }
}

/// Which rows of an answer were asked for.
trait BlockCheck {
    /// Leaves only those in the block.
    ///
    /// # Errors
    /// In words, what the instance answered with that was not asked for.
    fn keep_asked_rows(&mut self, block: &mut RowBlock) -> Result<(), String>;
}

impl BlockCheck for KeyOrderCheck<'_> {
    fn keep_asked_rows(&mut self, block: &mut RowBlock) -> Result<(), String> {
        for row in &block.rows {
            self.check(block.slice(&row.id))?;
        }
        block.rows.retain(|row| !row.text.is_empty());
        Ok(())
    }
}

impl BlockCheck for PageCheck {
    fn keep_asked_rows(&mut self, block: &mut RowBlock) -> Result<(), String> {
        PageCheck::keep_asked_rows(self, block)
    }
}

/// Rows that were asked for by their identifiers.
struct AskedIds<'a> {
    asked: HashSet<&'a [u8]>,
    rows: usize,
}

impl BlockCheck for AskedIds<'_> {
    fn keep_asked_rows(&mut self, block: &mut RowBlock) -> Result<(), String> {
        self.rows += block.rows.len();
        let mut rows = block.rows.iter();
        if self.rows > self.asked.len()
            || rows.any(|row| !self.asked.contains(block.slice(&row.id)))
        {
            return Err("rows with other identifiers than were asked for".to_owned());
        }
        block.rows.retain(|row| !row.text.is_empty());
        Ok(())
    }
}
