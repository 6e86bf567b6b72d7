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
    /// Whether tables are polled.
    pub(crate) reads: bool,
    /// Lines below `source:` before the tables.
    pub(crate) source: String,
    /// Tables, one text of lines below `- ` each.
    pub(crate) tables: Vec<String>,
    /// Lines below `sink:` before the topics.
    pub(crate) sink: String,
    /// Topics of the sink, one text of lines below `- ` each; without one it is off.
    pub(crate) sink_topics: Vec<String>,
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
            reads: true,
            source: "fast_poll_interval: 50ms\nslow_poll_interval: 100ms".to_owned(),
            tables: vec!["name: incident".to_owned()],
            sink: String::new(),
            sink_topics: Vec::new(),
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

    /// Adds lines below `sink:`.
    pub(crate) fn sink(mut self, lines: &str) -> Config {
        let _ = write!(self.sink, "\n{lines}");
        self
    }

    /// Consumes one topic into a table, as this group.
    pub(crate) fn consume(mut self, topic: &str, table: &str, group: &str) -> Config {
        self.sink_topics = vec![format!("topic: {topic}\ntable: {table}")];
        self.sink(&format!("group_id: {group}"))
    }

    /// Adds lines to the last topic of the sink.
    pub(crate) fn sink_topic(mut self, lines: &str) -> Config {
        let _ = write!(self.sink_topics.last_mut().unwrap(), "\n{lines}");
        self
    }

    /// The YAML text.
    pub(crate) fn text(&self) -> String {
        let indent = |text: &str, by: &str| {
            text.lines()
                .map(|line| format!("{by}{line}\n"))
                .collect::<String>()
        };
        let list = |items: &[String]| {
            let item = |item: &String| indent(item, "      ").replacen("      ", "    - ", 1);
            items.iter().map(item).collect::<String>()
        };
        let tables = list(&self.tables);
        let sink = match self.sink_topics.as_slice() {
            [] => String::new(),
            topics => format!(
                "sink:\n  enabled: true\n{}  topics:\n{}",
                indent(&self.sink, "  "),
                list(topics)
            ),
        };
        format!(
            "servicenow:\n{}kafka:\n{}source:\n  enabled: {}\n  topic_prefix: servicenow\n{}  tables:\n{}{sink}offset:\n{}observability:\n  addr: 127.0.0.1:0\n{}\n",
            indent(&self.servicenow, "  "),
            indent(&self.kafka, "  "),
            self.reads,
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
