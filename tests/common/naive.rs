//! The model: a list of ticks, each with everything that was recorded in it. Slow, and easy to believe.

use std::collections::{BTreeMap, BTreeSet};

pub const NAMES: [&str; 2] = ["m", "n"];
pub const LABEL_NAMES: [&str; 2] = ["a", "b"];
/// The empty value stands for an absent label.
pub const LABEL_VALUES: [&str; 3] = ["", "x", "y"];

/// Labels that series have: name and value of each.
pub const LABELS: [&[(usize, usize)]; 5] =
    [&[], &[(0, 1)], &[(0, 2)], &[(0, 1), (1, 1)], &[(1, 2)]];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub name: usize,
    pub labels: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

pub const KINDS: [Kind; 3] = [Kind::Counter, Kind::Gauge, Kind::Histogram];

/// What may become of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Reset,
    Delete,
}

#[derive(Clone, Copy, Debug)]
pub enum Filter {
    All,
    Is(usize, usize),
    Not(usize, usize),
}

#[derive(Clone, Copy, Debug)]
pub enum Window {
    All,
    /// Milliseconds.
    Last(u64),
    /// Milliseconds after the start.
    Between(i64, i64),
}

#[derive(Clone, Debug)]
pub struct Question {
    pub name: usize,
    pub filter: Filter,
    pub by: Vec<usize>,
    pub window: Window,
    /// Milliseconds; zero is one tick.
    pub step: Option<u64>,
}

/// Names and values of labels.
pub type Texts = Vec<(String, String)>;

/// The end of a step in milliseconds since the epoch, and its value; or a value alone, at 0.
pub type Answer = (i64, Option<f64>);

/// Labels of a group, and its answers.
pub type Row = (Texts, Vec<Answer>);

/// One tick.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    pub start: u64,
    pub end: u64,
    pub increments: BTreeMap<Key, u64>,
    /// Values that a gauge had: all that it was set to, and that at each end; NaN: it had none then.
    pub levels: BTreeMap<Key, Vec<f64>>,
    pub records: BTreeMap<Key, Vec<f64>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    incremented: u64,
    /// What the total was when it was reset, or deleted while somebody held it.
    before: u64,
    /// First and greatest value given to `absolute`.
    floor: Option<(u64, u64)>,
}

impl Counter {
    fn grown(&self) -> u64 {
        self.incremented + self.floor.map_or(0, |(first, most)| most - first)
    }

    fn total(&self) -> u64 {
        self.grown() + self.floor.map_or(0, |(first, _)| first) - self.before
    }
}

#[derive(Debug)]
pub struct Model {
    retention: u64,
    start_ms: i64,
    now: u64,
    before: u64,
    ticks: Vec<Tick>,
    counters: BTreeMap<Key, Counter>,
    pub gauges: BTreeMap<Key, f64>,
    pub histograms: BTreeSet<Key>,
    /// Counters and histograms that were deleted while somebody held them, until something is recorded.
    asleep: (BTreeMap<Key, Counter>, BTreeSet<Key>),
    /// Gauges that were reset, and not set since.
    hidden: BTreeSet<Key>,
    /// What came since the last tick.
    pending: Tick,
}

/// A part of a window: its end, and the ticks in it.
struct Part<'a> {
    end: i64,
    ticks: Vec<&'a Tick>,
}

#[expect(clippy::cast_precision_loss, reason = "small in this test")]
fn float(n: u64) -> f64 {
    n as f64
}

fn seconds(ticks: &[&Tick]) -> f64 {
    ticks.iter().map(|t| float(t.end - t.start) / 1_000.0).sum()
}

fn value_of(key: Key, label: usize) -> usize {
    let found = LABELS[key.labels].iter().find(|(name, _)| *name == label);
    found.map_or(0, |(_, value)| *value)
}

/// Between the two values next to rank `q (n - 1)`, linearly.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks of a vector"
)]
pub fn interpolated(mut values: Vec<f64>, q: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = q * float(values.len().checked_sub(1)? as u64);
    let (low, high) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
    Some(low * (1.0 - rank.fract()) + high * rank.fract())
}

fn accepts(filter: Filter, key: Key) -> bool {
    match filter {
        Filter::All => true,
        Filter::Is(label, value) => value_of(key, label) == value,
        Filter::Not(label, value) => value_of(key, label) != value,
    }
}

