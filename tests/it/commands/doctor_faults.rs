//! What `doctor` finds: a table of planted faults, each with the level and the words that it must get,
//! through the real program.

use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use real_kafka::{Broker, with_access_rules};
use servicenow_sim::{Fault as SimFault, Options, RowView, Rule, Target, UnknownTerm};

use super::doctor_setup::{Planted, Setup, find};
use crate::support::bridge::texts;

#[test]
fn of_configuration_and_host() {
    find(&[
        Planted::new(
            "a misspelt key",
            "failure",
            &["config.yaml:", "source.enabld", "did you mean `enabled`?"],
            |setup| setup.edit = Some(("enabled: true", "enabld: true")),
        ),
        Planted::new(
            "a password that others may read",
            "warning",
            &["holds a secret", "chmod o-r"],
            |_| {},
        ),
        Planted::new(
            "a damaged checkpoint",
            "failure",
            &["offsets.json", "is damaged", "restore a backup of it"],
            |setup| fs::write(setup.path("offsets.json"), "{\"incident\": ").unwrap(),
        ),
        Planted::new(
            "a folder in which no file can be made",
            "failure",
            &[
                "checkpoint folder /proc",
                "no file can be written",
                "offset.file_path",
            ],
            |setup| setup.config.offset = "file_path: /proc/offsets.json".to_owned(),
        ),
        Planted::new(
            "few descriptors",
            "failure",
            &["descriptors", "limit 100", "LimitNOFILE="],
            |setup| setup.prelude = "ulimit -n 100;",
        ),
    ]);
}

#[test]
fn of_the_way_to_the_instance() {
    find(&[
        Planted::new(
            "an unknown host",
            "failure",
            &[
                "name lookup of no.such.host.invalid",
                "servicenow.base_url",
                "/etc/resolv.conf",
            ],
            |setup| setup.url("https://no.such.host.invalid"),
        ),
        Planted::new(
            "a port where nothing listens",
            "failure",
            &["way to 127.0.0.1:9", "refused", "firewalls"],
            |setup| setup.url("http://127.0.0.1:9"),
        ),
        Planted::new(
            "a proxy that is not there",
            "failure",
            &["way to 127.0.0.1:", "refused", "servicenow.proxy"],
            |setup| {
                let lines = "proxy: {url: 'http://127.0.0.1:9'}";
                setup.config = setup.config.clone().servicenow(lines);
            },
        ),
        Planted::new(
            "an instance that hibernates",
            "failure",
            &["log-in", "hibernates", "wake it"],
            |setup| {
                setup.sim.faults().on(Target::Any, SimFault::Hibernating);
            },
        ),
        Planted::new(
            "single sign-on before the API",
            "failure",
            &["log-in", "redirected", "use a local user"],
            |setup| {
                setup
                    .sim
                    .faults()
                    .on(Target::Any, SimFault::RedirectToLogin);
            },
        ),
        Planted::new(
            "a wrong password",
            "failure",
            &["log-in", "401", "not locked"],
            |setup| setup.edit = Some(("password: secret", "password: mistaken")),
        ),
    ]);
}

/// Also that nothing is asked after a refused log-in, as accounts get locked.
#[test]
fn a_wrong_password_is_tried_once() {
    let mut setup = Setup::new(Options::default());
    setup.edit = Some(("password: secret", "password: mistaken"));
    setup.write();
    let (output, _, code) = texts(&setup.doctor());
    assert_eq!(code, 2, "{output}");
    assert_eq!(setup.sim.requests().len(), 1);
    assert!(!output.contains("mistaken"), "{output}");
}

#[test]
fn of_the_instance() {
    find(&[
        Planted::new(
            "a clock that is five minutes off",
            "warning",
            &["clock", "s ahead of this host's", "NTP"],
            |_| {},
        )
        .with(|| Options {
            skew_seconds: 300,
            ..Options::default()
        }),
        Planted::new(
            "a token that hardly lives",
            "warning",
            &["log-in", "access token ends in", "Access Token Lifespan"],
            |setup| {
                setup.config.servicenow = format!(
                    "base_url: {}\nauth:\n  type: oauth\n  oauth: {{client_id: client-id, \
                     client_secret: client-secret, username: bridge, password: secret}}",
                    setup.sim.url()
                );
            },
        )
        .with(|| Options {
            token_life: Duration::from_secs(40),
            ..Options::default()
        }),
        Planted::new(
            "a rule below what the polls need",
            "warning",
            &[
                "requests per hour",
                "a rule allows 100",
                "sys_rate_limit_rules",
            ],
            |setup| setup.sim.rate_rule(100),
        ),
        Planted::new(
            "busy semaphores",
            "warning",
            &["semaphores", "waited up to 2000 ms", "sink.concurrency"],
            |_| {},
        )
        .with(|| Options {
            semaphore_wait: Duration::from_secs(2),
            ..Options::default()
        }),
        Planted::new(
            "a misspelt condition that finds nothing",
            "failure",
            &["finds nothing", "no column `prioritty`", "correct the name"],
            |setup| setup.config = setup.config.clone().table("query: prioritty=1"),
        )
        .with(|| Options {
            unknown_term: UnknownTerm::NoRows,
            ..Options::default()
        }),
    ]);
}

