//! The recorder beside us: it gets everything, is asked for handles seldom, and its faults are its own.
#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test fails by panicking"
)]

mod common;

use common::Store;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit, counter, describe_counter, gauge, histogram,
};
use metrics_recall::{Recall, mins, secs};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread,
};

/// What a series has got, and how often it was registered.
#[derive(Clone, Debug, Default, PartialEq)]
struct Got {
    registered: usize,
    sum: f64,
    calls: usize,
}

#[derive(Default)]
struct Inner {
    series: BTreeMap<String, Got>,
    described: Vec<String>,
    /// Handles of an older age are deaf.
    age: usize,
    deaf: usize,
}

/// A recorder of our own, that forgets everything when it is told to, as an idle timeout does.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Inner>>);

impl Notes {
    fn got(&self, key: &str) -> Got {
        let inner = self.0.lock().unwrap();
        inner.series.get(key).cloned().unwrap_or_default()
    }

    fn forget(&self) {
        let mut inner = self.0.lock().unwrap();
        inner.age += 1;
        inner.series.clear();
    }

    fn register(&self, key: &Key) -> Arc<Note> {
        let mut inner = self.0.lock().unwrap();
        let key = key.to_string();
        inner.series.entry(key.clone()).or_default().registered += 1;
        Arc::new(Note {
            to: self.clone(),
            key,
            age: inner.age,
        })
    }
}

struct Note {
    to: Notes,
    key: String,
    age: usize,
}

impl Note {
    fn add(&self, value: f64) {
        let mut inner = self.to.0.lock().unwrap();
        if inner.age != self.age {
            inner.deaf += 1;
            return;
        }
        let got = inner.series.get_mut(&self.key).unwrap();
        got.sum += value;
        got.calls += 1;
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
impl CounterFn for Note {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }
    fn absolute(&self, value: u64) {
        self.add(1000.0 + value as f64);
    }
}

impl GaugeFn for Note {
    fn increment(&self, value: f64) {
        self.add(value);
    }
    fn decrement(&self, value: f64) {
        self.add(-value);
    }
    fn set(&self, value: f64) {
        self.add(value * 100.0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
impl HistogramFn for Note {
    fn record(&self, value: f64) {
        self.add(value);
    }
    fn record_many(&self, value: f64, count: usize) {
        self.add(value * count as f64);
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        let unit = unit.map_or("", |unit| unit.as_str());
        let line = format!("{} {unit} {text}", key.as_str());
        self.0.lock().unwrap().described.push(line);
    }
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.register(key))
    }
}

/// Panics whenever it is asked for anything, or through its handles only.
struct Broken {
    on_registration: bool,
}

struct BrokenHandle;

impl CounterFn for BrokenHandle {
    fn increment(&self, _: u64) {
        panic!("broken");
    }
    fn absolute(&self, _: u64) {
        panic!("broken");
    }
}

impl Drop for BrokenHandle {
    fn drop(&mut self) {
        assert!(thread::panicking(), "broken to the end");
    }
}

impl Recorder for Broken {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("broken");
    }
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        assert!(!self.on_registration, "broken");
        Counter::from_arc(Arc::new(BrokenHandle))
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        panic!("broken");
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("broken");
    }
}

fn teed() -> (Store, Notes) {
    let notes = Notes::default();
    (Recall::builder().tee(notes.clone()).into(), notes)
}

const ORDERS: &str = "Key(orders_total, [region = eu])";

#[test]
fn every_call_reaches_it_through_one_handle() {
    let (store, notes) = teed();
    store.recorder.scope(|| {
        for _ in 0..100 {
            counter!("orders_total", "region" => "eu").increment(2);
        }
        counter!("orders_total", "region" => "eu").absolute(7);
        gauge!("depth").set(3.0);
        gauge!("depth").increment(2.0);
        gauge!("depth").decrement(0.5);
        histogram!("took").record(0.5);
        histogram!("took").record_many(2.0, 1000);
    });
    let orders = notes.got(ORDERS);
    assert_eq!(
        (orders.registered, orders.calls, orders.sum),
        (1, 101, 1207.0)
    );
    let depth = notes.got("Key(depth)");
    assert_eq!((depth.registered, depth.sum), (1, 301.5));
    let took = notes.got("Key(took)");
    assert_eq!(
        (took.registered, took.calls, took.sum),
        (1, 2, 2000.5),
        "a thousand are one call"
    );
    store.tick(secs(1));
    assert_eq!(store.recall.counters("orders_total").total(), Some(207));
    assert_eq!(
        store.recall.histograms("took").over(mins(1)).count(),
        Some(1001)
    );
}

