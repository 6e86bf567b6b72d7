//! Decides whether a row satisfies a compiled query, and sorts rows.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::index::compare_text;
use crate::options::Options;
use crate::query::compile::Compiled;
use crate::row::Stored;
use crate::schema::Kind;
use crate::store::Store;

/// A column, reached by following references (`caller_id.name`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// Reference columns to follow, each with the table it leads to.
    pub(crate) steps: Vec<(usize, String)>,
    /// The column itself.
    pub(crate) column: usize,
    /// Its type.
    pub(crate) kind: Kind,
    /// Table that it refers to.
    pub(crate) reference: Option<String>,
}

/// A condition on a column.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    pub(crate) path: Path,
    pub(crate) test: Test,
}

/// Comparison of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Compare {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Compare::Equal => order == Ordering::Equal,
            Compare::NotEqual => order != Ordering::Equal,
            Compare::Less => order == Ordering::Less,
            Compare::LessOrEqual => order != Ordering::Greater,
            Compare::Greater => order == Ordering::Greater,
            Compare::GreaterOrEqual => order != Ordering::Less,
        }
    }
}

/// What a condition asks of a value.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    /// Empty, or not.
    Empty(bool),
    /// Always true.
    Anything,
    /// Compare as text; dates and stamps sort as text, too.
    Text(Compare, String),
    /// Compare as numbers.
    Number(Compare, f64),
    /// Contains the text, or not.
    Contains(String, bool),
    /// Begins with the text.
    Starts(String),
    /// Ends with the text.
    Ends(String),
    /// Is one of the values, or none of them.
    In(Vec<String>, bool),
    /// Inside or outside of two bounds.
    Between(Box<Test>, Box<Test>, bool),
    /// Compare with another column of the row.
    Field(Compare, Path),
}

/// Evaluates queries over one store.
#[derive(Clone, Copy)]
pub(crate) struct Evaluator<'a> {
    pub(crate) store: &'a Store,
    pub(crate) options: &'a Options,
}

impl<'a> Evaluator<'a> {
    /// Whether a row satisfies the query.
    pub(crate) fn matches(&self, query: &Compiled, row: &Stored) -> bool {
        let mut branches = query.branches.iter();
        !query.nothing && branches.any(|groups| self.all(groups.iter().map(Vec::as_slice), row))
    }

