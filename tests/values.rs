//! Values as programs really give them: odd ones, huge ones, many at once, and what each kind makes of them.

mod common;

use common::Store;
use metrics::{counter, gauge, histogram};
use metrics_recall::{Clock, Recall, secs};
use std::time::Duration;

const ODD: [f64; 18] = [
    f64::NAN,
    -f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    5e-324,
    -5e-324,
    f64::MIN_POSITIVE,
    -f64::MIN_POSITIVE,
    f64::MIN_POSITIVE / 2.0,
    1.0,
    -1.0,
    f64::EPSILON,
    f64::MAX,
    f64::MIN,
    1e300,
    -1e300,
];

fn histograms(values: &[f64]) -> Store {
    let store = Store::default();
    store.recorder.scope(|| {
        for value in values {
            histogram!("h").record(*value);
        }
    });
    store.tick(secs(1));
    store
}

#[test]
fn no_value_panics_in_any_kind_in_any_order() {
    for first in ODD {
        for second in ODD {
            let store = histograms(&[first, second]);
            store.recorder.scope(|| {
                let g = gauge!("g");
                g.set(first);
                g.increment(second);
                g.decrement(first);
                store.tick(secs(1));
                g.set(second);
                histogram!("h").record_many(first, 1 << 40);
                histogram!("h").record_many(second, usize::MAX);
            });
            store.tick(secs(0));
            let h = store.recall.histograms("h").over(secs(9));
            let g = store.recall.gauges("g").over(secs(9));
            for q in [0.0, 0.25, 0.5, 1.0] {
                assert!(
                    h.quantile(q).is_none_or(f64::is_finite),
                    "{first} {second} {q}"
                );
                let _ = g.quantile(q);
            }
            for answer in [h.sum(), h.avg(), h.min(), h.max(), h.rate()] {
                assert!(
                    answer.is_none_or(f64::is_finite),
                    "{first} {second} {answer:?}"
                );
            }
            for answer in [g.min(), g.max(), g.sum(), g.avg()] {
                assert!(answer.is_some(), "{first} {second}");
            }
            assert!(store.recall.summary().to_string().contains("histograms"));
        }
    }
}

#[test]
fn a_summary_says_what_it_adds_up_and_keeps_fractions() {
    let store = Store::default();
    store.recorder.scope(|| {
        for i in 0..5 {
            gauge!("depth", "queue" => i.to_string()).set(10.0);
            gauge!("up_since_timestamp_seconds", "of" => i.to_string()).set(1.7e9);
        }
        gauge!("level").set(7.0);
    });
    let joules = store.recall.fractional_counter("joules_total");
    joules.increment(0.5);
    store.tick(secs(1));
    let summary = store.recall.summary().to_string();
    let cells = |name: &str| -> Vec<String> {
        let line = summary.lines().find(|line| line.contains(name)).unwrap();
        let cells = line
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty());
        cells.skip(1).map(str::to_owned).collect()
    };
    // One number is of all five, the others of one.
    assert_eq!(cells("depth"), ["sum 50", "10", "10", "10", "5"]);
    assert_eq!(cells("level"), ["7", "7", "7", "7", "1"]);
    assert_eq!(cells("joules_total")[0], "0.500");
    assert!(cells("up_since")[0].ends_with(" d ago"), "{summary}");
}

#[test]
fn a_gauge_ignores_what_is_not_a_number_and_counts_it() {
    let store = Store::default();
    store.recorder.scope(|| {
        let g = gauge!("g");
        g.set(4.0);
        g.set(f64::NAN);
        g.increment(f64::NAN);
        g.decrement(f64::NAN);
        g.increment(1.0);
    });
    assert_eq!(store.recall.gauges("g").current(), Some(5.0));
    store.tick(secs(1));
    let g = store.recall.gauges("g").over(secs(1));
    assert_eq!(
        (g.min(), g.max(), g.avg()),
        (Some(4.0), Some(5.0), Some(5.0))
    );
    let health = store.recall.health().to_string();
    assert!(health.contains("gauge `g` was given 3 values"), "{health}");
}

