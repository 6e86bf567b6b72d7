//! `migrate` in the table of commands.

use crate::cli::command::CliCommand;
use crate::cli::options::MigrateOptions;
use crate::cli::spec::{CommandSpec, InputGroup, OPTIONS};

pub(super) static MIGRATE_COMMAND: CommandSpec = CommandSpec {
    name: "migrate",
    summary: "make a configuration from that of the Go program or of a Connect connector",
    details: "\
Prints a `config.yaml` made from `config.yaml` of the Go program, or from configurations of the
ServiceNow connectors of IBM, Confluent (source and sink, Platform and Cloud, source V2) and OSO for
Kafka Connect: JSON as `GET /connectors/NAME` answers it or as it is posted, properties files, and
KafkaConnector or Connector resources of Kubernetes. Several files make one configuration.

Comments at its top, and stderr, say what must be decided before the first start, what differs from
before and which settings are not needed. Secrets are not copied: each is a `${VAR}` to be set.

`--offsets` takes the answer of `GET /connectors/NAME/offsets`, or records of the offsets topic with
their keys, one a line, and makes a checkpoint file: each table goes on at the begin of the second
that the connector had reached. Without it whole tables are sent again. A sink goes on at the
offsets of the connector's group.

Stop the connector first. Nothing is written over, and no network is touched.",
    inputs: &[InputGroup {
        heading: OPTIONS,
        usage: Some("[OPTIONS]"),
        inputs: MigrateOptions::INPUTS,
    }],
    examples: &[
        "migrate source.json -o config.yaml --offsets connect-offsets.json",
        "migrate sink.json > config.yaml",
    ],
    exit_codes: &[
        (0, "done"),
        (
            1,
            "done, but something must be decided before the first start",
        ),
        (
            64,
            "the command line makes no sense, or a file to be written is there already",
        ),
        (75, "a file could not be written"),
        (78, "a file cannot be read, or is none that is known"),
    ],
    uses_configuration: false,
    build: |given| Ok(CliCommand::Migrate(MigrateOptions::read(given)?)),
    ..CommandSpec::EMPTY
};
