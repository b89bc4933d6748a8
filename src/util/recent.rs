//! A count that also knows how much of it is new, so that a report can get better again.

use super::sync::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A total, and what it was one and two turns ago.
#[derive(Debug)]
pub(crate) struct Recent {
    total: AtomicU64,
    last_turn: AtomicU64,
    turn_before: AtomicU64,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self {
            total: AtomicU64::new(0),
            last_turn: AtomicU64::new(0),
            turn_before: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, count: u64) {
        self.total.fetch_add(count, Relaxed);
    }

    /// As [`Recent::add`], but keeps to the greatest number: for counts that somebody else names.
    pub(crate) fn add_any(&self, count: u64) {
        let mut total = self.total();
        while let Err(seen) =
            self.total
                .compare_exchange_weak(total, total.saturating_add(count), Relaxed, Relaxed)
        {
            total = seen;
        }
    }

    /// Ever.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// Since the turn before the last one: between one and two turns of time.
    pub(crate) fn recent(&self) -> u64 {
        let before = self.turn_before.load(Relaxed);
        self.total().saturating_sub(before)
    }

    /// Time has passed. Only the tick calls it.
    pub(crate) fn turn(&self) {
        let last = self.last_turn.load(Relaxed);
        self.turn_before.store(last, Relaxed);
        self.last_turn.store(self.total(), Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_recent_lasts_for_one_to_two_turns() {
        let count = Recent::new();
        count.add(3);
        count.turn();
        count.add(2);
        assert_eq!((count.total(), count.recent()), (5, 5));
        count.turn();
        assert_eq!(count.recent(), 2);
        count.turn();
        assert_eq!((count.total(), count.recent()), (5, 0));
    }
}
