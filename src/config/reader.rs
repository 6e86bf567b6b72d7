//! Reads the sections of the file and notes what is wrong.
//!
//! A [`Section`] is a mapping of the file. Asking it for a key gives the value, or notes a problem
//! and gives nothing, so that one pass over the file finds everything that is wrong with it. The keys
//! that were asked for are the known ones: what else stands in the section is reported as unknown.

mod context;
mod numbers;
mod secrets;
mod section;

pub(super) use context::{ReadContext, ReadNotes, Remark};
pub(super) use numbers::{in_bounds, parse_integer, parse_number};
pub(super) use section::Section;
