//! Alerts reach the program's log, those of the store itself too.
#![cfg(feature = "tracing")]

mod common;

use common::Store;
use metrics_recall::{AlertRule, Condition, Recall, Severity, secs};
use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

/// Lines of level and fields.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        let mut line = Line(format!("{} {}", meta.level(), meta.target()));
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line.0);
    }
}

#[test]
fn what_fires_is_logged_as_bad_as_it_is() {
    let lines = Lines::default();
    tracing_subscriber::registry().with(lines.clone()).init();
    let deep = Condition::gauges("depth").current().above(1.0);
    let builder = Recall::builder()
        .max_series_per_metric(3)
        .alert(
            AlertRule::new("Deep")
                .when(deep)
                .severity(Severity::Critical),
        )
        .log_alerts();
    let store: Store = builder.into();
    store.recorder.scope(|| {
        metrics::gauge!("depth").set(5.0);
        for id in 0..9 {
            metrics::counter!("hits", "id" => id.to_string()).increment(1);
        }
    });
    store.tick(secs(1));
    store.recorder.scope(|| metrics::gauge!("depth").set(0.0));
    store.tick(secs(1));
    assert!(store.recall.alerts().drain(secs(60)));
    let lines = lines.0.lock().unwrap().clone();
    let has = |level: &str, rule: &str, state: &str| {
        let is = |line: &&String| {
            line.starts_with(&format!("{level} metrics_recall::alerts"))
                && line.contains(&format!("rule=\"{rule}\" state={state}"))
        };
        assert_eq!(
            lines.iter().filter(is).count(),
            1,
            "{level} {rule} {state}: {lines:#?}"
        );
    };
    has("ERROR", "Deep", "firing");
    has("INFO", "Deep", "resolved");
    has("WARN", "RecallSeriesOverflow", "firing");
}
