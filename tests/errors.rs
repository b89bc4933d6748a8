//! What a user may get wrong: every message names the value and what is allowed, and nothing panics.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Store;
use metrics::{counter, gauge, histogram};
use metrics_recall::{
    Aggregation, Error, Labels, MemoryProfile, Recall, RecallBuilder, Timestamp, mins, secs,
};
use std::time::Duration;

fn refused(builder: RecallBuilder) -> Error {
    let error = builder.build().err().unwrap();
    assert!(error.is_invalid() && !error.is_installed() && !error.is_system());
    let message = error.to_string();
    assert!(
        !message.is_empty() && !message.starts_with(char::is_uppercase),
        "{message}"
    );
    error
}

fn assert_says(builder: RecallBuilder, parts: &[&str]) {
    let message = refused(builder).to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn a_budget_outside_of_its_range_is_refused() {
    let budget = |bytes| Recall::builder().memory_budget(bytes);
    assert_says(budget(0), &["memory budget of 0 bytes", "131072", "64 TiB"]);
    assert_says(budget(1), &["memory budget of 1 bytes"]);
    assert_says(budget((128 << 10) - 1), &["131071"]);
    assert_says(budget(usize::MAX), &[&usize::MAX.to_string(), "64 TiB"]);
    for good in [128 << 10, 1 << 46] {
        let (_, recall) = budget(good).build().unwrap();
        assert_eq!(recall.memory().budget, good);
    }
}

#[test]
fn a_resolution_that_does_not_divide_a_minute_is_refused() {
    let resolution = |tick| Recall::builder().resolution(tick);
    let bad = [
        (Duration::ZERO, "0ns"),
        (Duration::from_millis(9), "9ms"),
        (Duration::from_millis(700), "700ms"),
        (secs(7), "7s"),
        (secs(61), "61s"),
        (mins(2), "120s"),
        (Duration::from_nanos(1), "1ns"),
        (Duration::MAX, "18446744073709551615"),
    ];
    for (tick, shown) in bad {
        assert_says(resolution(tick), &[shown, "divisors of 60s", "10ms", "60s"]);
    }
    for good in [10, 50, 100, 250, 500, 1_000, 2_000, 10_000, 15_000, 60_000] {
        let good = Duration::from_millis(good);
        let (_, recall) = resolution(good).build().unwrap();
        assert_eq!(recall.retention()[0].interval, good);
    }
}

#[test]
fn limits_and_times_outside_of_their_ranges_are_refused() {
    let builder = Recall::builder;
    assert_says(builder().max_series_per_metric(0), &["0 series", "1 to"]);
    assert_says(
        builder().max_series_per_metric(usize::MAX),
        &[&usize::MAX.to_string()],
    );
    assert_says(builder().max_metrics(0), &["0 metrics", "1 to"]);
    assert_says(
        builder().max_metrics(usize::MAX),
        &[&usize::MAX.to_string()],
    );
    assert_says(
        builder().idle_timeout(Duration::ZERO),
        &["idle timeout of 0ns", "366 days"],
    );
    assert_says(
        builder().idle_timeout(Duration::MAX),
        &["idle timeout", "366 days"],
    );
    assert_says(
        builder().retention(Duration::ZERO),
        &["retention of 0ns", "366 days"],
    );
    assert_says(
        builder().retention(Duration::MAX),
        &["retention", "366 days"],
    );
    let shorter = builder().resolution(secs(60)).retention(secs(30));
    assert_says(shorter, &["retention of 30s", "60s"]);
    assert!(
        builder()
            .max_series_per_metric(1)
            .max_metrics(1)
            .build()
            .is_ok()
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let builder = Recall::builder()
        .memory_budget(12)
        .resolution(secs(7))
        .max_series_per_metric(0)
        .max_metrics(0)
        .idle_timeout(Duration::ZERO)
        .retention(Duration::ZERO);
    let error = refused(builder);
    let message = error.to_string();
    for part in [
        "12 bytes",
        "7s",
        "0 series",
        "0 metrics",
        "idle timeout of 0ns",
        "retention of 0ns",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert_eq!(message.matches("; ").count(), 5, "{message}");
    assert!(format!("{error:?}").contains(&message));
    let _: &dyn std::error::Error = &error;
}

#[test]
fn an_unknown_environment_lists_the_known_ones() {
    for unknown in ["", "prd", "productoin", "prod\0", "ünknown", "a\nb"] {
        let error = MemoryProfile::from_environment(unknown).unwrap_err();
        let message = error.to_string();
        assert!(error.is_invalid());
        assert!(message.contains(&format!("{unknown:?}")), "{message}");
        for known in [
            "edge",
            "prod",
            "production",
            "staging",
            "dev",
            "development",
        ] {
            assert!(message.contains(known), "{known} is not in {message}");
        }
    }
    let known = [
        ("prod", MemoryProfile::Production),
        ("Production", MemoryProfile::Production),
        (" STAGING ", MemoryProfile::Staging),
        ("dev", MemoryProfile::Development),
        ("DEVELOPMENT", MemoryProfile::Development),
        ("edge", MemoryProfile::Edge),
    ];
    for (name, profile) in known {
        assert_eq!(MemoryProfile::from_environment(name).unwrap(), profile);
    }
}

#[test]
fn malformed_questions_have_no_answer() {
    let store = Store::default();
    store.recorder.scope(|| {
        counter!("n", "k" => "v").increment(1);
        gauge!("n").set(1.0);
        histogram!("n").record(1.0);
    });
    store.tick(secs(1));
    let recall = &store.recall;
    for q in [f64::NAN, 2.0, -0.5, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(recall.histograms("n").over(secs(9)).quantile(q), None);
        assert_eq!(recall.gauges("n").over(secs(9)).quantile(q), None);
        assert_eq!(recall.counters("n").over(secs(9)).quantile(q), None);
        assert!(
            recall
                .histograms("n")
                .by("k")
                .over(secs(9))
                .quantile(q)
                .is_empty()
        );
    }
    // A window of no length is no window.
    assert_eq!(recall.counters("n").over(Duration::ZERO).increase(), None);
    assert_eq!(recall.gauges("n").over(Duration::ZERO).max(), None);
    assert_eq!(recall.histograms("n").over(Duration::ZERO).count(), None);
    assert!(
        recall
            .counters("n")
            .over(Duration::ZERO)
            .every(secs(1))
            .rate()
            .is_empty()
    );
    let (now, start) = (recall.now(), recall.now() - secs(1));
    assert_eq!(recall.counters("n").between(now, start).increase(), None);
    assert!(
        recall
            .counters("n")
            .between(now, start)
            .every(secs(1))
            .rate()
            .is_empty()
    );
    assert_eq!(recall.counters("n").between(now, now).increase(), None);
}

#[test]
fn absurd_windows_and_steps_are_clamped() {
    let store = Store::default();
    for _ in 0..5 {
        store.recorder.scope(|| counter!("n").increment(1));
        store.tick(secs(1));
    }
    let n = || store.recall.counters("n");
    let ends = [
        i64::MIN,
        -1,
        0,
        1_767_225_600_000,
        1_767_225_605_000,
        i64::MAX,
    ];
    for from in ends.map(Timestamp::from_millis) {
        for to in ends.map(Timestamp::from_millis) {
            let answer = n().between(from, to).increase();
            assert!(answer.is_none_or(|v| v <= 5));
            let steps = n().between(from, to).every(Duration::MAX).increase();
            assert!(steps.len() <= 1);
            let steps = n().between(from, to).every(mins(1)).increase();
            assert!(steps.len() <= 1_000_000);
        }
    }
    let all = n().between(
        Timestamp::from_millis(i64::MIN),
        Timestamp::from_millis(i64::MAX),
    );
    assert_eq!(all.increase(), Some(5));
    // A step of zero is one tick.
    let ticks = n().over(Duration::MAX).every(Duration::ZERO).increase();
    assert_eq!(
        ticks.iter().map(|p| p.value).collect::<Vec<_>>(),
        [Some(1); 5]
    );
    let one = n().over(Duration::MAX).every(Duration::MAX).increase();
    assert_eq!(one.iter().map(|p| p.value).collect::<Vec<_>>(), [Some(5)]);
    let many = n()
        .over(Duration::MAX)
        .every(Duration::from_nanos(1))
        .increase();
    assert!(many.len() <= 1_000_000);
}

/// Steps of a nanosecond for each of many groups must not ask for all of the machine's memory.
#[test]
fn the_points_of_an_answer_are_limited() {
    let store = Store::default();
    store.recorder.scope(|| {
        for i in 0..200 {
            counter!("n", "i" => i.to_string()).increment(1);
        }
    });
    store.tick(secs(1));
    let groups = store
        .recall
        .counters("n")
        .by("i")
        .over(secs(1))
        .every(Duration::from_nanos(1));
    let points: usize = groups
        .increase()
        .iter()
        .map(|(_, points)| points.len())
        .sum();
    assert!(points <= 1_000_000, "{points} points");
}

#[test]
fn labels_of_any_text_can_be_asked_for_and_shown() {
    let store = Store::default();
    let texts = [
        "\"quoted\"",
        "back\\slash",
        "line\nfeed",
        "snow \u{2603}",
        "{}",
        "\0",
        "a,b=c",
        " ",
    ];
    for text in texts {
        store.recorder.scope(|| {
            counter!("n", text => text).increment(1);
            gauge!(text, "k" => text).set(1.0);
            histogram!(text, "k" => text).record(1.0);
        });
    }
    store.tick(secs(1));
    for text in texts {
        assert_eq!(
            store.recall.counters("n").label(text, text).total(),
            Some(1),
            "{text:?}"
        );
        let groups = store
            .recall
            .counters("n")
            .by(text)
            .label(text, text)
            .total();
        assert_eq!(groups, [(Labels::from([(text, text)]), 1)]);
        assert!(groups[0].0.to_string().starts_with('{'));
        assert_eq!(
            store.recall.gauges(text).label("k", text).current(),
            Some(1.0)
        );
        let h = store.recall.histograms(text).label("k", text).over(secs(9));
        assert_eq!(h.quantile(0.5), Some(1.0));
    }
    let quoted = Labels::from([("k", "\"a\"\\\n")]).to_string();
    assert_eq!(quoted, "{k=\"\\\"a\\\"\\\\\\n\"}");
    assert!(store.recall.summary().to_string().contains("snow"));
    assert_eq!(store.recall.metrics().len(), 2 * texts.len() + 1);
}

#[test]
fn empty_words_in_questions_mean_what_they_say() {
    let store = Store::default();
    store.recorder.scope(|| {
        counter!("n").increment(1);
        counter!("n", "k" => "v").increment(2);
    });
    let n = || store.recall.counters("n");
    assert_eq!(store.recall.counters("").total(), None);
    assert_eq!(n().label("k", "").total(), Some(1));
    assert_eq!(n().label_not("k", "").total(), Some(2));
    assert_eq!(n().label("", "").total(), Some(3));
    assert_eq!(n().label("", "v").total(), None);
    assert_eq!(n().by("").total(), [(Labels::from([]), 3)]);
    assert_eq!(n().by([""; 0]).total(), [(Labels::from([]), 3)]);
    assert_eq!(n().by(["k", "k"]).by("k").total().len(), 2);
    assert_eq!(n().label("k", "v").label("k", "w").total(), None);
}

/// A name of a megabyte made an error of a megabyte.
#[test]
fn long_text_is_not_repeated_in_errors() {
    let store = Store::default();
    store.recorder.scope(|| counter!("orders").increment(1));
    let long = "größe".repeat(150_000);
    let name = store.recall.counters(&long);
    let over = || name.clone().over(secs(1));
    let errors = [
        over().eval(Aggregation::Rate).unwrap_err(),
        over().eval(Aggregation::Quantile(2.0)).unwrap_err(),
        name.reset().unwrap_err(),
        name.delete().unwrap_err(),
        store.recall.reset(&long).unwrap_err(),
        store.recall.delete(&long).unwrap_err(),
        name.clone()
            .label_matches("k", format!("({long}"))
            .unwrap_err(),
        long.parse::<Aggregation>().unwrap_err(),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.contains("größe") && text.contains('…'), "{text}");
        assert!(text.len() < 1_000, "{} bytes", text.len());
    }
    assert!(store.recall.health().to_string().len() < 5_000);
    // A long name that is nearly one that exists is found, and so is its end when it is the other's beginning.
    let typo = store.recall.counters("ordres").over(secs(1));
    let typo = typo.eval(Aggregation::Rate).unwrap_err().to_string();
    assert!(typo.contains("`orders`"), "{typo}");
}
