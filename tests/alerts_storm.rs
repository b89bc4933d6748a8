//! Ten thousand alert events a second, and callbacks of every bad kind: nobody else is hurt, and no event is unaccounted for.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Store;
use metrics::{counter, gauge};
use metrics_recall::{
    AlertFilter, AlertRule, AlertState, Alerts, Condition, Recall, Subscription, secs,
};
use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// A thousand alerts that change in each of ten ticks a second.
const GROUPS: u64 = 1_000;
const TICKS: u64 = 30;
const TICK: Duration = Duration::from_millis(100);
const PRODUCED: u64 = GROUPS * TICKS;

/// As long as a machine may take on which much else runs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Other threads come to it, and none of them waits for time.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let waits = PATIENCE.as_millis();
    let is_in_time = (0..waits).any(|_| {
        thread::park_timeout(Duration::from_millis(1));
        is_so()
    });
    assert!(is_in_time, "{what}: not within {PATIENCE:?}");
}

fn store() -> Store {
    Recall::builder().own_alerts(false).into()
}

fn above(gauge: &str, by: &[&'static str]) -> Condition {
    let all = Condition::gauges(gauge).by(by.to_vec());
    all.current().above(1.0)
}

/// All groups change, and the canary does.
fn storm(store: &Store, groups: u64, tick: u64) {
    let value = if tick.is_multiple_of(2) { 5.0 } else { 0.0 };
    store.recorder.scope(|| {
        for id in 0..groups {
            gauge!("depth", "id" => id.to_string()).set(value);
        }
        gauge!("canary").set(value);
    });
    store.tick(TICK);
}

fn add_rules(alerts: &Alerts) {
    let deep = AlertRule::new("Deep").when(above("depth", &["id"]));
    alerts.add(deep).unwrap();
    let canary = AlertRule::new("Canary").when(above("canary", &[]));
    alerts.add(canary).unwrap();
}

/// Events of the storm alone.
fn deep() -> AlertFilter {
    AlertFilter::new().rule("Deep")
}

fn accounted(sub: &Subscription) -> u64 {
    sub.delivered() + sub.dropped() + sub.waiting() as u64
}

/// Uses all that there is to be used, from inside a call.
fn re_enter(recall: &Recall) {
    let alerts = recall.alerts();
    let rule = || AlertRule::new("Inner").when(above("nothing", &[]));
    alerts.add(rule()).unwrap();
    assert!(alerts.add(rule()).unwrap_err().is_invalid());
    alerts.replace(rule().for_at_least(secs(5))).unwrap();
    alerts.disable("Inner").unwrap();
    alerts.enable("Inner").unwrap();
    alerts.remove("Inner").unwrap();
    drop(alerts.subscribe(|_| ()));
    recall.tick();
    let _ = (recall.memory(), alerts.active(), alerts.recent());
    let _ = (alerts.rules(), recall.health().to_string());
    assert!(!recall.render().is_empty());
    // It does not wait for itself.
    alerts.drain(Duration::ZERO);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one storm, and what became of it")]
fn callbacks_of_every_bad_kind_hurt_nobody_and_every_event_is_accounted_for() {
    let store = store();
    let alerts = store.recall.alerts();
    add_rules(&alerts);

    // One that never comes back, not even at the end.
    let stuck = alerts.subscribe_to(deep(), |_| {
        loop {
            thread::park();
        }
    });
    let panics = alerts.subscribe_to(deep(), |_| {
        std::panic::resume_unwind(Box::new("quietly"));
    });
    let (recall, entered) = (store.recall.clone(), Arc::new(AtomicU64::new(0)));
    let times = entered.clone();
    let enters = alerts.subscribe_to(deep(), move |_| {
        if times.fetch_add(1, Relaxed) % 256 == 0 {
            re_enter(&recall);
        }
    });
    let slot: Arc<OnceLock<Mutex<Option<Subscription>>>> = Arc::default();
    let (own, called) = (slot.clone(), Arc::new(AtomicU64::new(0)));
    let count = called.clone();
    let leaves = alerts.subscribe_to(deep(), move |_| {
        let mine = own.wait().lock().unwrap().take();
        drop(mine);
        count.fetch_add(1, Relaxed);
    });
    slot.set(Mutex::new(Some(leaves))).unwrap();

    // And those that are not bad.
    let heard = Arc::new(AtomicU64::new(0));
    let count = heard.clone();
    let listens = alerts.subscribe_to(deep(), move |event| {
        assert_eq!(event.rule(), "Deep");
        count.fetch_add(1, Relaxed);
    });
    let alive = Arc::new(Mutex::new(Vec::new()));
    let told = alive.clone();
    let canary = alerts.subscribe_to(AlertFilter::new().rule("Canary"), move |event| {
        told.lock().unwrap().push(event.state());
    });
    let channel = alerts.channel(deep());
    let mut received = 0;

    let is_over = AtomicBool::new(false);
    let counted = thread::scope(|scope| {
        let counting = scope.spawn(|| {
            let mut counted = 0_u64;
            while !is_over.load(Relaxed) || counted < 100_000 {
                store.recorder.scope(|| {
                    counter!("work", "kind" => (counted % 7).to_string()).increment(1);
                });
                counted += 1;
            }
            counted
        });
        for tick in 0..TICKS {
            storm(&store, GROUPS, tick);
            let memory = store.recall.memory();
            assert!(memory.used <= memory.budget, "{memory}");
            // The canary's callback is called whatever becomes of the others.
            eventually("the canary is heard", || {
                canary.delivered() > tick && called.load(Relaxed) > 0
            });
            while channel.try_recv().is_some() {
                received += 1;
            }
        }
        is_over.store(true, Relaxed);
        counting.join().unwrap()
    });

    // Everybody but the one that hangs comes to an end.
    for sub in [&panics, &enters, &listens] {
        eventually("all is delivered", || {
            sub.waiting() == 0 && accounted(sub) >= PRODUCED
        });
        assert_eq!(accounted(sub), PRODUCED, "{sub:?}");
    }
    assert!(!alerts.drain(Duration::from_millis(1)), "one hangs");
    assert_eq!(accounted(&stuck), PRODUCED - 1, "one is with the callback");
    assert_eq!(stuck.delivered(), 0);
    assert_eq!(received + channel.dropped(), PRODUCED);
    assert_eq!(heard.load(Relaxed), listens.delivered());
    assert_eq!(entered.load(Relaxed), enters.delivered());
    assert_eq!(called.load(Relaxed), 1, "it was not called again");
    let states = alive.lock().unwrap().clone();
    let expected = [AlertState::Firing, AlertState::Resolved];
    let expected: Vec<_> = expected.into_iter().cycle().take(states.len()).collect();
    assert_eq!((states.len() as u64, states), (TICKS, expected));
    assert_eq!(canary.dropped(), 0);

    // What the store says of all of them is the sum.
    let all = alerts.callbacks();
    assert_eq!(all.panicked, panics.delivered());
    let dropped: u64 = [&stuck, &panics, &enters, &listens]
        .iter()
        .map(|sub| sub.dropped())
        .sum();
    assert_eq!(all.dropped, dropped + channel.dropped());
    assert_eq!(all.waiting, stuck.waiting());
    assert_eq!(all.subscriptions, 6);

    // Recording and ticking went on.
    store.tick(TICK);
    assert_eq!(store.recall.counters("work").total(), Some(counted));
    let increase = store.recall.counters("work").over(secs(60)).increase();
    assert_eq!(increase, Some(counted));
    let report = store.recall.health().report().clone();
    assert!(
        report.ticks.count > TICKS && report.ticks.lost == 0,
        "{report}"
    );

    // A shutdown does not wait for the one that hangs, and counts what it never got.
    let waited = stuck.waiting() as u64;
    store.recall.shutdown();
    assert_eq!(alerts.callbacks().subscriptions, 0);
    assert_eq!(
        alerts.callbacks().dropped,
        dropped + channel.dropped() + waited
    );
}

/// Whole groups were dropped to make room, and began anew: as long as a storm lasted, nobody was called at all.
#[test]
fn a_storm_that_lasts_is_one_call_a_group_and_window() {
    let store = store();
    let alerts = store.recall.alerts();
    let rule = AlertRule::new("Deep").when(above("depth", &["service", "id"]));
    alerts.add(rule).unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let told = calls.clone();
    let sub = alerts.subscribe_grouped(["service"], secs(2), move |group| {
        let service = group.labels().get("service").unwrap_or("").to_owned();
        let newest = group
            .events()
            .iter()
            .map(metrics_recall::AlertEvent::at)
            .max();
        told.lock().unwrap().push((service, newest.unwrap()));
    });
    // Ten thousand events a second, of which one service has nine in ten.
    let mut at = Vec::new();
    for tick in 0..70 {
        let value = if tick % 2 == 0 { 5.0 } else { 0.0 };
        store.recorder.scope(|| {
            for id in 0..GROUPS {
                let service = if id % 10 == 0 { "b" } else { "a" };
                gauge!("depth", "service" => service, "id" => id.to_string()).set(value);
            }
        });
        at.push(store.tick(TICK).at);
        // Each group is told of two seconds after it began.
        let due = 2 * [20, 41, 62].iter().filter(|n| **n <= tick).count();
        eventually("calls are made", || calls.lock().unwrap().len() >= due);
    }
    // Three times, and each time with the newest.
    let mut calls = calls.lock().unwrap().clone();
    calls.sort_unstable();
    let times = |service: &str| {
        let calls = calls.iter().filter(|call| call.0 == service);
        calls.map(|call| call.1).collect::<Vec<_>>()
    };
    assert_eq!(times("a"), [at[20], at[41], at[62]]);
    assert_eq!(times("b"), [at[20], at[41], at[62]]);
    assert!(sub.dropped() > 60_000, "{sub:?}");
    assert_eq!(accounted(&sub), 70 * GROUPS, "{sub:?}");
}

/// The call of a group that waited for a slow callback was dropped whole when another group's storm filled the inbox: of the small
/// group nobody was told.
#[test]
fn a_storm_costs_no_other_group_its_call() {
    let store = store();
    let alerts = store.recall.alerts();
    let rule = AlertRule::new("Deep").when(above("depth", &["service", "id"]));
    alerts.add(rule).unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let told = calls.clone();
    let sub = alerts.subscribe_grouped(["service"], secs(2), move |group| {
        let is_storm = group.labels().get("service") == Some("storm");
        let (events, missing) = (group.events().len() as u64, group.missing());
        let head = group.to_string().lines().next().unwrap().to_owned();
        told.lock().unwrap().push((is_storm, events, missing, head));
        let _ = blocked.recv();
    });
    for tick in 0..70 {
        let value = if tick % 2 == 0 { 5.0 } else { 0.0 };
        store.recorder.scope(|| {
            for id in 0..GROUPS {
                let service = if id == 0 { "small" } else { "storm" };
                gauge!("depth", "service" => service, "id" => id.to_string()).set(value);
            }
        });
        store.tick(TICK);
        let has_call = || !calls.lock().unwrap().is_empty();
        if tick == 20 {
            eventually("a call begins", has_call);
        }
    }
    // Windows end with the ticks 20, 41 and 62. The first call hangs, and of each group one waits, with all that came.
    drop(release);
    assert!(alerts.drain(PATIENCE));
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 3, "{calls:?}");
    let of = |storm: bool| calls.iter().filter(move |call| call.0 == storm);
    assert_eq!(of(false).map(|call| call.1).sum::<u64>(), 63, "{calls:?}");
    assert!(of(false).all(|call| call.2 == 0), "{calls:?}");
    let all: u64 = of(true).map(|call| call.1 + call.2).sum();
    assert_eq!(all, 63 * (GROUPS - 1), "{calls:?}");
    for (_, events, missing, head) in of(true) {
        let said = format!(
            "{events} events of {{service=\"storm\"}}, and {missing} older ones that are missing"
        );
        assert_eq!((head, *missing > 0), (&said, true));
    }
    assert_eq!(accounted(&sub), 70 * GROUPS, "{sub:?}");
}

/// A reset from inside a call takes away what the call is about.
#[test]
fn a_callback_may_reset_remove_and_replace_what_it_is_called_for() {
    let store = store();
    let alerts = store.recall.alerts();
    let recall = store.recall.clone();
    let resets = Arc::new(AtomicU64::new(0));
    let count = resets.clone();
    let sub = alerts.subscribe(move |event| {
        let alerts = recall.alerts();
        if event.is_reset() {
            count.fetch_add(1, Relaxed);
            add_rules(&alerts);
        } else if event.rule() == "Canary" {
            alerts.reset();
        } else if event.labels().get("id") == Some("7") {
            let _ = alerts.remove("Deep");
        } else if event.labels().get("id") == Some("8") {
            let rule = AlertRule::new("Deep").when(above("depth", &[]));
            let _ = alerts.replace(rule);
        }
    });
    add_rules(&alerts);
    for tick in 0..12 {
        storm(&store, 50, tick);
        assert!(alerts.drain(PATIENCE));
        let memory = store.recall.memory();
        assert!(memory.used <= memory.budget, "{memory}");
    }
    assert!(resets.load(Relaxed) >= 5, "{resets:?}");
    let names: Vec<String> = alerts.rules().into_iter().map(|rule| rule.name).collect();
    assert!(names.contains(&"Canary".to_owned()), "{names:?}");
    assert_eq!(alerts.callbacks().panicked, 0);
    drop(sub);
}

/// Names and values from outside that would end a line, a label, a template or an expression.
#[test]
fn hostile_labels_stay_inside_of_their_quotes() {
    let store = store();
    let alerts = store.recall.alerts();
    let hostile = [
        "a\nb",
        "\"} 1\nALERTS{x=\"",
        "{{ $value }}",
        "\\",
        "\u{1b}[2J",
        "\u{202e}x",
        "",
        "ä\u{0}ö",
    ];
    let rule = AlertRule::new("Deep \"1\"\nALERTS 1")
        .when(above("depth", &["id"]))
        .label("copy", "<{{ $labels.id }}>")
        .annotation("text", "{{ $labels.id }}");
    alerts.add(rule).unwrap();
    store.recorder.scope(|| {
        for id in hostile {
            gauge!("depth", "id" => id).set(5.0);
        }
    });
    store.tick(secs(1));
    let active = alerts.active();
    assert_eq!(active.len(), hostile.len());
    for id in hostile {
        let of = |alert: &&metrics_recall::Alert| alert.labels.get("id").unwrap_or("") == id;
        let alert = active.iter().find(of).unwrap();
        assert_eq!(alert.labels.get("copy"), Some(&*format!("<{id}>")));
        // A template is expanded once: a value is text.
        assert_eq!(alert.annotations[0].1, id);
    }
    let text = store.recall.render();
    let lines = text.lines().filter(|line| line.starts_with("ALERTS{"));
    assert_eq!(lines.count(), hostile.len(), "{text}");
    assert!(
        !text.lines().any(|line| line.starts_with("ALERTS 1")),
        "{text}"
    );
    let health = store.recall.health();
    for reason in health.reasons() {
        assert!(!reason.contains(['\n', '\u{1b}', '\0']), "{reason:?}");
    }
    assert_eq!(health.reasons().len(), hostile.len());
    for alert in &active {
        let shown = alert.to_string();
        assert!(!shown.contains(['\n', '\u{1b}', '\0']), "{shown:?}");
    }
    for event in alerts.recent() {
        let shown = event.to_string();
        assert!(!shown.contains(['\n', '\u{1b}', '\0']), "{shown:?}");
    }
    for rule in alerts.rules() {
        let shown = rule.to_string();
        assert!(!shown.contains(['\n', '\u{1b}', '\0']), "{shown:?}");
    }
}
