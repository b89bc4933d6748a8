//! Series come, go and come back in any order, under limits that are always too small; nothing is lost or counted twice.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Store;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_recall::{Recall, secs};
use proptest::prelude::*;
use std::{collections::BTreeMap, time::Duration};

/// Values of the label `k`; far more than the limit allows.
const KEYS: usize = 7;
const LIMIT: usize = 3;
/// Seconds that history reaches back.
const RETENTION: u64 = 25;

#[derive(Clone, Debug)]
enum Op {
    /// Through a macro.
    Record(usize, u64),
    /// Through the handle in this place, which is taken if it is not there yet.
    Hold(usize, u64),
    Drop(usize),
    Tick(u64),
    /// As many ticks as it takes for everything to be idle.
    Idle,
    /// As many as it takes for history to forget.
    Forget,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..KEYS, 1..50_u64).prop_map(|(key, by)| Op::Record(key, by)),
        4 => (0..KEYS, 1..50_u64).prop_map(|(key, by)| Op::Hold(key, by)),
        2 => (0..KEYS).prop_map(Op::Drop),
        5 => (0..4_u64).prop_map(Op::Tick),
        3 => Just(Op::Idle),
        1 => Just(Op::Forget),
    ]
}

#[derive(Default)]
struct Seen {
    /// Begin and end of each tick in seconds, and what was counted in it.
    ticks: Vec<(u64, u64, u64)>,
    pending: u64,
    total: u64,
    now: u64,
}

struct Run {
    store: Store,
    held: BTreeMap<usize, (Counter, Gauge, Histogram)>,
    seen: Seen,
}

#[expect(clippy::cast_precision_loss, reason = "small in this test")]
fn float(n: u64) -> f64 {
    n as f64
}

impl Run {
    fn new() -> Self {
        let builder = Recall::builder()
            .max_series_per_metric(LIMIT)
            .idle_timeout(secs(1))
            .retention(secs(RETENTION));
        let store = Store::from(builder);
        store.tick(secs(0));
        let seen = Seen {
            ticks: vec![(0, 0, 0)],
            ..Seen::default()
        };
        Self {
            store,
            held: BTreeMap::new(),
            seen,
        }
    }

    fn handles(&self, key: usize) -> (Counter, Gauge, Histogram) {
        let key = key.to_string();
        self.store.recorder.scope(|| {
            let histogram = histogram!("n", "k" => key.clone());
            (
                counter!("n", "k" => key.clone()),
                gauge!("n", "k" => key),
                histogram,
            )
        })
    }

    fn record(&mut self, (counter, gauge, histogram): &(Counter, Gauge, Histogram), by: u64) {
        counter.increment(by);
        gauge.increment(float(by));
        gauge.decrement(float(by));
        histogram.record_many(0.5, usize::try_from(by).unwrap());
        self.seen.pending += by;
        self.seen.total += by;
    }

    fn tick(&mut self, by: u64) {
        self.store.tick(secs(by));
        self.seen.now += by;
        let (end, pending) = (self.seen.now, std::mem::take(&mut self.seen.pending));
        match self.seen.ticks.last_mut() {
            Some(newest) if by == 0 => newest.2 += pending,
            _ => self.seen.ticks.push((end - by, end, pending)),
        }
        self.check();
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Record(key, by) => {
                let handles = self.handles(key);
                self.record(&handles, by);
            }
            Op::Hold(key, by) => {
                let handles = self.held.remove(&key).unwrap_or_else(|| self.handles(key));
                self.record(&handles, by);
                self.held.insert(key, handles);
            }
            Op::Drop(key) => drop(self.held.remove(&key)),
            Op::Tick(by) => self.tick(by),
            Op::Idle => (0..4).for_each(|_| self.tick(1)),
            Op::Forget => (0..RETENTION + 4).for_each(|_| self.tick(1)),
        }
    }

    fn check(&self) {
        let recall = &self.store.recall;
        let seen = &self.seen;
        let ever = seen.total > 0;
        assert_eq!(recall.counters("n").total(), ever.then_some(seen.total));
        for window in [3, 10, RETENTION - 5] {
            // Ticks whose middle is in the window.
            let inside = seen
                .ticks
                .iter()
                .filter(|t| t.0 + t.1 + 2 * window > 2 * seen.now);
            let expected: u64 = inside.map(|t| t.2).sum();
            let increase = recall.counters("n").over(secs(window)).increase();
            assert_eq!(increase, ever.then_some(expected), "over {window} s");
            let h = recall.histograms("n").over(secs(window));
            let sum = float(expected) / 2.0;
            assert_eq!(
                (h.count(), h.sum()),
                (ever.then_some(expected), ever.then_some(sum))
            );
        }
        let live = recall.metrics().iter().map(|m| m.series).max().unwrap_or(0);
        assert!(live <= LIMIT, "{live} series");
        let memory = recall.memory();
        assert!(memory.used <= memory.budget);
        let parts: usize = memory.parts.iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(parts, memory.used);
        // What is held is current: everything has come back to zero.
        let current = recall.gauges("n").current();
        assert!(current.is_none_or(|v| v == 0.0), "{current:?}");
        let spike = recall.gauges("n").over(Duration::MAX).min();
        assert!(spike.is_none_or(|v| v >= 0.0), "{spike:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_while_series_come_and_go(ops in prop::collection::vec(op(), 1..100)) {
        let mut run = Run::new();
        for op in &ops {
            run.step(op);
        }
        run.held.clear();
        run.tick(1);
    }
}
