//! Histograms: buckets, sums and extremes of one record may be read in different ticks, and all of them are read.

use super::super::{
    Live,
    histogram::{HistogramCell, NEWS_TAKEN, OWNED_NEWS, SHARED_NEWS},
    series::Cells,
};
use super::{
    AMPLE, Heard, LIMITS, SERIES, Ticker, admit, cache, check, check_weakened, hand_out, key, store,
};
use crate::{
    ledger::{Ledger, Part},
    util::sync::{Arc, quietly},
};
use loom::thread;

/// A thread that knows a cell.
fn cell(live: &Live, me: u32) -> Arc<HistogramCell> {
    live.histograms.acquire(&key(), me, false).unwrap().cell
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

/// What was written before a tick has arrived by the next one.
fn time_passes() {
    thread::yield_now();
}

/// The owner records while the tick sweeps. The second value is no extreme.
fn owner_against_sweeps() {
    let live = store(LIMITS);
    let owned = cell(&live, 1);
    owned.put(1.0, 1, 1);
    let thread = thread::spawn(move || {
        owned.put(8.0, 1, 1);
        owned.put(4.0, 1, 1);
    });
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    time_passes();
    ticker.sweep();
    thread.join().unwrap();
    ticker.sweep();
    ticker.sweep();
    assert_heard(&ticker, &[1.0, 8.0, 4.0]);
}

#[test]
fn no_record_of_an_owner_is_lost() {
    check(owner_against_sweeps);
}

/// Two threads record into the shared part while the tick sweeps.
fn strangers_against_sweeps() {
    let live = store(LIMITS);
    let shared = cell(&live, 1);
    shared.put(1.0, 1, 2);
    let threads = [8.0, 4.0].map(|value| {
        let shared = shared.clone();
        thread::spawn(move || shared.put(value, 1, 2))
    });
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    for thread in threads {
        thread.join().unwrap();
    }
    ticker.sweep();
    ticker.sweep();
    assert_heard(&ticker, &[1.0, 8.0, 4.0]);
}

#[test]
fn no_record_of_other_threads_is_lost() {
    check(strangers_against_sweeps);
}
