//! Histograms: buckets, sums and extremes of one record may be read in different ticks, and all of them are read.

use super::super::{
    Histogram, Live,
    buckets::{BYTES, WRAPPED, WRAPS_TAKEN},
    extremes::{NEWS_TAKEN, OWNED_NEWS, SHARED_NEWS},
    histogram::HistogramCell,
    series::{Cells, Kind},
};
use super::{
    AMPLE, FROM, Heard, LIMITS, SERIES, Ticker, admit, cache, check, check_weakened, hand_out, key,
    leave, store,
};
use crate::{
    ledger::{Ledger, Part},
    util::sync::{Arc, quietly},
};
use loom::thread;

/// All values are in one bucket, and this one is there before the threads are.
const FIRST: f64 = 5.0;

/// A thread that knows a cell.
fn cell(live: &Live, me: u32) -> Arc<HistogramCell> {
    live.histograms
        .acquire(&key(), &FROM, me, false)
        .unwrap()
        .cell
}

#[track_caller]
fn assert_heard(ticker: &Ticker, values: &[f64]) {
    let heard = Heard {
        count: values.len() as u64,
        sum: values.iter().sum(),
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        coarse: ticker.histogram.coarse,
    };
    assert_eq!(ticker.histogram, heard, "lost");
}

/// Values above the first are extremes, and whoever shows one has counted it.
#[track_caller]
fn assert_counted(ticker: &Ticker) {
    let Heard { count, max, .. } = ticker.histogram;
    assert!(max <= FIRST || count > 1, "an extreme without its count");
}

/// What was written before a tick has arrived by the next one.
fn time_passes() {
    thread::yield_now();
}

/// The owner records values while the tick sweeps.
fn owner_against_sweeps<const VALUES: usize>(values: [f64; VALUES]) {
    let live = store(LIMITS);
    let owned = cell(&live, 1);
    owned.put(FIRST, 1, 1);
    let thread = thread::spawn(move || {
        for value in values {
            owned.put(value, 1, 1);
        }
    });
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    assert_counted(&ticker);
    time_passes();
    ticker.sweep();
    thread.join().unwrap();
    ticker.sweep();
    ticker.sweep();
    assert_heard(&ticker, &[&[FIRST], values.as_slice()].concat());
}

fn owners_extreme() {
    owner_against_sweeps([8.0]);
}

/// The second is no extreme any more.
fn owners_values() {
    owner_against_sweeps([8.0, 6.0]);
}

#[test]
fn no_record_of_an_owner_is_lost() {
    check(owners_values);
}

#[test]
#[should_panic(expected = "without its count")]
fn an_owners_news_need_their_release() {
    check_weakened(OWNED_NEWS, owners_extreme);
}

#[test]
#[should_panic(expected = "without its count")]
fn news_need_to_be_acquired() {
    check_weakened(NEWS_TAKEN, owners_extreme);
}

/// Threads record into the shared part while the tick sweeps, each one of the values.
fn strangers_against_sweeps<const THREADS: usize>(values: [f64; THREADS]) {
    let live = store(LIMITS);
    let shared = cell(&live, 1);
    shared.put(FIRST, 1, 2);
    let threads = values.map(|value| {
        let shared = shared.clone();
        thread::spawn(move || shared.put(value, 1, 2))
    });
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    assert_counted(&ticker);
    for thread in threads {
        thread.join().unwrap();
    }
    ticker.sweep();
    ticker.sweep();
    assert_heard(&ticker, &[&[FIRST], values.as_slice()].concat());
}

fn a_strangers_extreme() {
    strangers_against_sweeps([8.0]);
}

fn two_strangers_values() {
    strangers_against_sweeps([8.0, 6.0]);
}

#[test]
fn no_record_of_other_threads_is_lost() {
    check(two_strangers_values);
}

#[test]
#[should_panic(expected = "without its count")]
fn shared_news_need_their_release() {
    check_weakened(SHARED_NEWS, a_strangers_extreme);
}

/// A thread with a cell of its own records and ends; what it left goes to the shared part.
fn folding_against_records() {
    let live = store(LIMITS);
    let first = cell(&live, 1);
    let second = live
        .histograms
        .acquire(&key(), &FROM, 2, true)
        .unwrap()
        .cell;
    second.put(FIRST, 1, 2);
    let thread = thread::spawn(move || {
        second.put(8.0, 1, 2);
        second.put(6.0, 1, 2);
    });
    let mut ticker = Ticker::new(&live);
    for _ in 0..3 {
        ticker.sweep();
        time_passes();
    }
    thread.join().unwrap();
    for _ in 0..4 {
        ticker.sweep();
    }
    assert_heard(&ticker, &[FIRST, 8.0, 6.0]);
    let one = live
        .histograms
        .with(SERIES, |entry| matches!(entry.cells, Cells::One(..)));
    assert_eq!(one, Some(true), "not folded");
    drop(first);
}

#[test]
fn a_folded_cell_leaves_its_records() {
    check(folding_against_records);
}

/// A thread records through its cache while the tick evicts; the series comes back, or stays away.
fn eviction_against_records() {
    let live = store(LIMITS);
    let mut known = cache(&live.histograms);
    hand_out(&live.histograms, &mut known, &key(), 1).put(FIRST, 1, 1);
    let other = live.clone();
    let thread = thread::spawn(move || {
        hand_out(&other.histograms, &mut known, &key(), 1).put(8.0, 1, 1);
        hand_out(&other.histograms, &mut known, &key(), 1).put(6.0, 1, 1);
    });
    let mut ticker = Ticker::evicting(&live);
    for _ in 0..2 {
        ticker.sweep();
    }
    thread.join().unwrap();
    for _ in 0..4 {
        ticker.sweep();
    }
    assert_heard(&ticker, &[FIRST, 8.0, 6.0]);
    let gone = live
        .histograms
        .with(SERIES, |entry| matches!(entry.cells, Cells::Ghost(_)));
    assert_eq!(gone, Some(true), "not evicted");
}

