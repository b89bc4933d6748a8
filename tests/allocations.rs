//! Recording on a known series allocates nothing beyond what the facade's macros do themselves.

#[path = "common/counting.rs"]
mod counting;

mod common;

use common::Store;
use counting::Counting;
use metrics::{
    Key, Label, Level, Metadata, NoopRecorder, Recorder, Unit, counter, gauge, histogram,
};
use metrics_recall::{MemoryProfile, Recall, Timed, Timer, sampled, secs, throttled, time};
use std::{
    pin::pin,
    task::{Context, Waker},
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static METADATA: Metadata<'static> = Metadata::new("allocations", Level::INFO, None);

/// Runs `f` until everything it touches is known, and once more: asks for no more memory than without a recorder.
fn assert_nothing_added(store: &Store, what: &str, f: impl Fn()) {
    for _ in 0..40 {
        store.recorder.scope(&f);
    }
    store.tick(secs(1));
    store.recorder.scope(&f);
    let ours = Counting::asked(|| store.recorder.scope(&f));
    let facade = Counting::asked(|| metrics::with_local_recorder(&NoopRecorder, &f));
    assert_eq!(ours, facade, "{what}");
}

fn many_labels(n: usize) -> Vec<Label> {
    (0..n)
        .map(|i| Label::new(format!("label{i:02}"), format!("value {i}")))
        .collect()
}

#[test]
fn static_keys_allocate_nothing() {
    let store = Store::default();
    let record = || {
        counter!("n").increment(1);
        counter!("n", "a" => "1", "b" => "2").increment(1);
        counter!("n", "b" => "2", "a" => "1").absolute(7);
        gauge!("n", "a" => "1").set(2.0);
        gauge!("n", "a" => "1").increment(1.0);
        histogram!("n", "a" => "1").record(0.5);
        histogram!("n", "a" => "1").record_many(0.5, 1 << 20);
    };
    assert_nothing_added(&store, "static keys", record);
    assert_eq!(Counting::asked(|| store.recorder.scope(record)), 0);
}

#[test]
fn dynamic_labels_allocate_only_what_the_macros_do() {
    let store = Store::default();
    assert_nothing_added(&store, "dynamic labels", || {
        for i in 0..100_u32 {
            let (user, route) = (i.to_string(), String::from("/pay"));
            counter!("n", "user" => user.clone(), "route" => route.clone()).increment(1);
            gauge!("n", "route" => route.clone(), "user" => user.clone()).set(f64::from(i));
            histogram!("n", "user" => user, "empty" => "", "route" => route).record(f64::from(i));
            counter!(format!("n{i}")).increment(1);
        }
    });
}

#[test]
fn any_number_of_labels_in_any_order_allocates_only_what_the_macros_do() {
    let store = Store::default();
    for n in [0, 1, 2, 3, 7, 8, 40, 128] {
        let labels = many_labels(n);
        let reversed: Vec<Label> = labels.iter().rev().cloned().collect();
        let doubled: Vec<Label> = labels.iter().chain(&labels).take(128).cloned().collect();
        assert_nothing_added(&store, &format!("{n} labels"), || {
            for labels in [&labels, &reversed, &doubled] {
                counter!("n", labels.iter()).increment(1);
                gauge!("n", labels.iter()).set(1.0);
                histogram!("n", labels.iter()).record(1.0);
            }
        });
        let keys = [labels, reversed, doubled].map(|labels| Key::from_parts("n", labels.iter()));
        let register = || {
            for key in &keys {
                store.recorder.register_counter(key, &METADATA).increment(1);
                store
                    .recorder
                    .register_histogram(key, &METADATA)
                    .record(1.0);
            }
        };
        register();
        assert_eq!(Counting::asked(register), 0, "{n} labels");
    }
}

#[test]
fn handles_allocate_nothing() {
    let store = Store::default();
    let (c, g, h) = store
        .recorder
        .scope(|| (counter!("c"), gauge!("g"), histogram!("h")));
    // A histogram allocates when it first meets an octave.
    let values = [0.001, 0.5, 1.0, 1.5, 7.0, 1e9, -3.0, 0.0, f64::NAN];
    for value in values {
        h.record(value);
    }
    let record = || {
        for i in 0..1_000 {
            c.increment(i);
            c.absolute(i);
            g.set(1.0);
            g.increment(2.0);
            g.decrement(f64::NAN);
            for value in values {
                h.record(value);
            }
        }
        drop((c.clone(), g.clone(), h.clone()));
    };
    assert_eq!(Counting::asked(record), 0);
    store.tick(secs(1));
    assert_eq!(Counting::asked(record), 0);
}

#[test]
fn a_thread_that_did_not_make_a_series_allocates_nothing_once_it_is_known() {
    let store = Store::default();
    let record = || {
        counter!("n", "a" => "1").increment(1);
        gauge!("n", "a" => "1").set(1.0);
        histogram!("n", "a" => "1").record(1.0);
    };
    store.recorder.scope(record);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_nothing_added(&store, "another thread", record));
    });
}

