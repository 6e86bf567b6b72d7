//! Lines 20 to 26: encoded queries.

use proptest::prelude::*;
use servicenow_sim::{LiteralTz, Options, Row, Sim, Table, UnknownTerm};

use crate::client::{ids, query, row, start};

/// Rows a to h: every combination of x, y and z.
fn truth_table() -> Sim {
    let sim = start();
    sim.create_table(Table::new("u_bits").texts(&["x", "y", "z"]))
        .unwrap();
    for (id, bits) in ('a'..='h').zip(0..8) {
        let bit = |mask: i32| if bits & mask == 0 { "0" } else { "1" };
        let row = row(&id.to_string())
            .set("x", bit(4))
            .set("y", bit(2))
            .set("z", bit(1));
        sim.insert("u_bits", row).unwrap();
    }
    sim
}

#[test]
fn line_20_truth_tables() {
    let sim = truth_table();
    for (text, expected) in [
        ("x=1", "e,f,g,h"),
        ("x=1^y=1", "g,h"),
        ("x=1^ORy=1", "c,d,e,f,g,h"),
        // x AND (y OR z)
        ("x=1^y=1^ORz=1", "f,g,h"),
        // (x OR y) AND z: the trap of section 11.5
        ("x=1^ORy=1^z=1", "d,f,h"),
        ("x=1^y=1^NQz=1", "b,d,f,g,h"),
        ("x=1^NQy=1^z=1^EQ", "d,e,f,g,h"),
        ("x=1^EQ", "e,f,g,h"),
        ("", "a,b,c,d,e,f,g,h"),
    ] {
        assert_eq!(ids(&sim, "u_bits", text), expected, "{text}");
    }
}

fn typed() -> Sim {
    let sim = start();
    sim.insert("sys_user", row("u1").set("name", "Ann"))
        .unwrap();
    sim.insert("sys_user", row("u2").set("name", "Bob"))
        .unwrap();
    let rows = [
        (
            "a",
            "alpha",
            "1",
            "true",
            "2024-01-01 10:00:00",
            "u1",
            "2024-01-01",
        ),
        (
            "b",
            "Beta",
            "10",
            "false",
            "2024-01-02 10:00:00",
            "u2",
            "2024-01-02",
        ),
        (
            "c",
            "beta two",
            "9",
            "true",
            "2024-01-03 10:00:00",
            "u1",
            "2024-01-03",
        ),
        ("d", "", "", "", "", "", ""),
    ];
    for (id, text, number, bool, stamp, reference, date) in rows {
        let row = row(id)
            .set("short_description", text)
            .set("reopen_count", number)
            .set("reassignment_count", "9")
            .set("active", bool)
            .set("opened_at", stamp)
            .set("caller_id", reference)
            .set("u_due", date);
        sim.insert("incident", row).unwrap();
    }
    sim
}

