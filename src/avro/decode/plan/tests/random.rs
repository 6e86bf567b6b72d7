//! Random schemas, of which the Avro library says what they mean.

use std::collections::HashSet;

use apache_avro::Decimal;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use fastrand::Rng;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{WriterSchema, WriterSchemaError};
use crate::avro::decode::to_json;

/// A type, as far as making values of it needs.
#[derive(Clone)]
enum GeneratedKind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Date,
    Timestamp,
    Decimal,
    Fixed(usize),
    Enum(u32),
    Array(Box<GeneratedKind>),
    Map(Box<GeneratedKind>),
    Union(Vec<GeneratedKind>),
    Record(Vec<GeneratedKind>),
}

/// A property of the generated schemas that holds the full name of a type that is defined or used.
const FULL_MARK: &str = "full";

const PLAIN_KINDS: [(&str, GeneratedKind); 13] = [
    (r#""null""#, GeneratedKind::Null),
    (r#""boolean""#, GeneratedKind::Boolean),
    (r#"{"type":"int"}"#, GeneratedKind::Int),
    (r#""long""#, GeneratedKind::Long),
    (
        r#"{"type":"long","logicalType":"unknown"}"#,
        GeneratedKind::Long,
    ),
    (r#""float""#, GeneratedKind::Float),
    (r#""double""#, GeneratedKind::Double),
    (r#""bytes""#, GeneratedKind::Bytes),
    (
        r#"{"type":"string","avro.java.string":"String"}"#,
        GeneratedKind::String,
    ),
    (
        r#"{"type":"string","logicalType":"date"}"#,
        GeneratedKind::String,
    ),
    (
        r#"{"type":"int","logicalType":"date"}"#,
        GeneratedKind::Date,
    ),
    (
        r#"{"type":"long","logicalType":"timestamp-micros"}"#,
        GeneratedKind::Timestamp,
    ),
    (
        r#"{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}"#,
        GeneratedKind::Decimal,
    ),
];

/// Makes schemas and values. The same seed gives the same ones.
struct SchemaMaker {
    rng: Rng,
    /// The types that are defined, by full name.
    known: Vec<(String, GeneratedKind)>,
    /// The full names that are taken.
    taken: HashSet<String>,
}

impl SchemaMaker {
    fn new(seed: u64) -> SchemaMaker {
        SchemaMaker {
            rng: Rng::with_seed(seed),
            known: Vec::new(),
            taken: HashSet::new(),
        }
    }

    /// A record whose one field is an array of a random type; gives the record and that type.
    fn schema(&mut self) -> (Value, GeneratedKind) {
        let (items, kind) = self.any("", 4);
        let field = json!({"name": "a", "type": {"type": "array", "items": items}});
        (
            json!({"type": "record", "name": "M", "fields": [field]}),
            kind,
        )
    }

    fn any(&mut self, namespace: &str, depth: u32) -> (Value, GeneratedKind) {
        let deep = if depth == 0 { 4 } else { 10 };
        match self.rng.u32(0..deep) {
            0 => {
                let (text, kind) = self.rng.choice(&PLAIN_KINDS).unwrap();
                (serde_json::from_str(text).unwrap(), kind.clone())
            }
            1 => {
                let size = self.rng.usize(0..4);
                let rest = json!({"type": "fixed", "size": size});
                self.named(namespace, rest, |_, _| (None, GeneratedKind::Fixed(size)))
            }
            2 => self.again(namespace),
            3 => {
                let count = self.rng.u32(1..4);
                let symbols: Vec<String> = (0..count).map(symbol).collect();
                let rest = json!({"type": "enum", "symbols": symbols});
                self.named(namespace, rest, |_, _| (None, GeneratedKind::Enum(count)))
            }
            4 => {
                let (items, kind) = self.any(namespace, depth - 1);
                (
                    json!({"type": "array", "items": items}),
                    GeneratedKind::Array(Box::new(kind)),
                )
            }
            5 => {
                let (values, kind) = self.any(namespace, depth - 1);
                (
                    json!({"type": "map", "values": values}),
                    GeneratedKind::Map(Box::new(kind)),
                )
            }
            6 => self.union(namespace, depth),
            _ => self.named(namespace, json!({"type": "record"}), |maker, namespace| {
                let count = maker.rng.usize(0..4);
                let fields = (0..count).map(|_| maker.any(namespace, depth - 1));
                let (types, kinds): (Vec<Value>, Vec<GeneratedKind>) = fields.unzip();
                let fields = types
                    .iter()
                    .enumerate()
                    .map(|(at, kind)| json!({"name": field(at), "type": kind, "order": "ignore"}));
                (Some(fields.collect()), GeneratedKind::Record(kinds))
            }),
        }
    }

    /// A definition of a named type, with its namespace written in one of the three ways of Avro.
    fn named(
        &mut self,
        around: &str,
        mut object: Value,
        inside: impl FnOnce(&mut SchemaMaker, &str) -> (Option<Vec<Value>>, GeneratedKind),
    ) -> (Value, GeneratedKind) {
        let other = *self.rng.choice(&["", "x", "x.y"]).unwrap();
        let way = self.rng.u32(0..3);
        // The library does not find names without a namespace from inside of one.
        let stays = way == 0 || other.is_empty();
        let namespace = if stays { around } else { other };
        let (name, full) = self.free(namespace);
        object[FULL_MARK] = json!(full);
        object["name"] = json!(if way == 2 { &full } else { &name });
        if way == 1 {
            object["namespace"] = json!(namespace);
        }
        let (fields, kind) = inside(self, namespace);
        if let Some(fields) = fields {
            object["fields"] = Value::Array(fields);
        }
        self.known.push((full, kind.clone()));
        (object, kind)
    }

    /// A name that is not taken, alone and with its namespace. Names repeat in several namespaces.
    fn free(&mut self, namespace: &str) -> (String, String) {
        for at in self.rng.u32(0..3).. {
            let name = format!("T{at}");
            let full = format!("{namespace}.{name}");
            let full = full.trim_start_matches('.').to_owned();
            if self.taken.insert(full.clone()) {
                return (name, full);
            }
        }
        unreachable!("the numbers end");
    }

    /// A type that was defined before.
    fn again(&mut self, namespace: &str) -> (Value, GeneratedKind) {
        let fit = |(name, _): &&(String, GeneratedKind)| namespace.is_empty() || name.contains('.');
        let fit: Vec<_> = self.known.iter().filter(fit).collect();
        let Some((name, kind)) = self.rng.choice(fit) else {
            return (json!("int"), GeneratedKind::Int);
        };
        let short = name
            .strip_prefix(namespace)
            .and_then(|rest| rest.strip_prefix('.'));
        let short = short.filter(|rest| !rest.contains('.'));
        let written = short.unwrap_or(name);
        (json!({"type": written, FULL_MARK: name}), kind.clone())
    }

    /// A union of types that Avro allows together.
    fn union(&mut self, namespace: &str, depth: u32) -> (Value, GeneratedKind) {
        let (mut types, mut kinds) = (Vec::new(), Vec::<GeneratedKind>::new());
        while kinds.is_empty() || self.rng.bool() {
            let known = self.known.len();
            let (json, kind) = self.any(namespace, depth - 1);
            let is_alike = |other: &GeneratedKind| other.class() == kind.class();
            if matches!(kind, GeneratedKind::Union(_)) || kinds.iter().any(is_alike) {
                self.known.truncate(known);
                continue;
            }
            types.push(json);
            kinds.push(kind);
        }
        (Value::Array(types), GeneratedKind::Union(kinds))
    }

    /// A value, and the JSON that it should become.
    fn value(&mut self, kind: &GeneratedKind) -> (Avro, Value) {
        let number = self.rng.i16(..);
        let real = f32::from(number) + 0.5;
        match kind {
            GeneratedKind::Null => (Avro::Null, Value::Null),
            GeneratedKind::Boolean => (Avro::Boolean(number < 0), json!(number < 0)),
            GeneratedKind::Int => (Avro::Int(number.into()), json!(number)),
            GeneratedKind::Long => (Avro::Long(number.into()), json!(number)),
            GeneratedKind::Float => (Avro::Float(real), json!(real)),
            GeneratedKind::Double => (Avro::Double(real.into()), json!(real)),
            GeneratedKind::Bytes => (Avro::Bytes(vec![0; 3]), json!("AAAA")),
            GeneratedKind::String => (Avro::String(number.to_string()), json!(number.to_string())),
            GeneratedKind::Date => (Avro::Date(1), json!("1970-01-02")),
            GeneratedKind::Timestamp => (Avro::TimestampMicros(-1), json!("1969-12-31 23:59:59")),
            GeneratedKind::Decimal => (Avro::Decimal(Decimal::from(vec![1, 0])), json!("2.56")),
            GeneratedKind::Fixed(size) => {
                let text = ["", "AA==", "AAA=", "AAAA"];
                (Avro::Fixed(*size, vec![0; *size]), json!(text[*size]))
            }
            GeneratedKind::Enum(symbols) => {
                let at = self.rng.u32(0..*symbols);
                (Avro::Enum(at, symbol(at)), json!(symbol(at)))
            }
            GeneratedKind::Array(kind) => {
                let values = (0..self.rng.u32(0..3)).map(|_| self.value(kind));
                let (values, expected): (_, Vec<Value>) = values.unzip();
                (Avro::Array(values), json!(expected))
            }
            GeneratedKind::Map(kind) => {
                let (value, expected) = self.value(kind);
                (
                    Avro::Map([("k".to_owned(), value)].into()),
                    json!({"k": expected}),
                )
            }
            GeneratedKind::Union(kinds) => {
                let at = self.rng.usize(0..kinds.len());
                let (value, expected) = self.value(&kinds[at]);
                (
                    Avro::Union(u32::try_from(at).unwrap(), Box::new(value)),
                    expected,
                )
            }
            GeneratedKind::Record(kinds) => {
                let mut expected = Map::new();
                let fields = kinds.iter().enumerate().map(|(at, kind)| {
                    let (value, json) = self.value(kind);
                    expected.insert(field(at), json);
                    (field(at), value)
                });
                (Avro::Record(fields.collect()), Value::Object(expected))
            }
        }
    }
}

impl GeneratedKind {
    /// The class of the type; the generated unions have at most one type of each class.
    fn class(&self) -> u8 {
        match self {
            GeneratedKind::Null => 0,
            GeneratedKind::Boolean => 1,
            GeneratedKind::Int | GeneratedKind::Date => 2,
            GeneratedKind::Long | GeneratedKind::Timestamp => 3,
            GeneratedKind::Float => 4,
            GeneratedKind::Double => 5,
            GeneratedKind::Bytes | GeneratedKind::Decimal => 6,
            GeneratedKind::String => 7,
            GeneratedKind::Array(_) => 8,
            GeneratedKind::Map(_) => 9,
            GeneratedKind::Fixed(_) => 10,
            GeneratedKind::Enum(_) => 11,
            GeneratedKind::Record(_) => 12,
            GeneratedKind::Union(_) => 13,
        }
    }
}

fn symbol(at: u32) -> String {
    format!("S{at}")
}

fn field(at: usize) -> String {
    format!("f{at}")
}

/// The schema without what makes no difference: the marks, and the object around the use of a name.
fn bare(schema: &Value) -> Value {
    match schema {
        Value::Object(object) if object.contains_key(FULL_MARK) && !object.contains_key("name") => {
            object["type"].clone()
        }
        Value::Object(object) => {
            let members = object.iter().filter(|(key, _)| *key != FULL_MARK);
            Value::Object(
                members
                    .map(|(key, part)| (key.clone(), bare(part)))
                    .collect(),
            )
        }
        Value::Array(list) => list.iter().map(bare).collect(),
        other => other.clone(),
    }
}

/// The same types, but one of them is defined where it was used before, perhaps after other uses.
fn turned(schema: &Value, rng: &mut Rng) -> Value {
    let mut copy = schema.clone();
    let mut paths = Vec::new();
    collect(schema, "", &mut paths);
    let mut marked = paths.iter().filter_map(|path| {
        let object = schema.pointer(path)?.as_object()?;
        Some((
            path,
            object.get(FULL_MARK)?.as_str()?,
            object.contains_key("name"),
        ))
    });
    let (definitions, uses): (Vec<_>, Vec<_>) = marked.by_ref().partition(|(.., defines)| *defines);
    // A name without a dot that is not known yet could mean a type without a namespace, so it is
    // written in full where there is one.
    for (path, full, _) in &uses {
        let short = full.rsplit('.').next().unwrap();
        if definitions.iter().any(|(_, other, _)| *other == short) {
            *copy.pointer_mut(&format!("{path}/type")).unwrap() = json!(full);
        }
    }
    if let Some((to, full, _)) = rng.choice(&uses) {
        let (from, ..) = definitions
            .iter()
            .find(|(_, name, _)| name == full)
            .unwrap();
        let mut moved = copy.pointer(from).unwrap().clone();
        moved["name"] = json!(full);
        moved.as_object_mut().unwrap().remove("namespace");
        *copy.pointer_mut(to).unwrap() = moved;
        *copy.pointer_mut(from).unwrap() = json!({"type": full, FULL_MARK: full});
    }
    copy
}

/// Replaces a part of a schema by another part of it.
fn swapped(schema: &Value, rng: &mut Rng) -> Value {
    let mut paths = Vec::new();
    collect(schema, "", &mut paths);
    let (from, to) = (rng.choice(&paths).unwrap(), rng.choice(&paths).unwrap());
    let mut copy = schema.clone();
    *copy.pointer_mut(to).unwrap() = schema.pointer(from).unwrap().clone();
    copy
}

/// The paths of all parts.
fn collect(json: &Value, path: &str, out: &mut Vec<String>) {
    out.push(path.to_owned());
    let parts: Vec<(String, &Value)> = match json {
        Value::Array(list) => (0..).map(|at: u32| at.to_string()).zip(list).collect(),
        Value::Object(object) => object
            .iter()
            .map(|(key, part)| (key.clone(), part))
            .collect(),
        _ => Vec::new(),
    };
    for (key, part) in parts {
        collect(part, &format!("{path}/{key}"), out);
    }
}

fn failed(schema: &Value, error: &dyn std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(format!("{error}: {schema}"))
}

proptest! {
    #[test]
    fn records_that_the_library_writes_are_read(seed: u64) {
        let mut maker = SchemaMaker::new(seed);
        let (schema, kind) = maker.schema();
        let library = apache_avro::Schema::parse_str(&bare(&schema).to_string());
        let library = library.map_err(|error| failed(&schema, &error))?;
        let (value, expected) = maker.value(&kind);
        let record = Avro::Record(vec![("a".to_owned(), Avro::Array(vec![value]))]);
        let writer = GenericDatumWriter::builder(&library).build();
        let writer = writer.map_err(|error| failed(&schema, &error))?;
        let bytes = writer.write_value_to_vec(record);
        let bytes = bytes.map_err(|error| failed(&schema, &error))?;
        // The library parses the first form only: it knows no name before its definition.
        for schema in [bare(&schema), bare(&turned(&schema, &mut maker.rng))] {
            let ours = WriterSchema::parse(&schema.to_string(), &[]);
            let ours = ours.map_err(|error| failed(&schema, &error))?;
            let json = to_json(&ours, &bytes).map_err(|error| failed(&schema, &error))?;
            let json: Value = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(json, json!({"a": [expected]}), "{}", schema);
        }
    }

    #[test]
    fn schemas_that_the_library_accepts_are_accepted(seed: u64, times in 1..4) {
        let mut maker = SchemaMaker::new(seed);
        let (mut schema, _) = maker.schema();
        for _ in 0..times {
            schema = swapped(&schema, &mut maker.rng);
        }
        let text = bare(&schema).to_string();
        let ours = WriterSchema::parse(&text, &[]);
        // The library passes over a field that is no object, and takes a type that is named `record`
        // for the keyword: it reads another record then.
        let is_elsewhere = ["record", "enum", "fixed", "array", "map"].iter().any(|word| text.contains(&format!(r#""name":"{word}""#)));
        let is_passed_over = |error: &WriterSchemaError| is_elsewhere || error.to_string().contains(": a field of");
        match &ours {
            Ok(ours) => {
                let bytes: Vec<u8> = (0..40).map(|_| maker.rng.u8(0..8)).collect();
                to_json(ours, &bytes).ok();
            }
            Err(error) if is_passed_over(error) => {}
            Err(error) => {
                let library = apache_avro::Schema::parse_str(&text);
                prop_assert!(library.is_err(), "{}: {}", error, text);
            }
        }
        WriterSchema::parse(r#""M""#, &[&text, &text]).ok();
    }

    #[test]
    fn no_text_makes_it_panic(
        seed: u64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), "\\PC|[{}\\[\\]\",:0-9]"), 0..4),
    ) {
        let (schema, _) = SchemaMaker::new(seed).schema();
        let mut letters: Vec<String> = bare(&schema).to_string().chars().map(String::from).collect();
        for (at, letter) in changes {
            let at = at.index(letters.len());
            letters[at] = letter;
        }
        let text = letters.concat();
        WriterSchema::parse(&text, &[&text]).ok();
    }
}
