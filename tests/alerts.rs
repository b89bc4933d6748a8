//! Alerts through the public API: what rules see, what callbacks hear, and what neither can break.
mod common;

use common::Store;
use metrics_recall::{
    AlertEvent, AlertFilter, AlertRule, AlertState, Condition, Labels, NoData, Recall, Severity,
    mins, secs,
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    mpsc,
};
use std::time::Duration;

/// A store without rules of its own.
fn store() -> Store {
    Recall::builder().own_alerts(false).into()
}

fn gauge(store: &Store, value: f64) {
    store.recorder.scope(|| metrics::gauge!("depth").set(value));
}

fn depth() -> metrics_recall::Measure {
    Condition::gauges("depth").current()
}

/// All that waits in a channel: rule, labels and state.
fn heard(events: &metrics_recall::AlertReceiver) -> Vec<(String, AlertState)> {
    let mut heard = Vec::new();
    while let Some(event) = events.try_recv() {
        heard.push((format!("{}{}", event.rule(), event.labels()), event.state()));
    }
    heard
}

fn states(events: &metrics_recall::AlertReceiver) -> Vec<AlertState> {
    heard(events).into_iter().map(|(_, state)| state).collect()
}

#[test]
fn an_alert_is_pending_fires_and_is_resolved_with_its_times() {
    let store = store();
    let rule = AlertRule::new("Slow")
        .when(
            Condition::histograms("checkout_seconds")
                .by(["route"])
                .over(secs(10))
                .max()
                .above(0.5),
        )
        .for_at_least(secs(5))
        .severity(Severity::Critical)
        .label("team", "shop-{{ $labels.route }}")
        .annotation("summary", "worst of {{ $labels.route }} is {{ $value }}");
    store.recall.alerts().add(rule).unwrap();
    let events = store.recall.alerts().channel(AlertFilter::new());
    let record = |value: f64| {
        store.recorder.scope(|| {
            metrics::histogram!("checkout_seconds", "route" => "/pay").record(value);
            metrics::histogram!("checkout_seconds", "route" => "/list").record(0.01);
        });
    };
    for second in 1..=60 {
        record(if (10..20).contains(&second) {
            0.75
        } else {
            0.1
        });
        store.tick(secs(1));
    }
    let told: Vec<AlertEvent> = std::iter::from_fn(|| events.try_recv()).collect();
    let start = store.recall.now().as_millis() - 60_000;
    let second = |at: metrics_recall::Timestamp| (at.as_millis() - start) / 1_000;
    let shown: Vec<_> = told
        .iter()
        .map(|e| (second(e.at()), e.from(), e.state()))
        .collect();
    let (inactive, pending) = (AlertState::Inactive, AlertState::Pending);
    let (firing, resolved) = (AlertState::Firing, AlertState::Resolved);
    assert_eq!(
        shown,
        [
            (10, inactive, pending),
            (15, pending, firing),
            (29, firing, resolved)
        ]
    );
    let fired = &told[1];
    assert_eq!(
        *fired.labels(),
        Labels::from([("route", "/pay"), ("team", "shop-/pay")])
    );
    assert_eq!((fired.value(), fired.threshold()), (0.75, Some(0.5)));
    assert_eq!(fired.annotation("summary"), Some("worst of /pay is 0.75"));
    assert_eq!(fired.since().map(second), Some(10));
    assert_eq!(told[2].fired_at().map(second), Some(15));
    assert!(told.iter().all(|e| e.fingerprint() == fired.fingerprint()));
    let text = fired.to_string();
    assert_eq!(
        text,
        "2026-01-01 00:00:15 +0000 UTC firing Slow{route=\"/pay\",team=\"shop-/pay\"} (critical): 0.75, threshold 0.5, for 5s; summary: worst of /pay is 0.75"
    );
    assert!(store.recall.alerts().active().is_empty());
    assert_eq!(store.recall.alerts().recent().len(), 3);
}

#[test]
fn hysteresis_holds_an_alert_between_its_thresholds() {
    let store = store();
    let rule = AlertRule::new("Deep").when(depth().above(90.0).clear_at(80.0));
    store.recall.alerts().add(rule).unwrap();
    let events = store.recall.alerts().channel(AlertFilter::new());
    for value in [85.0, 91.0, 85.0, 89.0, 80.5, 80.0, 85.0, 90.0, 90.5] {
        gauge(&store, value);
        store.tick(secs(1));
    }
    assert_eq!(
        states(&events),
        [AlertState::Firing, AlertState::Resolved, AlertState::Firing]
    );
}

#[test]
fn every_comparison_says_what_it_is_called() {
    let store = store();
    let table = [
        ("above", depth().above(5.0), [false, false, true]),
        ("at_least", depth().at_least(5.0), [false, true, true]),
        ("below", depth().below(5.0), [true, false, false]),
        ("at_most", depth().at_most(5.0), [true, true, false]),
        ("equal", depth().equal(5.0), [false, true, false]),
        ("not_equal", depth().not_equal(5.0), [true, false, true]),
        ("outside", depth().outside(4.5..=5.5), [true, false, true]),
    ];
    for (name, condition, _) in &table {
        let rule = AlertRule::new(name).when(condition.clone());
        store.recall.alerts().add(rule).unwrap();
    }
    for (i, value) in [4.0, 5.0, 6.0].into_iter().enumerate() {
        gauge(&store, value);
        store.tick(secs(1));
        let active = store.recall.alerts().active();
        for (name, _, expected) in &table {
            let fires = active.iter().any(|alert| alert.rule == *name);
            assert_eq!(fires, expected[i], "{name} {value}");
        }
    }
}

