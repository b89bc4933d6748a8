//! What readers of frames have had: each frame has a number, and what joins a frame that a reader has is kept apart, too.

use super::{
    Charge, Frame, History,
    timeline::{Kept, Timeline},
};
use crate::{
    ledger::Part,
    model::frame::{Draft, Span},
    util::{
        layout,
        sync::{Arc, AtomicU32},
    },
};
use std::sync::atomic::Ordering::Relaxed;

/// Nobody has the frame yet.
const OPEN: u32 = 0;
/// A reader has it.
const SHOWN: u32 = 1;
/// A tick is about to join it: readers wait for what comes of that.
const JOINING: u32 = 2;

/// What joined a frame that a reader had, kept apart; of more, the oldest is lost to readers that lack it.
const MOST_LATE: usize = 8;

/// The numbers of a frame. Whatever a reader may get by itself has one: a frame, and what joins it once a reader has it.
#[derive(Debug, Default)]
pub(crate) struct Issue {
    pub(super) first: u64,
    pub(super) last: u64,
    /// What came after `first`, each with its own number.
    late: Option<Box<Late>>,
    /// [`OPEN`], [`SHOWN`] or [`JOINING`]. Only the newest frame's is looked at.
    door: AtomicU32,
}

#[derive(Debug)]
struct Late {
    /// Oldest first, at most [`MOST_LATE`].
    parts: Vec<Arc<Kept>>,
    charge: Charge,
}

impl Issue {
    pub(super) fn new(number: u64) -> Self {
        Self {
            first: number,
            last: number,
            ..Self::default()
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.late.as_ref().map_or(0, |late| {
            let parts = late.parts.iter();
            let parts = parts.map(|part| part.bytes_beside([].iter()));
            late.charge.bytes() + parts.sum::<usize>()
        })
    }

    /// A reader takes the frame; false: a tick is joining it.
    fn show(&self) -> bool {
        let door = self.door.compare_exchange(OPEN, SHOWN, Relaxed, Relaxed);
        door.is_ok_and(|_| true) || door == Err(SHOWN)
    }

    /// A tick joins the frame; false: a reader has it.
    fn join(&self) -> bool {
        let door = self.door.compare_exchange(OPEN, JOINING, Relaxed, Relaxed);
        door.is_ok()
    }

    /// Nothing came of it.
    pub(super) fn reopen(&self) {
        let _ = self.door.compare_exchange(JOINING, OPEN, Relaxed, Relaxed);
    }
}

impl History {
    /// The numbers of the newest frame and of `draft`, as one.
    pub(super) fn joined(&self, newest: &Kept, draft: &Draft, tick: u64) -> Issue {
        let before = &newest.issue;
        let is_apart = before.first != before.last;
        if before.join() && !is_apart {
            return Issue::new(before.last);
        }
        let number = self.issued + 1;
        Issue {
            first: before.first,
            last: number,
            late: self.late(newest, draft, tick, number),
            door: AtomicU32::new(OPEN),
        }
    }

    /// What joined the newest frame until now, and what does. `None`: no room, and readers that had the frame lose it.
    fn late(&self, newest: &Kept, draft: &Draft, tick: u64, number: u64) -> Option<Box<Late>> {
        let charge = |bytes| Charge::new(&self.ledger, Part::History, bytes).ok();
        let end = newest.frame.span.end_ns;
        let span = Span {
            start_ns: end,
            ..newest.frame.span
        };
        let own = size_of::<Late>() + layout::vec::<Arc<Kept>>(MOST_LATE);
        let own = charge(own)?;
        let kept = charge(layout::arc::<Kept>())?;
        let (frame, columns) = Frame::copy(&self.ledger, draft, span, None).ok()?;
        let mut parts = Vec::with_capacity(MOST_LATE);
        let before = newest.issue.late.iter().flat_map(|late| &late.parts);
        let most = before.clone().count().saturating_sub(MOST_LATE - 1);
        parts.extend(before.skip(most).cloned());
        parts.push(Arc::new(Kept {
            frame,
            tick,
            ticks: 1,
            issue: Issue::new(number),
            charges: [columns, kept],
        }));
        Some(Box::new(Late { parts, charge: own }))
    }
}

/// How far a reader has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// The number of the last frame that it has seen, or lost.
    seen: u64,
    /// Frames that were gone before it saw them.
    pub(crate) lost: u64,
}

impl Progress {
    /// Before the oldest frame that is there.
    pub(crate) fn before(timeline: &Timeline) -> Self {
        let first = timeline.frames.first().map_or(0, |kept| kept.issue.first);
        Self {
            seen: first.saturating_sub(1),
            lost: 0,
        }
    }

    /// Calls `give` with each frame that is new, oldest first.
    pub(crate) fn follow(&mut self, timeline: &Timeline, mut give: impl FnMut(&Arc<Kept>)) {
        let newest = timeline.frames.len().saturating_sub(1);
        for (at, kept) in timeline.frames.iter().enumerate() {
            let issue = &kept.issue;
            if issue.last <= self.seen {
                continue;
            }
            if at == newest && !issue.show() {
                return;
            }
            if self.seen < issue.first {
                self.pass(issue.first, issue.last);
                give(kept);
                continue;
            }
            for part in issue.late.iter().flat_map(|late| &late.parts) {
                if part.issue.first > self.seen {
                    self.pass(part.issue.first, part.issue.last);
                    give(part);
                }
            }
            self.pass(issue.last + 1, issue.last);
        }
    }

    /// What has the numbers from `first` to `last` is seen; what is missing before it is lost.
    fn pass(&mut self, first: u64, last: u64) {
        self.lost += first - 1 - self.seen;
        self.seen = last;
    }
}
