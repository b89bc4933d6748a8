//! What snapshots and frames outside of history may still mention: ids of series that must not be another's yet.

use crate::{
    history::Charge,
    ledger::{Ledger, Part},
    util::layout,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// From which ticks on there are frames outside of history.
#[derive(Debug)]
pub(crate) struct Holds {
    ledger: Arc<Ledger>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Tick and number of holds; ticks ascend.
    ticks: Vec<(u64, usize)>,
    /// Holds for which there was no room in the list: they may mention anything.
    others: usize,
}

/// As long as it lives, no id that a frame from its tick on mentions is given to another series.
#[derive(Debug)]
pub(crate) struct Hold {
    of: Arc<Holds>,
    /// `None`: it stands for all ticks.
    tick: Option<u64>,
    _charge: Option<Charge>,
}

impl Holds {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            ledger,
            held: Mutex::default(),
        }
    }

    /// For frames from `tick` on; `None`: for all series that there are.
    pub(crate) fn hold(self: &Arc<Self>, tick: Option<u64>) -> Arc<Hold> {
        // Without room for what is this small, the caller has it uncharged: the store owns none of it.
        let charge = Charge::new(&self.ledger, Part::Queries, layout::arc::<Hold>());
        let tick = self.held.lock().add(tick, &self.ledger);
        Arc::new(Hold {
            of: self.clone(),
            tick,
            _charge: charge.ok(),
        })
    }

    /// The oldest tick that is held.
    pub(crate) fn oldest(&self) -> Option<u64> {
        let held = self.held.lock();
        let first = held.ticks.first().map(|(tick, _)| *tick);
        if held.others > 0 { Some(0) } else { first }
    }
}

impl Held {
    fn add(&mut self, tick: Option<u64>, ledger: &Ledger) -> Option<u64> {
        let Some(wanted) = tick else {
            self.others += 1;
            return None;
        };
        match self.ticks.binary_search_by_key(&wanted, |(tick, _)| *tick) {
            Ok(at) => {
                if let Some((_, count)) = self.ticks.get_mut(at) {
                    *count += 1;
                }
                tick
            }
            Err(at) if ledger.room(Part::Queries, &mut self.ticks, 1) => {
                self.ticks.insert(at, (wanted, 1));
                tick
            }
            Err(_) => {
                self.others += 1;
                None
            }
        }
    }

    fn remove(&mut self, tick: Option<u64>) {
        let Some(tick) = tick else {
            self.others = self.others.saturating_sub(1);
            return;
        };
        let at = self.ticks.binary_search_by_key(&tick, |(tick, _)| *tick);
        let Ok(at) = at else { return };
        let Some((_, count)) = self.ticks.get_mut(at) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.ticks.remove(at);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.of.held.lock().remove(self.tick);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_tick_that_anything_is_held_of_counts() {
        let holds = Arc::new(Holds::new(Arc::new(Ledger::new(1 << 20))));
        assert_eq!(holds.oldest(), None);
        let (late, early, again) = (
            holds.hold(Some(7)),
            holds.hold(Some(3)),
            holds.hold(Some(3)),
        );
        let all = holds.hold(None);
        assert_eq!(holds.oldest(), Some(0));
        drop((all, early));
        assert_eq!(holds.oldest(), Some(3));
        drop(again);
        assert_eq!(holds.oldest(), Some(7));
        drop(late);
        assert_eq!(holds.oldest(), None);
    }
}
