//! Histograms of many ticks and series on one pile, and what can be read off it.

use super::{leaves::Side, ranks::Within};
use crate::{
    codec::{buckets, distribution, histograms::Chunk},
    history::Charge,
    ledger::Full,
    model::{
        frame::HistogramPoint,
        schema::{Code, Schema, fold_code},
    },
    util::{layout, sum::Sum},
};
use std::ops::Range;

/// A merged distribution. Counts are exact, extremes exact, the sum compensated.
#[derive(Debug)]
pub(crate) struct Pile {
    schema: &'static Schema,
    positive: Side,
    zero: u64,
    negative: Side,
    /// Counts without a bucket of their own: between two codes, inclusive. Settled: with all others, ascending, without
    /// overlaps; or empty, if there are none.
    spans: Vec<Span>,
    pub(crate) count: u64,
    sum: Sum,
    min: f64,
    max: f64,
    pub(crate) covered_ns: u64,
    /// Counts of one chunk, side by side.
    dense: Vec<u64>,
    /// What all of this is charged to; last, so that it is given back last.
    room: Charge,
}

pub(super) type Span = (Code, Code, u64);

/// Ranges of codes up to this are added up side by side.
const MOST_DENSE: usize = 1 << 11;

impl Pile {
    pub(crate) fn new(schema: &'static Schema, room: Charge) -> Self {
        Self {
            schema,
            positive: Side::default(),
            zero: 0,
            negative: Side::default(),
            spans: Vec::new(),
            count: 0,
            sum: Sum::default(),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            covered_ns: 0,
            dense: Vec::new(),
            room,
        }
    }

    /// Adds one point with its packed buckets, of this scale.
    pub(crate) fn add(
        &mut self,
        point: HistogramPoint,
        packed: &[u8],
        scale: u8,
    ) -> Result<(), Full> {
        self.count = self.count.wrapping_add(point.count);
        self.add_head(point.sum, point.min, point.max);
        let (spans, fine) = distribution::split(packed);
        self.widen(scale)?;
        let to = self.schema.scale();
        for (low, high, count) in spans {
            self.add_span((fold_code(low, scale, to), fold_code(high, scale, to), count))?;
        }
        let mut full = Ok(());
        if scale == to {
            buckets::for_each(fine, |code, count| {
                if let Some(there) = self.positive.count(code) {
                    *there = there.wrapping_add(count);
                } else if full.is_ok() {
                    full = self.add_other(code, count);
                }
            });
        } else {
            buckets::for_each(fine, |code, count| {
                if full.is_ok() {
                    full = self.add_bucket(fold_code(code, scale, to), count);
                }
            });
        }
        full
    }

    /// Adds some points of a chunk.
    pub(crate) fn add_chunk(
        &mut self,
        chunk: &Chunk<'_>,
        points: Range<usize>,
    ) -> Result<(), Full> {
        let scale = chunk.scale();
        self.widen(scale)?;
        let to = self.schema.scale();
        chunk.heads(points.clone(), |_, head| {
            self.add_head(head.sum, head.min, head.max);
        });
        let mut full = Ok(());
        chunk.spans(points.clone(), |_, low, high, count| {
            self.count = self.count.wrapping_add(count);
            if full.is_ok() {
                full =
                    self.add_span((fold_code(low, scale, to), fold_code(high, scale, to), count));
            }
        });
        full?;
        let Some((first, last)) = chunk.codes() else {
            return Ok(());
        };
        let codes = last.abs_diff(first) as usize + 1;
        if codes > MOST_DENSE {
            let mut full = Ok(());
            chunk.cells(points, |_, code, count| {
                self.count = self.count.wrapping_add(count);
                if full.is_ok() {
                    full = self.add_bucket(fold_code(code, scale, to), count);
                }
            });
            return full;
        }
        let capacity = self.dense.capacity();
        if capacity < codes {
            self.room.add(layout::vec::<u64>(codes))?;
            self.dense = Vec::with_capacity(codes);
            self.room.give_back(layout::vec::<u64>(capacity));
        }
        self.dense.clear();
        self.dense.resize(codes, 0);
        self.count = self
            .count
            .wrapping_add(chunk.add(points, first, &mut self.dense));
        for place in 0..codes {
            let count = self.dense.get(place).copied().unwrap_or(0);
            if count > 0 {
                // At most as far as the last code.
                let code = first.wrapping_add_unsigned(u32::try_from(place).unwrap_or(0));
                self.add_bucket(fold_code(code, scale, to), count)?;
            }
        }
        Ok(())
    }

    /// Takes `count` away from a bucket that has as many.
    pub(super) fn take(&mut self, code: Code, count: u64) -> Result<(), Full> {
        self.count = self.count.wrapping_sub(count);
        self.add_bucket(code, count.wrapping_neg())
    }

