//! Room for what comes: what is past its retention goes; and when memory is short, history gets shorter, oldest first,
//! before anything else is refused.
//!
//! Where many frames wait, since memory was to spare, they are sealed before anything goes, if there is room to work in.
//! Then the finest tier gives way, to half of its retention, then the next one, and so on; then each to a quarter. That
//! keeps all of them useful for as long as possible: the last minutes in detail, and the day in outline.
//!
//! What a reader holds is not free when it is dropped. It is on its way, and counted as such, so that a reader never
//! makes the store drop more than is needed.

use super::{
    Charge, History, OPEN_SHARE, Sealing,
    timeline::{Edit, Segment, Shelved, Timeline, each_open},
};
use crate::{ledger::Part, util::layout};

/// Retention is halved so often, and then given up.
const ROUNDS: u32 = 6;
/// When history gives way, it does for a few more ticks at once, so that it does not every tick: so much of what was
/// wanted is left free on top.
const EXTRA: usize = 4;
/// Of the budget, it is never more than this share.
const MOST_EXTRA: usize = 128;
/// To seal frames takes at most this share of what is to do.
const WORK: usize = 4;

/// What is dropped, by tier.
#[derive(Debug, Default)]
struct Choice {
    segments: Vec<usize>,
    bytes: usize,
}

impl History {
    /// Drops what all retention classes have had for long enough.
    pub(super) fn expire(&mut self, now_ns: u64) {
        self.expire_open(now_ns);
        let shelved = self.current.archive.tiers.iter().enumerate();
        let some = shelved.clone().any(|(at, shelved)| {
            let mut segments = shelved.segments.iter();
            segments
                .any(|segment| segment.kept & !classes_at(&self.tiers, at, segment, now_ns) != 0)
        });
        if !some {
            return;
        }
        let tiers = std::mem::take(&mut self.tiers);
        let keep =
            |at: usize, segment: &Segment| segment.only(classes_at(&tiers, at, segment, now_ns));
        // Without room it is done in a later tick.
        let _ = self.edit(Vec::new(), 0, keep);
        self.tiers = tiers;
    }

    /// Points that no tier would keep as segments, since ticks are far apart.
    fn expire_open(&mut self, now_ns: u64) {
        // No sooner than any segment, which would be left behind a gap.
        let tiers = self.tiers.iter().enumerate();
        let longest = tiers.map(|(at, tier)| tier.longest_ns() + seam_ns(&self.tiers, at));
        let limit = now_ns.saturating_sub(longest.max().unwrap_or(0));
        for tier in 0..self.tiers.len() {
            let open = self.open(tier).iter();
            let old = open.take_while(|kept| kept.frame.span.end_ns <= limit && limit > 0);
            let gone = old.count();
            if gone > 0 {
                self.remove_open(tier, gone);
            }
        }
    }

    /// Keeps points for as long as these tiers say, from now on. A class that is new has had nothing until now, which all
    /// segments know as well as any.
    pub(crate) fn set_tiers(&mut self, tiers: &[super::Tier]) {
        let tiers = super::handing_on(tiers);
        let classes = |tier: &super::Tier| tier.form().classes;
        let edit = |tier| Edit {
            classes: Some(classes(tier)),
            ..Edit::default()
        };
        let edits = tiers.iter().map(edit).collect();
        let new = |(new, old): (&super::Tier, &super::Tier)| classes(new) & !classes(old);
        let new: Vec<u8> = tiers.iter().zip(&self.tiers).map(new).collect();
        let keep = |at: usize, segment: &Segment| {
            let mut segment = segment.clone();
            segment.kept |= new.get(at).copied().unwrap_or(0);
            Some(segment)
        };
        // Without room for the lists, nothing is said of the time before.
        let is_done = self.edit(edits, 0, keep);
        debug_assert!(is_done || self.ledger.free() < 1 << 20, "room for lists");
        self.tiers.clear();
        self.tiers.extend_from_slice(&tiers);
    }

    /// Publishes an edited archive without the oldest `gone` frames.
    pub(super) fn edit(
        &mut self,
        edits: Vec<Edit>,
        gone: usize,
        keep: impl Fn(usize, &Segment) -> Option<Segment>,
    ) -> bool {
        let archive = self.current.archive.edited(&self.ledger, edits, keep);
        let frames = &self.current.frames;
        let rest = frames.iter().skip(gone).cloned();
        let len = frames.len().saturating_sub(gone);
        let start = self.current.wall_start_ms;
        let size = (len, (gone == 0).then_some(self.current.frames_bytes));
        let next =
            archive.and_then(|archive| Timeline::new(&self.ledger, start, archive, size, rest));
        let is_done = next.is_ok();
        if let Ok(next) = next {
            self.publish(next);
        }
        is_done
    }

