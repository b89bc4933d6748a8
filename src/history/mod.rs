//! What ticks have left behind: frames, oldest first, within the budget. One writer, the tick; readers share
//! immutable timelines.
//!
//! There is one tier today, that of the finest resolution. Retention and pressure drop whole frames, oldest first. A
//! frame stays charged until the last reader that holds it is gone.

mod merge;

use crate::{
    ledger::{Full, Ledger, Part},
    model::frame::{Draft, Frame, Span},
    util::{
        layout,
        sync::{Arc, Mutex, Weak},
    },
};

/// Bytes that are given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    ledger: Arc<Ledger>,
    part: Part,
    bytes: usize,
}

impl Charge {
    pub(crate) fn new(ledger: &Arc<Ledger>, part: Part, bytes: usize) -> Result<Self, Full> {
        ledger.reserve(part, bytes)?;
        Ok(Self {
            ledger: ledger.clone(),
            part,
            bytes,
        })
    }

    /// Takes over what was charged to another part.
    fn adopt(ledger: &Arc<Ledger>, from: Part, to: Part, bytes: usize) -> Self {
        ledger.hand_over(from, to, bytes);
        Self {
            ledger: ledger.clone(),
            part: to,
            bytes,
        }
    }

    /// Charges `bytes` more.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), Full> {
        self.ledger.reserve(self.part, bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back `bytes` of what it charges.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.ledger.release(self.part, bytes);
        self.bytes -= bytes;
    }

    /// Charges `bytes` for something that goes before this does.
    pub(crate) fn beside(&self, bytes: usize) -> Result<Self, Full> {
        Self::new(&self.ledger, self.part, bytes)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.release(self.part, self.bytes);
    }
}

/// A frame in history.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) frame: Frame,
    /// Number of its tick; ascending, not necessarily by one.
    pub(crate) tick: u64,
    /// For the columns and for this; last, so that it is given back after they are.
    charges: [Charge; 2],
}

impl Kept {
    fn bytes(&self) -> usize {
        self.charges.iter().map(|charge| charge.bytes).sum()
    }
}

/// A consistent view of history: whole frames only, which never change.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// Oldest first; each starts where the one before ends, or later if ticks were lost.
    pub(crate) frames: Box<[Arc<Kept>]>,
    /// Wall milliseconds at nanosecond 0 of the axis.
    pub(crate) wall_start_ms: i64,
    _charge: Charge,
}

impl Timeline {
    fn new(
        ledger: &Arc<Ledger>,
        wall_start_ms: i64,
        frames: impl ExactSizeIterator<Item = Arc<Kept>>,
    ) -> Result<Self, Full> {
        let bytes = layout::arc::<Self>() + layout::vec::<Arc<Kept>>(frames.len());
        Ok(Self {
            _charge: Charge::new(ledger, Part::History, bytes)?,
            frames: frames.collect(),
            wall_start_ms,
        })
    }

    pub(crate) fn last(&self) -> Option<&Frame> {
        self.frames.last().map(|kept| &kept.frame)
    }

    /// Nanoseconds of the axis that the frames cover.
    pub(crate) fn covered_ns(&self) -> u64 {
        let spans = self.frames.iter().map(|kept| kept.frame.span.duration_ns());
        spans.sum()
    }
}

/// What became of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// It is a frame of its own.
    Added,
    /// The clock had not moved: it is part of the newest frame.
    Merged,
    /// There was no room, not even without older frames.
    Lost,
}

/// The store of frames. The tick has it for itself; readers get at `published` only.
#[derive(Debug)]
pub(crate) struct History {
    ledger: Arc<Ledger>,
    current: Arc<Timeline>,
    published: Arc<Mutex<Arc<Timeline>>>,
    /// Earlier timelines that a reader may still hold, with their oldest tick.
    earlier: Vec<(u64, Weak<Timeline>)>,
    /// More readers hold earlier timelines than `earlier` remembers.
    crowded: bool,
    retention_ns: u64,
    /// Frames dropped for want of room before their time, ever.
    pub(crate) shortened: u64,
}

/// Timelines that readers may hold at once, for which the oldest tick is remembered.
const EARLIER: usize = 64;

