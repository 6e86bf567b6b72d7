//! The sink: records of topics become rows of tables, whatever happens.

mod bad;
mod held;
mod lost;
mod order;
