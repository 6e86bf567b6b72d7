//! Small configurations for tests.

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A configuration under construction; `write` puts it into a folder.
#[derive(Clone)]
pub(crate) struct Config {
    /// Lines below `servicenow:`.
    pub(crate) servicenow: String,
    /// Lines below `kafka:`.
    pub(crate) kafka: String,
    /// Lines below `source:` before the tables.
    pub(crate) source: String,
    /// Tables, one text of lines below `- ` each.
    pub(crate) tables: Vec<String>,
    /// Lines below `offset:`.
    pub(crate) offset: String,
    /// Top-level lines.
    pub(crate) top: String,
}

impl Config {
    /// One table `incident` of the instance at `url`, with fast polls and Basic authentication.
    pub(crate) fn new(url: &str, brokers: &str) -> Config {
        Config {
            servicenow: format!(
                "base_url: {url}\nauth:\n  type: basic\n  basic: {{username: bridge, password: secret}}"
            ),
            kafka: format!("brokers: ['{brokers}']"),
            source: "fast_poll_interval: 50ms\nslow_poll_interval: 100ms".to_owned(),
            tables: vec!["name: incident".to_owned()],
            offset: "flush_interval: 100ms".to_owned(),
            top: "log_level: debug".to_owned(),
        }
    }

    /// Adds lines to the first table.
    pub(crate) fn table(mut self, lines: &str) -> Config {
        let _ = write!(self.tables[0], "\n{lines}");
        self
    }

    /// Sets the topic of the first table, so that tests that share a broker do not meet.
    pub(crate) fn topic(self, topic: &str) -> Config {
        self.table(&format!("topic: {topic}"))
    }

    /// Adds lines below `servicenow:`.
    pub(crate) fn servicenow(mut self, lines: &str) -> Config {
        let _ = write!(self.servicenow, "\n{lines}");
        self
    }

    /// Adds lines below `kafka:`.
    pub(crate) fn kafka(mut self, lines: &str) -> Config {
        let _ = write!(self.kafka, "\n{lines}");
        self
    }

    /// Adds lines below `source:`.
    pub(crate) fn source(mut self, lines: &str) -> Config {
        let _ = write!(self.source, "\n{lines}");
        self
    }

    /// The YAML text.
    pub(crate) fn text(&self) -> String {
        let indent = |text: &str, by: &str| {
            text.lines()
                .map(|line| format!("{by}{line}\n"))
                .collect::<String>()
        };
        let tables: String = self
            .tables
            .iter()
            .map(|table| indent(table, "      ").replacen("      ", "    - ", 1))
            .collect();
        format!(
            "servicenow:\n{}kafka:\n{}source:\n  enabled: true\n  topic_prefix: servicenow\n{}  tables:\n{}offset:\n{}observability:\n  addr: 127.0.0.1:0\n{}\n",
            indent(&self.servicenow, "  "),
            indent(&self.kafka, "  "),
            indent(&self.source, "  "),
            tables,
            indent(&self.offset, "  "),
            self.top,
        )
    }

    /// Writes `config.yaml`.
    pub(crate) fn write(&self, folder: &Path) {
        fs::write(folder.join("config.yaml"), self.text()).unwrap();
    }
}
