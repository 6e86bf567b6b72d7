//! Whether librdkafka takes the settings, found out without the network.

use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::BaseProducer;

use super::client_settings::ClientSettings;
use super::error::Error;
use super::group_membership::GroupMembership;
use crate::config::KafkaConfig;

/// Makes the clients that a bridge with these settings needs, without a broker to connect to, and ends
/// them again. `group` is the sink's, if it consumes.
///
/// # Errors
/// [`Error::Settings`] or [`Error::Property`]: librdkafka refuses a property, a value or a certificate.
pub fn check_settings(kafka: &KafkaConfig, group: Option<&str>) -> Result<(), Error> {
    ClientSettings::producer(kafka)?.check::<BaseProducer>()?;
    if let Some(group) = group {
        let membership = GroupMembership {
            group_id: group.to_owned(),
            instance_id: "check".to_owned(),
        };
        ClientSettings::consumer(kafka, &membership)?.check::<BaseConsumer>()?;
    }
    Ok(())
}
