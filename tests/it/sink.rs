//! The sink: records of topics become rows of tables, whatever happens.

mod bad;
mod lost;
mod order;
