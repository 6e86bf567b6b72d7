//! What a module may touch: decisions are made without a clock, a file, a thread or a socket.

use super::product;

/// Modules that decide and do nothing else; a folder is meant with all its files. ARCHITECTURE.md
/// calls them pure.
const PURE: [&str; 70] = [
    "src/avro/columns.rs",
    "src/avro/decimal.rs",
    "src/avro/decode",
    "src/avro/encode",
    "src/avro/evolve.rs",
    "src/avro/model.rs",
    "src/avro/names.rs",
    "src/avro/strings.rs",
    "src/avro/times.rs",
    "src/avro/typed.rs",
    "src/avro/wire.rs",
    "src/checkpoint/flush_pacing.rs",
    "src/checkpoint/import.rs",
    "src/checkpoint/stored_entry.rs",
    "src/checkpoint_topic/contents.rs",
    "src/checkpoint_topic/record.rs",
    "src/commands/doctor/finding.rs",
    "src/commands/doctor/judge",
    "src/commands/doctor/query_terms.rs",
    "src/commands/migrate/connect.rs",
    "src/commands/migrate/connector.rs",
    "src/commands/migrate/connectors",
    "src/commands/migrate/draft.rs",
    "src/commands/migrate/foreign.rs",
    "src/commands/migrate/go.rs",
    "src/commands/migrate/offsets.rs",
    "src/commands/migrate/properties.rs",
    "src/commands/migrate/render.rs",
    "src/commands/migrate/rules.rs",
    "src/config/diff.rs",
    "src/delivered/record.rs",
    "src/delivered/row.rs",
    "src/delivered/row_version.rs",
    "src/http/circuit_breaker.rs",
    "src/registry/compatibility.rs",
    "src/servicenow/page/row.rs",
    "src/servicenow/page/shape.rs",
    "src/servicenow/page/splitter.rs",
    "src/servicenow/query.rs",
    "src/sink/dead_letter/decode.rs",
    "src/sink/dead_letter/encode.rs",
    "src/sink/offset_tracker.rs",
    "src/sink/record",
    "src/sink/schema_cache.rs",
    "src/sink/write/machine",
    "src/source/capture/content/judge.rs",
    "src/source/capture/content/pace.rs",
    "src/source/capture/deletes/audit_cursor.rs",
    "src/source/capture/deletes/fate.rs",
    "src/source/capture/deletes/guard.rs",
    "src/source/capture/deletes/id_query.rs",
    "src/source/capture/key_walk.rs",
    "src/source/page_buffer.rs",
    "src/source/page_check.rs",
    "src/source/read_ids.rs",
    "src/source/row_counts.rs",
    "src/source/row_order.rs",
    "src/source/version_headers.rs",
    "src/source/window",
    "src/verify/certificate.rs",
    "src/verify/excuses.rs",
    "src/verify/judge.rs",
    "src/verify/pace.rs",
    "src/verify/partition.rs",
    "src/verify/report.rs",
    "src/verify/row_identifier.rs",
    "src/verify/sieve.rs",
    "src/verify/slices.rs",
    "src/verify/topic_index.rs",
    "src/verify/topic_record.rs",
];

/// What a decision has no business with. Time is passed in.
const IMPURE: [&str; 10] = [
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "thread::Builder",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "fastrand::",
];

/// The only files that read the environment: the configuration, and what systemd tells a service
/// (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `JOURNAL_STREAM`).
const READS_ENVIRONMENT: [&str; 3] = [
    "src/config/ca_store.rs",
    "src/config/load.rs",
    "src/config/systemd.rs",
];

/// The lines of code that contain one of `words`.
fn uses(path: &str, text: &str, words: &[&str]) -> Vec<String> {
    let code = text.lines().enumerate();
    let code = code.filter(|(_, line)| !line.trim_start().starts_with("//"));
    let uses = code.filter_map(|(number, line)| {
        let word = words.iter().find(|word| line.contains(**word))?;
        Some(format!("{path}:{}: {word}", number + 1))
    });
    uses.collect()
}

#[test]
fn decisions_are_pure() {
    let product = product();
    let mut wrong = Vec::new();
    for pure in PURE {
        let stem = pure.trim_end_matches(".rs");
        let files: Vec<_> = product
            .iter()
            .filter(|(path, _)| {
                path.strip_prefix(stem)
                    .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            })
            .collect();
        assert!(!files.is_empty(), "{pure} is not there any more");
        for (path, text) in files {
            wrong.extend(uses(path, text, &IMPURE));
        }
    }
    assert!(wrong.is_empty(), "not pure:\n{}", wrong.join("\n"));
}

#[test]
fn the_environment_is_read_in_few_places() {
    let words = ["env::var", "env::vars", "var_os("];
    let mut wrong = Vec::new();
    let mut readers = Vec::new();
    for (path, text) in product() {
        let found = uses(&path, &text, &words);
        if READS_ENVIRONMENT.contains(&path.as_str()) {
            readers.extend(found.first().map(|_| path));
        } else {
            wrong.extend(found);
        }
    }
    assert!(
        wrong.is_empty(),
        "settings come from `config` alone:\n{}",
        wrong.join("\n")
    );
    assert_eq!(readers.len(), READS_ENVIRONMENT.len(), "of {readers:?}");
}