#[test]
fn a_gauge_holds_infinities() {
    let store = Store::default();
    store.recorder.scope(|| {
        gauge!("up").set(f64::INFINITY);
        gauge!("down").set(f64::NEG_INFINITY);
        // Infinity less infinity is not a number: nothing changes.
        gauge!("up").decrement(f64::INFINITY);
    });
    store.tick(secs(1));
    assert_eq!(store.recall.gauges("up").current(), Some(f64::INFINITY));
    assert_eq!(
        store.recall.gauges("down").over(secs(1)).min(),
        Some(f64::NEG_INFINITY)
    );
    let health = store.recall.health().to_string();
    assert!(health.contains("gauge `up` was given 1 values"), "{health}");
}

/// Their number was added up until it was too large for an integer.
#[test]
fn values_that_are_not_numbers_are_counted_as_far_as_one_can_count() {
    let store = Store::default();
    store.recorder.scope(|| {
        for name in ["a", "b"] {
            for _ in 0..2 {
                histogram!(name).record_many(f64::NAN, usize::MAX);
            }
        }
    });
    let health = store.recall.health();
    assert_eq!(health.report().samples.refused, u64::MAX);
    assert!(
        health
            .to_string()
            .contains("`b` was given 18446744073709551615 values"),
        "{health}"
    );
}

/// Interpolation between two equal infinities must not make a NaN.
#[test]
fn the_median_of_an_infinite_gauge_is_infinite() {
    let store = Store::default();
    store.recorder.scope(|| gauge!("g").set(f64::INFINITY));
    for _ in 0..4 {
        store.tick(secs(1));
    }
    let g = store.recall.gauges("g").over(Duration::MAX);
    assert_eq!(
        (g.quantile(0.0), g.quantile(0.4)),
        (Some(f64::INFINITY), Some(f64::INFINITY))
    );
    assert_eq!(
        (g.avg(), g.max()),
        (Some(f64::INFINITY), Some(f64::INFINITY))
    );
}

#[test]
fn the_median_between_the_greatest_values_is_between_them() {
    let store = Store::default();
    for value in [f64::MIN, f64::MAX] {
        store.recorder.scope(|| gauge!("g").set(value));
        store.tick(secs(1));
    }
    let g = store.recall.gauges("g").over(Duration::MAX);
    assert_eq!(g.quantile(0.5), Some(0.0));
    assert_eq!(g.avg(), Some(0.0));
}

#[test]
fn a_constant_gauge_has_its_value_as_mean_exactly() {
    for value in [0.1, 4.0, -1e-9, 1e300, f64::MAX, f64::MIN] {
        let store = Store::default();
        store.recorder.scope(|| gauge!("g").set(value));
        for n in 1..=7 {
            store.tick(secs(n));
            assert_eq!(
                store.recall.gauges("g").over(Duration::MAX).avg(),
                Some(value)
            );
        }
    }
}

#[test]
fn a_histogram_counts_what_has_no_bucket_apart() {
    let store = histograms(&[1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 3.0]);
    store
        .recorder
        .scope(|| histogram!("h").record_many(f64::NAN, 5));
    store.tick(secs(0));
    let h = store.recall.histograms("h").over(secs(9));
    assert_eq!(
        (h.count(), h.sum(), h.avg()),
        (Some(2), Some(4.0), Some(2.0))
    );
    assert_eq!((h.min(), h.max()), (Some(1.0), Some(3.0)));
    let health = store.recall.health().to_string();
    assert!(
        health.contains("histogram `h` was given 8 values"),
        "{health}"
    );
}

#[test]
fn zeros_and_subnormals_share_the_bucket_of_zero() {
    let store = histograms(&[
        0.0,
        -0.0,
        5e-324,
        -5e-324,
        f64::MIN_POSITIVE / 2.0,
        1.0,
        -1.0,
    ]);
    let h = store.recall.histograms("h").over(secs(9));
    assert_eq!(
        (h.count(), h.min(), h.max()),
        (Some(7), Some(-1.0), Some(1.0))
    );
    for rank in 2..=6 {
        assert_eq!(h.quantile(f64::from(rank) / 7.0 - 0.01), Some(0.0));
    }
    assert!(store.recall.health().is_healthy());

    let tiny = histograms(&[5e-324, 1e-310, 0.0]);
    let h = tiny.recall.histograms("h").over(secs(9));
    assert_eq!(
        (h.count(), h.min(), h.max()),
        (Some(3), Some(0.0), Some(1e-310))
    );
}

