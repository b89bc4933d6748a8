//! Collectors: they run when they are due, and one that fails, panics, blocks or records a lot hurts nobody.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "a module for several tests")]
mod common;

use common::Store;
use metrics::{counter, gauge};
use metrics_recall::{Cause, Clock, CollectError, Collector, Error, Recall, mins, secs};
use metrics_util::layers::{FilterLayer, Layer};
use std::{
    io::{Error as IoError, ErrorKind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

/// How long a test waits for another thread before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn what_is_due_runs_before_the_tick_looks() {
    let store = Store::default();
    let mut runs = 0;
    let every_five = move || {
        runs += 1;
        gauge!("depth").set(f64::from(runs));
        counter!("reads_total").increment(1);
    };
    store
        .recall
        .collect_every(secs(5), every_five)
        .unwrap()
        .detach();
    for second in 1..=12_u32 {
        store.tick(secs(1));
        let expected = f64::from(1 + second / 5);
        assert_eq!(
            store.recall.gauges("depth").current(),
            Some(expected),
            "{second}"
        );
    }
    // They are in the very frame of the tick that ran them.
    let reads = store
        .recall
        .counters("reads_total")
        .over(secs(12))
        .every(secs(1));
    let at: Vec<bool> = reads.rate().iter().map(|p| p.value > Some(0.0)).collect();
    let expected: Vec<bool> = (1..=12)
        .map(|second| [1, 5, 10].contains(&second))
        .collect();
    assert_eq!(at, expected);
    let runs = store.recall.histograms("recall_collector_duration_seconds");
    assert_eq!(runs.over(mins(1)).count(), Some(3));
}

#[test]
fn a_late_tick_runs_a_collector_once() {
    let store = Store::default();
    let count = Arc::new(AtomicU64::new(0));
    let seen = count.clone();
    let collecting = store.recall.collect_every(secs(1), move || {
        seen.fetch_add(1, Relaxed);
    });
    let _collecting = collecting.unwrap();
    store.tick(secs(1));
    store.tick(secs(500));
    assert_eq!(count.load(Relaxed), 2);
    store.recall.tick();
    assert_eq!(count.load(Relaxed), 2);
}

#[test]
fn a_failure_is_classified_counted_named_and_tried_again_later_and_later() {
    let store = Store::default();
    let works = Arc::new(AtomicBool::new(false));
    let now = works.clone();
    let collecting = store.recall.collect_as("upstream", secs(1), move || {
        if now.load(Relaxed) {
            return Ok(());
        }
        Err(IoError::from(ErrorKind::ConnectionRefused))
    });
    let collecting = collecting.unwrap();
    let runs = || store.recall.collectors()[0].runs;
    let mut at = Vec::new();
    for second in 1..=20 {
        let before = runs();
        store.tick(secs(1));
        if runs() > before {
            at.push(second);
        }
    }
    assert_eq!(at, [1, 2, 4, 8, 16]);
    let errors = store.recall.counters("recall_collector_errors_total");
    assert_eq!(errors.label("collector", "upstream").total(), Some(5));
    let status = &store.recall.collectors()[0];
    assert_eq!(status.last_error.as_ref().unwrap().0, Cause::Connection);
    assert_eq!((status.failures, status.next), (5, secs(12)));
    let health = store.recall.health().to_string();
    let said = "collector `upstream` failed 5 times, the last time of this (connection)";
    assert!(
        health.contains(said) && health.contains("in 12 s"),
        "{health}"
    );
    works.store(true, Relaxed);
    collecting.start();
    store.tick(secs(1));
    assert_eq!(store.recall.collectors()[0].last_error, None);
    let health = store.recall.health().to_string();
    assert!(health.contains("works again"), "{health}");
    for _ in 0..11 {
        store.tick(mins(1));
    }
    assert!(
        store.recall.health().is_healthy(),
        "{}",
        store.recall.health()
    );
}

#[test]
fn a_panic_is_a_failure_and_nothing_more() {
    let store = Store::default();
    let recall = &store.recall;
    let bad = recall.collect_as("bad", secs(1), || -> () { panic!("no such sensor") });
    let good = recall.collect_as("good", secs(1), || counter!("good_total").increment(1));
    let _both = (bad.unwrap(), good.unwrap());
    for _ in 0..4 {
        store.tick(secs(1));
    }
    assert_eq!(recall.counters("good_total").total(), Some(4));
    let health = recall.health().to_string();
    assert!(health.contains("it panicked: no such sensor"), "{health}");
    let windows = recall.counters("good_total").over(mins(1)).every(secs(1));
    assert_eq!(windows.rate().len(), 4);
}

/// What a panic carries may panic when it is dropped: that one left the tick, with all that came after the collector.
#[test]
fn a_panic_that_carries_a_panic_is_no_more_than_one() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("once more"));
        }
    }

    let store = Store::default();
    let bad = || -> () { std::panic::resume_unwind(Box::new(Bomb)) };
    let collecting = store.recall.collect_as("bad", secs(1), bad).unwrap();
    store.tick(secs(1));
    assert_eq!(store.recall.collectors()[0].failures, 1);
    let health = store.recall.health().to_string();
    let said = "collector `bad` failed 1 times, the last time of this (other): it panicked";
    assert!(health.contains(said), "{health}");
    // Without it, that is forgotten at once.
    drop(collecting);
    assert!(store.recall.health().is_healthy());
}

