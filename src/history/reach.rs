//! The points that answer a question: of each instant, those of the finest tier that still has it, tiers side by side
//! without a seam.

use super::{
    Charge,
    timeline::{Kept, Segment, Shelved, Timeline},
};
use crate::{
    codec::segment::Row,
    ledger::Full,
    util::{layout, sync::Arc},
};
use std::ops::Range;

/// Where points are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// One point.
    Frame(&'a Kept),
    Segment(&'a Segment),
}

/// Neighbouring points.
#[derive(Clone, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) source: Source<'a>,
    /// Which of the points of a segment.
    pub(crate) rows: Range<usize>,
    /// How many points are in the pieces before.
    pub(crate) first: usize,
    /// Whether these are points of a coarse tier.
    pub(crate) is_coarse: bool,
    /// Scale of the histograms.
    pub(crate) scale: u8,
}

impl Piece<'_> {
    /// Points of all pieces that are of this one.
    pub(crate) fn points(&self) -> Range<usize> {
        self.first..self.first + self.rows.len()
    }

    /// Of this one, those `points` of all pieces.
    pub(crate) fn part(&self, points: &Range<usize>) -> Self {
        Self {
            rows: self.rows_of(points),
            first: self.first.max(points.start),
            ..self.clone()
        }
    }

    /// When the point in row `row` was.
    pub(crate) fn row(&self, row: usize) -> Option<Row> {
        match self.source {
            Source::Frame(kept) => Some(kept.row()),
            Source::Segment(segment) => segment.axis.row(row),
        }
    }

    /// The rows of those `points` of all pieces that are of this one.
    pub(crate) fn rows_of(&self, points: &Range<usize>) -> Range<usize> {
        let own = self.points();
        let from = points.start.clamp(own.start, own.end) - self.first;
        let to = points.end.clamp(own.start, own.end) - self.first;
        self.rows.start + from..self.rows.start + to
    }
}

/// All points that some retention classes have, oldest first.
#[derive(Debug)]
pub(crate) struct Reach<'a> {
    pub(crate) pieces: Vec<Piece<'a>>,
    _charge: Charge,
}

fn signed(ns: u64) -> i128 {
    i128::from(ns)
}

/// Twice the middle of a point, in nanoseconds.
fn middle(row: Row) -> i128 {
    signed(row.start_ns) + signed(row.end_ns)
}

