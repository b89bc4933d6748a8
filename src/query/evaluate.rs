//! From a question to rows of answers: find the series, group them, cut the window, and read the points.

use super::{
    selection::{Found, Member, Query, Range as Window, Selection, Sum},
    shape::{Answers, Kind, Point, Rows, Shape},
};
use crate::{
    history::{Charge, Reach, Timeline},
    ledger::Full,
    model::{Labels, Timestamp, frame::class_of, schema::Schema},
    util::layout,
};
use std::ops::Range;

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

/// The points of one step.
struct Slice {
    at: Timestamp,
    points: Range<usize>,
}

/// A window on the points that some series have.
pub(super) struct Cut<'a> {
    pub(super) reach: Reach<'a>,
    slices: Vec<Slice>,
    /// Length of a usual tick.
    pub(super) resolution_ns: u64,
    /// Schema of the metric, for histograms.
    pub(super) schema: &'static Schema,
    /// What the question needs is charged beside this.
    pub(super) scratch: Charge,
}

/// Steps that are answered together, in one pass over the series.
const BATCH: usize = 128;

impl Cut<'_> {
    /// The points of each step, some steps at a time.
    pub(super) fn batches(&self) -> impl Iterator<Item = Steps<'_>> {
        self.slices.chunks(BATCH).map(Steps)
    }

    /// How many steps there are.
    pub(super) fn len(&self) -> usize {
        self.slices.len()
    }

    /// The points of each step.
    pub(super) fn steps(&self) -> impl Iterator<Item = Range<usize>> {
        self.slices.iter().map(|slice| slice.points.clone())
    }
}

/// Steps that follow each other.
#[derive(Clone, Copy)]
pub(super) struct Steps<'a>(&'a [Slice]);

impl Steps<'_> {
    /// The points of each step.
    pub(super) fn points(&self) -> impl ExactSizeIterator<Item = Range<usize>> {
        self.0.iter().map(|slice| slice.points.clone())
    }

    /// The points of all steps.
    pub(super) fn whole(&self) -> Range<usize> {
        let mut some = self.points().filter(|points| !points.is_empty());
        let first = some.next();
        first.map_or(0..0, |first| {
            first.start..some.last().map_or(first.end, |last| last.end)
        })
    }
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

/// The window, or its steps, oldest first; but at most `most` steps, the newest ones. Only points that were committed are
/// read.
fn slices(
    query: &Query,
    timeline: &Timeline,
    reach: &Reach<'_>,
    scratch: &mut Charge,
    most: u64,
) -> Result<Vec<Slice>, Full> {
    let Some((from, to)) = query.window.and_then(|range| bounds(range, timeline)) else {
        return Ok(Vec::new());
    };
    let at = |ns: i128| {
        let ms = i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX);
        Timestamp::from_millis(timeline.wall_start_ms.saturating_add(ms))
    };
    let Some(step) = query.step else {
        let points = reach.window(from, to);
        let slice = Slice { at: at(to), points };
        let some = !slice.points.is_empty();
        return Ok(some.then_some(slice).into_iter().collect());
    };
    let first = reach.row(0).map_or(0, |row| signed(row.start_ns));
    let newest = timeline
        .last()
        .map_or(0, |frame| signed(frame.span.duration_ns()));
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
        // Steps hold what their window holds, a tick before the clock first moved included.
        let begin = reach.after(if start == from { window_from } else { start });
        Slice {
            at: at(end),
            points: begin..reach.after(end),
        }
    };
    let steps = steps.min(most);
    scratch.add(layout::vec::<Slice>(usize::try_from(steps).unwrap_or(0)))?;
    Ok((0..steps).rev().map(step_of).collect())
}

impl<K: Kind, S: Shape> Selection<K, S> {
    /// Asks `value` for each step of the window, group by group. Without room the question has no answer.
    pub(super) fn rows<T>(
        &self,
        value: impl FnMut(&[Member], &Cut<'_>) -> Result<Vec<Option<T>>, Full>,
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
        mut value: impl FnMut(&[Member], &Cut<'_>) -> Result<Vec<Option<T>>, Full>,
    ) -> Result<Rows<T>, Full> {
        let groups = groups(&self.query, &mut found)?;
        let most = MOST_POINTS / (groups.len() as u64).max(1);
        let timeline = &*found.timeline;
        let mut rows = Vec::with_capacity(groups.len());
        // Most groups are of one retention class, and so have the same points.
        let mut last: Option<(u8, Cut<'_>)> = None;
        for group in groups {
            let members = found.members.get(group.members).unwrap_or_default();
            let classes = members.iter().map(|member| class_of(member.id));
            let classes = classes.fold(0, |all, class| all | 1_u8 << class).max(1);
            let cut = if let Some(last) = last.take().filter(|(of, _)| *of == classes) {
                last
            } else {
                let window = self.query.window.and_then(|range| bounds(range, timeline));
                let from = window.map_or(i128::MIN, |(from, _)| from);
                let reach = Reach::new(timeline, classes, from, &found.scratch)?;
                let mut scratch = found.scratch.beside(0)?;
                let slices = slices(&self.query, timeline, &reach, &mut scratch, most)?;
                let cut = Cut {
                    reach,
                    slices,
                    resolution_ns: found.resolution_ns,
                    schema: found.schema,
                    scratch,
                };
                (classes, cut)
            };
            let values = value(members, &cut.1)?;
            let points = cut.1.slices.iter().zip(values).map(|(slice, value)| {
                let is_some = !slice.points.is_empty();
                Point::new(slice.at, value.filter(|_| is_some))
            });
            rows.push((group.labels, points.collect()));
            last = Some(cut);
        }
        Ok(rows)
    }

    /// Adds up each group, live. A single one needs no room.
    pub(super) fn live_rows<T>(&self, value: impl Fn(Sum) -> Option<T>) -> Answers<T> {
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
            let members = found.members.get(group.members).unwrap_or_default();
            for member in members {
                sum.add(member.values);
            }
            row(group.labels, sum)
        });
        Answers(rows.collect())
    }

    fn refused<T>(&self) -> Answers<T> {
        self.from.refuse();
        Answers(Vec::new())
    }
}

/// The `q`-quantile of values, each of which is there so many times, interpolated between the middles of neighbours.
pub(super) fn quantile(values: &mut [(f64, u32)], q: f64) -> Option<f64> {
    if values.is_empty() || !(0.0..=1.0).contains(&q) {
        return None;
    }
    values.sort_unstable_by(|a, b| f64::total_cmp(&a.0, &b.0));
    let half = |value: &(f64, u32)| f64::from(value.1) / 2.0;
    let (first, last) = values.first().zip(values.last())?;
    let whole: f64 = values.iter().map(|value| f64::from(value.1)).sum();
    // From the middle of the first to that of the last.
    let wanted = q * (whole - half(first) - half(last));
    let (mut below, mut at, mut end) = (first.0, 0.0, -half(first));
    for value in values.iter() {
        let middle = end + half(value);
        if middle >= wanted {
            let way = middle - at;
            let part = if way > 0.0 { (wanted - at) / way } else { 1.0 };
            return Some(between(below, value.0, part));
        }
        (below, at) = (value.0, middle);
        end = middle + half(value);
    }
    Some(below)
}

/// What lies `part` of the way from `below` to `above`.
fn between(below: f64, above: f64, part: f64) -> f64 {
    let way = above - below;
    if part == 0.0 || below.total_cmp(&above).is_eq() {
        below
    } else if part >= 1.0 {
        above
    } else if way.is_finite() {
        below + way * part
    } else {
        below * (1.0 - part) + above * part
    }
}
