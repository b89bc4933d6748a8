//! Lanes: what threads write that share a hot histogram through handles, each its own.
//!
//! The tick hangs lanes on a series whose shared part is written a lot. A thread takes a vacant one and keeps it under
//! the number of the series' heat; from then on it is the lane's single writer, as an owner is its cell's. When the
//! series has cooled down, the number is void, and nobody writes to its lanes any more. The tick keeps a lane, and
//! reads it, until it alone holds it; so the ledger is told of its end in time.

use super::{
    buckets::Receive,
    histogram::{Gathered, Owned},
    name::Name,
};
use crate::{
    ledger::{Ledger, Part},
    model::schema::Code,
    util::{
        layout,
        sync::{Arc, AtomicBool, AtomicU32, AtomicU64, Mutex, MutexGuard},
    },
};
use std::sync::atomic::Ordering::Relaxed;

/// A shared part that counts this much in a tick is hot.
pub(crate) const HOT: u64 = 1 << 16;

/// A series that counts less than this in a tick is calm, and after so many calm ticks it has cooled down.
const WARM: u64 = HOT / 16;
const CALM_TICKS: u32 = if cfg!(loom) { 1 } else { 60 };

/// Lanes make recording faster, no more: this part of what live data may have is left to what else is recorded.
const SPARED: usize = 8;

/// Lanes of a series at most.
const MOST: usize = 64;

/// Slots of a thread; a power of two. Heats are numbered one by one, so few meet in a slot.
const SLOTS: usize = if cfg!(loom) { 2 } else { 16 };

/// Heat of a series that is not hot.
const NONE: u64 = 0;

/// A single writer's part of a series.
#[derive(Debug, Default)]
pub(crate) struct LaneCell {
    owned: Owned,
    /// Nobody will find it any more; its thread may forget it.
    void: AtomicBool,
}

/// The lanes of a series, once it was hot.
#[derive(Debug)]
pub(crate) struct Lanes {
    /// Number of the heat, never reused by any series of any store; [`NONE`]: cooled down.
    heat: AtomicU64,
    /// Lanes that a thread may take: whether it is worth to try the lock.
    vacant: AtomicU32,
    hung: Mutex<Hung>,
}

/// Locked by the tick for as long as it reads the lanes; only tried by threads that want one.
#[derive(Debug)]
pub(crate) struct Hung {
    lanes: Vec<Lane>,
    /// Calm ticks in a row.
    calm: u32,
}

#[derive(Debug)]
struct Lane {
    cell: Arc<LaneCell>,
    /// Once and for all: a lane that its thread has left is not taken again.
    taken: bool,
}

/// What was counted through the shared part and through lanes since the last tick.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) shared: u64,
    pub(crate) lanes: u64,
}

impl Lanes {
    /// Bytes to reserve before [`Lanes::new`].
    pub(crate) const BYTES: usize = size_of::<Self>();

    pub(crate) fn new() -> Self {
        Self {
            heat: AtomicU64::new(NONE),
            vacant: AtomicU32::new(0),
            hung: Mutex::new(Hung {
                lanes: Vec::new(),
                calm: 0,
            }),
        }
    }

    /// Whether lanes may be hung. Asked before the ledger is: it counts what it refuses, and series are evicted for that.
    pub(crate) fn have_room(ledger: &Ledger) -> bool {
        ledger.live_room() >= ledger.live_limit() / SPARED
    }

