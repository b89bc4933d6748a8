//! What `health()` says, and that it gets better again.

use metrics::{counter, gauge};
use metrics_recall::{AlertRule, Clock, Condition, HealthLevel, Recall, Severity, mins, secs};

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

/// A critical alert is more than a loss, and is over with it; the numbers say what there is.
#[test]
fn a_critical_alert_is_critical_until_it_is_over() {
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build().unwrap();
    let down = Condition::gauges("up").current().below(1.0);
    let rule = AlertRule::new("Down").when(down);
    let rule = rule.severity(Severity::Critical);
    recall.alerts().add(rule).unwrap();
    let at = |up: f64| {
        recorder.scope(|| gauge!("up").set(up));
        hands.advance(secs(1));
        recall.tick();
        recall.health()
    };
    assert_eq!(at(1.0).level(), HealthLevel::Healthy);
    let health = at(0.0);
    assert_eq!(health.level(), HealthLevel::Critical);
    assert!(
        health
            .to_string()
            .starts_with("critical\n  - alert `Down` fires (critical): "),
        "{health}"
    );
    assert_eq!(
        (
            health.report().alerts.firing,
            health.report().alerts.failing
        ),
        (1, 0)
    );
    assert_eq!(at(1.0).to_string(), "healthy");
}

#[test]
fn the_report_has_the_numbers_of_what_is_there() {
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder().max_series_per_metric(3).clock(clock);
    let (recorder, recall) = builder.idle_timeout(secs(5)).build().unwrap();
    let held = recorder.scope(|| counter!("orders_total", "user" => "held"));
    for _ in 0..10 {
        held.increment(1);
        recorder.scope(|| {
            for user in 0..20 {
                counter!("orders_total", "user" => user.to_string()).increment(1);
            }
        });
        hands.advance(secs(1));
        recall.tick();
    }
    recorder.scope(|| gauge!("depth").set(f64::NAN));
    for _ in 0..10 {
        hands.advance(secs(1));
        recall.tick();
    }
    let asked = recall.counters("oders_total").over(mins(1)).rate();
    assert_eq!(asked, None);
    let health = recall.health();
    assert_eq!(health.level(), HealthLevel::Degraded);
    let report = health.report();
    // The gauge without a value is a series, too.
    assert_eq!(
        (report.series.live, report.series.held),
        (4, 1),
        "{health:#}"
    );
    assert!(
        report.series.idle >= 3 && report.series.overflowing == 1,
        "{health:#}"
    );
    assert_eq!(report.series.offenders[0].label, "user");
    assert_eq!((report.ticks.count, report.ticks.lost), (20, 0));
    assert!(report.samples.recorded >= 30, "{health:#}");
    assert_eq!(
        (report.samples.overflowed, report.samples.refused),
        (180, 1),
        "{health:#}"
    );
    assert_eq!(report.unknown_questions, 1);
    assert_eq!(report.memory.used, recall.memory().used);
    let text = format!("{health:#}");
    for part in [
        "\nmemory: ",
        " of 32.0 MiB",
        "\nseries: 4 live",
        "label `user`",
        "\nticks: 20, ",
        "\nsamples: ",
        "\nalerts: ",
        "\ncallbacks: ",
        "unknown names: 1",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for _ in 0..11 {
        hands.advance(mins(1));
        recall.tick();
    }
    assert!(recall.health().is_healthy(), "{}", recall.health());
}
