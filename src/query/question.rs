//! From a question to rows of answers: find the series, group them, cut the window, and read the points.

use super::{
    answer::Answer,
    ask::{Ask, Found, Member, Missing, Query, Range as Window, Sum},
    shape::{Answers, Point, Rows},
};
use crate::{
    history::{Charge, Reach, Timeline},
    ledger::Full,
    model::{Labels, MetricKind, Timestamp, frame::class_of, schema::Schema},
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
    /// Length of the step, in nanoseconds, whether covered or not.
    asked_ns: i128,
}

/// A window on the points that some series have.
pub(super) struct Cut<'a> {
    pub(super) reach: Reach<'a>,
    slices: Vec<Slice>,
    /// Length of a usual tick.
    pub(super) resolution_ns: u64,
    /// Wall milliseconds at nanosecond 0 of the axis.
    wall_start_ms: i64,
    /// Schema of the metric, for histograms.
    pub(super) schema: &'static Schema,
    /// As `Found::per_one`.
    pub(super) per_one: u64,
    /// What the question needs is charged beside this.
    pub(super) scratch: Charge,
}

/// Steps that are answered together, in one pass over the series.
const BATCH: usize = 128;

impl<'a> Cut<'a> {
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

    /// The points that some classes have, in at most so many steps.
    pub(super) fn new(
        query: &Query,
        found: &'a Found,
        classes: u8,
        most: u64,
    ) -> Result<Self, Full> {
        let timeline = &*found.timeline;
        let window = query.window.and_then(|range| bounds(range, timeline));
        let from = window.map_or(i128::MIN, |(from, _)| from);
        let reach = Reach::new(timeline, classes, from, &found.scratch)?;
        let mut scratch = found.scratch.beside(0)?;
        let slices = slices(query, timeline, &reach, &mut scratch, most)?;
        Ok(Self {
            reach,
            slices,
            resolution_ns: found.resolution_ns,
            wall_start_ms: timeline.wall_start_ms,
            schema: found.schema,
            per_one: found.per_one,
            scratch,
        })
    }

    /// The points of all steps.
    pub(super) fn whole_points(&self) -> Range<usize> {
        Steps(&self.slices).whole()
    }

    /// An instant of the axis.
    pub(super) fn wall(&self, ns: u64) -> Timestamp {
        let ms = i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.wall_start_ms.saturating_add(ms))
    }

    /// The ends of some points.
    pub(super) fn ends(&self, points: &Range<usize>) -> impl Iterator<Item = Timestamp> {
        self.reach.rows(points).map(|row| self.wall(row.end_ns))
    }

    /// Of each step: its end, and which share of it ticks cover.
    #[expect(clippy::cast_precision_loss, reason = "a share is a float")]
    pub(super) fn coverage(&self) -> impl Iterator<Item = (Timestamp, f64)> {
        self.slices.iter().map(|slice| {
            let covered = self.reach.covered_ns(&slice.points);
            let share = match slice.asked_ns {
                // A tick before the clock first moved covers all of its no time.
                _ if slice.points.is_empty() => 0.0,
                1.. => covered as f64 / slice.asked_ns as f64,
                _ => 1.0,
            };
            (slice.at, share.min(1.0))
        })
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
/// for: a name that was seen has an answer, even when all of its series are gone; with `always`, also when no series fits.
fn groups(query: &Query, found: &mut Found, always: bool) -> Result<Vec<Group>, Full> {
    let Found {
        members, scratch, ..
    } = found;
    if query.by.is_empty() {
        let some = always || !members.is_empty() || query.matchers.is_empty();
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
pub(super) fn bounds(range: Window, timeline: &Timeline) -> Option<(i128, i128)> {
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
        let first = reach
            .row(points.start)
            .map_or(from, |row| signed(row.start_ns));
        // All that is kept has no length of its own.
        let asked_ns = if query.is_for_all() {
            to - first
        } else {
            to - from
        };
        let slice = Slice {
            at: at(to),
            points,
            asked_ns,
        };
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
            asked_ns: end - start,
        }
    };
    // Those that are still to come are left out: none of them can have a tick, and there may be any number.
    let end = timeline
        .last()
        .map_or(to, |frame| signed(frame.span.end_ns));
    let to_come = u64::try_from((to - end) / step).unwrap_or(0);
    // The oldest begins with its window, and so has a tick without length that begins there.
    let skipped = to_come.min(steps - u64::from(steps > 0 && from <= end));
    let behind = steps.min(skipped.saturating_add(most));
    let count = usize::try_from(behind.saturating_sub(skipped)).unwrap_or(0);
    scratch.add(layout::vec::<Slice>(count))?;
    Ok((skipped..behind).rev().map(step_of).collect())
}

/// A question on its way: what is asked, and of whom.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub(super) query: &'a Query,
    pub(super) from: &'a dyn Ask,
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.query.fmt(f)
    }
}

