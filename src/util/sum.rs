//! A sum of floats that loses nothing that a float can hold.

/// What was added up, and what rounding left over: Neumaier's sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sum {
    sum: f64,
    rest: f64,
}

impl Sum {
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        let next = self.sum + value;
        if next.is_finite() {
            let back = next - self.sum;
            self.rest += (self.sum - (next - back)) + (value - back);
            self.sum = next;
        } else {
            // At the end of floats it stays there.
            self.sum = next.clamp(f64::MIN, f64::MAX);
        }
    }

    /// The sum, rounded once.
    #[inline]
    pub(crate) fn value(&self) -> f64 {
        (self.sum + self.rest).clamp(f64::MIN, f64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_is_not_lost_beside_what_is_large() {
        let mut sum = Sum::default();
        for value in [1.0, 1e100, 1.0, -1e100] {
            sum.add(value);
        }
        assert_eq!(sum.value().to_bits(), 2.0_f64.to_bits());
    }

    #[test]
    fn a_sum_beyond_all_floats_stays_at_their_end() {
        let mut sum = Sum::default();
        sum.add(f64::MAX);
        sum.add(f64::MAX);
        assert_eq!(sum.value().to_bits(), f64::MAX.to_bits());
    }
}
