//! What ticks have left behind, within the budget: frames, oldest first, and what they were sealed into. One writer, the
//! tick; readers share immutable timelines.
//!
//! New ticks are frames. When there are some tens of them, they are frozen, and encoded a slice per tick into one
//! segment; the same pass makes the points of the next coarser tier, which gathers them as frames and seals them in
//! turn. Retention and pressure drop whole segments, oldest first. What a reader holds stays charged until it is done.

mod axis;
mod bench;
mod charge;
mod frame;
mod issue;
mod merge;
mod reach;
mod room;
mod seal;
mod shelve;
#[cfg(test)]
mod stored;
mod timeline;

pub(crate) use self::{
    charge::Charge,
    frame::Frame,
    issue::Progress,
    reach::{Piece, Reach, Source},
    timeline::{Kept, Timeline},
};

use self::{
    bench::Bench,
    issue::Issue,
    seal::{Form, Sealing},
    timeline::{Archive, Shelved},
};
use crate::{
    ledger::{Full, Ledger, Part},
    model::frame::{CLASSES, Draft, Span},
    util::{
        layout,
        sync::{Arc, Mutex, Weak},
    },
};

/// What a tier aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tier {
    /// Length of a point; of the finest tier, of a tick.
    pub(crate) interval_ns: u64,
    /// How long each retention class is kept; 0: not in this tier.
    pub(crate) keep_ns: [u64; CLASSES],
    /// Scale of the histograms; at most that of the tier before.
    pub(crate) scale: u8,
}

impl Tier {
    fn form(&self) -> Form {
        Form {
            interval_ns: self.interval_ns,
            classes: self.classes_after(0),
            scale: self.scale,
        }
    }

    /// Bit `c`: class `c` is kept for longer than `age_ns`.
    fn classes_after(&self, age_ns: u64) -> u8 {
        let keeps = self.keep_ns.iter().enumerate();
        let kept = keeps.filter(|(_, keep)| **keep > age_ns);
        kept.fold(0, |classes, (class, _)| classes | 1 << class)
    }

    fn longest_ns(&self) -> u64 {
        self.keep_ns.iter().copied().max().unwrap_or(0)
    }

    /// Points of a segment, if there is room for so many frames: sixty, or a quarter of all.
    fn points(&self) -> usize {
        let all = self.longest_ns() / self.interval_ns.max(1);
        usize::try_from(all / 4).map_or(POINTS, |n| n.clamp(1, POINTS))
    }
}

/// The tiers as they work: what a class keeps in a coarser tier alone comes there by way of the tiers between, which
/// have it until their points are sealed.
fn handing_on(tiers: &[Tier]) -> Vec<Tier> {
    let mut tiers = tiers.to_vec();
    let mut coarser = [0; CLASSES];
    for tier in tiers.iter_mut().rev() {
        for (keep, coarser) in tier.keep_ns.iter_mut().zip(&mut coarser) {
            if *keep == 0 && *coarser > 0 {
                *keep = 1;
            }
            *coarser = *keep;
        }
    }
    tiers
}

/// Points of a segment at most, in the usual case; some more, if the next tier's points end there. More would take less
/// room as a segment, but much more until they are one.
const POINTS: usize = 120;
/// Points of a segment that the codecs take, with one to spare for what was before.
const MOST_POINTS: usize = 126;
/// Frames that wait to be sealed take at most this share of the budget,
const OPEN_SHARE: usize = 32;
/// or this one of what is to spare. Long segments take less room and less time for each point than short ones.
const SPARE_SHARE: usize = 4;
/// Ticks that the encoding of a coarse segment is spread over: its points come seldom, and no tick is to be held up.
const COARSE_SLICES: usize = 120;

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

/// What a point is made of.
#[derive(Clone, Copy, Debug)]
struct Made {
    span: Span,
    /// Number of its first tick.
    tick: u64,
    ticks: u32,
}