    /// For the tick.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Hung> {
        self.hung.lock()
    }

    /// A lane for the calling thread, and the heat that it belongs to.
    #[cold]
    fn take(&self) -> Option<(u64, Arc<LaneCell>)> {
        let mut hung = self.hung.try_lock()?;
        let heat = self.heat.load(Relaxed);
        let lane = hung.lanes.iter_mut().find(|lane| !lane.taken)?;
        if heat == NONE {
            return None;
        }
        lane.taken = true;
        self.vacant.fetch_sub(1, Relaxed);
        Some((heat, lane.cell.clone()))
    }

    /// After each tick: hangs lanes where the shared part is hot, and gives them back where nothing is.
    pub(crate) fn tend(&self, hung: &mut Hung, traffic: Traffic, ledger: &Ledger) {
        if traffic.shared >= HOT {
            hung.calm = 0;
            self.hang(hung, ledger);
        } else if traffic.shared + traffic.lanes >= WARM {
            hung.calm = 0;
        } else if hung.lanes.capacity() > 0 {
            hung.calm = hung.calm.saturating_add(1);
            if hung.calm >= CALM_TICKS {
                self.cool(hung, ledger);
            }
        }
    }

    /// As many lanes as there are, so that a crowd has enough of them soon; none while some are vacant.
    fn hang(&self, hung: &mut Hung, ledger: &Ledger) {
        if !Self::have_room(ledger) || self.vacant.load(Relaxed) > 0 {
            return;
        }
        let there = hung.lanes.len();
        let all = (2 * there).clamp(1, MOST);
        for _ in there..all {
            if !hung.add(ledger) {
                break;
            }
            self.vacant.fetch_add(1, Relaxed);
        }
        if self.heat.load(Relaxed) == NONE && hung.lanes.len() > there {
            self.heat.store(next_heat(), Relaxed);
        }
    }

    /// Nobody writes to the lanes from now on, but for who is about to. Vacant ones go at once, the others when their
    /// threads have forgotten them.
    pub(crate) fn cool(&self, hung: &mut Hung, ledger: &Ledger) {
        self.heat.store(NONE, Relaxed);
        self.vacant.store(0, Relaxed);
        let before = hung.lanes.len();
        hung.lanes.retain(|lane| lane.taken);
        // Nobody has written to a vacant lane, so nothing hangs on it.
        let gone = (before - hung.lanes.len()) * layout::arc::<LaneCell>();
        ledger.release(Part::Pages, gone);
        if hung.lanes.is_empty() {
            let list = layout::vec::<Lane>(hung.lanes.capacity());
            hung.lanes = Vec::new();
            ledger.release(Part::Pages, list);
        }
        hung.lanes.iter().for_each(|lane| lane.cell.leave());
    }

    /// Bytes of everything that hangs here.
    pub(crate) fn bytes(&self) -> usize {
        Self::BYTES + self.hung.lock().bytes()
    }
}

impl Drop for Lanes {
    /// The series is gone, and with it every handle.
    fn drop(&mut self) {
        if let Some(hung) = self.hung.try_lock() {
            hung.lanes.iter().for_each(|lane| lane.cell.leave());
        }
    }
}

fn next_heat() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(NONE + 1);
    NEXT.fetch_add(1, Relaxed)
}

impl Hung {
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Whether there is something to gather, or a lane to give back.
    pub(crate) fn is_touched(&self) -> bool {
        self.lanes
            .iter()
            .any(|lane| lane.is_left() || lane.cell.owned.is_touched())
    }

    /// Hands over what was counted since the last time, and gives back lanes that their threads have left.
    pub(crate) fn gather(&mut self, to: &mut impl Receive, ledger: &Ledger) -> Gathered {
        let mut gathered = Gathered::default();
        let mut at = self.lanes.len();
        while at > 0 {
            at -= 1;
            let Some(lane) = self.lanes.get(at) else {
                continue;
            };
            if !lane.is_left() {
                gathered.add(lane.cell.gather(to));
                continue;
            }
            let lane = self.lanes.swap_remove(at);
            // Nobody else holds it, and so it has said its last word.
            match Arc::try_unwrap(lane.cell) {
                Ok(cell) => {
                    gathered.add(cell.gather(to));
                    let bytes = cell.bytes();
                    drop(cell);
                    ledger.release(Part::Pages, bytes);
                }
                Err(cell) => self.lanes.push(Lane { cell, taken: true }),
            }
        }
        gathered
    }

