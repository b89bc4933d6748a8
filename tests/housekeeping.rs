//! Reset and delete: what was is over, what comes is counted from zero, and whoever holds a handle does not notice.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics::{Counter, Gauge, Histogram, Key, Label, Metadata, Recorder};
use metrics_recall::{Clock, ManualClock, MetricKind, Recall, RecallRecorder, mins, secs};
use std::time::Duration;

const CALL: Metadata<'static> = Metadata::new("test", metrics::Level::INFO, None);

struct Store {
    recorder: RecallRecorder,
    recall: Recall,
    hands: ManualClock,
}

impl Store {
    fn new() -> Self {
        let (clock, hands) = Clock::manual();
        let (recorder, recall) = Recall::builder().clock(clock).build().unwrap();
        Self {
            recorder,
            recall,
            hands,
        }
    }

    fn tick(&self) {
        self.hands.advance(secs(1));
        self.recall.tick();
    }

    fn key(name: &'static str, value: &str) -> Key {
        let labels = if value.is_empty() {
            Vec::new()
        } else {
            vec![Label::new("k", value.to_owned())]
        };
        Key::from_parts(name, labels)
    }

    fn counter(&self, value: &str) -> Counter {
        self.recorder
            .register_counter(&Self::key("n", value), &CALL)
    }

    fn gauge(&self, value: &str) -> Gauge {
        self.recorder.register_gauge(&Self::key("n", value), &CALL)
    }

    fn histogram(&self, value: &str) -> Histogram {
        self.recorder
            .register_histogram(&Self::key("n", value), &CALL)
    }

    fn total(&self) -> Option<u64> {
        self.recall.counters("n").total()
    }

    fn increase(&self) -> Option<u64> {
        self.recall.counters("n").over(mins(5)).increase()
    }
}

#[test]
fn a_reset_counter_starts_at_zero_and_windows_keep_what_they_have() {
    let store = Store::new();
    let counter = store.counter("");
    counter.increment(5);
    store.tick();
    counter.increment(2); // of no tick yet
    store.recall.reset("n").unwrap();
    assert_eq!(store.total(), Some(0));
    counter.increment(3);
    store.tick();
    assert_eq!((store.total(), store.increase()), (Some(3), Some(10)));
}

#[test]
fn a_reset_reaches_what_absolute_set_and_what_other_threads_added() {
    let store = Store::new();
    let counter = store.counter("");
    counter.absolute(1_000);
    std::thread::scope(|scope| {
        scope.spawn(|| counter.increment(7));
    });
    store.recall.reset("n").unwrap();
    assert_eq!(store.total(), Some(0));
    counter.absolute(1_010);
    std::thread::scope(|scope| {
        scope.spawn(|| store.counter("").increment(1));
    });
    assert_eq!(store.total(), Some(11));
}

#[test]
fn a_reset_gauge_has_no_value_until_it_is_set() {
    let store = Store::new();
    let gauge = store.gauge("");
    gauge.set(7.0);
    store.tick();
    store.recall.reset("n").unwrap();
    assert_eq!(store.recall.gauges("n").current(), None);
    store.tick();
    store.tick();
    let last = store.recall.gauges("n").over(secs(1));
    assert_eq!((last.max(), last.count()), (None, None));
    let all = store.recall.gauges("n").over(mins(5));
    assert_eq!((all.max(), all.count()), (Some(7.0), Some(1)));
    // A gauge that counts goes on counting from where it was: its cell was not touched.
    gauge.increment(1.0);
    assert_eq!(store.recall.gauges("n").current(), Some(8.0));
    store.tick();
    assert_eq!(all.max(), Some(8.0));
}

#[test]
fn a_gauge_that_is_set_between_reset_and_tick_is_not_gone() {
    let store = Store::new();
    let gauge = store.gauge("");
    gauge.set(7.0);
    store.tick();
    store.recall.reset("n").unwrap();
    gauge.set(7.0);
    assert_eq!(store.recall.gauges("n").current(), Some(7.0));
    store.tick();
    let last = store.recall.gauges("n").over(secs(1));
    assert_eq!((last.min(), last.max()), (Some(7.0), Some(7.0)));
}

#[test]
fn a_reset_histogram_keeps_its_windows() {
    let store = Store::new();
    let histogram = store.histogram("");
    histogram.record(1.0);
    store.recall.reset("n").unwrap();
    histogram.record(2.0);
    store.tick();
    let window = store.recall.histograms("n").over(mins(5));
    assert_eq!((window.count(), window.sum()), (Some(2), Some(3.0)));
}

#[test]
fn a_deleted_metric_was_never_there() {
    let store = Store::new();
    store.counter("a").increment(5);
    store.gauge("a").set(1.0);
    store.histogram("a").record(1.0);
    store.tick();
    store.recall.delete("n").unwrap();
    assert!(
        store.recall.metrics().is_empty(),
        "{:?}",
        store.recall.metrics()
    );
    assert_eq!((store.total(), store.increase()), (None, None));
    assert_eq!(store.recall.gauges("n").current(), None);
    assert_eq!(store.recall.gauges("n").over(mins(5)).max(), None);
    assert_eq!(store.recall.histograms("n").over(mins(5)).count(), None);
    let again = store.recall.delete("n").unwrap_err();
    assert!(again.is_unknown_metric(), "{again}");
    assert!(store.recall.reset("n").unwrap_err().is_unknown_metric());
}

