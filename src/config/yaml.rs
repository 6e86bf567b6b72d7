//! YAML text to a tree of untyped nodes, with bounds for hostile input.
//!
//! The tree keeps every scalar as it was written, because only the key knows its type: `007` is a
//! good password and `yes` a good boolean. serde_yaml gives either the kind of a node or its text, so
//! the document is read in two passes, first the kinds, then the texts. serde_yaml gives the line of
//! an error, but not of a value. Each node therefore has the number of its place in the order of the
//! reading, and to find a line the document is read again by a pass that fails on purpose at that
//! number. This is the only file that knows serde_yaml.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, EnumAccess, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Deserializer;
pub(super) use serde_yaml::{Mapping, Value};

use super::yaml_hint::{YamlComplaint, opened_quote};

/// What some editors put in front of a text in UTF-8.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// More nodes than any real configuration has; aliases count as often as they are used.
const MAX_YAML_NODES: usize = 100_000;

/// More openings of `[` and `{` than any real configuration has. The scanner's time grows with the
/// square of their depth: a megabyte of `{a: ` would take minutes.
const MAX_FLOW_OPENINGS: usize = 20_000;

/// More directives (`%...`) than any file needs; their time grows with the square too.
const MAX_YAML_DIRECTIVES: usize = 20;

/// A value of the file.
#[derive(Debug, Clone)]
pub(crate) struct YamlNode {
    /// Place in the order of the visit, for [`line_of`].
    pub(crate) id: usize,
    /// What it is.
    pub(crate) kind: YamlKind,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum YamlKind {
    /// Nothing, `~` or `null`.
    Null,
    /// Text as written, quotes and escapes resolved.
    Scalar(String),
    /// A list.
    Sequence(Vec<YamlNode>),
    /// Keys and values in the order of the file, merges applied, no key twice.
    Mapping(Vec<YamlEntry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct YamlEntry {
    /// The key.
    pub(crate) key: String,
    /// Place of the key in the order of the visit.
    pub(crate) key_id: usize,
    /// The value.
    pub(crate) value: YamlNode,
}

/// Something wrong in the shape of the text.
#[derive(Debug)]
pub(crate) struct YamlFault {
    /// Node it is about.
    pub(crate) id: usize,
    /// Words for the user.
    pub(crate) message: String,
}

/// Why there is no tree at all.
#[derive(Debug)]
pub(crate) struct YamlSyntaxError {
    /// Line, counted from 1, where the parser knows it.
    pub(crate) line: Option<usize>,
    /// Words for the user.
    pub(crate) message: String,
}

impl YamlNode {
    fn new(id: usize, kind: YamlKind) -> YamlNode {
        YamlNode { id, kind }
    }
}

impl YamlSyntaxError {
    fn without_line(message: String) -> YamlSyntaxError {
        YamlSyntaxError {
            line: None,
            message,
        }
    }
}

/// Reads the one document of `text`.
///
/// # Errors
/// When it is not YAML, or too large a tree. Faults of shape come beside the tree.
pub(crate) fn parse(text: &str) -> Result<(YamlNode, Vec<YamlFault>), YamlSyntaxError> {
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    let is_opening = |byte: &u8| matches!(byte, b'[' | b'{');
    let flows = text.bytes().filter(is_opening).count();
    let directives = text.lines().filter(|line| line.starts_with('%')).count();
    if flows > MAX_FLOW_OPENINGS || directives > MAX_YAML_DIRECTIVES {
        return Err(YamlSyntaxError::without_line(format!(
            "more than {MAX_FLOW_OPENINGS} of `[` and `{{`, or more than {MAX_YAML_DIRECTIVES} of \
             `%`: that is no configuration"
        )));
    }
    let mut documents = Deserializer::from_str(text);
    let Some(first) = documents.next() else {
        return Ok((YamlNode::new(0, YamlKind::Null), Vec::new()));
    };
    let pass = YamlPass::default();
    let mut node = ShapeReader(&pass)
        .deserialize(first)
        .map_err(|err| syntax_error(&err, text, pass.failure.take()))?;
    if documents.next().is_some() {
        let message = "the file holds more than one YAML document; keep one and remove the `---`";
        return Err(YamlSyntaxError::without_line(message.to_owned()));
    }
    fill_document(text, &mut node).map_err(|err| syntax_error(&err, text, None))?;
    let mut faults = Vec::new();
    tidy(&mut node, &mut faults);
    Ok((node, faults))
}

/// The line, counted from 1, of the node with this number.
pub(crate) fn line_of(text: &str, id: usize) -> Option<usize> {
    let pass = YamlPass {
        fail_at: Some(id),
        ..YamlPass::default()
    };
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    match ShapeReader(&pass).deserialize(Deserializer::from_str(text).next()?) {
        Err(err) if pass.hit.get() => Some(err.location()?.line()),
        Err(_) | Ok(_) => None,
    }
}

/// serde_yaml's message with its place, and what to look at.
fn syntax_error(err: &serde_yaml::Error, text: &str, own: Option<String>) -> YamlSyntaxError {
    let place = err.location().map(|place| (place.line(), place.column()));
    let line = place.map(|(line, _)| line);
    if let Some(message) = own {
        return YamlSyntaxError { line, message };
    }
    let full = err.to_string();
    if let Some((line, column)) = opened_quote(&full) {
        return YamlSyntaxError {
            line: Some(line),
            message: format!(
                "not valid YAML: the quote that opens here in column {column} is not closed"
            ),
        };
    }
    let message = full.split(" at line ").next().unwrap_or(&full);
    let content = line.and_then(|line| text.lines().nth(line.saturating_sub(1)));
    let content = content.unwrap_or_default();
    let at = place.map_or_else(String::new, |(_, column)| format!(" in column {column}"));
    let complaint = YamlComplaint { message, content };
    let hint = match complaint.hint().as_str() {
        "" => String::new(),
        hint => format!("; {hint}"),
    };
    YamlSyntaxError {
        line,
        message: format!("not valid YAML{at}: {message}{hint}"),
    }
}

/// State of one pass over the document.
#[derive(Default)]
struct YamlPass {
    next_id: Cell<usize>,
    fail_at: Option<usize>,
    hit: Cell<bool>,
    failure: RefCell<Option<String>>,
}

impl YamlPass {
    fn number<E: serde::de::Error>(&self) -> Result<usize, E> {
        let id = self.next_id.get();
        if self.fail_at == Some(id) {
            self.hit.set(true);
            return Err(E::custom("found"));
        }
        if id >= MAX_YAML_NODES {
            return Err(self.fail(&format!(
                "more than {MAX_YAML_NODES} values, counting aliases as often as they are used"
            )));
        }
        self.next_id.set(id + 1);
        Ok(id)
    }

    /// Ends the pass. The words are kept aside, as serde_yaml would put a path of its own before them.
    fn fail<E: serde::de::Error>(&self, message: &str) -> E {
        self.failure.replace(Some(message.to_owned()));
        E::custom(message)
    }
}

/// The first pass: the kind of each node and its number. Texts stay empty.
struct ShapeReader<'a>(&'a YamlPass);

impl<'de> DeserializeSeed<'de> for ShapeReader<'_> {
    type Value = YamlNode;

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<YamlNode, D::Error> {
        input.deserialize_any(self)
    }
}

/// The visitor has a method for each type of scalar, and all do the same.
macro_rules! scalars {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E: serde::de::Error>(self, _: $type) -> Result<YamlNode, E> {
            Ok(YamlNode::new(self.0.number()?, YamlKind::Scalar(String::new())))
        })*
    };
}