    /// A tick begins: what readers have held since the one before is not on its way.
    pub(super) fn see_what_is_stuck(&mut self) {
        let held = self.held();
        self.stuck = held.min(self.doomed_before);
        self.doomed_before = held;
    }

    /// Bytes of history that are dropped already, and free as soon as a reader is done that has just begun.
    fn doomed(&self) -> usize {
        self.held().saturating_sub(self.stuck)
    }

    /// Bytes of history that are dropped already, and that only readers hold.
    fn held(&self) -> usize {
        let sealings = self
            .sealings
            .iter()
            .flatten()
            .map(|sealing| sealing.bytes());
        // What was replaced may share lists with what is next to it, of each tier.
        let oldest = (0..self.tiers.len()).filter_map(|tier| self.open(tier).first());
        let leaving = self.leaving.iter().enumerate().map(|(at, kept)| {
            let next = self.leaving.get(at + 1).into_iter();
            kept.bytes_beside(next.chain(oldest.clone()))
        });
        let ours = self.current.bytes() + sealings.sum::<usize>() + leaving.sum::<usize>();
        self.ledger
            .part(Part::History)
            .saturating_sub(ours + self.lists)
    }

    /// Drops the oldest until `free` bytes of the budget are unused, or will be when readers are done; but never the
    /// newest frame.
    pub(crate) fn leave_free(&mut self, free: usize) {
        let short = |history: &Self| free.saturating_sub(history.ledger.free());
        if short(self) == 0 || self.leave_all() && short(self) == 0 {
            return;
        }
        let short = short(self);
        let short = short.saturating_sub(self.doomed());
        if short > 0 {
            // A budget that shrinks wants much, most of which is free already.
            let extra = (free / EXTRA).min(self.ledger.budget() / MOST_EXTRA);
            self.shorten(short + extra);
        }
    }

    /// Reserves bytes for history, if need be by dropping its oldest.
    pub(super) fn charge(&mut self, bytes: usize) -> Option<Charge> {
        loop {
            if let Ok(charge) = Charge::new(&self.ledger, Part::History, bytes) {
                return Some(charge);
            }
            if !self.make_room(bytes) {
                return None;
            }
        }
    }

    /// Drops the oldest to make room at once; false: nothing was dropped. What readers hold cannot be made free at once,
    /// and is not dropped in vain.
    pub(super) fn make_room(&mut self, bytes: usize) -> bool {
        let eighth = self.ledger.budget() / 8;
        self.leave_all() || self.doomed() <= bytes.saturating_add(eighth) && self.shorten(bytes)
    }

    /// Drops at least `bytes` of history, if there is so much; false: nothing was dropped.
    fn shorten(&mut self, bytes: usize) -> bool {
        let before = self.current.bytes();
        let rest = |history: &Self| {
            let freed = before.saturating_sub(history.current.bytes());
            bytes.saturating_sub(freed)
        };
        // Sealed frames take a fraction of their room. While memory was to spare many may have waited, and nothing is lost
        // when they no longer do; but without room to work in, histograms would lose buckets.
        let most = self.ledger.budget() / OPEN_SHARE * 4;
        let mut some = false;
        for tier in 0..self.tiers.len() {
            let open = self.open_bytes(tier);
            let work = Sealing::work(self.open(tier)) / WORK;
            if rest(self) > 0 && open > most && self.ledger.free() > work {
                some |= self.seal_at_once(tier);
            }
        }
        if rest(self) > 0 {
            some |= self.drop_segments(rest(self));
        }
        for tier in 0..self.tiers.len() {
            if rest(self) > 0 {
                some |= self.seal_at_once(tier);
            }
        }
        if rest(self) > 0 {
            some |= self.drop_segments(rest(self));
        }
        if rest(self) > 0 {
            some |= self.drop_open(rest(self));
        }
        some
    }

    /// Whether any frames are sealed now.
    fn seal_at_once(&mut self, tier: usize) -> bool {
        let open = self.open(tier).len();
        self.seal_now(tier);
        self.leave_all();
        self.open(tier).len() < open
    }

