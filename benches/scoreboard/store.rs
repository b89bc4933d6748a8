//! The store around the hot path: ticks, the slowest registration, and records amid ticks and evictions.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use metrics::{Counter, Histogram, counter, histogram};
use metrics_recall::secs;

use crate::measure::{Samples, lognormal, median, nanos_each, note, pin, report, yard};
use crate::subject::{Rig, Setup, Subject};

const TICKED: usize = 100_000;
const HISTOGRAMS: usize = 10_000;
/// Enough for several segments of sixty points, each sealed on the way.
const TICKS: usize = 300;
const REGISTERED: usize = 1_000_000;
const RECORDS: usize = 2_000_000;

/// Group `tick`: the engine over 100,000 counters, all of them active, then all idle.
pub fn tick(subject: Subject) {
    pin(0);
    let setup = Setup {
        budget: Some(1 << 30),
        series: Some(2 * TICKED),
        ..Setup::default()
    };
    let rig = subject.install(setup);
    let held: Vec<Counter> = (0..TICKED)
        .map(|i| counter!("ticked", "i" => i.to_string()))
        .collect();
    let mut state = 5_u64;
    let mut active = |series: usize| {
        for counter in held.iter().take(series) {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            counter.increment(40 + (state >> 59));
        }
    };
    let all = ticks(&rig, "tick_active", TICKED, || active(TICKED));
    report("tick_slowest", all.slowest / all.median);
    // What was active before is sealed first.
    (0..TICKS).for_each(|_| rig.upkeep());
    ticks(&rig, "tick_idle", TICKED, || {});
    // The idle ones cost next to nothing: this is what a store of that size has to do.
    let some = ticks(&rig, "tick_some", TICKED, || active(TICKED / 10));
    report("tick_tenfold", all.median / some.median);
}

/// Group `tick_histograms`: 10,000 of them with 10 samples a tick each, log-normal in some eight octaves.
pub fn tick_histograms(subject: Subject) {
    pin(0);
    let setup = Setup {
        budget: Some(1 << 30),
        series: Some(2 * HISTOGRAMS),
        ..Setup::default()
    };
    let rig = subject.install(setup);
    let held: Vec<Histogram> = (0..HISTOGRAMS)
        .map(|i| histogram!("ticked_seconds", "i" => i.to_string()))
        .collect();
    let values = lognormal(4, 9_973, 1.0);
    let mut next = 0;
    ticks(&rig, "tick_histograms", HISTOGRAMS, || {
        for histogram in &held {
            for _ in 0..10 {
                histogram.record(values[next % values.len()]);
                next += 1;
            }
        }
    });
}

/// Group `register`: a million new series, each timed.
pub fn register(subject: Subject) {
    pin(0);
    let setup = Setup {
        budget: Some(512 << 20),
        series: Some(2 * REGISTERED),
        ..Setup::default()
    };
    let _rig = subject.install(setup);
    let (mut slowest, mut total) = (0, 0);
    for i in 0..REGISTERED {
        let value = i.to_string();
        let start = Instant::now();
        counter!("registered", "i" => value).increment(1);
        let nanos = start.elapsed().as_nanos();
        slowest = slowest.max(nanos);
        total += nanos;
    }
    report("register_slowest", slowest as f64);
    report("register_mean", total as f64 / REGISTERED as f64);
}

/// Group `latency`: records on known series, each timed, while another thread ticks and makes series to evict.
pub fn latency(subject: Subject) {
    pin(0);
    let setup = Setup {
        series: Some(200),
        idle: Some(secs(5)),
        ..Setup::default()
    };
    let rig = subject.install(setup);
    let stop = AtomicBool::new(false);
    let mut nanos = thread::scope(|scope| {
        scope.spawn(|| churn(&rig, &stop));
        let nanos = timed_records();
        stop.store(true, Relaxed);
        nanos
    });
    nanos.sort_unstable();
    let clock = clock_cost();
    let at = |q: f64| quantile(&nanos, q) - clock;
    report("record_p9999", at(0.9999));
    report("record_p999", at(0.999));
    report("record_p50", at(0.5));
}

/// Nanoseconds per series.
struct Ticks {
    median: f64,
    slowest: f64,
}

fn ticks(rig: &Rig, id: &str, series: usize, mut record: impl FnMut()) -> Ticks {
    let (mut samples, mut all) = (Samples::default(), Vec::new());
    for round in 0..TICKS {
        record();
        let yard = yard();
        let nanos = nanos_each(1, |_| rig.upkeep()) / series as f64;
        // The first one makes room for all others.
        if round > 0 {
            all.push(nanos);
            samples.push(yard, nanos);
        }
    }
    samples.report(id);
    let slowest = all.iter().copied().fold(0.0, f64::max);
    let median = median(all.iter().copied());
    note(&format!(
        "{id}: of {TICKS} ticks, the median {median:.1}, the slowest {slowest:.1} ns per series"
    ));
    Ticks { median, slowest }
}

/// Ticks without pause; each turn brings 50 series that nobody comes back to, in a metric that has room for 200.
fn churn(rig: &Rig, stop: &AtomicBool) {
    pin(1);
    let mut next = 0_u64;
    while !stop.load(Relaxed) {
        for _ in 0..50 {
            counter!("churned", "i" => next.to_string()).increment(1);
            next += 1;
        }
        rig.upkeep();
    }
}

/// Nanoseconds of each record: a static counter, a dynamic one and a histogram in turn.
fn timed_records() -> Vec<u32> {
    let values = lognormal(3, 1024, 1.0);
    let labels: Vec<String> = (0..100).map(|i| format!("value{i}")).collect();
    let record = |i: usize| match i % 3 {
        0 => counter!("static").increment(1),
        1 => counter!("dynamic", "label" => labels[i % 100].clone()).increment(1),
        _ => histogram!("histogram").record(values[i % 1024]),
    };
    (0..100_000).for_each(record);
    (0..RECORDS).map(|i| timed(|| record(i))).collect()
}

fn timed(run: impl FnOnce()) -> u32 {
    let start = Instant::now();
    run();
    u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX)
}

/// What a timed nothing takes.
fn clock_cost() -> f64 {
    median((0..100_001).map(|_| f64::from(timed(|| {}))))
}

fn quantile(sorted: &[u32], q: f64) -> f64 {
    let last = sorted.len() - 1;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "q is in 0..=1"
    )]
    let rank = (q * last as f64).round() as usize;
    f64::from(sorted[rank])
}