    /// Whether every group has a condition that holds.
    pub(crate) fn all<'t>(
        &self,
        mut groups: impl Iterator<Item = &'t [Term]>,
        row: &Stored,
    ) -> bool {
        groups.all(|group| group.iter().any(|term| self.term(term, row)))
    }

    fn term(&self, term: &Term, row: &Stored) -> bool {
        if term.path.steps.is_empty() {
            let value = row.value(term.path.column);
            return self.test(&term.test, &term.path, &value, row);
        }
        let value = self.value(&term.path, row);
        self.test(&term.test, &term.path, &value, row)
    }

    /// The stored value at the end of a path; empty when a reference leads nowhere.
    pub(crate) fn value<'r>(&self, path: &Path, row: &'r Stored) -> Cow<'r, str>
    where
        'a: 'r,
    {
        if path.steps.is_empty() {
            return row.value(path.column);
        }
        let mut current: Option<Arc<Stored>> = None;
        for (column, table) in &path.steps {
            let id = current
                .as_deref()
                .unwrap_or(row)
                .value(*column)
                .into_owned();
            let next = self
                .store
                .table(table)
                .ok()
                .and_then(|table| table.find(&id).cloned());
            match next {
                Some(next) => current = Some(next),
                None => return Cow::Borrowed(""),
            }
        }
        match current {
            Some(last) => Cow::Owned(last.value(path.column).into_owned()),
            None => Cow::Borrowed(""),
        }
    }

    /// The display value of the row that a reference points to.
    pub(crate) fn reference_name(&self, table: &str, id: &str) -> Option<String> {
        let row = self.store.table(table).ok()?.find(id)?;
        Some(row.value(row.class.display).into_owned())
    }

    fn test(&self, test: &Test, path: &Path, value: &str, row: &Stored) -> bool {
        let empty = value.is_empty();
        let fold = self.options.case_insensitive;
        match test {
            Test::Empty(wanted) => empty == *wanted,
            Test::Anything => true,
            // NULL compares to nothing, except that `!=` is a switch (section 3.1, line 183).
            Test::Text(Compare::NotEqual, _) | Test::Number(Compare::NotEqual, _) if empty => {
                self.options.not_equal_matches_empty
            }
            Test::Text(..) | Test::Number(..) if empty => false,
            Test::Text(compare, other) => compare.holds(compare_text(value, other, fold)),
            Test::Number(compare, other) => {
                let number = value.trim().parse::<f64>().ok();
                number
                    .and_then(|it| it.partial_cmp(other))
                    .is_some_and(|it| compare.holds(it))
            }
            Test::Contains(part, wanted) => {
                if empty {
                    return !wanted && self.options.not_equal_matches_empty;
                }
                let text = self.shown(path, value);
                let found = if fold {
                    let (text, part) = (text.to_ascii_lowercase(), part.to_ascii_lowercase());
                    memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some()
                } else {
                    memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some()
                };
                found == *wanted
            }
            Test::Starts(part) => {
                let text = self.shown(path, value);
                text.get(..part.len())
                    .is_some_and(|head| compare_text(head, part, fold).is_eq())
            }
            Test::Ends(part) => {
                let text = self.shown(path, value);
                let at = text.len().checked_sub(part.len());
                at.and_then(|at| text.get(at..))
                    .is_some_and(|t| compare_text(t, part, fold).is_eq())
            }
            Test::In(list, wanted) => {
                if empty && !wanted {
                    return self.options.not_equal_matches_empty;
                }
                list.iter()
                    .any(|item| compare_text(item, value, fold).is_eq())
                    == *wanted
            }
            Test::Between(low, high, inside) => {
                !empty
                    && (self.test(low, path, value, row) && self.test(high, path, value, row))
                        == *inside
            }
            Test::Field(compare, other) => {
                let other = self.value(other, row);
                match (compare, empty, other.is_empty()) {
                    (Compare::Equal, true, true) => true,
                    (Compare::NotEqual, a, b) if a != b => true,
                    (_, true, _) | (_, _, true) => false,
                    _ => compare.holds(compare_values(path.kind, value, &other, fold)),
                }
            }
        }
    }

    /// `LIKE` and `STARTSWITH` on a reference look at the display value (section 3.1, line 185).
    fn shown<'v>(&self, path: &Path, value: &'v str) -> Cow<'v, str> {
        match &path.reference {
            Some(table) => self.reference_name(table, value).unwrap_or_default().into(),
            None => value.into(),
        }
    }

    /// Sorts rows by the query's keys; equal rows keep their order.
    pub(crate) fn sort(&self, query: &Compiled, rows: &mut [Arc<Stored>]) {
        let fold = self.options.case_insensitive;
        rows.sort_by(|a, b| {
            for (path, descending) in &query.order {
                let (x, y) = (self.value(path, a), self.value(path, b));
                let order = compare_values(path.kind, &x, &y, fold);
                let order = if *descending { order.reverse() } else { order };
                if order != Ordering::Equal {
                    return order;
                }
            }
            Ordering::Equal
        });
    }
}

/// Compares two stored values by type; empty sorts first.
fn compare_values(kind: Kind, a: &str, b: &str, insensitive: bool) -> Ordering {
    match kind {
        Kind::Integer | Kind::Decimal => {
            let number = |text: &str| text.trim().parse::<f64>().unwrap_or(f64::NEG_INFINITY);
            number(a).total_cmp(&number(b))
        }
        Kind::Text
        | Kind::Boolean
        | Kind::DateTime
        | Kind::Date
        | Kind::Reference
        | Kind::Journal => compare_text(a, b, insensitive),
    }
}
