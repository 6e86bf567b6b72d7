//! What the instance says of the writes it got: how many, how long, in which order.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The column that counts the records of the topic.
pub(crate) const NUMBER: &str = "reassignment_count";

/// Bytes of the journal that are read at most.
const LIMIT: u64 = 1 << 30;

/// The writes of one run.
#[derive(Debug)]
pub(crate) struct Journal {
    /// Writes that were carried out.
    pub(crate) writes: u64,
    /// When the first one had arrived.
    pub(crate) begun: Instant,
    /// When the last one was answered.
    pub(crate) ended: Instant,
    /// Writes that were carried out although one of the same row with a higher number was before.
    pub(crate) late: u64,
    /// Rows that were written.
    pub(crate) rows: usize,
    /// Writes that were not carried out: refused, or cut off.
    pub(crate) failed: usize,
}

impl Journal {
    /// Reads the journal of the instance. `row` is the column that identifies the row; `None` is its
    /// sys_id.
    pub(crate) fn read(url: &str, row: Option<&str>) -> Result<Journal, Box<dyn Error>> {
        let now = Instant::now();
        let mut answer = ureq::get(format!("{url}/sim/writes")).call()?;
        let body = answer.body_mut().with_config().limit(LIMIT);
        let journal: Value = serde_json::from_reader(body.reader())?;
        let list = journal.get("writes").and_then(Value::as_array);
        let list = list.ok_or("the instance has no journal")?;
        let is_applied = |write: &&Value| write.get("applied") == Some(&Value::Bool(true));
        let mut writes = list
            .iter()
            .filter(is_applied)
            .map(|write| Write::read(write, row))
            .collect::<Option<Vec<Write<'_>>>>()
            .ok_or("a write of the journal cannot be read")?;
        writes.sort_by_key(|write| write.sequence);
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        let mut late = 0;
        for write in &writes {
            let before = last.entry(write.row).or_default();
            late += u64::from(write.number < *before);
            *before = write.number.max(*before);
        }
        let oldest = writes.iter().map(|write| write.begun).max();
        let youngest = writes.iter().map(|write| write.ended).min();
        let at = |age: Option<Duration>| age.and_then(|age| now.checked_sub(age));
        Ok(Journal {
            writes: writes.len() as u64,
            begun: at(oldest).ok_or("nothing was written")?,
            ended: at(youngest).ok_or("nothing was written")?,
            late,
            rows: last.len(),
            failed: list.len() - writes.len(),
        })
    }

    /// From the first request to the last answer.
    pub(crate) fn seconds(&self) -> f64 {
        self.ended
            .saturating_duration_since(self.begun)
            .as_secs_f64()
    }
}

/// One write; times are how long ago something was.
struct Write<'a> {
    row: &'a str,
    number: u64,
    sequence: u64,
    begun: Duration,
    ended: Duration,
}

impl<'a> Write<'a> {
    fn read(write: &'a Value, row: Option<&str>) -> Option<Write<'a>> {
        let fields = write.get("fields")?.as_array()?;
        let field = |name: &str| {
            let found = fields
                .iter()
                .find(|pair| pair.get(0).is_some_and(|it| it == name));
            found?.get(1)?.as_str()
        };
        let number = |name: &str| write.get(name)?.as_u64();
        let begun = number("age_ms")?;
        Some(Write {
            row: match row {
                Some(column) => field(column)?,
                None => write.get("sys_id")?.as_str()?,
            },
            number: field(NUMBER)?.parse().ok()?,
            sequence: number("sequence")?,
            begun: Duration::from_millis(begun),
            ended: Duration::from_millis(begun.saturating_sub(number("took_ms")?)),
        })
    }
}
