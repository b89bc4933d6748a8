//! From a question to rows of answers: find the series, group them, cut the window, and read the frames.

use super::{
    pile::Pile,
    selection::{Found, Member, Query, Range as Window, Selection, Sum},
    shape::{Answers, Counters, Gauges, Histograms, Kind, Point, Rows, Shape},
};
use crate::{
    history::{Kept, Timeline},
    ledger::Full,
    model::{Labels, Timestamp},
    util::layout,
};
use std::{ops::Range, sync::Arc};

/// `count` per second of `ns`; `None` when no time is covered.
#[expect(clippy::cast_precision_loss, reason = "a rate is a float")]
pub(crate) fn per_second(count: u64, ns: u64) -> Option<f64> {
    (ns > 0).then(|| count as f64 / (ns as f64 / 1e9))
}

/// Series with equal values of the labels that are grouped by.
struct Group {
    labels: Labels,
    /// Where they stand in `Found::members`.
    members: Range<usize>,
}

/// Frames of one step.
struct Slice {
    at: Timestamp,
    frames: Range<usize>,
}

/// Points of an answer, in all of its groups together; older ones are left out.
const MOST_POINTS: u64 = 1_000_000;

/// The groups of a question, by labels. Without grouping there is one, which may be empty when nothing but a name is asked
/// for: a name that was seen has an answer, even when all of its series are gone.
fn groups(query: &Query, found: &mut Found) -> Result<Vec<Group>, Full> {
    let Found {
        members, scratch, ..
    } = found;
    if query.by.is_empty() {
        let some = !members.is_empty() || query.matchers.is_empty();
        let all = Group {
            labels: Labels::from([]),
            members: 0..members.len(),
        };
        return Ok(some.then_some(all).into_iter().collect());
    }
    // Equal groups add up in the order of all labels.
    members.sort_unstable_by(|a, b| {
        let groups = a.cmp_group(b, &query.by);
        groups.then_with(|| a.labels.cmp(&b.labels))
    });
    let same = |a: &Member, b: &Member| a.cmp_group(b, &query.by).is_eq();
    let count = members.chunk_by(same).count();
    scratch.add(layout::vec::<Group>(count))?;
    let mut groups = Vec::with_capacity(count);
    let mut at = 0;
    for group in members.chunk_by(same) {
        groups.extend(group.first().map(|member| Group {
            labels: member.group(&query.by),
            members: at..at + group.len(),
        }));
        at += group.len();
    }
    Ok(groups)
}

fn signed(ns: u64) -> i128 {
    i128::from(ns)
}

/// Twice the middle of a tick, in nanoseconds.
fn middle(kept: &Arc<Kept>) -> i128 {
    signed(kept.frame.span.start_ns) + signed(kept.frame.span.end_ns)
}

/// First frame whose middle is after `ns`.
fn after(frames: &[Arc<Kept>], ns: i128) -> usize {
    frames.partition_point(|kept| middle(kept) <= 2 * ns)
}

/// The window on the axis, in nanoseconds: from, to.
fn bounds(range: Window, timeline: &Timeline) -> Option<(i128, i128)> {
    let last = timeline.last()?.span;
    let axis = |at: Timestamp| {
        (i128::from(at.as_millis()) - i128::from(timeline.wall_start_ms)) * 1_000_000
    };
    Some(match range {
        Window::Last(window) => {
            let end = signed(last.end_ns);
            let window = i128::try_from(window.as_nanos()).unwrap_or(i128::MAX / 4);
            (end - window, end)
        }
        Window::Between(from, to) => (axis(from), axis(to)),
    })
}

/// The frames of a window. One that is narrower than the tick it falls into is that tick.
fn window(frames: &[Arc<Kept>], from: i128, to: i128) -> Range<usize> {
    let range = after(frames, from)..after(frames, to);
    if !range.is_empty() || to <= from {
        return range;
    }
    let inside = frames.partition_point(|kept| signed(kept.frame.span.end_ns) < to);
    let covers = |kept: &Arc<Kept>| signed(kept.frame.span.start_ns) < to;
    if frames.get(inside).is_some_and(covers) {
        inside..inside + 1
    } else {
        range
    }
}

