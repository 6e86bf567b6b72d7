//! Problems of log-ins, addresses, numbers and times.

use expect_test::expect;

use super::bad::{for_each_value, refused, refused_under};
use super::*;

#[test]
fn log_ins() {
    let auth = |text: &str| LEAST.replace("type: basic\n", &format!("{text}\n"));
    refused(
        &auth("type: kerberos"),
        expect![[r#"
        config.yaml:4: servicenow.auth.type: `kerberos` is not one of oauth, basic, api_key
        config.yaml: 1 problem"#]],
    );
    refused(
        &auth("type: oauth"),
        expect![[r#"
        config.yaml: servicenow.auth.oauth.client_id: is required with `type: oauth`
        config.yaml: servicenow.auth.oauth.client_secret: is required with `type: oauth`; or set `client_secret_file`
        config.yaml: servicenow.auth.oauth.username: is required with `grant_type: password`
        config.yaml: servicenow.auth.oauth.password: is required with `grant_type: password`; or set `password_file`
        config.yaml: 4 problems"#]],
    );
    refused(
        &auth("type: oauth\n    oauth: {grant_type: refresh_token}"),
        expect![[r#"
            config.yaml:5: servicenow.auth.oauth.client_id: is required with `type: oauth`
            config.yaml:5: servicenow.auth.oauth.client_secret: is required with `type: oauth`; or set `client_secret_file`
            config.yaml:5: servicenow.auth.oauth.refresh_token: is required with `grant_type: refresh_token`; or set `refresh_token_file`
            config.yaml: 3 problems"#]],
    );
    refused(
        &auth("type: oauth\n    oauth: {grant_type: client_credentials}"),
        expect![[r#"
            config.yaml:5: servicenow.auth.oauth.client_id: is required with `type: oauth`
            config.yaml:5: servicenow.auth.oauth.client_secret: is required with `type: oauth`; or set `client_secret_file`
            config.yaml: 2 problems"#]],
    );
    refused(
        &auth("type: oauth\n    oauth: {grant_type: pasword}"),
        expect![[r#"
            config.yaml:5: servicenow.auth.oauth.client_id: is required with `type: oauth`
            config.yaml:5: servicenow.auth.oauth.client_secret: is required with `type: oauth`; or set `client_secret_file`
            config.yaml:5: servicenow.auth.oauth.username: is required with `grant_type: password`
            config.yaml:5: servicenow.auth.oauth.password: is required with `grant_type: password`; or set `password_file`
            config.yaml:5: servicenow.auth.oauth.grant_type: `pasword` is not one of password, refresh_token, client_credentials, did you mean `password`?
            config.yaml: 5 problems"#]],
    );
    refused(
        &auth("type: api_key"),
        expect![[r#"
        config.yaml: servicenow.auth.api_key.key: is required with `type: api_key`; or set `key_file`
        config.yaml: 1 problem"#]],
    );
    refused(
        &auth("type: api_key\n    api_key: {key: \"a\\nb\", header: \"a b\"}"),
        expect![[r#"
            config.yaml:5: servicenow.auth.api_key.key: holds more than one line, and a secret is one
            config.yaml:5: servicenow.auth.api_key.header: `a b` is not the name of a header: letters, digits and `-`
            config.yaml: 2 problems"#]],
    );
    for_each_value(
        &auth("type: api_key\n    api_key: {key: k, header: VALUE}"),
        &[
            "Content-Type",
            "Accept-Encoding",
            "TE",
            "Cookie",
            "If-Match",
        ],
        expect![[r#"
            Content-Type  servicenow.auth.api_key.header: cannot be set here: it is the bridge's own: it says what a request holds or which answer can be read
            Accept-Encoding  servicenow.auth.api_key.header: cannot be set here: it is the bridge's own: it says what a request holds or which answer can be read
            TE  servicenow.auth.api_key.header: cannot be set here: it is about one connection, which the bridge sees to
            Cookie  servicenow.auth.api_key.header: cannot be set here: it is not sent: the bridge keeps no session, so that no request waits for another
            If-Match  servicenow.auth.api_key.header: cannot be set here: it changes what a request does or how it is answered
        "#]],
    );
    for name in ["Authorization", "X-Gateway-Key"] {
        let key = format!("type: api_key\n    api_key: {{key: k, header: {name}}}");
        good(&auth(&key));
    }
    refused(
        &least_with("username: u", "username: 'a:b'"),
        expect![[r#"
        config.yaml:5: servicenow.auth.basic.username: must not hold `:`, which ends the name in basic auth
        config.yaml: 1 problem"#]],
    );
    refused(
        &least_with("password: p", "password: p, password_file: /x"),
        expect![[r#"
            config.yaml:5: servicenow.auth.basic.password_file: `password` and `password_file` are both set; keep one of them
            config.yaml: 1 problem"#]],
    );
    refused(
        &least_with("password: p", "password_file: /not/there"),
        expect![[r#"
            config.yaml:5: servicenow.auth.basic.password_file: cannot use `/not/there`: No such file or directory (os error 2)
            config.yaml: 1 problem"#]],
    );
}

#[test]
fn numbers_and_times() {
    refused_under(
        "servicenow",
        "timeout_seconds: -1\nread_timeout_seconds: 99999\nconn_timeout_seconds: .inf\n\
         max_retries: 5000000\nretry_backoff_seconds: 301\nrate_limit_rps: fast\n\
         max_response_bytes: 1",
        expect![[r#"
            config.yaml:2: servicenow.timeout_seconds: a time cannot be negative or endless
            config.yaml:3: servicenow.read_timeout_seconds: 99999 is out of range: 0.001 to 3600
            config.yaml:4: servicenow.conn_timeout_seconds: `.inf` is not a number
            config.yaml:5: servicenow.max_retries: 5000000 is out of range: at most 1000000
            config.yaml:6: servicenow.retry_backoff_seconds: 301 is out of range: 0.001 to 300
            config.yaml:7: servicenow.rate_limit_rps: `fast` is not a number
            config.yaml:8: servicenow.max_response_bytes: 1 is out of range: 65536 to 4294967296
            config.yaml: 7 problems"#]],
    );
    refused_under(
        "source",
        "batch_size: 100001\nfast_poll_interval: 500\nslow_poll_interval: 30 s\n\
         initial_query_hours_ago: 010\ntimestamp_delay_seconds: 1.5",
        expect![[r#"
            config.yaml:9: source.batch_size: 100001 is out of range: 1 to 100000
            config.yaml:10: source.fast_poll_interval: 500 has no unit; write for example `500s` or `500ms`
            config.yaml:11: source.slow_poll_interval: `30 s` is not a duration; write for example `500ms`, `30s`, `5m` or `1h30m`
            config.yaml:12: source.initial_query_hours_ago: `010` begins with 0, which some read as octal
            config.yaml:13: source.timestamp_delay_seconds: `1.5` is not a whole number
            config.yaml: 5 problems"#]],
    );
    refused_under(
        "kafka",
        "linger: -5ms\nqueue_bytes: 65536\nmax_message_bytes: 99999999999999999999\n\
         create_topics: {enabled: 2, partitions: 10001, replication_factor: 101, cleanup_policy: keep}",
        expect![[r#"
            config.yaml:7: kafka.linger: a duration cannot be negative
            config.yaml:8: kafka.queue_bytes: is smaller than `max_message_bytes`: the largest record would never fit
            config.yaml:9: kafka.max_message_bytes: `99999999999999999999` is too large
            config.yaml:10: kafka.create_topics.enabled: `2` is not true or false
            config.yaml:10: kafka.create_topics.partitions: 10001 is out of range: 1 to 10000
            config.yaml:10: kafka.create_topics.replication_factor: 101 is out of range: at most 100
            config.yaml:10: kafka.create_topics.cleanup_policy: `keep` is not one of delete, compact, compact,delete
            config.yaml: 7 problems"#]],
    );
    refused(
        &format!("{LEAST}shutdown_timeout: 2h\n"),
        expect![[r#"
        config.yaml:13: shutdown_timeout: 2h is out of range: 100ms to 1h
        config.yaml: 1 problem"#]],
    );
}

#[test]
fn instance_settings() {
    refused_under(
        "servicenow",
        "table_api_path: api/now\nquery_time_zone: Europe/Berln\n\
         proxy: {url: \"https://user:hunter2@proxy\", password: x}\n\
         tls: {ca_cert: /not/there, cert_file: /}",
        expect![[r#"
            config.yaml:2: servicenow.table_api_path: `api/now` is not a path; write for example `/api/now/table`
            config.yaml:3: servicenow.query_time_zone: `Europe/Berln` is not auto, utc, or a zone as `Europe/Berlin`, did you mean `Europe/Berlin`?
            config.yaml:4: servicenow.proxy.username: is required with a password
            config.yaml:4: servicenow.proxy.url: must not hold a user name or password; they have keys of their own
            config.yaml:5: servicenow.tls.key_file: is required with `cert_file`
            config.yaml:5: servicenow.tls.ca_cert: cannot use `/not/there`: No such file or directory (os error 2)
            config.yaml:5: servicenow.tls.cert_file: cannot use `/`: it is a directory, not a regular file
            config.yaml: 7 problems"#]],
    );
    refused_under(
        "servicenow",
        "proxy: {url: \"https://proxy\"}",
        expect![[r#"
            config.yaml:2: servicenow.proxy.url: must begin with `http://`; requests through it are still https
            config.yaml: 1 problem"#]],
    );
    refused_under(
        "servicenow",
        "proxy: {username: u}\ntls: {key_file: Cargo.toml}",
        expect![[r#"
            config.yaml:2: servicenow.proxy.url: is required with a user name or password
            config.yaml:3: servicenow.tls.cert_file: is required with `key_file`
            config.yaml: 2 problems"#]],
    );
}

#[test]
fn brokers() {
    refused(
        &least_with("brokers: [localhost:9092]", "brokers: []"),
        expect![[r#"
            config.yaml:7: kafka.brokers: is required: a list of `host:port`
            config.yaml: 1 problem"#]],
    );
    for_each_value(
        &LEAST.replace("localhost:9092", "VALUE"),
        &[
            "''",
            "'kafka://a:9092'",
            "'a:b'",
            "'a:0'",
            "'a:1:2'",
            "'[::1]9092'",
            "'a,,b'",
            "a: b",
        ],
        expect![[r#"
            ''  kafka.brokers[0]: is empty
            'kafka://a:9092'  kafka.brokers[0]: must not hold a scheme; write for example `broker1.example.com:9092`
            'a:b'  kafka.brokers[0]: the port after `:` must be a number from 0 to 65535
            'a:0'  kafka.brokers[0]: the port cannot be 0
            'a:1:2'  kafka.brokers[0]: a v6 address goes in brackets, as in `[::1]:8080`
            '[::1]9092'  kafka.brokers[0]: only a port may follow the `]`
            'a,,b'  kafka.brokers[0]: has no host; write for example `broker1.example.com:9092`
            a: b  kafka.brokers[0]: expected one value, found keys and values
        "#]],
    );
}

#[test]
fn kafka_log_in() {
    refused_under(
        "kafka",
        "sasl: {mechanism: SCRAM-SHA-265}",
        expect![[r#"
        config.yaml:7: kafka.sasl.mechanism: `SCRAM-SHA-265` is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, did you mean `SCRAM-SHA-256`?
        config.yaml: 1 problem"#]],
    );
    refused_under(
        "kafka",
        "sasl: {mechanism: PLAIN}",
        expect![[r#"
        config.yaml:7: kafka.sasl.username: is required with a mechanism
        config.yaml:7: kafka.sasl.password: is required with a mechanism; or set `password_file`
        config.yaml: 2 problems"#]],
    );
    refused_under(
        "kafka",
        "tls: {enabled: true, cert_file: Cargo.toml}",
        expect![[r#"
            config.yaml:7: kafka.tls.key_file: is required with `cert_file`
            config.yaml: 1 problem"#]],
    );
}

#[test]
fn names_of_headers() {
    let text = LEAST.replace("servicenow:\n", "servicenow:\n  headers: {VALUE: x}\n");
    let names = [
        "\"a b\"",
        "\"a:b\"",
        "\"ä\"",
        "\"\"",
        "Authorization",
        "HOST",
        "Cookie",
        "Set-Cookie2",
        "Content-Type",
        "Content-Length",
        "Accept",
        "Accept-Encoding",
        "Expect",
        "Connection",
        "Keep-Alive",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Upgrade",
        "Proxy-Authorization",
        "Proxy-Connection",
        "If-None-Match",
        "Range",
        "X-HTTP-Method-Override",
        "X-no-response-body",
    ];
    for_each_value(
        &text,
        &names,
        expect![[r#"
        "a b"  servicenow.headers.a b: `a b` is not the name of a header: letters, digits and `-`
        "a:b"  servicenow.headers.a:b: `a:b` is not the name of a header: letters, digits and `-`
        "ä"  servicenow.headers.ä: `ä` is not the name of a header: letters, digits and `-`
        ""  servicenow.headers.``: `` is not the name of a header: letters, digits and `-`
        Authorization  servicenow.headers.Authorization: cannot be set here: it is what `servicenow.auth` sends
        HOST  servicenow.headers.HOST: cannot be set here: it follows from `servicenow.base_url`
        Cookie  servicenow.headers.Cookie: cannot be set here: it is not sent: the bridge keeps no session, so that no request waits for another
        Set-Cookie2  servicenow.headers.Set-Cookie2: cannot be set here: it is not sent: the bridge keeps no session, so that no request waits for another
        Content-Type  servicenow.headers.Content-Type: cannot be set here: it is the bridge's own: it says what a request holds or which answer can be read
        Content-Length  servicenow.headers.Content-Length: cannot be set here: it is the bridge's own: it says what a request holds or which answer can be read
        Accept  servicenow.headers.Accept: cannot be set here: it is the bridge's own: it says what a request holds or which answer can be read
        Accept-Encoding  servicenow.headers.Accept-Encoding: cannot be set here: it is the bridge's own: it says what a request holds or which answer can be read
        Expect  servicenow.headers.Expect: cannot be set here: it is the bridge's own: it says what a request holds or which answer can be read
        Connection  servicenow.headers.Connection: cannot be set here: it is about one connection, which the bridge sees to
        Keep-Alive  servicenow.headers.Keep-Alive: cannot be set here: it is about one connection, which the bridge sees to
        Transfer-Encoding  servicenow.headers.Transfer-Encoding: cannot be set here: it is about one connection, which the bridge sees to
        TE  servicenow.headers.TE: cannot be set here: it is about one connection, which the bridge sees to
        Trailer  servicenow.headers.Trailer: cannot be set here: it is about one connection, which the bridge sees to
        Upgrade  servicenow.headers.Upgrade: cannot be set here: it is about one connection, which the bridge sees to
        Proxy-Authorization  servicenow.headers.Proxy-Authorization: cannot be set here: it is for a proxy: use `servicenow.proxy`
        Proxy-Connection  servicenow.headers.Proxy-Connection: cannot be set here: it is about one connection, which the bridge sees to
        If-None-Match  servicenow.headers.If-None-Match: cannot be set here: it changes what a request does or how it is answered
        Range  servicenow.headers.Range: cannot be set here: it changes what a request does or how it is answered
        X-HTTP-Method-Override  servicenow.headers.X-HTTP-Method-Override: cannot be set here: it changes what a request does or how it is answered
        X-no-response-body  servicenow.headers.X-no-response-body: cannot be set here: it changes what a request does or how it is answered
    "#]],
    );
}

#[test]
fn values_of_headers() {
    let headers = |text: &str| {
        LEAST.replace(
            "servicenow:\n",
            &format!("servicenow:\n  headers: {text}\n"),
        )
    };
    refused(
        &headers(
            "{X-Empty: '', X-Null: , X-Variable: '${SN_NOT_THERE}', X-Line: \"hidden\\nX: hidden\", X-Letter: hiddän, \
             X-Blank: 'hidden ', X-List: [hidden], X-File: {file: /not/there}, X-Path: {path: /x}, X-No: {}}",
        ),
        expect![[r#"
            config.yaml:2: servicenow.headers.X-Empty: is empty; give it a value, or remove it
            config.yaml:2: servicenow.headers.X-Null: is empty; give it a value, or remove it
            config.yaml:2: servicenow.headers.X-Variable: environment variable `SN_NOT_THERE` is not set; set it where the bridge is started
            config.yaml:2: servicenow.headers.X-Line: holds more than one line, and a secret is one
            config.yaml:2: servicenow.headers.X-Letter: must be printable ASCII, as it goes into a header
            config.yaml:2: servicenow.headers.X-Blank: must not begin or end with a blank, which gets lost in a header
            config.yaml:2: servicenow.headers.X-List: expected one value, found a list
            config.yaml:2: servicenow.headers.X-File.file: cannot use `/not/there`: No such file or directory (os error 2)
            config.yaml:2: servicenow.headers.X-Path.file: is required
            config.yaml:2: servicenow.headers.X-Path.path: unknown key
            config.yaml:2: servicenow.headers.X-No.file: is required
            config.yaml: 11 problems"#]],
    );
    refused(
        &headers("hidden"),
        expect![[r#"
        config.yaml:2: servicenow.headers: expected keys and values, found one value
        config.yaml: 1 problem"#]],
    );
    refused(
        &headers("{X-One: a, x-one: b}"),
        expect![[r#"
        config.yaml:2: servicenow.headers.x-one: is there twice; capital letters make no difference
        config.yaml: 1 problem"#]],
    );
    let many: Vec<String> = (0..17).map(|number| format!("X-{number}: a")).collect();
    refused(
        &headers(&format!("{{{}}}", many.join(", "))),
        expect![[r#"
        config.yaml:2: servicenow.headers: holds more than 16 headers, or more than 4096 bytes
        config.yaml: 1 problem"#]],
    );
    refused(
        &headers(&format!("{{X-Long: {}}}", "a".repeat(4_100))),
        expect![[r#"
        config.yaml:2: servicenow.headers: holds more than 16 headers, or more than 4096 bytes
        config.yaml: 1 problem"#]],
    );
    let key = "type: api_key\n    api_key: {key: a}\n";
    refused(
        &headers("{X-SN-ApiKey: b}").replace("type: basic\n", key),
        expect![[r#"
            config.yaml:2: servicenow.headers.X-SN-ApiKey: is the header of `servicenow.auth.api_key`
            config.yaml: 1 problem"#]],
    );
}

/// Values may come from variables and files, and are not shown.
#[test]
fn headers_are_secrets() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "from-file\n").unwrap();
    let path = file.path().display();
    let text =
        format!("servicenow:\n  headers: {{X-One: '${{SN_SECRET}}', X-Two: {{file: '{path}'}}}}\n");
    let config = good(&LEAST.replace("servicenow:\n", &text));
    let headers = config.servicenow.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect();
    assert_eq!(headers, [("X-One", "topsecret"), ("X-Two", "from-file")]);
    let shown = show(&config);
    assert!(shown.contains("X-Two: '[redacted]'"), "{shown}");
    assert!(!shown.contains("topsecret") && !shown.contains("from-file"));
}
