//! Access rules of a broker that has an authorizer.

use std::process::Command;

use crate::broker::Broker;
use crate::error::{Context, Error};
use crate::jars::{class_path, java};
use crate::{Options, USER};

/// Options of a broker that lets [`USER`] do what [`Broker::allow`] has allowed and nothing else. Who comes
/// without a log-in may do everything.
pub fn with_access_rules() -> Options {
    let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Options {
        properties: vec![
            property(
                "authorizer.class.name",
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            ),
            property("super.users", "User:ANONYMOUS"),
        ],
        ..Options::default()
    }
}

impl Broker {
    /// Allows [`USER`] an operation, as `Write`, on what these words name, as `--topic t` or `--group g`.
    ///
    /// # Errors
    /// The broker does not take the rule.
    pub fn allow(&self, operation: &str, on: &str) -> Result<(), Error> {
        let output = Command::new(java().map_err(Error::new)?)
            .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(class_path()?)
            .args(["org.apache.kafka.tools.AclCommand", "--add"])
            .args(["--bootstrap-server", &self.plain_addr()])
            .args(["--allow-principal", &format!("User:{USER}")])
            .args(["--operation", operation])
            .args(on.split_whitespace())
            .output()
            .context("add an access rule")?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Error::new(format!("add an access rule: {said}")))
    }
}
