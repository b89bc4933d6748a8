//! Loom models: the real cells, caches, registries and sweeps, under every schedule and every stale read that loom finds.
//!
//! What a model does not race for is made `quietly`, or there would be no end to it. Threads have explicit ids; the
//! thread-local layer is not part of any model.
#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "tests of exact values"
)]

mod counters;
mod gauges;
mod handles;
mod histograms;
mod lanes;
mod limits;
mod news;
mod pins;
mod remove;

use super::{
    Live,
    cache::{Cache, Look},
    collect::Collector,
    drain::Sweep,
    registry::{Limits, Registry},
    series::Kind,
};
use crate::{
    codec::{buckets, distribution},
    ledger::{BASE, Ledger, PARTS, Part},
    model::frame::{CLASS_BITS, CLASSES, GaugePoint, SeriesId},
    util::sync::{Arc, Order, Weakened, quietly},
};
use metrics::{Key, Label, Level, Metadata};

/// More than any model needs.
const AMPLE: usize = 1 << 28;

const METRIC: &str = "m";

/// Places are given in order: the kind's spare series, the overflow series of [`METRIC`], and then this one.
const SERIES: SeriesId = 2 << CLASS_BITS;

/// The overflow series of [`METRIC`].
const OVERFLOW: SeriesId = 1 << CLASS_BITS;

/// What the call that registers a key says beside it.
const FROM: Metadata<'static> = Metadata::new("models", Level::INFO, None);

/// Runs `model` once for each schedule.
fn check(model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.check(model);
}

/// As [`check`], with an ordering that is only `Relaxed`; for tests that should panic.
fn check_weakened(order: Order, model: fn()) {
    let _weak = Weakened::new(order);
    check(model);
}

const LIMITS: Limits = Limits {
    series_per_metric: 8,
    metrics: 8,
    schema: 0,
};

/// A store in which [`METRIC`] is admitted for each kind, so that only its series are left to race for.
fn store(limits: Limits) -> std::sync::Arc<Live> {
    let ledger = quietly(|| Arc::new(Ledger::new(AMPLE)));
    let live = quietly(|| Live::new(ledger, limits)).unwrap();
    admit(&live.counters);
    admit(&live.gauges);
    admit(&live.histograms);
    std::sync::Arc::new(live)
}

fn admit<K: Kind>(registry: &Registry<K>) {
    let overflow = Key::from_parts(METRIC, vec![Label::new("overflow", "true")]);
    let grant = quietly(|| registry.acquire(&overflow, &FROM, 9, false));
    assert_eq!(grant.and_then(|grant| grant.id), Some(OVERFLOW));
}

/// The key of [`SERIES`], if it is the first one asked for.
fn key() -> Key {
    Key::from_static_name(METRIC)
}

fn key_with(value: &'static str) -> Key {
    Key::from_parts(METRIC, vec![Label::new("l", value)])
}

/// Leaves `room` bytes of the ledger to live data.
fn leave(ledger: &Ledger, room: usize) {
    let live = PARTS.map(|part| ledger.part(part) * usize::from(part.is_live()));
    let free = ledger.live_limit() - BASE - live.iter().sum::<usize>();
    ledger.reserve(Part::Series, free - room).unwrap();
}

fn cache<K: Kind>(registry: &Registry<K>) -> Cache<K> {
    Cache::new(registry.pins.clone(), registry.ledger.clone())
}

/// What a macro call of thread `me` does, without the thread-local layer.
fn hand_out<K: Kind>(
    registry: &Registry<K>,
    cache: &mut Cache<K>,
    key: &Key,
    me: u32,
) -> Arc<K::Cell> {
    if let Some(cell) = cache.look(key, me) {
        return cell;
    }
    let own = match cache.look_further(key, me) {
        Look::Hit(cell) => return cell,
        Look::Promote => true,
        Look::Miss => false,
    };
    let grant = registry.acquire(key, &FROM, me, own).unwrap();
    cache.put(key, &grant, 0);
    grant.cell
}

/// The tick, and all that its frames have told history.
struct Ticker {
    live: std::sync::Arc<Live>,
    collector: Collector,
    tick: u32,
    /// Evict what is idle.
    evicts: bool,
    /// Evicted series are forgotten after this many ticks.
    forget_after: u32,
    /// Increments of all counters.
    counted: u64,
    /// Points of [`SERIES`].
    gauge: Vec<GaugePoint>,
    histogram: Heard,
}

/// What history knows of all histograms together.
#[derive(Debug, PartialEq)]
struct Heard {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    /// Counts without a bucket.
    coarse: u64,
}

impl Ticker {
    fn new(live: &std::sync::Arc<Live>) -> Self {
        live.ledger.reserve(Part::Tick, Collector::BYTES).unwrap();
        Self {
            live: live.clone(),
            collector: Collector::new(live.ledger.clone()),
            tick: 1,
            evicts: false,
            forget_after: 1000,
            counted: 0,
            gauge: Vec::new(),
            histogram: Heard {
                count: 0,
                sum: 0.0,
                min: f64::INFINITY,
                max: f64::NEG_INFINITY,
                coarse: 0,
            },
        }
    }

    fn evicting(live: &std::sync::Arc<Live>) -> Self {
        Self {
            evicts: true,
            ..Self::new(live)
        }
    }

    fn sweep(&mut self) {
        let sweep = Sweep {
            tick: self.tick + 1,
            now_ms: 0,
            before: self.tick,
            forget_after: [self.forget_after; CLASSES],
            evict_after: self.evicts.then_some(0),
        };
        self.tick += 1;
        self.live.sweep(sweep, &mut self.collector);
        self.hear();
    }

    /// Sweeps until nothing is left to do, when no other thread runs.
    fn settle(&mut self) {
        for _ in 0..3 {
            self.sweep();
        }
    }

    fn hear(&mut self) {
        let draft = &self.collector.draft;
        self.counted += draft.counters.1.iter().sum::<u64>();
        for (id, point) in draft.gauges.0.iter().zip(&draft.gauges.1) {
            if *id == SERIES {
                self.gauge.push(*point);
            }
        }
        let mut from = 0;
        for point in &draft.histograms.1 {
            let heard = &mut self.histogram;
            heard.count += point.count;
            heard.sum += point.sum;
            heard.min = heard.min.min(point.min);
            heard.max = heard.max.max(point.max);
            let (spans, fine) = distribution::split(&draft.bytes[from..point.end as usize]);
            let coarse: u64 = spans.map(|span| span.2).sum();
            let mut shown = coarse;
            buckets::for_each(fine, |_, count| shown += count);
            assert_eq!(shown, point.count, "a point's buckets are not its count");
            heard.coarse += coarse;
            from = point.end as usize;
        }
    }
}
