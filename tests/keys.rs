//! What one series is: kinds apart, and labels however they are written.

mod common;

use common::Store;
use metrics::{Key, Label, Level, Metadata, Recorder, counter, gauge, histogram};
use metrics_recall::{Labels, MetricKind, Recall, secs};
use std::time::Duration;

static LABELS: [Label; 2] = [
    Label::from_static_parts("b", "2"),
    Label::from_static_parts("a", "1"),
];

static METADATA: Metadata<'static> = Metadata::new("keys", Level::INFO, None);

/// Counts one on the series of these labels, through the recorder itself.
fn count(store: &Store, name: &str, labels: Vec<Label>) {
    let key = Key::from_parts(name.to_owned(), labels);
    store
        .recorder
        .register_counter(&key, &METADATA)
        .increment(1);
}

/// Live series of a counter.
fn series(store: &Store, name: &str) -> usize {
    let metrics = store.recall.metrics();
    metrics
        .iter()
        .find(|m| m.name == name)
        .map_or(0, |m| m.series)
}

fn pairs(n: usize) -> Vec<(String, String)> {
    (0..n)
        .map(|i| (format!("label{i:02}"), format!("value {i}")))
        .collect()
}

fn labels<'a>(pairs: impl IntoIterator<Item = &'a (String, String)>) -> Vec<Label> {
    let pairs = pairs.into_iter();
    pairs
        .map(|(k, v)| Label::new(k.clone(), v.clone()))
        .collect()
}

#[test]
fn the_same_key_is_a_metric_of_each_kind() {
    let store = Store::default();
    store.recorder.scope(|| {
        counter!("same", "k" => "v").increment(3);
        gauge!("same", "k" => "v").set(-2.5);
        histogram!("same", "k" => "v").record(0.5);
        counter!("same", "k" => "v").increment(4);
    });
    store.tick(secs(1));
    let kinds: Vec<_> = store
        .recall
        .metrics()
        .iter()
        .map(|m| (m.kind, m.series))
        .collect();
    assert_eq!(
        kinds,
        [
            (MetricKind::Counter, 1),
            (MetricKind::Gauge, 1),
            (MetricKind::Histogram, 1)
        ]
    );
    let window = secs(60);
    assert_eq!(store.recall.counters("same").total(), Some(7));
    assert_eq!(store.recall.gauges("same").over(window).min(), Some(-2.5));
    assert_eq!(
        store.recall.histograms("same").over(window).count(),
        Some(1)
    );
}

#[test]
fn a_question_about_another_kind_has_no_answer() {
    let store = Store::default();
    store
        .recorder
        .scope(|| counter!("requests_total").increment(1));
    store.tick(secs(1));
    assert_eq!(store.recall.gauges("requests_total").current(), None);
    assert_eq!(
        store
            .recall
            .histograms("requests_total")
            .over(secs(9))
            .count(),
        None
    );
    assert_eq!(store.recall.counters("request_total").total(), None);
}

#[test]
fn labels_in_any_order_are_one_series() {
    for n in [0, 1, 2, 8, 40] {
        let store = Store::default();
        let pairs = pairs(n);
        count(&store, "n", labels(&pairs));
        count(&store, "n", labels(pairs.iter().rev()));
        let mut turned = pairs.clone();
        turned.rotate_left(n / 2);
        count(&store, "n", labels(&turned));
        // The second look at each finds it in the thread's cache.
        count(&store, "n", labels(pairs.iter().rev()));
        count(&store, "n", labels(&turned));
        assert_eq!(series(&store, "n"), 1, "{n} labels");
        assert_eq!(store.recall.counters("n").total(), Some(5), "{n} labels");
    }
}

#[test]
fn of_a_label_given_twice_the_last_value_stays() {
    for n in [1, 8, 40] {
        let store = Store::default();
        let pairs = pairs(n);
        let mut twice: Vec<(String, String)> = pairs
            .iter()
            .map(|(k, _)| (k.clone(), "earlier".to_owned()))
            .collect();
        twice.extend(pairs.clone());
        count(&store, "n", labels(&pairs));
        count(&store, "n", labels(&twice));
        count(&store, "n", labels(&twice));
        let (name, value) = pairs.last().unwrap();
        assert_eq!(series(&store, "n"), 1, "{n} labels");
        assert_eq!(
            store.recall.counters("n").label(name, value).total(),
            Some(3)
        );
        assert_eq!(
            store.recall.counters("n").label(name, "earlier").total(),
            None
        );
    }
}

#[test]
fn a_label_with_an_empty_value_is_no_label() {
    for n in [0, 1, 8, 40] {
        let store = Store::default();
        let pairs = pairs(n);
        let mut padded = vec![
            (String::new(), String::new()),
            ("zone".to_owned(), String::new()),
        ];
        padded.extend(pairs.clone());
        count(&store, "n", labels(&pairs));
        count(&store, "n", labels(&padded));
        assert_eq!(series(&store, "n"), 1, "{n} labels");
        assert_eq!(
            store.recall.counters("n").label("zone", "").total(),
            Some(2)
        );
    }
    // The last value counts, and it is empty: the label is gone.
    let store = Store::default();
    store.recorder.scope(|| {
        counter!("n", "k" => "v", "k" => "").increment(1);
        counter!("n").increment(1);
    });
    assert_eq!(series(&store, "n"), 1);
}

