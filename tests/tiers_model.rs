//! Tiers against a list of all ticks: points are sealed, cascaded, spliced, expired and dropped for want of room, series
//! are evicted, and every answer is what the list allows: where it is known which ticks a window has, exactly that.
//!
//! `PROPTEST_CASES=10000 cargo test --release --test tiers_model` looks longer.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/tiered.rs"]
mod tiered;

use common::Store;
use metrics::{Label, counter, gauge, histogram};
use metrics_recall::{
    Error, MemoryProfile, MetricKind, Recall, RetentionRule, Tier, Timestamp, query::Series,
};
use proptest::prelude::*;
use std::{collections::BTreeSet, time::Duration};
use tiered::{
    Aim, Filter, Inside, Key, LABEL_NAMES, LABELS, Model, NAMES, OVERFLOW, Reached, Within,
};

/// Counted once in every tick, and of class 0.
const PULSE: &str = "pulse";

#[derive(Clone, Debug)]
enum Op {
    Increment(Key, u64),
    Set(Key, f64),
    Add(Key, f64),
    Record(Key, f64, usize),
    Tick(i64),
    Sleep(i64),
    /// So many ticks, so far apart, with something of a key in each.
    Run(u8, i64, Key, i8),
    /// The totals of a name start again.
    Reset(usize),
    Ask(Question),
}

#[derive(Clone, Copy, Debug)]
enum Window {
    All,
    Last(i64),
    /// Milliseconds before the newest tick, and a length.
    Ago(i64, i64),
    /// The same, from and to where points of this tier meet.
    Aligned(usize, i64, i64),
}

#[derive(Clone, Debug)]
struct Question {
    name: usize,
    filter: Filter,
    window: Window,
    step: i64,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug)]
