//! A writer's schema, its names resolved.

mod build;
mod json;

use std::fmt;

use self::build::PlanBuilder;
use self::json::SchemaJson;

/// Most digits behind the point of a decimal.
pub(super) const MAX_DECIMAL_SCALE: usize = 100;
/// Largest text of a schema and those it refers to, together, in bytes; as much as a registry can
/// store of one where Kafka's largest record is not raised. At worst 26 times as much memory is
/// needed while it is read, and 18 times to keep it.
const MAX_SCHEMA_BYTES: usize = 1 << 20;

/// A type. Others are named by their places.
#[derive(Debug, Clone)]
pub(super) enum TypeNode {
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
    Record(Vec<PlanField>),
    Enum(Vec<String>),
    Decimal {
        size: Option<usize>,
        scale: usize,
    },
    BigDecimal,
    /// In `bytes`, if there are 16, or in `fixed`.
    Uuid(Option<usize>),
    Date,
    /// Time of day, with its parts of a second.
    Time(i64),
    /// Time since 1970, with its parts of a second.
    Timestamp(i64),
    Duration,
    /// A type that is used before it is defined.
    Alias(usize),
}

/// A field of a record.
#[derive(Debug, Clone)]
pub(super) struct PlanField {
    /// The name of its column.
    pub(super) name: String,
    pub(super) node: usize,
    /// Whether it holds the texts that did not fit.
    pub(super) is_raw: bool,
}

/// A writer's schema. It is immutable: keep it by its id.
#[derive(Debug, Clone)]
pub struct WriterSchema {
    nodes: Vec<TypeNode>,
    root: usize,
}

/// Why a schema cannot be used, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterSchemaError {
    /// Which of the schemas it refers to, and how many there are.
    reference: Option<(usize, usize)>,
    /// The field, and its record.
    field: Option<String>,
    why: String,
}

impl WriterSchemaError {
    fn new(why: impl Into<String>) -> WriterSchemaError {
        WriterSchemaError {
            reference: None,
            field: None,
            why: why.into(),
        }
    }
}

impl fmt::Display for WriterSchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the writer's schema cannot be read: ")?;
        if let Some((at, all)) = self.reference {
            write!(f, "schema {at} of the {all} it refers to: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "field {field}: ")?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for WriterSchemaError {}

impl WriterSchema {
    /// Reads a schema as the registry gives it, and the ones that it refers to.
    ///
    /// These come in the order of the list, and their names are known to all: a schema stands behind
    /// those it refers to itself. A name that is defined more than once means its first definition;
    /// where it is defined again, the record is read as it is defined there.
    ///
    /// Only what reading needs is judged. Defaults, aliases, documentation and the characters of a
    /// name are left alone: what a registry has taken is read. A logical type that is unknown or does
    /// not fit its type is ignored, as the specification says (Avro 1.12, "Logical Types").
    ///
    /// # Errors
    /// It is not Avro, uses a type that is not defined, has a decimal with more than 100 digits behind
    /// the point, is larger than 1 MiB with those it refers to, or has types that are nested in more
    /// than 512 objects and lists of JSON: 128 records in unions.
    pub fn parse(text: &str, references: &[&str]) -> Result<WriterSchema, WriterSchemaError> {
        let lengths = references.iter().map(|reference| reference.len());
        if MAX_SCHEMA_BYTES < lengths.fold(text.len(), usize::saturating_add) {
            let why = format!("with those it refers to it has more than {MAX_SCHEMA_BYTES} bytes");
            return Err(WriterSchemaError::new(why));
        }
        let within = |at: usize| {
            move |error| WriterSchemaError {
                reference: Some((at + 1, references.len())),
                ..error
            }
        };
        let others = references.iter().enumerate();
        let others: Vec<SchemaJson<'_>> = others
            .map(|(at, text)| SchemaJson::read(text).map_err(within(at)))
            .collect::<Result<_, _>>()?;
        let schema = SchemaJson::read(text)?;
        let mut builder = PlanBuilder::default();
        for (at, other) in others.iter().enumerate() {
            builder.add(other).map_err(within(at))?;
        }
        let root = builder.add(&schema)?;
        let nodes = builder.finish()?;
        Ok(WriterSchema { nodes, root })
    }

    pub(super) fn root(&self) -> &TypeNode {
        self.node(self.root)
    }

    pub(super) fn node(&self, at: usize) -> &TypeNode {
        // Every place was given out by the builder.
        self.nodes.get(at).unwrap_or(&TypeNode::Null)
    }
}

#[cfg(test)]
mod tests;