#[test]
fn negative_values_mirror_positive_ones() {
    let values: Vec<f64> = (1..=1_000).map(|i| (f64::from(i) * 0.013).exp()).collect();
    let up = histograms(&values);
    let mirrored: Vec<f64> = values.iter().map(|v| -v).collect();
    let down = histograms(&mirrored);
    let (up, down) = (
        up.recall.histograms("h").over(secs(9)),
        down.recall.histograms("h").over(secs(9)),
    );
    assert_eq!(up.sum(), down.sum().map(|v| -v));
    assert_eq!(
        (up.min(), up.max()),
        (down.max().map(|v| -v), down.min().map(|v| -v))
    );
    for i in 1..=1_000 {
        // The nearest rank from below and from above are one apart.
        let below = up.quantile((f64::from(i) - 0.5) / 1_000.0);
        let above = down.quantile((1_000.5 - f64::from(i)) / 1_000.0);
        assert_eq!(below, above.map(|v| -v), "rank {i}");
    }
}

#[test]
fn sums_of_whole_numbers_are_exact_across_ticks_and_magnitudes() {
    let store = Store::default();
    let mut sum = 0.0;
    for round in 0..50_u32 {
        store.recorder.scope(|| {
            histogram!("h").record(f64::from(1 << (round % 31)));
            histogram!("h").record_many(3.0, 7);
        });
        store.tick(secs(1));
        let newest = f64::from(1 << (round % 31)) + 21.0;
        sum += newest;
        assert_eq!(
            store.recall.histograms("h").over(secs(1)).sum(),
            Some(newest)
        );
        assert_eq!(
            store.recall.histograms("h").over(Duration::MAX).sum(),
            Some(sum)
        );
    }
}

#[test]
fn a_great_value_does_not_swallow_the_sums_of_later_ticks() {
    for great in [1e17, 1e100, 1e300, f64::MAX, f64::MIN] {
        let store = Store::default();
        store.recorder.scope(|| histogram!("h").record(great));
        store.tick(secs(1));
        for small in [0.25, 1.0, -3.0] {
            store.recorder.scope(|| histogram!("h").record(small));
            store.tick(secs(1));
            let h = store.recall.histograms("h").over(secs(1));
            assert_eq!(
                (h.count(), h.sum(), h.max()),
                (Some(1), Some(small), Some(small)),
                "after {great}"
            );
        }
    }
}

#[test]
fn record_many_counts_exactly() {
    let billions = usize::try_from(10_u64.pow(10)).unwrap_or(usize::MAX);
    let store = Store::default();
    let many = |n: usize| store.recorder.scope(|| histogram!("h").record_many(2.5, n));
    many(0);
    store.tick(secs(1));
    let h = store.recall.histograms("h");
    assert_eq!(
        (
            h.clone().over(secs(1)).count(),
            h.clone().over(secs(1)).max()
        ),
        (Some(0), None)
    );
    many(1);
    store.tick(secs(1));
    assert_eq!(h.clone().over(secs(1)).count(), Some(1));
    let mut all = 1;
    for round in 0..5_u64 {
        many(billions);
        many((1 << 32) - 1);
        many(1);
        many(1 << 32);
        let expected = billions as u64 + (2 << 32);
        store.tick(secs(1));
        let newest = h.clone().over(secs(1));
        assert_eq!(newest.count(), Some(expected), "round {round}");
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let sum = expected as f64 * 2.5;
        assert_eq!(newest.sum(), Some(sum));
        all += expected;
    }
    assert_eq!(h.over(Duration::MAX).count(), Some(all));
}

/// A count of 2^63 was taken for a bucket that is read in the middle of a record, and was lost.
#[test]
fn half_of_all_numbers_in_one_tick_are_counted() {
    for n in [
        usize::MAX / 2,
        usize::MAX / 2 + 1,
        usize::MAX - 1,
        usize::MAX,
    ] {
        let store = Store::default();
        store.recorder.scope(|| histogram!("h").record_many(2.5, n));
        store.tick(secs(1));
        let h = store.recall.histograms("h").over(secs(1));
        assert_eq!(h.count(), Some(n as u64));
        assert_eq!(h.quantile(0.5), Some(2.5));
    }
}

