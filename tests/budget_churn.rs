//! Series come and go under pressure: what nobody holds makes room, what somebody holds is never deaf, and the ledger
//! follows every byte through evictions, dead cells in sleeping caches, and places that are used again.
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

use crowd::crowd;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_recall::{RecallBuilder, RetentionRule, secs};
use std::{sync::mpsc, thread, time::Duration};
use storm::{SIZES, Size, Store, scale};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// Idle after two seconds, forgotten after five, by coarse tiers too.
fn fleeting(builder: RecallBuilder) -> Store {
    remembering(forgetful(builder), secs(5))
}

/// Nothing is kept but five seconds in the finest tier: memory does not grow with a history that gets longer.
fn forgetful(builder: RecallBuilder) -> RecallBuilder {
    builder.retain(RetentionRule::new().keep([secs(5), Duration::ZERO, Duration::ZERO]))
}

fn remembering(builder: RecallBuilder, retention: Duration) -> Store {
    Store::new(builder.idle_timeout(secs(2)).retention(retention))
}

/// Asks for new series until some are refused: only then does the next tick evict anything.
fn flood(store: &Store, round: usize) -> u64 {
    let before = store.overflowed("flood");
    let mut n = 0;
    store.scope(|| {
        while store.overflowed("flood") == before {
            for i in 0..500 {
                counter!("flood", "id" => format!("{round}/{n}/{i}")).increment(1);
            }
            n += 1;
        }
    });
    500 * n
}

fn ticks(store: &Store, n: usize) {
    for _ in 0..n {
        store.tick();
        store.check();
    }
}

/// Lets everything grow idle, and then evicts what nobody holds. Gives what the flood has counted.
fn evict(store: &Store, round: usize) -> u64 {
    ticks(store, 4);
    let counted = flood(store, round);
    ticks(store, 1);
    counted
}

/// Runs `work` on a thread that takes its caches along; then the ledger is right to the byte.
fn on_a_thread(store: &Store, work: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(work).join().unwrap());
    store.tick();
    store.check_to_the_byte();
}

/// After the first rounds only dead cells may become more: as many as caches have slots, and these take an eighth of the
/// budget together.
fn assert_settled(store: &Store, used: &[usize]) {
    let settled = used[4..10].iter().max().unwrap();
    let most = settled + store.recall.memory().budget / 8;
    assert!(used.last().unwrap() <= &most, "memory grows: {used:?}");
}

#[test]
fn labels_that_change_all_the_time_find_room_and_add_up_for_ever() {
    let rounds = scale(12, 100);
    for size in SIZES {
        for builder in [size.builder(), size.boundless()] {
            let store = fleeting(builder);
            on_a_thread(&store, || {
                let mut used = Vec::new();
                let mut counted = 0;
                for round in 0..rounds {
                    store.scope(|| {
                        for i in 0..50 {
                            let id = format!("{round}/{i}");
                            gauge!("level", "id" => id.clone()).set(1.0);
                            store.record(&histogram!("took", "id" => id), f64::from(i));
                        }
                    });
                    store.tick();
                    assert_eq!(store.last_tick_of("took"), 50);
                    counted += evict(&store, round);
                    let evicted = store.recall.gauges("level").label_not("overflow", "true");
                    assert_eq!(evicted.current(), None);
                    // Long enough for the evicted to be forgotten.
                    ticks(&store, 6);
                    used.push(store.used_but_index());
                    assert_eq!(store.recall.counters("flood").total(), Some(counted));
                }
                assert_settled(&store, &used);
            });
        }
    }
}

#[test]
fn every_held_handle_counts_after_three_evictions() {
    const SERIES: usize = 84;
    for size in SIZES {
        for builder in [size.builder(), size.boundless()] {
            let store = fleeting(builder);
            on_a_thread(&store, || hold_every_seventh(&store, SERIES));
        }
    }
}

