//! Deletes of every kind among other changes, over kills.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use servicenow_sim::{CascadeTrace, Churn, Options, Removal};

use super::deletes::{config, filled, wait_comparisons, wait_tombstones};
use crate::support::rig::Rig;

/// Rows of the table, and how many of them something happens to.
const ROWS: usize = 1_200;
const CHANGED_ROWS: usize = 1_000;
/// Changes of other rows in a second, all the time.
const LIVE_CHANGES: f64 = 20.0;

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    User,
    Silent,
    Cleaner,
    Archive,
    Cascade,
    Undelete,
    Leave,
    Reclassify,
    Hide,
    Update,
}

const CHANGES: [Change; 10] = [
    Change::User,
    Change::Silent,
    Change::Cleaner,
    Change::Archive,
    Change::Cascade,
    Change::Undelete,
    Change::Leave,
    Change::Reclassify,
    Change::Hide,
    Change::Update,
];

impl Change {
    /// The row is gone for good.
    fn deletes(self) -> bool {
        self.is_listed() || matches!(self, Change::Cleaner | Change::Archive | Change::Cascade)
    }

    /// The instance lists the delete.
    fn is_listed(self) -> bool {
        matches!(self, Change::User | Change::Silent)
    }

    fn apply(self, rig: &Rig, id: &str, hidden: &Mutex<BTreeSet<String>>) {
        let sim = &rig.sim;
        let delete = |removal| sim.delete_as("incident", id, removal).unwrap();
        let update = |column, value: &str| sim.update("incident", id, [(column, value)]).unwrap();
        match self {
            Change::User => delete(Removal::User),
            Change::Silent => delete(Removal::Silent),
            Change::Cleaner => delete(Removal::Cleaner),
            Change::Archive => delete(Removal::Archive),
            Change::Cascade => {
                let problem = rig.insert("problem");
                update("problem_id", &problem);
                sim.delete("problem", &problem).unwrap();
            }
            Change::Undelete => {
                delete(Removal::User);
                sim.undelete("incident", id).unwrap();
            }
            Change::Leave => update("state", "7"),
            Change::Reclassify => sim.change_class("incident", id, "problem").unwrap(),
            Change::Hide => drop(hidden.lock().unwrap().insert(id.to_owned())),
            Change::Update => update("short_description", "x"),
        }
    }
}

/// The longest times from a delete to its tombstone.
#[derive(Debug)]
pub(crate) struct LongestWaits {
    /// Of deletes that the instance lists.
    pub(crate) listed: Duration,
    /// Of those that only a comparison finds.
    pub(crate) compared: Duration,
}

#[test]
fn a_thousand_changes_over_kills() {
    a_thousand_changes(1);
}

/// The bridge is killed at moments that the seed gives. At the end exactly the rows that are gone have tombstones.
pub(crate) fn a_thousand_changes(seed: u64) -> LongestWaits {
    let mut random = fastrand::Rng::with_seed(seed);
    let (rig, mut ids) = filled(Options::default(), ROWS);
    for id in &ids {
        rig.sim.update("incident", id, [("state", "1")]).unwrap();
    }
    rig.sim
        .cascade("problem", "incident", "problem_id", CascadeTrace::Nothing)
        .unwrap();
    let config = config(&rig, "deletes: all\nquery: state=1\ndelete_guard: 100000");
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    let churn = Churn::start(&rig.sim, "incident", LIVE_CHANGES, 200).unwrap();
    random.shuffle(&mut ids);
    let hidden: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let rule = Arc::clone(&hidden);
    rig.sim
        .hide("incident", move |row| {
            rule.lock().unwrap().contains(row.get("sys_id").as_ref())
        })
        .unwrap();
    let mut gone = BTreeMap::new();
    for (place, id) in ids.iter().take(CHANGED_ROWS).enumerate() {
        let change = *random.choice(&CHANGES).unwrap();
        change.apply(&rig, id, &hidden);
        if change.deletes() {
            let at = jiff::Timestamp::now().as_millisecond();
            gone.insert(id, (change.is_listed(), at));
        }
        if place % 170 == 169 {
            // Somewhere in a comparison, a reading of the lists, or a delivery.
            let moment = Duration::from_millis(random.u64(0..1_500));
            crossbeam_channel::after(moment).recv().unwrap();
            bridge.kill();
            bridge = rig.start(&config);
        }
    }
    let ids: Vec<&String> = gone.keys().copied().collect();
    wait_tombstones(&rig, &ids);
    churn.stop();
    wait_comparisons(&bridge, 2);
    let records = wait_tombstones(&rig, &ids);
    assert_eq!(bridge.terminate(), 0);
    let longest = |wanted: bool| {
        let waits = gone
            .iter()
            .filter(|(_, (is_listed, _))| *is_listed == wanted);
        let waits = waits.map(|(id, (_, at))| {
            let mut tombstones = records.iter().filter(|it| it.value.is_none());
            let first = tombstones.find(|it| it.key_text() == **id).unwrap();
            u64::try_from(first.time - at).unwrap_or(0)
        });
        Duration::from_millis(waits.max().unwrap())
    };
    LongestWaits {
        listed: longest(true),
        compared: longest(false),
    }
}
