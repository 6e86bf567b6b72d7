//! What the table says: identifiers and versions of its rows, one request at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::error::Error;
use super::pace::pause_after;
use super::row_identifier::RowIdentifier;
use super::sieve::SliceSums;
use super::slices::IdSlice;
use crate::config::TableConfig;
use crate::delivered::RowVersion;
use crate::servicenow::page::MOD_COUNT_COLUMN;
use crate::servicenow::query::{QueryColumns, parse_time, query_value_fault};
use crate::servicenow::table_api::{self, TableRequests};
use crate::servicenow::{AnswerRow, ReadRequest, ResponseHead};
use crate::source::SourceInstance;
use crate::stop::Stop;

/// Rows that are asked for at once (`/api/now/table` gives 10,000 by default).
pub(super) const LISTING_LIMIT: u32 = 10_000;
/// Rows that are asked for by their identifiers at once, so that the query stays below the length that
/// every proxy takes.
pub(super) const LOOK_UP_LIMIT: usize = 100;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableRow {
    /// Its identifier, as it was given.
    pub(super) id: String,
    /// Its version.
    pub(super) version: RowVersion,
    /// Who changed it last.
    pub(super) updated_by: Option<String>,
}

/// Asks for the rows of one table.
pub(super) struct TableSide<'a> {
    instance: &'a SourceInstance,
    columns: QueryColumns,
    listings: TableRequests,
    /// Listings that say as well who changed a row last.
    look_ups: TableRequests,
    table: String,
    stop: &'a Stop,
    /// Requests so far.
    pub(super) requests: u64,
}

