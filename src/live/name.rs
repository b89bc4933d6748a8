//! What all series of one name and kind share.

use super::{marks::Marks, news::News, tee::Tee};
use crate::{
    ledger::{Ledger, Part},
    model::{frame::SeriesId, schema::Schema, shape::Fold},
    util::{
        fork, layout,
        line::Line,
        recent::Recent,
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
    /// In which buckets a histogram is counted for exposition.
    pub(crate) fold: Fold,
    /// What its counters count.
    pub(crate) grain: Grain,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) members: Line<Mutex<Members>>,
    /// What counters had that were evicted and forgotten: part of the name's total for ever.
    pub(crate) retired: AtomicU64,
    /// Hand-outs that went to the overflow series instead of one of their own.
    pub(crate) denied: Recent,
    /// Hand-outs that went there because their keys were too long.
    pub(crate) too_long: Recent,
    /// The overflow series exists from the start; it counts as one from its first use.
    overflow_used: AtomicBool,
    /// The metric was deleted, and nothing has come to it since that anybody saw.
    gone: AtomicBool,
    /// The recorder beside this one.
    pub(crate) tee: Option<std::sync::Arc<Tee>>,
    /// Which series of the kind have something to tell.
    pub(super) news: Arc<News>,
    /// Values that are not numbers, or infinite where that has no meaning.
    pub(crate) odd: Recent,
    /// Goes up with each change of what is shown of the metric that `members` does not count.
    turns: AtomicU64,
}

/// What one of a counter's cells counts, fixed when the first series of the name is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Grain {
    /// What the facade's counters carry.
    #[default]
    Whole,
    /// Millionths, so that fractions are exact integers to all that counts, keeps and adds up.
    Millionth,
}

impl Grain {
    /// Grains in one.
    pub(crate) const fn per_one(self) -> u64 {
        match self {
            Self::Whole => 1,
            Self::Millionth => 1_000_000,
        }
    }

    /// So many grains, with their fraction.
    #[expect(clippy::cast_precision_loss, reason = "a fraction is a float")]
    pub(crate) fn of(self, grains: u64) -> f64 {
        grains as f64 / self.per_one() as f64
    }

    /// As many grains as `value` is nearest to; whole ones only as far as they are whole. `None`: it is no number, or negative, or
    /// more than a total can be.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the range was looked at"
    )]
    pub(crate) fn grains(self, value: f64) -> Option<u64> {
        let grains = match self {
            // Of three quarters nothing has happened yet.
            Self::Whole => value,
            Self::Millionth => (value * self.per_one() as f64).round(),
        };
        // 2^64 is the nearest float to the greatest total.
        (0.0..u64::MAX as f64)
            .contains(&grains)
            .then_some(grains as u64)
    }
}

/// What a name knows of one of its series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) id: SeriesId,
    pub(crate) marks: Marks,
}

/// Series of a name, in no order.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// Chunks of [`CHUNK`] members; only the last may have room, and only the first is ever moved, so that no
    /// registration waits for a long list to be copied. [`HOLE`] where a series was forgotten.
    chunks: Vec<Vec<Member>>,
    holes: usize,
    /// Where the search for the next hole starts.
    cursor: usize,
    /// How many members are live, that is, have cells; the overflow series does not count.
    pub(crate) live: usize,
    /// How many of these are dormant; the overflow series counts here.
    pub(crate) asleep: usize,
    /// Goes up, and around, with each change of the list, and of who is live or dormant.
    pub(crate) version: u32,
    /// How many were live at the newest turns, oldest first, and how many of these there were.
    then: [u32; TURNS],
    turns: u8,
}

/// Turns of which a name knows how many series it had.
const TURNS: usize = 6;

const CHUNK: usize = 1024;

/// Members that are copied at a time; divides [`CHUNK`].
const STRIDE: usize = 64;

/// Not the id of any series: the registry never fills the last place of the last shard.
const HOLE: Member = Member {
    id: SeriesId::MAX,
    marks: Marks::NONE,
};

impl Name {
    pub(crate) fn new(
        key: &Key,
        schema: &'static Schema,
        fold: Fold,
        grain: Grain,
        ledger: Arc<Ledger>,
        tee: Option<std::sync::Arc<Tee>>,
        news: Arc<News>,
    ) -> Self {
        let text: std::borrow::Cow<'static, str> = key.name_shared().into();
        let address = match &text {
            std::borrow::Cow::Borrowed(text) => text.as_ptr().addr(),
            std::borrow::Cow::Owned(_) => 0,
        };
        Self {
            text: text.into(),
            address,
            schema,
            fold,
            grain,
            ledger,
            members: Line::default(),
            retired: AtomicU64::new(0),
            denied: Recent::new(),
            too_long: Recent::new(),
            overflow_used: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            tee,
            news,
            odd: Recent::new(),
            turns: AtomicU64::new(0),
        }
    }

