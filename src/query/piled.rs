//! What histograms received over a window: all of it on one pile, step by step.

use super::{
    pile::Pile,
    selection::{Member, Selection},
    shape::{Answers, Histograms, Shape},
};
use crate::{
    codec::histograms::Chunk,
    history::{Piece, Source},
    ledger::Full,
    model::MetricKind,
};
use std::ops::Range;

impl<S: Shape> Selection<Histograms, S> {
    pub(super) fn quantiles(&self, q: f64) -> Answers<f64> {
        self.piled(|pile| pile.quantile(q))
    }

    pub(super) fn piled<T>(&self, ask: impl Fn(&Pile) -> Option<T>) -> Answers<T> {
        self.rows(|members, cut| {
            let mut pile = Pile::new(cut.schema, cut.scratch.beside(0)?);
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
            Ok(answers)
        })
    }
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
                let n = segment.axis.rows.len();
                if let Some(chunk) = chunk.and_then(|chunk| Chunk::open(chunk, n)) {
                    pile.add_chunk(&chunk, piece.rows_of(points))?;
                }
            }
        }
    }
    Ok(())
}
