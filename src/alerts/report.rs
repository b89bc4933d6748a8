//! What alerts say of themselves: what is active, how rules fare, reasons for `health`, and series for Prometheus.

use super::{
    board::{Board, at},
    event::{date, fingerprint},
    notify::SLOW_NS,
    number::short,
    severity::Severity,
    state::{Phase, RESOLVED_NS},
};
use crate::{
    model::{Labels, Timestamp},
    util::text::Shown,
};
use std::{fmt, sync::atomic::Ordering::Relaxed, time::Duration};

pub use super::state::AlertState;

/// An alert that is pending or firing. Shown on a line.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Alert {
    /// The name of the rule.
    pub rule: String,
    /// Pending or firing.
    pub state: AlertState,
    /// The labels of the group, and those of the rule.
    pub labels: Labels,
    /// The rule's.
    pub severity: Severity,
    /// The newest value that there was; NaN if there was none.
    pub value: f64,
    /// What it is compared with; `None` for an absence.
    pub threshold: Option<f64>,
    /// Since when the condition has held.
    pub since: Timestamp,
    /// Since when it has been firing.
    pub fired_at: Option<Timestamp>,
    /// Names and texts, with the newest value filled in.
    pub annotations: Vec<(String, String)>,
    /// The same as that of its events.
    pub fingerprint: u64,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = shown(&self.labels);
        write!(f, "{} {}{labels}", self.state, Shown(&self.rule))?;
        write!(f, " ({}): {}", self.severity, short(self.value, 6))?;
        if let Some(threshold) = self.threshold {
            write!(f, ", threshold {}", short(threshold, 6))?;
        }
        write!(f, ", since {}", date(self.fired_at.unwrap_or(self.since)))?;
        for (name, text) in &self.annotations {
            write!(f, "; {name}: {}", Shown(text))?;
        }
        Ok(())
    }
}

/// How a rule fares. Shown on a line.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RuleStatus {
    /// Its name.
    pub name: String,
    /// Its condition as text.
    pub condition: String,
    /// Its severity.
    pub severity: Severity,
    /// Whether it is evaluated.
    pub is_enabled: bool,
    /// Whether it is one of the store's own.
    pub is_builtin: bool,
    /// That of its alerts which is worst: firing, pending, resolved in the last minutes, inactive.
    pub state: AlertState,
    /// Alerts that are pending.
    pub pending: usize,
    /// Alerts that are firing.
    pub firing: usize,
    /// Groups that the last evaluation had; 0: its question had no answer.
    pub groups: usize,
    /// Groups that are not followed: there are more than the rule allows, or memory is short.
    pub excess: usize,
    /// The tick of the last evaluation.
    pub evaluated_at: Option<Timestamp>,
    /// What went wrong with the last evaluation, if anything did. The next tick evaluates the rule again.
    pub error: Option<String>,
    /// Evaluations that went wrong, ever.
    pub failures: u64,
}

impl fmt::Display for RuleStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, condition) = (Shown(&self.name), Shown(&self.condition));
        write!(f, "{name} ({}): {condition}: ", self.severity)?;
        if self.is_enabled {
            write!(f, "{}", self.state)?;
        } else {
            f.write_str("disabled")?;
        }
        if self.firing + self.pending > 0 {
            write!(f, ", {} firing, {} pending", self.firing, self.pending)?;
        }
        if self.excess > 0 {
            write!(f, ", {} groups too many", self.excess)?;
        }
        match &self.error {
            Some(error) => write!(f, ", {}", Shown(error)),
            None => Ok(()),
        }
    }
}

/// A series that Prometheus would write of an alert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AlertSeries {
    /// `ALERTS` or `ALERTS_FOR_STATE`.
    pub(crate) name: &'static str,
    pub(crate) labels: Labels,
    pub(crate) value: f64,
}

/// Alerts that `health` names one by one, and how long a callback may run until it does.
const NAMED: usize = 10;
const STUCK_NS: u64 = 5 * SLOW_NS;