#[test]
fn a_ratio_is_made_group_by_group_or_of_the_whole() {
    let store = store();
    let errors = || {
        Condition::counters("errors")
            .by("svc")
            .over(secs(10))
            .increase()
    };
    let grouped = Condition::counters("all")
        .by("svc")
        .over(secs(10))
        .increase();
    let whole = Condition::counters("all").over(secs(10)).increase();
    let alerts = store.recall.alerts();
    alerts
        .add(AlertRule::new("Own").when(errors().ratio_to(grouped).above(0.3)))
        .unwrap();
    alerts
        .add(AlertRule::new("Share").when(errors().ratio_to(whole).above(0.3)))
        .unwrap();
    store.recorder.scope(|| {
        for (svc, errors, all) in [("a", 4, 10), ("b", 40, 90), ("c", 0, 0)] {
            metrics::counter!("errors", "svc" => svc).increment(errors);
            metrics::counter!("all", "svc" => svc).increment(all);
        }
    });
    store.tick(secs(1));
    let active = alerts.active();
    let shown: Vec<_> = active
        .iter()
        .map(|a| (a.rule.as_str(), a.labels.get("svc").unwrap(), a.value))
        .collect();
    assert_eq!(
        shown,
        [
            ("Own", "a", 0.4),
            ("Own", "b", 40.0 / 90.0),
            ("Share", "b", 0.4)
        ]
    );
}

#[test]
fn absence_is_noticed_when_it_has_lasted_and_not_before() {
    let store = store();
    let beats = Condition::counters("beats").over(secs(10)).increase();
    let alerts = store.recall.alerts();
    alerts
        .add(AlertRule::new("Silent").when(beats.absent_for(secs(30))))
        .unwrap();
    let events = alerts.channel(AlertFilter::new());
    let run = |from: u64, to: u64, beat: bool| {
        let mut told = Vec::new();
        for second in from..to {
            if beat {
                store
                    .recorder
                    .scope(|| metrics::counter!("beats").increment(1));
            }
            store.tick(secs(1));
            told.extend(events.try_recv().map(|e| (second, e.state(), e.value())));
        }
        told
    };
    // Never seen: thirty seconds after the rule was first evaluated.
    assert_eq!(run(0, 60, false), [(30, AlertState::Firing, 1.0)]);
    assert_eq!(run(60, 100, true), [(60, AlertState::Resolved, 1.0)]);
    // The last beat came at 99; its window is empty from 109 on, and the ten seconds count.
    assert_eq!(run(100, 160, false), [(128, AlertState::Firing, 1.0)]);
}

#[test]
fn an_absent_group_is_one_that_was_there() {
    let store = store();
    let beats = Condition::counters("beats")
        .by("host")
        .over(secs(5))
        .increase();
    let rule = AlertRule::new("Silent").when(beats.absent_for(secs(20)));
    store.recall.alerts().add(rule).unwrap();
    for second in 0..60 {
        store.recorder.scope(|| {
            metrics::counter!("beats", "host" => "a").increment(1);
            if second < 10 {
                metrics::counter!("beats", "host" => "b").increment(1);
            }
        });
        store.tick(secs(1));
    }
    let active = store.recall.alerts().active();
    assert_eq!(active.len(), 1);
    assert_eq!(active[0].labels, Labels::from([("host", "b")]));
}

#[test]
fn a_crossing_is_foreseen_and_a_change_is_seen() {
    let store = store();
    let disk = || Condition::gauges("depth").over(secs(60));
    let alerts = store.recall.alerts();
    alerts
        .add(AlertRule::new("Filling").when(disk().avg().crosses(100.0, secs(120))))
        .unwrap();
    let grown = Condition::gauges("depth").over(secs(10)).avg();
    alerts
        .add(AlertRule::new("Grown").when(grown.change_from(secs(60)).above(20.0)))
        .unwrap();
    let events = alerts.channel(AlertFilter::new());
    let mut told = Vec::new();
    for second in 0..200_u32 {
        let rising = f64::from(second.saturating_sub(100));
        gauge(&store, 10.0 + rising / 2.0);
        store.tick(secs(1));
        told.extend(
            events
                .try_recv()
                .map(|e| (second, e.rule().to_owned(), e.state())),
        );
    }
    let at = |rule: &str| {
        told.iter()
            .find(|(_, r, _)| r == rule)
            .map(|(at, _, _)| *at)
    };
    // Half a unit a second: with a whole window of it, 60 of 100 are left for 120 s at about 40.
    assert!((130..170).contains(&at("Filling").unwrap()), "{told:?}");
    assert!((140..155).contains(&at("Grown").unwrap()), "{told:?}");
}

