//! Each reason of `health()`: caused, read (it names the metric, the number and the knob), and gone when its cause is.
//!
//! Those that need a process of their own are beside what causes them: a fork in `fork` and `fork_locks`, an allocator that
//! emits or ticks in `allocator`, another recorder in `occupied`, `unheard` and `tee`, a macro of another version in
//! `other_version`; collectors in `collectors`, sidecars in `http_life`. What nobody can cause from outside is in unit tests:
//! a tick that panics, a watch that does, an answer that breaks, a control group with little memory.

mod common;

use common::Store;
use metrics::{counter, describe_counter, gauge, histogram};
use metrics_recall::{
    Aggregation, AlertFilter, AlertRule, Clock, Condition, HealthLevel, MemoryProfile, Recall,
    Severity, Snapshot, mins, secs,
};
use std::{sync::mpsc, time::Duration};

/// The reason that has the first of these words; it must have all of them.
#[track_caller]
fn says(recall: &Recall, words: &[&str]) {
    let health = recall.health();
    assert!(health.level() > HealthLevel::Healthy, "{health}");
    let mut reasons = health.reasons().iter();
    let Some(reason) = reasons.find(|reason| reason.contains(words[0])) else {
        panic!("nothing of {:?} in {health}", words[0]);
    };
    for word in words {
        assert!(reason.contains(word), "{word:?} is not in {reason:?}");
    }
}

/// It is a reason, word for word.
#[track_caller]
fn says_exactly(recall: &Recall, sentence: &str) {
    let health = recall.health();
    assert!(health.reasons().iter().any(|r| r == sentence), "{health}");
}

/// No reason has this any more.
#[track_caller]
fn is_silent(recall: &Recall, word: &str) {
    let health = recall.health();
    let mut reasons = health.reasons().iter();
    assert!(!reasons.any(|reason| reason.contains(word)), "{health}");
}

/// Nothing is wrong any more.
#[track_caller]
fn is_well(store: &Store) {
    let health = store.recall.health();
    assert!(health.is_healthy(), "{health}");
    assert_eq!(health.level(), HealthLevel::Healthy);
}

/// Counts of the last minutes are forgotten.
fn minutes_pass(store: &Store) {
    for _ in 0..11 {
        store.tick(mins(1));
    }
}

/// It is said now, and not any more when ten minutes have passed without its cause.
#[track_caller]
fn says_until_it_is_over(store: &Store, words: &[&str]) {
    says(&store.recall, words);
    minutes_pass(store);
    is_silent(&store.recall, words[0]);
    is_well(store);
}

#[test]
fn a_metric_beyond_its_series_of_each_kind() {
    let store = Store::from(Recall::builder().max_series_per_metric(3));
    store.recorder.scope(|| {
        for user in 0..50 {
            counter!("orders_total", "user" => user.to_string()).increment(1);
            gauge!("depth", "queue" => user.to_string()).set(1.0);
            histogram!("took", "path" => user.to_string()).record(1.0);
        }
    });
    store.tick(secs(1));
    for (metric, label) in [
        ("counter `orders_total`", "label `user`"),
        ("gauge `depth`", "label `queue`"),
        ("histogram `took`", "label `path`"),
    ] {
        let words = [
            metric,
            "sent 47 recordings to its overflow series",
            "it has 3 series",
            "its limit is 3 series (`max_series_per_metric`)",
            label,
        ];
        says(&store.recall, &words);
    }
    says_until_it_is_over(&store, &["counter `orders_total`"]);
}

#[test]
fn a_metric_that_has_no_memory_for_its_series() {
    let builder = Recall::builder().memory_budget(128 << 10);
    let store = Store::from(builder.max_series_per_metric(100_000));
    store.recorder.scope(|| {
        for user in 0..3_000 {
            counter!("orders_total", "user" => user.to_string()).increment(1);
        }
    });
    store.tick(secs(1));
    let words = [
        "counter `orders_total` sent ",
        "memory for new series is short (`memory_budget`)",
        "label `user`",
    ];
    says(&store.recall, &words);
    minutes_pass(&store);
    is_silent(&store.recall, words[0]);
}

