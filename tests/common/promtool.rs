//! What Prometheus' own tool says of a text.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// What `promtool check metrics` says: `None` if it is not installed, which in CI is a failure. 0 is fine, 3 a matter of
/// style, anything else no metrics.
pub fn promtool(text: &str) -> Option<(i32, String)> {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            let in_ci = std::env::var_os("CI").is_some() && cfg!(target_os = "linux");
            assert!(!in_ci, "promtool: {error}; `.ci/run` installs it");
            return None;
        }
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Some((output.status.code().unwrap(), said))
}