#[test]
fn of_tables() {
    find(&[
        Planted::new(
            "a table that is not there",
            "failure",
            &[
                "table `u_no_such_table`",
                "Invalid table",
                "check the table name",
            ],
            |setup| {
                let table = "name: u_no_such_table\ntopic: servicenow.incident";
                setup.config.tables.push(table.to_owned());
            },
        ),
        Planted::new(
            "a table of which no row may be read",
            "failure",
            &["table `incident`", "10 rows, none readable", "read ACL"],
            |setup| setup.sim.hide("incident", |_| true).unwrap(),
        ),
        Planted::new(
            "rows that are hidden",
            "warning",
            &["table `incident`", "10 rows, ", "readable", "read ACL"],
            |setup| {
                let some = |row: RowView<'_>| row.get("number").ends_with(['0', '2', '4']);
                setup.sim.hide("incident", some).unwrap();
            },
        ),
        Planted::new(
            "a cursor that may not be read",
            "failure",
            &["table `incident`", "sys_updated_on", "read"],
            |setup| setup.sim.hide_field("incident", "sys_updated_on").unwrap(),
        ),
        Planted::new(
            "a misspelt column",
            "warning",
            &[
                "table `incident`",
                "no row shows: shrot_description",
                "correct their names",
            ],
            |setup| {
                let fields = "fields: [number, shrot_description]";
                setup.config = setup.config.clone().table(fields);
            },
        ),
        Planted::new(
            "a misspelt condition that is dropped",
            "failure",
            &[
                "narrows nothing: 10 rows",
                "no column `prioritty`",
                "correct the name",
            ],
            |setup| setup.config = setup.config.clone().table("query: prioritty=1"),
        ),
        Planted::new(
            "lists of deletes that may not be read",
            "failure",
            &[
                "deletes of `incident`",
                "sys_audit_delete has entries, and none may be read",
                "sys_audit has entries, and none may be read",
                "read ACLs on sys_audit_delete and sys_audit",
            ],
            |setup| {
                setup.config = setup.config.clone().table("deletes: audit");
                let row = setup.sim.rows("incident").unwrap().remove(0);
                let id = row.get("sys_id").unwrap();
                setup.sim.delete("incident", id).unwrap();
                for list in ["sys_audit_delete", "sys_audit"] {
                    setup.sim.hide(list, |_| true).unwrap();
                }
            },
        ),
        Planted::new(
            "a table whose deletes are not listed",
            "failure",
            &[
                "deletes of `incident`",
                "no_audit_delete",
                "dictionary entry",
            ],
            |setup| {
                setup.config = setup.config.clone().table("deletes: audit");
                let entries = setup.sim.rows("sys_dictionary").unwrap();
                let entry = entries.iter().find(|row| {
                    row.get("name") == Some("incident")
                        && row.get("internal_type") == Some("collection")
                });
                let id = entry.unwrap().get("sys_id").unwrap();
                let attributes = [("attributes", "no_audit_delete=true")];
                setup.sim.update("sys_dictionary", id, attributes).unwrap();
                let gone = setup.sim.rows("incident").unwrap().remove(0);
                let gone = gone.get("sys_id").unwrap();
                setup.sim.delete("incident", gone).unwrap();
                setup.sim.hide("sys_audit", |_| true).unwrap();
            },
        ),
        Planted::new(
            "no index on the cursor",
            "warning",
            &[
                "a poll takes 1",
                "no index on sys_updated_on is listed",
                "Database Indexes",
            ],
            |setup| {
                let is_poll = |request: &servicenow_sim::LoggedRequest| {
                    let query = request.param("sysparm_query").unwrap_or_default();
                    query.contains("sys_updated_on>") && query.contains("ORDERBY")
                };
                let slow = SimFault::Delay(Duration::from_millis(1_500));
                let rule = Rule::new(Target::table("incident"), slow).when(is_poll);
                setup.sim.faults().add(rule);
            },
        ),
    ]);
}

#[test]
fn of_kafka() {
    find(&[
        Planted::new(
            "no broker where one is looked for",
            "failure",
            &["brokers", "no answer from 127.0.0.1:9", "kafka.brokers"],
            |setup| setup.config.kafka = "brokers: ['127.0.0.1:9']".to_owned(),
        ),
        Planted::new(
            "a topic that is not there",
            "failure",
            &[
                "topic not.there",
                "does not exist",
                "kafka.create_topics.enabled",
            ],
            |setup| setup.config = setup.config.clone().topic("not.there"),
        ),
    ]);
}