enum About {
    Name(usize),
    LabelA(&'static str),
}

#[derive(Clone, Debug)]
struct Setup {
    /// Interval and retention, in milliseconds.
    tiers: Vec<(i64, i64)>,
    rules: Vec<(About, Vec<i64>)>,
    profile: MemoryProfile,
    /// Series that a metric may have, if they are few.
    series: Option<usize>,
    /// KiB, and series of a histogram that is busy, if memory is to be short.
    short: Option<(usize, usize)>,
}

/// Each is kept no shorter than the one before, and no shorter than its interval.
fn ascending(intervals: &[i64], keep: &[i64]) -> Vec<i64> {
    let mut longest = 0;
    let pairs = intervals.iter().zip(keep);
    let kept = pairs.map(|(interval, keep)| {
        if *keep > 0 {
            longest = longest.max(*keep).max(*interval);
        }
        if *keep > 0 { longest } else { 0 }
    });
    kept.collect()
}

fn setup() -> impl Strategy<Value = Setup> {
    let intervals = prop::sample::select(vec![
        vec![1_000, 5_000, 15_000],
        vec![1_000, 5_000, 15_000],
        vec![1_000, 10_000],
        vec![1_000, 2_000, 4_000, 8_000],
        vec![10, 10_000],
        vec![10, 100, 1_000],
        vec![1_000],
    ]);
    let keeps = || prop::collection::vec(1..60_i64, 4);
    let rule_keeps = prop::collection::vec(prop_oneof![1 => Just(0), 3 => 1..60_i64], 4);
    let about = prop_oneof![
        Just(About::Name(1)),
        Just(About::LabelA("x")),
        Just(About::LabelA("")),
    ];
    let rules = prop_oneof![
        2 => Just(Vec::new()),
        1 => prop::collection::vec((about, rule_keeps), 1..3),
    ];
    let profiles = vec![
        MemoryProfile::Edge,
        MemoryProfile::Production,
        MemoryProfile::Development,
    ];
    let series = prop_oneof![2 => Just(None), 1 => (1..4_usize).prop_map(Some)];
    let short = prop_oneof![4 => Just(None), 1 => (160..400_usize, 1..20_usize).prop_map(Some)];
    let all = (
        intervals,
        keeps(),
        rules,
        prop::sample::select(profiles),
        series,
        short,
    );
    all.prop_map(|(intervals, keeps, rules, profile, series, short)| {
        // From a few points of each tier to some tens.
        let scaled = |keeps: &[i64]| {
            let scaled = intervals.iter().zip(keeps);
            ascending(
                &intervals,
                &scaled.map(|(i, keep)| i * keep).collect::<Vec<_>>(),
            )
        };
        let rules = rules.into_iter().map(|(about, mut keep)| {
            keep[0] = keep[0].max(2);
            (about, scaled(&keep))
        });
        Setup {
            tiers: intervals.iter().copied().zip(scaled(&keeps)).collect(),
            rules: rules.collect(),
            profile,
            series,
            short,
        }
    })
}

fn key() -> impl Strategy<Value = Key> {
    (0..NAMES.len(), 0..LABELS.len()).prop_map(|(name, labels)| Key { name, labels })
}

/// Numbers whose sums are exact.
fn value() -> impl Strategy<Value = f64> {
    let wide = any::<i16>().prop_map(|v| f64::from(v) / 16.0);
    prop_oneof![wide, (-3..=3_i8).prop_map(f64::from), Just(0.25)]
}

/// In intervals of the finest tier, times 100.
fn advance() -> impl Strategy<Value = i64> {
    prop_oneof![6 => Just(100), 1 => Just(0), 2 => 1..300_i64, 1 => 1..3_000_i64, 1 => Just(1_500)]
}

fn question() -> impl Strategy<Value = Question> {
    let label = || (0..2_usize, prop::sample::select(vec!["", "x", "y"]));
    let filter = prop_oneof![
        3 => Just(Filter::All),
        3 => (0..=OVERFLOW).prop_map(Filter::One),
        1 => label().prop_map(|(label, value)| Filter::Is(label, value)),
        1 => label().prop_map(|(label, value)| Filter::Not(label, value)),
    ];
    let some = || prop_oneof![0..3_000_i64, 0..20_000_i64];
    let window = prop_oneof![
        2 => Just(Window::All),
        2 => some().prop_map(Window::Last),
        2 => (some(), some()).prop_map(|(ago, by)| Window::Ago(ago, by)),
        4 => (0..4_usize, 0..60_i64, 0..30_i64).prop_map(|(t, ago, by)| Window::Aligned(t, ago, by)),
    ];
    let step = prop_oneof![Just(100), Just(500), 30..5_000_i64];
    (0..NAMES.len(), filter, window, step).prop_map(|(name, filter, window, step)| Question {
        name,
        filter,
        window,
        step,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let times = prop_oneof![4 => Just(1), 1 => 1..5_usize];
    prop_oneof![
        2 => (key(), 1..100_u64).prop_map(|(key, by)| Op::Increment(key, by)),
        2 => (key(), value()).prop_map(|(key, v)| Op::Set(key, v)),
        1 => (key(), value()).prop_map(|(key, v)| Op::Add(key, v)),
        2 => (key(), value(), times).prop_map(|(key, v, n)| Op::Record(key, v, n)),
        4 => advance().prop_map(Op::Tick),
        1 => (100..50_000_i64).prop_map(Op::Sleep),
        6 => (1..60_u8, advance(), key(), any::<i8>()).prop_map(|(n, by, key, v)| Op::Run(n, by, key, v)),
        1 => (0..NAMES.len()).prop_map(Op::Reset),
        4 => question().prop_map(Op::Ask),
    ]
}

/// The store and its model, side by side.
struct Pair {
    store: Store,
    model: Model,
    setup: Setup,
    start: Timestamp,
    limited: bool,
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap())
}

#[expect(clippy::cast_precision_loss, reason = "small in this test")]
fn float(n: u64) -> f64 {
    n as f64
}

#[expect(clippy::cast_precision_loss, reason = "small in this test")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

/// The smallest and the greatest that a number may be, if it is there; and whether it must be.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: f64,
    high: f64,
    is_sure: bool,
}

impl Bounds {
    fn hold(&self, answer: Option<f64>) -> bool {
        let slack = 1e-9 * (1.0 + self.low.abs().max(self.high.abs()));
        answer.map_or(!self.is_sure, |answer| {
            self.low - slack <= answer && answer <= self.high + slack
        })
    }
}

/// Bounds of a sum of numbers that are there for sure or maybe.
fn sum_bounds(parts: impl Iterator<Item = (f64, bool)>, is_sure: bool) -> Bounds {
    let mut bounds = Bounds {
        low: 0.0,
        high: 0.0,
        is_sure,
    };
    for (part, is_there) in parts {
        bounds.low += if is_there { part } else { part.min(0.0) };
        bounds.high += if is_there { part } else { part.max(0.0) };
    }
    bounds
}

/// Bounds of the smallest of some numbers.
fn min_bounds(parts: impl Iterator<Item = (f64, bool)>) -> Bounds {
    let mut bounds = Bounds {
        low: f64::INFINITY,
        high: f64::INFINITY,
        is_sure: false,
    };
    let mut most = f64::NEG_INFINITY;
    for (part, is_there) in parts {
        bounds.low = bounds.low.min(part);
        most = most.max(part);
        if is_there {
            bounds.high = bounds.high.min(part);
            bounds.is_sure = true;
        }
    }
    bounds.high = bounds.high.min(most);
    bounds
}

/// Bounds of the greatest of some numbers.
fn max_bounds(parts: impl Iterator<Item = (f64, bool)>) -> Bounds {
    let negated = min_bounds(parts.map(|(part, is_there)| (-part, is_there)));
    Bounds {
        low: -negated.high,
        high: -negated.low,
        is_sure: negated.is_sure,
    }
}

/// What is known of the parts of a name.
struct Asked<'a> {
    inside: Inside<'a>,
    keys: Vec<Key>,
    /// The store has a series to answer for.
    is_known: bool,
}

impl Asked<'_> {
    fn is_sure(&self) -> bool {
        self.is_known && self.inside.ticks.iter().any(|within| within.is_sure)
    }

    /// What the ticks have of each of the series.
    fn each<'b, T>(
        &'b self,
        of: impl Fn(&'b Within<'b>, Key) -> Option<T> + Copy + 'b,
    ) -> impl Iterator<Item = (T, bool)> + 'b {
        let ticks = self.inside.ticks.iter();
        ticks.flat_map(move |within| {
            let keys = self.keys.iter();
            keys.filter_map(move |key| Some((of(within, *key)?, within.is_sure)))
        })
    }
}