/// A bucket whose count wraps to nothing made the tick panic in debug builds, and held one value in others.
#[test]
fn counts_that_wrap_leave_no_bucket_behind() {
    let half = usize::MAX / 2 + 1;
    let store = Store::default();
    let h = store.recorder.scope(|| histogram!("h"));
    h.record_many(2.5, half);
    std::thread::scope(|scope| {
        scope.spawn(|| h.record_many(2.5, half));
    });
    h.record_many(7.5, 3);
    store.tick(secs(1));
    let newest = store.recall.histograms("h").over(secs(1));
    assert_eq!(newest.count(), Some(3));
    assert!(newest.quantile(0.1) > Some(7.0));

    h.record_many(2.5, half);
    store.tick(secs(1));
    h.record_many(2.5, half);
    h.record_many(7.5, 2);
    store.tick(secs(0));
    assert_eq!(newest.count(), Some(2));
    assert!(newest.quantile(0.1) > Some(7.0));
}

/// The sum of a tick went from one end of the floats to the other, was infinite on the way, and was left out.
#[test]
fn sums_beyond_the_floats_stay_at_their_end() {
    let store = Store::default();
    store.recorder.scope(|| histogram!("h").record(f64::MIN));
    store.tick(secs(1));
    let newest = store.recall.histograms("h").over(secs(1));
    for by in [1, 0] {
        store.recorder.scope(|| {
            histogram!("h").record(f64::MAX);
            histogram!("h").record(f64::MAX);
        });
        store.tick(secs(by));
        assert_eq!(newest.sum(), Some(f64::MAX));
    }
}

/// A value times its count was infinite, and was left out: the mean of 1e300 was nearly nothing.
#[test]
fn values_that_leave_the_floats_by_their_count_stay_at_their_end() {
    let many = usize::MAX / 3;
    let hot = 1 << 16; // values of a tick that lanes are hung for
    for value in [1e300, -1e300] {
        let end = f64::MAX.copysign(value);
        let store = Store::default();
        let handle = store.recorder.scope(|| histogram!("h"));
        let newest = store.recall.histograms("h").over(secs(1));
        let is_at_its_end = |why: &str| {
            store.tick(secs(1));
            let count = many as u64 + 2;
            let sum = (newest.count(), newest.sum());
            assert_eq!(sum, (Some(count), Some(end)), "{why}");
            #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
            let mean = end / count as f64;
            assert_eq!(newest.avg(), Some(mean), "{why}");
        };
        // The sum is not zero before, and something comes after.
        let record = || {
            handle.record(value);
            handle.record_many(value, many);
            handle.record(0.5);
        };
        record();
        is_at_its_end("of the owner");
        std::thread::scope(|scope| scope.spawn(record).join().unwrap());
        is_at_its_end("of another thread");
        let warm = || (0..hot).for_each(|_| handle.record(0.5));
        std::thread::scope(|scope| scope.spawn(warm).join().unwrap());
        store.tick(secs(1));
        std::thread::scope(|scope| scope.spawn(record).join().unwrap());
        is_at_its_end("in a lane");
    }
}

#[test]
fn record_many_counts_exactly_on_a_foreign_thread() {
    let billions = usize::try_from(10_u64.pow(10)).unwrap_or(usize::MAX);
    let store = Store::default();
    let handle = store.recorder.scope(|| histogram!("h"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for value in [2.5, 0.0, -2.5] {
                handle.record_many(value, 0);
                handle.record_many(value, billions);
                handle.record_many(value, (1 << 32) - 1);
                handle.record(value);
            }
        });
    });
    store.tick(secs(1));
    let h = store.recall.histograms("h").over(secs(1));
    assert_eq!(h.count(), Some(3 * (billions as u64 + (1 << 32))));
    assert_eq!(
        (h.sum(), h.min(), h.max()),
        (Some(0.0), Some(-2.5), Some(2.5))
    );
    let near = |q, value: f64| {
        h.quantile(q)
            .is_some_and(|v| (v / value - 1.0).abs() < 0.022)
    };
    assert!(near(0.2, -2.5) && near(0.9, 2.5));
    assert_eq!(h.quantile(0.5), Some(0.0));
}

