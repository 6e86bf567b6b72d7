//! `packaging/monitoring`: that the dashboard and the rules speak of metrics that there are, and that each
//! alert has its page and its trial.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_yaml::Value;

use crate::support::promtool::promtool;

const RULES: &str = "packaging/monitoring/rules/servicenow-kafka-bridge.yml";
const TRIALS: &str = "packaging/monitoring/tests/servicenow-kafka-bridge.yml";
const DASHBOARD: &str = "packaging/monitoring/grafana/dashboards/servicenow-kafka-bridge.json";
/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_yaml::from_str(&read(name)).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} of {value:?}"))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_sequence().into_iter().flatten()
}

/// Every rule, recorded or alert.
fn rules() -> Vec<Value> {
    let file = yaml(RULES);
    let groups = items(&file["groups"]);
    groups
        .flat_map(|group| items(&group["rules"]).cloned())
        .collect()
}

fn alerts() -> impl Iterator<Item = Value> {
    rules().into_iter().filter(|rule| !rule["alert"].is_null())
}

fn dashboard() -> Value {
    // JSON is YAML.
    yaml(DASHBOARD)
}

/// Panels that ask something, with their queries.
fn queries(dashboard: &Value) -> impl Iterator<Item = (&Value, &str)> {
    let panels = items(&dashboard["panels"]);
    panels.flat_map(|panel| items(&panel["targets"]).map(move |it| (panel, text(it, "expr"))))
}

/// Names of metrics with their labels, as the reference page has them, which is made from the catalogue,
/// and what Prometheus and the rules add.
fn known_metrics() -> BTreeMap<String, BTreeSet<String>> {
    let mut known = BTreeMap::new();
    for line in read("docs/metrics.md").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(name) = cells.get(1).and_then(|cell| cell.strip_prefix('`')) else {
            continue;
        };
        let name = name.trim_end_matches('`');
        let labels = cells[3].split(", ").map(|label| label.trim_matches('`'));
        let mut labels: BTreeSet<String> = labels.map(str::to_owned).collect();
        if cells[2] == "histogram" {
            labels.insert("le".to_owned());
            for suffix in ["_bucket", "_sum", "_count"] {
                known.insert(format!("{name}{suffix}"), labels.clone());
            }
        } else {
            known.insert(name.to_owned(), labels);
        }
    }
    assert!(known.len() > 40, "{known:?}");
    known.insert("up".to_owned(), BTreeSet::new());
    for rule in rules() {
        if let Some(name) = rule["record"].as_str() {
            known.insert(name.to_owned(), BTreeSet::new());
        }
    }
    known
}

/// The metrics of a query, each with the labels that are asked for in its braces.
fn metrics_of(query: &str) -> Vec<(&str, Vec<&str>)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(at) = rest.find(is_part) {
        let word = &rest[at..];
        let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
        let (name, behind) = word.split_at(end);
        rest = behind;
        let starts = ["bridge_", "bridge:", "process_"];
        if name != "up" && !starts.iter().any(|start| name.starts_with(start)) {
            // A text between quotes is no metric.
            if let Some(quoted) = rest.strip_prefix("=\"").or(rest.strip_prefix("=~\"")) {
                rest = quoted.split_once('"').map_or("", |(_, behind)| behind);
            }
            continue;
        }
        let mut labels = Vec::new();
        if let Some(braces) = behind.strip_prefix('{') {
            let (inner, behind) = braces.split_once('}').unwrap();
            let pairs = inner.split(", ");
            labels.extend(pairs.map(|pair| pair.split(['=', '!']).next().unwrap()));
            rest = behind;
        }
        found.push((name, labels));
    }
    found
}