macro_rules! filtered {
    ($filter:expr, $selection:expr) => {
        match $filter {
            Filter::All => $selection,
            Filter::One(OVERFLOW) => $selection.label("overflow", "true"),
            Filter::One(labels) => {
                let [a, b] = LABELS[labels];
                $selection.label("a", a).label("b", b).label("overflow", "")
            }
            Filter::Is(label, value) => $selection.label(LABEL_NAMES[label], value),
            Filter::Not(label, value) => $selection.label_not(LABEL_NAMES[label], value),
        }
    };
}

/// A window, in milliseconds after the start.
#[derive(Clone, Copy, Debug)]
struct Cut {
    from: i64,
    to: i64,
    is_all: bool,
}

macro_rules! windowed {
    ($pair:ident, $cut:ident, $selection:expr) => {
        if $cut.is_all {
            $selection.over(Duration::MAX)
        } else {
            $selection.between($pair.at($cut.from), $pair.at($cut.to))
        }
    };
}

fn store(setup: &Setup) -> Store {
    let mut config = setup.profile.config();
    let tier = |(interval, keep): &(i64, i64)| Tier::new(millis(*interval), millis(*keep));
    config.tiers = setup.tiers.iter().map(tier).collect();
    config.idle_timeout = millis(setup.tiers[0].0 * 5);
    if let Some(series) = setup.series {
        config.max_series_per_metric = series;
    }
    if let Some((kib, _)) = setup.short {
        config.memory_budget = kib << 10;
    } else {
        config.memory_budget = config.memory_budget.max(16 << 20);
    }
    let mut builder = Recall::builder().config(config);
    for (about, keep) in &setup.rules {
        let rule = match about {
            About::Name(name) => RetentionRule::new().name(NAMES[*name]),
            About::LabelA(value) => RetentionRule::new().name(NAMES[0]).label("a", *value),
        };
        builder = builder.retain(rule.keep(keep.iter().map(|keep| millis(*keep))));
    }
    Store::from(builder)
}

impl Pair {
    fn new(setup: &Setup) -> Self {
        let config = setup.profile.config();
        let tiers = (0..).zip(setup.tiers.iter().enumerate());
        let aims = tiers.map(|(halved, (at, (interval, keep)))| {
            let rules = setup.rules.iter().map(|(_, keep)| keep[at]);
            Aim {
                interval: *interval,
                keep: std::iter::once(*keep).chain(rules).collect(),
                schema: (i32::from(config.schema) - halved).max(i32::from(config.coarsest_schema)),
            }
        });
        let store = store(setup);
        Self {
            start: store.recall.now(),
            model: Model::new(aims.collect()),
            limited: setup.series.is_some() || setup.short.is_some(),
            store,
            setup: setup.clone(),
        }
    }

    fn at(&self, ms: i64) -> Timestamp {
        Timestamp::from_millis(self.start.as_millis() + ms)
    }

    /// Which retention class a series is of: 0, or that of the first rule that it fulfils.
    fn class_of(&self, key: Key) -> usize {
        let fits = |(about, _): &(About, Vec<i64>)| match about {
            About::Name(name) => *name == key.name,
            About::LabelA(value) => key.name == 0 && key.value_of(0) == *value,
        };
        self.setup
            .rules
            .iter()
            .position(fits)
            .map_or(0, |at| at + 1)
    }

    fn run(&mut self, ops: &[Op]) {
        for op in ops {
            self.step(op);
            let memory = self.store.recall.memory();
            assert!(memory.used <= memory.budget, "{memory:?}");
        }
        let everything = Question {
            name: 0,
            filter: Filter::All,
            window: Window::All,
            step: 1_000,
        };
        self.ask(&everything);
        self.check_health();
    }

    fn check_health(&self) {
        let health = self.store.recall.health();
        // Questions come before what they are about.
        let is_early = |reason: &String| reason.contains("never recorded");
        let is_healthy = health.reasons().iter().all(is_early);
        assert!(self.limited || is_healthy, "{health}");
        for tier in self.store.recall.retention() {
            assert!(tier.shortened == 0 || !self.model.is_roomy, "{tier}");
            if tier.shortened > 0 && tier.effective < tier.target {
                let named = health
                    .reasons()
                    .iter()
                    .any(|reason| reason.contains("history reaches back"));
                assert!(named, "{tier} is not in {health}");
            }
        }
    }

    /// Recordings of a name that went to its overflow series.
    fn overflowed(&self, kind: MetricKind, name: usize) -> u64 {
        let metrics = self.store.recall.metrics();
        let mut metrics = metrics
            .iter()
            .filter(|m| m.kind == kind && m.name == NAMES[name]);
        metrics.next().map_or(0, |m| m.overflowed)
    }

    /// Records something, and says which series it went to; `None`: there was no room for the name.
    fn record(&self, kind: MetricKind, key: Key, record: impl Fn(&[Label])) -> Option<Key> {
        let pairs = LABEL_NAMES.iter().zip(LABELS[key.labels]);
        let labels = pairs.filter(|(_, value)| !value.is_empty());
        let labels: Vec<Label> = labels
            .map(|(name, value)| Label::new(*name, value))
            .collect();
        let before = if self.limited {
            self.overflowed(kind, key.name)
        } else {
            0
        };
        self.store.recorder.scope(|| record(&labels));
        if self.setup.short.is_some() {
            let metrics = self.store.recall.metrics();
            let mut metrics = metrics.iter();
            metrics.find(|m| m.kind == kind && m.name == NAMES[key.name])?;
        }
        let is_own = !self.limited || self.overflowed(kind, key.name) == before;
        let labels = if is_own { key.labels } else { OVERFLOW };
        Some(Key { labels, ..key })
    }

