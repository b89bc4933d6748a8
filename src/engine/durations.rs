//! How long ticks took, in few bytes: four counts an octave.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// From a microsecond to an hour; four counts an octave, so that a duration is known within a fifth.
const FIRST: u32 = 10;
const COUNTS: usize = 32 * 4;

/// Durations since the start.
#[derive(Debug)]
pub(crate) struct Durations {
    counts: [AtomicU32; COUNTS],
    longest_ns: AtomicU64,
}

impl Durations {
    pub(crate) fn new() -> Self {
        Self {
            counts: std::array::from_fn(|_| AtomicU32::new(0)),
            longest_ns: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, ns: u64) {
        self.longest_ns.fetch_max(ns, Relaxed);
        if let Some(count) = self.counts.get(place(ns)) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest_ns.load(Relaxed))
    }

    /// At least the quantile, and at most a fifth more.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among some millions"
    )]
    pub(crate) fn quantile(&self, q: f64) -> Duration {
        let counts = || {
            self.counts
                .iter()
                .map(|count| u64::from(count.load(Relaxed)))
        };
        let rank = ((counts().sum::<u64>() as f64 * q).ceil() as u64).max(1);
        let mut below = 0;
        for (place, count) in counts().enumerate() {
            below += count;
            if below >= rank {
                return Duration::from_nanos(end(place)).min(self.longest());
            }
        }
        Duration::ZERO
    }
}

fn place(ns: u64) -> usize {
    let octave = ns.max(1).ilog2();
    let Some(octaves) = octave.checked_sub(FIRST) else {
        return 0;
    };
    let quarter = (ns >> (octave - 2)) & 3;
    (octaves as usize * 4 + usize::try_from(quarter).unwrap_or(0)).min(COUNTS - 1)
}

/// The first nanosecond behind a place.
fn end(place: usize) -> u64 {
    let octave = u32::try_from(place / 4).unwrap_or(0) + FIRST;
    let quarter = place as u64 % 4;
    (1_u64 << octave) + ((quarter + 1) << (octave - 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_a_fifth_too_much() {
        let durations = Durations::new();
        assert_eq!(durations.quantile(0.5), Duration::ZERO);
        for ms in 1..=1000 {
            durations.add(ms * 1_000_000);
        }
        for (q, ms) in [(0.5, 500.0), (0.99, 990.0)] {
            let found = durations.quantile(q).as_secs_f64() * 1e3;
            assert!((ms..ms * 1.2).contains(&found), "{q}: {found}");
        }
        assert_eq!(durations.longest(), Duration::from_secs(1));
        durations.add(0);
        durations.add(u64::MAX);
        assert_eq!(durations.longest(), Duration::from_nanos(u64::MAX));
    }
}
