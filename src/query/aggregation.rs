//! What is asked of a selection, as data: for configurations, rules, and questions that come from outside.

use super::ask::Query;
use crate::{error::Error, model::MetricKind, util::text::Brief};
use std::{fmt, str::FromStr};

/// A question as data: what the last word of a selection says, as in `eval(Aggregation::Quantile(0.99))`.
///
/// Shown and parsed as that word: `rate`, `max`, `quantile(0.99)`, `p99`, `std_dev`.
///
/// ```
/// use metrics_recall::Aggregation;
///
/// let p99: Aggregation = "p99".parse()?;
/// assert_eq!(p99, Aggregation::Quantile(0.99));
/// assert_eq!(p99.to_string(), "quantile(0.99)");
/// assert_eq!("std_dev".parse::<Aggregation>()?, Aggregation::StdDev);
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Aggregation {
    /// Counters, live: sum of all increments. Takes no window.
    Total,
    /// Counters: increments in the window.
    Increase,
    /// Counters and histograms: per second. Gauges: change per second.
    Rate,
    /// Gauges, live: sum of the values. Takes no window.
    Current,
    /// Histograms: how many values. Gauges: ticks times series.
    Count,
    /// Gauges and histograms: sum of the values.
    Sum,
    /// Mean; of a counter's per-tick rates, a gauge's values over time, a histogram's values.
    Avg,
    /// Least.
    Min,
    /// Greatest.
    Max,
    /// The same as `Quantile(0.5)`.
    Median,
    /// The quantile from 0 to 1.
    Quantile(f64),
    /// Standard deviation of the whole population.
    StdDev,
    /// Gauges: last value less first.
    Change,
    /// Slope of a straight line through the points, per second.
    Trend,
}

/// Names in text, but for quantiles.
const NAMES: [(&str, Aggregation); 13] = [
    ("total", Aggregation::Total),
    ("increase", Aggregation::Increase),
    ("rate", Aggregation::Rate),
    ("current", Aggregation::Current),
    ("count", Aggregation::Count),
    ("sum", Aggregation::Sum),
    ("avg", Aggregation::Avg),
    ("min", Aggregation::Min),
    ("max", Aggregation::Max),
    ("median", Aggregation::Median),
    ("std_dev", Aggregation::StdDev),
    ("change", Aggregation::Change),
    ("trend", Aggregation::Trend),
];

impl Aggregation {
    /// Whether the question is live, and so takes no window.
    pub(crate) fn is_live(self) -> bool {
        matches!(self, Self::Total | Self::Current)
    }

    /// Whether it can be asked of this kind.
    pub(crate) fn suits(self, kind: MetricKind) -> bool {
        use MetricKind::{Counter, Gauge, Histogram};
        match self {
            Self::Total | Self::Increase => kind == Counter,
            Self::Current | Self::Change => kind == Gauge,
            Self::Count | Self::Sum => matches!(kind, Gauge | Histogram),
            Self::Rate
            | Self::Avg
            | Self::Min
            | Self::Max
            | Self::Median
            | Self::Quantile(_)
            | Self::StdDev
            | Self::Trend => true,
        }
    }

    /// Why it cannot be asked, with or without a window.
    pub(crate) fn check(self, query: &Query) -> Result<(), Error> {
        let (kind, name) = (query.kind, Brief(&query.name));
        if let Self::Quantile(q) = self
            && !(0.0..=1.0).contains(&q)
        {
            return Err(Error::invalid(format!(
                "quantile {q} of `{name}`: allowed are 0 to 1"
            )));
        }
        if !self.suits(kind) {
            let words = NAMES.iter().filter(|(_, other)| other.suits(kind));
            let words: Vec<&str> = words.map(|(word, _)| *word).collect();
            return Err(Error::invalid(format!(
                "`{self}` of the {kind} `{name}`: allowed of {kind}s are {} and quantile(q)",
                words.join(", ")
            )));
        }
        match (self.is_live(), query.window.is_some()) {
            (true, true) => Err(Error::invalid(format!(
                "`{self}` of `{name}` over a window: it is live and takes none"
            ))),
            (false, false) => Err(Error::invalid(format!(
                "`{self}` of `{name}` without a window: add one, as in `.over(mins(5))`, or `over 5m` in a text"
            ))),
            _ => Ok(()),
        }
    }

