//! The traversal for exposition: metrics in a stable order, and what the last tick saw of each of their series.
//!
//! Nothing here reads a live cell's moving state, and nothing changes anything. The lock of a shard is held for as long as it
//! takes to copy the labels and numbers of some tens of series.

use super::{asked::Asked, core::Core};
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
    query::{Histograms, Selection},
    util::fork,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
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

/// What a forked process says of the series that it cannot show.
const OUT_OF_REACH: (&str, &str) = (
    "recall_out_of_reach",
    "How often in the last minutes something was in the way that a fork left locked: series may be missing here.",
);

/// Series that are copied at once: so many that some of each shard are among them, and few locks are taken for each.
const BATCH: usize = 512;

/// Bytes of labels, and buckets, that the copies of a batch should have: each answer that waits for its reader holds one. With
/// more, the next batches are smaller.
const LABELS: usize = 32 << 10;
const BUCKETS: usize = 8 << 10;

/// As many series have room however long their labels are.
const FEWEST: usize = LABELS / LONGEST_LABELS;

type Counts = Vec<(Code, u64)>;

/// What is copied of some series.
struct Copied<T> {
    /// Of each series of the batch: what was read, with its labels, if it is shown.
    values: Vec<Option<(Range<usize>, T)>>,
    labels: Vec<u8>,
    /// Of histograms: buckets of all of them, which values point into.
    counts: Counts,
    /// Working memory of a walk.
    order: Vec<u32>,
}

impl<T> Copied<T> {
    fn new() -> Self {
        Self {
            values: Vec::new(),
            labels: Vec::new(),
            counts: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Copies the series of `ids`. False: there are too many of them.
    fn fill<K: Asked>(
        &mut self,
        core: &Core,
        name: &Arc<Name>,
        ids: &[SeriesId],
        read: impl Fn(&Entry<K>, &mut Counts) -> T,
    ) -> bool {
        let Self {
            values,
            labels,
            counts,
            order,
        } = self;
        values.clear();
        values.resize_with(ids.len(), || None);
        labels.clear();
        counts.clear();
        let may_be_more = ids.len() > FEWEST;
        let mut is_full = false;
        // What an allocation emits while a series is locked must not look for that lock.
        let _busy = Busy::enter();
        K::registry(&core.live).with_some(ids, order, K::prefetch_exposed, |place, entry| {
            is_full |= may_be_more && (labels.len() > LABELS || counts.len() > BUCKETS);
            let Some(series) = entry.cells.series().filter(|_| !is_full) else {
                return;
            };
            // Evicted series are gone for a scraper; that is no dip but an end.
            let shown = std::ptr::eq::<Name>(&raw const *series.name, &raw const **name)
                && !entry.cells.as_slice().is_empty()
                && is_shown(entry, name);
            if !shown {
                return;
            }
            if let Some(value) = values.get_mut(place) {
                let from = labels.len();
                labels.extend_from_slice(&series.labels);
                *value = Some((from..labels.len(), read(entry, counts)));
            }
        });
        !is_full
    }
}

/// Calls `visit` with each series that has a value to show, and with the buckets that were read with it.
fn each<K: Asked, T>(
    core: &Core,
    name: &Arc<Name>,
    read: impl Fn(&Entry<K>, &mut Counts) -> T,
    mut visit: impl FnMut(&[u8], &T, &Counts),
) {
    let mut copied = Copied::new();
    let ids = ids(K::registry(&core.live), name);
    let mut rest = &*ids;
    let mut most = BATCH;
    while !rest.is_empty() {
        let (some, others) = rest.split_at(most.min(rest.len()));
        if !copied.fill(core, name, some, &read) {
            most = (some.len() / 4).max(FEWEST);
            continue;
        }
        for (range, value) in copied.values.iter().flatten() {
            let labels = copied.labels.get(range.clone()).unwrap_or_default();
            visit(labels, value, &copied.counts);
        }
        rest = others;
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
    /// All metrics, by name and kind, and behind them what the store says of itself, which so gives way to a metric of its names.
    pub(crate) fn exposed(&self) -> Vec<Metric> {
        let infos = self.metrics().into_iter();
        let own = infos.map(|info| Metric {
            shape: self.shape_of(&info.name),
            name: info.name.into(),
            kind: info.kind,
            unit: info.unit,
            help: info.description.map(Into::into),
            is_of_store: false,
        });
        let of_store = ALERTS.into_iter().chain([OUT_OF_REACH]);
        let of_store = of_store.map(|(name, help)| Metric {
            shape: Shape::default(),
            name: name.into(),
            kind: MetricKind::Gauge,
            unit: None,
            help: Some(help.into()),
            is_of_store: true,
        });
        own.chain(of_store).collect()
    }

    /// Calls `visit` with the series that the store itself has of this name.
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    fn each_of_store(&self, name: &str, visit: &mut Visit<'_>) {
        // Asked for behind all others, which have met what is in the way.
        let times = fork::given_up();
        if name == OUT_OF_REACH.0 && times > 0 {
            visit(gauge(&[]), Value::Gauge(times as f64));
        }
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
        if metric.is_of_store {
            return self.each_of_store(&metric.name, visit);
        }
        let live = &self.live;
        match metric.kind {
            MetricKind::Counter => {
                if let Some(name) = live.counters.find_name(&metric.name) {
                    let read = |entry: &Entry<Counter>, _: &mut Counts| {
                        (entry.seen_total(), entry.memory.since_ms)
                    };
                    let grain = name.grain;
                    each(self, &name, read, |labels, (n, since_ms), _| {
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
                    let read = |entry: &Entry<Gauge>, _: &mut Counts| entry.memory.last;
                    each(self, &name, read, |labels, x, _| {
                        if !x.is_nan() {
                            visit(gauge(labels), Value::Gauge(*x));
                        }
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
                each(self, name, read_tally, |labels, tallied, counts| {
                    let buckets = Buckets::Native(scale, tallied.of(counts));
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
        each(self, name, read_tally, |_, tallied, counts| {
            for (code, _) in tallied.of(counts) {
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
        each(self, name, read_tally, |labels, tallied, counts| {
            cumulative.clear();
            let mut counts = tallied.of(counts).iter().peekable();
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
        let read = |_: &Entry<Histogram>, _: &mut Counts| ();
        each(self, name, read, |labels, (), _| {
            let new = labels::iter(labels).map(|(name, _)| name);
            let new: Vec<_> = new.filter(|name| !names.contains(*name)).collect();
            names.extend(new.into_iter().map(str::to_owned));
        });
        let names: Vec<Box<str>> = names.into_iter().map(Into::into).collect();
        let quantiles = self.quantiles(name, &names, window);
        each(self, name, read_tally, |labels, tallied, _| {
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
        let each = ask.over(window).by(names).quantiles(QUANTILES);
        each.into_iter().collect()
    }
}

/// The quantiles of a summary.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

/// A histogram as the last tick saw it.
struct Tallied {
    totals: Totals,
    /// Where its buckets are among those of the batch.
    counts: Range<usize>,
    since_ms: i64,
}

impl Tallied {
    fn of<'a>(&self, counts: &'a Counts) -> &'a [(Code, u64)] {
        counts.get(self.counts.clone()).unwrap_or_default()
    }

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

fn read_tally(entry: &Entry<Histogram>, counts: &mut Counts) -> Tallied {
    let memory = &entry.memory;
    let from = counts.len();
    counts.extend_from_slice(memory.tally.counts());
    Tallied {
        totals: Totals {
            count: memory.count,
            sum: memory.sum + memory.rest,
        },
        counts: from..counts.len(),
        since_ms: memory.since_ms,
    }
}