/// Groups of series: their labels, and who is in.
fn groups(question: &Question, keys: Vec<Key>) -> BTreeMap<Texts, Vec<Key>> {
    let mut groups: BTreeMap<Texts, Vec<Key>> = BTreeMap::new();
    for key in keys {
        if key.name != question.name || !accepts(question.filter, key) {
            continue;
        }
        let labels = question
            .by
            .iter()
            .map(|label| (*label, value_of(key, *label)));
        let labels = labels.filter(|(_, value)| *value > 0);
        let texts = labels.map(|(l, v)| (LABEL_NAMES[l].to_owned(), LABEL_VALUES[v].to_owned()));
        groups.entry(texts.collect()).or_default().push(key);
    }
    groups
}

/// Sums live values.
fn live(question: &Question, keys: Vec<Key>, value: impl Fn(Key) -> f64) -> Vec<Row> {
    let groups = groups(question, keys).into_iter();
    let sum = |keys: Vec<Key>| keys.iter().map(|key| value(*key)).sum();
    let rows = groups.map(|(labels, keys)| (labels, vec![(0, Some(sum(keys)))]));
    shape(question, false, rows.collect())
}

impl Model {
    pub fn new(retention: u64, start_ms: i64) -> Self {
        Self {
            retention,
            start_ms,
            now: 0,
            before: 0,
            ticks: Vec::new(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            histograms: BTreeSet::new(),
            asleep: Default::default(),
            hidden: BTreeSet::new(),
            pending: Tick::default(),
        }
    }

    pub fn now(&self) -> u64 {
        self.now
    }

    pub fn counters(&self) -> Vec<Key> {
        self.counters.keys().copied().collect()
    }

    fn change(&mut self, key: Key, change: impl Fn(&mut Counter)) {
        let asleep = self.asleep.0.remove(&key);
        let mut counter = self.counters.remove(&key).or(asleep).unwrap_or_default();
        let before = counter.grown();
        change(&mut counter);
        if asleep.is_some() && counter.total() == 0 {
            self.asleep.0.insert(key, counter);
            return;
        }
        self.counters.insert(key, counter);
        *self.pending.increments.entry(key).or_default() += counter.grown() - before;
    }

    pub fn increment(&mut self, key: Key, by: u64) {
        self.change(key, |counter| counter.incremented += by);
    }

    pub fn absolute(&mut self, key: Key, to: u64) {
        self.change(key, |counter| {
            let (first, most) = counter.floor.unwrap_or((to, to));
            counter.floor = Some((first, most.max(to)));
        });
    }

    pub fn set(&mut self, key: Key, value: f64) {
        self.gauges.insert(key, value);
        self.hidden.remove(&key);
        self.pending.levels.entry(key).or_default().push(value);
    }

    pub fn add(&mut self, key: Key, by: f64) {
        let now = self.gauges.get(&key).copied().unwrap_or(0.0);
        self.set(key, now + by);
    }

    pub fn record(&mut self, key: Key, value: f64, times: usize) {
        if times == 0 && self.asleep.1.contains(&key) {
            return;
        }
        self.asleep.1.remove(&key);
        self.histograms.insert(key);
        let records = self.pending.records.entry(key).or_default();
        records.extend(std::iter::repeat_n(value, times));
    }

    /// Whether this tick joined the one before.
    pub fn tick(&mut self, advance: u64) -> bool {
        self.now += advance;
        let mut tick = std::mem::take(&mut self.pending);
        let shown = |(key, _): &(&Key, &f64)| !self.hidden.contains(key);
        for (key, value) in self.gauges.iter().filter(shown) {
            tick.levels.entry(*key).or_default().push(*value);
        }
        if let Some(newest) = self.ticks.last_mut().filter(|t| t.end == self.now) {
            for (key, by) in tick.increments {
                *newest.increments.entry(key).or_default() += by;
            }
            for key in &self.hidden {
                // It was reset in the middle of the tick.
                if let Some(levels) = newest.levels.get_mut(key) {
                    levels.push(f64::NAN);
                }
            }
            for (key, levels) in tick.levels {
                newest.levels.entry(key).or_default().extend(levels);
            }
            for (key, records) in tick.records {
                newest.records.entry(key).or_default().extend(records);
            }
            return true;
        }
        tick.start = self.before;
        tick.end = self.now;
        self.before = self.now;
        self.ticks.push(tick);
        false
    }

    fn keys(&self, kind: Kind) -> Vec<Key> {
        match kind {
            Kind::Counter => self.counters(),
            Kind::Gauge => self.gauges.keys().copied().collect(),
            Kind::Histogram => self.histograms.iter().copied().collect(),
        }
    }

    /// Resets or deletes the series of a kind and name that are accepted; gives whether there were any. `is_held` says of
    /// which somebody has a handle. Comes after a tick.
    pub fn settle(
        &mut self,
        fate: Fate,
        kind: Kind,
        name: usize,
        filter: Filter,
        is_held: impl Fn(Key) -> bool,
    ) -> bool {
        let keys = self.keys(kind).into_iter();
        let keys: Vec<Key> = keys
            .filter(|key| key.name == name && accepts(filter, *key))
            .collect();
        for key in &keys {
            match fate {
                Fate::Reset => self.reset(kind, *key),
                Fate::Delete => self.delete(kind, *key, is_held(*key)),
            }
        }
        !keys.is_empty()
    }

    fn reset(&mut self, kind: Kind, key: Key) {
        match kind {
            Kind::Counter => {
                let counter = self.counters.entry(key).or_default();
                counter.before += counter.total();
            }
            Kind::Gauge => {
                self.hidden.insert(key);
            }
            // No total of a histogram is asked for.
            Kind::Histogram => {}
        }
    }

    fn delete(&mut self, kind: Kind, key: Key, is_held: bool) {
        for tick in self.ticks.iter_mut().chain([&mut self.pending]) {
            match kind {
                Kind::Counter => drop(tick.increments.remove(&key)),
                Kind::Gauge => drop(tick.levels.remove(&key)),
                Kind::Histogram => drop(tick.records.remove(&key)),
            }
        }
        match kind {
            Kind::Counter => {
                let mut counter = self.counters.remove(&key).unwrap_or_default();
                counter.before += counter.total();
                if is_held {
                    self.asleep.0.insert(key, counter);
                }
            }
            Kind::Gauge => {
                self.gauges.remove(&key);
                self.hidden.remove(&key);
            }
            Kind::Histogram => {
                self.histograms.remove(&key);
                if is_held {
                    self.asleep.1.insert(key);
                }
            }
        }
    }

    /// The store says how many of the newest ticks it has: at least all that are to be kept, and not many more, since they
    /// go some at a time.
    pub fn forget(&mut self, points: usize) {
        let gone = self.ticks.len() - points;
        let (now, retention) = (self.now, self.retention);
        for tick in self.ticks.drain(..gone) {
            let end = tick.end;
            assert!(
                end + retention <= now,
                "{end} was forgotten too early at {now}"
            );
        }
        let old = self.ticks.iter().filter(|tick| tick.end + retention < now);
        assert!(old.count() <= 120, "{} ticks at {now}", self.ticks.len());
    }

    /// The window in milliseconds after the start.
    pub fn bounds(&self, question: &Question) -> Option<(i64, i64)> {
        let end = i64::try_from(self.ticks.last()?.end).ok()?;
        Some(match question.window {
            Window::All => (i64::MIN / 4, end),
            Window::Last(ms) => (end - i64::try_from(ms).ok()?, end),
            Window::Between(from, to) => (from, to),
        })
    }

    /// Ticks whose middle is in the window.
    fn inside(&self, from: i64, to: i64) -> Vec<&Tick> {
        let middle = |t: &Tick| i64::try_from(t.start + t.end).unwrap_or(i64::MAX);
        let ticks = self.ticks.iter();
        ticks
            .filter(|t| 2 * from < middle(t) && middle(t) <= 2 * to)
            .collect()
    }

    /// The ticks of a whole window; one narrower than the tick that it ends in is that tick.
    fn whole(&self, from: i64, to: i64) -> Vec<&Tick> {
        let inside = self.inside(from, to);
        if !inside.is_empty() || from >= to {
            return inside;
        }
        let ends_in = |t: &&Tick| {
            let (start, end) = (i64::try_from(t.start), i64::try_from(t.end));
            start.is_ok_and(|s| s < to) && end.is_ok_and(|e| to <= e)
        };
        self.ticks.iter().filter(ends_in).collect()
    }

    fn parts(&self, question: &Question) -> Vec<Part<'_>> {
        let Some((from, to)) = self.bounds(question) else {
            return Vec::new();
        };
        let Some(step) = question.step else {
            let ticks = self.whole(from, to);
            return if ticks.is_empty() {
                Vec::new()
            } else {
                vec![Part { end: to, ticks }]
            };
        };
        let newest = self.ticks.last().map_or(0, |t| t.end - t.start);
        let first = self
            .ticks
            .first()
            .map_or(0, |t| i64::try_from(t.start).unwrap_or(0));
        let step = match i64::try_from(if step == 0 { newest } else { step }) {
            // A tick in which no time passed: one step for all.
            Ok(0) => (to - from.max(first)).max(1),
            step => step.unwrap_or(i64::MAX),
        };
        let mut parts = Vec::new();
        let mut end = to;
        while end > from.max(first) {
            let start = end - step;
            // The oldest part takes everything that is left of the window.
            let start = if start <= from.max(first) {
                from
            } else {
                start
            };
            parts.push(Part {
                end,
                ticks: self.inside(start, end),
            });
            end -= step;
        }
        // What is still to come is no part; the oldest has a tick without length that begins with it.
        let last = self
            .ticks
            .last()
            .map_or(0, |t| i64::try_from(t.end).unwrap_or(0));
        let oldest = parts
            .pop()
            .filter(|part| from.max(first) <= last || part.end - step < last);
        parts.retain(|part| part.end - step < last);
        parts.extend(oldest);
        parts.reverse();
        parts
    }

