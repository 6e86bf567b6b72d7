//! Source: rows of ServiceNow tables to Kafka topics.
//!
//! A table has three threads. The poller asks for pages and checks them; the sender produces their
//! rows and moves the checkpoint behind the acknowledgements. A bounded channel joins them, so that
//! page n+1 is fetched while page n is produced. Where a record cannot be delivered, the sender asks
//! the poller to read again from the last acknowledged row. The capture thread reads what the poller would miss,
//! and hands over to the same sender.

mod capture;
mod channels;
mod clock_watch;
mod context;
mod encode;
mod error;
mod failure_log;
mod frontier;
mod hand_over;
mod instance;
mod key_order;
mod own_rows;
mod page_buffer;
mod page_check;
mod page_fetch;
mod pipeline;
mod poll_error;
mod poller;
mod poller_metrics;
mod position;
mod read_ids;
mod read_progress;
mod record_key;
mod row_counts;
mod row_fault_log;
mod row_order;
mod sender;
pub mod server_clock;
pub mod time_zone;
mod version_headers;
pub mod window;

pub use context::SourceContext;
pub use error::Error;
pub use instance::{CLOCK_DIFFERENCE_SECONDS, SourceInstance, clock_difference};
pub use pipeline::TablePipeline;
pub use position::{age, check_position, fingerprint};
