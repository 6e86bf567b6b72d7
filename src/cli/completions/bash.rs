//! Completions for bash, which reads them as a function over the words of the line.

use super::offered::{all_flags, flags, spellings, takes_files, words};
use crate::cli::table;

/// Between the parts that depend on the table: finds out which command the line has so far.
const BASH_HEAD: &str = r#"# bash completion for servicenow-kafka-bridge(1); made by `servicenow-kafka-bridge completions bash`

_servicenow_kafka_bridge() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local at command='' action='' flags='' words='' files=''
    # Bash cuts `--flag=value` at the sign.
    if [[ $current == = ]]; then
        current=''
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
            VALUE_FLAGS)
                [[ ${COMP_WORDS[at + 1]} == = ]] && ((at++))
                ((at++))
                ;;
            -*) ;;
            *)
                if [[ -z $command ]]; then
                    command=${COMP_WORDS[at]}
                elif [[ -z $action ]]; then
                    action=${COMP_WORDS[at]}
                fi
                ;;
        esac
    done
    COMPREPLY=()
"#;

/// Flags where it is not known yet which command it will be.
const GLOBAL: &str = "--config --version --help";

const BASH_TAIL: &str = r#"    if [[ $current == -* ]]; then
        words=$flags
    elif [[ -n $files ]]; then
        compopt -o filenames
        COMPREPLY=($(compgen -f -- "$current"))
        return
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}

complete -F _servicenow_kafka_bridge servicenow-kafka-bridge
"#;

pub(super) fn script() -> String {
    let with_value = || {
        all_flags()
            .into_iter()
            .filter(|flag| flag.value_name().is_some())
    };
    let patterns: Vec<String> = with_value().flat_map(spellings).collect();
    let mut out = BASH_HEAD.replace("VALUE_FLAGS", &patterns.join(" | "));
    out.push_str("    case $previous in\n");
    for flag in with_value() {
        let words = flag.choices().join(" ");
        let reply = if flag.is_file {
            "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$current\")); ".to_owned()
        } else if words.is_empty() {
            String::new()
        } else {
            format!("COMPREPLY=($(compgen -W '{words}' -- \"$current\")); ")
        };
        let patterns = spellings(flag).join(" | ");
        out.push_str(&format!("        {patterns}) {reply}return ;;\n"));
    }
    out.push_str("    esac\n    case \"$command $action\" in\n");
    let mut case = |pattern: &str, flags: &str, words: &str| {
        let line = format!("        {pattern}) flags='{flags}' words='{words}' ;;\n");
        out.push_str(&line);
    };
    for executable in table::executables() {
        let flags = flags(&executable).map(|flag| format!("--{}", flag.name));
        let flags: Vec<String> = flags.collect();
        let words = words(&executable).join(" ");
        match executable.action {
            Some(_) => case(&format!("'{executable}'"), &flags.join(" "), &words),
            None => {
                case(&format!("'{executable} '"), &flags.join(" "), &words);
                case(&format!("'{executable} '*"), &flags.join(" "), "");
            }
        }
    }
    for command in table::commands().filter(|command| !command.actions.is_empty()) {
        let names: Vec<&str> = command.actions.iter().map(|action| action.name).collect();
        case(&format!("'{} '", command.name), GLOBAL, &names.join(" "));
    }
    let names: Vec<&str> = table::commands().map(|command| command.name).collect();
    case("' '", GLOBAL, &names.join(" "));
    out.push_str("    esac\n    case $command in\n");
    for executable in table::executables().filter(takes_files) {
        out.push_str(&format!("        {}) files=yes ;;\n", executable.command));
    }
    out.push_str("    esac\n");
    out.push_str(BASH_TAIL);
    out
}
