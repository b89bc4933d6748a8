//! The budget: every allocation that the store owns is reserved here before it is made.
//!
//! `used` is the sum of the layouts of everything that the store keeps, plus [`BASE`] for what has no single owner
//! (the store's own structs, a worker's bookkeeping, a lock's waiting list). It never exceeds `budget`: a reservation
//! that would is refused, and the caller degrades. Live data (cells, keys, caches) may take at most three quarters of
//! the budget without [`FIXED`], so that history always has room.
//!
//! The budget can change. What is free is one word: a reservation takes from it, a smaller budget takes from it, and
//! neither takes what is not there. So `used <= budget` at every instant, and a reservation that began under a larger
//! budget cannot end above a smaller one.

use crate::util::{
    fork, layout,
    sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex},
};
use std::sync::atomic::Ordering::Relaxed;

/// Charged once for the store's fixed parts.
pub(crate) const BASE: usize = 24 << 10;

/// The tick and alerts have about as much before anything is recorded: it is not shared out, or in a small store live
/// data and these would have all of it, and every other tick were lost.
pub(crate) const FIXED: usize = 32 << 10;

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
    /// Rules, their alerts, and events.
    Alerts,
    /// Collectors, but for what their closures hold.
    Collectors,
}

pub(crate) const PARTS: [Part; 10] = [
    Part::Series,
    Part::Names,
    Part::Index,
    Part::Pages,
    Part::Caches,
    Part::History,
    Part::Tick,
    Part::Queries,
    Part::Alerts,
    Part::Collectors,
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
            Part::Alerts => "alerts",
            Part::Collectors => "collectors",
        }
    }

    pub(crate) fn is_live(self) -> bool {
        !matches!(
            self,
            Part::History | Part::Tick | Part::Queries | Part::Alerts | Part::Collectors
        )
    }
}

/// The reservation was refused; nothing was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Bytes used and allowed. Reserving and releasing take no lock.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Written by [`Ledger::set_budget`] only, one at a time.
    budget: AtomicUsize,
    /// `budget` but for what is charged, [`BASE`] included. While the budget changes there may be less, never more.
    free: AtomicUsize,
    /// The charged part that live data take; `<= live_limit()`, unless the budget was lowered since.
    live: AtomicUsize,
    parts: [AtomicUsize; PARTS.len()],
    /// The most that was ever used, also under a larger budget. A reservation at the instant at which the budget is
    /// lowered may count what it is lowered by.
    peak: AtomicUsize,
    /// Reservations of live data that were refused, ever.
    refused: AtomicU64,
    /// The store is gone; what still counts here counts for nobody.
    closed: AtomicBool,
    /// Held while the budget changes, or is compared with what is free.
    changing: Mutex<()>,
}

