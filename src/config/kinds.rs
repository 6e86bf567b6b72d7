//! The kinds of values in the table of keys: how a value is read, what bounds it has, and how it is
//! shown.

mod file;
mod number;
mod structure;
mod text;
mod value;
mod words;

pub(super) use file::{REDACTED, existing_file, path, path_value, secret};
pub(super) use number::{integer, rate, seconds, time, time_or_unlimited, up_to, whole_seconds};
pub(super) use structure::{EachOf, Inline, Nested, NestedIfUsed};
pub(super) use text::{any, normal_text, text, text_value, texts};
pub(super) use value::{KeyKind, ReadKey, Required, ValueKind};
pub(super) use words::{Words, choice, flag, word};
