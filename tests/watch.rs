//! Watches: values that the tick keeps, for whoever wants them, and for no longer.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/heap.rs"]
mod heap;
#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/storm.rs"]
mod storm;

use metrics::{counter, gauge, histogram};
use metrics_recall::{Aggregation, Clock, ManualClock, Recall, RecallRecorder, mins, secs};
use storm::{Size, Store};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

fn store() -> (RecallRecorder, Recall, ManualClock) {
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build().unwrap();
    (recorder, recall, hands)
}

fn tick(recall: &Recall, hands: &ManualClock) {
    hands.advance(secs(1));
    recall.tick();
}

#[test]
fn a_watch_is_what_the_question_answers_after_each_tick() {
    let (recorder, recall, hands) = store();
    let requests = recall
        .counters("requests")
        .label("route", "/")
        .over(secs(10));
    let depth = recall.gauges("depth").over(secs(10));
    let seconds = recall.histograms("seconds").over(secs(10));
    let rate = requests.watch(Aggregation::Rate);
    let peak = depth.watch(Aggregation::Max);
    let p99 = seconds.watch(Aggregation::Quantile(0.99));
    assert_eq!((rate.get(), peak.get(), p99.get()), (None, None, None));
    for n in 1..40_u32 {
        recorder.scope(|| {
            counter!("requests", "route" => "/").increment(u64::from(n));
            counter!("requests", "route" => "/other").increment(1000);
            gauge!("depth").set(f64::from(n % 7));
            histogram!("seconds").record(f64::from(n));
        });
        tick(&recall, &hands);
        assert_eq!(rate.get(), requests.rate());
        assert_eq!(peak.get(), depth.max());
        assert_eq!(p99.get(), seconds.quantile(0.99));
        assert!(rate.get().is_some() && p99.get().is_some());
    }
    // The first value is there at once.
    assert_eq!(
        requests.watch(Aggregation::Increase).get(),
        requests.rate().map(|rate| rate * 10.0)
    );
}

#[test]
fn a_question_without_sense_has_no_value_and_hurts_no_other() {
    let (recorder, recall, hands) = store();
    recorder.scope(|| counter!("n").increment(1));
    let ask = recall.counters("n").over(mins(1));
    let odd = [
        Aggregation::Quantile(2.0),
        Aggregation::Total,
        Aggregation::Change,
    ]
    .map(|a| ask.watch(a));
    let rate = ask.watch(Aggregation::Rate);
    tick(&recall, &hands);
    assert!(odd.iter().all(|watch| watch.get().is_none()));
    assert_eq!(rate.get(), Some(1.0));
}

#[test]
fn a_metric_that_comes_later_is_watched_from_then_on() {
    let (recorder, recall, hands) = store();
    let rate = recall
        .counters("later")
        .over(mins(1))
        .watch(Aggregation::Increase);
    tick(&recall, &hands);
    assert_eq!(rate.get(), None);
    assert!(recall.health().to_string().contains("`later`"));
    recorder.scope(|| counter!("later").increment(3));
    tick(&recall, &hands);
    assert_eq!(rate.get(), Some(3.0));
    assert!(recall.health().is_healthy(), "{}", recall.health());
}

#[test]
fn a_watch_outlives_its_store_and_does_not_keep_it() {
    let (recorder, recall, hands) = store();
    recorder.scope(|| counter!("n").increment(3));
    let increase = recall
        .counters("n")
        .over(mins(1))
        .watch(Aggregation::Increase);
    tick(&recall, &hands);
    drop((recorder, recall));
    assert_eq!(increase.get(), Some(3.0));
}

#[test]
fn watches_are_charged_and_given_back_when_they_are_dropped() {
    let store = Store::new(Size::FourMiB.builder());
    store.scope(|| counter!("n", "k" => "v").increment(1));
    store.tick();
    let before = store.recall.memory().used;
    let ask = store.recall.counters("n").label("k", "v").over(secs(60));
    let mut watches = Vec::with_capacity(1_000);
    store.inside(|| watches.extend((0..1_000).map(|_| ask.watch(Aggregation::Rate))));
    let grown = store.recall.memory().used - before;
    assert!(grown > 100_000, "{grown}");
    store.check();
    store.tick();
    assert!(watches.iter().all(|watch| watch.get() == Some(0.5)));
    let kept = watches.pop().unwrap();
    store.inside(|| watches.clear());
    store.tick();
    assert_eq!(kept.get(), Some(1.0 / 3.0));
    store.check();
    let left = store.recall.memory().used - before;
    assert!(left < grown / 4, "{left} of {grown}");
    store.inside(|| kept.detach());
    store.tick();
    store.check();
}

/// A list of them and their texts were nobody's: a program that made one a customer had more memory than its budget.
#[test]
fn rate_metrics_are_charged_and_given_back_when_they_are_dropped() {
    let store = Store::new(Size::FourMiB.boundless());
    store.tick();
    let mut rates = Vec::with_capacity(100);
    let label = |n: usize| ("customer", format!("{n:0>200}"));
    store.inside(|| {
        rates.extend((0..100).map(|n| store.recall.rate_metric(("orders", &[label(n)])).unwrap()));
    });
    store.check();
    for rate in &rates {
        rate.increment(3);
    }
    store.tick();
    store.tick();
    assert!(rates.iter().all(|rate| rate.one_minute() == Some(1.0)));
    store.check();
    let kept = rates.pop().unwrap();
    store.inside(|| rates.clear());
    store.tick();
    store.check();
    assert!(kept.one_minute() > Some(0.0));
    store.inside(|| drop(kept));
    store.tick();
    store.check();
    assert!(store.recall.collectors().is_empty());
    // What is left of it is the list of collectors; series stay, as those of any counter and gauge.
    let parts = store.recall.memory().parts;
    let own = parts.iter().find(|(name, _)| *name == "collectors");
    assert!(own.is_some_and(|(_, bytes)| *bytes <= 64), "{parts:?}");
}

#[test]
fn watches_come_and_go_while_ticks_run() {
    let (recorder, recall, hands) = store();
    recorder.scope(|| counter!("n").increment(1));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut kept = Vec::new();
                for n in 0..500 {
                    let watch = recall.counters("n").over(mins(1)).watch(Aggregation::Max);
                    if n % 7 == 0 {
                        kept.push(watch);
                    }
                    if n % 50 == 0 {
                        kept.clear();
                    }
                }
            });
        }
        for _ in 0..200 {
            tick(&recall, &hands);
        }
    });
    let watch = recall
        .counters("n")
        .over(mins(10))
        .watch(Aggregation::Increase);
    tick(&recall, &hands);
    assert_eq!(watch.get(), Some(1.0));
}
