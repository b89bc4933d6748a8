//! Insights: what a good on-call engineer would notice in the last hour.
//!
//! Small detectors look at each metric by themselves, in steps of a minute, and at what was usual in the day before.
//! They are robust: medians, ranks and quantiles, so that a few wild values say nothing; and whatever is
//! found must be large, lasting, and more than what the metric does anyway, so that waves and bursts say nothing.

mod bounds;
mod detectors;
mod errors;
mod insight;
mod robust;
mod track;

pub use self::insight::{Insight, InsightKind};

use self::{
    detectors::DETECTORS,
    track::{Track, WINDOW},
};
use crate::{
    alerts::Severity,
    model::{Labels, MetricKind},
    query::Ask,
    util::text::Shown,
};
use std::{sync::Arc, time::Duration};

/// A metric to look at.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) kind: MetricKind,
    pub(crate) unit: Option<&'static str>,
    pub(crate) series: usize,
    /// How many it may have.
    pub(crate) most_series: usize,
    /// Numbers of series some time ago and since, oldest first, and how long ago the oldest is.
    pub(crate) grew: Vec<usize>,
    pub(crate) grew_in: Duration,
}

/// New series from which on it matters, and by how much of their number.
const MANY: usize = 50;
const HALF: f64 = 0.5;

/// Everything that stands out: the worst first, then by metric.
pub(crate) fn look(ask: &Arc<dyn Ask>, subjects: &[Subject]) -> Vec<Insight> {
    let mut found = Vec::new();
    for subject in subjects {
        // What a store says of itself is `health`'s business.
        if subject.name.starts_with("recall_") {
            continue;
        }
        found.extend(cardinality(subject));
        found.extend(errors::look(ask, subjects, subject));
        for mut track in Track::all(ask, subject) {
            track.bound = bounds::of(ask, subjects, &track);
            found.extend(DETECTORS.iter().find_map(|detect| detect(&track)));
        }
    }
    found.sort_by(|a, b| {
        let order = b.severity.cmp(&a.severity);
        order.then_with(|| (&a.metric, &a.labels).cmp(&(&b.metric, &b.labels)))
    });
    found
}

/// A metric got many more series, again and again.
#[expect(clippy::cast_precision_loss, reason = "numbers of series")]
fn cardinality(subject: &Subject) -> Option<Insight> {
    let before = *subject.grew.first()?;
    let rises = subject
        .grew
        .windows(2)
        .filter(|pair| pair[1] > pair[0])
        .count();
    let more = subject.series.checked_sub(before)?;
    let is_large = more >= MANY && more as f64 >= HALF * before as f64;
    if !is_large || rises * 3 < subject.grew.len() * 2 {
        return None;
    }
    let text = format!(
        "{} `{}` has {} series, {more} more than {} min ago, of at most {}: bound the values of its labels (`max_series_per_metric`)",
        subject.kind,
        Shown(&subject.name),
        subject.series,
        subject.grew_in.as_secs() / 60,
        subject.most_series
    );
    Some(Insight {
        kind: InsightKind::Cardinality,
        severity: Severity::Warning,
        metric: subject.name.clone(),
        metric_kind: subject.kind,
        labels: Labels::from([]),
        value: subject.series as f64,
        before: Some(before as f64),
        confidence: 1.0,
        window: subject.grew_in.max(WINDOW / 6),
        text,
    })
}

#[cfg(test)]
impl Subject {
    fn counter(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: MetricKind::Counter,
            unit: None,
            series: 1,
            most_series: 10,
            grew: Vec::new(),
            grew_in: Duration::ZERO,
        }
    }
}
