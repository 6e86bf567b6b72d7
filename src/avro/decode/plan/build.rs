//! Turns the JSON of schemas into a list of types.
//!
//! Each type gets an index, and a name stands for the index of its definition. Names are not
//! followed, so schemas that refer to each other, or to themselves, are walked through once.

use std::collections::HashMap;

use super::error::WriterSchemaError;
use super::json::{SchemaJson, SchemaKey};
use super::node::{MAX_DECIMAL_SCALE, PlanField, TypeNode};
use crate::avro::model::{AVRO_NAMESPACE, RAW_FIELD};

/// Longest full name, in bytes. A namespace is written once and is part of every name below it, so
/// without a bound short schemas could have names of any size.
const MAX_TYPE_NAME_BYTES: usize = 1_000;

/// A namespace, empty for none, and the name in it.
type FullName<'t> = (&'t str, &'t str);

/// What a type takes over from where it stands.
#[derive(Debug, Default, Clone, Copy)]
struct TypeScope<'t> {
    namespace: &'t str,
    /// Whether the field of a `long` says that it counts seconds (`servicenow.unit`).
    seconds: bool,
}

/// The types of all schemas so far.
#[derive(Debug, Default)]
pub(super) struct PlanBuilder<'t> {
    nodes: Vec<TypeNode>,
    names: HashMap<FullName<'t>, usize>,
    /// Indices that stand for a type that was not defined yet, with its name as it is written and the
    /// namespace around it.
    unresolved: Vec<(usize, &'t str, &'t str)>,
}

impl<'t> PlanBuilder<'t> {
    /// Adds a schema; gives the index of its type.
    pub(super) fn add(&mut self, json: &'t SchemaJson<'t>) -> Result<usize, WriterSchemaError> {
        self.any(json, TypeScope::default())
    }

    /// All types. Names that were used before they were defined become aliases of their definitions.
    ///
    /// # Errors
    /// A name is not defined anywhere.
    pub(super) fn finish(mut self) -> Result<Vec<TypeNode>, WriterSchemaError> {
        for (at, name, namespace) in std::mem::take(&mut self.unresolved) {
            let target = self.index_of(name, namespace).ok_or_else(|| {
                WriterSchemaError::new(format!(
                    "it uses the type {}, which neither it nor a schema it refers to defines: is a \
                     reference missing?",
                    shown(split(name, namespace))
                ))
            })?;
            self.set(at, TypeNode::Alias(target));
        }
        Ok(self.nodes)
    }

    fn push(&mut self, node: TypeNode) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn set(&mut self, at: usize, node: TypeNode) {
        if let Some(slot) = self.nodes.get_mut(at) {
            *slot = node;
        }
    }

    /// A type (Avro 1.12, "Schema Declaration").
    fn any(
        &mut self,
        json: &'t SchemaJson<'t>,
        scope: TypeScope<'t>,
    ) -> Result<usize, WriterSchemaError> {
        if let Some(name) = json.text() {
            return match primitive(name, scope.seconds) {
                Some(node) => Ok(self.push(node)),
                None => self.named(name, scope),
            };
        }
        match json {
            SchemaJson::List(branches) => {
                let mut indices = Vec::with_capacity(branches.len());
                for branch in branches {
                    indices.push(self.any(branch, scope)?);
                }
                Ok(self.push(TypeNode::Union(indices)))
            }
            SchemaJson::Object(_) => {
                let kind = json
                    .get(SchemaKey::Type)
                    .ok_or_else(|| WriterSchemaError::new("a type has no `type`"))?;
                match kind.text() {
                    Some(kind) => self.object(json, kind, scope),
                    // The specification wants a name here, but it is clear what a type means.
                    None => self.any(kind, scope),
                }
            }
            _ => Err(WriterSchemaError::new(
                "a type is neither a name nor an object nor a list",
            )),
        }
    }

    fn object(
        &mut self,
        object: &'t SchemaJson<'t>,
        kind: &'t str,
        scope: TypeScope<'t>,
    ) -> Result<usize, WriterSchemaError> {
        match kind {
            // An error of Avro's protocols has the form of a record.
            "record" | "error" => self.record(object, scope),
            "enum" => self.symbols(object, scope),
            "fixed" => self.fixed(object, scope),
            "array" => {
                let items = self.part(
                    object.get(SchemaKey::Items),
                    "an array has no `items`",
                    scope,
                )?;
                Ok(self.push(TypeNode::Array(items)))
            }
            "map" => {
                let values = self.part(
                    object.get(SchemaKey::Values),
                    "a map has no `values`",
                    scope,
                )?;
                Ok(self.push(TypeNode::Map(values)))
            }
            kind => match primitive(kind, scope.seconds) {
                Some(node) => {
                    let logical = logical(object, kind, None)?;
                    Ok(self.push(logical.unwrap_or(node)))
                }
                None => self.named(kind, scope),
            },
        }
    }