impl Board {
    pub(crate) fn active(&self) -> Vec<Alert> {
        let active = self.with(|inner| {
            let now = inner.now;
            let rules = inner.rules.iter();
            let alerts = rules
                .flat_map(|watched| watched.groups.iter().map(|group| (&*watched.rule, group)));
            let alerts = alerts.filter(|(_, group)| group.state.is_active());
            alerts
                .map(|(rule, group)| {
                    let annotations = rule.annotations_of(&group.labels, group.value).into_vec();
                    Alert {
                        rule: rule.name.to_string(),
                        state: group.state.name(),
                        labels: group.labels.clone(),
                        severity: rule.severity,
                        value: group.value,
                        threshold: rule.condition.threshold(group.value),
                        since: at(now, group.state.since().unwrap_or(now.ns)),
                        fired_at: group.state.fired().map(|ns| at(now, ns)),
                        annotations: annotations
                            .into_iter()
                            .map(|(n, t)| (n.into(), t.into()))
                            .collect(),
                        fingerprint: fingerprint(&rule.name, &group.labels),
                    }
                })
                .collect()
        });
        active.unwrap_or_default()
    }

    pub(crate) fn statuses(&self) -> Vec<RuleStatus> {
        let statuses = self.with(|inner| {
            let now_ns = inner.now.ns;
            let status = |watched: &super::watched::Watched| {
                let count = |state| watched.groups.iter().filter(|g| g.state.name() == state).count();
                let (firing, pending) = (count(AlertState::Firing), count(AlertState::Pending));
                let lately = |phase| matches!(phase, Phase::Resolved { at, .. } if now_ns.saturating_sub(at) <= RESOLVED_NS);
                let state = match (firing, pending) {
                    (1.., _) => AlertState::Firing,
                    (0, 1..) => AlertState::Pending,
                    _ if watched.groups.iter().any(|g| lately(g.state.phase)) => AlertState::Resolved,
                    _ => AlertState::Inactive,
                };
                RuleStatus {
                    name: watched.rule.name.to_string(),
                    condition: watched.rule.condition.to_string(),
                    severity: watched.rule.severity,
                    is_enabled: watched.is_enabled,
                    is_builtin: watched.rule.is_builtin,
                    state,
                    pending,
                    firing,
                    groups: watched.answered,
                    excess: watched.excess,
                    evaluated_at: watched.evaluated,
                    error: watched.error.as_deref().map(str::to_owned),
                    failures: watched.failures,
                }
            };
            inner.rules.iter().map(status).collect()
        });
        statuses.unwrap_or_default()
    }

    /// `ALERTS` and `ALERTS_FOR_STATE` of what is pending or firing, as Prometheus writes them.
    pub(crate) fn series(&self) -> Vec<AlertSeries> {
        let mut all = Vec::new();
        for alert in self.active() {
            let name = [("alertname", alert.rule.as_str())];
            let state = alert.state.to_string();
            all.push(AlertSeries {
                name: "ALERTS",
                labels: alert
                    .labels
                    .with(name.into_iter().chain([("alertstate", state.as_str())])),
                value: 1.0,
            });
            #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch")]
            all.push(AlertSeries {
                name: "ALERTS_FOR_STATE",
                labels: alert.labels.with(name),
                value: alert.since.as_millis().div_euclid(1000) as f64,
            });
        }
        all
    }