    /// Drops segments of `bytes` or more, if there are so many; false: there is none.
    pub(super) fn drop_segments(&mut self, bytes: usize) -> bool {
        let mut choice = self.choose(bytes);
        loop {
            if choice.bytes == 0 {
                return false;
            }
            let gone = |count: &usize| Edit {
                segments_gone: *count,
                ..Edit::default()
            };
            let edits = choice.segments.iter().map(gone).collect();
            let points = self.points_of(&choice);
            if self.edit(edits, 0, |_, segment| Some(segment.clone())) {
                for (shortened, points) in self.shortened.iter_mut().zip(points) {
                    *shortened += points;
                }
                return true;
            }
            // Not even room for the lists of what is left: so it must be less.
            let more = self.choose(choice.bytes.saturating_mul(2));
            if more.bytes <= choice.bytes {
                return false;
            }
            choice = more;
        }
    }

    /// Points of what was chosen, by tier.
    fn points_of(&self, choice: &Choice) -> Vec<u64> {
        let tiers = self.current.archive.tiers.iter().zip(&choice.segments);
        let points = tiers.map(|(tier, gone)| {
            let segments = tier.segments.iter().take(*gone);
            segments.map(|segment| segment.axis.len() as u64).sum()
        });
        points.collect()
    }

    /// Which segments give way for `bytes`.
    fn choose(&self, bytes: usize) -> Choice {
        let archive = &self.current.archive.tiers;
        let mut choice = Choice {
            segments: vec![0; archive.len()],
            bytes: 0,
        };
        let now = self.newest().map_or(0, |frame| frame.span.end_ns);
        for round in 1..=ROUNDS {
            let tiers = self.tiers.iter().zip(archive).zip(&mut choice.segments);
            for ((tier, shelved), gone) in tiers {
                let floor = floor_ns(Some(tier), round);
                let mut rest = shelved.segments.iter().skip(*gone).peekable();
                while choice.bytes < bytes
                    && let Some(oldest) = rest.next()
                {
                    let start = rest.peek().map(|next| next.axis.start_ns());
                    let start = start.unwrap_or(oldest.axis.end_ns());
                    if now.saturating_sub(start) < floor {
                        break;
                    }
                    choice.bytes += oldest.bytes();
                    *gone += 1;
                }
            }
        }
        choice
    }

    /// Drops points that are not sealed yet, `bytes` of them or more, but never the newest frame. As with segments, what
    /// is old for its tier goes first; but of coarse tiers before the finer ones, which they have yet to be made of. A
    /// large point of long ago that finds no room to be sealed would else take the room of all that comes after it.
    pub(super) fn drop_open(&mut self, bytes: usize) -> bool {
        let now = self.newest().map_or(0, |frame| frame.span.end_ns);
        let mut freed = 0;
        let mut some = false;
        for round in 1..=ROUNDS {
            for tier in (0..self.tiers.len()).rev() {
                let floor = floor_ns(self.tiers.get(tier), round);
                let open = self.open(tier);
                let newest = usize::from(tier == 0);
                let most = open.len().saturating_sub(newest);
                let (mut gone, mut gone_bytes) = (0, 0);
                for (kept, own) in open.iter().zip(each_open(open)).take(most) {
                    let age = now.saturating_sub(kept.frame.span.end_ns);
                    if freed + gone_bytes >= bytes || age < floor {
                        break;
                    }
                    gone_bytes += own;
                    gone += 1;
                }
                // Without room for the lists it is a later round's turn.
                if self.drop_oldest_open(tier, gone) {
                    freed += gone_bytes;
                    some = true;
                }
            }
        }
        some
    }

    fn drop_oldest_open(&mut self, tier: usize, gone: usize) -> bool {
        let is_done = self.remove_open(tier, gone);
        if let Some(shortened) = self.shortened.get_mut(tier).filter(|_| is_done) {
            *shortened += gone as u64;
        }
        is_done
    }

    fn remove_open(&mut self, tier: usize, gone: usize) -> bool {
        let first = self.open(tier).first().cloned();
        let Some(first) = first.filter(|_| gone > 0) else {
            return false;
        };
        if let Some(sealing) = self.sealings.get_mut(tier)
            && sealing.as_ref().is_some_and(|sealing| sealing.has(&first))
        {
            *sealing = None;
        }
        drop(first);
        let mut edits = Vec::new();
        if tier > 0 {
            edits.resize_with(tier + 1, Edit::default);
            if let Some(edit) = edits.last_mut() {
                edit.open_gone = gone;
            }
        }
        let frames = if tier == 0 { gone } else { 0 };
        self.edit(edits, frames, |_, segment| Some(segment.clone()))
    }

