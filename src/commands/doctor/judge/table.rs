//! One table that is read: rows, columns, how fast it is found what changed.

use std::time::Duration;

use crate::commands::doctor::finding::{Finding, FindingArea};
use crate::config::TableConfig;

/// A poll that takes longer is slow, if the way to the instance is not (KB0564204: below 500 ms).
const SLOW_POLL: Duration = Duration::from_secs(1);
/// How many times longer than a request without an order it is then.
const SLOW_POLL_FACTOR: u32 = 3;
/// A table of more rows needs an index, however fast one poll was.
const ROWS_THAT_NEED_AN_INDEX: u64 = 1_000_000;

/// The rows of a table as far as they were looked at.
#[derive(Debug, Clone, Default)]
pub(in crate::commands::doctor) struct SeenRows {
    /// Rows of the table by the instance's count, hidden ones included; `None`: it does not count.
    pub(in crate::commands::doctor) total: Option<u64>,
    /// How many of the oldest rows were asked for, and how many of these can be read.
    pub(in crate::commands::doctor) sample: u64,
    pub(in crate::commands::doctor) readable: u64,
    /// The columns of a row that can be read, as the bridge asks for it; `None`: there is none.
    pub(in crate::commands::doctor) columns: Option<Vec<String>>,
}

pub(in crate::commands::doctor) fn rows(table: &TableConfig, seen: &SeenRows) -> Vec<Finding> {
    let subject = subject(table);
    let counted = match seen.total {
        Some(total) => format!("{total} rows"),
        None => "rows not counted".to_owned(),
    };
    let Some(columns) = &seen.columns else {
        if seen.total.is_none_or(|total| total == 0) {
            return vec![FindingArea::Instance.ok(subject, format!("{counted}, none read"))];
        }
        let cure = "give the integration user read access: a read ACL on the table that lets its rows \
                    through";
        return vec![FindingArea::Instance.failure(
            subject,
            format!("{counted}, none readable"),
            cure,
        )];
    };
    let cursor = [&table.timestamp_field, &table.identifier_field];
    if let Some(column) = cursor.into_iter().find(|name| !columns.contains(name)) {
        let cure = format!(
            "give the integration user a read ACL on it, or set timestamp_field and \
             identifier_field of `{}` to columns that it has",
            table.name
        );
        let words = format!("the integration user may not read column `{column}`");
        return vec![FindingArea::Instance.failure(subject, words, cure)];
    }
    let mut findings = vec![visible(subject.clone(), &counted, seen)];
    let missing: Vec<&str> = table
        .fields
        .iter()
        .filter(|field| !columns.contains(field))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let words = format!(
            "`fields` names columns that no row shows: {}",
            missing.join(", ")
        );
        let cure = "correct their names, or give the integration user read ACLs on them; records lack \
                    them until then";
        findings.push(FindingArea::Instance.warning(subject, words, cure));
    }
    findings
}

fn visible(subject: String, counted: &str, seen: &SeenRows) -> Finding {
    let sample = seen
        .total
        .map_or(seen.sample, |total| total.min(seen.sample));
    let words = format!(
        "{counted}, {} of the first {sample} readable",
        seen.readable
    );
    if seen.readable < sample {
        let cure = "give the integration user a read ACL that lets all rows through, unless the others \
                    are hidden from it on purpose";
        return FindingArea::Instance.warning(subject, words, cure);
    }
    FindingArea::Instance.ok(subject, words)
}

/// Of a table whose pages carry no count: whether the Aggregate API counts its rows. `refusal`: why not.
pub(in crate::commands::doctor) fn counts(table: &TableConfig, refusal: Option<&str>) -> Finding {
    let (seen, cure) = match refusal {
        None => (
            "answers carry no X-Total-Count; the Aggregate API counts, at a request more for a page"
                .to_owned(),
            "let the header through at the gateway before the instance",
        ),
        Some(why) => (
            format!(
                "nothing counts its rows: answers carry no X-Total-Count, and of the Aggregate API: \
                 {why}; the table ends at an empty page then, and hidden rows are not known"
            ),
            "let both through at the gateway before the instance; servicenow.stats_api_path says where it \
             has the Aggregate API, servicenow.headers what it wants with each request",
        ),
    };
    FindingArea::Instance.warning(subject(table), seen, cure)
}