/// The geometric middle of a range of one value must be that value, and not one beside it.
#[test]
fn quantiles_of_one_value_are_that_value() {
    for value in [2.5, 0.1, -2.5, -1e-9, 1.0, 1e300, 0.0, 7.3] {
        let store = histograms(&[value; 9]);
        let h = store.recall.histograms("h").over(secs(9));
        for q in [0.0, 0.01, 0.5, 0.99, 1.0] {
            assert_eq!(h.quantile(q), Some(value));
        }
    }
}

#[test]
fn the_first_absolute_is_a_baseline() {
    let store = Store::default();
    store.recorder.scope(|| counter!("n").absolute(1_000_000));
    store.tick(secs(1));
    let n = store.recall.counters("n");
    assert_eq!(n.total(), Some(1_000_000));
    assert_eq!(n.clone().over(secs(9)).increase(), Some(0));
    assert_eq!(n.clone().over(secs(9)).rate(), Some(0.0));
    store.recorder.scope(|| counter!("n").absolute(1_000_007));
    store.tick(secs(1));
    assert_eq!(n.total(), Some(1_000_007));
    assert_eq!(n.over(secs(9)).increase(), Some(7));
}

#[test]
fn of_absolutes_the_greatest_wins() {
    let store = Store::default();
    let n = store.recall.counters("n");
    let mut greatest = 50;
    for value in [50, 10, 49, 0, 60, 60, 55, 61] {
        store.recorder.scope(|| counter!("n").absolute(value));
        store.tick(secs(1));
        greatest = greatest.max(value);
        assert_eq!(n.total(), Some(greatest));
        assert_eq!(
            n.clone().over(Duration::MAX).increase(),
            Some(greatest - 50)
        );
    }
}

#[test]
fn absolutes_and_increments_add_up() {
    let store = Store::default();
    let n = store.recall.counters("n");
    let handle = store.recorder.scope(|| counter!("n"));
    let steps = [
        (Some(3), None, 3, 3),
        (None, Some(100), 103, 3),
        (Some(4), None, 107, 7),
        (None, Some(90), 107, 7),
        (Some(1), Some(110), 118, 18),
    ];
    for (increment, absolute, total, increase) in steps {
        increment.inspect(|by| handle.increment(*by));
        absolute.inspect(|to| handle.absolute(*to));
        store.tick(secs(1));
        assert_eq!(n.total(), Some(total));
        assert_eq!(n.clone().over(Duration::MAX).increase(), Some(increase));
    }
    // Floors of threads do not add up.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    store.recorder.scope(|| counter!("n").absolute(200));
                }
            });
        }
    });
    store.tick(secs(1));
    assert_eq!(n.total(), Some(208));
    assert_eq!(n.over(Duration::MAX).increase(), Some(108));
}

#[test]
fn an_absolute_of_zero_is_a_baseline_too() {
    let store = Store::default();
    store.recorder.scope(|| counter!("n").absolute(0));
    store.tick(secs(1));
    store.recorder.scope(|| counter!("n").absolute(5));
    store.tick(secs(1));
    let n = store.recall.counters("n");
    assert_eq!(
        (n.total(), n.over(Duration::MAX).increase()),
        (Some(5), Some(5))
    );
}

#[test]
fn the_greatest_counters_stay_counters() {
    let store = Store::default();
    store.recorder.scope(|| {
        counter!("absolute").absolute(u64::MAX);
        counter!("incremented").increment(u64::MAX);
    });
    store.tick(secs(1));
    assert!(store.recall.counters("absolute").total() >= Some(u64::MAX - 1));
    let n = store.recall.counters("incremented");
    assert_eq!(
        (n.total(), n.over(secs(1)).increase()),
        (Some(u64::MAX), Some(u64::MAX))
    );
}

#[test]
fn a_spike_between_two_ticks_is_seen() {
    let store = Store::default();
    let g = store.recorder.scope(|| gauge!("g"));
    g.set(10.0);
    store.tick(secs(1));
    g.set(99.0);
    g.set(-99.0);
    g.set(10.0);
    store.tick(secs(1));
    store.tick(secs(1));
    let ask = store.recall.gauges("g");
    let all = ask.clone().over(Duration::MAX);
    assert_eq!(
        (all.min(), all.max(), all.avg()),
        (Some(-99.0), Some(99.0), Some(10.0))
    );
    let newest = ask.over(secs(1));
    assert_eq!((newest.min(), newest.max()), (Some(10.0), Some(10.0)));
}

