//! Files of other programs as one neutral list of settings, whatever form they have.

use serde_json::Value;

use super::properties;
use crate::config::{YamlKind, YamlNode, parse_yaml};

/// A setting of a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForeignSetting {
    /// Its name.
    pub(super) key: String,
    /// What is behind it, as written. May be a secret.
    pub(super) value: String,
}

impl ForeignSetting {
    pub(super) fn new(key: &str, value: &str) -> ForeignSetting {
        ForeignSetting {
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }
}

/// The configuration of one connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConnectorConfig {
    /// The name under which it runs; what it reads and commits is kept under it.
    pub(super) name: Option<String>,
    /// Its settings, no key twice.
    pub(super) settings: Vec<ForeignSetting>,
}

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ForeignConfig {
    /// `config.yaml` of the Go program.
    Go(GoConfig),
    /// Configurations of Kafka Connect.
    Connect(Vec<ConnectorConfig>),
}

/// A configuration of the Go program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GoConfig {
    /// The whole file.
    pub(super) text: String,
    pub(super) settings: Vec<GoSetting>,
}

/// A setting of the Go program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GoSetting {
    /// Its whole path, as `source.tables[0].name`.
    pub(super) key: String,
    /// What is behind it, as written. May be a secret.
    pub(super) value: String,
    /// The number of its node, by which the line of the file is found.
    pub(super) node: usize,
}

const WHAT_IS_KNOWN: &str = "known are `config.yaml` of the Go program, and configurations of Kafka \
    Connect: JSON as `GET /connectors/NAME` answers it or as it is posted, a properties file, or a \
    KafkaConnector or Connector resource of Kubernetes";

impl ConnectorConfig {
    /// What is set for a key; nothing and an empty text are the same.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let setting = self.settings.iter().find(|setting| setting.key == key)?;
        Some(setting.value.trim()).filter(|value| !value.is_empty())
    }

    /// From a list of settings, of which the last of the same key counts, as in Java.
    fn new(name: Option<String>, mut list: Vec<ForeignSetting>) -> ConnectorConfig {
        let mut seen = std::collections::HashSet::new();
        list.reverse();
        list.retain(|setting| seen.insert(setting.key.clone()));
        list.reverse();
        let mut config = ConnectorConfig {
            name,
            settings: list,
        };
        if config.name.is_none() {
            config.name = config.get("name").map(str::to_owned);
        }
        config
    }
}

/// More settings than this are no configuration of a connector.
const MAX_SETTINGS: usize = 10_000;

/// Finds out what a text is, and reads it.
///
/// # Errors
/// What keeps it from being read, or what is known.
pub(super) fn read(text: &str) -> Result<ForeignConfig, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut why = String::new();
    let found = if text.trim_start().starts_with(['{', '[']) {
        let json: Value = serde_json::from_str(text)
            .map_err(|error| format!("begins like JSON but is none: {error}"))?;
        let mut found = Vec::new();
        connectors_in_json(&json, None, &mut found)?;
        found
    } else {
        match parse_yaml(text) {
            Ok((node, _)) if is_go(&node) => {
                let mut settings = Vec::new();
                flatten(&node, "", &mut settings);
                let text = text.to_owned();
                return Ok(ForeignConfig::Go(GoConfig { text, settings }));
            }
            Ok(_) => {}
            // Which says what is wrong with a file that was meant to be YAML.
            Err(error) => why = format!(" ({})", error.message),
        }
        let found = connectors_in_yaml(text)?;
        if found.is_empty() {
            connector_in_properties(text)?
        } else {
            found
        }
    };
    if found.is_empty() {
        return Err(format!("is not known{why}; {WHAT_IS_KNOWN}"));
    }
    if found.iter().any(|it| it.settings.len() > MAX_SETTINGS) {
        return Err(format!("has more than {MAX_SETTINGS} settings"));
    }
    Ok(ForeignConfig::Connect(found))
}

fn connector_in_properties(text: &str) -> Result<Vec<ConnectorConfig>, String> {
    let pairs = properties::read(text)?;
    if !pairs.iter().any(|(key, _)| key == "connector.class") {
        return Ok(Vec::new());
    }
    let settings = pairs.iter();
    let settings = settings.map(|(key, value)| ForeignSetting::new(key, value));
    Ok(vec![ConnectorConfig::new(None, settings.collect())])
}

