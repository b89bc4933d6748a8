//! Numbers for tests: the same with the same seed.

/// A xorshift generator.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// In `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        // Both have 32 bits at most, so nothing is rounded.
        let high = u32::try_from(self.bits() >> 32).unwrap_or(0);
        f64::from(high) / 4_294_967_296.0
            + f64::from(u32::try_from(self.bits() >> 43).unwrap_or(0)) / 9_007_199_254_740_992.0
    }

    /// From the standard normal distribution.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        let limit = (-mean).exp();
        let (mut product, mut events) = (self.unit(), 0);
        while product > limit {
            product *= self.unit();
            events += 1;
        }
        events
    }
}

/// An average; numbers of this size are exact.
#[expect(clippy::cast_precision_loss, reason = "bytes of a test")]
pub(crate) fn each(bytes: usize, points: usize) -> f64 {
    bytes as f64 / points as f64
}
