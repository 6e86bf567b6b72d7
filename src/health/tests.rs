use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn table_key(name: &str) -> ConditionKey {
    ConditionKey::Table(name.to_owned())
}

#[test]
fn a_thread_is_alive_until_its_deadline() {
    let health = Arc::new(Health::new());
    assert!(health.liveness(Instant::now() + 1000 * SECOND).ok);
    let beat = health.thread("source:incident");
    assert!(
        health.liveness(Instant::now() + 50 * SECOND).ok,
        "before the first beat"
    );
    beat.beat(10 * SECOND);
    assert!(health.liveness(Instant::now() + 9 * SECOND).ok);
    let late = health.liveness(Instant::now() + 12 * SECOND);
    assert_eq!(late.lines, ["thread source:incident: overdue for 2 s"]);
    beat.beat(Duration::MAX);
    assert!(health.liveness(Instant::now() + 1_000_000 * SECOND).ok);
    beat.beat(SECOND);
    drop(beat);
    assert!(
        health.liveness(Instant::now() + 1000 * SECOND).ok,
        "deregistered"
    );
}

#[test]
fn a_thread_that_panicked_is_dead() {
    let health = Arc::new(Health::new());
    let beat = health.thread("token");
    let thread = std::thread::Builder::new().spawn(move || {
        beat.beat(1000 * SECOND);
        panic!("on purpose");
    });
    assert!(thread.unwrap().join().is_err());
    assert_eq!(
        health.liveness(Instant::now()).lines,
        ["thread token: ended by a panic"]
    );
}

#[test]
fn a_panic_is_forgotten_by_its_owner_and_a_vital_fault_is_not_ready_to_live() {
    let health = Arc::new(Health::new());
    let beat = health.thread("read:a");
    let thread = std::thread::Builder::new().spawn(move || {
        let _beat = beat;
        panic!("on purpose");
    });
    assert!(thread.unwrap().join().is_err());
    let running = health.thread("read:a");
    health.forget_dead_thread("read:b");
    assert!(!health.liveness(Instant::now()).ok);
    health.forget_dead_thread("read:a");
    assert!(health.liveness(Instant::now()).ok);
    running.beat(SECOND);
    let later = Instant::now() + 2 * SECOND;
    assert_eq!(
        health.overdue_threads(later),
        ["read:a"],
        "a living one is kept"
    );
    let vital = health.vital(table_key("a"));
    vital.fail("died 5 times");
    let report = health.liveness(Instant::now());
    assert_eq!(report.lines, ["table a: died 5 times"]);
    assert!(health.readiness().ok);
    drop(vital);
    assert!(health.liveness(Instant::now()).ok);
}

#[test]
fn what_is_attached_is_reported_as_long_as_it_lives() {
    let (health, other) = (Arc::new(Health::new()), Arc::new(Health::new()));
    let condition = other.condition(ConditionKey::Instance, "no answer");
    assert!(health.readiness().ok);
    health.attach(&other);
    assert_eq!(health.readiness().lines, ["servicenow: no answer"]);
    drop(other);
    assert!(!health.readiness().ok, "the condition holds it");
    drop(condition);
    assert!(health.readiness().ok);
}

#[test]
fn a_note_leaves_readiness_be() {
    let health = Arc::new(Health::new());
    let note = health.note(ConditionKey::Configuration);
    assert_eq!(health.readiness().notes, [""; 0]);
    note.fail("the last edit is not used");
    let report = health.readiness();
    assert!(report.ok && health.liveness(Instant::now()).ok);
    assert_eq!(report.notes, ["configuration: the last edit is not used"]);
    note.ok();
    assert_eq!(health.readiness().notes, [""; 0]);
}

#[test]
fn readiness_lists_what_fails() {
    let health = Arc::new(Health::new());
    assert!(health.readiness().ok);
    let kafka = health.condition(ConditionKey::Kafka, "no broker has answered yet");
    let table = health.condition(table_key("incident"), "not read yet");
    let twin = health.condition(table_key("incident"), "not read yet");
    assert!(!kafka.is_ok());
    kafka.ok();
    assert!(kafka.is_ok());
    table.fail("403 from\nthe instance");
    twin.ok();
    let report = health.readiness();
    assert!(!report.ok);
    assert_eq!(report.lines, ["table incident: 403 from the instance"]);
    drop(table);
    assert!(health.readiness().ok);
    health.set_stopping();
    assert_eq!(health.readiness().lines, ["stopping"]);
}

