//! The watches of a store: asked once more after each tick.

use super::core::Core;
use crate::{
    ledger::{Ledger, Part},
    query::{Watch, Watched},
};
use parking_lot::Mutex;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// All watches of a store.
#[derive(Default)]
pub(crate) struct Watches {
    list: Mutex<Vec<Arc<Watched>>>,
    /// One tick asks at a time, so that no older answer comes after a newer one.
    turn: Mutex<()>,
}

impl Watches {
    /// False: no room.
    fn add(&self, watch: &Watch, ledger: &Ledger) -> bool {
        let mut list = self.list.lock();
        list.retain(Watched::is_wanted);
        let has_room = ledger.room(Part::Queries, &mut list, 1);
        if has_room {
            list.push(watch.watched().clone());
        }
        has_room
    }

    /// The watch at this place; those that nobody wants are dropped on the way.
    fn next(&self, at: usize) -> Option<Arc<Watched>> {
        let mut list = self.list.lock();
        loop {
            let watched = list.get(at)?;
            if watched.is_wanted() {
                return Some(watched.clone());
            }
            list.swap_remove(at);
        }
    }
}

impl Core {
    /// Adds a watch, with its first value: before it is in the list, so that no tick's answer is replaced by it.
    pub(super) fn keep_watch(&self, watch: &Watch) {
        if !watch.watched().is_sound() {
            return;
        }
        watch.watched().update(self);
        if !self.watches.add(watch, &self.live.ledger) {
            watch.watched().void();
            self.counts.refused_questions.add(1);
        }
    }

    /// Asks all watches once more. The engine's lock is not held, and no other of theirs while one is asked: they may come and
    /// go meanwhile.
    pub(super) fn update_watches(&self) {
        let _turn = self.watches.turn.lock();
        let mut at = 0;
        while let Some(watched) = self.watches.next(at) {
            // One that panics stays without a value, and stops no other.
            if catch_unwind(AssertUnwindSafe(|| watched.update(self))).is_err() {
                watched.void();
                self.counts.panicked.add(1);
            }
            at += 1;
        }
    }
}
