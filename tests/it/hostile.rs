//! Answers and requests that are made to harm.

mod memory;
mod rows;
mod scripts;