/// With a worker: one blocks until it is let go, and ticks and all others go on.
#[test]
fn one_that_blocks_delays_no_tick_and_no_other_collector() {
    let (clock, hands) = Clock::manual();
    let (_recorder, recall) = Recall::builder().clock(clock).start().unwrap();
    let (began, begins) = mpsc::channel();
    let (let_go, wait) = mpsc::channel::<()>();
    let blocked = recall.collect_as("blocked", secs(1), move || {
        began.send(()).unwrap();
        let _ = wait.recv();
    });
    let blocked = blocked.unwrap();
    let (ran, runs) = mpsc::channel();
    let other = recall.collect_as("other", secs(1), move || {
        counter!("other_total").increment(1);
        ran.send(()).unwrap();
    });
    let other = other.unwrap();
    // One that runs when it is due again is not run twice.
    let wait_for_run = |n| {
        runs.recv_timeout(PATIENCE).unwrap();
        while other.collectors()[0].runs < n {
            std::thread::yield_now();
        }
    };
    recall.tick();
    begins.recv_timeout(PATIENCE).unwrap();
    wait_for_run(1);
    // A minute passes.
    for n in 0..60 {
        hands.advance(secs(1));
        assert_eq!(recall.tick().at, recall.now());
        wait_for_run(n + 2);
    }
    recall.tick();
    assert_eq!(recall.counters("other_total").total(), Some(61));
    let health = recall.health().to_string();
    let said = "collector `blocked` has been running for 60 s, with an interval of 1s";
    assert!(health.contains(said), "{health}");
    // It ran once, and its guard does not wait for it.
    assert_eq!(blocked.collectors()[0].runs, 0);
    drop(blocked);
    assert!(recall.health().is_healthy(), "{}", recall.health());
    assert!(begins.try_recv().is_err());
    let_go.send(()).unwrap();
    // What it held goes as soon as it is done.
    assert_eq!(
        begins.recv_timeout(PATIENCE),
        Err(mpsc::RecvTimeoutError::Disconnected)
    );
}

/// A tick that comes while ten thousand series are being recorded takes what is there.
#[test]
fn a_collector_of_ten_thousand_series_is_not_waited_for() {
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder().max_series_per_metric(20_000).clock(clock);
    let (_recorder, recall) = builder.start().unwrap();
    let (half, is_half) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let (done, is_done) = mpsc::channel();
    let collecting = recall.collect_as("many", secs(3600), move || {
        for n in 0..10_000 {
            gauge!("many", "n" => n.to_string()).set(f64::from(n));
            if n == 4_999 {
                half.send(()).unwrap();
                wait.recv().unwrap();
            }
        }
        done.send(()).unwrap();
    });
    let _collecting = collecting.unwrap();
    recall.tick();
    is_half.recv_timeout(PATIENCE).unwrap();
    hands.advance(secs(1));
    recall.tick();
    let series = || recall.gauges("many").over(secs(1)).count();
    assert_eq!(series(), Some(5_000));
    go_on.send(()).unwrap();
    is_done.recv_timeout(PATIENCE).unwrap();
    hands.advance(secs(1));
    recall.tick();
    assert_eq!(series(), Some(10_000));
    assert!(recall.health().is_healthy(), "{}", recall.health());
}

#[test]
fn dropping_the_guard_ends_it_and_detaching_does_not() {
    let store = Store::default();
    let count = Arc::new(AtomicU64::new(0));
    let counting = |by| {
        let count = count.clone();
        move || {
            count.fetch_add(by, Relaxed);
        }
    };
    let guard = store.recall.collect_every(secs(1), counting(1)).unwrap();
    store
        .recall
        .collect_every(secs(1), counting(100))
        .unwrap()
        .detach();
    store.tick(secs(1));
    drop(guard);
    assert_eq!(Arc::strong_count(&count), 2);
    store.tick(secs(1));
    assert_eq!(count.load(Relaxed), 201);
    assert_eq!(store.recall.collectors().len(), 1);
    store.recall.shutdown();
    assert_eq!(Arc::strong_count(&count), 1);
    assert!(store.recall.collectors().is_empty());
}

/// A closure that holds the store kept it for ever.
#[test]
fn a_shutdown_lets_go_of_closures_that_hold_the_store() {
    let (_recorder, recall) = Recall::builder().start().unwrap();
    let probe = Arc::new(());
    let (held, store) = (probe.clone(), recall.clone());
    let guard = recall.collect_every(secs(1), move || {
        assert!(store.memory().used > 0 && Arc::strong_count(&held) > 0);
    });
    let guard = guard.unwrap();
    recall.shutdown();
    recall.tick();
    assert_eq!(Arc::strong_count(&probe), 1);
    guard.start();
    assert!(recall.collect_now().is_empty());
}