/// At most `most`, and those the newest.
fn slices(query: &Query, found: &mut Found, most: u64) -> Result<Vec<Slice>, Full> {
    let Found {
        timeline, scratch, ..
    } = found;
    let Some((from, to)) = query.window.and_then(|range| bounds(range, timeline)) else {
        return Ok(Vec::new());
    };
    let frames = &*timeline.frames;
    let at = |ns: i128| {
        let ms = i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX);
        Timestamp::from_millis(timeline.wall_start_ms.saturating_add(ms))
    };
    let Some(step) = query.step else {
        let frames = window(frames, from, to);
        let slice = Slice { at: at(to), frames };
        let some = !slice.frames.is_empty();
        return Ok(some.then_some(slice).into_iter().collect());
    };
    let first = frames.first().map_or(0, |k| signed(k.frame.span.start_ns));
    let newest = frames
        .last()
        .map_or(0, |k| signed(k.frame.span.duration_ns()));
    let step = i128::try_from(step.as_nanos()).unwrap_or(i128::MAX);
    let window_from = from;
    let from = from.max(first);
    let step = match (step, newest) {
        // No time has passed: one step for all.
        (0, 0) => (to - from).max(1),
        (0, tick) => tick,
        (step, _) => step,
    };
    let steps = u64::try_from((to - from + step - 1) / step).unwrap_or(0);
    let step_of = |back: u64| {
        let end = to - step * i128::from(back);
        let start = (end - step).max(from);
        Slice {
            at: at(end),
            // Steps hold what their window holds, a tick before the clock first moved included.
            frames: after(frames, if start == from { window_from } else { start })
                ..after(frames, end),
        }
    };
    let steps = steps.min(most);
    scratch.add(layout::vec::<Slice>(usize::try_from(steps).unwrap_or(0)))?;
    Ok((0..steps).rev().map(step_of).collect())
}

fn covered(frames: &[Arc<Kept>]) -> u64 {
    frames.iter().map(|k| k.frame.span.duration_ns()).sum()
}

impl<K: Kind, S: Shape> Selection<K, S> {
    /// Asks `value` for each group in each slice of the window. Without room the question has no answer.
    fn rows<T>(
        &self,
        value: impl FnMut(&mut Found, &Group, Range<usize>) -> Result<Option<T>, Full>,
    ) -> Answers<T> {
        let found = self.from.find(&self.query);
        let rows = found.map(|found| self.rows_of(found, value));
        match rows.unwrap_or_else(|| Ok(Vec::new())) {
            Ok(rows) => Answers(rows),
            Err(Full) => self.refused(),
        }
    }

    fn rows_of<T>(
        &self,
        mut found: Found,
        mut value: impl FnMut(&mut Found, &Group, Range<usize>) -> Result<Option<T>, Full>,
    ) -> Result<Rows<T>, Full> {
        let groups = groups(&self.query, &mut found)?;
        let most = MOST_POINTS / (groups.len() as u64).max(1);
        let slices = slices(&self.query, &mut found, most)?;
        let mut rows = Vec::with_capacity(groups.len());
        for group in groups {
            let mut points = Vec::with_capacity(slices.len());
            for slice in &slices {
                let value = if slice.frames.is_empty() {
                    None
                } else {
                    value(&mut found, &group, slice.frames.clone())?
                };
                points.push(Point::new(slice.at, value));
            }
            rows.push((group.labels, points));
        }
        Ok(rows)
    }

    /// Adds up each group, live. A single one needs no room.
    fn live_rows<T>(&self, value: impl Fn(Sum) -> Option<T>) -> Answers<T> {
        let row = |labels, sum| {
            let point = Point::new(Timestamp::from_millis(0), value(sum));
            (labels, vec![point])
        };
        if self.query.by.is_empty() {
            let sum = self.from.sum(&self.query);
            let all = sum.map(|sum| row(Labels::from([]), sum));
            return Answers(all.into_iter().collect());
        }
        let Some(mut found) = self.from.find(&self.query) else {
            return Answers(Vec::new());
        };
        let Ok(groups) = groups(&self.query, &mut found) else {
            return self.refused();
        };
        let rows = groups.into_iter().map(|group| {
            let mut sum = Sum::default();
            found.of(&group).iter().for_each(|m| sum.add(m.values));
            row(group.labels, sum)
        });
        Answers(rows.collect())
    }

