//! Exposition: the text of 100,000 counter series, of 10,000 histogram series and of as many summaries, whose values change between
//! two renders.

use metrics::{Counter, Histogram, counter, histogram};
use metrics_recall::secs;
use prometheus_client::{
    encoding::text::encode, metrics::counter::Counter as ClientCounter, metrics::family::Family,
    registry::Registry,
};
use std::hint::black_box;
use std::time::Instant;

use crate::measure::{lognormal, median, note, pin, report};
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

/// Reports the first render, which is cold, and the median of the others, which it gives.
fn renders(rig: &Rig, ids: [&str; 2], change: impl FnMut()) -> f64 {
    let [cold, warm] = ids;
    let render = || match rig {
        Rig::Recall(recall, _) => recall.render(),
        Rig::Mep(handle) => handle.render(),
        Rig::Facade => String::new(),
    };
    let (first, later) = times(render, change, || rig.upkeep());
    report(cold, first);
    report(warm, later);
    later
}

/// Nanoseconds of the first of some renders, and the median of the others.
fn times(
    mut render: impl FnMut() -> String,
    mut change: impl FnMut(),
    mut after: impl FnMut(),
) -> (f64, f64) {
    let mut all = Vec::with_capacity(RENDERS);
    for _ in 0..RENDERS {
        change();
        let start = Instant::now();
        let text = render();
        all.push(start.elapsed().as_nanos() as f64);
        assert!(text.len() > HISTOGRAMS, "{} bytes", text.len());
        black_box(text);
        after();
    }
    (all[0], median(all.into_iter().skip(1)))
}

/// Group `render`.
pub fn counters(subject: Subject) {
    pin(0);
    let rig = subject.install(setup());
    let held: Vec<Counter> = (0..COUNTERS)
        .map(|i| counter!("requests_total", "method" => "GET", "route" => label(i)))
        .collect();
    let ours = renders(&rig, ["render_first", "render"], || {
        for counter in &held {
            counter.increment(7);
        }
    });
    if subject == Subject::Recall {
        let (first, later) = client();
        report("render_times_client", ours / later);
        note(&format!(
            "prometheus-client renders the same 100,000 counters in {:.1} ms, the first time in {:.1} ms",
            later / 1e6,
            first / 1e6
        ));
    }
}

/// The same by prometheus-client, whose counters are its own: no recorder of the facade.
fn client() -> (f64, f64) {
    let family = Family::<Vec<(String, String)>, ClientCounter>::default();
    let mut registry = Registry::default();
    registry.register("requests", "Requests.", family.clone());
    let series = |i| {
        let labels = [("method".into(), "GET".into()), ("route".into(), label(i))];
        family.get_or_create(&labels.into()).clone()
    };
    let held: Vec<ClientCounter> = (0..COUNTERS).map(series).collect();
    let render = || {
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes everything");
        text
    };
    let change = || {
        for counter in &held {
            counter.inc_by(7);
        }
    };
    times(render, change, || {})
}

/// Group `render_histograms`: values from 1 ms to 1 s, some twelve powers of two.
pub fn histograms(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup {
        buckets: Some(&[
            0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048,
        ]),
        ..setup()
    });
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

/// Group `render_summaries`: quantiles of the last 60 s, in each of which every series had two values.
pub fn summaries(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup {
        summary: Some(secs(60)),
        ..setup()
    });
    let held: Vec<Histogram> = (0..HISTOGRAMS)
        .map(|i| histogram!("latency_seconds", "route" => label(i)))
        .collect();
    let values = lognormal(1, 1024, 1.0);
    let mut next = 0;
    let mut second = || {
        for histogram in &held {
            for _ in 0..2 {
                next = (next + 1) % values.len();
                histogram.record(values[next]);
            }
        }
    };
    for _ in 0..60 {
        second();
        rig.upkeep();
    }
    renders(&rig, ["render_summaries_first", "render_summaries"], second);
}
