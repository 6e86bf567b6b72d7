//! One table that is read, as the bridge would ask for it.

use jiff::Timestamp;

use super::asker::InstanceAsker;
use super::finding::{Finding, FindingArea, FindingLevel};
use super::judge;
use super::judge::table::{SeenPoll, SeenRows};
use super::query_terms::QueryTerms;
use crate::avro::dictionary;
use crate::config::TableConfig;
use crate::servicenow::AnswerRow;
use crate::servicenow::query::{Cursor, EncodedQuery, Slice, TimeLiterals};
use crate::servicenow::table_api::{self, TableRequests};

/// Rows that are looked at for hidden ones: access rules cost up to 50 ms a row (KB0564204).
const VISIBLE_ROW_SAMPLE: u32 = 100;
/// Rows in which one is looked for that can be read, when none of those can.
const READABLE_ROW_SAMPLE: u32 = 1000;
/// How far the poll reaches back that is measured.
const MEASURED_POLL_SECONDS: i64 = 3600;

/// Asks about one table.
pub(super) struct TableExaminer<'a, 'i> {
    pub(super) asker: &'a mut InstanceAsker<'i>,
    pub(super) path: &'a str,
    pub(super) table: &'a TableConfig,
    pub(super) literals: &'a TimeLiterals,
}

impl TableExaminer<'_, '_> {
    pub(super) fn examine(&mut self) -> Vec<Finding> {
        let subject = format!("table `{}`", self.table.name);
        let seen = match self.look() {
            Ok(seen) => seen,
            Err(words) => return vec![FindingArea::Instance.error(subject, &words)],
        };
        let mut findings = judge::table::rows(self.table, &seen);
        let failed = |finding: &Finding| finding.level == FindingLevel::Failure;
        if findings.iter().any(failed) {
            return findings;
        }
        if seen.total.is_none() {
            let refusal = self.refused_count();
            findings.push(judge::table::counts(self.table, refusal.as_deref()));
        }
        if seen.total != Some(0) {
            findings.push(match self.measure(seen.total) {
                Ok(poll) => judge::table::poll(self.table, &poll),
                Err(words) => {
                    FindingArea::Instance.worded(FindingLevel::Warning, subject.clone(), &words)
                }
            });
        }
        match self.compare_conditions() {
            Ok(more) => findings.extend(more),
            Err(why) => {
                let words = format!("the conditions of its query were not compared: {why}");
                findings.push(FindingArea::Instance.worded(FindingLevel::Warning, subject, &words));
            }
        }
        findings
    }

    /// Reads a row the way the source would, and the identifiers of some more.
    fn look(&mut self) -> Result<SeenRows, String> {
        let encoded = self.encoded(None);
        let get = TableRequests::new(self.path, self.table).list(&encoded.text, 1, true);
        let (rows, head) = self.asker.rows(&get)?;
        let mut seen = SeenRows {
            total: head.total_count,
            sample: 1,
            readable: u64::try_from(rows.len()).unwrap_or(0),
            columns: rows.first().map(names),
        };
        if seen.total.is_some_and(|total| total <= seen.readable) {
            return Ok(seen);
        }
        let mut narrow = self.table.clone();
        narrow.fields = vec![self.table.identifier_field.clone()];
        let narrow = TableRequests::new(self.path, &narrow);
        for sample in [VISIBLE_ROW_SAMPLE, READABLE_ROW_SAMPLE] {
            let (rows, _) = self
                .asker
                .rows(&narrow.list(&encoded.text, sample, false))?;
            seen.sample = u64::from(sample);
            seen.readable = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            let Some(row) = rows.first() else {
                continue;
            };
            if seen.columns.is_none() {
                seen.columns = self.columns_of(row.text(&self.table.identifier_field))?;
            }
            break;
        }
        Ok(seen)
    }

    /// The columns of one row, as the bridge asks for them.
    fn columns_of(&mut self, id: Option<&str>) -> Result<Option<Vec<String>>, String> {
        let id = id.unwrap_or_default();
        // An identifier that is no plain word would be a query of its own.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let query = format!("{}={id}", self.table.identifier_field);
        let get = TableRequests::new(self.path, self.table).list(&query, 1, false);
        let (rows, _) = self.asker.rows(&get)?;
        Ok(rows.first().map(names))
    }

    /// The query for all rows behind `after`.
    fn encoded(&self, after: Option<Cursor>) -> EncodedQuery {
        let slice = Slice {
            after,
            to: Timestamp::now().as_second() + 86_400,
            id_to: None,
        };
        table_api::query_columns(self.table).encode(&slice, self.literals)
    }