    fn increment(&mut self, key: Key, by: u64) {
        let name = NAMES[key.name];
        let key = self.record(MetricKind::Counter, key, |labels| {
            counter!(name, labels.iter()).increment(by);
        });
        let Some(key) = key else { return };
        self.model.increment(key, by);
    }

    fn set(&mut self, key: Key, value: f64) {
        let name = NAMES[key.name];
        let key = self.record(MetricKind::Gauge, key, |labels| {
            gauge!(name, labels.iter()).set(value);
        });
        let Some(key) = key else { return };
        self.model.set(key, value);
    }

    fn add(&mut self, key: Key, by: f64) {
        let name = NAMES[key.name];
        let key = self.record(MetricKind::Gauge, key, |labels| {
            gauge!(name, labels.iter()).increment(by);
        });
        let Some(key) = key else { return };
        let now = self.model.gauges.get(&key).copied();
        // An evicted gauge that comes back goes on where it stopped, unless it was forgotten.
        let now = now.or_else(|| self.revived(key, by)).unwrap_or(0.0);
        self.model.set(key, now + by);
    }

    /// The value of an evicted gauge, if it was not forgotten when `by` was added.
    fn revived(&self, key: Key, by: f64) -> Option<f64> {
        let before = *self.model.last.get(&key)?;
        let selection = self.store.recall.gauges(NAMES[key.name]);
        let now = filtered!(Filter::One(key.labels), selection).current();
        (now == Some(before + by)).then_some(before)
    }

    fn observe(&mut self, key: Key, value: f64, times: usize) {
        let name = NAMES[key.name];
        let key = self.record(MetricKind::Histogram, key, |labels| {
            histogram!(name, labels.iter()).record_many(value, times);
        });
        let Some(key) = key else { return };
        self.model.record(key, value, times);
    }

    fn step(&mut self, op: &Op) {
        let finest = self.setup.tiers[0].0;
        match op {
            Op::Increment(key, by) => self.increment(*key, *by),
            Op::Set(key, value) => self.set(*key, *value),
            Op::Add(key, by) => self.add(*key, *by),
            Op::Record(key, value, times) => self.observe(*key, *value, *times),
            Op::Tick(by) => self.tick(by * finest / 100),
            Op::Sleep(by) => {
                let by = by * finest / 100;
                self.store.hands.suspend(millis(by));
                self.model.now += by;
                self.tick(0);
            }
            Op::Run(times, by, key, value) => {
                for at in 0..*times {
                    let value = value.wrapping_add(at.cast_signed());
                    self.increment(*key, u64::from(value.unsigned_abs() % 7) + 1);
                    if value % 3 == 0 {
                        self.set(*key, f64::from(value) / 4.0);
                    }
                    if value % 5 != 0 {
                        self.observe(*key, f64::from(value) / 2.0, 1 + usize::from(at % 3));
                    }
                    self.tick(by * finest / 100);
                }
            }
            Op::Reset(name) => self.reset(*name),
            Op::Ask(question) => self.ask(question),
        }
    }

    /// Ticks, and begins the totals of a name anew. What windows have stays.
    fn reset(&mut self, name: usize) {
        self.tick(0);
        let is_known = {
            let metrics = self.store.recall.metrics();
            metrics.iter().any(|metric| metric.name == NAMES[name])
        };
        let done = self.store.recall.reset(NAMES[name]);
        assert_eq!(done.is_ok(), is_known, "{done:?}");
        let evicted = self.evicted_but(is_known.then_some(name));
        self.model.tick(&evicted);
        self.model.reset(name);
        self.look();
        let counters = self.store.recall.counters(NAMES[name]);
        assert_eq!(counters.total().unwrap_or(0), 0);
        let gauges = self.store.recall.gauges(NAMES[name]);
        assert_eq!(gauges.current(), None);
    }

    fn tick(&mut self, by: i64) {
        self.store.recorder.scope(|| counter!(PULSE).increment(1));
        self.model.pending.pulse += 1;
        if let Some((_, series)) = self.setup.short {
            self.store.recorder.scope(|| {
                for at in 0..series {
                    let busy = histogram!("busy", "at" => at.to_string());
                    for n in 0..20_u32 {
                        busy.record(f64::from(n * n) + 0.5);
                    }
                }
            });
        }
        // Without room for its frame a tick is lost, and the next one has nothing to join.
        let newest = self.store.recall.snapshot().at();
        let before = self.model.ticks.last().map(|tick| self.at(tick.end));
        let was_lost = newest != before;
        assert!(!was_lost || self.setup.short.is_some(), "a tick was lost");
        self.model.now += by;
        let tick = self.store.tick(millis(by));
        let evicted = self.evicted();
        assert_eq!(tick.merged, self.model.tick(&evicted) && !was_lost);
        assert_eq!(tick.at, self.at(self.model.now));
        self.look();
    }

