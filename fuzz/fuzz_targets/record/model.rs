//! What a store should know, kept in the simplest way.

use crate::input::Setup;
use metrics_recall::metrics::Key;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Values of one histogram in one tick, or in more.
#[derive(Clone, Debug, Default)]
pub struct Values {
    pub list: Vec<(f64, u64)>,
}

impl Values {
    pub fn count(&self) -> u64 {
        self.list.iter().fold(0, |sum, v| sum.wrapping_add(v.1))
    }

    /// Whether the count is what it seems, and small enough to be exact as a float.
    pub fn is_countable(&self) -> bool {
        let count = self.list.iter().map(|v| u128::from(v.1)).sum::<u128>();
        count < 1 << 50
    }

    pub fn size(&self) -> f64 {
        self.list.iter().map(|(v, n)| (v * *n as f64).abs()).sum()
    }

    pub fn sum(&self) -> f64 {
        self.list.iter().map(|(v, n)| v * *n as f64).sum()
    }

    pub fn sorted(&self) -> Vec<(f64, u64)> {
        let mut list = self.list.clone();
        list.sort_by(|a, b| a.0.total_cmp(&b.0));
        list
    }
}

#[derive(Clone, Debug, Default)]
struct Frame {
    start_ns: u64,
    end_ns: u64,
    /// Of more than one tick; without room for their union they are two in history.
    merged: bool,
    counters: BTreeMap<String, u64>,
    histograms: BTreeMap<String, Values>,
}

/// A gauge of one key, as long as it is one of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Level {
    pub last: f64,
    /// Reset, and not set since.
    pub hidden: bool,
}

#[derive(Debug)]
pub struct Model {
    pub totals: BTreeMap<String, u64>,
    /// Names that `absolute` was called for.
    pub raised: BTreeSet<String>,
    pub gauges: BTreeMap<String, BTreeMap<String, Level>>,
    /// Gauges that were ever near the end of the floats, or beyond.
    wild: BTreeSet<String>,
    /// Sizes of all values ever.
    pub sizes: BTreeMap<String, f64>,
    pub schema: i32,
    /// Any histogram that ever existed.
    pub observed: BTreeSet<String>,
    /// Names that were ever deleted: nobody knows whether a handle that is held has brought one back that records nothing.
    pub deleted: BTreeSet<String>,
    /// Names of which a delete was refused when some of it was done.
    pub unseen: BTreeSet<String>,
    /// Totals were ever reset or deleted.
    pub settled: bool,
    /// Ticks were lost, points came late, or there is more to history than is known here.
    pub broken: bool,
    /// A key was met whose name is too long, or one too many.
    pub nameless: bool,
    /// A key was met that is too long.
    pub unread: bool,
    /// There is a limit of names.
    pub limited: bool,
    next: Frame,
    frames: Vec<Frame>,
    retention_ns: u64,
    series: u64,
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The labels as one text, whatever their order.
fn labels(key: &Key) -> String {
    let map: BTreeMap<&str, &str> = key.labels().map(|l| (l.key(), l.value())).collect();
    let said = map.iter().filter(|(_, value)| !value.is_empty());
    format!("{:?}", said.collect::<Vec<_>>())
}

impl Model {
    pub fn new(setup: &Setup) -> Self {
        Self {
            totals: BTreeMap::new(),
            raised: BTreeSet::new(),
            gauges: BTreeMap::new(),
            wild: BTreeSet::new(),
            sizes: BTreeMap::new(),
            schema: setup.schema(),
            observed: BTreeSet::new(),
            deleted: BTreeSet::new(),
            unseen: BTreeSet::new(),
            settled: false,
            broken: setup.is_tiered(),
            nameless: false,
            unread: false,
            limited: setup.is_limited(),
            next: Frame {
                start_ns: nanos(setup.elapsed.get()),
                end_ns: nanos(setup.elapsed.get()),
                ..Frame::default()
            },
            frames: Vec::new(),
            retention_ns: nanos(setup.retention()),
            series: 0,
        }
    }

    pub fn count(&mut self, name: &str, n: u64) {
        for map in [&mut self.totals, &mut self.next.counters] {
            let total = map.entry(name.to_owned()).or_default();
            *total = total.wrapping_add(n);
        }
    }

    pub fn raise(&mut self, name: &str, _: u64) {
        self.count(name, 0);
        self.raised.insert(name.to_owned());
    }

    fn level(&mut self, key: &Key, value: f64) -> &mut Level {
        if value.is_nan() && self.deleted.contains(key.name()) {
            // A series that was deleted does not come back by that, and a new one does.
            self.lose_sight(key.name());
        }
        let gauges = self.gauges.entry(key.name().to_owned()).or_default();
        gauges.entry(labels(key)).or_default()
    }

    pub fn set(&mut self, key: &Key, value: f64) {
        let level = self.level(key, value);
        if !value.is_nan() {
            *level = Level {
                last: value,
                hidden: false,
            };
        }
        self.tame(key, value);
    }

    pub fn add(&mut self, key: &Key, by: f64) {
        let level = self.level(key, by);
        let next = level.last + by;
        if !next.is_nan() {
            *level = Level {
                last: next,
                hidden: false,
            };
        }
        self.tame(key, next);
    }

    fn tame(&mut self, key: &Key, value: f64) {
        if value.is_nan() || value.abs() > 1e300 {
            self.wild.insert(key.name().to_owned());
        }
    }

    /// Whether gauges of this name hold numbers that can be added up. What has no room for its name shares one.
    pub fn is_tame(&self, name: &str) -> bool {
        let shared = name == "recall_overflow" && !self.wild.is_empty();
        !shared && !self.wild.contains(name)
    }