    /// What is wrong, a sentence each. The store's own rules say what other reasons say already.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let statuses = self.statuses();
        let own = |name: &str| statuses.iter().any(|s| s.is_builtin && s.name == name);
        let firing: Vec<Alert> = self
            .active()
            .into_iter()
            .filter(|alert| {
                alert.state == AlertState::Firing
                    && alert.severity > Severity::Info
                    && !own(&alert.rule)
            })
            .collect();
        for alert in firing.iter().take(NAMED) {
            let condition = statuses
                .iter()
                .find(|s| s.name == alert.rule)
                .map_or("", |s| &s.condition);
            reasons.push(format!(
                "alert `{}`{} fires ({}): the value is {}, and its condition `{}`",
                Shown(&alert.rule),
                shown(&alert.labels),
                alert.severity,
                short(alert.value, 6),
                Shown(condition)
            ));
        }
        if let Some(more) = firing.len().checked_sub(NAMED).filter(|more| *more > 0) {
            reasons.push(format!("{more} more alerts fire"));
        }
        let failing = statuses.iter().filter_map(|status| {
            let error = Shown(status.error.as_deref()?);
            Some(format!(
                "rule `{}` could not be evaluated: {error}",
                Shown(&status.name)
            ))
        });
        add_some(failing, "rules could not be evaluated", &mut reasons);
        let unfollowed = statuses.iter().filter(|status| status.excess > 0);
        let unfollowed = unfollowed.map(|status| {
            format!(
                "rule `{}` does not follow {} of its groups: there are more than its `max_groups`, or alerts take more than an eighth of the memory budget (`memory_budget`)",
                Shown(&status.name), status.excess
            )
        });
        add_some(
            unfollowed,
            "rules do not follow all of their groups",
            &mut reasons,
        );
        self.callback_reasons(&mut reasons);
        reasons
    }

    fn callback_reasons(&self, reasons: &mut Vec<String>) {
        let counts = &self.hub.counts;
        let stats = self.hub.stats();
        let slowest = Duration::from_nanos(counts.slowest_ns.load(Relaxed));
        match counts.dropped.recent() {
            0 => {}
            n => reasons.push(format!(
                "{n} alert events were dropped: callbacks are slower than events come, or memory is short (`memory_budget`); a callback has room for 1024 events"
            )),
        }
        match counts.panicked.recent() {
            0 => {}
            n => reasons.push(format!(
                "alert callbacks panicked {n} times; they stay subscribed"
            )),
        }
        match counts.slow.recent() {
            0 => {}
            n => reasons.push(format!(
                "{n} calls of alert callbacks took longer than a second; the slowest ever took {slowest:?}"
            )),
        }
        if stats.running_for > Duration::from_nanos(STUCK_NS) {
            reasons.push(format!(
                "a call of an alert callback has been running for {:.0} s; {} events wait for callbacks",
                stats.running_for.as_secs_f64(), stats.waiting
            ));
        }
        match counts.deaf.recent() {
            0 => {}
            n => reasons.push(format!(
                "{n} subscriptions to alerts hear nothing: there was no thread or no memory for them (`memory_budget`)"
            )),
        }
    }
}

/// Sentences, and of many only some, with how many more there are.
fn add_some(mut sentences: impl Iterator<Item = String>, what: &str, to: &mut Vec<String>) {
    to.extend(sentences.by_ref().take(NAMED));
    match sentences.count() {
        0 => {}
        more => to.push(format!("{more} more {what}")),
    }
}

