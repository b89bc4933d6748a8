//! metrics-exporter-prometheus beside us: looked after, so that it does not grow, and equal to us wherever it is right. Where it
//! is wrong, a test has the name of the fault; one that fails because the exporter got better is to be deleted.
#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::disallowed_methods,
    unsafe_code,
    reason = "tests, and an allocator that counts"
)]

mod common;

use common::Store;
use metrics::{counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_recall::{HistogramRule, Recall, RecallBuilder, mins, secs};
use metrics_util::MetricKindMask;
use parking_lot::Mutex;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::BTreeMap,
    sync::atomic::{AtomicIsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Bytes that the whole process holds.
struct Held;

static HELD: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call goes to `System` as it came.
unsafe impl GlobalAlloc for Held {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size().cast_signed(), Relaxed);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size().cast_signed(), Relaxed);
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Held = Held;

/// Memory is the process's, so tests take turns.
static TURN: Mutex<()> = Mutex::new(());

fn beside(builder: RecallBuilder, exporter: PrometheusBuilder) -> (Store, PrometheusHandle) {
    let (builder, handle) = builder.prometheus_exporter(exporter).unwrap();
    (builder.into(), handle)
}

/// Samples by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// Ours of `took`, in the last minute.
fn median(store: &Store) -> f64 {
    let took = store.recall.histograms("took").over(mins(1));
    took.median().unwrap()
}

/// Bytes that 100 rounds of 2,000 samples leave behind, five seconds and a tick between them.
fn growth(store: &Store) -> isize {
    let round = |rounds: u32| {
        for _ in 0..rounds {
            store.recorder.scope(|| {
                for n in 0..2000u32 {
                    histogram!("took").record(1.0 + f64::from(n % 10));
                }
            });
            store.tick(secs(5));
        }
        HELD.load(Relaxed)
    };
    let before = round(100);
    round(100) - before
}

/// The exporter alone keeps 16 bytes of each sample until somebody scrapes: 3.2 MB here (metrics-rs issues 245 and 467).
#[test]
fn the_exporter_does_not_grow_without_a_scrape() {
    let _turn = TURN.lock();
    let (looked_after, handle) = beside(Recall::builder(), PrometheusBuilder::new());
    let bounded = growth(&looked_after);
    let alone = Store::from(Recall::builder().tee(PrometheusBuilder::new().build_recorder()));
    let unbounded = growth(&alone);
    assert!(bounded < 400_000, "grew by {bounded} bytes");
    assert!(unbounded > 3_000_000, "grew by {unbounded} bytes");
    assert!(handle.render().contains("took_count 400000"));
}

/// Counters, gauges, classic buckets, sums and counts.
#[test]
fn both_say_the_same_wherever_the_exporter_is_right() {
    let _turn = TURN.lock();
    let bounds = [0.05, 0.1, 0.5, 1.0];
    let rule = HistogramRule::named("*").buckets(bounds);
    let builder = Recall::builder().expose(rule).plain_names();
    let exporter = PrometheusBuilder::new().set_buckets(&bounds).unwrap();
    let (store, handle) = beside(builder, exporter);
    for second in 0..50u32 {
        store.recorder.scope(|| {
            for route in ["/", "/pay", "a\"b\\c\nd"] {
                counter!("requests_total", "route" => route).increment(u64::from(second));
                gauge!("depth", "route" => route).set(f64::from(second) * 0.25);
                histogram!("took_seconds", "route" => route, "code" => "200")
                    .record(f64::from(second) / 64.0);
            }
            histogram!("batch_seconds").record_many(0.25, 1000);
        });
        store.tick(secs(1));
    }
    let (ours, theirs) = (samples(&store.recall.render()), samples(&handle.render()));
    // Theirs sorts labels as the macro had them, ours by name; it gets them from us by name.
    let differing: Vec<_> = theirs
        .iter()
        .filter(|(key, value)| {
            let key = key.replace("le=\"1\"", "le=\"1.0\"");
            ours.get(&key) != Some(value)
        })
        .collect();
    assert!(theirs.len() >= 30, "{theirs:?}");
    assert!(differing.is_empty(), "{differing:?}\n{ours:?}");
}

/// Their sketch has room for a range of 702 between the least and the greatest value; what is below counts as more.
#[test]
fn a_slow_call_leaves_the_median_of_fast_ones_alone() {
    let _turn = TURN.lock();
    let (store, handle) = beside(Recall::builder(), PrometheusBuilder::new());
    store.recorder.scope(|| {
        for n in 0..1000u32 {
            histogram!("took").record(0.001 + 1e-6 * f64::from(n));
        }
        histogram!("took").record(10.0);
    });
    store.tick(secs(1));
    let median = median(&store);
    assert!((median / 0.0015 - 1.0).abs() < 0.03, "{median}");
    let theirs = samples(&handle.render())["took{quantile=\"0.5\"}"];
    assert!(
        theirs > 0.01,
        "the exporter's median is right now: {theirs}"
    );
}

#[test]
fn p50_of_1_to_1000() {
    let _turn = TURN.lock();
    let (store, handle) = beside(Recall::builder(), PrometheusBuilder::new());
    store.recorder.scope(|| {
        for n in 1..=1000u32 {
            histogram!("took").record(f64::from(n));
        }
    });
    store.tick(secs(1));
    let median = median(&store);
    assert!((median / 500.0 - 1.0).abs() < 0.023, "{median}");
    let theirs = samples(&handle.render())["took{quantile=\"0.5\"}"];
    assert!(
        (theirs / 500.0 - 1.0).abs() > 0.023,
        "the exporter's median is right now: {theirs}"
    );
}

/// Theirs leaves out a suffix that the name seems to have, and so writes a histogram without its sum, its count, or its buckets.
#[test]
fn names_that_end_in_sum_count_or_bucket_have_their_suffixes() {
    let _turn = TURN.lock();
    let bounds = [1.0];
    let builder = Recall::builder().expose(HistogramRule::named("*").buckets(bounds));
    let exporter = PrometheusBuilder::new().set_buckets(&bounds).unwrap();
    let (store, handle) = beside(builder, exporter);
    store.recorder.scope(|| {
        histogram!("checksum").record(0.5);
        histogram!("request_count").record(0.5);
        histogram!("bucket").record(0.5);
    });
    store.tick(secs(1));
    let (ours, theirs) = (samples(&store.recall.render()), samples(&handle.render()));
    for name in [
        "checksum_sum",
        "request_count_count",
        "bucket_bucket{le=\"+Inf\"}",
    ] {
        assert!(ours.contains_key(name), "{name} in {ours:?}");
        assert!(!theirs.contains_key(name), "the exporter has {name} now");
    }
}

/// One value that is no number, and their sum is none for ever.
#[test]
fn a_value_that_is_no_number_leaves_the_sum_alone() {
    let _turn = TURN.lock();
    let (store, handle) = beside(Recall::builder(), PrometheusBuilder::new());
    store.recorder.scope(|| {
        histogram!("took").record(f64::NAN);
        histogram!("took").record(2.0);
    });
    store.tick(secs(1));
    assert_eq!(samples(&store.recall.render())["took_sum"], 2.0);
    assert!(
        samples(&handle.render())["took_sum"].is_nan(),
        "the exporter's sum is right now"
    );
    assert!(store.recall.health().to_string().contains("not numbers"));
}

/// `a.b` and `a_b` are one series there, and one of the two values is gone.
#[test]
fn names_that_meet_keep_their_values() {
    let _turn = TURN.lock();
    let (store, handle) = beside(Recall::builder(), PrometheusBuilder::new());
    store.recorder.scope(|| {
        counter!("jobs.done").increment(5);
        counter!("jobs_done").increment(7);
    });
    store.tick(secs(1));
    let ours: f64 = samples(&store.recall.render()).values().sum();
    let theirs: f64 = samples(&handle.render()).values().sum();
    assert_eq!(ours, 12.0);
    assert!(theirs < 12.0, "the exporter tells them apart now");
}

/// An infinity, too.
#[test]
fn an_infinite_value_leaves_the_sum_alone() {
    let _turn = TURN.lock();
    let (store, handle) = beside(Recall::builder(), PrometheusBuilder::new());
    store.recorder.scope(|| {
        histogram!("took").record(f64::INFINITY);
        histogram!("took").record(2.0);
    });
    store.tick(secs(1));
    let ours = samples(&store.recall.render());
    assert_eq!((ours["took_sum"], ours["took_count"]), (2.0, 1.0));
    assert!(
        samples(&handle.render())["took_sum"].is_infinite(),
        "the exporter's sum is right now"
    );
}

/// A handle of a histogram that outlives the exporter's idle timeout records into nothing there, and what it records is kept for
/// ever (metrics-rs issue 314).
#[test]
fn a_held_histogram_handle_is_heard_after_the_idle_timeout() {
    let _turn = TURN.lock();
    let exporter = PrometheusBuilder::new();
    let exporter = exporter.idle_timeout(MetricKindMask::HISTOGRAM, Some(Duration::from_millis(1)));
    let theirs = exporter.build_recorder();
    let held = with_local_recorder(&theirs, || histogram!("took"));
    held.record(1.0);
    // The exporter has a clock of its own, so this one waits, and not for long.
    let began = Instant::now();
    while theirs.handle().render().contains("took_count") {
        assert!(began.elapsed() < mins(1), "the exporter never expires it");
    }
    for _ in 0..5 {
        held.record(1.0);
    }
    assert!(
        !theirs.handle().render().contains("took_count"),
        "the exporter hears held handles now"
    );

    let store = Store::from(Recall::builder().idle_timeout(secs(1)));
    let held = store.recorder.scope(|| histogram!("took"));
    for n in 1..=5 {
        held.record(1.0);
        for _ in 0..10 {
            store.tick(secs(1));
        }
        store.recall.cleanup();
        let ours = samples(&store.recall.render());
        assert_eq!(ours["took_count"], f64::from(n));
    }
}
