//! What a fuzzer may do to a store.

use crate::text::{Labels, Text};
use arbitrary::Arbitrary;
use metrics_recall::{MemoryProfile, MetricKind, RecallBuilder, RetentionRule, Tier, metrics::Key};
use std::time::Duration;

#[derive(Arbitrary, Debug)]
pub struct Input<'a> {
    pub setup: Setup,
    pub ops: Vec<Op<'a>>,
}

#[derive(Arbitrary, Debug)]
pub struct Setup {
    budget: u16,
    profile: u8,
    resolution: u8,
    retention: u8,
    pub idle: u8,
    series: Option<u8>,
    metrics: Option<u8>,
    tiers: u8,
    /// On the clock before the store exists.
    pub elapsed: Advance,
}

const SMALLEST: usize = 128 << 10;

impl Setup {
    /// 128 KiB to 2 MiB.
    pub fn budget(&self) -> usize {
        SMALLEST + usize::from(self.budget) * 30
    }

    fn profile(&self) -> MemoryProfile {
        match self.profile % 4 {
            0 => MemoryProfile::Edge,
            1 => MemoryProfile::Production,
            2 => MemoryProfile::Staging,
            _ => MemoryProfile::Development,
        }
    }

    /// Profile, tiers and rules.
    pub fn apply(&self, builder: RecallBuilder) -> RecallBuilder {
        if !self.is_tiered() {
            let mut config = self.profile().config();
            config.tiers = vec![Tier::new(self.resolution(), self.retention())];
            return builder.config(config);
        }
        let (short, long) = ([self.resolution()], [self.retention()]);
        builder
            .profile(self.profile())
            .retain(RetentionRule::new().name("a").keep(short))
            .retain(RetentionRule::new().label("b", "*").keep(long))
            .retain(RetentionRule::new().kind(MetricKind::Gauge).keep(short))
    }

    /// Whether history has coarser tiers and retention rules, which the model does not know.
    pub fn is_tiered(&self) -> bool {
        self.tiers > 191
    }

    /// Buckets per octave, as a power of two.
    pub fn schema(&self) -> i32 {
        self.profile().config().schema.into()
    }

    pub fn resolution(&self) -> Duration {
        let all = [1_000, 10, 60_000, 100, 12_000];
        Duration::from_millis(all[usize::from(self.resolution) % all.len()])
    }

    pub fn retention(&self) -> Duration {
        match self.retention {
            255 => self.resolution() * self.most_ticks(),
            n => self.resolution() * (1 + u32::from(n)),
        }
    }

    /// Ticks whose time axis takes an eighth of the budget, at sixteen bytes each.
    fn most_ticks(&self) -> u32 {
        u32::try_from(self.budget() / 128).unwrap_or(u32::MAX)
    }

    pub fn series(&self) -> usize {
        self.series.map_or(10_000, |n| 1 + usize::from(n))
    }

    /// Whether names are limited to a few.
    pub fn is_limited(&self) -> bool {
        self.metrics.is_some()
    }

    pub fn metrics(&self) -> usize {
        self.metrics.map_or(10_000, |n| 1 + usize::from(n))
    }
}

#[derive(Arbitrary, Clone, Debug)]
pub struct KeyOf<'a> {
    name: Text<'a>,
    labels: Option<Labels<'a>>,
}

