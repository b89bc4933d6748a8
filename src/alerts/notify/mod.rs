//! Who hears of alerts: subscribers, each with a bounded inbox and, for a callback, a thread of its own.
//!
//! A callback may take for ever, panic, call into the store, or unsubscribe itself: the tick only puts events into
//! inboxes, and no lock is held while user code runs. So it delays neither the tick nor any other subscriber.

mod filter;
mod inbox;
mod subscriber;

pub use self::{
    filter::AlertFilter,
    inbox::AlertGroup,
    subscriber::{AlertReceiver, Subscription},
};
pub(crate) use self::{inbox::Grouping, subscriber::Callback};

use self::{inbox::Inbox, subscriber::Subscriber};
use super::{event::AlertEvent, kept::Kept};
use crate::{
    ledger::{Full, Ledger, Part},
    util::{fork, layout, recent::Recent, thread},
};
use parking_lot::{Condvar, Mutex};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// All subscribers, and what became of the events.
pub(crate) struct Hub {
    list: Mutex<Vec<Arc<Subscriber>>>,
    /// Held by nobody but those who wait; told whenever a callback is done.
    waiting: Mutex<()>,
    done: Condvar,
    next_id: AtomicU64,
    ledger: Arc<Ledger>,
    now_ns: Box<dyn Fn() -> u64 + Send + Sync>,
    pub(crate) counts: Counts,
}

/// What became of events, and of calls.
pub(crate) struct Counts {
    /// Events that some subscriber did not get, or that found no memory.
    pub(crate) dropped: Recent,
    pub(crate) panicked: Recent,
    /// Calls that took longer than a second.
    pub(crate) slow: Recent,
    /// Subscriptions without a thread or memory.
    pub(crate) deaf: Recent,
    pub(crate) slowest_ns: AtomicU64,
}

/// How callbacks fare, all together. Shown as a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CallbackStats {
    /// Subscriptions, those of channels included.
    pub subscriptions: usize,
    /// Events that wait.
    pub waiting: usize,
    /// Events that were dropped: an inbox was full, or memory short.
    pub dropped: u64,
    /// Calls that panicked.
    pub panicked: u64,
    /// The longest call that has ended.
    pub slowest: Duration,
    /// For how long the call has been running that began first.
    pub running_for: Duration,
}

impl std::fmt::Display for CallbackStats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} subscriptions, {} events wait, {} dropped; {} calls panicked, the slowest took {:?}",
            self.subscriptions, self.waiting, self.dropped, self.panicked, self.slowest
        )
    }
}

/// Calls that take longer are slow.
pub(crate) const SLOW_NS: u64 = 1_000_000_000;

