//! Accepted configurations, and what they mean.

use super::*;
use crate::config::OnOversize;

#[test]
fn the_least_gets_every_default() {
    let (config, warnings) = parse(LEAST, &env).unwrap();
    assert_eq!(warnings, []);
    let servicenow = &config.servicenow;
    assert_eq!(servicenow.table_api_path, "/api/now/table");
    assert_eq!(servicenow.timeout, Duration::from_secs(30));
    assert_eq!(servicenow.read_timeout, Duration::from_secs(25));
    assert_eq!(servicenow.conn_timeout, Duration::from_secs(10));
    assert_eq!(servicenow.max_retries, None);
    assert_eq!(servicenow.retry_backoff, Duration::from_millis(100));
    assert_eq!(servicenow.rate_limit_rps, None);
    assert_eq!(servicenow.max_response_bytes, 64 << 20);
    assert_eq!(servicenow.proxy, None);
    assert_eq!(servicenow.query_time_zone, QueryTimeZone::Auto);
    assert_eq!(config.kafka.compression, Compression::Lz4);
    assert_eq!(config.kafka.linger, Duration::from_millis(50));
    assert_eq!(config.kafka.queue_bytes, 8 << 20);
    assert_eq!(config.kafka.max_message_bytes, 1_000_000);
    assert_eq!(config.kafka.create_topics, None);
    let table = TableConfig {
        name: "incident".to_owned(),
        timestamp_field: "sys_updated_on".to_owned(),
        identifier_field: "sys_id".to_owned(),
        fields: Vec::new(),
        topic: "sn.incident".to_owned(),
        partitioner: Partitioner::Default,
        fast_poll_interval: Duration::from_millis(500),
        slow_poll_interval: Duration::from_secs(30),
        batch_size: 1000,
        settle: Duration::from_secs(600),
        on_bad_row: OnBadRow::Hold,
        query: None,
        display_value: DisplayValue::False,
        skip_own_writes: false,
        format: TableFormat::Json,
        on_oversize: OnOversize::Hold,
        dlq_topic: None,
        version_headers: false,
        verify_interval: Duration::ZERO,
        proof_topic: None,
        schema: config.source.schema,
        content_cycle: Duration::ZERO,
        deletes: config.source.deletes.clone(),
    };
    assert_eq!(config.source.tables, [table]);
    assert_eq!(config.source.initial_query_hours_ago, None);
    assert_eq!(config.source.timestamp_delay, Duration::ZERO);
    assert!(!config.sink.enabled);
    assert_eq!(config.sink.concurrency, 5);
    assert_eq!(config.sink.group_id, "servicenow-kafka-bridge-sink");
    assert!(config.sink.commit_on_partial_failure);
    assert_eq!(config.offset.file_path, PathBuf::from("offsets.json"));
    assert_eq!(config.offset.flush_interval, Duration::from_secs(5));
    assert_eq!(config.observability.addr, ":8080");
    assert_eq!(config.log_level, log::LevelFilter::Info);
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.shutdown_timeout, Duration::from_secs(25));
}

/// The shape of the Go program's sample: oauth by default, variables, sections that are present
/// but hold only comments, keys that say "default" by 0, -1 or an empty text.
#[test]
fn a_go_configuration_starts_unchanged() {
    let config = good(
        "
servicenow:
  base_url: ${SN_URL} # the instance
  auth:
    type: oauth
    oauth:
      client_id: ${SN_ID}
      client_secret: ${SN_SECRET}
      username: integration
      password: ${SN_SECRET}
  max_retries: 0
  retry_backoff_seconds: 30
  rate_limit_rps: 0
kafka:
  brokers:
    - localhost:9092
  tls:
    enabled: no
  sasl:
    mechanism: ''
source:
  enabled: on
  topic_prefix: servicenow
  batch_size: 20
  initial_query_hours_ago: -1
  timestamp_delay_seconds: 0
  fast_poll_interval: 0s
  tables:
    - name: incident
      timestamp_field: sys_updated_on
      identifier_field: sys_id
      fields: []
      topic: \"\"
sink:
  enabled: false
  commit_on_partial_failure:
offset:
  # storage: file
observability:
  # addr: \":8080\"
",
    );
    assert_eq!(config.servicenow.base_url, "https://dev1.service-now.com");
    let ServiceNowAuth::OAuth(oauth) = &config.servicenow.auth else {
        panic!("not oauth")
    };
    assert_eq!(oauth.token_path, "/oauth_token.do");
    assert_eq!(oauth.client_secret.expose(), "topsecret");
    assert!(
        matches!(&oauth.grant, OAuthGrant::Password { username, .. } if username == "integration")
    );
    assert_eq!(config.servicenow.max_retries, None);
    assert_eq!(config.servicenow.retry_backoff, Duration::from_secs(30));
    assert_eq!(config.source.tables[0].batch_size, 20);
    assert_eq!(config.source.tables[0].topic, "servicenow.incident");
    assert_eq!(config.source.fast_poll_interval, Duration::from_millis(500));
    assert_eq!(config.sink, good(LEAST).sink);
    assert_eq!(config.offset, good(LEAST).offset);
    assert_eq!(config.observability, good(LEAST).observability);
}

