//! What `health()` says, and that it gets better again.

use metrics::counter;
use metrics_recall::{Clock, Recall, mins, secs};

/// One overflow made a process degraded for the rest of its life.
#[test]
fn what_has_ended_is_forgotten() {
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder().max_series_per_metric(2).clock(clock);
    let (recorder, recall) = builder.build().unwrap();
    recorder.scope(|| {
        for user in 0..100 {
            counter!("orders_total", "user" => user.to_string()).increment(1);
        }
    });
    hands.advance(secs(1));
    recall.tick();
    let health = recall.health();
    let reason = health.reasons().first().unwrap();
    for part in ["`orders_total`", "98", "`user`", "`max_series_per_metric`"] {
        assert!(reason.contains(part), "{reason}");
    }
    for _ in 0..11 {
        hands.advance(mins(1));
        recall.tick();
    }
    assert!(recall.health().is_healthy(), "{}", recall.health());
    assert_eq!(recall.counters("orders_total").total(), Some(100));
}

/// A metric whose name begins like another's was blamed for that one's labels.
#[test]
fn the_label_that_explodes_is_the_metrics_own() {
    let builder = Recall::builder().max_series_per_metric(1);
    let (recorder, recall) = builder.build().unwrap();
    recorder.scope(|| {
        for i in 0..1_000 {
            counter!("http", "user" => i.to_string()).increment(1);
            counter!("http_requests", "path" => (i / 20).to_string()).increment(1);
        }
    });
    let health = recall.health();
    let about = |name: &str| {
        let quoted = format!("`{name}`");
        let found = health.reasons().iter().find(|r| r.contains(&quoted));
        found.cloned().unwrap_or_default()
    };
    assert!(about("http").contains("label `user`"), "{health}");
    assert!(about("http_requests").contains("label `path`"), "{health}");
}