impl KeyOf<'_> {
    pub fn get(&self) -> Key {
        match &self.labels {
            None => Key::from_name(self.name.shared()),
            Some(labels) => Key::from_parts(self.name.shared(), labels.list()),
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Value {
    Bits(u64),
    Quarters(i16),
    Odd(u8),
}

const ODD: [f64; 12] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    5e-324,
    f64::MIN_POSITIVE,
    -f64::MIN_POSITIVE,
    f64::MAX,
    f64::MIN,
    1e300,
    1.0,
];

impl Value {
    /// Quantiles that are always asked for.
    pub const SHARES: [f64; 7] = [0.0, 0.01, 0.3, 0.5, 0.9, 0.99, 1.0];

    pub fn get(self) -> f64 {
        match self {
            Value::Bits(bits) => f64::from_bits(bits),
            Value::Quarters(n) => f64::from(n) / 4.0,
            Value::Odd(at) => ODD[usize::from(at) % ODD.len()],
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum What {
    Count(u8),
    CountMany(u64),
    Absolute(u64),
    GaugeSet(Value),
    GaugeAdd(Value),
    GaugeSub(Value),
    Observe(Value),
    ObserveMany(Value, u64),
}

impl What {
    pub fn kind(&self) -> MetricKind {
        match self {
            What::Count(_) | What::CountMany(_) | What::Absolute(_) => MetricKind::Counter,
            What::GaugeSet(_) | What::GaugeAdd(_) | What::GaugeSub(_) => MetricKind::Gauge,
            What::Observe(_) | What::ObserveMany(..) => MetricKind::Histogram,
        }
    }

    /// For a counter: how much, and whether that is absolute.
    pub fn integer(&self) -> (u64, bool) {
        match self {
            What::Absolute(n) => (*n, true),
            What::Count(n) => (u64::from(*n), false),
            What::CountMany(n) | What::ObserveMany(_, n) => (*n, false),
            _ => (1, false),
        }
    }

    /// For a gauge or a histogram: which value, and how often.
    pub fn float(&self) -> (f64, usize) {
        match self {
            What::ObserveMany(value, n) => (value.get(), usize::try_from(*n).unwrap_or(usize::MAX)),
            What::GaugeSet(v) | What::GaugeAdd(v) | What::GaugeSub(v) | What::Observe(v) => {
                (v.get(), 1)
            }
            What::Count(n) => (f64::from(*n), 1),
            What::CountMany(n) | What::Absolute(n) => (*n as f64, 1),
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum KindOf {
    Counter,
    Gauge,
    Histogram,
}

impl KindOf {
    pub fn get(self) -> MetricKind {
        match self {
            KindOf::Counter => MetricKind::Counter,
            KindOf::Gauge => MetricKind::Gauge,
            KindOf::Histogram => MetricKind::Histogram,
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Advance {
    None,
    Millis(u16),
    Second,
    Nanos(u64),
    Longest,
}

impl Advance {
    pub fn get(self) -> Duration {
        match self {
            Advance::None => Duration::ZERO,
            Advance::Millis(n) => Duration::from_millis(n.into()),
            Advance::Second => Duration::from_secs(1),
            Advance::Nanos(n) => Duration::from_nanos(n),
            Advance::Longest => Duration::MAX,
        }
    }
}

#[derive(Arbitrary, Debug)]
pub enum Op<'a> {
    Record(KeyOf<'a>, What),
    Keep(KeyOf<'a>, KindOf),
    Use(u8, What),
    Drop(u8),
    Flood(Text<'a>, u16, What),
    Elsewhere(Vec<(KeyOf<'a>, What, u8, bool)>),
    Describe(Text<'a>, KindOf, bool, Text<'a>),
    Tick(Advance),
    StepWall(i64),
    Ask(Question<'a>),
    Show,
    Check,
    Shutdown,
    Reset(Text<'a>),
    Delete(Text<'a>),
    ResetAll,
}

#[derive(Arbitrary, Debug)]
pub struct Question<'a> {
    pub kind: KindOf,
    pub name: Text<'a>,
    pub matchers: Vec<(Text<'a>, Text<'a>, bool)>,
    pub by: Vec<Text<'a>>,
    pub window: Window,
    pub step: Step,
    pub q: Value,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Window {
    Over(Advance),
    Between(i64, i64),
    /// Milliseconds before now.
    Ago(u16, u16),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Step {
    Each(Advance),
    /// A fraction of what history covers.
    Parts(u8),
}