impl<'a> TableSide<'a> {
    /// For `table` of the instance.
    pub(super) fn new(
        instance: &'a SourceInstance,
        table: &TableConfig,
        stop: &'a Stop,
    ) -> TableSide<'a> {
        let listings = TableRequests::versions(instance.table_api_path(), table);
        TableSide {
            instance,
            columns: table_api::query_columns(table),
            look_ups: listings.clone().with_column(UPDATED_BY_COLUMN),
            listings,
            table: table.name.clone(),
            stop,
            requests: 0,
        }
    }

    /// Gives the rows of a slice, in the order of the identifiers, to `visit`, page by page.
    ///
    /// # Errors
    /// The instance refuses, or its answer is not what was asked for.
    pub(super) fn each_page(
        &mut self,
        slice: IdSlice,
        mut visit: impl FnMut(Vec<TableRow>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (mut after, mut offset): (Option<String>, u32) = (None, 0);
        loop {
            let (rows, head) = self.page(slice, after.as_deref(), offset)?;
            let last = rows.last().map(|row| row.id.clone());
            self.check_page(slice, after.as_deref(), &rows)?;
            // The limit is applied before rows are hidden, so that a short page is no end.
            let is_end = match head.total_count {
                Some(total) => total <= u64::from(LISTING_LIMIT) + u64::from(offset),
                None => rows.is_empty(),
            };
            visit(rows)?;
            if is_end {
                return Ok(());
            }
            match last {
                Some(last) => (after, offset) = (Some(last), 0),
                // A page full of hidden rows gives no row to go on from.
                None => offset = offset.saturating_add(LISTING_LIMIT),
            }
        }
    }

    fn page(
        &mut self,
        slice: IdSlice,
        after: Option<&str>,
        offset: u32,
    ) -> Result<(Vec<TableRow>, ResponseHead), Error> {
        let identifier = &self.columns.identifier;
        let behind = after.map(|after| format!("{identifier}>{after}"));
        let below = match after {
            None => slice,
            Some(_) => IdSlice {
                from: None,
                ..slice
            },
        };
        let conditions = [behind.unwrap_or_default(), below.condition(identifier)];
        let query = self
            .columns
            .restricted(conditions.join("^").trim_matches('^'));
        let query = format!("{query}^ORDERBY{identifier}");
        let query = query.trim_start_matches('^');
        let mut request = self.listings.list(query, LISTING_LIMIT, true);
        if offset > 0 {
            let offset = ("sysparm_offset", offset.to_string());
            request.params.push(offset);
        }
        self.ask(request)
    }

    /// An instance drops conditions that it does not understand, and would go on for ever.
    fn check_page(
        &self,
        slice: IdSlice,
        after: Option<&str>,
        rows: &[TableRow],
    ) -> Result<(), Error> {
        let range = slice.range();
        for row in rows {
            let is_outside = match RowIdentifier::new(&row.id) {
                RowIdentifier::Hex(id) => !range.contains(&id),
                RowIdentifier::Other(_) => false,
            };
            if is_outside || after == Some(&*row.id) {
                let id = &row.id;
                return Err(Error::Answer(format!(
                    "table `{}`: row {id} came although it was not asked for: the instance does not \
                     compare `{}` as the query says",
                    self.table, self.columns.identifier
                )));
            }
        }
        Ok(())
    }

    /// The rows of these identifiers that are in the table, as far as the configured query asks for them
    /// (`with_query`) or not.
    ///
    /// # Errors
    /// As [`TableSide::each_page`].
    pub(super) fn look_up(
        &mut self,
        ids: &[RowIdentifier],
        with_query: bool,
    ) -> Result<BTreeMap<RowIdentifier, TableRow>, Error> {
        let identifier = self.columns.identifier.clone();
        let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
        // Commas separate the list.
        let (alone, listed): (Vec<_>, Vec<_>) = texts
            .into_iter()
            .filter(|id| query_value_fault(id.as_bytes()).is_none())
            .partition(|id| id.contains(','));
        let list = listed.chunks(LOOK_UP_LIMIT).map(|ids| {
            let ids = ids.join(",");
            format!("{identifier}IN{ids}")
        });
        let alone = alone.iter().map(|id| format!("{identifier}={id}"));
        let conditions: Vec<String> = list.chain(alone).collect();
        let mut found = BTreeMap::new();
        for condition in conditions {
            let limit = u32::try_from(LOOK_UP_LIMIT).unwrap_or(u32::MAX);
            let query = if with_query {
                self.columns.restricted(&condition)
            } else {
                condition
            };
            let (rows, _) = self.ask(self.look_ups.list(&query, limit, false))?;
            found.extend(
                rows.into_iter()
                    .map(|row| (RowIdentifier::new(&row.id), row)),
            );
        }
        found.retain(|id, _| ids.contains(id));
        Ok(found)
    }

    /// Count and sum of the counts of changes of a slice, and how long that took; `None`: the instance does not give them.
    ///
    /// # Errors
    /// The instance does not answer.
    pub(super) fn sums(&mut self, slice: IdSlice) -> Result<Option<(SliceSums, Duration)>, Error> {
        let query = self
            .columns
            .restricted(&slice.condition(&self.columns.identifier));
        let path = self.instance.stats_api_path();
        let request = table_api::sums(path, &self.table, &query, MOD_COUNT_COLUMN);
        let began = Instant::now();
        self.requests += 1;
        let answer = match self.instance.client().get_result(&request, self.stop) {
            Ok(answer) => answer,
            Err(error) if error.is_api_verdict() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let took = began.elapsed();
        if self.stop.wait(pause_after(took)) {
            return Err(Error::Stopped);
        }
        let Some(rows) = answer.count() else {
            return Ok(None);
        };
        // There is no sum of no rows.
        let sum = answer.sum(MOD_COUNT_COLUMN).or((rows == 0).then_some(0));
        Ok(sum.map(|mod_counts| (SliceSums { rows, mod_counts }, took)))
    }

    fn ask(
        &mut self,
        request: ReadRequest<'static>,
    ) -> Result<(Vec<TableRow>, ResponseHead), Error> {
        let request = ReadRequest {
            what: format!("comparison of table `{}`", self.table),
            ..request
        };
        let began = Instant::now();
        self.requests += 1;
        let answer = self.instance.client().get_result(&request, self.stop)?;
        self.instance.observe(&answer.head);
        let rows = answer.rows(&request);
        let rows = rows.map_err(|why| Error::Answer(format!("{}: {why}", request.what)))?;
        if self.stop.wait(pause_after(began.elapsed())) {
            return Err(Error::Stopped);
        }
        let rows: Option<Vec<TableRow>> = rows.rows.iter().map(|row| self.row(row)).collect();
        let rows = rows.ok_or_else(|| {
            let column = &self.columns.identifier;
            Error::Answer(format!(
                "{}: a row has no value in `{column}`; the integration user needs read access to it",
                request.what
            ))
        })?;
        Ok((rows, answer.head))
    }

    fn row(&self, row: &AnswerRow) -> Option<TableRow> {
        let id = row
            .text(&self.columns.identifier)
            .filter(|id| !id.is_empty())?;
        let time = row.text(&self.columns.timestamp);
        let count = row.text(MOD_COUNT_COLUMN);
        Some(TableRow {
            id: id.to_owned(),
            version: RowVersion {
                seconds: time.and_then(|time| parse_time(time.as_bytes())),
                mod_count: count.and_then(|count| count.parse().ok()),
            },
            updated_by: row.text(UPDATED_BY_COLUMN).map(str::to_owned),
        })
    }
}

/// The column with the user who changed a row last.
const UPDATED_BY_COLUMN: &str = "sys_updated_by";