impl<'a> Reach<'a> {
    /// The points that all of `classes`, a bit each, still have, from `from_ns` on; some older ones may be there, too.
    /// `scratch` is what the list is charged beside.
    pub(crate) fn new(
        timeline: &'a Timeline,
        classes: u8,
        from_ns: i128,
        scratch: &Charge,
    ) -> Result<Self, Full> {
        let tiers = &timeline.archive.tiers;
        let lists = tiers
            .iter()
            .map(|tier| tier.segments.len() + tier.open.len());
        let most = timeline.frames.len() + lists.sum::<usize>();
        let charge = scratch.beside(layout::vec::<Piece<'_>>(most))?;
        let mut pieces: Vec<Piece<'a>> = Vec::with_capacity(most);
        let all = Tiers {
            timeline,
            classes,
            from_ns,
        };
        // From the finest tier on, backwards: each gives what is older than what is there already.
        let mut seam = u64::MAX;
        let mut next = all.from(0);
        while let Some((at, list)) = next {
            let (begin, coarser) = all.begin(at, &list);
            // A clock that has come to its end stands at the first seam.
            if begin.ns < seam || pieces.is_empty() {
                list.push(begin, seam, at > 0, &mut pieces);
                seam = begin.ns;
            }
            next = all.from(coarser);
        }
        pieces.reverse();
        let mut first = 0;
        for piece in &mut pieces {
            piece.first = first;
            first += piece.rows.len();
        }
        Ok(Self {
            pieces,
            _charge: charge,
        })
    }

    /// How many points there are.
    pub(crate) fn len(&self) -> usize {
        self.pieces.last().map_or(0, |piece| piece.points().end)
    }

    /// When a point was.
    pub(crate) fn row(&self, point: usize) -> Option<Row> {
        let piece = self.piece_at(point)?;
        let piece = self.pieces.get(piece)?;
        piece.row(piece.rows.start + point.checked_sub(piece.first)?)
    }

    /// The piece that has a point.
    fn piece_at(&self, point: usize) -> Option<usize> {
        let behind = |piece: &Piece<'_>| piece.points().end <= point;
        let at = self.pieces.partition_point(behind);
        (at < self.pieces.len()).then_some(at)
    }

    /// The pieces that have some of these points.
    pub(crate) fn over(&self, points: &Range<usize>) -> &[Piece<'a>] {
        let from = self
            .pieces
            .partition_point(|piece| piece.points().end <= points.start);
        let to = self
            .pieces
            .partition_point(|piece| piece.first < points.end);
        self.pieces.get(from..to).unwrap_or_default()
    }

    /// Rows of some points.
    pub(crate) fn rows(&self, points: &Range<usize>) -> impl Iterator<Item = Row> {
        let pieces = self.over(points).iter();
        pieces.flat_map(move |piece| piece.rows_of(points).filter_map(|row| piece.row(row)))
    }

    /// How many points `is_before`, which holds for the first ones only.
    fn partition(&self, is_before: impl Fn(Row) -> bool) -> usize {
        let last = |piece: &Piece<'_>| piece.row(piece.rows.end.saturating_sub(1));
        let whole = |piece: &Piece<'_>| last(piece).is_some_and(&is_before);
        let at = self.pieces.partition_point(whole);
        let Some(piece) = self.pieces.get(at) else {
            return self.len();
        };
        let (mut low, mut high) = (piece.rows.start, piece.rows.end);
        while low < high {
            let middle = usize::midpoint(low, high);
            if piece.row(middle).is_some_and(&is_before) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        piece.first + (low - piece.rows.start)
    }

    /// First point whose middle is after `ns`.
    pub(crate) fn after(&self, ns: i128) -> usize {
        self.partition(|row| middle(row) <= 2 * ns)
    }

    /// The points of a window. One that is narrower than the point it falls into is that point.
    pub(crate) fn window(&self, from: i128, to: i128) -> Range<usize> {
        let range = self.after(from)..self.after(to);
        if !range.is_empty() || to <= from {
            return range;
        }
        let inside = self.partition(|row| signed(row.end_ns) < to);
        let covers = |row: Row| signed(row.start_ns) < to;
        if self.row(inside).is_some_and(covers) {
            inside..inside + 1
        } else {
            range
        }
    }

    /// Nanoseconds that some points cover.
    pub(crate) fn covered_ns(&self, points: &Range<usize>) -> u64 {
        self.rows(points).map(|row| row.duration_ns()).sum()
    }
}

/// Where the points of a tier begin.
#[derive(Clone, Copy)]
struct Begin {
    ns: u64,
    /// A point of a coarser tier ends here, which has what took no time here, too.
    is_seam: bool,
}

impl Begin {
    fn is_after(self, start_ns: u64, end_ns: u64) -> bool {
        start_ns < self.ns || self.is_seam && end_ns <= self.ns
    }
}

/// The tiers of a timeline, as some classes have them.
struct Tiers<'a> {
    timeline: &'a Timeline,
    classes: u8,
    /// What was before is not asked for.
    from_ns: i128,
}

impl<'a> Tiers<'a> {
    /// The first tier from `at` on that has points of all classes.
    fn from(&self, at: usize) -> Option<(usize, TierPoints<'a>)> {
        let classes = self.classes;
        let tiers = self.timeline.archive.tiers.iter().enumerate().skip(at);
        let mut some = tiers.filter_map(|(at, tier)| {
            let frames: &[Arc<Kept>] = match at {
                0 => &self.timeline.frames,
                _ => &tier.open,
            };
            let list = TierPoints {
                tier,
                frames,
                classes,
            };
            let has_all = tier.classes & classes == classes && list.start_ns().is_some();
            has_all.then_some((at, list))
        });
        some.next()
    }