/// Labels for a line, if there are any.
pub(super) fn shown(labels: &Labels) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        Shown(&labels.to_string()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alerts::{AlertRule, Now, Vitals},
        error::Error,
        ledger::Ledger,
        model::MetricKind,
        query::{Ask, Found, Missing, Query, Sum},
    };
    use std::sync::Arc;

    /// A store that knows nothing but itself.
    struct Empty;

    impl Ask for Empty {
        fn knows(&self, _: MetricKind, _: &str) -> bool {
            false
        }

        fn find(&self, _: &Query) -> Result<Found, Missing> {
            Err(Missing::Unknown)
        }

        fn find_each(&self, _: &Query) -> Result<Found, Missing> {
            Err(Missing::Unknown)
        }

        fn sum(&self, _: &Query) -> Result<Option<Sum>, Missing> {
            Err(Missing::Unknown)
        }

        fn refuse(&self) {}

        fn odd(&self, _: &Query) {}

        fn explain(&self, query: &Query, _: Missing) -> Error {
            Error::invalid(&*query.name)
        }

        fn reset(&self, query: &Query) -> Result<(), Error> {
            Err(self.explain(query, Missing::Unknown))
        }

        fn delete(&self, query: &Query) -> Result<(), Error> {
            Err(self.explain(query, Missing::Unknown))
        }

        fn watch(
            &self,
            query: &Query,
            aggregation: crate::query::Aggregation,
        ) -> crate::query::Watch {
            let none = Arc::new(crate::ledger::Ledger::new(0));
            crate::query::Watch::new(&none, query, aggregation)
        }

        fn covered(&self) -> Option<(Timestamp, Timestamp)> {
            None
        }
    }

    /// Nothing is wrong.
    const CALM: Vitals = Vitals {
        memory: 0.2,
        overflowed: 0.0,
        disturbed: 0.0,
        dropped: 0.0,
        retention: 1.0,
    };

    fn now(second: u64) -> Now {
        let ms = i64::try_from(second * 1_000).unwrap();
        Now {
            ns: second * 1_000_000_000,
            at: Timestamp::from_millis(1_767_225_600_000 + ms),
        }
    }

    #[test]
    fn active_alerts_are_series_as_prometheus_writes_them() {
        let board = Board::new(Arc::new(Ledger::new(1 << 20)), now(0), || 0).unwrap();
        let condition = "current(recall_memory_ratio) > 0.8".parse().unwrap();
        let rule = AlertRule::new("Full")
            .when(condition)
            .for_at_least(Duration::from_secs(30))
            .label("team", "shop");
        board.set_defaults(false, vec![rule]).unwrap();
        let vitals = |memory| Vitals { memory, ..CALM };
        board.evaluate(&Empty, &vitals(0.9), now(10));
        let shown = |board: &Board| {
            let series = board.series().into_iter();
            let shown = series.map(|s| format!("{}{} {}", s.name, s.labels, s.value));
            shown.collect::<Vec<_>>()
        };
        let for_state = r#"ALERTS_FOR_STATE{alertname="Full",team="shop"} 1767225610"#;
        let pending = r#"ALERTS{alertname="Full",alertstate="pending",team="shop"} 1"#;
        assert_eq!(shown(&board), [pending, for_state]);
        board.evaluate(&Empty, &vitals(0.9), now(40));
        let firing = r#"ALERTS{alertname="Full",alertstate="firing",team="shop"} 1"#;
        assert_eq!(shown(&board), [firing, for_state]);
        board.evaluate(&Empty, &vitals(0.7), now(41));
        assert!(board.series().is_empty());
    }

    /// Each of the store's own rules fires on what it watches, says the number, and is resolved when that is over.
    #[test]
    fn each_of_the_stores_own_rules_fires_and_is_resolved() {
        let full = |memory| Vitals { memory, ..CALM };
        let overflowed = Vitals {
            overflowed: 7.0,
            ..CALM
        };
        let disturbed = Vitals {
            disturbed: 3.0,
            ..CALM
        };
        let dropped = Vitals {
            dropped: 5.0,
            ..CALM
        };
        let short = Vitals {
            retention: 0.4,
            ..CALM
        };
        let cases = [
            ("RecallMemoryHigh", full(0.85), "85% of the memory budget"),
            ("RecallMemoryFull", full(0.96), "96% of the memory budget"),
            ("RecallSeriesOverflow", overflowed, "7 recordings"),
            (
                "RecallTicksDisturbed",
                disturbed,
                "3 ticks were lost or late",
            ),
            ("RecallEventsDropped", dropped, "5 alert events"),
            ("RecallRetentionShort", short, "40% of what it is to"),
        ];
        for (name, vitals, says) in cases {
            let board = Board::new(Arc::new(Ledger::new(1 << 20)), now(0), || 0).unwrap();
            board.set_defaults(true, Vec::new()).unwrap();
            board.evaluate(&Empty, &CALM, now(1));
            assert!(board.active().is_empty(), "{name}");
            board.evaluate(&Empty, &vitals, now(2));
            let active = board.active();
            let alert = active.iter().find(|alert| alert.rule == name).unwrap();
            assert_eq!(alert.state, AlertState::Firing);
            let (_, summary) = &alert.annotations[0];
            assert!(summary.contains(says), "{name}: {summary}");
            board.evaluate(&Empty, &CALM, now(3));
            assert!(board.active().is_empty(), "{name}");
            let statuses = board.statuses();
            let status = statuses.iter().find(|status| status.name == name).unwrap();
            assert_eq!(status.state, AlertState::Resolved);
        }
    }
}