/// What is known of how fast the instance finds the rows that changed.
#[derive(Debug, Clone)]
pub(in crate::commands::doctor) struct SeenPoll {
    pub(in crate::commands::doctor) total: Option<u64>,
    /// The time of one poll for the last hour.
    pub(in crate::commands::doctor) poll: Duration,
    /// The time of a request for any one row.
    pub(in crate::commands::doctor) any_row: Duration,
    /// The table, of it and those that it extends, for which the instance lists an index that begins
    /// with the timestamp; `None`: none is listed.
    pub(in crate::commands::doctor) index: Option<String>,
    /// Whether the integration user may read the list of indexes.
    pub(in crate::commands::doctor) has_list: bool,
}

pub(in crate::commands::doctor) fn poll(table: &TableConfig, seen: &SeenPoll) -> Finding {
    let column = &table.timestamp_field;
    let index = match &seen.index {
        Some(owner) if *owner == table.name => format!("an index on {column} is listed"),
        Some(owner) => format!("an index on {column} is listed for `{owner}`, which it extends"),
        None if seen.has_list => format!("no index on {column} is listed"),
        None => "indexes may not be read by this user".to_owned(),
    };
    let words = format!("a poll takes {} ms; {index}", seen.poll.as_millis());
    let subject = subject(table);
    let is_slow = seen.poll >= SLOW_POLL && seen.poll >= seen.any_row * SLOW_POLL_FACTOR;
    let is_large = seen
        .total
        .is_some_and(|total| total >= ROWS_THAT_NEED_AN_INDEX);
    if is_slow || (is_large && seen.has_list && seen.index.is_none()) {
        let cure = format!(
            "let an administrator create an index on {column}, {} of the table (System Definition, \
             Tables, Database Indexes): each poll reads the whole table without one",
            table.identifier_field
        );
        return FindingArea::Instance.warning(subject, words, cure);
    }
    FindingArea::Instance.ok(subject, words)
}

fn subject(table: &TableConfig) -> String {
    format!("table `{}`", table.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::FindingLevel::{Failure, Ok, Warning};

    fn table() -> TableConfig {
        let text = "servicenow:\n  base_url: https://a.service-now.com\n  auth:\n    type: basic\n    \
                    basic: {username: a, password: b}\nkafka:\n  brokers: [localhost:9]\nsource:\n  \
                    enabled: true\n  topic_prefix: x\n  tables:\n    - name: incident\n      \
                    fields: [number, state]\n";
        let (config, _) = crate::config::parse(text, &|_| None).unwrap();
        config.source.tables.into_iter().next().unwrap()
    }

    fn seen(total: u64, readable: u64, columns: Option<&[&str]>) -> SeenRows {
        SeenRows {
            total: Some(total),
            sample: 100,
            readable,
            columns: columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        }
    }

    #[test]
    fn rows_and_columns() {
        let all = ["number", "state", "sys_id", "sys_updated_on"];
        let levels = |seen: &SeenRows| {
            let findings = rows(&table(), seen).into_iter();
            findings.map(|finding| finding.level).collect::<Vec<_>>()
        };
        assert_eq!(levels(&seen(10, 10, Some(&all))), [Ok]);
        assert_eq!(levels(&seen(1000, 100, Some(&all))), [Ok]);
        assert_eq!(levels(&seen(1000, 99, Some(&all))), [Warning]);
        assert_eq!(levels(&seen(0, 0, None)), [Ok]);
        assert_eq!(levels(&seen(10, 0, None)), [Failure]);
        assert_eq!(levels(&seen(10, 10, Some(&all[1..]))), [Ok, Warning]);
        assert_eq!(levels(&seen(10, 10, Some(&all[..3]))), [Failure]);
    }

    #[test]
    fn a_poll_is_slow_by_itself_or_without_an_index() {
        let ms = Duration::from_millis;
        let quick = SeenPoll {
            total: Some(10),
            poll: ms(40),
            any_row: ms(30),
            index: None,
            has_list: true,
        };
        let level = |seen: &SeenPoll| poll(&table(), seen).level;
        assert_eq!(level(&quick), Ok);
        let slow = SeenPoll {
            poll: ms(1500),
            ..quick.clone()
        };
        assert_eq!(level(&slow), Warning);
        // The way is what is slow.
        let far = SeenPoll {
            any_row: ms(800),
            ..slow
        };
        assert_eq!(level(&far), Ok);
        let large = SeenPoll {
            total: Some(2_000_000),
            ..quick
        };
        assert_eq!(level(&large), Warning);
        let indexed = SeenPoll {
            index: Some("task".to_owned()),
            ..large
        };
        assert_eq!(level(&indexed), Ok);
    }
}
