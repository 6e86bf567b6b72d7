//! Line 38: tables describe themselves.

use servicenow_sim::{Column, Table};

use crate::client::{query, start};

const BARE: &str = "&sysparm_exclude_reference_link=true";

#[test]
fn line_38_tables_describe_themselves() {
    let sim = start();
    let class = |condition: &str| query(&sim, "sys_db_object", condition, BARE).rows();
    let incident = class("name=incident");
    assert_eq!(incident[0]["label"], "Incident");
    let task = class(&format!(
        "sys_id={}",
        incident[0]["super_class"].as_str().unwrap()
    ));
    assert_eq!(
        (&task[0]["name"], &task[0]["super_class"]),
        (&"task".into(), &"".into())
    );
    for name in ["sys_db_object", "sys_dictionary", "sys_choice", "sys_user"] {
        assert_eq!(class(&format!("name={name}")).len(), 1, "{name}");
    }
    let condition = "nameINincident,task^elementISNOTEMPTY^active=true";
    let all = query(&sim, "sys_dictionary", condition, BARE).column("element");
    assert_eq!(all.len(), sim.columns("incident").unwrap().len());
    let caller = query(
        &sim,
        "sys_dictionary",
        "name=incident^element=caller_id",
        BARE,
    )
    .rows();
    assert_eq!(caller[0]["internal_type"], "reference");
    assert_eq!(caller[0]["reference"], "sys_user");
    let table = query(
        &sim,
        "sys_dictionary",
        "name=incident^internal_type=collection",
        BARE,
    );
    assert_eq!(table.column("element"), [""]);
    let states = query(
        &sim,
        "sys_choice",
        "name=task^element=state^ORDERBYsequence",
        BARE,
    );
    assert_eq!(states.column("value"), ["1", "2", "3", "6", "7"]);
}

#[test]
fn line_38_a_replaced_table_is_described_once() {
    let sim = start();
    for column in ["u_old", "u_new"] {
        sim.create_table(Table::new("u_pet").column(Column::text(column)))
            .unwrap();
    }
    let classes = query(&sim, "sys_db_object", "name=u_pet", BARE).rows();
    assert_eq!(classes.len(), 1);
    let own = query(
        &sim,
        "sys_dictionary",
        "name=u_pet^elementSTARTSWITHu_",
        BARE,
    );
    assert_eq!(own.column("element"), ["u_new"]);
}
