//! The help texts.

/// What a help text is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelpTopic {
    /// The program as a whole.
    General,
    /// `run`.
    Run,
    /// `check`.
    Check,
    /// `show-config`.
    ShowConfig,
    /// `reload`.
    Reload,
    /// `checkpoint`.
    Checkpoint,
    /// `dead-letters`.
    DeadLetters,
    /// What is asked of a running bridge.
    Admin,
    /// `schema`.
    Schema,
}

impl HelpTopic {
    /// The topic of a command.
    pub(super) fn named(word: &str) -> Option<HelpTopic> {
        match word {
            "run" => Some(HelpTopic::Run),
            "check" => Some(HelpTopic::Check),
            "show-config" => Some(HelpTopic::ShowConfig),
            "reload" => Some(HelpTopic::Reload),
            "checkpoint" => Some(HelpTopic::Checkpoint),
            "dead-letters" => Some(HelpTopic::DeadLetters),
            "admin" => Some(HelpTopic::Admin),
            word if super::admin::ADMIN_COMMANDS.contains(&word) => Some(HelpTopic::Admin),
            "schema" => Some(HelpTopic::Schema),
            _ => None,
        }
    }

    /// What to add to `help` to read the text.
    pub(super) fn argument(self) -> &'static str {
        match self {
            HelpTopic::General => "",
            HelpTopic::Run => " run",
            HelpTopic::Check => " check",
            HelpTopic::ShowConfig => " show-config",
            HelpTopic::Reload => " reload",
            HelpTopic::Checkpoint => " checkpoint",
            HelpTopic::DeadLetters => " dead-letters",
            HelpTopic::Admin => " admin",
            HelpTopic::Schema => " schema",
        }
    }
}

/// The help text of a topic, with a newline at its end.
pub fn help(topic: HelpTopic) -> &'static str {
    match topic {
        HelpTopic::General => GENERAL_HELP,
        HelpTopic::Run => RUN_HELP,
        HelpTopic::Check => CHECK_HELP,
        HelpTopic::ShowConfig => SHOW_CONFIG_HELP,
        HelpTopic::Reload => RELOAD_HELP,
        HelpTopic::Checkpoint => CHECKPOINT_HELP,
        HelpTopic::DeadLetters => DEAD_LETTERS_HELP,
        HelpTopic::Admin => ADMIN_HELP,
        HelpTopic::Schema => SCHEMA_HELP,
    }
}

const GENERAL_HELP: &str = "\
servicenow-kafka-bridge moves records between ServiceNow tables and Kafka topics.

usage: servicenow-kafka-bridge [COMMAND] [-c FILE]

commands:
  run           move records until SIGTERM or SIGINT (default)
  check         check the configuration; with --connect also what it names
  show-config   print every setting in effect, secrets redacted
  reload        let the running bridge read its configuration again
  checkpoint    show, set or reset how far a table has been read
  dead-letters  look at records that could not be written, send them again, or drop them
  schema        show or register the Avro schema of a table
  version       print one line with version and commit
  help COMMAND  say more about a command

of a running bridge (`help admin`):
  status, threads                  print what it is doing
  pause NAME, resume NAME          a table, or a topic of the sink
  poll TABLE                       poll it now
  refresh-token                    get a new access token
  log-level LEVEL                  log from this level on

options:
  -c, --config FILE   the configuration (default: config.yaml)
  -V, --version       as `version`
  -h, --help          as `help`
  -config and -version with one dash work too.

examples:
  servicenow-kafka-bridge check --connect -c /etc/servicenow-kafka-bridge/config.yaml
  servicenow-kafka-bridge -c /etc/servicenow-kafka-bridge/config.yaml

exit codes:
  0   done
  1   some dead letters could not be replayed; the running bridge refused
  64  the command line makes no sense
  70  a bug in this program
  75  stopped with work undelivered, something did not answer, or the port or the checkpoint file
      is in use; safe to start again
  78  the configuration or the checkpoint file must be put right first
";

const RUN_HELP: &str = "\
usage: servicenow-kafka-bridge [run] [-c FILE]

Reads each table of `source.tables` from where its checkpoint stands, sends every row to its
Kafka topic, and moves the checkpoint after Kafka has acknowledged. Logs go to stderr. A status
page, health and metrics are served at `observability.addr`: /, /healthz, /readyz, /metrics.

When the configuration or a file that it names changes, only what changed starts again; SIGHUP and
`reload` do the same. An edit that is not valid, or whose credentials do not work, changes nothing.

SIGTERM or SIGINT stops: rows under way are delivered within `shutdown_timeout` and checkpoints
written. A second signal leaves at once; nothing is lost, some rows are sent again at the next
start.

