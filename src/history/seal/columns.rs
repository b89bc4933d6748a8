//! Frozen frames side by side, as one kind's series are read of them.

use crate::{
    codec::rows::MOST_ROWS,
    history::{
        frame::{Frame, Ids},
        timeline::Kept,
    },
    model::{
        frame::{GaugePoint, HistogramPoint, SeriesId, Total},
        numbers::View,
    },
    util::{prefetch::prefetch, sync::Arc},
};
use std::ops::Range;

/// Memory is asked for so many series ahead. About as many increments are on a line.
pub(super) const AHEAD: usize = 8;

/// What is read of one frame, of the kind in work.
#[derive(Clone, Copy)]
pub(super) struct Column<'a> {
    frame: Option<&'a Frame>,
    pub(super) ids: &'a [SeriesId],
    pub(super) increments: View<'a>,
    pub(super) peaks: View<'a>,
    /// How long the tick was, if it was no usual one and is not coarse.
    pub(super) pace_ns: Option<u64>,
    pub(super) gauges: &'a [GaugePoint],
    pub(super) totals: &'a [Total],
    pub(super) ticks: u64,
}

/// All frames.
pub(super) struct Columns<'a> {
    all: [Column<'a>; MOST_ROWS],
    len: usize,
    /// Whether the most that a counter rose by in a tick is always what it rose by.
    pub(super) are_usual: bool,
}

/// Series of one kind.
pub(super) fn ids(kept: &Kept, kind: usize) -> Option<&Ids> {
    match kind {
        0 => Some(&kept.frame.counters.0),
        1 => Some(&kept.frame.gauges.0),
        2 => Some(&kept.frame.histograms.0),
        _ => None,
    }
}

impl<'a> Column<'a> {
    const NONE: Self = Self {
        frame: None,
        ids: &[],
        increments: View::Wide(&[]),
        peaks: View::Wide(&[]),
        pace_ns: None,
        gauges: &[],
        totals: &[],
        ticks: 0,
    };

    fn new(kept: &'a Kept, kind: usize, resolution_ns: u64) -> Self {
        let frame = &kept.frame;
        let ns = frame.span.duration_ns();
        let is_usual = ns == resolution_ns || ns == 0 || !frame.peaks.is_empty();
        Self {
            frame: Some(frame),
            ids: ids(kept, kind).map_or(&[], |ids| ids),
            increments: frame.counters.1.view(),
            peaks: frame.peaks.view(),
            pace_ns: (!is_usual).then_some(ns),
            gauges: &frame.gauges.1,
            totals: &frame.totals,
            ticks: u64::from(kept.ticks),
        }
    }

    /// Asks for the greater part of what is said of the series in row `at`.
    #[inline]
    pub(super) fn prefetch(&self, kind: usize, at: usize) {
        let Some(frame) = self.frame else {
            return;
        };
        match kind {
            0 => match self.increments {
                View::Narrow(all) => all.get(at).into_iter().for_each(prefetch),
                View::Wide(all) => all.get(at).into_iter().for_each(prefetch),
            },
            1 => frame.gauges.1.get(at).into_iter().for_each(prefetch),
            _ => frame.histograms.1.get(at).into_iter().for_each(prefetch),
        }
    }

    pub(super) fn histogram(&self, at: usize) -> Option<HistogramPoint> {
        self.frame?.histograms.1.get(at).copied()
    }

    pub(super) fn packed(&self, at: usize) -> Option<(HistogramPoint, &'a [u8])> {
        self.frame?.histogram_at(at)
    }
}

impl<'a> Columns<'a> {
    pub(super) fn new(frames: &'a [Arc<Kept>], kind: usize, resolution_ns: u64) -> Self {
        let mut all = [Column::NONE; MOST_ROWS];
        for (column, kept) in all.iter_mut().zip(frames) {
            *column = Column::new(kept, kind, resolution_ns);
        }
        let are_usual = |column: &Column<'_>| column.pace_ns.is_none() && column.peaks.is_empty();
        Self {
            are_usual: all.iter().all(are_usual),
            all,
            len: frames.len(),
        }
    }

    /// All frames that there are.
    pub(super) fn rows(&self) -> &[Column<'a>] {
        self.of(&(0..self.len))
    }

    /// Some neighbours.
    pub(super) fn of(&self, rows: &Range<usize>) -> &[Column<'a>] {
        self.all.get(rows.clone()).unwrap_or_default()
    }
}