    /// The quantile that it is, if it is one.
    pub(crate) fn quantile(self) -> Option<f64> {
        match self {
            Self::Quantile(q) => Some(q),
            Self::Median => Some(0.5),
            _ => None,
        }
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Quantile(q) = self {
            return write!(f, "quantile({q})");
        }
        let name = NAMES.iter().find(|(_, other)| other == self);
        f.pad(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Aggregation {
    type Err = Error;

    /// Takes the words that are shown, and `p50`, `p99`, `p99.9` for quantiles; in any case of letters.
    fn from_str(text: &str) -> Result<Self, Error> {
        let word = text.trim().to_ascii_lowercase();
        if let Some((_, known)) = NAMES.iter().find(|(name, _)| *name == word) {
            return Ok(*known);
        }
        let percent = word.strip_prefix('p').and_then(percent);
        let plain = word.strip_prefix("quantile(");
        let plain = plain.and_then(|rest| rest.strip_suffix(')'));
        let plain = plain.and_then(|q| q.trim().parse::<f64>().ok());
        let quantile = percent.or(plain).filter(|q| (0.0..=1.0).contains(q));
        quantile.map(Self::Quantile).ok_or_else(|| {
            let words: Vec<&str> = NAMES.iter().map(|(word, _)| *word).collect();
            Error::invalid(format!(
                "aggregation {:?}: allowed are {}, quantile(q) with q from 0 to 1, and p0 to p100",
                Brief(text),
                words.join(", ")
            ))
        })
    }
}

/// A quantile from its percents: by moving the point, since a division would round.
fn percent(digits: &str) -> Option<f64> {
    let (whole, part) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let all_digits = whole
        .bytes()
        .chain(part.bytes())
        .all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || part.len() > 15 || !all_digits {
        return None;
    }
    let padded = format!("{whole:0>3}{part}");
    let (before, after) = padded.split_at_checked(1)?;
    format!("{before}.{after}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_word_is_read_as_it_is_shown() {
        for (word, aggregation) in NAMES {
            assert_eq!(aggregation.to_string(), word);
            assert_eq!(
                word.to_uppercase().parse::<Aggregation>().unwrap(),
                aggregation
            );
        }
    }

    #[test]
    fn percents_are_exact() {
        for (word, q) in [
            ("p50", 0.5),
            ("p99", 0.99),
            ("p99.9", 0.999),
            ("p0", 0.0),
            ("p100", 1.0),
            ("p5", 0.05),
        ] {
            assert_eq!(
                word.parse::<Aggregation>().unwrap(),
                Aggregation::Quantile(q)
            );
        }
    }

    #[test]
    fn what_is_no_question_is_refused_by_name() {
        for text in [
            "",
            "p",
            "p101",
            "p-1",
            "p1e1",
            "p9.",
            "quantile(1.5)",
            "quantile(nan)",
            "quantile()",
            "mean",
            "p1.5.2",
        ] {
            let message = text.parse::<Aggregation>().unwrap_err().to_string();
            assert!(
                message.contains(&format!("{text:?}")) && message.contains("std_dev"),
                "{message}"
            );
        }
    }

    proptest! {
        #[test]
        fn quantiles_are_read_as_they_are_shown(q in 0.0_f64..=1.0) {
            let shown = Aggregation::Quantile(q).to_string();
            prop_assert_eq!(shown.parse::<Aggregation>().unwrap(), Aggregation::Quantile(q));
        }

        #[test]
        fn no_text_panics(text in ".{0,20}") {
            let _ = text.parse::<Aggregation>();
        }
    }
}
