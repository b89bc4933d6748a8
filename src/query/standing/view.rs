//! A window on history, as all standing questions of one length see it in one tick.

use super::super::{ask::Range as Window, question};
use crate::{
    codec::segment::Row,
    history::{Charge, Reach, Timeline},
    ledger::Full,
};
use std::ops::Range;

/// Start and end of a point: a coarse one may begin where one of its ticks does.
pub(super) type Place = (u64, u64);

pub(super) fn place_of(row: Row) -> Place {
    (row.start_ns, row.end_ns)
}

/// The points of a window, with those before it that history still has in the same tiers.
pub(super) struct View<'a> {
    pub(super) reach: Reach<'a>,
    pub(super) points: Range<usize>,
    /// Nanoseconds that the points cover.
    pub(super) covered_ns: u64,
    /// Start of the first point and end of the last; equal for no points.
    pub(super) begin_ns: u64,
    /// End of the first point: one without length may stand before one that begins where it does.
    pub(super) first_end_ns: u64,
    pub(super) end_ns: u64,
    /// Nanoseconds that are missing in the window, and between it and the newest tick.
    pub(super) missing_ns: u64,
    /// There are points without length: coarse ones have them together with a neighbour, and so a point is not known by
    /// its place.
    pub(super) is_split: bool,
    /// Start of the oldest point that is looked at: a gauge's value behind a gap may be known from there.
    pub(super) oldest_ns: u64,
    /// The widest buckets that histograms have in it.
    pub(super) scale: u8,
}

impl<'a> View<'a> {
    /// `scale`: that of a window without points.
    pub(super) fn new(
        timeline: &'a Timeline,
        classes: u8,
        window: Window,
        scale: u8,
        scratch: &Charge,
    ) -> Result<Self, Full> {
        let bounds = question::bounds(window, timeline);
        let from = bounds.map_or(i128::MIN, |(from, _)| from);
        let reach = Reach::new(timeline, classes, from, scratch)?;
        let points = bounds.map_or(0..0, |(from, to)| reach.window(from, to));
        let first = reach.row(points.start).filter(|_| !points.is_empty());
        let last = points.end.checked_sub(1).and_then(|last| reach.row(last));
        let pieces = reach.over(&points);
        let begin_ns = first.map_or(0, |row| row.start_ns);
        let is_split = reach
            .rows(&(0..reach.len()))
            .any(|row| row.start_ns == row.end_ns);
        let rest = points.start..reach.len();
        let newest = rest.end.checked_sub(1).and_then(|last| reach.row(last));
        let rest_ns = newest.map_or(0, |row| row.end_ns.saturating_sub(begin_ns));
        Ok(Self {
            missing_ns: rest_ns.saturating_sub(reach.covered_ns(&rest)),
            covered_ns: reach.covered_ns(&points),
            begin_ns,
            first_end_ns: first.map_or(begin_ns, |row| row.end_ns),
            end_ns: first.and(last).map_or(begin_ns, |row| row.end_ns),
            is_split,
            oldest_ns: reach.row(0).map_or(begin_ns, |row| row.start_ns),
            scale: pieces
                .iter()
                .map(|piece| piece.scale)
                .min()
                .unwrap_or(scale),
            reach,
            points,
        })
    }

    pub(super) fn row(&self, point: usize) -> Option<Row> {
        self.reach.row(point)
    }

    /// The points of the window that begin at `ns` or later; `None`: none ends just there, or there are many.
    pub(super) fn since(&self, ns: u64) -> Option<Range<usize>> {
        let mut from = self.points.end;
        while from > self.points.start && self.row(from - 1)?.start_ns >= ns {
            from -= 1;
            if self.points.end - from > MOST {
                return None;
            }
        }
        let before = from.checked_sub(1).filter(|at| *at >= self.points.start)?;
        (self.row(before)?.end_ns == ns).then_some(from..self.points.end)
    }

    /// The points before the window, from the one that begins and ends so on; `None`: it is not there, or there are many.
    pub(super) fn until(&self, begin_ns: u64, end_ns: u64) -> Option<Range<usize>> {
        let place = |point: usize| self.row(point).map(|row| (row.start_ns, row.end_ns));
        let mut from = self.points.start;
        while from > 0 && place(from - 1)? >= (begin_ns, end_ns) {
            from -= 1;
            if self.points.start - from > MOST {
                return None;
            }
        }
        (place(from)? == (begin_ns, end_ns)).then_some(from..self.points.start)
    }

    /// Whether no time is missing between these points, and before and behind them if they have neighbours.
    pub(super) fn is_whole(&self, points: &Range<usize>) -> bool {
        let from = points.start.saturating_sub(1);
        let to = (points.end + 1).min(self.reach.len());
        let ends = (from..to).map_while(|point| self.row(point));
        let mut before = None;
        for row in ends {
            if before.is_some_and(|end| end != row.start_ns) {
                return false;
            }
            before = Some(row.end_ns);
        }
        true
    }

    /// As many points from `from` on as are worth to be read at once, as they come from one piece.
    pub(super) fn ahead(&self, from: usize, most: usize) -> Range<usize> {
        let to = self.points.end.min(from + most.max(1));
        let pieces = self.reach.over(&(from..from + 1));
        let end = pieces.first().map_or(to, |piece| piece.points().end);
        // Frames are a point each: then it does not matter.
        let is_single = pieces.first().is_some_and(|piece| piece.rows.len() == 1);
        from..if is_single { to } else { to.min(end) }.max(from + 1)
    }
}

/// Points that come or go at once; with more, everything is read anew.
const MOST: usize = 64;
