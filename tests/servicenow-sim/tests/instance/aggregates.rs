//! The Aggregate API (servicenow_api.md line 342; capture.md section 2).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use servicenow_sim::{AggregateAccess, Options, Row, Sim};

use crate::client::{Answer, get, query, row, start};

/// GET of aggregates over `incident`.
fn stats(sim: &Sim, rest: &str) -> Answer {
    get(sim, &format!("/api/now/stats/incident?{rest}"))
}

/// The `stats` of an answer without groups.
fn one(sim: &Sim, rest: &str) -> Value {
    let answer = stats(sim, rest);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["result"]["stats"].clone()
}

/// The `stats` of each group by its values.
fn groups(answer: &Answer) -> BTreeMap<String, Value> {
    let entry = |group: &Value| {
        let fields = group["groupby_fields"].as_array().unwrap();
        let values = fields.iter().map(|field| field["value"].as_str().unwrap());
        (values.collect::<Vec<_>>().join("/"), group["stats"].clone())
    };
    answer.rows().iter().map(entry).collect()
}

/// Rows a0 to a5 in states 1, 2 and 3: counts 0, 1, 4, 9, 16, 25.
fn squares(options: Options) -> Sim {
    let sim = Sim::start(options).unwrap();
    let rows = (0..6_u32).map(|n| {
        row(&format!("a{n}"))
            .set("state", (n / 2 + 1).to_string())
            .set("sys_mod_count", (n * n).to_string())
            .set(
                "u_cost",
                if n == 0 {
                    String::new()
                } else {
                    format!("{n}.5")
                },
            )
            .set("sys_updated_on", format!("2024-01-0{} 00:00:00", n / 3 + 1))
    });
    sim.insert_many("incident", rows).unwrap();
    sim
}

#[test]
fn every_function_answers_in_strings() {
    let sim = squares(Options::default());
    assert_eq!(
        one(&sim, "sysparm_count=true&sysparm_max_fields=sys_updated_on"),
        json!({ "count": "6", "max": { "sys_updated_on": "2024-01-02 00:00:00" } })
    );
    let all = "sysparm_sum_fields=sys_mod_count,u_cost&sysparm_avg_fields=sys_mod_count,u_cost\
               &sysparm_min_fields=sys_mod_count&sysparm_max_fields=sys_mod_count,sys_id,nonsense";
    assert_eq!(
        one(&sim, all),
        json!({
            "sum": { "sys_mod_count": "55", "u_cost": "17.5" },
            // Empty values are NULL: five of six count.
            "avg": { "sys_mod_count": "9.1667", "u_cost": "3.5000" },
            // Numbers compare as numbers: as text 9 is above 25.
            "min": { "sys_mod_count": "0" },
            "max": { "sys_mod_count": "25", "sys_id": "a5" },
        })
    );
    let none = "sysparm_query=sys_id=zz&sysparm_count=true&sysparm_sum_fields=sys_mod_count";
    assert_eq!(
        one(&sim, none),
        json!({ "count": "0", "sum": { "sys_mod_count": "" } })
    );
}

#[test]
fn slices_by_sys_id_sum_to_the_whole() {
    for use_indexes in [true, false] {
        let sim = squares(Options {
            use_indexes,
            ..Options::default()
        });
        let sum = |text: &str| {
            let rest = format!("sysparm_sum_fields=sys_mod_count&sysparm_query={text}");
            one(&sim, &rest)["sum"]["sys_mod_count"].clone()
        };
        for (text, expected) in [
            ("sys_id%3Ca2", "1"),
            ("sys_id%3E%3Da2%5Esys_id%3Ca4", "13"),
            ("sys_id%3E%3Da4", "41"),
            ("sys_idINa1,a5,A5,zz", "26"),
            ("sys_idINa1,a5%5Estate=1", "1"),
            ("sys_idINa1,a5%5ENQsys_id%3Ca2", "26"),
            ("sys_updated_on%3E2024-01-01%2000:00:00", "50"),
        ] {
            assert_eq!(sum(text), expected, "{text}");
        }
        let list = query(&sim, "incident", "sys_idINa5,a1,a3^ORDERBYDESCsys_id", "");
        assert_eq!(list.column("sys_id"), ["a5", "a3", "a1"]);
    }
}

