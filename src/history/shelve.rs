//! When frames are frozen, and where what is sealed goes.

use super::{
    COARSE_SLICES, Charge, Frame, History, MOST_POINTS, Made, OPEN_SHARE, SPARE_SHARE,
    issue::Issue,
    seal::{Form, Sealing},
    timeline::{Edit, Kept, Segment},
};
use crate::{
    ledger::{Full, Part},
    model::frame::Span,
    util::{layout, sync::Arc},
};

/// How often a slice that finds no room is tried again.
const TRIES: usize = 8;
/// Room that is made for it then.
const ROOM: usize = 64 << 10;
/// Replaced frames that are let go of in a tick.
const LEAVING: usize = 3;

impl History {
    /// Goes on with what is being sealed, and freezes what is due. Call it once a tick.
    pub(crate) fn seal(&mut self) {
        self.leave();
        for tier in 0..self.tiers.len() {
            self.freeze(tier, true);
            self.go_on(tier, false);
        }
    }

    /// Seals what is frozen, whatever time it takes.
    pub(super) fn seal_now(&mut self, tier: usize) {
        self.freeze(tier, false);
        self.go_on(tier, true);
    }

    /// Points of a tier that are not sealed yet.
    pub(super) fn open(&self, tier: usize) -> &[Arc<Kept>] {
        if tier == 0 {
            return &self.current.frames;
        }
        let shelved = self.current.archive.tiers.get(tier);
        shelved.map_or(&[], |shelved| &shelved.open)
    }

    /// Bytes of these.
    pub(super) fn open_bytes(&self, tier: usize) -> usize {
        if tier == 0 {
            return self.current.frames_bytes;
        }
        let shelved = self.current.archive.tiers.get(tier);
        shelved.map_or(0, |shelved| shelved.open_bytes)
    }

    fn form(&self, tier: usize) -> Option<Form> {
        self.tiers.get(tier).map(super::Tier::form)
    }

    /// Freezes frames, if it is time to; with `may_wait`, later while there is memory to spare.
    fn freeze(&mut self, tier: usize, may_wait: bool) {
        let (Some(at), Some(form)) = (self.tiers.get(tier), self.form(tier)) else {
            return;
        };
        if self.sealings.get(tier).is_none_or(Option::is_some) {
            return;
        }
        let coarser = self.form(tier + 1);
        let open = self.open(tier);
        let mut most = self.ledger.budget() / OPEN_SHARE;
        if may_wait && self.open_bytes(tier) >= most {
            most = most.max(self.ledger.free() / SPARE_SHARE);
        }
        let old = match open {
            [.., before, newest] => {
                let newest = newest.bytes_beside(std::iter::once(before));
                self.open_bytes(tier).saturating_sub(newest)
            }
            _ => 0,
        };
        let is_full = old >= most;
        let n = frozen(open, at.points(), is_full, coarser);
        if n == 0 {
            return;
        }
        // Done just before as many are there again, so that every tick has its share; and of coarse tiers, whose points
        // come seldom, so soon that not too many wait.
        let resolution = self.tiers.first().map_or(1, |finest| finest.interval_ns);
        let ticks = u64::try_from(n - n / 8).unwrap_or(1) * (form.interval_ns / resolution).max(1);
        let slices = usize::try_from(ticks).map_or(COARSE_SLICES, |n| n.clamp(1, COARSE_SLICES));
        let frozen = open.get(..n).unwrap_or_default();
        let sealing = Sealing::new(&self.ledger, frozen, form, coarser, resolution, slices);
        if let (Ok(sealing), Some(place)) = (sealing, self.sealings.get_mut(tier)) {
            *place = Some(sealing);
        }
    }

    /// Encodes the next slice; when it was the last, the segment takes the place of its frames. Without room it is given
    /// up: the frames stay, and are frozen again.
    fn go_on(&mut self, tier: usize, whole: bool) {
        let Some(mut sealing) = self.sealings.get_mut(tier).and_then(Option::take) else {
            return;
        };
        for _ in 0..TRIES {
            let result = sealing.slice(&mut self.bench, whole);
            let result = result.and_then(|done| {
                if done {
                    self.shelve(tier, &mut sealing)?;
                }
                Ok(done)
            });
            match result {
                Ok(true) => return,
                Ok(false) => {
                    if let Some(place) = self.sealings.get_mut(tier) {
                        *place = Some(sealing);
                    }
                    return;
                }
                Err(Full) => {
                    if !self.drop_segments(ROOM) {
                        return;
                    }
                }
            }
        }
    }