options:
  -c, --config FILE   the configuration (default: config.yaml)

example:
  servicenow-kafka-bridge run -c config.yaml

exit codes:
  0   stopped with everything delivered
  70  a bug in this program
  75  stopped with work undelivered, or another process has the port or the checkpoint file; the
      next start continues from the checkpoint
  78  the configuration or the checkpoint file must be put right first
";

const CHECK_HELP: &str = "\
usage: servicenow-kafka-bridge check [--connect] [-c FILE]

Checks the configuration as `run` does and lists everything that is wrong, each with its line and
key. No network is touched.

options:
  --connect           also log in to the instance, read one row of every table, measure the
                      user's time zone and the clock, and ask Kafka for the topics and the
                      schema registry for the schemas
  -c, --config FILE   the configuration (default: config.yaml)

examples:
  servicenow-kafka-bridge check
  servicenow-kafka-bridge check --connect -c new.yaml && mv new.yaml config.yaml

exit codes:
  0   nothing is wrong
  75  the configuration is good, but what it names is not as it says (--connect)
  78  the configuration must be put right first
";

const SHOW_CONFIG_HELP: &str = "\
usage: servicenow-kafka-bridge show-config [--running] [-c FILE]

Prints every setting in effect as YAML on stdout: defaults filled in, variables replaced, values
of `*_file` keys read, secrets as `[redacted]`. What is null is not set.

options:
  --running           ask the running bridge what it runs with, as JSON (see `help admin`)
  -c, --config FILE   the configuration (default: config.yaml)

example:
  servicenow-kafka-bridge show-config -c config.yaml | less

exit codes:
  0   printed
  78  the configuration must be put right first
";

const RELOAD_HELP: &str = "\
usage: servicenow-kafka-bridge reload [-c FILE]

Lets the running bridge read its configuration again. It does so by itself when the file changes;
this is for file systems that tell no changes, and for scripts that want to know the outcome.

The configuration is checked here first: with problems nothing is sent. The bridge is found by the
lock beside `offset.file_path`, gets SIGHUP, and is asked at `observability.addr` what became of it.

options:
  -c, --config FILE   the configuration (default: config.yaml)

exit codes:
  0   reloaded, or sent where the outcome cannot be told (the output says which)
  75  no bridge runs with this checkpoint, or it did not use the configuration
  78  the configuration must be put right first
";

const CHECKPOINT_HELP: &str = "\
usage: servicenow-kafka-bridge checkpoint show [TABLE] [-c FILE]
       servicenow-kafka-bridge checkpoint set TABLE --timestamp TIME [--last-identifier ID]
       servicenow-kafka-bridge checkpoint reset TABLE

A checkpoint says how far a table has been read: a time and the identifier of the last row of
that second that Kafka has acknowledged. The file is `offset.file_path` of the configuration.
Stop the bridge before `set` and `reset`: one process owns the file.

  show    print the position of one table or of all
  set     continue after this position: rows from that second on are sent (again)
  reset   forget the position: the table is read from its beginning, or as far back as
          `source.initial_query_hours_ago` says

options:
  --timestamp TIME      epoch seconds, `2026-01-31 08:15:00` (UTC) or `2026-01-31T08:15:00Z`
  --last-identifier ID  the last row of that second that is done (default: none, so that the
                        whole second is read)
  -c, --config FILE     the configuration (default: config.yaml)

examples:
  servicenow-kafka-bridge checkpoint show
  servicenow-kafka-bridge checkpoint set incident --timestamp '2026-01-31 08:15:00'

exit codes:
  0   done
  64  the command line makes no sense
  75  another process has the checkpoint file
  78  the configuration or the checkpoint file must be put right first
";

const DEAD_LETTERS_HELP: &str = "\
usage: servicenow-kafka-bridge dead-letters list|replay|drop [FILTER ...] [-c FILE]
       servicenow-kafka-bridge dead-letters show PLACE [--json] [-c FILE]

A record that ServiceNow refuses is written to the topic `sink.dlq_topic`, with the reason. Each
letter has a place there, partition and offset: `0:12`.

  list    print a line for each letter
  show    print all of one letter, with what was to be written
  replay  send the records to their topics again, where the sink finds them. It may be
          interrupted and repeated: what was acknowledged is marked as done, not sent again
  drop    mark letters as done without sending them; the topic keeps them

The marks are the committed offsets of the group `{sink.group_id}-dead-letters`; the Kafka user
needs Describe and Read on it. Kafka forgets them `offsets.retention.minutes` (7 days) after the
last replay or drop: do not keep letters longer than that in the topic, or use --since. Run one
replay at a time.

