//! Exposition: the text of 100,000 counter series and of 10,000 histogram series, whose values change between two renders.

use metrics::{Counter, Histogram, counter, histogram};
use std::hint::black_box;
use std::time::Instant;

use crate::measure::{median, pin, report};
use crate::subject::{Rig, Setup, Subject};

pub const COUNTERS: usize = 100_000;
const HISTOGRAMS: usize = 10_000;
const RENDERS: usize = 11;

pub fn setup() -> Setup {
    Setup {
        budget: Some(1 << 30),
        series: Some(2 * COUNTERS),
        ..Setup::default()
    }
}

/// A tenth of the labels need escaping.
pub fn label(i: usize) -> String {
    let tail = if i.is_multiple_of(10) { "\\\"" } else { "" };
    format!("/route/{i}{tail}")
}

/// Reports the first render, which is cold, and the median of the others.
fn renders(rig: &Rig, ids: [&str; 2], mut change: impl FnMut()) {
    let mut all = Vec::with_capacity(RENDERS);
    for _ in 0..RENDERS {
        change();
        let start = Instant::now();
        let text = match rig {
            Rig::Recall(recall, _) => recall.render(),
            Rig::Mep(handle) => handle.render(),
            Rig::Facade => String::new(),
        };
        all.push(start.elapsed().as_nanos() as f64);
        black_box(text);
        rig.upkeep();
    }
    let [cold, warm] = ids;
    report(cold, all[0]);
    report(warm, median(all.into_iter().skip(1)));
}

/// Group `render`.
pub fn counters(subject: Subject) {
    pin(0);
    let rig = subject.install(setup());
    let held: Vec<Counter> = (0..COUNTERS)
        .map(|i| counter!("requests_total", "method" => "GET", "route" => label(i)))
        .collect();
    renders(&rig, ["render_first", "render"], || {
        for counter in &held {
            counter.increment(7);
        }
    });
}

/// Group `render_histograms`: values from 1 ms to 1 s, some twelve powers of two.
pub fn histograms(subject: Subject) {
    pin(0);
    let rig = subject.install(setup());
    let held: Vec<Histogram> = (0..HISTOGRAMS)
        .map(|i| histogram!("latency_seconds", "route" => label(i)))
        .collect();
    let ids = ["render_histograms_first", "render_histograms"];
    renders(&rig, ids, || {
        for histogram in &held {
            (0..11).for_each(|octave| histogram.record(0.001 * f64::from(1 << octave)));
        }
    });
}
