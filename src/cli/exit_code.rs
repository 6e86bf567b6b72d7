//! Exit codes of the program. They are those of sysexits.h where that has one.

/// All was done.
pub const DONE: u8 = 0;
/// The command came to its end, but not all was done, or the answer is no.
pub const NOT_AS_ASKED: u8 = 1;
/// `doctor` found what keeps rows or records from getting through.
pub const FAILURES_FOUND: u8 = 2;
/// The command line makes no sense (EX_USAGE).
pub const USAGE: u8 = 64;
/// A bug in this program (EX_SOFTWARE).
pub const BUG: u8 = 70;
/// Something did not answer or is in use; safe to start again (EX_TEMPFAIL).
pub const TRY_AGAIN: u8 = 75;
/// The configuration must be put right first (EX_CONFIG).
pub const CONFIGURATION: u8 = 78;
/// Another process has taken this one's place, so that starting again would only take it back.
pub const FENCED: u8 = 79;

/// All of them, with what `help` and the manual page say of each.
pub(super) const ALL: &[(u8, &str)] = &[
    (DONE, "done"),
    (
        NOT_AS_ASKED,
        "not as asked: the running bridge refused or is not what `probe` asks, some dead letters \
         could not be replayed, `schema diff` or `verify` found a difference, `migrate` \
         something to decide, or `doctor` something to warn of",
    ),
    (
        FAILURES_FOUND,
        "`doctor` found what keeps rows or records from getting through",
    ),
    (USAGE, "the command line makes no sense"),
    (BUG, "a bug in this program"),
    (
        TRY_AGAIN,
        "stopped with work undelivered, something did not answer, or the port or the checkpoint \
         file is in use; safe to start again",
    ),
    (
        CONFIGURATION,
        "the configuration or the checkpoint file must be put right first",
    ),
    (
        FENCED,
        "another process has taken this bridge's place in the sink's group, or its positions in Kafka",
    ),
];
