//! Which of several bridges this process is.

mod instance_id;

pub use self::instance_id::{InstanceIdError, instance_id};
