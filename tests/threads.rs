//! Recording from wherever threads may be: foreign threads, dying threads, unwinding ones, and after the store is gone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Store;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_recall::{Recall, RecallRecorder, secs};
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Barrier,
    thread,
    time::Duration,
};

/// Records through macros when it is dropped.
struct Emits(RecallRecorder);

impl Drop for Emits {
    fn drop(&mut self) {
        self.0.scope(|| {
            for _ in 0..3 {
                counter!("dropped_total", "k" => "v").increment(1);
                gauge!("dropped").set(7.0);
                histogram!("dropped_seconds").record(0.5);
                counter!(description: "new", "dropped_new_total").increment(1);
            }
        });
    }
}

thread_local! {
    static AT_EXIT: RefCell<Vec<Emits>> = const { RefCell::new(Vec::new()) };
}

/// Puts an emitting value into a thread-local with a destructor; it runs when the thread ends.
fn emit_at_exit(recorder: &RecallRecorder) {
    AT_EXIT.with(|all| all.borrow_mut().push(Emits(recorder.clone())));
}

fn record(recorder: &RecallRecorder) {
    recorder.scope(|| {
        counter!("dropped_total", "k" => "v").increment(1);
        gauge!("dropped").set(6.0);
        histogram!("dropped_seconds").record(0.5);
    });
}

fn assert_three_at_exit(store: &Store, live: u64) {
    store.tick(secs(1));
    assert_eq!(
        store.recall.counters("dropped_total").total(),
        Some(3 + live)
    );
    assert_eq!(store.recall.counters("dropped_new_total").total(), Some(3));
    assert_eq!(
        store.recall.gauges("dropped").over(secs(1)).max(),
        Some(7.0)
    );
    let seconds = store.recall.histograms("dropped_seconds").over(secs(1));
    assert_eq!(seconds.count(), Some(3 + live));
    assert!(
        store.recall.health().is_healthy(),
        "{}",
        store.recall.health()
    );
}

/// Runs `f` on a thread of its own and waits until the thread is gone, thread-locals included.
fn on_a_thread(f: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(f).join().unwrap());
}

#[test]
fn macros_work_in_a_destructor_that_runs_after_the_caches_are_gone() {
    let store = Store::default();
    // First registered is last destroyed: the caches, which recording registers, go before.
    on_a_thread(|| {
        emit_at_exit(&store.recorder);
        record(&store.recorder);
    });
    assert_three_at_exit(&store, 1);
}

#[test]
fn macros_work_in_a_destructor_that_runs_while_the_caches_are_there() {
    let store = Store::default();
    on_a_thread(|| {
        record(&store.recorder);
        emit_at_exit(&store.recorder);
    });
    assert_three_at_exit(&store, 1);
}

#[test]
fn macros_work_in_the_destructor_of_a_thread_that_never_recorded() {
    let store = Store::default();
    on_a_thread(|| emit_at_exit(&store.recorder));
    assert_three_at_exit(&store, 0);
}

#[test]
fn handles_work_in_the_destructor_of_their_thread() {
    struct Held(Counter, Gauge, Histogram);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.increment(1);
            self.1.set(2.0);
            self.2.record(3.0);
        }
    }
    thread_local! {
        static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
    }
    let store = Store::default();
    on_a_thread(|| {
        let handles = store
            .recorder
            .scope(|| Held(counter!("c"), gauge!("g"), histogram!("h")));
        HELD.with(|held| *held.borrow_mut() = Some(handles));
    });
    store.tick(secs(1));
    assert_eq!(store.recall.counters("c").total(), Some(1));
    assert_eq!(store.recall.gauges("g").current(), Some(2.0));
    assert_eq!(store.recall.histograms("h").over(secs(1)).sum(), Some(3.0));
}

#[test]
fn a_handle_that_moves_to_another_thread_counts_there() {
    let store = Store::default();
    let (c, h, g) = store
        .recorder
        .scope(|| (counter!("c"), histogram!("h"), gauge!("g")));
    c.increment(1);
    h.record(1.0);
    on_a_thread(|| {
        for _ in 0..10 {
            c.increment(1);
            h.record(2.0);
            g.increment(1.0);
        }
        drop((c, h, g));
    });
    store.tick(secs(1));
    assert_eq!(store.recall.counters("c").total(), Some(11));
    assert_eq!(store.recall.gauges("g").current(), Some(10.0));
    let h = store.recall.histograms("h").over(secs(1));
    assert_eq!(
        (h.count(), h.sum(), h.min(), h.max()),
        (Some(11), Some(21.0), Some(1.0), Some(2.0))
    );
}

#[test]
fn a_handle_outlives_the_thread_that_made_it() {
    let store = Store::default();
    let handle = thread::scope(|scope| {
        let made = scope.spawn(|| {
            let handle = store.recorder.scope(|| counter!("n"));
            handle.increment(1);
            handle
        });
        made.join().unwrap()
    });
    for _ in 0..3 {
        store.tick(secs(1));
        handle.increment(1);
    }
    assert_eq!(store.recall.counters("n").total(), Some(4));
}

#[test]
fn handles_outlive_the_store() {
    let store = Store::default();
    let (c, g, h) = store
        .recorder
        .scope(|| (counter!("c"), gauge!("g"), histogram!("h")));
    c.increment(1);
    store.tick(secs(1));
    drop(store);
    c.increment(1);
    c.absolute(9);
    g.set(1.0);
    for i in 0..2_000 {
        h.record(f64::from(i).exp2());
    }
    on_a_thread(move || {
        c.increment(1);
        g.increment(1.0);
        h.record_many(-1e-300, 1 << 40);
        drop((c, g, h));
    });
}

