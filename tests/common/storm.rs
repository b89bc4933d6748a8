//! A store under attack: every step of it is on its account, and the clock is moved by hand.

use super::heap::{self, Account};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_recall::{
    Clock, ManualClock, MemoryProfile, Recall, RecallBuilder, RecallRecorder, Tick, secs,
};
use std::sync::Once;

/// A store, a manual clock, and the account of everything that the store allocates.
pub struct Store {
    pub recall: Recall,
    pub hands: ManualClock,
    pub account: &'static Account,
    recorder: RecallRecorder,
    /// Bytes of the heap that no part of the ledger but the fixed one stands for.
    fixed: usize,
}

/// `usual`, or `long` when `RECALL_LONG=1` asks for the full size.
pub fn scale(usual: usize, long: usize) -> usize {
    let asked = std::env::var("RECALL_LONG").is_ok_and(|v| v == "1");
    if asked { long } else { usual }
}

/// The budgets that every attack is run at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Edge,
    FourMiB,
    ThirtyTwoMiB,
    Staging,
    Development,
}

pub const SIZES: [Size; 5] = [
    Size::Edge,
    Size::FourMiB,
    Size::ThirtyTwoMiB,
    Size::Staging,
    Size::Development,
];

impl Size {
    /// With the limits of the profile. The greatest two have all of their budget in the full size only: it takes long to fill.
    pub fn builder(self) -> RecallBuilder {
        let scaled = |profile, usual: usize, long: usize| {
            Recall::builder()
                .profile(profile)
                .memory_budget(scale(usual << 20, long << 20))
        };
        match self {
            Size::Edge => Recall::builder().profile(MemoryProfile::Edge),
            Size::FourMiB => Recall::builder().memory_budget(4 << 20),
            Size::ThirtyTwoMiB => Recall::builder(),
            Size::Staging => scaled(MemoryProfile::Staging, 8, 64),
            Size::Development => scaled(MemoryProfile::Development, 12, 128),
        }
    }

    /// Without any limit but memory.
    pub fn boundless(self) -> RecallBuilder {
        self.builder()
            .max_series_per_metric(1 << 30)
            .max_metrics(1 << 30)
    }
}

impl Store {
    pub fn new(builder: RecallBuilder) -> Self {
        static WAITED: Once = Once::new();
        // More than all tests of a process have at work.
        WAITED.call_once(|| heap::wait_at_once(scale(128, 400)));
        let account = Account::open();
        let (clock, hands) = Clock::manual();
        let (recorder, recall) =
            heap::inside(account, None, || builder.clock(clock).build()).unwrap();
        let store = Self {
            recall,
            hands,
            account,
            recorder,
            fixed: 0,
        };
        store.check();
        let fixed = store.unaccounted();
        Self { fixed, ..store }
    }

    /// Bytes of the heap beyond all parts of the ledger but the fixed one.
    fn unaccounted(&self) -> usize {
        let measured = self.recall.memory().used - self.part("fixed");
        self.account.heap().checked_sub(measured).unwrap()
    }

    /// Beyond [`check`](Self::check): the ledger has every byte of what came after the start, and not one too many.
    pub fn check_to_the_byte(&self) {
        self.check();
        assert_eq!(self.unaccounted(), self.fixed);
    }

    /// Runs `work` as the store's own: what it allocates is compared with the ledger at once.
    pub fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        heap::inside(self.account, Some(&self.recall), work)
    }

    /// Runs `emit` with this store as the thread's recorder.
    pub fn scope<T>(&self, emit: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(self, emit)
    }

    /// A value for a histogram: the one thing that a handle may allocate for.
    pub fn record(&self, histogram: &Histogram, value: f64) {
        self.inside(|| histogram.record(value));
    }

    /// A second passes, and a tick ends it.
    pub fn tick(&self) -> Tick {
        self.hands.advance(secs(1));
        self.tick_now()
    }

    /// A tick without any progress of the clock.
    pub fn tick_now(&self) -> Tick {
        self.inside(|| self.recall.tick())
    }

    /// Everything that holds when no other thread is at work.
    pub fn check(&self) {
        self.account.compare_at_rest(&self.recall);
        self.account.verdict();
        let memory = self.recall.memory();
        let parts: usize = memory.parts.iter().map(|part| part.1).sum();
        assert_eq!(parts, memory.used, "parts add up: {memory:?}");
        assert!(
            memory.used <= memory.peak && memory.peak <= memory.budget,
            "{memory:?}"
        );
    }

    /// Asserts that one reason of `health()` has all of these words.
    pub fn assert_named(&self, words: &[&str]) {
        let health = self.recall.health();
        let names = |reason: &String| words.iter().all(|word| reason.contains(word));
        assert!(
            health.reasons().iter().any(names),
            "{words:?} not in: {health}"
        );
    }

    /// Bytes of one part of the ledger.
    pub fn part(&self, name: &str) -> usize {
        let parts = self.recall.memory().parts.into_iter();
        let mut found = parts.filter(|part| part.0 == name);
        found.next().map(|part| part.1).unwrap()
    }

    /// Shards of the index come into use one by one, and what they have they keep.
    pub fn used_but_index(&self) -> usize {
        self.recall.memory().used - self.part("index")
    }

    /// Series that the metrics of a name have, of all kinds.
    pub fn series(&self, name: &str) -> usize {
        let metrics = self.recall.metrics().into_iter();
        metrics.filter(|m| m.name == name).map(|m| m.series).sum()
    }

    /// Recordings that the metrics of a name sent to overflow series, of all kinds.
    pub fn overflowed(&self, name: &str) -> u64 {
        let metrics = self.recall.metrics().into_iter();
        metrics
            .filter(|m| m.name == name)
            .map(|m| m.overflowed)
            .sum()
    }

    /// Values that a histogram received in the newest tick.
    pub fn last_tick_of(&self, name: &str) -> u64 {
        let histogram = self.recall.histograms(name).over(secs(1));
        histogram.count().unwrap_or_else(|| {
            panic!(
                "no answer: {} {:?}",
                self.recall.health(),
                self.recall.memory()
            )
        })
    }
}

impl Recorder for Store {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.inside(|| self.recorder.describe_counter(key, unit, text));
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.inside(|| self.recorder.describe_gauge(key, unit, text));
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.inside(|| self.recorder.describe_histogram(key, unit, text));
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.inside(|| self.recorder.register_counter(key, metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.inside(|| self.recorder.register_gauge(key, metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.inside(|| self.recorder.register_histogram(key, metadata))
    }
}