impl History {
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        retention_ns: u64,
        wall_start_ms: i64,
    ) -> Result<Self, Full> {
        let current = Arc::new(Timeline::new(&ledger, wall_start_ms, std::iter::empty())?);
        ledger.reserve(Part::History, layout::vec::<(u64, Weak<Timeline>)>(EARLIER))?;
        Ok(Self {
            published: Arc::new(Mutex::new(current.clone())),
            current,
            ledger,
            earlier: Vec::with_capacity(EARLIER),
            crowded: false,
            retention_ns,
            shortened: 0,
        })
    }

    /// Where readers find the newest timeline.
    pub(crate) fn published(&self) -> Arc<Mutex<Arc<Timeline>>> {
        self.published.clone()
    }

    pub(crate) fn newest(&self) -> Option<&Frame> {
        self.current.last()
    }

    /// The oldest tick that anybody can still see; `None`: nobody sees any.
    pub(crate) fn oldest_tick(&mut self) -> Option<u64> {
        self.earlier
            .retain(|(_, timeline)| timeline.strong_count() > 0);
        if self.crowded {
            self.crowded = !self.earlier.is_empty();
            return Some(0);
        }
        let held = self.earlier.iter().map(|(tick, _)| *tick);
        let current = self.current.frames.first().map(|kept| kept.tick);
        held.chain(current).min()
    }

    /// Adds what the tick gathered; frames beyond their retention go.
    pub(crate) fn commit(&mut self, draft: &mut Draft, span: Span, tick: u64) -> Commit {
        let newest = self.newest().map(|frame| frame.span);
        if newest.is_none_or(|newest| newest.end_ns != span.end_ns) {
            self.expire(span.end_ns);
            return if self.append(draft, span, tick) {
                Commit::Added
            } else {
                Commit::Lost
            };
        }
        // Without room for the union, the rest of the newest frame is a frame of its own, of no length.
        if draft.frame_bytes() == 0 || self.merge(draft, tick) || self.append(draft, span, tick) {
            Commit::Merged
        } else {
            Commit::Lost
        }
    }

    /// Adds a frame. Without room for a copy the draft's own columns become it.
    fn append(&mut self, draft: &mut Draft, span: Span, tick: u64) -> bool {
        let Some(own) = self.charge(layout::arc::<Kept>()) else {
            return false;
        };
        let copy = Charge::new(&self.ledger, Part::History, draft.frame_bytes());
        let (frame, columns) = if let Ok(charge) = copy {
            (draft.frame(span), charge)
        } else {
            let bytes = draft.bytes_held();
            let frame = draft.take_frame(span);
            let charge = Charge::adopt(&self.ledger, Part::Tick, Part::History, bytes);
            (frame, charge)
        };
        let kept = Arc::new(Kept {
            frame,
            tick,
            charges: [columns, own],
        });
        self.push(&kept, 0)
    }

    /// The clock stands still: the draft joins the newest frame. False: no room, and nothing was done.
    fn merge(&mut self, draft: &Draft, tick: u64) -> bool {
        let Some(newest) = self.current.frames.last().cloned() else {
            return false;
        };
        let columns = newest.frame.bytes() + draft.frame_bytes();
        // Both, their sum, and its copy exist at once for a moment; buckets are unpacked one histogram at a time.
        // No frame is dropped for that: whoever ticks often must not pay with history.
        let room = |bytes| Charge::new(&self.ledger, Part::History, bytes).ok();
        let Some(scratch) = room(columns + merge::unpacked(&newest.frame, draft)) else {
            return false;
        };
        let merged = merge::merge(&newest.frame, draft);
        let columns = room(merged.frame_bytes());
        let (Some(columns), Some(own)) = (columns, room(layout::arc::<Kept>())) else {
            return false;
        };
        let kept = Arc::new(Kept {
            frame: merged.frame(newest.frame.span),
            tick,
            charges: [columns, own],
        });
        drop((merged, scratch, newest));
        self.push(&kept, 1)
    }

    /// Appends a frame in place of the newest `replaced` ones.
    fn push(&mut self, kept: &Arc<Kept>, replaced: usize) -> bool {
        loop {
            let stay = self.current.frames.len().saturating_sub(replaced);
            let mut frames = Vec::new();
            let bytes = layout::vec::<Arc<Kept>>(stay + 1);
            let scratch = Charge::new(&self.ledger, Part::Tick, bytes);
            if scratch.is_ok() {
                frames.reserve_exact(stay + 1);
                frames.extend(self.current.frames.iter().take(stay).cloned());
                frames.push(kept.clone());
                let start = self.current.wall_start_ms;
                if let Ok(next) = Timeline::new(&self.ledger, start, frames.into_iter()) {
                    self.publish(next);
                    return true;
                }
            }
            drop(scratch);
            if !self.is_ours() || !self.shorten(1) {
                return false;
            }
        }
    }

    /// Reserves bytes for history, if need be by dropping its oldest frames.
    fn charge(&mut self, bytes: usize) -> Option<Charge> {
        loop {
            if let Ok(charge) = Charge::new(&self.ledger, Part::History, bytes) {
                return Some(charge);
            }
            let eighth = self.current.frames.len() / 8;
            if !self.is_ours() || !self.shorten(eighth.max(1)) {
                return None;
            }
        }
    }

    /// Whether dropping the oldest frame would free it: no reader holds this timeline, which is here and published, or an
    /// earlier one.
    fn is_ours(&self) -> bool {
        let oldest = self.current.frames.first();
        Arc::strong_count(&self.current) == 2
            && oldest.is_some_and(|kept| Arc::strong_count(kept) == 1)
    }

    /// Drops frames that have ended longer ago than the retention.
    fn expire(&mut self, now_ns: u64) {
        let limit = now_ns.saturating_sub(self.retention_ns);
        let old = |kept: &Arc<Kept>| kept.frame.span.end_ns <= limit && limit > 0;
        let count = self.current.frames.iter().take_while(|k| old(k)).count();
        if count > 0 {
            self.drop_oldest(count);
        }
    }

    /// Drops the oldest `count` frames before their time; false: there are none.
    fn shorten(&mut self, count: usize) -> bool {
        let count = count.min(self.current.frames.len());
        self.shortened += count as u64;
        count > 0 && self.drop_oldest(count)
    }

    /// Drops the oldest `count` frames; more, if there is no room for a timeline of all others, but no more than need be.
    fn drop_oldest(&mut self, count: usize) -> bool {
        let start = self.current.wall_start_ms;
        let mut stay = self.current.frames.len().saturating_sub(count);
        loop {
            let gone = self.current.frames.len() - stay;
            let rest = self.current.frames.iter().skip(gone).cloned();
            if let Ok(next) = Timeline::new(&self.ledger, start, rest) {
                self.shortened += gone.saturating_sub(count) as u64;
                self.publish(next);
                return true;
            }
            if stay == 0 {
                return false;
            }
            stay /= 2;
        }
    }

    fn publish(&mut self, next: Timeline) {
        let next = Arc::new(next);
        let before = std::mem::replace(&mut self.current, next.clone());
        *self.published.lock() = next;
        let oldest = before.frames.first().map_or(u64::MAX, |kept| kept.tick);
        if Arc::strong_count(&before) == 1 {
            return;
        }
        self.earlier
            .retain(|(_, timeline)| timeline.strong_count() > 0);
        if self.earlier.len() == EARLIER {
            // Too many readers to tell apart: until they are fewer, nothing is forgotten that any of them may see.
            self.crowded = true;
            return;
        }
        self.earlier.push((oldest, Arc::downgrade(&before)));
    }

    /// Drops the oldest frames until `free` bytes of the budget are unused, but never the newest. What a reader holds
    /// would not be freed, and stays; unless less than half is left of what there should be. Then readers are there all
    /// the time, and what is dropped is free when they are done.
    pub(crate) fn leave_free(&mut self, free: usize) {
        while self.ledger.free() < free && self.is_ours() {
            if !self.shorten_by(16) {
                break;
            }
        }
        let short = (free / 2).saturating_sub(self.ledger.free());
        if short > 0 {
            let mut bytes = 0;
            let oldest = self.current.frames.iter().take_while(|kept| {
                let before = bytes;
                bytes += kept.bytes();
                before < short
            });
            let count = oldest.count();
            self.shorten(count.min(self.current.frames.len().saturating_sub(1)));
        }
    }

    /// Drops the oldest frames, for the sake of series that only they still mention; never the newest.
    pub(crate) fn give_way(&mut self) {
        if self.is_ours() {
            self.shorten_by(8);
        }
    }

    /// Drops one in `part` of the frames, at least one, but not the newest; false: there is no other.
    fn shorten_by(&mut self, part: usize) -> bool {
        let frames = self.current.frames.len();
        self.shorten((frames / part).max(1).min(frames.saturating_sub(1)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
