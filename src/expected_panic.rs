//! Panics of a library that are a part of its interface: they are caught where they come from, and are no bug that
//! belongs in the log.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Calls `call`; `None` if it panicked. For libraries that have no other way to say no.
pub(crate) fn catch<T>(call: impl FnOnce() -> T) -> Option<T> {
    EXPECTED.set(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    EXPECTED.set(false);
    result.ok()
}

/// Whether a panic of this thread is caught by [`catch`].
pub(crate) fn is_expected() -> bool {
    EXPECTED.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_expected_inside_of_the_call_alone() {
        assert!(!is_expected());
        assert_eq!(catch(is_expected), Some(true));
        assert_eq!(
            catch(|| -> bool { std::panic::panic_any("on purpose") }),
            None
        );
        assert!(!is_expected());
    }
}
