//! Sums, averages and extremes of the rows of one group.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::http::Request;
use crate::row::Stored;
use crate::schema::{Kind, Schema};

/// Names in a list with commas.
pub(super) fn list(text: Option<&str>) -> impl Iterator<Item = &str> {
    let items = text.unwrap_or_default().split(',');
    items.map(str::trim).filter(|name| !name.is_empty())
}

/// An aggregate function of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Min,
    Max,
    Avg,
    Sum,
}

impl Function {
    const ALL: [Function; 4] = [Function::Min, Function::Max, Function::Avg, Function::Sum];

    /// Key in the answer, and in the names of parameters.
    fn name(self) -> &'static str {
        match self {
            Function::Min => "min",
            Function::Max => "max",
            Function::Avg => "avg",
            Function::Sum => "sum",
        }
    }
}

/// A column over which something is aggregated.
#[derive(Debug)]
struct Target {
    field: String,
    at: usize,
    kind: Kind,
}

/// What a condition of `sysparm_having` is about.
#[derive(Debug)]
enum Subject {
    Count,
    Of(Function, usize),
}

/// One condition of `sysparm_having`.
#[derive(Debug)]
struct Having {
    subject: Subject,
    holds: fn(Ordering) -> bool,
    value: f64,
}

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    count: bool,
    columns: Vec<Target>,
    /// Functions to answer, each with the place of its column in `columns`.
    functions: Vec<(Function, usize)>,
    having: Vec<Having>,
}

impl Wanted {
    /// Reads the parameters; fields that the table lacks are left out.
    pub(super) fn of(request: &Request, schema: &Schema) -> Wanted {
        let mut wanted = Wanted {
            count: request.flag("sysparm_count"),
            columns: Vec::new(),
            functions: Vec::new(),
            having: Vec::new(),
        };
        for function in Function::ALL {
            let name = format!("sysparm_{}_fields", function.name());
            for field in list(request.param(&name)) {
                let column = wanted.column(schema, field);
                wanted
                    .functions
                    .extend(column.map(|column| (function, column)));
            }
        }
        for text in list(request.param("sysparm_having")) {
            let having = wanted.having(schema, text);
            wanted.having.extend(having);
        }
        wanted
    }

    /// Whether nothing but the number of rows is asked for.
    pub(super) fn is_count_only(&self) -> bool {
        self.functions.is_empty()
    }

    /// Place of a column in `columns`.
    fn column(&mut self, schema: &Schema, field: &str) -> Option<usize> {
        let known = self.columns.iter().position(|target| target.field == field);
        if known.is_some() {
            return known;
        }
        let at = schema.find(field)?;
        let kind = schema.column(at)?.kind;
        self.columns.push(Target {
            field: field.to_owned(),
            at,
            kind,
        });
        self.columns.len().checked_sub(1)
    }

    /// `aggregate^field^operator^value`: a field is needed even for a count (capture.md section 2).
    /// What is malformed is dropped, as in a query.
    fn having(&mut self, schema: &Schema, text: &str) -> Option<Having> {
        let mut parts = text.split('^');
        let (name, field) = (parts.next()?, parts.next()?);
        let (operator, value) = (parts.next()?, parts.next()?);
        let subject = if name.eq_ignore_ascii_case("count") {
            schema.find(field)?;
            Subject::Count
        } else {
            let is = |function: &Function| name.eq_ignore_ascii_case(function.name());
            let function = Function::ALL.into_iter().find(is)?;
            Subject::Of(function, self.column(schema, field)?)
        };
        let holds: fn(Ordering) -> bool = match operator {
            "=" => Ordering::is_eq,
            "!=" => Ordering::is_ne,
            ">" => Ordering::is_gt,
            ">=" => Ordering::is_ge,
            "<" => Ordering::is_lt,
            "<=" => Ordering::is_le,
            _ => return None,
        };
        Some(Having {
            subject,
            holds,
            value: value.trim().parse().ok()?,
        })
    }
}

/// The rows of one group.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) rows: usize,
    columns: Vec<Column>,
}

