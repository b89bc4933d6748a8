//! What all series of one name and kind share.

use crate::{
    ledger::{Ledger, Part},
    model::{frame::SeriesId, schema::Schema},
    util::{
        layout,
        sync::{Arc, AtomicBool, AtomicU64, Mutex},
    },
};
use metrics::Key;
use std::sync::atomic::Ordering::Relaxed;

/// One metric: a name of one kind. Lives as long as the store, or a handle of one of its series.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) text: Box<str>,
    /// Address of the text that the first macro gave, if that text is static; else 0. A key whose name stands at this
    /// address has this name, without looking.
    address: usize,
    pub(crate) schema: &'static Schema,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) members: Mutex<Members>,
    /// What counters had that were evicted and forgotten: part of the name's total for ever.
    pub(crate) retired: AtomicU64,
    /// Hand-outs that went to the overflow series instead of one of their own.
    pub(crate) denied: AtomicU64,
    /// The overflow series exists from the start; it counts as one from its first use.
    overflow_used: AtomicBool,
    /// Values that are not numbers, or infinite where that has no meaning.
    pub(crate) odd: AtomicU64,
}

/// Series of a name, in no order.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// [`HOLE`] where a series was forgotten.
    ids: Vec<SeriesId>,
    holes: usize,
    /// Where the search for the next hole starts.
    cursor: usize,
    /// How many members are live, that is, have cells; the overflow series does not count.
    pub(crate) live: usize,
}

/// Not the id of any series: the registry never fills the last place of the last shard.
const HOLE: SeriesId = SeriesId::MAX;

impl Name {
    pub(crate) fn new(key: &Key, schema: &'static Schema, ledger: Arc<Ledger>) -> Self {
        let text: std::borrow::Cow<'static, str> = key.name_shared().into();
        let address = match &text {
            std::borrow::Cow::Borrowed(text) => text.as_ptr().addr(),
            std::borrow::Cow::Owned(_) => 0,
        };
        Self {
            text: text.into(),
            address,
            schema,
            ledger,
            members: Mutex::default(),
            retired: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            overflow_used: AtomicBool::new(false),
            odd: AtomicU64::new(0),
        }
    }

    /// Bytes that [`Name::new`] allocates, its `Arc` included.
    pub(crate) fn bytes(text: &str) -> usize {
        layout::arc::<Self>() + text.len()
    }

    /// The address to compare a key's name with, when that is enough; else 0.
    pub(crate) fn address_in(&self, key: &Key) -> usize {
        let given = key.name();
        let same = given.as_ptr().addr() == self.address && given.len() == self.text.len();
        if same { self.address } else { 0 }
    }

    /// The overflow series is handed out.
    pub(crate) fn use_overflow(&self) {
        if !self.overflow_used.load(Relaxed) {
            self.overflow_used.store(true, Relaxed);
        }
    }

    /// Whether a series with these labels is the overflow series before its first use: nothing that answers show.
    pub(crate) fn hides(&self, labels: &[u8]) -> bool {
        labels == super::key::OVERFLOW && !self.overflow_used.load(Relaxed)
    }

    /// The name of the kind's own overflow series.
    pub(crate) fn is_spare(&self) -> bool {
        *self.text == *super::registry::NAMELESS
    }

    pub(crate) fn count_odd(&self) {
        self.odd.fetch_add(1, Relaxed);
    }
}

impl Members {
    /// Bytes that one more member needs, to be reserved before [`Members::add`]; 0 when there is room.
    pub(crate) fn growth(&self) -> usize {
        if self.holes > 0 || self.ids.len() < self.ids.capacity() {
            return 0;
        }
        layout::vec::<SeriesId>(layout::grown(self.ids.capacity()))
    }

    /// Adds a member and gives its place.
    pub(crate) fn add(&mut self, id: SeriesId, ledger: &Ledger) -> u32 {
        let full = self.ids.len() == self.ids.capacity();
        if let Some(hole) = self.hole().filter(|_| full) {
            self.holes -= 1;
            self.cursor = hole + 1;
            self.ids[hole] = id;
            return u32::try_from(hole).unwrap_or(u32::MAX);
        }
        if full {
            let before = layout::vec::<SeriesId>(self.ids.capacity());
            let capacity = layout::grown(self.ids.capacity());
            layout::regrow(&mut self.ids, capacity);
            ledger.release(Part::Index, before);
        }
        self.ids.push(id);
        u32::try_from(self.ids.len() - 1).unwrap_or(u32::MAX)
    }

    fn hole(&self) -> Option<usize> {
        if self.holes == 0 {
            return None;
        }
        let from = self.cursor.min(self.ids.len());
        let find = |ids: &[SeriesId]| ids.iter().position(|id| *id == HOLE);
        let after = find(self.ids.get(from..)?).map(|at| at + from);
        after.or_else(|| find(self.ids.get(..from)?))
    }

    /// Takes the member at `place` out.
    pub(crate) fn remove(&mut self, place: u32) {
        if let Some(id) = self.ids.get_mut(place as usize) {
            *id = HOLE;
            self.holes += 1;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len() - self.holes
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = SeriesId> {
        self.ids.iter().copied().filter(|id| *id != HOLE)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ledger::SMALLEST;

    #[test]
    fn holes_are_filled_before_the_list_grows() {
        let ledger = Ledger::new(SMALLEST);
        let mut members = Members::default();
        for id in 0..8 {
            ledger.reserve(Part::Index, members.growth()).unwrap();
            assert_eq!(members.add(id, &ledger), id);
        }
        assert!(members.growth() > 0);
        members.remove(3);
        members.remove(5);
        assert_eq!((members.growth(), members.len()), (0, 6));
        assert_eq!(members.add(100, &ledger), 3);
        assert_eq!(members.add(101, &ledger), 5);
        assert!(members.growth() > 0);
        let ids: Vec<SeriesId> = members.iter().collect();
        assert_eq!(ids, [0, 1, 2, 100, 4, 101, 6, 7]);
        assert_eq!(ledger.part(Part::Index), 8 * size_of::<SeriesId>());
    }
}
