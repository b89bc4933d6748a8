//! Stores that run by themselves: their worker ticks, and goes when nobody is left.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics::{counter, gauge, histogram};
use metrics_recall::{Recall, RecallBuilder, mins, secs};
use std::{sync::mpsc, time::Duration};

/// As fast as a worker ticks.
fn fast() -> RecallBuilder {
    Recall::builder().resolution(Duration::from_millis(10))
}

/// One tick an hour would be later than any test.
fn slow() -> RecallBuilder {
    Recall::builder().resolution(secs(60)).retention(mins(10))
}

/// Asks `ready` every millisecond until it is so; fails after half a minute.
fn wait_until(what: &str, ready: impl Fn() -> bool) {
    let (_never, wakes) = mpsc::channel::<()>();
    for _ in 0..30_000 {
        if ready() {
            return;
        }
        let _ = wakes.recv_timeout(Duration::from_millis(1));
    }
    panic!("{what} takes too long");
}

#[test]
fn a_started_store_ticks_by_itself() {
    let (recorder, recall) = fast().start().unwrap();
    recorder.scope(|| {
        counter!("n").increment(5);
        gauge!("g").set(2.0);
        histogram!("h").record(1.0);
    });
    wait_until("a tick", || {
        recall.counters("n").over(Duration::MAX).increase() == Some(5)
    });
    wait_until("a tick", || {
        recall.histograms("h").over(Duration::MAX).count() == Some(1)
    });
    assert_eq!(recall.gauges("g").over(Duration::MAX).max(), Some(2.0));
    // The caller may tick beside the worker.
    recorder.scope(|| counter!("n").increment(1));
    recall.tick();
    assert_eq!(recall.counters("n").over(Duration::MAX).increase(), Some(6));
    assert_eq!(recall.counters("n").total(), Some(6));
}

#[test]
fn ticks_of_the_worker_follow_one_another() {
    let (recorder, recall) = fast().start().unwrap();
    recorder.scope(|| counter!("n").increment(1));
    let ticks = recall
        .counters("n")
        .over(Duration::MAX)
        .every(Duration::ZERO);
    wait_until("ten ticks", || ticks.increase().len() >= 10);
    let now = recall.now();
    wait_until("time", || recall.now() > now);
}

#[test]
fn shutdown_commits_what_no_tick_has_seen() {
    let (recorder, recall) = slow().start().unwrap();
    let handle = recorder.scope(|| counter!("n"));
    handle.increment(7);
    recall.shutdown();
    let n = recall.counters("n").over(Duration::MAX);
    assert_eq!(
        (n.increase(), recall.counters("n").total()),
        (Some(7), Some(7))
    );
    handle.increment(1);
    recorder.scope(|| counter!("after").increment(1));
    assert_eq!(recall.counters("n").total(), Some(8));
    assert_eq!(recall.counters("after").total(), Some(1));
    // Windows stay as they were, until somebody ticks.
    assert_eq!(n.increase(), Some(7));
    recall.tick();
    assert_eq!(n.increase(), Some(8));
    recall.shutdown();
    recall.clone().shutdown();
}

#[test]
fn threads_may_shut_down_at_once() {
    let (recorder, recall) = fast().start().unwrap();
    let handle = recorder.scope(|| counter!("n"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let recall = recall.clone();
            let handle = handle.clone();
            scope.spawn(move || {
                handle.increment(1);
                recall.shutdown();
                recall.tick();
                handle.increment(1);
            });
        }
    });
    recall.tick();
    assert_eq!(recall.counters("n").over(Duration::MAX).increase(), Some(8));
}

#[test]
fn the_worker_ends_with_the_last_handle() {
    // What outlives the store does not keep it.
    let (recorder, recall) = fast().start().unwrap();
    let handle = recorder.scope(|| counter!("n"));
    handle.increment(1);
    let other = recall.clone();
    drop(recall);
    wait_until("a tick", || {
        other.counters("n").over(Duration::MAX).increase() == Some(1)
    });
    let ask = other.counters("n");
    drop(other);
    assert_eq!(ask.total(), Some(1));
    drop(ask);
    handle.increment(1);
    drop(recorder);
    handle.increment(1);
}

/// Threads of this process that are called `recall-tick`. One that has been joined is listed for a moment longer, as one that
/// is exiting (`PF_EXITING` of its flags).
#[cfg(target_os = "linux")]
fn workers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let stats = tasks.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("stat")).ok());
    let works = |stat: &String| {
        let (name, rest) = stat.rsplit_once(')').unwrap();
        // The ninth field, of which two are in front.
        let flags: u32 = rest.split_whitespace().nth(6).unwrap().parse().unwrap();
        name.ends_with("(recall-tick") && flags & 0x4 == 0
    };
    stats.filter(works).count()
}

/// Alone in a process: it counts the workers of all tests.
#[test]
#[cfg(target_os = "linux")]
fn no_worker_is_left_behind() {
    if std::env::var_os("RECALL_ALONE").is_none() {
        let me = std::env::current_exe().unwrap();
        let alone = std::process::Command::new(me)
            .args(["--exact", "no_worker_is_left_behind", "--test-threads=1"])
            .env("RECALL_ALONE", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&alone.stdout);
        assert!(
            alone.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    let built = fast().build().unwrap();
    assert_eq!(workers(), 0, "a built store has no thread");
    drop(built);
    let stores: Vec<_> = (0..5)
        .map(|i| if i % 2 == 0 { fast() } else { slow() }.start().unwrap())
        .collect();
    wait_until("five workers", || workers() == 5);
    let recorders: Vec<_> = stores
        .into_iter()
        .map(|(recorder, recall)| (recorder, recall.clone()))
        .collect();
    assert_eq!(workers(), 5);
    // Recorders and metric handles do not keep a store ticking.
    let kept: Vec<_> = recorders
        .into_iter()
        .map(|(recorder, _recall)| (recorder.scope(|| counter!("n")), recorder))
        .collect();
    wait_until("no worker", || workers() == 0);
    for (handle, _) in &kept {
        handle.increment(1);
    }

    let (_recorder, recall) = slow().start().unwrap();
    wait_until("a worker", || workers() == 1);
    recall.shutdown();
    assert_eq!(workers(), 0, "shutdown waits for the worker");

    // The second one to shut down returned while the first still waited.
    for _ in 0..50 {
        let (_recorder, recall) = fast().start().unwrap();
        let start = std::sync::Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    start.wait();
                    recall.shutdown();
                    assert_eq!(workers(), 0, "one returns before the worker is gone");
                });
            }
        });
    }
}

#[test]
fn everything_can_go_to_another_thread() {
    fn travels<T: Send + Sync + 'static>(_: &T) {}
    let (recorder, recall) = slow().build().unwrap();
    travels(&recorder);
    travels(&recall);
    travels(&recall.counters("n"));
    travels(&recall.counters("n").by("k").over(secs(1)).every(secs(1)));
    travels(&recall.health());
    travels(&recall.memory());
    travels(&recall.summary());
    travels(&recall.metrics());
    travels(&slow());
    travels(&slow().resolution(secs(7)).build().err());
}
