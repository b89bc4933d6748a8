//! What is found, as data and as a sentence.

use crate::{
    alerts::Severity,
    model::{Labels, MetricKind},
};
use std::{fmt, time::Duration};

/// What kind of thing an [`Insight`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum InsightKind {
    /// The 99th percentile of a histogram rises.
    Rising,
    /// Too large a part of what is counted are errors, or a much larger one than before.
    Errors,
    /// A counter that counted does not any more.
    Stopped,
    /// A gauge will hit its bound.
    WillHit,
    /// A gauge is at its bound.
    Saturated,
    /// A rate, a gauge or a percentile is on another level than before.
    Level,
    /// A metric gets more and more series.
    Cardinality,
}

impl fmt::Display for InsightKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rising => "rising",
            Self::Errors => "errors",
            Self::Stopped => "stopped",
            Self::WillHit => "will hit",
            Self::Saturated => "saturated",
            Self::Level => "level",
            Self::Cardinality => "cardinality",
        })
    }
}

/// Something that stands out in the last hour: see [`Recall::insights`](crate::Recall::insights). Shown as its sentence,
/// behind its severity.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Insight {
    /// What kind of thing it is.
    pub kind: InsightKind,
    /// How bad it is likely to be.
    pub severity: Severity,
    /// The metric's name.
    pub metric: String,
    /// The metric's kind.
    pub metric_kind: MetricKind,
    /// Labels `service` and `instance`, where the metric has them.
    pub labels: Labels,
    /// The number that it is about: a level, a share, a number of series.
    pub value: f64,
    /// What the number was before, or the bound that it is at or nears.
    pub before: Option<f64>,
    /// How sure it is that this is not chance, from 0 to 1.
    pub confidence: f64,
    /// The time that was looked at.
    pub window: Duration,
    /// One sentence: metric, number, what to do.
    pub text: String,
}

impl fmt::Display for Insight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.text)
    }
}

/// A number for people: three digits that count.
pub(super) struct Short(pub(super) f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        if size == 0.0 {
            return f.write_str("0");
        }
        if !(1e-6..1e15).contains(&size) {
            return write!(f, "{:.2e}", self.0);
        }
        #[expect(clippy::cast_possible_truncation, reason = "an exponent")]
        let digits = (2 - size.log10().floor() as i32).clamp(0, 9);
        let shown = format!("{:.*}", usize::try_from(digits).unwrap_or(0), self.0);
        let trimmed = if shown.contains('.') {
            shown.trim_end_matches('0').trim_end_matches('.')
        } else {
            &shown
        };
        f.write_str(trimmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        for (value, shown) in [
            (0.123_456, "0.123"),
            (12.345, "12.3"),
            (1234.5, "1234"),
            (5.0, "5"),
            (-0.5, "-0.5"),
            (0.0, "0"),
            (2.5e20, "2.50e20"),
        ] {
            assert_eq!(Short(value).to_string(), shown);
        }
    }
}
