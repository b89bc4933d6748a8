//! Histograms of many ticks and series on one pile, and what can be read off it.

use crate::{
    codec::{buckets, distribution},
    history::Charge,
    ledger::Full,
    model::{
        frame::HistogramPoint,
        schema::{Code, Schema},
    },
    util::layout,
};

/// A merged distribution. Counts are exact, extremes exact, the sum compensated.
#[derive(Debug)]
pub(crate) struct Pile {
    schema: &'static Schema,
    /// Code of `counts[0]`.
    first: Code,
    counts: Vec<u64>,
    /// Counts without a bucket of their own: between two codes, inclusive.
    spans: Vec<(Code, Code, u64)>,
    pub(crate) count: u64,
    pub(crate) sum: f64,
    rest: f64,
    min: f64,
    max: f64,
    pub(crate) covered_ns: u64,
}

/// Codes that the pile is made larger by beyond what is needed.
const SLACK: i32 = 64;

impl Pile {
    pub(crate) fn new(schema: &'static Schema) -> Self {
        Self {
            schema,
            first: 0,
            counts: Vec::new(),
            spans: Vec::new(),
            count: 0,
            sum: 0.0,
            rest: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            covered_ns: 0,
        }
    }

    /// Adds one point with its packed buckets.
    pub(crate) fn add(
        &mut self,
        point: HistogramPoint,
        packed: &[u8],
        scratch: &mut Charge,
    ) -> Result<(), Full> {
        self.count = self.count.wrapping_add(point.count);
        let next = self.sum + point.sum;
        let back = next - self.sum;
        if next.is_finite() {
            self.rest += (self.sum - (next - back)) + (point.sum - back);
            self.sum = next;
        }
        if point.min <= point.max {
            self.min = self.min.min(point.min);
            self.max = self.max.max(point.max);
        }
        let (spans, fine) = distribution::split(packed);
        for span in spans {
            self.make_room_for_span(scratch)?;
            self.spans.push(span);
        }
        let mut full = Ok(());
        buckets::for_each(fine, |code, count| {
            let at = code.wrapping_sub(self.first).cast_unsigned() as usize;
            if let Some(there) = self.counts.get_mut(at) {
                *there = there.wrapping_add(count);
            } else if full.is_ok() {
                full = self.stretch(code, scratch).map(|()| {
                    let at = code.wrapping_sub(self.first).cast_unsigned() as usize;
                    if let Some(there) = self.counts.get_mut(at) {
                        *there = there.wrapping_add(count);
                    }
                });
            }
        });
        full
    }

    fn make_room_for_span(&mut self, scratch: &mut Charge) -> Result<(), Full> {
        let capacity = self.spans.capacity();
        if self.spans.len() < capacity {
            return Ok(());
        }
        let larger = layout::grown(capacity);
        scratch.add(layout::vec::<(Code, Code, u64)>(larger))?;
        layout::regrow(&mut self.spans, larger);
        scratch.give_back(layout::vec::<(Code, Code, u64)>(capacity));
        Ok(())
    }

    /// Makes room for `code`.
    #[cold]
    fn stretch(&mut self, code: Code, scratch: &mut Charge) -> Result<(), Full> {
        let len = i32::try_from(self.counts.len()).unwrap_or(i32::MAX);
        let (first, end) = if len == 0 {
            (code, code)
        } else {
            (self.first.min(code), (self.first + len - 1).max(code))
        };
        let first = first.saturating_sub(SLACK);
        let end = end.saturating_add(SLACK);
        let wanted = usize::try_from(i64::from(end) - i64::from(first) + 1).unwrap_or(usize::MAX);
        scratch.add(layout::vec::<u64>(wanted))?;
        let mut larger = vec![0; wanted];
        let shift = usize::try_from(self.first.wrapping_sub(first)).unwrap_or(0);
        if let Some(place) = larger.get_mut(shift..shift + self.counts.len()) {
            place.copy_from_slice(&self.counts);
        }
        let before = layout::vec::<u64>(self.counts.len());
        self.counts = larger;
        self.first = first;
        scratch.give_back(before);
        Ok(())
    }

    /// Forgets everything but its room.
    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        self.spans.clear();
        self.count = 0;
        self.sum = 0.0;
        self.rest = 0.0;
        self.min = f64::INFINITY;
        self.max = f64::NEG_INFINITY;
        self.covered_ns = 0;
    }

    /// Settles the sum; no more points after this.
    pub(crate) fn finish(&mut self, covered_ns: u64) {
        self.sum += std::mem::take(&mut self.rest);
        self.covered_ns = covered_ns;
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
    pub(crate) fn avg(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    pub(crate) fn rate(&self) -> Option<f64> {
        super::evaluate::per_second(self.count, self.covered_ns)
    }

    pub(crate) fn min(&self) -> Option<f64> {
        (self.min <= self.max).then_some(self.min)
    }

    pub(crate) fn max(&self) -> Option<f64> {
        (self.min <= self.max).then_some(self.max)
    }

    /// The value of rank `ceil(q n)`, estimated at the geometric middle of its bucket.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        if !(0.0..=1.0).contains(&q) || self.count == 0 {
            return None;
        }
        if q == 0.0 && self.min <= self.max {
            return Some(self.min);
        }
        if q >= 1.0 && self.min <= self.max {
            return Some(self.max);
        }
        let (from, to) = if self.spans.is_empty() {
            let code = self.rank(q, self.fine())?.0;
            (code, code)
        } else {
            self.rank(q, self.coarse().into_iter())?
        };
        Some(self.middle(from, to))
    }

    fn fine(&self) -> impl Iterator<Item = (Code, Code, u64)> {
        let codes = self.first..;
        let filled = codes.zip(&self.counts).filter(|(_, n)| **n > 0);
        filled.map(|(code, n)| (code, code, *n))
    }

    /// Buckets and spans as ranges that do not overlap, ascending.
    fn coarse(&self) -> Vec<(Code, Code, u64)> {
        let mut all: Vec<_> = self.fine().chain(self.spans.iter().copied()).collect();
        all.sort_unstable();
        let mut ranges: Vec<(Code, Code, u64)> = Vec::new();
        for (from, to, n) in all {
            match ranges.last_mut() {
                Some(last) if from <= last.1 => {
                    last.1 = last.1.max(to);
                    last.2 = last.2.wrapping_add(n);
                }
                _ => ranges.push((from, to, n)),
            }
        }
        ranges
    }

    /// The range in which the value of rank `ceil(q n)` is.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts above 2^53 make the rank round"
    )]
    fn rank(
        &self,
        q: f64,
        ranges: impl Iterator<Item = (Code, Code, u64)>,
    ) -> Option<(Code, Code)> {
        let rank = ((q * self.count as f64).ceil() as u64).max(1);
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

    /// The middle of a range of codes, narrowed by the extremes where they agree with it.
    fn middle(&self, from: Code, to: Code) -> f64 {
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
        middle.clamp(low, high)
    }
}
