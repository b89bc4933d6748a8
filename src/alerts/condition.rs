//! When an alert is to fire: a measure and what it is compared with, as plain data.

use crate::{
    error::Error,
    query::{
        Aggregation, Counters, Gauges, Histograms, Measure, Query, Range, Rule, Selection, Term,
    },
    util::text::Brief,
};
use std::{ops::RangeInclusive, time::Duration};

/// When an alert is to fire: a [`Measure`] and what it is compared with. Plain data, the same as text, by `FromStr` and
/// `Display`:
///
/// ```
/// use metrics_recall::{Condition, mins};
///
/// let slow = Condition::histograms("checkout_seconds").label("route", "/pay").over(mins(5)).quantile(0.99).above(0.5);
/// assert_eq!(slow, "p99(checkout_seconds{route=\"/pay\"}) over 5m > 0.5".parse()?);
///
/// let errors = Condition::counters("errors_total").by(["service"]).over(mins(5)).rate();
/// let requests = Condition::counters("requests_total").by(["service"]).over(mins(5)).rate();
/// let failing = errors.ratio_to(requests).above(0.05).clear_at(0.02);
/// assert_eq!(
///     failing.to_string(),
///     "rate(errors_total) by (service) over 5m / rate(requests_total) by (service) over 5m > 0.05 clear 0.02"
/// );
/// # Ok::<(), metrics_recall::Error>(())
/// ```
///
/// # As text
///
/// | part | |
/// |---|---|
/// | `p99(name)`, `rate(name)`, `max(name)`, ... | what [`Aggregation`] has |
/// | `avg(histogram name)` | a word for the kind. Without one, `increase`, `rate` and `total` are of counters, quantiles, `median` and `count` of histograms, all others of gauges |
/// | `name{a="x", b!="y", c=~"x.*", d!~"y.*"}` | labels; a name that is no plain word stands in quotes |
/// | `by (route, code)` | an alert a group |
/// | `over 5m` | the window: `500ms`, `30s`, `5m`, `1h30m`, `2d`, `all` |
/// | `a / b` | a ratio of two measures |
/// | `change 1h` | less what it was an hour ago |
/// | `offset 1h` | what it was an hour ago |
/// | `> 0.5`, `>=`, `<`, `<=`, `==`, `!=` | the comparison |
/// | `outside 1..9` | below the first or above the second |
/// | `absent 5m` | no data for so long |
/// | `crosses 0.9 within 4h` | a straight line through the window does so |
/// | `clear 0.4` | an alert that fires ends only when the comparison with this fails |
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a condition does nothing until a rule has it: `AlertRule::new(\"name\").when(condition)`"]
pub struct Condition {
    pub(super) term: Term,
    pub(super) test: Test,
    pub(super) clear: Option<f64>,
}

/// What a value is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Test {
    Above(f64),
    AtLeast(f64),
    Below(f64),
    AtMost(f64),
    Equal(f64),
    NotEqual(f64),
    Outside(f64, f64),
    Absent(Duration),
    Crosses(f64, Duration),
}

impl Test {
    /// Whether `value` fulfils it; for those that compare with one number, with `bound` in its place.
    #[expect(clippy::float_cmp, reason = "a rule that asks for equality gets it")]
    pub(super) fn holds(self, value: f64, bound: Option<f64>) -> bool {
        match self {
            Self::Above(x) => value > bound.unwrap_or(x),
            Self::AtLeast(x) => value >= bound.unwrap_or(x),
            Self::Below(x) => value < bound.unwrap_or(x),
            Self::AtMost(x) => value <= bound.unwrap_or(x),
            Self::Equal(x) => value == x,
            Self::NotEqual(x) => value != x,
            Self::Outside(low, high) => value < low || value > high,
            // These are no comparisons of a value.
            Self::Absent(_) | Self::Crosses(..) => false,
        }
    }

    /// The number to show beside a value: of a range, the end that the value is past.
    pub(super) fn threshold(self, value: f64) -> Option<f64> {
        match self {
            Self::Above(x)
            | Self::AtLeast(x)
            | Self::Below(x)
            | Self::AtMost(x)
            | Self::Equal(x)
            | Self::NotEqual(x)
            | Self::Crosses(x, _) => Some(x),
            Self::Outside(low, high) => Some(if value < low { low } else { high }),
            Self::Absent(_) => None,
        }
    }
}

impl Condition {
    /// A question about the counters called `name`, for a rule.
    pub fn counters(name: impl AsRef<str>) -> Selection<Counters, Rule> {
        Selection::of_rule(name.as_ref())
    }

    /// A question about the gauges called `name`, for a rule.
    pub fn gauges(name: impl AsRef<str>) -> Selection<Gauges, Rule> {
        Selection::of_rule(name.as_ref())
    }

    /// A question about the histograms called `name`, for a rule.
    pub fn histograms(name: impl AsRef<str>) -> Selection<Histograms, Rule> {
        Selection::of_rule(name.as_ref())
    }

