//! From a file to the checked tree.

use std::path::Path;

use super::files::ConfigFiles;
use super::key_info::KeyInfo;
use super::key_table::KeyGroup as _;
use super::keys::{self, Config, ObservabilityConfig};
use super::names::closest;
use super::problem::{ConfigProblem, ConfigProblems, ConfigWarning, MAX_LISTED_PROBLEMS};
use super::reader::{ReadContext, ReadNotes, Remark, Section};
use super::yaml::{self, BYTE_ORDER_MARK, YamlKind, YamlNode};
use crate::regular_file::{FileFault, RegularFile, WriteAccess};

/// A larger file is not a configuration of this program.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Reads and checks a file. Variables come from the environment.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path) -> Result<(Config, Vec<ConfigWarning>), ConfigProblems> {
    load_with_files(path).0
}

/// As [`load`], with the files it was read from, also when something is wrong with it: an edit of one
/// of them is the occasion to try again.
pub fn load_with_files(
    path: &Path,
) -> (
    Result<(Config, Vec<ConfigWarning>), ConfigProblems>,
    ConfigFiles,
) {
    let mut files = ConfigFiles::default();
    let loaded = load_into(path, &mut files);
    if let Ok((config, _)) = &loaded {
        let named = config.kafka.property_files();
        named.for_each(|file| files.note_now(file));
    }
    (loaded, files)
}

/// Reads a file of which only what stands under the keys `needed` has to be right, for commands that use
/// no more of it: they work without the secrets and the variables of the rest.
///
/// # Errors
/// The file cannot be read, or what is wrong is under one of these keys.
pub fn load_needed(path: &Path, needed: &[&str]) -> Result<Config, ConfigProblems> {
    let file = path.display().to_string();
    let (text, _) = read(path)?;
    let mut examined = examine(&file, &text, &environment)?;
    let is_needed = |problem: &Remark| {
        let path = problem.path.as_str();
        path.is_empty() || needed.iter().any(|key| overlap(key, path))
    };
    examined.problems.retain(is_needed);
    if examined.problems.is_empty() {
        Ok(examined.config)
    } else {
        Err(listed(&file, &text, examined.problems))
    }
}

