//! What was looked at, what was seen, and what to do. Pure.

use serde::Serialize;

/// The parts of what `doctor` looks at, in the order in which they are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::commands) enum FindingArea {
    Configuration,
    Host,
    Instance,
    Kafka,
    Registry,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::commands) enum FindingLevel {
    Ok,
    /// The bridge works, but not well, or not for long.
    Warning,
    /// It does not start, or rows or records do not get through.
    Failure,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct Finding {
    pub(in crate::commands) area: FindingArea,
    /// What was looked at: ``table `incident` ``.
    pub(in crate::commands) subject: String,
    pub(in crate::commands) level: FindingLevel,
    pub(in crate::commands) seen: String,
    /// What to do.
    pub(in crate::commands) cure: Option<String>,
}

impl FindingArea {
    pub(super) fn heading(self) -> &'static str {
        match self {
            FindingArea::Configuration => "configuration",
            FindingArea::Host => "this host",
            FindingArea::Instance => "instance",
            FindingArea::Kafka => "kafka",
            FindingArea::Registry => "schema registry",
        }
    }

    pub(in crate::commands) fn ok(
        self,
        subject: impl Into<String>,
        seen: impl Into<String>,
    ) -> Finding {
        Finding {
            area: self,
            subject: subject.into(),
            level: FindingLevel::Ok,
            seen: seen.into(),
            cure: None,
        }
    }

    pub(in crate::commands) fn warning(
        self,
        subject: impl Into<String>,
        seen: impl Into<String>,
        cure: impl Into<String>,
    ) -> Finding {
        Finding {
            level: FindingLevel::Warning,
            cure: Some(cure.into()),
            ..self.ok(subject, seen)
        }
    }

    pub(in crate::commands) fn failure(
        self,
        subject: impl Into<String>,
        seen: impl Into<String>,
        cure: impl Into<String>,
    ) -> Finding {
        Finding {
            level: FindingLevel::Failure,
            ..self.warning(subject, seen, cure)
        }
    }

    /// From words that end with what to do, behind a semicolon, as those of all errors here do.
    pub(in crate::commands) fn worded(
        self,
        level: FindingLevel,
        subject: impl Into<String>,
        words: &str,
    ) -> Finding {
        let (seen, cure) = match words.rsplit_once("; ") {
            Some((seen, cure)) => (seen, Some(cure.to_owned())),
            None => (words, None),
        };
        Finding {
            level,
            cure,
            ..self.ok(subject, seen)
        }
    }

    /// [`FindingArea::worded`], of an error.
    pub(in crate::commands) fn error(
        self,
        subject: impl Into<String>,
        error: &impl ToString,
    ) -> Finding {
        self.worded(FindingLevel::Failure, subject, &error.to_string())
    }
}

impl FindingLevel {
    /// The word in front of a line.
    pub(super) fn word(self) -> &'static str {
        match self {
            FindingLevel::Ok => "ok",
            FindingLevel::Warning => "warning",
            FindingLevel::Failure => "FAILED",
        }
    }
}

impl Finding {
    /// Level, subject and what was seen, without the cure.
    pub(super) fn headline(&self) -> String {
        format!("{:8}{}: {}", self.level.word(), self.subject, self.seen)
    }

    /// The same, with this cure where it has none.
    pub(super) fn or_cure(mut self, cure: &str) -> Finding {
        self.cure.get_or_insert_with(|| cure.to_owned());
        self
    }

    /// All of it in one line.
    pub(super) fn line(&self) -> String {
        let mut line = self.headline();
        if let Some(cure) = &self.cure {
            line.push_str("; ");
            line.push_str(cure);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_parted_where_its_advice_begins() {
        let area = FindingArea::Kafka;
        let error = area.error("topics", &"no such topic: a; b; create it");
        assert_eq!(error.seen, "no such topic: a; b");
        assert_eq!(error.cure.as_deref(), Some("create it"));
        assert_eq!(
            error.line(),
            "FAILED  topics: no such topic: a; b; create it"
        );
        let bare = area.error("topics", &"stopped");
        assert_eq!((bare.seen.as_str(), bare.cure), ("stopped", None));
    }
}