#[test]
fn more_metrics_beyond_their_series_than_are_named() {
    let store = Store::from(Recall::builder().max_series_per_metric(1));
    store.recorder.scope(|| {
        for metric in 0..13 {
            for user in 0..3 {
                counter!(format!("n{metric}"), "user" => user.to_string()).increment(1);
            }
        }
    });
    store.tick(secs(1));
    let word = "3 more counters sent recordings to their overflow series";
    says_until_it_is_over(&store, &[word]);
}

#[test]
fn values_that_are_no_numbers() {
    let store = Store::default();
    store.recorder.scope(|| {
        gauge!("depth").set(1.0);
        gauge!("depth").set(f64::NAN);
        histogram!("took").record_many(f64::INFINITY, 7);
    });
    let words = ["histogram `took`", "7 values", "infinite in a histogram"];
    says(&store.recall, &words);
    says_until_it_is_over(&store, &["gauge `depth`", "1 values", "NaN"]);
}

#[test]
fn more_metrics_with_values_that_are_no_numbers_than_are_named() {
    let store = Store::default();
    store.recorder.scope(|| {
        for metric in 0..13 {
            gauge!(format!("depth_{metric}")).set(f64::NAN);
        }
    });
    let word = "3 more gauges were given values that are not numbers";
    says_until_it_is_over(&store, &[word]);
}

#[test]
fn more_names_than_are_allowed() {
    let store = Store::from(Recall::builder().max_metrics(5));
    store.recorder.scope(|| {
        for metric in 0..12 {
            counter!(format!("n{metric}")).increment(1);
        }
    });
    let words = [
        "recordings of counters went to `recall_overflow`",
        "no room for more names",
        "`max_metrics` is 5",
        "`memory_budget`",
    ];
    says_until_it_is_over(&store, &words);
}

#[test]
fn keys_that_are_too_long() {
    let store = Store::default();
    store.recorder.scope(|| {
        for _ in 0..3 {
            counter!("n", "k" => "x".repeat(5_000)).increment(1);
        }
    });
    let infos = store.recall.metrics();
    let overflowed: Vec<_> = infos.iter().map(|m| (&*m.name, m.overflowed)).collect();
    assert_eq!(overflowed, [("n", 3)]);
    let summary = store.recall.summary().to_string();
    assert!(summary.contains("0 + overflow"), "{summary}");
    let words = [
        "3 recordings of counters (`n`) went to overflow series",
        "4096",
    ];
    says_until_it_is_over(&store, &words);
}

#[test]
fn history_that_is_shorter_than_it_is_to_be() {
    let builder = Recall::builder().profile(MemoryProfile::Edge);
    let store = Store::from(builder.memory_budget(256 << 10));
    let record = |n: u32, tick: u32| {
        store.recorder.scope(|| {
            for id in 0..n {
                let value = f64::from(tick * 31 + id).sin();
                gauge!("noise", "id" => id.to_string()).set(value);
            }
        });
        store.tick(secs(1));
    };
    for tick in 0..1_500 {
        record(100, tick);
    }
    let words = ["history reaches back ", " s instead of ", "`memory_budget`"];
    says(&store.recall, &words);
    store.recall.set_memory_budget(4 << 20).unwrap();
    for tick in 0..7_300 {
        record(10, tick);
    }
    is_silent(&store.recall, words[0]);
}

/// Snapshots hold the memory that history is to give up for the next tick.
#[test]
fn ticks_and_points_without_memory() {
    let builder = Recall::builder().memory_budget(512 << 10);
    let store = Store::from(builder.own_alerts(false));
    let jobs: Vec<_> = store.recorder.scope(|| {
        let job = |id: u32| counter!("jobs", "id" => id.to_string());
        (0..500).map(job).collect()
    });
    store.tick(secs(1));
    let mut held = Vec::new();
    while store.recall.health().report().ticks.lost == 0 {
        store.recorder.scope(|| {
            for id in 0..10_u32 {
                let took = histogram!("took", "id" => id.to_string());
                (1..20).for_each(|n| took.record(f64::from(n * id)));
            }
        });
        held.push(store.recall.snapshot());
        store.tick(secs(1));
        assert!(held.len() < 1_000, "the budget has an end");
    }
    let ticks = store.recall.health().report().ticks.count;
    let lost = format!("1 of {ticks} ticks are missing in history for want of memory");
    says(&store.recall, &[&lost, "`memory_budget`"]);
    assert_eq!(store.recall.health().level(), HealthLevel::Critical);
    // Nor is there room to gather what five hundred series have to say.
    for job in &jobs {
        job.increment(3);
    }
    store.tick(secs(1));
    let words = [" points came a tick late", "`memory_budget`"];
    says(&store.recall, &words);
    drop(held);
    says_until_it_is_over(&store, &words);
    is_silent(&store.recall, "missing in history");
    assert_eq!(store.recall.counters("jobs").total(), Some(1_500));
}

