//! One subscriber: its inbox, the thread that empties it, and the guards that users hold.

use super::{
    AlertFilter, AlertGroup, Hub,
    inbox::{Inbox, Item},
};
use crate::{alerts::event::AlertEvent, util::caught::caught};
use parking_lot::{Condvar, Mutex};
use std::{
    cell::Cell,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// What a subscriber does with what it is given.
pub(crate) enum Callback {
    Each(Box<dyn FnMut(&AlertEvent) + Send>),
    Group(Box<dyn FnMut(&AlertGroup) + Send>),
}

/// One who hears of events.
pub(super) struct Subscriber {
    pub(super) id: u64,
    pub(super) filter: AlertFilter,
    /// Whether there is a callback, which a thread calls; else events are received.
    is_called: bool,
    inbox: Mutex<Desk>,
    /// Something came in, or it is to end.
    changed: Condvar,
    pub(super) delivered: AtomicU64,
}

struct Desk {
    inbox: Inbox,
    stage: Stage,
    /// Since when a callback has been running, on the store's clock.
    busy_since_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// Takes nothing in, and ends when it has delivered what it has.
    Closing,
    /// Delivers nothing any more.
    Closed,
}

thread_local! {
    /// The subscriber that this thread serves; 0: none.
    static SERVED: Cell<u64> = const { Cell::new(0) };
}

/// How long a guard that is dropped waits for a callback that runs.
const PATIENCE: Duration = Duration::from_secs(1);

impl Subscriber {
    pub(super) fn new(id: u64, filter: AlertFilter, is_called: bool, inbox: Inbox) -> Self {
        Self {
            id,
            filter,
            is_called,
            inbox: Mutex::new(Desk {
                inbox,
                stage: Stage::Open,
                busy_since_ns: None,
            }),
            changed: Condvar::new(),
            delivered: AtomicU64::new(0),
        }
    }

    /// Whether it is this thread's own.
    pub(super) fn is_mine(&self) -> bool {
        SERVED.get() == self.id
    }

    pub(super) fn is_called(&self) -> bool {
        self.is_called
    }

    /// Takes an event in; gives how many were dropped.
    pub(super) fn offer(&self, event: &AlertEvent, now_ns: u64) -> u64 {
        if !self.filter.wants(event) {
            return 0;
        }
        let mut desk = self.inbox.lock();
        if desk.stage != Stage::Open {
            return 0;
        }
        let dropped = desk.inbox.offer(event, now_ns);
        drop(desk);
        self.changed.notify_all();
        dropped
    }

    /// Time has passed: groups whose window is over are delivered. Gives how many events were dropped.
    pub(super) fn pass(&self, now_ns: u64) -> u64 {
        let mut desk = self.inbox.lock();
        let dropped = desk.inbox.close_groups(now_ns);
        let ready = desk.inbox.is_ready();
        drop(desk);
        if ready {
            self.changed.notify_all();
        }
        dropped
    }

    /// Takes nothing in any more, and ends when all is delivered.
    pub(super) fn close(&self) {
        let mut desk = self.inbox.lock();
        if desk.stage == Stage::Open {
            desk.inbox.close_groups(u64::MAX);
            desk.stage = Stage::Closing;
        }
        drop(desk);
        self.changed.notify_all();
    }

    /// Delivers nothing any more; gives how many events that are left undelivered.
    pub(super) fn end(&self) -> u64 {
        let mut desk = self.inbox.lock();
        desk.stage = Stage::Closed;
        let lost = desk.inbox.clear();
        drop(desk);
        self.changed.notify_all();
        lost
    }

    /// Whether a callback runs, or one is to.
    pub(super) fn is_busy(&self) -> bool {
        let desk = self.inbox.lock();
        desk.busy_since_ns.is_some() || desk.inbox.is_ready()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.inbox.lock().stage == Stage::Closed
    }

    /// Since when a callback has been running; events that wait; events that were dropped.
    pub(super) fn look(&self) -> (Option<u64>, usize, u64) {
        let desk = self.inbox.lock();
        (
            desk.busy_since_ns,
            desk.inbox.waiting(),
            desk.inbox.dropped(),
        )
    }

    /// The next delivery, for a callback; waits for it. `None`: there is none any more.
    fn next(&self, now_ns: impl Fn() -> u64) -> Option<Item> {
        let mut desk = self.inbox.lock();
        loop {
            if desk.stage == Stage::Closed {
                return None;
            }
            if let Some(item) = desk.inbox.take() {
                desk.busy_since_ns = Some(now_ns());
                return Some(item);
            }
            if desk.stage == Stage::Closing {
                desk.stage = Stage::Closed;
                return None;
            }
            self.changed.wait(&mut desk);
        }
    }

    fn done(&self) -> u64 {
        self.inbox.lock().busy_since_ns.take().unwrap_or(0)
    }

    /// The next delivery, for a receiver; waits for it at most so long.
    fn receive(&self, within: Duration) -> Option<Item> {
        let mut desk = self.inbox.lock();
        let nothing = |desk: &mut Desk| !desk.inbox.is_ready() && desk.stage == Stage::Open;
        if !within.is_zero() {
            self.changed.wait_while_for(&mut desk, nothing, within);
        }
        let item = desk.inbox.take()?;
        self.delivered.fetch_add(item.events() as u64, Relaxed);
        Some(item)
    }
}

/// What the thread of a subscriber does: nothing but deliver.
pub(super) fn serve(subscriber: &Subscriber, hub: &Weak<Hub>, mut callback: Callback) {
    SERVED.set(subscriber.id);
    let now_ns = || hub.upgrade().map_or(0, |hub| hub.now_ns());
    while let Some(item) = subscriber.next(now_ns) {
        let events = item.events() as u64;
        let panicked = caught(|| match (&mut callback, &item) {
            (Callback::Each(call), Item::One(event)) => call(event),
            (Callback::Each(call), Item::Group(group)) => group.events().iter().for_each(call),
            (Callback::Group(call), Item::Group(group)) => call(group),
            // Subscribers of groups are given groups.
            (Callback::Group(_), Item::One(_)) => (),
        });
        let is_panic = panicked.is_err();
        drop((item, panicked));
        subscriber.delivered.fetch_add(events, Relaxed);
        let began_ns = subscriber.done();
        if let Some(hub) = hub.upgrade() {
            hub.delivered(is_panic, began_ns);
        }
    }
    // A callback may hold what panics when it is dropped, or the last handle of the store.
    drop(caught(|| drop(callback)));
    if let Some(hub) = hub.upgrade() {
        hub.progress();
    }
}

/// A callback that is subscribed to alerts. Dropping it unsubscribes: no call begins afterwards, and one that runs is
/// waited for, for a second at most, unless it is the one that drops it.
#[must_use = "dropping it unsubscribes, `let _ =` does so at once; keep it or call `.detach()`"]
pub struct Subscription {
    subscriber: Option<Arc<Subscriber>>,
    hub: Weak<Hub>,
}

impl Subscription {
    pub(super) fn new(subscriber: Arc<Subscriber>, hub: &Arc<Hub>) -> Self {
        Self {
            subscriber: Some(subscriber),
            hub: Arc::downgrade(hub),
        }
    }

    /// Leaves the callback subscribed for as long as the store lives, or until it is shut down.
    pub fn detach(mut self) {
        self.subscriber = None;
    }

    /// Events that the callback was called with, one that panicked included.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        let subscriber = self.subscriber.as_ref();
        subscriber.map_or(0, |subscriber| subscriber.delivered.load(Relaxed))
    }

    /// Events that were dropped, since too many were waiting or memory was short.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.subscriber.as_ref().map_or(0, |s| s.look().2)
    }

    /// Events that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.subscriber.as_ref().map_or(0, |s| s.look().1)
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Subscription({} delivered, {} waiting, {} dropped)",
            self.delivered(),
            self.waiting(),
            self.dropped()
        )
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(subscriber) = self.subscriber.take() {
            leave(&subscriber, &self.hub);
        }
    }
}

