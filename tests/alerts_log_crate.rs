//! Alerts reach a program that logs by the crate `log` and knows nothing of `tracing`: in a process of its own.
#![cfg(feature = "tracing")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Store;
use log::{LevelFilter, Log, Metadata, Record};
use metrics_recall::{AlertRule, Condition, Recall, Severity, secs};
use std::sync::Mutex;

/// What was logged of alerts: level, and text.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Lines;

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.target() == "metrics_recall::alerts" {
            let line = format!("{} {}", record.level(), record.args());
            LINES.lock().unwrap().push(line);
        }
    }

    fn flush(&self) {}
}

/// They went to `tracing` alone, and a program with another log never heard that the store itself was in trouble.
#[test]
fn a_logger_without_tracing_hears_what_fires() {
    log::set_logger(&Lines).unwrap();
    log::set_max_level(LevelFilter::Info);
    let deep = Condition::gauges("depth").by("id").current().above(1.0);
    let rule = AlertRule::new("Deep").when(deep);
    let builder = Recall::builder().max_series_per_metric(3).log_alerts();
    let store = Store::from(builder.alert(rule.severity(Severity::Critical)));
    store.recorder.scope(|| {
        metrics::gauge!("depth", "id" => "a\nb").set(5.0);
        for id in 0..9 {
            metrics::counter!("hits", "id" => id.to_string()).increment(1);
        }
    });
    store.tick(secs(1));
    store.recall.delete("depth").unwrap();
    store.tick(secs(1));
    assert!(store.recall.alerts().drain(secs(60)));
    let lines = LINES.lock().unwrap().clone();
    for (level, text, fields) in [
        (
            "ERROR",
            "firing Deep",
            r#"rule="Deep" state=firing severity=critical"#,
        ),
        ("INFO", "resolved Deep", r#"rule="Deep" state=resolved"#),
        ("WARN", "firing RecallSeriesOverflow", "6 recordings"),
    ] {
        let is = |line: &&String| {
            line.starts_with(level) && line.contains(text) && line.contains(fields)
        };
        assert_eq!(
            lines.iter().filter(is).count(),
            1,
            "{level} {text}: {lines:#?}"
        );
    }
    assert!(!lines.iter().any(|line| line.contains('\n')), "{lines:#?}");
}
