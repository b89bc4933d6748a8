//! Frozen frames side by side, as one kind's series are read of them.

use crate::{
    codec::rows::MOST_ROWS,
    history::timeline::Kept,
    model::frame::{Frame, GaugePoint, HistogramPoint, SeriesId, Total},
    util::sync::Arc,
};

/// Series behind which memory is asked for the next ones.
pub(super) const WARM: usize = 8;

/// What is read of one frame, of the kind in work.
#[derive(Clone, Copy)]
pub(super) struct Column<'a> {
    frame: Option<&'a Frame>,
    pub(super) ids: &'a [SeriesId],
    pub(super) increments: &'a [u64],
    pub(super) peaks: &'a [u64],
    /// How long the tick was, if it was no usual one and is not coarse.
    pub(super) pace_ns: Option<u64>,
    pub(super) gauges: &'a [GaugePoint],
    pub(super) totals: &'a [Total],
    pub(super) histograms: &'a [HistogramPoint],
    pub(super) ticks: u64,
}

/// All frames.
pub(super) struct Columns<'a>(pub(super) [Column<'a>; MOST_ROWS]);

/// Ids of one kind.
pub(super) fn ids(kept: &Kept, kind: usize) -> &[SeriesId] {
    match kind {
        0 => &kept.frame.counters.0,
        1 => &kept.frame.gauges.0,
        2 => &kept.frame.histograms.0,
        _ => &[],
    }
}

impl<'a> Column<'a> {
    const NONE: Self = Self {
        frame: None,
        ids: &[],
        increments: &[],
        peaks: &[],
        pace_ns: None,
        gauges: &[],
        totals: &[],
        histograms: &[],
        ticks: 0,
    };

    fn new(kept: &'a Kept, kind: usize, resolution_ns: u64) -> Self {
        let frame = &kept.frame;
        let ns = frame.span.duration_ns();
        let is_usual = ns == resolution_ns || ns == 0 || !frame.peaks.is_empty();
        Self {
            frame: Some(frame),
            ids: ids(kept, kind),
            increments: &frame.counters.1,
            peaks: &frame.peaks,
            pace_ns: (!is_usual).then_some(ns),
            gauges: &frame.gauges.1,
            totals: &frame.totals,
            histograms: &frame.histograms.1,
            ticks: u64::from(kept.ticks),
        }
    }

    pub(super) fn packed(&self, at: usize) -> Option<(HistogramPoint, &'a [u8])> {
        self.frame?.histogram_at(at)
    }
}

impl<'a> Columns<'a> {
    pub(super) fn new(frames: &'a [Arc<Kept>], kind: usize, resolution_ns: u64) -> Self {
        let mut columns = [Column::NONE; MOST_ROWS];
        for (column, kept) in columns.iter_mut().zip(frames) {
            *column = Column::new(kept, kind, resolution_ns);
        }
        Self(columns)
    }

    /// Reads what will be read next. The frames are all over the heap: asked for at once, in a loop that does nothing
    /// else, their cache lines come together instead of one after the other.
    pub(super) fn warm(&self, cursors: &[usize]) -> u64 {
        let each = self.0.iter().zip(cursors).map(|(column, at)| {
            let next = at + WARM;
            let id = column.ids.get(next).copied().unwrap_or(0);
            let increment = column.increments.get(next).copied().unwrap_or(0);
            u64::from(id) ^ increment
        });
        each.fold(0, |all, one| all ^ one)
    }
}
