//! The tables that every simulated instance has.

use crate::schema::{Column, Kind, Table};

/// Tables in an order in which parents come first.
pub(crate) fn tables() -> Vec<Table> {
    vec![
        Table::new("sys_db_object")
            .label("Table")
            .display("label")
            .texts(&["name", "label"])
            .column(Column::reference("super_class", "sys_db_object")),
        Table::new("sys_dictionary")
            .label("Dictionary Entry")
            .display("column_label")
            .texts(&["name", "element", "column_label"])
            // References by name (section 5).
            .texts(&["internal_type", "reference", "attributes"])
            .column(Column::new("max_length", Kind::Integer))
            .column(Column::new("active", Kind::Boolean)),
        Table::new("sys_choice")
            .label("Choice")
            .display("label")
            .texts(&["name", "element", "value", "label", "language"])
            .column(Column::new("inactive", Kind::Boolean))
            .column(Column::new("sequence", Kind::Integer)),
        // Rows are what the platform's own script include `IndexCreator` writes: the columns of an index
        // in one text, with commas. A new instance here lists none.
        Table::new("sys_index")
            .label("Table Index")
            .display("col_name_string")
            .texts(&["logical_table_name", "col_name_string"])
            .column(Column::reference("table", "sys_db_object"))
            .column(Column::new("unique_index", Kind::Boolean)),
        user(),
        Table::new("sys_user_group")
            .label("Group")
            .texts(&["name", "description", "email"]),
        Table::new("sys_journal_field")
            .label("Journal Entry")
            .no_update()
            .texts(&["name", "element_id", "element", "value"]),
        Table::new("sys_audit_delete")
            .label("Audit Deleted Record")
            .display("display_value")
            .texts(&["tablename", "documentkey", "display_value"]),
        // Changes of fields are not simulated, only the marks of deletes and their return.
        Table::new("sys_audit")
            .label("Audit")
            .no_update()
            .texts(&["tablename", "documentkey", "fieldname", "oldvalue"])
            .texts(&["newvalue", "user", "reason"])
            .column(Column::new("record_checkpoint", Kind::Integer)),
        Table::new("sys_archive_log")
            .label("Archive Log")
            .texts(&["from_table", "to_table", "id"])
            .column(Column::new("restored", Kind::DateTime)),
        task(),
        incident(),
        Table::new("problem")
            .label("Problem")
            .extends("task")
            .prefix("PRB")
            .texts(&["cause_notes"]),
        Table::new("change_request")
            .label("Change Request")
            .extends("task")
            .prefix("CHG")
            .texts(&["type", "risk", "justification"]),
        Table::new("cmdb_ci").label("Configuration Item").texts(&[
            "name",
            "asset_tag",
            "serial_number",
            "operational_status",
            "install_status",
        ]),
        Table::new("cmdb_ci_computer")
            .label("Computer")
            .extends("cmdb_ci")
            .texts(&["os", "cpu_name"])
            .column(Column::new("ram", Kind::Integer)),
        Table::new("cmdb_ci_server")
            .label("Server")
            .extends("cmdb_ci_computer")
            .texts(&["host_name"]),
    ]
}

fn user() -> Table {
    Table::new("sys_user")
        .label("User")
        .display("name")
        .texts(&[
            "user_name",
            "name",
            "first_name",
            "last_name",
            "email",
            "time_zone",
            "date_format",
        ])
        .column(Column::new("active", Kind::Boolean))
        .column(Column::new("locked_out", Kind::Boolean))
        .column(Column::new("web_service_access_only", Kind::Boolean))
        .column(Column::reference("manager", "sys_user"))
}

fn task() -> Table {
    let impact: &[(&str, &str)] = &[("1", "1 - High"), ("2", "2 - Medium"), ("3", "3 - Low")];
    let priority: &[(&str, &str)] = &[
        ("1", "1 - Critical"),
        ("2", "2 - High"),
        ("3", "3 - Moderate"),
        ("4", "4 - Low"),
        ("5", "5 - Planning"),
    ];
    let state: &[(&str, &str)] = &[
        ("1", "New"),
        ("2", "In Progress"),
        ("3", "On Hold"),
        ("6", "Resolved"),
        ("7", "Closed"),
    ];
    Table::new("task")
        .label("Task")
        .prefix("TASK")
        .texts(&["number", "short_description", "description"])
        .column(Column::new("active", Kind::Boolean))
        .column(Column::choice("state", Kind::Integer, state))
        .column(Column::choice("priority", Kind::Integer, priority))
        .column(Column::choice("impact", Kind::Integer, impact))
        .column(Column::choice("urgency", Kind::Integer, impact))
        .column(Column::new("opened_at", Kind::DateTime))
        .column(Column::new("closed_at", Kind::DateTime))
        .column(Column::new("due_date", Kind::DateTime))
        .column(Column::reference("opened_by", "sys_user"))
        .column(Column::reference("assigned_to", "sys_user"))
        .column(Column::reference("assignment_group", "sys_user_group"))
        .column(Column::reference("cmdb_ci", "cmdb_ci"))
        .column(Column::reference("parent", "task"))
        .column(Column::new("work_notes", Kind::Journal))
        .column(Column::new("comments", Kind::Journal))
        .column(Column::new("reassignment_count", Kind::Integer))
        .texts(&[
            "correlation_id",
            "watch_list",
            "business_duration",
            "sys_domain_path",
            "correlation_display",
        ])
}

fn incident() -> Table {
    Table::new("incident")
        .label("Incident")
        .extends("task")
        .prefix("INC")
        .column(Column::reference("caller_id", "sys_user"))
        .column(Column::choice(
            "category",
            Kind::Text,
            &[
                ("inquiry", "Inquiry / Help"),
                ("network", "Network"),
                ("software", "Software"),
            ],
        ))
        .column(Column::new("resolved_at", Kind::DateTime))
        .column(Column::reference("problem_id", "problem"))
        .column(Column::new("reopen_count", Kind::Integer))
        .column(Column::new("u_due", Kind::Date))
        .column(Column::new("u_cost", Kind::Decimal))
        .texts(&["close_code", "close_notes", "contact_type"])
}
