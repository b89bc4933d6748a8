//! The store around the hot path: ticks, a question, the slowest registration, and records amid ticks and evictions.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use metrics::{Counter, counter, histogram};
use metrics_recall::{Recall, mins, secs};

use crate::measure::{SAMPLES, Samples, lognormal, median, nanos_each, note, pin, report, yard};
use crate::subject::{Rig, Setup, Subject};

const TICKED: usize = 100_000;
/// More than one span of 120 points, so that at least one is sealed on the way.
const TICKS: usize = 130;
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
    ticks(&rig, "tick_active", || {
        for counter in &held {
            counter.increment(50);
        }
    });
    ticks(&rig, "tick_idle", || {});
}

/// Group `query`: five minutes of a busy histogram, 500 log-normal samples in some 100 buckets a tick.
pub fn query(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup::default());
    let busy = histogram!("busy_seconds");
    for tick in 0..301 {
        for value in lognormal(tick, 500, 1.0) {
            busy.record(value);
        }
        rig.upkeep();
    }
    if let Rig::Recall(recall, _) = &rig {
        note(&format!(
            "p99 over 5 min answers {:?} (about 0.05 expected)",
            p99(recall)
        ));
        let mut samples = Samples::default();
        for _ in 0..SAMPLES {
            let yard = yard();
            samples.push(
                yard,
                nanos_each(50, |_| {
                    black_box(p99(recall));
                }),
            );
        }
        samples.report("query_p99");
    }
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

fn ticks(rig: &Rig, id: &str, mut record: impl FnMut()) {
    let (mut samples, mut all) = (Samples::default(), Vec::new());
    for round in 0..TICKS {
        record();
        let yard = yard();
        let nanos = nanos_each(1, |_| rig.upkeep()) / TICKED as f64;
        all.push(nanos);
        if round > 0 {
            samples.push(yard, nanos);
        }
    }
    samples.report(id);
    let slowest = all.iter().copied().fold(0.0, f64::max);
    let (first, middle) = (all[0], median(all.iter().copied()));
    note(&format!(
        "{id}: of {TICKS} ticks, the first {first:.1}, the median {middle:.1}, the slowest {slowest:.1} ns per series"
    ));
}

fn p99(recall: &Recall) -> Option<f64> {
    recall
        .histograms("busy_seconds")
        .over(mins(5))
        .quantile(0.99)
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