#[test]
fn an_evicted_histogram_loses_no_record() {
    check(eviction_against_records);
}

/// Two threads touch the same page of the shared part, and there are `room` bytes for it.
fn first_touches(ledger: Arc<Ledger>, room: usize) {
    let live = std::sync::Arc::new(quietly(|| Live::new(ledger, LIMITS)).unwrap());
    admit(&live.histograms);
    let shared = cell(&live, 1);
    let mut ticker = Ticker::new(&live);
    leave(&live.ledger, room);
    let threads = [8.0, 6.0].map(|value| {
        let shared = shared.clone();
        thread::spawn(move || shared.put(value, 1, 2))
    });
    ticker.sweep();
    for thread in threads {
        thread.join().unwrap();
    }
    ticker.sweep();
    ticker.sweep();
    assert_heard(&ticker, &[8.0, 6.0]);
    let charged = live.histograms.with(SERIES, |entry| {
        let series = entry.cells.series().cloned().unwrap();
        let tally = entry.memory.tally.bytes();
        (Histogram::hangs_on_series(&series), tally)
    });
    let (hung, tally) = charged.unwrap();
    assert_eq!(live.ledger.part(Part::Pages), hung + tally, "ledger is off");
    assert!(hung <= room, "above the budget");
}

fn ledger() -> Arc<Ledger> {
    Arc::new(Ledger::new(AMPLE))
}

fn first_touches_with_room() {
    first_touches(quietly(ledger), 1 << 20);
}

fn first_touches_with_room_for_one() {
    first_touches(ledger(), BYTES.0 + BYTES.1);
}

fn first_touches_without_a_page() {
    first_touches(quietly(ledger), BYTES.0);
}

fn first_touches_without_room() {
    first_touches(quietly(ledger), 0);
}

#[test]
fn a_page_is_made_once() {
    check(first_touches_with_room);
}

#[test]
fn a_page_that_just_fits_is_made_or_missed() {
    check(first_touches_with_room_for_one);
}

#[test]
fn a_page_that_does_not_fit_loses_no_record() {
    check(first_touches_without_a_page);
}

#[test]
fn a_directory_that_does_not_fit_loses_no_record() {
    check(first_touches_without_room);
}

const WRAP: u64 = 1 << 32;

/// A count passes 2^32, by the thread `writer`, while the tick sweeps; it has done so before.
fn wrapping_count(writer: u32) {
    let live = store(LIMITS);
    let counts = cell(&live, 1);
    counts.put(FIRST, WRAP, writer);
    counts.put(FIRST, WRAP - 1, writer);
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    assert_eq!(ticker.histogram.count, 2 * WRAP - 1, "lost");
    let thread = thread::spawn(move || counts.put(FIRST, 1, writer));
    ticker.sweep();
    assert!(
        [0, 1].contains(&ticker.histogram.count.wrapping_sub(2 * WRAP - 1)),
        "invented"
    );
    time_passes();
    ticker.sweep();
    thread.join().unwrap();
    ticker.sweep();
    ticker.sweep();
    assert_eq!(ticker.histogram.count, 2 * WRAP, "lost");
}

fn owners_wrapping_count() {
    wrapping_count(1);
}

fn shared_wrapping_count() {
    wrapping_count(2);
}

/// As [`wrapping_count`], for the first time and without room to note it.
fn wrapping_count_without_room(writer: u32) {
    let live = store(LIMITS);
    let counts = cell(&live, 1);
    counts.put(FIRST, 1, writer);
    let mut ticker = Ticker::new(&live);
    leave(&live.ledger, 0);
    counts.put(FIRST, WRAP - 3, writer);
    let threads = [writer, 3].map(|me| {
        let counts = counts.clone();
        thread::spawn(move || counts.put(FIRST, 2, me))
    });
    ticker.sweep();
    let more = ticker.histogram.count.wrapping_sub(WRAP - 2);
    assert!([0, 2, 4].contains(&more), "invented");
    for thread in threads {
        thread.join().unwrap();
    }
    ticker.sweep();
    ticker.sweep();
    assert_eq!(ticker.histogram.count, WRAP + 2, "lost");
}

fn owners_wrapping_count_without_room() {
    wrapping_count_without_room(1);
}

fn shared_wrapping_count_without_room() {
    wrapping_count_without_room(2);
}

#[test]
fn a_count_that_cannot_wrap_goes_on_elsewhere() {
    check(owners_wrapping_count_without_room);
    check(shared_wrapping_count_without_room);
}

#[test]
fn an_owners_count_may_wrap() {
    check(owners_wrapping_count);
}

#[test]
fn a_shared_count_may_wrap() {
    check(shared_wrapping_count);
}

#[test]
#[should_panic(expected = "invented")]
fn wrapping_needs_its_release() {
    check_weakened(WRAPPED, owners_wrapping_count);
}

#[test]
#[should_panic(expected = "invented")]
fn wraps_need_to_be_acquired() {
    check_weakened(WRAPS_TAKEN, owners_wrapping_count);
}
