//! However many threads come, go and stay, the store stays inside its budget, loses nothing, and gives back what they had.
//!
//! While threads are at work a sampler compares `heap <= used <= budget` all the time, on top of what `common/heap.rs`
//! does at each allocation; when they are gone, the ledger is right to the byte. `RECALL_LONG=1` asks for ten thousand short
//! threads, and for 256 with a thousand series each.
#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::needless_for_each,
    reason = "a test fails by panicking, counts to small numbers, and calls in a row"
)]

#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/crowd.rs"]
mod crowd;
#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/heap.rs"]
mod heap;
#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/storm.rs"]
mod storm;

use crowd::{alongside, crowd, on_threads};
use metrics::{counter, gauge, histogram};
use metrics_recall::secs;
use std::thread;
use storm::{SIZES, Size, Store, scale};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// Runs `work` while another thread compares ledger and heap.
fn sampled<T>(store: &Store, work: impl FnOnce() -> T) -> T {
    let compare = || {
        store.account.compare(&store.recall);
        thread::yield_now();
    };
    alongside(compare, work)
}

#[test]
fn short_threads_lose_nothing_and_leave_nothing_behind() {
    const AT_ONCE: usize = 8;
    let batches = scale(1_000, 10_000) / AT_ONCE;
    for size in SIZES {
        let store = Store::new(size.builder());
        let mut used = Vec::new();
        sampled(&store, || {
            for _ in 0..batches {
                on_threads(AT_ONCE, |n| {
                    store.scope(|| {
                        for i in 0..20 {
                            counter!("hits").increment(1);
                            counter!("hits", "n" => (i % 5).to_string()).increment(1);
                            gauge!("level", "n" => n.to_string()).set(1.0);
                            store.record(&histogram!("took"), f64::from(i));
                        }
                    });
                });
                store.tick();
                used.push(store.recall.memory().used);
            }
        });
        store.check_to_the_byte();
        let hits = (batches * AT_ONCE * 40) as u64;
        assert_eq!(store.recall.counters("hits").total(), Some(hits));
        let window = secs(batches as u64);
        let kept = store.recall.counters("hits").over(window).increase();
        let took = store.recall.histograms("took").over(window).count();
        assert_eq!(kept, took.map(|n| 2 * n));
        assert_eq!(store.part("thread caches"), 0);
        // Only history has grown since the tenth batch; on Edge, not even that after its two minutes.
        let history = store.part("history") + store.part("tick");
        assert!(
            store.recall.memory().used <= used[9] + history,
            "{:?}",
            store.recall.memory()
        );
        assert!(
            store.recall.health().is_healthy(),
            "{}",
            store.recall.health()
        );
    }
}

#[test]
fn threads_that_live_long_with_series_of_their_own_stay_inside_the_budget_and_add_up() {
    const ROUNDS: usize = 4;
    let threads = scale(48, 256);
    let series = scale(200, 1_000);
    let round_of = |store: &Store, t: usize, round: usize| {
        for s in 0..series {
            let id = format!("{t}/{s}");
            counter!("attack", "id" => id.clone()).increment(1);
            counter!("shared", "s" => (s % 50).to_string()).increment(1);
            gauge!("attack", "id" => id.clone()).set(1.0);
            if s % 10 == 0 {
                store.record(&histogram!("attack", "id" => id), (round * s) as f64);
            }
        }
    };
    for size in SIZES {
        for builder in [size.builder(), size.boundless()] {
            let store = Store::new(builder);
            let account = store.account;
            let work = |t, round| store.scope(|| round_of(&store, t, round));
            crowd(threads, work, |crowd| {
                for round in 1..=ROUNDS {
                    sampled(&store, || crowd.run(round));
                    // Not to the byte: a folded cell stays charged while a thread's cache may pin it.
                    store.check();
                    store.tick();
                    store.check();
                    let sum = Some((threads * series * round) as u64);
                    assert_eq!(store.recall.counters("attack").total(), sum);
                    assert_eq!(store.recall.counters("shared").total(), sum);
                }
            });
            store.tick();
            store.check_to_the_byte();
            assert_eq!(store.part("thread caches"), 0);
            drop(store);
            assert_eq!(account.heap(), 0);
        }
    }
}