/// The values of one column; empty ones are NULL and count for nothing.
#[derive(Debug, Default)]
struct Column {
    values: u64,
    whole: i128,
    decimal: f64,
    least: Option<Arc<Extreme>>,
    most: Option<Arc<Extreme>>,
}

/// A value and its number, by which columns of numbers are compared.
#[derive(Debug)]
struct Extreme {
    text: String,
    number: f64,
}

impl Tally {
    pub(super) fn new(wanted: &Wanted) -> Tally {
        Tally {
            rows: 0,
            columns: wanted.columns.iter().map(|_| Column::default()).collect(),
        }
    }

    /// Counts one row in.
    pub(super) fn add(&mut self, wanted: &Wanted, row: &Stored) {
        self.rows += 1;
        for (column, target) in self.columns.iter_mut().zip(&wanted.columns) {
            column.add(target.kind, row.value(target.at));
        }
    }

    /// Whether the group satisfies `sysparm_having`.
    pub(super) fn passes(&self, wanted: &Wanted) -> bool {
        wanted.having.iter().all(|having| {
            let number = match having.subject {
                Subject::Count => Some(self.rows as f64),
                Subject::Of(function, column) => self.value(wanted, function, column).parse().ok(),
            };
            let order = number.and_then(|number: f64| number.partial_cmp(&having.value));
            order.is_some_and(having.holds)
        })
    }

    /// The `stats` of an answer; every value is a string (capture.md section 2).
    pub(super) fn stats(&self, wanted: &Wanted) -> Value {
        let mut stats = Map::new();
        if wanted.count {
            stats.insert("count".to_owned(), self.rows.to_string().into());
        }
        for function in Function::ALL {
            let asked = wanted.functions.iter().filter(|(it, _)| *it == function);
            let mut fields = Map::new();
            for (_, column) in asked {
                let field = wanted.columns.get(*column).map(|it| it.field.clone());
                let value = self.value(wanted, function, *column);
                fields.insert(field.unwrap_or_default(), value.into());
            }
            if !fields.is_empty() {
                stats.insert(function.name().to_owned(), Value::Object(fields));
            }
        }
        Value::Object(stats)
    }

    /// An aggregate as text; empty when no row has a value.
    fn value(&self, wanted: &Wanted, function: Function, column: usize) -> String {
        let (Some(column), Some(target)) = (self.columns.get(column), wanted.columns.get(column))
        else {
            return String::new();
        };
        let text = |extreme: &Option<Arc<Extreme>>| {
            let text = extreme.as_ref().map(|extreme| extreme.text.clone());
            text.unwrap_or_default()
        };
        match function {
            Function::Min => text(&column.least),
            Function::Max => text(&column.most),
            Function::Avg | Function::Sum if column.values == 0 => String::new(),
            Function::Avg => format!("{:.4}", column.sum() / column.values as f64),
            Function::Sum if target.kind == Kind::Decimal => column.decimal.to_string(),
            Function::Sum => column.whole.to_string(),
        }
    }
}

impl Column {
    fn add(&mut self, kind: Kind, value: Cow<'_, str>) {
        if value.is_empty() {
            return;
        }
        self.values += 1;
        let number = match kind {
            Kind::Integer => {
                let whole = value.parse::<i64>().unwrap_or_default();
                self.whole += i128::from(whole);
                whole as f64
            }
            Kind::Decimal => {
                let decimal = value.parse().unwrap_or_default();
                self.decimal += decimal;
                decimal
            }
            // Stamps and ids sort as text; the sum of texts is zero.
            _ => 0.0,
        };
        let order = |known: &Extreme| {
            let numbers = number.total_cmp(&known.number);
            match kind {
                Kind::Integer | Kind::Decimal => numbers,
                _ => value.as_ref().cmp(known.text.as_str()),
            }
        };
        let below = self.least.as_deref().is_none_or(|it| order(it).is_lt());
        let above = self.most.as_deref().is_none_or(|it| order(it).is_gt());
        if below || above {
            let text = value.into_owned();
            let extreme = Arc::new(Extreme { text, number });
            if below {
                self.least = Some(Arc::clone(&extreme));
            }
            if above {
                self.most = Some(extreme);
            }
        }
    }

    fn sum(&self) -> f64 {
        self.whole as f64 + self.decimal
    }
}
