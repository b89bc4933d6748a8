//! Rules and callbacks that a store begins with.

use super::RecallBuilder;
use crate::{
    alerts::{AlertEvent, AlertRule},
    handle::Recall,
};
use parking_lot::Mutex;
use std::fmt;

/// A callback.
pub(super) type OnAlert = Box<dyn FnMut(&AlertEvent) + Send>;

/// Rules and callbacks that the store begins with.
#[derive(Default)]
pub(super) struct AlertConfig {
    pub(super) rules: Vec<AlertRule>,
    /// Locked by nobody; callbacks alone are not `Sync`, and a builder is.
    pub(super) callbacks: Mutex<Vec<OnAlert>>,
    pub(super) without_own: bool,
}

impl fmt::Debug for AlertConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rules, callbacks) = (self.rules.len(), self.callbacks.lock().len());
        write!(f, "{rules} rules, {callbacks} callbacks")
    }
}

impl RecallBuilder {
    /// A rule that the store begins with, and that [`Alerts::reset`](crate::Alerts::reset) brings back. Called again, one
    /// more. Default: only the store's own rules, about its memory, its series, its ticks and its callbacks.
    ///
    /// ```
    /// use metrics_recall::{AlertRule, Condition, Recall, mins};
    ///
    /// let slow = Condition::histograms("checkout_seconds").over(mins(5)).quantile(0.99).above(0.5);
    /// let (_recorder, recall) = Recall::builder()
    ///     .alert(AlertRule::new("SlowCheckout").when(slow))
    ///     .on_alert(|event| eprintln!("{event}"))
    ///     .build()?;
    /// assert!(recall.alerts().rules().iter().any(|rule| rule.name == "SlowCheckout"));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn alert(mut self, rule: AlertRule) -> Self {
        self.alerts.rules.push(rule);
        self
    }

    /// Calls `f` with every alert event, on a thread of its own, until the store is gone or shut down. Called again, one
    /// more. Default: nobody is called.
    pub fn on_alert(mut self, f: impl FnMut(&AlertEvent) + Send + 'static) -> Self {
        self.alerts.callbacks.get_mut().push(Box::new(f));
        self
    }

    /// Logs every alert event through `tracing`, those of the store's own rules too: firing as a warning or an error, as the
    /// rule's severity has it, everything else as information. In a program that never had a subscriber of `tracing`, whoever
    /// logs for the crate `log` gets them as records, with the target `metrics_recall::alerts`. Default: nothing is logged.
    ///
    /// ```no_run
    /// // With `tracing_subscriber::fmt::init()`, or `env_logger::init()`:
    /// let recall = metrics_recall::Recall::builder().log_alerts().install()?;
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[cfg(feature = "tracing")]
    pub fn log_alerts(self) -> Self {
        self.on_alert(crate::alerts::log)
    }

    /// Whether the store has rules of its own, whose names begin with `Recall`. Each can also be switched by
    /// [`Alerts::disable`](crate::Alerts::disable). Default: yes.
    pub fn own_alerts(mut self, yes: bool) -> Self {
        self.alerts.without_own = !yes;
        self
    }
}

/// Subscribes callbacks for as long as the store lives.
pub(super) fn subscribe(recall: &Recall, callbacks: Vec<OnAlert>) {
    for callback in callbacks {
        recall.alerts().subscribe(callback).detach();
    }
}