    fn part(
        &mut self,
        json: Option<&'t SchemaJson<'t>>,
        missing: &str,
        scope: TypeScope<'t>,
    ) -> Result<usize, WriterSchemaError> {
        let seconds = false;
        match json {
            Some(json) => self.any(json, TypeScope { seconds, ..scope }),
            None => Err(WriterSchemaError::new(missing)),
        }
    }

    fn symbols(
        &mut self,
        object: &'t SchemaJson<'t>,
        scope: TypeScope<'t>,
    ) -> Result<usize, WriterSchemaError> {
        let name = own_name(object, scope)?;
        let symbols: Option<_> = list(object.get(SchemaKey::Symbols), "symbols", name)?
            .iter()
            .map(|symbol| symbol.text().map(str::to_owned))
            .collect();
        let wrong = || WriterSchemaError::new(format!("a symbol of {} is no text", shown(name)));
        Ok(self.define(name, TypeNode::Enum(symbols.ok_or_else(wrong)?)))
    }

    fn fixed(
        &mut self,
        object: &'t SchemaJson<'t>,
        scope: TypeScope<'t>,
    ) -> Result<usize, WriterSchemaError> {
        let name = own_name(object, scope)?;
        let size = object
            .get(SchemaKey::Size)
            .and_then(SchemaJson::number)
            .ok_or_else(|| {
                let why = format!("the `size` of {} is no whole number", shown(name));
                WriterSchemaError::new(why)
            })?;
        let size = Some(size);
        let logical = logical(object, "fixed", size)?;
        Ok(self.define(name, logical.unwrap_or(TypeNode::Bytes(size))))
    }

    fn record(
        &mut self,
        object: &'t SchemaJson<'t>,
        scope: TypeScope<'t>,
    ) -> Result<usize, WriterSchemaError> {
        let name = own_name(object, scope)?;
        // The name is defined before the fields, which may be of this type themselves.
        let at = self.define(name, TypeNode::Null);
        let fields = list(object.get(SchemaKey::Fields), "fields", name)?;
        let mut members = Vec::with_capacity(fields.len());
        for field in fields {
            members.push(self.member(field, name)?);
        }
        self.set(at, TypeNode::Record(members));
        Ok(at)
    }

    fn member(
        &mut self,
        field: &'t SchemaJson<'t>,
        record: FullName<'t>,
    ) -> Result<PlanField, WriterSchemaError> {
        let property = |key| field.get(key).and_then(SchemaJson::text);
        let name = property(SchemaKey::Name).ok_or_else(|| {
            WriterSchemaError::new(format!("a field of {} has no `name`", shown(record)))
        })?;
        let scope = TypeScope {
            namespace: record.0,
            seconds: property(SchemaKey::Unit) == Some("seconds"),
        };
        let node = field
            .get(SchemaKey::Type)
            .ok_or_else(|| WriterSchemaError::new("it has no `type`"))
            .and_then(|kind| self.any(kind, scope))
            .map_err(|error| {
                error.or_in_field(|| format!("{} of {}", shown(("", name)), shown(record)))
            })?;
        Ok(PlanField {
            name: property(SchemaKey::Column).unwrap_or(name).to_owned(),
            node,
            is_raw: record.0 == AVRO_NAMESPACE && name == RAW_FIELD && self.is_nullable_texts(node),
        })
    }

    /// Whether a type is that of [`RAW_FIELD`]: null or a map of strings.
    fn is_nullable_texts(&self, at: usize) -> bool {
        let node = |at: &usize| self.nodes.get(*at);
        let Some(TypeNode::Union(branches)) = node(&at) else {
            return false;
        };
        let [null, map] = branches.as_slice() else {
            return false;
        };
        match (node(null), node(map)) {
            (Some(TypeNode::Null), Some(TypeNode::Map(values))) => {
                matches!(node(values), Some(TypeNode::String))
            }
            _ => false,
        }
    }

    /// Adds the definition of a name. The name stands for it unless it is defined already.
    fn define(&mut self, name: FullName<'t>, node: TypeNode) -> usize {
        let at = self.push(node);
        self.names.entry(name).or_insert(at);
        at
    }

    /// The type that a name stands for. It should be defined before (Avro 1.12, "Names"), but since
    /// 1.12 Java's parser accepts a definition that comes later.
    fn named(&mut self, name: &'t str, scope: TypeScope<'t>) -> Result<usize, WriterSchemaError> {
        full(name, scope.namespace)?;
        Ok(self.index_of(name, scope.namespace).unwrap_or_else(|| {
            let at = self.push(TypeNode::Null);
            self.unresolved.push((at, name, scope.namespace));
            at
        }))
    }

    /// The index of the definition of a name. A name without a dot that the namespace around it lacks
    /// is looked for without a namespace, as Java's parser does. A name with a dot means that type
    /// only, which may be defined later.
    fn index_of(&self, name: &'t str, namespace: &'t str) -> Option<usize> {
        self.names
            .get(&split(name, namespace))
            .or_else(|| self.names.get(&("", name)))
            .copied()
    }
}