/// A series that is registered and not yet recorded is visible there, as it is without us.
#[test]
fn a_registration_alone_is_told() {
    let (store, notes) = teed();
    store
        .recorder
        .scope(|| drop(counter!("orders_total", "region" => "eu")));
    assert_eq!(notes.got(ORDERS).registered, 1);
}

#[test]
fn descriptions_are_told_once() {
    let (store, notes) = teed();
    store.recorder.scope(|| {
        for _ in 0..10 {
            describe_counter!("orders_total", Unit::Count, "Orders");
        }
        describe_counter!("orders_total", Unit::Count, "Orders paid");
    });
    let described = notes.0.lock().unwrap().described.clone();
    assert_eq!(
        described,
        [
            "orders_total count Orders",
            "orders_total count Orders paid"
        ]
    );
}

/// Otherwise the label that explodes here would explode there.
#[test]
fn what_a_limit_refuses_is_the_overflow_series_there_too() {
    let notes = Notes::default();
    let builder = Recall::builder()
        .max_series_per_metric(10)
        .tee(notes.clone());
    let store = Store::from(builder);
    store.recorder.scope(|| {
        for user in 0..1000 {
            counter!("hits_total", "user" => user.to_string()).increment(1);
        }
    });
    assert_eq!(notes.got("Key(hits_total, [overflow = true])").sum, 990.0);
    assert_eq!(notes.0.lock().unwrap().series.len(), 11);
}

/// Labels in another order, empty ones, and a name that is given twice are one series here, and so one there.
#[test]
fn it_gets_the_series_as_we_have_them() {
    let (store, notes) = teed();
    store.recorder.scope(|| {
        counter!("hits_total", "b" => "2", "a" => "1", "c" => "").increment(1);
        counter!("hits_total", "a" => "0", "a" => "1", "b" => "2").increment(1);
    });
    let hits = notes.got("Key(hits_total, [a = 1, b = 2])");
    assert_eq!((hits.registered, hits.sum), (1, 2.0));
}

/// A handle that was idle for longer than the other recorder's timeout was deaf there for ever (metrics-rs issue 314).
#[test]
fn handles_that_were_idle_are_renewed_and_busy_ones_are_not() {
    let (store, notes) = teed();
    let (counter, gauge, histogram) = store.recorder.scope(|| {
        let labelled = counter!("orders_total", "region" => "eu");
        (labelled, gauge!("depth"), histogram!("took"))
    });
    for _ in 0..10 {
        counter.increment(1);
        store.tick(secs(1));
    }
    assert_eq!(notes.got(ORDERS).registered, 1, "it was never idle");
    for _ in 0..3 {
        store.tick(secs(60));
        notes.forget();
        counter.increment(5);
        counter.increment(5);
        gauge.set(1.0);
        histogram.record(2.0);
        histogram.record_many(2.0, 2);
        store
            .recorder
            .scope(|| counter!("orders_total", "region" => "eu").increment(5));
    }
    assert_eq!(notes.got(ORDERS).sum, 15.0);
    assert_eq!(notes.got("Key(depth)").sum, 100.0);
    assert_eq!(notes.got("Key(took)").sum, 6.0);
    assert_eq!(notes.0.lock().unwrap().deaf, 0);
    assert_eq!(store.recall.counters("orders_total").total(), Some(55));
}

/// Threads that share a handle or have their own, and a renewal amid them: nothing is lost there.
#[test]
fn threads_lose_nothing_there() {
    let (store, notes) = teed();
    let shared = store.recorder.scope(|| counter!("shared_total"));
    for round in 0..3u32 {
        thread::scope(|scope| {
            for _ in 0..4 {
                let (recorder, shared) = (store.recorder.clone(), shared.clone());
                scope.spawn(move || {
                    recorder.scope(|| {
                        for _ in 0..2000 {
                            shared.increment(1);
                            counter!("own_total").increment(1);
                        }
                    });
                });
            }
        });
        let all = f64::from(8000 * (round + 1));
        assert_eq!(notes.got("Key(shared_total)").sum, all);
        assert_eq!(notes.got("Key(own_total)").sum, all);
        store.tick(secs(60));
    }
    assert_eq!(store.recall.counters("shared_total").total(), Some(24_000));
    assert_eq!(store.recall.counters("own_total").total(), Some(24_000));
}

