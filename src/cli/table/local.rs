//! Commands that need nothing but their configuration, or not even that.

use crate::cli::command::{AdminAction, CliCommand, HelpTopic};
use crate::cli::options::{
    CheckOptions, CompletionsOptions, DoctorOptions, HelpOptions, ManOptions, ShowConfigOptions,
};
use crate::cli::spec::{CommandSpec, options_of};

pub(in crate::cli) static RUN_COMMAND: CommandSpec = CommandSpec {
    name: "run",
    summary: "move records until SIGTERM or SIGINT (default)",
    details: "\
Reads each table of `source.tables` from where its checkpoint stands, sends every row to its
Kafka topic, and moves the checkpoint after Kafka has acknowledged. Logs go to stderr. A status
page, health and metrics are served at `observability.addr`: /, /healthz, /readyz, /metrics.

When the configuration or a file that it names changes, only what changed starts again; SIGHUP and
`reload` do the same. An edit that is not valid, or whose credentials do not work, changes nothing.

SIGTERM or SIGINT stops: rows under way are delivered within `shutdown_timeout` and checkpoints
written. A second signal leaves at once; nothing is lost, some rows are sent again at the next
start.",
    examples: &["run -c config.yaml"],
    exit_codes: &[
        (0, "stopped with everything delivered"),
        (70, "a bug in this program"),
        (
            75,
            "stopped with work undelivered, or another process has the port or the checkpoint file; \
             the next start continues from the checkpoint",
        ),
        (
            78,
            "the configuration or the checkpoint file must be put right first",
        ),
    ],
    build: |_| Ok(CliCommand::Run),
    ..CommandSpec::EMPTY
};

pub(super) static CHECK_COMMAND: CommandSpec = CommandSpec {
    name: "check",
    summary: "check the configuration; with --connect also what it names",
    details: "\
Checks the configuration as `run` does and lists everything that is wrong, each with its line and
key, then what it names on this machine: certificates, librdkafka's properties, the checkpoint file.
What passes does not keep `run` from starting. No network is touched and nothing is written.",
    inputs: &[options_of(CheckOptions::INPUTS)],
    examples: &[
        "check",
        "check --connect -c new.yaml && mv new.yaml config.yaml",
    ],
    exit_codes: &[
        (0, "nothing is wrong"),
        (
            75,
            "the configuration is good, but what it names is not as it says (--connect)",
        ),
        (78, "the configuration must be put right first"),
    ],
    build: |given| Ok(CliCommand::Check(CheckOptions::read(given)?)),
    ..CommandSpec::EMPTY
};

