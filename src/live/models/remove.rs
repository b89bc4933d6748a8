//! Reset and delete against writes through handles that are held: nothing is counted twice, and no handle goes deaf.

use super::super::series::Cells;
use super::{FROM, LIMITS, SERIES, Ticker, cache, check, hand_out, key, key_with, leave, store};
use crate::model::frame::{CLASS_BITS, SeriesId};
use loom::thread;

/// The id that the first delete of [`SERIES`] gives to what somebody holds.
const MOVED: SeriesId = 3 << CLASS_BITS;

/// The owner and another thread count while the tick resets.
fn reset_against_held_writes() {
    let live = store(LIMITS);
    let cell = live.counters.acquire(&key(), &FROM, 1, false).unwrap().cell;
    let mine = cell.clone();
    let owner = thread::spawn(move || {
        mine.add(1, 1);
        mine.add(2, 1);
    });
    let other = thread::spawn(move || cell.add(10, 2));
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    live.counters.reset(SERIES);
    owner.join().unwrap();
    other.join().unwrap();
    ticker.settle();
    assert_eq!(ticker.counted, 13, "lost by windows");
    let (total, before) = live
        .counters
        .with(SERIES, |entry| (entry.total(), entry.memory.before))
        .unwrap();
    assert_eq!(total + before, 13, "in neither what was nor what is");
}

#[test]
fn a_reset_loses_no_record_of_a_held_handle() {
    check(reset_against_held_writes);
}

/// A thread counts through a handle while the tick deletes the series, and goes on with the handle afterwards.
fn delete_against_held_writes() {
    let live = store(LIMITS);
    let cell = live.counters.acquire(&key(), &FROM, 1, false).unwrap().cell;
    let held = cell.clone();
    let owner = thread::spawn(move || {
        held.add(1, 1);
        held
    });
    let other = thread::spawn(move || cell.add(10, 2));
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    live.counters.delete(SERIES).unwrap();
    let held = owner.join().unwrap();
    other.join().unwrap();
    let is_tomb = live
        .counters
        .with(SERIES, |entry| matches!(entry.cells, Cells::Tomb(_)));
    assert_eq!(is_tomb, Some(true), "not deleted");
    held.add(100, 1);
    ticker.settle();
    let (total, before) = live
        .counters
        .with(MOVED, |entry| (entry.total(), entry.memory.before))
        .unwrap();
    assert_eq!(total + before, 111, "deaf");
    assert!(total >= 100, "deaf");
    assert!(
        ticker.counted >= total && ticker.counted <= 111,
        "counted twice"
    );
}

#[test]
fn a_deleted_series_does_not_make_its_handles_deaf() {
    check(delete_against_held_writes);
}

/// A macro call finds a cell in its cache, or asks for it anew, while the tick deletes the series.
fn delete_against_a_hit() {
    let live = store(LIMITS);
    let mut known = cache(&live.counters);
    hand_out(&live.counters, &mut known, &key(), 1).add(1, 1);
    let other = live.clone();
    let owner = thread::spawn(move || {
        let cell = hand_out(&other.counters, &mut known, &key(), 1);
        cell.add(10, 1);
        drop(cell);
        hand_out(&other.counters, &mut known, &key(), 1).add(100, 1);
    });
    let mut ticker = Ticker::new(&live);
    live.counters.delete(SERIES).unwrap();
    ticker.sweep();
    owner.join().unwrap();
    // What comes after the delete is counted, whichever series it went to.
    let mut cache = cache(&live.counters);
    hand_out(&live.counters, &mut cache, &key(), 2).add(1000, 2);
    ticker.settle();
    assert!(ticker.counted >= 1000 && ticker.counted <= 1111, "lost");
    let ids = [MOVED, 4 << CLASS_BITS, 5 << CLASS_BITS];
    let totals = ids.map(|id| {
        let total = live.counters.with(id, |entry| entry.total());
        total.unwrap_or(0)
    });
    let sum: u64 = totals.iter().sum();
    assert!(sum >= 1000, "lost: {totals:?}");
    assert_eq!(
        sum, ticker.counted,
        "a total is not what windows have: {totals:?}"
    );
}

#[test]
fn a_hit_beside_a_delete_is_of_one_series() {
    check(delete_against_a_hit);
}

/// The owner records into a histogram while the tick deletes the series.
fn histogram_against_delete() {
    let live = store(LIMITS);
    let cell = live
        .histograms
        .acquire(&key(), &FROM, 1, false)
        .unwrap()
        .cell;
    cell.put(5.0, 1, 1);
    let held = cell.clone();
    let owner = thread::spawn(move || {
        held.put(5.0, 1, 1);
        held
    });
    let mut ticker = Ticker::new(&live);
    live.histograms.delete(SERIES).unwrap();
    let held = owner.join().unwrap();
    held.put(5.0, 1, 1);
    drop((held, cell));
    ticker.settle();
    let count = ticker.histogram.count;
    assert!((1..=2).contains(&count), "lost, or counted twice: {count}");
    let memory = live.histograms.with(MOVED, |entry| entry.memory.count);
    assert_eq!(memory, Some(count));
}

#[test]
fn a_histogram_that_is_deleted_starts_anew() {
    check(histogram_against_delete);
}

/// Threads set and add to a gauge while the tick deletes it: either was before the delete, or after it, and then what was
/// added was added to nothing.
fn gauge_against_delete() {
    let live = store(LIMITS);
    let cell = live.gauges.acquire(&key(), &FROM, 1, false).unwrap().cell;
    cell.set_to(5.0, 1);
    let threads = [Some(1.0), None].map(|by| {
        let cell = cell.clone();
        thread::spawn(move || match by {
            Some(by) => cell.add(by, 2),
            None => cell.set_to(9.0, 1),
        })
    });
    live.gauges.delete(SERIES).unwrap();
    for thread in threads {
        thread.join().unwrap();
    }
    let now = || live.gauges.with(MOVED, |entry| entry.now()).unwrap();
    let [nothing, one] = [f64::NAN.to_bits(), 1f64.to_bits()];
    let after = now();
    assert!(
        [nothing, one, 9f64.to_bits(), 10f64.to_bits()].contains(&after.to_bits()),
        "{after} is half of what was"
    );
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    assert_eq!(now().to_bits(), after.to_bits(), "a tick changed it");
    cell.add(100.0, 1);
    assert_eq!(now(), if after.is_nan() { 100.0 } else { after + 100.0 });
}

#[test]
fn a_gauge_that_is_deleted_starts_from_nothing() {
    check(gauge_against_delete);
}

/// A delete that finds no room for the new series had already thrown away what the cells had that nobody held.
fn a_delete_without_room() {
    let live = store(LIMITS);
    let own = |me, own| live.counters.acquire(&key(), &FROM, me, own).unwrap().cell;
    let first = own(1, false);
    let held = own(2, true);
    first.add(1, 1);
    held.add(10, 2);
    drop(first);
    // With these, the shard has no place left for another.
    for label in ["a", "b", "c", "d", "e"] {
        live.counters
            .acquire(&key_with(label), &FROM, 1, false)
            .unwrap();
    }
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    leave(&live.ledger, 0);
    assert!(live.counters.delete(SERIES).is_err(), "there was room");
    ticker.settle();
    let total = live.counters.with(SERIES, |entry| entry.total());
    assert_eq!((total, ticker.counted), (Some(11), 11), "half deleted");
}

#[test]
fn a_refused_delete_changes_nothing() {
    check(a_delete_without_room);
}