#[test]
fn no_data_keeps_resolves_or_fires() {
    let store = store();
    let alerts = store.recall.alerts();
    let latency = || {
        Condition::histograms("latency")
            .over(secs(2))
            .max()
            .above(1.0)
    };
    for (name, meaning) in [
        ("keep", NoData::Keep),
        ("resolve", NoData::Resolve),
        ("fire", NoData::Fire),
    ] {
        alerts
            .add(AlertRule::new(name).when(latency()).no_data(meaning))
            .unwrap();
    }
    let firing = || {
        let active = alerts.active();
        active
            .into_iter()
            .map(|alert| alert.rule)
            .collect::<Vec<_>>()
    };
    store.tick(secs(1));
    assert_eq!(firing(), ["fire"]);
    store
        .recorder
        .scope(|| metrics::histogram!("latency").record(5.0));
    store.tick(secs(1));
    assert_eq!(firing(), ["keep", "resolve", "fire"]);
    for _ in 0..5 {
        store.tick(secs(1));
    }
    assert_eq!(firing(), ["keep", "fire"]);
}

#[test]
fn rules_come_go_and_change_at_run_time() {
    let store = store();
    let alerts = store.recall.alerts();
    let events = alerts.channel(AlertFilter::new());
    let deep = |hold| {
        AlertRule::new("Deep")
            .when(depth().above(1.0))
            .for_at_least(hold)
    };
    alerts.add(deep(secs(0))).unwrap();
    gauge(&store, 5.0);
    store.tick(secs(1));
    assert_eq!(states(&events), [AlertState::Firing]);
    // The same condition: it goes on, and is pending since more time is asked for.
    alerts.replace(deep(secs(60))).unwrap();
    store.tick(secs(1));
    assert_eq!(states(&events), [AlertState::Pending]);
    alerts.replace(deep(secs(0))).unwrap();
    store.tick(secs(1));
    assert_eq!(states(&events), [AlertState::Firing]);
    // Another condition: it ends.
    alerts
        .replace(AlertRule::new("Deep").when(depth().above(2.0)))
        .unwrap();
    assert_eq!(states(&events), [AlertState::Resolved]);
    store.tick(secs(1));
    assert_eq!(states(&events), [AlertState::Firing]);
    alerts.disable("Deep").unwrap();
    assert_eq!(states(&events), [AlertState::Resolved]);
    store.tick(secs(1));
    assert!(!alerts.rules()[0].is_enabled && states(&events).is_empty());
    alerts.enable("Deep").unwrap();
    store.tick(secs(1));
    assert_eq!(states(&events), [AlertState::Firing]);
    alerts.remove("Deep").unwrap();
    assert_eq!(states(&events), [AlertState::Resolved]);
    assert!(alerts.rules().is_empty());
    for error in [
        alerts.remove("Deep").unwrap_err(),
        alerts.enable("Deep").unwrap_err(),
        alerts.replace(deep(secs(1))).unwrap_err(),
    ] {
        assert!(error.to_string().contains("`Deep`"), "{error}");
    }
}

