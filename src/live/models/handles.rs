//! Handles and cells: eviction, revival, promotion, threads without an id.

use super::super::{Counter, Live, registry::Registry, series::Cells};
use super::{
    AMPLE, FROM, LIMITS, METRIC, SERIES, Ticker, cache, check, check_weakened, hand_out, key, store,
};
use crate::{
    ledger::{Ledger, Part},
    util::sync::{ARC_ACQUIRE, ARC_RELEASE, Arc, ONCE_FILLED, ONCE_READ, quietly},
};
use loom::thread;
use std::sync::atomic::Ordering::Relaxed;

const NOBODY: u32 = 0;

fn total(registry: &Registry<Counter>, id: u32) -> u64 {
    registry.with(id, |entry| entry.total()).unwrap_or(0)
}

/// A thread records through its cache, and gives one handle to another thread, while the tick evicts.
fn eviction_against_records() {
    let live = store(LIMITS);
    let other = live.clone();
    let owner = thread::spawn(move || {
        let mut cache = cache(&other.counters);
        let cell = hand_out(&other.counters, &mut cache, &key(), 1);
        cell.add(1, 1);
        let helper = thread::spawn(move || cell.add(10, 2));
        hand_out(&other.counters, &mut cache, &key(), 1).add(100, 1);
        helper.join().unwrap();
    });
    let mut ticker = Ticker::evicting(&live);
    ticker.sweep();
    ticker.sweep();
    owner.join().unwrap();
    ticker.settle();
    assert_eq!(ticker.counted, 111, "lost");
    assert_eq!(total(&live.counters, SERIES), 111, "lost");
    let left = live
        .counters
        .with(SERIES, |entry| matches!(entry.cells, Cells::Ghost(_)));
    assert_eq!(left, Some(true), "not evicted");
}

#[test]
fn eviction_loses_no_record() {
    check(eviction_against_records);
}

#[test]
#[should_panic(expected = "lost")]
fn eviction_needs_the_release_of_a_dropped_handle() {
    check_weakened(ARC_RELEASE, eviction_against_records);
}

/// A thread finds a cell in its cache while the tick evicts the cell.
fn eviction_against_a_hit() {
    let live = store(LIMITS);
    let mut known = cache(&live.counters);
    hand_out(&live.counters, &mut known, &key(), 1).add(1, 1);
    let other = live.clone();
    let thread = thread::spawn(move || {
        hand_out(&other.counters, &mut known, &key(), 1).add(10, 1);
        hand_out(&other.counters, &mut known, &key(), 1).add(100, 1);
    });
    let mut ticker = Ticker::evicting(&live);
    ticker.sweep();
    ticker.sweep();
    thread.join().unwrap();
    ticker.settle();
    assert_eq!(ticker.counted, 111, "lost");
}

#[test]
fn a_hit_revives_or_misses() {
    check(eviction_against_a_hit);
}

#[test]
#[should_panic(expected = "lost")]
fn eviction_needs_the_acquire_of_an_unwrapped_handle() {
    check_weakened(ARC_ACQUIRE, eviction_against_a_hit);
}

/// Somebody reads while a thread records and the tick evicts and revives.
fn eviction_against_reads() {
    let live = store(LIMITS);
    let other = live.clone();
    let writer = thread::spawn(move || {
        let mut cache = cache(&other.counters);
        hand_out(&other.counters, &mut cache, &key(), 1).add(1, 1);
        hand_out(&other.counters, &mut cache, &key(), 1).add(10, 1);
    });
    let other = live.clone();
    let reader = thread::spawn(move || {
        let first = total(&other.counters, SERIES);
        let second = total(&other.counters, SERIES);
        assert!(first <= second, "dipped");
    });
    let mut ticker = Ticker::evicting(&live);
    ticker.sweep();
    ticker.sweep();
    writer.join().unwrap();
    reader.join().unwrap();
    ticker.settle();
    assert_eq!(ticker.counted, 11, "lost");
}

#[test]
fn totals_never_dip() {
    check(eviction_against_reads);
}

/// A second thread gets a cell of its own and ends, while the first goes on and the tick folds.
fn promotion_against_sweeps() {
    let live = store(LIMITS);
    let first = live.counters.acquire(&key(), &FROM, 1, false).unwrap().cell;
    let other = live.clone();
    let second = thread::spawn(move || {
        let mut cache = cache(&other.counters);
        for value in [1, 10, 100] {
            hand_out(&other.counters, &mut cache, &key(), 2).add(value, 2);
        }
    });
    let mut ticker = Ticker::new(&live);
    let mut seen = 0;
    first.add(1000, 1);
    for _ in 0..3 {
        ticker.sweep();
        let now = total(&live.counters, SERIES);
        assert!(seen <= now, "dipped");
        seen = now;
    }
    second.join().unwrap();
    ticker.settle();
    assert_eq!(ticker.counted, 1111, "lost");
    let one = live
        .counters
        .with(SERIES, |entry| matches!(entry.cells, Cells::One(..)));
    assert_eq!(one, Some(true), "not folded");
}