    /// Drops some of the oldest of all points, for the sake of series that only they still mention; never the newest
    /// frame.
    pub(crate) fn give_way(&mut self) {
        let oldest = self.current.oldest_tick();
        let tiers = &self.current.archive.tiers;
        let is_oldest = |shelved: &Shelved| shelved.oldest_tick() == oldest;
        if let Some(tier) = tiers.iter().position(is_oldest) {
            let segments = tiers.get(tier).map_or(0, |shelved| shelved.segments.len());
            if segments > 0 {
                let mut edits = Vec::new();
                edits.resize_with(tier + 1, Edit::default);
                let gone = (segments / 8).max(1);
                if let Some(edit) = edits.last_mut() {
                    edit.segments_gone = gone;
                }
                let choice = Choice {
                    segments: edits.iter().map(|edit| edit.segments_gone).collect(),
                    bytes: 0,
                };
                let points = self.points_of(&choice);
                if self.edit(edits, 0, |_, segment| Some(segment.clone())) {
                    for (shortened, points) in self.shortened.iter_mut().zip(points) {
                        *shortened += points;
                    }
                }
                return;
            }
            let open = self.open(tier).len();
            if open > 0 {
                self.drop_oldest_open(tier, (open / 8).max(1));
                return;
            }
        }
        let open = self.current.frames.len();
        self.drop_oldest_open(0, (open / 8).max(1).min(open.saturating_sub(1)));
    }

    /// Drops all points but the newest `keep` of each tier, and never the newest tick. Segments go whole, so a few more
    /// may stay.
    pub(crate) fn keep_newest(&mut self, keep: usize) {
        let mut edits = Vec::with_capacity(self.tiers.len());
        for (tier, shelved) in self.current.archive.tiers.iter().enumerate() {
            let mut left = self.open(tier).len();
            let mut stay = 0;
            for segment in shelved.segments.iter().rev() {
                if left >= keep {
                    break;
                }
                left += segment.axis.len();
                stay += 1;
            }
            edits.push(Edit {
                segments_gone: shelved.segments.len() - stay,
                ..Edit::default()
            });
        }
        self.edit(edits, 0, |_, segment| Some(segment.clone()));
        for tier in 0..self.tiers.len() {
            let least = usize::from(tier == 0);
            let gone = self.open(tier).len().saturating_sub(keep.max(least));
            if gone > 0 {
                self.remove_open(tier, gone);
            }
        }
    }

    /// Points of all tiers.
    pub(crate) fn points(&self) -> u64 {
        let tiers = (0..self.tiers.len()).map(|tier| self.current.size(tier)[0].0 as u64);
        tiers.sum()
    }

    /// Bytes of lists of fixed length.
    pub(super) fn list_bytes(tiers: usize) -> usize {
        layout::vec::<(u64, super::Weak<Timeline>)>(super::EARLIER)
            + layout::vec::<super::Tier>(tiers)
            + layout::vec::<Option<Box<super::Sealing>>>(tiers)
            + layout::vec::<u64>(tiers)
            + layout::vec::<super::Arc<super::Kept>>(super::MOST_POINTS)
    }
}

/// What is younger stays in this round.
fn floor_ns(tier: Option<&super::Tier>, round: u32) -> u64 {
    match tier {
        Some(tier) if round < ROUNDS => tier.longest_ns() >> round,
        _ => 0,
    }
}

/// Which classes still need a segment of tier `at`.
fn classes_at(tiers: &[super::Tier], at: usize, segment: &Segment, now_ns: u64) -> u8 {
    let age = now_ns.saturating_sub(segment.axis.end_ns());
    let tier = tiers.get(at);
    tier.map_or(0, |tier| {
        tier.classes_after(age.saturating_sub(seam_ns(tiers, at)))
    })
}

/// What tier `at` keeps beyond its retention: its points begin where one of the next tier ends, which may be up to such a
/// point later.
fn seam_ns(tiers: &[super::Tier], at: usize) -> u64 {
    tiers.get(at + 1).map_or(0, |next| next.interval_ns)
}

impl Segment {
    /// What is left for some classes; `None`: nothing.
    fn only(&self, classes: u8) -> Option<Self> {
        let kept = self.kept & classes;
        let mut rest = self.clone();
        rest.kept = kept;
        for (class, chunks) in rest.chunks.iter_mut().enumerate() {
            if kept >> class & 1 == 0 {
                *chunks = None;
            }
        }
        (kept != 0).then_some(rest)
    }
}