/// The store of history. The tick has it for itself; readers get at `published` only.
#[derive(Debug)]
pub(crate) struct History {
    ledger: Arc<Ledger>,
    /// Finest first.
    tiers: Vec<Tier>,
    current: Arc<Timeline>,
    published: Arc<Mutex<Arc<Timeline>>>,
    /// Earlier timelines that a reader may still hold, with their oldest tick.
    earlier: Vec<(u64, Weak<Timeline>)>,
    /// More readers hold earlier timelines than `earlier` remembers.
    crowded: bool,
    /// By tier.
    sealings: Vec<Option<Box<Sealing>>>,
    bench: Box<Bench>,
    /// By tier: points dropped for want of room before their time, ever.
    pub(crate) shortened: Vec<u64>,
    /// Frames that a segment has replaced, and that are to be let go of.
    leaving: Vec<Arc<Kept>>,
    /// The number of the last frame, or of the last that was lost.
    issued: u64,
    /// Bytes that only readers held when the last tick began, and of those, what they had held since the one before.
    doomed_before: usize,
    stuck: usize,
    /// Bytes of all lists of fixed length.
    lists: usize,
}

/// Timelines that readers may hold at once, for which the oldest tick is remembered.
const EARLIER: usize = 64;

impl History {
    /// `tiers`: finest first, at least one.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        tiers: &[Tier],
        wall_start_ms: i64,
    ) -> Result<Self, Full> {
        let tiers = handing_on(tiers);
        let n = tiers.len();
        let lists = Self::list_bytes(n);
        ledger.reserve(Part::History, lists)?;
        let bench = Bench::new(&ledger)?;
        let charge = Charge::new(&ledger, Part::History, Archive::bytes(n, 0, 0))?;
        let shelved = tiers.iter().map(|tier| Shelved {
            segments: Vec::new(),
            open: Vec::new(),
            open_bytes: 0,
            classes: tier.form().classes,
            scale: tier.scale,
        });
        let archive = Arc::new(Archive::empty(shelved, charge));
        let none = (0, Some(0));
        let current = Timeline::new(&ledger, wall_start_ms, archive, none, std::iter::empty())?;
        let current = Arc::new(current);
        let mut sealings = Vec::with_capacity(n);
        sealings.resize_with(n, || None);
        Ok(Self {
            published: Arc::new(Mutex::new(current.clone())),
            current,
            ledger,
            tiers,
            earlier: Vec::with_capacity(EARLIER),
            crowded: false,
            sealings,
            bench,
            shortened: vec![0; n],
            leaving: Vec::with_capacity(MOST_POINTS),
            issued: 0,
            doomed_before: 0,
            stuck: 0,
            lists,
        })
    }

    /// Where readers find the newest timeline.
    pub(crate) fn published(&self) -> Arc<Mutex<Arc<Timeline>>> {
        self.published.clone()
    }

    pub(crate) fn newest(&self) -> Option<&Frame> {
        self.current.last()
    }

    /// By class: the oldest tick in which anybody can still see a series of it; `None`: nobody sees any.
    pub(crate) fn oldest_ticks(&mut self) -> [Option<u64>; CLASSES] {
        self.earlier
            .retain(|(_, timeline)| timeline.strong_count() > 0);
        if self.crowded {
            self.crowded = !self.earlier.is_empty();
            return [Some(0); CLASSES];
        }
        let held = self.earlier.iter().map(|(tick, _)| *tick).min();
        std::array::from_fn(|class| {
            let own = self.current.oldest_tick_of(class);
            own.into_iter().chain(held).min()
        })
    }

    /// Adds what the tick gathered; segments beyond their retention go.
    pub(crate) fn commit(&mut self, draft: &mut Draft, span: Span, tick: u64) -> Commit {
        self.see_what_is_stuck();
        let newest = self.newest().map(|frame| frame.span);
        if newest.is_none_or(|newest| newest.end_ns != span.end_ns) {
            self.expire(span.end_ns);
            return if self.append(draft, span, tick) {
                Commit::Added
            } else {
                self.issued += 1;
                Commit::Lost
            };
        }
        // Without room for the union, the rest of the newest frame is a frame of its own, of no length.
        if draft.len_bytes() == 0 || self.merge(draft, tick) || self.append(draft, span, tick) {
            Commit::Merged
        } else {
            self.issued += 1;
            Commit::Lost
        }
    }

    /// Adds a frame. Without room for a copy the draft's own columns become it.
    fn append(&mut self, draft: &mut Draft, span: Span, tick: u64) -> bool {
        let Some(mut own) = self.charge(layout::arc::<Kept>() + Frame::SPARE) else {
            return false;
        };
        let spare = own.split(Frame::SPARE);
        let newest = self.current.frames.last().cloned();
        let before = newest.as_ref().map(|newest| &newest.frame);
        let copy = Frame::copy(&self.ledger, draft, span, before);
        let (frame, columns) = if let Ok(copy) = copy {
            drop(spare);
            copy
        } else {
            Frame::take(&self.ledger, draft, span, before, spare)
        };
        drop(newest);
        let kept = Arc::new(Kept {
            frame,
            tick,
            ticks: 1,
            issue: Issue::new(self.issued + 1),
            charges: [columns, own],
        });
        let is_done = self.push(&kept, 0);
        self.issued += u64::from(is_done);
        is_done
    }

    /// The clock stands still: the draft joins the newest frame. False: no room, and nothing was done.
    fn merge(&mut self, draft: &Draft, tick: u64) -> bool {
        let Some(newest) = self.current.frames.last().cloned() else {
            return false;
        };
        // No frame is dropped for that: whoever ticks often must not pay with history.
        let made_of = Made {
            span: newest.frame.span,
            tick,
            ticks: 1,
        };
        let issue = self.joined(&newest, draft, tick);
        let last = issue.last;
        let Ok(merged) = self.merged(&newest, draft, 1, made_of, issue) else {
            newest.issue.reopen();
            return false;
        };
        drop(newest);
        let is_done = self.push(&merged, 1);
        if is_done {
            self.issued = self.issued.max(last);
        } else if let Some(newest) = self.current.frames.last() {
            newest.issue.reopen();
        }
        is_done
    }

    /// A point, and what comes in `ticks` more ticks, as one.
    fn merged(
        &self,
        first: &Kept,
        then: &Draft,
        ticks: u32,
        made: Made,
        issue: Issue,
    ) -> Result<Arc<Kept>, Full> {
        let room = |bytes| Charge::new(&self.ledger, Part::History, bytes);
        // Both, their sum, and its copy exist at once for a moment; buckets are unpacked one histogram at a time.
        let scratch = room(merge::most_bytes(&first.frame, then))?;
        let merged = merge::merge(&first.frame, then, (first.ticks, ticks));
        let own = room(layout::arc::<Kept>())?;
        let (frame, columns) = Frame::copy(&self.ledger, &merged, made.span, Some(&first.frame))?;
        let kept = Arc::new(Kept {
            frame,
            tick: made.tick,
            ticks: made.ticks,
            issue,
            charges: [columns, own],
        });
        drop((merged, scratch));
        Ok(kept)
    }

    /// Appends a frame in place of the newest `replaced` ones.
    fn push(&mut self, kept: &Arc<Kept>, replaced: usize) -> bool {
        loop {
            let stay = self.current.frames.len().saturating_sub(replaced);
            let frames = self.current.frames.iter().take(stay);
            let frames = frames.chain(std::iter::once(kept)).cloned();
            let archive = self.current.archive.clone();
            let start = self.current.wall_start_ms;
            let newest = self.current.frames.last();
            let grown = || self.current.frames_bytes + kept.bytes_beside(newest.into_iter());
            let size = (stay + 1, (replaced == 0).then(grown));
            if let Ok(next) = Timeline::new(&self.ledger, start, archive, size, frames) {
                self.publish(next);
                return true;
            }
            if !self.make_room(layout::vec::<Arc<Kept>>(stay + 2)) {
                return false;
            }
        }
    }

    fn publish(&mut self, next: Timeline) {
        let next = Arc::new(next);
        let before = std::mem::replace(&mut self.current, next.clone());
        *self.published.lock() = next;
        let oldest = before.oldest_tick().unwrap_or(u64::MAX);
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
}

#[cfg(all(test, not(loom)))]
mod footprint;
#[cfg(all(test, not(loom)))]
mod tests;
