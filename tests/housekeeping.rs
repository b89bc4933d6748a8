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

/// It had been written to, and was there; the reset had it look as if it had not.
#[test]
fn what_was_set_after_a_delete_is_there_after_a_reset() {
    let store = Store::new();
    let held = store.counter("a");
    store.recall.delete("n").unwrap();
    assert_eq!(store.total(), None);
    held.absolute(7);
    store.recall.reset("n").unwrap();
    for _ in 0..2 {
        assert_eq!((store.total(), store.increase()), (Some(0), Some(0)));
        store.tick();
    }
    held.absolute(9);
    assert_eq!(store.total(), Some(2));
}

/// A gauge that counts went on from what it was before it was deleted.
#[test]
fn a_gauge_that_was_deleted_counts_from_zero() {
    let store = Store::new();
    let gauge = store.gauge("a");
    let current = || store.recall.gauges("n").current();
    gauge.set(5.0);
    store.tick();
    store.recall.delete("n").unwrap();
    store.tick();
    gauge.increment(1.5);
    assert_eq!(current(), Some(1.5));
    store.tick();
    let window = store.recall.gauges("n").over(mins(5));
    assert_eq!((window.min(), window.max()), (Some(1.5), Some(1.5)));
    // Before any tick, downwards, and from infinity, to which nothing can be added.
    gauge.set(f64::INFINITY);
    store.recall.delete("n").unwrap();
    gauge.decrement(2.0);
    assert_eq!(current(), Some(-2.0));
    // What is no number starts nothing.
    store.recall.delete("n").unwrap();
    gauge.increment(f64::NAN);
    gauge.set(f64::NAN);
    store.tick();
    assert_eq!((current(), store.recall.metrics().len()), (None, 0));
    gauge.increment(f64::INFINITY);
    assert_eq!(current(), Some(f64::INFINITY));
    // A reset of what is deleted changes nothing, and a macro finds the same gauge.
    store.recall.delete("n").unwrap();
    store.recall.reset_all().unwrap();
    store.gauge("a").increment(3.0);
    gauge.increment(1.0);
    assert_eq!(current(), Some(4.0));
}

/// Threads add while the gauge is deleted again and again: what is added is before a delete, or after it.
#[test]
fn a_gauge_is_deleted_as_a_whole_beside_threads_that_count() {
    let store = Store::new();
    let gauge = store.gauge("a");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    gauge.increment(1.0);
                    gauge.decrement(1.0);
                }
            });
        }
        for round in 0..300 {
            let _ = store.recall.delete("n");
            if round % 3 == 0 {
                store.tick();
            }
            // Each delete may have come between the two of each thread.
            let now = store.recall.gauges("n").current().unwrap_or(0.0);
            assert!((-2.0..=2.0).contains(&now), "{now}");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let _ = store.recall.delete("n");
    gauge.increment(7.0);
    assert_eq!(store.recall.gauges("n").current(), Some(7.0));
}

/// What was set through a handle of an overflow series that had been deleted was in no window.
#[test]
fn a_held_handle_of_a_deleted_overflow_series_is_heard() {
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder().clock(clock).max_series_per_metric(1);
    let (recorder, recall) = builder.build().unwrap();
    let key = |value: &str| Key::from_parts("n", vec![Label::new("k", value.to_owned())]);
    let _first = recorder.register_gauge(&key("a"), &CALL);
    let held = recorder.register_gauge(&key("b"), &CALL);
    let counted = ["a", "b"].map(|value| recorder.register_counter(&key(value), &CALL));
    for value in [7.0, 3.0] {
        held.set(value);
        counted[1].increment(5);
        hands.advance(secs(1));
        recall.tick();
        let overflow = recall.gauges("n").label("overflow", "true");
        assert_eq!(overflow.current(), Some(value));
        assert_eq!(overflow.clone().over(secs(1)).max(), Some(value));
        let counters = recall.counters("n");
        assert_eq!(
            (counters.total(), counters.clone().over(mins(5)).increase()),
            (Some(5), Some(5))
        );
        recall.delete("n").unwrap();
        assert_eq!((counters.total(), overflow.current()), (None, None));
    }
}

/// The metric stayed, with no series and a total of zero.
#[test]
fn a_metric_whose_series_are_all_deleted_is_gone() {
    let store = Store::new();
    let held = store.counter("c");
    held.increment(4);
    for value in ["a", "b"] {
        store.counter(value).increment(1);
        store.gauge(value).set(1.0);
        store.histogram(value).record(1.0);
    }
    store.tick();
    for value in ["a", "b"] {
        assert!(store.recall.metric("n").is_some());
        store
            .recall
            .counters("n")
            .label("k", value)
            .delete()
            .unwrap();
        store.recall.gauges("n").label("k", value).delete().unwrap();
        let histograms = store.recall.histograms("n").label("k", value);
        histograms.delete().unwrap();
    }
    assert_eq!((store.total(), store.recall.metrics().len()), (Some(4), 1));
    store.recall.counters("n").label("k", "c").delete().unwrap();
    assert_eq!((store.total(), store.increase()), (None, None));
    assert!(store.recall.metrics().is_empty());
    assert!(store.recall.gauges("n").over(mins(5)).stats().is_none());
    let again = store.recall.delete("n").unwrap_err();
    assert!(again.is_unknown_metric(), "{again}");
    // It comes back as any other, through the handle that was held and through a macro.
    held.increment(2);
    assert_eq!(store.total(), Some(2));
    store.gauge("a").set(3.0);
    assert_eq!(store.recall.gauges("n").current(), Some(3.0));
    assert_eq!(store.recall.metrics().len(), 2);
}