/// Faults that only a real Kafka has.
#[test]
fn of_a_real_kafka() {
    if !real_kafka::require_or_skip() {
        return;
    }
    let kafka = real_kafka::shared().unwrap();
    let small = [("max.message.bytes", "100000")];
    kafka.create_topic("doctor.small", 1, &small).unwrap();
    let compacted = [("cleanup.policy", "compact")];
    kafka
        .create_topic("doctor.compacted", 1, &compacted)
        .unwrap();
    find(&[
        Planted::new(
            "a topic that takes less than is sent",
            "warning",
            &[
                "topic doctor.small",
                "less than kafka.max_message_bytes",
                "raise max.message.bytes",
            ],
            |setup| {
                setup.config = setup.config.clone().topic("doctor.small");
                setup.config.kafka = plain();
            },
        ),
        Planted::new(
            "records without keys for a compacted topic",
            "failure",
            &[
                "topic doctor.compacted",
                "sends no keys",
                "another partitioner",
            ],
            |setup| {
                let config = setup.config.clone().topic("doctor.compacted");
                setup.config = config.table("partitioner: round_robin");
                setup.config.kafka = plain();
            },
        ),
        Planted::new(
            "a wrong password for Kafka",
            "failure",
            &["brokers", "uthentication", "kafka.sasl"],
            |setup| {
                let broker = real_kafka::shared().unwrap();
                setup.config.kafka = logged_in(broker, "PLAIN", "mistaken");
            },
        ),
        Planted::new(
            "a certificate of an unknown authority",
            "failure",
            &[
                "certificate of 127.0.0.1:",
                "not trusted",
                "servicenow.tls.ca_cert",
            ],
            |setup| {
                // It speaks TLS, which is all that is needed here.
                let address = real_kafka::shared().unwrap().sasl_addr();
                setup.url(&format!("https://{address}"));
            },
        ),
    ]);
}

/// The rights are those of Kafka's own authorizer.
#[test]
fn of_rights_on_a_real_kafka() {
    if !real_kafka::require_or_skip() {
        return;
    }
    static BROKER: OnceLock<Broker> = OnceLock::new();
    let broker = BROKER.get_or_init(|| Broker::start(&with_access_rules()).unwrap());
    for topic in ["doctor.seen", "doctor.unseen"] {
        broker.create_topic(topic, 1, &[]).unwrap();
    }
    broker.allow("Describe", "--topic doctor.seen").unwrap();
    find(&[
        Planted::new(
            "a topic that may not be described",
            "failure",
            &[
                "topic doctor.unseen",
                "may not be described",
                "grant the Kafka user Describe and Write",
            ],
            |setup| {
                setup.config = setup.config.clone().topic("doctor.unseen");
                setup.config.kafka =
                    logged_in(BROKER.get().unwrap(), "SCRAM-SHA-512", real_kafka::PASSWORD);
            },
        ),
        Planted::new(
            "a topic that may not be written to",
            "failure",
            &[
                "topic doctor.seen",
                "may not be written to",
                "grant the Kafka user Write",
            ],
            |setup| {
                setup.config = setup.config.clone().topic("doctor.seen");
                setup.config.kafka =
                    logged_in(BROKER.get().unwrap(), "SCRAM-SHA-512", real_kafka::PASSWORD);
            },
        ),
    ]);
    broker.kill();
}

/// The lines below `kafka:` for a log-in over TLS.
fn logged_in(broker: &Broker, mechanism: &str, password: &str) -> String {
    format!(
        "brokers: ['{}']\ntls: {{enabled: true, ca_cert: '{}'}}\nsasl: {{mechanism: {mechanism}, username: \
         {}, password: {password}}}",
        broker.sasl_addr(),
        broker.ca_pem().display(),
        real_kafka::USER
    )
}

fn plain() -> String {
    let address = real_kafka::shared().unwrap().plain_addr();
    format!("brokers: ['{address}']")
}

#[test]
fn of_the_registry() {
    find(&[
        Planted::new(
            "a registry that is down",
            "failure",
            &["schema registry", "schema_registry.url"],
            |setup| setup.with_avro().down(true),
        ),
        Planted::new(
            "a registry that wants a log-in",
            "failure",
            &["schema registry", "401", "schema_registry.auth"],
            |setup| setup.with_avro().require_authorization(Some("Basic eDp5")),
        ),
        Planted::new(
            "nothing registered, and nothing may be",
            "failure",
            &[
                "schema of `incident`",
                "nothing is registered",
                "schema register incident",
            ],
            |setup| {
                setup.with_avro();
                let top = &mut setup.config.top;
                *top = top.replace("timeout: 5s", "auto_register: false");
            },
        ),
    ]);
}

/// The table is as long as is promised.
#[test]
fn at_least_twenty_are_planted() {
    let text = include_str!("doctor_faults.rs");
    let planted = text.matches("\n        Planted::new(\n").count();
    assert!(planted >= 20, "{planted}");
}
