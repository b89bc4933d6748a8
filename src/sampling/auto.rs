//! A call site that finds its own `n` on each thread.
#![expect(missing_docs, reason = "hidden from the documentation")]

use super::{chance::chosen, now_ns};
use std::cell::Cell;

/// How many calls a second are to be taken, for each call site and thread.
const AIM: u64 = 1_000;
/// Calls between two looks at the clock, at least; a 16th of `n`, if that is more.
const STRIDE: u32 = 32;
/// `n` grows no faster than this from one look to the next, as a burst of a few calls says little.
const GROWTH: u32 = 4;
const MOST: u32 = 1 << 20;

/// The state of one call site on one thread. What comes of a call depends on the calls before it and on time, never on its own
/// value; so its weight is right, however `n` changes.
#[derive(Debug)]
pub struct Auto {
    n: Cell<u32>,
    /// Calls until the next look at the clock.
    left: Cell<u32>,
    /// When that was.
    looked: Cell<Option<u64>>,
}

impl Default for Auto {
    fn default() -> Self {
        Self::new()
    }
}

impl Auto {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            n: Cell::new(1),
            left: Cell::new(0),
            looked: Cell::new(None),
        }
    }

    /// The weight of this call, if it is taken.
    #[inline]
    #[must_use]
    pub fn chosen(&self) -> Option<u32> {
        self.chosen_at(now_ns)
    }

    #[inline]
    pub(super) fn chosen_at(&self, now: impl FnOnce() -> u64) -> Option<u32> {
        match self.left.get() {
            0 => self.look(now()),
            left => self.left.set(left - 1),
        }
        chosen(self.n.get())
    }

    #[cold]
    fn look(&self, now: u64) {
        let n = self.n.get();
        if let Some(before) = self.looked.replace(Some(now)) {
            self.n.set(next(n, stride(n), now.saturating_sub(before)));
        }
        self.left.set(stride(self.n.get()) - 1);
    }

    #[cfg(test)]
    pub(super) fn n(&self) -> u32 {
        self.n.get()
    }
}

fn stride(n: u32) -> u32 {
    STRIDE.max(n / 16)
}

/// The `n` for a site that called `calls` times in `nanos`.
fn next(n: u32, calls: u32, nanos: u64) -> u32 {
    let rate = u64::from(calls).saturating_mul(1_000_000_000) / nanos.max(1);
    let fits = u32::try_from(rate.div_ceil(AIM)).unwrap_or(MOST);
    fits.clamp(1, MOST).min(n.saturating_mul(GROWTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where `n` ends after `looks` of a site that calls once in `nanos`.
    fn settled(mut n: u32, nanos: u64, looks: u32) -> u32 {
        for _ in 0..looks {
            n = next(n, stride(n), nanos * u64::from(stride(n)));
        }
        n
    }

    #[test]
    fn a_slow_site_is_taken_whole() {
        assert_eq!(settled(1, 1_000_000, 9), 1);
        assert_eq!(
            settled(MOST, 1_000_000_000, 1),
            1,
            "at once, when it has become slow"
        );
        assert_eq!(settled(1, u64::MAX / u64::from(MOST), 9), 1);
    }

    #[test]
    fn a_hot_site_is_thinned_to_a_thousand_a_second() {
        assert_eq!(settled(1, 1_000, 9), 1_000);
        assert_eq!(settled(1, 20, 9), 50_000);
        assert_eq!(settled(1, 0, 20), MOST);
    }

    #[test]
    fn a_burst_moves_it_little() {
        assert_eq!(settled(1, 100, 1), GROWTH);
        assert_eq!(settled(1, 100, 2), GROWTH * GROWTH);
    }
}