#[test]
fn two_recorders_get_both_everything() {
    let (one, two) = (Notes::default(), Notes::default());
    let store = Store::from(Recall::builder().tee(one.clone()).tee(two.clone()));
    store.recorder.scope(|| {
        counter!("orders_total", "region" => "eu").increment(3);
        histogram!("took").record_many(2.0, 50);
    });
    for notes in [one, two] {
        assert_eq!(notes.got(ORDERS).sum, 3.0);
        let took = notes.got("Key(took)");
        assert_eq!((took.calls, took.sum), (1, 100.0));
    }
}

/// Its panics are caught, wherever they come from, and we lose nothing.
#[test]
fn a_recorder_that_panics_hurts_nobody() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for on_registration in [true, false] {
        let store = Store::from(Recall::builder().tee(Broken { on_registration }));
        store.recorder.scope(|| {
            describe_counter!("orders_total", "Orders");
            for _ in 0..100 {
                counter!("orders_total").increment(1);
                gauge!("depth").set(1.0);
                histogram!("took").record(1.0);
            }
        });
        store.tick(secs(1));
        store.tick(secs(3600));
        assert_eq!(store.recall.counters("orders_total").total(), Some(100));
        assert_eq!(
            store.recall.histograms("took").over(mins(120)).count(),
            Some(100)
        );
        let health = store.recall.health().to_string();
        assert!(
            health.contains("recorder beside this store panicked") && health.contains("`tee`"),
            "{health}"
        );
        store.recall.cleanup();
        store
            .recorder
            .scope(|| counter!("orders_total").increment(1));
        assert_eq!(store.recall.counters("orders_total").total(), Some(101));
        // What has ended is forgotten: nothing was asked of it for ten minutes.
        for _ in 0..11 {
            store.tick(mins(1));
        }
        assert!(store.recall.health().is_healthy());
    }
    std::panic::set_hook(hook);
}

/// Its panic ended a recording: what it carried panicked when it was dropped.
#[test]
fn a_recorder_whose_panics_carry_panics_hurts_nobody() {
    struct Bombs;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("once more"));
        }
    }

    impl metrics::CounterFn for Bomb {
        fn increment(&self, _: u64) {
            std::panic::resume_unwind(Box::new(Bomb));
        }

        fn absolute(&self, _: u64) {}
    }

    impl Recorder for Bombs {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
            std::panic::resume_unwind(Box::new(Bomb));
        }

        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(Arc::new(Bomb))
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            std::panic::resume_unwind(Box::new(Bomb));
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    let store = Store::from(Recall::builder().tee(Bombs));
    store.recorder.scope(|| {
        describe_counter!("orders_total", "Orders");
        for _ in 0..5 {
            counter!("orders_total").increment(1);
            gauge!("depth").set(1.0);
        }
    });
    store.tick(secs(1));
    assert_eq!(store.recall.counters("orders_total").total(), Some(5));
    assert_eq!(store.recall.gauges("depth").current(), Some(1.0));
    let health = store.recall.health().to_string();
    assert!(health.contains("panicked 12 times"), "{health}");
}

/// Bytes of series and of what hangs on them, after some rounds in which all of them were evicted and forgotten.
fn left_behind(store: &Store) -> usize {
    for n in 0..4 {
        store.recorder.scope(|| {
            for at in 0..500 {
                counter!("hits_total", "n" => format!("{n}-{at}")).increment(1);
                gauge!("depth", "n" => format!("{n}-{at}")).set(1.0);
                histogram!("took", "n" => format!("{n}-{at}")).record(1.0);
            }
        });
        store.tick(secs(1));
        for _ in 0..3 {
            store.tick(secs(90_000));
            store.recall.cleanup();
        }
    }
    let parts = store.recall.memory().parts;
    let of = |part| parts.iter().find(|(name, _)| *name == part).unwrap().1;
    of("series") + of("histogram pages")
}

/// What hangs on cells for the other recorder is charged, and given back with them: nothing is left of it but that of the few
/// overflow series. Dead cells that a thread's cache pins are charged with and without.
#[test]
fn memory_of_evicted_series_comes_back() {
    let (store, notes) = teed();
    let (with, without) = (left_behind(&store), left_behind(&Store::default()));
    assert!(
        with.abs_diff(without) < 2_000,
        "{with} bytes with, {without} without"
    );
    assert_eq!(notes.got("Key(hits_total, [n = 3-499])").sum, 1.0);
}
