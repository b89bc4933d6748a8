//! A reader sees each committed frame once, and knows how many it did not see.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/heap.rs"]
mod heap;
#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/storm.rs"]
mod storm;

use metrics::{counter, gauge, histogram};
use metrics_recall::{
    Clock, Frame, ManualClock, MemoryProfile, Reader, Recall, RecallBuilder, RecallRecorder, secs,
};
use std::time::Duration;
use storm::{Size, Store};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

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

    fn add(&self, orders: u64) {
        self.recorder
            .scope(|| counter!("orders", "region" => "eu").increment(orders));
    }

    fn tick(&self) {
        self.hands.advance(secs(1));
        self.recall.tick();
    }
}

/// All increments of all counters.
fn increments(frames: &[Frame]) -> u64 {
    let all = frames.iter().flat_map(Frame::counters);
    all.map(|(_, _, by)| by).sum()
}

#[test]
fn each_frame_comes_once_oldest_first() {
    let shop = Shop::new(Recall::builder());
    let mut reader = shop.recall.reader();
    assert!(reader.poll().is_empty());
    for orders in 1..=3 {
        shop.add(orders);
        shop.tick();
    }
    let frames = reader.poll();
    let each: Vec<u64> = frames
        .iter()
        .map(|frame| increments(std::slice::from_ref(frame)))
        .collect();
    assert_eq!(each, [1, 2, 3]);
    assert!(frames.windows(2).all(|two| two[0].at() < two[1].at()));
    assert!(frames.iter().all(|frame| frame.duration() == secs(1)));
    assert!(reader.poll().is_empty());
    shop.tick();
    assert_eq!(
        reader.poll().len(),
        1,
        "a tick without news is a frame, too"
    );
    assert_eq!(reader.lost(), 0);
}

#[test]
fn readers_do_not_take_frames_from_each_other() {
    let shop = Shop::new(Recall::builder());
    let (mut one, mut other) = (shop.recall.reader(), shop.recall.reader());
    shop.add(5);
    shop.tick();
    assert_eq!(one.poll().len(), 1);
    assert_eq!(other.poll().len(), 1);
    let mut late = shop.recall.reader();
    assert_eq!(
        increments(&late.poll()),
        5,
        "a new reader begins with what is kept"
    );
}

#[test]
fn samples_of_all_kinds_have_their_names_and_labels() {
    let shop = Shop::new(Recall::builder());
    let mut reader = shop.recall.reader();
    shop.recorder.scope(|| {
        counter!("b").increment(1);
        counter!("a", "k" => "2").increment(2);
        counter!("a", "k" => "1").increment(3);
        gauge!("depth").set(4.0);
        gauge!("depth").set(2.0);
        histogram!("seconds", "route" => "/pay").record(0.5);
        histogram!("seconds", "route" => "/pay").record(-8.0);
        histogram!("seconds", "route" => "/pay").record(0.0);
    });
    shop.tick();
    let frames = reader.poll();
    let counters: Vec<String> = frames[0]
        .counters()
        .map(|(name, labels, by)| format!("{name}{labels} {by}"))
        .collect();
    assert_eq!(counters, ["a{k=\"1\"} 3", "a{k=\"2\"} 2", "b{} 1"]);
    let (name, labels, depth) = frames[0].gauges().next().unwrap();
    assert_eq!((&*name, labels.len()), ("depth", 0));
    assert_eq!(
        (depth.value, depth.min, depth.max),
        (Some(2.0), Some(2.0), Some(4.0))
    );
    let (name, labels, sample) = frames[0].histograms().next().unwrap();
    assert_eq!((&*name, labels.get("route")), ("seconds", Some("/pay")));
    assert_eq!((sample.count, sample.zero, sample.blurred), (3, 1, 0));
    assert_eq!((sample.min, sample.max), (Some(-8.0), Some(0.5)));
    let octave = 1 << sample.scale;
    assert_eq!(sample.positive, [(-octave, 1)]);
    assert_eq!(sample.negative, [(3 * octave, 1)]);
    assert!(
        frames[0]
            .to_string()
            .ends_with(": 1s, 3 counters, 1 gauge, 1 histogram")
    );
}

#[test]
fn what_joins_a_frame_that_was_read_comes_by_itself() {
    let shop = Shop::new(Recall::builder());
    let (mut eager, mut lazy) = (shop.recall.reader(), shop.recall.reader());
    shop.add(1);
    shop.tick();
    assert_eq!(increments(&eager.poll()), 1);
    shop.add(20);
    assert!(shop.recall.tick().merged);
    let joined = eager.poll();
    assert_eq!((joined.len(), increments(&joined)), (1, 20));
    assert_eq!(joined[0].duration(), Duration::ZERO);
    assert_eq!(joined[0].at(), shop.recall.now());
    shop.recall.tick();
    assert!(eager.poll().is_empty(), "nothing joined");
    for orders in [300, 4_000] {
        shop.add(orders);
        shop.recall.tick();
    }
    assert_eq!(increments(&eager.poll()), 4_300);
    let whole = lazy.poll();
    assert_eq!((whole.len(), increments(&whole)), (1, 4_321));
    assert_eq!((eager.lost(), lazy.lost()), (0, 0));
}

#[test]
fn what_joins_a_frame_that_nobody_read_is_part_of_it() {
    let shop = Shop::new(Recall::builder());
    let mut reader = shop.recall.reader();
    shop.tick();
    for _ in 0..3 {
        shop.add(1);
        shop.recall.tick();
    }
    let frames = reader.poll();
    assert_eq!((frames.len(), increments(&frames)), (1, 3));
}

