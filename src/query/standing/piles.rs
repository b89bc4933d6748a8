//! What histograms received over a window that moves: counts by bucket, of which what leaves is taken away.

use super::{
    super::pile::Pile,
    extremes::Extremes,
    group::{READ_AHEAD, Sums},
    view::{Place, View, place_of},
};
use crate::{
    codec::{buckets, distribution, histograms::Chunk},
    history::{Charge, Source},
    ledger::Full,
    model::{
        MetricKind,
        frame::SeriesId,
        schema::{Code, fold_code},
    },
    util::layout,
};
use std::ops::Range;

/// What all histograms of a group received.
#[derive(Debug)]
pub(super) struct Piled {
    pub(super) pile: Pile,
    sum: Sums,
    extremes: Extremes,
    /// Points that will leave next, their sums, and their ends in `cells`.
    ahead: Vec<(Place, f64, usize)>,
    /// Of these points: their place, code and count; by place.
    cells: Vec<(u16, Code, u64)>,
    left: usize,
}

/// Buckets that are read ahead at most, if one point does not have more.
const MOST_CELLS: usize = 1024;

impl Piled {
    pub(super) fn new(pile: Pile) -> Self {
        Self {
            pile,
            sum: Sums::default(),
            extremes: Extremes::default(),
            ahead: Vec::new(),
            cells: Vec::new(),
            left: 0,
        }
    }

    pub(super) fn clear(&mut self, view: &View<'_>) {
        self.pile.clear(view.scale);
        self.sum = Sums::default();
        self.extremes.clear();
        self.ahead.clear();
        self.cells.clear();
        self.left = 0;
    }

    /// False: some counts have no bucket of their own, or a wider one than others, and so cannot be taken away again.
    pub(super) fn enter(
        &mut self,
        ids: &[SeriesId],
        view: &View<'_>,
        points: &Range<usize>,
        heads: &mut Heads,
        charge: &mut Charge,
    ) -> Result<bool, Full> {
        heads.start(view, points)?;
        let mut is_sharp = true;
        for id in ids {
            let mut hint = 0;
            for piece in view.reach.over(points) {
                match piece.source {
                    Source::Frame(kept) => {
                        if let Some((point, packed)) = kept.frame.histogram(*id, &mut hint) {
                            is_sharp &= packed.first() == Some(&0);
                            self.pile.add(point, packed, piece.scale)?;
                            let at = piece.points().start - points.start;
                            heads.add(at, point.sum, point.min, point.max);
                        }
                    }
                    Source::Segment(segment) => {
                        let chunk = segment.chunk(MetricKind::Histogram, *id);
                        let n = segment.axis.len();
                        if let Some(chunk) = chunk.and_then(|chunk| Chunk::open(chunk, n)) {
                            let rows = piece.rows_of(points);
                            let first = piece.points().start.max(points.start) - points.start;
                            chunk.spans(rows.clone(), |_, _, _, _| is_sharp = false);
                            // Without room when it was sealed: wider buckets, which would stay.
                            is_sharp &= chunk.scale() >= view.scale;
                            chunk.heads(rows.clone(), |row, head| {
                                let at = first + row.saturating_sub(rows.start);
                                heads.add(at, head.sum, head.min, head.max);
                            });
                            self.pile.add_chunk(&chunk, rows)?;
                        }
                    }
                }
            }
        }
        for (start_ns, sum, min, max) in &heads.list {
            self.sum.add(*sum);
            self.extremes.enter(*start_ns, *min, *max, charge)?;
        }
        Ok(is_sharp)
    }

    pub(super) fn leave(
        &mut self,
        ids: &[SeriesId],
        view: &View<'_>,
        points: &Range<usize>,
        charge: &mut Charge,
    ) -> Result<bool, Full> {
        for point in points.clone() {
            let Some(row) = view.row(point) else {
                return Ok(false);
            };
            let is_next = self.ahead.get(self.left).map(|next| next.0) == Some(place_of(row));
            if !is_next && !self.look_ahead(ids, view, point, charge)? {
                return Ok(false);
            }
            let from = match self.left.checked_sub(1) {
                Some(before) => self.ahead.get(before).map_or(0, |next| next.2),
                None => 0,
            };
            let (sum, to) = self.ahead.get(self.left).map_or((0.0, 0), |n| (n.1, n.2));
            let cells = self.cells.get(from..to).unwrap_or_default();
            for (_, code, count) in cells {
                self.pile.take(*code, *count)?;
            }
            self.sum.add(-sum);
            self.left += 1;
        }
        self.extremes.leave(view.begin_ns);
        if self.pile.count == 0 {
            self.sum = Sums::default();
        }
        Ok(self.sum.is_good())
    }