/// Whether one of two paths of keys is the other, or below it.
fn overlap(one: &str, other: &str) -> bool {
    let is_below = |path: &str, top: &str| {
        path.strip_prefix(top)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    is_below(one, other) || is_below(other, one)
}

/// Reads `observability` alone: where a running bridge with this file is reached. Commands that only
/// ask a running bridge work with a file that has problems elsewhere, which come beside the section.
///
/// # Errors
/// The file cannot be read, or what is wrong is in `observability`.
pub fn load_observability(
    path: &Path,
) -> Result<(ObservabilityConfig, Option<ConfigProblems>), ConfigProblems> {
    let file = path.display().to_string();
    let (text, _) = read(path)?;
    let (examined, whole) = match examine(&file, &text, &environment) {
        Ok(examined) => (examined, None),
        Err(whole) => match examine(&file, &block(&text, "observability:"), &environment) {
            Ok(examined) => (examined, Some(whole)),
            Err(_) => return Err(whole),
        },
    };
    let mut problems = examined.problems.iter();
    let is_wrong = problems.any(|problem| overlap("observability", &problem.path));
    let problems = whole.or_else(|| {
        let is_bad = !examined.problems.is_empty();
        is_bad.then(|| listed(&file, &text, examined.problems))
    });
    match problems {
        Some(problems) if is_wrong => Err(problems),
        problems => Ok((examined.config.observability, problems)),
    }
}

/// The lines of a top key and its section. They can be read even if a slip elsewhere keeps the file as a
/// whole from being YAML.
fn block(text: &str, key: &str) -> String {
    let lines = text.trim_start_matches(BYTE_ORDER_MARK).lines();
    let lines = lines.skip_while(|line| !line.starts_with(key));
    let inside =
        |(at, line): &(usize, &str)| *at == 0 || line.is_empty() || line.starts_with([' ', '#']);
    let lines = lines.enumerate().take_while(inside);
    lines.map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

fn load_into(
    path: &Path,
    files: &mut ConfigFiles,
) -> Result<(Config, Vec<ConfigWarning>), ConfigProblems> {
    let file = path.display().to_string();
    files.note_now(path);
    let (text, read) = read(path)?;
    files.note(path, &read.bytes);
    let Examined {
        config,
        problems,
        notes,
    } = examine(&file, &text, &environment)?;
    files.extend(&notes.files);
    if !problems.is_empty() {
        return Err(listed(&file, &text, problems));
    }
    let mut warnings = warnings(&text, notes.warnings);
    let mut warn_of_file = |message| {
        warnings.push(ConfigWarning {
            path: String::new(),
            line: None,
            message,
        });
    };
    if let WriteAccess::Doubtful(words) = read.write_access() {
        warn_of_file(words);
    }
    if notes.has_inline_secret && read.mode & 0o004 != 0 {
        warn_of_file(format!(
            "holds a secret and everybody on this machine may read it (mode {:04o}); `chmod o-r` \
             it, or use a `*_file` key or `${{VAR}}`",
            read.mode & 0o7777
        ));
    }
    Ok((config, warnings))
}

/// Checks a text. `env` looks up a variable; files that the text names are read.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(Config, Vec<ConfigWarning>), ConfigProblems> {
    let (config, notes) = check("config.yaml", text, env)?;
    let warnings = warnings(text, notes.warnings);
    Ok((config, warnings))
}

/// The tree and what was noted on the way, if there is no problem.
pub(super) fn check(
    file: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(Config, ReadNotes), ConfigProblems> {
    let Examined {
        config,
        problems,
        notes,
    } = examine(file, text, env)?;
    if problems.is_empty() {
        Ok((config, notes))
    } else {
        Err(listed(file, text, problems))
    }
}

/// A text that was read to its end.
struct Examined {
    /// The tree, with stand-ins where there are problems.
    config: Config,
    problems: Vec<Remark>,
    /// What else was noted.
    notes: ReadNotes,
}

/// Reads a text. The error is that it is no YAML, or no configuration.
fn examine(
    file: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Examined, ConfigProblems> {
    let (node, faults) =
        yaml::parse(text).map_err(|err| ConfigProblems::whole_file(file, err.line, err.message))?;
    let known = keys::keys();
    if !looks_like_configuration(&node, &known) {
        let message = "is no configuration of this bridge: at its top there is none of \
                       `servicenow`, `kafka`, `source`, `sink`; name the right file with \
                       `--config FILE`";
        return Err(ConfigProblems::whole_file(file, None, message.to_owned()));
    }
    let context = ReadContext::new(env);
    let config = Section::root(&context, &node, |root| Config::read(root, ()));
    let mut notes = context.into_notes(&known);
    let mut problems = std::mem::take(&mut notes.problems);
    problems.extend(faults.into_iter().map(|fault| Remark {
        id: Some(fault.id),
        path: String::new(),
        message: fault.message,
    }));
    Ok(Examined {
        config,
        problems,
        notes,
    })
}

/// Whether there is a key at the top that a configuration has, or that is close to one. What stands in
/// any other file may be a secret, so no message quotes it.
fn looks_like_configuration(node: &YamlNode, known: &[KeyInfo]) -> bool {
    let at_top = || {
        let paths = known.iter().map(|info| info.path.as_str());
        paths.filter(|path| !path.contains('.'))
    };
    let fits = |key: &str| {
        at_top().any(|known| known == key)
            || key.starts_with("x-")
            || closest(key, at_top()).is_some()
    };
    match &node.kind {
        YamlKind::Null => true,
        YamlKind::Mapping(entries) => {
            entries.is_empty() || entries.iter().any(|entry| fits(&entry.key))
        }
        YamlKind::Scalar(_) | YamlKind::Sequence(_) => false,
    }
}

fn listed(file: &str, text: &str, mut remarks: Vec<Remark>) -> ConfigProblems {
    // The order of the visit is the order of the file.
    remarks.sort_by_key(|remark| remark.id.unwrap_or(usize::MAX));
    let unlisted = remarks.len().saturating_sub(MAX_LISTED_PROBLEMS);
    remarks.truncate(MAX_LISTED_PROBLEMS);
    let problem = |Remark { id, path, message }| {
        let line = id.and_then(|id| yaml::line_of(text, id));
        ConfigProblem {
            path,
            line,
            message,
        }
    };
    ConfigProblems {
        file: file.to_owned(),
        list: remarks.into_iter().map(problem).collect(),
        unlisted,
    }
}

fn warnings(text: &str, mut remarks: Vec<Remark>) -> Vec<ConfigWarning> {
    remarks.sort_by_key(|remark| remark.id.unwrap_or(usize::MAX));
    remarks.truncate(MAX_LISTED_PROBLEMS);
    let warning = |Remark { id, path, message }| {
        let line = id.and_then(|id| yaml::line_of(text, id));
        ConfigWarning {
            path,
            line,
            message,
        }
    };
    remarks.into_iter().map(warning).collect()
}

/// The text of a file, and the file. What every user may write tells root nothing.
fn read(path: &Path) -> Result<(String, RegularFile), ConfigProblems> {
    let whole = |message| ConfigProblems::whole_file(&path.display().to_string(), None, message);
    let file = RegularFile::read(path, MAX_CONFIG_BYTES).map_err(|fault| whole(unread(&fault)))?;
    if let WriteAccess::Refused(words) = file.write_access() {
        return Err(whole(words));
    }
    let text = str::from_utf8(&file.bytes).map_err(|err| {
        let good = file.bytes.iter().take(err.valid_up_to());
        let lines = good.filter(|byte| **byte == b'\n').count();
        whole(format!(
            "is not UTF-8 text (line {}); save it as UTF-8",
            lines + 1
        ))
    })?;
    Ok((text.to_owned(), file))
}

fn unread(fault: &FileFault) -> String {
    match fault {
        fault if fault.is_missing() => {
            "cannot read it: there is no such file; make it from config.example.yaml, or name another \
             with `--config FILE`"
                .to_owned()
        }
        FileFault::TooLarge(max) => {
            format!("is larger than {max} bytes; that is no configuration")
        }
        fault => format!("cannot read it: {fault}"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads variables"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn addr(text: &str) -> Option<(String, bool)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, text).unwrap();
        let (found, problems) = load_observability(&file).ok()?;
        Some((found.addr, problems.is_some()))
    }

    #[test]
    fn where_a_bridge_listens_is_found_beside_problems() {
        let is = |addr: &str| Some((addr.to_owned(), true));
        let good = "observability:\n  # Here.\n\n  addr: localhost:1\n";
        for (before, behind) in [
            ("", ""),
            ("kafka: {brokrs: 1}\n", "a: b\n"),
            ("x: [\n", "y: {\n"),
        ] {
            assert_eq!(addr(&format!("{before}{good}{behind}")), is("localhost:1"));
        }
        for text in ["", "kafka: 1\n", "kafka: [\n"] {
            assert_eq!(addr(text), is(":8080"), "{text}");
        }
        for line in ["adr: localhost:1", "addr: localhost", "addr: ["] {
            assert_eq!(addr(&format!("observability:\n  {line}\n")), None, "{line}");
        }
    }

    /// What follows from a problem elsewhere is none of its own: it would be told where the cause is not.
    #[test]
    fn a_problem_under_keys_that_are_not_needed_is_none_of_the_tables() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        let load = |text: &str, needed: &[&str]| {
            std::fs::write(&file, text).unwrap();
            load_needed(&file, needed).map_err(|problems| problems.to_string())
        };
        let tables = "tables: [{name: incident, format: avro}]";
        for registry in [
            "schema_registry: {url: \"${NOT_SET}\"}",
            "kafka: {schema_registry_url: \"ftp://a\"}",
        ] {
            let text =
                format!("{registry}\nsource: {{enabled: true, topic_prefix: a, {tables}}}\n");
            load(&text, &["source.tables"]).unwrap();
        }
        let url = "schema_registry: {url: \"http://localhost:1\"}";
        for prefix in ["\"${NOT_SET}\"", "[a]"] {
            let text =
                format!("{url}\nsource: {{enabled: true, topic_prefix: {prefix}, {tables}}}\n");
            load(&text, &["source.tables"]).unwrap();
            let told = load(&text, &["source.topic_prefix", "source.tables"]).unwrap_err();
            assert!(
                told.contains("source.topic_prefix") && told.ends_with("1 problem"),
                "{told}"
            );
        }
    }

    /// Its writer would tell a command of root where to send the admin token.
    #[test]
    fn root_uses_no_part_of_a_file_that_every_user_may_write() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, "observability: {addr: \"localhost:1\"}\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!(load_needed(&file, &["observability"]).is_err(), is_root);
        assert_eq!(load_observability(&file).is_err(), is_root);
    }
}