/// The name that an object gives its type.
fn own_name<'t>(
    object: &'t SchemaJson<'t>,
    scope: TypeScope<'t>,
) -> Result<FullName<'t>, WriterSchemaError> {
    let property = |key| object.get(key).and_then(SchemaJson::text);
    let name =
        property(SchemaKey::Name).ok_or_else(|| WriterSchemaError::new("a type has no `name`"))?;
    full(
        name,
        property(SchemaKey::Namespace).unwrap_or(scope.namespace),
    )
}

/// The full name: a name with a dot has its namespace in it already (Avro 1.12, "Names").
fn split<'t>(name: &'t str, namespace: &'t str) -> FullName<'t> {
    name.rsplit_once('.').unwrap_or((namespace, name))
}

fn full<'t>(name: &'t str, namespace: &'t str) -> Result<FullName<'t>, WriterSchemaError> {
    let name = split(name, namespace);
    if name.0.len() + name.1.len() > MAX_TYPE_NAME_BYTES {
        let why = format!(
            "the name {} is longer than {MAX_TYPE_NAME_BYTES} bytes",
            shown(name)
        );
        return Err(WriterSchemaError::new(why));
    }
    Ok(name)
}

/// A name for a message, its first 200 characters.
fn shown((namespace, name): FullName<'_>) -> String {
    let dot = if namespace.is_empty() { "" } else { "." };
    let all = namespace.chars().chain(dot.chars()).chain(name.chars());
    format!("`{}`", all.take(200).collect::<String>())
}

fn list<'t>(
    json: Option<&'t SchemaJson<'t>>,
    key: &str,
    name: FullName<'_>,
) -> Result<&'t [SchemaJson<'t>], WriterSchemaError> {
    let list = json.and_then(SchemaJson::list);
    list.ok_or_else(|| WriterSchemaError::new(format!("{} has no list `{key}`", shown(name))))
}

/// A type without parts and without a name of its own (Avro 1.12, "Primitive Types").
fn primitive(name: &str, seconds: bool) -> Option<TypeNode> {
    Some(match name {
        "null" => TypeNode::Null,
        "boolean" => TypeNode::Boolean,
        "long" if seconds => TypeNode::Timestamp(1),
        "int" | "long" => TypeNode::Long,
        "float" => TypeNode::Float,
        "double" => TypeNode::Double,
        "bytes" => TypeNode::Bytes(None),
        "string" => TypeNode::String,
        _ => return None,
    })
}

/// The type that the logical type of an object makes of its type. `None`: the object has none, or one
/// that is unknown or not meant for that type and is therefore ignored (Avro 1.12, "Logical Types").
fn logical(
    object: &SchemaJson<'_>,
    kind: &str,
    size: Option<usize>,
) -> Result<Option<TypeNode>, WriterSchemaError> {
    let Some(logical) = object
        .get(SchemaKey::LogicalType)
        .and_then(SchemaJson::text)
    else {
        return Ok(None);
    };
    Ok(Some(match (logical, kind) {
        ("decimal", "bytes" | "fixed") => return decimal(object, size),
        ("big-decimal", "bytes") => TypeNode::BigDecimal,
        ("uuid", "string") => TypeNode::String,
        // The specification has UUIDs in `fixed`; Rust's library writes `bytes` too. Bytes of other
        // writers may be anything, so the reader looks at their length.
        ("uuid", "bytes") => TypeNode::Uuid(None),
        ("uuid", "fixed") if size == Some(16) => TypeNode::Uuid(size),
        ("duration", "fixed") if size == Some(12) => TypeNode::Duration,
        ("date", "int") => TypeNode::Date,
        ("time-millis", "int") => TypeNode::Time(1_000),
        ("time-micros", "long") => TypeNode::Time(1_000_000),
        ("timestamp-millis" | "local-timestamp-millis", "long") => TypeNode::Timestamp(1_000),
        ("timestamp-micros" | "local-timestamp-micros", "long") => TypeNode::Timestamp(1_000_000),
        ("timestamp-nanos" | "local-timestamp-nanos", "long") => TypeNode::Timestamp(1_000_000_000),
        _ => return Ok(None),
    }))
}

/// A decimal whose precision and scale are valid (Avro 1.12, "Decimal"). A `fixed` may be too small
/// for its precision: reading needs only the bytes that are there.
fn decimal(
    object: &SchemaJson<'_>,
    size: Option<usize>,
) -> Result<Option<TypeNode>, WriterSchemaError> {
    let precision = object
        .get(SchemaKey::Precision)
        .and_then(SchemaJson::number);
    let scale = object
        .get(SchemaKey::Scale)
        .map_or(Some(0), SchemaJson::number);
    match (precision, scale) {
        (Some(precision), Some(scale)) if precision > 0 && scale <= precision => {
            if scale > MAX_DECIMAL_SCALE {
                return Err(WriterSchemaError::new(format!(
                    "a decimal has more than {MAX_DECIMAL_SCALE} digits behind the point"
                )));
            }
            Ok(Some(TypeNode::Decimal { size, scale }))
        }
        _ => Ok(None),
    }
}
