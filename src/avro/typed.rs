//! The typed schema of a table: each column has the type that the dictionary gives it (ServiceNow
//! documentation "Field types").

use super::columns::{TableColumn, TableColumns};
use super::model::{FieldType, RAW_FIELD, RecordNames, RecordSchema, SchemaField};
use super::strings::field_names;
use crate::config::Decimals;

/// Most digits of a decimal: readers commonly take 38, and 128 bits hold them.
const MAX_DECIMAL_PRECISION: u32 = 38;
/// Precision and scale of a decimal where the dictionary names none: those of the instance's DECIMAL
/// columns.
const DEFAULT_DECIMAL_DIGITS: (u32, u32) = (15, 2);
/// Fewest digits before the point.
const MIN_WHOLE_DIGITS: u32 = 13;
/// Precision and scale of an amount of money where the dictionary names none.
const DEFAULT_CURRENCY_DIGITS: (u32, u32) = (19, 4);

/// The choices that [`RecordSchema::typed`] leaves to the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypingOptions {
    /// How decimals and amounts of money are written.
    pub decimals: Decimals,
    /// Whether the record has the field [`RAW_FIELD`], as
    /// [`OnTypeError::StringField`](crate::config::OnTypeError::StringField).
    pub raw: bool,
}

impl Default for TypingOptions {
    /// Exact decimals, and no field for misfits.
    fn default() -> TypingOptions {
        TypingOptions {
            decimals: Decimals::Bytes,
            raw: false,
        }
    }
}

impl RecordSchema {
    /// The schema in which every column is nullable and has the type that the dictionary gives it. A
    /// label becomes `doc`; what Avro has no property for gets one that begins with `servicenow.`.
    ///
    /// - Whole numbers of any size are `long`. A small number has the same bytes as an `int`, and a
    ///   column whose numbers grow fits without a change of the schema.
    /// - `glide_duration` and `timer` are seconds: the instance stores them as the time that lies as far
    ///   from 1970. `glide_time` stays text, because it has two forms, and the instance alone knows its
    ///   zone.
    /// - `date` and `glide_date` have no zone; times are UTC.
    /// - References, choices, journals, lists and every type without a rule are `string`.
    pub fn typed(columns: &TableColumns, typing: &TypingOptions) -> RecordSchema {
        let reserved: &[&str] = if typing.raw { &[RAW_FIELD] } else { &[] };
        let names = columns.list.iter().map(|column| column.name.as_str());
        let named = field_names(names, reserved).into_iter().zip(&columns.list);
        let mut fields: Vec<SchemaField> = named
            .map(|((name, _), column)| field(name, column, typing.decimals))
            .collect();
        if typing.raw {
            fields.push(SchemaField::new(
                RAW_FIELD.to_owned(),
                RAW_FIELD,
                FieldType::TextMap,
            ));
        }
        let names = RecordNames::of_table(&columns.table, columns.label.clone());
        RecordSchema::new(names, fields)
    }
}

fn field(name: String, column: &TableColumn, decimals: Decimals) -> SchemaField {
    SchemaField {
        doc: column.label.clone(),
        internal_type: column.internal_type.clone(),
        reference: column.reference.clone(),
        choices: column.choices.clone(),
        ..SchemaField::new(name, &column.name, kind(column, decimals))
    }
}

fn kind(column: &TableColumn, decimals: Decimals) -> FieldType {
    match (column.internal_type.as_str(), decimals) {
        ("boolean", _) => FieldType::Boolean,
        (
            "integer" | "count" | "order_index" | "longint" | "auto_increment" | "long"
            | "day_of_week" | "month_of_year" | "week_of_month" | "integer_date" | "integer_time",
            _,
        ) => FieldType::Long,
        ("float" | "percent_complete" | "double", _) => FieldType::Double,
        ("decimal", Decimals::Bytes) => decimal(column, DEFAULT_DECIMAL_DIGITS),
        ("currency" | "currency2" | "price", Decimals::Bytes) => {
            decimal(column, DEFAULT_CURRENCY_DIGITS)
        }
        ("glide_date_time" | "due_date" | "datetime", _) => FieldType::Timestamp,
        ("glide_date" | "date", _) => FieldType::Date,
        ("glide_duration" | "timer", _) => FieldType::Seconds,
        _ => FieldType::String,
    }
}

