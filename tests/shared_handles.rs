//! Threads that share one histogram handle: the tick gives them lanes of their own, and takes these back. Whatever comes
//! and goes, totals are exact, and the ledger is right to the byte.
#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking, and counts to small numbers"
)]

#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/heap.rs"]
mod heap;
#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/storm.rs"]
mod storm;

use metrics::{Histogram, counter, histogram};
use metrics_recall::secs;
use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};
use storm::{Size, Store, scale};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const PAGES: &str = "histogram pages";

/// Enough in one tick for a lane.
const MANY: usize = 70_000;

/// Ticks after which a calm series has no lanes.
const CALM: usize = 61;

/// What a thread records of its own in one round: `MANY` values, and their sum.
fn hammer(store: &Store, handle: &Histogram, thread: usize) -> (u64, f64) {
    store.inside(|| {
        let mut sum = 0.0;
        for i in 0..MANY {
            let value = match i % 1_000 {
                998 => 0.0,
                999 => -((thread + 1) as f64),
                i => (i % 7 * (thread + 1) + 1) as f64,
            };
            handle.record(value);
            sum += value;
        }
        handle.record_many(0.5, 3);
        (MANY as u64 + 3, sum + 1.5)
    })
}

/// A handle made by a thread that has ended, and whose cache is gone.
fn handle(store: &Store) -> Histogram {
    let make = || store.scope(|| store.inside(|| histogram!("shared")));
    thread::scope(|scope| scope.spawn(make).join().unwrap())
}

/// Runs `hammer` on threads that end.
fn hammer_on(store: &Store, handle: &Histogram, threads: usize) -> (u64, f64) {
    thread::scope(|scope| {
        let spawn = |t| scope.spawn(move || hammer(store, handle, t));
        let all: Vec<_> = (0..threads).map(spawn).collect();
        let all = all.into_iter().map(|thread| thread.join().unwrap());
        all.fold((0, 0.0), |(n, sum), (m, more)| (n + m, sum + more))
    })
}

#[track_caller]
fn assert_recorded(store: &Store, (count, sum): (u64, f64)) {
    let shared = store.recall.histograms("shared").over(Duration::MAX);
    assert_eq!((shared.count(), shared.sum()), (Some(count), Some(sum)));
}

#[test]
fn totals_are_exact_while_lanes_come_and_go() {
    const THREADS: usize = 5;
    let rounds = scale(3, 30);
    let store = Store::new(Size::ThirtyTwoMiB.builder());
    let handle = handle(&store);
    let (mut count, mut sum) = (0, 0.0);
    for _ in 0..rounds {
        let done = AtomicBool::new(false);
        let recorded = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    // Now and then a tick sees enough at once.
                    for _ in 0..200 {
                        thread::yield_now();
                    }
                    store.tick_now();
                }
            });
            let recorded = [1, THREADS].map(|threads| {
                let first = hammer_on(&store, &handle, threads);
                store.tick();
                first
            });
            done.store(true, SeqCst);
            recorded
        });
        for (n, more) in recorded {
            count += n;
            sum += more;
        }
        store.tick();
        assert_recorded(&store, (count, sum));
        store.check_to_the_byte();
    }
    let shared = store.recall.histograms("shared").over(Duration::MAX);
    assert_eq!(
        (shared.min(), shared.max()),
        (Some(-(THREADS as f64)), Some(6.0 * THREADS as f64 + 1.0))
    );
    assert!(store.recall.health().is_healthy());
}

/// Threads that meet at `gate` after each round that they record.
fn stay(store: &Store, handle: &Histogram, gate: &Barrier, rounds: usize, thread: usize) -> f64 {
    let mut sum = 0.0;
    for _ in 0..rounds {
        sum += hammer(store, handle, thread).1;
        gate.wait();
        gate.wait();
    }
    sum
}