#[test]
fn line_21_every_operator() {
    let sim = typed();
    for (text, expected) in [
        // Text, without case.
        ("short_description=beta", "b"),
        ("short_description!=beta", "a,c,d"),
        ("short_description<b", "a"),
        ("short_description>=beta", "b,c"),
        ("short_descriptionLIKEeta", "b,c"),
        ("short_description*eta", "b,c"),
        ("short_descriptionCONTAINSeta", "b,c"),
        ("short_descriptionNOT LIKEeta", "a,d"),
        ("short_descriptionNOTLIKEeta", "a,d"),
        ("short_description!*eta", "a,d"),
        ("short_descriptionSTARTSWITHbet", "b,c"),
        ("short_descriptionENDSWITHTWO", "c"),
        ("short_description%two", "c"),
        ("short_descriptionINalpha,beta two", "a,c"),
        ("short_descriptionNOT INalpha,beta two", "b,d"),
        ("short_description=", "d"),
        ("short_description!=", "a,b,c"),
        ("short_descriptionISEMPTY", "d"),
        ("short_descriptionEMPTYSTRING", "d"),
        ("short_descriptionISNOTEMPTY", "a,b,c"),
        ("short_descriptionANYTHING", "a,b,c,d"),
        // Whole numbers are compared as numbers.
        ("reopen_count>9", "b"),
        ("reopen_count<=9", "a,c"),
        ("reopen_count=10", "b"),
        ("reopen_countIN1,10", "a,b"),
        ("reopen_countBETWEEN1@9", "a,c"),
        ("reopen_countGT_FIELDreassignment_count", "b"),
        ("reopen_countLT_FIELDreassignment_count", "a"),
        ("reopen_countGT_OR_EQUALS_FIELDreassignment_count", "b,c"),
        ("reopen_countLT_OR_EQUALS_FIELDreassignment_count", "a,c"),
        ("reopen_countSAMEASreassignment_count", "c"),
        ("reopen_countNSAMEASreassignment_count", "a,b,d"),
        // Booleans are three-valued.
        ("active=true", "a,c"),
        ("active=false", "b"),
        ("active=false^ORactiveISEMPTY", "b,d"),
        ("active!=true", "b,d"),
        // Stamps and dates.
        ("opened_at>2024-01-01 10:00:00", "b,c"),
        ("opened_at>=2024-01-02", "b,c"),
        (
            "opened_atBETWEEN2024-01-01 10:00:00@2024-01-02 10:00:00",
            "a,b",
        ),
        ("opened_atONx@2024-01-02 00:00:00@2024-01-02 23:59:59", "b"),
        (
            "opened_atNOTONx@2024-01-02 00:00:00@2024-01-02 23:59:59",
            "a,c",
        ),
        ("opened_atRELATIVELT@hour@ago@1", "a,b,c"),
        ("u_due=2024-01-02", "b"),
        ("u_due<2024-01-02", "a"),
        // References: by id, or by display value for LIKE and STARTSWITH.
        ("caller_id=u1", "a,c"),
        ("caller_idINu1,u2", "a,b,c"),
        ("caller_idLIKEnn", "a,c"),
        ("caller_idSTARTSWITHbo", "b"),
        ("caller_idISEMPTY", "d"),
        ("caller_id.name=Bob", "b"),
    ] {
        assert_eq!(ids(&sim, "incident", text), expected, "{text}");
    }
}

#[test]
fn line_21_case_and_empty_are_switches() {
    let options = Options {
        case_insensitive: false,
        not_equal_matches_empty: false,
        ..Options::default()
    };
    let sim = Sim::start(options).unwrap();
    for (id, text) in [("a", "Beta"), ("b", "beta"), ("c", "")] {
        sim.insert("incident", row(id).set("short_description", text))
            .unwrap();
    }
    assert_eq!(ids(&sim, "incident", "short_description=beta"), "b");
    assert_eq!(ids(&sim, "incident", "short_descriptionLIKEBet"), "a");
    assert_eq!(ids(&sim, "incident", "short_description!=beta"), "a");
}

#[test]
fn line_22_order_is_complete_or_shuffled() {
    let sim = start();
    let rows = (0..50).map(|n| row(&format!("{n:02}")).set("state", (n % 3).to_string()));
    sim.insert_many("incident", rows).unwrap();
    let sorted = query(&sim, "incident", "ORDERBYDESCstate^ORDERBYsys_id", "").rows();
    let keys: Vec<_> = sorted
        .iter()
        .map(|row| {
            (
                2 - row["state"].as_str().unwrap().parse::<i32>().unwrap(),
                &row["sys_id"],
            )
        })
        .map(|(state, id)| (state, id.as_str().unwrap()))
        .collect();
    assert!(keys.is_sorted());
    let unsorted = || query(&sim, "incident", "", "").column("sys_id");
    assert!(
        unsorted() != unsorted(),
        "no order is promised, and none is kept"
    );
    let ties = || query(&sim, "incident", "ORDERBYstate", "").column("sys_id");
    assert!(ties() != ties(), "rows of one state come in any order");

    let sim = Sim::start(Options {
        shuffle: false,
        ..Options::default()
    })
    .unwrap();
    sim.insert_many("incident", (0..9).map(|n| row(&n.to_string())))
        .unwrap();
    assert!(
        query(&sim, "incident", "ORDERBYstate", "")
            .column("sys_id")
            .is_sorted()
    );
}