#[test]
fn what_is_recorded_through_a_held_handle_after_a_delete_is_a_new_series() {
    let store = Store::new();
    let (counter, gauge, histogram) = (store.counter("a"), store.gauge("a"), store.histogram("a"));
    for _ in 0..3 {
        counter.increment(5);
        gauge.set(9.0);
        histogram.record(100.0);
        store.tick();
        counter.increment(1); // of no tick yet
        histogram.record(200.0);
        store.recall.delete("n").unwrap();
        assert!(store.recall.metrics().is_empty());
        store.tick();
        assert!(store.recall.metrics().is_empty());
        assert_eq!((store.total(), store.increase()), (None, None));

        counter.increment(2);
        gauge.set(3.0);
        histogram.record(1.0);
        assert_eq!(store.total(), Some(2));
        assert_eq!(store.recall.gauges("n").current(), Some(3.0));
        store.tick();
        assert_eq!((store.total(), store.increase()), (Some(2), Some(2)));
        assert_eq!(store.recall.gauges("n").over(mins(5)).max(), Some(3.0));
        let window = store.recall.histograms("n").over(mins(5));
        assert_eq!((window.count(), window.max()), (Some(1), Some(1.0)));
        assert_eq!(store.recall.metrics().len(), 3);
        store.recall.delete("n").unwrap();
    }
    // A macro finds the same series as the handle.
    store.counter("a").increment(4);
    counter.increment(1);
    assert_eq!(store.total(), Some(5));
}

#[test]
fn a_selection_is_deleted_or_reset_alone() {
    let store = Store::new();
    for (value, by) in [("a", 1), ("b", 2), ("c", 4)] {
        store.counter(value).increment(by);
    }
    store.tick();
    store.recall.counters("n").label("k", "b").delete().unwrap();
    assert_eq!((store.total(), store.increase()), (Some(5), Some(5)));
    store.recall.counters("n").label("k", "c").reset().unwrap();
    assert_eq!((store.total(), store.increase()), (Some(1), Some(5)));
    let nothing = store.recall.counters("n").label("k", "b").delete();
    assert!(nothing.unwrap_err().is_unknown_metric());
    let typo = store.recall.counters("m").reset().unwrap_err();
    assert!(typo.to_string().contains("`n`"), "{typo}");
}

#[test]
fn a_kind_is_reset_or_deleted_alone() {
    let store = Store::new();
    store.counter("").increment(5);
    store.gauge("").set(5.0);
    store.recall.reset_kind(MetricKind::Gauge).unwrap();
    assert_eq!(
        (store.total(), store.recall.gauges("n").current()),
        (Some(5), None)
    );
    store.recall.delete_kind(MetricKind::Counter).unwrap();
    assert_eq!(store.total(), None);
    assert_eq!(store.recall.metrics().len(), 1);
}

#[test]
fn the_overflow_series_and_what_was_evicted_are_reset_and_deleted_too() {
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder().clock(clock).max_series_per_metric(2);
    let (recorder, recall) = builder.idle_timeout(secs(1)).build().unwrap();
    let record = |from: u32, to: u32| {
        for value in from..to {
            let key = Key::from_parts("n", vec![Label::new("k", value.to_string())]);
            recorder.register_counter(&key, &CALL).increment(1);
        }
    };
    record(0, 10);
    for _ in 0..5 {
        hands.advance(secs(700));
        recall.tick();
        record(20, 30);
    }
    assert_eq!(recall.counters("n").total(), Some(60));
    recall.reset("n").unwrap();
    assert_eq!(recall.counters("n").total(), Some(0));
    record(40, 45);
    assert_eq!(recall.counters("n").total(), Some(5));
    recall.delete("n").unwrap();
    assert_eq!(recall.counters("n").total(), None);
    record(50, 57);
    assert_eq!(recall.counters("n").total(), Some(7));
    hands.advance(secs(1));
    recall.tick();
    assert_eq!(recall.counters("n").over(secs(1)).increase(), Some(7));
}

#[test]
fn reset_all_resets_all() {
    let store = Store::new();
    store.counter("a").increment(5);
    store.gauge("b").set(5.0);
    store.recall.reset_all().unwrap();
    assert_eq!(
        (store.total(), store.recall.gauges("n").current()),
        (Some(0), None)
    );
    // Nothing to reset is no error: it is done.
    assert!(Store::new().recall.reset_all().is_ok());
}

#[test]
fn nothing_is_lost_or_counted_twice_beside_a_thread_that_records() {
    let store = Store::new();
    let done = std::sync::atomic::AtomicBool::new(false);
    let held = store.counter("held");
    let (mut seen, mut recorded) = (0, 0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut n = 0_u64;
            while !done.load(std::sync::atomic::Ordering::Relaxed) || n < 10_000 {
                held.increment(1);
                store.counter("macro").increment(1);
                n += 2;
            }
            n
        });
        for round in 0..200 {
            store.tick();
            if round % 2 == 0 {
                store.recall.reset("n").unwrap();
            } else {
                // What a delete drops is in no total: only resets are counted here.
                let _ = store.recall.counters("n").label("k", "none").delete();
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        recorded += writer.join().unwrap();
    });
    store.tick();
    seen += store
        .recall
        .counters("n")
        .over(Duration::MAX)
        .increase()
        .unwrap();
    assert_eq!(seen, recorded);
}
