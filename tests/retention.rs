//! Retention rules: which are refused, when they may change, and that no recording is lost to them.

mod common;

use common::Store;
use metrics::{Level, counter, gauge, histogram};
use metrics_recall::{MetricKind, Recall, RetentionRule, mins, secs};

fn short(name: &str, minutes: u64) -> RetentionRule {
    RetentionRule::new().name(name).keep([mins(minutes)])
}

/// Three rules, each with a retention of its own.
fn store() -> Store {
    let builder = Recall::builder().max_series_per_metric(2);
    let rules = (1..=3).map(|n| short(&format!("{n}_*"), n));
    Store::from(rules.fold(builder, metrics_recall::RecallBuilder::retain))
}

#[test]
fn series_of_every_class_are_recorded_alike() {
    let store = store();
    store.recorder.scope(|| {
        for name in ["1_n", "2_n", "3_n", "n"] {
            for label in ["a", "b", "c", "d"] {
                counter!(name, "l" => label).increment(2);
                histogram!(name, "l" => label).record(1.0);
            }
            gauge!(name).set(7.0);
        }
    });
    store.tick(secs(1));
    for name in ["1_n", "2_n", "3_n", "n"] {
        let counters = store.recall.counters(name);
        assert_eq!(counters.total(), Some(8));
        assert_eq!(counters.clone().over(secs(1)).increase(), Some(8));
        assert_eq!(counters.label("overflow", "true").total(), Some(4));
        let count = store.recall.histograms(name).over(secs(1)).count();
        assert_eq!(count, Some(4));
        assert_eq!(store.recall.gauges(name).current(), Some(7.0));
    }
}

#[test]
fn rules_that_no_series_has_met_can_become_others() {
    let store = store();
    for minutes in 4..20 {
        let rules = (0..3).map(|n| short("*", minutes + n)).collect();
        store.recall.set_retention_rules(rules).unwrap();
    }
    store.recall.set_retention_rules(Vec::new()).unwrap();
    let other = Store::default();
    other.recall.set_retention_rules(Vec::new()).unwrap();
    assert_eq!(store.recall.memory().used, other.recall.memory().used);
}

#[test]
fn a_retention_that_series_have_stays_one_of_four() {
    let store = store();
    store.recorder.scope(|| {
        counter!("1_n").increment(1);
        gauge!("2_n").set(1.0);
    });
    let recall = &store.recall;
    // Rules may go whose series stay; their retentions are not forgotten.
    recall.set_retention_rules(Vec::new()).unwrap();
    recall.set_retention_rules(vec![short("*", 4)]).unwrap();
    recall
        .set_retention_rules(vec![short("*", 1), short("*", 2), short("*", 5)])
        .unwrap();
    let error = recall
        .set_retention_rules(vec![short("*", 6), short("*", 7)])
        .unwrap_err();
    let message = error.to_string();
    assert!(error.is_invalid());
    for part in [
        "[420s, 0ns, 0ns]",
        "allowed are 4",
        "[60s, 0ns, 0ns]",
        "2 of these cannot change",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn rules_are_checked_as_a_builder_checks_them() {
    let store = store();
    let wrong = vec![
        RetentionRule::new().name("").keep([mins(1)]),
        RetentionRule::new().kind(MetricKind::Gauge),
        RetentionRule::new()
            .target("a")
            .level(Level::WARN)
            .keep([secs(10), secs(1)]),
    ];
    let builder = wrong
        .iter()
        .cloned()
        .fold(Recall::builder(), metrics_recall::RecallBuilder::retain);
    let at_build = builder.build().err().unwrap().to_string();
    let later = store
        .recall
        .set_retention_rules(wrong)
        .unwrap_err()
        .to_string();
    assert_eq!(at_build, later);
    for part in [
        "rule 1: an empty",
        "rule 2: keeps nothing",
        "rule 3: retention of 1s after",
    ] {
        assert!(later.contains(part), "{part:?} is not in {later:?}");
    }
}

#[test]
fn rules_may_change_while_series_are_registered() {
    let store = Store::from(Recall::builder().max_series_per_metric(100_000));
    std::thread::scope(|threads| {
        let recorder = &store.recorder;
        for thread in 0..2 {
            threads.spawn(move || {
                recorder.scope(|| {
                    for n in 0..2_000 {
                        counter!("n", "thread" => thread.to_string(), "n" => n.to_string())
                            .increment(1);
                    }
                });
            });
        }
        let mut accepted = 0;
        for minutes in 0..200 {
            let rules = vec![short("n", 1 + minutes % 7), short("*", 1 + minutes % 5)];
            accepted += usize::from(store.recall.set_retention_rules(rules).is_ok());
        }
        assert!(accepted > 0);
    });
    store.tick(secs(1));
    assert_eq!(
        store.recall.counters("n").over(secs(1)).increase(),
        Some(4_000)
    );
}
