//! What every series of a kind is at, at once.

use super::{asked::Asked, core::Core};
use crate::{
    live::{Busy, Counter, Gauge, Grain, Histogram, Name, remove::is_shown},
    model::{Labels, MetricKind},
    util::text::Shown,
};
use std::{cmp::Reverse, collections::BTreeMap, fmt};

/// A series and what it is at. Shown as Prometheus would write it: `orders_total{region="eu"} 12`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SeriesValue {
    /// Name of its metric.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// What it is at.
    pub value: Value,
}

/// What a series is at.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Increments since the start or a reset, live.
    Counter(u64),
    /// As [`Counter`](Self::Counter), of a [`FractionalCounter`](crate::FractionalCounter).
    Fraction(f64),
    /// The value, live.
    Gauge(f64),
    /// Of all values since the start or a reset, as of the newest tick.
    Histogram {
        /// How many.
        count: u64,
        /// Their sum.
        sum: f64,
    },
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counter(total) => write!(f, "{total}"),
            Self::Gauge(value) | Self::Fraction(value) => write!(f, "{value}"),
            Self::Histogram { count, sum } => write!(f, "{count} values, sum {sum}"),
        }
    }
}

impl fmt::Display for SeriesValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Shown(&self.name))?;
        if !self.labels.is_empty() {
            write!(f, "{}", self.labels)?;
        }
        write!(f, " {}", self.value)
    }
}

impl Core {
    /// All series of a kind, by name and labels. A gauge without a value is left out.
    pub(crate) fn values(&self, kind: MetricKind) -> Vec<SeriesValue> {
        self.values_where(kind, None)
    }

    /// As [`Core::values`], of one metric.
    pub(crate) fn values_of(&self, kind: MetricKind, name: &str) -> Vec<SeriesValue> {
        self.values_where(kind, Some(name))
    }

    fn values_where(&self, kind: MetricKind, only: Option<&str>) -> Vec<SeriesValue> {
        // What an allocation emits while a shard is locked must not look for that lock.
        let _busy = Busy::enter();
        let mut all = match kind {
            MetricKind::Counter => self.values_in::<Counter>(only, |entry| {
                let grain = entry.cells.series()?.name.grain;
                Some(match grain {
                    Grain::Whole => Value::Counter(entry.total()),
                    Grain::Millionth => Value::Fraction(grain.of(entry.total())),
                })
            }),
            MetricKind::Gauge => self.values_in::<Gauge>(only, |entry| {
                let now = entry.now();
                (!now.is_nan()).then_some(Value::Gauge(now))
            }),
            MetricKind::Histogram => self.values_in::<Histogram>(only, |entry| {
                let memory = &entry.memory;
                Some(Value::Histogram {
                    count: memory.count,
                    sum: memory.sum + memory.rest,
                })
            }),
        };
        all.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
        all
    }

    /// How often each function was called, by the label `function` of histograms; the most called first.
    pub(crate) fn call_counts(&self) -> Vec<(String, u64)> {
        let mut counts = BTreeMap::<String, u64>::new();
        for series in self.values(MetricKind::Histogram) {
            if let (Some(function), Value::Histogram { count, .. }) =
                (series.labels.get("function"), series.value)
            {
                *counts.entry(function.to_owned()).or_default() += count;
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| Reverse(*count)); // Stable: equals stay sorted by name.
        counts
    }

    fn values_in<K: Asked>(
        &self,
        only: Option<&str>,
        value: impl Fn(&crate::live::Entry<K>) -> Option<Value>,
    ) -> Vec<SeriesValue> {
        let registry = K::registry(&self.live);
        let mut all = Vec::new();
        let mut add = |name: &Name| {
            if !registry.shows(name) {
                return;
            }
            name.for_each_member(registry.marks_of(std::iter::empty()), |id| {
                let found = registry.with(id, |entry| {
                    let series = entry.cells.series().filter(|_| is_shown(entry, name))?;
                    Some(SeriesValue {
                        name: name.text.to_string(),
                        labels: Labels::all(&series.labels),
                        value: value(entry)?,
                    })
                });
                all.extend(found.flatten());
            });
        };
        match only {
            Some(name) => registry.find_name(name).iter().for_each(|name| add(name)),
            None => registry.walk_names(|name| add(name)),
        }
        all
    }
}
