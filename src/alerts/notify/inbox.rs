//! What waits for one subscriber: a bounded queue, and the groups of a storm that are being gathered.
//!
//! The oldest goes when there is no room: the newest state is what counts. Every event that was offered is delivered,
//! dropped, or still here.

use super::super::{event::AlertEvent, kept::Kept};
use crate::{
    ledger::{Full, Ledger},
    model::Labels,
    util::{layout, text::Shown},
};
use std::{collections::VecDeque, fmt, mem, sync::Arc};

/// Events that wait at most, grouped ones included.
pub(super) const MOST_EVENTS: usize = 1_024;
/// Groups that are gathered at a time; the oldest is delivered early when there are more.
const MOST_GROUPS: usize = 256;

/// Events of a storm that have the same values of the labels that they were grouped by.
///
/// Shown as the labels and the number of events, with how many are missing, and an event a line.
pub struct AlertGroup {
    labels: Labels,
    events: Vec<AlertEvent>,
    /// Events that were dropped while it waited.
    missing: u64,
    since_ns: u64,
    kept: Kept,
}

impl AlertGroup {
    /// The values of the labels that were grouped by.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Its events, oldest first; at least one.
    #[must_use]
    pub fn events(&self) -> &[AlertEvent] {
        &self.events
    }

    /// How many older events of it were dropped, since a thousand waited for the callback, or memory was short.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing
    }

    fn new(ledger: &Arc<Ledger>, labels: Labels, since_ns: u64) -> Result<Self, Full> {
        // With the box that it is delivered in.
        let bytes = size_of::<Self>() + labels.bytes();
        let kept = Kept::new(ledger, bytes)?;
        Ok(Self {
            labels,
            events: Vec::new(),
            missing: 0,
            since_ns,
            kept,
        })
    }

    fn push(&mut self, event: AlertEvent) -> Result<(), Full> {
        self.room()?;
        self.events.push(event);
        Ok(())
    }

    /// Room for one more event.
    fn room(&mut self) -> Result<(), Full> {
        let capacity = self.events.capacity();
        if self.events.len() == capacity {
            let larger = layout::grown(capacity);
            self.kept.add(layout::vec::<AlertEvent>(larger))?;
            layout::regrow(&mut self.events, larger);
            self.kept.give_back(layout::vec::<AlertEvent>(capacity));
        }
        Ok(())
    }

    /// Takes in what came later. Without room for all of it the oldest events go. Gives how many.
    fn absorb(&mut self, later: Self) -> usize {
        let mut lost = 0;
        self.missing += later.missing;
        for event in later.events {
            if self.room().is_err() && !self.events.is_empty() {
                self.events.remove(0);
                lost += 1;
            }
            // There was one at least, so there is room.
            self.events.push(event);
        }
        self.missing += lost as u64;
        lost
    }

    /// The oldest events go, some at a time, so that not all others are moved for each; never the newest. Gives how many.
    fn trim(&mut self) -> usize {
        let few = self.events.len().div_ceil(16);
        let few = few.min(self.events.len().saturating_sub(1));
        self.missing += few as u64;
        self.events.drain(..few).count()
    }
}

impl fmt::Display for AlertGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.labels.to_string();
        write!(f, "{} events of {}", self.events.len(), Shown(&labels))?;
        if self.missing > 0 {
            write!(f, ", and {} older ones that are missing", self.missing)?;
        }
        for event in &self.events {
            write!(f, "\n  {event}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for AlertGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlertGroup({self})")
    }
}

/// One delivery.
pub(crate) enum Item {
    One(AlertEvent),
    Group(Box<AlertGroup>),
}

impl Item {
    pub(super) fn events(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Group(group) => group.events.len(),
        }
    }
}

/// Labels to group by, and how long a group is gathered.
pub(crate) struct Grouping {
    pub(crate) by: Box<[Box<str>]>,
    pub(crate) window_ns: u64,
}

/// The queue and the groups of one subscriber. Under its lock.
pub(super) struct Inbox {
    queue: VecDeque<Item>,
    groups: Vec<AlertGroup>,
    grouping: Option<Grouping>,
    /// Events in `queue` and `groups`.
    waiting: usize,
    dropped: u64,
    /// The buffers of `queue` and `groups`.
    kept: Kept,
}

