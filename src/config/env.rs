//! `${VAR}` inside a scalar.

/// A text with its variables replaced.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ExpandedText {
    /// The text to use.
    pub(super) text: String,
    /// True if a variable was replaced in it: then it may be a secret under the wrong key.
    pub(super) from_env: bool,
    /// Names written as `$NAME`, which stay as they are.
    pub(super) bare: Vec<String>,
}

/// A `${...}` that cannot be replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum VariableFault {
    /// The variable is not set.
    Unset(String),
    /// Shell syntax after the name, as in `${VAR:-default}`.
    Operator(String),
    /// Not a name between the braces. The content is not kept: it may be part of a secret.
    BadName,
    /// No closing brace.
    Unclosed,
}

impl VariableFault {
    /// Words for the user.
    pub(super) fn message(&self) -> String {
        match self {
            VariableFault::Unset(name) => {
                format!(
                    "environment variable `{name}` is not set; set it where the bridge is started"
                )
            }
            VariableFault::Operator(name) => format!(
                "`${{{name}...}}`: only plain `${{{name}}}` is known, no default inside the \
                 braces; set the variable or write the value itself"
            ),
            VariableFault::BadName => {
                "a `${...}` does not hold a variable name of letters, digits and \
                               `_`; write `$${` for a literal `${`"
                    .to_owned()
            }
            VariableFault::Unclosed => {
                "`${` without `}`; write `$${` for a literal `${`".to_owned()
            }
        }
    }
}

/// Replaces every `${NAME}`; `$${` stands for a literal `${`.
///
/// # Errors
/// Every fault in the text.
pub(super) fn expand(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<ExpandedText, Vec<VariableFault>> {
    let mut out = ExpandedText::default();
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.text.push_str(before);
        rest = if let Some(tail) = after.strip_prefix("${") {
            out.text.push_str("${");
            tail
        } else if let Some(tail) = after.strip_prefix('{') {
            let Some((inside, tail)) = tail.split_once('}') else {
                faults.push(VariableFault::Unclosed);
                break;
            };
            match value_of(inside, env) {
                Ok(value) => out.text.push_str(&value),
                Err(fault) => faults.push(fault),
            }
            out.from_env = true;
            tail
        } else {
            out.text.push('$');
            let name = name_at(after);
            if !name.is_empty() {
                out.bare.push(name.to_owned());
            }
            after
        };
    }
    out.text.push_str(rest);
    if faults.is_empty() {
        Ok(out)
    } else {
        Err(faults)
    }
}

fn value_of(inside: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, VariableFault> {
    let name = name_at(inside);
    if name.is_empty() {
        return Err(VariableFault::BadName);
    }
    if name.len() < inside.len() {
        let operator = inside.get(name.len()..).is_some_and(|tail| {
            tail.starts_with([':', '-', '+', '?', '=', '%', '#', '/', '^', ','])
        });
        return Err(if operator {
            VariableFault::Operator(name.to_owned())
        } else {
            VariableFault::BadName
        });
    }
    env(name).ok_or_else(|| VariableFault::Unset(name.to_owned()))
}

/// The variable name at the start of `text`, empty if there is none.
fn name_at(text: &str) -> &str {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return "";
    }
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.get(..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".to_owned()),
            "B_2" => Some("${A}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(expand(text, &env).unwrap().text, expected, "{text}");
    }

    #[test]
    fn variables_are_replaced_once() {
        check("plain", "plain");
        check("${A}", "alpha");
        check("x${A}-${EMPTY}${A}y", "xalpha-alphay");
        check("${B_2}", "${A}");
        check("a$$b $5 $", "a$$b $5 $");
        check("$${A}", "${A}");
        check("$$${A}", "$${A}");
    }

    #[test]
    fn bare_names_are_kept_and_listed() {
        let out = expand("$A and pa$$word and $1", &env).unwrap();
        assert_eq!(out.text, "$A and pa$$word and $1");
        assert_eq!(out.bare, ["A", "word"]);
        assert!(!out.from_env);
    }

    #[test]
    fn every_fault_is_listed() {
        let faults = expand("${X} ${A:-b} ${} ${a b} ${9} ${A", &env).unwrap_err();
        let expected = [
            VariableFault::Unset("X".to_owned()),
            VariableFault::Operator("A".to_owned()),
            VariableFault::BadName,
            VariableFault::BadName,
            VariableFault::BadName,
            VariableFault::Unclosed,
        ];
        assert_eq!(faults, expected);
    }
}
