//! Quantiles against the exact ranks of a sorted vector.
//!
//! The answer for `q` stands for the value of rank `ceil(q n)`, and is off by at most half a bucket, geometrically: by
//! `sqrt(2^(2^-s))` at schema `s`. Quantiles 0 and 1 are exact.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Store;
use metrics::{Histogram, histogram};
use metrics_recall::{MemoryProfile, Recall, Tier, secs};
use proptest::prelude::*;
use std::{ops::RangeInclusive, thread, time::Duration};

/// Profiles with each schema, and that schema.
const PROFILES: [(MemoryProfile, i32); 3] = [
    (MemoryProfile::Edge, 3),
    (MemoryProfile::Production, 4),
    (MemoryProfile::Development, 5),
];

/// Most that an answer may be off, as a factor; and what floats round.
fn off_by(schema: i32) -> f64 {
    f64::from(-schema).exp2().exp2().sqrt() * (1.0 + 1e-12)
}

/// A sequence of numbers that is the same everywhere (Steele et al., "Fast splittable pseudorandom number generators").
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// At least 0, below 1.
    fn uniform(&mut self) -> f64 {
        f64::from((self.next() >> 32) as u32) / f64::from(u32::MAX).next_up()
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

fn some(n: usize, seed: u64, value: impl Fn(&mut Dice) -> f64) -> Vec<f64> {
    let mut dice = Dice(seed);
    (0..n).map(|_| value(&mut dice)).collect()
}

fn across_twelve_decades(dice: &mut Dice) -> f64 {
    10f64.powf(dice.uniform().mul_add(12.0, -6.0))
}

fn lognormal(dice: &mut Dice) -> f64 {
    (dice.normal() * 1.5 - 4.0).exp()
}

fn of_both_signs(dice: &mut Dice) -> f64 {
    let value = across_twelve_decades(dice);
    [value, -value, 0.0][(dice.next() % 3) as usize]
}

/// Shares that are asked about: the ends, what people ask for, and each rank when there are few.
fn shares(n: usize) -> Vec<f64> {
    let mut all = vec![
        0.0, 1e-9, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99,
    ];
    all.extend([0.999, 0.999_9, 1.0 - 1e-9, 1.0]);
    let steps = u32::try_from(n.min(200)).unwrap();
    all.extend((0..=steps).map(|i| f64::from(i) / f64::from(steps)));
    all
}

/// The value of rank `ceil(q n)`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "ranks of a vector"
)]
fn exact(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.max(1) - 1]
}

fn assert_near(answer: f64, exact: f64, schema: i32, what: &str) {
    if exact.abs() < f64::MIN_POSITIVE {
        assert!(answer == 0.0, "{what}: {answer} for {exact}");
        return;
    }
    let factor = answer / exact;
    let most = off_by(schema);
    assert!(
        (1.0 / most..=most).contains(&factor),
        "{what}: {answer} for {exact} is off by {factor}, at most {most} is allowed"
    );
}

/// Compares every answer of one window with the values recorded in it.
fn assert_answers(store: &Store, schema: i32, window: Duration, values: &[f64]) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ask = store.recall.histograms("h").over(window);
    assert_eq!(ask.count(), Some(values.len() as u64));
    let (least, most) = (sorted.first().copied(), sorted.last().copied());
    assert_eq!((ask.min(), ask.max()), (least, most));
    assert_eq!((ask.quantile(0.0), ask.quantile(1.0)), (least, most));
    // Subnormal values share the bucket of zero.
    let tame = |v: f64| if v.is_subnormal() { 0.0 } else { v };
    let mut before = f64::NEG_INFINITY;
    let mut shares = shares(values.len());
    shares.sort_by(f64::total_cmp);
    for q in shares {
        let answer = tame(ask.quantile(q).unwrap());
        assert!(
            answer >= before,
            "quantiles fall at {q}: {answer} after {before}"
        );
        before = answer;
        assert_near(
            answer,
            exact(&sorted, q),
            schema,
            &format!("q {q}, schema {schema}"),
        );
        assert!(least.map(tame) <= Some(answer) && Some(answer) <= most.map(tame));
    }
}

fn record(values: &[f64]) -> impl Fn() {
    move || {
        let handle = histogram!("h");
        for value in values {
            handle.record(*value);
        }
    }
}

fn check(values: &[f64]) {
    for (profile, schema) in PROFILES {
        let store = Store::from(Recall::builder().profile(profile));
        store.recorder.scope(record(values));
        store.tick(secs(1));
        assert_answers(&store, schema, secs(1), values);
    }
}

