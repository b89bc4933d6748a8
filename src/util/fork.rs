//! Locks in a child after a fork: what threads of the parent held at that instant, nobody in the child ever opens.
//!
//! A fork copies all memory, and of the threads only the one that forks. So a child waits for no lock for ever, where
//! recordings, questions and ticks need it: it tries for a while, and goes without. A process that was not forked seldom
//! looks for its id: only who finds a lock taken does, and who is to say what is out of reach.

use super::sync::{Mutex, MutexGuard};
use std::{
    cell::Cell,
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// The process that first had a store, and that its threads are in; 0: none yet.
static HOME: AtomicU32 = AtomicU32::new(0);

/// How often a lock was given up: ever, and until one and two turns ago.
static GIVEN_UP: AtomicU64 = AtomicU64::new(0);
static LAST_TURN: AtomicU64 = AtomicU64::new(0);
static TURN_BEFORE: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// How often this thread gave up a lock.
    static MISSED: Cell<u32> = const { Cell::new(0) };
}

/// Where the locks are that were given up last: one look is enough for them. 0: nowhere.
static ABANDONED: [AtomicUsize; 8] = [const { AtomicUsize::new(0) }; 8];

/// How often a child tries before it gives up, each time with all others first. Locks are held for microseconds.
const TRIES: u32 = 2_000;

/// This process has a store.
pub(crate) fn settle() {
    let _ = HOME.compare_exchange(0, std::process::id(), Relaxed, Relaxed);
}

/// Whether this process was forked from one that had a store.
fn is_child() -> bool {
    HOME.load(Relaxed) != std::process::id()
}

/// How often a lock was given up in this process, of late: since the turn before the last one. Only children give up.
pub(crate) fn given_up() -> u64 {
    let before = TURN_BEFORE.load(Relaxed);
    let recent = GIVEN_UP.load(Relaxed).saturating_sub(before);
    if is_child() { recent } else { 0 }
}

/// Some minutes have passed, by the clock of some store. Of several stores each one's minutes count.
pub(crate) fn turn() {
    let last = LAST_TURN.swap(GIVEN_UP.load(Relaxed), Relaxed);
    TURN_BEFORE.store(last, Relaxed);
}

/// What `read` has seen; `None`: not all that it looked for, since a lock was in its way.
pub(crate) fn whole<T>(read: impl FnOnce() -> T) -> Option<T> {
    let (seen, is_whole) = looked(read);
    is_whole.then_some(seen)
}

/// What `act` gives, and whether no lock was in its way.
pub(crate) fn looked<T>(act: impl FnOnce() -> T) -> (T, bool) {
    let before = MISSED.get();
    let seen = act();
    (seen, MISSED.get() == before)
}

/// The lock, when it is open; `None`: a thread that was left behind holds it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    mutex.try_lock().or_else(|| wait(mutex))
}

#[cold]
#[inline(never)]
fn wait<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    if is_child() {
        return try_for_long(mutex);
    }
    Some(mutex.lock())
}

fn try_for_long<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    let place = std::ptr::from_ref(mutex).addr();
    let known = |at: &&AtomicUsize| at.load(Relaxed) == place;
    let is_abandoned = ABANDONED.iter().find(known);
    // What was given up once may have been somebody's who is here, and slow.
    let tries = if is_abandoned.is_some() { 1 } else { TRIES };
    for _ in 0..tries {
        std::thread::yield_now();
        if let Some(guard) = mutex.try_lock() {
            if let Some(at) = is_abandoned {
                at.store(0, Relaxed);
            }
            return Some(guard);
        }
    }
    MISSED.set(MISSED.get().wrapping_add(1));
    let times = GIVEN_UP.fetch_add(1, Relaxed);
    if is_abandoned.is_none() {
        let empty = ABANDONED.iter().find(|at| at.load(Relaxed) == 0);
        let oldest = usize::try_from(times).unwrap_or(0) % ABANDONED.len();
        if let Some(at) = empty.or(ABANDONED.get(oldest)) {
            at.store(place, Relaxed);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_opens_is_given_up_and_found_again_when_it_is_open() {
        let mutex = Mutex::new(1);
        let left = mutex.lock();
        let before = GIVEN_UP.load(Relaxed);
        assert!(try_for_long(&mutex).is_none() && try_for_long(&mutex).is_none());
        assert!(GIVEN_UP.load(Relaxed) >= before + 2);
        drop(left);
        assert!(try_for_long(&mutex).is_some());
        let place = std::ptr::from_ref(&mutex).addr();
        assert!(ABANDONED.iter().all(|at| at.load(Relaxed) != place));
        // In the process itself it is waited for.
        settle();
        let mut held = lock(&mutex).expect("it is open");
        *held += 1;
        assert!(!is_child());
        assert_eq!(given_up(), 0, "this is no child");
    }
}
