//! `dead-letters list`, `show` and `drop`.

use std::ops::ControlFlow;

use super::found::FoundLetter;
use super::lines::{self, LetterLines};
use super::scan::{DeadLetterTopic, DoneLetters};
use super::text::plural;
use super::text::{body, of_bytes};
use crate::cli::{DeadLetterFilter, DeadLetterPlaces, DropOptions, ListOptions, ShowOptions};
use crate::commands::failure::{CommandFailure, ExitResult, exit_code};
use crate::commands::terminal::Terminal;
use crate::sink::DeadLetter;
use crate::stop;
use crate::terminal_text::clean;

/// Prints a line for each letter; the last line, beside the output, counts them.
pub(super) fn list(
    letters: &mut DeadLetterTopic,
    filter: &DeadLetterFilter,
    options: &ListOptions,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let (_trigger, stop) = stop::pair();
    let mut lines = LetterLines::new(options.json);
    let mut written = Ok(());
    let marked = if options.all {
        DoneLetters::Include
    } else {
        DoneLetters::Skip
    };
    let mut listed_done = 0;
    let counts = letters.scan(filter, marked, &stop, |_, found| {
        listed_done += u64::from(found.done);
        written = lines.add(&found, terminal);
        flow(written.is_ok())
    })?;
    written.and_then(|()| lines.end(terminal))?;
    let found = plural(counts.found, "letter");
    terminal.note(&if options.all {
        format!("{found}, {listed_done} of them done before")
    } else {
        format!("{found}, {} done before", counts.done)
    });
    Ok(exit_code::DONE)
}

/// Marks letters as done and prints them.
pub(super) fn drop(
    letters: &mut DeadLetterTopic,
    filter: &DeadLetterFilter,
    options: &DropOptions,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    /// Letters whose marks are written at once.
    const DROP_COMMIT_LETTERS: usize = 100;
    let (_trigger, stop) = stop::pair();
    let mut lines = LetterLines::new(options.json);
    let mut result: Result<(), CommandFailure> = Ok(());
    let mut places = Vec::new();
    let counts = letters.scan(filter, DoneLetters::Skip, &stop, |marks, found| {
        places.push((found.place.partition, found.place.offset));
        result = lines.add(&found, terminal).map_err(CommandFailure::from);
        if result.is_ok() && !options.dry_run && places.len() >= DROP_COMMIT_LETTERS {
            result = marks.finish(&mut places).map_err(CommandFailure::from);
        }
        flow(result.is_ok())
    })?;
    result?;
    if !options.dry_run {
        letters.marks.finish(&mut places)?;
        letters.marks.renew()?;
    }
    lines.end(terminal)?;
    let done = if options.dry_run {
        "would be dropped"
    } else {
        "dropped"
    };
    terminal.note(&format!(
        "{} {done}, {} done before",
        plural(counts.found, "letter"),
        counts.done
    ));
    Ok(exit_code::DONE)
}

/// Prints all of one letter.
pub(super) fn show(
    letters: &mut DeadLetterTopic,
    options: &ShowOptions,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let (_trigger, stop) = stop::pair();
    let place = options.place;
    let filter = DeadLetterFilter {
        places: Some(DeadLetterPlaces {
            partition: Some(place.partition),
            offsets: place.offset..=place.offset,
        }),
        ..DeadLetterFilter::default()
    };
    let mut letter = None;
    letters.scan(&filter, DoneLetters::Include, &stop, |_, found| {
        letter = Some(found);
        ControlFlow::Break(())
    })?;
    let Some(found) = letter else {
        let topic = &letters.topic;
        return Err(CommandFailure::new(
            exit_code::USAGE,
            format!("there is no letter at {place} of topic {topic}"),
        ));
    };
    match &found.letter {
        Ok(_) if options.json => {
            let bytes = found.record.value.as_deref().unwrap_or_default();
            terminal.json(&String::from_utf8_lossy(bytes))?;
        }
        Ok(letter) => terminal.text(&readable(&found, letter))?,
        Err(_) if options.json => terminal.json(&lines::json(&found, true))?,
        Err(error) => terminal.text(&unreadable(&found, &error.to_string()))?,
    }
    Ok(exit_code::DONE)
}

fn readable(found: &FoundLetter, letter: &DeadLetter) -> String {
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let number = |number: Option<i64>| or(number.map(|number| number.to_string()));
    let millis = letter
        .record_timestamp
        .and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let cleaned = |text: &str| clean(text).into_owned();
    let lines = [
        ("letter", found.place.to_string()),
        ("done", if found.done { "yes" } else { "no" }.to_owned()),
        ("written", letter.time.to_string()),
        ("table", cleaned(&letter.table)),
        ("operation", or(letter.operation.as_deref().map(cleaned))),
        ("error", cleaned(&letter.error)),
        ("kind", or(letter.error_kind.as_deref().map(cleaned))),
        ("status", number(letter.status.map(i64::from))),
        ("attempts", number(letter.attempts.map(i64::from))),
        ("topic", cleaned(&letter.topic)),
        ("partition", number(letter.partition.map(i64::from))),
        ("offset", number(letter.offset)),
        ("record time", or(millis.map(|time| time.to_string()))),
        ("create id", or(letter.create_id.as_deref().map(cleaned))),
        ("key", or(found.key().map(of_bytes))),
    ];
    let mut text: Vec<String> = lines
        .iter()
        .map(|(name, value)| format!("{name:11}  {value}"))
        .collect();
    for (name, value) in &letter.headers {
        let value = value.as_deref().map_or_else(|| "null".to_owned(), of_bytes);
        text.push(format!("{:11}  {}: {value}", "header", clean(name)));
    }
    text.push(String::new());
    text.push(match &letter.value {
        _ if letter.payload_omitted => "(too large for the letter; it is in its topic)".to_owned(),
        None => "(no body: a tombstone)".to_owned(),
        Some(value) => body(value),
    });
    text.join("\n")
}

fn unreadable(found: &FoundLetter, error: &str) -> String {
    let key = found.key().map_or_else(|| "-".to_owned(), of_bytes);
    let value = found.record.value.as_deref();
    let value = value.map_or_else(|| "(no body)".to_owned(), body);
    format!(
        "{:11}  {}\n{:11}  {error}\n{:11}  {key}\n\n{value}",
        "letter", found.place, "error", "key"
    )
}

fn flow(go_on: bool) -> ControlFlow<()> {
    if go_on {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}
