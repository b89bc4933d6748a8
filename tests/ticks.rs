//! Time as it really passes: late ticks, suspended machines, stepped clocks, and ticks in which no time passes.

mod common;
#[path = "common/tiers.rs"]
mod tiers;

use common::Store;
use metrics::{counter, gauge, histogram};
use metrics_recall::{Clock, Error, Recall, Timestamp, secs};
use std::time::Duration;
use tiers::finest_only;

#[test]
fn a_tick_that_is_ninety_seconds_late_is_one_long_tick() {
    let store = Store::default();
    let count = |n| store.recorder.scope(|| counter!("n").increment(n));
    count(10);
    store.tick(secs(1));
    count(180);
    store.tick(secs(90));
    let n = store.recall.counters("n");
    assert_eq!(n.clone().over(secs(90)).rate(), Some(2.0));
    // A window that is narrower than the newest tick is that tick.
    assert_eq!(n.clone().over(secs(5)).rate(), Some(2.0));
    assert_eq!(n.clone().over(secs(5)).increase(), Some(180));
    assert_eq!(n.clone().over(Duration::MAX).rate(), Some(190.0 / 91.0));
    assert_eq!(n.clone().over(Duration::MAX).max(), Some(10.0));
    assert_eq!(n.over(Duration::MAX).min(), Some(2.0));
}

#[test]
fn a_suspension_counts_as_time() {
    let store = Store::default();
    store.recorder.scope(|| {
        counter!("n").increment(9);
        gauge!("g").set(1.0);
        histogram!("h").record(1.0);
    });
    store.tick(secs(1));
    store.hands.suspend(secs(90));
    store.recorder.scope(|| {
        counter!("n").increment(91);
        gauge!("g").set(2.0);
    });
    let tick = store.tick(secs(1));
    assert!(!tick.merged);
    assert_eq!(store.recall.counters("n").over(secs(91)).rate(), Some(1.0));
    assert_eq!(
        store.recall.counters("n").over(Duration::MAX).rate(),
        Some(100.0 / 92.0)
    );
    assert_eq!(
        store.recall.histograms("h").over(Duration::MAX).rate(),
        Some(1.0 / 92.0)
    );
    // Weighted by how long each value held: 1 s at 1, 91 s at 2.
    let mean = store.recall.gauges("g").over(Duration::MAX).avg();
    assert!(
        mean.is_some_and(|v| (v - 183.0 / 92.0).abs() < 1e-12),
        "{mean:?}"
    );
    assert!(store.recall.health().is_healthy());
}

#[test]
fn a_stepped_wall_clock_moves_neither_the_axis_nor_any_answer() {
    let store = Store::default();
    let mut before = store.recall.now();
    for step in [0, -3_600, 7_200, i64::MIN / 1_000, i64::MAX / 1_000] {
        store.recorder.scope(|| counter!("n").increment(4));
        store.hands.step_wall(step);
        let at = store.tick(secs(2)).at;
        assert_eq!(at, before + secs(2), "after a step of {step} s");
        assert_eq!(store.recall.now(), at);
        assert_eq!(store.recall.counters("n").over(secs(2)).rate(), Some(2.0));
        let between = store.recall.counters("n").between(before, at);
        assert_eq!(between.increase(), Some(4));
        before = at;
    }
    assert_eq!(
        store.recall.counters("n").over(Duration::MAX).rate(),
        Some(2.0)
    );
}

#[test]
fn ticks_without_clock_progress_lose_nothing() {
    let store = Store::default();
    store.tick(secs(1));
    for round in 0..10_u64 {
        store.hands.advance(secs(u64::from(round == 0)));
        store.recorder.scope(|| {
            counter!("n").increment(round);
            counter!("once", "round" => round.to_string()).increment(1);
            gauge!("g").set([5.0, -3.0, 9.0, 0.5][usize::try_from(round % 4).unwrap_or(0)]);
            histogram!("h").record(1.5);
            histogram!("h").record(-0.25);
        });
        let tick = store.recall.tick();
        assert_eq!(tick.merged, round > 0);
    }
    let window = secs(1);
    assert_eq!(store.recall.counters("n").over(window).increase(), Some(45));
    assert_eq!(store.recall.counters("n").over(window).rate(), Some(45.0));
    assert_eq!(
        store.recall.counters("once").over(window).increase(),
        Some(10)
    );
    let g = store.recall.gauges("g").over(window);
    assert_eq!(
        (g.min(), g.max(), g.avg(), g.count()),
        (Some(-3.0), Some(9.0), Some(-3.0), Some(1))
    );
    let h = store.recall.histograms("h").over(window);
    assert_eq!((h.count(), h.sum()), (Some(20), Some(12.5)));
    assert_eq!((h.min(), h.max()), (Some(-0.25), Some(1.5)));
}