/// A decimal with the digits that the dictionary gives, where they are valid, else with the given
/// ones.
fn decimal(column: &TableColumn, (precision, scale): (u32, u32)) -> FieldType {
    let scale = column
        .scale
        .filter(|scale| *scale <= MAX_DECIMAL_PRECISION)
        .unwrap_or(scale);
    let digits = column
        .max_length
        .filter(|digits| *digits <= MAX_DECIMAL_PRECISION);
    // Digits cost no bytes. More of them behind the point must not leave fewer before it.
    let least = precision.max(scale + MIN_WHOLE_DIGITS);
    let precision = digits
        .unwrap_or(least)
        .max(least)
        .min(MAX_DECIMAL_PRECISION);
    FieldType::Decimal { precision, scale }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::columns::ChoiceEntry;
    use super::*;

    fn columns() -> TableColumns {
        let mut columns = TableColumns::named("incident", [] as [&str; 0]);
        columns.label = "Incident".to_owned();
        let typed = [
            ("sys_id", "GUID"),
            ("state", "integer"),
            ("active", "boolean"),
            ("u_cost", "currency"),
            ("u_share", "decimal"),
            ("percent", "float"),
            ("opened_at", "glide_date_time"),
            ("u_due", "glide_date"),
            ("business_duration", "glide_duration"),
            ("u_time", "glide_time"),
            ("caller_id", "reference"),
            ("work_notes", "journal_input"),
            ("u_new", "some_new_type"),
        ];
        for (name, internal_type) in typed {
            let mut column = TableColumn::typed(name, internal_type);
            if name == "caller_id" {
                column.reference = Some("sys_user".to_owned());
                column.label = "Caller".to_owned();
            }
            if name == "state" {
                column.choices.push(ChoiceEntry {
                    value: "1".to_owned(),
                    label: "New".to_owned(),
                });
            }
            columns.list.push(column);
        }
        columns
    }

    #[test]
    fn columns_get_the_types_of_the_dictionary() {
        let typing = TypingOptions {
            raw: true,
            ..TypingOptions::default()
        };
        let schema = RecordSchema::typed(&columns(), &typing);
        let text = schema.json().replace("},{\"n", "},\n{\"n");
        expect![[r#"
            {"type":"record","name":"incident","namespace":"com.servicenow.bridge","doc":"Incident","fields":[{"name":"sys_id","type":["null","string"],"default":null,"servicenow.type":"GUID"},
            {"name":"state","type":["null","long"],"default":null,"servicenow.type":"integer","servicenow.choices":[{"value":"1","label":"New"}]},
            {"name":"active","type":["null","boolean"],"default":null,"servicenow.type":"boolean"},
            {"name":"u_cost","type":["null",{"type":"bytes","logicalType":"decimal","precision":19,"scale":4}],"default":null,"servicenow.type":"currency"},
            {"name":"u_share","type":["null",{"type":"bytes","logicalType":"decimal","precision":15,"scale":2}],"default":null,"servicenow.type":"decimal"},
            {"name":"percent","type":["null","double"],"default":null,"servicenow.type":"float"},
            {"name":"opened_at","type":["null",{"type":"long","logicalType":"timestamp-millis"}],"default":null,"servicenow.type":"glide_date_time"},
            {"name":"u_due","type":["null",{"type":"int","logicalType":"date"}],"default":null,"servicenow.type":"glide_date"},
            {"name":"business_duration","type":["null","long"],"default":null,"servicenow.type":"glide_duration","servicenow.unit":"seconds"},
            {"name":"u_time","type":["null","string"],"default":null,"servicenow.type":"glide_time"},
            {"name":"caller_id","type":["null","string"],"default":null,"doc":"Caller","servicenow.type":"reference","servicenow.reference":"sys_user"},
            {"name":"work_notes","type":["null","string"],"default":null,"servicenow.type":"journal_input"},
            {"name":"u_new","type":["null","string"],"default":null,"servicenow.type":"some_new_type"},
            {"name":"_raw","type":["null",{"type":"map","values":"string"}],"default":null}]}"#]].assert_eq(&text);
        assert_eq!(RecordSchema::parse(schema.json()).unwrap(), schema);
        apache_avro::Schema::parse_str(schema.json()).unwrap();
        assert_eq!(
            RecordSchema::typed(&columns(), &typing).json(),
            schema.json()
        );
    }

    #[test]
    fn decimals_have_the_digits_of_the_dictionary() {
        let kind = |max_length, scale| {
            let column = TableColumn {
                max_length,
                scale,
                ..TableColumn::typed("a", "decimal")
            };
            kind(&column, Decimals::Bytes).to_string()
        };
        assert_eq!(kind(None, None), "decimal(15, 2)");
        assert_eq!(kind(Some(20), Some(6)), "decimal(20, 6)");
        assert_eq!(kind(Some(4000), Some(20)), "decimal(33, 20)");
        let text = super::kind(&TableColumn::typed("a", "price"), Decimals::String);
        assert_eq!(text, FieldType::String);
    }

    #[test]
    fn a_column_named_raw_gets_another_field_name() {
        let columns = TableColumns::named("t", ["_raw"]);
        let typing = TypingOptions {
            raw: true,
            ..TypingOptions::default()
        };
        let schema = RecordSchema::typed(&columns, &typing);
        let names: Vec<_> = schema
            .fields()
            .iter()
            .map(|f| (&*f.name, &*f.column))
            .collect();
        assert_eq!(names, [("_raw_2", "_raw"), ("_raw", "_raw")]);
    }
}
