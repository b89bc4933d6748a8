//! All samples of all series, for engines with a query language of their own: against lists of everything that was recorded.
#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "a test fails by panicking, counts to small numbers, and compares what was recorded"
)]

mod common;

use common::Store;
use metrics::{counter, gauge, histogram};
use metrics_recall::{Recall, Timestamp, mins, query::HistogramSample, secs};
use std::{collections::BTreeMap, time::Duration};

/// What was recorded until each instant.
type Until<T> = BTreeMap<Timestamp, T>;

/// Long enough for points of all tiers.
const TICKS: u32 = 1_500;

#[test]
fn counters_have_their_cumulative_totals_at_all_points_of_all_tiers() {
    let store = Store::default();
    let mut until: Until<u64> = BTreeMap::new();
    let mut total = 0;
    for tick in 0..TICKS {
        let by = u64::from(tick * 7 % 11);
        store
            .recorder
            .scope(|| counter!("n", "k" => "a").increment(by));
        total += by;
        until.insert(store.tick(secs(1)).at, total);
    }
    // Not in any tick yet: of no point, and in no total of one.
    store
        .recorder
        .scope(|| counter!("n", "k" => "a").increment(1_000));
    for window in [secs(30), mins(15), Duration::MAX] {
        let all = store.recall.counters("n").over(window);
        let series = all.samples().unwrap();
        assert_eq!((series.len(), series[0].labels.get("k")), (1, Some("a")));
        let mut before = None;
        for (at, sample) in &series[0].samples {
            assert_eq!(sample.total, until[at], "at {at}");
            if let Some(before) = before {
                assert_eq!(sample.increase, sample.total - before, "at {at}");
            }
            before = Some(sample.total);
        }
        let sum = series[0]
            .samples
            .iter()
            .map(|(_, sample)| sample.increase)
            .sum();
        assert_eq!(all.increase(), Some(sum));
    }
    let whole = store
        .recall
        .counters("n")
        .over(Duration::MAX)
        .samples()
        .unwrap();
    let times: Vec<i64> = whole[0]
        .samples
        .iter()
        .map(|(at, _)| at.as_millis())
        .collect();
    assert!(
        times.windows(2).any(|two| two[1] - two[0] == 10_000),
        "{times:?}"
    );
    assert_eq!(times.last(), Some(&store.recall.now().as_millis()));
}

#[test]
fn a_window_in_the_past_has_the_totals_of_its_time() {
    let store = Store::default();
    let mut ends = Vec::new();
    for by in 1..=60 {
        store.recorder.scope(|| counter!("n").increment(by));
        ends.push(store.tick(secs(1)).at);
    }
    let past = store.recall.counters("n").between(ends[9], ends[19]);
    let samples = &past.samples().unwrap()[0].samples;
    let totals: Vec<u64> = samples.iter().map(|(_, sample)| sample.total).collect();
    let expected: Vec<u64> = (11..=20).map(|n| n * (n + 1) / 2).collect();
    assert_eq!(totals, expected);
}

#[test]
fn a_counter_that_is_born_late_was_zero_before() {
    let store = Store::default();
    for tick in 0..4 {
        store.recorder.scope(|| {
            counter!("n", "k" => "old").increment(1);
            if tick >= 2 {
                counter!("n", "k" => "young").increment(5);
            }
        });
        store.tick(secs(1));
    }
    let series = store.recall.counters("n").over(mins(1)).samples().unwrap();
    let totals = |at: usize| -> Vec<u64> {
        let samples = series[at].samples.iter();
        samples.map(|(_, sample)| sample.total).collect()
    };
    assert_eq!(totals(0), [1, 2, 3, 4]);
    assert_eq!(totals(1), [0, 0, 5, 10]);
}

