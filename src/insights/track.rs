//! What is looked at: a number of one metric over time, in steps.

use super::Subject;
use crate::{
    model::{Labels, MetricKind},
    query::{Ask, Counters, Gauges, Histograms, Point, Selection},
    util::text::Shown,
};
use std::{sync::Arc, time::Duration};

/// The newest stretch, and the steps of all that is looked at.
pub(super) const WINDOW: Duration = Duration::from_secs(3600);
pub(super) const STEP: Duration = Duration::from_secs(60);
/// Steps of the newest stretch, and of one that is twice as long, in which a trend shows better.
pub(super) const HOUR: usize = 60;
pub(super) const TWO_HOURS: usize = 2 * HOUR;
/// What is usual is known from a day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The labels by which metrics are told apart.
const BY: [&str; 2] = ["instance", "service"];

/// A number over time; `None` where nothing is known of it.
#[derive(Clone, Debug)]
pub(super) struct Track<'a> {
    pub(super) subject: &'a Subject,
    pub(super) labels: Labels,
    /// A day, oldest first.
    pub(super) steps: Vec<Option<f64>>,
    /// What a gauge cannot exceed, if that is known.
    pub(super) bound: Option<f64>,
}

type Rows = Vec<(Labels, Vec<Point<f64>>)>;

impl<'a> Track<'a> {
    /// The tracks of a metric: rates of a counter, means of a gauge, the 99th percentiles of a histogram; by `service` and
    /// `instance`.
    pub(super) fn all(ask: &Arc<dyn Ask>, subject: &'a Subject) -> Vec<Self> {
        let track = |(labels, points): (Labels, Vec<Point<f64>>)| Self {
            subject,
            labels,
            steps: values(points),
            bound: None,
        };
        rows(ask, subject).into_iter().map(track).collect()
    }

    /// The newest `n` steps.
    pub(super) fn recent(&self, n: usize) -> &[Option<f64>] {
        let from = self.steps.len().saturating_sub(n);
        self.steps.get(from..).unwrap_or_default()
    }

    /// All but the newest `n` steps.
    pub(super) fn past(&self, n: usize) -> &[Option<f64>] {
        let to = self.steps.len().saturating_sub(n);
        self.steps.get(..to).unwrap_or_default()
    }

    /// The values that are known of the newest `n` steps, with their places.
    pub(super) fn known(&self, n: usize) -> Vec<(usize, f64)> {
        let steps = self.recent(n).iter().enumerate();
        steps
            .filter_map(|(at, value)| Some((at, (*value)?)))
            .collect()
    }

    /// What it is, for a sentence.
    pub(super) fn what(&self) -> String {
        let word = match self.subject.kind {
            MetricKind::Counter => "the rate of ",
            MetricKind::Gauge => "",
            MetricKind::Histogram => "p99 of ",
        };
        format!("{word}{}", name(self.subject, &self.labels))
    }
}

/// A metric as a sentence has it.
pub(super) fn name(subject: &Subject, labels: &Labels) -> String {
    let shown = Shown(&subject.name);
    if labels.is_empty() {
        format!("`{shown}`")
    } else {
        format!("`{shown}`{}", Shown(&labels.to_string()))
    }
}

fn values(points: Vec<Point<f64>>) -> Vec<Option<f64>> {
    let value = |point: Point<f64>| point.value.filter(|value| value.is_finite());
    points.into_iter().map(value).collect()
}

fn rows(ask: &Arc<dyn Ask>, subject: &Subject) -> Rows {
    let (ask, name) = (ask.clone(), &subject.name);
    let (window, step) = (DAY, STEP);
    match subject.kind {
        MetricKind::Counter => {
            let all = Selection::<Counters>::new(ask, name).by(BY);
            all.over(window).every(step).rate()
        }
        MetricKind::Gauge => {
            let all = Selection::<Gauges>::new(ask, name).by(BY);
            all.over(window).every(step).avg()
        }
        MetricKind::Histogram => {
            let all = Selection::<Histograms>::new(ask, name).by(BY);
            all.over(window).every(step).quantile(0.99)
        }
    }
}