#[test]
fn a_question_without_working_memory() {
    let store = Store::from(Recall::builder().memory_budget(128 << 10));
    store.recorder.scope(|| counter!("n").increment(1));
    store.tick(mins(10));
    let steps = store.recall.counters("n").over(mins(10));
    let steps = steps.every(Duration::from_millis(1));
    assert!(steps.eval(Aggregation::Rate).is_err());
    let words = [
        "1 question had no answer for want of working memory",
        "`memory_budget`",
    ];
    says_until_it_is_over(&store, &words);
}

#[test]
fn descriptions_that_have_no_room() {
    let store = Store::from(Recall::builder().memory_budget(256 << 10));
    store.recorder.scope(|| {
        counter!("n").increment(1);
        for i in 0..200 {
            describe_counter!(format!("n{i}"), "long ".repeat(200));
        }
    });
    let words = [
        "descriptions were not kept",
        "an eighth of the budget",
        "`memory_budget` is 256.0 KiB",
        "`max_metrics`",
    ];
    says_until_it_is_over(&store, &words);
}

#[test]
fn questions_about_what_was_never_recorded_or_makes_no_sense() {
    let store = Store::default();
    store.recorder.scope(|| histogram!("took").record(1.0));
    store.tick(secs(1));
    for _ in 0..2 {
        assert_eq!(store.recall.counters("ordres").total(), None);
        assert_eq!(
            store.recall.histograms("took").over(secs(9)).quantile(7.0),
            None
        );
    }
    let words = ["counter `ordres`", "2 questions", "never recorded: a typo"];
    says(&store.recall, &words);
    let words = ["histogram `took`", "2 questions", "quantiles from 0 to 1"];
    says(&store.recall, &words);
    store.recorder.scope(|| counter!("ordres").increment(1));
    is_silent(&store.recall, "`ordres`");
    says_until_it_is_over(&store, &["histogram `took`"]);
}

#[test]
fn more_questions_about_unknown_names_than_are_kept() {
    let store = Store::default();
    for typo in 0..40 {
        assert_eq!(store.recall.counters(format!("typo_{typo}")).total(), None);
    }
    let word = "28 more questions were about metrics that were never recorded";
    assert_eq!(store.recall.health().report().unknown_questions, 40);
    says_until_it_is_over(&store, &[word]);
    assert_eq!(store.recall.health().report().unknown_questions, 0);
}

/// A worker whose own ticks are a minute of the wall away: the test's hands alone move this clock.
#[test]
fn a_worker_that_is_late_or_stuck() {
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder().resolution(secs(60)).clock(clock);
    let (recorder, recall) = builder.start().unwrap();
    let store = Store {
        recorder,
        recall,
        hands,
    };
    store.tick(secs(60));
    assert!(store.recall.health().is_healthy());
    store.hands.advance(secs(600));
    let words = [
        "the worker is stuck",
        "no tick for 600 s",
        "`resolution` of 60s",
    ];
    says(&store.recall, &words);
    assert_eq!(store.recall.health().level(), HealthLevel::Critical);
    store.recall.tick();
    is_silent(&store.recall, "stuck");
    for _ in 0..5 {
        store.tick(secs(100));
    }
    let words = ["ticks were late; the slowest took ", "`resolution` is 60s"];
    says(&store.recall, &words);
    for _ in 0..30 {
        store.tick(secs(60));
    }
    is_silent(&store.recall, words[0]);
    store.recall.shutdown();
}

fn depth() -> metrics_recall::Measure {
    Condition::gauges("depth").current()
}

fn set(store: &Store, value: f64) {
    store.recorder.scope(|| gauge!("depth").set(value));
    store.tick(secs(1));
}

/// So many groups.
fn depths(store: &Store, n: u32, value: f64) {
    store.recorder.scope(|| {
        for id in 0..n {
            gauge!("depth", "id" => id.to_string()).set(value);
        }
    });
    store.tick(secs(1));
}

