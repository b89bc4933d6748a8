//! Handles and cells: eviction, revival, promotion, a thread's end.

use super::super::{
    Counter, Live,
    registry::Registry,
    series::{
        Cells, HANDLES_GONE, Kind, LIVING_COUNTED, PIN_ADDED, PINNED_AT_BURIAL, PINNED_AT_EVICTION,
        PINS_KNOWN, UNPIN, WEAK_MADE,
    },
};
use super::{Ticker, cache, check, check_weakened, hand_out, key, store};
use crate::{
    ledger::{Ledger, Part},
    util::{
        layout,
        sync::{ARC_ACQUIRE, ARC_RELEASE, Arc, quietly},
    },
};
use loom::thread;
use std::sync::atomic::Ordering::Relaxed;

const NOBODY: u32 = 0;

fn total(registry: &Registry<Counter>, id: u32) -> u64 {
    registry.with(id, |entry| entry.total()).unwrap_or(0)
}

/// Sweeps until nothing is left to do, when no other thread runs.
fn settle(ticker: &mut Ticker) {
    for _ in 0..3 {
        ticker.sweep();
    }
}

/// A thread records through its cache, and gives one handle to another thread, while the tick evicts.
fn eviction_against_records() {
    let live = store(super::LIMITS);
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
    settle(&mut ticker);
    assert_eq!(ticker.counted, 111, "lost");
    assert_eq!(total(&live.counters, super::SERIES), 111, "lost");
    let left = live.counters.with(super::SERIES, |entry| {
        matches!(entry.cells, Cells::Ghost(_))
    });
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
    let live = store(super::LIMITS);
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
    settle(&mut ticker);
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
    let live = store(super::LIMITS);
    let other = live.clone();
    let writer = thread::spawn(move || {
        let mut cache = cache(&other.counters);
        hand_out(&other.counters, &mut cache, &key(), 1).add(1, 1);
        hand_out(&other.counters, &mut cache, &key(), 1).add(10, 1);
    });
    let other = live.clone();
    let reader = thread::spawn(move || {
        let first = total(&other.counters, super::SERIES);
        let second = total(&other.counters, super::SERIES);
        assert!(first <= second, "dipped");
    });
    let mut ticker = Ticker::evicting(&live);
    ticker.sweep();
    ticker.sweep();
    writer.join().unwrap();
    reader.join().unwrap();
    settle(&mut ticker);
    assert_eq!(ticker.counted, 11, "lost");
}

#[test]
fn totals_never_dip() {
    check(eviction_against_reads);
}

/// A second thread gets a cell of its own and ends, while the first goes on and the tick folds.
fn promotion_against_sweeps() {
    let live = store(super::LIMITS);
    let first = live.counters.acquire(&key(), 1, false).unwrap().cell;
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
        let now = total(&live.counters, super::SERIES);
        assert!(seen <= now, "dipped");
        seen = now;
    }
    second.join().unwrap();
    settle(&mut ticker);
    assert_eq!(ticker.counted, 1111, "lost");
    let one = live
        .counters
        .with(super::SERIES, |entry| matches!(entry.cells, Cells::One(_)));
    assert_eq!(one, Some(true), "not folded");
}

#[test]
fn promotion_and_folding_lose_no_record() {
    check(promotion_against_sweeps);
}

#[test]
#[should_panic(expected = "lost")]
fn folding_needs_the_release_of_a_dropped_handle() {
    check_weakened(ARC_RELEASE, promotion_against_sweeps);
}

/// A thread ends, and with it its cache, while the tick evicts what the cache points to.
fn exit_against_eviction() {
    let ledger = quietly(|| Arc::new(Ledger::new(super::AMPLE)));
    let live = std::sync::Arc::new(Live::new(ledger, super::LIMITS).unwrap());
    super::admit(&live.counters);
    let mut cache = cache(&live.counters);
    let grave = Arc::grave(&hand_out(&live.counters, &mut cache, &key(), 1));
    let alive = live.ledger.part(Part::Series);
    let thread = thread::spawn(move || drop(cache));
    let cell = layout::arc::<<Counter as Kind>::Cell>();
    let mut ticker = Ticker::evicting(&live);
    for _ in 0..2 {
        ticker.sweep();
        if live.ledger.part(Part::Series) < alive {
            assert!(grave.is_freed(), "gave back memory that is still in use");
        }
    }
    thread.join().unwrap();
    settle(&mut ticker);
    assert!(grave.is_freed());
    assert_eq!(
        live.ledger.part(Part::Series),
        alive - cell,
        "ledger is off"
    );
    assert_eq!(live.ledger.part(Part::Caches), 0, "ledger is off");
}

