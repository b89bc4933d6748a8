//! What gauges did over a window that moves: sums of their values, and the extremes.

use super::{
    super::gauge_walk::{Level, Unpacked, each_level, value_before},
    extremes::Extremes,
    group::{READ_AHEAD, Sums},
    view::{Place, View, place_of},
};
use crate::{
    codec::segment::Row,
    history::{Charge, Piece},
    ledger::Full,
    model::frame::SeriesId,
    query::Member,
    util::layout,
};
use std::ops::Range;

/// Values of all series of a group.
#[derive(Debug, Default)]
pub(super) struct Levels {
    /// Number and sum of the values at the ends of ticks.
    pub(super) count: u64,
    pub(super) sum: Sums,
    /// Sum of the means of the points, each times its nanoseconds, and of these.
    weighted: Sums,
    time_ns: u128,
    pub(super) extremes: Extremes,
    /// Of each series, what it was when the window ended, and before the first point that is not in `ahead`.
    ends: Vec<f64>,
    fronts: Vec<f64>,
    /// What will leave next.
    ahead: Vec<Leveled>,
    left: usize,
    /// A value came that cannot be taken out of a sum again.
    is_endless: bool,
}

/// What all gauges of a group did in one point.
#[derive(Clone, Copy, Debug)]
struct Leveled {
    place: Place,
    count: u64,
    sum: f64,
    weighted: f64,
    time_ns: u128,
    min: f64,
    max: f64,
}

impl Leveled {
    fn of(row: Row) -> Self {
        Self {
            place: place_of(row),
            count: 0,
            sum: 0.0,
            weighted: 0.0,
            time_ns: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a point is shorter than 2^53 ns, and has fewer ticks"
    )]
    fn add(&mut self, level: Level, ns: u64) {
        if level.count > 0 {
            let mean = match level.count {
                1 => level.sum,
                n => level.sum / n as f64,
            };
            self.count += level.count;
            self.sum += level.sum;
            self.weighted += mean * ns as f64;
            self.time_ns += u128::from(ns);
        }
        if level.min <= level.max {
            self.min = self.min.min(level.min);
            self.max = self.max.max(level.max);
        }
    }
}

impl Levels {
    /// Room for so many series, of which `known` are what they were.
    pub(super) fn resize(&mut self, len: usize, charge: &mut Charge) -> Result<(), Full> {
        for values in [&mut self.ends, &mut self.fronts] {
            let capacity = values.capacity();
            if capacity < len {
                charge.add(layout::vec::<f64>(len))?;
                layout::regrow(values, len);
                charge.give_back(layout::vec::<f64>(capacity));
            }
        }
        Ok(())
    }

    /// Series are new, or stand elsewhere: of each its place before, if it had one. New ones have no value yet.
    pub(super) fn rearrange(
        &mut self,
        places: &[Option<usize>],
        charge: &mut Charge,
    ) -> Result<(), Full> {
        self.resize(places.len(), charge)?;
        for values in [&mut self.ends, &mut self.fronts] {
            let before = std::mem::take(values);
            let capacity = before.capacity();
            charge.add(layout::vec::<f64>(capacity))?;
            *values = Vec::with_capacity(capacity);
            let value = |place: &Option<usize>| {
                place
                    .and_then(|at| before.get(at).copied())
                    .unwrap_or(f64::NAN)
            };
            values.extend(places.iter().map(value));
            drop(before);
            charge.give_back(layout::vec::<f64>(capacity));
        }
        Ok(())
    }

    /// Reads the whole window.
    pub(super) fn build(
        &mut self,
        members: &[Member],
        view: &View<'_>,
        unpacked: &mut Unpacked,
        rows: &mut Rows,
        charge: &mut Charge,
    ) -> Result<bool, Full> {
        self.resize(members.len(), charge)?;
        self.count = 0;
        self.sum = Sums::default();
        self.weighted = Sums::default();
        self.time_ns = 0;
        self.extremes.clear();
        self.ends.clear();
        self.fronts.clear();
        self.ahead.clear();
        self.left = 0;
        self.is_endless = false;
        let points = &view.points;
        rows.start(view, points)?;
        for member in members {
            let front = value_before(&view.reach, points.start, member, unpacked);
            let mut value = front;
            let mut end = None;
            let mut at = points.start;
            for piece in view.reach.over(points) {
                let piece = piece.part(points);
                let first = piece.row(piece.rows.start).map(|row| row.start_ns);
                if end.is_some() && end != first {
                    value = value_before(&view.reach, at, member, unpacked);
                }
                at += piece.rows.len();
                let last = piece.rows.end.checked_sub(1);
                end = last.and_then(|last| piece.row(last)).map(|row| row.end_ns);
                rows.add(&piece, points, member.id, &mut value, unpacked);
            }
            self.ends.push(value);
            self.fronts.push(front);
        }
        self.take_in(&rows.list, charge)
    }

