//! Problems and warnings: what is wrong or odd in a configuration, in words for the person who wrote it.

use std::fmt;

/// More problems than this are counted, not listed.
pub(super) const MAX_LISTED_PROBLEMS: usize = 100;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Dotted path of the key, as `source.tables[0].name`; empty when it is the whole file.
    pub path: String,
    /// Line of the file, counted from 1, where the parser knows it.
    pub line: Option<usize>,
    /// The problem and what to do about it. Never holds a secret.
    pub message: String,
}

/// Everything that is wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblems {
    /// The file as it was named.
    pub file: String,
    /// The problems in the order of the file, those without a line last.
    pub list: Vec<ConfigProblem>,
    /// How many more there are that are not in the list.
    pub unlisted: usize,
}

impl ConfigProblems {
    /// One problem with the file as a whole.
    pub(super) fn whole_file(file: &str, line: Option<usize>, message: String) -> ConfigProblems {
        let problem = ConfigProblem {
            path: String::new(),
            line,
            message,
        };
        ConfigProblems {
            file: file.to_owned(),
            list: vec![problem],
            unlisted: 0,
        }
    }
}

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            write_line(f, &self.file, problem.line, &problem.path, &problem.message)?;
            f.write_str("\n")?;
        }
        match self.list.len() + self.unlisted {
            1 => write!(f, "{}: 1 problem", self.file)?,
            count => write!(f, "{}: {count} problems", self.file)?,
        }
        if self.unlisted > 0 {
            write!(f, " ({} not listed)", self.unlisted)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigProblems {}

/// Something that works but is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning {
    /// Dotted path of the key; empty when it is the whole file.
    pub path: String,
    /// Line of the file, counted from 1, where the parser knows it.
    pub line: Option<usize>,
    /// The oddity and what to do about it. Never holds a secret.
    pub message: String,
}

impl ConfigWarning {
    /// The warning as one line, with the name of the file in front.
    pub fn in_file(&self, file: &str) -> String {
        struct InFile<'a>(&'a ConfigWarning, &'a str);
        impl fmt::Display for InFile<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_line(f, self.1, self.0.line, &self.0.path, &self.0.message)
            }
        }
        InFile(self, file).to_string()
    }
}

fn write_line(
    f: &mut fmt::Formatter<'_>,
    file: &str,
    line: Option<usize>,
    path: &str,
    message: &str,
) -> fmt::Result {
    f.write_str(file)?;
    if let Some(line) = line {
        write!(f, ":{line}")?;
    }
    f.write_str(": ")?;
    if !path.is_empty() {
        write_clean(f, path)?;
        f.write_str(": ")?;
    }
    write_clean(f, message)
}

/// A key or a value may hold anything; what reaches the terminal holds no control characters.
fn write_clean(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        if c.is_control() {
            write!(f, "{}", c.escape_default())?;
        } else {
            write!(f, "{c}")?;
        }
    }
    Ok(())
}
