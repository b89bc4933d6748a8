//! News: what is recorded reaches a tick that looks at nothing else.

use super::super::news::{
    NEWS_READ, NEWS_SET, News,
    marks::{LOOKED, UNMARKED},
};
use super::{FROM, LIMITS, Ticker, check, check_weakened, key, store};
use crate::util::sync::{Arc, AtomicU64};
use loom::thread;
use std::sync::atomic::Ordering::Relaxed;

/// Ticks that have no other reason to look at the series than that somebody tells them.
fn calm_ticker(live: &std::sync::Arc<super::Live>) -> Ticker {
    let mut ticker = Ticker::new(live);
    ticker.settle();
    ticker
}

/// The owner counts twice while the tick takes what it tells.
fn an_owner_tells() {
    let live = store(LIMITS);
    let cell = live.counters.acquire(&key(), &FROM, 1, false).unwrap().cell;
    let mut ticker = calm_ticker(&live);
    let owner = thread::spawn(move || {
        cell.add(1, 1);
        cell.add(2, 1);
    });
    ticker.sweep();
    ticker.sweep();
    owner.join().unwrap();
    ticker.settle();
    assert_eq!(ticker.counted, 3, "not told");
}

/// Two threads count in one cell: the second may find that the first has told, and the tick be in the middle of taking it.
fn another_tells() {
    let live = store(LIMITS);
    let cell = live.counters.acquire(&key(), &FROM, 1, false).unwrap().cell;
    let mut ticker = calm_ticker(&live);
    let threads = [2, 3].map(|me| {
        let cell = cell.clone();
        thread::spawn(move || cell.add(1, me))
    });
    ticker.sweep();
    ticker.sweep();
    for thread in threads {
        thread.join().unwrap();
    }
    ticker.settle();
    assert_eq!(ticker.counted, 2, "not told");
}

/// Who tells has nothing new for the tick, and another relies on it.
fn nothing_is_told() {
    let live = store(LIMITS);
    let cell = live.counters.acquire(&key(), &FROM, 1, false).unwrap().cell;
    let mut ticker = calm_ticker(&live);
    let other = cell.clone();
    let threads = [
        thread::spawn(move || cell.add(0, 2)),
        thread::spawn(move || other.add(1, 3)),
    ];
    ticker.sweep();
    ticker.sweep();
    for thread in threads {
        thread.join().unwrap();
    }
    ticker.settle();
    assert_eq!(ticker.counted, 1, "not told");
}

/// The series gets another id while its owner tells.
fn a_moved_series_tells() {
    let live = store(LIMITS);
    let cell = live.counters.acquire(&key(), &FROM, 1, false).unwrap().cell;
    let mut ticker = calm_ticker(&live);
    let held = cell.clone();
    let owner = thread::spawn(move || {
        held.add(1, 1);
        held
    });
    live.counters.delete(super::SERIES).unwrap();
    ticker.sweep();
    let held = owner.join().unwrap();
    ticker.settle();
    let before = ticker.counted;
    held.add(10, 1);
    ticker.settle();
    assert_eq!(ticker.counted, before + 10, "not told");
}

/// Whoever takes a bit sees what was recorded before it was set.
fn a_bit_tells() {
    let news = Arc::new(News::new());
    news.grow(0);
    let count = Arc::new(AtomicU64::new(0));
    let (bits, counted) = (news.clone(), count.clone());
    let teller = thread::spawn(move || {
        counted.store(1, Relaxed);
        bits.set(0);
    });
    if news.take(0, 0) != 0 {
        assert_eq!(count.load(Relaxed), 1, "not told");
    }
    teller.join().unwrap();
}

#[test]
fn a_bit_comes_with_what_it_tells() {
    check(a_bit_tells);
}

#[test]
fn an_owner_is_heard() {
    check(an_owner_tells);
}

#[test]
fn who_relies_on_another_is_heard() {
    check(another_tells);
}

#[test]
fn who_relies_on_nothing_is_heard() {
    check(nothing_is_told);
}

#[test]
fn a_series_that_moved_is_heard() {
    check(a_moved_series_tells);
}

#[test]
#[should_panic(expected = "not told")]
fn news_without_what_they_tell_are_nothing() {
    check_weakened(NEWS_SET, a_bit_tells);
}

#[test]
#[should_panic(expected = "not told")]
fn news_that_are_read_too_early_are_nothing() {
    check_weakened(NEWS_READ, a_bit_tells);
}

#[test]
#[should_panic(expected = "not told")]
fn a_mark_that_says_nothing_of_who_found_it_hides_a_record() {
    check_weakened(LOOKED, another_tells);
}

#[test]
#[should_panic(expected = "not told")]
fn a_tick_that_does_not_heed_the_mark_misses_a_record() {
    check_weakened(UNMARKED, another_tells);
}