/// A gauge that was set to the value it had, in a tick that a later one joined, is missing from the extremes.
#[test]
fn a_gauge_set_to_its_old_value_is_seen_in_a_merged_tick() {
    let store = Store::default();
    let set = |v: f64| store.recorder.scope(|| gauge!("g").set(v));
    set(5.0);
    store.tick(secs(1));
    set(5.0);
    store.tick(secs(1));
    assert_eq!(store.recall.gauges("g").over(secs(1)).max(), Some(5.0));
    set(3.0);
    store.recall.tick();
    let g = store.recall.gauges("g").over(secs(1));
    assert_eq!((g.min(), g.max()), (Some(3.0), Some(5.0)));
}

/// What came before the clock first moved stands at the start of the axis: it is in every window that begins before.
#[test]
fn steps_hold_what_their_window_holds() {
    let store = Store::default();
    let count = |n| store.recorder.scope(|| counter!("n").increment(n));
    count(100);
    store.tick(secs(0));
    for _ in 0..4 {
        count(1);
        store.tick(secs(1));
    }
    for window in [secs(2), secs(3), secs(4), secs(5), Duration::MAX] {
        let n = store.recall.counters("n").over(window);
        for step in [secs(1), secs(2), secs(3), secs(60), Duration::MAX] {
            let steps = n.clone().every(step).increase();
            let sum: u64 = steps.iter().filter_map(|p| p.value).sum();
            assert_eq!(Some(sum), n.increase(), "over {window:?} every {step:?}");
        }
    }
    assert_eq!(
        store.recall.counters("n").over(Duration::MAX).increase(),
        Some(104)
    );
}

#[test]
fn steps_end_where_their_window_ends() {
    let store = Store::default();
    let start = store.recall.now();
    for n in 1..=10 {
        store.recorder.scope(|| counter!("n").increment(n));
        store.tick(secs(1));
    }
    let points = store
        .recall
        .counters("n")
        .over(secs(7))
        .every(secs(3))
        .increase();
    let points: Vec<_> = points.iter().map(|p| (p.at, p.value)).collect();
    let at = |n| start + secs(n);
    assert_eq!(
        points,
        [
            (at(4), Some(4)),
            (at(7), Some(5 + 6 + 7)),
            (at(10), Some(8 + 9 + 10))
        ]
    );
    // Longer than history: cut where history begins.
    let points = store
        .recall
        .counters("n")
        .over(Duration::MAX)
        .every(secs(4))
        .increase();
    let points: Vec<_> = points.iter().map(|p| (p.at, p.value)).collect();
    assert_eq!(
        points,
        [(at(2), Some(3)), (at(6), Some(18)), (at(10), Some(34))]
    );
}

#[test]
fn windows_between_two_points_are_those_ticks() {
    let store = Store::default();
    let start = store.recall.now();
    for n in 1..=10_u64 {
        store.recorder.scope(|| counter!("n").increment(1 << n));
        store.tick(secs(1));
    }
    let at = |ms: i64| Timestamp::from_millis(start.as_millis() + ms);
    let increase = |from, to| {
        store
            .recall
            .counters("n")
            .between(at(from), at(to))
            .increase()
    };
    assert_eq!(increase(0, 1_000), Some(1 << 1));
    assert_eq!(increase(3_000, 5_000), Some((1 << 4) | (1 << 5)));
    // A tick belongs where its middle is.
    assert_eq!(increase(3_400, 5_400), Some((1 << 4) | (1 << 5)));
    assert_eq!(increase(3_600, 5_600), Some((1 << 5) | (1 << 6)));
    // Narrower than a tick: that tick.
    assert_eq!(increase(3_100, 3_200), Some(1 << 4));
    assert_eq!(increase(3_800, 3_900), Some(1 << 4));
    // Around all, before all, after all, reversed, empty.
    assert_eq!(increase(-5_000, 50_000), Some((1 << 11) - 2));
    assert_eq!(increase(-5_000, -4_000), None);
    assert_eq!(increase(11_000, 12_000), None);
    assert_eq!(increase(5_000, 3_000), None);
    assert_eq!(increase(5_000, 5_000), None);
}

