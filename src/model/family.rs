//! What is exposed, before anybody gives it a form: metrics, and what each of their series is at.

use super::{kind::MetricKind, shape::Shape};

/// One metric of the store.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) name: Box<str>,
    pub(crate) kind: MetricKind,
    /// As in `"seconds"`.
    pub(crate) unit: Option<&'static str>,
    pub(crate) help: Option<Box<str>>,
    /// Of a histogram.
    pub(crate) shape: Shape,
    /// Not a metric of the program: what Prometheus writes of alerts, or what the store says of itself, under this name.
    pub(crate) is_of_store: bool,
}

/// What one series is at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Counter(u64),
    /// A counter of fractions.
    Fraction(f64),
    Gauge(f64),
    Histogram(Totals, Buckets<'a>),
    /// Quantiles and their values.
    Summary(Totals, &'a [(f64, f64)]),
}

/// Since the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Totals {
    pub(crate) count: u64,
    pub(crate) sum: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Buckets<'a> {
    /// Upper bounds, ascending and the same for all series of the metric, and how many values are not above; never more
    /// than all.
    Classic(&'a [(f64, u64)]),
    /// Counts by code of a schema, ascending.
    Native(u8, &'a [(super::schema::Code, u64)]),
}

/// Receives series.
pub(crate) type Visit<'a> = dyn FnMut(Seen<'_>, Value<'_>) + 'a;

/// One series, whatever it is at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen<'a> {
    /// Canonical bytes.
    pub(crate) labels: &'a [u8],
    /// When its totals began, in wall milliseconds; `None` for what has none.
    pub(crate) since_ms: Option<i64>,
}
