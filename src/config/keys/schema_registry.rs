//! Keys of `schema_registry`: where Avro schemas are kept, and how records refer to them.

use std::time::Duration;

use super::servicenow::TlsFiles;
use crate::config::declare::{config_keys, words};
use crate::config::duration::{ms, secs};
use crate::config::kinds::{Nested, any, choice, flag, secret, text, time, word};
use crate::config::secret::Secret;
use crate::config::values;

config_keys! {
    /// `schema_registry`: where schemas are kept, and how records refer to them. Without an address
    /// there is no Avro.
    #[derive(Eq)]
    pub struct SchemaRegistryConfig(other_urls: Vec<String>)
    check(CheckKeys)
    default(Vec::new()) {
        /// Confluent's registry, as `https://registry.example.com:8081`, or Apicurio's, as
        /// `https://registry.example.com/apis/ccompat/v7`. Several addresses of one registry with
        /// commas between them are tried in turn.
        urls: Vec<String> = Vec::new(), values::registry::registry_urls(), key: "url";

        /// How to log in, the same at each address.
        auth: RegistryAuth = (), Nested;

        /// Certificates, for https.
        tls: TlsFiles = (), Nested;

        /// Register a schema that the registry does not have. Off: use the latest of the subject; a
        /// table waits until there is one (`schema register`), and columns that it has no field for
        /// are left out.
        auto_register: bool = true, flag();

        /// Let the registry compare schemas in their normal form.
        normalize: bool = false, flag();

        /// The name of a schema: topic ({topic}-value), record (namespace.name) or topic_record
        /// ({topic}-namespace.name). These are Confluent's strategies of the same names.
        subject_strategy: SubjectStrategy = SubjectStrategy::Topic, word();

        /// Bound on one request to one address, with its body.
        timeout: Duration = secs(10), time(ms(100), secs(300));
    }
}

/// `schema_registry.auth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryAuth {
    /// `type: none`.
    None,
    /// `type: basic`.
    Basic {
        /// User name, or an API key.
        username: String,
        /// Password, or the key's secret.
        password: Secret,
    },
    /// `type: bearer`: a fixed token.
    Bearer {
        /// The token.
        token: Secret,
    },
}

config_keys! {
    /// `schema_registry.auth` as it is written.
    pub(in crate::config) struct RegistryAuthKeys {
        /// How to log in.
        kind: Option<RegistryAuthType> =
            Some(RegistryAuthType::None), choice(RegistryAuthType::None), key: "type";

        /// User name, or an API key, for type basic.
        username: Option<String> = None, text(any).optional();

        /// Password, or the secret of the API key, for type basic.
        password: Option<Secret> = None, secret("password_file");

        /// The token, for type bearer.
        token: Option<Secret> = None, secret("token_file");
    }
}

words! {
    /// `schema_registry.auth.type`.
    pub(in crate::config) enum RegistryAuthType {
        None = "none",
        Basic = "basic",
        Bearer = "bearer",
    }

    /// `schema_registry.subject_strategy`: as Confluent's strategies of the same names.
    pub enum SubjectStrategy {
        /// `{topic}-value` and `{topic}-key`.
        Topic = "topic",
        /// `{namespace}.{name}` of the record.
        Record = "record",
        /// `{topic}-{namespace}.{name}`.
        TopicRecord = "topic_record",
    }
}