#[test]
fn a_gauge_holds_its_value_in_ticks_without_sets() {
    let store = Store::from(Recall::builder().retention(secs(5)));
    store.recorder.scope(|| gauge!("g").set(3.5));
    // Far beyond retention: no frame mentions it any more.
    for _ in 0..30 {
        store.tick(secs(1));
        let g = store.recall.gauges("g").over(secs(1));
        assert_eq!(
            (g.min(), g.max(), g.avg(), g.count()),
            (Some(3.5), Some(3.5), Some(3.5), Some(1))
        );
    }
    store.recorder.scope(|| gauge!("g").set(4.5));
    store.tick(secs(1));
    let steps = store.recall.gauges("g").over(secs(3)).every(secs(1)).max();
    let steps: Vec<_> = steps.iter().map(|p| p.value).collect();
    assert_eq!(steps, [Some(3.5), Some(3.5), Some(4.5)]);
}

#[test]
fn absent_is_not_zero() {
    let store = Store::default();
    store.tick(secs(1));
    let (c, g, h) = store
        .recorder
        .scope(|| (counter!("n"), gauge!("n"), histogram!("n")));
    store.tick(secs(1));
    let window = Duration::MAX;
    // Registered is there, with a value of zero.
    assert_eq!(store.recall.counters("n").total(), Some(0));
    assert_eq!(store.recall.counters("n").over(window).rate(), Some(0.0));
    assert_eq!(store.recall.gauges("n").current(), Some(0.0));
    assert_eq!(store.recall.histograms("n").over(window).count(), Some(0));
    assert_eq!(store.recall.histograms("n").over(window).sum(), Some(0.0));
    // A gauge was nothing before it was there; a histogram without values has no mean.
    assert_eq!(store.recall.gauges("n").over(window).count(), Some(1));
    let steps = store.recall.gauges("n").over(window).every(secs(1)).max();
    assert_eq!(
        steps.iter().map(|p| p.value).collect::<Vec<_>>(),
        [None, Some(0.0)]
    );
    assert_eq!(store.recall.histograms("n").over(window).avg(), None);
    assert_eq!(
        store.recall.histograms("n").over(window).quantile(0.5),
        None
    );
    assert_eq!(store.recall.histograms("n").over(window).min(), None);
    // Never seen is absent.
    assert_eq!(store.recall.counters("m").total(), None);
    assert_eq!(store.recall.counters("m").over(window).rate(), None);
    assert_eq!(store.recall.gauges("m").over(window).max(), None);
    assert_eq!(store.recall.histograms("m").over(window).count(), None);
    assert_eq!(store.recall.counters("n").label("k", "v").total(), None);
    assert!(
        store
            .recall
            .counters("m")
            .by("k")
            .over(window)
            .rate()
            .is_empty()
    );
    assert!(
        store
            .recall
            .counters("m")
            .over(window)
            .every(secs(1))
            .rate()
            .is_empty()
    );
    drop((c, g, h));
}

#[test]
fn before_the_first_tick_windows_have_no_answer_and_live_values_do() {
    let store = Store::default();
    store.recorder.scope(|| {
        counter!("n").increment(3);
        gauge!("g").set(1.0);
    });
    assert_eq!(store.recall.counters("n").total(), Some(3));
    assert_eq!(store.recall.gauges("g").current(), Some(1.0));
    assert_eq!(
        store.recall.counters("n").over(Duration::MAX).increase(),
        None
    );
    assert_eq!(store.recall.gauges("g").over(Duration::MAX).max(), None);
    assert!(
        store
            .recall
            .counters("n")
            .over(secs(1))
            .every(secs(1))
            .rate()
            .is_empty()
    );
}

/// The overflow series of a gauge that was over the limit was not exposed before somebody set it.
#[test]
fn a_gauge_beyond_the_limit_is_shown_with_the_next_tick() {
    let builder = Recall::builder().max_series_per_metric(1);
    let (recorder, recall) = builder.clock(Clock::manual().0).build().unwrap();
    recorder.scope(|| {
        metrics::gauge!("depth", "queue" => "a").set(1.0);
        for _ in 0..3 {
            recall.tick();
        }
        let _held = metrics::gauge!("depth", "queue" => "b");
        recall.tick();
    });
    let text = recall.render();
    assert!(text.contains("depth{overflow=\"true\"} 0\n"), "{text}");
}
