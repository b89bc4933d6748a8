//! What gauges did over a window, point by point.

use super::{
    evaluate::{Cut, Steps, quantile},
    selection::{Member, Selection},
    shape::{Answers, Gauges, Shape},
};
use crate::{
    codec::{gauges, gauges::times, rows::MOST_ROWS, segment::Row},
    history::{Piece, Source},
    model::{MetricKind, frame::SeriesId},
    util::layout,
};
use std::ops::Range;

/// What one gauge did in one point.
#[derive(Clone, Copy, Debug)]
struct Level {
    last: f64,
    min: f64,
    max: f64,
    /// Sum and number of the values at the ends of its ticks.
    sum: f64,
    count: u64,
}

impl Level {
    /// A gauge that kept its value for so many ticks; NaN: it had none.
    fn held(value: f64, ticks: u32) -> Self {
        let count = if value.is_nan() { 0 } else { u64::from(ticks) };
        Self {
            last: value,
            min: value,
            max: value,
            sum: times(value, count),
            count,
        }
    }
}

/// What gauges did over some points.
#[derive(Default)]
pub(super) struct Levels {
    count: u64,
    sum: f64,
    /// Sum of the means of the points, each times the share of its time in [`Levels::whole`], and of these shares.
    weighted: f64,
    time: f64,
    /// At least the nanoseconds of all points of all gauges, and a power of two, so that shares are exact.
    whole: f64,
    /// Extremes of the values at the ends of ticks, and of all.
    ends: Option<(f64, f64)>,
    extremes: Option<(f64, f64)>,
    /// Means of the points with their ticks, as many as there was made room for: none, unless a quantile is asked for.
    samples: Vec<(f64, u32)>,
}

