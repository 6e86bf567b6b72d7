//! Binds a parsed query to a table: columns are found, literals are typed, unknown terms dropped.

use crate::clock::local_to_stamp;
use crate::options::{LiteralTz, Options, UnknownTerm};
use crate::query::evaluate::{Compare, Path, Term, Test};
use crate::query::script::{self, Session, Value};
use crate::query::{Condition, Operator, Query};
use crate::schema::{Kind, SYS_ID};
use crate::store::{Store, TableData};

/// A query that can be evaluated.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// Alternatives; each is a list of groups of which all must hold.
    pub(crate) branches: Vec<Vec<Vec<Term>>>,
    /// Sort keys; true sorts downwards.
    pub(crate) order: Vec<(Path, bool)>,
    /// An invalid term with the switch `returns_no_rows`.
    pub(crate) nothing: bool,
}

/// Why a query is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// 403 "Insufficient rights to query records" (sections 3.5 and 3.6).
    Forbidden {
        /// The error's detail.
        detail: Option<&'static str>,
    },
    /// 500: sort by a column that the table lacks (section 3.1, line 184).
    Sort {
        /// The column.
        field: String,
    },
}

/// What a query is compiled against.
pub(crate) struct Compiler<'a> {
    pub(crate) store: &'a Store,
    pub(crate) table: &'a TableData,
    pub(crate) options: &'a Options,
    pub(crate) session: &'a Session,
}

