//! Whatever labels, names and texts a program makes up, the store stays inside its budget and loses nothing.
//!
//! One thread attacks, so that ledger and heap can be compared at every single allocation; `budget_threads.rs` has the
//! attacks of many. `RECALL_LONG=1` asks for ten million labels and names instead of a hundred thousand.
#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "a test fails by panicking, counts to small numbers, and calls in a row"
)]

#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/heap.rs"]
mod heap;
#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/storm.rs"]
mod storm;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_recall::{MetricKind, RecallBuilder, secs};
use std::time::Duration;
use storm::{SIZES, Store, scale};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const ALL: Duration = Duration::MAX;

/// Ticks in each attack.
const TICKS: usize = 10;

/// Runs an attack at every budget, with the limits of the profile and with none but memory.
fn at_every_budget(attack: impl Fn(&Store) + Sync) {
    for size in SIZES {
        for builder in [size.builder(), size.boundless()] {
            run(builder, &attack);
        }
    }
}

/// Runs an attack on a thread of its own, and sees that the store gives everything back.
fn run(builder: RecallBuilder, attack: impl Fn(&Store) + Sync) {
    let store = Store::new(builder);
    let account = store.account;
    // The thread's caches go with the thread.
    let attack = &attack;
    on_a_thread(move || {
        attack(&store);
        store.check_to_the_byte();
    });
    account.verdict();
    assert_eq!(account.heap(), 0, "a dropped store keeps nothing");
}

/// Returns when the thread's caches are gone, too; the end of a scope alone does not wait for that.
fn on_a_thread(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap());
}

/// A value in one of many octaves, of either sign, or zero.
fn spread(i: usize) -> f64 {
    let octave = i32::try_from(i % 160).unwrap() - 80;
    let sign = [1.0, 1.0, 1.0, -1.0, 0.0][i % 5];
    sign * 1.37 * f64::from(octave).exp2()
}

/// Calls `emit` for 0..n, with ticks in between, and `ticked` after each.
fn storm(store: &Store, n: usize, mut emit: impl FnMut(usize), mut ticked: impl FnMut(usize)) {
    for part in 0..TICKS {
        let range = n * part / TICKS..n * (part + 1) / TICKS;
        let so_far = range.end;
        store.scope(|| range.for_each(&mut emit));
        store.check_to_the_byte();
        store.tick();
        store.check_to_the_byte();
        ticked(so_far);
    }
}

#[test]
fn counter_labels_without_end_stay_inside_the_budget_and_add_up() {
    let n = scale(100_000, 10_000_000);
    at_every_budget(|store| {
        let attack = store.recall.counters("attack");
        storm(
            store,
            n,
            |i| counter!("attack", "id" => i.to_string()).increment(1),
            |so_far| assert_eq!(attack.total(), Some(so_far as u64)),
        );
        let health = store.recall.health();
        if store.overflowed("attack") > 0 {
            store.assert_named(&["counter `attack` sent ", "label `id` has about"]);
        } else {
            assert!(health.is_healthy(), "{health}");
        }
    });
}

#[test]
fn gauge_labels_without_end_stay_inside_the_budget_and_are_all_seen() {
    let n = scale(100_000, 10_000_000);
    at_every_budget(|store| {
        storm(
            store,
            n,
            |i| gauge!("attack", "id" => i.to_string()).increment(1.0),
            // Gauges that share the overflow series are added there, one by one.
            |so_far| assert_eq!(store.recall.gauges("attack").current(), Some(so_far as f64)),
        );
        let own = store.series("attack") as u64;
        assert_eq!(own + store.overflowed("attack"), n as u64);
        if store.overflowed("attack") > 0 {
            store.assert_named(&["gauge `attack` sent ", "label `id` has about"]);
        }
    });
}

#[test]
fn histogram_labels_and_octaves_without_end_stay_inside_the_budget_and_add_up() {
    let n = scale(100_000, 10_000_000);
    at_every_budget(|store| {
        let mut seen = 0;
        storm(
            store,
            n,
            |i| store.record(&histogram!("attack", "id" => i.to_string()), spread(i)),
            |_| seen += store.last_tick_of("attack"),
        );
        // What had no room in the draft comes a tick late.
        for _ in 0..10 {
            store.tick();
            seen += store.last_tick_of("attack");
        }
        let health = store.recall.health();
        assert_eq!(seen, n as u64, "{health}");
    });
}

#[test]
fn names_without_end_of_every_kind_stay_inside_the_budget_and_add_up() {
    let n = scale(50_000, 10_000_000);
    at_every_budget(|store| {
        let mut seen = 0;
        storm(
            store,
            n,
            |i| {
                counter!(format!("attack_{i}")).increment(3);
                gauge!(format!("attack_{i}")).increment(1.0);
                store.record(&histogram!(format!("attack_{i}")), spread(i));
            },
            |_| {
                let metrics = store.recall.metrics();
                let histograms = metrics.iter().filter(|m| m.kind == MetricKind::Histogram);
                seen += histograms.map(|m| store.last_tick_of(&m.name)).sum::<u64>();
            },
        );
        let metrics = store.recall.metrics();
        let names = |kind| {
            metrics
                .iter()
                .filter(move |m| m.kind == kind)
                .map(|m| &m.name)
        };
        let counters = names(MetricKind::Counter);
        let total: u64 = counters
            .filter_map(|name| store.recall.counters(name).total())
            .sum();
        assert_eq!(total, 3 * n as u64);
        let gauges = names(MetricKind::Gauge);
        let level: f64 = gauges
            .filter_map(|name| store.recall.gauges(name).current())
            .sum();
        assert_eq!(level, n as f64);
        assert_eq!(seen, n as u64, "{}", store.recall.health());
        for kind in ["counters", "gauges", "histograms"] {
            store.assert_named(&[
                kind,
                "`recall_overflow`",
                "`max_metrics` is",
                "`memory_budget`",
            ]);
        }
    });
}

