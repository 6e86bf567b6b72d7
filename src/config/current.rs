//! The configuration in effect, for threads that live longer than one: a reload replaces it.

use std::sync::Arc;

use super::keys::Config;

use crate::sync::Mutex;

/// Shared as `Arc<Current>`: the supervisor sets it, the admin port reads it.
#[derive(Debug)]
pub struct CurrentConfig(Mutex<Arc<Config>>);

impl CurrentConfig {
    /// Begins with `config`.
    pub fn new(config: Config) -> CurrentConfig {
        CurrentConfig(Mutex::new(Arc::new(config)))
    }

    /// The configuration in effect now.
    pub fn get(&self) -> Arc<Config> {
        let held = self.0.lock();
        Arc::clone(&held)
    }

    /// Another configuration is in effect from now on.
    pub fn set(&self, config: Config) {
        *self.0.lock() = Arc::new(config);
    }
}
