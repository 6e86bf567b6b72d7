//! The instance as a whole: clock, token, limits, what it does with conditions that make no sense.

use std::time::Duration;

use crate::commands::doctor::finding::{Finding, FindingArea};
use crate::source::{CLOCK_DIFFERENCE_SECONDS, clock_difference};

/// A token that ends sooner leaves no time for a second try: it is renewed a minute before its end.
const MIN_TOKEN_LIFE_SECONDS: f64 = 60.0;
/// A wait for a semaphore from which on the instance counts as busy. An ordinary request takes less as a
/// whole (KB0564204: below 500 ms).
const BUSY_SEMAPHORE_WAIT: Duration = Duration::from_millis(500);
const SECONDS_OF_HOUR: f64 = 3600.0;

/// `lead`: by how many seconds this host's clock is ahead.
pub(in crate::commands::doctor) fn clock(lead: f64) -> Finding {
    let subject = "clock";
    if lead.abs() < CLOCK_DIFFERENCE_SECONDS {
        let seconds = lead.abs();
        let seen = format!("the instance's clock is {seconds:.0} s from this host's");
        return FindingArea::Instance.ok(subject, seen);
    }
    let words = clock_difference(lead);
    let (seen, cure) = words.split_once(": ").unwrap_or((&words, ""));
    FindingArea::Instance.warning(subject, seen, cure)
}

/// `life`: seconds until the access token ends; `None` where there is none.
pub(in crate::commands::doctor) fn login(kind: &str, life: Option<f64>) -> Finding {
    let subject = "log-in";
    let Some(life) = life else {
        return FindingArea::Instance.ok(subject, format!("accepted ({kind})"));
    };
    let seen = format!("accepted ({kind}), the access token ends in {life:.0} s");
    if life < MIN_TOKEN_LIFE_SECONDS {
        let cure = "give the OAuth application of the instance a longer Access Token Lifespan (1800 s \
                    by default), unless this token was near its end already: then a second look tells";
        return FindingArea::Instance.warning(subject, seen, cure);
    }
    FindingArea::Instance.ok(subject, seen)
}

/// What the answers told of the instance's limits, and how often the bridge asks.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands::doctor) struct SeenLimits {
    pub(in crate::commands::doctor) requests_per_hour: Option<u64>,
    /// The longest of all answers.
    pub(in crate::commands::doctor) semaphore_wait: Option<Duration>,
    pub(in crate::commands::doctor) tables: usize,
    pub(in crate::commands::doctor) slow_poll_interval: Duration,
}

pub(in crate::commands::doctor) fn limits(seen: &SeenLimits) -> Vec<Finding> {
    let mut findings = vec![rate(seen)];
    findings.extend(seen.semaphore_wait.map(semaphore));
    findings
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of tables and requests are small"
)]
fn rate(seen: &SeenLimits) -> Finding {
    let subject = "requests per hour";
    let Some(limit) = seen.requests_per_hour else {
        return FindingArea::Instance.ok(subject, "no rule limits them for this user");
    };
    let interval = seen.slow_poll_interval.as_secs_f64().max(0.001);
    let needed = seen.tables as f64 * SECONDS_OF_HOUR / interval;
    let words = format!(
        "a rule allows {limit}; {} tables that are polled every {interval} s need {needed:.0}",
        seen.tables
    );
    if needed > limit as f64 {
        let cure = "raise the rule (sys_rate_limit_rules) for the integration user, or \
                    source.slow_poll_interval";
        return FindingArea::Instance.warning(subject, words, cure);
    }
    FindingArea::Instance.ok(subject, words)
}

fn semaphore(wait: Duration) -> Finding {
    let subject = "semaphores";
    let seen = format!("a request waited up to {} ms for one", wait.as_millis());
    if wait >= BUSY_SEMAPHORE_WAIT {
        let cure = "see which integrations use the instance at this time (sys_semaphore, transaction \
                    logs), and lower sink.concurrency or set servicenow.rate_limit_rps";
        return FindingArea::Instance.warning(subject, seen, cure);
    }
    FindingArea::Instance.ok(subject, seen)
}

/// Rows that are counted with a condition on a column that does not exist, and without it.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands::doctor) struct NonsenseCondition {
    pub(in crate::commands::doctor) with: u64,
    pub(in crate::commands::doctor) without: u64,
}

/// Neither is wrong; what follows from it for a misspelt query is.
pub(in crate::commands::doctor) fn invalid_query(seen: NonsenseCondition) -> Finding {
    let words = match seen {
        NonsenseCondition { without: 0, .. } => {
            "not known, as the table that was asked has no rows"
        }
        NonsenseCondition { with: 0, .. } => {
            "answered without rows (glide.invalid_query.returns_no_rows is true): a misspelt query \
             reads nothing"
        }
        NonsenseCondition { .. } => {
            "dropped (glide.invalid_query.returns_no_rows is false): a misspelt query reads the whole \
             table"
        }
    };
    FindingArea::Instance.ok("conditions that make no sense", words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::FindingLevel::{Ok, Warning};

    #[test]
    fn a_clock_that_is_off_is_told() {
        assert_eq!(clock(0.4).level, Ok);
        let off = clock(-300.0);
        assert_eq!(off.level, Warning);
        assert!(off.seen.contains("300 s ahead of this host's"), "{off:?}");
        assert!(off.cure.unwrap().contains("NTP"));
    }

    #[test]
    fn a_token_must_live_longer_than_it_takes_to_renew_it() {
        assert_eq!(login("basic", None).level, Ok);
        assert_eq!(login("oauth", Some(1799.0)).level, Ok);
        assert_eq!(login("oauth", Some(29.0)).level, Warning);
    }

    #[test]
    fn a_rule_must_allow_the_polls() {
        let seen = SeenLimits {
            requests_per_hour: Some(240),
            semaphore_wait: None,
            tables: 2,
            slow_poll_interval: Duration::from_secs(30),
        };
        let level = |seen: &SeenLimits| rate(seen).level;
        assert_eq!(level(&seen), Ok);
        let less = SeenLimits {
            requests_per_hour: Some(239),
            ..seen
        };
        assert_eq!(level(&less), Warning);
        assert_eq!(semaphore(Duration::from_millis(499)).level, Ok);
        assert_eq!(semaphore(Duration::from_millis(500)).level, Warning);
    }
}
