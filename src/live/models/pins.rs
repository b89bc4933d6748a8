//! Pins: a dead cell is charged for as long as a cache slot keeps its memory, and no longer.

use super::super::news::{NEWS_SET, marks::LOOKED};
use super::super::{
    Counter, Live,
    series::{
        HANDLES_GONE, Kind, LIVING_COUNTED, PIN_ADDED, PINNED_AT_BURIAL, PINNED_AT_EVICTION,
        PINS_KNOWN, UNPIN, WEAK_MADE,
    },
};
use super::{
    AMPLE, FROM, LIMITS, Ticker, admit, cache, check, check_weakened, hand_out, key, store,
};
use crate::{
    ledger::{Ledger, Part},
    util::{
        layout,
        sync::{ARC_WEAK_ACQUIRE, ARC_WEAK_RELEASE, Arc, Weakened, quietly},
    },
};
use loom::thread;

/// A thread ends, and with it its cache, while the tick evicts what the cache points to.
fn exit_against_eviction() {
    let ledger = quietly(|| Arc::new(Ledger::new(AMPLE)));
    let live = std::sync::Arc::new(Live::new(ledger, LIMITS).unwrap());
    admit(&live.counters);
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
    ticker.settle();
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

#[test]
#[should_panic(expected = "Causality violation")]
fn freeing_needs_the_release_of_a_dropped_weak() {
    check_weakened(ARC_WEAK_RELEASE, exit_against_eviction);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn freeing_needs_its_acquire() {
    check_weakened(ARC_WEAK_ACQUIRE, exit_against_eviction);
}

/// A series is idle, evicted and wanted back, again and again, by a thread whose cache knows each of its cells in turn,
/// while another thread's cache knows the first.
fn cycles_of_eviction() {
    let live = store(LIMITS);
    let mut sleeping = cache(&live.counters);
    hand_out(&live.counters, &mut sleeping, &key(), 2).add(1, 2);
    let mut busy = cache(&live.counters);
    let alive = live.ledger.part(Part::Series);
    let cell = layout::arc::<<Counter as Kind>::Cell>();
    let mut ticker = Ticker::evicting(&live);
    for _ in 0..5 {
        hand_out(&live.counters, &mut busy, &key(), 1).add(1, 1);
        ticker.settle();
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
    let ledger = quietly(|| Arc::new(Ledger::new(AMPLE)));
    let live = std::sync::Arc::new(Live::new(ledger, LIMITS).unwrap());
    admit(&live.counters);
    let first = live.counters.acquire(&key(), &FROM, 1, false).unwrap().cell;
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
    ticker.settle();
    assert_eq!(ticker.counted, 1, "lost");
}

#[test]
fn an_eviction_sees_every_pin() {
    check(acquaintance_against_eviction);
}

#[test]
#[should_panic(expected = "still in use")]
fn eviction_needs_to_see_what_other_holders_did() {
    // News say enough of the record that was before them.
    let _beside = Weakened::beside([LOOKED, NEWS_SET]);
    check_weakened(HANDLES_GONE, acquaintance_against_eviction);
}

/// One thread's cache pins a dead cell. Another's gets to know the next cell of the series, if `comes`, and ends.
fn company_against_burial(comes: bool) {
    let ledger = quietly(|| Arc::new(Ledger::new(AMPLE)));
    let live = std::sync::Arc::new(Live::new(ledger, LIMITS).unwrap());
    admit(&live.counters);
    let mut sleeping = cache(&live.counters);
    let grave = Arc::grave(&hand_out(&live.counters, &mut sleeping, &key(), 2));
    let mut ticker = Ticker::evicting(&live);
    ticker.settle();
    let with_one = live.ledger.part(Part::Series);
    let next = live.counters.acquire(&key(), &FROM, 1, false).unwrap();
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
