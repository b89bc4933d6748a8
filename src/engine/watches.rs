//! The watches of a store: their answers move on with each tick.

use super::core::Core;
use crate::{
    ledger::{Ledger, Part},
    model::Timestamp,
    query::{Ask, Standings, Watch, Watched},
    util::{caught::caught, fork},
};
use parking_lot::Mutex;
use std::sync::Arc;

/// Watches that are named one by one when they panic.
const NAMED: usize = 3;

/// All watches of a store.
pub(crate) struct Watches {
    list: Mutex<Vec<Arc<Watched>>>,
    /// What moves on with the ticks. One of them asks at a time, so that no older answer comes after a newer one.
    kept: Mutex<Standings>,
}

impl Watches {
    pub(super) fn new(ledger: &Arc<Ledger>) -> Self {
        Self {
            list: Mutex::default(),
            kept: Mutex::new(Standings::new(ledger, Part::Queries)),
        }
    }

    /// False: no room.
    fn add(&self, watch: &Watch, ledger: &Ledger) -> bool {
        let Some(mut list) = fork::lock(&self.list) else {
            return false;
        };
        list.retain(Watched::is_wanted);
        let has_room = ledger.room(Part::Queries, &mut list, 1);
        if has_room {
            list.push(watch.watched().clone());
        }
        has_room
    }

    /// Some minutes have passed.
    pub(super) fn turn(&self) {
        let list = fork::lock(&self.list);
        let watches = list.iter().flat_map(|list| list.iter());
        watches.for_each(|watched| watched.panics.turn());
    }

    /// Watches that panic.
    pub(super) fn reasons(&self) -> Vec<String> {
        let list = fork::lock(&self.list);
        let list = list.iter().flat_map(|list| list.iter());
        let panicked = list.filter(|watched| watched.panics.recent() > 0);
        let reason = |watched: &Arc<Watched>| {
            let n = watched.panics.recent();
            format!(
                "the watch of {watched} panicked in {n} ticks and has no value, which is a mistake in this crate: please report it"
            )
        };
        panicked.take(NAMED).map(reason).collect()
    }

    /// The watch at this place; those that nobody wants are dropped on the way.
    fn next(&self, at: usize) -> Option<Arc<Watched>> {
        let mut list = fork::lock(&self.list)?;
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

    /// Brings all watches up to date. The engine's lock is not held, and no other of theirs while one is asked: they may come and
    /// go meanwhile.
    pub(super) fn update_watches(&self) {
        let Some(mut kept) = fork::lock(&self.watches.kept) else {
            return;
        };
        let now = self.timeline().last().map_or(0, |frame| frame.span.wall_ms);
        let now = Timestamp::from_millis(now);
        if caught(|| kept.begin(self, now)).is_err() {
            kept.clear();
        }
        let mut at = 0;
        while let Some(watched) = self.watches.next(at) {
            bring_up_to_date(&watched, self, &mut kept, now);
            at += 1;
        }
        kept.end();
    }
}

/// One that panics stays without a value, and stops no other.
fn bring_up_to_date(watched: &Watched, from: &dyn Ask, kept: &mut Standings, now: Timestamp) {
    if caught(|| watched.move_on(from, kept, now)).is_err() {
        watched.void();
        watched.panics.add(1);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, mins},
        config::Config,
        error::Error,
        model::MetricKind,
        query::{Aggregation, Counters, Found, Missing, Query, Selection, Sum},
    };

    /// A store with a mistake in it.
    struct Broken;

    impl Ask for Broken {
        fn knows(&self, _: MetricKind, _: &str) -> bool {
            true
        }

        fn find(&self, _: &Query) -> Result<Found, Missing> {
            panic!("a mistake")
        }

        fn find_each(&self, _: &Query) -> Result<Found, Missing> {
            panic!("a mistake")
        }

        fn sum(&self, _: &Query) -> Result<Option<Sum>, Missing> {
            panic!("a mistake")
        }

        fn refuse(&self) {}

        fn odd(&self, _: &Query) {}

        fn explain(&self, _: &Query, _: Missing) -> Error {
            panic!("a mistake")
        }

        fn reset(&self, _: &Query) -> Result<(), Error> {
            Ok(())
        }

        fn delete(&self, _: &Query) -> Result<(), Error> {
            Ok(())
        }

        fn watch(&self, _: &Query, _: Aggregation) -> Watch {
            panic!("a mistake")
        }

        fn covered(&self) -> Option<(Timestamp, Timestamp)> {
            None
        }
    }

    /// It counted as a tick that panicked, and nobody knew which watch it was.
    #[test]
    fn a_watch_that_panics_is_named_and_is_no_tick_that_panicked() {
        let (clock, _hands) = Clock::manual();
        let core =
            Core::new(Config::default().plan().expect("a plan"), clock, None).expect("a store");
        let ask = Selection::<Counters>::new(core.clone(), "orders").over(mins(1));
        let watch = ask.watch(Aggregation::Rate);
        for _ in 0..2 {
            let mut kept = Standings::new(&core.live.ledger, Part::Queries);
            let now = Timestamp::from_millis(0);
            bring_up_to_date(watch.watched(), &Broken, &mut kept, now);
        }
        assert_eq!(watch.get(), None);
        let reasons = core.watches.reasons();
        let [reason] = &*reasons else {
            panic!("{reasons:?}");
        };
        assert!(
            reason.contains("rate of `orders` panicked in 2 ticks"),
            "{reason}"
        );
        assert!(core.health().reasons().contains(reason));
        assert_eq!(core.counts.panicked.recent(), 0);
        core.watches.turn();
        core.watches.turn();
        assert!(core.watches.reasons().is_empty());
    }
}