    /// Gauges that are gone; they must have been idle.
    fn evicted(&self) -> Vec<Key> {
        self.evicted_but(None)
    }

    /// The same but for those of a name that was reset.
    fn evicted_but(&self, reset: Option<usize>) -> Vec<Key> {
        let gauges = self.model.gauges.keys().copied();
        let gauges = gauges.filter(|key| reset != Some(key.name));
        if !self.limited {
            return Vec::new();
        }
        let gone = gauges.filter(|key| {
            let selection = self.store.recall.gauges(NAMES[key.name]);
            filtered!(Filter::One(key.labels), selection)
                .current()
                .is_none()
        });
        let gone: Vec<Key> = gone.collect();
        for key in &gone {
            let idle = self.model.now - self.model.set_at[key];
            assert!(
                idle >= self.setup.tiers[0].0 * 4,
                "{key:?} was idle for {idle} ms"
            );
        }
        gone
    }

    /// What the store says of itself after a tick.
    fn look(&mut self) {
        let retention = self.store.recall.retention();
        let health = self.store.recall.health();
        let is_lossy = |reason: &String| reason.contains("lost") || reason.contains("wait");
        if retention.iter().any(|tier| tier.shortened > 0) || health.reasons().iter().any(is_lossy)
        {
            assert!(self.setup.short.is_some(), "{health}\n{retention:?}");
            self.model.is_roomy = false;
        }
        let reached = retention.iter().map(|tier| Reached {
            effective: i64::try_from(tier.effective.as_millis()).unwrap(),
            points: tier.points,
        });
        self.model.take_reached(reached.collect());
        let all = self
            .model
            .inside(&BTreeSet::from([0]), i64::MIN / 4, i64::MAX / 4, false);
        let counted = |sure: bool| -> u64 {
            let ticks = all.ticks.iter().filter(|within| within.is_sure || !sure);
            ticks.map(|within| within.tick.pulse).sum()
        };
        let pulse = self
            .store
            .recall
            .counters(PULSE)
            .over(Duration::MAX)
            .increase();
        let (low, high) = (counted(true), counted(false));
        if self.model.is_roomy {
            let holds = pulse.is_some_and(|pulse| (low..=high).contains(&pulse));
            assert!(holds, "{pulse:?} is not in {low}..={high}: {retention:?}");
        } else {
            let pulse = pulse.unwrap_or(0);
            assert!(pulse <= high, "{pulse} is more than {high}");
            // Whatever is not sure in the pulse would hide a gap.
            self.model.has_gaps = pulse < high;
        }
    }

    fn cut(&self, window: Window) -> Cut {
        let now = self.model.now;
        let finest = self.setup.tiers[0].0;
        let (from, to) = match window {
            Window::All => (i64::MIN / 4, now),
            Window::Last(by) => (now - by * finest / 100, now),
            Window::Ago(ago, by) => {
                let to = now - ago * finest / 100;
                (to - by * finest / 100, to)
            }
            Window::Aligned(tier, ago, by) => {
                let interval = self.setup.tiers[tier % self.setup.tiers.len()].0;
                let to = (now / interval + 1 - ago) * interval;
                (to - by * interval, to)
            }
        };
        let is_all = matches!(window, Window::All);
        Cut { from, to, is_all }
    }

    fn ask(&self, question: &Question) {
        if self.model.ticks.is_empty() {
            return;
        }
        let mut question = question.clone();
        if self.limited && !self.setup.rules.is_empty() {
            // An evicted series is forgotten some time, and with it its class. So that of one must do.
            let labels = usize::try_from(question.step).unwrap() % LABELS.len();
            question.filter = Filter::One(labels);
        }
        let question = &question;
        let cut = self.cut(question.window);
        self.ask_counters(question, cut);
        self.ask_gauges(question, cut);
        self.ask_histograms(question, cut);
    }