#[test]
fn a_description_in_a_macro_allocates_nothing_on_the_second_call() {
    let store = Store::default();
    let record = || {
        counter!(description: "orders that were paid", unit: Unit::Count, "orders_total")
            .increment(1);
        gauge!(description: "waiting", "queue_depth", "queue" => "mail").set(3.0);
        histogram!(description: "time to pay", unit: Unit::Seconds, "pay_seconds").record(0.25);
    };
    store.recorder.scope(record);
    assert_eq!(Counting::asked(|| store.recorder.scope(record)), 0);
    let repeated = || {
        metrics::describe_counter!("orders_total", Unit::Count, "orders that were paid");
        metrics::describe_gauge!("queue_depth", "waiting");
    };
    assert_eq!(Counting::asked(|| store.recorder.scope(repeated)), 0);
}

#[test]
fn more_series_than_a_cache_holds_allocate_only_what_the_macros_do() {
    let store = Store::from(Recall::builder().profile(MemoryProfile::Development));
    assert_nothing_added(&store, "6,000 series", || {
        for i in 0..6_000_u32 {
            counter!("n", "i" => i.to_string()).increment(1);
        }
    });
}

#[test]
fn a_cache_without_room_to_grow_allocates_only_what_the_macros_do() {
    let store = Store::from(Recall::builder().memory_budget(1 << 20));
    assert_nothing_added(&store, "2,000 series in 1 MiB", || {
        for i in 0..2_000_u32 {
            counter!("n", "i" => i.to_string()).increment(1);
        }
    });
}

#[test]
fn timers_allocate_nothing() {
    let store = Store::default();
    let future = || {
        async { 1 }
            .timed(histogram!("wall"))
            .busy_to(histogram!("busy"))
            .cancelled_to(histogram!("wall", "cancelled" => "true"))
    };
    let record = || {
        drop(Timer::start(histogram!("n", "a" => "1")));
        Timer::start(histogram!("n")).cancel();
        let mut timer = Timer::start(histogram!("n"));
        timer.record_to(histogram!("n", "a" => "1"));
        timer.stop();
        assert_eq!(time(histogram!("n"), || 1), 1);
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(future()).poll(&mut context).is_ready());
        drop(future());
    };
    // A histogram allocates when it first meets an octave; these are all that a duration may fall into here.
    store.recorder.scope(|| {
        for octave in -30..6 {
            for histogram in [
                histogram!("n"),
                histogram!("n", "a" => "1"),
                histogram!("wall"),
                histogram!("busy"),
            ] {
                histogram.record(2f64.powi(octave));
                histogram.record(0.0);
            }
        }
    });
    for _ in 0..40 {
        store.recorder.scope(record);
    }
    assert_eq!(Counting::asked(|| store.recorder.scope(record)), 0);
}

#[test]
fn sampled_and_throttled_calls_allocate_nothing() {
    let store = Store::default();
    let record = || {
        for _ in 0..1_000_u32 {
            sampled!(1 in 16, histogram!("n").record(1.0));
            sampled!(1 in 16, counter!("n")).increment(1);
            sampled!(auto, histogram!("n", "by" => "auto").record(1.0));
            throttled!(100 per second, counter!("n", "by" => "rest").increment(1));
        }
    };
    for _ in 0..40 {
        store.recorder.scope(record);
    }
    assert_eq!(Counting::asked(|| store.recorder.scope(record)), 0);
    let total = |name: &str| store.recall.counters(name).total().unwrap_or(0);
    let calls = 2 * 41_000;
    let weight = store.recall.counters("recall_sampled_weight_total");
    let by_site = weight.by("site").total();
    assert_eq!(by_site.len(), 3, "{by_site:?}");
    let fixed: u64 = by_site.iter().map(|(_, weight)| weight).sum();
    assert!(
        fixed > calls / 2 && total("recall_sampled_total") < calls,
        "{by_site:?}"
    );
    let passed = store.recall.counters("n").label("by", "rest").total();
    let held_back = total("recall_throttled_total");
    assert_eq!(
        passed.unwrap_or(0) + held_back,
        41_000,
        "the rest is counted"
    );
}

#[test]
fn denied_series_allocate_only_what_the_macros_do() {
    let store = Store::from(Recall::builder().max_series_per_metric(10).max_metrics(5));
    assert_nothing_added(&store, "denied", || {
        for i in 0..200_u32 {
            counter!("n", "i" => i.to_string()).increment(1);
            gauge!("n", "i" => i.to_string()).set(1.0);
            histogram!("n", "i" => i.to_string()).record(1.0);
            counter!(format!("n{i}")).increment(1);
        }
        counter!("n", "long" => "x".repeat(5_000)).increment(1);
    });
}
