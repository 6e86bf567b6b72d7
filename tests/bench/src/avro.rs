//! CPU of a row as Avro: the bridge's encoder, the Avro library's generic way, and a plain copy.

use std::error::Error;
use std::fs;

use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::{Map, Value};
use servicenow_kafka_bridge::avro::decode::{WriterSchema, to_json};
use servicenow_kafka_bridge::avro::{
    FieldType, RecordEncoder, RecordSchema, TableColumn, TableColumns, TypingOptions,
    WIRE_PREFIX_BYTES,
};
use servicenow_kafka_bridge::config::OnTypeError;
use servicenow_kafka_bridge::servicenow::query::parse_time;

use crate::instance::ROW_BYTES;

/// Different rows.
const ROWS: usize = 2_000;
/// CPU time of a round, in microseconds.
const ROUND_US: f64 = 150_000.0;
/// Rounds of each way, in turns; the middle one counts.
const ROUNDS: usize = 9;
/// Columns of a row; an incident has about as many.
const COLUMNS: usize = 90;

/// Columns of the simulated incident that are no text.
const TYPES: [(&str, &str); 12] = [
    ("active", "boolean"),
    ("state", "integer"),
    ("impact", "integer"),
    ("urgency", "integer"),
    ("priority", "integer"),
    ("sys_mod_count", "integer"),
    ("reassignment_count", "integer"),
    ("reopen_count", "integer"),
    ("opened_at", "glide_date_time"),
    ("sys_created_on", "glide_date_time"),
    ("sys_updated_on", "glide_date_time"),
    ("caller_id", "reference"),
];

/// Prints a table.
pub(crate) fn all() -> Result<(), Box<dyn Error>> {
    let (columns, rows) = incidents();
    let bytes: usize = rows.iter().map(Vec::len).sum();
    println!("{ROWS} rows of {} bytes, {COLUMNS} columns", bytes / ROWS);
    println!("| schema | way | CPU us/row | ratio |");
    println!("|---|---|---|---|");
    table("strings", &RecordSchema::strings(&columns), &rows)?;
    table(
        "typed",
        &RecordSchema::typed(&columns, &TypingOptions::default()),
        &rows,
    )
}

/// Rows as an instance sends them: the simulator's values, and empty columns as most are.
fn incidents() -> (TableColumns, Vec<Vec<u8>>) {
    let mut generator = servicenow_sim::Generator::new(1, ROW_BYTES / 2, 1_700_000_000);
    let mut rows = Vec::new();
    let mut columns = TableColumns::default();
    for _ in 0..ROWS {
        let mut fields: Vec<(String, String)> = generator
            .row()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let more = (fields.len()..COLUMNS).map(|at| (format!("u_{at}"), String::new()));
        fields.extend(more);
        if columns.list.is_empty() {
            columns = TableColumns::named("incident", fields.iter().map(|(name, _)| name.clone()));
        }
        let text = |fields: &[(String, String)]| {
            let quoted = |text: &String| Value::from(text.as_str()).to_string();
            let members = fields
                .iter()
                .map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        };
        let missing = ROW_BYTES.saturating_sub(text(&fields).len());
        if let Some((_, value)) = fields.iter_mut().find(|(name, _)| name == "description") {
            value.extend("lorem ipsum ".chars().cycle().take(missing));
        }
        rows.push(text(&fields).into_bytes());
    }
    for column in &mut columns.list {
        if let Some((_, kind)) = TYPES.iter().find(|(name, _)| *name == column.name) {
            *column = TableColumn::typed(column.name.clone(), *kind);
        }
    }
    (columns, rows)
}

fn table(name: &str, schema: &RecordSchema, rows: &[Vec<u8>]) -> Result<(), Box<dyn Error>> {
    let library = apache_avro::Schema::parse_str(schema.json())?;
    let writer = GenericDatumWriter::builder(&library).build()?;
    let reader = WriterSchema::parse(schema.json(), &[])?;
    let mut encoder = RecordEncoder::new(schema, 1, OnTypeError::Null);
    let mut records = Vec::new();
    for row in rows {
        let mut ours = Vec::new();
        encoder.encode(row, &mut ours)?;
        let theirs = writer.write_value_to_vec(generic(schema, row)?)?;
        if ours.get(WIRE_PREFIX_BYTES..) != Some(&theirs[..]) {
            return Err("the two ways give different bytes".into());
        }
        records.push(theirs);
    }
    let mut out = Vec::with_capacity(ROW_BYTES * 2);
    let mut figures = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let round = [
            measure(rows, |row| {
                out.clear();
                out.extend_from_slice(row);
                std::hint::black_box(&out);
                Ok(())
            })?,
            measure(rows, |row| {
                out.clear();
                encoder.encode(row, &mut out)?;
                std::hint::black_box(&out);
                Ok(())
            })?,
            measure(rows, |row| {
                let bytes = writer.write_value_to_vec(generic(schema, row)?)?;
                std::hint::black_box(&bytes);
                Ok(())
            })?,
            measure(&records, |record| {
                std::hint::black_box(&to_json(&reader, record)?);
                Ok(())
            })?,
        ];
        for (list, figure) in figures.iter_mut().zip(round) {
            list.push(figure);
        }
    }
    let middle = figures.map(|mut list| {
        list.sort_by(f64::total_cmp);
        list.get(ROUNDS / 2).copied().unwrap_or_default()
    });
    let [_, ours, ..] = middle;
    for (way, figure) in ["copy", "bridge", "library", "back to JSON"]
        .iter()
        .zip(middle)
    {
        println!("| {name} | {way} | {figure:.3} | {:.2} |", figure / ours);
    }
    Ok(())
}

/// CPU time of this thread per item, in microseconds. The kernel counts in steps of some
/// milliseconds, so the items are gone through again and again.
fn measure(
    items: &[Vec<u8>],
    mut work: impl FnMut(&[u8]) -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let before = cpu_us()?;
    let mut count = 0.0;
    loop {
        for item in items {
            work(item)?;
            count += 1.0;
        }
        let used = cpu_us()? - before;
        if used > ROUND_US {
            return Ok(used / count);
        }
    }
}

/// Time on a CPU in nanoseconds is the first number (Linux, `Documentation/scheduler/sched-stats`).
fn cpu_us() -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanos / 1000.0)
}

/// What a program without an encoder of its own does: a tree of JSON, then a tree of Avro.
fn generic(schema: &RecordSchema, row: &[u8]) -> Result<Avro, Box<dyn Error>> {
    let mut row: Map<String, Value> = serde_json::from_slice(row)?;
    let fields = schema.fields().iter().map(|field| {
        let value = match row.remove(&field.column) {
            Some(Value::String(text)) => value(field.kind, text),
            _ => None,
        };
        let value = match value {
            Some(value) => Avro::Union(1, Box::new(value)),
            None => Avro::Union(0, Box::new(Avro::Null)),
        };
        (field.name.clone(), value)
    });
    Ok(Avro::Record(fields.collect()))
}

fn value(kind: FieldType, text: String) -> Option<Avro> {
    match kind {
        FieldType::Boolean => text.parse().ok().map(Avro::Boolean),
        FieldType::Long => text.parse().ok().map(Avro::Long),
        FieldType::Timestamp => {
            let seconds = parse_time(text.as_bytes())?;
            Some(Avro::TimestampMillis(seconds * 1000))
        }
        _ => Some(Avro::String(text)),
    }
}
