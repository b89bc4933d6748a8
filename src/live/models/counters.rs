//! Counters: `absolute`, whose baseline is in the total but in no increase.

use super::super::counter;
use super::{
    super::{
        Counter,
        counter::CounterReading,
        series::{Cells, Entry},
    },
    FROM, LIMITS, SERIES, Ticker, check, key, store,
};
use loom::thread;

fn read(entry: &mut Entry<Counter>) -> CounterReading {
    match &entry.cells {
        Cells::Ghost(series) => counter::read_ghost(series, &entry.memory),
        cells => counter::read(cells.as_slice()),
    }
}

/// Sweeps, and sees to it that the total does not dip.
fn sweep(ticker: &mut Ticker, seen: &mut u64) -> CounterReading {
    ticker.sweep();
    let now = ticker.live.counters.with(SERIES, read).unwrap();
    assert!(*seen <= now.total(), "dipped");
    *seen = now.total();
    now
}

/// Two threads mirror a count from elsewhere; which is the baseline depends on who is first.
fn racing_baselines() {
    let live = store(LIMITS);
    let cell = live.counters.acquire(&key(), &FROM, 1, false).unwrap().cell;
    let threads = [10, 15].map(|value| {
        let cell = cell.clone();
        thread::spawn(move || cell.raise_to(value))
    });
    let mut ticker = Ticker::new(&live);
    let mut seen = 0;
    sweep(&mut ticker, &mut seen);
    sweep(&mut ticker, &mut seen);
    for thread in threads {
        thread.join().unwrap();
    }
    let end = sweep(&mut ticker, &mut seen);
    assert_eq!(end.total(), 15, "lost");
    assert!([10, 15].contains(&end.baseline));
    assert_eq!(
        ticker.counted, end.grown,
        "increments are not what it has grown by"
    );
}

#[test]
fn of_racing_baselines_the_greatest_value_wins() {
    check(racing_baselines);
}

/// A thread with a cell of its own calls `absolute` and ends; the series goes on with the other cell.
fn baseline_of_a_folded_cell() {
    let live = store(LIMITS);
    let first = live.counters.acquire(&key(), &FROM, 1, false).unwrap().cell;
    let second = live.counters.acquire(&key(), &FROM, 2, true).unwrap().cell;
    let thread = thread::spawn(move || {
        second.raise_to(10);
        second.raise_to(15);
    });
    let mut ticker = Ticker::new(&live);
    let mut seen = 0;
    first.add(1, 1);
    for _ in 0..2 {
        sweep(&mut ticker, &mut seen);
    }
    thread.join().unwrap();
    for _ in 0..2 {
        sweep(&mut ticker, &mut seen);
    }
    assert_eq!(seen, 16, "lost");
    assert_eq!(ticker.counted, 6, "lost");
}

#[test]
fn a_folded_cell_leaves_its_floor() {
    check(baseline_of_a_folded_cell);
}

/// The tick evicts a series that somebody calls `absolute` on, which then comes back.
fn baseline_of_an_evicted_series() {
    let live = store(LIMITS);
    let cell = live.counters.acquire(&key(), &FROM, 1, false).unwrap().cell;
    let other = live.clone();
    let thread = thread::spawn(move || {
        cell.raise_to(10);
        cell.raise_to(15);
        drop(cell);
        let cell = other
            .counters
            .acquire(&key(), &FROM, 1, false)
            .unwrap()
            .cell;
        cell.add(1, 1);
        cell.raise_to(17);
    });
    let mut ticker = Ticker::evicting(&live);
    let mut seen = 0;
    for _ in 0..3 {
        sweep(&mut ticker, &mut seen);
    }
    thread.join().unwrap();
    for _ in 0..3 {
        sweep(&mut ticker, &mut seen);
    }
    assert_eq!(seen, 18, "lost");
    assert_eq!(ticker.counted, 8, "lost");
}

#[test]
fn an_evicted_series_keeps_its_floor() {
    check(baseline_of_an_evicted_series);
}
