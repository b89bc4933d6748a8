//! The budget: every allocation that the store owns is reserved here before it is made.
//!
//! `used` is the sum of the layouts of everything that the store keeps, plus [`BASE`] for what has no single owner
//! (the store's own structs, a worker's bookkeeping, a lock's waiting list). It never exceeds `budget`: a reservation
//! that would is refused, and the caller degrades. Live data (cells, keys, caches) may take at most three quarters of
//! the budget, so that history always has room.

use crate::util::{
    layout,
    sync::{AtomicBool, AtomicU64, AtomicUsize},
};
use std::sync::atomic::Ordering::Relaxed;

/// Charged once for the store's fixed parts.
pub(crate) const BASE: usize = 24 << 10;

/// The smallest budget that leaves room for anything useful.
pub(crate) const SMALLEST: usize = 128 << 10;

/// What memory is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Live cells, series and their keys.
    Series,
    /// Names, descriptions and their overflow series.
    Names,
    /// Tables and lists that find series.
    Index,
    /// Histogram pages.
    Pages,
    /// Per-thread caches, and evicted cells that a sleeping thread's cache still pins.
    Caches,
    /// Committed frames.
    History,
    /// The tick's own working memory.
    Tick,
    /// Scratch memory of running questions.
    Queries,
}

pub(crate) const PARTS: [Part; 8] = [
    Part::Series,
    Part::Names,
    Part::Index,
    Part::Pages,
    Part::Caches,
    Part::History,
    Part::Tick,
    Part::Queries,
];

impl Part {
    /// The word for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Series => "series",
            Part::Names => "names",
            Part::Index => "index",
            Part::Pages => "histogram pages",
            Part::Caches => "thread caches",
            Part::History => "history",
            Part::Tick => "tick",
            Part::Queries => "queries",
        }
    }

    pub(crate) fn is_live(self) -> bool {
        !matches!(self, Part::History | Part::Tick | Part::Queries)
    }
}

/// The reservation was refused; nothing was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Bytes used and allowed. All methods are lock-free.
#[derive(Debug)]
pub(crate) struct Ledger {
    budget: AtomicUsize,
    /// Everything charged, [`BASE`] included; `<= budget` at all times.
    used: AtomicUsize,
    /// The part of `used` that live data take; `<= live_limit()`.
    live: AtomicUsize,
    parts: [AtomicUsize; PARTS.len()],
    peak: AtomicUsize,
    /// Reservations of live data that were refused, ever.
    refused: AtomicU64,
    /// The store is gone; what still counts here counts for nobody.
    closed: AtomicBool,
}