#[test]
fn a_reset_makes_no_total_fall() {
    let store = Store::default();
    for round in 0..3 {
        for _ in 0..5 {
            store.recorder.scope(|| counter!("n").increment(10));
            store.tick(secs(1));
        }
        if round < 2 {
            store.recall.reset("n").unwrap();
        }
    }
    let series = store.recall.counters("n").over(mins(1)).samples().unwrap();
    let totals: Vec<u64> = series[0]
        .samples
        .iter()
        .map(|(_, sample)| sample.total)
        .collect();
    let expected: Vec<u64> = (1..=15).map(|n| n * 10).collect();
    assert_eq!(totals, expected);
}

#[test]
fn gauges_have_what_they_were_at_the_end_of_each_point_and_what_they_met() {
    let store = Store::default();
    let mut ends: Until<f64> = BTreeMap::new();
    for tick in 0..TICKS {
        store.recorder.scope(|| {
            let gauge = gauge!("level");
            if tick % 3 == 0 {
                gauge.set(f64::from(tick) + 100.0);
                gauge.set(f64::from(tick));
            }
        });
        ends.insert(store.tick(secs(1)).at, f64::from(tick - tick % 3));
    }
    let series = store
        .recall
        .gauges("level")
        .over(Duration::MAX)
        .samples()
        .unwrap();
    let mut from = Timestamp::from_millis(0);
    for (at, sample) in &series[0].samples {
        assert_eq!(sample.value, Some(ends[at]), "at {at}");
        let after = Timestamp::from_millis(from.as_millis() + 1);
        let inside = ends.range(after..=*at).map(|(_, end)| *end);
        let greatest = inside.reduce(f64::max).unwrap();
        let is_set = |max: f64| max == greatest || max == greatest + 100.0;
        assert!(sample.max.is_some_and(is_set), "{sample:?} at {at}");
        from = *at;
    }
    assert_eq!(series[0].samples.last().unwrap().0, store.recall.now());
}

#[test]
fn a_deleted_series_has_no_samples_and_a_reset_gauge_none_since() {
    let store = Store::default();
    store.recorder.scope(|| {
        gauge!("level", "k" => "a").set(1.0);
        gauge!("level", "k" => "b").set(2.0);
    });
    store.tick(secs(1));
    store
        .recall
        .gauges("level")
        .label("k", "a")
        .delete()
        .unwrap();
    store
        .recall
        .gauges("level")
        .label("k", "b")
        .reset()
        .unwrap();
    for _ in 0..3 {
        store.tick(secs(1));
    }
    let series = store
        .recall
        .gauges("level")
        .over(mins(1))
        .samples()
        .unwrap();
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].labels.get("k"), Some("b"));
    assert_eq!(series[0].samples.len(), 1, "{series:?}");
}

/// The bucket of a value by the definition of native histograms.
fn index(value: f64, scale: u8) -> i32 {
    let base = |index: i32| (f64::from(index) / f64::from(scale).exp2()).exp2();
    let guess = (value.log2() * f64::from(scale).exp2()).ceil() as i32;
    (guess - 1..=guess + 1)
        .find(|index| base(index - 1) < value && value <= base(*index))
        .unwrap()
}