    /// Puts a segment in the place of its frames, and its coarse points into the next tier. Without room for the lists,
    /// what is sealed is kept for the next try.
    fn shelve(&mut self, tier: usize, sealing: &mut Sealing) -> Result<(), Full> {
        let mut edits = Vec::with_capacity(self.tiers.len());
        edits.resize_with(self.tiers.len(), Edit::default);
        if sealing.coarse.is_none() {
            sealing.coarse = Some(self.coarse_points(tier + 1, sealing)?);
        }
        let segment = sealing.segment()?;
        if let (Some(next), Some((gone, points))) = (edits.get_mut(tier + 1), &sealing.coarse) {
            (next.newest_gone, next.points) = (*gone, points.clone());
        }
        let n = sealing.frames.len();
        if let Some(this) = edits.get_mut(tier) {
            this.segment = Some(segment);
            this.open_gone = if tier == 0 { 0 } else { n };
        }
        let frames = if tier == 0 { n } else { 0 };
        let keep = |_: usize, segment: &Segment| Some(segment.clone());
        if !self.edit(edits, frames, keep) {
            return Err(Full);
        }
        let room = self.leaving.capacity() - self.leaving.len();
        self.leaving.extend(sealing.frames.drain(..).take(room));
        Ok(())
    }

    /// The coarse points of what was sealed. The first may be the rest of the newest that is there: then that one goes,
    /// and they are one.
    fn coarse_points(
        &self,
        tier: usize,
        sealing: &mut Sealing,
    ) -> Result<(usize, Vec<Arc<Kept>>), Full> {
        let Some(form) = self.form(tier) else {
            return Ok((0, Vec::new()));
        };
        let mut points = Vec::with_capacity(sealing.points.len());
        let newest = self.open(tier).last();
        let mut gone = 0;
        // For all of them first: columns that were taken from a draft are not there for the next try.
        let own = layout::arc::<Kept>() + Frame::SPARE;
        let mut owns = Charge::new(&self.ledger, Part::History, own * sealing.points.len())?;
        for coarse in &mut sealing.points {
            let Some(frames) = sealing.frames.get(coarse.rows.clone()) else {
                continue;
            };
            let (Some(first), Some(last)) = (frames.first(), frames.last()) else {
                continue;
            };
            let ticks = frames.iter().map(|kept| kept.ticks).sum();
            let mut made = Made {
                span: Span {
                    start_ns: first.frame.span.start_ns,
                    ..last.frame.span
                },
                tick: first.tick,
                ticks,
            };
            let same = newest.filter(|newest| {
                points.is_empty()
                    && form.number(newest.frame.span.end_ns) == coarse.number
                    && follows(newest, first)
            });
            if let Some(newest) = same {
                gone = 1;
                made.span.start_ns = newest.frame.span.start_ns;
                made.tick = newest.tick;
                made.ticks += newest.ticks;
                points.push(self.merged(newest, &coarse.draft, ticks, made, Issue::default())?);
                continue;
            }
            // The draft's own columns, since a copy of all points at once would hold up the tick.
            let before: Option<&Arc<Kept>> = points.last().or(newest);
            let (frame, columns) = Frame::take(
                &self.ledger,
                &mut coarse.draft,
                made.span,
                before.map(|before| &before.frame),
                owns.split(Frame::SPARE),
            );
            points.push(Arc::new(Kept {
                frame,
                tick: made.tick,
                ticks: made.ticks,
                issue: Issue::default(),
                charges: [columns, owns.split(layout::arc::<Kept>())],
            }));
        }
        Ok((gone, points))
    }

    /// Lets go of some frames that a segment has replaced: all at once would hold up the tick.
    fn leave(&mut self) {
        let rest = self.leaving.len().saturating_sub(LEAVING);
        self.leaving.truncate(rest);
    }

    /// Lets go of all of them.
    pub(super) fn leave_all(&mut self) -> bool {
        let some = !self.leaving.is_empty();
        self.leaving.clear();
        some
    }
}

/// Whether nothing is missing between two points.
fn follows(first: &Kept, then: &Kept) -> bool {
    first.frame.span.end_ns == then.frame.span.start_ns
}

/// How many frames are to be frozen: none, until there are `points` of them, or all but the newest take too much room,
/// which `is_full` says; then as many as end where a point of the next tier does. The newest stays: more may join it. But
/// no point and no segment reaches over a gap, since what gauges held before it says nothing of the time behind.
fn frozen(open: &[Arc<Kept>], points: usize, is_full: bool, coarser: Option<Form>) -> usize {
    let waiting = open.len().saturating_sub(1).min(MOST_POINTS);
    let gap = open.windows(2).position(|two| match two {
        [first, then] => !follows(first, then),
        _ => false,
    });
    if let Some(before) = gap.filter(|before| *before < waiting) {
        return before + 1;
    }
    let is_full = waiting == MOST_POINTS || waiting > 1 && is_full;
    if waiting < points && !is_full {
        return 0;
    }
    let number = |at: usize, form: Form| {
        let kept = open.get(at);
        kept.map(|kept| form.number(kept.frame.span.end_ns))
    };
    let ends = |n: &usize| coarser.is_none_or(|form| number(n - 1, form) != number(*n, form));
    match (1..=waiting).rev().find(ends) {
        Some(n) if 2 * n >= waiting => n,
        _ if is_full => waiting,
        _ => 0,
    }
}
