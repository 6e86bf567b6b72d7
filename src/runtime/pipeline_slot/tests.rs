use std::cell::RefCell;
use std::rc::Rc;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// What a test says of threads that do not exist.
#[derive(Default)]
struct FakeState {
    died: bool,
    over: bool,
    stops: Option<StopSignals>,
    joined: u64,
}

#[derive(Clone, Default)]
struct FakeThreads(Rc<RefCell<FakeState>>);

impl Managed for FakeThreads {
    fn is_over(&mut self) -> bool {
        self.0.borrow().over
    }
    fn has_died(&mut self) -> bool {
        self.0.borrow().died
    }
    fn threads(&self) -> Vec<String> {
        vec!["read:x".to_owned(), "send:x".to_owned()]
    }
    fn join(self) -> u64 {
        self.0.borrow_mut().joined += 1;
        0
    }
}

struct SlotFixture {
    slot: PipelineSlot<FakeThreads>,
    health: Arc<Health>,
    metrics: Metrics,
    stub: FakeThreads,
    began: Instant,
    now: Instant,
    starts: u32,
    overdue: Vec<String>,
    answer: Option<StartRefusal>,
}

fn world() -> SlotFixture {
    let (health, metrics) = (Arc::new(Health::new()), Metrics::new());
    SlotFixture {
        slot: PipelineSlot::new(ConditionKey::Table("x".to_owned()), &health, &metrics),
        health,
        metrics,
        stub: FakeThreads::default(),
        began: Instant::now(),
        now: Instant::now(),
        starts: 0,
        overdue: Vec::new(),
        answer: None,
    }
}

impl SlotFixture {
    fn step(&mut self, seconds: u64) {
        self.now += SECOND * u32::try_from(seconds).unwrap();
        let inputs = StepInputs {
            now: self.now,
            end_timeout: 20 * SECOND,
            may_start: true,
            overdue_threads: &self.overdue,
        };
        let (stub, starts, answer) = (self.stub.clone(), &mut self.starts, self.answer.take());
        self.slot.step(inputs, |signals| {
            *starts += 1;
            if let Some(refusal) = answer {
                return Err(refusal);
            }
            *stub.0.borrow_mut() = FakeState {
                stops: Some(signals.clone()),
                ..FakeState::default()
            };
            Ok(stub)
        });
    }

    fn stops(&self) -> (bool, bool) {
        let paper = self.stub.0.borrow();
        let signals = paper.stops.as_ref().unwrap();
        (signals.stop.is_stopped(), signals.abandon.is_stopped())
    }

    fn die(&self) {
        let mut paper = self.stub.0.borrow_mut();
        (paper.died, paper.over) = (true, true);
    }

    fn readiness(&self) -> String {
        self.health.readiness().lines.join("\n")
    }

    fn alive(&self) -> bool {
        self.health.liveness(self.began).ok
    }
}

#[test]
fn what_ends_by_itself_is_started_again_after_growing_pauses() {
    let mut world = world();
    world.step(0);
    assert_eq!(world.starts, 1);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        world.die();
        let starts = world.starts;
        let ended = world.now;
        while world.starts == starts {
            world.step(1);
            if world.starts == starts {
                let told = world.readiness();
                assert!(
                    told.starts_with("table x: a thread ended by itself"),
                    "{told}"
                );
            }
        }
        pauses.push((world.now - ended).as_secs());
        assert_eq!(world.readiness(), "", "it runs again");
        assert_eq!(
            world.alive(),
            pauses.len() < 5,
            "after {} ends",
            pauses.len()
        );
    }
    assert_eq!(pauses, [2, 3, 5, 9, 17, 33], "one second until it is seen");
    assert_eq!(world.metrics.pipeline_restarts.sum(), 6);
    world.step(301);
    assert!(world.alive(), "it has run for a while");
    world.die();
    world.step(1);
    world.step(1);
    assert_eq!(world.starts, 8, "the pauses begin anew");
}

#[test]
fn an_overdue_pipeline_is_asked_to_end_and_never_doubled() {
    let mut world = world();
    world.step(0);
    world.overdue = vec!["send:x".to_owned()];
    world.step(1);
    assert_eq!(world.stops(), (true, false));
    assert_eq!(world.readiness(), "table x: thread send:x is silent");
    world.step(4);
    assert_eq!(world.stops(), (true, false));
    world.step(1);
    assert_eq!(world.stops(), (true, true));
    for _ in 0..100 {
        world.step(10);
    }
    assert_eq!(world.starts, 1, "it holds its place as long as it lives");
    world.overdue.clear();
    world.stub.0.borrow_mut().over = true;
    world.step(1);
    world.step(1);
    assert_eq!((world.starts, world.readiness().as_str()), (2, ""));
}

#[test]
fn what_is_renewed_ends_first_and_has_time_for_it() {
    let mut world = world();
    world.step(0);
    world.slot.renew();
    world.step(1);
    assert_eq!((world.stops(), world.starts), ((true, false), 1));
    assert!(world.slot.is_changing() && world.readiness().is_empty());
    world.step(19);
    assert_eq!(world.stops(), (true, false));
    world.step(1);
    assert_eq!(world.stops(), (true, true));
    world.stub.0.borrow_mut().over = true;
    world.step(0);
    world.step(0);
    assert_eq!((world.stops(), world.starts), ((false, false), 2));
    assert!(!world.slot.is_changing());
}

#[test]
fn an_unwanted_slot_empties_and_a_paused_one_waits() {
    let mut world = world();
    world.step(0);
    world.slot.pause(true);
    world.stub.0.borrow_mut().over = true;
    world.step(0);
    world.step(0);
    assert_eq!(
        (world.starts, world.slot.phase()),
        (1, PipelinePhase::Paused)
    );
    let notes = world.health.readiness().notes;
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].starts_with("table x: paused since 20"),
        "{notes:?}"
    );
    world.slot.pause(false);
    world.step(0);
    assert_eq!(
        (world.starts, world.slot.phase()),
        (2, PipelinePhase::Running)
    );
    assert_eq!(world.health.readiness().notes, [""; 0]);
    world.slot.want(false);
    world.stub.0.borrow_mut().over = true;
    assert!(!world.slot.is_gone());
    world.step(0);
    assert!(world.slot.is_gone());
    assert_eq!(world.stub.0.borrow().joined, 1);
}

#[test]
fn a_refusal_stays_until_something_is_edited() {
    let mut world = world();
    world.answer = Some(StartRefusal::Never(
        "its checkpoint is another one's".to_owned(),
    ));
    world.step(0);
    world.step(1000);
    assert_eq!(world.starts, 1);
    assert!(world.readiness().contains("another one's"));
    assert_eq!(
        world.slot.refusal(),
        Some("its checkpoint is another one's")
    );
    assert!(world.alive());
    world.slot.renew();
    world.step(0);
    world.step(0);
    assert_eq!((world.starts, world.readiness().as_str()), (2, ""));
}

#[test]
fn at_the_end_what_hangs_is_left_behind() {
    let mut world = world();
    world.step(0);
    world.slot.end(false);
    assert_eq!(world.stops(), (true, false));
    assert!(!world.slot.is_over());
    world.slot.end(true);
    assert_eq!(world.stops(), (true, true));
    assert_eq!(world.slot.collect(), 1);
    assert_eq!(world.stub.0.borrow().joined, 0);
}
