//! The sink: records of topics become rows of tables, whatever happens.

mod bad;
mod dead;
mod group;
mod held;
mod lost;
mod offsets;
mod order;
mod stop;