    /// Another number when series came, went, were evicted, revived or reset since it was asked last: who keeps a list of
    /// them looks again then. The upper half moves when values may be others than what frames say of them.
    pub(crate) fn version(&self) -> u64 {
        let members = fork::lock(&self.members).map_or(0, |members| members.version);
        self.turns.load(Relaxed).wrapping_add(u64::from(members))
    }

    fn turn(&self) {
        self.turns.fetch_add(1, Relaxed);
    }

    /// Totals or values were reset.
    pub(crate) fn was_reset(&self) {
        self.turns.fetch_add(1 << 32, Relaxed);
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
            self.turn();
        }
        self.come_back();
    }

    /// The overflow series was deleted.
    pub(crate) fn forget_overflow(&self) {
        self.overflow_used.store(false, Relaxed);
        self.was_reset();
    }

    /// The metric was deleted.
    pub(crate) fn go(&self) {
        self.retired.store(0, Relaxed);
        self.gone.store(true, Relaxed);
        self.was_reset();
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    /// There is something of the metric again.
    pub(crate) fn come_back(&self) {
        if self.gone.load(Relaxed) {
            self.gone.store(false, Relaxed);
            self.turn();
        }
    }

    /// Calls `look` with the id of each member that has the marks `wanted`. No lock is held meanwhile: members that
    /// come and go at the same time may be met or not.
    pub(crate) fn for_each_member(&self, wanted: Marks, mut look: impl FnMut(SeriesId)) {
        let mut from = 0;
        loop {
            let mut some = [HOLE; STRIDE];
            let members = fork::lock(&self.members);
            let copied = members.map_or(0, |members| members.copy(from, &mut some));
            if copied == 0 {
                return;
            }
            from += copied;
            let some = some.iter().take(copied);
            some.filter(|member| member.id != HOLE.id && member.marks.have(wanted))
                .for_each(|member| look(member.id));
        }
    }

    /// Whether this is the kind's own name, and nothing has come to it yet, nor to a metric that a program calls so.
    pub(crate) fn is_unused(&self) -> bool {
        self.is_spare()
            && self.hides(super::key::OVERFLOW)
            && fork::lock(&self.members).is_some_and(|members| members.ever() <= 1)
    }

    /// Whether a series with these labels is the overflow series before its first use: nothing that answers show.
    pub(crate) fn hides(&self, labels: &[u8]) -> bool {
        labels == super::key::OVERFLOW && !self.overflow_used.load(Relaxed)
    }

    /// The name of the kind's own overflow series.
    pub(crate) fn is_spare(&self) -> bool {
        *self.text == *super::registry::NAMELESS
    }

    pub(crate) fn count_odd(&self, count: u64) {
        self.odd.add_any(count);
    }
}

impl Members {
    /// Some minutes have passed.
    pub(crate) fn turn(&mut self) {
        self.then.rotate_left(1);
        if let Some(last) = self.then.last_mut() {
            *last = u32::try_from(self.live).unwrap_or(u32::MAX);
        }
        self.turns = self.turns.saturating_add(1);
    }

    /// How many were live at the newest turns, oldest first.
    pub(crate) fn grew(&self) -> Vec<usize> {
        let known = usize::from(self.turns).min(TURNS);
        let then = self.then.iter().skip(TURNS - known);
        then.map(|live| *live as usize).collect()
    }

    /// Somebody looks again.
    pub(crate) fn changed(&mut self) {
        self.version = self.version.wrapping_add(1);
    }

    fn last(&self) -> (usize, usize) {
        self.chunks
            .last()
            .map_or((0, 0), |last| (last.len(), last.capacity()))
    }

    /// Capacities that one more member needs: of the last chunk or a new one, and of the list of chunks. `None`: there
    /// is room.
    fn wanted(&self) -> Option<(usize, Option<usize>)> {
        let (len, capacity) = self.last();
        if self.holes > 0 || len < capacity {
            return None;
        }
        if self.chunks.len() == 1 && capacity < CHUNK {
            return Some((layout::grown(capacity).min(CHUNK), None));
        }
        let first = if self.chunks.is_empty() { 4 } else { CHUNK };
        let full = self.chunks.len() == self.chunks.capacity();
        Some((first, full.then(|| layout::grown(self.chunks.len()))))
    }

    /// Bytes that one more member needs, to be reserved before [`Members::add`]; 0 when there is room.
    pub(crate) fn growth(&self) -> usize {
        self.wanted().map_or(0, |(chunk, list)| {
            layout::vec::<Member>(chunk) + list.map_or(0, layout::vec::<Vec<Member>>)
        })
    }

