//! A writer's schema, its names resolved.

use std::collections::HashMap;
use std::fmt;

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, RecordSchema, UuidSchema};
use serde_json::Value;

use super::super::model::{NAMESPACE, RAW};

/// Most digits behind the point of a decimal.
pub(super) const MAX_SCALE: usize = 100;

/// A type. Others are named by their places.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Null,
    Boolean,
    /// `int` too: the bytes are the same.
    Long,
    Float,
    Double,
    String,
    /// `bytes`, or `fixed` with its size.
    Bytes(Option<usize>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<Member>),
    Enum(Vec<String>),
    Decimal {
        size: Option<usize>,
        scale: usize,
    },
    BigDecimal,
    /// In 16 bytes, or in `fixed`.
    Uuid(Option<usize>),
    Date,
    /// Time of day, with its parts of a second.
    Time(i64),
    /// Time since 1970, with its parts of a second.
    Timestamp(i64),
    Duration,
    /// A type that stands elsewhere.
    Alias(usize),
}

/// A field of a record.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// The name of its column.
    pub(super) name: String,
    pub(super) node: usize,
    /// Whether it holds the texts that did not fit.
    pub(super) is_raw: bool,
}

/// A writer's schema. It is immutable: keep it by its id.
#[derive(Debug, Clone)]
pub struct WriterSchema {
    nodes: Vec<Node>,
    root: usize,
}

/// Why a schema cannot be used, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError(String);

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the writer's schema cannot be read: {}", self.0)
    }
}

impl std::error::Error for SchemaError {}

impl WriterSchema {
    /// Reads a schema as the registry gives it, and the ones that it refers to.
    ///
    /// # Errors
    /// It is not Avro, refers to something that is not there, or has a decimal with more than 100
    /// digits behind the point.
    pub fn parse(text: &str, references: &[&str]) -> Result<WriterSchema, SchemaError> {
        let (schema, others) = Schema::parse_str_with_list(text, references)
            .map_err(|error| SchemaError(error.to_string()))?;
        let mut plan = Plan::default();
        for other in &others {
            plan.add(other, None, false)?;
        }
        let root = plan.add(&schema, None, false)?;
        Ok(WriterSchema {
            nodes: plan.resolve()?,
            root,
        })
    }

    pub(super) fn root(&self) -> &Node {
        self.node(self.root)
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        // Every place was given out by `Plan::push`.
        self.nodes.get(at).unwrap_or(&Node::Null)
    }
}

#[derive(Debug, Default)]
struct Plan {
    nodes: Vec<Node>,
    names: HashMap<String, usize>,
    /// Places that stand for a type of that name.
    open: Vec<(usize, String)>,
}

impl Plan {
    fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Adds a type and what it consists of. A `long` may stand for `seconds`.
    fn add(
        &mut self,
        schema: &Schema,
        namespace: Option<&str>,
        seconds: bool,
    ) -> Result<usize, SchemaError> {
        let at = self.push(Node::Null);
        if let (Some(name), false) = (schema.name(), matches!(schema, Schema::Ref { .. })) {
            self.names.insert(name.fullname(namespace), at);
        }
        let node = match schema {
            Schema::Ref { name } => {
                self.open.push((at, name.fullname(namespace)));
                return Ok(at);
            }
            Schema::Array(array) => Node::Array(self.add(&array.items, namespace, false)?),
            Schema::Map(map) => Node::Map(self.add(&map.types, namespace, false)?),
            Schema::Union(union) => {
                let branches = union.variants().iter();
                let branches = branches.map(|branch| self.add(branch, namespace, seconds));
                Node::Union(branches.collect::<Result<_, _>>()?)
            }
            Schema::Record(record) => self.record(record, namespace)?,
            Schema::Decimal(decimal) => {
                let size = match &decimal.inner {
                    InnerDecimalSchema::Bytes => None,
                    InnerDecimalSchema::Fixed(fixed) => Some(fixed.size),
                };
                if decimal.scale > MAX_SCALE {
                    return Err(SchemaError("a decimal has too large a scale".to_owned()));
                }
                let scale = decimal.scale;
                Node::Decimal { size, scale }
            }
            Schema::Long if seconds => Node::Timestamp(1),
            other => scalar(other),
        };
        if let Some(place) = self.nodes.get_mut(at) {
            *place = node;
        }
        Ok(at)
    }

    fn record(
        &mut self,
        record: &RecordSchema,
        namespace: Option<&str>,
    ) -> Result<Node, SchemaError> {
        let name: &Name = &record.name;
        let namespace = name.namespace().or(namespace);
        let ours = namespace == Some(NAMESPACE);
        let members = record.fields.iter().map(|field| {
            let property = |name: &str| field.custom_attributes.get(name).and_then(Value::as_str);
            let seconds = property("servicenow.unit") == Some("seconds");
            Ok(Member {
                name: property("servicenow.name")
                    .unwrap_or(&field.name)
                    .to_owned(),
                node: self.add(&field.schema, namespace, seconds)?,
                is_raw: ours && field.name == RAW && is_nullable_map(&field.schema),
            })
        });
        Ok(Node::Record(members.collect::<Result<_, _>>()?))
    }

    /// The places, those that were named pointing where the names stand.
    fn resolve(mut self) -> Result<Vec<Node>, SchemaError> {
        for (at, name) in self.open {
            let Some(target) = self.names.get(&name) else {
                return Err(SchemaError(format!("it has no type `{name}`")));
            };
            if let Some(place) = self.nodes.get_mut(at) {
                *place = Node::Alias(*target);
            }
        }
        Ok(self.nodes)
    }
}

/// The form of [`RAW`].
fn is_nullable_map(schema: &Schema) -> bool {
    let Schema::Union(union) = schema else {
        return false;
    };
    matches!(union.variants(), [Schema::Null, Schema::Map(map)] if *map.types == Schema::String)
}

/// Types that consist of no others.
fn scalar(schema: &Schema) -> Node {
    match schema {
        Schema::Boolean => Node::Boolean,
        Schema::Int | Schema::Long => Node::Long,
        Schema::Float => Node::Float,
        Schema::Double => Node::Double,
        Schema::Bytes => Node::Bytes(None),
        Schema::String | Schema::Uuid(UuidSchema::String) => Node::String,
        Schema::Fixed(fixed) => Node::Bytes(Some(fixed.size)),
        Schema::Enum(symbols) => Node::Enum(symbols.symbols.clone()),
        Schema::BigDecimal => Node::BigDecimal,
        Schema::Uuid(UuidSchema::Bytes) => Node::Uuid(None),
        Schema::Uuid(UuidSchema::Fixed(fixed)) => Node::Uuid(Some(fixed.size)),
        Schema::Date => Node::Date,
        Schema::TimeMillis => Node::Time(1_000),
        Schema::TimeMicros => Node::Time(1_000_000),
        Schema::TimestampMillis | Schema::LocalTimestampMillis => Node::Timestamp(1_000),
        Schema::TimestampMicros | Schema::LocalTimestampMicros => Node::Timestamp(1_000_000),
        Schema::TimestampNanos | Schema::LocalTimestampNanos => Node::Timestamp(1_000_000_000),
        Schema::Duration(_) => Node::Duration,
        // The others are made where their parts are.
        Schema::Null
        | Schema::Array(_)
        | Schema::Map(_)
        | Schema::Union(_)
        | Schema::Record(_)
        | Schema::Decimal(_)
        | Schema::Ref { .. } => Node::Null,
    }
}