impl Ledger {
    /// `budget` must be at least [`SMALLEST`]; the configuration sees to that.
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            budget: AtomicUsize::new(budget),
            free: AtomicUsize::new(budget.saturating_sub(BASE)),
            live: AtomicUsize::new(BASE),
            parts: std::array::from_fn(|_| AtomicUsize::new(0)),
            peak: AtomicUsize::new(BASE),
            refused: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            changing: Mutex::new(()),
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

    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.used_of().0
    }

    /// What is used of what budget, at one instant.
    pub(crate) fn used_of(&self) -> (usize, usize) {
        let _unchanged = fork::lock(&self.changing);
        let budget = self.budget();
        (budget.saturating_sub(self.free.load(Relaxed)), budget)
    }

    /// Changes the budget, which must be at least [`SMALLEST`]. Live data that have more than their share of a smaller one
    /// keep what they have, and get nothing until they have less.
    ///
    /// # Errors
    ///
    /// The bytes that are used, when those are more than `budget`; nothing has changed then.
    pub(crate) fn set_budget(&self, budget: usize) -> Result<(), usize> {
        let _changing = self.changing.lock();
        let before = self.budget();
        if let Some(less) = before.checked_sub(budget) {
            lower(&self.free, less).map_err(|free| before - free)?;
            self.budget.store(budget, Relaxed);
        } else {
            self.budget.store(budget, Relaxed);
            self.free.fetch_add(budget - before, Relaxed);
        }
        Ok(())
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// What live data may take at most.
    pub(crate) fn live_limit(&self) -> usize {
        Self::live_share(self.budget())
    }

    /// What live data take.
    pub(crate) fn live(&self) -> usize {
        self.live.load(Relaxed)
    }

    /// What live data may take of a budget.
    pub(crate) fn live_share(budget: usize) -> usize {
        let shared = budget.saturating_sub(FIXED);
        shared - shared / 4
    }

    /// The smallest budget of which live data may take as much as `live`.
    pub(crate) fn least_budget(live: usize) -> usize {
        // Rounded up, a little more than that has a quarter left.
        live + live / 3 + 4 + FIXED
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

    /// What alerts may take at most.
    fn alert_limit(&self) -> usize {
        self.budget() / 8
    }

    /// Bytes that are neither used nor taken by running questions, which give theirs back by themselves.
    pub(crate) fn free(&self) -> usize {
        self.free.load(Relaxed) + self.part(Part::Queries)
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
        if part == Part::Alerts && self.part(part).saturating_add(bytes) > self.alert_limit() {
            return Err(Full);
        }
        if part.is_live() && raise(&self.live, bytes, self.live_limit()).is_err() {
            self.refused.fetch_add(1, Relaxed);
            return Err(Full);
        }
        let budget = self.budget();
        let Ok(free) = lower(&self.free, bytes) else {
            if part.is_live() {
                self.live.fetch_sub(bytes, Relaxed);
                self.refused.fetch_add(1, Relaxed);
            }
            return Err(Full);
        };
        self.peak.fetch_max(budget.saturating_sub(free), Relaxed);
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
        self.free.fetch_add(bytes, Relaxed);
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

/// Takes `bytes` from `word` and gives what is left, or gives what there is, which is less.
fn lower(word: &AtomicUsize, bytes: usize) -> Result<usize, usize> {
    let mut now = word.load(Relaxed);
    loop {
        let next = now.checked_sub(bytes).ok_or(now)?;
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
        let most = (SMALLEST - FIXED) / 4 * 3;
        assert_eq!(ledger.reserve(Part::Series, most), Err(Full));
        ledger.reserve(Part::Series, most - BASE).unwrap();
        ledger.reserve(Part::History, SMALLEST - most).unwrap();
        assert_eq!(ledger.refused(), 1);
    }

    #[test]
    fn a_budget_is_not_lowered_below_what_is_used() {
        let ledger = Ledger::new(2 * SMALLEST);
        ledger.reserve(Part::History, SMALLEST).unwrap();
        assert_eq!(ledger.set_budget(SMALLEST), Err(BASE + SMALLEST));
        assert_eq!(ledger.used_of(), (BASE + SMALLEST, 2 * SMALLEST));
        ledger.set_budget(BASE + SMALLEST).unwrap();
        assert_eq!(ledger.used_of(), (BASE + SMALLEST, BASE + SMALLEST));
        assert_eq!(ledger.reserve(Part::History, 1), Err(Full));
        ledger.release(Part::History, SMALLEST);
        assert_eq!((ledger.used(), ledger.free()), (BASE, SMALLEST));
    }

    #[test]
    fn a_larger_budget_has_more_room_for_all() {
        let ledger = Ledger::new(SMALLEST);
        ledger.reserve(Part::History, SMALLEST - BASE).unwrap();
        assert_eq!(ledger.live_room(), (SMALLEST - FIXED) / 4 * 3 - BASE);
        ledger.set_budget(4 * SMALLEST).unwrap();
        assert_eq!(ledger.used_of(), (SMALLEST, 4 * SMALLEST));
        assert_eq!(ledger.free(), 3 * SMALLEST);
        assert_eq!(ledger.live_room(), (4 * SMALLEST - FIXED) / 4 * 3 - BASE);
        ledger.reserve(Part::History, 3 * SMALLEST).unwrap();
        assert_eq!(ledger.peak(), 4 * SMALLEST);
    }

    #[test]
    fn live_data_above_their_share_of_a_smaller_budget_stay_and_do_not_grow() {
        let ledger = Ledger::new(4 * SMALLEST);
        let bytes = 2 * SMALLEST;
        ledger.reserve(Part::Series, bytes).unwrap();
        ledger.set_budget(bytes + BASE).unwrap();
        assert_eq!(ledger.live_room(), 0);
        assert_eq!(ledger.reserve(Part::Series, 1), Err(Full));
        ledger.release(Part::Series, bytes);
        assert_eq!(ledger.live_room(), ledger.live_limit() - BASE);
    }

    /// Whatever a reservation saw of the budget before it changed.
    #[test]
    fn no_instant_has_more_used_than_the_budget() {
        let ledger = Ledger::new(SMALLEST);
        std::thread::scope(|threads| {
            for step in [1_000, 7_000] {
                let ledger = &ledger;
                threads.spawn(move || {
                    for _ in 0..20_000 {
                        if ledger.reserve(Part::History, step).is_ok() {
                            ledger.release(Part::History, step);
                        }
                    }
                });
            }
            for n in 0..20_000 {
                let most = BASE + n % 9_000;
                if let Err(used) = ledger.set_budget(most) {
                    assert!(used > most);
                }
                let (used, budget) = ledger.used_of();
                assert!((BASE..=budget).contains(&used), "{used} of {budget}");
            }
        });
        assert_eq!(ledger.used(), BASE);
        assert_eq!(ledger.part(Part::History), 0);
    }

    #[test]
    fn absurd_sizes_do_not_wrap() {
        let ledger = Ledger::new(SMALLEST);
        assert_eq!(ledger.reserve(Part::History, usize::MAX), Err(Full));
    }
}