#[test]
fn a_reset_brings_the_first_rules_back_and_says_so() {
    let builder = Recall::builder().alert(AlertRule::new("Deep").when(depth().above(1.0)));
    let store: Store = builder.into();
    let alerts = store.recall.alerts();
    let events = alerts.channel(AlertFilter::new().rule("Deep"));
    let names = || {
        alerts
            .rules()
            .into_iter()
            .map(|rule| rule.name)
            .collect::<Vec<_>>()
    };
    let first = names();
    gauge(&store, 5.0);
    store.tick(secs(1));
    alerts.remove("RecallMemoryFull").unwrap();
    alerts
        .add(AlertRule::new("More").when(depth().above(1.0)))
        .unwrap();
    alerts.reset();
    assert_eq!(names(), first);
    assert!(alerts.active().is_empty());
    assert_eq!(events.try_recv().unwrap().state(), AlertState::Firing);
    let event = events.try_recv().unwrap();
    assert!(
        event.is_reset() && event.to_string().contains("7 rules, 1 active"),
        "{event}"
    );
    store.tick(secs(1));
    assert_eq!(states(&events), [AlertState::Firing]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a row a mistake")]
fn bad_rules_are_refused_by_name_and_nothing_is_added() {
    let store = store();
    let alerts = store.recall.alerts();
    let good = || AlertRule::new("Good").when(depth().above(1.0));
    let p99 = || Condition::histograms("x").over(mins(5)).quantile(0.99);
    alerts.add(good()).unwrap();
    let table = [
        (AlertRule::new("x"), "condition"),
        (AlertRule::new("").when(depth().above(1.0)), "without name"),
        (AlertRule::new(" ").when(depth().above(1.0)), "without name"),
        (good(), "`Good`"),
        (AlertRule::new("x").when(depth().above(f64::NAN)), "NaN"),
        (
            AlertRule::new("x").when(depth().outside(f64::NAN..=1.0)),
            "NaN",
        ),
        (
            AlertRule::new("x").when(depth().above(1.0).clear_at(f64::NAN)),
            "rule `x`: condition `current(depth) > 1 clear NaN`: a threshold is NaN",
        ),
        (
            AlertRule::new("x").when(p99().crosses(f64::NAN, secs(9))),
            "NaN",
        ),
        (
            AlertRule::new("x").when(depth().outside(2.0..=1.0)),
            "the range 2..1 is empty",
        ),
        (
            AlertRule::new("x").when(p99().ago(secs(0)).above(1.0)),
            "offset of 0 s",
        ),
        (
            AlertRule::new("a\nb").when(depth().above(f64::NAN)),
            "rule `a\\nb`",
        ),
        (good().label("", "c"), "label ``"),
        (good().label("ü", "c"), "label `ü`"),
        (good().label("__name__", "c"), "`__name__`"),
        (good().label("a\nb", "c"), "label `a\\nb`"),
        (
            AlertRule::new("x").when(depth().above(1.0).clear_at(2.0)),
            "clears at 2",
        ),
        (
            AlertRule::new("x").when(Condition::gauges("").current().above(1.0)),
            "without name",
        ),
        (
            AlertRule::new("x").when(Condition::gauges("g").over(secs(0)).avg().above(1.0)),
            "0 s of `g`",
        ),
        (
            AlertRule::new("x").when(depth().absent_for(secs(0))),
            "absent for 0 s",
        ),
        (
            AlertRule::new("x").when(p99().crosses(1.0, secs(0))),
            "within 0 s",
        ),
        (
            AlertRule::new("x").when(p99().change_from(secs(0)).above(1.0)),
            "0 s",
        ),
        (
            AlertRule::new("x").when(
                Condition::histograms("h")
                    .over(secs(1))
                    .quantile(1.5)
                    .above(1.0),
            ),
            "1.5",
        ),
        (good().max_groups(0), "0 groups"),
        (good().label("a-b", "c"), "`a-b`"),
        (good().label("1a", "c"), "`1a`"),
        (good().label("alertname", "c"), "`alertname`"),
        (good().label("a", "{{ $value }}"), "`$value`"),
        (good().label("a", "{{ $labels }}"), "character 4"),
        (good().annotation("a b", "c"), "`a b`"),
        (
            good().annotation("a", "x {{ humanise $value }}"),
            "character 6: unknown function `humanise`",
        ),
        (good().annotation("a", "{{ $value"), "character 1"),
        (
            AlertRule::new("x")
                .when(Condition::gauges("g").by("a").current().above(1.0))
                .label("a", "b"),
            "label `a`",
        ),
    ];
    for (rule, what) in table {
        let error = alerts.add(rule).unwrap_err();
        assert!(
            error.is_invalid() && error.to_string().contains(what),
            "{what}: {error}"
        );
        assert_eq!(alerts.rules().len(), 1);
    }
}

/// The error of a condition repeated all of it, and so a label of a megabyte.
#[test]
fn what_is_wrong_is_said_in_brief() {
    let store = store();
    let long = "x".repeat(1 << 20);
    let depth = || Condition::gauges("depth").label("id", &*long).current();
    for rule in [
        AlertRule::new("x").when(depth().above(f64::NAN)),
        AlertRule::new("x").when(depth().above(1.0).clear_at(2.0)),
        AlertRule::new("x").when(Condition::gauges(&*long).over(secs(0)).avg().above(1.0)),
        AlertRule::new(&*long).when(depth().above(1.0)),
        AlertRule::new("x")
            .when(depth().above(1.0))
            .label(&*long, "y"),
        AlertRule::new("x")
            .when(depth().above(1.0))
            .annotation("a", &*long),
    ] {
        let error = store.recall.alerts().add(rule).unwrap_err();
        let said = error.to_string();
        assert!(
            error.is_invalid() && said.len() < 1_000,
            "{} bytes",
            said.len()
        );
    }
    assert_eq!(store.recall.alerts().rules().len(), 0);
}

#[test]
fn a_rule_is_not_replaced_by_a_bad_one_and_a_builder_names_all_that_is_wrong() {
    let store = store();
    let alerts = store.recall.alerts();
    let good = || AlertRule::new("Good").when(depth().above(1.0));
    alerts.add(good()).unwrap();
    let error = alerts
        .replace(AlertRule::new("Good").when(depth().above(f64::NAN)))
        .unwrap_err();
    assert!(error.to_string().contains("rule `Good`"), "{error}");
    assert_eq!(alerts.rules()[0].condition, "current(depth) > 1");
    for error in [
        alerts.replace(AlertRule::new("Other").when(depth().above(1.0))),
        alerts.remove("Other"),
        alerts.enable("Other"),
        alerts.disable("Other"),
    ] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("no rule `Other`: there are Good"), "{error}");
    }
    let error = Recall::builder()
        .alert(good())
        .alert(good())
        .alert(AlertRule::new("").when(depth().above(1.0)))
        .build()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`Good`: there is one of this name") && error.contains("without name"),
        "{error}"
    );
    let error = Recall::builder()
        .alert(AlertRule::new("x"))
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("`x`"));
}