impl Levels {
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    fn new(whole_ns: u128, samples: usize) -> Self {
        Self {
            whole: whole_ns.max(1).next_power_of_two() as f64,
            samples: Vec::with_capacity(samples),
            ..Self::default()
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a point is shorter than 2^53 ns, and has fewer ticks"
    )]
    fn add(&mut self, level: Level, ns: u64) {
        if level.count > 0 {
            let share = ns as f64 / self.whole;
            let (mean, ends) = match level.count {
                1 => (level.sum, (level.sum, level.sum)),
                n => (level.sum / n as f64, (level.min, level.max)),
            };
            self.count += level.count;
            self.sum += level.sum;
            self.weighted += mean * share;
            self.time += share;
            self.ends = Some(stretch(self.ends, ends.0, ends.1));
            if self.samples.len() < self.samples.capacity() {
                let ticks = u32::try_from(level.count).unwrap_or(u32::MAX);
                self.samples.push((mean, ticks));
            }
        }
        if level.min <= level.max {
            self.extremes = Some(stretch(self.extremes, level.min, level.max));
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

    fn is_nothing(&self) -> bool {
        self.count == 0 && self.extremes.is_none()
    }
}

/// Extremes that take in another pair.
fn stretch(extremes: Option<(f64, f64)>, min: f64, max: f64) -> (f64, f64) {
    extremes.map_or((min, max), |(low, high)| (low.min(min), high.max(max)))
}

/// One gauge over the points of a segment, unpacked; in front of them, what it was before.
struct Unpacked {
    columns: [[f64; MOST_ROWS]; 4],
    count: [u64; MOST_ROWS],
}

impl Unpacked {
    fn new() -> Self {
        Self {
            columns: [[0.0; MOST_ROWS]; 4],
            count: [0; MOST_ROWS],
        }
    }

    fn read(&mut self, chunk: &[u8], n: usize, is_coarse: bool) {
        let [last, min, max, sum] = &mut self.columns;
        let columns = [last, min, max, sum].map(|column| column.get_mut(..=n));
        let [Some(last), Some(min), Some(max), Some(sum)] = columns else {
            return;
        };
        if is_coarse {
            let count = self.count.get_mut(..=n).unwrap_or_default();
            gauges::read_coarse(chunk, [last, min, max, sum], count);
        } else {
            gauges::read(chunk, last, min, max);
            for ((sum, count), last) in sum.iter_mut().zip(&mut self.count).zip(last) {
                *count = u64::from(!last.is_nan());
                *sum = times(*last, *count);
            }
        }
    }

    /// The value before row `row`.
    fn before(&self, row: usize) -> Option<f64> {
        let [last, ..] = &self.columns;
        last.get(row).copied()
    }

    fn level(&self, row: usize) -> Option<Level> {
        let [last, min, max, sum] = &self.columns;
        Some(Level {
            last: *last.get(row + 1)?,
            min: *min.get(row + 1)?,
            max: *max.get(row + 1)?,
            sum: *sum.get(row + 1)?,
            count: *self.count.get(row + 1)?,
        })
    }
}

/// The value of a gauge before a point: what it was before its next change, or what it is, if there is none. Where ticks
/// are missing, nothing is known of changes: then it is what the last change made it, if that one is known.
fn value_before(cut: &Cut<'_>, point: usize, member: &Member, unpacked: &mut Unpacked) -> f64 {
    let rest = point..cut.reach.len();
    let mut hint = 0;
    let mut end = None;
    for piece in cut.reach.over(&rest) {
        let rows = piece.rows_of(&rest);
        if is_behind_gap(piece, &rows, end) {
            return value_after(cut, point, member, unpacked);
        }
        end = last_end(piece, &rows);
        match piece.source {
            Source::Frame(kept) => {
                if let Some((point, _)) = kept.frame.gauge(member.id, &mut hint) {
                    return point.prev;
                }
            }
            Source::Segment(segment) => {
                if let Some(chunk) = segment.chunk(MetricKind::Gauge, member.id) {
                    unpacked.read(chunk, segment.axis.rows.len(), piece.is_coarse);
                    return unpacked.before(rows.start).unwrap_or(f64::NAN);
                }
            }
        }
    }
    member.values.held
}

/// What the last change before a point made of a gauge, if no tick is missing since; NaN: that is not known.
fn value_after(cut: &Cut<'_>, point: usize, member: &Member, unpacked: &mut Unpacked) -> f64 {
    let mut start = cut.reach.row(point).map(|row| row.start_ns);
    let before = 0..point;
    for piece in cut.reach.over(&before).iter().rev() {
        let rows = piece.rows_of(&before);
        if last_end(piece, &rows) != start {
            break;
        }
        start = piece.row(rows.start).map(|row| row.start_ns);
        match piece.source {
            Source::Frame(kept) => {
                if let Some((point, _)) = kept.frame.gauge(member.id, &mut 0) {
                    return point.last;
                }
            }
            Source::Segment(segment) => {
                if let Some(chunk) = segment.chunk(MetricKind::Gauge, member.id) {
                    unpacked.read(chunk, segment.axis.rows.len(), piece.is_coarse);
                    return unpacked.before(rows.end).unwrap_or(f64::NAN);
                }
            }
        }
    }
    f64::NAN
}

/// Whether these rows start later than what is before them ends.
fn is_behind_gap(piece: &Piece<'_>, rows: &Range<usize>, end: Option<u64>) -> bool {
    end.is_some() && end != piece.row(rows.start).map(|row| row.start_ns)
}

fn last_end(piece: &Piece<'_>, rows: &Range<usize>) -> Option<u64> {
    piece.row(rows.end.checked_sub(1)?).map(|row| row.end_ns)
}

/// Calls `f` with what one gauge did in each point of one piece; `value` is what it was before, and is afterwards.
fn each_level(
    piece: &Piece<'_>,
    id: SeriesId,
    value: &mut f64,
    hint: &mut usize,
    unpacked: &mut Unpacked,
    mut f: impl FnMut(Level, Row),
) {
    let chunk = match piece.source {
        Source::Frame(_) => None,
        Source::Segment(segment) => segment.chunk(MetricKind::Gauge, id),
    };
    if let (Source::Segment(segment), Some(chunk)) = (piece.source, chunk) {
        unpacked.read(chunk, segment.axis.rows.len(), piece.is_coarse);
    }
    for at in piece.rows.clone() {
        let Some(row) = piece.row(at) else {
            continue;
        };
        let change = match piece.source {
            Source::Frame(kept) => kept.frame.gauge(id, hint).map(|(point, total)| {
                let held = Level::held(point.last, row.ticks);
                let (sum, count) = total.map_or((held.sum, held.count), |t| (t.sum, t.count));
                Level {
                    min: point.min,
                    max: point.max,
                    sum,
                    count,
                    ..held
                }
            }),
            Source::Segment(_) => chunk.and_then(|_| unpacked.level(at)),
        };
        let level = change.unwrap_or_else(|| Level::held(*value, row.ticks));
        *value = level.last;
        f(level, row);
    }
}

impl<S: Shape> Selection<Gauges, S> {
    pub(super) fn live_values(&self) -> Answers<f64> {
        self.live_rows(|sum| sum.now)
    }

    pub(super) fn levels<T>(&self, ask: impl Fn(&Levels) -> Option<T>) -> Answers<T> {
        self.leveled(false, |levels| ask(levels))
    }

    pub(super) fn level_quantiles(&self, q: f64) -> Answers<f64> {
        self.leveled(true, |levels| levels.quantile(q))
    }

    /// `all`: whether the question needs all values at once.
    fn leveled<T>(&self, all: bool, ask: impl Fn(&mut Levels) -> Option<T>) -> Answers<T> {
        self.rows(|members, cut| {
            let mut answers = Vec::with_capacity(cut.len());
            for steps in cut.batches() {
                let n = steps.points().len();
                let samples = if all {
                    steps.whole().len() * members.len()
                } else {
                    0
                };
                let bytes = layout::vec::<Levels>(n)
                    + layout::vec::<(f64, u32)>(samples)
                    + size_of::<Unpacked>();
                let _room = cut.scratch.beside(bytes)?;
                let mut levels = Vec::with_capacity(n);
                levels.extend(steps.points().map(|points| {
                    let ns = u128::from(cut.reach.covered_ns(&points)) * members.len() as u128;
                    Levels::new(ns, if all { points.len() * members.len() } else { 0 })
                }));
                let mut unpacked = Box::new(Unpacked::new());
                for member in members {
                    add_member(cut, steps, member, &mut levels, &mut unpacked);
                }
                let some = levels.iter_mut();
                answers.extend(some.map(|l| if l.is_nothing() { None } else { ask(l) }));
            }
            Ok(answers)
        })
    }
}

/// Adds what one gauge did to each step.
fn add_member(
    cut: &Cut<'_>,
    steps: Steps<'_>,
    member: &Member,
    levels: &mut [Levels],
    unpacked: &mut Unpacked,
) {
    let whole = steps.whole();
    let mut value = value_before(cut, whole.start, member, unpacked);
    let mut hint = 0;
    let mut steps = steps.points().zip(levels).peekable();
    let mut point = whole.start;
    let mut end = None;
    for piece in cut.reach.over(&whole) {
        let piece = Piece {
            rows: piece.rows_of(&whole),
            ..piece.clone()
        };
        if is_behind_gap(&piece, &piece.rows, end) {
            value = value_before(cut, point, member, unpacked);
        }
        end = last_end(&piece, &piece.rows);
        let add = |level: Level, row: Row| {
            while steps.next_if(|(step, _)| step.end <= point).is_some() {}
            if let Some((step, levels)) = steps.peek_mut()
                && step.contains(&point)
            {
                levels.add(level, row.duration_ns());
            }
            point += 1;
        };
        each_level(&piece, member.id, &mut value, &mut hint, unpacked, add);
    }
}
