//! What histograms received over a window: all of it on one pile, step by step.

use super::{
    aggregation::Aggregation,
    answer::{Answer, Bucket, Stats, Trend},
    ask::{Member, Missing},
    line::{self, Dot},
    pile::Pile,
    question::{Cut, Question, Reading, or_nothing},
    shape::{Answers, Rows},
};
use crate::{
    codec::histograms::Chunk,
    history::{Charge, Piece, Source},
    ledger::Full,
    model::MetricKind,
    util::layout,
};
use std::ops::Range;

impl Question<'_> {
    pub(super) fn quantiles(&self, q: f64) -> Answers<f64> {
        self.piled(|pile| pile.quantile(q))
    }

    pub(super) fn piled<T>(&self, ask: impl Fn(&Pile) -> Option<T>) -> Answers<T> {
        let mut last = None;
        or_nothing(self.rows(|members, cut| each_pile(&mut last, members, cut, &ask)))
    }

    pub(super) fn pile_stats(&self) -> Answers<Stats> {
        let mut last = None;
        or_nothing(self.rows(|members, cut| {
            let mut coverage = cut.coverage();
            let stats = each_pile(&mut last, members, cut, &Pile::stats)?;
            Ok(super::with_coverage(stats, &mut coverage))
        }))
    }

    pub(super) fn pile_buckets(&self, n: usize) -> Answers<Vec<Bucket>> {
        if n == 0 || n > super::MOST_BUCKETS {
            self.from.odd(self.query);
            return Answers(Vec::new());
        }
        self.piled(|pile| pile.buckets(n))
    }

    pub(super) fn pile_buckets_at(&self, bounds: &[f64]) -> Answers<Vec<Bucket>> {
        let ascend = bounds.is_sorted_by(|a, b| a < b) && !bounds.iter().any(|b| b.is_nan());
        if !ascend || bounds.len() > super::MOST_BUCKETS {
            self.from.odd(self.query);
            return Answers(Vec::new());
        }
        self.piled(|pile| pile.buckets_at(bounds))
    }

    pub(super) fn pile_trends(&self) -> Answers<Trend> {
        or_nothing(self.rows(|members, cut| each_trend(members, cut, |trend| trend)))
    }

    /// What was asked of histograms over a window, as data.
    pub(super) fn histogram_answers(
        &self,
        aggregation: Aggregation,
    ) -> Result<Rows<Answer>, Missing> {
        if aggregation == Aggregation::Trend {
            return self.answers(|members, cut| {
                each_trend(members, cut, |trend| Reading::exact(trend.slope))
            });
        }
        let mut last = None;
        self.answers(|members, cut| {
            each_pile(&mut last, members, cut, &|pile| pile.reading(aggregation))
        })
    }
}

/// Leaves beyond which a pile is not kept for the next group, whose values may be elsewhere.
const MOST_KEPT: usize = 64;

/// `last` is the pile of the group before, whose room is used again.
fn each_pile<T>(
    last: &mut Option<Pile>,
    members: &[Member],
    cut: &Cut<'_>,
    ask: &impl Fn(&Pile) -> Option<T>,
) -> Result<Vec<Option<T>>, Full> {
    let mut pile = match last.take().filter(|pile| pile.leaves() <= MOST_KEPT) {
        Some(pile) => pile,
        None => Pile::new(cut.schema, cut.scratch.beside(0)?),
    };
    let mut answers = Vec::with_capacity(cut.len());
    for points in cut.steps() {
        let pieces = cut.reach.over(&points);
        let scale = pieces.iter().map(|piece| piece.scale).min();
        pile.clear(scale.unwrap_or(cut.schema.scale()));
        for member in members {
            add(&mut pile, pieces, &points, member)?;
        }
        pile.finish(cut.reach.covered_ns(&points))?;
        answers.push(ask(&pile));
    }
    *last = Some(pile);
    Ok(answers)
}

/// Adds what one histogram received in some points.
fn add(
    pile: &mut Pile,
    pieces: &[Piece<'_>],
    points: &Range<usize>,
    member: &Member,
) -> Result<(), Full> {
    let mut hint = 0;
    for piece in pieces {
        match piece.source {
            Source::Frame(kept) => {
                if let Some((point, packed)) = kept.frame.histogram(member.id, &mut hint) {
                    pile.add(point, packed, piece.scale)?;
                }
            }
            Source::Segment(segment) => {
                let chunk = segment.chunk(MetricKind::Histogram, member.id);
                let n = segment.axis.len();
                if let Some(chunk) = chunk.and_then(|chunk| Chunk::open(chunk, n)) {
                    pile.add_chunk(&chunk, piece.rows_of(points))?;
                }
            }
        }
    }
    Ok(())
}

/// The line through the means of the points, for each step.
fn each_trend<T>(
    members: &[Member],
    cut: &Cut<'_>,
    then: impl Fn(Trend) -> T,
) -> Result<Vec<Option<T>>, Full> {
    let mut answers = Vec::with_capacity(cut.len());
    for points in cut.steps() {
        let n = points.len();
        let bytes = layout::vec::<(u64, f64)>(n) + layout::vec::<Dot>(n);
        let _room: Charge = cut.scratch.beside(bytes)?;
        let mut means = vec![(0_u64, 0.0); n];
        for member in members {
            each_mean(cut, &points, member, |place, count, sum| {
                if let Some(mean) = means.get_mut(place) {
                    *mean = (mean.0.wrapping_add(count), mean.1 + sum);
                }
            });
        }
        let mut dots: Vec<Dot> = Vec::with_capacity(n);
        let rows = cut.reach.rows(&points).zip(&means);
        dots.extend(
            rows.filter(|(_, mean)| mean.0 > 0)
                .map(|(row, (count, sum))| {
                    let middle = u128::from(row.start_ns) + u128::from(row.end_ns);
                    #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
                    let mean = sum / *count as f64;
                    (line::seconds(middle), mean, f64::from(row.ticks))
                }),
        );
        answers.push(line::through(&dots).map(&then));
    }
    Ok(answers)
}

/// Calls `f` with the place of each of these points in which something was recorded, and counts and sums of it.
fn each_mean(
    cut: &Cut<'_>,
    points: &Range<usize>,
    member: &Member,
    mut f: impl FnMut(usize, u64, f64),
) {
    let mut hint = 0;
    for piece in cut.reach.over(points) {
        let rows = piece.rows_of(points);
        // Where row `rows.start` stands among the points.
        let first = piece.points().start.max(points.start) - points.start;
        match piece.source {
            Source::Frame(kept) => {
                if let Some((point, _)) = kept.frame.histogram(member.id, &mut hint) {
                    f(first, point.count, point.sum);
                }
            }
            Source::Segment(segment) => {
                let chunk = segment.chunk(MetricKind::Histogram, member.id);
                let n = segment.axis.len();
                if let Some(chunk) = chunk.and_then(|chunk| Chunk::open(chunk, n)) {
                    let place = |row: usize| first + row.saturating_sub(rows.start);
                    chunk.heads(rows.clone(), |row, head| f(place(row), 0, head.sum));
                    chunk.cells(rows.clone(), |row, _, count| f(place(row), count, 0.0));
                    chunk.spans(rows.clone(), |row, _, _, count| f(place(row), count, 0.0));
                }
            }
        }
    }
}
