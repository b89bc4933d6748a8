//! What the reference parser of OpenMetrics, that of Prometheus' Python client, reads of a text.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::text::Sample;
use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

const SCRIPT: &str = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for family in parse(sys.stdin.buffer.read().decode()):
    for sample in family.samples:
        print(json.dumps([sample.name, sample.labels, repr(float(sample.value))]))
";

/// All samples, or what it finds fault with; `None` if it is not installed, which in CI is a failure.
pub fn openmetrics(text: &str) -> Option<Result<Vec<(Sample, f64)>, String>> {
    let child = Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let said = child.and_then(|mut child| {
        let mut stdin = child.stdin.take().unwrap();
        // A parser that is not there reads nothing.
        let _ = stdin.write_all(text.as_bytes());
        drop(stdin);
        child.wait_with_output()
    });
    let missing = match &said {
        Err(error) => Some(error.to_string()),
        Ok(output) => {
            let wrong = String::from_utf8_lossy(&output.stderr);
            wrong.contains("ModuleNotFoundError").then(|| wrong.into())
        }
    };
    if let Some(missing) = missing {
        let in_ci = std::env::var_os("CI").is_some() && cfg!(target_os = "linux");
        assert!(
            !in_ci,
            "python3-prometheus-client: {missing}; `.ci/run` installs it"
        );
        return None;
    }
    let output = said.unwrap();
    if !output.status.success() {
        return Some(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let lines = std::str::from_utf8(&output.stdout).unwrap().lines();
    let sample = |line| {
        type Row = (String, BTreeMap<String, String>, String);
        let (name, labels, value): Row = serde_json::from_str(line).unwrap();
        ((name, labels), value.parse().unwrap())
    };
    Some(Ok(lines.map(sample).collect()))
}
