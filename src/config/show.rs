//! The checked tree back to YAML, secrets redacted.
//!
//! The output has the shape of the file and loads again, so it shows what a key left out means.
//! Of the ways to log in only the one in use is shown, as the others have no effect.

use serde::Serialize;

use super::key_table::KeyGroup as _;
use super::keys::Config;
use super::yaml::{self, Mapping};

/// Every key with its effective value, as YAML. Null is "not set".
pub fn show(config: &Config) -> String {
    yaml::text(&tree(config))
}

/// The same, for another form than YAML.
pub fn show_tree(config: &Config) -> impl Serialize + use<> {
    tree(config)
}

fn tree(config: &Config) -> Mapping {
    let mut shown = Mapping::new();
    config.show(&mut shown);
    shown
}
