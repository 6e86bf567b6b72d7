//! Rules that refuse writes: business rules, data policies, access rules, broken scripts.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::generator::random_sys_id;
use crate::row::{RowView, Stored};
use crate::store::Store;
use crate::writes::Operation;

/// Why an instance refuses a write (section 2.6, checklist 30).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 403: a business rule called `setAbortAction`.
    BusinessRule {
        /// Name of the rule.
        name: String,
        /// `sys_id` of the rule, part of the message.
        sys_id: String,
    },
    /// 403: a data policy found mandatory fields empty.
    DataPolicy {
        /// Labels of the fields, as the message lists them.
        fields: Vec<String>,
    },
    /// 403: a record ACL.
    Acl,
    /// 500: a script threw.
    ScriptError {
        /// Text of the exception.
        message: String,
    },
}

impl Refusal {
    /// A business rule with a random `sys_id`.
    pub fn business_rule(name: &str) -> Refusal {
        Refusal::BusinessRule {
            name: name.to_owned(),
            sys_id: random_sys_id(),
        }
    }

    /// A data policy that misses these fields, by label.
    pub fn data_policy(labels: &[&str]) -> Refusal {
        Refusal::DataPolicy {
            fields: labels.iter().map(|label| (*label).to_owned()).collect(),
        }
    }

    /// A script that throws `message`.
    pub fn script_error(message: &str) -> Refusal {
        Refusal::ScriptError {
            message: message.to_owned(),
        }
    }
}

/// Decides about one write by the row that it would leave, or that it would delete.
pub(crate) type WriteGuard = Arc<dyn Fn(Operation, RowView<'_>) -> bool + Send + Sync>;

/// A refusal, and the writes that it is for.
#[derive(Clone)]
pub(crate) struct RefusalRule {
    pub(crate) refusal: Refusal,
    pub(crate) when: WriteGuard,
}

impl fmt::Debug for RefusalRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusalRule")
            .field("refusal", &self.refusal)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Refuses the writes to a table and its classes for which the rule is true.
    pub(crate) fn refuse(&mut self, table: &str, rule: RefusalRule) -> Result<(), Error> {
        self.table_mut(table)?.refusals.push(rule);
        Ok(())
    }

    /// Takes all refusals of a table back.
    pub(crate) fn accept(&mut self, table: &str) -> Result<(), Error> {
        self.table_mut(table)?.refusals.clear();
        Ok(())
    }

    /// The refusal that a write meets; rules of a parent table are for its classes, too.
    pub(super) fn refusal(&self, operation: Operation, row: &Stored) -> Option<Refusal> {
        let tables = row
            .class
            .chain
            .iter()
            .filter_map(|name| self.tables.get(name));
        tables
            .flat_map(|data| &data.refusals)
            .find(|rule| (rule.when)(operation, RowView(row)))
            .map(|rule| rule.refusal.clone())
    }
}