#[test]
fn history_reaches_back_as_far_as_retention() {
    let store = Store::from(Recall::builder().config(finest_only(secs(10))));
    let held = store.recorder.scope(|| counter!("n"));
    for _ in 0..100 {
        held.increment(1);
        store.tick(secs(1));
        let kept = store.recall.counters("n").over(Duration::MAX).increase();
        // What is sealed together goes together: two or three ticks, here.
        assert!(kept <= Some(15), "{kept:?}");
    }
    let kept = store.recall.counters("n").over(Duration::MAX).increase();
    assert!(kept >= Some(10), "{kept:?}");
    assert_eq!(
        store.recall.counters("n").over(secs(10)).increase(),
        Some(10)
    );
    assert_eq!(store.recall.counters("n").total(), Some(100));
    assert!(store.recall.health().is_healthy());
}

#[test]
fn ten_thousand_metrics_in_one_tick_are_all_there() {
    let store = Store::default();
    store.recorder.scope(|| {
        for i in 0..10_000 {
            counter!(format!("metric_{i}")).increment(i);
        }
    });
    store.tick(secs(1));
    let metrics = store.recall.metrics();
    assert_eq!(metrics.len(), 10_000);
    assert!(metrics.iter().all(|m| m.series == 1 && m.overflowed == 0));
    for i in 0..10_000 {
        let ask = store.recall.counters(format!("metric_{i}"));
        assert_eq!(
            (ask.total(), ask.over(secs(1)).increase()),
            (Some(i), Some(i))
        );
    }
    let health = store.recall.health();
    assert!(health.is_healthy(), "{health}");
    let memory = store.recall.memory();
    assert!(memory.peak <= memory.budget, "{memory}");

    store.recorder.scope(|| counter!("one_more").increment(1));
    assert_eq!(store.recall.counters("one_more").total(), None);
    assert_eq!(store.recall.counters("recall_overflow").total(), Some(1));
    let health = store.recall.health().to_string();
    assert!(
        health.contains("max_metrics") && health.contains("10000"),
        "{health}"
    );
}

#[test]
fn ten_thousand_metrics_of_each_kind_lose_no_sample() {
    let store = Store::default();
    store.recorder.scope(|| {
        for i in 0..10_000_u32 {
            let name = format!("metric_{i}");
            counter!(name.clone()).increment(1);
            gauge!(name.clone()).set(f64::from(i));
            histogram!(name).record(f64::from(i));
        }
    });
    store.tick(secs(1));
    let memory = store.recall.memory();
    assert!(memory.peak <= memory.budget, "{memory}");
    let names = || {
        (0..10_000)
            .map(|i| format!("metric_{i}"))
            .chain(["recall_overflow".to_owned()])
    };
    let total: u64 = names()
        .filter_map(|n| store.recall.counters(n).total())
        .sum();
    assert_eq!(total, 10_000);
    let count = |name: String| store.recall.histograms(name).over(secs(1)).count();
    assert_eq!(names().filter_map(count).sum::<u64>(), 10_000);
}

/// A store that was made when its clock had come to its end found no tick in any window.
#[test]
fn windows_hold_a_tick_at_the_end_of_the_clock() -> Result<(), Error> {
    let (clock, hands) = Clock::manual();
    hands.advance(Duration::MAX);
    let (recorder, recall) = Recall::builder().clock(clock).build()?;
    recorder.scope(|| counter!("n").increment(3));
    recall.tick();
    let all = recall.counters("n").over(Duration::MAX);
    assert_eq!(all.increase(), Some(3));
    Ok(())
}

/// A sweep looks at series that have news, and asks for the memory of those of the next chunk ahead: five chunks a shard here.
#[test]
fn each_tick_has_what_came_to_it_whichever_series_of_many_it_was() -> Result<(), Error> {
    const SERIES: usize = 20_000;
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder()
        .memory_budget(256 << 20)
        .max_series_per_metric(SERIES)
        .clock(clock)
        .build()?;
    let (counters, histograms): (Vec<_>, Vec<_>) = recorder.scope(|| {
        let label = |i: usize| i.to_string();
        (0..SERIES)
            .map(|i| {
                (
                    counter!("n", "i" => label(i)),
                    histogram!("h", "i" => label(i)),
                )
            })
            .unzip()
    });
    let mut total = 0;
    for round in 0..40 {
        let step = [1, 2, 3, 50, 1_000][round % 5];
        let changed = (round % step..SERIES).step_by(step);
        for i in changed.clone() {
            counters[i].increment(2);
            histograms[i].record(0.5);
        }
        let changed = changed.count() as u64;
        total += 2 * changed;
        hands.advance(secs(1));
        recall.tick();
        let n = recall.counters("n").over(secs(1)).increase();
        let h = recall.histograms("h").over(secs(1)).count();
        assert_eq!((n, h), (Some(2 * changed), Some(changed)), "round {round}");
    }
    assert_eq!(recall.counters("n").total(), Some(total));
    Ok(())
}