#[test]
fn across_twelve_decades_answers_are_within_half_a_bucket() {
    for seed in 0..4 {
        check(&some(5_000, seed, across_twelve_decades));
    }
    check(&some(100_000, 99, across_twelve_decades));
}

#[test]
fn of_lognormal_latencies_answers_are_within_half_a_bucket() {
    for seed in 0..4 {
        check(&some(5_000, seed, lognormal));
    }
}

#[test]
fn of_both_signs_and_zero_answers_are_within_half_a_bucket() {
    for seed in 0..4 {
        check(&some(5_000, seed, of_both_signs));
    }
}

#[test]
fn of_few_values_every_rank_is_within_half_a_bucket() {
    for n in 1..=40 {
        check(&some(n, n as u64, across_twelve_decades));
        check(&some(n, n as u64, of_both_signs));
    }
}

#[test]
fn powers_of_two_are_in_the_bucket_that_they_end() {
    let powers =
        |range: RangeInclusive<i32>| range.map(|e| f64::from(e).exp2()).collect::<Vec<_>>();
    check(&powers(-40..=40));
    let all = powers(-1_022..=1_023);
    check(&all);
    check(&all.iter().map(|v| -v).collect::<Vec<_>>());
    for value in powers(-20..=20) {
        for near in [value.next_down(), value, value.next_up()] {
            check(&[near]);
            check(&[near, value, value * 1.5]);
        }
    }
}

/// Bounds of buckets, and their neighbours, are where a logarithm is wrong.
#[test]
fn values_at_the_bounds_of_buckets_are_within_half_a_bucket() {
    for (profile, schema) in PROFILES {
        let mut values = Vec::new();
        let steps = 1 << schema;
        for k in -10 * steps..=10 * steps {
            let bound = (f64::from(k) / f64::from(steps)).exp2();
            values.extend([bound.next_down().next_down(), bound.next_down(), bound]);
            values.extend([bound.next_up(), bound.next_up().next_up()]);
        }
        let store = Store::from(Recall::builder().profile(profile));
        store.recorder.scope(record(&values));
        store.tick(secs(1));
        assert_answers(&store, schema, secs(1), &values);
    }
}

#[test]
fn extreme_values_are_within_half_a_bucket() {
    check(&[f64::MIN_POSITIVE, f64::MAX, 1.0]);
    check(&[
        f64::MIN,
        -f64::MIN_POSITIVE,
        0.0,
        f64::MIN_POSITIVE,
        f64::MAX,
    ]);
    check(&[1e-300, 1e-200, 1e-100, 1e100, 1e200, 1e300]);
    check(&[f64::MAX, f64::MAX.next_down()]);
    check(&[f64::MIN_POSITIVE, f64::MIN_POSITIVE.next_up()]);
}

#[test]
fn weights_count_as_often_as_they_say() {
    for (profile, schema) in PROFILES {
        let store = Store::from(Recall::builder().profile(profile));
        let mut values = Vec::new();
        store.recorder.scope(|| {
            for (i, value) in (1..).zip(some(60, 5, across_twelve_decades)) {
                histogram!("h").record_many(value, i);
                values.extend(std::iter::repeat_n(value, i));
            }
        });
        store.tick(secs(1));
        assert_answers(&store, schema, secs(1), &values);
    }
}

#[test]
fn ticks_merge_without_loss() {
    for (profile, schema) in PROFILES {
        let store = Store::from(Recall::builder().profile(profile));
        let ticks: Vec<Vec<f64>> = (0..40)
            .map(|i| some(usize::try_from(i * 7 % 83).unwrap(), i, of_both_signs))
            .collect();
        for (n, values) in (1..).zip(&ticks) {
            store.recorder.scope(record(values));
            store.tick(secs(1));
            // Some ticks take no time, and join the one before.
            store.recorder.scope(record(&values[..values.len() / 2]));
            store.tick(secs(0));
            if n % 13 == 0 {
                let so_far = ticks
                    .iter()
                    .take(n)
                    .flat_map(|v| v.iter().chain(&v[..v.len() / 2]));
                let so_far: Vec<f64> = so_far.copied().collect();
                assert_answers(&store, schema, Duration::MAX, &so_far);
            }
        }
        for window in [1, 2, 5, 17, 40] {
            let newest = ticks
                .iter()
                .rev()
                .take(window)
                .flat_map(|v| v.iter().chain(&v[..v.len() / 2]));
            let newest: Vec<f64> = newest.copied().collect();
            assert_answers(&store, schema, secs(window as u64), &newest);
        }
    }
}