#[test]
fn groups_have_counts_and_sums_and_are_filtered_by_having() {
    let sim = squares(Options::default());
    let rest = "sysparm_count=true&sysparm_sum_fields=sys_mod_count&sysparm_group_by=state";
    let found = groups(&stats(&sim, rest));
    let group = |count: &str, sum: &str| json!({ "count": count, "sum": { "sys_mod_count": sum } });
    assert_eq!(found["1"], group("2", "1"));
    assert_eq!(found["3"], group("2", "41"));
    assert_eq!(found.len(), 3);
    // A field is needed even for a count; without one the term is dropped (capture.md section 2).
    for (having, expected) in [
        ("count%5Esys_id%5E%3E%5E1", "1,2,3"),
        ("count%5Esys_id%5E%3E%5E2", ""),
        ("count%5E%3E%5E2", "1,2,3"),
        ("sum%5Esys_mod_count%5E%3E%3D%5E13", "2,3"),
        (
            "sum%5Esys_mod_count%5E%3E%3D%5E13,max%5Esys_mod_count%5E%3C%5E25",
            "2",
        ),
        ("avg%5Eu_cost%5E=%5E1.5", "1"),
    ] {
        let found = groups(&stats(&sim, &format!("{rest}&sysparm_having={having}")));
        let names: Vec<String> = found.into_keys().collect();
        assert_eq!(names.join(","), expected, "{having}");
    }
    let two = "sysparm_count=true&sysparm_group_by=state,nonsense,sys_class_name";
    assert_eq!(
        groups(&stats(&sim, two))["2/incident"],
        json!({ "count": "2" })
    );
}

#[test]
fn groups_end_at_a_limit_and_date_times_are_a_switch() {
    let sim = squares(Options {
        max_aggregates: 4,
        ..Options::default()
    });
    let by = |field: &str| format!("sysparm_count=true&sysparm_group_by={field}");
    assert_eq!(groups(&stats(&sim, &by("sys_id"))).len(), 4);
    assert_eq!(stats(&sim, &by("sys_updated_on")).status, 400);
    let works = squares(Options {
        group_by_date_time: true,
        ..Options::default()
    });
    let found = groups(&stats(&works, &by("sys_updated_on")));
    assert_eq!(found["2024-01-01 00:00:00"], json!({ "count": "3" }));
}

#[test]
fn who_may_aggregate_is_a_switch() {
    for (aggregate_access, status) in [
        (AggregateAccess::Roles, 200),
        (AggregateAccess::AllRecords, 403),
    ] {
        let sim = squares(Options {
            aggregate_access,
            ..Options::default()
        });
        assert_eq!(stats(&sim, "sysparm_count=true").status, 200);
        sim.hide("incident", |row| row.get("state") == "1").unwrap();
        let answer = stats(&sim, "sysparm_count=true");
        assert_eq!(answer.status, status);
        if status == 200 {
            // Row rules are ignored: count less readable is hidden.
            assert_eq!(answer.json()["result"]["stats"]["count"], "6");
        } else {
            assert_eq!(answer.json()["status"], "failure");
        }
    }
}

#[test]
fn a_rule_of_the_table_refuses_aggregates_only() {
    let sim = start();
    sim.insert("incident", Row::new()).unwrap();
    sim.refuse_aggregates("incident").unwrap();
    assert_eq!(stats(&sim, "sysparm_count=true").status, 403);
    assert_eq!(get(&sim, "/api/now/table/incident").rows().len(), 1);
    assert_eq!(
        get(&sim, "/api/now/stats/task?sysparm_count=true").status,
        200
    );
    sim.show_all("incident").unwrap();
    assert_eq!(stats(&sim, "sysparm_count=true").status, 200);
}
