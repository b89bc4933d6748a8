//! Which events a subscriber wants.

use super::super::{event::AlertEvent, severity::Severity, state::AlertState};

/// Which events a subscriber wants to hear; without a condition, all. Reset events pass every filter.
///
/// ```
/// use metrics_recall::{AlertFilter, AlertState, Severity};
///
/// let pages = AlertFilter::new().at_least(Severity::Error).state(AlertState::Firing);
/// # let (_recorder, recall) = metrics_recall::Recall::builder().build()?;
/// let pager = recall.alerts().subscribe_to(pages, |event| eprintln!("wake up: {event}"));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a filter does nothing until it is given to `subscribe_to` or `channel`"]
pub struct AlertFilter {
    least: Option<Severity>,
    rules: Vec<Box<str>>,
    states: Vec<AlertState>,
}

impl AlertFilter {
    /// All events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only events of rules that are at least this bad.
    pub fn at_least(mut self, severity: Severity) -> Self {
        self.least = Some(severity);
        self
    }

    /// Only events of this rule. Called again, of any of these.
    pub fn rule(mut self, name: impl AsRef<str>) -> Self {
        self.rules.push(name.as_ref().into());
        self
    }

    /// Only changes to this state. Called again, to any of these.
    pub fn state(mut self, state: AlertState) -> Self {
        self.states.push(state);
        self
    }

    pub(super) fn wants(&self, event: &AlertEvent) -> bool {
        event.is_reset()
            || (self.least.is_none_or(|least| event.severity() >= least)
                && (self.rules.is_empty() || self.rules.iter().any(|rule| **rule == *event.rule()))
                && (self.states.is_empty() || self.states.contains(&event.state())))
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.rules.iter().map(|rule| rule.len()).sum::<usize>()
            + self.rules.capacity() * size_of::<Box<str>>()
            + self.states.capacity() * size_of::<AlertState>()
    }
}
