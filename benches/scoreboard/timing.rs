//! Timers, beside what they are made of: two readings of a clock and one record.

use std::hint::black_box;
use std::time::Instant;

use metrics::histogram;
use metrics_recall::{Timer, time};

use crate::measure::{SAMPLES, Samples, WARM, median, nanos_each, pin, report, yard};
use crate::subject::{Rig, Setup, Subject};

/// Operations per sample: some milliseconds.
const N: usize = 100_000;

/// Group `timing`. What is compared is measured in turn, round by round.
pub fn timing(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup::default());
    let clock = quanta::Clock::new();
    in_turn(
        &rig,
        "timer_parts",
        &mut |_| {
            let start = clock.raw();
            let nanos = clock.delta_as_nanos(black_box(start), clock.raw());
            histogram!("by_hand_seconds").record(nanos as f64 / 1e9);
        },
        &mut [
            ("timer", "timer_times", &mut |_| {
                drop(black_box(Timer::start(histogram!("timer_seconds"))));
            }),
            ("timer_closure", "", &mut |i| {
                black_box(time(histogram!("closure_seconds"), || black_box(i)));
            }),
            ("timer_std", "", &mut |_| {
                let start = Instant::now();
                histogram!("std_seconds").record(black_box(start).elapsed());
            }),
        ],
    );
}

/// A row's id, that of the row with its ratio to the first operation or nothing, and the operation.
type Compared<'a> = (&'a str, &'a str, &'a mut dyn FnMut(usize));

/// Measures `first` and each of `others`, and the median ratio of each to `first` in the same round.
fn in_turn(rig: &Rig, id: &str, first: &mut dyn FnMut(usize), others: &mut [Compared<'_>]) {
    let mut base = Samples::default();
    let mut samples: Vec<(Samples, Vec<f64>)> = others.iter().map(|_| Default::default()).collect();
    for round in 0..WARM + SAMPLES {
        let yard = yard();
        let nanos = nanos_each(N, &mut *first);
        for ((_, _, operation), (samples, ratios)) in others.iter_mut().zip(&mut samples) {
            let theirs = nanos_each(N, operation);
            if round >= WARM {
                samples.push(yard, theirs);
                ratios.push(theirs / nanos);
            }
        }
        if round >= WARM {
            base.push(yard, nanos);
        }
        rig.upkeep();
    }
    base.report(id);
    for ((id, ratio, _), (samples, ratios)) in others.iter().zip(samples) {
        samples.report(id);
        if !ratio.is_empty() {
            report(ratio, median(ratios.into_iter()));
        }
    }
}
