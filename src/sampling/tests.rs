//! Whether what is sampled stands for what was not, by statistics that can fail.

use super::{chance, chosen};
use metrics::{Counter, CounterFn, Histogram, HistogramFn};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};

const N: u32 = 64;
const CALLS: u32 = 64 * 20_000;

/// A count and a sum, as a recorder would keep them; `record_many` at once.
#[derive(Default)]
struct Pile(Mutex<(f64, f64)>);

impl HistogramFn for Pile {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    fn record_many(&self, value: f64, count: usize) {
        let mut pile = self.0.lock().unwrap();
        pile.0 += count as f64;
        pile.1 += value * count as f64;
    }
}

#[derive(Default)]
struct Total(AtomicU64);

impl CounterFn for Total {
    fn increment(&self, by: u64) {
        self.0.fetch_add(by, Relaxed);
    }

    fn absolute(&self, _: u64) {}
}

/// By how many standard deviations `seen` is off `expected`, for a sum of `calls` values with that sum of squares, each taken
/// with probability `1/n` and counted `n` times.
fn deviations(seen: f64, expected: f64, squares: f64, n: u32) -> f64 {
    let variance = squares * f64::from(n - 1);
    (seen - expected) / variance.sqrt()
}

/// Eight values a period, one of them ten thousand times the others: what a stride would always or never hit.
fn value(i: u32) -> f64 {
    if i.is_multiple_of(N) { 10_000.0 } else { 1.0 }
}

#[test]
fn counts_and_sums_are_right_under_a_period_that_is_the_stride() {
    let mut worst: f64 = 0.0;
    let mut mean = 0.0;
    for seed in 1..=16 {
        chance::seed_with(seed * 0x9e37_79b9);
        let pile = Arc::new(Pile::default());
        let histogram = Histogram::from_arc(pile.clone());
        let (mut sum, mut squares) = (0.0, 0.0);
        for i in 0..CALLS {
            let value = value(i);
            sum += value;
            squares += value * value;
            sampled!(1 in 64, histogram.clone()).record(value);
        }
        let (count, total) = *pile.0.lock().unwrap();
        let counted = deviations(count, f64::from(CALLS), f64::from(CALLS), N);
        let summed = deviations(total, sum, squares, N);
        worst = worst.max(counted.abs()).max(summed.abs());
        mean += summed / 16.0;
    }
    // Of 32 draws from a normal distribution, one beyond 4 comes once in 500 sets of seeds, and these are fixed.
    assert!(worst < 4.0, "{worst}");
    assert!(
        mean.abs() < 1.0,
        "the mean of 16 is off by {mean} deviations of one"
    );
}

/// The judge is judged: a stride, which is what chance is there to replace, does not pass.
#[test]
fn a_stride_would_not_pass() {
    let (mut seen, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for i in 0..CALLS {
        let value = value(i);
        sum += value;
        squares += value * value;
        if i % N == 1 {
            seen += value * f64::from(N);
        }
    }
    assert!(deviations(seen, sum, squares, N).abs() > 10.0);
}

#[test]
fn counters_are_weighted_too() {
    chance::seed_with(7);
    let total = Arc::new(Total::default());
    let counter = Counter::from_arc(total.clone());
    for _ in 0..CALLS {
        sampled!(1 in 64, counter.clone()).increment(3);
    }
    let seen = f64::from(u32::try_from(total.0.load(Relaxed)).unwrap());
    let calls = f64::from(CALLS);
    assert!(
        deviations(seen, 3.0 * calls, 9.0 * calls, N).abs() < 4.0,
        "{seen}"
    );
}

#[test]
fn one_in_one_takes_everything_and_others_their_share() {
    chance::seed_with(11);
    assert!((0..1_000).all(|_| chosen(1) == Some(1)));
    for n in [2, 3, 10, 1_000] {
        let taken = (0..CALLS).filter(|_| chosen(n).is_some()).count();
        let taken = f64::from(u32::try_from(taken).unwrap()) * f64::from(n);
        let calls = f64::from(CALLS);
        assert!(
            deviations(taken, calls, calls, n).abs() < 4.0,
            "{n}: {taken}"
        );
    }
}

#[test]
fn an_automatic_rate_keeps_counts_and_sums_right_while_it_changes() {
    /// Calls and nanoseconds between them.
    const PHASES: [(u32, u64); 5] = [
        (400_000, 1_000),
        (100, 1_000_000),
        (300_000, 20_000),
        (50_000, 500_000),
        (600_000, 2_000),
    ];
    let mut mean = 0.0;
    for seed in 1..=16 {
        chance::seed_with(seed * 0x51ed_270b);
        let pile = Arc::new(Pile::default());
        let histogram = Histogram::from_arc(pile.clone());
        let auto = super::Auto::new();
        let (mut sum, mut variance, mut most) = (0.0, 0.0, 0);
        let mut now = 0;
        for (calls, step) in PHASES {
            for i in 0..calls {
                now += step;
                let value = if i.is_multiple_of(N) { 20.0 } else { 1.0 };
                sum += value;
                if let Some(weight) = auto.chosen_at(|| now) {
                    super::Sampled::new(histogram.clone(), weight).record(value);
                }
                variance += value * value * f64::from(auto.n() - 1);
                most = most.max(auto.n());
            }
        }
        assert_eq!(most, 1_000, "a call in a microsecond");
        let (_, total) = *pile.0.lock().unwrap();
        let off = (total - sum) / f64::sqrt(variance);
        assert!(off.abs() < 4.0, "seed {seed}: {off} deviations");
        mean += off / 16.0;
    }
    assert!(
        mean.abs() < 1.0,
        "the mean of 16 is off by {mean} deviations of one"
    );
}

#[test]
fn a_site_in_a_loop_is_thinned() {
    let taken = (0..CALLS)
        .filter(|_| crate::__sampling_auto!().is_some())
        .count();
    assert!((1..CALLS as usize / 4).contains(&taken), "{taken}");
}
