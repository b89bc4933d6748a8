//! Rules of how histograms are exposed.

use super::tiers::LONGEST;
use crate::model::{
    glob::Glob,
    shape::{Shape, ShapeRule},
};
use std::time::Duration;

/// How histograms whose name fits are exposed to Prometheus.
///
/// Of several rules the first that fits wins; what none fits has classic buckets at powers of two, which are exact.
/// `_sum` and `_count` are exact whatever the buckets are. A pattern is plain text in which `*` stands for any text.
///
/// ```
/// use metrics_recall::{HistogramRule, Recall, mins};
///
/// let slo = HistogramRule::named("checkout_seconds").buckets([0.1, 0.25, 1.0]);
/// let batch = HistogramRule::named("batch_*").summary(mins(5));
/// let (recorder, recall) = Recall::builder().expose(slo).expose(batch).build()?;
/// recorder.scope(|| metrics::histogram!("checkout_seconds").record(0.2));
/// assert!(recall.render().contains("checkout_seconds_bucket{le=\"0.25\"} 1\n"));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a rule does nothing until a builder gets it"]
pub struct HistogramRule {
    name: Glob,
    shape: Shape,
}

/// Bounds that a rule may have.
const MOST_BOUNDS: usize = 1000;
/// Bytes of a pattern; a name has no more.
const LONGEST_PATTERN: usize = 4096;

impl HistogramRule {
    /// A rule for the histograms whose name fits: `"checkout_seconds"`, `"http_*"`. Without more they have
    /// [classic buckets at powers of two](Self::powers_of_two).
    pub fn named(pattern: impl Into<String>) -> Self {
        Self {
            name: Glob::new(pattern.into()),
            shape: Shape::default(),
        }
    }

    /// Classic buckets that end at powers of two, as far as there are values: the default. They are exact, since every
    /// histogram here has a bucket that ends there. All series of a metric have the same bounds.
    pub fn powers_of_two(mut self) -> Self {
        self.shape = Shape::PowersOfTwo;
        self
    }

    /// Classic buckets that end at these bounds, which must ascend. A bound that is no power of two lies inside one of
    /// the store's own buckets, all of which counts as not above it: a value up to 4.4 % above a bound may count as below
    /// (with schema 4, as in most profiles).
    pub fn buckets(mut self, bounds: impl IntoIterator<Item = f64>) -> Self {
        self.shape = Shape::Bounds(bounds.into_iter().collect());
        self
    }

    /// The store's own buckets, as a native histogram. Only protobuf can carry one; text has classic buckets at powers of
    /// two then. Costs 16 bytes for each bucket that was ever used, which may be some hundreds a series.
    pub fn native(mut self) -> Self {
        self.shape = Shape::Native;
        self
    }

    /// A summary: the quantiles 0.5, 0.9, 0.95 and 0.99 of the last `window`, NaN without values in it. `_sum` and
    /// `_count` are since the start.
    pub fn summary(mut self, window: Duration) -> Self {
        self.shape = Shape::Summary(window);
        self
    }
}

/// Bytes of the global labels together: each exposed series has them.
const MOST_GLOBALS: usize = 1024;

/// Checks the labels that every exposed series gets, and sorts them.
pub(super) fn globals(
    given: &[(Box<str>, Box<str>)],
    problems: &mut Vec<String>,
) -> Vec<(Box<str>, Box<str>)> {
    let mut globals = given.to_vec();
    globals.sort();
    for (name, _) in &globals {
        let mut letters = name.bytes();
        let first = letters.next();
        let is_letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
        let is_legal = first.is_some_and(is_letter)
            && letters.all(|b| is_letter(b) || b.is_ascii_digit())
            && !name.starts_with("__");
        let is_ours = matches!(&**name, "le" | "quantile" | "overflow");
        if !is_legal || is_ours {
            problems.push(format!(
                "global label {name:?}: allowed are letters, digits and underscores, no digit first nor two underscores, and not le, quantile or overflow"
            ));
        }
    }
    for pair in globals.windows(2) {
        if let [(one, _), (other, _)] = pair
            && one == other
        {
            problems.push(format!("global label {one:?} twice: allowed is once"));
        }
    }
    let bytes: usize = globals.iter().map(|(n, v)| n.len() + v.len()).sum();
    if bytes > MOST_GLOBALS {
        problems.push(format!(
            "global labels of {bytes} bytes: allowed are {MOST_GLOBALS} together"
        ));
    }
    globals.retain(|(_, value)| !value.is_empty());
    globals
}

/// Checks all rules.
pub(super) fn shapes(rules: &[HistogramRule], problems: &mut Vec<String>) -> Vec<ShapeRule> {
    for rule in rules {
        let name = rule.name.as_str();
        if name.is_empty() || name.len() > LONGEST_PATTERN {
            problems.push(format!(
                "a pattern of a histogram's name of {} bytes: allowed are 1 to {LONGEST_PATTERN}",
                name.len()
            ));
        }
        match &rule.shape {
            Shape::Bounds(bounds) => problems.extend(bounds_problem(name, bounds)),
            Shape::Summary(window) if window.is_zero() || *window > LONGEST => {
                problems.push(format!(
                    "a summary of `{name}` over {window:?}: allowed are more than 0 s and up to 366 days"
                ));
            }
            _ => {}
        }
    }
    let rules = rules.iter();
    rules
        .map(|rule| (rule.name.clone(), rule.shape.clone()))
        .collect()
}

fn bounds_problem(name: &str, bounds: &[f64]) -> Option<String> {
    if bounds.is_empty() || bounds.len() > MOST_BOUNDS {
        return Some(format!(
            "{} bounds of the buckets of `{name}`: allowed are 1 to {MOST_BOUNDS}",
            bounds.len()
        ));
    }
    if let Some(odd) = bounds.iter().find(|bound| !bound.is_finite()) {
        return Some(format!(
            "bound {odd} of the buckets of `{name}`: allowed are numbers that ascend; the last bucket, without a bound, is there by itself"
        ));
    }
    let pairs = bounds.iter().zip(bounds.iter().skip(1));
    let wrong = pairs.into_iter().find(|(a, b)| a >= b);
    wrong.map(|(a, b)| {
        format!("bounds {a} and {b} of the buckets of `{name}`: allowed are bounds that ascend")
    })
}
