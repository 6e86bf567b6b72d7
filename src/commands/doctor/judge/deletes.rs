//! The instance's lists of deletes, as far as they are followed.

use std::time::Duration;

use crate::commands::doctor::finding::{Finding, FindingArea};
use crate::config::TableConfig;

/// `sys_audit` is not used where it takes longer, as the bridge measures with its first look.
const MAX_HISTORY_TIME: Duration = Duration::from_secs(5);

/// What was seen of a list.
#[derive(Debug, Clone)]
pub(in crate::commands::doctor) enum SeenList {
    /// It may be read, and has so many entries of the table.
    Readable {
        /// `None`: they are not counted.
        entries: Option<u64>,
        /// How long the answer took.
        took: Duration,
    },
    /// Its entries are counted, and none may be read.
    Hidden,
    /// It may not be asked.
    Refused(String),
}

/// What was seen for one table.
#[derive(Debug, Clone)]
pub(in crate::commands::doctor) struct SeenLists {
    /// `sys_audit_delete`.
    pub(in crate::commands::doctor) deletes: SeenList,
    /// `sys_audit`.
    pub(in crate::commands::doctor) history: SeenList,
    /// The table has the attribute `no_audit_delete`, so that `sys_audit_delete` does not list its deletes
    /// (ServiceNow documentation "Dictionary attributes").
    pub(in crate::commands::doctor) is_left_out: bool,
    /// `sys_db_object` may be read.
    pub(in crate::commands::doctor) shows_hierarchy: bool,
}

impl SeenList {
    fn words(&self, name: &str) -> String {
        match self {
            SeenList::Readable { entries, took } => {
                let entries =
                    entries.map_or_else(|| "entries".to_owned(), |n| format!("{n} entries"));
                format!("{name} may be read ({entries}, {} ms)", took.as_millis())
            }
            SeenList::Hidden => format!("{name} has entries, and none may be read"),
            SeenList::Refused(why) => format!("{name} may not be read ({why})"),
        }
    }

    fn is_readable(&self) -> bool {
        matches!(self, SeenList::Readable { .. })
    }
}

/// `tables`: those whose deletes are sent.
pub(in crate::commands::doctor) fn sent(tables: &[&str]) -> Finding {
    let seen = if tables.is_empty() {
        "none are sent, as `deletes` is none".to_owned()
    } else {
        format!("they are sent of {}", tables.join(", "))
    };
    FindingArea::Instance.ok("deletes", seen)
}

pub(in crate::commands::doctor) fn lists(table: &TableConfig, seen: &SeenLists) -> Finding {
    let subject = format!("deletes of `{}`", table.name);
    let is_slow =
        matches!(seen.history, SeenList::Readable { took, .. } if took > MAX_HISTORY_TIME);
    let has_history = seen.history.is_readable() && !is_slow;
    let has_deletes = seen.deletes.is_readable() && !seen.is_left_out;
    let mut words = vec![
        seen.deletes.words("sys_audit_delete"),
        seen.history.words("sys_audit"),
    ];
    if is_slow {
        words.push("sys_audit answers too slowly to be used".to_owned());
    }
    if seen.is_left_out {
        words.push(
            "the attribute no_audit_delete keeps its deletes out of sys_audit_delete".to_owned(),
        );
    }
    if !seen.shows_hierarchy {
        words.push("sys_db_object may not be read".to_owned());
    }
    let words = words.join(", ");
    if !has_deletes && !has_history {
        let cure = if seen.deletes.is_readable() {
            "take the attribute from the table's dictionary entry, give the integration user read access \
             to sys_audit, or set deletes: compare"
        } else {
            "give the integration user read ACLs on sys_audit_delete and sys_audit, or set deletes: \
             compare"
        };
        let words = format!("{words}: no delete is seen at once");
        return if table.deletes.compares() {
            FindingArea::Instance.warning(subject, words, cure)
        } else {
            FindingArea::Instance.failure(subject, words, cure)
        };
    }
    if !seen.shows_hierarchy {
        let cure = "give the integration user read access to sys_db_object: without it deletes from tables \
                    that extend this one are not seen, and a row whose class was changed counts as deleted";
        return FindingArea::Instance.warning(subject, words, cure);
    }
    FindingArea::Instance.ok(subject, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::FindingLevel::{self, Failure, Ok, Warning};
    use crate::config::DeleteDetection;

    fn table(detection: DeleteDetection) -> TableConfig {
        let text = "servicenow:\n  base_url: https://a.service-now.com\n  auth:\n    type: basic\n    \
                    basic: {username: a, password: b}\nkafka:\n  brokers: [localhost:9]\nsource:\n  \
                    enabled: true\n  topic_prefix: x\n  tables:\n    - name: incident\n";
        let (config, _) = crate::config::parse(text, &|_| None).unwrap();
        let mut table = config.source.tables.into_iter().next().unwrap();
        table.deletes.detection = detection;
        table
    }

    fn readable(seconds: u64) -> SeenList {
        SeenList::Readable {
            entries: Some(3),
            took: Duration::from_secs(seconds),
        }
    }

    fn refused() -> SeenList {
        SeenList::Refused("403".to_owned())
    }

    #[test]
    fn one_list_is_enough_and_none_is_told() {
        let all = SeenLists {
            deletes: readable(0),
            history: readable(0),
            is_left_out: false,
            shows_hierarchy: true,
        };
        let of = |deletes, history, is_left_out| SeenLists {
            deletes,
            history,
            is_left_out,
            ..all.clone()
        };
        let blind = SeenLists {
            shows_hierarchy: false,
            ..all.clone()
        };
        let cases: [(SeenLists, FindingLevel, &str); 7] = [
            (all.clone(), Ok, "3 entries"),
            (
                of(readable(0), refused(), false),
                Ok,
                "sys_audit may not be read",
            ),
            (
                of(SeenList::Hidden, readable(0), false),
                Ok,
                "none may be read",
            ),
            (of(SeenList::Hidden, refused(), false), Failure, "at once"),
            (of(refused(), readable(6), false), Failure, "too slowly"),
            (of(readable(0), refused(), true), Failure, "no_audit_delete"),
            (blind, Warning, "sys_db_object"),
        ];
        let audit = table(DeleteDetection::Audit);
        for (seen, level, word) in cases {
            let finding = lists(&audit, &seen);
            assert_eq!(finding.level, level, "{finding:?}");
            assert!(finding.seen.contains(word), "{finding:?}");
            assert_eq!(finding.cure.is_some(), level != Ok, "{finding:?}");
        }
        let finding = lists(
            &table(DeleteDetection::All),
            &of(refused(), refused(), false),
        );
        assert_eq!(finding.level, Warning, "the comparison finds them");
    }
}
