//! Limits and the ledger: never above, and nothing is lost.

use super::super::{Live, registry::Limits};
use super::{FROM, LIMITS, METRIC, Ticker, check, key_with, leave, store};
use crate::{
    ledger::{BASE, Ledger, Part, SMALLEST},
    util::sync::{Arc, quietly},
};
use loom::thread;
use metrics::Key;
use std::sync::atomic::Ordering::Relaxed;

const ONE: Limits = Limits {
    series_per_metric: 1,
    ..LIMITS
};

/// Two threads want the only place.
fn two_for_one_place() {
    let live = store(ONE);
    let threads = ["a", "b"].map(|label| {
        let live = live.clone();
        thread::spawn(move || {
            let grant = live
                .counters
                .acquire(&key_with(label), &FROM, 1, false)
                .unwrap();
            grant.cell.add(1, 2);
            grant.id.is_some()
        })
    });
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    assert!(live.counters.live.load(Relaxed) <= 1, "above the limit");
    let admitted = threads.map(|thread| thread.join().unwrap());
    ticker.sweep();
    assert_eq!(admitted.iter().filter(|admitted| **admitted).count(), 1);
    assert_eq!(ticker.counted, 2, "lost");
    let name = live.counters.find_name(METRIC).unwrap();
    assert_eq!(name.denied.total(), 1);
}

#[test]
fn a_metric_has_no_more_series_than_its_limit() {
    check(two_for_one_place);
}

/// The tick evicts the series that has the only place, while one thread wants that place and one wants the series back.
fn eviction_frees_the_only_place() {
    let live = store(ONE);
    drop(live.counters.acquire(&key_with("a"), &FROM, 1, false));
    let threads = ["a", "b"].map(|label| {
        let live = live.clone();
        thread::spawn(move || {
            let grant = live
                .counters
                .acquire(&key_with(label), &FROM, 2, false)
                .unwrap();
            grant.cell.add(1, 2);
        })
    });
    let mut ticker = Ticker::evicting(&live);
    ticker.sweep();
    assert!(live.counters.live.load(Relaxed) <= 1, "above the limit");
    for thread in threads {
        thread.join().unwrap();
    }
    for _ in 0..3 {
        ticker.sweep();
    }
    assert_eq!(ticker.counted, 2, "lost");
    assert_eq!(live.counters.live.load(Relaxed), 0, "not evicted");
}

#[test]
fn a_place_that_eviction_frees_is_given_once() {
    check(eviction_frees_the_only_place);
}

/// Two threads come with new names, and there is room for one.
fn two_names_for_one_place() {
    let ledger = quietly(|| Arc::new(Ledger::new(super::AMPLE)));
    let limits = Limits {
        metrics: 1,
        ..LIMITS
    };
    let live = std::sync::Arc::new(Live::new(ledger, limits).unwrap());
    let threads = ["a", "b"].map(|name| {
        let live = live.clone();
        thread::spawn(move || {
            let key = Key::from_static_name(name);
            live.counters
                .acquire(&key, &FROM, 1, false)
                .unwrap()
                .cell
                .add(1, 2);
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    // The kind's own name is not counted as one.
    assert!(live.counters.name_count() <= 2, "above the limit");
    assert_eq!(ticker.counted, 2, "lost");
}

#[test]
fn there_are_no_more_names_than_their_limit() {
    check(two_names_for_one_place);
}

/// The ledger is full to the last byte; eviction is what makes room again.
fn eviction_in_a_full_ledger() {
    let live = store(LIMITS);
    live.counters
        .acquire(&key_with("a"), &FROM, 1, false)
        .unwrap()
        .cell
        .add(1, 1);
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    leave(&live.ledger, 0);
    let other = live.clone();
    let thread = thread::spawn(move || {
        let grant = other
            .counters
            .acquire(&key_with("b"), &FROM, 1, false)
            .unwrap();
        grant.cell.add(1, 1);
    });
    ticker.evicts = true;
    ticker.sweep();
    assert_eq!(live.counters.evicted.load(Relaxed), 1, "not evicted");
    thread.join().unwrap();
    ticker.sweep();
    assert_eq!(ticker.counted, 2, "lost");
}

#[test]
fn eviction_needs_no_room() {
    check(eviction_in_a_full_ledger);
}

/// Two threads reserve and give back, with room for one of them, and history takes the quarter that is its own.
fn reservations() {
    let ledger = Arc::new(Ledger::new(SMALLEST));
    let quarter = ledger.budget() / 4;
    let room = ledger.live_limit() - BASE;
    let use_up = |ledger: &Ledger| {
        let reserved = ledger.reserve(Part::Series, room);
        assert!(ledger.used() <= ledger.budget(), "above the budget");
        ledger
            .reserve(Part::History, quarter)
            .expect("live data leave a quarter to history");
        assert!(ledger.used() <= ledger.budget(), "above the budget");
        ledger.release(Part::History, quarter);
        if reserved.is_ok() {
            ledger.release(Part::Series, room);
        }
    };
    ledger.reserve(Part::Pages, room / 3).unwrap();
    let other = ledger.clone();
    let thread = thread::spawn(move || {
        other.release(Part::Pages, room / 3);
        let reserved = other.reserve(Part::Series, room);
        assert!(other.used() <= other.budget(), "above the budget");
        if reserved.is_ok() {
            other.release(Part::Series, room);
        }
    });
    use_up(&ledger);
    thread.join().unwrap();
    use_up(&ledger);
    assert_eq!(ledger.used(), BASE, "ledger is off");
    assert_eq!(ledger.part(Part::Series) + ledger.part(Part::Pages), 0);
}

#[test]
fn the_ledger_never_exceeds_its_budget() {
    check(reservations);
}