/// A store without rules of its own, which would speak, too.
fn quiet() -> Store {
    Recall::builder().own_alerts(false).into()
}

#[test]
fn alerts_that_fire_and_more_than_are_named() {
    let store = quiet();
    let condition = Condition::gauges("depth").by("id").current().above(2.0);
    let rule = AlertRule::new("Deep").when(condition);
    store.recall.alerts().add(rule).unwrap();
    depths(&store, 12, 5.0);
    let words = [
        "alert `Deep`{id=\"0\"} fires (warning)",
        "the value is 5",
        "current(depth) by (id) > 2",
    ];
    says(&store.recall, &words);
    says(&store.recall, &["2 more alerts fire"]);
    depths(&store, 12, 0.0);
    is_well(&store);
}

#[test]
fn a_critical_alert_is_worse() {
    let store = quiet();
    let rule = AlertRule::new("Deep").when(depth().above(2.0));
    let rule = rule.severity(Severity::Critical);
    store.recall.alerts().add(rule).unwrap();
    set(&store, 5.0);
    says(&store.recall, &["alert `Deep` fires (critical)"]);
    assert_eq!(store.recall.health().level(), HealthLevel::Critical);
    set(&store, 1.0);
    is_well(&store);
}

/// Asks for the rate of each of many series.
fn each(name: &str) -> AlertRule {
    let each = Condition::counters("hits").by("id").over(mins(1)).rate();
    AlertRule::new(name).when(each.above(1e9))
}

/// A store with these rules, and the snapshots that have what its questions may take.
fn short_of_memory(rules: Vec<AlertRule>) -> (Store, Vec<Snapshot>) {
    let builder = Recall::builder().own_alerts(false);
    let store = Store::from(builder.memory_budget(2 << 20));
    store.recorder.scope(|| {
        for id in 0..1_500 {
            counter!("hits", "id" => id.to_string()).increment(1);
        }
    });
    store.tick(secs(1));
    for rule in rules {
        store.recall.alerts().add(rule).expect("a valid rule");
    }
    let mut held = Vec::new();
    loop {
        let then = store.recall.snapshot();
        let is_there = then.counters("hits").total().is_some();
        held.push(then);
        if !is_there {
            break;
        }
        assert!(held.len() < 1_000, "the budget has an end");
    }
    (store, held)
}

#[test]
fn a_rule_that_cannot_be_evaluated() {
    let (store, held) = short_of_memory(Vec::new());
    store.recall.alerts().add(each("Each")).unwrap();
    store.tick(secs(1));
    let words = ["rule `Each` could not be evaluated: ", "`memory_budget`"];
    says(&store.recall, &words);
    let report = store.recall.health().report().clone();
    assert_eq!(report.alerts.failing, 1);
    drop(held);
    store.tick(secs(1));
    is_silent(&store.recall, words[0]);
}

#[test]
fn more_rules_that_cannot_be_evaluated_than_are_named() {
    let rules = (0..13).map(|rule| each(&format!("Each{rule}")));
    let (store, held) = short_of_memory(rules.collect());
    store.tick(secs(1));
    assert_eq!(store.recall.health().report().alerts.failing, 13);
    let health = store.recall.health();
    let named = health
        .reasons()
        .iter()
        .filter(|r| r.starts_with("rule `Each"));
    assert_eq!(named.count(), 10, "{health}");
    says_exactly(&store.recall, "3 more rules could not be evaluated");
    drop(held);
    store.tick(secs(1));
    is_silent(&store.recall, "could not be evaluated");
    assert_eq!(store.recall.health().report().alerts.failing, 0);
}

#[test]
fn more_rules_that_do_not_follow_their_groups_than_are_named() {
    let store = quiet();
    for rule in 0..14 {
        let condition = Condition::gauges("depth").by("id").current().above(0.0);
        let rule = AlertRule::new(format!("Each{rule}")).when(condition);
        let rule = rule.max_groups(10).severity(Severity::Info);
        store.recall.alerts().add(rule).unwrap();
    }
    depths(&store, 25, 1.0);
    says(
        &store.recall,
        &["rule `Each0` does not follow 15 of its groups"],
    );
    says_exactly(
        &store.recall,
        "4 more rules do not follow all of their groups",
    );
    store.recall.delete("depth").unwrap();
    store.tick(secs(1));
    is_well(&store);
}