    /// Why the Aggregate API does not count; `None`: it does.
    fn refused_count(&mut self) -> Option<String> {
        let instance = &self.asker.instance;
        let encoded = self.encoded(None);
        let get = table_api::count(instance.stats_api_path(), &self.table.name, &encoded.text);
        match instance.client().get_result(&get, self.asker.stop) {
            Ok(answer) if answer.count().is_some() => None,
            Ok(_) => Some("its answer has no count".to_owned()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Measures a poll, and asks whether an index helps it.
    fn measure(&mut self, total: Option<u64>) -> Result<SeenPoll, String> {
        let any_row = table_api::one_row(self.path, &self.table.name);
        let (_, any_row) = self.asker.ask(&any_row)?;
        let after = Cursor {
            seconds: Timestamp::now().as_second() - MEASURED_POLL_SECONDS,
            id: None,
        };
        let encoded = self.encoded(Some(after));
        let mut narrow = self.table.clone();
        narrow.fields = vec![self.table.identifier_field.clone()];
        let get = TableRequests::new(self.path, &narrow).list(&encoded.text, 1, false);
        let (_, poll) = self.asker.ask(&get)?;
        let listed = self.listed_index();
        Ok(SeenPoll {
            total,
            poll: poll.received.saturating_duration_since(poll.sent),
            any_row: any_row.received.saturating_duration_since(any_row.sent),
            has_list: listed.is_some(),
            index: listed.flatten(),
        })
    }

    /// The table for which `sys_index` has an index that begins with the timestamp; the outer `None`: this
    /// user may not see the list. Its columns are those that ServiceNow's own script include
    /// `IndexCreator` writes.
    fn listed_index(&mut self) -> Option<Option<String>> {
        let client = self.asker.instance.client();
        let lineage = dictionary::lineage(client, self.path, &self.table.name, self.asker.stop);
        let is_name = |name: &String| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let lineage = lineage.ok().flatten();
        let mut names = lineage.unwrap_or_else(|| vec![self.table.name.clone()]);
        names.retain(is_name);
        let timestamp = &self.table.timestamp_field;
        let params = vec![
            (
                "sysparm_query",
                format!(
                    "logical_table_nameIN{}^col_name_stringSTARTSWITH{timestamp}",
                    names.join(",")
                ),
            ),
            (
                "sysparm_fields",
                "logical_table_name,col_name_string".to_owned(),
            ),
            ("sysparm_limit", "20".to_owned()),
        ];
        let get = table_api::look_up(self.path, "sys_index", params);
        let (rows, _) = self.asker.rows(&get).ok()?;
        let begins = |columns: &str| columns.split(',').next() == Some(timestamp.as_str());
        let owner = rows
            .iter()
            .find(|row| row.text("col_name_string").is_some_and(begins))
            .and_then(|row| row.text("logical_table_name"));
        Some(owner.map(str::to_owned))
    }

    /// Looks up the columns of the table's query, and counts the rows with and without each condition: an
    /// instance drops a condition that it does not understand, or answers without rows, and says nothing.
    fn compare_conditions(&mut self) -> Result<Vec<Finding>, String> {
        let Some(query) = self.table.query.as_deref() else {
            return Ok(Vec::new());
        };
        let subject = format!("table `{}`", self.table.name);
        let Some(terms) = QueryTerms::of(query) else {
            let words = "the conditions of its query cannot be compared";
            return Ok(vec![FindingArea::Instance.ok(subject, words)]);
        };
        let mut findings = Vec::new();
        let missing = self.missing_columns(&terms)?;
        let with = self.count(Some(query))?;
        for (term, rest) in terms.each_without() {
            let without = self.count(rest.as_deref())?;
            let unknown = term.columns().find(|column| missing.contains(column));
            let term = term.text();
            let seen = if with == without && without > 0 {
                format!(
                    "the condition `{term}` of its query narrows nothing: {with} rows with it and \
                     without it"
                )
            } else if with == 0 && without > 0 && unknown.is_some() {
                format!(
                    "the condition `{term}` of its query finds nothing: {without} rows without it"
                )
            } else {
                continue;
            };
            findings.push(match unknown {
                Some(column) => FindingArea::Instance.failure(
                    subject.clone(),
                    format!(
                        "{seen}; the table has no column `{column}` that the integration user may \
                         read"
                    ),
                    "correct the name, or give the integration user a read ACL on the column",
                ),
                None => FindingArea::Instance.warning(
                    subject.clone(),
                    seen,
                    "compare its operator and value with the list on the instance (Copy query): one \
                     that is not understood is dropped",
                ),
            });
        }
        Ok(findings)
    }

    /// The columns of a query that no row shows: they do not exist, or are hidden.
    fn missing_columns<'q>(&mut self, terms: &QueryTerms<'q>) -> Result<Vec<&'q str>, String> {
        let columns = terms.columns();
        let params = vec![
            ("sysparm_fields", columns.join(",")),
            ("sysparm_limit", "1".to_owned()),
        ];
        let get = table_api::look_up(self.path, &self.table.name, params);
        let (rows, _) = self.asker.rows(&get)?;
        Ok(match rows.first() {
            Some(row) => columns
                .into_iter()
                .filter(|column| !row.has(column))
                .collect(),
            None => Vec::new(),
        })
    }

    fn count(&mut self, query: Option<&str>) -> Result<u64, String> {
        count(self.asker, self.path, self.table, query)
    }
}

/// The rows of a table for which `query` holds, by the instance's count.
pub(super) fn count(
    asker: &mut InstanceAsker<'_>,
    path: &str,
    table: &TableConfig,
    query: Option<&str>,
) -> Result<u64, String> {
    let mut params = vec![
        ("sysparm_fields", table.identifier_field.clone()),
        ("sysparm_limit", "1".to_owned()),
    ];
    if let Some(query) = query {
        params.push(("sysparm_query", query.to_owned()));
    }
    let (_, head) = asker.ask(&table_api::look_up(path, &table.name, params))?;
    head.total_count
        .ok_or_else(|| "the instance does not count the rows of an answer".to_owned())
}

fn names(row: &AnswerRow) -> Vec<String> {
    row.names().map(str::to_owned).collect()
}