    /// Gives back the room of buckets that are empty.
    pub(super) fn prune(&mut self) {
        self.positive.prune(&mut self.room);
        self.negative.prune(&mut self.room);
    }

    /// Sum and extremes are known to who takes things away.
    pub(super) fn replace(&mut self, sum: Sum, extremes: Option<(f64, f64)>) {
        self.sum = sum;
        (self.min, self.max) = extremes.unwrap_or((f64::INFINITY, f64::NEG_INFINITY));
    }

    /// Runs of buckets that it has room for.
    pub(super) fn leaves(&self) -> usize {
        self.positive.len() + self.negative.len()
    }

    /// The scale of its buckets.
    pub(super) fn scale(&self) -> u8 {
        self.schema.scale()
    }

    fn add_head(&mut self, sum: f64, min: f64, max: f64) {
        self.sum.add(sum);
        if min <= max {
            self.min = self.min.min(min);
            self.max = self.max.max(max);
        }
    }

    /// Adds to one bucket.
    fn add_bucket(&mut self, code: Code, count: u64) -> Result<(), Full> {
        if let Some(there) = self.positive.count(code) {
            *there = there.wrapping_add(count);
            return Ok(());
        }
        self.add_other(code, count)
    }

    /// What comes has wider buckets: so are all.
    fn widen(&mut self, scale: u8) -> Result<(), Full> {
        let from = self.schema.scale();
        if scale >= from {
            return Ok(());
        }
        self.schema = Schema::get(scale);
        let (positive, negative) = (
            std::mem::take(&mut self.positive),
            std::mem::take(&mut self.negative),
        );
        for (code, count) in positive.filled() {
            self.add_bucket(fold_code(code, from, scale), count)?;
        }
        for (code, count) in negative.filled() {
            self.add_bucket(fold_code(-code, from, scale), count)?;
        }
        for span in &mut self.spans {
            span.0 = fold_code(span.0, from, scale);
            span.1 = fold_code(span.1, from, scale);
        }
        let freed = positive.bytes() + negative.bytes();
        drop((positive, negative));
        self.room.give_back(freed);
        Ok(())
    }

    #[cold]
    fn add_other(&mut self, code: Code, count: u64) -> Result<(), Full> {
        match code {
            1.. => self.positive.add(code, count, &mut self.room),
            0 => {
                self.zero = self.zero.wrapping_add(count);
                Ok(())
            }
            _ => self
                .negative
                .add(code.saturating_neg(), count, &mut self.room),
        }
    }

    /// Its codes may be the wrong way round in bytes that nobody wrote.
    fn add_span(&mut self, (one, other, count): Span) -> Result<(), Full> {
        let span = (one.min(other), one.max(other), count);
        let same = |s: &&mut Span| (s.0, s.1) == (span.0, span.1);
        if let Some(same) = self.spans.iter_mut().find(same) {
            same.2 = same.2.wrapping_add(span.2);
            return Ok(());
        }
        self.make_room(1)?;
        self.spans.push(span);
        Ok(())
    }

    /// Room for `more` spans.
    fn make_room(&mut self, more: usize) -> Result<(), Full> {
        let before = self.spans.capacity();
        let wanted = self.spans.len() + more;
        if wanted > before {
            let capacity = wanted.max(layout::grown(before));
            self.room.add(layout::vec::<Span>(capacity))?;
            layout::regrow(&mut self.spans, capacity);
            self.room.give_back(layout::vec::<Span>(before));
        }
        Ok(())
    }

    /// Forgets everything but its room; for points of this scale, or wider ones.
    pub(crate) fn clear(&mut self, scale: u8) {
        self.schema = Schema::get(scale);
        self.positive.clear();
        self.zero = 0;
        self.negative.clear();
        self.spans.clear();
        self.count = 0;
        self.sum = Sum::default();
        self.min = f64::INFINITY;
        self.max = f64::NEG_INFINITY;
        self.covered_ns = 0;
    }

    /// Settles the spans; no more points after this.
    pub(crate) fn finish(&mut self, covered_ns: u64) -> Result<(), Full> {
        self.covered_ns = covered_ns;
        if self.spans.is_empty() {
            return Ok(());
        }
        self.make_room(self.fine().count())?;
        let mut all = std::mem::take(&mut self.spans);
        all.extend(self.fine());
        all.sort_unstable();
        all.dedup_by(|next, kept| {
            let meet = next.0 <= kept.1;
            if meet {
                kept.1 = kept.1.max(next.1);
                kept.2 = kept.2.wrapping_add(next.2);
            }
            meet
        });
        self.spans = all;
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
    pub(crate) fn avg(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum() / self.count as f64)
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum.value()
    }