    /// One more vacant lane; false: no room.
    fn add(&mut self, ledger: &Ledger) -> bool {
        let bytes = layout::arc::<LaneCell>();
        if ledger.reserve(Part::Pages, bytes).is_err() {
            return false;
        }
        let before = self.lanes.capacity();
        if self.lanes.len() == before {
            let larger = (2 * before).max(1);
            if ledger
                .reserve(Part::Pages, layout::vec::<Lane>(larger))
                .is_err()
            {
                ledger.release(Part::Pages, bytes);
                return false;
            }
            layout::regrow(&mut self.lanes, larger);
            ledger.release(Part::Pages, layout::vec::<Lane>(before));
        }
        self.lanes.push(Lane {
            cell: Arc::new(LaneCell::default()),
            taken: false,
        });
        true
    }

    fn bytes(&self) -> usize {
        let lanes = self.lanes.iter().map(|lane| lane.cell.bytes());
        layout::vec::<Lane>(self.lanes.capacity()) + lanes.sum::<usize>()
    }
}

impl Lane {
    fn is_left(&self) -> bool {
        self.taken && Arc::strong_count(&self.cell) == 1
    }
}

impl LaneCell {
    /// The usual case, as [`Owned::record_one`].
    #[inline(always)]
    pub(crate) fn record_one(&self, code: Code, value: f64) -> bool {
        self.owned.record_one(code, value)
    }

    /// False: there is no room for the bucket's page, and nothing was done. The shared part may have that page, so the
    /// ledger is not asked in vain with every record.
    pub(crate) fn record(
        &self,
        name: &Name,
        code: Code,
        value: f64,
        count: u64,
        weight: f64,
    ) -> bool {
        let is_known = self.owned.buckets().find(code).is_some();
        (is_known || Lanes::have_room(&name.ledger))
            && self.owned.record_fine(name, code, value, count, weight)
    }

    fn gather(&self, to: &mut impl Receive) -> Gathered {
        let gathered = self.owned.gather();
        self.owned.buckets().drain(to);
        gathered
    }

    fn leave(&self) {
        self.void.store(true, Relaxed);
    }

    fn bytes(&self) -> usize {
        layout::arc::<Self>() + self.owned.buckets().bytes()
    }
}

/// The lanes that a thread has taken.
pub(crate) struct Taken {
    slots: [Slot; SLOTS],
}

struct Slot {
    heat: u64,
    lane: Option<Arc<LaneCell>>,
}

impl Taken {
    pub(crate) const fn new() -> Self {
        Self {
            slots: [const {
                Slot {
                    heat: NONE,
                    lane: None,
                }
            }; SLOTS],
        }
    }

    /// The thread's lane, if it has taken one.
    #[inline(always)]
    pub(crate) fn find(&self, lanes: &Lanes) -> Option<&LaneCell> {
        let heat = lanes.heat.load(Relaxed);
        let slot = self.slots.get(place_of(heat))?;
        if slot.heat != heat {
            return None;
        }
        slot.lane.as_deref()
    }

    /// As [`Taken::find`], and takes a vacant one if there is a slot for it. A slot is freed by the end of a heat only:
    /// series that meet in one would else take turns.
    pub(crate) fn find_or_take(&mut self, lanes: &Lanes) -> Option<&LaneCell> {
        if self.find(lanes).is_none() && lanes.vacant.load(Relaxed) > 0 {
            self.forget_void();
            let heat = lanes.heat.load(Relaxed);
            if self.slots.get(place_of(heat))?.lane.is_none() {
                let (heat, lane) = lanes.take()?;
                let slot = self.slots.get_mut(place_of(heat))?;
                // Another heat may have begun meanwhile; if its slot is full, the lane is left at once.
                if slot.lane.is_none() {
                    slot.lane = Some(lane);
                    slot.heat = heat;
                }
            }
        }
        self.find(lanes)
    }

    /// Lets go of lanes of series that have cooled down.
    pub(crate) fn forget_void(&mut self) {
        let is_void = |lane: &Arc<LaneCell>| lane.void.load(Relaxed);
        for slot in &mut self.slots {
            if slot.lane.as_ref().is_some_and(is_void) {
                slot.lane = None;
                slot.heat = NONE;
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "only the lowest bits count"
)]
#[inline(always)]
fn place_of(heat: u64) -> usize {
    heat as usize % SLOTS
}

#[cfg(all(test, not(loom)))]
mod tests;