#[test]
fn reading_changes_no_answer() {
    let ask = |read: bool| {
        let shop = Shop::new(Recall::builder());
        let mut reader = shop.recall.reader();
        for round in 0..20_u32 {
            shop.recorder
                .scope(|| gauge!("depth").set(f64::from(round % 7)));
            shop.add(u64::from(round));
            if round % 3 != 0 {
                shop.hands.advance(secs(1));
            }
            shop.recall.tick();
            if read {
                reader.poll();
            }
        }
        let depth = shop.recall.gauges("depth").over(Duration::MAX);
        let orders = shop.recall.counters("orders").over(Duration::MAX);
        (
            depth.count(),
            depth.avg(),
            orders.increase(),
            orders.max(),
            orders.min(),
        )
    };
    assert_eq!(ask(true), ask(false));
}

#[test]
fn too_many_joins_are_lost_and_counted() {
    let shop = Shop::new(Recall::builder());
    let (mut slow, mut fast) = (shop.recall.reader(), shop.recall.reader());
    shop.tick();
    slow.poll();
    for _ in 0..20 {
        shop.add(1);
        shop.recall.tick();
        assert_eq!(increments(&fast.poll()), 1);
    }
    let rest = slow.poll();
    assert_eq!(rest.len() as u64 + slow.lost(), 20);
    assert_eq!(increments(&rest), rest.len() as u64);
    assert!(rest.len() >= 8);
    assert_eq!(fast.lost(), 0);
}

#[test]
fn what_was_sealed_unread_is_counted_exactly() {
    let shop = Shop::new(Recall::builder());
    let mut reader = shop.recall.reader();
    let mut seen = 0;
    for pause in [0, 1, 100, 1_000, 3, 700] {
        for _ in 0..pause {
            shop.add(1);
            shop.tick();
        }
        seen += reader.poll().len() as u64;
    }
    assert_eq!(seen + reader.lost(), 1_804);
    assert!(reader.lost() > 0 && seen > 100, "{seen}");
}

#[test]
fn whoever_polls_once_a_tick_loses_nothing_even_without_memory() {
    let shop = Shop::new(
        Recall::builder()
            .profile(MemoryProfile::Edge)
            .memory_budget(256 << 10),
    );
    let mut reader = shop.recall.reader();
    for round in 0..300_u64 {
        shop.recorder.scope(|| {
            for i in 0..200_u64 {
                counter!("c", "i" => i.to_string()).increment(round + i + 1);
            }
        });
        shop.tick();
        assert_eq!(reader.poll().len(), 1);
    }
    assert_eq!(reader.lost(), 0);
}

#[test]
fn a_frame_keeps_the_names_of_series_that_are_gone() {
    let shop = Shop::new(
        Recall::builder()
            .max_series_per_metric(4)
            .retention(secs(20)),
    );
    let mut reader = shop.recall.reader();
    shop.recorder
        .scope(|| counter!("visits", "who" => "first").increment(7));
    shop.tick();
    let frame = reader.poll().remove(0);
    for round in 0..2_000_u64 {
        shop.recorder
            .scope(|| counter!("visits", "who" => round.to_string()).increment(1));
        shop.tick();
    }
    let (name, labels, by) = frame.counters().next().unwrap();
    assert_eq!(
        (&*name, labels.get("who"), by),
        ("visits", Some("first"), 7)
    );
    drop(frame);
    shop.recall.cleanup();
    shop.recall.cleanup();
    assert_eq!(reader.poll().len() as u64 + reader.lost(), 2_000);
}

#[test]
fn a_reader_holds_neither_frames_nor_the_store() {
    let shop = Shop::new(Recall::builder());
    let mut reader = shop.recall.reader();
    shop.add(1);
    shop.tick();
    reader.poll();
    drop(shop);
    assert!(reader.poll().is_empty());
}

#[test]
fn frames_that_are_held_stay_charged() {
    let store = Store::new(Size::Edge.builder());
    let mut reader: Reader = store.recall.reader();
    let mut held = Vec::new();
    for round in 0..400_u64 {
        store.scope(|| {
            for i in 0..50_u64 {
                counter!("c", "i" => i.to_string()).increment(round + i);
            }
        });
        store.tick();
        if round % 3 == 0 {
            store.scope(|| counter!("c").increment(1));
            store.tick_now();
        }
        let frames = reader.poll();
        if round % 2 == 0 {
            held.extend(frames);
        }
        store.check();
    }
    assert_eq!(reader.lost(), 0);
    let (used, held_by) = (store.recall.memory().used, held.len());
    assert_eq!(held_by, 200);
    drop(held);
    assert!(store.recall.memory().used < used);
    store.account.verdict();
}

#[test]
fn a_reader_beside_ticks_and_records_counts_every_increment_once() {
    let shop = Shop::new(Recall::builder());
    let mut reader = shop.recall.reader();
    let total = std::thread::scope(|scope| {
        let ticks = scope.spawn(|| {
            for round in 0..2_000 {
                shop.add(1);
                if round % 5 == 0 {
                    shop.hands.advance(secs(1));
                }
                shop.recall.tick();
            }
        });
        let mut total = 0;
        while !ticks.is_finished() {
            total += increments(&reader.poll());
        }
        total + increments(&reader.poll())
    });
    if reader.lost() == 0 {
        assert_eq!(total, 2_000);
    }
    assert!(total <= 2_000);
}
