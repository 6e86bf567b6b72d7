//! Deletes among other changes, with a kill at moments of every seed.

use std::time::Duration;

use super::seeds;
use crate::source::deletes_trial::a_thousand_changes;

/// A delete that the instance lists arrives in this time.
const PROMISED: Duration = Duration::from_secs(60);

#[test]
#[ignore = "minutes; make soak runs it"]
fn tombstones_for_what_is_gone_and_for_nothing_else() {
    for seed in seeds() {
        let waits = a_thousand_changes(seed);
        println!(
            "deletes: seed {seed}: tombstones after {:.1?} at most where a list has them, else {:.1?}",
            waits.listed, waits.compared
        );
        assert!(waits.listed <= PROMISED);
    }
}
