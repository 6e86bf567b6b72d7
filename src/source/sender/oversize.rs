//! Rows over a limit of size: finding the one that Kafka refuses, and what is sent in its place.
//!
//! The bridge knows its own limit before it sends a row, but not that of the topic. Kafka refuses a batch of
//! several records as a whole and does not say which one is too large. So the rows are sent one by one, each
//! waiting for the one before, until one is refused alone, twice: the first time another record may have
//! been on its way with it.

use jiff::Timestamp;
use serde_json::json;

use super::send_failure::SendFailure;
use crate::config::TableConfig;
use crate::kafka::{DeliveryError, ProducerRecord, RecordHeaders};
use crate::metrics::Counter;
use crate::source::context::SourceContext;

/// Name of the reason in letters and metrics.
const TOO_LARGE: &str = "too_large";

/// What is known of a table's rows over the limit.
pub(super) struct OversizeRows {
    table: String,
    topic: String,
    /// Where a letter goes in place of such a row; `None`: the table is held.
    letters: Option<LetterTopic>,
    /// The rows are sent one by one.
    is_searching: bool,
    /// The last row that was sent while searching.
    last_sent: Option<SizedRow>,
    /// The row that was refused alone once.
    suspect: Option<SizedRow>,
    /// The row that Kafka refuses, so that it is not sent again.
    refused: Option<SizedRow>,
}

/// A row and its size as it was read, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SizedRow {
    id: Vec<u8>,
    bytes: usize,
}

/// The topic of letters.
pub(super) struct LetterTopic {
    name: String,
    headers: RecordHeaders,
    sent: Counter,
}

impl LetterTopic {
    /// The record of a letter, which has the key of the row.
    pub(super) fn record<'a>(
        &'a self,
        key: Option<&'a [u8]>,
        letter: &'a [u8],
    ) -> ProducerRecord<'a> {
        ProducerRecord {
            topic: &self.name,
            key,
            value: Some(letter),
            headers: &self.headers,
            own_headers: &[],
        }
    }
}

impl OversizeRows {
    pub(super) fn new(context: &SourceContext, table: &TableConfig) -> OversizeRows {
        let letters = table.letter_topic().map(|topic| LetterTopic {
            name: topic.clone(),
            headers: RecordHeaders::new(&[
                ("sn_table", table.name.as_bytes()),
                ("sn_instance", context.instance.client().host().as_bytes()),
                ("sn_error_kind", TOO_LARGE.as_bytes()),
            ]),
            sent: context
                .metrics
                .source_dead_letters
                .with(&[&table.name, TOO_LARGE]),
        });
        OversizeRows {
            table: table.name.clone(),
            topic: table.topic.clone(),
            letters,
            is_searching: false,
            last_sent: None,
            suspect: None,
            refused: None,
        }
    }

    /// A letter may go in place of a row.
    pub(super) fn letters(&self) -> Option<&LetterTopic> {
        self.letters.as_ref()
    }

