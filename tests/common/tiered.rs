//! The model of a store with tiers: a list of all ticks, and what may be said of a window from what is known of the
//! tiers: when their oldest points start. Where they meet is known to within a coarse point, so a tick is inside of a
//! window, outside, or maybe inside.

use std::collections::{BTreeMap, BTreeSet};

pub const NAMES: [&str; 2] = ["m", "n"];
pub const LABEL_NAMES: [&str; 2] = ["a", "b"];
/// Values of both labels; the empty one stands for an absent label.
pub const LABELS: [[&str; 2]; 5] = [["", ""], ["x", ""], ["y", ""], ["x", "x"], ["", "y"]];
/// Stands for the labels of an overflow series.
pub const OVERFLOW: usize = LABELS.len();

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub name: usize,
    /// A place in [`LABELS`], or [`OVERFLOW`].
    pub labels: usize,
}

impl Key {
    pub fn value_of(self, label: usize) -> &'static str {
        LABELS.get(self.labels).map_or("", |values| values[label])
    }
}

/// Series of one name.
#[derive(Clone, Copy, Debug)]
pub enum Filter {
    All,
    One(usize),
    /// Label and value.
    Is(usize, &'static str),
    Not(usize, &'static str),
}

impl Filter {
    pub fn accepts(self, key: Key) -> bool {
        match self {
            Self::All => true,
            Self::One(labels) => key.labels == labels,
            Self::Is(label, value) => key.value_of(label) == value,
            Self::Not(label, value) => key.value_of(label) != value,
        }
    }
}

/// All times are milliseconds after the start.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    pub start: i64,
    pub end: i64,
    /// How often the pulse was counted.
    pub pulse: u64,
    pub increments: BTreeMap<Key, u64>,
    /// Values that a gauge was set to or had at the end.
    pub levels: BTreeMap<Key, Vec<f64>>,
    /// Values at the end.
    pub ends: BTreeMap<Key, f64>,
    pub records: BTreeMap<Key, Vec<f64>>,
}

/// What a tier aims at.
#[derive(Clone, Debug)]
pub struct Aim {
    pub interval: i64,
    /// By retention class; 0: not in this tier.
    pub keep: Vec<i64>,
    pub schema: i32,
}

impl Aim {
    pub fn longest(&self) -> i64 {
        self.keep.iter().copied().max().unwrap_or(0)
    }
}

/// What the store says of a tier.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    pub effective: i64,
    pub points: usize,
}

/// A tick that a window may have.
pub struct Within<'a> {
    pub tick: &'a Tick,
    pub is_sure: bool,
    /// Whether a coarse point may stand for it.
    pub may_be_coarse: bool,
}

/// The ticks of a window.
pub struct Inside<'a> {
    pub ticks: Vec<Within<'a>>,
    /// Buckets are at least as fine as this schema's.
    pub schema: i32,
    /// Exactly these are inside.
    pub is_exact: bool,
}

/// A tier, as some classes have it.
struct Range {
    interval: i64,
    schema: i32,
    is_coarse: bool,
    /// Its oldest point starts at the first of these, at the latest at the other.
    first: i64,
    last: i64,
    /// From here on no coarser tier answers.
    own: i64,
}

pub struct Model {
    pub aims: Vec<Aim>,
    pub ticks: Vec<Tick>,
    pub now: i64,
    pub reached: Vec<Reached>,
    /// Points may have been dropped before a coarser tier had them.
    pub has_gaps: bool,
    /// Nothing but retention has dropped any.
    pub is_roomy: bool,
    pub counters: BTreeMap<Key, u64>,
    pub gauges: BTreeMap<Key, f64>,
    /// When gauges were set last, and to what.
    pub set_at: BTreeMap<Key, i64>,
    pub last: BTreeMap<Key, f64>,
    pub histograms: BTreeSet<Key>,
    pub pending: Tick,
    before: i64,
}

fn number(end: i64, interval: i64) -> i64 {
    (end - 1).max(0) / interval
}

impl Model {
    pub fn new(aims: Vec<Aim>) -> Self {
        Self {
            aims,
            ticks: Vec::new(),
            now: 0,
            reached: Vec::new(),
            has_gaps: false,
            is_roomy: true,
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            set_at: BTreeMap::new(),
            last: BTreeMap::new(),
            histograms: BTreeSet::new(),
            pending: Tick::default(),
            before: 0,
        }
    }

    pub fn increment(&mut self, key: Key, by: u64) {
        *self.counters.entry(key).or_default() += by;
        *self.pending.increments.entry(key).or_default() += by;
    }