#[test]
fn an_evicted_cell_is_charged_until_its_memory_is_free() {
    check(exit_against_eviction);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn unpinning_needs_its_release() {
    check_weakened(UNPIN, exit_against_eviction);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn eviction_needs_its_acquire_of_pins() {
    check_weakened(PINNED_AT_EVICTION, exit_against_eviction);
}

/// A series is idle, evicted and wanted back, again and again, by a thread whose cache knows each of its cells in turn,
/// while another thread's cache knows the first.
fn cycles_of_eviction() {
    let live = store(super::LIMITS);
    let mut sleeping = cache(&live.counters);
    hand_out(&live.counters, &mut sleeping, &key(), 2).add(1, 2);
    let mut busy = cache(&live.counters);
    let alive = live.ledger.part(Part::Series);
    let cell = layout::arc::<<Counter as Kind>::Cell>();
    let mut ticker = Ticker::evicting(&live);
    for _ in 0..5 {
        hand_out(&live.counters, &mut busy, &key(), 1).add(1, 1);
        settle(&mut ticker);
        // One dead cell for each slot that may pin it.
        assert!(
            live.ledger.part(Part::Series) <= alive + cell,
            "charges pile up"
        );
    }
    drop(busy);
    let thread = thread::spawn(move || drop(sleeping));
    ticker.sweep();
    thread.join().unwrap();
    ticker.sweep();
    assert_eq!(
        live.ledger.part(Part::Series),
        alive - cell,
        "ledger is off"
    );
    assert_eq!(ticker.counted, 6, "lost");
}

#[test]
fn charges_of_dead_cells_do_not_pile_up() {
    check(cycles_of_eviction);
}

/// A thread gets to know a cell, and ends, while the tick evicts the cell.
fn acquaintance_against_eviction() {
    let ledger = quietly(|| Arc::new(Ledger::new(super::AMPLE)));
    let live = std::sync::Arc::new(Live::new(ledger, super::LIMITS).unwrap());
    super::admit(&live.counters);
    let first = live.counters.acquire(&key(), 1, false).unwrap().cell;
    let grave = Arc::grave(&first);
    drop(first);
    let alive = live.ledger.part(Part::Series);
    let other = live.clone();
    let thread = thread::spawn(move || {
        let mut cache = cache(&other.counters);
        hand_out(&other.counters, &mut cache, &key(), 1).add(1, 1);
    });
    let mut ticker = Ticker::evicting(&live);
    for _ in 0..2 {
        ticker.sweep();
        if live.ledger.part(Part::Series) < alive {
            assert!(grave.is_freed(), "gave back memory that is still in use");
        }
    }
    thread.join().unwrap();
    settle(&mut ticker);
    assert_eq!(ticker.counted, 1, "lost");
}

#[test]
fn an_eviction_sees_every_pin() {
    check(acquaintance_against_eviction);
}

#[test]
#[should_panic(expected = "still in use")]
fn eviction_needs_to_see_what_other_holders_did() {
    check_weakened(HANDLES_GONE, acquaintance_against_eviction);
}

/// One thread's cache pins a dead cell. Another's gets to know the next cell of the series, if `comes`, and ends.
fn company_against_burial(comes: bool) {
    let ledger = quietly(|| Arc::new(Ledger::new(super::AMPLE)));
    let live = std::sync::Arc::new(Live::new(ledger, super::LIMITS).unwrap());
    super::admit(&live.counters);
    let mut sleeping = cache(&live.counters);
    let grave = Arc::grave(&hand_out(&live.counters, &mut sleeping, &key(), 2));
    let mut ticker = Ticker::evicting(&live);
    settle(&mut ticker);
    let with_one = live.ledger.part(Part::Series);
    let next = live.counters.acquire(&key(), 1, false).unwrap();
    let mut known = cache(&live.counters);
    if !comes {
        known.put(&key(), &next, 0);
    }
    let thread = thread::spawn(move || {
        if comes {
            known.put(&key(), &next, 0);
        }
        drop((known, next));
    });
    ticker.evicts = false;
    ticker.sweep();
    let cell = layout::arc::<<Counter as Kind>::Cell>();
    let held = live.ledger.part(Part::Series) >= with_one + cell;
    assert!(held, "gave back memory that is still in use");
    thread.join().unwrap();
    ticker.sweep();
    drop(sleeping);
    ticker.sweep();
    assert!(grave.is_freed());
    assert_eq!(live.ledger.part(Part::Series), with_one, "ledger is off");
}

fn acquaintance_against_burial() {
    company_against_burial(true);
}

fn parting_against_burial() {
    company_against_burial(false);
}

#[test]
fn a_burial_knows_the_living_from_the_dead() {
    check(acquaintance_against_burial);
    check(parting_against_burial);
}

#[test]
#[should_panic(expected = "still in use")]
fn burial_needs_its_acquire_of_pins() {
    check_weakened(PINNED_AT_BURIAL, parting_against_burial);
}

#[test]
#[should_panic(expected = "still in use")]
fn an_added_pin_needs_its_release() {
    check_weakened(PIN_ADDED, acquaintance_against_burial);
}

#[test]
#[should_panic(expected = "still in use")]
fn reading_pins_needs_its_acquire() {
    check_weakened(PINS_KNOWN, acquaintance_against_burial);
}

#[test]
#[should_panic(expected = "still in use")]
fn a_slots_weak_needs_its_release() {
    check_weakened(WEAK_MADE, acquaintance_against_burial);
}

#[test]
#[should_panic(expected = "still in use")]
fn counting_the_living_needs_its_acquire() {
    check_weakened(LIVING_COUNTED, acquaintance_against_burial);
}

/// The tick forgets an evicted series while a thread wants it back.
fn forgetting_against_revival() {
    let live = store(super::LIMITS);
    live.counters
        .acquire(&key(), 1, false)
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
    settle(&mut ticker);
    settle(&mut ticker);
    assert_eq!(ticker.counted, 111, "lost");
    let name = live.counters.find_name(super::METRIC).unwrap();
    assert_eq!(name.retired.load(Relaxed), 111, "lost");
    assert_eq!(live.counters.live.load(Relaxed), 0, "not forgotten");
}

#[test]
fn a_forgotten_series_comes_back_as_another() {
    check(forgetting_against_revival);
}

/// Two threads with a cell each sleep; their caches know the cells, and nobody holds one.
fn sleeping_threads() {
    let live = store(super::LIMITS);
    let mut first = cache(&live.counters);
    let mut second = cache(&live.counters);
    for _ in 0..3 {
        hand_out(&live.counters, &mut first, &key(), 1).add(1, 1);
        hand_out(&live.counters, &mut second, &key(), 2).add(1, 2);
    }
    let many = live
        .counters
        .with(super::SERIES, |entry| matches!(entry.cells, Cells::Many(_)));
    assert_eq!(many, Some(true));
    let other = live.clone();
    let thread = thread::spawn(move || {
        hand_out(&other.counters, &mut second, &key(), 2).add(10, 2);
        second
    });
    let mut ticker = Ticker::evicting(&live);
    settle(&mut ticker);
    let second = thread.join().unwrap();
    settle(&mut ticker);
    settle(&mut ticker);
    assert_eq!(ticker.counted, 16, "lost");
    let gone = live.counters.with(super::SERIES, |entry| {
        matches!(entry.cells, Cells::Ghost(_))
    });
    assert_eq!(gone, Some(true), "not evicted");
    drop((first, second));
    settle(&mut ticker);
    assert_eq!(live.ledger.part(Part::Caches), 0, "ledger is off");
}

#[test]
fn sleeping_threads_keep_no_series() {
    check(sleeping_threads);
}

/// The tick hangs stripes on a cell that two threads share.
fn stripes_against_records() {
    let live = store(super::LIMITS);
    let cell = live.counters.acquire(&key(), 1, false).unwrap().cell;
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

/// Threads without an id share the cell for keys that have none of their own.
fn strangers_on_the_spare_cell() {
    let ledger = quietly(|| Arc::new(Ledger::new(super::AMPLE)));
    let live = std::sync::Arc::new(Live::new(ledger, super::LIMITS).unwrap());
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