#[test]
fn macros_and_keys_name_the_same_series() {
    let store = Store::default();
    let value = String::from("2");
    let collected = [("a", "1"), ("b", "2")];
    store.recorder.scope(|| {
        counter!("n", "a" => "1", "b" => "2").increment(1);
        counter!("n", "b" => "2", "a" => "1").increment(1);
        counter!("n", "b" => value.clone(), "a" => "1").increment(1);
        counter!("n", &collected).increment(1);
        counter!(String::from("n"), "a" => "0", "b" => value, "c" => "", "a" => "1").increment(1);
        counter!(target: "elsewhere", level: Level::TRACE, "n", "a" => "1", "b" => "2")
            .increment(1);
    });
    let keys = [
        Key::from_static_parts("n", &LABELS),
        Key::from_parts("n", LABELS.to_vec()),
        Key::from(("n", &collected)),
        Key::from_static_name("n").with_extra_labels(LABELS.to_vec()),
    ];
    for key in &keys {
        store.recorder.register_counter(key, &METADATA).increment(1);
    }
    assert_eq!(series(&store, "n"), 1);
    let by = store.recall.counters("n").by(["a", "b"]).total();
    assert_eq!(by, [(Labels::from([("a", "1"), ("b", "2")]), 10)]);
}

#[test]
fn labels_that_read_alike_side_by_side_are_different_series() {
    let store = Store::default();
    let texts = [
        "", "a", "ab", "b", "\0", "\u{1}\0a", "a=b", "a\0", "ä", "a,b", "\"", "\\", "\n",
    ];
    let mut expected = 0;
    for name in texts {
        for value in texts {
            count(&store, "n", vec![Label::new(name, value)]);
            count(&store, "n", vec![Label::new(name, value)]);
            expected += usize::from(!value.is_empty());
        }
    }
    assert_eq!(series(&store, "n"), expected + 1);
    for name in texts {
        for value in texts.iter().filter(|v| !v.is_empty()) {
            assert_eq!(
                store.recall.counters("n").label(name, value).total(),
                Some(2)
            );
        }
    }
}

#[test]
fn names_with_any_text_are_kept_apart() {
    let store = Store::default();
    let names = [
        "",
        " ",
        "a",
        "A",
        "a ",
        "a\n",
        "\"a\"",
        "número",
        "数",
        "a\0b",
        "{a=\"b\"}",
        // What has no name of its own goes here; so may what a program calls so.
        "recall_overflow",
    ];
    for name in names {
        count(&store, name, Vec::new());
        store.recorder.scope(|| {
            gauge!(name).set(1.0);
            histogram!(name).record(1.0);
        });
    }
    store.tick(secs(1));
    assert_eq!(store.recall.metrics().len(), 3 * names.len());
    for name in names {
        assert_eq!(store.recall.counters(name).total(), Some(1), "{name:?}");
        assert_eq!(store.recall.gauges(name).current(), Some(1.0), "{name:?}");
        let window = Duration::MAX;
        assert_eq!(
            store.recall.histograms(name).over(window).count(),
            Some(1),
            "{name:?}"
        );
    }
    assert!(store.recall.summary().to_string().contains("número"));
}

/// Names are compared by their address where that is enough; it is not, when one is the beginning of the other.
#[test]
fn names_that_begin_at_the_same_address_are_kept_apart() {
    static TEXT: &str = "requests_total";
    let store = Store::default();
    for _ in 0..3 {
        for end in 1..=TEXT.len() {
            let name: &'static str = &TEXT[..end];
            store.recorder.scope(|| {
                counter!(name).increment(1);
                counter!(name, "k" => "v").increment(1);
                counter!(name.to_owned()).increment(1);
            });
        }
    }
    for end in 1..=TEXT.len() {
        assert_eq!(store.recall.counters(&TEXT[..end]).total(), Some(9));
    }
    assert_eq!(store.recall.metrics().len(), TEXT.len());
}

#[test]
fn keys_too_long_to_keep_go_to_overflow_and_are_counted() {
    let store = Store::default();
    let long = "x".repeat(5_000);
    let many: Vec<Label> = (0..200).map(|i| Label::new(format!("k{i}"), "v")).collect();
    count(&store, &long, Vec::new());
    count(&store, "n", vec![Label::new("k", long.clone())]);
    count(&store, "n", many);
    let total = |name: &str| store.recall.counters(name).total().unwrap_or(0);
    assert_eq!(total("n") + total("recall_overflow"), 3);
    assert_eq!(total(&long), 0);
    let health = store.recall.health();
    assert!(health.to_string().contains("4096"), "{health}");
    store.tick(secs(1));
    assert!(store.recall.memory().used < store.recall.memory().budget);
}

#[test]
fn descriptions_and_units_stay_with_their_kind() {
    let store = Store::from(Recall::builder());
    store.recorder.scope(|| {
        counter!(description: "all of them", "n").increment(1);
        histogram!(description: "how long", unit: metrics::Unit::Seconds, "n").record(1.0);
        histogram!(description: "how long it took", unit: metrics::Unit::Seconds, "n").record(1.0);
    });
    store.tick(secs(1));
    let metrics = store.recall.metrics();
    let text = |kind| {
        let found = metrics.iter().find(|m| m.kind == kind).unwrap();
        (found.description.as_deref(), found.unit)
    };
    assert_eq!(text(MetricKind::Counter), (Some("all of them"), None));
    assert_eq!(
        text(MetricKind::Histogram),
        (Some("how long it took"), Some("seconds"))
    );
}
