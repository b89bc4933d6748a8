//! A snapshot answers everything at one instant, whatever happens to the store afterwards.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/heap.rs"]
mod heap;
#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/storm.rs"]
mod storm;

use metrics::{counter, gauge, histogram};
use metrics_recall::{
    Clock, Labels, ManualClock, Recall, RecallBuilder, RecallRecorder, Snapshot, secs,
};
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};
use storm::{Size, Store};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const ALL: Duration = Duration::MAX;

struct Shop {
    recorder: RecallRecorder,
    recall: Recall,
    hands: ManualClock,
}

impl Shop {
    fn new(builder: RecallBuilder) -> Self {
        let (clock, hands) = Clock::manual();
        let (recorder, recall) = builder.clock(clock).build().unwrap();
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

    fn sell(&self, region: &'static str, n: u32) {
        self.recorder.scope(|| {
            counter!("orders", "region" => region).increment(n.into());
            gauge!("depth", "region" => region).set(n);
            histogram!("seconds", "region" => region).record(n);
        });
    }
}

/// Everything that the tests ask.
type Answers = (
    Vec<(Labels, u64)>,
    Option<u64>,
    Option<u64>,
    Vec<(Labels, f64)>,
    Option<f64>,
    (Option<f64>, Option<f64>, Option<u64>),
    (Option<u64>, Option<f64>, Option<f64>),
);

macro_rules! answers {
    ($from:expr) => {{
        let from = $from;
        let depth = from.gauges("depth").over(ALL);
        let seconds = from.histograms("seconds").over(ALL);
        (
            from.counters("orders").by("region").total(),
            from.counters("orders").total(),
            from.counters("orders").over(ALL).increase(),
            from.gauges("depth").by("region").current(),
            from.gauges("depth").current(),
            (depth.max(), depth.avg(), depth.count()),
            (seconds.count(), seconds.sum(), seconds.quantile(0.5)),
        )
    }};
}

fn ask(snapshot: &Snapshot) -> Answers {
    answers!(snapshot)
}

#[test]
fn a_snapshot_right_after_a_tick_answers_as_the_store_does() {
    let shop = Shop::new(Recall::builder());
    for n in 1..20 {
        shop.sell(["eu", "us", "in"][n as usize % 3], n);
        shop.tick();
    }
    let store: Answers = answers!(&shop.recall);
    assert_eq!(ask(&shop.recall.snapshot()), store);
    assert_eq!(store.1, Some(190));
    assert_eq!(shop.recall.snapshot().at(), Some(shop.recall.now()));
}

#[test]
fn what_was_recorded_since_the_tick_is_not_in_a_snapshot() {
    let shop = Shop::new(Recall::builder());
    shop.sell("eu", 5);
    shop.tick();
    shop.sell("eu", 7);
    let then = shop.recall.snapshot();
    assert_eq!(then.counters("orders").total(), Some(5));
    assert_eq!(then.gauges("depth").current(), Some(5.0));
    assert_eq!(shop.recall.counters("orders").total(), Some(12));
}

#[test]
fn nothing_that_comes_later_changes_an_answer() {
    let shop = Shop::new(Recall::builder());
    for n in 1..10 {
        shop.sell("eu", n);
        shop.tick();
    }
    let (then, copy) = (shop.recall.snapshot(), shop.recall.snapshot().clone());
    let before = ask(&then);
    for n in 1..400 {
        shop.sell(["eu", "us"][n as usize % 2], n);
        shop.tick();
        if n % 50 == 0 {
            assert_eq!(ask(&then), before, "after {n} ticks");
        }
    }
    assert_eq!(ask(&copy), before);
    assert_eq!(then.counters("orders").label("region", "us").total(), None);
}

#[test]
fn names_that_came_later_are_unknown_to_a_snapshot() {
    let shop = Shop::new(Recall::builder());
    shop.sell("eu", 1);
    shop.tick();
    let then = shop.recall.snapshot();
    shop.recorder.scope(|| counter!("returns").increment(1));
    shop.tick();
    assert_eq!(
        shop.recall.counters("returns").over(ALL).increase(),
        Some(1)
    );
    assert_eq!(then.counters("returns").over(ALL).increase(), None);
    assert_eq!(then.counters("returns").total(), None);
    assert_eq!(then.counters("orders").over(ALL).increase(), Some(1));
}

#[test]
fn a_snapshot_before_the_first_tick_knows_no_instant() {
    let shop = Shop::new(Recall::builder());
    let then = shop.recall.snapshot();
    assert_eq!(then.at(), None);
    assert_eq!(then.counters("orders").total(), None);
    assert_eq!(format!("{then:?}"), "Snapshot(before the first tick)");
}

#[test]
fn a_gauge_that_was_set_long_ago_has_the_value_it_had_then() {
    let shop = Shop::new(Recall::builder().retention(secs(10)));
    shop.sell("eu", 3);
    for _ in 0..30 {
        shop.tick();
    }
    let then = shop.recall.snapshot();
    shop.sell("eu", 8);
    for _ in 0..30 {
        shop.tick();
    }
    assert_eq!(then.gauges("depth").over(secs(5)).max(), Some(3.0));
    assert_eq!(then.gauges("depth").current(), Some(3.0));
    assert_eq!(shop.recall.gauges("depth").over(secs(5)).max(), Some(8.0));
}

#[test]
fn series_that_are_evicted_later_stay_in_a_snapshot_and_go_with_it() {
    let shop = Shop::new(Recall::builder().idle_timeout(secs(2)).retention(secs(10)));
    for (n, region) in [(1, "eu"), (2, "us"), (3, "in")] {
        shop.sell(region, n);
    }
    shop.tick();
    let then = shop.recall.snapshot();
    let before = ask(&then);
    for round in 0..200_u32 {
        shop.recorder
            .scope(|| counter!("visits", "n" => round.to_string()).increment(1));
        shop.tick();
        if round % 20 == 0 {
            shop.recall.cleanup();
            assert_eq!(ask(&then), before, "after {round} ticks");
        }
    }
    let held = shop.recall.memory().used;
    drop(then);
    for _ in 0..3 {
        shop.tick();
        shop.recall.cleanup();
    }
    assert!(shop.recall.memory().used < held);
    assert_eq!(shop.recall.counters("orders").total(), Some(6));
}

#[test]
fn a_held_snapshot_under_pressure_is_consistent_charged_and_bounded() {
    let store = Store::new(Size::Edge.builder());
    let sell = |n: u64| {
        store.scope(|| {
            for i in 0..100_u64 {
                counter!("orders", "region" => i.to_string()).increment(n * 31 + i);
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let value = (n * 7 + i) as f64;
                gauge!("depth", "region" => i.to_string()).set(value);
                let seconds = histogram!("seconds", "region" => i.to_string());
                store.record(&seconds, value + 0.5);
            }
        });
        store.tick();
    };
    for n in 0..300 {
        sell(n);
    }
    let then = store.inside(|| store.recall.snapshot());
    let before = ask(&then);
    for n in 0..1_500 {
        sell(n);
        if n % 100 == 0 {
            assert_eq!(ask(&then), before, "after {n} ticks");
            store.check();
        }
    }
    let last = store.recall.counters("orders").over(secs(1)).increase();
    assert_eq!(
        last,
        Some((0..100).map(|i| 1_499 * 31 + i).sum()),
        "history goes on"
    );
    store.inside(|| drop(then));
    store.tick();
    store.check_to_the_byte();
    store.account.verdict();
}

#[test]
fn a_snapshot_is_charged_to_the_byte() {
    let store = Store::new(Size::FourMiB.builder());
    store.scope(|| {
        for i in 0..1_000_u32 {
            counter!("orders", "region" => i.to_string()).increment(1);
            gauge!("depth", "region" => i.to_string()).set(1.0);
        }
    });
    store.tick();
    let before = store.recall.memory().used;
    let then = store.inside(|| store.recall.snapshot());
    let grown = store.recall.memory().used - before;
    assert!((24_000..40_000).contains(&grown), "{grown}");
    store.check();
    store.inside(|| drop(then));
    assert_eq!(store.recall.memory().used, before);
    store.account.verdict();
}

#[test]
fn a_snapshot_without_room_answers_nothing_and_is_named() {
    let shop = Shop::new(Recall::builder().memory_budget(2 << 20));
    shop.recorder.scope(|| {
        for i in 0..1_500_u32 {
            counter!("orders", "region" => i.to_string()).increment(1);
        }
    });
    shop.tick();
    let mut held = Vec::new();
    let refused = loop {
        let then = shop.recall.snapshot();
        if then.counters("orders").total().is_none() {
            break then;
        }
        held.push(then);
        assert!(held.len() < 1_000, "the budget has an end");
    };
    assert_eq!(refused.counters("orders").over(ALL).increase(), None);
    let memory = shop.recall.memory();
    assert!(memory.used <= memory.budget);
    assert!(
        shop.recall.health().to_string().contains("questions"),
        "{}",
        shop.recall.health()
    );
    drop(held);
    assert_eq!(
        shop.recall.snapshot().counters("orders").total(),
        Some(1_500)
    );
}

/// Windows and totals agree, since each tick adds the same to both, and to every series.
#[test]
fn a_snapshot_beside_ticks_records_and_evictions_is_of_one_instant() {
    let shop = Shop::new(Recall::builder().idle_timeout(secs(1)));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..1_500_u32 {
                shop.recorder.scope(|| {
                    counter!("a").increment(1);
                    counter!("b").increment(1);
                    gauge!("g").set(round + 1);
                    counter!("churn", "n" => round.to_string()).increment(1);
                });
                shop.tick();
                if round % 16 == 0 {
                    shop.recall.cleanup();
                }
            }
            done.store(true, Relaxed);
        });
        let mut seen = 0;
        while !done.load(Relaxed) {
            let then = shop.recall.snapshot();
            let Some(total) = then.counters("a").total().filter(|n| *n > 0) else {
                continue;
            };
            assert!(total >= seen);
            seen = total;
            assert_eq!(then.counters("b").total(), Some(total));
            assert_eq!(then.counters("churn").total(), Some(total));
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let depth = total as f64;
            assert_eq!(then.gauges("g").current(), Some(depth));
            assert_eq!(then.gauges("g").over(secs(1)).max(), Some(depth));
            assert_eq!(then.counters("a").over(ALL).increase(), Some(total));
        }
        assert!(seen > 0);
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it goes to another thread")]
fn a_snapshot_is_plain_data_to_pass_on() {
    fn is_sent<T: Clone + Send + Sync + 'static + std::fmt::Debug>(_: &T) {}
    let shop = Shop::new(Recall::builder());
    shop.sell("eu", 4);
    shop.tick();
    let then = shop.recall.snapshot();
    is_sent(&then);
    let orders = then.counters("orders");
    drop((shop, then));
    assert_eq!(
        std::thread::spawn(move || orders.total()).join().unwrap(),
        Some(4)
    );
}

/// A reset of the store took from a snapshot what evicted series had counted.
#[test]
fn a_reset_of_the_store_changes_no_total_of_a_snapshot() {
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder().clock(clock).idle_timeout(secs(2));
    let (recorder, recall) = builder.retention(secs(10)).build().unwrap();
    for i in 0..200_u32 {
        recorder.scope(|| counter!("visits", "n" => i.to_string()).increment(1));
        hands.advance(secs(1));
        recall.tick();
        if i % 5 == 0 {
            recall.force_cleanup(1);
        }
    }
    let then = recall.snapshot();
    assert!(
        then.counters("visits").by("n").total().len() < 100,
        "nothing was forgotten"
    );
    recall.reset("visits").unwrap();
    assert_eq!(then.counters("visits").total(), Some(200));
    assert!(then.counters("visits").reset().is_err());
}