impl Compiler<'_> {
    /// Compiles a query.
    pub(crate) fn compile(&self, query: &Query) -> Result<Compiled, Refused> {
        let mut compiled = Compiled::default();
        for branch in &query.branches {
            let mut groups = Vec::new();
            for group in branch {
                let mut terms = Vec::new();
                for condition in group {
                    match self.condition(condition)? {
                        Some(term) => terms.push(term),
                        None => self.unknown(&mut compiled)?,
                    }
                }
                // A group that lost all its terms restricts nothing (section 3.5).
                if !terms.is_empty() {
                    groups.push(terms);
                }
            }
            compiled.branches.push(groups);
        }
        for order in &query.order {
            match self.path(&order.field)? {
                Some(path) => compiled.order.push((path, order.descending)),
                // Seen live on views and on tables without sys_updated_on (section 3.1).
                None if self.table.schema.view || order.field.starts_with("sys_") => {
                    return Err(Refused::Sort {
                        field: order.field.clone(),
                    });
                }
                None => self.unknown(&mut compiled)?,
            }
        }
        Ok(compiled)
    }

    fn unknown(&self, compiled: &mut Compiled) -> Result<(), Refused> {
        match self.options.unknown_term {
            UnknownTerm::Drop => Ok(()),
            UnknownTerm::NoRows => {
                compiled.nothing = true;
                Ok(())
            }
            UnknownTerm::Forbidden => Err(Refused::Forbidden { detail: None }),
        }
    }

    /// Resolves a column or a dot-walk; `None` when it does not exist.
    pub(crate) fn path(&self, field: &str) -> Result<Option<Path>, Refused> {
        let path = self.lookup(field);
        let unreadable = |at: usize| self.table.is_unreadable(at);
        if path.as_ref().is_some_and(|path| unreadable(path.first())) {
            // Query ACL: filter and sort need read access to the column (section 3.6).
            return Err(Refused::Forbidden {
                detail: Some("Field(s) present in the query do not have permission to be read"),
            });
        }
        Ok(path)
    }

    /// Resolves a column or a dot-walk without asking for access.
    pub(crate) fn lookup(&self, field: &str) -> Option<Path> {
        let mut steps = Vec::new();
        let mut schema = &self.table.schema;
        let mut names = field.split('.').peekable();
        while let Some(name) = names.next() {
            let at = schema.find(name)?;
            let column = schema.column(at)?;
            if names.peek().is_none() {
                return Some(Path {
                    steps,
                    column: at,
                    kind: column.kind,
                    reference: column.reference.clone(),
                });
            }
            let target = column.reference.clone()?;
            schema = &self.store.table(&target).ok()?.schema;
            steps.push((at, target));
        }
        None
    }

    fn condition(&self, condition: &Condition) -> Result<Option<Term>, Refused> {
        let Some(path) = self.path(&condition.field)? else {
            return Ok(None);
        };
        let Some(operator) = condition.operator else {
            return Ok(None);
        };
        let test = match self.field_test(operator, &condition.value)? {
            Some(test) => Some(test),
            None => self.value_test(&path, operator, &condition.value),
        };
        Ok(test.map(|test| Term { path, test }))
    }

    /// Operators that compare two columns.
    fn field_test(&self, operator: Operator, other: &str) -> Result<Option<Test>, Refused> {
        let compare = match operator {
            Operator::SameAs => Compare::Equal,
            Operator::NotSameAs => Compare::NotEqual,
            Operator::GreaterField => Compare::Greater,
            Operator::LessField => Compare::Less,
            Operator::GreaterOrEqualField => Compare::GreaterOrEqual,
            Operator::LessOrEqualField => Compare::LessOrEqual,
            _ => return Ok(None),
        };
        Ok(self.path(other)?.map(|path| Test::Field(compare, path)))
    }

    fn value_test(&self, path: &Path, operator: Operator, value: &str) -> Option<Test> {
        let compare = |compare| self.compare(path, compare, value);
        match operator {
            // `field=` means "is empty" (section 3.1, line 181).
            Operator::Equal if value.is_empty() => Some(Test::Empty(true)),
            Operator::NotEqual if value.is_empty() => Some(Test::Empty(false)),
            Operator::Equal => compare(Compare::Equal),
            Operator::NotEqual => compare(Compare::NotEqual),
            // A range operator without a value is malformed (section 3.1, line 181).
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual
                if value.is_empty() =>
            {
                None
            }
            Operator::Less => compare(Compare::Less),
            Operator::LessOrEqual => compare(Compare::LessOrEqual),
            Operator::Greater => compare(Compare::Greater),
            Operator::GreaterOrEqual => compare(Compare::GreaterOrEqual),
            Operator::Like => Some(Test::Contains(self.text(value)?, true)),
            Operator::NotLike => Some(Test::Contains(self.text(value)?, false)),
            Operator::StartsWith => Some(Test::Starts(self.text(value)?)),
            Operator::EndsWith => Some(Test::Ends(self.text(value)?)),
            Operator::In | Operator::NotIn => {
                // There is no escape for a comma (section 3.2).
                let list = value.split(',').map(|item| self.literal(path.kind, item));
                let list: Option<Vec<String>> = list.collect();
                Some(Test::In(list?, operator == Operator::In))
            }
            Operator::IsEmpty => Some(Test::Empty(true)),
            Operator::IsNotEmpty => Some(Test::Empty(false)),
            Operator::Anything => Some(Test::Anything),
            Operator::Between => {
                let (low, high) = value.split_once('@')?;
                self.between(path, low, high, true)
            }
            Operator::On | Operator::NotOn => {
                // `fONToday@start@end`: the first part is a label (section 3.1).
                let (low, high) = value.split_once('@')?.1.split_once('@')?;
                self.between(path, low, high, operator == Operator::On)
            }
            Operator::RelativeGreater => self.relative(path, Compare::Greater, value),
            Operator::RelativeGreaterOrEqual => self.relative(path, Compare::GreaterOrEqual, value),
            Operator::RelativeLess => self.relative(path, Compare::Less, value),
            Operator::RelativeLessOrEqual => self.relative(path, Compare::LessOrEqual, value),
            Operator::RelativeEqual => self.relative(path, Compare::Equal, value),
            Operator::InstanceOf => Some(Test::In(self.store.classes_of(value), true)),
            Operator::SameAs
            | Operator::NotSameAs
            | Operator::GreaterField
            | Operator::LessField
            | Operator::GreaterOrEqualField
            | Operator::LessOrEqualField => None,
        }
    }

    fn compare(&self, path: &Path, compare: Compare, value: &str) -> Option<Test> {
        let literal = self.literal(path.kind, value)?;
        match path.kind {
            Kind::Integer | Kind::Decimal => {
                Some(Test::Number(compare, literal.trim().parse().ok()?))
            }
            Kind::Boolean
            | Kind::Text
            | Kind::DateTime
            | Kind::Date
            | Kind::Reference
            | Kind::Journal => Some(Test::Text(compare, literal)),
        }
    }

    fn between(&self, path: &Path, low: &str, high: &str, inside: bool) -> Option<Test> {
        let low = self.compare(path, Compare::GreaterOrEqual, low)?;
        let high = self.compare(path, Compare::LessOrEqual, high)?;
        Some(Test::Between(Box::new(low), Box::new(high), inside))
    }

    fn relative(&self, path: &Path, compare: Compare, value: &str) -> Option<Test> {
        (path.kind == Kind::DateTime).then_some(())?;
        Some(Test::Text(
            compare,
            script::relative(value, self.session.now)?,
        ))
    }

    /// A value as text, for operators that look inside a text.
    fn text(&self, value: &str) -> Option<String> {
        match script::evaluate(value, self.session)? {
            Value::Literal(text) | Value::Text(text) | Value::Stamp(text) => Some(text),
        }
    }

    /// A value in the stored form of the column's type.
    fn literal(&self, kind: Kind, value: &str) -> Option<String> {
        let value = script::evaluate(value, self.session)?;
        match (kind, value) {
            // Which zone a plain literal is in is a conflict between sources (section 3.4).
            (Kind::DateTime, Value::Literal(text)) => match self.options.literal_tz {
                LiteralTz::Utc => local_to_stamp(&text, &jiff::tz::TimeZone::UTC),
                LiteralTz::User => local_to_stamp(&text, &self.session.zone),
            },
            (Kind::Date, Value::Stamp(stamp)) => script::local_date(&stamp, &self.session.zone),
            (Kind::Boolean, Value::Literal(text) | Value::Text(text)) => match text.as_str() {
                "true" | "1" => Some("true".to_owned()),
                "false" | "0" => Some("false".to_owned()),
                _ => None,
            },
            (_, Value::Literal(text) | Value::Text(text) | Value::Stamp(text)) => Some(text),
        }
    }
}

impl Path {
    /// The column of the queried table that the path begins with.
    pub(crate) fn first(&self) -> usize {
        self.steps.first().map_or(self.column, |(at, _)| *at)
    }

    /// Whether the path is this very column.
    pub(crate) fn is(&self, column: usize) -> bool {
        self.steps.is_empty() && self.column == column
    }

    /// Whether the value and what is shown for it are in the row itself.
    fn is_plain(&self) -> bool {
        self.steps.is_empty() && self.reference.is_none()
    }

    /// Whether the path is `sys_id`.
    pub(crate) fn is_sys_id(&self) -> bool {
        self.is(SYS_ID)
    }
}

impl Term {
    /// Whether the row alone decides about the term.
    pub(crate) fn is_plain(&self) -> bool {
        let other = match &self.test {
            Test::Field(_, other) => other.is_plain(),
            _ => true,
        };
        other && self.path.is_plain()
    }
}
