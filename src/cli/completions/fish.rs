//! Completions for fish: one line for each word and flag, with the condition under which it is offered.

use super::offered::{all_flags, flags, spellings, takes_files, words};
use crate::cli::input::Input;
use crate::cli::options::GlobalOptions;
use crate::cli::table;

const FISH_HEAD: &str = r#"# fish completion for servicenow-kafka-bridge(1); made by `servicenow-kafka-bridge completions fish`

# Whether the words of the line that are no flags are these, or with -p begin with these.
function __servicenow_kafka_bridge_at
    set -l words
    set -l tokens (commandline -opc)
    set -l is_value 0
    for token in $tokens[2..]
        if test $is_value = 1
            set is_value 0
            continue
        end
        switch $token
            case VALUE_FLAGS
                set is_value 1
            case '-*'
            case '*'
                set -a words $token
        end
    end
    if test "$argv[1]" = -p
        string match -q -- "$argv[2..] *" "$words "
    else
        test "$words" = "$argv"
    end
end

complete -c servicenow-kafka-bridge -f
"#;

pub(super) fn script() -> String {
    let with_value = all_flags()
        .into_iter()
        .filter(|flag| flag.value_name().is_some());
    let patterns: Vec<String> = with_value.flat_map(spellings).collect();
    let mut out = FISH_HEAD.replace("VALUE_FLAGS", &patterns.join(" "));
    for flag in GlobalOptions::INPUTS {
        out.push_str(&line("", flag));
    }
    let mut word = |at: &str, name: &str, text: &str| {
        let condition = quoted(&format!("__servicenow_kafka_bridge_at {at}"));
        let text = quoted(text);
        out.push_str(&format!("{COMPLETE} -n {condition} -a {name} -d {text}\n"));
    };
    for command in table::commands() {
        word("", command.name, command.summary);
        for action in command.actions {
            word(command.name, action.name, action.summary);
        }
    }
    for executable in table::executables() {
        for name in words(&executable) {
            word(&executable.to_string(), name, "");
        }
    }
    for executable in table::executables() {
        let condition = format!("__servicenow_kafka_bridge_at -p {executable}");
        let own = flags(&executable).filter(|flag| GlobalOptions::find(flag.name).is_none());
        for flag in own {
            out.push_str(&line(&format!(" -n {}", quoted(&condition)), flag));
        }
        if takes_files(&executable) {
            out.push_str(&format!("{COMPLETE} -n {} -F\n", quoted(&condition)));
        }
    }
    out
}

const COMPLETE: &str = "complete -c servicenow-kafka-bridge";

fn line(condition: &str, flag: &Input) -> String {
    let short = flag
        .letter
        .map_or_else(String::new, |it| format!(" -s {it}"));
    let value = match (flag.value_name(), flag.is_file) {
        (None, _) => String::new(),
        (Some(_), true) => " -r -F".to_owned(),
        (Some(_), false) => format!(" -x -a {}", quoted(&flag.choices().join(" "))),
    };
    let (name, text) = (flag.name, quoted(flag.doc()));
    format!("{COMPLETE}{condition} -l {name}{short}{value} -d {text}\n")
}

/// Text as one word of fish.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
