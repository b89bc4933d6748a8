//! The rows of a metric: itself, and its busiest series, with their numbers and their lines.

use crate::{
    engine::{MetricInfo, Unit, short},
    handle::Recall,
    model::{Labels, MetricKind},
    query::Point,
};
use std::{collections::BTreeMap, time::Duration};

/// One line of a table.
#[derive(Debug)]
pub(super) struct Row {
    /// None: all series of the metric together.
    pub(super) labels: Option<Labels>,
    pub(super) cells: [String; 4],
    pub(super) line: Line,
    /// How much happens there: what rows are sorted by.
    pub(super) activity: f64,
}

/// What a sparkline shows, the oldest first; `None` where there was nothing.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Line {
    pub(super) values: Vec<Option<f64>>,
    /// Rates and durations begin at zero; what may be negative, or matters by its changes alone, does not.
    pub(super) is_from_zero: bool,
}

impl Line {
    fn new(points: &[Point<f64>], is_from_zero: bool) -> Self {
        let finite = |point: &Point<f64>| point.value.filter(|value| value.is_finite());
        Self {
            values: points.iter().map(finite).collect(),
            is_from_zero,
        }
    }

    /// The values as shares of the height, from 0 to 1. A line that does not move is in the middle, or at its zero.
    pub(super) fn heights(&self) -> Vec<Option<f64>> {
        let known = || self.values.iter().flatten().copied();
        let zero = if self.is_from_zero {
            0.0
        } else {
            f64::INFINITY
        };
        let low = known().fold(zero, f64::min);
        let high = known().fold(f64::NEG_INFINITY, f64::max);
        // Halves, since the whole may be more than a float holds.
        let room = high / 2.0 - low / 2.0;
        let height = |value: f64| match room > 0.0 {
            true => ((value / 2.0 - low / 2.0) / room).clamp(0.0, 1.0),
            false if self.is_from_zero => 0.0,
            false => 0.5,
        };
        self.values.iter().map(|value| value.map(height)).collect()
    }
}

/// What is asked of a metric.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) recall: &'a Recall,
    pub(super) metric: &'a MetricInfo,
    pub(super) window: Duration,
    pub(super) step: Duration,
    /// Milliseconds since the Unix epoch, for times of day.
    pub(super) now: i64,
}

/// Answers by group, brought together.
fn find<T: Copy>(all: &BTreeMap<Labels, T>, labels: &Labels) -> Option<T> {
    all.get(labels).copied()
}