#[test]
fn labels_of_64_kib_take_no_memory_and_are_counted() {
    let n = scale(2_000, 20_000);
    at_every_budget(|store| {
        let long = "x".repeat(64 << 10);
        store.scope(|| counter!("attack", "id" => "short").increment(1));
        let emit = |i: usize| {
            let value = format!("{i}{long}");
            counter!("attack", "id" => value.clone()).increment(1);
            counter!("attack", value.clone() => "1").increment(1);
            counter!(value.clone()).increment(1);
            gauge!("attack", "id" => value.clone()).set(i as f64);
            store.record(&histogram!("attack", "id" => value), spread(i));
        };
        store.scope(|| emit(0));
        let before = store.account.heap();
        store.scope(|| (1..n).for_each(emit));
        // A histogram's pages: one for each octave of its overflow series.
        assert!(store.account.heap() < before + (48 << 10));
        store.tick();
        let nameless = store.recall.counters("recall_overflow").total();
        let named = store.recall.counters("attack").total();
        assert_eq!((named, nameless), (Some(2 * n as u64 + 1), Some(n as u64)));
        assert_eq!(store.last_tick_of("attack"), n as u64);
        store.assert_named(&["counters", &(3 * n).to_string(), "longer than 4096 bytes"]);
    });
}

#[test]
fn the_longest_labels_that_are_kept_stay_inside_the_budget_and_add_up() {
    let n = scale(10_000, 1_000_000);
    at_every_budget(|store| {
        let long = "x".repeat(4_000);
        let attack = store.recall.counters("attack");
        storm(
            store,
            n,
            |i| counter!("attack", "id" => format!("{i:08}{long}")).increment(1),
            |so_far| assert_eq!(attack.total(), Some(so_far as u64)),
        );
        store.assert_named(&["counter `attack` sent ", "label `id` has about"]);
    });
}

#[test]
fn descriptions_without_end_stay_inside_the_budget() {
    let n = scale(20_000, 1_000_000);
    at_every_budget(|store| {
        let describe = |i: usize| {
            let name = format!("attack_{}", i.wrapping_mul(0x9e37_79b9) % n);
            let text = format!("{i} ").repeat(i % 600);
            describe_counter!(name.clone(), Unit::Count, text.clone());
            describe_gauge!(name.clone(), Unit::Bytes, text.clone());
            describe_histogram!(name, Unit::Seconds, text);
        };
        storm(store, n, describe, |_| ());
        // Other texts for the same names, shorter and longer.
        storm(store, n, |i| describe(i + 300), |_| ());
        // There is still room to count.
        store.scope(|| counter!("orders").increment(1));
        assert_eq!(store.recall.counters("orders").total(), Some(1));
    });
}

/// Answers belong to who asks; all that is needed on the way to them is charged.
#[test]
fn questions_are_charged_while_they_are_answered() {
    at_every_budget(|store| {
        let ask = || {
            let counters = store.recall.counters("attack");
            let gauges = store.recall.gauges("attack");
            let histograms = store.recall.histograms("attack");
            store.inside(|| {
                std::hint::black_box((counters.total(), gauges.current()));
                let (counters, gauges) = (counters.over(ALL), gauges.over(ALL));
                std::hint::black_box((counters.rate(), counters.max(), counters.quantile(0.9)));
                std::hint::black_box((gauges.max(), gauges.avg(), gauges.quantile(0.9)));
                let histograms = histograms.over(ALL);
                std::hint::black_box((histograms.count(), histograms.quantile(0.99)));
            });
        };
        storm(
            store,
            20_000,
            |i| {
                let id = (i % 5_000).to_string();
                counter!("attack", "id" => id.clone()).increment(1);
                gauge!("attack", "id" => id.clone()).set(i as f64);
                store.record(&histogram!("attack", "id" => id), spread(i));
            },
            |_| ask(),
        );
    });
}

#[test]
fn ticks_without_progress_of_the_clock_stay_inside_the_budget_and_lose_no_history() {
    at_every_budget(|store| {
        for i in 0..60_usize {
            store.scope(|| {
                counter!("busy").increment(1);
                for n in 0..50 {
                    let histogram = histogram!("busy", "n" => n.to_string());
                    (0..200).for_each(|v| store.record(&histogram, spread(7 * i + v)));
                }
            });
            store.tick();
        }
        let before = store.recall.counters("busy").over(ALL).increase();
        for _ in 0..5 {
            store.scope(|| {
                counter!("busy").increment(1);
                for n in 0..50 {
                    let histogram = histogram!("busy", "n" => n.to_string());
                    (0..200).for_each(|v| store.record(&histogram, spread(v)));
                }
            });
            assert!(
                store.tick_now().merged,
                "{} {:?}",
                store.recall.health(),
                store.recall.memory()
            );
            store.check_to_the_byte();
        }
        // The tick that all of them joined has all of it; older ones go only where room is short.
        let newest = store.recall.counters("busy").over(secs(1)).increase();
        assert_eq!(newest, Some(6), "{}", store.recall.health());
        let after = store.recall.counters("busy").over(ALL).increase();
        if store.recall.health().is_healthy() {
            assert_eq!(after, before.map(|n| n + 5));
        } else {
            assert!(after <= before.map(|n| n + 5) && after >= Some(6));
        }
    });
}