    /// Reads points that follow without a gap.
    pub(super) fn enter(
        &mut self,
        ids: &[SeriesId],
        view: &View<'_>,
        points: &Range<usize>,
        unpacked: &mut Unpacked,
        rows: &mut Rows,
        charge: &mut Charge,
    ) -> Result<bool, Full> {
        rows.start(view, points)?;
        for (id, value) in ids.iter().zip(&mut self.ends) {
            for piece in view.reach.over(points) {
                rows.add(&piece.part(points), points, *id, value, unpacked);
            }
        }
        self.take_in(&rows.list, charge)
    }

    fn take_in(&mut self, rows: &[Leveled], charge: &mut Charge) -> Result<bool, Full> {
        for row in rows {
            self.count += row.count;
            self.sum.add(row.sum);
            self.weighted.add(row.weighted);
            self.time_ns += row.time_ns;
            self.extremes.enter(row.place.0, row.min, row.max, charge)?;
            self.is_endless |= !row.sum.is_finite() || !row.weighted.is_finite();
        }
        Ok(!self.is_endless)
    }

    pub(super) fn leave(
        &mut self,
        ids: &[SeriesId],
        view: &View<'_>,
        points: &Range<usize>,
        unpacked: &mut Unpacked,
        rows: &mut Rows,
        charge: &mut Charge,
    ) -> Result<bool, Full> {
        for point in points.clone() {
            let Some(row) = view.row(point) else {
                return Ok(false);
            };
            let is_next = self.ahead.get(self.left).map(|next| next.place) == Some(place_of(row));
            if !is_next {
                // What was read ahead is not what leaves: the values before it are not known any more.
                if self.left < self.ahead.len() {
                    return Ok(false);
                }
                let ahead = view.ahead(point, READ_AHEAD);
                if !view.is_whole(&(ahead.start + 1..ahead.end)) {
                    return Ok(false);
                }
                self.look_ahead(ids, view, &ahead, unpacked, rows, charge)?;
            }
            let Some(next) = self.ahead.get(self.left) else {
                return Ok(false);
            };
            self.count = self.count.wrapping_sub(next.count);
            self.time_ns = self.time_ns.wrapping_sub(next.time_ns);
            self.sum.add(-next.sum);
            self.weighted.add(-next.weighted);
            self.left += 1;
        }
        self.extremes.leave(view.begin_ns);
        if self.count == 0 {
            self.sum = Sums::default();
            self.weighted = Sums::default();
        }
        Ok(self.sum.is_good() && self.weighted.is_good())
    }

    fn look_ahead(
        &mut self,
        ids: &[SeriesId],
        view: &View<'_>,
        points: &Range<usize>,
        unpacked: &mut Unpacked,
        rows: &mut Rows,
        charge: &mut Charge,
    ) -> Result<(), Full> {
        rows.start(view, points)?;
        for (id, value) in ids.iter().zip(&mut self.fronts) {
            for piece in view.reach.over(points) {
                rows.add(&piece.part(points), points, *id, value, unpacked);
            }
        }
        self.ahead.clear();
        self.left = 0;
        let capacity = self.ahead.capacity();
        if capacity < rows.list.len() {
            charge.add(layout::vec::<Leveled>(READ_AHEAD))?;
            self.ahead = Vec::with_capacity(READ_AHEAD);
            charge.give_back(layout::vec::<Leveled>(capacity));
        }
        self.ahead.extend_from_slice(&rows.list);
        Ok(())
    }

    /// The mean over time.
    #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
    pub(super) fn avg(&self) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let mean = if self.time_ns > 0 {
            self.weighted.value() / self.time_ns as f64
        } else {
            self.sum.value() / self.count as f64
        };
        // Sums round: the mean of a constant would come back as its neighbour.
        let (low, high) = self.extremes.get()?;
        Some(mean.clamp(low, high))
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.count == 0 && self.extremes.get().is_none()
    }
}

/// Rows of points that are being added up, used again and again.
#[derive(Debug)]
pub(super) struct Rows {
    list: Vec<Leveled>,
    charge: Charge,
}

impl Rows {
    pub(super) fn new(charge: Charge) -> Self {
        Self {
            list: Vec::new(),
            charge,
        }
    }

    fn start(&mut self, view: &View<'_>, points: &Range<usize>) -> Result<(), Full> {
        self.list.clear();
        let capacity = self.list.capacity();
        if capacity < points.len() {
            self.charge.add(layout::vec::<Leveled>(points.len()))?;
            self.list = Vec::with_capacity(points.len());
            self.charge.give_back(layout::vec::<Leveled>(capacity));
        }
        self.list.extend(view.reach.rows(points).map(Leveled::of));
        Ok(())
    }

    /// Adds what one gauge did in the points of a piece; `value` is what it was before, and is afterwards.
    fn add(
        &mut self,
        piece: &Piece<'_>,
        points: &Range<usize>,
        id: SeriesId,
        value: &mut f64,
        unpacked: &mut Unpacked,
    ) {
        let mut at = piece.points().start - points.start;
        each_level(piece, id, value, &mut 0, unpacked, |level, row| {
            if let Some(sums) = self.list.get_mut(at) {
                sums.add(level, row.duration_ns());
            }
            at += 1;
        });
    }
}
