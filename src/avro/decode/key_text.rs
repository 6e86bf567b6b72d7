//! Record keys to the text that identifies a row.

use super::{DecodeError, RecordReader, TypeNode, WriterSchema, finished};

/// The text that the body of a framed key stands for: of a string that string, of other scalars
/// their text as in [`super::to_json`], of records, maps and arrays their JSON, of null nothing.
/// Unions are what is in them.
///
/// It says nothing of the schema, so that a key stays the same when its schema gets another id.
///
/// ```
/// use servicenow_kafka_bridge::schema::decode::{WriterSchema, to_text};
///
/// let schema = WriterSchema::parse(r#""string""#, &[]).expect("a schema");
/// assert_eq!(to_text(&schema, b"\x06abc").expect("a key"), b"abc");
/// ```
///
/// # Errors
/// As of [`super::to_json`], but that it may be a scalar.
pub fn to_text(schema: &WriterSchema, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut reader = RecordReader::new(schema, body);
    let result = reader.key();
    finished(reader, result)
}

impl RecordReader<'_> {
    fn key(&mut self) -> super::DecodeResult {
        match self.root()? {
            TypeNode::Record(members) => self.record(members, 0),
            TypeNode::Map(values) => self.map(*values, 0, true),
            TypeNode::Null => Ok(()),
            // Below the record itself, numbers stand without quotes.
            node @ (TypeNode::Array(_)
            | TypeNode::Boolean
            | TypeNode::Long
            | TypeNode::Float
            | TypeNode::Double) => self.value(node, 1),
            node => {
                let text = self.text_of(node)?;
                self.out.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
    }
}