fn hold_every_seventh(store: &Store, series: usize) {
    let handles = |id: usize| -> (Counter, Gauge, Histogram) {
        let id = id.to_string();
        (
            counter!("held", "id" => id.clone()),
            gauge!("held", "id" => id.clone()),
            histogram!("held", "id" => id),
        )
    };
    let all = || -> Vec<_> { store.scope(|| (0..series).map(handles).collect()) };
    let held: Vec<_> = all().into_iter().step_by(7).collect();
    for round in 1..=3 {
        // All are there again, if need be in the place of what the flood has left; and all but every seventh are let go.
        let tries = (0..10).take_while(|_| {
            drop(all());
            store.series("held") < 3 * series && {
                ticks(store, 7);
                true
            }
        });
        assert!(tries.count() < 10);
        // In a store that is full to the brim, one of them may have to wait for the room that the others leave.
        let tries = (0..3).take_while(|again| {
            evict(store, 10 * round + again);
            store.series("held") > 3 * held.len()
        });
        assert!(tries.count() < 3, "round {round}");
        assert_eq!(store.series("held"), 3 * held.len(), "round {round}");
        for (counter, gauge, histogram) in &held {
            counter.increment(10);
            gauge.increment(2.0);
            store.record(histogram, 1.5);
        }
        ticks(store, 1);
        assert_eq!(store.last_tick_of("held"), held.len() as u64);
        let counted = store.recall.counters("held").by("id").total();
        let all_counted = |n: u64| counted.iter().filter(|(_, m)| *m == n).count();
        assert_eq!(all_counted(10 * round as u64), held.len(), "{counted:?}");
        let sum = (2 * round * held.len()) as f64;
        assert_eq!(store.recall.gauges("held").current(), Some(sum));
    }
}

/// Threads race evictions: each keeps a handle for some rounds, drops it, asks again.
#[test]
fn handles_that_are_dropped_and_asked_for_again_in_the_middle_of_evictions_lose_nothing() {
    const THREADS: usize = 4;
    let rounds = scale(1_000, 20_000);
    for size in SIZES {
        let store = fleeting(size.builder().max_series_per_metric(40));
        let (done, is_done) = mpsc::channel::<()>();
        store.scope(|| store.record(&histogram!("raced"), 1.0));
        thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS)
                .map(|t| {
                    let (store, done) = (&store, done.clone());
                    scope.spawn(move || {
                        let _done = done;
                        store.scope(|| {
                            for i in 0..rounds {
                                let id = ((i * 7 + t * 13) % 60).to_string();
                                let handle = counter!("raced", "id" => id.clone());
                                let other = histogram!("raced", "id" => id);
                                for _ in 0..3 {
                                    handle.increment(1);
                                    thread::yield_now();
                                }
                                store.record(&other, i as f64);
                            }
                        });
                    })
                })
                .collect();
            drop(done);
            let mut values = 0;
            let mut before = 0;
            // Ends when every worker has dropped its end.
            while is_done.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
                store.tick();
                store.account.compare(&store.recall);
                values += store.last_tick_of("raced");
                let total = store.recall.counters("raced").total().unwrap_or(0);
                assert!(before <= total, "a total fell from {before} to {total}");
                before = total;
            }
            workers
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            for _ in 0..3 {
                store.tick();
                values += store.last_tick_of("raced");
            }
            assert_eq!(values, (THREADS * rounds) as u64 + 1);
        });
        store.check();
        let all = (3 * THREADS * rounds) as u64;
        assert_eq!(store.recall.counters("raced").total(), Some(all));
    }
}

/// An evicted cell stays in memory while a sleeping thread's cache points at it, and is charged for as long; a series
/// that is used in turns by two threads, and evicted each time, does not pile up dead cells.
#[test]
fn dead_cells_in_the_caches_of_sleeping_threads_are_charged_once() {
    const SERIES: usize = 100;
    let store = fleeting(Size::FourMiB.builder().max_series_per_metric(SERIES));
    let touch = || {
        for i in 0..SERIES {
            let id = i.to_string();
            counter!("turns", "id" => id.clone()).increment(1);
            store.record(&histogram!("turns", "id" => id), 1.0);
        }
    };
    let work = |_: usize, _: usize| store.scope(touch);
    crowd(2, work, |crowd| {
        let mut used = Vec::new();
        for round in 0..40 {
            crowd.start(round % 2, round);
            crowd.wait(round % 2);
            evict(&store, round);
            assert_eq!(store.series("turns"), 0, "round {round}");
            ticks(&store, 6);
            used.push(store.used_but_index());
        }
        let calls = Some((40 * SERIES) as u64);
        assert_eq!(store.recall.counters("turns").total(), calls);
        assert_settled(&store, &used);
    });
}

