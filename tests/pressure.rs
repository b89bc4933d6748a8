//! Room by hand, and history that gets shorter before anything is wrong: cleanup, an emergency, another budget, readers
//! that hold what goes.

mod common;

use common::Store;
use metrics::{counter, gauge, histogram};
use metrics_recall::{MemoryProfile, Recall, secs};
use std::time::Duration;

/// A store on an edge device, whose series all change in each tick.
fn busy(series: usize, ticks: usize) -> Store {
    let store = Store::from(Recall::builder().profile(MemoryProfile::Edge));
    let counters: Vec<_> = store.recorder.scope(|| {
        let counter = |id: usize| counter!("requests", "id" => id.to_string());
        (0..series).map(counter).collect()
    });
    for tick in 0..ticks {
        for (id, counter) in counters.iter().enumerate() {
            counter.increment(1 + (tick * 7 + id * 3) as u64 % 50);
        }
        store.tick(secs(1));
    }
    store
}

#[test]
fn cleanup_evicts_what_nobody_holds_and_keeps_all_points() {
    let store = Store::default();
    store.recorder.scope(|| {
        for id in 0..100 {
            counter!("jobs", "id" => id.to_string()).increment(1);
        }
    });
    let held = store.recorder.scope(|| gauge!("level"));
    held.set(2.0);
    store.tick(secs(1));
    assert_eq!(store.recall.cleanup().series, 0);
    for _ in 0..700 {
        store.tick(secs(1));
    }
    let freed = store.recall.cleanup();
    // The gauge is held, and overflow series are part of their metric.
    assert_eq!(freed.series, 100);
    assert!(
        freed.to_string().ends_with("0 points, 100 series"),
        "{freed}"
    );
    assert_eq!(store.recall.counters("jobs").total(), Some(100));
    let increase = store.recall.counters("jobs").over(Duration::MAX).increase();
    assert_eq!(increase, Some(100));
    assert_eq!(store.recall.gauges("level").current(), Some(2.0));
    assert!(store.recall.health().is_healthy());
}

#[test]
fn force_cleanup_keeps_the_newest_points_and_all_totals() {
    let store = busy(50, 400);
    let before = store.recall.memory().used;
    let total = store.recall.counters("requests").total();
    let last = store.recall.counters("requests").over(secs(5)).increase();
    let freed = store.recall.force_cleanup(10);
    assert!(freed.points > 100 && freed.bytes > 0, "{freed}");
    assert!(store.recall.memory().used + freed.bytes <= before);
    assert_eq!(store.recall.counters("requests").total(), total);
    let again = store.recall.counters("requests").over(secs(5)).increase();
    assert_eq!(again, last);
    for tier in store.recall.retention() {
        assert!(tier.points <= 70, "{tier}");
    }
    assert!(store.recall.health().is_healthy(), "it was asked for");
}

#[test]
fn force_cleanup_of_everything_keeps_the_newest_tick() {
    let store = busy(5, 200);
    store.recall.force_cleanup(0);
    let points: usize = store
        .recall
        .retention()
        .iter()
        .map(|tier| tier.points)
        .sum();
    assert_eq!(points, 1);
    assert!(store.recall.counters("requests").over(secs(1)).increase() > Some(0));
}

#[test]
fn a_smaller_budget_takes_effect_at_once_and_history_gets_shorter() {
    let store = busy(100, 3_600);
    let used = store.recall.memory().used;
    let total = store.recall.counters("requests").total();
    let smaller = used * 3 / 4;
    store.recall.set_memory_budget(smaller).unwrap();
    let memory = store.recall.memory();
    assert_eq!(memory.budget, smaller);
    assert!(memory.used <= smaller, "{memory}");
    store.tick(secs(1));
    let health = store.recall.health().to_string();
    assert!(health.contains("history reaches back"), "{health}");
    assert_eq!(store.recall.counters("requests").total(), total);
    // And back: what is missing comes again with time.
    store.recall.set_memory_budget(4 << 20).unwrap();
    let handles: Vec<_> = store.recorder.scope(|| {
        let counter = |id: usize| counter!("requests", "id" => id.to_string());
        (0..100).map(counter).collect()
    });
    for _ in 0..7_300 {
        for counter in &handles {
            counter.increment(1);
        }
        store.tick(secs(1));
    }
    assert!(
        store.recall.health().is_healthy(),
        "{}",
        store.recall.health()
    );
}