impl Hub {
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        now_ns: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            list: Mutex::new(Vec::new()),
            waiting: Mutex::new(()),
            done: Condvar::new(),
            next_id: AtomicU64::new(1),
            ledger,
            now_ns: Box::new(now_ns),
            counts: Counts {
                dropped: Recent::new(),
                panicked: Recent::new(),
                slow: Recent::new(),
                deaf: Recent::new(),
                slowest_ns: AtomicU64::new(0),
            },
        })
    }

    fn now_ns(&self) -> u64 {
        (self.now_ns)()
    }

    /// Everybody who wants it is given the event.
    pub(crate) fn publish(&self, event: &AlertEvent, now_ns: u64) {
        for subscriber in fork::lock(&self.list).iter().flat_map(|list| list.iter()) {
            self.counts.dropped.add(subscriber.offer(event, now_ns));
        }
    }

    /// Time has passed.
    pub(crate) fn pass(&self, now_ns: u64) {
        for subscriber in fork::lock(&self.list).iter().flat_map(|list| list.iter()) {
            self.counts.dropped.add(subscriber.pass(now_ns));
        }
    }

    /// A subscriber in the list. One without memory is not, and hears nothing; `health()` says so.
    fn enlist(
        &self,
        filter: AlertFilter,
        grouping: Option<Grouping>,
        is_called: bool,
    ) -> Arc<Subscriber> {
        let by = grouping.as_ref().map_or(0, |grouping| {
            let names = grouping.by.iter().map(|name| name.len());
            names.sum::<usize>() + size_of_val(&*grouping.by)
        });
        let bytes = layout::arc::<Subscriber>() + filter.bytes() + by;
        let id = self.next_id.fetch_add(1, Relaxed);
        let mut list = self.list.lock();
        let kept = Kept::new(&self.ledger, bytes)
            .ok()
            .filter(|_| self.ledger.room(Part::Alerts, &mut list, 1));
        if let Some(kept) = kept {
            let mut inbox = Inbox::new(kept, grouping);
            // Room for some events, whatever memory there is when they come.
            let _ = inbox.grow_queue();
            let subscriber = Arc::new(Subscriber::new(id, filter, is_called, inbox));
            list.push(subscriber.clone());
            return subscriber;
        }
        drop(list);
        self.counts.deaf.add(1);
        let nothing = Kept::new(&self.ledger, 0).map_err(|Full| ());
        // PANIC: nothing always fits.
        let nothing = nothing.expect("no bytes fit into any budget");
        let deaf = Subscriber::new(id, AlertFilter::new(), is_called, Inbox::new(nothing, None));
        deaf.end();
        Arc::new(deaf)
    }

    /// Subscribes a callback, which gets a thread.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        filter: AlertFilter,
        grouping: Option<Grouping>,
        callback: Callback,
    ) -> Subscription {
        let subscriber = self.enlist(filter, grouping, true);
        if !subscriber.is_closed() {
            let (served, hub) = (subscriber.clone(), Arc::downgrade(self));
            let run = move || subscriber::serve(&served, &hub, callback);
            if thread::spawn("recall-alert", run).is_err() {
                self.counts.deaf.add(1);
                subscriber.end();
                self.forget(&subscriber);
            }
        }
        Subscription::new(subscriber, self)
    }

    pub(crate) fn channel(self: &Arc<Self>, filter: AlertFilter) -> AlertReceiver {
        AlertReceiver::new(self.enlist(filter, None, false), self)
    }

    fn forget(&self, subscriber: &Arc<Subscriber>) {
        let mut list = self.list.lock();
        list.retain(|known| !Arc::ptr_eq(known, subscriber));
        if list.is_empty() {
            let bytes = layout::vec::<Arc<Subscriber>>(list.capacity());
            *list = Vec::new();
            self.ledger.release(Part::Alerts, bytes);
        }
    }

    /// A call has ended.
    fn delivered(&self, is_panic: bool, began_ns: u64) {
        let took_ns = self.now_ns().saturating_sub(began_ns);
        self.counts.slowest_ns.fetch_max(took_ns, Relaxed);
        self.counts.slow.add(u64::from(took_ns > SLOW_NS));
        self.counts.panicked.add(u64::from(is_panic));
        self.progress();
    }

    fn progress(&self) {
        // Whoever waits looks, and begins to wait, under this lock.
        drop(self.waiting.lock());
        self.done.notify_all();
    }

    /// Waits until something is so, at most so long; gives whether it is.
    fn wait_until(&self, is_so: impl Fn() -> bool, within: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        let waited = self
            .done
            .wait_while_for(&mut waiting, |()| !is_so(), within);
        !waited.timed_out()
    }

    /// Waits until callbacks have been called with all that there is for them, at most so long; gives whether they have.
    /// A callback does not wait for itself.
    pub(crate) fn drain(&self, within: Duration) -> bool {
        let is_idle = || {
            let list = self.list.lock();
            list.iter()
                .all(|s| s.is_mine() || !s.is_called() || !s.is_busy())
        };
        self.wait_until(is_idle, within)
    }

    /// Ends all subscriptions: what waits is delivered, as far as that is done in time; gives whether it was.
    pub(crate) fn shut(&self, within: Duration) -> bool {
        for subscriber in fork::lock(&self.list).iter().flat_map(|list| list.iter()) {
            subscriber.close();
        }
        let is_drained = self.drain(within);
        let mut list = self.list.lock();
        let ended = std::mem::take(&mut *list);
        drop(list);
        for subscriber in ended.iter().filter(|subscriber| subscriber.is_called()) {
            self.counts.dropped.add(subscriber.end());
        }
        let bytes = layout::vec::<Arc<Subscriber>>(ended.capacity());
        drop(ended);
        self.ledger.release(Part::Alerts, bytes);
        is_drained
    }

    pub(crate) fn stats(&self) -> CallbackStats {
        let now_ns = self.now_ns();
        let list = self.list.lock();
        let mut stats = CallbackStats {
            subscriptions: list.len(),
            waiting: 0,
            dropped: self.counts.dropped.total(),
            panicked: self.counts.panicked.total(),
            slowest: Duration::from_nanos(self.counts.slowest_ns.load(Relaxed)),
            running_for: Duration::ZERO,
        };
        for subscriber in &*list {
            let (busy_since, waiting, _) = subscriber.look();
            let running = now_ns.saturating_sub(busy_since.unwrap_or(now_ns));
            stats.waiting += waiting;
            stats.running_for = stats.running_for.max(Duration::from_nanos(running));
        }
        stats
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let list = std::mem::take(self.list.get_mut());
        for subscriber in &list {
            subscriber.close();
        }
        let bytes = layout::vec::<Arc<Subscriber>>(list.capacity());
        drop(list);
        self.ledger.release(Part::Alerts, bytes);
    }
}
