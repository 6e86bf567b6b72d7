//! The answers of a running bridge as text.

use std::io;

use crate::admin::status::{BridgeStatus, PipelineState, PipelineStatus, SnapshotStatus};
use crate::admin::threads::ThreadsReport;
use crate::commands::table::{Column, Table};
use crate::commands::terminal::Terminal;

const TABLE_COLUMNS: [Column; 8] = [
    Column::text("TABLE"),
    Column::text("STATE"),
    Column::number("ROWS"),
    Column::number("PER S"),
    Column::number("LAG"),
    Column::number("NEXT"),
    Column::number("ERRORS"),
    Column::text("WHAT"),
];
const TOPIC_COLUMNS: [Column; 9] = [
    Column::text("TOPIC"),
    Column::text("TO"),
    Column::text("STATE"),
    Column::number("WRITTEN"),
    Column::number("PER S"),
    Column::number("LAG"),
    Column::number("LETTERS"),
    Column::number("ERRORS"),
    Column::text("WHAT"),
];
const THREAD_COLUMNS: [Column; 4] = [
    Column::number("ID"),
    Column::number("CPU"),
    Column::text("STATE"),
    Column::text("THREAD"),
];
const HEARTBEAT_COLUMNS: [Column; 2] = [Column::text("THREAD"), Column::text("HEARTBEAT DUE")];

/// Prints what the status page shows.
pub(super) fn status(status: &BridgeStatus, terminal: &mut Terminal<'_>) -> io::Result<()> {
    let up = time(status.time - status.started);
    let line = format!(
        "servicenow-kafka-bridge {} ({}), up {up}, {}",
        status.version,
        status.revision,
        if status.ready { "ready" } else { "not ready" }
    );
    terminal.line(&line)?;
    let wrong = status.reasons.iter().chain(&status.unhealthy);
    for reason in wrong.chain(&status.notes) {
        terminal.line(&format!("  {reason}"))?;
    }
    terminal.line("")?;
    terminal.line(&instance(status))?;
    for outage in &status.outages {
        let lasts = time(status.time - outage.since);
        let line = format!("away        {} for {lasts}: {}", outage.place, outage.words);
        terminal.line(&line)?;
    }
    terminal.line(&kafka(status))?;
    if let Some(line) = sink(status) {
        terminal.line(&line)?;
    }
    terminal.line(&process(status))?;
    if let Some(fsync) = status.checkpoint.fsync_mean {
        let line = format!(
            "checkpoint  {:.1} ms for the disk, on average",
            fsync * 1_000.0
        );
        terminal.line(&line)?;
    }
    if let Some(reload) = status.reloads.first() {
        let ago = time(status.time - reload.at);
        let outcome = reload.outcome.replace('_', " ");
        let words = reload.words.join("; ");
        let line = format!("reload      {outcome} {ago} ago: {words}");
        terminal.line(line.trim_end_matches([':', ' ']))?;
    }
    if !status.tables.is_empty() {
        terminal.line("")?;
        let mut lines = Table::new(TABLE_COLUMNS);
        for pipeline in &status.tables {
            lines.add(&table(pipeline, status.time), terminal)?;
        }
        lines.end(terminal)?;
    }
    if !status.topics.is_empty() {
        terminal.line("")?;
        let mut lines = Table::new(TOPIC_COLUMNS);
        for pipeline in &status.topics {
            lines.add(&topic(pipeline, status.time), terminal)?;
        }
        lines.end(terminal)?;
    }
    Ok(())
}

fn instance(status: &BridgeStatus) -> String {
    let it = &status.servicenow;
    let state = it.words.as_deref().unwrap_or("answers");
    let token = it.token_expires.map(|at| match at - status.time {
        left if left > 0.0 => format!(", token expires in {}", time(left)),
        over => format!(", token expired {} ago", time(-over)),
    });
    format!(
        "servicenow  {}: {state}, {} requests, {} failed{}",
        it.url,
        it.requests,
        it.errors,
        token.unwrap_or_default()
    )
}

fn kafka(status: &BridgeStatus) -> String {
    let it = &status.kafka;
    let state = match (&it.words, it.ok) {
        (Some(words), _) => words,
        (None, true) => "connected",
        (None, false) => "not connected",
    };
    let brokers = it.brokers.join(", ");
    format!(
        "kafka       {brokers}: {state}, {} records waiting",
        it.queue
    )
}