#[test]
fn after_a_storm_new_series_have_room_again_and_history_grows_back() {
    for size in SIZES {
        let store = remembering(size.boundless(), secs(60));
        on_a_thread(&store, || {
            // The same series again and again: frames are as large as they can be.
            let counted: u64 = (0..15)
                .map(|_| {
                    store.tick();
                    flood(&store, 0)
                })
                .sum();
            store.assert_named(&["counter `flood` sent ", "`memory_budget`", "label `id` has"]);
            store.assert_named(&["history reaches back", "instead of 60 s", "`memory_budget`"]);
            // What a tier lost is not made good before as much time has passed as it is to reach back; and until then old
            // points of coarser ones may take the room.
            let tiers = store.recall.retention();
            let most = tiers
                .iter()
                .map(|tier| tier.target.as_secs())
                .max()
                .unwrap();
            let mut ticks = 0;
            loop {
                for _ in 0..130 {
                    store.tick();
                    store.scope(|| counter!("orders", "region" => "eu").increment(1));
                }
                ticks += 130;
                let health = store.recall.health().to_string();
                if !health.contains("history reaches back") {
                    break;
                }
                assert!(ticks < most + 260, "{health}");
            }
            store.check();
            // The first of them met a store without room for a name.
            let orders = store.recall.counters("orders");
            let nameless = store
                .recall
                .counters("recall_overflow")
                .total()
                .unwrap_or(0);
            assert_eq!(orders.total(), Some(ticks - nameless));
            assert!(orders.label("region", "eu").total() > Some(100));
            assert_eq!(store.recall.counters("flood").total(), Some(counted));
        });
    }
}

/// Deleting and recording again and again: held handles get new ids, sleeping caches go on pinning the old
/// ones, and all of that is charged.
#[test]
fn what_is_deleted_again_and_again_stays_inside_the_budget() {
    let rounds = scale(60, 2_000);
    for size in SIZES {
        let store = Store::new(forgetful(size.builder()));
        let mut held: Vec<(Counter, Gauge, Histogram)> = Vec::new();
        store.scope(|| {
            // Where live data have all that they may have, a delete is refused: not here.
            let handles = if size == Size::Edge { 10 } else { 40 };
            held.extend((0..handles).map(|i| {
                let id = i.to_string();
                (
                    counter!("n", "id" => id.clone()),
                    gauge!("n", "id" => id.clone()),
                    histogram!("n", "id" => id),
                )
            }));
        });
        let mut used = Vec::new();
        for round in 0..rounds {
            for (counter, gauge, histogram) in &held {
                counter.increment(1);
                gauge.set(round as f64);
                store.record(histogram, round as f64);
            }
            store.scope(|| {
                for i in 0..80 {
                    counter!("n", "id" => i.to_string()).increment(1);
                    gauge!("n", "id" => i.to_string()).increment(1.0);
                }
            });
            store.tick();
            store.inside(|| store.recall.delete("n")).unwrap();
            store.account.verdict();
            assert_eq!(store.recall.counters("n").total(), None);
            ticks(&store, 2);
            used.push(store.used_but_index());
        }
        store.check();
        drop(held);
        // When history has forgotten all of it, so has the index, but for its room.
        store.hands.advance(secs(200_000));
        ticks(&store, 200);
        store.inside(|| store.recall.cleanup());
        assert!(
            store.used_but_index() <= used[3],
            "{} of {used:?}",
            store.used_but_index()
        );
    }
}
