//! Avro: the schema of a table's records, and records in both directions.
//!
//! All of it is pure, without network and clock, except [`dictionary`] and [`desired_schema`], which
//! ask the instance. The way of a row out:
//!
//! ```no_run
//! use servicenow_kafka_bridge::avro::{RecordEncoder, RecordSchema, TableColumns};
//! use servicenow_kafka_bridge::config::OnTypeError;
//!
//! # fn registered(_json: &str) -> (u32, Option<String>) { (7, None) }
//! let columns = TableColumns::named("incident", ["sys_id", "number", "caller_id.name"]);
//! let desired = RecordSchema::strings(&columns);
//! // The schema that is registered already decides what can be registered next.
//! let (id, latest) = registered(desired.json());
//! let schema = match latest {
//!     Some(json) => {
//!         let known = RecordSchema::parse(&json).expect("a schema of the bridge");
//!         known.evolve(&desired).schema.unwrap_or(known)
//!     }
//!     None => desired,
//! };
//! let mut encoder = RecordEncoder::new(&schema, id, OnTypeError::Null);
//! let mut record = Vec::new();
//! let row = br#"{"sys_id":"a","number":"INC1","caller_id.name":"Joe"}"#;
//! let report = encoder.encode(row, &mut record).expect("a row");
//! assert_eq!(report.unknown + report.misfits, 0);
//! ```
//!
//! The way of a record in: [`decode::frame`] finds the id of its schema, [`decode::to_json`] turns it
//! into the JSON that the sink reads. Sources: the Avro specification 1.12, and Confluent's page
//! "Formats, serializers, and deserializers", section "Wire format".

mod columns;
mod decimal;
pub mod decode;
pub mod desired_schema;
pub mod dictionary;
mod encode;
mod evolve;
mod model;
mod names;
mod strings;
mod times;
mod typed;
mod wire;

pub use self::columns::{ChoiceEntry, TableColumn, TableColumns};
pub use self::encode::{
    EncodeError, EncodeReport, KEY_SCHEMA, MalformedRow, RecordEncoder, encode_key,
};
#[cfg(test)]
pub(crate) use self::evolve::tests::typed as typed_schema;
pub use self::evolve::{ColumnChange, SchemaEvolution};
pub use self::model::{
    AVRO_NAMESPACE, FieldType, ForeignSchema, RAW_FIELD, RecordSchema, SchemaField,
};
pub use self::typed::TypingOptions;
pub use self::wire::{WIRE_PREFIX_BYTES, text_of_key};