/// Nothing is delivered any more; what is being delivered is waited for.
fn leave(subscriber: &Arc<Subscriber>, hub: &Weak<Hub>) {
    subscriber.end();
    let Some(hub) = hub.upgrade() else { return };
    hub.forget(subscriber);
    if subscriber.is_called() && !subscriber.is_mine() {
        hub.wait_until(|| !subscriber.is_busy(), PATIENCE);
    }
}

/// Events as a channel: they wait here, a thousand at most, until they are received. Dropping it unsubscribes.
///
/// ```
/// use metrics_recall::{AlertFilter, AlertRule, Clock, Condition, Recall, secs};
///
/// let (clock, hands) = Clock::manual();
/// let (recorder, recall) = Recall::builder().clock(clock).build()?;
/// recall.alerts().add(AlertRule::new("Deep").when(Condition::gauges("queue_depth").current().above(5.0)))?;
/// let events = recall.alerts().channel(AlertFilter::new());
/// recorder.scope(|| metrics::gauge!("queue_depth").set(7.0));
/// hands.advance(secs(1));
/// recall.tick();
/// assert_eq!(events.try_recv().unwrap().rule(), "Deep");
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[must_use = "dropping it unsubscribes, `let _ =` does so at once"]
pub struct AlertReceiver {
    subscriber: Arc<Subscriber>,
    hub: Weak<Hub>,
}

impl AlertReceiver {
    pub(super) fn new(subscriber: Arc<Subscriber>, hub: &Arc<Hub>) -> Self {
        Self {
            subscriber,
            hub: Arc::downgrade(hub),
        }
    }

    /// The oldest event that waits, if any.
    #[must_use = "it is received once"]
    pub fn try_recv(&self) -> Option<AlertEvent> {
        self.recv_timeout(Duration::ZERO)
    }

    /// The oldest event; waits for one at most `within`. `None` also when the store is gone or shut down, and no event
    /// waits.
    #[must_use = "it is received once"]
    pub fn recv_timeout(&self, within: Duration) -> Option<AlertEvent> {
        match self.subscriber.receive(within)? {
            Item::One(event) => Some(event),
            // Only callbacks have groups.
            Item::Group(_) => None,
        }
    }

    /// Events that were dropped, since too many were waiting or memory was short.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.subscriber.look().2
    }

    /// Events that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.subscriber.look().1
    }
}

impl std::fmt::Debug for AlertReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlertReceiver({} waiting)", self.waiting())
    }
}

impl Drop for AlertReceiver {
    fn drop(&mut self) {
        leave(&self.subscriber, &self.hub);
    }
}