    fn asked(&self, kind: MetricKind, question: &Question, cut: Cut, is_step: bool) -> Asked<'_> {
        let all: Vec<Key> = match kind {
            MetricKind::Counter => self.model.counters.keys().copied().collect(),
            MetricKind::Gauge => self.model.set_at.keys().copied().collect(),
            _ => self.model.histograms.iter().copied().collect(),
        };
        let name = question.name;
        let accepts = |key: &Key| key.name == name && question.filter.accepts(*key);
        let keys: Vec<Key> = all.into_iter().filter(accepts).collect();
        let classes: BTreeSet<usize> = keys.iter().map(|key| self.class_of(*key)).collect();
        let classes = if classes.is_empty() {
            BTreeSet::from([0])
        } else {
            classes
        };
        let inside = self.model.inside(&classes, cut.from, cut.to, is_step);
        let is_known = !keys.is_empty() && !self.limited;
        Asked {
            inside,
            keys,
            is_known,
        }
    }

    fn check(
        &self,
        what: &str,
        question: &Question,
        cut: Cut,
        bounds: Bounds,
        answer: Option<f64>,
    ) {
        if answer.is_none() && self.setup.short.is_some() {
            // Without room a question has no answer, and the store says so.
            let health = self.store.recall.health();
            let is_refusal = |reason: &String| reason.contains("had no answer for want");
            if health.reasons().iter().any(is_refusal) {
                return;
            }
        }
        assert!(
            bounds.hold(answer),
            "{what} of {question:?} over {cut:?} at {} is {answer:?}, expected {bounds:?}\n{:#?}",
            self.model.now,
            (self.store.recall.retention(), self.store.recall.health())
        );
    }

    fn steps<T: Copy>(
        &self,
        what: &str,
        question: &Question,
        cut: Cut,
        kind: MetricKind,
        points: &[metrics_recall::Point<T>],
        check: impl Fn(&Asked<'_>, Cut, Option<T>),
    ) {
        let step = question.step * self.setup.tiers[0].0 / 100;
        // Steps that are still to come have no point; the oldest one has, when it begins at the newest tick.
        let steps = i64::try_from(points.len()).unwrap();
        let to_come = ((cut.to - self.model.now) / step).max(0);
        let last = cut.to - step * to_come;
        let is_older = |point: &metrics_recall::Point<T>| point.at == self.at(last + step);
        let alone = i64::from(steps == 1 && to_come > 0 && points.last().is_some_and(is_older));
        let mut to = last + step * (alone - steps);
        for (at, point) in points.iter().enumerate() {
            let from = if at == 0 { cut.from } else { to };
            to += step;
            assert_eq!(point.at, self.at(to), "{what} of {question:?}");
            let part = Cut {
                from,
                to,
                is_all: false,
            };
            check(&self.asked(kind, question, part, true), part, point.value);
        }
    }

    fn ask_counters(&self, question: &Question, cut: Cut) {
        let selection = self.store.recall.counters(NAMES[question.name]);
        if matches!(question.filter, Filter::All) {
            let keys = self
                .model
                .counters
                .iter()
                .filter(|(key, _)| key.name == question.name);
            let total: u64 = keys.map(|(_, total)| total).sum();
            assert_eq!(selection.total().unwrap_or(0), total);
        }
        let selection = filtered!(question.filter, selection);
        let asked = self.asked(MetricKind::Counter, question, cut, false);
        let over = windowed!(self, cut, selection.clone());
        let increase = over.increase();
        self.check_increase(question, cut, &asked, increase);
        if let (Some(increase), Some(series)) = (increase, self.comparable(over.samples())) {
            let mut sum = 0;
            for series in series {
                let samples = series.samples.iter().map(|(_, sample)| sample);
                sum += samples.clone().map(|sample| sample.increase).sum::<u64>();
                for (before, after) in samples.clone().zip(samples.skip(1)) {
                    assert_eq!(after.total - before.total, after.increase);
                }
            }
            assert_eq!(sum, increase, "samples of {question:?} over {cut:?}");
        }
        let rates = [
            over.rate(),
            over.avg(),
            over.min(),
            over.max(),
            over.quantile(0.3),
        ];
        self.check_rates(question, cut, &asked, rates);
        let step = question.step * self.setup.tiers[0].0 / 100;
        if step == 0 || cut.is_all && asked.inside.ticks.is_empty() {
            return;
        }
        let points = windowed!(self, cut, selection)
            .every(millis(step))
            .increase();
        let sum: Option<u64> = points
            .iter()
            .filter_map(|point| point.value)
            .reduce(|a, b| a + b);
        if sum.is_some() {
            assert_eq!(
                sum, increase,
                "steps of {question:?} over {cut:?}: {points:?}"
            );
        }
        self.steps(
            "increase",
            question,
            cut,
            MetricKind::Counter,
            &points,
            |asked, part, value| {
                self.check_increase(question, part, asked, value);
            },
        );
    }

    /// Samples that must agree with an answer: series of several classes have points of their own, but one answer.
    fn comparable<T>(&self, samples: Result<Vec<Series<T>>, Error>) -> Option<Vec<Series<T>>> {
        samples.ok().filter(|_| self.setup.rules.is_empty())
    }

    fn check_increase(
        &self,
        question: &Question,
        cut: Cut,
        asked: &Asked<'_>,
        answer: Option<u64>,
    ) {
        let increments = asked.each(|within, key| within.tick.increments.get(&key));
        let bounds = sum_bounds(
            increments.map(|(by, is_sure)| (float(*by), is_sure)),
            asked.is_sure(),
        );
        self.check("increase", question, cut, bounds, answer.map(float));
        assert!(
            answer.is_none() || !asked.keys.is_empty(),
            "an answer about nothing"
        );
    }

    fn check_rates(
        &self,
        question: &Question,
        cut: Cut,
        asked: &Asked<'_>,
        [per_second, avg, min, max, quantile]: [Option<f64>; 5],
    ) {
        let ms = |tick: &tiered::Tick| tick.end - tick.start;
        let rise = |tick: &tiered::Tick| -> f64 {
            let rises = asked.keys.iter().filter_map(|key| tick.increments.get(key));
            rises.map(|by| float(*by)).sum()
        };
        let ticks = || asked.inside.ticks.iter();
        let timed = || ticks().filter(|within| ms(within.tick) > 0);
        let some = asked.is_known && timed().any(|within| within.is_sure);
        if asked.inside.is_exact && timed().next().is_some() {
            let time: i64 = ticks().map(|within| ms(within.tick)).sum();
            let rate = ticks().map(|within| rise(within.tick)).sum::<f64>() / seconds(time);
            let bounds = Bounds {
                low: rate,
                high: rate,
                is_sure: some,
            };
            self.check("rate", question, cut, bounds, per_second);
            self.check("avg", question, cut, bounds, avg);
        }
        let rates = || timed().map(|w| (rise(w.tick) / seconds(ms(w.tick)), w));
        let least = rates().map(|(rate, _)| rate).fold(f64::INFINITY, f64::min);
        let most = rates().map(|(rate, _)| rate).fold(0.0, f64::max);
        let sure_most = rates()
            .filter(|(_, w)| w.is_sure)
            .map(|(rate, _)| rate)
            .fold(0.0, f64::max);
        let sure_least = rates().filter(|(_, w)| w.is_sure && !w.may_be_coarse);
        let sure_least = sure_least.map(|(rate, _)| rate).fold(most, f64::min);
        // A tick without time may be part of a coarse point with hardly any.
        let instant: f64 = ticks()
            .filter(|w| ms(w.tick) == 0)
            .map(|w| rise(w.tick))
            .sum();
        let resolution = seconds(self.setup.tiers[0].0);
        let slack = if instant > 0.0 && ticks().any(|w| w.may_be_coarse) {
            f64::INFINITY
        } else {
            0.0
        };
        let bounds = Bounds {
            low: least,
            high: sure_least + slack,
            is_sure: some,
        };
        self.check("min", question, cut, bounds, min);
        // Peaks are rounded up, and those of several series add up.
        let peaks: f64 = if ticks().any(|within| within.may_be_coarse) {
            let peak = |key: &Key| {
                let of = |within: &Within<'_>| {
                    let by = within.tick.increments.get(key).map_or(0.0, |by| float(*by));
                    match ms(within.tick) {
                        0 => by / resolution,
                        ms => by / seconds(ms) + 1.0 / resolution,
                    }
                };
                ticks().map(of).fold(0.0, f64::max)
            };
            asked.keys.iter().map(peak).sum::<f64>() + slack
        } else {
            0.0
        };
        let bounds = Bounds {
            low: sure_most,
            high: most.max(peaks),
            is_sure: some,
        };
        self.check("max", question, cut, bounds, max);
        let bounds = Bounds {
            low: least,
            high: most + slack,
            is_sure: some,
        };
        self.check("quantile(0.3)", question, cut, bounds, quantile);
    }

    fn ask_gauges(&self, question: &Question, cut: Cut) {
        let selection = filtered!(
            question.filter,
            self.store.recall.gauges(NAMES[question.name])
        );
        let asked = self.asked(MetricKind::Gauge, question, cut, false);
        let over = windowed!(self, cut, selection.clone());
        let levels = [
            over.min(),
            over.max(),
            over.sum(),
            over.avg(),
            over.quantile(0.7),
        ];
        self.check_ends(question, cut, &asked, over.count());
        let samples = self.comparable(over.samples()).unwrap_or_default();
        let samples = samples.into_iter().flat_map(|series| series.samples);
        if let Some(most) = samples
            .filter_map(|(_, sample)| sample.max)
            .reduce(f64::max)
        {
            assert_eq!(
                over.max(),
                Some(most),
                "samples of {question:?} over {cut:?}"
            );
        }
        self.check_levels(question, cut, &asked, levels);
        let step = question.step * self.setup.tiers[0].0 / 100;
        if step == 0 {
            return;
        }
        let points = windowed!(self, cut, selection).every(millis(step)).count();
        let sum: Option<u64> = points
            .iter()
            .filter_map(|point| point.value)
            .reduce(|a, b| a + b);
        if sum.is_some() {
            assert_eq!(sum, over.count(), "steps of {question:?}: {points:?}");
        }
        self.steps(
            "count",
            question,
            cut,
            MetricKind::Gauge,
            &points,
            |asked, part, value| {
                self.check_ends(question, part, asked, value);
            },
        );
    }

    fn check_ends(&self, question: &Question, cut: Cut, asked: &Asked<'_>, answer: Option<u64>) {
        if !self.model.is_roomy && !self.setup.rules.is_empty() {
            // Which ticks of one class are missing cannot be told from outside.
            return;
        }
        let ends = asked.each(|within, key| within.tick.ends.get(&key));
        let parts: Vec<(f64, bool)> = ends.map(|(_, is_sure)| (1.0, is_sure)).collect();
        let is_sure = parts.iter().any(|part| part.1);
        let bounds = sum_bounds(parts.into_iter(), is_sure);
        self.check("count", question, cut, bounds, answer.map(float));
    }

    fn check_levels(
        &self,
        question: &Question,
        cut: Cut,
        asked: &Asked<'_>,
        [min, max, sum, avg, quantile]: [Option<f64>; 5],
    ) {
        let levels = || {
            let levels = asked.each(|within, key| within.tick.levels.get(&key));
            levels.flat_map(|(all, is_sure)| all.iter().map(move |value| (*value, is_sure)))
        };
        let ends = || {
            let ends = asked.each(|within, key| within.tick.ends.get(&key));
            ends.map(|(value, is_sure)| (*value, is_sure))
        };
        let is_sure = ends().any(|end| end.1);
        self.check("min", question, cut, min_bounds(levels()), min);
        self.check("max", question, cut, max_bounds(levels()), max);
        self.check("sum", question, cut, sum_bounds(ends(), is_sure), sum);
        let range = Bounds {
            low: min_bounds(ends()).low,
            high: max_bounds(ends()).high,
            is_sure,
        };
        self.check("quantile(0.7)", question, cut, range, quantile);
        // With points of several tiers, the means of equal ticks are exact, and only while all gauges are there.
        let first = asked
            .inside
            .ticks
            .first()
            .map_or(0, |w| w.tick.end - w.tick.start);
        let even = asked
            .inside
            .ticks
            .iter()
            .all(|w| w.tick.end - w.tick.start == first);
        let full = ends().count() == asked.keys.len() * asked.inside.ticks.len();
        let bounds = if asked.inside.is_exact && even && full && is_sure {
            let mean = ends().map(|end| end.0).sum::<f64>() / float(ends().count() as u64);
            Bounds {
                low: mean,
                high: mean,
                is_sure,
            }
        } else {
            range
        };
        self.check("avg", question, cut, bounds, avg);
    }

    fn ask_histograms(&self, question: &Question, cut: Cut) {
        let selection = filtered!(
            question.filter,
            self.store.recall.histograms(NAMES[question.name])
        );
        let asked = self.asked(MetricKind::Histogram, question, cut, false);
        let over = windowed!(self, cut, selection.clone());
        self.check_count(question, cut, &asked, over.count());
        if let (Some(count), Some(series)) = (over.count(), self.comparable(over.samples())) {
            let samples = series.iter().flat_map(|series| &series.samples);
            let sum: u64 = samples.map(|(_, sample)| sample.count).sum();
            assert_eq!(sum, count, "samples of {question:?} over {cut:?}");
        }
        let quantile = |q: f64| over.quantile(q);
        let heads = [over.sum(), over.min(), over.max(), over.avg()];
        let [zeroth, whole, half, most] = [0.0, 1.0, 0.5, 0.9].map(quantile);
        let [sum, min, max, avg] = heads;
        let answers = [sum, min, max, avg, zeroth, whole, half, most];
        self.check_records(question, cut, &asked, answers);
        let step = question.step * self.setup.tiers[0].0 / 100;
        if step == 0 {
            return;
        }
        let points = windowed!(self, cut, selection).every(millis(step)).count();
        let sum: Option<u64> = points
            .iter()
            .filter_map(|point| point.value)
            .reduce(|a, b| a + b);
        if sum.is_some() {
            assert_eq!(sum, over.count(), "steps of {question:?}: {points:?}");
        }
        self.steps(
            "count",
            question,
            cut,
            MetricKind::Histogram,
            &points,
            |asked, part, value| {
                self.check_count(question, part, asked, value);
            },
        );
    }

    fn check_count(&self, question: &Question, cut: Cut, asked: &Asked<'_>, answer: Option<u64>) {
        let counts = asked.each(|within, key| within.tick.records.get(&key));
        let counts = counts.map(|(all, is_sure)| (float(all.len() as u64), is_sure));
        let bounds = sum_bounds(counts, asked.is_sure());
        self.check("count", question, cut, bounds, answer.map(float));
    }

    fn check_records(
        &self,
        question: &Question,
        cut: Cut,
        asked: &Asked<'_>,
        [sum, min, max, avg, zeroth, whole, half, most]: [Option<f64>; 8],
    ) {
        let records = || {
            let records = asked.each(|within, key| within.tick.records.get(&key));
            records.flat_map(|(all, is_sure)| all.iter().map(move |value| (*value, is_sure)))
        };
        let (least, greatest) = (min_bounds(records()), max_bounds(records()));
        self.check(
            "sum",
            question,
            cut,
            sum_bounds(records(), asked.is_sure()),
            sum,
        );
        self.check("min", question, cut, least, min);
        self.check("max", question, cut, greatest, max);
        self.check("quantile(0)", question, cut, least, zeroth);
        self.check("quantile(1)", question, cut, greatest, whole);
        let range = Bounds {
            low: least.low,
            high: greatest.high,
            is_sure: least.is_sure,
        };
        self.check("avg", question, cut, range, avg);
        for (share, answer) in [(0.5, half), (0.9, most)] {
            // Without room for a page, buckets are wider from the start.
            let is_fine = self.setup.short.is_none();
            let bounds = if asked.inside.is_exact && is_fine && least.is_sure {
                let mut all: Vec<f64> = records().map(|record| record.0).collect();
                quantile_bounds(&mut all, share, asked.inside.schema)
            } else {
                range
            };
            let what = format!("quantile({share})");
            self.check(&what, question, cut, bounds, answer);
        }
    }
}

/// Half a bucket around the value of rank `ceil(share n)`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks of a vector"
)]
fn quantile_bounds(values: &mut [f64], share: f64, schema: i32) -> Bounds {
    values.sort_by(f64::total_cmp);
    let rank = (share * float(values.len() as u64)).ceil() as usize;
    let value = values[rank.max(1) - 1];
    let most = f64::from(-schema).exp2().exp2().sqrt();
    let (one, other) = (value / most, value * most);
    Bounds {
        low: one.min(other),
        high: one.max(other),
        is_sure: true,
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_answer_is_what_all_ticks_allow(
        setup in setup(),
        ops in prop::collection::vec(op(), 1..30),
    ) {
        Pair::new(&setup).run(&ops);
    }
}
