//! Gauges: the last value, and the extremes since the last tick.

use super::super::{
    Gauge,
    series::{Cells, Entry},
};
use super::{FROM, LIMITS, SERIES, Ticker, cache, check, hand_out, key, store};
use crate::model::frame::GaugePoint;
use loom::thread;

/// A point shows a value if it lies between its extremes.
fn assert_shown(ticker: &Ticker, values: &[f64]) {
    let shows = |point: &GaugePoint, value| point.min <= value && value <= point.max;
    for &value in values {
        let shown = ticker.gauge.iter().any(|point| shows(point, value));
        assert!(shown, "{value} is lost");
    }
}

/// A spike, and back, while the tick takes extremes; the cell is thread 1's.
fn spike_against_sweeps(me: u32) {
    let live = store(LIMITS);
    let cell = live.gauges.acquire(&key(), &FROM, 1, false).unwrap().cell;
    cell.set_to(5.0, me);
    let thread = thread::spawn(move || {
        cell.set_to(9.0, me);
        cell.set_to(-9.0, me);
        cell.set_to(1.0, me);
    });
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    ticker.sweep();
    thread.join().unwrap();
    ticker.sweep();
    assert_shown(&ticker, &[5.0, 9.0, -9.0]);
    assert_eq!(ticker.gauge.last().map(|point| point.last), Some(1.0));
    assert_eq!(live.gauges.with(SERIES, |entry| entry.now()), Some(1.0));
}

#[test]
fn an_owners_spike_between_ticks_is_seen() {
    check(|| spike_against_sweeps(1));
}

#[test]
fn a_strangers_spike_between_ticks_is_seen() {
    check(|| spike_against_sweeps(2));
}

/// A thread with a cell of its own ends with a spike; the extremes that it left go to the shared part.
fn folding_against_a_spike() {
    let live = store(LIMITS);
    let first = live.gauges.acquire(&key(), &FROM, 1, false).unwrap().cell;
    let second = live.gauges.acquire(&key(), &FROM, 2, true).unwrap().cell;
    second.set_to(5.0, 2);
    let thread = thread::spawn(move || {
        second.set_to(9.0, 2);
        second.set_to(1.0, 2);
    });
    let mut ticker = Ticker::new(&live);
    for _ in 0..3 {
        ticker.sweep();
    }
    thread.join().unwrap();
    for _ in 0..3 {
        ticker.sweep();
    }
    assert_shown(&ticker, &[5.0, 9.0, 1.0]);
    assert_eq!(ticker.gauge.last().map(|point| point.last), Some(1.0));
    let one = |entry: &mut Entry<Gauge>| matches!(entry.cells, Cells::One(..));
    assert_eq!(live.gauges.with(SERIES, one), Some(true), "not folded");
    drop(first);
}

#[test]
fn a_folded_cell_leaves_its_extremes() {
    check(folding_against_a_spike);
}

/// Two threads set and add.
fn two_threads_on_a_level() {
    let live = store(LIMITS);
    let cell = live.gauges.acquire(&key(), &FROM, 1, false).unwrap().cell;
    let threads = [(1, 1.0), (2, 10.0)].map(|(me, by)| {
        let cell = cell.clone();
        thread::spawn(move || cell.add(by, me))
    });
    let mut ticker = Ticker::new(&live);
    ticker.sweep();
    for thread in threads {
        thread.join().unwrap();
    }
    ticker.sweep();
    assert_eq!(live.gauges.with(SERIES, |entry| entry.now()), Some(11.0));
    assert_eq!(ticker.gauge.last().map(|point| point.last), Some(11.0));
}

#[test]
fn additions_are_not_lost() {
    check(two_threads_on_a_level);
}

/// A macro sets the gauge while the tick evicts it: what was set is shown before the series is gone.
fn setting_against_eviction() {
    let live = store(LIMITS);
    let mut first = cache(&live.gauges);
    hand_out(&live.gauges, &mut first, &key(), 1).set_to(5.0, 1);
    let other = live.clone();
    let thread = thread::spawn(move || {
        hand_out(&other.gauges, &mut first, &key(), 1).set_to(9.0, 1);
    });
    let mut ticker = Ticker::evicting(&live);
    for _ in 0..3 {
        ticker.sweep();
    }
    thread.join().unwrap();
    for _ in 0..3 {
        ticker.sweep();
    }
    assert_shown(&ticker, &[5.0, 9.0]);
    let last = ticker.gauge.last().unwrap();
    assert!(last.last.is_nan(), "not evicted");
    assert_eq!(last.prev, 9.0);
}

#[test]
fn a_value_is_seen_before_its_series_is_evicted() {
    check(setting_against_eviction);
}

/// A gauge comes back with the value that it is set to, and history learns it again.
fn eviction_against_revival() {
    let live = store(LIMITS);
    live.gauges
        .acquire(&key(), &FROM, 1, false)
        .unwrap()
        .cell
        .set_to(5.0, 1);
    let mut ticker = Ticker::evicting(&live);
    for _ in 0..2 {
        ticker.sweep();
    }
    let other = live.clone();
    let thread = thread::spawn(move || {
        let cell = other.gauges.acquire(&key(), &FROM, 1, false).unwrap().cell;
        cell.set_to(5.0, 1);
        cell
    });
    for _ in 0..2 {
        ticker.sweep();
    }
    let cell = thread.join().unwrap();
    ticker.sweep();
    assert_eq!(
        ticker.gauge.last().map(|point| point.last),
        Some(5.0),
        "lost"
    );
    drop(cell);
}

#[test]
fn a_revived_gauge_is_seen() {
    check(eviction_against_revival);
}