#[test]
fn every_query_asks_for_metrics_and_labels_that_there_are() {
    let known = known_metrics();
    let dashboard = dashboard();
    let of_rules = rules()
        .into_iter()
        .map(|rule| text(&rule, "expr").to_owned());
    let of_panels = queries(&dashboard).map(|(_, query)| query.to_owned());
    let mut asked = 0;
    for query in of_rules.chain(of_panels) {
        for (name, labels) in metrics_of(&query) {
            let has = known.get(name).unwrap_or_else(|| panic!("{name}: {query}"));
            for label in labels {
                let added = ["job", "instance"].contains(&label);
                assert!(added || has.contains(label), "{label} of {name}: {query}");
            }
            asked += 1;
        }
    }
    assert!(asked > 60, "{asked}");
}

#[test]
fn each_alert_has_its_page_and_its_trial() {
    let trials = yaml(TRIALS);
    let index = read("docs/monitoring.md");
    let mut pages: BTreeSet<String> = fs::read_dir(path("docs/runbooks"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for alert in alerts() {
        let name = text(&alert, "alert");
        let severity = text(&alert["labels"], "severity");
        assert!(["critical", "warning"].contains(&severity), "{name}");
        let page = format!("docs/runbooks/{name}.md");
        let url = text(&alert["annotations"], "runbook_url");
        assert!(url.ends_with(&format!("/blob/main/{page}")), "{name}");
        let words = read(&page);
        for part in [
            &format!("# {name}\n"),
            "\n## What it means\n",
            "\n## What to look at\n",
            "\n## What to do\n",
            "\n## How to silence it\n",
        ] {
            assert!(words.contains(part), "{page}: {part}");
        }
        assert!(index.contains(&format!("(runbooks/{name}.md)")), "{name}");
        pages.remove(&format!("{name}.md"));

        let trial = items(&trials["tests"]).find(|trial| trial["name"] == *name);
        let trial = trial.unwrap_or_else(|| panic!("{name} has no trial"));
        let found = |question: &Value| items(&question["exp_samples"]).count();
        let questions = items(&trial["promql_expr_test"]);
        let counts: Vec<usize> = questions.map(found).collect();
        assert_eq!(counts, [0, 1], "{name}: not yet, then the one");
    }
    assert!(pages.is_empty(), "pages without an alert: {pages:?}");
}

#[test]
fn promtool_takes_the_rules_and_each_alert_fires_when_it_should() {
    promtool(
        &["check".as_ref(), "rules".as_ref(), path(RULES).as_path()],
        "",
    );
    promtool(
        &["test".as_ref(), "rules".as_ref(), path(TRIALS).as_path()],
        "",
    );
}

/// Each query becomes a rule, which promtool parses.
#[test]
fn promtool_takes_the_queries_of_the_dashboard() {
    let dashboard = dashboard();
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    for (at, (_, query)) in queries(&dashboard).enumerate() {
        let query = query
            .replace("$__rate_interval", "5m")
            .replace("$limit", "0");
        let query = serde_json::to_string(&query).unwrap();
        rules.push_str(&format!(
            "      - record: query:{at}\n        expr: {query}\n"
        ));
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), rules).unwrap();
    promtool(&["check".as_ref(), "rules".as_ref(), file.path()], "");
}

/// What Grafana takes without a word and shows wrongly.
#[test]
fn the_dashboard_is_laid_out_without_gaps_in_its_meaning() {
    let dashboard = dashboard();
    assert_eq!(dashboard["schemaVersion"], Value::from(39));
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in items(&dashboard["panels"]) {
        let title = text(panel, "title");
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{title}"));
        assert!(ids.insert(number(&panel["id"])), "{title}: its id is taken");
        let grid = &panel["gridPos"];
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| number(&grid[side]));
        assert!(x + w <= COLUMNS, "{title}");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{title} covers another panel");
        }
        if text(panel, "type") == "row" {
            continue;
        }
        assert!(text(panel, "description").ends_with('.'), "{title}");
        assert!(items(&panel["targets"]).count() > 0, "{title}");
    }
    for (panel, query) in queries(&dashboard) {
        let title = text(panel, "title");
        for (metric, labels) in metrics_of(query) {
            let chosen = ["job", "instance"].iter().all(|it| labels.contains(it));
            assert!(chosen, "{title}: {metric} of every bridge there is");
        }
    }
}
