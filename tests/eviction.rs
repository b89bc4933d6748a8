//! Series come and go; handles and totals stay.

mod common;
#[path = "common/tiers.rs"]
mod tiers;

use common::Store;
use metrics::{counter, gauge, histogram};
use metrics_recall::{Labels, Recall, RecallBuilder, RetentionRule, secs};
use std::time::Duration;
use tiers::finest_only;

/// Two series a metric, idle after two seconds.
fn brief() -> RecallBuilder {
    Recall::builder()
        .config(finest_only(secs(20)))
        .max_series_per_metric(2)
        .idle_timeout(secs(2))
}

fn small() -> RecallBuilder {
    Recall::builder()
        .max_series_per_metric(2)
        .idle_timeout(secs(2))
}

/// Lets everything grow idle, then asks for more series than `crowd` may have: the tick evicts what nobody holds.
fn evict(store: &Store) {
    for _ in 0..6 {
        store.tick(secs(1));
    }
    store.recorder.scope(|| {
        for i in 0..3 {
            counter!("crowd", "i" => i.to_string()).increment(1);
        }
    });
    store.tick(secs(1));
}

/// Live series of the metrics called `name`, of all kinds.
fn live(store: &Store, name: &str) -> usize {
    let metrics = store.recall.metrics();
    metrics
        .iter()
        .filter(|m| m.name == name)
        .map(|m| m.series)
        .sum()
}

#[test]
fn a_held_counter_is_heard_after_three_evictions() {
    let store = Store::from(small());
    let held = store.recorder.scope(|| counter!("held"));
    for round in 1..=3 {
        store.recorder.scope(|| counter!("loose").increment(1));
        assert_eq!(live(&store, "loose"), 1);
        evict(&store);
        assert_eq!(
            (live(&store, "loose"), live(&store, "held")),
            (0, 1),
            "round {round}"
        );
        held.increment(10);
        assert_eq!(store.recall.counters("held").total(), Some(10 * round));
        assert_eq!(store.recall.counters("loose").total(), Some(round));
        store.tick(secs(1));
        let last = store.recall.counters("held").over(secs(1)).increase();
        assert_eq!(last, Some(10), "round {round}");
    }
    assert_eq!(
        store.recall.counters("held").over(Duration::MAX).increase(),
        Some(30)
    );
    assert_eq!(
        store
            .recall
            .counters("loose")
            .over(Duration::MAX)
            .increase(),
        Some(3)
    );
}

#[test]
fn a_held_gauge_is_heard_after_three_evictions() {
    let store = Store::from(small());
    let held = store.recorder.scope(|| gauge!("held"));
    for round in 1..=3 {
        store.recorder.scope(|| gauge!("loose").set(1.0));
        evict(&store);
        assert_eq!(
            (live(&store, "loose"), live(&store, "held")),
            (0, 1),
            "round {round}"
        );
        assert_eq!(store.recall.gauges("loose").current(), None);
        held.increment(2.0);
        store.tick(secs(1));
        let now = f64::from(round) * 2.0;
        assert_eq!(store.recall.gauges("held").current(), Some(now));
        assert_eq!(store.recall.gauges("held").over(secs(1)).max(), Some(now));
    }
    assert_eq!(
        store.recall.gauges("held").over(Duration::MAX).max(),
        Some(6.0)
    );
}

#[test]
fn a_held_histogram_is_heard_after_three_evictions() {
    let store = Store::from(small());
    let held = store.recorder.scope(|| histogram!("held"));
    for round in 1..=3 {
        store.recorder.scope(|| histogram!("loose").record(8.0));
        evict(&store);
        assert_eq!(
            (live(&store, "loose"), live(&store, "held")),
            (0, 1),
            "round {round}"
        );
        held.record(f64::from(round));
        store.tick(secs(1));
        let last = store.recall.histograms("held").over(secs(1));
        assert_eq!(
            (last.count(), last.sum()),
            (Some(1), Some(f64::from(round)))
        );
    }
    let all = store.recall.histograms("held").over(Duration::MAX);
    assert_eq!(
        (all.count(), all.sum(), all.max()),
        (Some(3), Some(6.0), Some(3.0))
    );
    let loose = store.recall.histograms("loose").over(Duration::MAX);
    assert_eq!((loose.count(), loose.sum()), (Some(3), Some(24.0)));
}

#[test]
fn a_series_goes_on_where_it_stopped_after_three_evictions_of_its_own() {
    let store = Store::from(small());
    for round in 1..=3 {
        store.recorder.scope(|| {
            let counted = counter!("n", "k" => "v");
            counted.increment(5);
            counter!("n", "k" => "v").absolute(100 * round);
            histogram!("n", "k" => "v").record(-1.5);
        });
        evict(&store);
        assert_eq!(live(&store, "n"), 0, "round {round}");
        let total = 5 * round + 100 * round;
        assert_eq!(
            store.recall.counters("n").total(),
            Some(total),
            "round {round}"
        );
    }
    let held = store.recorder.scope(|| counter!("n", "k" => "v"));
    held.increment(1);
    store.tick(secs(1));
    let all = store.recall.counters("n").label("k", "v");
    assert_eq!(all.total(), Some(316));
    // 100 was the baseline.
    assert_eq!(all.over(Duration::MAX).increase(), Some(216));
    assert_eq!(
        store.recall.histograms("n").over(Duration::MAX).sum(),
        Some(-4.5)
    );
}