fn sink(status: &BridgeStatus) -> Option<String> {
    let member = status.sink_member.as_ref()?;
    let waiting: f64 = status.topics.iter().filter_map(|it| it.waiting).sum();
    let waiting = match waiting {
        none if none <= 0.0 => String::new(),
        some => format!(", {some} records wait for writes of the process before"),
    };
    let (group, id) = (&member.group_id, &member.instance_id);
    Some(format!("sink        member {id} of group {group}{waiting}"))
}

fn process(status: &BridgeStatus) -> String {
    let it = &status.process;
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let memory = it
        .resident_bytes
        .map_or(f64::NAN, |bytes| bytes as f64 / 1_048_576.0);
    format!(
        "process     {memory:.1} MiB, {} CPU time, {} threads, {} of {} descriptors",
        it.cpu_seconds.map_or("?".to_owned(), time),
        shown(it.threads),
        shown(it.open_fds),
        shown(it.max_fds)
    )
}

fn table(it: &PipelineStatus, now: f64) -> [String; 8] {
    let next = it.next_poll.map(|at| at - now);
    [
        it.name.clone(),
        it.state.word().to_owned(),
        it.rows.to_string(),
        rate(it),
        it.lag.map_or_else(none, time),
        next.map_or_else(none, |left| {
            if left < 0.5 {
                "now".to_owned()
            } else {
                time(left)
            }
        }),
        it.errors.to_string(),
        what(it, now),
    ]
}

fn topic(it: &PipelineStatus, now: f64) -> [String; 9] {
    [
        it.name.clone(),
        it.to.clone(),
        it.state.word().to_owned(),
        it.rows.to_string(),
        rate(it),
        it.lag.map_or_else(none, |lag| format!("{lag:.0}")),
        it.dead_letters.map_or_else(none, |count| count.to_string()),
        it.errors.to_string(),
        what(it, now),
    ]
}

/// Why it is as it is, else what went wrong last.
fn what(it: &PipelineStatus, now: f64) -> String {
    if let Some(words) = &it.words {
        return words.clone();
    }
    if it.state == PipelineState::Running
        && let Some(left) = it.remaining
    {
        return format!("first load, {left:.0} rows left");
    }
    if let Some(words) = it.deletes.as_ref().and_then(|it| it.words.as_ref()) {
        return words.clone();
    }
    if let Some(snapshot) = &it.snapshot {
        return of_snapshot(snapshot);
    }
    let last = it.last_error.as_ref();
    last.map_or_else(String::new, |last| {
        format!("{} ago: {}", time(now - last.at), last.words)
    })
}

fn of_snapshot(it: &SnapshotStatus) -> String {
    let left = it.remaining.map(|rows| format!(", {rows} left"));
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let time_left = it.left.map(|left| format!(", {}", time(left as f64)));
    let end = if it.paused {
        Some(", paused".to_owned())
    } else {
        time_left
    };
    let parts = [Some(format!("snapshot, {} rows", it.rows)), left, end];
    parts.into_iter().flatten().collect()
}

fn rate(it: &PipelineStatus) -> String {
    it.rate.map_or_else(none, |rate| match rate {
        rate if rate == 0.0 || rate >= 100.0 => format!("{rate:.0}"),
        rate => format!("{rate:.1}"),
    })
}

fn none() -> String {
    "-".to_owned()
}

fn shown(value: Option<u64>) -> String {
    value.map_or("?".to_owned(), |value| value.to_string())
}