    /// Adds a member and gives its place.
    pub(crate) fn add(&mut self, member: Member, ledger: &Ledger) -> u32 {
        self.changed();
        match self.wanted() {
            None => {}
            Some((capacity, None)) if self.chunks.len() == 1 && self.last().1 < CHUNK => {
                if let Some(chunk) = self.chunks.first_mut() {
                    let before = layout::vec::<Member>(chunk.capacity());
                    layout::regrow(chunk, capacity);
                    ledger.release(Part::Index, before);
                }
            }
            Some((capacity, list)) => {
                if let Some(list) = list {
                    let before = layout::vec::<Vec<Member>>(self.chunks.capacity());
                    layout::regrow(&mut self.chunks, list);
                    ledger.release(Part::Index, before);
                }
                self.chunks.push(Vec::with_capacity(capacity));
            }
        }
        let (len, capacity) = self.last();
        let place = if len < capacity {
            let chunks = self.chunks.len() - 1;
            if let Some(last) = self.chunks.last_mut() {
                last.push(member);
            }
            chunks * CHUNK + len
        } else {
            let hole = self.hole().unwrap_or_default();
            self.holes -= 1;
            self.cursor = hole + 1;
            if let Some(place) = self.at(hole) {
                *place = member;
            }
            hole
        };
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    fn at(&mut self, place: usize) -> Option<&mut Member> {
        self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)
    }

    /// The place of a hole, at or after the cursor if there is one.
    fn hole(&self) -> Option<usize> {
        let from = (self.cursor / CHUNK) % self.chunks.len().max(1);
        let chunks = (from..self.chunks.len()).chain(0..from);
        let find = |chunk: usize| {
            let at = self
                .chunks
                .get(chunk)?
                .iter()
                .position(|member| member.id == HOLE.id)?;
            Some(chunk * CHUNK + at)
        };
        chunks.into_iter().find_map(find)
    }

    /// The member at `place` has another id.
    pub(super) fn rename(&mut self, place: u32, id: SeriesId) {
        self.changed();
        if let Some(member) = self.at(place as usize) {
            member.id = id;
        }
    }

    /// Takes the member at `place` out.
    pub(crate) fn remove(&mut self, place: u32) {
        self.changed();
        if let Some(member) = self.at(place as usize) {
            *member = HOLE;
            self.holes += 1;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ever() - self.holes
    }

    /// The most members that there ever were at once.
    fn ever(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }

    /// Copies members from the place `from` on, a multiple of [`STRIDE`]; gives how many.
    fn copy(&self, from: usize, to: &mut [Member; STRIDE]) -> usize {
        let chunk = self.chunks.get(from / CHUNK);
        let rest = chunk.and_then(|chunk| chunk.get(from % CHUNK..));
        let pairs = to.iter_mut().zip(rest.unwrap_or_default());
        pairs.map(|(to, member)| *to = *member).count()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = SeriesId> {
        self.chunks
            .iter()
            .flatten()
            .map(|member| member.id)
            .filter(|id| *id != HOLE.id)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ledger::SMALLEST;

    fn add(members: &mut Members, id: SeriesId, ledger: &Ledger) -> u32 {
        ledger.reserve(Part::Index, members.growth()).expect("room");
        let marks = Marks::NONE;
        members.add(Member { id, marks }, ledger)
    }

    #[test]
    fn holes_are_filled_before_the_list_grows() {
        let ledger = Ledger::new(SMALLEST);
        let mut members = Members::default();
        for id in 0..8 {
            assert_eq!(add(&mut members, id, &ledger), id);
        }
        assert!(members.growth() > 0);
        members.remove(3);
        members.remove(5);
        assert_eq!((members.growth(), members.len()), (0, 6));
        assert_eq!(members.ever(), 8);
        assert_eq!(add(&mut members, 100, &ledger), 3);
        assert_eq!(add(&mut members, 101, &ledger), 5);
        assert!(members.growth() > 0);
        let ids: Vec<SeriesId> = members.iter().collect();
        assert_eq!(ids, [0, 1, 2, 100, 4, 101, 6, 7]);
    }

    #[test]
    fn what_is_charged_is_what_the_lists_hold() {
        let ledger = Ledger::new(1 << 20);
        let mut members = Members::default();
        for id in 0..10_000 {
            assert_eq!(add(&mut members, id, &ledger), id);
            let ids: usize = members.chunks.iter().map(Vec::capacity).sum();
            let lists = members.chunks.capacity();
            let bytes = layout::vec::<Member>(ids) + layout::vec::<Vec<Member>>(lists);
            assert_eq!(ledger.part(Part::Index), bytes);
        }
        for place in (0..10_000).step_by(3) {
            members.remove(place);
        }
        let charged = ledger.part(Part::Index);
        for id in 0..3_334 {
            add(&mut members, id, &ledger);
        }
        assert_eq!((ledger.part(Part::Index), members.len()), (charged, 10_000));
    }
}