impl Ledger {
    /// `budget` must be at least [`SMALLEST`]; the configuration sees to that.
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            budget: AtomicUsize::new(budget),
            used: AtomicUsize::new(BASE),
            live: AtomicUsize::new(BASE),
            parts: std::array::from_fn(|_| AtomicUsize::new(0)),
            peak: AtomicUsize::new(BASE),
            refused: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// The store was dropped.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    pub(crate) fn budget(&self) -> usize {
        self.budget.load(Relaxed)
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// What live data may take at most.
    pub(crate) fn live_limit(&self) -> usize {
        let budget = self.budget();
        budget - budget / 4
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    pub(crate) fn part(&self, part: Part) -> usize {
        self.parts[part as usize].load(Relaxed)
    }

    /// What questions may take together at most.
    fn query_limit(&self) -> usize {
        self.budget() / 4
    }

    /// Bytes that are neither used nor taken by running questions, which give theirs back by themselves.
    pub(crate) fn free(&self) -> usize {
        let lasting = self.used().saturating_sub(self.part(Part::Queries));
        self.budget().saturating_sub(lasting)
    }

    /// Bytes by which live data may still grow.
    pub(crate) fn live_room(&self) -> usize {
        self.live_limit().saturating_sub(self.live.load(Relaxed))
    }

    /// What was charged to one part is another's from now on.
    pub(crate) fn hand_over(&self, from: Part, to: Part, bytes: usize) {
        self.parts[to as usize].fetch_add(bytes, Relaxed);
        self.parts[from as usize].fetch_sub(bytes, Relaxed);
    }

    /// Charges `bytes` to `part`, or changes nothing.
    pub(crate) fn reserve(&self, part: Part, bytes: usize) -> Result<(), Full> {
        if part == Part::Queries && self.part(part).saturating_add(bytes) > self.query_limit() {
            return Err(Full);
        }
        if part.is_live() && raise(&self.live, bytes, self.live_limit()).is_err() {
            self.refused.fetch_add(1, Relaxed);
            return Err(Full);
        }
        let Ok(used) = raise(&self.used, bytes, self.budget()) else {
            if part.is_live() {
                self.live.fetch_sub(bytes, Relaxed);
                self.refused.fetch_add(1, Relaxed);
            }
            return Err(Full);
        };
        self.peak.fetch_max(used, Relaxed);
        self.parts[part as usize].fetch_add(bytes, Relaxed);
        Ok(())
    }

    /// Sees to it that `more` elements fit into a vector that is charged to `part`; false: no room.
    #[inline]
    pub(crate) fn room<T>(&self, part: Part, items: &mut Vec<T>, more: usize) -> bool {
        if items.capacity() - items.len() >= more {
            return true;
        }
        let capacity = (items.len() + more).max(layout::grown(items.capacity()));
        if self.reserve(part, layout::vec::<T>(capacity)).is_err() {
            return false;
        }
        let before = layout::vec::<T>(items.capacity());
        layout::regrow(items, capacity);
        self.release(part, before);
        true
    }

    /// Gives back what [`Ledger::reserve`] charged. Call it after the memory was freed.
    pub(crate) fn release(&self, part: Part, bytes: usize) {
        self.parts[part as usize].fetch_sub(bytes, Relaxed);
        // Before `live`: whoever takes what becomes free there finds it free here, too, and history keeps its quarter.
        self.used.fetch_sub(bytes, Relaxed);
        if part.is_live() {
            self.live.fetch_sub(bytes, Relaxed);
        }
    }
}

/// Adds `bytes` to `word` unless that passes `limit`; gives the new value.
fn raise(word: &AtomicUsize, bytes: usize, limit: usize) -> Result<usize, Full> {
    let mut now = word.load(Relaxed);
    loop {
        let next = now.checked_add(bytes).filter(|n| *n <= limit).ok_or(Full)?;
        match word.compare_exchange_weak(now, next, Relaxed, Relaxed) {
            Ok(_) => return Ok(next),
            Err(seen) => now = seen,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_refused_reservation_changes_nothing() {
        let ledger = Ledger::new(SMALLEST);
        let room = ledger.budget() - ledger.used();
        ledger.reserve(Part::History, room).unwrap();
        assert_eq!(ledger.reserve(Part::Series, 1), Err(Full));
        assert_eq!(ledger.used(), ledger.budget());
        assert_eq!(ledger.live.load(Relaxed), BASE);
        ledger.release(Part::History, room);
        assert_eq!(ledger.used(), BASE);
        assert_eq!(ledger.peak(), ledger.budget());
    }

    #[test]
    fn live_data_leave_a_quarter_to_history() {
        let ledger = Ledger::new(SMALLEST);
        assert_eq!(ledger.reserve(Part::Series, SMALLEST * 3 / 4), Err(Full));
        ledger
            .reserve(Part::Series, SMALLEST * 3 / 4 - BASE)
            .unwrap();
        ledger.reserve(Part::History, SMALLEST / 4).unwrap();
        assert_eq!(ledger.refused(), 1);
    }

    #[test]
    fn absurd_sizes_do_not_wrap() {
        let ledger = Ledger::new(SMALLEST);
        assert_eq!(ledger.reserve(Part::History, usize::MAX), Err(Full));
    }
}
