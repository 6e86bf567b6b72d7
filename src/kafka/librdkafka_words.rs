//! What librdkafka says, in words for people.

use std::borrow::Cow;

use rdkafka::types::RDKafkaErrorCode as Code;

/// What it means that librdkafka has lost all brokers.
pub(super) const NO_BROKER_WORDS: &str = "no broker can be reached";
/// librdkafka puts this behind the number of lines that it left out (`rd_kafka_broker_set_error`).
const REPETITION_WORDS: &str = " identical error(s) suppressed";

/// An error code in words; `brokers` are the addresses in `kafka.brokers`.
pub(super) fn code_words(code: Code, brokers: &str) -> String {
    match code {
        Code::AllBrokersDown => no_broker_words(brokers),
        code => format!("{code:?}: {code}"),
    }
}

/// That all of these brokers are lost.
pub(super) fn no_broker_words(brokers: &str) -> String {
    format!("{NO_BROKER_WORDS} ({brokers})")
}

/// A text of librdkafka without the number of lines that it left out before: the number changes each
/// time, so that the same error would never look the same twice.
pub(super) fn without_repetitions(text: &str) -> Cow<'_, str> {
    let cut = text.split_once(REPETITION_WORDS).and_then(|(head, tail)| {
        let head = head.trim_end_matches(|letter: char| letter.is_ascii_digit());
        Some((head.strip_suffix(", ")?, tail))
    });
    match cut {
        Some((head, tail)) => Cow::Owned(format!("{head}{tail}")),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_repetitions_is_left_out() {
        let cases = [
            (
                "b:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in \
                 state CONNECT, 577 identical error(s) suppressed)",
                "b:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in \
                 state CONNECT)",
            ),
            (
                "Disconnected (after 3ms in state UP)",
                "Disconnected (after 3ms in state UP)",
            ),
            (
                " identical error(s) suppressed",
                " identical error(s) suppressed",
            ),
            ("", ""),
        ];
        for (text, shown) in cases {
            assert_eq!(without_repetitions(text), shown);
        }
    }

    #[test]
    fn the_loss_of_all_brokers_is_told_with_their_addresses() {
        assert_eq!(
            code_words(Code::AllBrokersDown, "a:9092,b:9092"),
            "no broker can be reached (a:9092,b:9092)"
        );
        let other = code_words(Code::TopicAuthorizationFailed, "a:9092");
        assert!(other.starts_with("TopicAuthorizationFailed: "), "{other}");
    }
}
