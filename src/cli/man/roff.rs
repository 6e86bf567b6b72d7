//! Text for man(1), as roff with the macros of man(7).

use crate::cli::version;

/// The first lines of a page: its title, and its name with what it is about.
pub(in crate::cli) fn title(name: &str, section: u8, manual: &str, about: &str) -> String {
    let date = if version::BUILD_DATE == "unknown" {
        "\"\""
    } else {
        version::BUILD_DATE
    };
    format!(
        ".TH {} {section} {date} \"servicenow-kafka-bridge {}\" \"{manual}\"\n.nh\n.ad l\n.SH NAME\n{} \\- {}\n",
        name.to_uppercase(),
        version::VERSION,
        escaped(name),
        escaped(about)
    )
}

/// Text with what roff would take for its own escaped, and with what stands in backquotes in bold.
pub(in crate::cli) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut is_bold = false;
    for letter in text.chars() {
        match letter {
            '`' => {
                is_bold = !is_bold;
                out.push_str(if is_bold { "\\fB" } else { "\\fR" });
            }
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '~' => out.push_str("\\(ti"),
            '^' => out.push_str("\\(ha"),
            // A full stop that begins a line would begin a request.
            '.' if out.is_empty() || out.ends_with('\n') => out.push_str("\\&."),
            other => out.push(other),
        }
    }
    out
}
