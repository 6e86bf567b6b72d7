//! Single values of `kafka`.

use crate::config::{names, url};

/// The log-ins to Kafka that there are.
const SASL_MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// Checks a text of `kafka.brokers`, which may hold several with commas between them.
pub(in crate::config) fn brokers(text: &str) -> Result<(), String> {
    text.split(',').try_for_each(broker)
}

fn broker(text: &str) -> Result<(), String> {
    const EXAMPLE: &str = "broker1.example.com:9092";
    let text = text.trim();
    if text.contains("://") {
        return Err(format!(
            "must not hold a scheme; write for example `{EXAMPLE}`"
        ));
    }
    let (host, port) = url::split_port(text)?;
    url::check_host(host, EXAMPLE)?;
    if port == Some(0) {
        return Err("the port cannot be 0".to_owned());
    }
    Ok(())
}

/// Brings `kafka.sasl.mechanism` into upper case.
pub(in crate::config) fn mechanism(text: &str) -> Result<String, String> {
    let known = SASL_MECHANISMS.iter();
    match known.copied().find(|it| it.eq_ignore_ascii_case(text)) {
        Some(mechanism) => Ok(mechanism.to_owned()),
        None => Err(names::not_one_of(text, &SASL_MECHANISMS)),
    }
}

/// Brings `kafka.create_topics.cleanup_policy` into the form that Kafka takes.
pub(in crate::config) fn cleanup_policy(text: &str) -> Result<String, String> {
    match text.replace(' ', "").as_str() {
        policy @ ("delete" | "compact" | "compact,delete") => Ok(policy.to_owned()),
        "delete,compact" => Ok("compact,delete".to_owned()),
        _ => {
            let quoted = names::quoted(text);
            Err(format!(
                "{quoted} is not one of delete, compact, compact,delete"
            ))
        }
    }
}