    /// An alert that fires ends only when the comparison with this threshold fails: above 0.9 and clear at 0.8, it ends
    /// at 0.8 and below. A value that moves to and fro between the two changes nothing.
    ///
    /// A rule with a threshold on the wrong side is refused, and so is one whose comparison has no single threshold.
    pub fn clear_at(mut self, threshold: f64) -> Self {
        self.clear = Some(threshold);
        self
    }

    fn new(measure: Measure, test: Test) -> Self {
        Self {
            term: measure.0,
            test,
            clear: None,
        }
    }

    /// What is wrong with it, if anything is.
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |what: String| {
            let text = self.to_string();
            Err(Error::invalid(format!(
                "condition `{}`: {what}",
                Brief(&text)
            )))
        };
        check_term(&self.term)?;
        let numbers = match self.test {
            Test::Outside(low, high) => vec![low, high],
            Test::Absent(_) => Vec::new(),
            test => test.threshold(0.0).into_iter().collect(),
        };
        if numbers.iter().chain(&self.clear).any(|x| x.is_nan()) {
            return wrong("a threshold is NaN: allowed are numbers".to_owned());
        }
        match self.test {
            Test::Outside(low, high) if low > high => {
                return wrong(format!(
                    "the range {low}..{high} is empty: its first number must not be above its second"
                ));
            }
            Test::Absent(Duration::ZERO) => {
                return wrong("absent for 0 s: allowed are longer times".to_owned());
            }
            Test::Crosses(_, Duration::ZERO) => {
                return wrong("crosses within 0 s: allowed are longer times".to_owned());
            }
            Test::Crosses(..) if !is_windowed(&self.term) => {
                return wrong("only one question with a window can cross a threshold, no ratio, change or offset".to_owned());
            }
            _ => {}
        }
        let Some(clear) = self.clear else {
            return Ok(());
        };
        let is_good =
            match self.test {
                Test::Above(x) | Test::AtLeast(x) => clear <= x,
                Test::Below(x) | Test::AtMost(x) => clear >= x,
                _ => return wrong(
                    "only above, at least, below and at most have a threshold at which they clear"
                        .to_owned(),
                ),
            };
        if is_good {
            Ok(())
        } else {
            wrong(format!(
                "it clears at {clear}, where it still holds: allowed is the other side of the threshold"
            ))
        }
    }

    /// The number to show beside a value.
    pub(super) fn threshold(&self, value: f64) -> Option<f64> {
        self.test.threshold(value)
    }

    /// Labels that there is an alert each of.
    pub(super) fn by(&self) -> &[Box<str>] {
        by(&self.term)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        bytes(&self.term)
    }
}

fn is_windowed(term: &Term) -> bool {
    matches!(term, Term::Ask { query, .. } if matches!(query.window, Some(Range::Last(window)) if window < Duration::MAX))
}

fn by(term: &Term) -> &[Box<str>] {
    match term {
        Term::Ask { query, .. } => &query.by,
        Term::Ratio(inner, _) | Term::Change(inner, _) | Term::Ago(inner, _) => by(inner),
    }
}

/// A compiled pattern is charged flat; its memory cannot be asked for.
const PATTERN: usize = 16 << 10;

fn bytes(term: &Term) -> usize {
    let inner = |inner: &Term| size_of::<Term>() + bytes(inner);
    match term {
        Term::Ask { query, .. } => query_bytes(query),
        Term::Ratio(a, b) => inner(a) + inner(b),
        Term::Change(a, _) | Term::Ago(a, _) => inner(a),
    }
}

fn query_bytes(query: &Query) -> usize {
    let matcher = |matcher: &crate::query::Matcher| {
        let pattern = if matcher.is_pattern() { PATTERN } else { 0 };
        matcher.name.len() + matcher.text().len() + pattern
    };
    query.name.len()
        + query.matchers.capacity() * size_of::<crate::query::Matcher>()
        + query.matchers.iter().map(matcher).sum::<usize>()
        + query.by.capacity() * size_of::<Box<str>>()
        + query.by.iter().map(|name| name.len()).sum::<usize>()
}

fn check_term(term: &Term) -> Result<(), Error> {
    match term {
        Term::Ask { query, aggregation } => check_query(query, *aggregation),
        Term::Ratio(a, b) => {
            check_term(a)?;
            check_term(b)?;
            let (ours, theirs) = (by(a), by(b));
            if theirs.is_empty() || ours == theirs {
                return Ok(());
            }
            Err(Error::invalid(format!(
                "ratio of groups by ({}) to groups by ({}): allowed are the same labels, or none for the second",
                ours.join(", "),
                theirs.join(", ")
            )))
        }
        Term::Change(inner, ago) | Term::Ago(inner, ago) => {
            check_term(inner)?;
            if ago.is_zero() {
                return Err(Error::invalid(
                    "a change or offset of 0 s: allowed are longer times",
                ));
            }
            if is_live(inner) {
                return Err(Error::invalid(
                    "a change or offset of `total` or `current`: they are live; allowed is what has a window",
                ));
            }
            Ok(())
        }
    }
}

