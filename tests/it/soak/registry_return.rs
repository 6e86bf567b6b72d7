//! The schema registry is away for a while, and both directions need it: a table whose first row wants a schema
//! registered, and records behind an id that the sink has not met. Little is asked meanwhile; both are at work
//! again at once.

use std::time::{Duration, Instant};

use real_kafka::Draft;
use serde_json::json;
use servicenow_kafka_bridge::avro::{RecordEncoder, RecordSchema, TableColumns};
use servicenow_kafka_bridge::config::OnTypeError;
use servicenow_sim::{Options, Table};

use crate::outage::BACK_AT_WORK;
use crate::support::bridge::Bridge;
use crate::support::registry::{FakeRegistry, Kind};
use crate::support::sink::{SinkRig, TABLE, alive};
use crate::support::wait_at_most;
use crate::support::wire::{self, Wire};

/// The table that has no schema yet.
const PETS: &str = "u_pet";

/// How the registry is away.
#[derive(Debug, Clone, Copy)]
enum Away {
    Unavailable,
    Refused,
    BlackHole,
}

/// A registry behind a path that can be cut, and a bridge that waits for work.
struct Trial {
    rig: SinkRig,
    registry: FakeRegistry,
    wire: Wire,
    bridge: Bridge,
}

impl Trial {
    fn start() -> Trial {
        let (rig, registry) = (SinkRig::with(Options::default()), FakeRegistry::start());
        let wire = Wire::to(&registry.url());
        rig.sim
            .create_table(Table::new(PETS).texts(&["u_name"]))
            .unwrap();
        rig.create_topic(&format!("servicenow.{PETS}"), 1);
        let mut config = rig.config();
        config.reads = true;
        config.tables = vec![format!("name: {PETS}")];
        config.top.push_str(&format!(
            "\nschema_registry: {{url: '{}', timeout: 5s}}",
            wire.url()
        ));
        let mut bridge = rig.start(&config.source("schema: {style: strings}"));
        bridge.wait_ready();
        Trial {
            rig,
            registry,
            wire,
            bridge,
        }
    }

    fn begin(&mut self, away: Away) {
        match away {
            Away::Unavailable => self
                .registry
                .refuse_with(Some((503, "<h1>no server is available</h1>"))),
            Away::Refused => self.wire.refuse(),
            Away::BlackHole => self.wire.drop_packets(),
        }
    }

    fn end(&mut self) {
        self.registry.refuse_with(None);
        self.wire.pass();
    }

    /// What needs the registry: a row, and a record behind a new schema. Gives the number of the latter.
    fn ask_for_schemas(&self) -> u32 {
        self.rig.sim.insert(PETS, [("u_name", "Rex")]).unwrap();
        let columns = ["correlation_id", "state"];
        let schema = RecordSchema::strings(&TableColumns::named(TABLE, columns));
        let id = self.registry.add("in-value", schema.json(), Kind::Avro);
        let row = json!({"correlation_id": "c-1", "state": "7"}).to_string();
        let mut record = Vec::new();
        RecordEncoder::new(&schema, id, OnTypeError::Hold)
            .encode(row.as_bytes(), &mut record)
            .unwrap();
        self.rig.produce([Draft::new(record).key("k-1")]);
        id
    }

    /// Requests that the bridge made, of every method and outcome.
    fn requests(&self) -> f64 {
        let (_, text) = self.bridge.get("/metrics");
        let series = text
            .lines()
            .filter(|line| line.starts_with("bridge_schema_registry_requests_total{"));
        let values = series.map(|line| line.rsplit(' ').next().unwrap());
        values.map(|value| value.parse::<f64>().unwrap()).sum()
    }
}

fn away_for(time: Duration, away: Away) {
    if !wire::require_or_skip() {
        return;
    }
    let mut trial = Trial::start();
    trial.begin(away);
    let before = trial.requests();
    trial.ask_for_schemas();
    trial.bridge.wait_not_ready("schema registry");
    let tick = crossbeam_channel::tick(Duration::from_millis(250));
    let until = Instant::now() + time;
    while Instant::now() < until {
        tick.recv().unwrap();
        alive(&mut trial.bridge);
    }
    let requests = trial.requests() - before;
    trial.end();
    let back = Instant::now();
    let produced =
        format!("bridge_source_produce_total{{table=\"{PETS}\",topic=\"servicenow.{PETS}\"}}");
    let read = wait_at_most(BACK_AT_WORK, "the table", || {
        (trial.bridge.metric(&produced) == 1.0).then(|| back.elapsed())
    });
    let written = wait_at_most(BACK_AT_WORK, "the sink", || {
        (trial.rig.sim.count(TABLE).unwrap() == 1).then(|| back.elapsed())
    });
    println!(
        "registry {away:?} for {time:?}: {requests} requests meanwhile; the table after {read:?}, the sink \
         after {written:?}"
    );
    assert!(requests <= 20.0 + time.as_secs_f64(), "{requests} requests");
    trial.rig.wait_done(&mut trial.bridge);
    trial.bridge.wait_ready();
    assert_eq!(trial.bridge.terminate(), 0);
    assert_eq!(trial.rig.letters().len(), 0);
    assert_eq!(trial.registry.registered("servicenow.u_pet-value").len(), 1);
}

#[test]
#[ignore = "minutes: make soak"]
fn a_registry_that_comes_back() {
    for away in [Away::Unavailable, Away::Refused, Away::BlackHole] {
        away_for(Duration::from_secs(90), away);
    }
}
