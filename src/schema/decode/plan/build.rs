//! From the JSON of schemas to places.
//!
//! A name leads to a place and is not followed, so schemas that refer to each other, or to
//! themselves, are walked through once.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::super::super::model::{NAMESPACE, RAW};
use super::{MAX_SCALE, Member, Node, SchemaError};

/// Longest full name in bytes: a namespace is written down once and counts for all names below.
const MAX_NAME: usize = 1_000;
/// Deepest nesting of types in one text. It is what `serde_json` allows to JSON, but not to JSON that
/// is quoted inside of JSON under a name of its own.
const MAX_DEPTH: u32 = 128;

type Object = Map<String, Value>;

/// A namespace, empty for none, and the name in it.
type Name<'t> = (&'t str, &'t str);

/// What surrounds a type.
#[derive(Debug, Default, Clone, Copy)]
struct Scope<'t> {
    namespace: &'t str,
    /// Whether a `long` stands for seconds.
    seconds: bool,
    depth: u32,
}

/// Gives types their places.
#[derive(Debug, Default)]
pub(super) struct Builder<'t> {
    nodes: Vec<Node>,
    names: HashMap<Name<'t>, usize>,
    /// Places that stand for a type, with its name as it is written and the namespace around.
    open: Vec<(usize, &'t str, &'t str)>,
}

impl<'t> Builder<'t> {
    /// Adds a schema; gives its place.
    pub(super) fn add(&mut self, json: &'t Value) -> Result<usize, SchemaError> {
        self.any(json, Scope::default())
    }

    /// All places. Names that were used before they were defined lead where they stand.
    pub(super) fn finish(mut self) -> Result<Vec<Node>, SchemaError> {
        for (at, name, namespace) in std::mem::take(&mut self.open) {
            let target = self.place_of(name, namespace).ok_or_else(|| {
                SchemaError::new(format!(
                    "it uses the type {}, which neither it nor a schema it refers to defines: is a \
                     reference missing?",
                    shown(split(name, namespace))
                ))
            })?;
            self.set(at, Node::Alias(target));
        }
        Ok(self.nodes)
    }

    fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn set(&mut self, at: usize, node: Node) {
        if let Some(place) = self.nodes.get_mut(at) {
            *place = node;
        }
    }