    pub(crate) fn rate(&self) -> Option<f64> {
        super::question::per_second(self.count, self.covered_ns)
    }

    pub(crate) fn min(&self) -> Option<f64> {
        (self.min <= self.max).then_some(self.min)
    }

    pub(crate) fn max(&self) -> Option<f64> {
        (self.min <= self.max).then_some(self.max)
    }

    /// Buckets as ranges of one code, ascending.
    fn fine(&self) -> impl Iterator<Item = Span> {
        let negative = self.negative.filled().rev().map(|(code, n)| (-code, n));
        let zero = (self.zero > 0).then_some((0, self.zero));
        let all = negative.chain(zero).chain(self.positive.filled());
        all.map(|(code, n)| (code, code, n))
    }

    /// The range of codes in which the value of a rank is.
    pub(super) fn range_at(&self, rank: u64) -> Option<(Code, Code)> {
        if self.spans.is_empty() {
            range_at(rank, self.fine())
        } else {
            range_at(rank, self.spans.iter().copied())
        }
    }

    /// The middle of a range of codes, narrowed by the extremes where they agree with it.
    pub(super) fn middle(&self, from: Code, to: Code) -> Within {
        let lower = self.schema.range_of(from).0;
        let upper = self.schema.range_of(to).1;
        let (low, high) = (lower.max(self.min), upper.min(self.max));
        let (low, high) = if low <= high {
            (low, high)
        } else {
            (lower, upper)
        };
        let middle = if low > 0.0 {
            low.sqrt() * high.sqrt()
        } else if high < 0.0 {
            -((-low).sqrt() * (-high).sqrt())
        } else {
            f64::midpoint(low, high)
        };
        // Roots round: a single value would come back as its neighbour.
        let at = middle.clamp(low, high);
        Within { low, at, high }
    }

    /// Ranges of codes with what they count, ascending: spans, if there are any, have all.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Span> {
        let fine = self.spans.is_empty().then(|| self.fine());
        fine.into_iter().flatten().chain(self.spans.iter().copied())
    }

    /// Bounds of a range of codes, as the schema has them.
    pub(super) fn bounds(&self, from: Code, to: Code) -> (f64, f64) {
        (self.schema.range_of(from).0, self.schema.range_of(to).1)
    }
}

/// The range in which the value of a rank is.
fn range_at(rank: u64, ranges: impl Iterator<Item = Span>) -> Option<(Code, Code)> {
    let mut below = 0u64;
    let mut last = None;
    for (from, to, n) in ranges {
        below = below.saturating_add(n);
        last = Some((from, to));
        if below >= rank {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        codec::{compile::Compiler, histograms::Head},
        ledger::{Ledger, Part},
        util::sync::Arc,
    };

    const BUDGET: usize = 1 << 20;

    /// Asks everything about a pile that these bytes are added to.
    fn ask(bytes: &[u8], n: usize) {
        let ledger = Arc::new(Ledger::new(BUDGET));
        let used = ledger.used();
        {
            let room = Charge::new(&ledger, Part::Queries, 0).expect("room");
            let mut pile = Pile::new(Schema::get(8), room);
            let Some(chunk) = Chunk::open(bytes, n) else {
                return;
            };
            let added = pile.add_chunk(&chunk, 0..n);
            let added = added.and_then(|()| pile.add_chunk(&chunk, n / 2..n));
            if added.is_ok() && pile.finish(1).is_ok() {
                for q in [0.0, 0.3, 0.5, 1.0] {
                    pile.quantile(q);
                }
                pile.avg();
            }
            assert!(ledger.used() <= BUDGET);
        }
        assert_eq!(ledger.used(), used);
    }

    fn any_chunk() -> impl Strategy<Value = Vec<u8>> {
        let code = prop_oneof![-300..300, Just(i32::MIN), any::<i32>()];
        let count = prop_oneof![1..9_u64, any::<u64>()];
        let spans = vec((any::<i32>(), any::<i32>(), any::<u64>()), 0..2);
        let point = (btree_map(code, count, 0..20), any::<[f64; 3]>(), spans);
        (0_u8..=8, vec(point, 1..9)).prop_map(|(scale, points)| {
            let mut compiler = Compiler::new(scale);
            for (buckets, [sum, min, max], spans) in points {
                compiler.add(Head { sum, min, max }, buckets, spans);
            }
            let plan = compiler.plan();
            let mut bytes = Vec::new();
            compiler.write(&plan, &mut bytes);
            bytes
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_piled_up_without_panic_and_within_the_budget(
            mut bytes in prop_oneof![any_chunk(), vec(any::<u8>(), 1..200)],
            edits in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            n in 1_usize..129,
        ) {
            for (at, value) in edits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            ask(&bytes, n);
            ask(&bytes, 8);
        }
    }
}
