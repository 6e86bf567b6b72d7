//! From the JSON of schemas to places.
//!
//! A name leads to a place and is not followed, so schemas that refer to each other, or to
//! themselves, are walked through once.

use std::collections::HashMap;

use super::super::super::model::{AVRO_NAMESPACE, RAW_FIELD};
use super::json::{SchemaJson, SchemaKey};
use super::{MAX_DECIMAL_SCALE, PlanField, TypeNode, WriterSchemaError};

/// Longest full name in bytes: a namespace is written down once and counts for all names below.
const MAX_TYPE_NAME_BYTES: usize = 1_000;

/// A namespace, empty for none, and the name in it.
type FullName<'t> = (&'t str, &'t str);

/// What surrounds a type.
#[derive(Debug, Default, Clone, Copy)]
struct TypeScope<'t> {
    namespace: &'t str,
    /// Whether a `long` stands for seconds.
    seconds: bool,
}

/// Gives types their places.
#[derive(Debug, Default)]
pub(super) struct PlanBuilder<'t> {
    nodes: Vec<TypeNode>,
    names: HashMap<FullName<'t>, usize>,
    /// Places that stand for a type, with its name as it is written and the namespace around.
    open: Vec<(usize, &'t str, &'t str)>,
}

impl<'t> PlanBuilder<'t> {
    /// Adds a schema; gives its place.
    pub(super) fn add(&mut self, json: &'t SchemaJson<'t>) -> Result<usize, WriterSchemaError> {
        self.any(json, TypeScope::default())
    }

    /// All places. Names that were used before they were defined lead where they stand.
    pub(super) fn finish(mut self) -> Result<Vec<TypeNode>, WriterSchemaError> {
        for (at, name, namespace) in std::mem::take(&mut self.open) {
            let target = self.place_of(name, namespace).ok_or_else(|| {
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
        if let Some(place) = self.nodes.get_mut(at) {
            *place = node;
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
                let mut places = Vec::with_capacity(branches.len());
                for branch in branches {
                    places.push(self.any(branch, scope)?);
                }
                Ok(self.push(TypeNode::Union(places)))
            }
            SchemaJson::Object(_) => {
                let kind = json.get(SchemaKey::Type);
                let kind = kind.ok_or_else(|| WriterSchemaError::new("a type has no `type`"))?;
                match kind.text() {
                    Some(kind) => self.object(json, kind, scope),
                    // The specification wants a name here, but what is meant is clear.
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
            // What Avro's protocols call an error is a record.
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
        let symbols = list(object.get(SchemaKey::Symbols), "symbols", name)?.iter();
        let symbols = symbols.map(|symbol| symbol.text().map(str::to_owned));
        let symbols: Option<_> = symbols.collect();
        let wrong = || WriterSchemaError::new(format!("a symbol of {} is no text", shown(name)));
        Ok(self.define(name, TypeNode::Enum(symbols.ok_or_else(wrong)?)))
    }

    fn fixed(
        &mut self,
        object: &'t SchemaJson<'t>,
        scope: TypeScope<'t>,
    ) -> Result<usize, WriterSchemaError> {
        let name = own_name(object, scope)?;
        let wrong = || format!("the `size` of {} is no whole number", shown(name));
        let size = object.get(SchemaKey::Size).and_then(SchemaJson::number);
        let size = Some(size.ok_or_else(|| WriterSchemaError::new(wrong()))?);
        let logical = logical(object, "fixed", size)?;
        Ok(self.define(name, logical.unwrap_or(TypeNode::Bytes(size))))
    }

    fn record(
        &mut self,
        object: &'t SchemaJson<'t>,
        scope: TypeScope<'t>,
    ) -> Result<usize, WriterSchemaError> {
        let name = own_name(object, scope)?;
        // Before its fields, which may be of this type.
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
        let kind = field
            .get(SchemaKey::Type)
            .ok_or_else(|| WriterSchemaError::new("it has no `type`"));
        let node = kind.and_then(|kind| self.any(kind, scope));
        let node = node.map_err(|error| WriterSchemaError {
            // The innermost one says most.
            field: (error.field)
                .or_else(|| Some(format!("{} of {}", shown(("", name)), shown(record)))),
            ..error
        })?;
        Ok(PlanField {
            name: property(SchemaKey::Column).unwrap_or(name).to_owned(),
            node,
            is_raw: record.0 == AVRO_NAMESPACE && name == RAW_FIELD && self.is_nullable_texts(node),
        })
    }

    /// Whether a place has the form of [`RAW_FIELD`].
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

    /// A definition gets a place of its own, and the name if nothing has it yet.
    fn define(&mut self, name: FullName<'t>, node: TypeNode) -> usize {
        let at = self.push(node);
        self.names.entry(name).or_insert(at);
        at
    }

    /// The use of a name. It should be defined before (Avro 1.12, "Names"), but Java's parser has
    /// allowed it to come later since 1.12.
    fn named(&mut self, name: &'t str, scope: TypeScope<'t>) -> Result<usize, WriterSchemaError> {
        full(name, scope.namespace)?;
        Ok(self.place_of(name, scope.namespace).unwrap_or_else(|| {
            let at = self.push(TypeNode::Null);
            self.open.push((at, name, scope.namespace));
            at
        }))
    }

    /// Where a name leads. One without a dot that the namespace around it lacks is looked for without
    /// one, as Java's parser does; one with a dot means that type only, which may still come.
    fn place_of(&self, name: &'t str, namespace: &'t str) -> Option<usize> {
        let place = self.names.get(&split(name, namespace));
        let place = place.or_else(|| self.names.get(&("", name)));
        place.copied()
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

/// A name with a dot is full already (Avro 1.12, "Names").
fn split<'t>(name: &'t str, namespace: &'t str) -> FullName<'t> {
    name.rsplit_once('.').unwrap_or((namespace, name))
}

fn full<'t>(name: &'t str, namespace: &'t str) -> Result<FullName<'t>, WriterSchemaError> {
    let name = split(name, namespace);
    if MAX_TYPE_NAME_BYTES < name.0.len() + name.1.len() {
        let why = format!(
            "the name {} is longer than {MAX_TYPE_NAME_BYTES} bytes",
            shown(name)
        );
        return Err(WriterSchemaError::new(why));
    }
    Ok(name)
}

/// A name for a message, at most as much of it as is worth reading.
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

/// A type that has no parts and no name (Avro 1.12, "Primitive Types").
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

/// What the logical type of an object makes of its type; `None`: it has none, or one that is unknown
/// or not meant for that type, and is ignored (Avro 1.12, "Logical Types").
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
        // The specification knows `fixed`; Rust's library writes `bytes` too. With others they may be
        // anything.
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

/// A decimal whose precision and scale make sense (Avro 1.12, "Decimal"). Whether a `fixed` has room
/// for its digits does not matter to who reads it.
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
        (Some(precision), Some(scale)) if 0 < precision && scale <= precision => {
            if MAX_DECIMAL_SCALE < scale {
                return Err(WriterSchemaError::new(format!(
                    "a decimal has more than {MAX_DECIMAL_SCALE} digits behind the point"
                )));
            }
            Ok(Some(TypeNode::Decimal { size, scale }))
        }
        _ => Ok(None),
    }
}
