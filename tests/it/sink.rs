//! The sink: records of topics become rows of tables, whatever happens.

mod avro;
mod avro_down;
mod bad;
mod columns;
mod crash;
mod creates;
mod dead;
mod group;
mod held;
mod late;
mod lost;
mod member;
mod offsets;
mod operations;
mod order;
mod outage;
mod stop;
