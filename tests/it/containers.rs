//! The container image and `docker-compose.yml`, as far as they can be tried without a container
//! engine: the compose file's own environment, mounts, commands and health check.

mod image;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_yaml::Value;

use crate::support::bridge::{PROGRAM, texts};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The compose file with `${NAME:-default}` replaced by the default, as without an `.env`.
fn compose() -> Value {
    let text = fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    let mut parts = text.split("${");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (variable, rest) = part.split_once('}').unwrap();
        let (_, default) = variable.split_once(":-").expect("each has a default");
        out.push_str(default);
        out.push_str(rest);
    }
    serde_yaml::from_str(&out).unwrap()
}

fn services(compose: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = compose["services"].as_mapping().unwrap().iter();
    all.map(|(name, service)| (name.as_str().unwrap(), service))
}

/// The texts of a list; none when it is not there.
fn list(value: &Value) -> Vec<&str> {
    let items = value.as_sequence().into_iter().flatten();
    items.map(|item| item.as_str().unwrap()).collect()
}

/// The environment of the service `bridge`.
fn environment(compose: &Value) -> BTreeMap<String, String> {
    let variables = compose["services"]["bridge"]["environment"].as_mapping();
    let pair = |(name, value): (&Value, &Value)| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(name), text(value))
    };
    variables.unwrap().iter().map(pair).collect()
}

/// What stands behind `before` on the line of a file that begins with it, without quotes.
fn value_of(file: &str, before: &str) -> String {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(before));
    let value = line.unwrap_or_else(|| panic!("no line `{before}` in {file}"));
    value.trim_matches('"').to_owned()
}

/// Each is written in several places, of which no tool keeps the others.
#[test]
fn version_compiler_and_user_are_the_same_wherever_they_are_named() {
    let chart = "packaging/helm/servicenow-kafka-bridge/Chart.yaml";
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(value_of(chart, "version: "), version);
    assert_eq!(value_of(chart, "appVersion: "), version);
    let page = fs::read_to_string(root().join("docs/install.md")).unwrap();
    for package in [
        format!("_{version}-1_amd64.deb"),
        format!("-{version}-1.x86_64.rpm"),
    ] {
        assert!(
            page.contains(&package),
            "{package} is not in docs/install.md"
        );
    }
    let compiler = value_of("rust-toolchain.toml", "channel = ");
    assert_eq!(value_of("Dockerfile", "ARG RUST="), compiler);

    let user = value_of("packaging/container/rootfs", "user=");
    let user = user.split(' ').next().unwrap();
    let deployment = "packaging/helm/servicenow-kafka-bridge/templates/deployment.yaml";
    for key in ["runAsUser: ", "runAsGroup: ", "fsGroup: "] {
        assert_eq!(value_of(deployment, &format!("        {key}")), user);
    }
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let mut users = dockerfile.lines().filter(|line| line.starts_with("USER "));
    assert!(users.all(|line| line == format!("USER {user}:{user}")));
}

#[test]
fn the_shipped_configuration_is_accepted_as_it_is() {
    let output = Command::new(PROGRAM)
        .args(["check", "--config", "config.yaml"])
        .current_dir(root())
        .env_clear()
        .envs(environment(&compose()))
        .output()
        .unwrap();
    let (_, errors, code) = texts(&output);
    assert_eq!(code, 0, "{errors}");
}

/// What a user would only see from a container engine: files that are not there, images that change
/// under the same name, ports that a whole network can reach.
#[test]
fn the_compose_file_names_what_is_there_and_opens_nothing_to_others() {
    let compose = compose();
    let known: Vec<&str> = services(&compose).map(|(name, _)| name).collect();
    let volumes = compose["volumes"].as_mapping().unwrap();
    for (name, service) in services(&compose) {
        let image = service["image"].as_str().unwrap();
        let (_, tag) = image.split_once(':').unwrap_or((image, "latest"));
        assert_ne!(tag, "latest", "{name}");
        for port in list(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
        for volume in list(&service["volumes"]) {
            let from = volume.split(':').next().unwrap();
            match from.strip_prefix("./") {
                Some(path) => assert!(root().join(path).exists(), "{name}: {volume}"),
                None => assert!(volumes.contains_key(from), "{name}: {volume}"),
            }
        }
        for other in list(&service["depends_on"]) {
            assert!(known.contains(&other), "{name}: {other}");
        }
    }
    let is_always_on = |service: &Value| service["profiles"].is_null();
    let always: Vec<&str> = services(&compose)
        .filter(|(_, service)| is_always_on(service))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(always, ["kafka", "bridge"]);
    // The bridge answers to its own names only.
    let scraped = fs::read_to_string(root().join("packaging/monitoring/prometheus.yml")).unwrap();
    let name = compose["services"]["bridge"]["hostname"].as_str().unwrap();
    assert!(scraped.contains(&format!("[{name}:8080]")), "{scraped}");
    for (path, image) in [
        ("tests/real-kafka/pom.xml", "apache/kafka:"),
        ("tests/real-registry/pom.xml", "apicurio/apicurio-registry:"),
    ] {
        let all = services(&compose).map(|(_, service)| service["image"].as_str().unwrap());
        let tag = all.filter_map(|it| it.strip_prefix(image)).next().unwrap();
        let tested = fs::read_to_string(root().join(path)).unwrap();
        let wanted = format!("<version>{tag}</version>");
        assert!(
            tested.contains(&wanted),
            "{image}{tag} is not what is tested"
        );
    }
}

/// The last stage of the `Dockerfile`: what the image is.
fn last_stage() -> String {
    let text = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let text = text.replace("\\\n", " ");
    let (_, stage) = text.rsplit_once("\nFROM ").unwrap();
    stage.to_owned()
}

/// The words behind an instruction that is written as a JSON list.
fn words(stage: &str, instruction: &str) -> Vec<String> {
    let mut lines = stage.lines();
    let line = lines.find(|line| line.starts_with(instruction)).unwrap();
    serde_json::from_str(&line[line.find('[').unwrap()..]).unwrap()
}

fn as_text(path: &Path) -> &str {
    path.to_str().unwrap()
}
