//! What the store records of its own process: names, descriptions, one reading, and counters of fractions.
#![cfg(target_os = "linux")]

mod common;

use common::Store;
use metrics::counter;
use metrics_recall::{Aggregation, Frame, MetricKind, mins, process, secs};
use std::collections::BTreeSet;

/// The table in the documentation is what is emitted, with a description each.
#[test]
fn what_is_emitted_is_what_the_table_says() {
    let text = include_str!("../src/collectors/process/mod.rs");
    let rows = text.lines().filter_map(|line| {
        let mut columns = line.strip_prefix("//! | `")?.split(" | ");
        let name = columns.next()?.trim_end_matches('`');
        let kind = columns.next()?.split(',').next()?;
        Some(format!("{kind} {name}"))
    });
    let documented: BTreeSet<String> = rows.collect();
    assert_eq!(documented.len(), 9);
    let store = Store::default();
    let _collecting = store.recall.collect_process().unwrap();
    store.tick(secs(1));
    let mut emitted = BTreeSet::new();
    for (kind, word) in [
        (MetricKind::Counter, "counter"),
        (MetricKind::Gauge, "gauge"),
    ] {
        let series = store.recall.values(kind).into_iter();
        for series in series.filter(|series| series.name.starts_with("process_")) {
            let labels: Vec<_> = series.labels.iter().map(|(name, _)| name).collect();
            let labels = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", labels.join(","))
            };
            emitted.insert(format!("{word} {}{labels}", series.name));
            let info = store.recall.metric(&series.name).unwrap();
            assert!(info.description.is_some(), "{}", series.name);
        }
    }
    assert_eq!(emitted, documented);
}

#[test]
fn one_reading_records_nothing() {
    let process = process::read().unwrap();
    assert!(process.resident_bytes > Some(1 << 20));
    assert!(process.cpu.is_some() && process.max_fds.is_some());
}

/// Others count with whole increments into a counter of fractions, and fractions of a counter of whole ones are cut.
#[test]
fn a_name_counts_what_it_counted_first() {
    let store = Store::default();
    let joules = store
        .recall
        .fractional_counter(("joules_total", &[("rail", "cpu")]));
    joules.increment(0.25);
    store.recorder.scope(|| {
        for _ in 0..5_000 {
            counter!("joules_total", "rail" => "cpu").increment(1);
        }
        counter!("joules_total", "rail" => "gpu").absolute(7);
        counter!("orders_total").increment(3);
    });
    let orders = store.recall.fractional_counter("orders_total");
    for odd in [2.75, -1.0, f64::NAN, 0.0] {
        orders.increment(odd);
    }
    // What no total can hold came back as one less than nothing.
    for odd in [f64::INFINITY, 1.9e13, f64::MAX] {
        joules.increment(odd);
        joules.absolute(odd);
    }
    store.recorder.scope(|| {
        counter!("joules_total", "rail" => "cpu").increment(u64::MAX);
        counter!("joules_total", "rail" => "cpu").absolute(u64::MAX);
    });
    let health = store.recall.health().to_string();
    for counted in [
        "`joules_total` was given 8 values",
        "`orders_total` was given 2 values",
    ] {
        assert!(health.contains(counted), "{health}");
    }
    store.tick(secs(1));
    let exact = |name: &str| {
        let rate = store.recall.counters(name).over(mins(1));
        rate.eval(Aggregation::Increase).unwrap().value
    };
    assert_eq!(exact("joules_total"), Some(5_000.25));
    assert_eq!(store.recall.counters("joules_total").total(), Some(5_007));
    assert_eq!(exact("orders_total"), Some(5.0));
    let mut reader = store.recall.reader();
    let frames = reader.poll();
    let fractions: Vec<_> = frames.iter().flat_map(Frame::fractions).collect();
    assert_eq!(fractions.len(), 1);
    assert_eq!(
        (&*fractions[0].0, fractions[0].2),
        ("joules_total", 5_000.25)
    );
    let whole: Vec<_> = frames.iter().flat_map(Frame::counters).collect();
    assert!(whole.iter().all(|(name, ..)| &**name == "orders_total"));
}
