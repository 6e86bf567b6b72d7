//! The Prometheus text exposition format, version 0.0.4.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

/// A page of metrics as it is written.
#[derive(Debug, Default)]
pub struct ExpositionText {
    page: String,
    name: &'static str,
    /// The `# HELP` and `# TYPE` lines, held back until the first sample: a family that has none
    /// yet is not shown.
    header: String,
}

impl ExpositionText {
    /// Begins a family; the samples that follow are its.
    pub(super) fn family(&mut self, name: &'static str, help: &str, kind: &str) {
        self.name = name;
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.header = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Writes a sample that is a whole number.
    pub(super) fn integer(&mut self, suffix: &str, labels: &[(&str, &str)], value: u64) {
        self.sample(suffix, labels, &value.to_string());
    }

    /// Writes a sample.
    pub(super) fn number(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        self.sample(suffix, labels, &format(value));
    }

    /// The finished page.
    pub(super) fn finish(self) -> String {
        self.page
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: &str) {
        self.page.push_str(&std::mem::take(&mut self.header));
        self.page.push_str(self.name);
        self.page.push_str(suffix);
        for (at, (label, value)) in labels.iter().enumerate() {
            self.page.push(if at == 0 { '{' } else { ',' });
            self.page.push_str(label);
            self.page.push_str("=\"");
            escape(&mut self.page, value);
            self.page.push('"');
        }
        if !labels.is_empty() {
            self.page.push('}');
        }
        self.page.push(' ');
        self.page.push_str(value);
        self.page.push('\n');
    }
}

/// A number as the format spells it.
pub(super) fn format(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

fn escape(page: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '\\' => page.push_str("\\\\"),
            '"' => page.push_str("\\\""),
            '\n' => page.push_str("\\n"),
            other => page.push(other),
        }
    }
}
