//! One standing question: its groups, found anew when series come or go.

use super::{
    group::{Group, Scratch},
    view::View,
};
use crate::{
    history::{Charge, Timeline},
    ledger::Full,
    model::Timestamp,
    query::ask::{Ask, Found, Member, Membership, Query, Range},
    util::layout,
};
use std::time::Duration;

/// A question that is asked at each tick.
#[derive(Debug)]
pub(super) struct Standing {
    query: Query,
    ago: Duration,
    /// Groups that are followed at most.
    most: usize,
    pub(super) hash: u64,
    /// Sorted by labels.
    pub(super) groups: Vec<Group>,
    /// Groups beyond those.
    pub(super) excess: usize,
    /// There is something to ask: a series, or a question that is about all of a metric.
    pub(super) asks: bool,
    /// What the groups were found by.
    known: Option<Membership>,
    /// Of the evicted series, the one that history will forget first: the tick of its eviction.
    evicted: Option<u32>,
    /// The round in which it was last wanted, and until which there was no room for it.
    pub(super) used: u64,
    pub(super) rests_until: u64,
    /// Last, so that it is given back last.
    charge: Charge,
}

/// The same window in one tick, for all questions that have it.
pub(super) type Views<'a> = Vec<((u8, Range, u8), View<'a>)>;

/// Windows that are remembered in one tick.
const MOST_VIEWS: usize = 32;

/// A number for a question, equal for equal ones.
pub(super) fn hash(query: &Query, ago: Duration, most: usize) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    add(query.name.as_bytes());
    add(&[query.kind as u8]);
    for matcher in &query.matchers {
        add(matcher.name.as_bytes());
        add(matcher.text().as_bytes());
    }
    for name in &query.by {
        add(name.as_bytes());
    }
    if let Some(Range::Last(window)) = query.window {
        add(&window.as_nanos().to_le_bytes());
    }
    add(&ago.as_nanos().to_le_bytes());
    add(&most.to_le_bytes());
    hash
}

impl Standing {
    pub(super) fn new(
        query: &Query,
        ago: Duration,
        most: usize,
        hash: u64,
        charge: Charge,
    ) -> Self {
        Self {
            query: query.clone(),
            ago,
            most,
            hash,
            groups: Vec::new(),
            excess: 0,
            asks: false,
            known: None,
            evicted: None,
            used: 0,
            rests_until: 0,
            charge,
        }
    }

    pub(super) fn is(&self, query: &Query, ago: Duration, most: usize) -> bool {
        self.ago == ago && self.most == most && self.query == *query
    }

    /// Everything is to be read anew.
    pub(super) fn forget(&mut self) {
        self.groups.iter_mut().for_each(Group::forget);
    }

    pub(super) fn clear(&mut self) {
        let bytes = layout::vec::<Group>(self.groups.capacity());
        self.groups = Vec::new();
        self.charge.give_back(bytes);
        self.known = None;
        self.excess = 0;
        self.asks = false;
    }

