//! The Go bridge's schema: each column as it is, a text.

use super::columns::TableColumns;
use super::model::{AVRO_NAMESPACE, FieldType, RecordSchema, SchemaField};
use super::names::{FieldNamer, is_legal, mangled};

impl RecordSchema {
    /// Every column a nullable string, without anything else: the schema of the Go bridge, so that
    /// a subject that it has filled goes on. An absent column and a JSON null are null, an empty text
    /// is an empty text.
    pub fn strings(columns: &TableColumns) -> RecordSchema {
        let names = columns.list.iter().map(|column| column.name.as_str());
        let fields = field_names(names, &[])
            .into_iter()
            .map(|(name, column)| SchemaField::new(name, &column, FieldType::String))
            .collect();
        let names = (
            mangled(&columns.table),
            AVRO_NAMESPACE.to_owned(),
            columns.table.clone(),
            String::new(),
        );
        RecordSchema::new(names, fields)
    }
}

/// A field name for each column. Legal names are kept, but for those in `reserved`; the others step
/// aside.
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
    fn the_go_bridges_schema() {
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