#[test]
fn a_budget_that_live_series_do_not_fit_into_is_an_error_that_says_what_would() {
    let store = Store::default();
    let held: Vec<_> = store.recorder.scope(|| {
        let counter = |id: usize| counter!("held", "id" => id.to_string());
        (0..1_500).map(counter).collect()
    });
    store.tick(secs(1));
    let budget = store.recall.memory().budget;
    let error = store.recall.set_memory_budget(256 << 10).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("262144 bytes"), "{message}");
    assert!(message.contains("allowed are"), "{message}");
    assert_eq!(store.recall.memory().budget, budget);
    let digits = message.rsplit("allowed are ").next().unwrap();
    let least: usize = digits.split(' ').next().unwrap().parse().unwrap();
    store.recall.set_memory_budget(least).unwrap();
    assert!(store.recall.memory().used <= least);
    drop(held);
}

#[test]
fn a_budget_out_of_range_is_an_error() {
    let store = Store::default();
    for bytes in [0, 1_000, usize::MAX] {
        let message = store
            .recall
            .set_memory_budget(bytes)
            .unwrap_err()
            .to_string();
        assert!(message.contains(&format!("{bytes} bytes")), "{message}");
    }
    assert_eq!(store.recall.memory().budget, 32 << 20);
}

/// Ten times the series that a budget can remember for as long as it is to.
/// What the tick and alerts have for themselves came out of the quarter that is history's, and every other tick was lost.
#[test]
fn the_smallest_store_has_room_for_its_ticks() {
    let store = Store::from(Recall::builder().memory_budget(128 << 10));
    for tick in 0..200_u32 {
        store.recorder.scope(|| {
            for id in 0..20 {
                counter!("jobs", "id" => id.to_string()).increment(1);
                for n in 0..20_u32 {
                    histogram!("took", "id" => id.to_string()).record(f64::from(n * tick) + 0.5);
                }
            }
        });
        store.tick(secs(1));
    }
    let health = store.recall.health().to_string();
    assert!(!health.contains("missing in history"), "{health}");
    assert_eq!(store.recall.counters("jobs").total(), Some(4_000));
    let last = store.recall.counters("jobs").over(secs(1)).increase();
    assert_eq!(last, Some(20));
}

#[test]
fn too_many_series_make_history_shorter_and_leave_every_answer_right() {
    let store = busy(90, 1_800);
    let few: Vec<_> = store.recall.retention();
    assert!(few.iter().all(|tier| tier.shortened == 0), "{few:?}");
    let store = Store::from(
        Recall::builder()
            .profile(MemoryProfile::Edge)
            .max_series_per_metric(2_000),
    );
    let histograms: Vec<_> = store.recorder.scope(|| {
        let histogram = |id: usize| histogram!("took", "id" => id.to_string());
        (0..250).map(histogram).collect()
    });

    for tick in 0..900_u32 {
        for (id, histogram) in histograms.iter().enumerate() {
            for n in 0..20_u32 {
                let id = u32::try_from(id).unwrap();
                histogram.record(f64::from(1 + (tick * 13 + id * 7 + n * 11) % 97) / 100.0);
            }
        }

        store.tick(secs(1));
        let memory = store.recall.memory();
        assert!(memory.used <= memory.budget);
    }
    let health = store.recall.health().to_string();
    assert!(health.contains("history reaches back"), "{health}");
    for tier in store.recall.retention() {
        println!("{tier}");
    }
    println!("{:?} {health}", store.recall.memory());
    let finest = store.recall.retention()[0].effective.as_secs();
    for window in [1, 2, finest / 2] {
        let answer = store.recall.histograms("took").over(secs(window)).count();
        assert_eq!(answer, Some(window * 250 * 20));
    }
    let all = store.recall.histograms("took").over(Duration::MAX);
    let reach = store
        .recall
        .retention()
        .iter()
        .map(|tier| tier.effective)
        .max();
    assert_eq!(all.count(), Some(reach.unwrap().as_secs() * 250 * 20));
}