    /// Why this row is not sent again, if Kafka has refused it, as large as it is.
    pub(super) fn refusal(&self, id: &[u8], bytes: usize) -> Option<&'static str> {
        let refused = self.refused.as_ref()?;
        (refused.id == id && refused.bytes <= bytes).then_some(
            "Kafka does not take a record of this size; raise the topic's max.message.bytes",
        )
    }

    /// Whether the rows are to be sent one by one.
    pub(super) fn is_searching(&self) -> bool {
        self.is_searching
    }

    /// A row is about to be sent.
    pub(super) fn sending(&mut self, id: &[u8], bytes: usize) {
        if self.is_searching {
            let id = id.to_vec();
            self.last_sent = Some(SizedRow { id, bytes });
        }
    }

    /// A page of so many rows was sent. True if it is to be acknowledged before the next one is sent.
    pub(super) fn page_sent(&mut self, rows: u64) -> bool {
        // Larger pages come again after some single rows went well.
        self.is_searching &= rows <= 1;
        self.is_searching
    }

    /// Kafka has refused a batch of so many rows as too large, with this error.
    pub(super) fn batch_refused(&mut self, rows: u64, error: &DeliveryError) -> SendFailure {
        match self.refused_row(rows) {
            None => SendFailure::SendSingly(error.to_string()),
            Some(SizedRow { id, bytes }) if self.letters.is_none() => {
                SendFailure::row(&id, &format_args!("it has {bytes} bytes: {error}"))
            }
            Some(row) => {
                let (id, bytes) = (String::from_utf8_lossy(&row.id).into_owned(), row.bytes);
                self.refused = Some(row);
                SendFailure::SendSingly(format!("row {id} ({bytes} bytes): {error}"))
            }
        }
    }

    /// The row that Kafka has refused alone twice; `None`: it is still to be found.
    fn refused_row(&mut self, rows: u64) -> Option<SizedRow> {
        let last = self.last_sent.take();
        let was_searching = std::mem::replace(&mut self.is_searching, true);
        let (Some(row), true) = (last, rows == 1 && was_searching) else {
            self.suspect = None;
            return None;
        };
        let is_known = self.suspect.as_ref() == Some(&row);
        self.suspect = Some(row.clone());
        is_known.then_some(row)
    }

    /// The letter in place of a row. It says all but what the row holds.
    pub(super) fn letter(&self, id: &[u8], bytes: usize, why: &str) -> Vec<u8> {
        let letter = json!({
            "original_payload": null,
            "payload_omitted": true,
            "error": why,
            "error_kind": TOO_LARGE,
            "timestamp": Timestamp::now().to_string(),
            "topic": self.topic,
            "table": self.table,
            "sys_id": String::from_utf8_lossy(id),
            "bytes": bytes,
        });
        letter.to_string().into_bytes()
    }

    /// A letter went out in place of this row.
    pub(super) fn letter_sent(&mut self, id: &[u8], bytes: usize, why: &str) {
        self.refused = None;
        if let Some(letters) = &self.letters {
            letters.sent.inc();
            log::warn!(table = self.table, topic = letters.name, row:% = String::from_utf8_lossy(id),
                bytes, error = why; "a row is too large: a letter goes out in its place");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> OversizeRows {
        OversizeRows {
            table: "incident".to_owned(),
            topic: "t".to_owned(),
            letters: None,
            is_searching: false,
            last_sent: None,
            suspect: None,
            refused: None,
        }
    }

    /// Sends a page with this row as the last one, which is refused.
    fn refuse(rows: &mut OversizeRows, id: &str, page: u64) -> Option<String> {
        rows.sending(id.as_bytes(), 7);
        rows.page_sent(page);
        let row = rows.refused_row(page)?;
        Some(String::from_utf8(row.id).unwrap())
    }

    #[test]
    fn a_row_is_named_when_it_was_refused_alone_twice() {
        let mut rows = rows();
        assert!(!rows.page_sent(1), "without trouble no page waits");
        // A page of one row may share its batch with that of another page.
        assert_eq!(refuse(&mut rows, "a", 1), None);
        assert!(rows.page_sent(1));
        assert_eq!(refuse(&mut rows, "a", 1), None);
        let named = Some("a".to_owned());
        assert_eq!(refuse(&mut rows, "a", 1), named);
        // Held, it is tried again by itself.
        assert_eq!(refuse(&mut rows, "a", 1), named);
        assert_eq!(refuse(&mut rows, "b", 1), None);
    }

    #[test]
    fn larger_pages_end_the_search() {
        let mut rows = rows();
        assert_eq!(refuse(&mut rows, "a", 100), None);
        assert!(rows.page_sent(1) && rows.page_sent(0));
        assert!(!rows.page_sent(2) && !rows.page_sent(1));
        assert_eq!(refuse(&mut rows, "a", 2), None);
    }
}
