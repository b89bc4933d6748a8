//! Insights find what happens, say it in a sentence that names metric and number, and say nothing of what always happens.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "generated numbers, and shares of them"
)]

#[allow(dead_code, reason = "an example uses it, too")]
#[path = "common/signals.rs"]
mod signals;

use metrics::{counter, gauge, histogram};
use metrics_recall::{Insight, InsightKind, Recall, Severity};
use signals::{Store, cried, found};

/// The measurement of `cargo run --example insight_quality`, with smaller numbers.
#[test]
fn what_happens_is_found_in_time() {
    let results = found(11, 1);
    let hit = results.iter().filter(|result| result.3).count();
    let missed: Vec<_> = results.iter().filter(|result| !result.3).collect();
    assert!(hit * 100 >= results.len() * 95, "missed {missed:?}");
}

#[test]
fn noise_is_no_news() {
    for (signal, noise, findings) in cried(12, 1, 3) {
        assert!(findings.len() <= 1, "{signal:?} {noise:?}: {findings:?}");
    }
}

/// Minutes of something, and what is found then.
fn after(minutes: u32, record: impl Fn(u32)) -> (Store, Vec<Insight>) {
    let mut store = Store::new();
    for minute in 0..minutes {
        let recorder = &store.recorder;
        recorder.scope(|| record(minute));
        store.minute(&mut []);
    }
    let found = store.recall.insights();
    (store, found)
}

fn only(found: &[Insight]) -> &Insight {
    assert_eq!(found.len(), 1, "{found:?}");
    &found[0]
}

#[test]
fn a_p99_that_rises_is_named_with_its_numbers() {
    let (_store, found) = after(60, |minute| {
        for at in 0..200 {
            let base = 0.1 * (1.0 + f64::from(minute) / 30.0);
            histogram!("checkout_seconds").record(base * (1.0 + f64::from(at % 50) / 100.0));
        }
    });
    let insight = only(&found);
    assert_eq!(insight.kind, InsightKind::Rising);
    assert!(insight.confidence > 0.99 && insight.value > insight.before.unwrap() * 2.0);
    assert!(
        insight
            .text
            .starts_with("p99 of `checkout_seconds` rose from 0.1"),
        "{insight}"
    );
    assert!(
        insight.text.contains("% sure): see what changed"),
        "{insight}"
    );
}

#[test]
fn errors_are_found_beside_requests_and_in_a_label() {
    let (_store, found) = after(60, |minute| {
        let bad = if minute < 40 { 1 } else { 20 };
        counter!("http_requests_total").increment(100);
        counter!("http_errors_total").increment(bad);
        counter!("rpc_total", "code" => "200", "service" => "cart").increment(100 - bad);
        counter!("rpc_total", "code" => "503", "service" => "cart").increment(bad);
    });
    let errors: Vec<_> = found
        .iter()
        .filter(|i| i.kind == InsightKind::Errors)
        .collect();
    assert_eq!(errors.len(), 2, "{found:?}");
    for (insight, metric) in errors
        .iter()
        .zip(["`http_errors_total`", "`rpc_total`{service=\"cart\"}"])
    {
        assert_eq!(insight.severity, Severity::Error);
        assert!((insight.value - 0.2).abs() < 0.01, "{insight}");
        assert!(
            insight.text.starts_with("20 % of what ") && insight.text.contains(metric),
            "{insight}"
        );
    }
}

#[test]
fn a_gauge_that_will_hit_its_bound_is_named_before_it_does() {
    let (mut store, found) = after(60, |minute| {
        gauge!("pool_in_use").set(20.0 + f64::from(minute));
        gauge!("pool_max").set(100.0);
    });
    let insight = only(&found);
    assert_eq!(
        (insight.kind, insight.before),
        (InsightKind::WillHit, Some(100.0))
    );
    assert!(
        insight
            .text
            .starts_with("`pool_in_use` rises to its bound of 100: it is at 7"),
        "{insight}"
    );
    for _ in 0..15 {
        store.recorder.scope(|| gauge!("pool_in_use").set(100.0));
        store.minute(&mut []);
    }
    let found = store.recall.insights();
    let insight = only(&found);
    assert_eq!(insight.kind, InsightKind::Saturated);
    assert!(
        insight.text.starts_with("`pool_in_use` is at 100 of 100"),
        "{insight}"
    );
}

#[test]
fn a_metric_that_gets_ever_more_series_is_named() {
    let (_store, found) = after(40, |minute| {
        for at in 0..minute * 10 {
            counter!("visits_total", "user" => at.to_string()).increment(1);
        }
    });
    let cardinality = found
        .iter()
        .find(|i| i.kind == InsightKind::Cardinality)
        .unwrap();
    assert!(
        cardinality.text.starts_with("counter `visits_total` has "),
        "{cardinality}"
    );
    assert!(
        cardinality.text.contains("`max_series_per_metric`"),
        "{cardinality}"
    );
}

#[test]
fn an_instance_is_told_from_another() {
    let (_store, found) = after(60, |minute| {
        counter!("jobs_total", "instance" => "a").increment(50);
        if minute < 30 {
            counter!("jobs_total", "instance" => "b").increment(50);
        }
    });
    let insight = only(&found);
    assert_eq!(insight.kind, InsightKind::Stopped);
    assert_eq!(insight.labels.get("instance"), Some("b"));
    assert!(
        insight.text.starts_with(
            "`jobs_total`{instance=\"b\"} has not counted for 30 min, after 0.833 a second"
        ),
        "{insight}"
    );
}

#[test]
fn a_store_without_history_has_no_insight() {
    let (_recorder, recall) = Recall::builder().build().unwrap();
    assert!(recall.insights().is_empty());
    let (store, found) = after(5, |_| counter!("a_total").increment(1));
    assert!(found.is_empty(), "{found:?}");
    drop(store);
}