    pub fn set(&mut self, key: Key, value: f64) {
        self.gauges.insert(key, value);
        self.set_at.insert(key, self.now);
        self.last.insert(key, value);
        self.pending.levels.entry(key).or_default().push(value);
    }

    pub fn record(&mut self, key: Key, value: f64, times: usize) {
        self.histograms.insert(key);
        let records = self.pending.records.entry(key).or_default();
        records.extend(std::iter::repeat_n(value, times));
    }

    /// The clock was moved already; `evicted` are gauges that this tick evicted. Whether it joined the one before.
    pub fn tick(&mut self, evicted: &[Key]) -> bool {
        for key in evicted {
            self.gauges.remove(key);
        }
        let mut tick = std::mem::take(&mut self.pending);
        for (key, value) in &self.gauges {
            tick.levels.entry(*key).or_default().push(*value);
            tick.ends.insert(*key, *value);
        }
        let now = self.now;
        if let Some(newest) = self.ticks.last_mut().filter(|tick| tick.end == now) {
            newest.pulse += tick.pulse;
            newest.ends = tick.ends;
            for (key, by) in tick.increments {
                *newest.increments.entry(key).or_default() += by;
            }
            for (key, levels) in tick.levels {
                newest.levels.entry(key).or_default().extend(levels);
            }
            for (key, records) in tick.records {
                newest.records.entry(key).or_default().extend(records);
            }
            return true;
        }
        (tick.start, tick.end) = (self.before, now);
        self.before = now;
        self.ticks.push(tick);
        false
    }

    /// Totals of a name are zero, and its gauges have no value until they are set.
    pub fn reset(&mut self, name: usize) {
        for (_, total) in self.counters.iter_mut().filter(|(key, _)| key.name == name) {
            *total = 0;
        }
        self.gauges.retain(|key, _| key.name != name);
    }

    /// Takes what the store says of its tiers, if it keeps its promise.
    pub fn take_reached(&mut self, reached: Vec<Reached>) {
        self.reached = reached;
        if !self.is_roomy {
            return;
        }
        let mut start = i64::MAX;
        for (at, (aim, reached)) in self.aims.iter().zip(&self.reached).enumerate() {
            let from = self.now - reached.effective;
            if reached.points > 0 {
                start = start.min(from);
            }
            let kept = |tick: &&Tick| tick.end > self.now - aim.longest();
            let oldest = self.ticks.iter().find(kept);
            assert!(
                oldest.is_none_or(|tick| start <= tick.start),
                "tier {at} of {:?} lost {oldest:?} at {}: {:?}",
                self.aims,
                self.now,
                self.reached
            );
            // A segment has 120 points at most, and as many may come while it is sealed.
            let next = self.aims.get(at + 1).map_or(0, |next| next.interval);
            let limit = self.now - aim.longest() - next;
            let mut numbers: Vec<i64> = Vec::new();
            for tick in &self.ticks {
                if from <= tick.start && tick.end < limit {
                    numbers.push(if at == 0 {
                        tick.end
                    } else {
                        number(tick.end, aim.interval)
                    });
                }
            }
            numbers.dedup();
            assert!(
                reached.points == 0 || numbers.len() <= 240,
                "tier {at} keeps {} points for too long",
                numbers.len()
            );
            if at == 0 {
                let kept = self.ticks.iter().filter(|tick| from <= tick.start);
                // A tick before the clock first moved starts where the next one does.
                let instant = self
                    .ticks
                    .iter()
                    .filter(|tick| tick.start == tick.end)
                    .count();
                let most = kept.count();
                let is_whole = (most.saturating_sub(instant)..=most).contains(&reached.points);
                assert!(is_whole, "the finest tier has a gap: {:?}", self.reached);
            }
        }
    }

    /// The ticks that make up the same point of a tier as this one.
    fn point(&self, at: usize, interval: i64) -> (usize, usize) {
        let of = number(self.ticks[at].end, interval);
        let first = self
            .ticks
            .partition_point(|tick| number(tick.end, interval) < of);
        let end = self
            .ticks
            .partition_point(|tick| number(tick.end, interval) <= of);
        (first, end - 1)
    }