#[test]
fn the_last_trouble_is_remembered() {
    let health = Arc::new(Health::new());
    let table = health.condition(table_key("incident"), "not read yet");
    let report = || health.conditions().remove(0);
    let not_yet = ConditionState::Failing("not read yet".to_owned());
    assert_eq!(report().state, not_yet);
    assert_eq!(report().last_error, None, "to begin is no error");
    table.ok();
    table.record_error("a time-out\nof the instance");
    assert!(health.readiness().ok);
    let trouble = report().last_error.unwrap();
    assert_eq!(trouble.message, "a time-out of the instance");
    table.fail("403");
    table.ok();
    assert_eq!(report().state, ConditionState::Ok);
    assert_eq!(report().last_error.unwrap().message, "403");
}

#[test]
fn a_held_condition_says_so_in_words_and_in_its_state() {
    let health = Arc::new(Health::new());
    let delivery = health.condition(ConditionKey::Delivery("incident".to_owned()), "");
    delivery.hold("too large\nfor the topic");
    let readiness = health.readiness().lines;
    assert_eq!(
        readiness,
        ["delivery of incident: held: too large for the topic"]
    );
    let report = health.conditions().remove(0);
    assert_eq!(report.key, ConditionKey::Delivery("incident".to_owned()));
    assert_eq!(
        report.state,
        ConditionState::Held("too large for the topic".to_owned())
    );
    assert_eq!(
        report.last_error.unwrap().message,
        "held: too large for the topic"
    );
}

#[test]
fn threads_are_listed() {
    let health = Arc::new(Health::new());
    let beat = health.thread("token");
    beat.beat(10 * SECOND);
    let life = health.threads(Instant::now()).remove(0);
    assert_eq!((life.name.as_str(), life.problem), ("token", None));
    assert!(life.due_in > 8 * SECOND && life.due_in <= 10 * SECOND);
    let late = health.threads(Instant::now() + 11 * SECOND).remove(0);
    assert_eq!(late.problem.as_deref(), Some("overdue for 1 s"));
    assert_eq!(late.due_in, Duration::ZERO);
    // So are those of what was attached.
    let (other, name) = (Arc::new(Health::new()), "kafka-poll");
    let _beat = other.thread(name);
    let _condition = other.condition(ConditionKey::Kafka, "no broker has answered yet");
    health.attach(&other);
    assert_eq!(health.threads(Instant::now())[1].name, name);
    assert_eq!(health.conditions()[0].key, ConditionKey::Kafka);
}

#[test]
fn the_report_is_bounded() {
    let health = Arc::new(Health::new());
    let failing: Vec<_> = (0..60)
        .map(|number| health.condition(table_key(&number.to_string()), &"ä".repeat(1000)))
        .collect();
    let report = health.readiness();
    assert_eq!(report.lines.len(), MAX_REPORTED_REASONS + 1);
    assert_eq!(report.lines.last().unwrap(), "and 10 more");
    assert!(
        report
            .lines
            .iter()
            .all(|line| line.chars().count() <= MAX_REASON_CHARS + 3)
    );
    drop(failing);
    assert!(health.readiness().ok);
}

#[test]
fn what_only_waits_for_a_first_word_comes_last() {
    let health = Arc::new(Health::new());
    let waiting = health.condition(ConditionKey::Instance, "no answer yet");
    let guilty = health.condition(ConditionKey::Kafka, "no broker answers yet");
    guilty.fail("no broker answers: connection refused");
    let lines = health.readiness().lines;
    assert!(lines[0].contains("connection refused"), "{lines:?}");
    assert!(lines[1].contains("no answer yet"), "{lines:?}");
    waiting.fail("503");
    let lines = health.readiness().lines;
    assert!(lines[0].contains("503"), "{lines:?}");
}
