//! `config.yaml` of the Go program: the keys are the same here, so what is said is what they do now.

use super::draft::{ConfigDraft, DraftValue, RemarkKind};
use super::foreign::{GoConfig, GoSetting};
use super::rules::{has_credentials, variable_name};
use crate::config::names::did_you_mean;
use crate::config::yaml_line;

/// What becomes of a key of the Go program.
#[derive(Clone, Copy)]
enum GoKey {
    /// It means the same.
    Same,
    /// It means the same; zero stood for the default.
    SameButZero,
    /// It holds a secret, for which a variable of this name stands.
    Secret(&'static str),
    /// It did nothing in the Go program and works here.
    WorksNow(&'static str),
    /// It is left out, for this reason.
    Dropped(RemarkKind, &'static str),
}

const WAS_IGNORED: &str =
    "had no effect in the Go program, and has one here; zero or nothing is the default";
const KEPT_IN_FILE: &str = "the Go program kept positions in the file whatever it said; so does the \
    bridge, in `offset.file_path`";

/// Every key of the Go program (its `internal/config/config.go`).
const GO_KEYS: &[(&str, GoKey)] = &[
    ("servicenow.base_url", GoKey::Same),
    ("servicenow.table_api_path", GoKey::Same),
    ("servicenow.auth.type", GoKey::Same),
    ("servicenow.auth.oauth.client_id", GoKey::Same),
    (
        "servicenow.auth.oauth.client_secret",
        GoKey::Secret("SN_CLIENT_SECRET"),
    ),
    ("servicenow.auth.oauth.username", GoKey::Same),
    (
        "servicenow.auth.oauth.password",
        GoKey::Secret("SN_PASSWORD"),
    ),
    ("servicenow.auth.oauth.token_path", GoKey::Same),
    ("servicenow.auth.basic.username", GoKey::Same),
    (
        "servicenow.auth.basic.password",
        GoKey::Secret("SN_PASSWORD"),
    ),
    ("servicenow.timeout_seconds", GoKey::SameButZero),
    (
        "servicenow.read_timeout_seconds",
        GoKey::WorksNow(WAS_IGNORED),
    ),
    (
        "servicenow.conn_timeout_seconds",
        GoKey::WorksNow(WAS_IGNORED),
    ),
    ("servicenow.max_retries", GoKey::Same),
    (
        "servicenow.retry_backoff_seconds",
        GoKey::WorksNow(WAS_IGNORED),
    ),
    ("servicenow.rate_limit_rps", GoKey::Same),
    ("kafka.brokers[]", GoKey::Same),
    ("kafka.tls.enabled", GoKey::Same),
    ("kafka.tls.ca_cert", GoKey::Same),
    ("kafka.tls.cert_file", GoKey::Same),
    ("kafka.tls.key_file", GoKey::Same),
    ("kafka.sasl.mechanism", GoKey::Same),
    ("kafka.sasl.username", GoKey::Same),
    ("kafka.sasl.password", GoKey::Secret("KAFKA_PASSWORD")),
    ("kafka.schema_registry_url", GoKey::Same),
    ("source.enabled", GoKey::Same),
    ("source.topic_prefix", GoKey::Same),
    ("source.fast_poll_interval", GoKey::SameButZero),
    ("source.slow_poll_interval", GoKey::SameButZero),
    ("source.batch_size", GoKey::SameButZero),
    ("source.initial_query_hours_ago", GoKey::Same),
    ("source.timestamp_delay_seconds", GoKey::Same),
    ("source.tables[].name", GoKey::Same),
    ("source.tables[].timestamp_field", GoKey::Same),
    ("source.tables[].identifier_field", GoKey::Same),
    ("source.tables[].fields[]", GoKey::Same),
    ("source.tables[].topic", GoKey::Same),
    ("source.tables[].partitioner", GoKey::Same),
    ("source.tables[].partition_key_fields[]", GoKey::Same),
    ("sink.enabled", GoKey::Same),
    ("sink.concurrency", GoKey::SameButZero),
    ("sink.dlq_topic", GoKey::Same),
    ("sink.group_id", GoKey::Same),
    ("sink.commit_on_partial_failure", GoKey::Same),
    ("sink.topics[].topic", GoKey::Same),
    ("sink.topics[].table", GoKey::Same),
    (
        "offset.storage",
        GoKey::Dropped(RemarkKind::Unneeded, KEPT_IN_FILE),
    ),
    (
        "offset.kafka_topic",
        GoKey::Dropped(RemarkKind::Unneeded, KEPT_IN_FILE),
    ),
    ("offset.file_path", GoKey::Same),
    ("offset.flush_interval", GoKey::SameButZero),
    ("observability.addr", GoKey::Same),
    ("log_level", GoKey::Same),
];

/// Finding a line reads the file again: more remarks than this name the key alone.
const MAX_LINES: usize = 50;

/// Takes the settings over.
pub(super) fn translate(config: &GoConfig, draft: &mut ConfigDraft) {
    let mut translation = GoTranslation {
        config,
        draft,
        lines_left: MAX_LINES,
    };
    config.settings.iter().for_each(|it| translation.take(it));
    differences(draft);
}

/// A configuration on its way into the draft.
struct GoTranslation<'a> {
    config: &'a GoConfig,
    draft: &'a mut ConfigDraft,
    lines_left: usize,
}

impl GoTranslation<'_> {
    fn remark(&mut self, setting: &GoSetting, kind: RemarkKind, words: &str) {
        let is_left = self.lines_left > 0;
        self.lines_left = self.lines_left.saturating_sub(1);
        let line = is_left.then(|| yaml_line(&self.config.text, setting.node));
        let name = match line.flatten() {
            Some(line) => format!("line {line}, {}", setting.key),
            None => setting.key.clone(),
        };
        self.draft.remark(kind, &name, words);
    }

    fn take(&mut self, setting: &GoSetting) {
        let (path, value) = (setting.key.as_str(), setting.value.as_str());
        let plain = without_numbers(path);
        let known = GO_KEYS.iter().find(|(key, _)| *key == plain);
        if value.is_empty() {
            return;
        }
        let Some((_, fate)) = known else {
            let guess = did_you_mean(&plain, GO_KEYS.iter().map(|(key, _)| *key));
            let words = format!(
                "the Go program ignored this key, and the bridge refuses keys that it does not know{guess}"
            );
            return self.remark(setting, RemarkKind::Unneeded, &words);
        };
        let is_zero = value.trim_end_matches(|c: char| c.is_ascii_alphabetic()) == "0";
        match fate {
            GoKey::Dropped(kind, why) => self.remark(setting, *kind, why),
            GoKey::SameButZero | GoKey::WorksNow(_) if is_zero => {
                let words = "zero stood for the default";
                self.remark(setting, RemarkKind::Unneeded, words);
            }
            GoKey::Same | GoKey::SameButZero if has_credentials(value, false) => {
                self.put_secret(setting, &variable_name(path));
            }
            GoKey::Same | GoKey::SameButZero => self.put(setting),
            GoKey::WorksNow(how) => {
                self.put(setting);
                self.remark(setting, RemarkKind::Differs, how);
            }
            GoKey::Secret(variable) => self.put_secret(setting, variable),
        }
    }

    /// Sets a variable in place of a secret. Only what is a reference and nothing else is none itself: a
    /// password may have a `$` in it.
    fn put_secret(&mut self, setting: &GoSetting, variable: &str) {
        let path = setting.key.as_str();
        let expanded = expanded(&setting.value);
        let is_reference = match expanded.references.as_slice() {
            [name] => expanded.text == format!("${{{name}}}"),
            _ => false,
        };
        if is_reference {
            return self.put(setting);
        }
        let meaning = format!("what `{path}` held");
        let reference = self
            .draft
            .variable(variable, &meaning, stand_in(path), &setting.value);
        self.put_text(path, reference);
    }

    /// Sets a scalar, or adds one to a list.
    fn put(&mut self, setting: &GoSetting) {
        let path = setting.key.as_str();
        let Expanded {
            text,
            references,
            has_other,
        } = expanded(&setting.value);
        if has_other {
            let words = "the Go program took away a `$` with what stands behind it; here it stays";
            self.remark(setting, RemarkKind::Differs, words);
        }
        for reference in references {
            let meaning = format!("read by `{path}`, as before");
            self.draft
                .variable(&reference, &meaning, stand_in(path), "");
        }
        self.put_text(path, text);
    }

    fn put_text(&mut self, path: &str, text: String) {
        let Some((list, _)) = path.strip_suffix(']').and_then(|it| it.rsplit_once('[')) else {
            return self.draft.set_text(path, &text);
        };
        let mut entries = self.draft.entries.iter_mut();
        match entries
            .find(|entry| entry.path == list)
            .map(|it| &mut it.value)
        {
            Some(DraftValue::Texts(texts)) => texts.push(text),
            Some(DraftValue::Text(_)) => {}
            None => {
                self.draft.set(list, DraftValue::Texts(vec![text]), "");
            }
        }
    }
}

/// A value of which the variables are written as here.
struct Expanded {
    text: String,
    references: Vec<String>,
    /// It has a `$` that names no variable.
    has_other: bool,
}

/// `$NAME` and `${NAME}` as `${NAME}` (Go's `os.ExpandEnv`).
fn expanded(value: &str) -> Expanded {
    let mut out = Expanded {
        text: String::new(),
        references: Vec::new(),
        has_other: false,
    };
    let mut parts = value.split('$');
    out.text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let is_name_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, rest) = match part.strip_prefix('{').and_then(|it| it.split_once('}')) {
            Some((name, rest)) => (name, rest),
            None => {
                let end = part.find(|c| !is_name_part(c)).unwrap_or(part.len());
                part.split_at_checked(end).unwrap_or((part, ""))
            }
        };
        let is_name = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(is_name_part);
        if is_name {
            out.text.push_str(&format!("${{{name}}}{rest}"));
            out.references.push(name.to_owned());
        } else {
            out.has_other = true;
            let dollar = if part.starts_with('{') { "$$" } else { "$" };
            out.text.push_str(&format!("{dollar}{part}"));
        }
    }
    out
}

