//! `docs/metrics.md` is what the catalogue says. `UPDATE_EXPECT=1 cargo test --workspace --lib metrics`
//! writes it anew.

use std::fmt::Write as _;

use expect_test::expect_file;

use super::*;

const PAGE_HEAD: &str = "\
# Metrics

Every metric of `/metrics`, by what its series belong to. This page is made from the catalogue in
`src/metrics/catalogue.rs`: edit it there. [monitoring.md](monitoring.md) says which of them to watch.

- A histogram has three names: with `_bucket` (and the label `le`), `_sum` and `_count`.
- A series with labels is there from its first event on. The series of a table or topic go when it is no
  longer configured.
- All counters begin at 0 with the process.
";

/// Sections of the page: whose series they are, and its heading.
const SECTIONS: [(SeriesOwner, &str); 6] = [
    (SeriesOwner::SourceTable, "Of each table that is read"),
    (SeriesOwner::SinkTable, "Of each table that the sink writes"),
    (
        SeriesOwner::SinkTopic,
        "Of each topic that the sink consumes",
    ),
    (
        SeriesOwner::ProducedTopic,
        "Of each topic that records are produced to",
    ),
    (SeriesOwner::Pipeline, "Of each pipeline"),
    (SeriesOwner::Process, "Of the process"),
];

/// What the text of one metric says of it, as a row of a table.
fn row(text: &str) -> String {
    let mut lines = text.lines();
    let (name, help) = words(lines.next().unwrap(), "# HELP ");
    let (_, kind) = words(lines.next().unwrap(), "# TYPE ");
    let series = lines.next().unwrap();
    let labels = series.split_once('{').map_or("", |(_, rest)| rest);
    let labels: Vec<String> = labels
        .split(',')
        .filter_map(|label| label.split_once('='))
        .map(|(label, _)| format!("`{label}`"))
        .filter(|label| label != "`le`")
        .collect();
    let help = help.replace('|', "\\|");
    format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "))
}

/// Name and rest of a line of comment.
fn words<'a>(line: &'a str, start: &str) -> (&'a str, &'a str) {
    let line = line.strip_prefix(start).unwrap();
    line.split_once(' ').unwrap()
}

fn page() -> String {
    let metrics = Metrics::without_series();
    let has_section = |owner| SECTIONS.iter().any(|(of, _)| *of == owner);
    let owners = metrics.all().into_iter().map(|(owner, _)| owner);
    assert!(owners.into_iter().all(has_section), "a section is missing");
    let mut out = PAGE_HEAD.to_owned();
    for (owner, heading) in SECTIONS {
        let table = "| metric | kind | labels | meaning |\n|---|---|---|---|\n";
        write!(out, "\n## {heading}\n\n{table}").unwrap();
        for (_, metric) in metrics.all().into_iter().filter(|(of, _)| *of == owner) {
            metric.touch("x");
            let mut text = ExpositionText::default();
            metric.show(&mut text);
            out.push_str(&row(&text.finish()));
        }
    }
    let mut text = ExpositionText::default();
    ProcessFigures::read().show(0.0, &mut text);
    for metric in text.finish().split("# HELP ").skip(1) {
        out.push_str(&row(&format!("# HELP {metric}")));
    }
    out
}

#[test]
fn the_reference_page_is_made_from_the_catalogue() {
    expect_file!["../../../docs/metrics.md"].assert_eq(&page());
}