#[test]
fn variables_get_the_type_of_their_key() {
    let config = good(
        "
servicenow:
  base_url: ${SN_URL}
  auth: {type: basic, basic: {username: \"${NUMBER}\", password: \"a${SN_SECRET}$${b}\"}}
kafka: {brokers: [\"${BROKERS}\"]}
source:
  enabled: ${ENABLED}
  topic_prefix: ${EMPTY}sn
  batch_size: ${ROWS}
  fast_poll_interval: ${ROWS}ms
  tables: [{name: incident, batch_size: \"${ROWS}0\"}]
",
    );
    let ServiceNowAuth::Basic { username, password } = &config.servicenow.auth else {
        panic!("not basic")
    };
    assert_eq!(username, "0123");
    assert_eq!(password.expose(), "atopsecret${b}");
    assert_eq!(config.kafka.brokers, ["a:9092", "b:9092"]);
    assert_eq!(config.source.batch_size, 250);
    assert_eq!(config.source.fast_poll_interval, Duration::from_millis(250));
    assert_eq!(config.source.tables[0].batch_size, 2500);
}

/// A text stays as it was written, whatever YAML would make of it.
#[test]
fn plain_scalars_keep_their_text() {
    for text in [
        "007",
        "0x1F",
        "1e3",
        "true",
        "12345678901234567890123456789",
        "1_000",
        ".5",
    ] {
        let config = good(&least_with("password: p", &format!("password: {text}")));
        let ServiceNowAuth::Basic { password, .. } = config.servicenow.auth else {
            panic!("not basic")
        };
        assert_eq!(password.expose(), text);
    }
}

#[test]
fn booleans_in_every_dress() {
    for (text, expected) in [
        ("true", true),
        ("True", true),
        ("yes", true),
        ("YES", true),
        ("on", true),
        ("y", true),
        ("\"yes\"", true),
        ("false", false),
        ("no", false),
        ("Off", false),
        ("n", false),
    ] {
        let more = format!("  tls: {{enabled: {text}}}\nsource:");
        let config = good(&least_with("source:", &more));
        assert_eq!(config.kafka.tls.is_some(), expected, "{text}");
    }
}

#[test]
fn merges_and_anchors() {
    let config = good(
        "
x-common: &common {batch_size: 10, slow_poll_interval: 1m}
servicenow:
  base_url: https://dev1.service-now.com
  auth: {type: basic, basic: {username: u, password: p}}
kafka: {brokers: [&broker localhost:9092, *broker]}
source:
  enabled: true
  topic_prefix: sn
  tables:
    - &incident
      name: incident
      <<: *common
      batch_size: 20
    - <<: [{name: problem}, *incident, {name: x, query: a=1}]
",
    );
    let [incident, problem] = &config.source.tables[..] else {
        panic!("not two tables")
    };
    assert_eq!((incident.batch_size, problem.batch_size), (20, 20));
    assert_eq!(problem.name, "problem");
    assert_eq!(problem.slow_poll_interval, Duration::from_secs(60));
    assert_eq!(problem.query.as_deref(), Some("a=1"));
    assert_eq!(config.kafka.brokers, ["localhost:9092", "localhost:9092"]);
}

#[test]
fn a_byte_order_mark_and_crlf_do_no_harm() {
    let text = format!("\u{feff}{}", LEAST.replace('\n', "\r\n"));
    assert_eq!(good(&text), good(LEAST));
}

#[test]
fn several_tables_may_share_a_topic() {
    let text = least_with(
        "    - name: incident\n",
        "    - {name: incident, topic: all}\n    - {name: problem, topic: all}\n",
    );
    let topics: Vec<String> = good(&text)
        .source
        .tables
        .into_iter()
        .map(|t| t.topic)
        .collect();
    assert_eq!(topics, ["all", "all"]);
}
