//! A panic as one line of the log, like everything else that happens.

use std::any::Any;
use std::panic::{self, PanicHookInfo};

use crate::expected_panic;

/// Logs panics from now on instead of printing them.
pub(super) fn log_panics() {
    panic::set_hook(Box::new(report));
}

fn report(info: &PanicHookInfo<'_>) {
    if expected_panic::is_expected() {
        return;
    }
    let place = info.location().map(ToString::to_string);
    let thread = std::thread::current();
    log::error!(thread = thread.name().unwrap_or("without a name"),
        place = place.as_deref().unwrap_or("unknown"), reason = reason(info.payload());
        "a thread panicked; this is a bug");
}

/// The message of a panic if it is a literal of the program. A message made at run time may contain a
/// piece of a record, for example of a text that was sliced inside of a character.
fn reason(payload: &(dyn Any + Send)) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("see the place")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_at_run_time_is_not_told() {
        let record = String::from("secret of a row");
        assert_eq!(reason(&record), "see the place");
        assert_eq!(reason(&"on purpose"), "on purpose");
    }
}