#[test]
fn groups_that_are_not_followed() {
    let store = quiet();
    let condition = Condition::gauges("depth").by("id").current().above(0.0);
    let rule = AlertRule::new("Each").when(condition).max_groups(10);
    store
        .recall
        .alerts()
        .add(rule.severity(Severity::Info))
        .unwrap();
    depths(&store, 25, 1.0);
    let words = [
        "rule `Each` does not follow 15",
        "`max_groups`",
        "`memory_budget`",
    ];
    says(&store.recall, &words);
    store.recall.delete("depth").unwrap();
    store.tick(secs(1));
    is_well(&store);
}

#[test]
fn callbacks_that_panic_and_events_that_are_dropped() {
    let store = quiet();
    let alerts = store.recall.alerts();
    let rule = AlertRule::new("Deep").when(depth().above(1.0));
    alerts.add(rule.severity(Severity::Info)).unwrap();
    let panics = alerts.subscribe(|_| std::panic::resume_unwind(Box::new("quietly")));
    let unread = alerts.channel(AlertFilter::new());
    for round in 0..1_100 {
        let value = if round % 2 == 0 { 5.0 } else { 0.0 };
        store.recorder.scope(|| gauge!("depth").set(value));
        store.tick(Duration::from_millis(100));
        if round % 100 == 0 {
            assert!(alerts.drain(secs(60)));
        }
    }
    assert!(alerts.drain(secs(60)));
    assert_eq!((unread.dropped(), panics.delivered()), (76, 1_100));
    says(&store.recall, &["alert callbacks panicked 1100 times"]);
    let words = ["76 alert events were dropped", "`memory_budget`", "1024"];
    says_until_it_is_over(&store, &words);
}

#[test]
fn a_callback_that_does_not_come_back() {
    let store = quiet();
    let alerts = store.recall.alerts();
    let rule = AlertRule::new("Deep").when(depth().above(1.0));
    alerts.add(rule.severity(Severity::Info)).unwrap();
    let (begins, begun) = mpsc::channel::<()>();
    let (release, blocked) = mpsc::channel::<()>();
    let sub = alerts.subscribe(move |_| {
        begins.send(()).unwrap();
        let _ = blocked.recv();
    });
    set(&store, 5.0);
    begun.recv().unwrap();
    set(&store, 0.0);
    store.hands.advance(secs(29));
    let words = ["has been running for 30 s", "1 events wait for callbacks"];
    says(&store.recall, &words);
    drop(release);
    assert!(alerts.drain(secs(60)));
    is_silent(&store.recall, words[0]);
    says_until_it_is_over(
        &store,
        &[
            "1 calls of alert callbacks took longer than a second",
            "30s",
        ],
    );
    drop(sub);
}

#[test]
fn a_subscription_without_memory_hears_nothing() {
    let store = Store::from(Recall::builder().own_alerts(false).memory_budget(128 << 10));
    let alerts = store.recall.alerts();
    let mut held = Vec::new();
    while held.len() < 10_000 && alerts.callbacks().subscriptions == held.len() {
        held.push(alerts.channel(AlertFilter::new()));
    }
    let words = ["1 subscriptions to alerts hear nothing", "`memory_budget`"];
    says(&store.recall, &words);
    drop(held);
    says_until_it_is_over(&store, &words);
}

#[test]
fn names_that_are_exposed_under_another() {
    let store = Store::default();
    store.recorder.scope(|| {
        gauge!("a.b").set(1.0);
        gauge!("a_b").set(2.0);
        for pair in 0..11 {
            gauge!(format!("n{pair}.b")).set(1.0);
            gauge!(format!("n{pair}_b")).set(2.0);
        }
    });
    let _ = store.recall.render();
    let said = "gauge `a.b` is exposed as `U__a_2e_b`, since `a_b` is the gauge `a_b`";
    says(&store.recall, &[said]);
    says(
        &store.recall,
        &["2 more metrics are exposed under another name"],
    );
    for pair in 0..11 {
        store.recall.delete(format!("n{pair}.b")).unwrap();
    }
    store.recall.delete("a.b").unwrap();
    is_well(&store);
}