#[test]
fn lanes_are_charged_while_threads_have_them_and_given_back_when_the_series_is_calm() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 6;
    let store = Store::new(Size::ThirtyTwoMiB.builder());
    let account = store.account;
    let handle = handle(&store);
    let gate = Barrier::new(THREADS + 1);
    let sum = thread::scope(|scope| {
        let (store, handle, gate) = (&store, &handle, &gate);
        let spawn = |t| scope.spawn(move || stay(store, handle, gate, ROUNDS, t));
        let all: Vec<_> = (0..THREADS).map(spawn).collect();
        let mut pages = Vec::new();
        for round in 0..ROUNDS {
            gate.wait();
            if round == ROUNDS - 1 {
                // The threads sleep, and keep what they have.
                for _ in 0..CALM {
                    store.tick();
                    store.check_to_the_byte();
                }
                assert!(store.part(PAGES) > pages[0]);
            } else {
                store.tick();
            }
            store.check_to_the_byte();
            pages.push(store.part(PAGES));
            gate.wait();
        }
        assert!(pages[0] < pages[2], "no lane in {pages:?}");
        assert!(
            pages[3..].is_sorted_by(|a, b| a >= b),
            "more lanes than threads: {pages:?}"
        );
        all.into_iter()
            .map(|thread| thread.join().unwrap())
            .sum::<f64>()
    });
    store.tick();
    store.check_to_the_byte();
    assert_recorded(&store, ((THREADS * ROUNDS * (MANY + 3)) as u64, sum));
    let rest = store.part(PAGES);
    let before = hammer_on(&store, &handle, 1);
    for _ in 0..=CALM {
        store.tick();
    }
    assert_eq!(store.part(PAGES), rest, "lanes are not given back");
    assert_eq!(before.0, MANY as u64 + 3);
    store.check_to_the_byte();
    drop((handle, store));
    assert_eq!(account.heap(), 0);
}

#[test]
fn a_thread_that_registers_something_forgets_lanes_of_calm_series() {
    const ROUNDS: usize = 2;
    let store = Store::new(Size::ThirtyTwoMiB.builder());
    let handle = handle(&store);
    let gate = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            stay(&store, &handle, &gate, ROUNDS, 0);
            store.scope(|| store.inside(|| counter!("other").increment(1)));
            gate.wait();
            gate.wait();
        });
        gate.wait();
        store.tick();
        let without = store.part(PAGES);
        gate.wait();
        gate.wait();
        for _ in 0..CALM {
            store.tick();
        }
        let asleep = store.part(PAGES);
        gate.wait();
        gate.wait();
        store.tick();
        let registered = store.part(PAGES);
        gate.wait();
        assert!(without < asleep, "no lane: {without}, {asleep}");
        assert!(registered < without, "kept: {registered}, {without}");
    });
}

#[test]
fn an_evicted_series_keeps_what_its_lanes_had_and_frees_them() {
    const THREADS: usize = 3;
    let builder = Size::Edge.builder().max_series_per_metric(2);
    let store = Store::new(builder.idle_timeout(secs(2)));
    let handle = store.scope(|| store.inside(|| histogram!("shared", "n" => "1")));
    let mut recorded = (0, 0.0);
    for _ in 0..4 {
        let (n, sum) = hammer_on(&store, &handle, THREADS);
        recorded = (recorded.0 + n, recorded.1 + sum);
        store.tick();
    }
    assert_recorded(&store, recorded);
    drop(handle);
    for n in 2..20 {
        store.scope(|| {
            let another = store.inside(|| histogram!("shared", "n" => n.to_string()));
            store.record(&another, 1.0);
        });
        recorded = (recorded.0 + 1, recorded.1 + 1.0);
        store.tick();
        store.check_to_the_byte();
    }
    assert_recorded(&store, recorded);
}

/// Recording goes on through the shared part when there is no room for lanes, or not for their pages.
#[test]
fn a_full_ledger_costs_lanes_and_no_record() {
    let store = Store::new(Size::Edge.boundless());
    let handle = handle(&store);
    hammer_on(&store, &handle, 3);
    store.tick();
    let lanes = store.part(PAGES);
    store.scope(|| {
        for i in 0..20_000 {
            store.inside(|| counter!("filler", "i" => i.to_string()).increment(1));
        }
    });
    for _ in 0..4 {
        let recorded = hammer_on(&store, &handle, 3).0;
        store.tick();
        store.check();
        // Older ticks had to go.
        let newest = store.recall.histograms("shared").over(secs(1));
        assert_eq!(newest.count(), Some(recorded));
    }
    assert!(store.part(PAGES) <= lanes);
}
