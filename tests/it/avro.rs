//! Avro: what others read of our records, and registries that fail.

mod fake;
mod reader;