#[test]
fn groups_beyond_the_limit_are_reported() {
    let store = store();
    let condition = Condition::gauges("depth").by("id").current().above(0.0);
    let rule = AlertRule::new("Each").when(condition).max_groups(10);
    store.recall.alerts().add(rule).unwrap();
    let set = |n: usize, value: f64| {
        store.recorder.scope(|| {
            for id in 0..n {
                metrics::gauge!("depth", "id" => format!("{id:03}")).set(value);
            }
        });
        store.tick(secs(1));
    };
    set(25, 1.0);
    let status = &store.recall.alerts().rules()[0];
    assert_eq!((status.firing, status.excess), (10, 15));
    let health = store.recall.health().to_string();
    assert!(
        health.contains("`Each` does not follow 15") && health.contains("`max_groups`"),
        "{health}"
    );
    set(25, 0.0);
    assert_eq!(store.recall.alerts().active().len(), 0);
}

/// An exploding label: as many alerts as there is room for, and not a byte more; how many there is no room for is said.
fn exploding(budget: usize, most: usize) -> (Store, metrics_recall::RuleStatus) {
    let builder = Recall::builder()
        .own_alerts(false)
        .memory_budget(budget)
        .max_series_per_metric(100_000);
    let store: Store = builder.into();
    let condition = Condition::counters("hits")
        .by("user")
        .over(secs(60))
        .increase()
        .above(0.0);
    let rule = AlertRule::new("Each").when(condition).max_groups(most);
    store.recall.alerts().add(rule).expect("a good rule");
    let unread = store.recall.alerts().channel(AlertFilter::new());
    for round in 0..3 {
        store.recorder.scope(|| {
            for user in 0..100_000 {
                metrics::counter!("hits", "user" => format!("user-{user}")).increment(1);
            }
        });
        store.tick(secs(1));
        let memory = store.recall.memory();
        assert!(memory.used <= memory.budget, "{round}: {memory}");
        let mut parts = memory.parts.iter();
        let alerts = parts
            .find(|(name, _)| *name == "alerts")
            .expect("alerts have a part")
            .1;
        assert!(alerts <= memory.budget / 8, "{alerts}");
    }
    drop(unread);
    let status = store.recall.alerts().rules().remove(0);
    (store, status)
}

#[test]
fn a_hundred_thousand_groups_stay_inside_the_budget() {
    // Without working memory for all of them the rule was not evaluated at all.
    for budget in [64 << 20, 256 << 20] {
        let (store, status) = exploding(budget, 100_000);
        assert_eq!(status.error, None);
        assert!(status.firing > 1_000, "{status}");
        assert_eq!(status.firing + status.excess, 100_000, "{status}");
        let health = store.recall.health().to_string();
        let said = format!("`Each` does not follow {} of its groups", status.excess);
        assert!(
            health.contains(&said) && health.contains("`memory_budget`"),
            "{health}"
        );
        assert!(!health.contains("had no answer"), "{health}");
        // With less to follow all is as it should be again.
        store.recall.delete("hits").unwrap();
        // Questions that read much take turns.
        let status = || store.recall.alerts().rules().remove(0);
        for _ in 0..300 {
            store.tick(secs(10));
            if status().firing == 0 {
                break;
            }
        }
        let status = status();
        assert_eq!((status.firing, status.excess), (0, 0), "{status}");
    }
}

/// Of the groups of a rule that says nothing else, the same thousand are followed.
#[test]
fn an_exploding_label_is_a_thousand_alerts() {
    let (store, status) = exploding(64 << 20, 1_000);
    assert_eq!((status.error.as_deref(), status.firing), (None, 1_000));
    assert_eq!(status.excess, 99_000);
    let active = store.recall.alerts().active();
    assert_eq!(active[0].labels.get("user"), Some("user-0"));
}