filters, of which all must hold:
  --table T           was to be written to this table
  --topic T           comes from this topic
  --kind K            kind of error, see below
  --since TIME        written at this time or later
  --until TIME        written before this time
  --key K             key of the record, as it is or as `show` prints it
  --offset WHERE      place of the letter: `0:12`, `0:12-20`, or `12-20` in every partition
  --limit N           no more than N letters

options:
  --all               list: also what is done; drop: every letter, without a filter
  --json              JSON lines instead of a table, for show the letter as it is
  --dry-run           replay, drop: only say which letters
  --direct            replay: write to the instance at once instead of sending to the topic
  -c, --config FILE   the configuration (default: config.yaml)

TIME is epoch seconds, `2026-01-31 08:15:00` (UTC) or `2026-01-31T08:15:00Z`.

kinds of error:
  the bytes      invalid_json, invalid_headers, invalid_key, invalid_avro, invalid_schema,
                 unknown_schema, unsupported_format; unreadable: it is no letter
  what it asks   invalid_operation, invalid_identity, no_identity, key_field_ignored, ambiguous,
                 ambiguous_key
  the verdict    business_rule, data_policy, acl, forbidden, unauthorized, not_found, bad_request,
                 too_large, failed, not_executed, server, status
  the way        rate_limited, timeout, network, tls, redirect, not_json, body, setup, stopped,
                 internal

examples:
  servicenow-kafka-bridge dead-letters list --table incident --since '2026-01-31 08:00:00'
  servicenow-kafka-bridge dead-letters show 0:12
  servicenow-kafka-bridge dead-letters replay --kind forbidden --dry-run
  servicenow-kafka-bridge dead-letters drop --offset 0:12

exit codes:
  0   done
  1   some letters could not be replayed; each is named
  64  the command line makes no sense
  75  interrupted, not acknowledged, or Kafka does not answer; safe to start again
  78  the configuration must be put right first, or has no `sink.dlq_topic`
";

const ADMIN_HELP: &str = "\
usage: servicenow-kafka-bridge status [--json] [-c FILE]
       servicenow-kafka-bridge threads [--json]
       servicenow-kafka-bridge pause NAME
       servicenow-kafka-bridge resume NAME
       servicenow-kafka-bridge poll TABLE
       servicenow-kafka-bridge refresh-token
       servicenow-kafka-bridge log-level error|warn|info|debug|trace
       servicenow-kafka-bridge show-config --running

Asks a bridge that runs with the same configuration, at `observability.addr` (`:8080` is
127.0.0.1:8080). All but `status` need `observability.admin_token_file`, which both read.

  status         what it is doing, as the page at its address shows it
  threads        its threads, and what they promised
  pause, resume  stop a table or a topic of the sink, and let it go on; a restart forgets it
  poll           poll a table now instead of at the end of its interval
  refresh-token  get a new access token
  log-level      log from this level on, until a reload that changes `log_level`

Of the configuration only `observability` has to be right; other problems are told.

options:
  --json              the whole answer as JSON
  -c, --config FILE   the configuration (default: config.yaml)

examples:
  servicenow-kafka-bridge status
  servicenow-kafka-bridge pause incident -c /etc/servicenow-kafka-bridge/config.yaml

exit codes:
  0   done
  1   the bridge refused, and says why
  64  the command line makes no sense
  75  no answer: it does not run, or is too busy
  78  the configuration has no token, or not the one that the bridge has
";

const SCHEMA_HELP: &str = "\
usage: servicenow-kafka-bridge schema show TABLE [--json] [-c FILE]
       servicenow-kafka-bridge schema diff TABLE [--json]
       servicenow-kafka-bridge schema register TABLE [--json]

The Avro schema of a table of `source.tables`, made of its configuration and, where that does not
name the columns or wants their types, of the dictionary of the instance. A schema that is
registered already grows and never shrinks. `run` registers by itself unless
`schema_registry.auto_register` is false.

  show      print the schema that would be registered, and its subject
  diff      say how it differs from the one that is registered, and whether the registry would
            take it
  register  register it, and the one of the key with `key: avro`

options:
  --json              print one JSON object
  -c, --config FILE   the configuration (default: config.yaml)

examples:
  servicenow-kafka-bridge schema diff incident
  servicenow-kafka-bridge schema show incident --json | jq .schema

exit codes:
  0   done, whether there is a difference or not
  64  the command line makes no sense
  75  the instance or the registry did not answer
  78  the configuration, or what is registered, must be put right first
";