impl Ask<'_> {
    /// How much happens: rates of counters and of histograms. Of gauges nobody knows.
    pub(super) fn activity(&self) -> f64 {
        let rate = match self.metric.kind {
            MetricKind::Counter => self
                .recall
                .counters(&self.metric.name)
                .over(self.window)
                .rate(),
            MetricKind::Histogram => self
                .recall
                .histograms(&self.metric.name)
                .over(self.window)
                .rate(),
            MetricKind::Gauge => None,
        };
        rate.unwrap_or(0.0)
    }

    /// A row for each group of these labels; without any, for all series together.
    pub(super) fn rows(&self, by: &[String]) -> Vec<Row> {
        let mut rows = match self.metric.kind {
            MetricKind::Counter => self.counters(by),
            MetricKind::Gauge => self.gauges(by),
            MetricKind::Histogram => self.histograms(by),
        };
        for row in &mut rows {
            if by.is_empty() {
                row.labels = None;
            }
        }
        rows.sort_by(|a, b| {
            b.activity
                .total_cmp(&a.activity)
                .then_with(|| a.labels.cmp(&b.labels))
        });
        rows
    }

    fn show(&self, value: Option<f64>) -> String {
        value.map_or("-".to_owned(), |value| {
            Unit::of(self.metric, self.now).show(value)
        })
    }

    fn per_second(&self, rate: Option<f64>) -> String {
        rate.map_or("-".to_owned(), |rate| {
            Unit::of(self.metric, self.now).per_second(rate)
        })
    }

    fn counters(&self, by: &[String]) -> Vec<Row> {
        let live = self.recall.counters(&self.metric.name).by(by);
        let totals = live.total();
        let over = live.over(self.window);
        let (rates, most): (BTreeMap<_, _>, BTreeMap<_, _>) = (
            over.rate().into_iter().collect(),
            over.max().into_iter().collect(),
        );
        let lines: BTreeMap<_, _> = over.every(self.step).rate().into_iter().collect();
        let row = |(labels, total): (Labels, u64)| {
            let rate = find(&rates, &labels);
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            let total = total as f64;
            Row {
                cells: [
                    self.per_second(rate),
                    self.per_second(find(&most, &labels)),
                    String::new(),
                    self.show(Some(total)),
                ],
                line: Line::new(lines.get(&labels).map_or(&[], Vec::as_slice), true),
                activity: rate.unwrap_or(0.0),
                labels: Some(labels),
            }
        };
        totals.into_iter().map(row).collect()
    }

    fn gauges(&self, by: &[String]) -> Vec<Row> {
        let live = self.recall.gauges(&self.metric.name).by(by);
        let now = live.current();
        let over = live.over(self.window);
        let least: BTreeMap<_, _> = over.min().into_iter().collect();
        let mean: BTreeMap<_, _> = over.avg().into_iter().collect();
        let most: BTreeMap<_, _> = over.max().into_iter().collect();
        let lines: BTreeMap<_, _> = over.every(self.step).avg().into_iter().collect();
        let row = |(labels, now): (Labels, f64)| Row {
            cells: [
                self.show(Some(now)),
                self.show(find(&least, &labels)),
                self.show(find(&mean, &labels)),
                self.show(find(&most, &labels)),
            ],
            line: Line::new(lines.get(&labels).map_or(&[], Vec::as_slice), false),
            activity: now.abs(),
            labels: Some(labels),
        };
        now.into_iter().map(row).collect()
    }

    fn histograms(&self, by: &[String]) -> Vec<Row> {
        let over = self
            .recall
            .histograms(&self.metric.name)
            .by(by)
            .over(self.window);
        let rates = over.rate();
        let median: BTreeMap<_, _> = over.quantile(0.5).into_iter().collect();
        let p99: BTreeMap<_, _> = over.quantile(0.99).into_iter().collect();
        let most: BTreeMap<_, _> = over.max().into_iter().collect();
        let lines: BTreeMap<_, _> = over.every(self.step).quantile(0.99).into_iter().collect();
        let row = |(labels, rate): (Labels, f64)| Row {
            cells: [
                format!("{}/s", short(rate)),
                self.show(find(&median, &labels)),
                self.show(find(&p99, &labels)),
                self.show(find(&most, &labels)),
            ],
            line: Line::new(lines.get(&labels).map_or(&[], Vec::as_slice), true),
            activity: rate,
            labels: Some(labels),
        };
        rates.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fill_their_height_and_gaps_stay_gaps() {
        let line = |values: &[f64], is_from_zero| {
            let values = values
                .iter()
                .map(|value| (!value.is_nan()).then_some(*value));
            Line {
                values: values.collect(),
                is_from_zero,
            }
            .heights()
        };
        assert_eq!(
            line(&[1.0, 2.0, f64::NAN, 4.0], true),
            [Some(0.25), Some(0.5), None, Some(1.0)]
        );
        assert_eq!(
            line(&[1.0, 2.0, 3.0], false),
            [Some(0.0), Some(0.5), Some(1.0)]
        );
        assert_eq!(line(&[-1.0, 3.0], true), [Some(0.0), Some(1.0)]);
        assert_eq!(line(&[7.0, 7.0], false), [Some(0.5), Some(0.5)]);
        assert_eq!(line(&[0.0, 0.0], true), [Some(0.0), Some(0.0)]);
        assert_eq!(line(&[f64::MIN, f64::MAX], false), [Some(0.0), Some(1.0)]);
        assert_eq!(line(&[], true), []);
        assert_eq!(line(&[f64::NAN], true), [None]);
    }
}