impl Question<'_> {
    /// Asks `value` for each step of the window, group by group.
    pub(super) fn rows<T>(
        &self,
        value: impl FnMut(&[Member], &Cut<'_>) -> Result<Vec<Option<T>>, Full>,
    ) -> Result<Rows<T>, Missing> {
        let found = self.from.find(self.query)?;
        let rows = self.rows_of(found, false, value);
        rows.map_err(|Full| self.refused())
    }

    /// The same, with what is to be known of each answer.
    pub(super) fn answers(
        &self,
        mut value: impl FnMut(&[Member], &Cut<'_>) -> Result<Vec<Option<Reading>>, Full>,
    ) -> Result<Rows<Answer>, Missing> {
        let found = self.from.find(self.query)?;
        let is_gauge = self.query.kind == MetricKind::Gauge;
        let rows = self.rows_of(found, true, |members, cut| {
            let is_partial = is_gauge && members.iter().any(|member| member.is_overflow);
            let asks = !members.is_empty() || self.query.matchers.is_empty();
            let readings = if asks {
                value(members, cut)?
            } else {
                Vec::new()
            };
            let mut readings = readings.into_iter();
            let answers = cut.coverage().map(|(at, coverage)| {
                let reading = readings.next().flatten();
                let answer = reading.map_or(Answer::nothing(at), |reading| Answer {
                    at,
                    value: Some(reading.value),
                    coverage,
                    bound: reading.bound,
                    partial: reading.partial || is_partial,
                });
                Some(Answer { coverage, ..answer })
            });
            Ok(answers.collect())
        });
        rows.map_err(|Full| self.refused())
    }

    fn rows_of<T>(
        &self,
        mut found: Found,
        always: bool,
        mut value: impl FnMut(&[Member], &Cut<'_>) -> Result<Vec<Option<T>>, Full>,
    ) -> Result<Rows<T>, Full> {
        let groups = groups(self.query, &mut found, always)?;
        let most = MOST_POINTS / (groups.len() as u64).max(1);
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
                (classes, Cut::new(self.query, &found, classes, most)?)
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
    pub(super) fn live_rows<T>(
        &self,
        value: impl Fn(Sum) -> Option<T>,
    ) -> Result<Rows<T>, Missing> {
        let row = |labels, sum| {
            let point = Point::new(Timestamp::from_millis(0), value(sum));
            (labels, vec![point])
        };
        if self.query.by.is_empty() {
            let sum = self.from.sum(self.query)?;
            let all = sum.map(|sum| row(Labels::from([]), sum));
            return Ok(all.into_iter().collect());
        }
        let mut found = self.from.find(self.query)?;
        let Ok(groups) = groups(self.query, &mut found, false) else {
            return Err(self.refused());
        };
        let rows = groups.into_iter().map(|group| {
            let mut sum = Sum::of(found.per_one);
            let members = found.members.get(group.members).unwrap_or_default();
            for member in members {
                sum.add(member.values);
            }
            row(group.labels, sum)
        });
        Ok(rows.collect())
    }

    fn refused(&self) -> Missing {
        self.from.refuse();
        Missing::Refused
    }
}

/// Without an answer there are no rows: `health` names why.
pub(super) fn or_nothing<T>(rows: Result<Rows<T>, Missing>) -> Answers<T> {
    Answers(rows.unwrap_or_default())
}

/// One number, and how far it can be trusted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) value: f64,
    /// As in `Answer`.
    pub(super) bound: f64,
    pub(super) partial: bool,
}

impl Reading {
    pub(super) fn exact(value: f64) -> Self {
        Self {
            value,
            bound: 0.0,
            partial: false,
        }
    }

    pub(super) fn partial_if(self, partial: bool) -> Self {
        Self { partial, ..self }
    }
}