pub(super) static DOCTOR_COMMAND: CommandSpec = CommandSpec {
    name: "doctor",
    summary: "look at everything a first day can go wrong with, and say what to do",
    details: "\
Looks at the configuration; at this host (room and speed of the checkpoint's folder, limits); at
the instance (name lookup, TLS, proxy, log-in, clock, limits, and each table: rows, hidden rows,
columns, index); at Kafka (brokers, topics, sizes, rights, the sink's group); and at the schema
registry. Each line says `ok`, `warning` or `FAILED`, what was seen, and below it what to do.

It writes nothing to the instance, Kafka or the registry, and does not disturb a bridge that runs:
it takes no lock, joins no group, and logs in once. Rights and limits are those of the user who
calls it: call it as the user who runs the bridge. It takes some seconds, five minutes at most.

`check --connect` looks at the same of the instance, Kafka and the registry, a line each.",
    inputs: &[options_of(DoctorOptions::INPUTS)],
    examples: &[
        "doctor -c /etc/servicenow-kafka-bridge/config.yaml",
        "doctor --json | jq '.findings[] | select(.level != \"ok\")'",
    ],
    exit_codes: &[
        (0, "everything is well"),
        (1, "there are warnings"),
        (2, "there are failures, of the configuration too"),
        (64, "the command line makes no sense"),
        (75, "the output could not be written"),
    ],
    build: |given| Ok(CliCommand::Doctor(DoctorOptions::read(given)?)),
    ..CommandSpec::EMPTY
};

pub(super) static SHOW_CONFIG_COMMAND: CommandSpec = CommandSpec {
    name: "show-config",
    summary: "print every setting in effect, secrets redacted",
    details: "\
Prints every setting in effect as YAML on stdout: defaults filled in, variables replaced, values
of `*_file` keys read, secrets as `[redacted]`. What is null is not set.",
    inputs: &[options_of(ShowConfigOptions::INPUTS)],
    examples: &["show-config -c config.yaml | less"],
    exit_codes: &[
        (0, "printed"),
        (78, "the configuration must be put right first"),
    ],
    build: |given| {
        Ok(if ShowConfigOptions::read(given)?.running {
            CliCommand::Admin(AdminAction::Config)
        } else {
            CliCommand::ShowConfig
        })
    },
    ..CommandSpec::EMPTY
};

pub(super) static RELOAD_COMMAND: CommandSpec = CommandSpec {
    name: "reload",
    summary: "let the running bridge read its configuration again",
    details: "\
Lets the running bridge read its configuration again. It does so by itself when the file changes;
this is for file systems that tell no changes, and for scripts that want to know the outcome.

The configuration is checked here first: with problems nothing is sent. The bridge is found by the
lock beside `offset.file_path`, gets SIGHUP, and is asked at `observability.addr` what became of it.",
    examples: &["reload -c /etc/servicenow-kafka-bridge/config.yaml"],
    exit_codes: &[
        (
            0,
            "reloaded, or sent where the outcome cannot be told (the output says which)",
        ),
        (
            75,
            "no bridge runs with this checkpoint, or it did not use the configuration",
        ),
        (78, "the configuration must be put right first"),
    ],
    build: |_| Ok(CliCommand::Reload),
    ..CommandSpec::EMPTY
};

pub(super) static VERSION_COMMAND: CommandSpec = CommandSpec {
    name: "version",
    summary: "print one line with version and commit",
    details: "Prints name, version, commit, its day, and the target that it was built for.",
    examples: &["version"],
    exit_codes: &[(0, "printed")],
    uses_configuration: false,
    build: |_| Ok(CliCommand::Version),
    ..CommandSpec::EMPTY
};

pub(in crate::cli) static HELP_COMMAND: CommandSpec = CommandSpec {
    name: "help",
    summary: "say more about a command",
    details: "Prints what a command does and takes; without one, what there is.",
    inputs: &[options_of(HelpOptions::INPUTS)],
    examples: &["help check"],
    exit_codes: &[(0, "printed"), (64, "there is no such command")],
    uses_configuration: false,
    build: |given| {
        let topic = HelpTopic(HelpOptions::read(given)?.command);
        Ok(CliCommand::Help(topic))
    },
    ..CommandSpec::EMPTY
};

pub(super) static MAN_COMMAND: CommandSpec = CommandSpec {
    name: "man",
    summary: "print a manual page, for man(1)",
    details: "\
Prints servicenow-kafka-bridge(1), the manual page with every command and flag, as roff; or
servicenow-kafka-bridge-config(5) with every key of the configuration, or the overview,
servicenow-kafka-bridge(7). Packages install them; without one, man(1) shows them from here.",
    inputs: &[options_of(ManOptions::INPUTS)],
    examples: &[
        "man | man -l -",
        "man config > /usr/share/man/man5/servicenow-kafka-bridge-config.5",
    ],
    exit_codes: &[(0, "printed")],
    uses_configuration: false,
    build: |given| {
        let page = ManOptions::read(given)?.page.unwrap_or_default();
        Ok(CliCommand::Man(page))
    },
    ..CommandSpec::EMPTY
};

pub(super) static COMPLETIONS_COMMAND: CommandSpec = CommandSpec {
    name: "completions",
    summary: "print completions for bash, zsh or fish",
    details: "\
Prints a script that lets the shell complete commands, flags and their values. Packages install it:
bash reads /usr/share/bash-completion/completions/servicenow-kafka-bridge, zsh a file
_servicenow-kafka-bridge in a folder of its `fpath`, fish
/usr/share/fish/vendor_completions.d/servicenow-kafka-bridge.fish.",
    inputs: &[options_of(CompletionsOptions::INPUTS)],
    examples: &[
        "completions bash > /etc/bash_completion.d/servicenow-kafka-bridge",
        "completions fish > ~/.config/fish/completions/servicenow-kafka-bridge.fish",
    ],
    exit_codes: &[(0, "printed"), (64, "the command line makes no sense")],
    uses_configuration: false,
    build: |given| {
        Ok(CliCommand::Completions(
            CompletionsOptions::read(given)?.shell,
        ))
    },
    ..CommandSpec::EMPTY
};
