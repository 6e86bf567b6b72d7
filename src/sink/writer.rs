//! Writes one record, whatever happens to its answers.