    fn refused<T>(&self) -> Answers<T> {
        self.from.refuse();
        Answers(Vec::new())
    }
}

impl Found {
    fn of(&self, group: &Group) -> &[Member] {
        self.members.get(group.members.clone()).unwrap_or_default()
    }
}

/// What counters did over a window, tick by tick.
pub(super) struct Counted {
    pub(super) increase: u64,
    /// Increments and nanoseconds of each tick.
    ticks: Vec<(u64, u64)>,
}

impl Counted {
    pub(super) fn rate(&self) -> Option<f64> {
        per_second(self.increase, self.ticks.iter().map(|t| t.1).sum())
    }

    pub(super) fn rates(&self) -> impl Iterator<Item = f64> {
        self.ticks.iter().filter_map(|(n, ns)| per_second(*n, *ns))
    }

    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let mut rates = Vec::with_capacity(self.ticks.len());
        rates.extend(self.rates());
        quantile(&mut rates, q)
    }
}

/// The `q`-quantile of values, interpolated between neighbours.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks of values that are in memory"
)]
fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    if values.is_empty() || !(0.0..=1.0).contains(&q) {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let below = values.get(rank.floor() as usize)?;
    let above = values.get(rank.ceil() as usize)?;
    Some(between(*below, *above, rank.fract()))
}

/// What lies `part` of the way from `below` to `above`.
fn between(below: f64, above: f64, part: f64) -> f64 {
    let way = above - below;
    if part == 0.0 || below.total_cmp(&above).is_eq() {
        below
    } else if way.is_finite() {
        below + way * part
    } else {
        below * (1.0 - part) + above * part
    }
}

impl<S: Shape> Selection<Counters, S> {
    pub(super) fn live_totals(&self) -> Answers<u64> {
        self.live_rows(|sum| Some(sum.total))
    }

    pub(super) fn counted<T>(&self, ask: impl Fn(&Counted) -> Option<T>) -> Answers<T> {
        self.rows(|found, group, frames| {
            // The ticks, and their rates when a quantile is asked for.
            let bytes = layout::vec::<(u64, u64)>(frames.len()) + layout::vec::<f64>(frames.len());
            let _room = found.scratch.beside(bytes)?;
            let Some(frames) = found.timeline.frames.get(frames) else {
                return Ok(None);
            };
            let ticks = frames.iter().map(|k| (0, k.frame.span.duration_ns()));
            let mut counted = Counted {
                increase: 0,
                ticks: ticks.collect(),
            };
            for member in found.of(group) {
                let mut hint = 0;
                for (kept, tick) in frames.iter().zip(&mut counted.ticks) {
                    if let Some(delta) = kept.frame.counter(member.id, &mut hint) {
                        tick.0 = tick.0.wrapping_add(delta);
                    }
                }
            }
            counted.increase = counted.ticks.iter().fold(0, |sum, t| t.0.wrapping_add(sum));
            Ok(ask(&counted))
        })
    }
}

/// What gauges did over a window.
#[derive(Default)]
pub(super) struct Levels {
    count: u64,
    sum: f64,
    /// Sum of the values, each times the share of its tick in [`Levels::whole`], and of these shares.
    weighted: f64,
    time: f64,
    /// At least the nanoseconds of all ticks of all gauges, and a power of two, so that shares are exact.
    whole: f64,
    /// Extremes of the values at the ends of ticks, and of all.
    ends: Option<(f64, f64)>,
    extremes: Option<(f64, f64)>,
    /// Values at the ends of ticks, as many as there was made room for: none, unless a quantile is asked for.
    samples: Vec<f64>,
}

