//! Lines 7 to 19: reads of the Table API.

use std::io::Read;

use flate2::read::GzDecoder;
use servicenow_sim::{Column, Kind, NoCount, Options, Row, Sim, Table};

use crate::client::{BASIC, get, ids, query, row, send, start};

const LIST: &str = "/api/now/table/incident";

/// A caller and one incident of that caller.
fn one_incident(sim: &Sim) {
    let caller = Row::new().set("sys_id", "u1").set("name", "Joe \"J\" Doe");
    sim.insert("sys_user", caller).unwrap();
    let incident = row("i1")
        .set("number", "INC1")
        .set("caller_id", "u1")
        .set("state", "2")
        .set("active", "true")
        .set("sys_updated_on", "2024-01-25 13:30:05");
    sim.insert("incident", incident).unwrap();
}

#[test]
fn line_7_standard_headers_and_gzip() {
    let sim = start();
    let answer = send(
        &sim,
        "GET",
        LIST,
        &format!("{BASIC}Accept-Encoding: gzip\r\n"),
        "",
    );
    for name in [
        "Server-Timing",
        "X-Is-Logged-In",
        "X-Total-Count",
        "Date",
        "Strict-Transport-Security",
    ] {
        assert!(answer.header(name).is_some(), "{name}");
    }
    assert_eq!(answer.header("X-Transaction-ID").unwrap().len(), 12);
    assert_eq!(answer.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(answer.header("Content-Length"), None);
    assert_eq!(answer.header("Server"), Some("ServiceNow"));
    assert_eq!(answer.header("Content-Encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(answer.body.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, r#"{"result":[]}"#);
    assert_eq!(get(&sim, LIST).header("Content-Encoding"), None);
}

#[test]
fn line_8_empty_lists() {
    let sim = start();
    for path in ["/api/now/table/incident", "/api/now/v2/table/incident"] {
        assert_eq!(get(&sim, path).text(), r#"{"result":[]}"#);
    }
    let answer = get(&sim, "/api/now/v1/table/incident");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["error"]["message"], "No Record found");
}

#[test]
fn line_9_scalars_are_strings_and_all_columns_are_there() {
    let sim = start();
    one_incident(&sim);
    let rows = get(&sim, LIST).rows();
    let object = rows[0].as_object().unwrap();
    let columns = sim.columns("incident").unwrap();
    assert_eq!(object.len(), columns.len());
    for (name, _) in &columns {
        let value = &object[name];
        assert!(value.is_string() || name == "caller_id", "{name}: {value}");
    }
    for (name, value) in [
        ("problem_id", ""),
        ("active", "true"),
        ("sys_mod_count", "0"),
        ("comments", ""),
    ] {
        assert_eq!(object[name], value);
    }
}

#[test]
fn line_10_reference_shapes() {
    let sim = start();
    one_incident(&sim);
    let link = format!("{}/api/now/table/sys_user/u1", sim.url());
    let name = "Joe \"J\" Doe";
    for (mode, exclude, expected) in [
        (
            "false",
            false,
            serde_json::json!({ "link": link, "value": "u1" }),
        ),
        ("false", true, serde_json::json!("u1")),
        (
            "true",
            false,
            serde_json::json!({ "display_value": name, "link": link }),
        ),
        ("true", true, serde_json::json!(name)),
        (
            "all",
            false,
            serde_json::json!({ "display_value": name, "value": "u1", "link": link }),
        ),
        (
            "all",
            true,
            serde_json::json!({ "display_value": name, "value": "u1" }),
        ),
    ] {
        let target =
            format!("{LIST}?sysparm_display_value={mode}&sysparm_exclude_reference_link={exclude}");
        assert_eq!(
            get(&sim, &target).rows()[0]["caller_id"],
            expected,
            "{mode} {exclude}"
        );
    }
    let answer = get(&sim, "/api/now/v2/table/incident/i1");
    let link = format!("{}/api/now/v2/table/sys_user/u1", sim.url());
    assert_eq!(answer.json()["result"]["caller_id"]["link"], link.as_str());
    let empty = &get(&sim, &format!("{LIST}?sysparm_display_value=all")).rows()[0]["problem_id"];
    assert_eq!(
        *empty,
        serde_json::json!({ "display_value": "", "value": "" })
    );
}

#[test]
fn line_11_display_values() {
    let options = Options {
        user_zone: "Australia/Sydney".to_owned(),
        user_date_format: "dd/MM/yyyy HH:mm:ss".to_owned(),
        ..Options::default()
    };
    let sim = Sim::start(options).unwrap();
    one_incident(&sim);
    sim.update(
        "incident",
        "i1",
        [
            ("comments", "hello"),
            ("sys_updated_on", "2024-01-25 13:30:05"),
        ],
    )
    .unwrap();
    let all = &get(&sim, &format!("{LIST}?sysparm_display_value=all")).rows()[0];
    assert_eq!(all["sys_updated_on"]["value"], "2024-01-25 13:30:05");
    assert_eq!(
        all["sys_updated_on"]["display_value"],
        "26/01/2024 00:30:05"
    );
    assert_eq!(
        all["state"],
        serde_json::json!({ "display_value": "In Progress", "value": "2" })
    );
    assert!(
        all["priority"]["display_value"].is_null(),
        "an empty choice is null"
    );
    assert_eq!(all["comments"]["value"], "");
    assert!(
        all["comments"]["display_value"]
            .as_str()
            .unwrap()
            .contains("admin (comments)\nhello")
    );
    let entry = &get(&sim, "/api/now/table/sys_journal_field").rows()[0];
    assert_eq!(entry["element_id"], "i1");
    assert_eq!(entry["value"], "hello");
}

#[test]
fn line_12_parents_show_children() {
    let sim = start();
    one_incident(&sim);
    sim.insert("problem", row("p1")).unwrap();
    let tasks = query(&sim, "task", "ORDERBYsys_id", "");
    assert_eq!(tasks.column("sys_class_name"), ["incident", "problem"]);
    assert!(
        tasks.rows()[0].get("caller_id").is_none(),
        "only the parent's columns"
    );
    assert!(tasks.rows()[0].get("number").is_some());
    let parent = "&sysparm_exclude_reference_link=true";
    let bare = query(&sim, "task", "sys_id=i1", parent).rows();
    assert_eq!(
        bare[0].as_object().unwrap().len(),
        sim.columns("task").unwrap().len()
    );
    assert_eq!(ids(&sim, "incident", ""), "i1");
    assert_eq!(ids(&sim, "task", "sys_class_nameINSTANCEOFtask"), "i1,p1");
}

#[test]
fn line_13_fields() {
    let sim = start();
    one_incident(&sim);
    let target = format!("{LIST}?sysparm_fields=number,nonsense,caller_id.name");
    let rows = get(&sim, &target).rows();
    assert_eq!(
        rows[0],
        serde_json::json!({ "number": "INC1", "caller_id.name": "Joe \"J\" Doe" })
    );
    sim.insert("incident", row("i2").set("number", "INC2"))
        .unwrap();
    sim.hide_field_where("incident", "number", |row| row.get("number") == "INC2")
        .unwrap();
    let rows = query(
        &sim,
        "incident",
        "ORDERBYsys_id",
        "&sysparm_fields=number,sys_id",
    )
    .rows();
    assert_eq!(rows[0].as_object().unwrap().len(), 2);
    assert_eq!(rows[1], serde_json::json!({ "sys_id": "i2" }));
}

#[test]
fn line_14_hidden_rows_shorten_pages_and_line_15_still_count() {
    let sim = start();
    sim.insert_many("incident", (0..6).map(|n| row(&format!("a{n}"))))
        .unwrap();
    sim.hide("incident", |row| {
        ["a0", "a1", "a3"].contains(&row.sys_id().as_ref())
    })
    .unwrap();
    let page = |last: &str| {
        let text = format!("sys_id>{last}^ORDERBYsys_id");
        query(&sim, "incident", &text, "&sysparm_limit=2")
    };
    let first = page("0");
    assert_eq!(
        first.column("sys_id"),
        Vec::<String>::new(),
        "a page can be empty mid-set"
    );
    assert_eq!(first.header("X-Total-Count"), Some("6"));
    assert_eq!(page("a1").column("sys_id"), ["a2"]);
    assert_eq!(ids(&sim, "incident", ""), "a2,a4,a5");
    let stats = get(&sim, "/api/now/stats/incident?sysparm_count=true").json();
    assert_eq!(stats["result"]["stats"]["count"], "6");
    sim.show_all("incident").unwrap();
    assert_eq!(page("0").column("sys_id"), ["a0", "a1"]);
}

#[test]
fn line_14_the_default_limit_is_10000() {
    let sim = start();
    sim.insert_many("sys_user_group", (0..10_001).map(|n| row(&n.to_string())))
        .unwrap();
    let answer = get(&sim, "/api/now/table/sys_user_group?sysparm_fields=sys_id");
    assert_eq!(answer.rows().len(), 10_000);
    assert_eq!(answer.header("X-Total-Count"), Some("10001"));
}

#[test]
fn line_15_no_count_is_a_switch() {
    for (no_count, expected) in [(NoCount::Omit, None), (NoCount::PageRows, Some("2"))] {
        let sim = Sim::start(Options {
            no_count,
            ..Options::default()
        })
        .unwrap();
        sim.insert_many("incident", (0..6).map(|n| row(&n.to_string())))
            .unwrap();
        let answer = get(
            &sim,
            &format!("{LIST}?sysparm_limit=2&sysparm_no_count=true"),
        );
        assert_eq!(answer.header("X-Total-Count"), expected);
    }
}

#[test]
fn line_16_link_header() {
    let sim = start();
    sim.insert_many("incident", (0..67).map(|n| row(&n.to_string())))
        .unwrap();
    let link = |rest: &str| {
        let answer = get(&sim, &format!("{LIST}?x=%201&{rest}"));
        answer.header("Link").map(str::to_owned)
    };
    let at = |limit: i32, offset: i32, rel: &str| {
        format!(
            "<{}{LIST}?x=%201&sysparm_limit={limit}&sysparm_offset={offset}>;rel=\"{rel}\"",
            sim.url()
        )
    };
    assert_eq!(
        link("sysparm_limit=10&sysparm_offset=20").unwrap(),
        [
            at(10, 0, "first"),
            at(10, 10, "prev"),
            at(10, 30, "next"),
            at(10, 60, "last")
        ]
        .join(",")
    );
    assert_eq!(
        link("sysparm_limit=1").unwrap(),
        [
            at(1, 0, "first"),
            at(1, -1, "prev"),
            at(1, 1, "next"),
            at(1, 66, "last")
        ]
        .join(",")
    );
    assert_eq!(
        link("sysparm_limit=10&sysparm_offset=60").unwrap(),
        [at(10, 0, "first"), at(10, 50, "prev"), at(10, 60, "last")].join(",")
    );
    assert_eq!(link("sysparm_limit=67"), None);
    assert_eq!(
        link("sysparm_limit=10&sysparm_suppress_pagination_header=true"),
        None
    );
}

#[test]
fn line_17_long_queries() {
    let sim = start();
    sim.insert_many("incident", (0..3).map(|n| row(&n.to_string())))
        .unwrap();
    let long = format!("sys_idIN0,1,2,{}", "x".repeat(5000));
    let answer = query(&sim, "incident", &long, "&sysparm_limit=1");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json()["error"]["message"],
        "Pagination not supported"
    );
    assert!(
        answer.json()["error"]["detail"]
            .as_str()
            .unwrap()
            .contains("larger then 3 to")
    );
    let suppress = "&sysparm_limit=1&sysparm_suppress_pagination_header=true";
    assert_eq!(query(&sim, "incident", &long, suppress).status, 200);
    assert_eq!(
        query(&sim, "incident", &long, "&sysparm_limit=3").status,
        200
    );
    let answer = get(&sim, &format!("{LIST}?x={}", "y".repeat(20_000)));
    assert_eq!(answer.status, 414);
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/html;charset=UTF-8")
    );
}

#[test]
fn line_18_refusals() {
    let sim = start();
    sim.insert("incident", row("hidden")).unwrap();
    sim.hide("incident", |_| true).unwrap();
    let check = |method: &str, target: &str, headers: &str, status: u16, message: &str| {
        let answer = send(&sim, method, target, &format!("{BASIC}{headers}"), "");
        assert_eq!(
            answer.status,
            status,
            "{method} {target}: {}",
            answer.text()
        );
        assert_eq!(answer.json()["error"]["message"], message);
        assert_eq!(answer.json()["status"], "failure");
        answer.json()["error"]["detail"].clone()
    };
    let detail = check("GET", "/api/now/table/nope", "", 400, "Invalid table nope");
    assert!(detail.is_null());
    for id in ["missing", "hidden"] {
        let detail = check("GET", &format!("{LIST}/{id}"), "", 404, "No Record found");
        assert_eq!(
            detail,
            "Record doesn't exist or ACL restricts the record retrieval"
        );
    }
    let message = "Requested URI does not represent any resource";
    check("GET", "/api/now/nonsense", "", 400, message);
    check("OPTIONS", LIST, "", 405, "Method not supported");
    check("GET", LIST, "Accept: text/html\r\n", 406, "Not Acceptable");
    check(
        "POST",
        LIST,
        "Content-Type: text/plain\r\n",
        415,
        "Unsupported Media Type",
    );
    let page = get(&sim, "/somewhere.do");
    assert_eq!(
        (page.status, page.header("Location")),
        (302, Some("/login.do"))
    );
}

#[test]
fn line_19_head_has_no_body() {
    let sim = start();
    one_incident(&sim);
    let answer = send(&sim, "HEAD", LIST, BASIC, "");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("X-Total-Count"), Some("1"));
    assert!(answer.body.is_empty());
}

#[test]
fn own_tables_and_the_users_own_row() {
    let sim = start();
    let table = Table::new("u_pet")
        .label("Pet")
        .texts(&["name"])
        .column(Column::new("age", Kind::Integer))
        .column(Column::reference("owner", "sys_user"));
    sim.create_table(table).unwrap();
    sim.insert("u_pet", [("name", "Rex"), ("age", "3")])
        .unwrap();
    assert_eq!(query(&sim, "u_pet", "age>2", "").column("name"), ["Rex"]);
    let me = query(
        &sim,
        "sys_user",
        "user_name=javascript:gs.getUserName()",
        "",
    )
    .rows();
    assert_eq!(me.len(), 1);
    assert_eq!(me[0]["user_name"], "bridge");
    assert_eq!(me[0]["time_zone"], "GMT");
    assert!(me[0]["sys_created_on"].as_str().unwrap().len() == 19);
}
