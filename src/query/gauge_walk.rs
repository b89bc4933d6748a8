//! What a gauge did, point by point: it is read from frames and segments, and where nothing changed it kept its value.

use super::{ask::Member, question::Cut, sample::GaugeSample};
use crate::{
    codec::{gauges, gauges::times, rows::MOST_ROWS, segment::Row},
    history::{Piece, Reach, Source},
    ledger::Full,
    model::{MetricKind, frame::SeriesId},
};
use std::ops::Range;

/// What one gauge did in one point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) last: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// Sum and number of the values at the ends of its ticks.
    pub(super) sum: f64,
    pub(super) count: u64,
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

/// One gauge over the points of a segment, unpacked; in front of them, what it was before.
#[derive(Debug)]
pub(super) struct Unpacked {
    columns: [[f64; MOST_ROWS]; 4],
    count: [u64; MOST_ROWS],
}

impl Unpacked {
    pub(super) fn new() -> Self {
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
pub(super) fn value_before(
    reach: &Reach<'_>,
    point: usize,
    member: &Member,
    unpacked: &mut Unpacked,
) -> f64 {
    let rest = point..reach.len();
    let mut hint = 0;
    let mut end = None;
    for piece in reach.over(&rest) {
        let rows = piece.rows_of(&rest);
        if is_behind_gap(piece, &rows, end) {
            return value_after(reach, point, member, unpacked);
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
                    unpacked.read(chunk, segment.axis.len(), piece.is_coarse);
                    return unpacked.before(rows.start).unwrap_or(f64::NAN);
                }
            }
        }
    }
    member.values.held
}

/// What the last change before a point made of a gauge, if no tick is missing since; NaN: that is not known.
fn value_after(reach: &Reach<'_>, point: usize, member: &Member, unpacked: &mut Unpacked) -> f64 {
    let mut start = reach.row(point).map(|row| row.start_ns);
    let before = 0..point;
    for piece in reach.over(&before).iter().rev() {
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
                    unpacked.read(chunk, segment.axis.len(), piece.is_coarse);
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
pub(super) fn each_level(
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
        unpacked.read(chunk, segment.axis.len(), piece.is_coarse);
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

/// Calls `f` for each of these points: with what a gauge was before it, what it did in it, when that was, and whether it is
/// one of a coarse tier.
pub(super) fn walk(
    cut: &Cut<'_>,
    points: &Range<usize>,
    member: &Member,
    unpacked: &mut Unpacked,
    mut f: impl FnMut(f64, Level, Row, bool),
) {
    let mut value = value_before(&cut.reach, points.start, member, unpacked);
    let mut before = value;
    let mut hint = 0;
    let mut point = points.start;
    let mut end = None;
    for piece in cut.reach.over(points) {
        let piece = Piece {
            rows: piece.rows_of(points),
            ..piece.clone()
        };
        if is_behind_gap(&piece, &piece.rows, end) {
            value = value_before(&cut.reach, point, member, unpacked);
            before = value;
        }
        end = last_end(&piece, &piece.rows);
        let add = |level: Level, row: Row| {
            f(before, level, row, piece.is_coarse);
            before = level.last;
            point += 1;
        };
        each_level(&piece, member.id, &mut value, &mut hint, unpacked, add);
    }
}

/// Calls `f` with what a gauge did in each of these points.
pub(super) fn each_gauge_sample(
    cut: &Cut<'_>,
    points: &Range<usize>,
    member: &Member,
    mut f: impl FnMut(GaugeSample),
) -> Result<(), Full> {
    let _room = cut.scratch.beside(size_of::<Unpacked>())?;
    let mut unpacked = Box::new(Unpacked::new());
    walk(cut, points, member, &mut unpacked, |_, level, _, _| {
        f(GaugeSample::new(level.last, level.min, level.max));
    });
    Ok(())
}
