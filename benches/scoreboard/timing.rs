//! Timers, beside what they are made of: two readings of a clock and one record.

use std::hint::black_box;
use std::time::Instant;

use metrics::histogram;
use metrics_recall::{Timer, sampled, throttled, time};

use crate::measure::{
    SAMPLES, Samples, WARM, lognormal, median, nanos_each, pin, report, solo, yard,
};
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
        ("timer_parts", &mut |i| {
            let histogram = histogram!("by_hand_seconds");
            let start = clock.raw();
            black_box(i);
            let nanos = clock.delta_as_nanos(start, clock.raw());
            histogram.record(nanos as f64 / 1e9);
        }),
        &mut [
            ("timer", "timer_times", &mut |i| {
                let timer = Timer::start(histogram!("timer_seconds"));
                black_box(i);
                drop(timer);
            }),
            ("timer_closure", "", &mut |i| {
                time(histogram!("closure_seconds"), || black_box(i));
            }),
            ("timer_std", "", &mut |i| {
                let histogram = histogram!("std_seconds");
                let start = Instant::now();
                black_box(i);
                histogram.record(start.elapsed());
            }),
        ],
    );
    #[cfg(feature = "macros")]
    attribute(&rig);
}

/// Group `sampling`: a record of each call, of one in 64, and of as many as it takes.
pub fn sampling(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup::default());
    let values = lognormal(1, 1024, 1.0);
    solo(&rig, "sampled_not", N, |i| {
        histogram!("all").record(values[i % 1024]);
    });
    solo(&rig, "sampled_64", N, |i| {
        sampled!(1 in 64, histogram!("one_in_64").record(values[i % 1024]));
    });
    solo(&rig, "sampled_auto", N, |i| {
        sampled!(auto, histogram!("auto").record(values[i % 1024]));
    });
    solo(&rig, "throttled", N, |i| {
        throttled!(100 per second, histogram!("throttled").record(values[i % 1024]));
    });
}

/// `#[timed]` beside a timer of the same metric and labels.
#[cfg(feature = "macros")]
fn attribute(rig: &Rig) {
    #[inline(never)]
    #[metrics_recall::timed]
    fn plain(i: usize) -> usize {
        black_box(i)
    }

    #[inline(never)]
    fn by_hand(i: usize) -> usize {
        let _timer = Timer::start(histogram!("function_duration_seconds", "function" => "by_hand"));
        black_box(i)
    }

    #[inline(never)]
    #[metrics_recall::timed(name = "fallible_seconds", result)]
    fn fallible(i: usize) -> Result<usize, ()> {
        Ok(black_box(i))
    }

    #[inline(never)]
    #[metrics_recall::timed(name = "job_seconds", in_flight)]
    fn in_flight(i: usize) -> usize {
        black_box(i)
    }

    in_turn(
        rig,
        ("timed_by_hand", &mut |i| _ = by_hand(i)),
        &mut [
            ("timed", "timed_times", &mut |i| _ = plain(i)),
            ("timed_result", "", &mut |i| _ = fallible(i)),
            ("timed_in_flight", "", &mut |i| _ = in_flight(i)),
        ],
    );
}

/// A row's id, that of the row with its ratio to the first operation or nothing, and the operation.
type Compared<'a> = (&'a str, &'a str, &'a mut dyn FnMut(usize));

/// Measures `first` and each of `others`, and the median ratio of each to `first` in the same round.
fn in_turn(rig: &Rig, (id, first): (&str, &mut dyn FnMut(usize)), others: &mut [Compared<'_>]) {
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