#[test]
fn line_23_unknown_terms() {
    let texts = [
        "nonsense=1",
        "stateFOO1",
        "state>",
        "=1",
        "state=javascript:evil()",
    ];
    let start = |unknown_term| {
        let sim = Sim::start(Options {
            unknown_term,
            ..Options::default()
        })
        .unwrap();
        sim.insert("incident", row("a").set("active", "")).unwrap();
        sim
    };
    let sim = start(UnknownTerm::Drop);
    for text in texts {
        assert_eq!(ids(&sim, "incident", text), "a", "{text}");
        assert_eq!(
            ids(&sim, "incident", &format!("{text}^sys_id=b")),
            "",
            "the rest still runs"
        );
    }
    for text in ["active=true", "active=false"] {
        assert_eq!(ids(&sim, "incident", text), "", "NULL is neither");
    }
    let sim = start(UnknownTerm::NoRows);
    for text in texts {
        assert_eq!(ids(&sim, "incident", text), "", "{text}");
    }
    let sim = start(UnknownTerm::Forbidden);
    for text in texts {
        let answer = query(&sim, "incident", text, "");
        assert_eq!(answer.status, 403);
        assert_eq!(
            answer.json()["error"]["message"],
            "Insufficient rights to query records"
        );
    }
}

#[test]
fn line_23_sorting_by_a_missing_column_of_a_view_is_500() {
    let sim = start();
    sim.create_table(Table::new("v_view").view()).unwrap();
    sim.create_table(Table::new("u_log").no_update()).unwrap();
    assert_eq!(query(&sim, "v_view", "ORDERBYnonsense", "").status, 500);
    assert_eq!(
        query(&sim, "u_log", "ORDERBYsys_updated_on", "").status,
        500
    );
    assert_eq!(query(&sim, "incident", "ORDERBYnonsense", "").status, 200);
}

#[test]
fn line_24_carets_and_commas_cannot_be_escaped() {
    let fill = |sim: &Sim| {
        sim.insert(
            "incident",
            row("a").set("short_description", "x^active=true"),
        )
        .unwrap();
        sim.insert(
            "incident",
            row("b").set("short_description", "x").set("active", "true"),
        )
        .unwrap();
        sim.insert("incident", row("c").set("short_description", "p,q"))
            .unwrap();
    };
    let sim = start();
    fill(&sim);
    assert_eq!(
        ids(&sim, "incident", "short_description=x^active=true"),
        "b"
    );
    assert_eq!(
        ids(&sim, "incident", "short_description=x^^active=true"),
        "b"
    );
    assert_eq!(ids(&sim, "incident", "short_descriptionINp,q"), "");
    let sim = Sim::start(Options {
        double_caret: true,
        ..Options::default()
    })
    .unwrap();
    fill(&sim);
    assert_eq!(
        ids(&sim, "incident", "short_description=x^^active=true"),
        "a"
    );
}

#[test]
fn line_25_literals_and_scripts() {
    for (literal_tz, plain) in [(LiteralTz::Utc, "b"), (LiteralTz::User, "a")] {
        let user_zone = "Australia/Sydney".to_owned();
        let sim = Sim::start(Options {
            literal_tz,
            user_zone,
            ..Options::default()
        })
        .unwrap();
        // Sydney is 11 hours ahead in January.
        for (id, stamp) in [("a", "2024-01-25 13:00:00"), ("b", "2024-01-26 00:00:00")] {
            sim.insert("incident", row(id).set("opened_at", stamp))
                .unwrap();
        }
        let literal = "opened_at=2024-01-26 00:00:00";
        assert_eq!(ids(&sim, "incident", literal), plain, "{literal_tz:?}");
        let generated = "opened_at=javascript:gs.dateGenerate('2024-01-26','00:00:00')";
        assert_eq!(
            ids(&sim, "incident", generated),
            "a",
            "dateGenerate is the user's zone"
        );
        let own = &sim.options().users[0];
        sim.insert("incident", row("c").set("opened_by", own.sys_id.as_str()))
            .unwrap();
        assert_eq!(
            ids(&sim, "incident", "opened_by=javascript:gs.getUserID()"),
            "c"
        );
        let today = "sys_created_on>=javascript:gs.daysAgoStart(0)";
        assert_eq!(ids(&sim, "incident", today), "a,b,c");
        assert_eq!(
            ids(&sim, "incident", "sys_created_on<javascript:gs.daysAgo(1)"),
            ""
        );
        assert_eq!(
            ids(&sim, "incident", "opened_at=javascript:gs.unknown()"),
            "a,b,c"
        );
    }
}

#[test]
fn line_26_unreadable_columns_cannot_filter_or_sort() {
    let sim = start();
    sim.insert("incident", row("a")).unwrap();
    sim.hide_field("incident", "priority").unwrap();
    for text in ["priority=1", "ORDERBYpriority", "stateSAMEASpriority"] {
        let answer = query(&sim, "incident", text, "");
        assert_eq!(answer.status, 403, "{text}");
        let error = &answer.json()["error"];
        assert_eq!(error["message"], "Insufficient rights to query records");
        let detail = "Field(s) present in the query do not have permission to be read";
        assert_eq!(error["detail"], detail);
    }
    assert!(
        query(&sim, "incident", "", "").rows()[0]
            .get("priority")
            .is_none()
    );
}

