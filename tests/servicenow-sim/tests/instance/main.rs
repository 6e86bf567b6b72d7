//! Tests of the simulated instance through its socket, named after the lines of the checklist at
//! the end of servicenow_api.md. `cfg(test)` tells the lints that this is test code.

#[cfg(test)]
mod aggregates;
#[cfg(test)]
mod auth;
#[cfg(test)]
mod batch;
#[cfg(test)]
mod client;
#[cfg(test)]
mod control;
#[cfg(test)]
mod deletes;
#[cfg(test)]
mod dictionary;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod program;
#[cfg(test)]
mod query;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod time;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod truth;
#[cfg(test)]
mod write_faults;
#[cfg(test)]
mod writes;
