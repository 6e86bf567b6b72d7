//! Realistic rows in any number and size.

use crate::clock::format_stamp;
use crate::row::Row;

/// A new `sys_id`: 32 lower-case hex digits, random, not in time order (section 4, line 215).
pub fn random_sys_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

const SUBJECTS: &[&str] = &[
    "Cannot connect to VPN",
    "Printer on floor 3 prints blank pages",
    "E-mail is delayed by hours",
    "Laptop does not wake up",
    "Request for \"admin\" rights",
    "SAP login fails\tafter password change",
    "Phone – no dial tone (Zürich)",
];
const WORDS: &[&str] = &[
    "user", "reports", "that", "the", "service", "restarts", "after", "login", "and", "shows",
    "error", "network", "since", "this", "morning", "again", "please", "check", "server", "disk",
];

/// Makes incident rows. The same seed gives the same rows.
#[derive(Debug, Clone)]
pub struct Generator {
    random: fastrand::Rng,
    row_bytes: usize,
    next: u64,
    stamp: i64,
    rows_per_second: u64,
}

impl Generator {
    /// Rows of about `row_bytes` bytes of JSON, stamped from `first_stamp` (epoch seconds) on.
    pub fn new(seed: u64, row_bytes: usize, first_stamp: i64) -> Generator {
        Generator {
            random: fastrand::Rng::with_seed(seed),
            row_bytes,
            next: 0,
            stamp: first_stamp,
            rows_per_second: 10,
        }
    }

    /// How many rows share a second (10 by default, at least 1).
    #[must_use]
    pub fn rows_per_second(mut self, rows: u64) -> Generator {
        self.rows_per_second = rows.max(1);
        self
    }

    /// The next row, stamped like the rows before it or one second later.
    pub fn row(&mut self) -> Row {
        let second = self
            .next
            .checked_div(self.rows_per_second)
            .unwrap_or_default();
        let stamp = format_stamp(self.stamp.saturating_add_unsigned(second));
        let row = self.content();
        row.set("opened_at", stamp.as_str())
            .set("sys_created_on", stamp.as_str())
            .set("sys_updated_on", stamp)
    }

    /// The next row without stamps: the instance sets them on insert.
    pub fn content(&mut self) -> Row {
        self.next += 1;
        let pick = |random: &mut fastrand::Rng, from: &[&str]| {
            random.choice(from).copied().unwrap_or_default().to_owned()
        };
        let random = &mut self.random;
        let mut id = || format!("{:032x}", random.u128(..));
        let row = Row::new()
            .set("sys_id", id())
            .set("caller_id", id())
            .set("opened_by", id())
            .set("assignment_group", id());
        let random = &mut self.random;
        let state = pick(random, &["1", "2", "3", "6", "7"]);
        let impact = random.u8(1..=3);
        let urgency = random.u8(1..=3);
        let row = row
            .set("number", format!("INC{:07}", self.next))
            .set("short_description", pick(random, SUBJECTS))
            .set("active", if state == "7" { "false" } else { "true" })
            .set("state", state)
            .set("impact", impact.to_string())
            .set("urgency", urgency.to_string())
            .set("priority", (impact + urgency - 1).to_string())
            .set(
                "category",
                pick(random, &["inquiry", "network", "software"]),
            )
            .set(
                "contact_type",
                pick(random, &["phone", "email", "self-service"]),
            )
            .set("sys_mod_count", random.u8(0..20).to_string())
            .set("sys_created_by", "admin")
            .set("sys_updated_by", "admin")
            .set("sys_domain_path", "/")
            .set("reassignment_count", "0")
            .set("reopen_count", "0");
        // Keys, quotes, stamps and the columns that stay empty.
        let used: usize = row.iter().map(|(_, value)| value.len()).sum::<usize>() + 751;
        row.set(
            "description",
            self.text(self.row_bytes.saturating_sub(used)),
        )
    }

    fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            text.push_str(self.random.choice(WORDS).copied().unwrap_or_default());
            text.push(' ');
        }
        text.truncate(bytes);
        text
    }
}

/// Rows without end.
impl Iterator for Generator {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        Some(self.row())
    }
}
