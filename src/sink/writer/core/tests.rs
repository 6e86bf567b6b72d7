//! Decisions, by tables.
