//! What `health()` says, and that it gets better again.

use metrics::{counter, gauge};
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

/// A name or a label with a line break or an escape sequence wrote lines of its own into logs and terminals.
#[test]
fn names_and_labels_stay_on_their_line() {
    let builder = Recall::builder().max_series_per_metric(1);
    let (recorder, recall) = builder.build().unwrap();
    recorder.scope(|| {
        for i in 0..100 {
            counter!("orders\n\x1b[2Jtotal", "user\r\x1b[31m" => i.to_string()).increment(1);
            gauge!("depth\n").set(f64::NAN);
        }
    });
    let said = format!("{}\n{}", recall.health(), recall.summary());
    for part in [r"orders\n\u{1b}[2Jtotal", r"user\r\u{1b}[31m", r"depth\n"] {
        assert!(said.contains(part), "{said:?}");
    }
    let bad = |c: char| c.is_control() && c != '\n';
    assert!(!said.contains(bad), "{said:?}");
    assert!(
        said.lines().all(|line| !line.starts_with("total")),
        "{said:?}"
    );
    // The name itself is what it is.
    assert_eq!(recall.counters("orders\n\x1b[2Jtotal").total(), Some(100));
}