#[test]
fn what_was_recorded_just_before_an_eviction_is_in_history() {
    let store = Store::from(small().idle_timeout(secs(1)));
    let held = store.recorder.scope(|| counter!("n"));
    for _ in 0..5 {
        store.tick(secs(1));
    }
    store.recorder.scope(|| {
        for i in 0..3 {
            counter!("crowd", "i" => i.to_string()).increment(1);
        }
    });
    held.increment(7);
    drop(held);
    store.tick(secs(1));
    assert_eq!(store.recall.counters("n").over(secs(1)).increase(), Some(7));
    assert_eq!(store.recall.counters("n").total(), Some(7));
}

/// Tick numbers wrap. When history reached back further than half of them, as at 10 ms after a sleep of 249 days, windows
/// left out series that had been evicted since; when it reached back further than all of them, these were forgotten.
#[test]
fn an_evicted_series_stays_in_a_history_that_is_longer_than_tick_numbers() {
    const DAY: Duration = secs(86_400);
    let finest = Duration::from_millis(10);
    // The axis of so long a history must fit into the budget, which is not filled.
    let long = Recall::builder()
        .config(finest_only(366 * DAY))
        .memory_budget(1 << 40)
        .resolution(finest)
        .max_series_per_metric(2);
    let store = Store::from(long.idle_timeout(finest));
    store.recorder.scope(|| counter!("first").increment(1));
    store.tick(finest);
    store.recorder.scope(|| counter!("n").increment(3));
    store.tick(270 * DAY);
    for _ in 0..3 {
        store.recorder.scope(|| {
            for i in 0..3 {
                counter!("crowd", "i" => i.to_string()).increment(1);
            }
        });
        store.tick(finest);
    }
    assert_eq!(live(&store, "n"), 0);
    let increase = || store.recall.counters("n").over(Duration::MAX).increase();
    assert_eq!(increase(), Some(3));
    store.tick(231 * DAY);
    assert_eq!(increase(), Some(3));
    store.tick(finest);
    assert_eq!(increase(), Some(3));
}

#[test]
fn nothing_is_evicted_while_there_is_room() {
    let store = Store::from(small());
    store.recorder.scope(|| {
        gauge!("build_info", "version" => "1.2.3").set(1.0);
        counter!("n").increment(1);
    });
    for _ in 0..100 {
        store.tick(secs(1));
    }
    assert_eq!((live(&store, "build_info"), live(&store, "n")), (1, 1));
    assert_eq!(
        store.recall.gauges("build_info").over(secs(1)).max(),
        Some(1.0)
    );
    assert!(store.recall.health().is_healthy());
}

#[test]
fn a_gauge_holds_its_value_until_it_is_evicted_and_is_absent_then() {
    let store = Store::from(small());
    store.recorder.scope(|| gauge!("depth").set(4.0));
    evict(&store);
    // Seven ticks: it was there at the end of the first six.
    let all = store.recall.gauges("depth").over(Duration::MAX);
    assert_eq!((all.count(), all.avg()), (Some(6), Some(4.0)));
    store.tick(secs(1));
    assert_eq!(store.recall.gauges("depth").over(secs(2)).max(), None);
    assert_eq!(store.recall.gauges("depth").over(secs(2)).count(), None);
    assert_eq!(store.recall.gauges("depth").current(), None);
    store.recorder.scope(|| gauge!("depth").set(9.0));
    store.tick(secs(1));
    assert_eq!(store.recall.gauges("depth").over(secs(1)).max(), Some(9.0));
    assert_eq!(
        store.recall.gauges("depth").over(Duration::MAX).count(),
        Some(7)
    );
}

/// Its cell still had the value from before the reset, which came back for one tick when the series was evicted.
#[test]
fn a_gauge_that_was_reset_has_no_value_when_it_is_evicted() {
    let store = Store::from(small());
    store.recorder.scope(|| gauge!("level").set(7.0));
    store.tick(secs(1));
    store.recall.reset("level").unwrap();
    evict(&store);
    assert_eq!(live(&store, "level"), 0);
    store.tick(secs(1));
    let level = store.recall.gauges("level").over(Duration::MAX);
    assert_eq!((level.count(), level.max()), (Some(1), Some(7.0)));
}

/// Coarse tiers that go on for a day held the ids of all series, also of those that they never had.
#[test]
fn an_evicted_series_is_forgotten_when_its_own_retention_is_over() {
    let rule = RetentionRule::new().keep([secs(5), Duration::ZERO, Duration::ZERO]);
    let store = Store::from(small().retain(rule));
    let mut used = Vec::new();
    for round in 0..60 {
        let id = round.to_string();
        store
            .recorder
            .scope(|| counter!("job", "id" => id).increment(1));
        evict(&store);
        assert_eq!(live(&store, "job"), 0);
        let parts = store.recall.memory().parts;
        used.push(parts.iter().find(|part| part.0 == "series").unwrap().1);
    }
    let settled = used[20..40].iter().max();
    assert!(used[40..].iter().max() <= settled, "{used:?}");
}

