//! One look at the store, from which text and page are made: what is wrong, what is active, and what happens most.

use super::rows::{Ask, Row};
use crate::{
    alerts::Alert,
    engine::{Memory, MetricInfo},
    handle::Recall,
    model::MetricKind,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Metrics of a kind that are shown.
const MOST_METRICS: usize = 25;

/// Series of a metric that are shown beneath it.
const MOST_SERIES: usize = 3;

/// A metric with more series than this is shown as a whole: to ask for each would take as long as the rest together.
const MANY_SERIES: usize = 200;

/// And of a kind with more, all are.
const MANY_SERIES_OF_KIND: usize = 10_000;

/// Alerts that are shown.
const MOST_ALERTS: usize = 20;

pub(super) struct Overview {
    /// What tells this process from others: its global labels.
    pub(super) globals: String,
    /// As it was asked for.
    pub(super) window: Duration,
    /// As much of it as there can be lines of: not more than history has.
    pub(super) shown: Duration,
    /// How far history reaches back.
    pub(super) reach: Duration,
    pub(super) memory: Memory,
    pub(super) is_healthy: bool,
    /// Without those about alerts, which stand for themselves.
    pub(super) reasons: Vec<String>,
    pub(super) alerts: Vec<Alert>,
    pub(super) more_alerts: usize,
    pub(super) metrics: usize,
    pub(super) series: usize,
    pub(super) tables: Vec<Table>,
}

/// The metrics of a kind.
pub(super) struct Table {
    pub(super) title: &'static str,
    /// What the line shows.
    pub(super) charted: &'static str,
    pub(super) heads: [&'static str; 4],
    pub(super) metrics: Vec<Shown>,
    pub(super) more: usize,
}

/// A metric with its rows: all of it, and then its busiest series.
pub(super) struct Shown {
    pub(super) info: MetricInfo,
    pub(super) rows: Vec<Row>,
}

/// In the order of what one looks for first.
const KINDS: [(MetricKind, &str, &str, [&str; 4]); 3] = [
    (
        MetricKind::Histogram,
        "histograms",
        "p99",
        ["rate", "p50", "p99", "max"],
    ),
    (
        MetricKind::Counter,
        "counters",
        "rate",
        ["rate", "peak", "", "total"],
    ),
    (
        MetricKind::Gauge,
        "gauges",
        "value",
        ["now", "min", "avg", "max"],
    ),
];

impl Overview {
    /// With lines of so many points. Ticks first, so that nothing is missing.
    pub(super) fn new(recall: &Recall, window: Duration, points: u32) -> Self {
        recall.tick();
        let metrics = recall.metrics();
        let mut alerts = recall.alerts().active();
        let more_alerts = alerts.len().saturating_sub(MOST_ALERTS);
        alerts.truncate(MOST_ALERTS);
        let globals = recall.plan().globals.iter();
        let globals: Vec<String> = globals
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let tiers = recall.retention().into_iter();
        let reach = tiers.map(|tier| tier.effective).max().unwrap_or_default();
        // Steps of less than a tick would be gaps.
        let shown = window.min(reach.max(recall.plan().resolution * points));
        let health = recall.health();
        let reasons = health.reasons().iter();
        let tables = KINDS.map(|kind| table(recall, &metrics, kind, shown, shown / points));
        Self {
            globals: globals.join(" "),
            window,
            shown,
            reach,
            memory: recall.memory(),
            is_healthy: health.is_healthy(),
            reasons: reasons
                .filter(|reason| !reason.starts_with("alert `"))
                .cloned()
                .collect(),
            alerts,
            more_alerts,
            metrics: metrics.len(),
            series: metrics.iter().map(|metric| metric.series).sum(),
            tables: tables
                .into_iter()
                .filter(|table| !table.metrics.is_empty())
                .collect(),
        }
    }
}

fn table(
    recall: &Recall,
    metrics: &[MetricInfo],
    (kind, title, charted, heads): (MetricKind, &'static str, &'static str, [&'static str; 4]),
    window: Duration,
    step: Duration,
) -> Table {
    let of_kind: Vec<&MetricInfo> = metrics
        .iter()
        .filter(|metric| metric.kind == kind)
        .collect();
    let now = recall.now().as_millis();
    let ask = |metric| Ask {
        recall,
        metric,
        window,
        step,
        now,
    };
    let mut busy: Vec<_> = of_kind
        .iter()
        .map(|metric| (ask(metric).activity(), *metric))
        .collect();
    busy.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
    busy.truncate(MOST_METRICS);
    let names = label_names(recall, kind, &of_kind);
    let shown = busy.into_iter().map(|(_, info)| {
        let mut rows = ask(info).rows(&[]);
        let is_few = (2..=MANY_SERIES).contains(&info.series);
        if let Some(names) = names.get(&info.name).filter(|_| is_few) {
            let names: Vec<String> = names.iter().cloned().collect();
            rows.extend(ask(info).rows(&names).into_iter().take(MOST_SERIES));
        }
        Shown {
            info: info.clone(),
            rows,
        }
    });
    let metrics: Vec<Shown> = shown.filter(|shown| !shown.rows.is_empty()).collect();
    Table {
        title,
        charted,
        heads,
        more: of_kind.len() - metrics.len(),
        metrics,
    }
}

/// By metric, the names of the labels that its series have.
fn label_names(
    recall: &Recall,
    kind: MetricKind,
    metrics: &[&MetricInfo],
) -> BTreeMap<String, BTreeSet<String>> {
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let all: usize = metrics.iter().map(|metric| metric.series).sum();
    if all <= MANY_SERIES_OF_KIND {
        for series in recall.values(kind) {
            let labels = series.labels.iter().map(|(name, _)| name.to_owned());
            names.entry(series.name).or_default().extend(labels);
        }
    }
    names
}
