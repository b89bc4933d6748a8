//! What questions cost: one series, a thousand of them by label, six hundred steps, and a name that nobody has.

use std::hint::black_box;

use metrics::{Counter, counter};
use metrics_recall::{Aggregation, mins, secs};

use crate::history::{SERIES, store};
use crate::measure::{SAMPLES, Samples, nanos_each, note, pin, yard};
use crate::subject::{Setup, Subject};

/// Longer than what is asked about, so that no window is clamped.
const TICKS: u64 = 900;

/// Group `questions`: counters that rise in each tick, asked in the same process.
pub fn questions(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup::default());
    let single = counter!("single");
    let grouped: Vec<Counter> = (0..SERIES)
        .map(|i| counter!("grouped", "i" => i.to_string()))
        .collect();
    for tick in 0..TICKS {
        single.increment(40 + tick % 23);
        for counter in &grouped {
            counter.increment(1 + tick % 7);
        }
        rig.upkeep();
    }
    let recall = store(&rig);
    let rate = || recall.counters("single").over(mins(5)).rate();
    let rates = || recall.counters("grouped").by("i").over(mins(5)).rate();
    let steps = || {
        let window = recall.counters("single").over(mins(10));
        window.every(secs(1)).rate()
    };
    let typo = || recall.counters("singel").over(mins(5)).rate();
    note(&format!(
        "questions answer {:?}, {} groups, {} steps, and {:?} to a typo",
        rate(),
        rates().len(),
        steps().len(),
        typo()
    ));
    measure("ask_rate", 1_000, rate);
    measure("ask_by", 10, rates);
    measure("ask_every", 100, steps);
    measure("ask_typo", 10_000, typo);
    let watch = recall
        .counters("single")
        .over(mins(5))
        .watch(Aggregation::Rate);
    measure("watch_get", 100_000, || watch.get());
}

fn measure<T>(id: &str, times: usize, ask: impl Fn() -> T) {
    let mut samples = Samples::default();
    for _ in 0..SAMPLES {
        let yard = yard();
        samples.push(
            yard,
            nanos_each(times, |_| {
                black_box(ask());
            }),
        );
    }
    samples.report(id);
}
