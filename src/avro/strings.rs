//! The text schema of a table: each column is a string, as the Go bridge registers it.

use super::columns::TableColumns;
use super::model::{FieldType, RecordNames, RecordSchema, SchemaField};
use super::names::{FieldNamer, is_legal};

impl RecordSchema {
    /// The schema in which every column is a nullable string, without any other property. It is the Go
    /// bridge's schema, so that subjects that it has filled go on. An absent column and a JSON null are
    /// null, an empty text is an empty text.
    pub fn strings(columns: &TableColumns) -> RecordSchema {
        let names = columns.list.iter().map(|column| column.name.as_str());
        let fields = field_names(names, &[])
            .into_iter()
            .map(|(name, column)| SchemaField::new(name, &column, FieldType::String))
            .collect();
        let names = RecordNames::of_table(&columns.table, String::new());
        RecordSchema::new(names, fields)
    }
}

/// A field name for each column, together with the column's name. A column keeps its name where Avro
/// allows it and it is not in `reserved`; the names of the others are changed until they differ from
/// all of these.
pub(super) fn field_names<'a>(
    columns: impl Iterator<Item = &'a str> + Clone,
    reserved: &[&'a str],
) -> Vec<(String, String)> {
    let keeps = |column: &str| is_legal(column) && !reserved.contains(&column);
    let kept = columns.clone().filter(|column| keeps(column));
    let mut namer = FieldNamer::new(kept.chain(reserved.iter().copied()));
    let name = |column: &str| {
        if keeps(column) {
            column.to_owned()
        } else {
            namer.name(column)
        }
    };
    let names: Vec<String> = columns.clone().map(name).collect();
    names.into_iter().zip(columns.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn texts_have_the_schema_of_the_go_bridge() {
        let columns =
            TableColumns::named("incident", ["sys_id", "caller_id.name", "caller_id_name"]);
        let schema = RecordSchema::strings(&columns);
        let text = schema.json().replace("},", "},\n");
        expect![[r#"
            {"type":"record","name":"incident","namespace":"com.servicenow.bridge","fields":[{"name":"sys_id","type":["null","string"],"default":null},
            {"name":"caller_id_name_2","type":["null","string"],"default":null,"servicenow.name":"caller_id.name"},
            {"name":"caller_id_name","type":["null","string"],"default":null}]}"#]]
        .assert_eq(&text);
        assert_eq!(RecordSchema::parse(schema.json()).unwrap(), schema);
        apache_avro::Schema::parse_str(schema.json()).unwrap();
    }
}
