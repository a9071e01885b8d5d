//! What is packaged fits the program: metrics that are asked for exist, settings and rules load.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use regex::Regex;

use crate::support::write_tree;

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every metric of the catalogue by the names that a scrape shows: a histogram has three.
fn series() -> BTreeSet<String> {
    let telemetry = text("src/telemetry.rs");
    let catalogue = telemetry.split("const CATALOGUE").nth(1).and_then(|rest| rest.split("\n];").next());
    let entry = Regex::new(r#"Kind::([A-Za-z]+),\s*"(rollcall_[a-z_]+)""#).expect("a pattern");
    let mut series = BTreeSet::new();
    for found in entry.captures_iter(catalogue.expect("the catalogue")) {
        let name = &found[2];
        if &found[1] == "Histogram" {
            series.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
        }
        series.insert(name.to_owned());
    }
    assert!(series.len() > 10, "the catalogue was read: {series:?}");
    series
}

#[test]
fn dashboard_alerts_and_guide_name_metrics_that_there_are() {
    let (series, name) = (series(), Regex::new("rollcall_[a-z_]*[a-z]").expect("a pattern"));
    for path in ["packaging/grafana/rollcall.json", "packaging/prometheus/alerts.yml", "docs/operating.md"] {
        let text = text(path);
        let named: BTreeSet<&str> = name.find_iter(&text).map(|found| found.as_str()).collect();
        assert!(!named.is_empty(), "{path} names metrics");
        let unknown: Vec<_> = named.into_iter().filter(|name| !series.contains(*name)).collect();
        assert!(unknown.is_empty(), "{path} names what is no metric: {unknown:?}");
    }
}

#[test]
fn every_alert_is_in_the_guide() {
    let (alerts, guide) = (text("packaging/prometheus/alerts.yml"), text("docs/operating.md"));
    let named = Regex::new(r"- alert: (\w+)").expect("a pattern");
    let alerts: Vec<String> = named.captures_iter(&alerts).map(|found| found[1].to_owned()).collect();
    assert!(alerts.len() > 10, "the alerts were read: {alerts:?}");
    let missing: Vec<_> = alerts.iter().filter(|alert| !guide.contains(alert.as_str())).collect();
    assert!(missing.is_empty(), "docs/operating.md does not say what to do at {missing:?}");
}

/// `rollcall check` with these settings.
fn check(rules: &Path, config: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command.arg("check").arg(rules).arg("--config").arg(config);
    let output = command.output().expect("run the binary");
    assert!(output.status.success(), "{}: {}", config.display(), String::from_utf8_lossy(&output.stderr));
}

#[test]
fn packaged_settings_are_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for config in ["config.toml", "packaging/debian/config.toml", "packaging/docker/config.toml"] {
        check(&root.join("rules"), &root.join(config));
    }
}

/// The texts of a ConfigMap's `data`: each key, and its lines without their indentation.
fn config_map(manifest: &str) -> Vec<(String, String)> {
    let data = manifest.split("\ndata:\n").nth(1).expect("data");
    let mut files: Vec<(String, String)> = Vec::new();
    for line in data.lines() {
        if let Some(text) = line.strip_prefix("    ") {
            let (_, file) = files.last_mut().expect("a key before its text");
            file.push_str(text);
            file.push('\n');
        } else if let Some(key) = line.strip_prefix("  ").and_then(|line| line.strip_suffix(": |")) {
            files.push((key.to_owned(), String::new()));
        } else if let Some((_, file)) = files.last_mut() {
            file.push('\n');
        }
    }
    files
}

#[test]
fn rules_of_the_kubernetes_example_load_as_they_are_mounted() {
    let files = config_map(&text("packaging/kubernetes/rules.yaml"));
    let item = Regex::new(r"- key: (\S+)\s+path: (\S+)").expect("a pattern");
    let set = text("packaging/kubernetes/statefulset.yaml");
    let paths: Vec<(&str, &str)> =
        item.captures_iter(&set).map(|found| found.extract()).map(|(_, [key, path])| (key, path)).collect();
    let keys: Vec<&str> = files.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, paths.iter().map(|(key, _)| *key).collect::<Vec<_>>(), "each key has its path");

    let home = tempfile::tempdir().expect("a folder");
    let tree: Vec<(&str, &str)> =
        paths.iter().zip(&files).map(|((_, path), (_, text))| (*path, text.as_str())).collect();
    write_tree(&home.path().join("..1"), &tree);
    symlink("..1", home.path().join("..data")).expect("a link");
    symlink("..data/default", home.path().join("default")).expect("a link");
    let config = home.path().join(".config.toml");
    let (_, settings) = config_map(&text("packaging/kubernetes/config.yaml")).remove(0);
    fs::write(&config, settings).expect("write the settings");
    check(home.path(), &config);
}
