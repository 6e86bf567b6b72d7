//! Rules for names of topics, tables and columns, and guesses at what a misspelled word was meant to be.

/// A shortened, quoted form of a value for a message.
pub(crate) fn quoted(text: &str) -> String {
    const MAX_QUOTED_CHARS: usize = 60;
    let mut short: String = text.chars().take(MAX_QUOTED_CHARS).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    format!("`{short}`")
}

/// The candidate that is most like `name`, if one is like it at all.
pub(crate) fn closest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const MAX_GUESSED_BYTES: usize = 64;
    if name.len() > MAX_GUESSED_BYTES {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let name = plain(name);
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, &plain(candidate)), candidate))
        // One slip in three letters is a typing error, more is another word.
        .filter(|(steps, candidate)| *steps <= candidate.len().max(3) / 3)
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, candidate)| candidate)
}

/// The end of a message, "did you mean `x`?", if a candidate is like `name`; else nothing.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    match closest(name, candidates) {
        Some(guess) => format!(", did you mean `{guess}`?"),
        None => String::new(),
    }
}

/// A message that `text` is none of the words that are known.
pub(super) fn not_one_of(text: &str, words: &[&str]) -> String {
    let guess = did_you_mean(text, words.iter().copied());
    format!("{} is not one of {}{guess}", quoted(text), words.join(", "))
}

/// Edits between two short texts: insert, delete, replace, or swap two neighbors.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let replace = at(&last, j) + usize::from(x != y);
            let mut best = replace.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = last;
        last = row;
    }
    last.last().copied().unwrap_or(0)
}

/// Checks a Kafka topic name.
pub(super) fn check_host_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name == "*" || (!name.is_empty() && name.chars().all(legal)) {
        Ok(())
    } else {
        Err(format!(
            "`{name}` is no name of a host: without scheme, port and path"
        ))
    }
}

pub(super) fn check_topic(name: &str) -> Result<(), String> {
    const MAX_TOPIC_BYTES: usize = 249; // Kafka's own limit: the name is a folder on the broker
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name == "." || name == ".." || !name.chars().all(legal) {
        return Err(format!(
            "{} is not a topic name: letters, digits, `.`, `_` and `-` only",
            quoted(name)
        ));
    }
    if name.len() > MAX_TOPIC_BYTES {
        return Err(format!(
            "a topic name has at most {MAX_TOPIC_BYTES} characters"
        ));
    }
    Ok(())
}

/// Checks the name of a group's static member. Kafka takes the same characters as for topics
/// (`group.instance.id`, KIP-345).
pub(crate) fn check_instance_id(id: &str) -> Result<(), String> {
    const MAX_INSTANCE_ID_BYTES: usize = 249; // Kafka's own limit
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if id.is_empty() || id == "." || id == ".." || !id.chars().all(legal) {
        return Err(format!(
            "{} cannot name a member of a group: letters, digits, `.`, `_` and `-` only",
            quoted(id)
        ));
    }
    if id.len() > MAX_INSTANCE_ID_BYTES {
        return Err(format!(
            "the name of a member of a group has at most {MAX_INSTANCE_ID_BYTES} characters"
        ));
    }
    Ok(())
}

/// Checks a table name. It becomes part of a path and of queries.
pub(super) fn check_table(name: &str) -> Result<(), String> {
    check_identifier(name, 80, |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
    })
    .map_err(|()| {
        format!(
            "{} is not a table name: lower case letters, digits and `_` only, as in \
                 `u_my_table` (the name, not the label)",
            quoted(name)
        )
    })
}

/// Checks a column name; a dot walks through a reference. It becomes part of queries.
pub(crate) fn check_column(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.');
    let parts = !name.split('.').any(str::is_empty);
    check_identifier(name, 255, legal).and(if parts { Ok(()) } else { Err(()) }).map_err(|()| {
        format!(
            "{} is not a column name: lower case letters, digits, `_`, and `.` between the steps \
             of a reference (the name, not the label)",
            quoted(name)
        )
    })
}

fn check_identifier(name: &str, longest: usize, legal: impl Fn(char) -> bool) -> Result<(), ()> {
    let good = !name.is_empty() && name.len() <= longest && name.chars().all(legal);
    if good { Ok(()) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("name", "name"), 0);
        assert_eq!(distance("nmae", "name"), 1);
        assert_eq!(distance("topc", "topic"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn guesses() {
        let keys = ["name", "topic", "base_url", "batch_size", "url"];
        assert_eq!(closest("nmae", keys), Some("name"));
        assert_eq!(closest("baseUrl", keys), Some("base_url"));
        assert_eq!(closest("base-url", keys), Some("base_url"));
        assert_eq!(closest("batchsize", keys), Some("batch_size"));
        assert_eq!(closest("colour", keys), None);
        assert_eq!(closest(&"x".repeat(10_000), keys), None);
    }

    #[test]
    fn names_for_queries_are_narrow() {
        for good in ["incident", "u_my_table_2", "x_acme_app_table"] {
            assert_eq!(check_table(good), Ok(()));
            assert_eq!(check_column(good), Ok(()));
        }
        assert_eq!(check_column("caller_id.department.name"), Ok(()));
        for bad in [
            "", "Incident", "a b", "a^ORb", "a.", ".a", "a..b", "a/b", "ä",
        ] {
            assert!(check_column(bad).is_err(), "{bad}");
            assert!(check_table(bad).is_err(), "{bad}");
        }
        assert!(check_table("a.b").is_err());
    }

    #[test]
    fn members_of_a_group() {
        for good in ["a", "host-1.example_2", &"x".repeat(249)] {
            assert_eq!(check_instance_id(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "é", "a\n", &"x".repeat(250)] {
            assert!(check_instance_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn topics() {
        assert_eq!(check_topic("servicenow.incident-1_X"), Ok(()));
        assert_eq!(check_topic(&"t".repeat(249)), Ok(()));
        for bad in [".", "..", "a b", "a/b", "ü", &"t".repeat(250)] {
            assert!(check_topic(bad).is_err(), "{bad}");
        }
    }
}
