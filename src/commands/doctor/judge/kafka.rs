//! Brokers and topics.