#[test]
fn past_the_limit_samples_are_in_the_overflow_series_and_totals_by_name_are_exact() {
    let store = Store::from(small());
    store.recorder.scope(|| {
        for i in 0..1_000_u64 {
            let user = i.to_string();
            counter!("n", "user" => user.clone()).increment(i);
            histogram!("n", "user" => user.clone()).record(1.0);
            gauge!("n", "user" => user).set(2.0);
        }
    });
    store.tick(secs(1));
    assert_eq!(store.recall.counters("n").total(), Some(499_500));
    assert_eq!(
        store.recall.counters("n").over(secs(9)).increase(),
        Some(499_500)
    );
    assert_eq!(
        store.recall.histograms("n").over(secs(9)).count(),
        Some(1_000)
    );
    let overflow = store.recall.counters("n").label("overflow", "true");
    assert_eq!(overflow.total(), Some(499_500 - 1));
    assert_eq!(store.recall.gauges("n").current(), Some(6.0));
    let health = store.recall.health().to_string();
    for part in ["counter `n`", "998", "max_series_per_metric", "`user`"] {
        assert!(health.contains(part), "{part} is not in {health}");
    }
}

#[test]
fn a_handle_of_the_overflow_series_counts_for_ever() {
    let store = Store::from(small());
    let handle = store.recorder.scope(|| {
        counter!("n", "i" => "0").increment(1);
        counter!("n", "i" => "1").increment(1);
        counter!("n", "i" => "2")
    });
    for round in 1..=3 {
        handle.increment(1);
        evict(&store);
        let overflow = store.recall.counters("n").label("overflow", "true");
        assert_eq!(overflow.total(), Some(round));
    }
    assert_eq!(store.recall.counters("n").total(), Some(5));
}

/// An evicted series joins its metric's retired sum when history has forgotten it. The name was seen, so its total is
/// there, even when no series of it is left.
#[test]
fn the_total_of_a_name_outlives_all_of_its_series() {
    let store = Store::from(brief());
    store.recorder.scope(|| {
        counter!("n", "k" => "a").increment(5);
        counter!("n", "k" => "b").absolute(100);
    });
    for _ in 0..4 {
        evict(&store);
        for _ in 0..30 {
            store.tick(secs(1));
        }
        assert_eq!(store.recall.counters("n").total(), Some(105));
    }
    assert_eq!(
        store.recall.counters("n").over(Duration::MAX).increase(),
        Some(0)
    );
    store
        .recorder
        .scope(|| counter!("n", "k" => "a").increment(1));
    store.tick(secs(1));
    assert_eq!(store.recall.counters("n").total(), Some(106));
    assert_eq!(
        store.recall.counters("n").over(Duration::MAX).increase(),
        Some(1)
    );
}

/// Grouped totals show live series; what is retired has no labels any more, and belongs to no group.
#[test]
fn grouped_totals_do_not_mix_what_is_retired_into_a_group() {
    let store = Store::from(brief());
    store
        .recorder
        .scope(|| counter!("n", "k" => "a").increment(5));
    evict(&store);
    for _ in 0..30 {
        store.tick(secs(1));
    }
    store.recorder.scope(|| {
        counter!("n").increment(1);
        counter!("n", "k" => "b").increment(2);
    });
    let groups = store.recall.counters("n").by("k").total();
    let expected = [(Labels::from([]), 1), (Labels::from([("k", "b")]), 2)];
    assert_eq!(groups, expected);
    assert_eq!(store.recall.counters("n").total(), Some(8));
}

#[test]
fn memory_stays_below_its_budget_and_comes_back() {
    let store = Store::from(brief());
    store.recorder.scope(|| counter!("n").increment(1));
    store.tick(secs(1));
    let mut used = Vec::new();
    for round in 0..12 {
        store.recorder.scope(|| {
            for i in 0..2 {
                let id = format!("{round}-{i}");
                counter!("churn", "id" => id.clone()).increment(1);
                gauge!("churn", "id" => id.clone()).set(1.0);
                histogram!("churn", "id" => id).record(1.0);
            }
        });
        evict(&store);
        for _ in 0..30 {
            store.tick(secs(1));
        }
        let memory = store.recall.memory();
        assert!(memory.used <= memory.budget);
        let parts: usize = memory.parts.iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(parts, memory.used);
        // Shards of the index come into use one by one; they are kept.
        let kept = memory.parts.iter().filter(|(part, _)| *part != "index");
        used.push(kept.map(|(_, bytes)| bytes).sum::<usize>());
    }
    let (early, late) = (used[3], *used.last().unwrap());
    assert!(late <= early + 2_048, "memory grows: {used:?}");
    assert_eq!(store.recall.counters("churn").total(), Some(24));
}
