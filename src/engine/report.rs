//! The numbers behind health: memory, series, ticks, samples, alerts, callbacks.

use super::{
    asked::Asked,
    core::Core,
    info::{Bytes, Memory},
};
use crate::{
    alerts::{AlertState, CallbackStats},
    live::{Busy, Counter, Gauge, Histogram, key::OVERFLOW, registry::Registry},
    model::MetricKind,
    util::{machine, text::Shown},
};
use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

/// How bad it is, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum HealthLevel {
    /// There is nothing to say.
    Healthy,
    /// Something was dropped, shortened or refused.
    Degraded,
    /// Ticks are lost or do not come, memory is nearly all used, or an alert of severity critical fires.
    Critical,
}

impl fmt::Display for HealthLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Critical => "critical",
        })
    }
}

/// The numbers of a store's health. Shown as some lines for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HealthReport {
    /// Memory of the store, and of the process that it is in.
    pub memory: HealthMemory,
    /// Series.
    pub series: HealthSeries,
    /// Ticks since the start.
    pub ticks: HealthTicks,
    /// What was recorded since the start.
    pub samples: HealthSamples,
    /// Rules and alerts.
    pub alerts: HealthAlerts,
    /// Who is told of alerts.
    pub callbacks: CallbackStats,
    /// Questions of the last minutes about metrics that were never recorded.
    pub unknown_questions: u64,
}

/// Memory, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HealthMemory {
    /// In use by the store.
    pub used: usize,
    /// Allowed.
    pub budget: usize,
    /// The most that was ever in use.
    pub peak: usize,
    /// What is used for what.
    pub parts: Vec<(&'static str, usize)>,
    /// What the process has of the machine's memory; `None` where the system does not say.
    pub rss: Option<usize>,
    /// What the process's control group may have; `None`: no limit, or none is known.
    pub limit: Option<usize>,
}

/// Series.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HealthSeries {
    /// Those that have cells, but for overflow series.
    pub live: usize,
    /// Of these, those that did not change for the idle timeout.
    pub idle: usize,
    /// Of these, those that somebody holds a handle of; they stay, idle or not.
    pub held: usize,
    /// Metrics whose overflow series got something in the last minutes.
    pub overflowing: usize,
    /// Labels with too many values, the worst first.
    pub offenders: Vec<HealthOffender>,
}

/// A label that has more values than its metric may have series.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HealthOffender {
    /// The metric's kind.
    pub kind: MetricKind,
    /// The metric's name, of a long one the beginning.
    pub metric: String,
    /// The label's name.
    pub label: String,
    /// About how many values were too many.
    pub values: u64,
}

/// Ticks since the start. Durations are of the whole tick, alerts included, within a fifth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HealthTicks {
    /// All.
    pub count: u64,
    /// Those that came more than half a resolution after their time.
    pub late: u64,
    /// Those that are missing in history for want of memory.
    pub lost: u64,
    /// The median duration.
    pub p50: Duration,
    /// The duration that 99 of 100 ticks keep.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// What was recorded since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HealthSamples {
    /// Points that ticks made: a series that changed in a tick is one.
    pub recorded: u64,
    /// Recordings that went to overflow series.
    pub overflowed: u64,
    /// Values that are no numbers that their metric can hold.
    pub refused: u64,
}

/// Rules and alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HealthAlerts {
    /// Rules, the store's own included.
    pub rules: usize,
    /// Alerts that are pending.
    pub pending: usize,
    /// Alerts that fire.
    pub firing: usize,
    /// Rules whose last evaluation went wrong.
    pub failing: usize,
}

/// Shares of the control group's limit that a budget is well below, and of the budget that is nearly all.
const TENTH: usize = 10;
const NEARLY: (usize, usize) = (95, 100);

/// The warning of a budget that takes much of what the process may have.
pub(super) fn limit_reason(budget: usize, limit: Option<usize>) -> Option<String> {
    let limit = limit.filter(|limit| budget > limit / TENTH)?;
    Some(format!(
        "the memory budget of {} is more than a tenth of the {} that this process's control group may have (`memory_budget`)",
        Bytes(budget),
        Bytes(limit)
    ))
}

impl Core {
    pub(super) fn report(&self, limit: Option<usize>) -> HealthReport {
        let Memory {
            used,
            budget,
            peak,
            parts,
        } = self.memory();
        let statuses = self.alerts.statuses();
        let count = |of: fn(&crate::alerts::RuleStatus) -> usize| statuses.iter().map(of).sum();
        let counts = &self.counts;
        let (asked, more) = counts.strange.list();
        let unknown = asked
            .iter()
            .filter(|a| a.is_unknown && !self.has(a.kind, &a.name));
        let unknown: u64 = unknown.map(|asked| asked.times).sum();
        HealthReport {
            memory: HealthMemory {
                used,
                budget,
                peak,
                parts,
                rss: machine::resident_bytes(),
                limit,
            },
            series: self.health_series(),
            ticks: HealthTicks {
                count: counts.ticks.total(),
                late: counts.late.total(),
                lost: counts.lost.total(),
                p50: counts.durations.quantile(0.5),
                p99: counts.durations.quantile(0.99),
                max: counts.durations.longest(),
            },
            samples: HealthSamples {
                recorded: counts.recorded.load(Relaxed),
                overflowed: self.live.denied(),
                refused: self
                    .odd::<Counter>()
                    .saturating_add(self.odd::<Gauge>())
                    .saturating_add(self.odd::<Histogram>()),
            },
            alerts: HealthAlerts {
                rules: statuses.len(),
                pending: count(|status| status.pending),
                firing: count(|status| status.firing),
                failing: statuses
                    .iter()
                    .filter(|status| status.error.is_some())
                    .count(),
            },
            callbacks: self.alerts.hub.stats(),
            unknown_questions: unknown + more,
        }
    }

