//! Extremes: the least and the greatest value that was recorded since the last tick.
//!
//! A thread with a part of its own is that part's single writer, and stores; all others have one part together, where only
//! an atomic operation loses nothing. The tick takes what is there. A value that is recorded at the same time goes to this
//! tick or to the next.

use crate::util::sync::{AtomicI64, Order, order};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The single writer raises `highest`.
///
/// ORDERING: the bucket is visible before its news: no tick shows an extreme that it has not counted. Partner:
/// [`NEWS_TAKEN`].
pub(crate) const OWNED_NEWS: Order = order("OWNED_NEWS", Release);

/// Any thread raises `highest` of the shared part.
///
/// ORDERING: as [`OWNED_NEWS`].
pub(crate) const SHARED_NEWS: Order = order("SHARED_NEWS", Release);

/// The tick takes `highest`.
///
/// ORDERING: partner of [`OWNED_NEWS`] and [`SHARED_NEWS`].
pub(crate) const NEWS_TAKEN: Order = order("NEWS_TAKEN", Acquire);

/// Smallest and greatest value since the last tick, as integers of the same order.
#[derive(Debug)]
pub(crate) struct Extremes {
    lowest: AtomicI64,
    highest: AtomicI64,
}

impl Default for Extremes {
    fn default() -> Self {
        Self {
            lowest: AtomicI64::new(i64::MAX),
            highest: AtomicI64::new(i64::MIN),
        }
    }
}

impl Extremes {
    /// The single writer's way. `highest` goes last: it is what tells the tick that there is something new.
    #[inline]
    pub(crate) fn stretch_owned(&self, key: i64) {
        if key < self.lowest.load(Relaxed) {
            self.lowest.store(key, Relaxed);
        }
        if key > self.highest.load(Relaxed) {
            self.highest.store(key, OWNED_NEWS);
        }
    }

    #[inline]
    pub(crate) fn stretch(&self, key: i64) {
        if key < self.lowest.load(Relaxed) {
            self.lowest.fetch_min(key, Relaxed);
        }
        if key > self.highest.load(Relaxed) {
            self.highest.fetch_max(key, SHARED_NEWS);
        }
    }

    /// There is a greatest value: the last that a record writes.
    #[inline]
    pub(crate) fn is_touched(&self) -> bool {
        self.highest.load(Relaxed) != i64::MIN
    }

    /// A record under way may have written the one and not yet the other.
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.is_touched() || self.lowest.load(Relaxed) != i64::MAX
    }

    /// Keys of the least and the greatest value; [`i64::MAX`] and [`i64::MIN`]: none. There may be one without the other.
    pub(crate) fn take(&self) -> (i64, i64) {
        let highest = self.highest.swap(i64::MIN, NEWS_TAKEN);
        (self.lowest.swap(i64::MAX, Relaxed), highest)
    }
}

/// The keys of what [`Extremes::take`] has taken that are there.
pub(crate) fn keys(lowest: i64, highest: i64) -> impl Iterator<Item = i64> {
    let lowest = Some(lowest).filter(|key| *key != i64::MAX);
    let highest = Some(highest).filter(|key| *key != i64::MIN);
    lowest.into_iter().chain(highest)
}