    /// A type (Avro 1.12, "Schema Declaration").
    fn any(&mut self, json: &'t Value, mut scope: Scope<'t>) -> Result<usize, SchemaError> {
        scope.depth += 1;
        if MAX_DEPTH < scope.depth {
            let why = format!("its types are nested deeper than {MAX_DEPTH}");
            return Err(SchemaError::new(why));
        }
        match json {
            Value::String(name) => match primitive(name, scope.seconds) {
                Some(node) => Ok(self.push(node)),
                None => self.named(name, scope),
            },
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.any(branch, scope));
                let node = Node::Union(branches.collect::<Result<_, _>>()?);
                Ok(self.push(node))
            }
            Value::Object(object) => match object.get("type") {
                Some(Value::String(kind)) => self.object(object, kind, scope),
                // The specification wants a name here, but what is meant is clear.
                Some(inner) => self.any(inner, scope),
                None => Err(SchemaError::new("a type has no `type`")),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) => Err(SchemaError::new(
                "a type is neither a name nor an object nor a list",
            )),
        }
    }

    fn object(
        &mut self,
        object: &'t Object,
        kind: &'t str,
        scope: Scope<'t>,
    ) -> Result<usize, SchemaError> {
        let inner = Scope {
            seconds: false,
            ..scope
        };
        let node = match kind {
            // What Avro's protocols call an error is a record.
            "record" | "error" => return self.record(object, scope),
            "enum" => {
                let name = own_name(object, scope)?;
                let symbols = list(object, "symbols", name)?.iter();
                let symbols = symbols.map(|symbol| symbol.as_str().map(str::to_owned));
                let symbols: Option<_> = symbols.collect();
                let wrong = || SchemaError::new(format!("a symbol of {} is no text", shown(name)));
                return Ok(self.define(name, Node::Enum(symbols.ok_or_else(wrong)?)));
            }
            "fixed" => {
                let name = own_name(object, scope)?;
                let wrong = || format!("the `size` of {} is no whole number", shown(name));
                let size = number(object.get("size"));
                let size = Some(size.ok_or_else(|| SchemaError::new(wrong()))?);
                let logical = logical(object, kind, size)?;
                return Ok(self.define(name, logical.unwrap_or(Node::Bytes(size))));
            }
            "array" => {
                let items = object.get("items");
                let items = items.ok_or_else(|| SchemaError::new("an array has no `items`"))?;
                Node::Array(self.any(items, inner)?)
            }
            "map" => {
                let values = object.get("values");
                let values = values.ok_or_else(|| SchemaError::new("a map has no `values`"))?;
                Node::Map(self.any(values, inner)?)
            }
            kind => match primitive(kind, scope.seconds) {
                Some(node) => logical(object, kind, None)?.unwrap_or(node),
                None => return self.named(kind, scope),
            },
        };
        Ok(self.push(node))
    }

    fn record(&mut self, object: &'t Object, scope: Scope<'t>) -> Result<usize, SchemaError> {
        let name = own_name(object, scope)?;
        // Before its fields, which may be of this type.
        let at = self.define(name, Node::Null);
        let fields = list(object, "fields", name)?.iter();
        let members = fields.map(|field| self.member(field, name, scope.depth));
        let members = members.collect::<Result<_, _>>()?;
        self.set(at, Node::Record(members));
        Ok(at)
    }

    fn member(
        &mut self,
        field: &'t Value,
        record: Name<'t>,
        depth: u32,
    ) -> Result<Member, SchemaError> {
        let property = |name: &str| field.get(name).and_then(Value::as_str);
        let name = property("name").ok_or_else(|| {
            SchemaError::new(format!("a field of {} has no `name`", shown(record)))
        })?;
        let scope = Scope {
            namespace: record.0,
            seconds: property("servicenow.unit") == Some("seconds"),
            depth,
        };
        let kind = field
            .get("type")
            .ok_or_else(|| SchemaError::new("it has no `type`"));
        let node = kind.and_then(|kind| self.any(kind, scope));
        let node = node.map_err(|error| SchemaError {
            // The innermost one says most.
            field: (error.field)
                .or_else(|| Some(format!("{} of {}", shown(("", name)), shown(record)))),
            ..error
        })?;
        Ok(Member {
            name: property("servicenow.name").unwrap_or(name).to_owned(),
            node,
            is_raw: record.0 == NAMESPACE && name == RAW && self.is_nullable_texts(node),
        })
    }

    /// Whether a place has the form of [`RAW`].
    fn is_nullable_texts(&self, at: usize) -> bool {
        let node = |at: &usize| self.nodes.get(*at);
        let Some(Node::Union(branches)) = node(&at) else {
            return false;
        };
        let [null, map] = branches.as_slice() else {
            return false;
        };
        match (node(null), node(map)) {
            (Some(Node::Null), Some(Node::Map(values))) => {
                matches!(node(values), Some(Node::String))
            }
            _ => false,
        }
    }

    /// A definition gets a place of its own, and the name if nothing has it yet.
    fn define(&mut self, name: Name<'t>, node: Node) -> usize {
        let at = self.push(node);
        self.names.entry(name).or_insert(at);
        at
    }

    /// The use of a name. It should be defined before (Avro 1.12, "Names"), but Java's parser has
    /// allowed it to come later since 1.12.
    fn named(&mut self, name: &'t str, scope: Scope<'t>) -> Result<usize, SchemaError> {
        full(name, scope.namespace)?;
        Ok(self.place_of(name, scope.namespace).unwrap_or_else(|| {
            let at = self.push(Node::Null);
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
fn own_name<'t>(object: &'t Object, scope: Scope<'t>) -> Result<Name<'t>, SchemaError> {
    let property = |name: &str| object.get(name).and_then(Value::as_str);
    let name = property("name").ok_or_else(|| SchemaError::new("a type has no `name`"))?;
    full(name, property("namespace").unwrap_or(scope.namespace))
}

/// A name with a dot is full already (Avro 1.12, "Names").
fn split<'t>(name: &'t str, namespace: &'t str) -> Name<'t> {
    name.rsplit_once('.').unwrap_or((namespace, name))
}

fn full<'t>(name: &'t str, namespace: &'t str) -> Result<Name<'t>, SchemaError> {
    let name = split(name, namespace);
    if MAX_NAME < name.0.len() + name.1.len() {
        let why = format!("the name {} is longer than {MAX_NAME} bytes", shown(name));
        return Err(SchemaError::new(why));
    }
    Ok(name)
}

/// A name for a message, at most as much of it as is worth reading.
fn shown((namespace, name): Name<'_>) -> String {
    let dot = if namespace.is_empty() { "" } else { "." };
    let all = namespace.chars().chain(dot.chars()).chain(name.chars());
    format!("`{}`", all.take(200).collect::<String>())
}

fn list<'t>(object: &'t Object, key: &str, name: Name<'_>) -> Result<&'t Vec<Value>, SchemaError> {
    let list = object.get(key).and_then(Value::as_array);
    list.ok_or_else(|| SchemaError::new(format!("{} has no list `{key}`", shown(name))))
}

fn number(json: Option<&Value>) -> Option<usize> {
    json?
        .as_u64()
        .and_then(|number| usize::try_from(number).ok())
}

/// A type that has no parts and no name (Avro 1.12, "Primitive Types").
fn primitive(name: &str, seconds: bool) -> Option<Node> {
    Some(match name {
        "null" => Node::Null,
        "boolean" => Node::Boolean,
        "long" if seconds => Node::Timestamp(1),
        "int" | "long" => Node::Long,
        "float" => Node::Float,
        "double" => Node::Double,
        "bytes" => Node::Bytes(None),
        "string" => Node::String,
        _ => return None,
    })
}

/// What the logical type of an object makes of its type; `None`: it has none, or one that is unknown
/// or not meant for that type, and is ignored (Avro 1.12, "Logical Types").
fn logical(object: &Object, kind: &str, size: Option<usize>) -> Result<Option<Node>, SchemaError> {
    let Some(Value::String(logical)) = object.get("logicalType") else {
        return Ok(None);
    };
    Ok(Some(match (logical.as_str(), kind) {
        ("decimal", "bytes" | "fixed") => return decimal(object, size),
        ("big-decimal", "bytes") => Node::BigDecimal,
        ("uuid", "string") => Node::String,
        // The specification knows `fixed`; Rust's library writes `bytes` too.
        ("uuid", "bytes") => Node::Uuid(None),
        ("uuid", "fixed") if size == Some(16) => Node::Uuid(size),
        ("duration", "fixed") if size == Some(12) => Node::Duration,
        ("date", "int") => Node::Date,
        ("time-millis", "int") => Node::Time(1_000),
        ("time-micros", "long") => Node::Time(1_000_000),
        ("timestamp-millis" | "local-timestamp-millis", "long") => Node::Timestamp(1_000),
        ("timestamp-micros" | "local-timestamp-micros", "long") => Node::Timestamp(1_000_000),
        ("timestamp-nanos" | "local-timestamp-nanos", "long") => Node::Timestamp(1_000_000_000),
        _ => return Ok(None),
    }))
}

/// A decimal whose precision and scale make sense (Avro 1.12, "Decimal"). Whether a `fixed` has room
/// for its digits does not matter to who reads it.
fn decimal(object: &Object, size: Option<usize>) -> Result<Option<Node>, SchemaError> {
    let precision = number(object.get("precision"));
    let scale = match object.get("scale") {
        None => Some(0),
        scale => number(scale),
    };
    match (precision, scale) {
        (Some(precision), Some(scale)) if 0 < precision && scale <= precision => {
            if MAX_SCALE < scale {
                return Err(SchemaError::new(format!(
                    "a decimal has more than {MAX_SCALE} digits behind the point"
                )));
            }
            Ok(Some(Node::Decimal { size, scale }))
        }
        _ => Ok(None),
    }
}
