//! From the JSON of schemas to places.
//!
//! A name leads to a place and is not followed, so schemas that refer to each other, or to
//! themselves, are walked through once.

use std::collections::HashMap;

use super::super::super::model::{NAMESPACE, RAW};
use super::json::{Json, Key};
use super::{MAX_SCALE, Member, Node, SchemaError};

/// Longest full name in bytes: a namespace is written down once and counts for all names below.
const MAX_NAME: usize = 1_000;

/// A namespace, empty for none, and the name in it.
type Name<'t> = (&'t str, &'t str);

/// What surrounds a type.
#[derive(Debug, Default, Clone, Copy)]
struct Scope<'t> {
    namespace: &'t str,
    /// Whether a `long` stands for seconds.
    seconds: bool,
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
    pub(super) fn add(&mut self, json: &'t Json<'t>) -> Result<usize, SchemaError> {
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
    fn any(&mut self, json: &'t Json<'t>, scope: Scope<'t>) -> Result<usize, SchemaError> {
        if let Some(name) = json.text() {
            return match primitive(name, scope.seconds) {
                Some(node) => Ok(self.push(node)),
                None => self.named(name, scope),
            };
        }
        match json {
            Json::List(branches) => {
                let mut places = Vec::with_capacity(branches.len());
                for branch in branches {
                    places.push(self.any(branch, scope)?);
                }
                Ok(self.push(Node::Union(places)))
            }
            Json::Object(_) => {
                let kind = json.get(Key::Type);
                let kind = kind.ok_or_else(|| SchemaError::new("a type has no `type`"))?;
                match kind.text() {
                    Some(kind) => self.object(json, kind, scope),
                    // The specification wants a name here, but what is meant is clear.
                    None => self.any(kind, scope),
                }
            }
            _ => Err(SchemaError::new(
                "a type is neither a name nor an object nor a list",
            )),
        }
    }

    fn object(
        &mut self,
        object: &'t Json<'t>,
        kind: &'t str,
        scope: Scope<'t>,
    ) -> Result<usize, SchemaError> {
        match kind {
            // What Avro's protocols call an error is a record.
            "record" | "error" => self.record(object, scope),
            "enum" => self.symbols(object, scope),
            "fixed" => self.fixed(object, scope),
            "array" => {
                let items = self.part(object.get(Key::Items), "an array has no `items`", scope)?;
                Ok(self.push(Node::Array(items)))
            }
            "map" => {
                let values = self.part(object.get(Key::Values), "a map has no `values`", scope)?;
                Ok(self.push(Node::Map(values)))
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
        json: Option<&'t Json<'t>>,
        missing: &str,
        scope: Scope<'t>,
    ) -> Result<usize, SchemaError> {
        let seconds = false;
        match json {
            Some(json) => self.any(json, Scope { seconds, ..scope }),
            None => Err(SchemaError::new(missing)),
        }
    }

    fn symbols(&mut self, object: &'t Json<'t>, scope: Scope<'t>) -> Result<usize, SchemaError> {
        let name = own_name(object, scope)?;
        let symbols = list(object.get(Key::Symbols), "symbols", name)?.iter();
        let symbols = symbols.map(|symbol| symbol.text().map(str::to_owned));
        let symbols: Option<_> = symbols.collect();
        let wrong = || SchemaError::new(format!("a symbol of {} is no text", shown(name)));
        Ok(self.define(name, Node::Enum(symbols.ok_or_else(wrong)?)))
    }

    fn fixed(&mut self, object: &'t Json<'t>, scope: Scope<'t>) -> Result<usize, SchemaError> {
        let name = own_name(object, scope)?;
        let wrong = || format!("the `size` of {} is no whole number", shown(name));
        let size = object.get(Key::Size).and_then(Json::number);
        let size = Some(size.ok_or_else(|| SchemaError::new(wrong()))?);
        let logical = logical(object, "fixed", size)?;
        Ok(self.define(name, logical.unwrap_or(Node::Bytes(size))))
    }

    fn record(&mut self, object: &'t Json<'t>, scope: Scope<'t>) -> Result<usize, SchemaError> {
        let name = own_name(object, scope)?;
        // Before its fields, which may be of this type.
        let at = self.define(name, Node::Null);
        let fields = list(object.get(Key::Fields), "fields", name)?;
        let mut members = Vec::with_capacity(fields.len());
        for field in fields {
            members.push(self.member(field, name)?);
        }
        self.set(at, Node::Record(members));
        Ok(at)
    }

    fn member(&mut self, field: &'t Json<'t>, record: Name<'t>) -> Result<Member, SchemaError> {
        let property = |key| field.get(key).and_then(Json::text);
        let name = property(Key::Name).ok_or_else(|| {
            SchemaError::new(format!("a field of {} has no `name`", shown(record)))
        })?;
        let scope = Scope {
            namespace: record.0,
            seconds: property(Key::Unit) == Some("seconds"),
        };
        let kind = field
            .get(Key::Type)
            .ok_or_else(|| SchemaError::new("it has no `type`"));
        let node = kind.and_then(|kind| self.any(kind, scope));
        let node = node.map_err(|error| SchemaError {
            // The innermost one says most.
            field: (error.field)
                .or_else(|| Some(format!("{} of {}", shown(("", name)), shown(record)))),
            ..error
        })?;
        Ok(Member {
            name: property(Key::Column).unwrap_or(name).to_owned(),
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
fn own_name<'t>(object: &'t Json<'t>, scope: Scope<'t>) -> Result<Name<'t>, SchemaError> {
    let property = |key| object.get(key).and_then(Json::text);
    let name = property(Key::Name).ok_or_else(|| SchemaError::new("a type has no `name`"))?;
    full(name, property(Key::Namespace).unwrap_or(scope.namespace))
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

fn list<'t>(
    json: Option<&'t Json<'t>>,
    key: &str,
    name: Name<'_>,
) -> Result<&'t [Json<'t>], SchemaError> {
    let list = json.and_then(Json::list);
    list.ok_or_else(|| SchemaError::new(format!("{} has no list `{key}`", shown(name))))
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
fn logical(
    object: &Json<'_>,
    kind: &str,
    size: Option<usize>,
) -> Result<Option<Node>, SchemaError> {
    let Some(logical) = object.get(Key::LogicalType).and_then(Json::text) else {
        return Ok(None);
    };
    Ok(Some(match (logical, kind) {
        ("decimal", "bytes" | "fixed") => return decimal(object, size),
        ("big-decimal", "bytes") => Node::BigDecimal,
        ("uuid", "string") => Node::String,
        // The specification knows `fixed`; Rust's library writes `bytes` too. With others they may be
        // anything.
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
fn decimal(object: &Json<'_>, size: Option<usize>) -> Result<Option<Node>, SchemaError> {
    let precision = object.get(Key::Precision).and_then(Json::number);
    let scale = object.get(Key::Scale).map_or(Some(0), Json::number);
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