#[test]
fn callbacks_that_block_panic_or_unsubscribe_hurt_nobody() {
    let store = store();
    let alerts = store.recall.alerts();
    let rule = AlertRule::new("Deep").when(depth().above(1.0));
    alerts.add(rule).unwrap();
    let (release, blocked) = mpsc::channel::<()>();
    let stuck = alerts.subscribe(move |_| {
        let _ = blocked.recv();
    });
    let panics = alerts.subscribe(|_| std::panic::resume_unwind(Box::new("quietly")));
    let slot = Arc::new(Mutex::new(None));
    let calls = Arc::new(AtomicUsize::new(0));
    let (own, count) = (slot.clone(), calls.clone());
    let once = alerts.subscribe(move |_| {
        count.fetch_add(1, Relaxed);
        let mine: Option<metrics_recall::Subscription> = own.lock().unwrap().take();
        drop(mine);
    });
    *slot.lock().unwrap() = Some(once);
    let recall = store.recall.clone();
    let added = Arc::new(AtomicUsize::new(0));
    let adds = added.clone();
    let enters = alerts.subscribe(move |_| {
        let n = adds.fetch_add(1, Relaxed);
        let rule = AlertRule::new(format!("added-{n}"))
            .when(Condition::gauges("none").current().above(1.0));
        recall.alerts().add(rule).unwrap();
        recall.tick();
        let _ = (recall.memory(), recall.alerts().active());
        recall.alerts().drain(secs(0));
    });
    let heard = Arc::new(AtomicU64::new(0));
    let count = heard.clone();
    let listens = alerts.subscribe(move |_| {
        count.fetch_add(1, Relaxed);
    });
    let produced = 2_000;
    for i in 0..produced {
        gauge(&store, if i % 2 == 0 { 5.0 } else { 0.0 });
        store.tick(Duration::from_millis(100));
    }
    let all = |sub: &metrics_recall::Subscription| {
        let counted = sub.delivered() + sub.dropped() + sub.waiting() as u64;
        // One event is being delivered.
        (counted == produced || counted + 1 == produced, counted)
    };
    assert!(all(&stuck).0 && stuck.dropped() >= 900, "{stuck:?}");
    assert!(
        store
            .recall
            .health()
            .to_string()
            .contains("alert events were dropped")
    );
    assert_eq!(store.recall.counters("none").total(), None);
    drop(release);
    assert!(alerts.drain(secs(60)));
    for sub in [&stuck, &panics, &listens] {
        assert!(all(sub).0, "{sub:?}");
    }
    assert_eq!(heard.load(Relaxed), listens.delivered());
    assert_eq!(calls.load(Relaxed), 1);
    assert!(added.load(Relaxed) >= 1_000);
    assert_eq!(alerts.callbacks().panicked, panics.delivered());
    let health = store.recall.health().to_string();
    assert!(health.contains("alert callbacks panicked"), "{health}");
    drop(enters);
}

#[test]
fn a_call_that_takes_long_is_named_and_forgotten() {
    let store = store();
    let alerts = store.recall.alerts();
    alerts
        .add(
            AlertRule::new("Deep")
                .when(depth().above(1.0))
                .severity(Severity::Info),
        )
        .unwrap();
    let (begins, begun) = mpsc::channel::<()>();
    let (release, blocked) = mpsc::channel::<()>();
    let _sub = alerts.subscribe(move |_| {
        begins.send(()).unwrap();
        let _ = blocked.recv();
    });
    gauge(&store, 5.0);
    store.tick(secs(1));
    begun.recv().unwrap();
    assert!(store.recall.health().is_healthy());
    store.hands.advance(secs(30));
    let health = store.recall.health().to_string();
    assert!(health.contains("has been running for 30 s"), "{health}");
    drop(release);
    assert!(alerts.drain(secs(60)));
    assert_eq!(alerts.callbacks().slowest, secs(30));
    let health = store.recall.health().to_string();
    assert!(
        health.contains("longer than a second") && health.contains("30s"),
        "{health}"
    );
    for _ in 0..3 {
        store.tick(mins(5));
    }
    assert!(
        store.recall.health().is_healthy(),
        "{}",
        store.recall.health()
    );
}

#[test]
fn health_names_what_fires_until_it_is_over() {
    let store = store();
    let rule = AlertRule::new("Deep")
        .when(depth().above(1.0))
        .severity(Severity::Error);
    store.recall.alerts().add(rule).unwrap();
    gauge(&store, 5.0);
    store.tick(secs(1));
    let health = store.recall.health().to_string();
    assert!(
        health.contains("alert `Deep` fires (error): the value is 5")
            && health.contains("current(depth) > 1"),
        "{health}"
    );
    gauge(&store, 0.0);
    store.tick(secs(1));
    assert!(store.recall.health().is_healthy());
}

#[test]
fn filters_pass_what_they_say() {
    let store = store();
    let alerts = store.recall.alerts();
    for (name, severity) in [
        ("a", Severity::Info),
        ("b", Severity::Error),
        ("c", Severity::Critical),
    ] {
        alerts
            .add(
                AlertRule::new(name)
                    .when(depth().above(1.0))
                    .severity(severity),
            )
            .unwrap();
    }
    let bad = alerts.channel(AlertFilter::new().at_least(Severity::Error));
    let two = alerts.channel(
        AlertFilter::new()
            .rule("a")
            .rule("c")
            .state(AlertState::Resolved),
    );
    for value in [5.0, 0.0] {
        gauge(&store, value);
        store.tick(secs(1));
    }
    let firing = |name: &str| (format!("{name}{{}}"), AlertState::Firing);
    let resolved = |name: &str| (format!("{name}{{}}"), AlertState::Resolved);
    assert_eq!(
        heard(&bad),
        [firing("b"), firing("c"), resolved("b"), resolved("c")]
    );
    assert_eq!(heard(&two), [resolved("a"), resolved("c")]);
}

