//! Avro and the schema registry.

pub mod registry;