    /// What series of these classes have, tier by tier.
    fn ranges(&self, classes: &BTreeSet<usize>) -> Vec<Range> {
        let keep = |aim: &Aim| {
            classes
                .iter()
                .map(|class| aim.keep[*class])
                .min()
                .unwrap_or(0)
        };
        // What a class has in a coarser tier came there by way of this one.
        let has =
            |at: usize, class: &usize| self.aims.iter().skip(at).any(|aim| aim.keep[*class] > 0);
        let mut ranges = Vec::new();
        for (at, (aim, reached)) in self.aims.iter().zip(&self.reached).enumerate() {
            if reached.points == 0 || !classes.iter().all(|class| has(at, class)) {
                continue;
            }
            let begin = self.now - reached.effective;
            // Of the newest tick a part without length may be left, if there was no room to merge it.
            let newest = self.ticks.last().map_or(begin, |tick| tick.start);
            let first = begin.min(newest);
            let last = if first < begin {
                self.now
            } else if keep(aim) == aim.longest() {
                first
            } else {
                let kept = |tick: &&Tick| tick.end > self.now - keep(aim);
                let oldest = self
                    .ticks
                    .iter()
                    .find(kept)
                    .map_or(self.now, |tick| tick.start);
                oldest.max(first)
            };
            ranges.push(Range {
                interval: aim.interval,
                schema: aim.schema,
                is_coarse: at > 0,
                first,
                last,
                own: last,
            });
        }
        for at in 0..ranges.len() {
            let last = ranges[at].last;
            // With gaps, a coarser tier may have nothing before the next point.
            let is_next = |tick: &Tick| {
                if self.is_roomy {
                    tick.end >= last
                } else {
                    tick.start >= last
                }
            };
            let Some(tick) = self.ticks.iter().position(is_next) else {
                continue;
            };
            let coarser = ranges.iter().skip(at + 1);
            let ends = coarser.map(|range| self.ticks[self.point(tick, range.interval).1].end);
            ranges[at].own = ends.max().unwrap_or(last).max(last);
        }
        ranges
    }

    /// The ticks whose points have their middles in a window; `is_step`: one that is narrower than a point may be
    /// empty.
    pub fn inside(
        &self,
        classes: &BTreeSet<usize>,
        from: i64,
        to: i64,
        is_step: bool,
    ) -> Inside<'_> {
        let ranges = self.ranges(classes);
        let is_sole = classes.iter().all(|class| *class == 0);
        let sure_from = match ranges.first() {
            // The pulse, which tells of gaps, is of class 0.
            _ if !self.is_roomy && !is_sole => i64::MAX,
            // With several classes it has a little more than it must, which may hide a gap.
            Some(finest) if self.has_gaps || !self.is_roomy && self.aims[0].keep.len() > 1 => {
                finest.own
            }
            _ => ranges
                .iter()
                .map(|range| range.last)
                .min()
                .unwrap_or(i64::MAX),
        };
        let mut inside = Inside {
            ticks: Vec::new(),
            schema: i32::MAX,
            is_exact: true,
        };
        let mut outside = Vec::new();
        for (at, tick) in self.ticks.iter().enumerate() {
            let mut middles: Option<(i64, i64)> = None;
            let mut schema = i32::MAX;
            let mut may_be_coarse = false;
            for range in &ranges {
                if range.first <= tick.start {
                    let (first, last) = if range.is_coarse {
                        self.point(at, range.interval)
                    } else {
                        (at, at)
                    };
                    let low = self.ticks[first].start.max(range.first) + tick.end;
                    let high = tick.start + self.ticks[last].end;
                    middles = Some(middles.map_or((low, high), |m| (m.0.min(low), m.1.max(high))));
                    schema = schema.min(range.schema);
                    may_be_coarse |= range.is_coarse;
                }
                if range.own <= tick.start {
                    break;
                }
            }
            let Some((low, high)) = middles else {
                continue;
            };
            let is_sure = sure_from <= tick.start && low > 2 * from && high <= 2 * to;
            // A tick without length may be gone before the next one, which starts where it does.
            let is_sure = is_sure && tick.start < tick.end;
            if high > 2 * from && low <= 2 * to {
                inside.ticks.push(Within {
                    tick,
                    is_sure,
                    may_be_coarse,
                });
                inside.schema = inside.schema.min(schema);
            } else {
                outside.push((at, schema));
            }
        }
        let is_empty = !inside.ticks.iter().any(|within| within.is_sure);
        if is_empty && !is_step && from < to {
            // Narrower than a point: then it is that point.
            let holds = |at: &usize| self.ticks[*at].start < to && to <= self.ticks[*at].end;
            if let Some(at) = (0..self.ticks.len()).find(holds) {
                for (other, schema) in outside {
                    let same = |range: &Range| {
                        let (first, last) = self.point(at, range.interval);
                        range.is_coarse && (first..=last).contains(&other)
                    };
                    if other == at || ranges.iter().any(same) {
                        inside.ticks.push(Within {
                            tick: &self.ticks[other],
                            is_sure: false,
                            may_be_coarse: true,
                        });
                        inside.schema = inside.schema.min(schema);
                    }
                }
            }
        }
        inside.is_exact = inside.ticks.iter().all(|within| within.is_sure);
        inside
    }
}
