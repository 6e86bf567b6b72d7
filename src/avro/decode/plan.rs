//! A writer's schema, read from the registry's text into a list of types in which every name is
//! resolved.

mod build;
mod error;
mod json;
mod node;

pub use self::error::WriterSchemaError;
pub(super) use self::node::{MAX_DECIMAL_SCALE, PlanField, TypeNode};

use self::build::PlanBuilder;
use self::json::SchemaJson;

/// Largest text of a schema and of those it refers to, together, in bytes; as much as a registry can
/// store of one schema unless Kafka's largest record is raised. At worst, reading it needs 26 times as
/// much memory, and keeping it 18 times.
const MAX_SCHEMA_BYTES: usize = 1 << 20;

/// A writer's schema. It is immutable, so it can be kept by its id.
#[derive(Debug, Clone)]
pub struct WriterSchema {
    nodes: Vec<TypeNode>,
    root: usize,
}

impl WriterSchema {
    /// Reads a schema as the registry gives it, and those that it refers to.
    ///
    /// `references` come in the order of the registry's list: each may use the names of those before
    /// it, and `text` those of all. Where a name is defined more than once it means its first
    /// definition; at the place of a later definition the record is read as it is defined there.
    ///
    /// Only what reading needs is judged. Defaults, aliases, documentation and the characters of a
    /// name are left alone: what a registry has accepted is read. A logical type that is unknown or
    /// does not fit its type is ignored, as the specification says (Avro 1.12, "Logical Types").
    ///
    /// # Errors
    /// The text is not Avro; a type is used that is not defined; a decimal has more than 100 digits
    /// behind the point; all texts together have more than 1 MiB; or types are nested in more than 512
    /// objects and lists of JSON, which are 128 records in unions.
    pub fn parse(text: &str, references: &[&str]) -> Result<WriterSchema, WriterSchemaError> {
        let bytes = references
            .iter()
            .map(|reference| reference.len())
            .fold(text.len(), usize::saturating_add);
        if bytes > MAX_SCHEMA_BYTES {
            let why = format!("with those it refers to it has more than {MAX_SCHEMA_BYTES} bytes");
            return Err(WriterSchemaError::new(why));
        }
        let of_reference =
            |at: usize| move |error: WriterSchemaError| error.of_reference(at, references.len());
        let others: Vec<SchemaJson<'_>> = references
            .iter()
            .enumerate()
            .map(|(at, text)| SchemaJson::read(text).map_err(of_reference(at)))
            .collect::<Result<_, _>>()?;
        let schema = SchemaJson::read(text)?;
        let mut builder = PlanBuilder::default();
        for (at, other) in others.iter().enumerate() {
            builder.add(other).map_err(of_reference(at))?;
        }
        let root = builder.add(&schema)?;
        let nodes = builder.finish()?;
        Ok(WriterSchema { nodes, root })
    }

    /// The type of the whole value.
    pub(super) fn root(&self) -> &TypeNode {
        self.node(self.root)
    }

    /// The type at an index that another type of this schema names.
    pub(super) fn node(&self, at: usize) -> &TypeNode {
        // The builder gave out every index, so the type is there.
        self.nodes.get(at).unwrap_or(&TypeNode::Null)
    }
}

#[cfg(test)]
mod tests;