impl<'de> Visitor<'de> for ShapeReader<'_> {
    type Value = YamlNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128,
        visit_u128: u128, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: serde::de::Error>(self) -> Result<YamlNode, E> {
        Ok(YamlNode::new(self.0.number()?, YamlKind::Null))
    }

    /// A document without a value.
    fn visit_none<E: serde::de::Error>(self) -> Result<YamlNode, E> {
        self.visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<YamlNode, A::Error> {
        let id = self.0.number()?;
        let mut items = Vec::new();
        while let Some(item) = input.next_element_seed(ShapeReader(self.0))? {
            items.push(item);
        }
        Ok(YamlNode::new(id, YamlKind::Sequence(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<YamlNode, A::Error> {
        let id = self.0.number()?;
        let mut entries = Vec::new();
        while let Some(key) = input.next_key_seed(ShapeReader(self.0))? {
            let value = input.next_value_seed(ShapeReader(self.0))?;
            if let YamlKind::Sequence(_) | YamlKind::Mapping(_) = key.kind {
                let message = "a key must be a plain text, not a list or keys and values";
                return Err(self.0.fail(message));
            }
            entries.push(YamlEntry {
                key: String::new(),
                key_id: key.id,
                value,
            });
        }
        Ok(YamlNode::new(id, YamlKind::Mapping(entries)))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<YamlNode, A::Error> {
        let message = "YAML tags (`!name`) are not known here; remove the tag";
        Err(self.0.fail(message))
    }
}

/// The second pass: the texts, guided by the kinds of the first.
fn fill_document(text: &str, node: &mut YamlNode) -> Result<(), serde_yaml::Error> {
    match Deserializer::from_str(text).next() {
        Some(document) => TextFiller(node).deserialize(document),
        None => Ok(()),
    }
}

/// Reads a scalar as it was written.
struct ScalarText<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for ScalarText<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for ScalarText<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        text.clone_into(self.0);
        Ok(())
    }
}

/// Fills the texts of a node.
struct TextFiller<'a>(&'a mut YamlNode);

impl<'de> DeserializeSeed<'de> for TextFiller<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        match &mut self.0.kind {
            YamlKind::Null => IgnoredAny::deserialize(input).map(|IgnoredAny| ()),
            YamlKind::Scalar(text) => ScalarText(text).deserialize(input),
            YamlKind::Sequence(_) => input.deserialize_seq(self),
            YamlKind::Mapping(_) => input.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for TextFiller<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the same YAML value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<(), A::Error> {
        if let YamlKind::Sequence(items) = &mut self.0.kind {
            for item in items {
                input.next_element_seed(TextFiller(item))?;
            }
        }
        input.next_element::<IgnoredAny>().map(|_| ())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<(), A::Error> {
        if let YamlKind::Mapping(entries) = &mut self.0.kind {
            for entry in entries {
                input.next_key_seed(ScalarText(&mut entry.key))?;
                input.next_value_seed(TextFiller(&mut entry.value))?;
            }
        }
        input.next_key::<IgnoredAny>().map(|_| ())
    }
}

/// Removes double keys with a fault for each, and applies `<<`, innermost first.
fn tidy(node: &mut YamlNode, faults: &mut Vec<YamlFault>) {
    match &mut node.kind {
        YamlKind::Null | YamlKind::Scalar(_) => {}
        YamlKind::Sequence(items) => items.iter_mut().for_each(|item| tidy(item, faults)),
        YamlKind::Mapping(entries) => {
            entries
                .iter_mut()
                .for_each(|entry| tidy(&mut entry.value, faults));
            let mut seen = HashSet::new();
            entries.retain(|entry| {
                let first = seen.insert(entry.key.clone());
                if !first {
                    let message = format!("`{}` is given twice; remove one", entry.key);
                    faults.push(YamlFault {
                        id: entry.key_id,
                        message,
                    });
                }
                first
            });
            merge(entries, faults);
        }
    }
}

/// Replaces `<<` by what it names: keys of the mapping itself win, then the earlier of a list.
fn merge(entries: &mut Vec<YamlEntry>, faults: &mut Vec<YamlFault>) {
    let Some(place) = entries.iter().position(|entry| entry.key == "<<") else {
        return;
    };
    let source = entries.remove(place);
    let sources = match source.value.kind {
        YamlKind::Sequence(items) => items,
        YamlKind::Null | YamlKind::Scalar(_) | YamlKind::Mapping(_) => vec![source.value],
    };
    for source in sources {
        let YamlKind::Mapping(more) = source.kind else {
            let message = "`<<` takes a mapping or a list of mappings".to_owned();
            faults.push(YamlFault {
                id: source.id,
                message,
            });
            continue;
        };
        for entry in more {
            if !entries.iter().any(|own| own.key == entry.key) {
                entries.push(entry);
            }
        }
    }
}

/// A mapping as the text of a file.
pub(super) fn text(mapping: &Mapping) -> String {
    // A tree of texts and numbers always has a YAML form.
    serde_yaml::to_string(mapping).unwrap_or_default()
}

/// A scalar as it stands behind its key; null and the empty text are nothing.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.is_empty() => String::new(),
        value => serde_yaml::to_string(value)
            .unwrap_or_default()
            .trim_end()
            .to_owned(),
    }
}

/// A text as a scalar of one line, in quotes where it needs them.
pub(crate) fn scalar(text: &str) -> String {
    inline(&Value::String(text.to_owned()))
}

/// Whether `text` is YAML of the shape that a configuration has; looks up the line of its last node,
/// too. For the fuzz target `yaml`.
#[doc(hidden)]
pub fn is_yaml(text: &str) -> bool {
    parse(text).is_ok_and(|(node, _)| line_of(text, node.id).is_some())
}