    /// Asks `value` for every group and part, and gives the rows the form of the question.
    pub fn rows(
        &self,
        question: &Question,
        keys: Vec<Key>,
        value: impl Fn(&[&Tick], &[Key]) -> Option<f64>,
    ) -> Vec<Row> {
        let parts = self.parts(question);
        let ask = |part: &Part<'_>, keys: &[Key]| {
            let value = if part.ticks.is_empty() {
                None
            } else {
                value(&part.ticks, keys)
            };
            (self.start_ms + part.end, value)
        };
        let groups = groups(question, keys).into_iter();
        let rows =
            groups.map(|(labels, keys)| (labels, parts.iter().map(|p| ask(p, &keys)).collect()));
        shape(question, question.step.is_some(), rows.collect())
    }

    // Counters.

    fn count_rows(&self, q: &Question, value: impl Fn(&[(u64, u64)]) -> Option<f64>) -> Vec<Row> {
        self.rows(q, self.counters(), |ticks, keys| {
            let of = |t: &Tick| keys.iter().filter_map(|key| t.increments.get(key)).sum();
            let ticks: Vec<(u64, u64)> = ticks.iter().map(|t| (of(t), t.end - t.start)).collect();
            value(&ticks)
        })
    }

    pub fn total(&self, q: &Question) -> Vec<Row> {
        live(q, self.counters(), |key| float(self.counters[&key].total()))
    }

    pub fn increase(&self, q: &Question) -> Vec<Row> {
        self.count_rows(q, |ticks| Some(float(ticks.iter().map(|t| t.0).sum())))
    }

    pub fn rate(&self, q: &Question) -> Vec<Row> {
        self.count_rows(q, |ticks| {
            let (count, ms) = ticks
                .iter()
                .fold((0, 0), |sum, t| (sum.0 + t.0, sum.1 + t.1));
            (ms > 0).then(|| 1_000.0 * float(count) / float(ms))
        })
    }

    fn rates(ticks: &[(u64, u64)]) -> Vec<f64> {
        let ticks = ticks.iter().filter(|t| t.1 > 0);
        ticks
            .map(|(count, ms)| 1_000.0 * float(*count) / float(*ms))
            .collect()
    }

    pub fn least_rate(&self, q: &Question) -> Vec<Row> {
        self.count_rows(q, |ticks| {
            Self::rates(ticks).into_iter().min_by(f64::total_cmp)
        })
    }

    pub fn greatest_rate(&self, q: &Question) -> Vec<Row> {
        self.count_rows(q, |ticks| {
            Self::rates(ticks).into_iter().max_by(f64::total_cmp)
        })
    }

    pub fn rate_quantile(&self, q: &Question, share: f64) -> Vec<Row> {
        self.count_rows(q, |ticks| interpolated(Self::rates(ticks), share))
    }

    // Gauges.

    fn level_rows(
        &self,
        q: &Question,
        value: impl Fn(&[(&[f64], u64)]) -> Option<f64>,
    ) -> Vec<Row> {
        self.rows(q, self.gauges.keys().copied().collect(), |ticks, keys| {
            let each = keys.iter().flat_map(|key| {
                ticks
                    .iter()
                    .filter_map(move |t| Some((&**t.levels.get(key)?, t.end - t.start)))
            });
            let each: Vec<(&[f64], u64)> = each.collect();
            if each.is_empty() { None } else { value(&each) }
        })
    }

    pub fn current(&self, q: &Question) -> Vec<Row> {
        let all = self.gauges.keys().copied();
        let shown = all.filter(|key| !self.hidden.contains(key));
        live(q, shown.collect(), |key| self.gauges[&key])
    }

    pub fn gauge_min(&self, q: &Question) -> Vec<Row> {
        self.level_rows(q, |each| {
            each.iter()
                .flat_map(|e| e.0)
                .copied()
                .filter(|v| !v.is_nan())
                .min_by(f64::total_cmp)
        })
    }

    pub fn gauge_max(&self, q: &Question) -> Vec<Row> {
        self.level_rows(q, |each| {
            each.iter()
                .flat_map(|e| e.0)
                .copied()
                .filter(|v| !v.is_nan())
                .max_by(f64::total_cmp)
        })
    }

    fn ends(each: &[(&[f64], u64)]) -> Vec<f64> {
        let ends = each.iter().filter_map(|e| e.0.last().copied());
        ends.filter(|v| !v.is_nan()).collect()
    }

    pub fn gauge_sum(&self, q: &Question) -> Vec<Row> {
        self.level_rows(q, |each| {
            let ends = Self::ends(each);
            (!ends.is_empty()).then(|| ends.iter().sum())
        })
    }

    pub fn gauge_count(&self, q: &Question) -> Vec<Row> {
        self.level_rows(q, |each| Some(float(Self::ends(each).len() as u64)))
    }

    pub fn gauge_avg(&self, q: &Question) -> Vec<Row> {
        self.level_rows(q, |each| {
            let ends = Self::ends(each);
            let has_end = |e: &&(&[f64], u64)| e.0.last().is_some_and(|v| !v.is_nan());
            let each: Vec<_> = each.iter().filter(has_end).collect();
            let ms: u64 = each.iter().map(|e| e.1).sum();
            let weighted = ends.iter().zip(each).map(|(v, e)| v * float(e.1));
            (!ends.is_empty()).then(|| {
                if ms > 0 {
                    weighted.sum::<f64>() / float(ms)
                } else {
                    ends.iter().sum::<f64>() / float(ends.len() as u64)
                }
            })
        })
    }

    pub fn gauge_quantile(&self, q: &Question, share: f64) -> Vec<Row> {
        self.level_rows(q, |each| interpolated(Self::ends(each), share))
    }

    // Histograms.

    fn record_rows(&self, q: &Question, value: impl Fn(Vec<f64>, f64) -> Option<f64>) -> Vec<Row> {
        self.rows(
            q,
            self.histograms.iter().copied().collect(),
            |ticks, keys| {
                let of = |t: &&Tick| {
                    let records = keys.iter().filter_map(|key| t.records.get(key));
                    records.flatten().copied().collect::<Vec<f64>>()
                };
                let mut all: Vec<f64> = ticks.iter().flat_map(of).collect();
                all.sort_by(f64::total_cmp);
                value(all, seconds(ticks))
            },
        )
    }

    pub fn count(&self, q: &Question) -> Vec<Row> {
        self.record_rows(q, |all, _| Some(float(all.len() as u64)))
    }

    pub fn sum(&self, q: &Question) -> Vec<Row> {
        self.record_rows(q, |all, _| Some(all.iter().sum()))
    }

    pub fn avg(&self, q: &Question) -> Vec<Row> {
        let mean = |all: Vec<f64>| all.iter().sum::<f64>() / float(all.len() as u64);
        self.record_rows(q, |all, _| (!all.is_empty()).then(|| mean(all)))
    }

    pub fn min(&self, q: &Question) -> Vec<Row> {
        self.record_rows(q, |all, _| all.first().copied())
    }

    pub fn max(&self, q: &Question) -> Vec<Row> {
        self.record_rows(q, |all, _| all.last().copied())
    }

    pub fn record_rate(&self, q: &Question) -> Vec<Row> {
        self.record_rows(q, |all, s| (s > 0.0).then(|| float(all.len() as u64) / s))
    }

    /// The value of rank `ceil(share n)`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks of a vector"
    )]
    pub fn quantile(&self, q: &Question, share: f64) -> Vec<Row> {
        self.record_rows(q, |all, _| {
            let rank = (share * float(all.len() as u64)).ceil() as usize;
            all.get(rank.max(1) - 1).copied()
        })
    }
}

/// Brings rows into the form in which the question is answered.
fn shape(question: &Question, steps: bool, mut rows: Vec<Row>) -> Vec<Row> {
    if !steps {
        for (_, points) in &mut rows {
            points.truncate(1);
            for point in points {
                point.0 = 0;
            }
        }
    }
    let first = |rows: &mut Vec<Row>| (!rows.is_empty()).then(|| rows.swap_remove(0).1);
    match (question.by.is_empty(), steps) {
        (true, true) => vec![(Vec::new(), first(&mut rows).unwrap_or_default())],
        (true, false) => {
            let value = first(&mut rows).and_then(|points| points.first().and_then(|p| p.1));
            vec![(Vec::new(), vec![(0, value)])]
        }
        (false, true) => rows,
        (false, false) => {
            rows.retain(|(_, points)| points.first().is_some_and(|p| p.1.is_some()));
            rows
        }
    }
}
