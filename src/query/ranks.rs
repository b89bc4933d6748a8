//! Quantiles of a pile: the value of a rank, and the range that it is in for sure.

use super::pile::Pile;

impl Pile {
    /// The value of rank `ceil(q n)`, estimated at the geometric middle of its bucket.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        self.quantile_within(q).map(|within| within.at)
    }

    /// The same, with the range that it is in for sure.
    pub(crate) fn quantile_within(&self, q: f64) -> Option<Within> {
        if !(0.0..=1.0).contains(&q) || self.count == 0 {
            return None;
        }
        let extreme = match q {
            0.0 => self.min(),
            1.0 => self.max(),
            _ => None,
        };
        if let Some(extreme) = extreme {
            return Some(Within::exactly(extreme));
        }
        let (from, to) = self.range_at(self.rank_of(q))?;
        Some(self.middle(from, to))
    }

    /// As [`Pile::quantile`], of several that ascend within (0, 1), in one walk.
    pub(super) fn quantiles<const N: usize>(&self, qs: &[f64; N]) -> Option<[f64; N]> {
        if self.count == 0 {
            return None;
        }
        let mut values = [f64::NAN; N];
        let mut next = qs.iter().map(|q| self.rank_of(*q)).zip(&mut values);
        let mut wanted = next.next();
        let mut below = 0u64;
        let mut last = None;
        for (from, to, n) in self.ranges() {
            below = below.saturating_add(n);
            last = Some((from, to));
            let mut middle = None;
            while let Some((rank, value)) = wanted.take() {
                if below < rank {
                    wanted = Some((rank, value));
                    break;
                }
                *value = *middle.get_or_insert_with(|| self.middle(from, to).at);
                wanted = next.next();
            }
            if wanted.is_none() {
                return Some(values);
            }
        }
        let (from, to) = last?;
        let rest = wanted.into_iter().chain(next);
        rest.for_each(|(_, value)| *value = self.middle(from, to).at);
        Some(values)
    }

    /// `ceil(q n)`, from 1.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts above 2^53 make the rank round"
    )]
    fn rank_of(&self, q: f64) -> u64 {
        ((q * self.count as f64).ceil() as u64).max(1)
    }
}

/// A value that is known to be in a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Within {
    pub(super) low: f64,
    pub(crate) at: f64,
    pub(super) high: f64,
}

impl Within {
    fn exactly(value: f64) -> Self {
        Self {
            low: value,
            at: value,
            high: value,
        }
    }

    /// By how much of the true value `at` may be off at most.
    pub(super) fn bound(self) -> f64 {
        let Self { low, at, high } = self;
        let off = |truth: f64| ((at - truth) / truth).abs();
        if low >= high {
            0.0
        } else if low > 0.0 || high < 0.0 {
            off(low).max(off(high))
        } else {
            f64::INFINITY
        }
    }

    /// By how much `at` may be off at most.
    pub(super) fn error(self) -> f64 {
        (self.at - self.low).max(self.high - self.at)
    }
}
