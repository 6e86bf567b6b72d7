//! The dead letter: a record that could not be written, and why.