#[test]
fn a_storm_is_one_call_a_group() {
    let store = store();
    let alerts = store.recall.alerts();
    let condition = Condition::gauges("depth")
        .by(["service", "host"])
        .current()
        .above(1.0);
    alerts.add(AlertRule::new("Deep").when(condition)).unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = calls.clone();
    let sub = alerts.subscribe_grouped(["service"], secs(10), move |group| {
        let call = (group.labels().to_string(), group.events().len());
        seen.lock().unwrap().push(call);
    });
    for second in 0..30 {
        store.recorder.scope(|| {
            for host in 0..20 {
                let (service, host) = (if host < 15 { "a" } else { "b" }, host.to_string());
                let value = if second < 3 { 0.0 } else { 5.0 };
                metrics::gauge!("depth", "service" => service, "host" => host).set(value);
            }
        });
        store.tick(secs(1));
        if second == 12 {
            assert!(alerts.drain(secs(60)) && calls.lock().unwrap().is_empty());
        }
    }
    assert!(alerts.drain(secs(60)));
    let group = |service: &str, n| (format!("{{service=\"{service}\"}}"), n);
    assert_eq!(*calls.lock().unwrap(), [group("a", 15), group("b", 5)]);
    assert_eq!(sub.delivered(), 20);
}

/// A window of all time was not over when the store was shut down, and its events were lost.
#[test]
fn a_shutdown_delivers_groups_however_long_their_window() {
    let builder = Recall::builder()
        .own_alerts(false)
        .alert(AlertRule::new("Deep").when(depth().above(1.0)));
    let store: Store = builder.into();
    let heard = Arc::new(AtomicUsize::new(0));
    let count = heard.clone();
    let alerts = store.recall.alerts();
    let _sub = alerts.subscribe_grouped(["service"], Duration::MAX, move |group| {
        count.fetch_add(group.events().len(), Relaxed);
    });
    store.tick(secs(1));
    gauge(&store, 5.0);
    store.tick(secs(1));
    assert!(alerts.drain(secs(60)) && heard.load(Relaxed) == 0);
    store.recall.shutdown();
    assert_eq!(heard.load(Relaxed), 1);
}

#[test]
fn a_shutdown_delivers_what_waits_and_ends_subscriptions() {
    let heard = Arc::new(AtomicUsize::new(0));
    let count = heard.clone();
    let builder = Recall::builder()
        .own_alerts(false)
        .alert(AlertRule::new("Deep").when(depth().above(1.0)))
        .on_alert(move |_| {
            count.fetch_add(1, Relaxed);
        });
    let store: Store = builder.into();
    let (release, blocked) = mpsc::channel::<()>();
    let stuck = store.recall.alerts().subscribe(move |_| {
        let _ = blocked.recv();
    });
    gauge(&store, 5.0);
    // Not ticked: the shutdown does.
    store.hands.advance(secs(1));
    store.recall.shutdown();
    assert_eq!(heard.load(Relaxed), 1);
    assert_eq!(store.recall.alerts().callbacks().subscriptions, 0);
    gauge(&store, 0.0);
    store.tick(secs(1));
    assert_eq!(heard.load(Relaxed), 1);
    drop(release);
    drop(stuck);
}

#[test]
fn the_stores_own_rules_watch_it_and_can_be_switched() {
    let builder = Recall::builder().max_series_per_metric(3);
    let store: Store = builder.into();
    let alerts = store.recall.alerts();
    assert_eq!(
        alerts.rules().iter().filter(|rule| rule.is_builtin).count(),
        6
    );
    alerts.disable("RecallMemoryHigh").unwrap();
    for id in 0..10 {
        store
            .recorder
            .scope(|| metrics::counter!("hits", "id" => id.to_string()).increment(1));
    }
    store.tick(secs(1));
    let active = alerts.active();
    assert_eq!(active.len(), 1, "{active:?}");
    assert_eq!(
        (active[0].rule.as_str(), active[0].value),
        ("RecallSeriesOverflow", 7.0)
    );
    for _ in 0..3 {
        store.tick(mins(5));
    }
    assert!(alerts.active().is_empty());
    assert!(alerts.rules().iter().all(|rule| rule.error.is_none()));
}

#[test]
fn memory_above_its_marks_is_told() {
    let builder = Recall::builder().memory_budget(256 << 10);
    let store: Store = builder.into();
    let alerts = store.recall.alerts();
    let mut full = false;
    for second in 0..2_000 {
        store.recorder.scope(|| {
            for id in 0..60 {
                let value = f64::from(second * id).sin();
                metrics::gauge!("noise", "id" => id.to_string()).set(value);
            }
        });
        store.tick(secs(1));
        let memory = store.recall.memory();
        assert!(memory.used <= memory.budget);
        full |= alerts
            .active()
            .iter()
            .any(|alert| alert.rule == "RecallMemoryHigh");
        if full {
            break;
        }
    }
    assert!(full, "{}", store.recall.memory());
    store.recall.set_memory_budget(8 << 20).unwrap();
    store.tick(secs(1));
    assert!(alerts.active().is_empty(), "{:?}", alerts.active());
}