#[test]
fn a_selection_outlives_every_other_handle() {
    let store = Store::default();
    store.recorder.scope(|| counter!("n").increment(3));
    store.tick(secs(1));
    let ask = store.recall.counters("n").over(secs(9));
    let recorder = store.recorder.clone();
    drop(store);
    recorder.scope(|| counter!("n").increment(1));
    assert_eq!(ask.increase(), Some(3));
    on_a_thread(move || assert_eq!(ask.rate(), Some(3.0)));
}

#[test]
fn macros_work_while_a_panic_unwinds() {
    let store = Store::default();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _at_unwinding = Emits(store.recorder.clone());
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    assert!(caught.is_err());
    assert_three_at_exit(&store, 0);
}

#[test]
fn macros_in_a_callback_reach_the_recorder_of_the_caller() {
    let (ours, theirs) = (Store::default(), Store::default());
    let callback: Box<dyn Fn(u64) + Send + Sync> = Box::new(|n| counter!("called").increment(n));
    let nested = theirs.recorder.clone();
    ours.recorder.scope(|| {
        callback(1);
        nested.scope(|| callback(10));
        on_a_thread(|| callback(100));
        callback(1_000);
    });
    assert_eq!(ours.recall.counters("called").total(), Some(1_001));
    assert_eq!(theirs.recall.counters("called").total(), Some(10));
}

#[test]
fn stores_in_one_thread_do_not_mix() {
    // More than a thread keeps caches for.
    let stores: Vec<Store> = (0..7).map(|_| Store::default()).collect();
    for round in 0..40 {
        for (i, store) in (0..).zip(&stores) {
            store.recorder.scope(|| {
                counter!("n").increment(i);
                counter!("n", "round" => (round % 3).to_string()).increment(i);
                gauge!("g").increment(1.0);
            });
        }
    }
    for (i, store) in (0..).zip(&stores) {
        store.tick(secs(1));
        assert_eq!(store.recall.counters("n").total(), Some(i * 80));
        assert_eq!(store.recall.gauges("g").current(), Some(40.0));
        let metrics = store.recall.metrics();
        assert_eq!(metrics.iter().map(|m| m.series).collect::<Vec<_>>(), [1, 4]);
    }
}

#[test]
fn caches_of_stores_that_are_gone_are_given_back() {
    let survivor = Store::default();
    survivor.recorder.scope(|| counter!("n").increment(1));
    for _ in 0..50 {
        let store = Store::default();
        store.recorder.scope(|| {
            counter!("n").increment(2);
            histogram!("h").record(1.0);
        });
        assert_eq!(store.recall.counters("n").total(), Some(2));
    }
    survivor.recorder.scope(|| counter!("n").increment(1));
    assert_eq!(survivor.recall.counters("n").total(), Some(2));
}

#[test]
fn recording_after_shutdown_is_harmless_and_answers_still_work() {
    let store = Store::default();
    let handle = store.recorder.scope(|| counter!("n"));
    handle.increment(2);
    store.hands.advance(secs(1));
    store.recall.shutdown();
    assert_eq!(store.recall.counters("n").over(secs(9)).increase(), Some(2));
    store.recall.shutdown();
    handle.increment(1);
    store.recorder.scope(|| {
        counter!("n").increment(1);
        counter!("later").increment(1);
        gauge!("g").set(1.0);
        histogram!("h").record(1.0);
    });
    assert_eq!(store.recall.counters("n").total(), Some(4));
    assert_eq!(store.recall.counters("later").total(), Some(1));
    assert!(store.recall.health().is_healthy());
    store.tick(secs(1));
    assert_eq!(store.recall.counters("n").over(secs(9)).increase(), Some(4));
}

#[test]
fn totals_are_exact_while_threads_and_ticks_race() {
    const EACH: u64 = 20_000;
    let store = Store::from(
        Recall::builder()
            .max_series_per_metric(3)
            .idle_timeout(secs(1)),
    );
    let shared = store
        .recorder
        .scope(|| (counter!("shared"), histogram!("shared"), gauge!("shared")));
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for who in 0..3_u64 {
            let (c, h, g) = shared.clone();
            let (store, barrier) = (&store, &barrier);
            scope.spawn(move || {
                barrier.wait();
                store.recorder.scope(|| {
                    for i in 0..EACH {
                        c.increment(1);
                        h.record(2.0);
                        g.increment(1.0);
                        counter!("macro").increment(1);
                        if i % 8 == 0 {
                            counter!("labelled", "i" => ((i / 8 + who) % 7).to_string())
                                .increment(1);
                            histogram!("labelled", "who" => who.to_string()).record(1.0);
                        }
                    }
                });
            });
        }
        barrier.wait();
        for _ in 0..60 {
            store.tick(secs(2));
            thread::yield_now();
        }
    });
    store.tick(secs(1));
    let counted = |name: &str| {
        let ask = store.recall.counters(name);
        (ask.total(), ask.over(Duration::MAX).increase())
    };
    assert_eq!(counted("shared"), (Some(3 * EACH), Some(3 * EACH)));
    assert_eq!(counted("macro"), (Some(3 * EACH), Some(3 * EACH)));
    assert_eq!(
        counted("labelled"),
        (Some(3 * EACH / 8), Some(3 * EACH / 8))
    );
    let shared = store.recall.histograms("shared").over(Duration::MAX);
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let sum = (3 * EACH * 2) as f64;
    assert_eq!((shared.count(), shared.sum()), (Some(3 * EACH), Some(sum)));
    assert_eq!(store.recall.gauges("shared").current(), Some(sum / 2.0));
    let labelled = store.recall.histograms("labelled").over(Duration::MAX);
    assert_eq!(labelled.count(), Some(3 * EACH / 8));
}