#[test]
fn promotion_and_folding_lose_no_record() {
    check(promotion_against_sweeps);
}

/// The tick forgets an evicted series while a thread wants it back.
fn forgetting_against_revival() {
    let live = store(LIMITS);
    live.counters
        .acquire(&key(), &FROM, 1, false)
        .unwrap()
        .cell
        .add(1, 1);
    let other = live.clone();
    let thread = thread::spawn(move || {
        let mut cache = cache(&other.counters);
        hand_out(&other.counters, &mut cache, &key(), 2).add(10, 2);
        hand_out(&other.counters, &mut cache, &key(), 2).add(100, 2);
    });
    let mut ticker = Ticker::evicting(&live);
    ticker.forget_after = 0;
    for _ in 0..4 {
        ticker.sweep();
    }
    thread.join().unwrap();
    ticker.settle();
    ticker.settle();
    assert_eq!(ticker.counted, 111, "lost");
    let name = live.counters.find_name(METRIC).unwrap();
    assert_eq!(name.retired.load(Relaxed), 111, "lost");
    assert_eq!(live.counters.live.load(Relaxed), 0, "not forgotten");
}

#[test]
fn a_forgotten_series_comes_back_as_another() {
    check(forgetting_against_revival);
}

/// Two threads with a cell each sleep; their caches know the cells, and nobody holds one.
fn sleeping_threads() {
    let live = store(LIMITS);
    let mut first = cache(&live.counters);
    let mut second = cache(&live.counters);
    for _ in 0..3 {
        hand_out(&live.counters, &mut first, &key(), 1).add(1, 1);
        hand_out(&live.counters, &mut second, &key(), 2).add(1, 2);
    }
    let many = live
        .counters
        .with(SERIES, |entry| matches!(entry.cells, Cells::Many(..)));
    assert_eq!(many, Some(true));
    let other = live.clone();
    let thread = thread::spawn(move || {
        hand_out(&other.counters, &mut second, &key(), 2).add(10, 2);
        second
    });
    let mut ticker = Ticker::evicting(&live);
    ticker.settle();
    let second = thread.join().unwrap();
    ticker.settle();
    ticker.settle();
    assert_eq!(ticker.counted, 16, "lost");
    let gone = live
        .counters
        .with(SERIES, |entry| matches!(entry.cells, Cells::Ghost(_)));
    assert_eq!(gone, Some(true), "not evicted");
    drop((first, second));
    ticker.settle();
    assert_eq!(live.ledger.part(Part::Caches), 0, "ledger is off");
}

#[test]
fn sleeping_threads_keep_no_series() {
    check(sleeping_threads);
}

/// The tick hangs stripes on a cell that two threads share.
fn stripes_against_records() {
    let live = store(LIMITS);
    let cell = live.counters.acquire(&key(), &FROM, 1, false).unwrap().cell;
    cell.add(1 << 20, 2);
    let threads = [2, 3].map(|me| {
        let cell = cell.clone();
        thread::spawn(move || {
            cell.add(1, me);
            cell.add(1, me);
        })
    });
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    ticker.sweep();
    for thread in threads {
        thread.join().unwrap();
    }
    ticker.sweep();
    assert!(cell.is_striped());
    assert_eq!(ticker.counted, (1 << 20) + 4, "lost");
}

#[test]
fn hanging_stripes_loses_no_record() {
    check(stripes_against_records);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn hanging_stripes_needs_its_release() {
    check_weakened(ONCE_FILLED, stripes_against_records);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn finding_stripes_needs_its_acquire() {
    check_weakened(ONCE_READ, stripes_against_records);
}

/// Threads without an id share the cell for keys that have none of their own.
fn strangers_on_the_spare_cell() {
    let ledger = quietly(|| Arc::new(Ledger::new(AMPLE)));
    let live = std::sync::Arc::new(Live::new(ledger, LIMITS).unwrap());
    let cell = live.counters.spare().unwrap().cell;
    let threads = [(); 2].map(|()| {
        let cell = cell.clone();
        thread::spawn(move || cell.add(1, NOBODY))
    });
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(cell.sum(), 2, "lost");
}

#[test]
fn nobody_owns_a_cell() {
    check(strangers_on_the_spare_cell);
}