    /// Moves on to the newest tick.
    pub(super) fn advance<'a>(
        &mut self,
        ask: &dyn Ask,
        timeline: &'a Timeline,
        now: Timestamp,
        views: &mut Views<'a>,
        scratch: &mut Scratch,
    ) -> Result<(), Full> {
        let Some(membership) = ask.membership(self.query.kind, &self.query.name) else {
            self.clear();
            return Ok(());
        };
        let mut found = None;
        if self.is_old(&membership) {
            found = Some(self.find(ask, membership)?);
        }
        let window = self.window(now);
        let mut at = 0;
        while at < self.groups.len() {
            let Some(group) = self.groups.get_mut(at) else {
                break;
            };
            let view = view(timeline, group.classes, window, views, scratch)?;
            let view = views.get(view).map(|(_, view)| view).ok_or(Full)?;
            if !group.advance(view, scratch)? {
                // Values that gauges hold are asked for together with their series.
                if found.is_none() {
                    found = Some(self.find(ask, membership)?);
                    at = 0;
                    continue;
                }
                let members = found.as_ref().map_or(&[][..], |found| &found.members);
                let before = self.groups.iter().take(at).map(|group| group.ids.len());
                let from: usize = before.sum();
                if let Some(group) = self.groups.get_mut(at) {
                    let members = members.get(from..from + group.ids.len()).ok_or(Full)?;
                    group.build(members, view, scratch)?;
                }
            }
            at += 1;
        }
        Ok(())
    }

    /// The window as it is now.
    fn window(&self, now: Timestamp) -> Range {
        match self.query.window {
            Some(Range::Last(window)) if !self.ago.is_zero() => {
                let to = now - self.ago;
                Range::Between(to - window, to)
            }
            other => other.unwrap_or(Range::Last(Duration::ZERO)),
        }
    }

    fn is_old(&self, membership: &Membership) -> bool {
        let Some(known) = self.known else {
            return true;
        };
        known.version != membership.version
            || self
                .evicted
                .is_some_and(|evicted| membership.is_past(evicted))
    }

    /// Finds its series, and puts them into groups. Groups stay what they are, as far as their series do.
    fn find(&mut self, ask: &dyn Ask, membership: Membership) -> Result<Found, Full> {
        let mut found = ask.find(&self.query).map_err(|_| Full)?;
        let by = &self.query.by;
        let members = &mut found.members;
        if !by.is_empty() {
            // Equal groups add up in the order of all labels.
            members.sort_unstable_by(|a, b| {
                let groups = a.cmp_group(b, by);
                groups.then_with(|| a.labels.cmp(&b.labels))
            });
        }
        let same = |a: &Member, b: &Member| by.is_empty() || a.cmp_group(b, by).is_eq();
        let count = members.chunk_by(same).count();
        let kept: usize = members.chunk_by(same).take(self.most).map(<[_]>::len).sum();
        self.excess = count.saturating_sub(self.most);
        members.truncate(kept);
        self.asks = !members.is_empty() || self.query.matchers.is_empty();
        // A question without groups has one, also without series.
        let is_alone = by.is_empty();
        let len = if is_alone { 1 } else { count.min(self.most) };
        self.charge.add(layout::vec::<Group>(len))?;
        let mut groups = Vec::with_capacity(len);
        let capacity = self.groups.capacity();
        let mut old = std::mem::take(&mut self.groups).into_iter().peekable();
        let was_reset = self
            .known
            .is_some_and(|known| known.version >> 32 != membership.version >> 32);
        let none: &[Member] = &[];
        let chunks = members.chunk_by(same);
        let chunks = chunks.chain((is_alone && kept == 0).then_some(none));
        let mut full = Ok(());
        for chunk in chunks {
            let labels = chunk.first().map(|member| member.group(by));
            let labels = labels.unwrap_or_else(|| crate::model::Labels::from([]));
            while old.next_if(|group| group.labels < labels).is_some() {}
            let group = match old.next_if(|group| group.labels == labels) {
                Some(group) => Ok(group),
                None => self
                    .charge
                    .beside(0)
                    .and_then(|c| Group::new(self.query.kind, labels, found.schema, c)),
            };
            let adopted = group.and_then(|mut group| {
                if was_reset {
                    group.forget();
                }
                group.adopt(chunk, &found.scratch)?;
                groups.push(group);
                Ok(())
            });
            if adopted.is_err() {
                full = adopted;
                break;
            }
        }
        drop(old);
        self.charge.give_back(layout::vec::<Group>(capacity));
        self.groups = groups;
        full?;
        let age = |tick: &u32| membership.now.wrapping_sub(*tick);
        self.evicted = found
            .members
            .iter()
            .filter_map(|m| m.evicted)
            .max_by_key(age);
        self.known = Some(membership);
        Ok(found)
    }
}

/// The place of a window among those that were looked at in this tick.
fn view<'a>(
    timeline: &'a Timeline,
    classes: u8,
    window: Range,
    views: &mut Views<'a>,
    scratch: &Scratch,
) -> Result<usize, Full> {
    let key = (classes, window, 0);
    if let Some(at) = views.iter().position(|(known, _)| *known == key) {
        return Ok(at);
    }
    if views.len() >= MOST_VIEWS {
        views.clear();
    }
    let view = View::new(timeline, classes, window, 0, &scratch.charge)?;
    views.push((key, view));
    Ok(views.len() - 1)
}