fn is_live(term: &Term) -> bool {
    match term {
        Term::Ask { aggregation, .. } => aggregation.is_live(),
        Term::Ratio(a, b) => is_live(a) || is_live(b),
        Term::Change(inner, _) | Term::Ago(inner, _) => is_live(inner),
    }
}

fn check_query(query: &Query, aggregation: Aggregation) -> Result<(), Error> {
    if query.name.is_empty() {
        return Err(Error::invalid(
            "a condition on a metric without name: allowed is any other name",
        ));
    }
    aggregation.check(query)?;
    match query.window {
        Some(Range::Last(Duration::ZERO)) => Err(Error::invalid(format!(
            "a window of 0 s of `{}`: allowed are longer ones",
            Brief(&query.name)
        ))),
        Some(Range::Between(..)) => Err(Error::invalid(format!(
            "a rule about `{}` between two instants: allowed is a window before now, by `over`",
            Brief(&query.name)
        ))),
        _ => Ok(()),
    }
}

/// Comparisons that make a condition of a measure, and measures made of measures. `NaN` is refused when the rule is added.
impl Measure {
    /// Fires when the value is greater than `x`.
    pub fn above(self, x: f64) -> Condition {
        Condition::new(self, Test::Above(x))
    }

    /// Fires when the value is `x` or greater.
    pub fn at_least(self, x: f64) -> Condition {
        Condition::new(self, Test::AtLeast(x))
    }

    /// Fires when the value is less than `x`.
    pub fn below(self, x: f64) -> Condition {
        Condition::new(self, Test::Below(x))
    }

    /// Fires when the value is `x` or less.
    pub fn at_most(self, x: f64) -> Condition {
        Condition::new(self, Test::AtMost(x))
    }

    /// Fires when the value is exactly `x`.
    pub fn equal(self, x: f64) -> Condition {
        Condition::new(self, Test::Equal(x))
    }

    /// Fires when there is a value, and it is not `x`.
    pub fn not_equal(self, x: f64) -> Condition {
        Condition::new(self, Test::NotEqual(x))
    }

    /// Fires when the value is below or above the range.
    pub fn outside(self, range: RangeInclusive<f64>) -> Condition {
        Condition::new(self, Test::Outside(*range.start(), *range.end()))
    }

    /// The ratio of this to `of`, group by group, or of all groups to the one value of an `of` that is not grouped. Zero by
    /// zero is no data.
    ///
    /// ```
    /// use metrics_recall::{Condition, mins};
    ///
    /// let errors = Condition::counters("errors_total").over(mins(5)).increase();
    /// let all = Condition::counters("requests_total").over(mins(5)).increase();
    /// let failing = errors.ratio_to(all).above(0.05);
    /// # let _ = failing;
    /// ```
    pub fn ratio_to(self, of: Measure) -> Measure {
        Measure(Term::Ratio(Box::new(self.0), Box::new(of.0)))
    }

    /// Fires when nothing was recorded for `d`: there was no answer, or, of counts and rates, the answer zero. An alert of
    /// a group that had data before; a group that never had any is not known.
    ///
    /// A window counts as a part of `d`: nothing in a window of five minutes is five minutes of nothing. The event carries
    /// the value 1.
    ///
    /// ```
    /// use metrics_recall::{Condition, mins, secs};
    ///
    /// let stopped = Condition::counters("jobs_done_total").over(secs(30)).increase().absent_for(mins(10));
    /// # let _ = stopped;
    /// ```
    pub fn absent_for(self, d: Duration) -> Condition {
        Condition::new(self, Test::Absent(d))
    }

    /// Fires when a straight line through the window, of twenty points, goes on to cross `x` within so much time, from
    /// the side on which the window began. The event carries the value that is foreseen.
    ///
    /// Of `trend()`, the line is that of a gauge's mean, a counter's rate, a histogram's mean.
    ///
    /// ```
    /// use metrics_recall::{Condition, mins};
    ///
    /// let filling = Condition::gauges("disk_used_ratio").over(mins(60)).avg().crosses(0.95, mins(240));
    /// # let _ = filling;
    /// ```
    pub fn crosses(self, x: f64, within: Duration) -> Condition {
        Condition::new(self, Test::Crosses(x, within))
    }

    /// The value less what it was so long ago, over a window of the same length. No data as long as history does not
    /// reach back so far.
    pub fn change_from(self, ago: Duration) -> Measure {
        Measure(Term::Change(Box::new(self.0), ago))
    }

    /// What the value was so long ago, to compare with: `p99.ratio_to(earlier_p99.ago(mins(60)))`.
    pub fn ago(self, ago: Duration) -> Measure {
        Measure(Term::Ago(Box::new(self.0), ago))
    }
}
