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

#[test]
fn line_38_columns_come_and_go_with_the_rows_in_place() {
    let sim = start();
    let pet = || Table::new("u_pet").extends("task");
    sim.create_table(pet().texts(&["u_name", "u_gone"]))
        .unwrap();
    let row = [("u_name", "Rex"), ("u_gone", "x"), ("number", "PET1")];
    let id = sim.insert("u_pet", row).unwrap();
    let before = sim.get("u_pet", &id).unwrap();
    sim.alter_table(pet().column(Column::text("u_new")).texts(&["u_name"]))
        .unwrap();
    let now = query(&sim, "u_pet", "", BARE).rows();
    assert_eq!(now.len(), 1);
    assert_eq!(
        (&now[0]["u_name"], &now[0]["u_new"], &now[0]["number"]),
        (&"Rex".into(), &"".into(), &"PET1".into())
    );
    assert_eq!(now[0]["u_gone"], serde_json::Value::Null);
    let stamp = before.get("sys_updated_on").unwrap();
    assert_eq!(now[0]["sys_updated_on"], stamp);
    assert_eq!(query(&sim, "task", "number=PET1", BARE).rows().len(), 1);
    let own = "name=u_pet^elementSTARTSWITHu_^ORDERBYelement";
    let columns = query(&sim, "sys_dictionary", own, BARE).column("element");
    assert_eq!(columns, ["u_name", "u_new"]);
    sim.update("u_pet", &id, [("u_new", "later")]).unwrap();
    assert_eq!(sim.get("u_pet", &id).unwrap().get("u_new"), Some("later"));
    assert!(sim.alter_table(Table::new("task")).is_err());
}