    /// Where the points of a tier begin, and the place of the coarser one that goes on from there: where a point of that
    /// one ends, so that nothing is there twice or missing.
    fn begin(&self, at: usize, list: &TierPoints<'a>) -> (Begin, usize) {
        let start = list.start_ns().unwrap_or(u64::MAX);
        if signed(start) <= self.from_ns {
            // It has all that is asked for, without a seam.
            let begin = Begin {
                ns: start,
                is_seam: false,
            };
            return (begin, self.timeline.archive.tiers.len());
        }
        let mut next = at + 1;
        while let Some((place, coarser)) = self.from(next) {
            next = place + 1;
            // Of what is all there in detail, no outline is wanted.
            let is_older = coarser.start_ns().is_some_and(|older| older < start);
            let Some(end) = coarser.first_end_from(start).filter(|_| is_older) else {
                continue;
            };
            // It may itself begin too late to go on from there.
            if self.begin(place, &coarser).0.ns < end {
                let seam = Begin {
                    ns: end,
                    is_seam: true,
                };
                return (seam, place);
            }
        }
        let first = Begin {
            ns: start,
            is_seam: false,
        };
        (first, at + 1)
    }
}

/// The points of one tier, as some classes have them.
struct TierPoints<'a> {
    tier: &'a Shelved,
    /// Not sealed yet.
    frames: &'a [Arc<Kept>],
    classes: u8,
}

impl<'a> TierPoints<'a> {
    /// Segments that all classes still have: the newest ones.
    fn segments(&self) -> &'a [Segment] {
        let has_all = |segment: &Segment| segment.kept & self.classes == self.classes;
        let segments = &self.tier.segments;
        let gone = segments.iter().rposition(|segment| !has_all(segment));
        let from = gone.map_or(0, |at| at + 1);
        segments.get(from..).unwrap_or_default()
    }

    fn start_ns(&self) -> Option<u64> {
        let segment = self
            .segments()
            .first()
            .map(|segment| segment.axis.start_ns());
        segment.or_else(|| self.frames.first().map(|kept| kept.frame.span.start_ns))
    }

    /// The end of the first point that ends at `ns` or later.
    fn first_end_from(&self, ns: u64) -> Option<u64> {
        let segments = self.segments();
        let at = segments.partition_point(|segment| segment.axis.end_ns() < ns);
        if let Some(segment) = segments.get(at) {
            let axis = &segment.axis;
            let row = axis.partition_point(|row| row.end_ns < ns);
            return axis.row(row).map(|row| row.end_ns);
        }
        let frames = self.frames.iter().map(|kept| kept.frame.span.end_ns);
        frames.filter(|end| *end >= ns).min()
    }

    /// Appends, newest first, the points from `begin` to `end`.
    fn push(&self, begin: Begin, end: u64, is_coarse: bool, pieces: &mut Vec<Piece<'a>>) {
        let scale = self.tier.scale;
        for kept in self.frames.iter().rev() {
            let span = kept.frame.span;
            if !begin.is_after(span.start_ns, span.end_ns) && span.end_ns <= end {
                pieces.push(Piece {
                    source: Source::Frame(kept),
                    rows: 0..1,
                    first: 0,
                    is_coarse,
                    scale,
                });
            }
        }
        for segment in self.segments().iter().rev() {
            let axis = &segment.axis;
            let from = axis.partition_point(|row| begin.is_after(row.start_ns, row.end_ns));
            let to = axis.partition_point(|row| row.end_ns <= end);
            if from < to {
                pieces.push(Piece {
                    source: Source::Segment(segment),
                    rows: from..to,
                    first: 0,
                    is_coarse,
                    scale,
                });
            }
        }
    }
}