impl Inbox {
    pub(super) fn new(kept: Kept, grouping: Option<Grouping>) -> Self {
        Self {
            queue: VecDeque::new(),
            groups: Vec::new(),
            grouping,
            waiting: 0,
            dropped: 0,
            kept,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Events that were dropped, ever.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Takes an event in; gives how many were dropped for it.
    pub(super) fn offer(&mut self, event: &AlertEvent, now_ns: u64) -> u64 {
        let before = self.dropped;
        while self.waiting >= MOST_EVENTS && (self.trim_largest() || self.drop_oldest()) {}
        let taken = match &self.grouping {
            None => self.enqueue(Item::One(event.clone())),
            Some(_) => match self.gather(event, now_ns) {
                // Without memory, too, the newest is what counts.
                Err(Full) if self.drop_oldest() => self.gather(event, now_ns),
                taken => taken,
            },
        };
        if taken.is_err() {
            self.dropped += 1;
        }
        self.dropped - before
    }

    /// The oldest events of the largest group go, so that none loses the only call that it has. False: no group has two.
    fn trim_largest(&mut self) -> bool {
        if self.grouping.is_none() {
            return false;
        }
        let waiting = self.queue.iter_mut().filter_map(|item| match item {
            Item::Group(group) => Some(&mut **group),
            Item::One(_) => None,
        });
        let groups = waiting.chain(&mut self.groups);
        let lost = groups
            .max_by_key(|group| group.events.len())
            .map_or(0, AlertGroup::trim);
        self.waiting -= lost;
        self.dropped += lost as u64;
        lost > 0
    }

    /// A group is to be delivered: with the call of the same group that waits, if one does, so that each has one at most.
    fn deliver(&mut self, group: AlertGroup) {
        let events = group.events.len();
        let waits = self.queue.iter_mut().find_map(|item| match item {
            Item::Group(waits) if waits.labels == group.labels => Some(waits),
            _ => None,
        });
        if let Some(waits) = waits {
            let lost = waits.absorb(group);
            self.waiting += events;
            self.waiting -= lost;
            self.dropped += lost as u64;
        } else if self.enqueue(Item::Group(Box::new(group))).is_err() {
            self.dropped += events as u64;
        }
    }

    /// The oldest delivery goes. If there is none, the oldest events of the largest group go: the group itself is a call that
    /// is still to come. False: there is nothing.
    fn drop_oldest(&mut self) -> bool {
        let lost = if let Some(item) = self.queue.pop_front() {
            item.events()
        } else {
            let groups = self.groups.iter_mut();
            let Some(largest) = groups.max_by_key(|group| group.events.len()) else {
                return false;
            };
            largest.trim()
        };
        if lost == 0 {
            return false;
        }
        self.waiting -= lost;
        self.dropped += lost as u64;
        true
    }

    fn enqueue(&mut self, item: Item) -> Result<(), Full> {
        let events = item.events();
        while self.grow_queue().is_err() {
            // Without memory for a longer queue the newest still go before the oldest.
            if self.queue.is_empty() || !self.drop_oldest() {
                return Err(Full);
            }
        }
        self.queue.push_back(item);
        self.waiting += events;
        Ok(())
    }

    pub(super) fn grow_queue(&mut self) -> Result<(), Full> {
        let capacity = self.queue.capacity();
        if self.queue.len() < capacity {
            return Ok(());
        }
        let larger = layout::grown(capacity);
        self.kept.add(layout::vec::<Item>(larger))?;
        let mut queue = VecDeque::with_capacity(larger);
        queue.append(&mut self.queue);
        self.queue = queue;
        self.kept.give_back(layout::vec::<Item>(capacity));
        Ok(())
    }

    fn gather(&mut self, event: &AlertEvent, now_ns: u64) -> Result<(), Full> {
        let by = self
            .grouping
            .as_ref()
            .map_or(&[][..], |grouping| &grouping.by);
        let labels = event.labels().only(by);
        if let Some(group) = self.groups.iter_mut().find(|group| group.labels == labels) {
            group.push(event.clone())?;
            self.waiting += 1;
            return Ok(());
        }
        if self.groups.len() >= MOST_GROUPS {
            let oldest = self.groups.remove(0);
            self.waiting -= oldest.events.len();
            self.deliver(oldest);
        }
        let mut group = AlertGroup::new(self.kept.ledger(), labels, now_ns)?;
        group.push(event.clone())?;
        let capacity = self.groups.capacity();
        if self.groups.len() == capacity {
            let larger = layout::grown(capacity);
            self.kept.add(layout::vec::<AlertGroup>(larger))?;
            layout::regrow(&mut self.groups, larger);
            self.kept.give_back(layout::vec::<AlertGroup>(capacity));
        }
        self.groups.push(group);
        self.waiting += 1;
        Ok(())
    }

    /// Groups whose time is over are ready; all of them at the end of time. Gives how many events were dropped.
    pub(super) fn close_groups(&mut self, now_ns: u64) -> u64 {
        let Some(grouping) = &self.grouping else {
            return 0;
        };
        let before = self.dropped;
        let window_ns = grouping.window_ns;
        // In the order in which they began.
        let open = self.groups.iter().position(|group| {
            // All of them at the end of time, however long the window.
            now_ns < u64::MAX && now_ns.saturating_sub(group.since_ns) < window_ns
        });
        let open = open.unwrap_or(self.groups.len());
        for _ in 0..open {
            let group = self.groups.remove(0);
            self.waiting -= group.events.len();
            self.deliver(group);
        }
        self.dropped - before
    }

    pub(super) fn take(&mut self) -> Option<Item> {
        let item = self.queue.pop_front()?;
        self.waiting -= item.events();
        Some(item)
    }

    /// Drops all that waits; gives how many events that were.
    pub(super) fn clear(&mut self) -> u64 {
        let lost = mem::take(&mut self.waiting) as u64;
        self.queue.clear();
        self.groups.clear();
        self.dropped += lost;
        lost
    }
}
