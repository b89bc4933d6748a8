//! Conditions as text, both ways.

mod read;
mod span;
mod write;

#[cfg(feature = "serde")]
pub(super) use self::span::{Span, read_duration};

use crate::{model::MetricKind, query::Aggregation};

const KINDS: [MetricKind; 3] = [
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
];

/// The kind that is meant when none is named.
fn usual(aggregation: Aggregation) -> MetricKind {
    match aggregation {
        Aggregation::Total | Aggregation::Increase | Aggregation::Rate => MetricKind::Counter,
        Aggregation::Count | Aggregation::Median | Aggregation::Quantile(_) => {
            MetricKind::Histogram
        }
        _ => MetricKind::Gauge,
    }
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'.'))
}

#[cfg(test)]
mod tests;