/// Registration, recording, ticks, questions and the ends of threads, all at once.
#[test]
fn ticks_and_questions_in_the_middle_of_a_storm_cost_nothing_and_lose_nothing() {
    let each = scale(20_000, 1_000_000);
    for size in SIZES {
        let builder = size.boundless().idle_timeout(secs(2)).retention(secs(10));
        let store = Store::new(builder);
        let tick = || {
            store.tick();
            thread::yield_now();
        };
        let mut before = 0;
        let ask = || {
            let total = store.recall.counters("attack").total().unwrap_or(0);
            assert!(before <= total, "a total fell from {before} to {total}");
            before = total;
            let took = store.recall.histograms("attack").over(secs(5));
            let level = store.recall.gauges("attack").by("t").over(secs(5));
            std::hint::black_box((took.quantile(0.9), level.max()));
        };
        let attack = |t: usize| {
            for i in 0..each {
                counter!("attack", "id" => format!("{t}/{i}")).increment(1);
                if i % 16 == 0 {
                    gauge!("attack", "t" => t.to_string(), "id" => i.to_string()).set(1.0);
                    let histogram = histogram!("attack", "id" => (i % 1_000).to_string());
                    store.record(&histogram, i as f64);
                }
            }
        };
        let attacks = || on_threads(4, |t| store.scope(|| attack(t)));
        sampled(&store, || alongside(tick, || alongside(ask, attacks)));
        store.tick();
        store.check_to_the_byte();
        let all = (4 * each) as u64;
        assert_eq!(store.recall.counters("attack").total(), Some(all));
    }
}

#[test]
fn a_store_that_is_dropped_takes_its_memory_along_while_others_go_on() {
    let stores = SIZES.map(|size| Store::new(size.builder()));
    let accounts = stores.each_ref().map(|store| store.account);
    let emit = |store: &Store, t: usize| {
        store.scope(|| {
            for i in 0..500 {
                let id = format!("{t}/{}", i % 90);
                counter!("n", "id" => id.clone()).increment(1);
                store.record(&histogram!("n", "id" => id), f64::from(i));
            }
        });
    };
    on_threads(8, |t| {
        // Back and forth: a thread keeps caches for all of them.
        for _ in 0..3 {
            stores.iter().for_each(|store| emit(store, t));
        }
    });
    for store in &stores {
        store.tick();
        store.check();
        assert_eq!(store.recall.counters("n").total(), Some(8 * 3 * 500));
        assert_eq!(store.part("thread caches"), 0);
    }
    let [first, second, third, _fourth, _fifth] = stores;
    drop(second);
    assert_eq!(accounts[1].heap(), 0);
    on_threads(8, |t| emit(&first, t));
    drop(first);
    assert_eq!(accounts[0].heap(), 0);
    third.tick();
    third.check();
    assert_eq!(third.recall.counters("n").total(), Some(8 * 3 * 500));
}

/// A thread that lives on keeps what its own caches hold of a store that is gone, until it meets another store or ends.
#[test]
fn what_a_living_thread_keeps_of_a_dropped_store_is_bounded_and_goes_at_the_next_store() {
    let budget = 4 << 20;
    let other = Store::new(Size::Edge.builder());
    let accounts: Vec<_> = (0..20)
        .map(|_| {
            let store = Store::new(Size::FourMiB.boundless());
            store.scope(|| {
                for i in 0..5_000 {
                    counter!("n", "id" => i.to_string()).increment(1);
                }
            });
            store.account
        })
        .collect();
    let kept: Vec<usize> = accounts.iter().map(|account| account.heap()).collect();
    assert!(kept.iter().sum::<usize>() < budget / 4, "{kept:?}");
    // Only the last is still remembered.
    assert_eq!(
        kept.iter().filter(|bytes| **bytes > 0).count(),
        1,
        "{kept:?}"
    );
    other.scope(|| counter!("n").increment(1));
    assert!(accounts.iter().all(|account| account.heap() == 0));
}
