//! From a question to rows of answers: find the series, group them, cut the window, and read the frames.

use super::{
    pile::Pile,
    selection::{Found, Member, Query, Range, Selection},
    shape::{Answers, Counters, Gauges, Histograms, Kind, Point, Rows, Shape},
};
use crate::{
    history::{Kept, Timeline},
    ledger::Full,
    model::{Labels, Timestamp},
};
use std::sync::Arc;

/// `count` per second of `ns`; `None` when no time is covered.
#[expect(clippy::cast_precision_loss, reason = "a rate is a float")]
pub(crate) fn per_second(count: u64, ns: u64) -> Option<f64> {
    (ns > 0).then(|| count as f64 / (ns as f64 / 1e9))
}

/// Series with equal values of the labels that are grouped by.
struct Group {
    labels: Labels,
    /// Places in `Found::members`.
    members: Vec<usize>,
}

/// Frames of one step.
struct Slice {
    at: Timestamp,
    frames: std::ops::Range<usize>,
}

/// Steps of a question that would answer with more points than this are too many.
const MOST_STEPS: u64 = 1_000_000;

fn groups(query: &Query, members: &[Member]) -> Vec<Group> {
    // A name that was seen has an answer, even when all of its series are gone.
    let all = query.by.is_empty() && query.matchers.is_empty();
    if members.is_empty() && !all {
        return Vec::new();
    }
    if query.by.is_empty() {
        return vec![Group {
            labels: Labels::from([]),
            members: (0..members.len()).collect(),
        }];
    }
    let mut keyed: Vec<(Labels, usize)> = members
        .iter()
        .enumerate()
        .map(|(at, member)| (member.group(&query.by), at))
        .collect();
    keyed.sort();
    let mut groups: Vec<Group> = Vec::new();
    for (labels, at) in keyed {
        match groups.last_mut() {
            Some(group) if group.labels == labels => group.members.push(at),
            _ => groups.push(Group {
                labels,
                members: vec![at],
            }),
        }
    }
    groups
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
fn bounds(range: Range, timeline: &Timeline) -> Option<(i128, i128)> {
    let last = timeline.last()?.span;
    let axis = |at: Timestamp| {
        (i128::from(at.as_millis()) - i128::from(timeline.wall_start_ms)) * 1_000_000
    };
    Some(match range {
        Range::Last(window) => {
            let end = signed(last.end_ns);
            let window = i128::try_from(window.as_nanos()).unwrap_or(i128::MAX / 4);
            (end - window, end)
        }
        Range::Between(from, to) => (axis(from), axis(to)),
    })
}

/// The frames of a window. One that is narrower than the tick it falls into is that tick.
fn window(frames: &[Arc<Kept>], from: i128, to: i128) -> std::ops::Range<usize> {
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

fn slices(query: &Query, timeline: &Timeline) -> Vec<Slice> {
    let Some((from, to)) = query.window.and_then(|range| bounds(range, timeline)) else {
        return Vec::new();
    };
    let frames = &*timeline.frames;
    let at = |ns: i128| {
        let ms = i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX);
        Timestamp::from_millis(timeline.wall_start_ms.saturating_add(ms))
    };
    let Some(step) = query.step else {
        let frames = window(frames, from, to);
        return if frames.is_empty() {
            Vec::new()
        } else {
            vec![Slice { at: at(to), frames }]
        };
    };
    let first = frames.first().map_or(0, |k| signed(k.frame.span.start_ns));
    let newest = frames
        .last()
        .map_or(0, |k| signed(k.frame.span.duration_ns()));
    let step = i128::try_from(step.as_nanos()).unwrap_or(i128::MAX);
    let step = if step == 0 { newest.max(1) } else { step };
    let window_from = from;
    let from = from.max(first);
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
    (0..steps.min(MOST_STEPS)).rev().map(step_of).collect()
}

fn covered(frames: &[Arc<Kept>]) -> u64 {
    frames.iter().map(|k| k.frame.span.duration_ns()).sum()
}

impl<K: Kind, S: Shape> Selection<K, S> {
    /// Asks `value` for each group in each slice of the window. `None` from it is no room: the question has no answer.
    fn rows<T>(
        &self,
        mut value: impl FnMut(&mut Found, &Group, std::ops::Range<usize>) -> Result<Option<T>, Full>,
    ) -> Answers<T> {
        let Some(mut found) = self.from.find(&self.query) else {
            return Answers(Vec::new());
        };
        let slices = slices(&self.query, &found.timeline);
        let mut rows: Rows<T> = Vec::new();
        for group in groups(&self.query, &found.members) {
            let mut points = Vec::with_capacity(slices.len());
            for slice in &slices {
                let value = if slice.frames.is_empty() {
                    Ok(None)
                } else {
                    value(&mut found, &group, slice.frames.clone())
                };
                let Ok(value) = value else {
                    self.from.refuse();
                    return Answers(Vec::new());
                };
                points.push(Point::new(slice.at, value));
            }
            rows.push((group.labels, points));
        }
        Answers(rows)
    }

    /// Asks for each group, live.
    fn live_rows<T>(&self, value: impl Fn(&Found, &Group) -> Option<T>) -> Answers<T> {
        let Some(found) = self.from.find(&self.query) else {
            return Answers(Vec::new());
        };
        let at = Timestamp::from_millis(found.timeline.wall_start_ms);
        let groups = groups(&self.query, &found.members).into_iter();
        let rows = groups.map(|group| {
            let value = value(&found, &group);
            (group.labels, vec![Point::new(at, value)])
        });
        Answers(rows.collect())
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
        quantile(self.rates().collect(), q)
    }
}

/// The `q`-quantile of values, interpolated between neighbours.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks of values that are in memory"
)]
fn quantile(mut values: Vec<f64>, q: f64) -> Option<f64> {
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
        self.live_rows(|found, group| {
            let totals = group.members.iter().filter_map(|at| found.members.get(*at));
            let live = totals.fold(0u64, |sum, m| sum.wrapping_add(m.total));
            let all = self.query.by.is_empty();
            Some(live.wrapping_add(if all { found.retired } else { 0 }))
        })
    }

    pub(super) fn counted<T>(&self, ask: impl Fn(&Counted) -> Option<T>) -> Answers<T> {
        self.rows(|found, group, frames| {
            let _room = found
                .scratch
                .beside(frames.len() * size_of::<(u64, u64)>())?;
            let Some(frames) = found.timeline.frames.get(frames) else {
                return Ok(None);
            };
            let ticks = frames.iter().map(|k| (0, k.frame.span.duration_ns()));
            let mut counted = Counted {
                increase: 0,
                ticks: ticks.collect(),
            };
            for member in group.members.iter().filter_map(|at| found.members.get(*at)) {
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
    /// Values at the ends of ticks, and how long their ticks were.
    samples: Vec<(f64, u64)>,
    extremes: Option<(f64, f64)>,
}

impl Levels {
    fn add(&mut self, last: f64, min: f64, max: f64, ns: u64) {
        if !last.is_nan() {
            self.samples.push((last, ns));
        }
        if min <= max {
            let (low, high) = self.extremes.unwrap_or((min, max));
            self.extremes = Some((low.min(min), high.max(max)));
        }
    }

    pub(super) fn min(&self) -> Option<f64> {
        self.extremes.map(|e| e.0)
    }

    pub(super) fn max(&self) -> Option<f64> {
        self.extremes.map(|e| e.1)
    }

    pub(super) fn count(&self) -> u64 {
        self.samples.len() as u64
    }

    pub(super) fn sum(&self) -> Option<f64> {
        let values = self.samples.iter().map(|s| s.0);
        (!self.samples.is_empty()).then(|| values.sum())
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
    pub(super) fn avg(&self) -> Option<f64> {
        let time: f64 = self.samples.iter().map(|s| s.1 as f64).sum();
        let weighted = self.samples.iter().map(|(v, ns)| v * (*ns as f64 / time));
        let mean = if time > 0.0 {
            weighted.sum()
        } else {
            self.sum()? / self.samples.len() as f64
        };
        let values = || self.samples.iter().map(|s| s.0);
        let (least, most) = values().reduce(f64::min).zip(values().reduce(f64::max))?;
        // Weights round: the mean of a constant would come back as its neighbour.
        Some(mean.clamp(least, most))
    }

    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        quantile(self.samples.iter().map(|s| s.0).collect(), q)
    }
}

/// The value of a gauge when a window begins: what it was before its next change, or what it is, if there is none.
fn value_before(frames: &[Arc<Kept>], member: &Member) -> f64 {
    let mut hint = 0;
    let next = frames
        .iter()
        .find_map(|kept| kept.frame.gauge(member.id, &mut hint));
    next.map_or(member.held, |point| point.prev)
}

impl<S: Shape> Selection<Gauges, S> {
    pub(super) fn live_values(&self) -> Answers<f64> {
        self.live_rows(|found, group| {
            let members = group.members.iter().filter_map(|at| found.members.get(*at));
            let values = members.map(|m| m.now).filter(|v| !v.is_nan());
            values.fold(None, |sum, v| Some(sum.unwrap_or(0.0) + v))
        })
    }

    pub(super) fn levels<T>(&self, ask: impl Fn(&Levels) -> Option<T>) -> Answers<T> {
        self.rows(|found, group, range| {
            let samples = range.len() * group.members.len();
            let _room = found.scratch.beside(samples * size_of::<(f64, u64)>())?;
            let frames = &found.timeline.frames;
            let (Some(rest), Some(frames)) = (frames.get(range.start..), frames.get(range)) else {
                return Ok(None);
            };
            let mut levels = Levels::default();
            levels.samples.reserve_exact(samples);
            for member in group.members.iter().filter_map(|at| found.members.get(*at)) {
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
            let none = levels.samples.is_empty() && levels.extremes.is_none();
            Ok(if none { None } else { ask(&levels) })
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
            let pile = pile.get_or_insert_with(|| Pile::new(found.schema));
            pile.clear();
            for member in group.members.iter().filter_map(|at| found.members.get(*at)) {
                let mut hint = 0;
                for kept in frames {
                    if let Some((point, packed)) = kept.frame.histogram(member.id, &mut hint) {
                        pile.add(point, packed, &mut found.scratch)?;
                    }
                }
            }
            pile.finish(covered(frames));
            Ok(ask(pile))
        })
    }
}
