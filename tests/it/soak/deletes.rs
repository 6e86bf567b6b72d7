//! Deletes among other changes, with a kill at moments of every seed.

use super::seeds;
use crate::source::deletes::a_thousand_changes;

#[test]
#[ignore = "minutes; make soak runs it"]
fn tombstones_for_what_is_gone_and_for_nothing_else() {
    for seed in seeds() {
        println!("deletes: seed {seed}");
        a_thousand_changes(seed);
    }
}
