//! The sink: records of topics become rows of tables, whatever happens.

mod bad;
mod crash;
mod group;
mod held;
mod lost;
mod operations;
mod order;
mod outage;
mod stop;