#[test]
fn a_metric_keeps_what_forgotten_series_had_when_the_others_are_deleted() {
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder().clock(clock).max_series_per_metric(2);
    let (recorder, recall) = builder.idle_timeout(secs(1)).build().unwrap();
    let record = |value: u32| {
        let key = Key::from_parts("n", vec![Label::new("k", value.to_string())]);
        recorder.register_counter(&key, &CALL).increment(1);
    };
    let is_forgotten = |value: u32| {
        let series = recall.counters("n").label("k", value.to_string());
        series.total().is_none()
    };
    record(0);
    recall.tick();
    for value in 1..20 {
        // Two days: longer than any tier.
        hands.advance(secs(172_800));
        record(value);
        record(value + 100);
        recall.tick();
    }
    assert!(is_forgotten(0));
    let before = recall.counters("n").total().unwrap();
    recall
        .counters("n")
        .label_not("k", "none")
        .delete()
        .unwrap();
    let after = recall.counters("n").total().unwrap();
    assert!(after > 0 && after < before, "{after} of {before}");
    recall.delete("n").unwrap();
    assert_eq!(recall.counters("n").total(), None);
}

/// Each delete of a metric gave its overflow series a new place, which nobody had ever used.
#[test]
fn a_delete_takes_no_more_than_the_series_that_are_deleted() {
    let grown = |delete: fn(&Recall)| {
        let store = Store::new();
        let round = || {
            store.counter("a").increment(1);
            delete(&store.recall);
        };
        round();
        let before = store.recall.memory().used;
        (0..1_000).for_each(|_| round());
        store.recall.memory().used - before
    };
    let of_name = grown(|recall| recall.delete("n").unwrap());
    let of_label = grown(|recall| recall.counters("n").label("k", "a").delete().unwrap());
    assert!(
        of_name > 10_000,
        "{of_name}: what is deleted stays until history forgets it"
    );
    assert!(
        of_name < of_label + of_label / 20,
        "{of_name}, and {of_label}"
    );
}

#[test]
fn the_totals_of_a_reset_histogram_start_at_zero() {
    let store = Store::new();
    let histogram = store.histogram("");
    histogram.record(1.0);
    histogram.record(5.0);
    store.tick();
    histogram.record(7.0); // of no tick yet
    store.recall.reset("n").unwrap();
    let shown = || {
        let text = store.recall.render();
        let of = |line: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix(line)?.parse::<f64>().ok())
        };
        assert_eq!(of("n_bucket{le=\"+Inf\"} "), of("n_count "), "{text}");
        (of("n_count "), of("n_sum "))
    };
    assert_eq!(shown(), (Some(0.0), Some(0.0)));
    histogram.record(0.25);
    store.tick();
    assert_eq!(shown(), (Some(1.0), Some(0.25)));
    histogram.record_many(2.0, 3);
    store
        .recall
        .histograms("n")
        .label("k", "none")
        .reset()
        .unwrap_err();
    assert_eq!(shown(), (Some(4.0), Some(6.25)));
    store.recall.reset_kind(MetricKind::Histogram).unwrap();
    assert_eq!(shown(), (Some(0.0), Some(0.0)));
    // Windows know of no reset.
    let all = store.recall.histograms("n").over(mins(5));
    assert_eq!((all.count(), all.sum()), (Some(7), Some(19.25)));
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
    let empty = Store::new();
    empty.recall.reset_all().unwrap();
    assert_eq!((empty.total(), empty.recall.metrics().len()), (None, 0));
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

/// Deletes beside threads that record: what windows have of the series that is left is what its total is, and never more
/// than was recorded since the last delete began.
#[test]
fn what_is_recorded_beside_deletes_is_counted_once_or_gone() {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
    let store = Store::new();
    let done = AtomicBool::new(false);
    let held = store.counter("held");
    let recorded = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for of_macro in [false, true] {
            let (store, held, done, recorded) = (&store, &held, &done, &recorded);
            scope.spawn(move || {
                while !done.load(SeqCst) {
                    // Counted before it is recorded: never too few.
                    recorded.fetch_add(1, SeqCst);
                    if of_macro {
                        store.counter("macro").increment(1);
                    } else {
                        held.increment(1);
                    }
                }
            });
        }
        let mut times = 0;
        for round in 0..200 {
            // Both are at work.
            let from = recorded.load(SeqCst);
            while recorded.load(SeqCst) < from + 20 {
                std::thread::yield_now();
            }
            let before = recorded.load(SeqCst);
            let deleted = if round % 2 == 0 {
                store.recall.delete("n")
            } else {
                let all = store.recall.counters("n").label_not("k", "none");
                all.delete()
            };
            times += u32::from(deleted.is_ok());
            store.tick();
            let total = store.total().unwrap_or(0);
            let increase = store.increase().unwrap_or(0);
            let most = recorded.load(SeqCst) - before.saturating_sub(2);
            assert!(
                total <= most && increase <= most,
                "{total} and {increase} of {most}"
            );
            assert!(increase <= total, "{increase} of {total}");
        }
        done.store(true, SeqCst);
        assert!(times > 100, "{times}");
    });
    let before = store.total().unwrap_or(0);
    held.increment(5);
    store.counter("macro").increment(2);
    store.tick();
    assert_eq!(store.total(), Some(before + 7));
    assert_eq!(store.increase(), Some(before + 7));
}
