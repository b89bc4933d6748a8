//! Which series have something to tell the next tick, so that it need not look at those that have not.
//!
//! There is a bit for each series. A thread that records sets it, but only once between two ticks: a cell remembers that it
//! has *told*. The tick takes the bits, has the cells of these series tell again, and reads them then.
//!
//! A record that finds that its cell has told does nothing more. The tick may just have read the cell, a moment before that
//! record became visible; so it looks once more, a tick later, at each series that had news. Whoever tells sets the bit
//! before and after the cell is marked: before, as another thread that sees the mark relies on the bit; after, as the tick
//! may have taken the first one in between.

use super::{
    ids::{SHARD_BITS, SHARDS},
    series::Kind,
    words::Words,
};
use crate::util::sync::{AtomicU64, Order, order};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Series of a shard whose bits are in one word, and which the tick visits together.
pub(crate) const CHUNK: usize = 64;

/// A cell has told the tick; else it has its pin there: see [`super::ids::pin_of`]. No pin is this one.
pub(crate) const TOLD: u32 = u32::MAX;

/// A series has news.
///
/// ORDERING: the record that is told is visible to who takes the bit. Partner: [`NEWS_READ`].
pub(crate) const NEWS_SET: Order = order("NEWS_SET", Release);

/// The tick takes the bits of some series.
///
/// ORDERING: partner of [`NEWS_SET`].
pub(crate) const NEWS_READ: Order = order("NEWS_READ", Acquire);

/// Bits of all series of a kind.
#[derive(Debug)]
pub(crate) struct News(Words<AtomicU64, FIRST>);

/// Words to begin with: one for each shard.
const FIRST: usize = SHARDS;

impl News {
    pub(crate) fn new() -> Self {
        Self(Words::new())
    }

    /// Word and bit of a pin.
    fn find(pin: u32) -> (usize, u64) {
        let (shard, at) = (pin as usize % SHARDS, pin as usize >> SHARD_BITS);
        (word(shard, at / CHUNK), 1 << (at % CHUNK))
    }

    /// Bytes to reserve so that a pin has a bit; 0 when it does.
    pub(crate) fn growth(&self, pin: u32) -> usize {
        self.0.growth(Self::find(pin).0)
    }

    /// Gives a pin its bit. False: another thread was faster, and the reserved bytes are to be given back.
    pub(crate) fn grow(&self, pin: u32) -> bool {
        self.0.grow(Self::find(pin).0)
    }

    pub(crate) fn set(&self, pin: u32) {
        let (word, bit) = Self::find(pin);
        if let Some(word) = self.0.get(word) {
            word.fetch_or(bit, NEWS_SET);
        }
    }

    /// Takes the bits of a chunk of a shard, that of the first place lowest.
    pub(crate) fn take(&self, shard: usize, chunk: usize) -> u64 {
        // Most have none, and nothing is written to them.
        if self.look(shard, chunk) == 0 {
            return 0;
        }
        let word = self.0.get(word(shard, chunk));
        word.map_or(0, |word| word.swap(0, NEWS_READ))
    }

    /// The bits of a chunk of a shard, which stay.
    pub(crate) fn look(&self, shard: usize, chunk: usize) -> u64 {
        let word = self.0.get(word(shard, chunk));
        word.map_or(0, |word| word.load(Relaxed))
    }
}

/// First chunks of all shards come first.
fn word(shard: usize, chunk: usize) -> usize {
    chunk << SHARD_BITS | shard
}

/// The cell has something new.
#[inline(always)]
pub(super) fn tell<K: Kind>(cell: &K::Cell) {
    if marks::look(K::told(cell)) != TOLD {
        tell_now::<K>(cell);
    }
}

#[cold]
#[inline(never)]
fn tell_now<K: Kind>(cell: &K::Cell) {
    let told = K::told(cell);
    let news = &K::series(cell).name.news;
    loop {
        let pin = told.load(Relaxed);
        if pin == TOLD {
            return;
        }
        news.set(pin);
        // Meanwhile the cell may have got another pin.
        if told.compare_exchange(pin, TOLD, Relaxed, Relaxed).is_ok() {
            news.set(pin);
            return;
        }
    }
}

/// The next record of the cell is to tell.
#[inline]
pub(super) fn unmark<K: Kind>(cell: &K::Cell, pin: u32) {
    marks::clear(K::told(cell), pin);
}

/// How marks are read and taken away.
#[cfg(not(loom))]
mod marks {
    use crate::util::sync::AtomicU32;
    use std::sync::atomic::Ordering::Relaxed;

    #[inline(always)]
    pub(super) fn look(told: &AtomicU32) -> u32 {
        told.load(Relaxed)
    }

    #[inline]
    pub(super) fn clear(told: &AtomicU32, pin: u32) {
        if told.load(Relaxed) != pin {
            told.store(pin, Relaxed);
        }
    }
}

/// A model may see an old mark for ever, and a tick an old count, where a processor shows them after some nanoseconds. So in models
/// both look at the newest mark.
#[cfg(loom)]
pub(super) mod marks {
    use crate::util::sync::{AtomicU32, Order, order};
    use std::sync::atomic::Ordering::{Acquire, Release};

    /// A record looks whether its cell has told.
    ///
    /// ORDERING: a record that finds a mark is seen by the tick that takes it away. Partner: [`UNMARKED`].
    pub(crate) const LOOKED: Order = order("LOOKED", Release);

    /// The tick has a cell tell again.
    ///
    /// ORDERING: partner of [`LOOKED`].
    pub(crate) const UNMARKED: Order = order("UNMARKED", Acquire);

    pub(in crate::live) fn look(told: &AtomicU32) -> u32 {
        told.fetch_add(0, LOOKED)
    }

    pub(in crate::live) fn clear(told: &AtomicU32, pin: u32) {
        told.swap(pin, UNMARKED);
    }
}

/// What the tick knows of a chunk of series that it does not visit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calm {
    /// Series to look at once more, whether they have news or not.
    pub(super) again: u64,
    /// Every tick has something to do with some of them, which have no cells.
    pub(super) is_busy: bool,
}

impl Calm {
    /// Of a chunk that is to be visited.
    pub(super) const UNKNOWN: Self = Self {
        again: 0,
        is_busy: true,
    };
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::live::ids::{id_of, pin_of};

    #[test]
    fn a_pin_has_its_bit_in_the_word_of_its_chunk() {
        let news = News::new();
        for (shard, at) in [(0, 0), (5, 63), (5, 64), (63, 1000)] {
            let pin = pin_of(id_of(shard, at, 1));
            assert!(news.growth(pin) == 0 || news.grow(pin));
            news.set(pin);
            assert_eq!(news.take(shard, at / CHUNK), 1 << (at % CHUNK));
            assert_eq!(news.take(shard, at / CHUNK), 0);
        }
    }
}