#[test]
fn collectors_run_at_once_when_asked_and_may_ask_themselves() {
    let store = Store::default();
    let recall = store.recall.clone();
    let collecting = store.recall.collect_every(secs(60), move || {
        counter!("asked_total").increment(1);
        // Neither of these waits for itself.
        let _ = recall.collect_now();
        recall.tick();
    });
    let collecting = collecting.unwrap();
    store.recall.collect_now();
    store.tick(secs(1));
    assert_eq!(store.recall.counters("asked_total").total(), Some(1));
    collecting.collect_now();
    assert_eq!(store.recall.counters("asked_total").total(), Some(2));
    let error = recorded_inside(&store);
    assert!(error.is_reentrant(), "{error}");
}

/// What `reset_all` says inside of a collector that a tick runs.
fn recorded_inside(store: &Store) -> Error {
    let (recall, found) = (store.recall.clone(), Arc::new(Mutex::new(None)));
    let to = found.clone();
    let collecting = store.recall.collect_as("resets", secs(1), move || {
        *to.lock().unwrap() = recall.reset_all().err();
    });
    let _collecting = collecting.unwrap();
    store.tick(secs(1));
    found.lock().unwrap().take().unwrap()
}

#[test]
fn bad_input_is_refused_at_the_call() {
    struct Nameless;
    impl Collector for Nameless {
        fn name(&self) -> &'static str {
            ""
        }
        fn interval(&self) -> Duration {
            secs(1)
        }
        fn collect(&mut self) -> Result<(), CollectError> {
            Ok(())
        }
    }
    let store = Store::default();
    let recall = &store.recall;
    let refused = |error: Error, parts: &[&str]| {
        assert!(error.is_invalid(), "{error}");
        for part in parts {
            assert!(error.to_string().contains(part), "{error}");
        }
    };
    let every = |interval| recall.collect_every(interval, || ()).unwrap_err();
    refused(
        every(Duration::ZERO),
        &["0ns", "tests/collectors.rs", "1 ms to 24 h"],
    );
    refused(every(secs(90_000)), &["90000s", "1 ms to 24 h"]);
    refused(
        recall.collect(Nameless).unwrap_err(),
        &["0 bytes", "1 to 200"],
    );
    let _one = recall.collect_as("a\nb", secs(1), || ()).unwrap();
    refused(
        recall.collect_as("a\nb", secs(1), || ()).unwrap_err(),
        &["`a\\nb`"],
    );
    let long = "x".repeat(201);
    refused(
        recall.collect_as(long, secs(1), || ()).unwrap_err(),
        &["201 bytes"],
    );
    // A closure has the line's name, and a number.
    let guards: Vec<_> = (1..64)
        .map(|_| recall.collect_every(secs(1), || ()).unwrap())
        .collect();
    let names: Vec<_> = recall.collectors().into_iter().map(|c| c.name).collect();
    assert!(names[2].ends_with("#2"), "{}", names[2]);
    refused(every(secs(1)), &["64"]);
    drop(guards);
    recall.shutdown();
    refused(every(secs(1)), &["shut down"]);
}

#[test]
fn collectors_are_charged_and_give_back() {
    let store = Store::default();
    let part = || {
        let parts = store.recall.memory().parts;
        parts.iter().find(|part| part.0 == "collectors").unwrap().1
    };
    assert_eq!(part(), 0);
    let ballast = [0_u8; 4096];
    let collecting = store.recall.collect_every(secs(1), move || {
        let _ = ballast.len();
    });
    let collecting = collecting.unwrap();
    assert!(part() > 4096);
    drop(collecting);
    store.recall.shutdown();
    assert_eq!(part(), 0);
    let (_recorder, small) = Recall::builder().memory_budget(128 << 10).build().unwrap();
    small.force_cleanup(0);
    let error = loop {
        let ballast = [1_u8; 16 << 10];
        let collecting = small.collect_every(secs(1), move || assert_eq!(ballast[0], 1));
        match collecting {
            Ok(collecting) => collecting.detach(),
            Err(error) => break error,
        }
    };
    assert!(
        error.is_refused() && error.to_string().contains("memory"),
        "{error}"
    );
}

/// What is collected passes the layers of a store that is the process's.
#[test]
fn a_global_store_collects_through_its_layers() {
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build().unwrap();
    let layered = FilterLayer::from_patterns(["secret"]).layer(recorder);
    metrics::set_global_recorder(layered).unwrap();
    let collect = || {
        gauge!("secret_depth").set(1.0);
        gauge!("open_depth").set(1.0);
    };
    let _collecting = recall.collect_every(secs(1), collect).unwrap();
    recall.make_global().unwrap();
    hands.advance(secs(1));
    recall.tick();
    assert_eq!(recall.gauges("open_depth").current(), Some(1.0));
    assert_eq!(recall.gauges("secret_depth").current(), None);
}