/// A time as people say it.
fn time(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast stops at the ends, and it is not below 0"
    )]
    let whole = seconds.round() as u64;
    match whole {
        0 if seconds > 0.0 => "<1 s".to_owned(),
        0..90 => format!("{whole} s"),
        90..5_400 => format!("{} min", whole / 60),
        5_400..172_800 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// Prints the threads, and when the next heartbeat of each is due.
pub(super) fn threads(threads: &ThreadsReport, terminal: &mut Terminal<'_>) -> io::Result<()> {
    let mut lines = Table::new(THREAD_COLUMNS);
    for it in &threads.threads {
        let cpu = format!("{:.2} s", it.cpu_seconds);
        let row = [it.id.to_string(), cpu, it.state.clone(), it.name.clone()];
        lines.add(&row, terminal)?;
    }
    lines.end(terminal)?;
    terminal.line("")?;
    let mut lines = Table::new(HEARTBEAT_COLUMNS);
    for it in &threads.heartbeats {
        let due = match &it.wrong {
            Some(wrong) => wrong.clone(),
            None => format!("within {}", time(it.due_in)),
        };
        lines.add(&[it.name.clone(), due], terminal)?;
    }
    lines.end(terminal)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;
    use crate::commands::terminal::tests::written;

    fn printed(
        width: Option<usize>,
        print: impl FnOnce(&mut Terminal<'_>) -> io::Result<()>,
    ) -> String {
        let all = written(width, |terminal| {
            print(terminal)?;
            Ok(0)
        });
        all.output
    }

    #[test]
    fn a_status_for_people() {
        let value = json!({
            "version": "0.1.0", "revision": "abc", "time": 10_000.0, "started": 0.0,
            "reasons": ["delivery of change_request: too large"],
            "servicenow": {"url": "https://dev1.service-now.com", "ok": true, "requests": 418,
                "errors": 3, "token_expires": 11_200.0},
            "kafka": {"brokers": ["a:9092", "b:9092"], "ok": true, "queue": 12.0},
            "process": {"cpu_seconds": 81.2, "resident_bytes": 14_889_779, "open_fds": 31,
                "max_fds": 1024, "threads": 27},
            "outages": [{"place": "servicenow_write", "since": 9_915.0, "words": "503"}],
            "sink_member": {"group_id": "bridge", "instance_id": "skb-1"},
            "checkpoint": {"fsync_mean": 0.004_21},
            "reloads": [{"at": 9_000.0, "outcome": "rolled_back", "words": ["401\u{1b}[31m"]}],
            "tables": [
                {"name": "incident", "state": "running", "rows": 1_284_311, "rate": 15.2,
                    "lag": 0.4, "next_poll": 10_012.0, "errors": 1,
                    "last_error": {"at": 9_950.0, "words": "a time-out"}},
                {"name": "change_request", "state": "held", "rows": 88, "rate": 0.0, "lag": 300.0,
                    "words": "record 9d385017c611228701d22104cc95c371 is larger than \
                    kafka.max_message_bytes (1000000)", "next_poll": 9_999.0, "errors": 7},
                {"name": "cmdb_ci", "state": "paused"},
            ],
            "topics": [{"name": "in", "to": "task", "state": "running", "rows": 7, "lag": 11.0,
                "dead_letters": 2, "waiting": 3.0}],
        });
        let value: BridgeStatus = serde_json::from_value(value).unwrap();
        expect![[r#"
            servicenow-kafka-bridge 0.1.0 (abc), up 2 h 46 min, not ready
              delivery of change_request: too large

            servicenow  https://dev1.service-now.com: answers, 418 requests, 3 failed, token expires in 20 min
            away        servicenow_write for 85 s: 503
            kafka       a:9092, b:9092: connected, 12 records waiting
            sink        member skb-1 of group bridge, 3 records wait for writes of the process before
            process     14.2 MiB, 81 s CPU time, 27 threads, 31 of 1024 descriptors
            checkpoint  4.2 ms for the disk, on average
            reload      rolled back 16 min ago: 401�[31m

            TABLE           STATE       ROWS  PER S    LAG  NEXT  ERRORS  WHAT
            incident        running  1284311   15.2   <1 s  12 s       1  50 s ago: a time-out
            change_request  held          88      0  5 min   now       7  record 9d385017c611228701d22104cc95c371 is larg…
            cmdb_ci         paused         0      -      -     -       0

            TOPIC  TO    STATE    WRITTEN  PER S  LAG  LETTERS  ERRORS  WHAT
            in     task  running        7      -   11        2       0
        "#]].assert_eq(&printed(Some(110), |terminal| status(&value, terminal)));
    }

    #[test]
    fn a_pipe_gets_all_of_the_last_cell() {
        let words = "no access to the table ".repeat(9);
        let value = json!({"tables": [{"name": "a", "state": "error", "words": words.trim()}]});
        let value: BridgeStatus = serde_json::from_value(value).unwrap();
        let text = printed(None, |terminal| status(&value, terminal));
        assert!(text.contains(words.trim()), "{text}");
    }

    #[test]
    fn threads_for_people() {
        let value = json!({
            "threads": [{"id": 7, "name": "admin", "state": "running", "cpu_seconds": 0.25}],
            "heartbeats": [{"name": "read:incident", "due_in": 61.0},
                {"name": "token", "wrong": "overdue for 3 s"}],
        });
        let value: ThreadsReport = serde_json::from_value(value).unwrap();
        expect![[r#"
            ID     CPU  STATE    THREAD
             7  0.25 s  running  admin

            THREAD         HEARTBEAT DUE
            read:incident  within 61 s
            token          overdue for 3 s
        "#]]
        .assert_eq(&printed(Some(110), |terminal| threads(&value, terminal)));
    }
}