    pub fn observe(&mut self, name: &str, value: f64, count: usize) {
        self.observed.insert(name.to_owned());
        if count == 0 || !value.is_finite() {
            return;
        }
        let values = self.next.histograms.entry(name.to_owned()).or_default();
        values.list.push((value, count as u64));
        *self.sizes.entry(name.to_owned()).or_default() += (value * count as f64).abs();
    }

    /// Whether anything of this name should be there.
    pub fn knows(&self, name: &str) -> bool {
        let all = self.totals.contains_key(name)
            || self.gauges.contains_key(name)
            || self.observed.contains(name);
        all && !self.deleted.contains(name)
    }

    /// Windows keep what they have.
    pub fn reset(&mut self, name: &str) {
        self.settled = true;
        if let Some(total) = self.totals.get_mut(name) {
            *total = 0;
        }
        for level in self
            .gauges
            .get_mut(name)
            .into_iter()
            .flat_map(BTreeMap::values_mut)
        {
            level.hidden = true;
        }
        if name == "recall_overflow" {
            self.lose_sight(name);
        }
    }

    pub fn reset_all(&mut self) {
        self.settled = true;
        self.totals.values_mut().for_each(|total| *total = 0);
        let levels = self.gauges.values_mut().flat_map(BTreeMap::values_mut);
        levels.for_each(|level| level.hidden = true);
    }

    pub fn delete(&mut self, name: &str) {
        self.settled = true;
        self.deleted.insert(name.to_owned());
        self.totals.remove(name);
        self.gauges.remove(name);
        self.observed.remove(name);
        for frame in &mut self.frames {
            frame.counters.remove(name);
            frame.histograms.remove(name);
        }
        if name == "recall_overflow" {
            self.lose_sight(name);
        }
    }

    /// It is not known any more what there is of a name.
    pub fn lose_sight(&mut self, name: &str) {
        self.settled = true;
        self.deleted.insert(name.to_owned());
        self.unseen.insert(name.to_owned());
    }

    pub fn advance(&mut self, by: Duration) {
        self.next.end_ns = self.next.end_ns.saturating_add(nanos(by));
    }

    /// Gives whether the tick joins the one before.
    pub fn tick(&mut self) -> bool {
        let end_ns = self.next.end_ns;
        let empty = Frame {
            start_ns: end_ns,
            end_ns,
            ..Frame::default()
        };
        let next = std::mem::replace(&mut self.next, empty);
        match self.frames.last_mut() {
            Some(last) if last.end_ns == end_ns => {
                last.merged = true;
                for (name, n) in next.counters {
                    let total = last.counters.entry(name).or_default();
                    *total = total.wrapping_add(n);
                }
                for (name, values) in next.histograms {
                    let all = last.histograms.entry(name).or_default();
                    all.list.extend(values.list);
                }
                true
            }
            _ => {
                let limit = end_ns.saturating_sub(self.retention_ns);
                self.frames.retain(|f| f.end_ns > limit || limit == 0);
                self.frames.push(next);
                false
            }
        }
    }

    /// What frames span.
    pub fn covered_ns(&self) -> u64 {
        let ends = self.frames.first().zip(self.frames.last());
        ends.map_or(0, |(first, last)| last.end_ns - first.start_ns)
    }

    /// Whether the first frame spans no time, and the others span all that is kept: nobody would miss it.
    pub fn ends_with_retention(&self) -> bool {
        let first = self.frames.first();
        let is_short = first.is_some_and(|first| first.start_ns == first.end_ns);
        is_short && self.covered_ns() >= self.retention_ns
    }

    /// What the newest frame spans.
    pub fn newest_ns(&self) -> u64 {
        self.frames.last().map_or(0, |f| f.end_ns - f.start_ns)
    }

    /// A handle was made.
    pub fn meet(&mut self, key: &Key) {
        let each = key.labels().map(|l| 4 + l.key().len() + l.value().len());
        let bytes = each.sum::<usize>() + key.name().len();
        self.nameless |= key.name().len() > 4096;
        self.unread |= bytes > 4096 || key.labels().len() > 128;
        self.series += 1;
    }

    /// At least as many series as there are.
    pub fn series(&self) -> u64 {
        self.series
    }

    pub fn has_frames(&self) -> bool {
        !self.frames.is_empty()
    }

    pub fn retention(&self) -> Duration {
        Duration::from_nanos(self.retention_ns)
    }

    /// Whether the middle of a frame is within the retention. History keeps some more, a segment at a time.
    fn is_kept(&self, frame: &Frame) -> bool {
        let end = self.frames.last().map_or(0, |last| last.end_ns);
        let middle = u128::from(frame.start_ns) + u128::from(frame.end_ns);
        middle + 2 * u128::from(self.retention_ns) > 2 * u128::from(end)
    }

    /// Frames within the retention; a frame that is longer than that is all there is.
    fn kept(&self) -> impl Iterator<Item = &Frame> {
        let kept = || self.frames.iter().filter(|frame| self.is_kept(frame));
        let newest = self.frames.last().filter(|_| kept().next().is_none());
        kept().chain(newest)
    }

    /// Whether it is unknown which of two ticks that were one are within the retention.
    pub fn is_blurred(&self) -> bool {
        let mut out = self.frames.iter().filter(|frame| !self.is_kept(frame));
        out.any(|frame| frame.merged)
    }

    /// Increments of a counter within the retention.
    pub fn increase(&self, name: &str) -> u64 {
        let frames = self.kept().filter_map(|f| f.counters.get(name));
        frames.fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// Values of a histogram within the retention.
    pub fn values(&self, name: &str) -> Values {
        let frames = self.kept().filter_map(|f| f.histograms.get(name));
        let list = frames.flat_map(|values| values.list.iter().copied());
        Values {
            list: list.collect(),
        }
    }
}