/// A rule with many groups took all memory that alerts may have, and the store's own rules could not fire.
#[test]
fn the_stores_own_rules_fire_whatever_memory_other_rules_take() {
    let builder = Recall::builder().memory_budget(1 << 20);
    let store = Store::from(builder.max_series_per_metric(1_500));
    let alerts = store.recall.alerts();
    let own = alerts.channel(AlertFilter::new().rule("RecallSeriesOverflow"));
    let each = Condition::gauges("depth").by("id").current().above(0.0);
    let rule = AlertRule::new("Each").when(each).max_groups(100_000);
    alerts.add(rule).unwrap();
    let depths = |n: u32| {
        store.recorder.scope(|| {
            for id in 0..n {
                metrics::gauge!("depth", "id" => id.to_string()).set(1.0);
            }
        });
        store.tick(secs(1));
    };
    depths(1_500);
    let excess = |name: &str| {
        let mut rules = alerts.rules().into_iter();
        rules.find(|rule| rule.name == name).unwrap().excess
    };
    assert!(excess("Each") > 500, "{:?}", alerts.rules());
    depths(1_600);
    assert_eq!(excess("RecallSeriesOverflow"), 0);
    assert_eq!(states(&own), [AlertState::Firing]);
}

/// Nor could they when history was held by whoever reads it, and no byte was left.
#[test]
fn the_stores_own_rules_fire_without_a_byte_left() {
    let store = Store::from(Recall::builder().memory_budget(256 << 10));
    let alerts = store.recall.alerts();
    let full = alerts.channel(AlertFilter::new().rule("RecallMemoryFull"));
    let lost = alerts.channel(AlertFilter::new().rule("RecallTicksDisturbed"));
    let mut held = Vec::new();
    while store.recall.health().report().ticks.lost < 3 {
        store.recorder.scope(|| {
            for id in 0..20_u32 {
                let took = metrics::histogram!("took", "id" => id.to_string());
                (1..20).for_each(|n| took.record(f64::from(n * id)));
            }
        });
        held.push(store.recall.snapshot());
        store.tick(secs(1));
        assert!(held.len() < 1_000, "the budget has an end");
    }
    let memory = store.recall.memory();
    assert!(memory.used <= memory.budget, "{memory}");
    assert_eq!(states(&full), [AlertState::Firing], "{memory}");
    assert_eq!(states(&lost), [AlertState::Firing], "{memory}");
    let rules = alerts.rules();
    assert!(rules.iter().all(|rule| rule.excess == 0), "{rules:?}");
    // It is over when memory is there again.
    drop(held);
    for _ in 0..11 {
        store.tick(mins(1));
    }
    assert_eq!(states(&full), [AlertState::Resolved]);
    assert_eq!(states(&lost), [AlertState::Resolved]);
}

/// What `collect_system` records, by hand.
#[test]
fn the_machines_rules_fire_one_by_one_and_are_resolved() {
    let names = [
        ("system_cpu_usage_ratio", 0.91, 0.84),
        ("system_memory_utilization_ratio", 0.91, 0.84),
        ("system_filesystem_fullest_ratio", 0.86, 0.79),
    ];
    let store = store();
    for rule in AlertRule::system() {
        store.recall.alerts().add(rule).unwrap();
    }
    let minutes = |name: &'static str, value: f64| {
        for _ in 0..10 {
            store.recorder.scope(|| metrics::gauge!(name).set(value));
            store.tick(mins(1));
        }
        let active = store.recall.alerts().active().into_iter();
        let firing = active.filter(|alert| alert.state == AlertState::Firing);
        firing.map(|alert| alert.to_string()).collect::<Vec<_>>()
    };
    for (name, _, low) in names {
        assert_eq!(minutes(name, low), [""; 0]);
    }
    for (name, high, low) in names {
        let firing = minutes(name, high);
        assert!(
            firing.len() == 1 && firing[0].contains(name) && firing[0].contains("% are in use"),
            "{firing:?}"
        );
        // Between the two thresholds it goes on.
        assert_eq!(minutes(name, f64::midpoint(high, low)).len(), 1);
        assert_eq!(minutes(name, low), [""; 0]);
    }
}

#[test]
fn ready_made_rules_are_accepted_and_fire() {
    let store = store();
    let alerts = store.recall.alerts();
    for rule in [
        AlertRule::error_ratio("errors", "requests"),
        AlertRule::p99_above("latency", 0.5),
        AlertRule::p99_rising("latency"),
        AlertRule::high_cpu("cpu_ratio"),
        AlertRule::high_memory("memory_ratio"),
        AlertRule::disk_full("disk_ratio"),
    ] {
        alerts.add(rule).unwrap();
    }
    // An hour and a half, ten seconds a tick; trouble in the last ten minutes.
    for tick in 0..540 {
        let trouble = tick >= 480;
        store.recorder.scope(|| {
            metrics::counter!("requests").increment(100);
            metrics::counter!("errors").increment(if trouble { 10 } else { 1 });
            metrics::histogram!("latency").record(if trouble { 0.9 } else { 0.1 });
            for name in ["cpu_ratio", "memory_ratio", "disk_ratio"] {
                metrics::gauge!(name).set(if trouble { 0.97 } else { 0.3 });
            }
        });
        store.tick(secs(10));
        if tick == 479 {
            assert!(alerts.active().is_empty(), "{:?}", alerts.active());
        }
    }
    let firing: Vec<_> = alerts
        .rules()
        .into_iter()
        .map(|rule| (rule.name, rule.state))
        .collect();
    assert!(
        firing.iter().all(|(_, state)| *state == AlertState::Firing),
        "{firing:?}"
    );
}