/// Rows with few stamps and ids, so that everything collides.
fn crowded() -> impl Strategy<Value = Vec<(u8, u8, bool)>> {
    prop::collection::vec((0_u8..60, 0_u8..6, any::<bool>()), 0..60)
}

fn stamp(n: u8) -> String {
    if n == 0 {
        String::new()
    } else {
        format!("2024-01-01 00:00:0{n}")
    }
}

/// Bounds on stamp and id, and sometimes another condition.
fn branch() -> impl Strategy<Value = String> {
    let operator = || prop::sample::select(vec!["=", ">", ">=", "<", "<="]);
    let stamps =
        (operator(), 1_u8..6).prop_map(|(op, n)| format!("sys_updated_on{op}{}", stamp(n)));
    let ids = (operator(), 0_u8..60).prop_map(|(op, n)| format!("sys_id{op}i{n:02}"));
    let other = prop::sample::select(vec![
        "active=true",
        "sys_id!=i07",
        "nonsense=1",
        "sys_idINi03,i41,I07,i03",
    ]);
    let condition = prop_oneof![4 => stamps, 3 => ids, 2 => other.prop_map(str::to_owned)];
    prop::collection::vec(condition, 0..4).prop_map(|list| list.join("^"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// The index must never change an answer: neither the rows, nor their order, nor the count.
    #[test]
    fn the_index_answers_like_the_evaluator(
        rows in crowded(),
        queries in prop::collection::vec(
            (prop::collection::vec(branch(), 1..3), any::<bool>(), 0_usize..4, 1_usize..20),
            12,
        ),
        keyset in (1_u8..6, 1_u8..6, 0_u8..60, any::<bool>()),
    ) {
        let mut sims = Vec::new();
        for use_indexes in [true, false] {
            let sim = Sim::start(Options { use_indexes, ..Options::default() }).unwrap();
            for (id, second, active) in &rows {
                // The upper half of the ids is in upper case: equal without case, yet two rows.
                let id = if *id < 30 { format!("i{id:02}") } else { format!("I{:02}", id - 30) };
                let row = Row::new()
                    .set("sys_id", id.as_str())
                    .set("sys_updated_on", stamp(*second))
                    .set("sys_created_on", "2024-01-01 00:00:00")
                    .set("number", "n")
                    .set("active", active.to_string());
                // The same id may come twice.
                if sim.insert("incident", row).is_ok() && *second == 0 {
                    sim.update("incident", &id, [("sys_updated_on", "")]).unwrap();
                }
            }
            sims.push(sim);
        }
        let (t, hi, id, filtered) = keyset;
        let filter = if filtered { "active=true^" } else { "" };
        let (t, hi, ts) = (stamp(t), stamp(hi), "sys_updated_on");
        let shape = format!("{filter}{ts}>{t}^{ts}<={hi}^NQ{filter}{ts}={t}^sys_id>i{id:02}");
        let mut texts = vec![
            (format!("{shape}^ORDERBY{ts}^ORDERBYsys_id"), 0, 7),
            (format!("{filter}{ts}>={t}^{ts}<={hi}^ORDERBY{ts}^ORDERBYsys_id"), 0, 7),
        ];
        for (branches, by_stamp, offset, limit) in queries {
            let order = if by_stamp { "^ORDERBYsys_updated_on" } else { "" };
            let text = format!("{}{order}^ORDERBYsys_id", branches.join("^NQ"));
            texts.push((text, offset, limit));
        }
        // Twice, as a count is remembered when it is asked for again.
        for (text, offset, limit) in texts.iter().flat_map(|text| [text, text]) {
            let rest = format!("&sysparm_offset={offset}&sysparm_limit={limit}");
            let answers: Vec<_> = sims
                .iter()
                .map(|sim| query(sim, "incident", text, &format!("{rest}&sysparm_fields=sys_id,sys_updated_on,active")))
                .map(|answer| (answer.header("X-Total-Count").map(str::to_owned), answer.text()))
                .collect();
            prop_assert_eq!(&answers[0], &answers[1], "{}", text);
        }
    }
}