/// A path without the numbers of items: `source.tables[].name`.
fn without_numbers(path: &str) -> String {
    let mut plain = String::new();
    let mut rest = path;
    while let Some((before, behind)) = rest.split_once('[') {
        plain.push_str(before);
        plain.push('[');
        rest = behind.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    plain.push_str(rest);
    plain
}

/// A value with which a reference is checked.
fn stand_in(path: &str) -> &'static str {
    let key = path.rsplit('.').next().unwrap_or_default();
    match key {
        "base_url" | "schema_registry_url" => "https://instance.example.com",
        "addr" => "127.0.0.1:8080",
        "type" => "oauth",
        "mechanism" => "PLAIN",
        "log_level" => "info",
        "enabled" | "commit_on_partial_failure" => "true",
        "token_path" | "table_api_path" => "/path",
        _ if key.ends_with("_interval") => "1s",
        _ if key.ends_with("_seconds") || key.ends_with("_ago") => "1",
        "max_retries" | "rate_limit_rps" | "batch_size" | "concurrency" => "1",
        _ if path.starts_with("kafka.brokers") => "kafka.example.com:9092",
        _ => "stand_in",
    }
}

/// What behaves in another way although its key is the same.
fn differences(draft: &mut ConfigDraft) {
    let few_rows = draft
        .text("source.batch_size")
        .and_then(|rows| rows.parse::<u32>().ok());
    if few_rows.is_some_and(|rows| rows < 200) {
        let words =
            "with so few rows a request, a first load takes long; without the key it is 1000";
        draft.remark(RemarkKind::Differs, "source.batch_size", words);
    }
    if draft.text("sink.enabled") == Some("true") && !draft.has("sink.dlq_topic") {
        let words = "a record that fails was dropped with a log line; here it holds its partition, \
                     and `sink.on_error: skip` drops it";
        draft.remark(RemarkKind::Differs, "sink.dlq_topic", words);
    }
    if draft.text("sink.commit_on_partial_failure") == Some("false") {
        let words = "a batch with a failure was read again; here the partition waits at the record";
        draft.remark(RemarkKind::Differs, "sink.commit_on_partial_failure", words);
    }
    if draft.has("kafka.schema_registry_url") {
        let words = "records had no key, and without `fields` two columns; here they have a key and \
                     all columns: `schema diff TABLE` shows it";
        draft.remark(RemarkKind::Differs, "kafka.schema_registry_url", words);
    }
    let words = "`offsets.json` of the Go program is a checkpoint file: copy it. docs/migration.md has \
                 the list of what differs";
    draft.remark(RemarkKind::Unneeded, "offsets", words);
}
