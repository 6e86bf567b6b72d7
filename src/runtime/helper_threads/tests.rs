use std::time::Instant;

use super::super::pipeline_slot::{PipelineSlot, StepInputs};
use super::*;
use crate::metrics::Metrics;
use crate::stop;

const SECOND: Duration = Duration::from_secs(1);

/// A slot of one helper thread, and what it did.
struct HelperFixture {
    slot: PipelineSlot<HelperThread>,
    health: Arc<Health>,
    metrics: Metrics,
    now: Instant,
    starts: u32,
}

impl HelperFixture {
    fn new() -> HelperFixture {
        let (health, metrics) = (Arc::new(Health::new()), Metrics::new());
        HelperFixture {
            slot: PipelineSlot::new(ConditionKey::TopicLookup, &health, &metrics),
            health,
            metrics,
            now: Instant::now(),
            starts: 0,
        }
    }

    /// A step of the supervisor, a second after the one before; `start` makes the thread.
    fn step(&mut self, start: impl FnOnce(&Stop) -> Result<HelperThread, StartRefusal>) {
        self.now += SECOND;
        let inputs = StepInputs {
            now: self.now,
            end_timeout: 20 * SECOND,
            may_start: true,
            overdue_threads: &[],
        };
        let starts = &mut self.starts;
        self.slot.step(inputs, |signals| {
            *starts += 1;
            start(&signals.stop)
        });
    }

    /// Steps until `reached`, which another thread brings about.
    fn step_until(
        &mut self,
        start: impl Fn(&Stop) -> Result<HelperThread, StartRefusal>,
        reached: impl Fn(&HelperFixture) -> bool,
    ) {
        let deadline = Instant::now() + 60 * SECOND;
        while !reached(self) {
            assert!(Instant::now() < deadline, "it does not come to that");
            self.step(&start);
            thread::yield_now();
        }
    }
}

/// A thread of the kernel with this name, which the kernel cuts after 15 letters.
fn is_running(name: &str) -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let mut names = tasks.filter_map(|task| {
        let path = task.ok()?.path().join("comm");
        std::fs::read_to_string(path).ok()
    });
    names.any(|it| it.trim_end() == name)
}

#[test]
fn a_one_shot_thread_ends_without_a_fault_and_leaves_its_conditions() {
    let mut fixture = HelperFixture::new();
    let health = Arc::clone(&fixture.health);
    let start = move |_: &Stop| {
        let condition = health.condition(ConditionKey::Topics, "not looked up yet");
        HelperThread::one_shot("one-shot-done", move || {
            condition.ok();
            vec![condition]
        })
    };
    fixture.step(&start);
    fixture.step_until(&start, |it| {
        it.starts > 0 && it.health.readiness().ok && !it.health.conditions().is_empty()
    });
    // Its own thread has marked the condition; now it ends.
    fixture.step_until(&start, |_| !is_running("one-shot-done"));
    for _ in 0..1000 {
        fixture.step(&start);
    }
    assert_eq!(fixture.starts, 1, "its end is no fault");
    assert_eq!(fixture.metrics.pipeline_restarts.sum(), 0);
    assert!(fixture.health.readiness().ok);
    let conditions = fixture.health.conditions();
    assert_eq!(conditions.len(), 1, "the condition outlives the thread");
    fixture.slot.renew();
    for _ in 0..3 {
        fixture.step(&start);
    }
    assert_eq!(fixture.starts, 2, "it runs again when it is renewed");
    fixture.slot.end(true);
    while !fixture.slot.is_over() {
        thread::yield_now();
    }
    assert_eq!(fixture.slot.collect(), 0);
    assert_eq!(fixture.health.conditions(), []);
}

#[test]
fn a_one_shot_thread_that_panics_is_started_again() {
    let mut fixture = HelperFixture::new();
    let start = |_: &Stop| HelperThread::one_shot("one-shot-dead", || panic!("on purpose"));
    fixture.step_until(start, |it| it.starts == 2);
    assert!(fixture.metrics.pipeline_restarts.sum() > 0);
}

#[test]
fn a_service_that_ends_before_its_stop_is_started_again() {
    let mut fixture = HelperFixture::new();
    let start = |_: &Stop| HelperThread::service("service-ended", || ());
    fixture.step_until(start, |it| it.starts == 2);
    let (trigger, stop) = stop::pair();
    let wait = stop.clone();
    let mut service = HelperThread::service("service-runs", move || {
        wait.wait(Duration::from_secs(600));
    })
    .unwrap();
    assert!(!service.has_died() && !service.is_over());
    drop(trigger);
    assert_eq!(service.join(), 0);
    assert!(stop.is_stopped());
}