#[test]
fn series_merge_without_loss() {
    for (profile, schema) in PROFILES {
        let store = Store::from(Recall::builder().profile(profile));
        let mut all = Vec::new();
        for i in 0..20_u64 {
            // Each somewhere else, and some far apart.
            let scale = 10f64.powi(i32::try_from(i).unwrap() - 10);
            let values = some(300, i, |dice| dice.normal() * scale);
            store.recorder.scope(|| {
                let handle = histogram!("h", "i" => i.to_string(), "half" => (i % 2).to_string());
                for value in &values {
                    handle.record(*value);
                }
            });
            all.extend(values);
        }
        store.tick(secs(1));
        assert_answers(&store, schema, secs(1), &all);
        for (labels, p90) in store
            .recall
            .histograms("h")
            .by("half")
            .over(secs(1))
            .quantile(0.9)
        {
            let half = usize::from(labels.get("half") == Some("1"));
            let series = all.chunks(300).skip(half).step_by(2);
            let mut sorted: Vec<f64> = series.flatten().copied().collect();
            sorted.sort_by(f64::total_cmp);
            assert_near(p90, exact(&sorted, 0.9), schema, "one half");
        }
    }
}

#[test]
fn threads_merge_without_loss() {
    for (profile, schema) in PROFILES {
        let store = Store::from(Recall::builder().profile(profile));
        let shared: Histogram = store.recorder.scope(|| histogram!("h"));
        let parts: Vec<Vec<f64>> = (0..4).map(|i| some(3_000, i, of_both_signs)).collect();
        thread::scope(|scope| {
            for part in &parts {
                let (store, shared) = (&store, shared.clone());
                scope.spawn(move || {
                    for (i, value) in part.iter().enumerate() {
                        if i % 2 == 0 {
                            shared.record(*value);
                        } else {
                            store.recorder.scope(|| histogram!("h").record(*value));
                        }
                    }
                });
            }
            for _ in 0..20 {
                store.tick(secs(1));
                thread::yield_now();
            }
        });
        store.tick(secs(1));
        assert_answers(&store, schema, Duration::MAX, &parts.concat());
    }
}

#[test]
fn bad_shares_have_no_answer() {
    let store = Store::default();
    store.recorder.scope(record(&[1.0, 2.0]));
    store.tick(secs(1));
    let ask = store.recall.histograms("h").over(secs(1));
    for q in [
        f64::NAN,
        -f64::NAN,
        -1e-9,
        1.0 + 1e-9,
        2.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
    ] {
        assert_eq!(ask.quantile(q), None, "{q}");
    }
    assert_eq!(ask.quantile(-0.0), Some(1.0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_any_values_answers_are_within_half_a_bucket(
        values in prop::collection::vec(
            prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL,
            1..60,
        ),
        which in 0..PROFILES.len(),
        split in 0..60_usize,
    ) {
        let (profile, schema) = PROFILES[which];
        let store = Store::from(Recall::builder().profile(profile));
        let (first, second) = values.split_at(split.min(values.len()));
        store.recorder.scope(record(first));
        store.tick(secs(1));
        store.recorder.scope(record(second));
        store.tick(secs(1));
        assert_answers(&store, schema, Duration::MAX, &values);
    }
}

/// Values of both signs span all codes: a list of all counts side by side took so much working memory that a small store
/// refused the question.
#[test]
fn values_of_both_signs_need_no_more_room_than_others() {
    let mut config = MemoryProfile::Edge.config();
    config.tiers = vec![Tier::new(secs(1), secs(2))];
    let store = Store::from(Recall::builder().config(config));
    store.recorder.scope(|| {
        for (label, value) in [("a", -1.0), ("a", 1.0), ("b", -2.0), ("b", 2.0)] {
            histogram!("both", "of" => label).record(value);
        }
    });
    store.tick(Duration::ZERO);
    store.tick(secs(1));
    let all = store.recall.histograms("both").over(Duration::MAX);
    assert_eq!((all.count(), all.sum()), (Some(4), Some(0.0)));
    assert_eq!(
        (all.quantile(0.0), all.quantile(1.0)),
        (Some(-2.0), Some(2.0))
    );
}