#[test]
fn histograms_have_the_native_histogram_of_each_point() {
    let store = Store::default();
    let mut recorded: Vec<(Timestamp, f64)> = Vec::new();
    for tick in 0..TICKS {
        let values: Vec<f64> = (0..tick % 4)
            .map(|n| f64::from(tick * 3 + n) * 0.017 + 0.3)
            .collect();
        store.recorder.scope(|| {
            for value in &values {
                histogram!("took").record(*value);
                histogram!("took").record(-*value);
            }
        });
        let at = store.tick(secs(1)).at;
        recorded.extend(values.iter().map(|value| (at, *value)));
    }
    let all = store.recall.histograms("took").over(Duration::MAX);
    let series = all.samples().unwrap();
    let mut rest = &recorded[..];
    for (at, sample) in &series[0].samples {
        let n = rest.partition_point(|(end, _)| end <= at);
        let (inside, after) = rest.split_at(n);
        rest = after;
        let mut expected: BTreeMap<i32, u64> = BTreeMap::new();
        for (_, value) in inside {
            *expected.entry(index(*value, sample.scale)).or_default() += 1;
        }
        let buckets: Vec<(i32, u64)> = expected.into_iter().collect();
        let HistogramSample {
            count,
            sum,
            min,
            max,
            ..
        } = *sample;
        assert_eq!(
            (count, sample.blurred, sample.zero),
            (2 * n as u64, 0, 0),
            "at {at}"
        );
        assert_eq!(
            (&sample.positive, &sample.negative),
            (&buckets, &buckets),
            "at {at}"
        );
        let most = inside.iter().map(|(_, value)| *value).reduce(f64::max);
        assert_eq!((min, max), (most.map(|most| -most), most), "at {at}");
        assert!(sum.abs() < 1e-9 * n as f64 + 1e-12, "{sum} at {at}");
    }
    assert_eq!(rest, []);
}

#[test]
fn a_snapshot_has_the_same_samples_whatever_comes_later() {
    let store = Store::default();
    let tick = |n: u64| {
        store.recorder.scope(|| {
            counter!("n").increment(n);
            histogram!("took").record(n as f64);
        });
        store.tick(secs(1));
    };
    (1..=40).for_each(tick);
    let then = store.recall.snapshot();
    let counters = then.counters("n").over(Duration::MAX);
    let histograms = then.histograms("took").over(Duration::MAX);
    let before = (counters.samples().unwrap(), histograms.samples().unwrap());
    assert_eq!(before.0[0].samples.last().unwrap().1.total, 40 * 41 / 2);
    (41..=400).for_each(tick);
    store.recall.reset("n").unwrap();
    assert_eq!(
        before,
        (counters.samples().unwrap(), histograms.samples().unwrap())
    );
}

#[test]
fn labels_select_and_order_series() {
    let store = Store::default();
    store.recorder.scope(|| {
        for id in ["c", "a", "b"] {
            counter!("n", "k" => id, "other" => "x").increment(1);
        }
    });
    store.tick(secs(1));
    let names = |series: Vec<metrics_recall::query::Series<_>>| -> Vec<String> {
        let labels = series
            .iter()
            .map(|series| series.labels.get("k").unwrap().to_owned());
        labels.collect()
    };
    let all = store.recall.counters("n");
    assert_eq!(
        names(all.clone().over(mins(1)).samples().unwrap()),
        ["a", "b", "c"]
    );
    let some = all.label_matches("k", "a|c").unwrap().over(mins(1));
    assert_eq!(names(some.samples().unwrap()), ["a", "c"]);
}

#[test]
fn a_question_for_too_much_or_for_nothing_says_why() {
    let store = Store::from(Recall::builder().max_series_per_metric(3_000));
    store.recorder.scope(|| {
        for id in 0..2_100 {
            counter!("many", "id" => id.to_string()).increment(1);
        }
    });
    for _ in 0..500 {
        store.tick(secs(1));
    }
    let many = store.recall.counters("many").over(Duration::MAX);
    let error = many.samples().unwrap_err().to_string();
    assert!(
        error.contains("`many`") && error.contains("1000000") && error.contains("shorter window"),
        "{error}"
    );
    let few = store
        .recall
        .counters("many")
        .label("id", "7")
        .over(Duration::MAX);
    assert_eq!(few.samples().unwrap().len(), 1);
    let error = store
        .recall
        .counters("nany")
        .over(mins(1))
        .samples()
        .unwrap_err();
    assert!(
        error.is_unknown_metric() && error.to_string().contains("`many`"),
        "{error}"
    );
    let before = Recall::builder().build().unwrap();
    before.0.scope(|| counter!("n").increment(1));
    let series = before.1.counters("n").over(mins(1)).samples().unwrap();
    assert_eq!((series.len(), series[0].samples.len()), (1, 0));
}
