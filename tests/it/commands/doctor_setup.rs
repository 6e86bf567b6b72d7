//! A healthy set-up, faults to plant in it, and whether `doctor` finds them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use real_kafka::Embedded;
use servicenow_sim::{Generator, Options, Sim};
use tempfile::TempDir;

use crate::avro::with_registry;
use crate::support::bridge::{PROGRAM, texts};
use crate::support::config::Config;
use crate::support::registry::FakeRegistry;

/// A healthy set-up before a fault is planted in it.
pub(super) struct Setup {
    pub(super) sim: Sim,
    _kafka: Embedded,
    folder: TempDir,
    pub(super) config: Config,
    /// Put in place of a text of the configuration's file.
    pub(super) edit: Option<(&'static str, &'static str)>,
    registry: Option<FakeRegistry>,
    /// In front of the program, for its limits.
    pub(super) prelude: &'static str,
}

/// A fault, and what `doctor` must say of it.
pub(super) struct Planted {
    name: &'static str,
    options: fn() -> Options,
    plant: fn(&mut Setup),
    level: &'static str,
    /// Words of one finding: subject, what was seen, cure.
    words: &'static [&'static str],
}

impl Planted {
    pub(super) const fn new(
        name: &'static str,
        level: &'static str,
        words: &'static [&'static str],
        plant: fn(&mut Setup),
    ) -> Planted {
        Planted {
            name,
            options: Options::default,
            plant,
            level,
            words,
        }
    }

    pub(super) const fn with(mut self, options: fn() -> Options) -> Planted {
        self.options = options;
        self
    }
}

impl Setup {
    pub(super) fn new(options: Options) -> Setup {
        let sim = Sim::start(options).unwrap();
        let rows = Generator::new(1, 500, sim.now() - 3600).take(10);
        sim.insert_many("incident", rows).unwrap();
        let kafka = Embedded::start(3).unwrap();
        kafka.create_topic("servicenow.incident").unwrap();
        let config = Config::new(sim.url(), kafka.bootstrap());
        Setup {
            config: config.source("slow_poll_interval: 30s"),
            sim,
            _kafka: kafka,
            folder: tempfile::tempdir().unwrap(),
            edit: None,
            registry: None,
            prelude: "",
        }
    }

    pub(super) fn url(&mut self, url: &str) {
        self.config.servicenow = self.config.servicenow.replace(self.sim.url(), url);
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn with_avro(&mut self) -> &FakeRegistry {
        let registry = FakeRegistry::start();
        self.config = with_registry(self.config.clone(), &registry.url(), "style: strings");
        self.registry.insert(registry)
    }

    /// Writes the configuration, which only its owner may read.
    pub(super) fn write(&self) {
        let mut text = self.config.text();
        // The test's own interval is in the way of the one that was added.
        text = text.replacen("slow_poll_interval: 100ms\n  ", "", 1);
        if let Some((from, to)) = self.edit {
            assert!(text.contains(from), "no `{from}` in {text}");
            text = text.replace(from, to);
        }
        let file = self.path("config.yaml");
        fs::write(&file, text).unwrap();
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&file, mode).unwrap();
    }

    pub(super) fn doctor(&self) -> Output {
        let script = format!("{} exec {PROGRAM} doctor --json", self.prelude);
        Command::new("sh")
            .args(["-c", &script])
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }
}

/// Plants each fault in a set-up of its own.
pub(super) fn find(faults: &[Planted]) {
    for fault in faults {
        let name = fault.name;
        let mut setup = Setup::new((fault.options)());
        (fault.plant)(&mut setup);
        setup.write();
        if name == "a password that others may read" {
            let mode = fs::Permissions::from_mode(0o644);
            fs::set_permissions(setup.path("config.yaml"), mode).unwrap();
        }
        let (output, errors, code) = texts(&setup.doctor());
        let report: serde_json::Value = serde_json::from_str(&output)
            .unwrap_or_else(|why| panic!("{name}: {why}: {output}{errors}"));
        let findings = report["findings"].as_array().unwrap();
        let text_of = |finding: &serde_json::Value| {
            let parts = ["subject", "seen", "cure"].map(|key| finding[key].as_str().unwrap_or(""));
            parts.join(" | ")
        };
        let found = findings.iter().any(|finding| {
            let text = text_of(finding);
            finding["level"] == fault.level && fault.words.iter().all(|word| text.contains(word))
        });
        assert!(found, "{name}: not found in {output}");
        let expected = if fault.level == "failure" { 2 } else { 1 };
        assert_eq!(code, expected, "{name}: {output}");
        // It looks, and writes nothing.
        let requests = setup.sim.requests();
        let writes = requests
            .iter()
            .filter(|request| request.method != "GET" && !request.is_token());
        assert_eq!(writes.count(), 0, "{name}");
        assert!(setup.sim.writes().is_empty(), "{name}");
    }
}