/// Collects what has a `connector.class`: an object of settings, one below `config`, one below `info`
/// below a name (`GET /connectors?expand=info`), or several in a list.
fn connectors_in_json(
    json: &Value,
    name: Option<&str>,
    found: &mut Vec<ConnectorConfig>,
) -> Result<(), String> {
    match json {
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| connectors_in_json(item, None, found)),
        Value::Object(object) if object.contains_key("connector.class") => {
            let settings = object.iter().map(|(key, value)| {
                let value = json_text(value)
                    .ok_or_else(|| format!("`{key}` holds an object or a list, not a text"))?;
                Ok(ForeignSetting::new(key, &value))
            });
            let settings = settings.collect::<Result<_, String>>()?;
            found.push(ConnectorConfig::new(name.map(str::to_owned), settings));
            Ok(())
        }
        Value::Object(object) => {
            let own_name = object.get("name").and_then(Value::as_str).or(name);
            for (key, value) in object {
                let inner = match key.as_str() {
                    "config" | "info" => own_name,
                    _ => Some(key.as_str()),
                };
                if value.is_object() {
                    connectors_in_json(value, inner, found)?;
                }
            }
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn json_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a file has the sections of the Go program at the top.
fn is_go(node: &YamlNode) -> bool {
    const GO_SECTIONS: [&str; 4] = ["servicenow", "kafka", "source", "sink"];
    let YamlKind::Mapping(entries) = &node.kind else {
        return false;
    };
    let sections = entries.iter().filter(|entry| {
        GO_SECTIONS.contains(&entry.key.as_str())
            && matches!(entry.value.kind, YamlKind::Mapping(_) | YamlKind::Null)
    });
    sections.count() >= 2
}

/// Every scalar below a node, with its path.
fn flatten(node: &YamlNode, path: &str, found: &mut Vec<GoSetting>) {
    let mut add = |value: &str| {
        found.push(GoSetting {
            key: path.to_owned(),
            value: value.to_owned(),
            node: node.id,
        });
    };
    match &node.kind {
        YamlKind::Null => add(""),
        YamlKind::Scalar(text) => add(text),
        YamlKind::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(item, &format!("{path}[{index}]"), found);
            }
        }
        YamlKind::Mapping(entries) => {
            for entry in entries {
                let inner = match path {
                    "" => entry.key.clone(),
                    path => format!("{path}.{}", entry.key),
                };
                flatten(&entry.value, &inner, found);
            }
        }
    }
}

/// The connectors among the documents of a YAML file: Strimzi's KafkaConnector with `spec.config`, and
/// Confluent's Connector with `spec.configs`, each with its class beside.
fn connectors_in_yaml(text: &str) -> Result<Vec<ConnectorConfig>, String> {
    let is_resource = |document: &&str| document.lines().any(|line| line.starts_with("kind:"));
    let documents = text.split("\n---").filter(is_resource);
    let mut found = Vec::new();
    for document in documents {
        let document = document.trim_start_matches("---");
        let (node, _) = parse_yaml(document).map_err(|error| error.message)?;
        found.extend(resource(&node));
    }
    Ok(found)
}

fn resource(node: &YamlNode) -> Option<ConnectorConfig> {
    let spec = child(node, "spec")?;
    let class = scalar(child(spec, "class")?)?;
    let config = child(spec, "config").or_else(|| child(spec, "configs"))?;
    let YamlKind::Mapping(entries) = &config.kind else {
        return None;
    };
    // Confluent for Kubernetes runs it under `spec.name`, if there is one.
    let of_resource = || child(node, "metadata").and_then(|it| child(it, "name"));
    let name = child(spec, "name").or_else(of_resource);
    let class = ForeignSetting::new("connector.class", class);
    let settings = entries.iter().filter_map(|entry| {
        let value = match &entry.value.kind {
            YamlKind::Null => "",
            _ => scalar(&entry.value)?,
        };
        Some(ForeignSetting::new(&entry.key, value))
    });
    let settings = settings.chain([class]).collect();
    let name = name.and_then(scalar).map(str::to_owned);
    Some(ConnectorConfig::new(name, settings))
}

fn child<'a>(node: &'a YamlNode, key: &str) -> Option<&'a YamlNode> {
    let YamlKind::Mapping(entries) = &node.kind else {
        return None;
    };
    let entry = entries.iter().find(|entry| entry.key == key)?;
    Some(&entry.value)
}

fn scalar(node: &YamlNode) -> Option<&str> {
    match &node.kind {
        YamlKind::Scalar(text) => Some(text),
        YamlKind::Null | YamlKind::Sequence(_) | YamlKind::Mapping(_) => None,
    }
}

#[cfg(test)]
mod tests;
