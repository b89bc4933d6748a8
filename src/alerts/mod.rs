//! Alerts: rules that the tick evaluates, the states of what they watch, and who hears of it.
//!
//! The tick evaluates all rules when history has committed, and puts events into inboxes; callbacks run on threads of
//! their own. A pure function moves the states.

mod board;
mod builtin;
mod condition;
#[cfg(feature = "serde")]
mod data;
mod evaluate;
mod event;
mod kept;
mod lexis;
#[cfg(feature = "tracing")]
mod log;
mod notify;
mod number;
mod ready;
mod report;
mod rule;
mod severity;
mod state;
mod template;
mod text;
mod watched;

#[cfg(feature = "tracing")]
pub(crate) use self::log::log;
pub(crate) use self::{board::Board, builtin::Vitals, evaluate::Now, notify::Callback};
pub use self::{
    condition::Condition,
    event::AlertEvent,
    notify::{AlertFilter, AlertGroup, AlertReceiver, CallbackStats, Subscription},
    report::{Alert, RuleStatus},
    rule::{AlertRule, NoData},
    severity::Severity,
    state::AlertState,
};

use self::notify::Grouping;
use crate::{error::Error, query::LabelNames};
use std::{fmt, sync::Arc, time::Duration};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn mins(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// The alerts of a store: rules, what is active, and who hears of it. Clones are the same; it may be kept, also in
/// callbacks, and does not keep the store alive.
///
/// Rules are evaluated by each tick, after history has it; what they need is charged to the memory budget, of which alerts
/// may take an eighth. Every method may be called from any thread, and from callbacks.
///
/// ```
/// use metrics_recall::{AlertRule, AlertState, Clock, Condition, Recall, secs};
///
/// let (clock, hands) = Clock::manual();
/// let (recorder, recall) = Recall::builder().clock(clock).build()?;
/// let deep = Condition::gauges("queue_depth").current().above(100.0);
/// recall.alerts().add(AlertRule::new("QueueDeep").when(deep).for_at_least(secs(10)))?;
/// let sub = recall.alerts().subscribe(|event| println!("{event}"));
///
/// recorder.scope(|| metrics::gauge!("queue_depth").set(250.0));
/// for _ in 0..=10 {
///     hands.advance(secs(1));
///     recall.tick();
/// }
/// let active = recall.alerts().active();
/// assert_eq!(active[0].state, AlertState::Firing);
/// assert_eq!(active[0].value, 250.0);
/// # recall.alerts().drain(secs(5));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone)]
pub struct Alerts(Arc<Board>);

impl Alerts {
    pub(crate) fn new(board: Arc<Board>) -> Self {
        Self(board)
    }

    /// Adds a rule, which the next tick evaluates.
    ///
    /// # Errors
    ///
    /// For a rule without name or condition, or with a name that another one has; for durations of zero where there must
    /// be some time, thresholds that are NaN or on the wrong side, labels that Prometheus would not take, and templates that
    /// cannot be understood, with the position; and when there is no room. Nothing is added then.
    pub fn add(&self, rule: AlertRule) -> Result<(), Error> {
        let rule = self.0.check(rule)?;
        self.0.with(|inner| self.0.push(inner, rule))?
    }

    /// Puts a rule in the place of the one that has its name. Alerts go on when condition and labels are the same; else they
    /// end, and begin anew.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add), and when there is no rule of this name. The old one stays then.
    pub fn replace(&self, rule: AlertRule) -> Result<(), Error> {
        let rule = self.0.check(rule)?;
        self.0.with(|inner| self.0.replace(inner, rule))?
    }

    /// Takes a rule away, also one of the store's own. Its alerts are resolved.
    ///
    /// # Errors
    ///
    /// When there is no rule of this name.
    pub fn remove(&self, name: impl AsRef<str>) -> Result<(), Error> {
        self.0.with(|inner| self.0.remove(inner, name.as_ref()))?
    }

    /// Evaluates a rule again that was disabled.
    ///
    /// # Errors
    ///
    /// When there is no rule of this name.
    pub fn enable(&self, name: impl AsRef<str>) -> Result<(), Error> {
        self.0
            .with(|inner| self.0.enable(inner, name.as_ref(), true))?
    }

    /// Evaluates a rule no more, also one of the store's own, until it is enabled. Its alerts are resolved.
    ///
    /// # Errors
    ///
    /// When there is no rule of this name.
    pub fn disable(&self, name: impl AsRef<str>) -> Result<(), Error> {
        self.0
            .with(|inner| self.0.enable(inner, name.as_ref(), false))?
    }

    /// All rules in the order in which they were added, the store's own first, and how they fare.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleStatus> {
        self.0.statuses()
    }

    /// What is pending or firing, rule by rule, sorted by labels.
    #[must_use]
    pub fn active(&self) -> Vec<Alert> {
        self.0.active()
    }

    /// The newest 256 events, oldest first; fewer when memory is short.
    #[must_use]
    pub fn recent(&self) -> Vec<AlertEvent> {
        let recent = self.0.with(|inner| inner.record.iter().cloned().collect());
        recent.unwrap_or_default()
    }

    /// The rules that the store began with, its own and those of the builder, and no alerts. Subscribers are told by an
    /// event that [is a reset](AlertEvent::is_reset).
    pub fn reset(&self) {
        // Refused only from inside of an evaluation, where no user code runs.
        let _ = self.0.with(|inner| self.0.reset(inner));
    }

    /// Calls `f` with every event, in order, on a thread of its own, until the subscription is dropped.
    ///
    /// `f` may take its time, panic, and use the store; nothing else waits for it. A thousand events wait for it at most,
    /// then the oldest are dropped, and `health()` says so. A panic is counted, and the next event comes.
    pub fn subscribe(&self, f: impl FnMut(&AlertEvent) + Send + 'static) -> Subscription {
        self.subscribe_to(AlertFilter::new(), f)
    }

    /// As [`subscribe`](Self::subscribe), for the events that pass a filter.
    pub fn subscribe_to(
        &self,
        filter: AlertFilter,
        f: impl FnMut(&AlertEvent) + Send + 'static,
    ) -> Subscription {
        self.0
            .hub
            .subscribe(filter, None, Callback::Each(Box::new(f)))
    }

    /// Calls `f` once for all events of a group that come within `window` after its first, so that a storm is one call: events
    /// with the same values of these labels are a group. The window is one of ticks, not of the wall.
    ///
    /// Of each group one call waits at most: while `f` is slow, it takes in what comes. A thousand events wait at most, then the
    /// oldest of the largest group are dropped, and [`AlertGroup::missing`] says how many; a group loses its call only when more
    /// than a thousand wait, or when memory is short.
    ///
    /// ```
    /// # let (_recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// use metrics_recall::secs;
    ///
    /// let mails = recall.alerts().subscribe_grouped(["service"], secs(30), |group| {
    ///     println!("{} events of {}", group.events().len(), group.labels());
    /// });
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn subscribe_grouped(
        &self,
        labels: impl LabelNames,
        window: Duration,
        f: impl FnMut(&AlertGroup) + Send + 'static,
    ) -> Subscription {
        let grouping = Grouping {
            by: labels.names().into(),
            window_ns: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX),
        };
        let callback = Callback::Group(Box::new(f));
        self.0
            .hub
            .subscribe(AlertFilter::new(), Some(grouping), callback)
    }

    /// The events that pass a filter as a channel, to be received on any thread.
    pub fn channel(&self, filter: AlertFilter) -> AlertReceiver {
        self.0.hub.channel(filter)
    }

    /// Waits until callbacks were called with all events that wait for them, at most `within`; gives whether they were.
    /// A callback that calls it does not wait for itself.
    pub fn drain(&self, within: Duration) -> bool {
        self.0.hub.drain(within)
    }

    /// How callbacks fare.
    #[must_use]
    pub fn callbacks(&self) -> CallbackStats {
        self.0.hub.stats()
    }
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alerts({} active)", self.active().len())
    }
}
