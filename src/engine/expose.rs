//! The traversal for exposition: metrics in a stable order, and what the last tick saw of each of their series.
//!
//! Nothing here reads a live cell's moving state, and nothing changes anything. Locks of shards are held for as long as it
//! takes to copy the labels and numbers of some tens of series.

use super::core::{Asked, Core};
use crate::{
    live::{
        Busy, Counter, Entry, Gauge, Grain, Histogram, Marks, Name, registry::Registry,
        remove::is_shown,
    },
    model::{
        Labels, MetricKind,
        family::{Buckets, Metric, Seen, Totals, Value, Visit},
        frame::SeriesId,
        labels,
        schema::{Code, Schema, fold_code},
        shape::{Fold, Shape},
    },
    query::{Histograms, Selection, Stats},
    util::fork,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

/// Classic buckets at powers of two that a metric has at most, beside the one for zeros; with more, every second one goes,
/// or three of four.
const MOST_OCTAVES: usize = 40;

/// Bytes that a key may have.
const LONGEST_LABELS: usize = 8 << 10;

/// What Prometheus writes of alerts, and what it means.
const ALERTS: [(&str, &str); 2] = [
    ("ALERTS", "Alerts that are pending or firing."),
    (
        "ALERTS_FOR_STATE",
        "Since when the condition of an alert has held, in seconds since 1970.",
    ),
];

/// Series that are copied at once, while all shards are locked: some microseconds.
const BATCH: usize = 64;

/// What is copied of some series.
struct Copied<T> {
    /// Labels of those that are shown, one after the other, and where those of each end.
    labels: Vec<u8>,
    ends: Vec<usize>,
    /// As many as there were ever at once.
    values: Vec<T>,
}

impl<T: Default> Copied<T> {
    fn new() -> Self {
        Self {
            labels: Vec::with_capacity(2 * LONGEST_LABELS),
            ends: Vec::with_capacity(BATCH),
            values: Vec::new(),
        }
    }

    /// Copies series of the front of `ids`; gives how many it has looked at.
    fn fill<K: Asked>(
        &mut self,
        core: &Core,
        name: &Arc<Name>,
        ids: &[SeriesId],
        read: impl Fn(&Entry<K>, &mut T) -> bool,
    ) -> usize {
        let ids = ids.get(..BATCH).unwrap_or(ids);
        if self.values.len() < ids.len() {
            self.values.resize_with(ids.len(), T::default);
        }
        self.labels.clear();
        self.ends.clear();
        let mut seen = ids.len();
        // What an allocation emits while a series is locked must not look for that lock.
        let _busy = Busy::enter();
        K::registry(&core.live).with_some(ids, |place, entry| {
            let Some(series) = entry.cells.series() else {
                return true;
            };
            // Evicted series are gone for a scraper; that is no dip but an end.
            let shown = std::ptr::eq::<Name>(&raw const *series.name, &raw const **name)
                && !entry.cells.as_slice().is_empty()
                && is_shown(entry, name);
            if !shown {
                return true;
            }
            let room = self.labels.capacity() - self.labels.len();
            if room < series.labels.len() && !self.labels.is_empty() {
                // The rest comes with the next ones.
                seen = place;
                return false;
            }
            let value = self.values.get_mut(self.ends.len());
            if value.is_some_and(|value| read(entry, value)) {
                self.labels.extend_from_slice(&series.labels);
                self.ends.push(self.labels.len());
            }
            true
        });
        seen
    }

    fn each(&mut self, mut visit: impl FnMut(&[u8], &mut T)) {
        let mut from = 0;
        for (end, value) in self.ends.iter().zip(&mut self.values) {
            visit(self.labels.get(from..*end).unwrap_or_default(), value);
            from = *end;
        }
    }
}

/// Calls `visit` with each series that has a value to show.
fn each<K: Asked, T: Default>(
    core: &Core,
    name: &Arc<Name>,
    read: impl Fn(&Entry<K>, &mut T) -> bool,
    mut visit: impl FnMut(&[u8], &mut T),
) {
    let mut copied = Copied::new();
    let ids = ids(K::registry(&core.live), name);
    let mut rest = &*ids;
    while !rest.is_empty() {
        let seen = copied.fill(core, name, rest, &read);
        copied.each(&mut visit);
        rest = rest.get(seen..).unwrap_or_default();
    }
}

/// Series of a name, in the order in which they were registered, each once.
fn ids<K: Asked>(registry: &Registry<K>, name: &Name) -> Vec<SeriesId> {
    let _busy = Busy::enter();
    let mut ids = Vec::with_capacity(fork::lock(&name.members).map_or(0, |members| members.len()));
    loop {
        let before = registry.forgotten.load(Relaxed);
        ids.clear();
        name.for_each_member(Marks::NONE, |id| ids.push(id));
        if registry.forgotten.load(Relaxed) == before {
            return ids;
        }
    }
}

impl Core {
    /// All metrics, by name and kind, and behind them those of alerts, which so give way to a metric of their names.
    pub(crate) fn exposed(&self) -> Vec<Metric> {
        let infos = self.metrics().into_iter();
        let own = infos.map(|info| Metric {
            shape: self.shape_of(&info.name),
            name: info.name.into(),
            kind: info.kind,
            unit: info.unit,
            help: info.description.map(Into::into),
            is_of_alerts: false,
        });
        let of_alerts = ALERTS.into_iter().map(|(name, help)| Metric {
            shape: Shape::default(),
            name: name.into(),
            kind: MetricKind::Gauge,
            unit: None,
            help: Some(help.into()),
            is_of_alerts: true,
        });
        own.chain(of_alerts).collect()
    }

    /// Calls `visit` with the series of alerts that have this name.
    fn each_alert(&self, name: &str, visit: &mut Visit<'_>) {
        for series in self.alerts.series() {
            if series.name == name {
                let labels = &series.labels.canonical();
                visit(gauge(labels), Value::Gauge(series.value));
            }
        }
    }

    fn shape_of(&self, name: &str) -> Shape {
        let found = self.plan.shapes.iter().find(|(glob, _)| glob.matches(name));
        found.map_or(Shape::default(), |(_, shape)| shape.clone())
    }

    /// Calls `visit` with the series of a metric. With `native`, histograms that are to be native are.
    pub(crate) fn each_series(
        self: &Arc<Self>,
        metric: &Metric,
        native: bool,
        visit: &mut Visit<'_>,
    ) {
        if metric.is_of_alerts {
            return self.each_alert(&metric.name, visit);
        }
        let live = &self.live;
        match metric.kind {
            MetricKind::Counter => {
                if let Some(name) = live.counters.find_name(&metric.name) {
                    let read = |entry: &Entry<Counter>, to: &mut (u64, i64)| {
                        *to = (entry.seen_total(), entry.memory.since_ms);
                        true
                    };
                    let grain = name.grain;
                    each(self, &name, read, |labels, (n, since_ms)| {
                        visit(
                            since(labels, *since_ms),
                            match grain {
                                Grain::Whole => Value::Counter(*n),
                                Grain::Millionth => Value::Fraction(grain.of(*n)),
                            },
                        );
                    });
                }
            }
            MetricKind::Gauge => {
                if let Some(name) = live.gauges.find_name(&metric.name) {
                    let read = |entry: &Entry<Gauge>, to: &mut f64| {
                        *to = entry.memory.last;
                        !to.is_nan()
                    };
                    each(self, &name, read, |labels, x| {
                        visit(gauge(labels), Value::Gauge(*x));
                    });
                }
            }
            MetricKind::Histogram => {
                if let Some(name) = live.histograms.find_name(&metric.name) {
                    self.each_histogram(&name, &metric.shape, native, visit);
                }
            }
        }
    }

    fn each_histogram(
        self: &Arc<Self>,
        name: &Arc<Name>,
        shape: &Shape,
        native: bool,
        visit: &mut Visit<'_>,
    ) {
        let scale = name.schema.scale();
        match shape {
            Shape::Summary(window) => self.each_summary(name, *window, visit),
            Shape::Native if native => {
                each(self, name, read_tally, |labels, tallied| {
                    let buckets = Buckets::Native(scale, &tallied.counts);
                    visit(
                        tallied.seen(labels),
                        Value::Histogram(tallied.totals, buckets),
                    );
                });
            }
            Shape::Bounds(bounds) => {
                let bounds: Vec<_> = (0..).zip(bounds.iter().copied()).collect();
                self.each_classic(name, &bounds, |code| code, visit);
            }
            Shape::PowersOfTwo | Shape::Native => {
                let to_octave = |code| match name.fold {
                    Fold::Codes => fold_code(code, scale, 0),
                    _ => code,
                };
                let bounds = self.octaves(name, to_octave);
                self.each_classic(name, &bounds, to_octave, visit);
            }
        }
    }

    /// Keys and upper bounds of the octaves in which some series of `name` has values, each with the one before it, where
    /// they begin.
    fn octaves(&self, name: &Arc<Name>, to_octave: impl Fn(Code) -> Code) -> Vec<(Code, f64)> {
        let mut keys: Vec<Code> = Vec::new();
        let mut add = |key: Code| match keys.binary_search(&key) {
            Ok(_) => false,
            Err(at) => {
                keys.insert(at, key);
                true
            }
        };
        each(self, name, read_tally, |_, tallied: &mut Tallied| {
            for (code, _) in &tallied.counts {
                let key = to_octave(*code);
                if add(key) && key != 0 {
                    add(key - 1);
                }
            }
        });
        let mut step = 1;
        while keys.len() > MOST_OCTAVES {
            step *= 2;
            let last = keys.last().copied();
            keys.retain(|key| *key == 0 || key.rem_euclid(step) == 0 || Some(*key) == last);
        }
        let bound = |key: Code| (key, Schema::get(0).range_of(key).1);
        keys.into_iter().map(bound).collect()
    }

    /// Classic buckets: `bounds` are keys and upper bounds.
    fn each_classic(
        &self,
        name: &Arc<Name>,
        bounds: &[(Code, f64)],
        key_of: impl Fn(Code) -> Code,
        visit: &mut Visit<'_>,
    ) {
        let mut cumulative = Vec::with_capacity(bounds.len());
        each(self, name, read_tally, |labels, tallied| {
            cumulative.clear();
            let mut counts = tallied.counts.iter().peekable();
            let mut sum = 0u64;
            for (key, bound) in bounds {
                while let Some((_, count)) = counts.next_if(|(code, _)| key_of(*code) <= *key) {
                    sum = sum.wrapping_add(*count);
                }
                cumulative.push((*bound, sum));
            }
            let buckets = Buckets::Classic(&cumulative);
            visit(
                tallied.seen(labels),
                Value::Histogram(tallied.totals, buckets),
            );
        });
    }

    fn each_summary(self: &Arc<Self>, name: &Arc<Name>, window: Duration, visit: &mut Visit<'_>) {
        let mut names = BTreeSet::new();
        let read = |_: &Entry<Histogram>, (): &mut ()| true;
        each(self, name, read, |labels, ()| {
            let new = labels::iter(labels).map(|(name, _)| name);
            let new: Vec<_> = new.filter(|name| !names.contains(*name)).collect();
            names.extend(new.into_iter().map(str::to_owned));
        });
        let names: Vec<Box<str>> = names.into_iter().map(Into::into).collect();
        let quantiles = self.quantiles(name, &names, window);
        each(self, name, read_tally, |labels, tallied| {
            let own = quantiles.get(&Labels::select(labels, &names));
            let own = own.copied().unwrap_or([f64::NAN; QUANTILES.len()]);
            let pairs: [_; QUANTILES.len()] = std::array::from_fn(|at| (QUANTILES[at], own[at]));
            visit(tallied.seen(labels), Value::Summary(tallied.totals, &pairs));
        });
    }

    /// By the labels called `names`.
    fn quantiles(
        self: &Arc<Self>,
        name: &Name,
        names: &[Box<str>],
        window: Duration,
    ) -> BTreeMap<Labels, [f64; QUANTILES.len()]> {
        let ask = Selection::<Histograms>::new(self.clone(), &name.text);
        let stats = ask.over(window).by(names).stats().into_iter();
        let of = |stats: Stats| [stats.median, stats.p90, stats.p95, stats.p99];
        stats.map(|(labels, stats)| (labels, of(stats))).collect()
    }
}

/// The quantiles of a summary.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

/// A histogram as the last tick saw it.
struct Tallied {
    totals: Totals,
    counts: Vec<(Code, u64)>,
    since_ms: i64,
}

impl Tallied {
    fn seen<'a>(&self, labels: &'a [u8]) -> Seen<'a> {
        since(labels, self.since_ms)
    }
}

/// A series whose totals began then.
fn since(labels: &[u8], since_ms: i64) -> Seen<'_> {
    let since_ms = Some(since_ms);
    Seen { labels, since_ms }
}

/// A series without totals.
fn gauge(labels: &[u8]) -> Seen<'_> {
    let since_ms = None;
    Seen { labels, since_ms }
}

/// Buckets that a copy has room for from the start; with more, it grows under the lock, which `Busy` allows for.
const BUCKETS: usize = 512;

impl Default for Tallied {
    fn default() -> Self {
        let totals = Totals { count: 0, sum: 0.0 };
        Self {
            totals,
            counts: Vec::with_capacity(BUCKETS),
            since_ms: 0,
        }
    }
}

fn read_tally(entry: &Entry<Histogram>, to: &mut Tallied) -> bool {
    let memory = &entry.memory;
    to.totals = Totals {
        count: memory.count,
        sum: memory.sum + memory.rest,
    };
    to.since_ms = memory.since_ms;
    to.counts.clear();
    to.counts.extend_from_slice(memory.tally.counts());
    true
}
