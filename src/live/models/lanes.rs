//! Lanes: a hot histogram's records go to several places, and all of them are read, until the last thread has left.

use super::super::{
    Histogram, Live,
    histogram::HistogramCell,
    lanes::Taken,
    series::{Cells, Kind},
};
use super::{FROM, Heard, LIMITS, SERIES, Ticker, check, check_weakened, key, leave, store};
use crate::{
    ledger::Part,
    util::sync::{ARC_RELEASE, Arc},
};
use loom::thread;

/// All values are in one bucket, and this many make a series hot.
const FIRST: f64 = 5.0;
const HEAT: u64 = 1 << 20;

/// A cell of thread 1 whose shared part is hot.
fn hot(live: &Live) -> Arc<HistogramCell> {
    let cell = live
        .histograms
        .acquire(&key(), &FROM, 1, false)
        .unwrap()
        .cell;
    cell.put(FIRST, HEAT, 2);
    cell
}

/// What a thread does that is not the owner.
fn put(cell: &HistogramCell, taken: &mut Taken, value: f64) {
    cell.put_by(value, 1, 2, |lanes, record| {
        taken.find_or_take(lanes).is_some_and(record)
    });
}

/// What was written before a tick has arrived by the next one.
fn time_passes() {
    thread::yield_now();
}

#[track_caller]
fn assert_heard(ticker: &Ticker, values: &[f64]) {
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let first = FIRST * HEAT as f64;
    let heard = Heard {
        count: HEAT + values.len() as u64,
        sum: first + values.iter().sum::<f64>(),
        min: FIRST,
        max: values.iter().copied().fold(FIRST, f64::max),
        coarse: 0,
    };
    assert_eq!(ticker.histogram, heard, "lost");
}

/// Everything that hangs on the series is charged, and nothing else.
#[track_caller]
fn assert_charged(live: &Live) {
    let charged = live.histograms.with(SERIES, |entry| {
        let series = entry.cells.series().cloned().unwrap();
        Histogram::hangs_on_series(&series) + entry.memory.tally.bytes()
    });
    assert_eq!(
        Some(live.ledger.part(Part::Pages)),
        charged,
        "ledger is off"
    );
}

/// A thread takes a lane, records and leaves, while the tick reads, cools the series down, and gives the lane back.
fn lane_against_sweeps() {
    let live = store(LIMITS);
    let cell = hot(&live);
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    let other = cell.clone();
    let thread = thread::spawn(move || {
        let mut taken = Taken::new();
        put(&other, &mut taken, 8.0);
        put(&other, &mut taken, 6.0);
    });
    for _ in 0..2 {
        ticker.sweep();
        time_passes();
    }
    thread.join().unwrap();
    ticker.settle();
    assert_heard(&ticker, &[8.0, 6.0]);
    let lanes = live
        .histograms
        .with(SERIES, |entry| entry.cells.series().cloned());
    let lanes = lanes.flatten().unwrap();
    assert!(lanes.shared.lanes().unwrap().lock().is_empty(), "kept");
    assert_charged(&live);
}

#[test]
fn a_lane_that_is_given_back_loses_no_record() {
    check(lane_against_sweeps);
}

#[test]
#[should_panic(expected = "lost")]
fn a_lane_needs_the_release_of_its_thread() {
    check_weakened(ARC_RELEASE, lane_against_sweeps);
}

/// The tick hangs a lane while a thread records.
fn hanging_against_records() {
    let live = store(LIMITS);
    let cell = hot(&live);
    let mut ticker = Ticker::new(&live);
    let other = cell.clone();
    let thread = thread::spawn(move || {
        let mut taken = Taken::new();
        put(&other, &mut taken, 8.0);
        put(&other, &mut taken, 6.0);
        taken
    });
    ticker.sweep();
    time_passes();
    let taken = thread.join().unwrap();
    ticker.settle();
    assert_heard(&ticker, &[8.0, 6.0]);
    assert_charged(&live);
    drop(taken);
    ticker.settle();
    assert_charged(&live);
}

#[test]
fn hanging_a_lane_loses_no_record() {
    check(hanging_against_records);
}

/// Two threads ask for the only lane.
fn lane_for_one_of_two() {
    let live = store(LIMITS);
    let cell = hot(&live);
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    let threads = [8.0, 6.0].map(|value| {
        let cell = cell.clone();
        thread::spawn(move || {
            let mut taken = Taken::new();
            put(&cell, &mut taken, value);
            taken
        })
    });
    let taken = threads.map(|thread| thread.join().unwrap());
    ticker.settle();
    assert_heard(&ticker, &[8.0, 6.0]);
    assert_charged(&live);
    drop(taken);
    ticker.settle();
    assert_charged(&live);
}

#[test]
fn a_lane_is_taken_by_one_thread() {
    check(lane_for_one_of_two);
}

/// A thread's handle goes while its lane stays; the series is evicted, and comes back.
fn eviction_against_lanes() {
    let live = store(LIMITS);
    let cell = hot(&live);
    let mut ticker = Ticker::evicting(&live);
    ticker.sweep();
    let thread = thread::spawn(move || {
        let mut taken = Taken::new();
        put(&cell, &mut taken, 8.0);
        drop(cell);
        taken
    });
    ticker.sweep();
    let mut taken = thread.join().unwrap();
    ticker.settle();
    let gone = live
        .histograms
        .with(SERIES, |entry| matches!(entry.cells, Cells::Ghost(_)));
    assert_eq!(gone, Some(true), "not evicted");
    assert_charged(&live);
    let cell = live
        .histograms
        .acquire(&key(), &FROM, 1, false)
        .unwrap()
        .cell;
    put(&cell, &mut taken, 6.0);
    drop((cell, taken));
    ticker.settle();
    assert_heard(&ticker, &[8.0, 6.0]);
    assert_charged(&live);
}

#[test]
fn an_evicted_series_loses_nothing_of_its_lanes() {
    check(eviction_against_lanes);
}

/// There is no room for the lane's page; the shared part has one.
fn lane_without_a_page() {
    let live = store(LIMITS);
    let cell = hot(&live);
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    leave(&live.ledger, 0);
    let other = cell.clone();
    let thread = thread::spawn(move || put(&other, &mut Taken::new(), 8.0));
    ticker.sweep();
    thread.join().unwrap();
    ticker.settle();
    assert_heard(&ticker, &[8.0]);
    assert_charged(&live);
}

#[test]
fn a_lane_without_room_for_a_page_leaves_the_record_to_the_shared_part() {
    check(lane_without_a_page);
}