    /// Reads some points from `from` on. False: some of their counts have no bucket, or a wider one.
    fn look_ahead(
        &mut self,
        ids: &[SeriesId],
        view: &View<'_>,
        from: usize,
        charge: &mut Charge,
    ) -> Result<bool, Full> {
        // As many as there were last time, or one to begin with.
        let each = self.cells.len() / self.ahead.len().max(1);
        let most = MOST_CELLS.checked_div(each).unwrap_or(READ_AHEAD);
        let points = view.ahead(from, most.clamp(1, READ_AHEAD));
        self.ahead.clear();
        self.cells.clear();
        self.left = 0;
        self.pile.prune();
        if self.ahead.capacity() < points.len() {
            let before = layout::vec::<(Place, f64, usize)>(self.ahead.capacity());
            charge.add(layout::vec::<(Place, f64, usize)>(READ_AHEAD))?;
            self.ahead = Vec::with_capacity(READ_AHEAD);
            charge.give_back(before);
        }
        let rows = view.reach.rows(&points);
        self.ahead.extend(rows.map(|row| (place_of(row), 0.0, 0)));
        let mut is_sharp = true;
        for id in ids {
            is_sharp &= self.read(*id, view, &points, charge)?;
        }
        self.cells.sort_unstable_by_key(|cell| cell.0);
        let mut end = 0;
        for (place, next) in self.ahead.iter_mut().enumerate() {
            let rest = self.cells.get(end..).unwrap_or_default();
            end += rest
                .iter()
                .take_while(|cell| usize::from(cell.0) == place)
                .count();
            next.2 = end;
        }
        Ok(is_sharp)
    }

    /// Reads what one histogram received in these points.
    fn read(
        &mut self,
        id: SeriesId,
        view: &View<'_>,
        points: &Range<usize>,
        charge: &mut Charge,
    ) -> Result<bool, Full> {
        let Self {
            pile, ahead, cells, ..
        } = self;
        let to = pile.scale();
        let (mut is_sharp, mut full) = (true, Ok(()));
        let mut cell = |place: usize, scale: u8, code: Code, count: u64| {
            let place = u16::try_from(place).unwrap_or(u16::MAX);
            if full.is_ok() {
                full = charge.room(cells);
            }
            if full.is_ok() {
                cells.push((place, fold_code(code, scale, to), count));
            }
        };
        let mut hint = 0;
        for piece in view.reach.over(points) {
            let first = piece.points().start.max(points.start) - points.start;
            match piece.source {
                Source::Frame(kept) => {
                    let Some((point, packed)) = kept.frame.histogram(id, &mut hint) else {
                        continue;
                    };
                    if let Some(next) = ahead.get_mut(first) {
                        next.1 += point.sum;
                    }
                    let (mut spans, fine) = distribution::split(packed);
                    is_sharp &= spans.next().is_none() && piece.scale >= to;
                    if is_sharp {
                        buckets::for_each(fine, |code, count| {
                            cell(first, piece.scale, code, count);
                        });
                    }
                }
                Source::Segment(segment) => {
                    let chunk = segment.chunk(MetricKind::Histogram, id);
                    let n = segment.axis.len();
                    let Some(chunk) = chunk.and_then(|chunk| Chunk::open(chunk, n)) else {
                        continue;
                    };
                    let rows = piece.rows_of(points);
                    let place = |row: usize| first + row.saturating_sub(rows.start);
                    chunk.heads(rows.clone(), |row, head| {
                        if let Some(next) = ahead.get_mut(place(row)) {
                            next.1 += head.sum;
                        }
                    });
                    chunk.spans(rows.clone(), |_, _, _, _| is_sharp = false);
                    let scale = chunk.scale();
                    // It was sealed since it came in, without room for buckets as fine as they were.
                    is_sharp &= scale >= to;
                    if !is_sharp {
                        continue;
                    }
                    chunk.cells(rows.clone(), |row, code, count| {
                        cell(place(row), scale, code, count);
                    });
                }
            }
        }
        full.map(|()| is_sharp)
    }

    /// Tells the pile what it is over all, before it is asked.
    pub(super) fn settle(&mut self, covered_ns: u64) {
        self.pile.covered_ns = covered_ns;
        self.pile.replace(self.sum.exact(), self.extremes.get());
    }
}

/// Sums and extremes of points that come in, used again and again.
#[derive(Debug)]
pub(super) struct Heads {
    list: Vec<(u64, f64, f64, f64)>,
    charge: Charge,
}

impl Heads {
    pub(super) fn new(charge: Charge) -> Self {
        Self {
            list: Vec::new(),
            charge,
        }
    }

    fn start(&mut self, view: &View<'_>, points: &Range<usize>) -> Result<(), Full> {
        type Head = (u64, f64, f64, f64);
        self.list.clear();
        let capacity = self.list.capacity();
        if capacity < points.len() {
            self.charge.add(layout::vec::<Head>(points.len()))?;
            self.list = Vec::with_capacity(points.len());
            self.charge.give_back(layout::vec::<Head>(capacity));
        }
        let head =
            |row: crate::codec::segment::Row| (row.start_ns, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        self.list.extend(view.reach.rows(points).map(head));
        Ok(())
    }

    fn add(&mut self, at: usize, sum: f64, min: f64, max: f64) {
        if let Some(head) = self.list.get_mut(at) {
            head.1 += sum;
            if min <= max {
                head.2 = head.2.min(min);
                head.3 = head.3.max(max);
            }
        }
    }
}