    /// Whether what is wrong is worse than a loss here and there.
    pub(super) fn is_critical(&self, report: &HealthReport) -> bool {
        let counts = &self.counts;
        let HealthMemory { used, budget, .. } = report.memory;
        let is_full = used > budget / NEARLY.1 * NEARLY.0;
        let alerts = self.alerts.active().into_iter();
        let mut worst = alerts.filter(|alert| {
            alert.state == AlertState::Firing && alert.severity == crate::alerts::Severity::Critical
        });
        counts.lost.recent() > 0
            || counts.panicked.recent() > 0
            || self.idle_worker().is_some()
            || is_full
            || worst.next().is_some()
    }

    fn odd<K: Asked>(&self) -> u64 {
        let _busy = Busy::enter();
        let mut odd = 0;
        K::registry(&self.live).for_each_name(|name| odd = name.odd.total().saturating_add(odd));
        odd
    }

    fn health_series(&self) -> HealthSeries {
        let _busy = Busy::enter();
        let mut series = HealthSeries {
            live: 0,
            idle: 0,
            held: 0,
            overflowing: 0,
            offenders: Vec::new(),
        };
        self.look_at_series(&self.live.counters, &mut series);
        self.look_at_series(&self.live.gauges, &mut series);
        self.look_at_series(&self.live.histograms, &mut series);
        let mut offenders = self.live.offenders.list();
        offenders.sort_by_key(|offender| std::cmp::Reverse(offender.values));
        series
            .offenders
            .extend(offenders.into_iter().map(|offender| HealthOffender {
                kind: offender.kind,
                metric: offender.metric,
                label: offender.label,
                values: offender.values,
            }));
        series
    }

    fn look_at_series<K: Asked>(&self, registry: &Registry<K>, to: &mut HealthSeries) {
        let now = registry.now.load(Relaxed);
        let resolution = self.plan.resolution.as_nanos().max(1);
        let idle = self.plan.idle_timeout.as_nanos() / resolution;
        registry.for_each_name(|name| {
            let overflows = name.denied.recent() > 0 || name.too_long.recent() > 0;
            to.overflowing += usize::from(overflows);
        });
        registry.for_each_entry(|_, entry| {
            let cells = entry.cells.as_slice();
            let Some(series) = entry.cells.series().filter(|_| !cells.is_empty()) else {
                return;
            };
            if *series.labels == *OVERFLOW || entry.is_dormant() {
                return;
            }
            to.live += 1;
            to.idle += usize::from(u128::from(now.wrapping_sub(entry.touched)) > idle);
            to.held += usize::from(cells.iter().any(|cell| Arc::strong_count(cell) > 1));
        });
    }
}

impl fmt::Display for HealthReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HealthMemory {
            used,
            budget,
            peak,
            parts,
            rss,
            limit,
        } = &self.memory;
        write!(
            f,
            "memory: {} of {}, at most {} until now",
            Bytes(*used),
            Bytes(*budget),
            Bytes(*peak)
        )?;
        if let Some(rss) = rss {
            write!(f, "; the process has {}", Bytes(*rss))?;
        }
        if let Some(limit) = limit {
            write!(f, " of {}", Bytes(*limit))?;
        }
        let parts = parts.iter().filter(|(_, bytes)| *bytes > 0);
        let parts: Vec<String> = parts
            .map(|(name, bytes)| format!("{name} {}", Bytes(*bytes)))
            .collect();
        writeln!(f, " ({})", parts.join(", "))?;
        let series = &self.series;
        write!(
            f,
            "series: {} live, {} of them idle, {} held; {} metrics overflow",
            series.live, series.idle, series.held, series.overflowing
        )?;
        for offender in series.offenders.iter().take(3) {
            write!(
                f,
                "; label `{}` of {} `{}` has about {} values too many",
                Shown(&offender.label),
                offender.kind,
                Shown(&offender.metric),
                offender.values
            )?;
        }
        let HealthTicks {
            count,
            late,
            lost,
            p50,
            p99,
            max,
        } = self.ticks;
        writeln!(
            f,
            "\nticks: {count}, {late} late, {lost} lost; p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}"
        )?;
        let HealthSamples {
            recorded,
            overflowed,
            refused,
        } = self.samples;
        writeln!(
            f,
            "samples: {recorded} points, {overflowed} recordings overflowed, {refused} values refused"
        )?;
        let HealthAlerts {
            rules,
            pending,
            firing,
            failing,
        } = self.alerts;
        writeln!(
            f,
            "alerts: {rules} rules, {pending} pending, {firing} firing, {failing} failing"
        )?;
        writeln!(f, "callbacks: {}", self.callbacks)?;
        write!(
            f,
            "questions about unknown names: {}",
            self.unknown_questions
        )
    }
}
