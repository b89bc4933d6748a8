//! The hash of canonical keys: fast, and seeded for each store, since the facade's has a fixed seed and anybody can
//! make keys that collide in it.

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

/// A seed.
#[derive(Debug)]
pub(crate) struct Seed(RapidSecrets);

impl Seed {
    /// One that differs between stores and processes; under loom and a fuzzer always the same, so that what they find
    /// happens again.
    pub(crate) fn random() -> Self {
        #[cfg(not(any(loom, fuzzing)))]
        let seed = {
            use std::hash::BuildHasher;
            std::hash::RandomState::new().hash_one(0u8)
        };
        #[cfg(any(loom, fuzzing))]
        let seed = 0;
        Self(RapidSecrets::seed(seed))
    }

    #[inline]
    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        rapidhash_v3_seeded(bytes, &self.0)
    }

    /// Continues a hash with more bytes.
    #[inline]
    pub(crate) fn extend(&self, hash: u64, bytes: &[u8]) -> u64 {
        if bytes.is_empty() {
            return hash;
        }
        let wide = u128::from(hash ^ self.0.seed) * u128::from(self.hash(bytes) | 1);
        let [low, high] = [wide & u128::from(u64::MAX), wide >> 64];
        u64::try_from(low ^ high).unwrap_or(0)
    }
}