impl Levels {
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    fn new(whole_ns: u128) -> Self {
        Self {
            whole: whole_ns.max(1).next_power_of_two() as f64,
            ..Self::default()
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a tick is shorter than 2^53 ns")]
    fn add(&mut self, last: f64, min: f64, max: f64, ns: u64) {
        if !last.is_nan() {
            let share = ns as f64 / self.whole;
            self.count += 1;
            self.sum += last;
            self.weighted += last * share;
            self.time += share;
            self.ends = Some(stretch(self.ends, last, last));
            if self.samples.len() < self.samples.capacity() {
                self.samples.push(last);
            }
        }
        if min <= max {
            self.extremes = Some(stretch(self.extremes, min, max));
        }
    }

    pub(super) fn min(&self) -> Option<f64> {
        self.extremes.map(|e| e.0)
    }

    pub(super) fn max(&self) -> Option<f64> {
        self.extremes.map(|e| e.1)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum(&self) -> Option<f64> {
        (self.count > 0).then_some(self.sum)
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
    pub(super) fn avg(&self) -> Option<f64> {
        let (least, most) = self.ends?;
        let mean = if self.time > 0.0 {
            self.weighted / self.time
        } else {
            self.sum / self.count as f64
        };
        // Sums round: the mean of a constant would come back as its neighbour.
        Some(mean.clamp(least, most))
    }

    fn quantile(&mut self, q: f64) -> Option<f64> {
        quantile(&mut self.samples, q)
    }
}

/// Extremes that take in another pair.
fn stretch(extremes: Option<(f64, f64)>, min: f64, max: f64) -> (f64, f64) {
    extremes.map_or((min, max), |(low, high)| (low.min(min), high.max(max)))
}

/// The value of a gauge when a window begins: what it was before its next change, or what it is, if there is none.
fn value_before(frames: &[Arc<Kept>], member: &Member) -> f64 {
    let mut hint = 0;
    let next = frames
        .iter()
        .find_map(|kept| kept.frame.gauge(member.id, &mut hint));
    next.map_or(member.values.held, |point| point.prev)
}

impl<S: Shape> Selection<Gauges, S> {
    pub(super) fn live_values(&self) -> Answers<f64> {
        self.live_rows(|sum| sum.now)
    }

    pub(super) fn levels<T>(&self, ask: impl Fn(&Levels) -> Option<T>) -> Answers<T> {
        self.leveled(|_| 0, |levels| ask(levels))
    }

    pub(super) fn level_quantiles(&self, q: f64) -> Answers<f64> {
        self.leveled(|all| all, |levels| levels.quantile(q))
    }

    /// `kept`: how many of so many values the question needs.
    fn leveled<T>(
        &self,
        kept: impl Fn(usize) -> usize,
        ask: impl Fn(&mut Levels) -> Option<T>,
    ) -> Answers<T> {
        self.rows(|found, group, range| {
            let samples = kept(range.len() * group.members.len());
            let _room = found.scratch.beside(layout::vec::<f64>(samples))?;
            let frames = &found.timeline.frames;
            let (Some(rest), Some(frames)) = (frames.get(range.start..), frames.get(range)) else {
                return Ok(None);
            };
            let gauges = found.of(group);
            let mut levels = Levels::new(u128::from(covered(frames)) * gauges.len() as u128);
            levels.samples.reserve_exact(samples);
            for member in gauges {
                let mut value = value_before(rest, member);
                let mut hint = 0;
                for kept in frames {
                    let ns = kept.frame.span.duration_ns();
                    match kept.frame.gauge(member.id, &mut hint) {
                        Some(point) => {
                            levels.add(point.last, point.min, point.max, ns);
                            value = point.last;
                        }
                        None => levels.add(value, value, value, ns),
                    }
                }
            }
            let none = levels.count == 0 && levels.extremes.is_none();
            Ok(if none { None } else { ask(&mut levels) })
        })
    }
}

impl<S: Shape> Selection<Histograms, S> {
    pub(super) fn quantiles(&self, q: f64) -> Answers<f64> {
        self.piled(|pile| pile.quantile(q))
    }

    pub(super) fn piled<T>(&self, ask: impl Fn(&Pile) -> Option<T>) -> Answers<T> {
        let mut pile: Option<Pile> = None;
        self.rows(|found, group, range| {
            let Some(frames) = found.timeline.frames.get(range) else {
                return Ok(None);
            };
            let pile = match &mut pile {
                Some(pile) => pile,
                none => none.insert(Pile::new(found.schema, found.scratch.beside(0)?)),
            };
            pile.clear();
            for member in found.of(group) {
                let mut hint = 0;
                for kept in frames {
                    if let Some((point, packed)) = kept.frame.histogram(member.id, &mut hint) {
                        pile.add(point, packed)?;
                    }
                }
            }
            pile.finish(covered(frames))?;
            Ok(ask(pile))
        })
    }
}
