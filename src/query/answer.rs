//! Answers with more to them than one number.

use crate::model::Timestamp;
use std::fmt;

/// A value with what is to be known of it. Shown as the value, and what restricts it:
/// `0.131 (within 2.2 %, 40 % covered)`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Answer {
    /// End of the window or step on the store's axis.
    pub at: Timestamp,
    /// The answer; `None`: nothing was recorded that it could be made of.
    pub value: Option<f64>,
    /// Share of the window that ticks cover, from 0 to 1.
    pub coverage: f64,
    /// By how much of itself the value may be off at most, as 0.022 for 2.2 %; 0 if it is exact; infinite if nothing is
    /// known of it but the extremes.
    pub bound: f64,
    /// Something is left out that the value would need: a gauge's overflow series is among the selected, which knows only the
    /// last of many values; or an extreme, quantile or deviation per tick is asked for of times that only coarse points are
    /// left of.
    pub partial: bool,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(value) = self.value else {
            return f.pad("no data");
        };
        write!(f, "{value}")?;
        let mut notes = Vec::new();
        if self.bound > 0.0 {
            notes.push(format!("within {:.1} %", 100.0 * self.bound));
        }
        if self.coverage < 1.0 {
            notes.push(format!("{:.0} % covered", 100.0 * self.coverage));
        }
        if self.partial {
            notes.push("partial".to_owned());
        }
        if notes.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", notes.join(", "))
    }
}

/// The usual numbers of a window at once. Shown in one line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Values of a histogram; ticks times series of a gauge.
    pub count: u64,
    /// Sum of the values.
    pub sum: f64,
    /// Least value, exactly.
    pub min: f64,
    /// Greatest value, exactly.
    pub max: f64,
    /// Mean.
    pub avg: f64,
    /// The 0.5-quantile.
    pub median: f64,
    /// Standard deviation of the whole population.
    pub std_dev: f64,
    /// The 0.9-quantile.
    pub p90: f64,
    /// The 0.95-quantile.
    pub p95: f64,
    /// The 0.99-quantile.
    pub p99: f64,
    /// Share of the window that ticks cover, from 0 to 1.
    pub coverage: f64,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count,
            min,
            avg,
            median,
            p90,
            p99,
            max,
            ..
        } = self;
        write!(
            f,
            "{count} values, min {min:.4}, avg {avg:.4}, p50 {median:.4}, p90 {p90:.4}, p99 {p99:.4}, max {max:.4}"
        )
    }
}

/// A straight line through the points of a window, by least squares. Shown as `rising by 0.25 a second (99 % sure)`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Trend {
    /// Change per second.
    pub slope: f64,
    /// How sure it is that there is a slope at all, from 0 to 1: one less the probability that values without any trend,
    /// scattered as these are, show as steep a line by chance (Student's t-test with n - 2 degrees of freedom). 0 for fewer
    /// than three points, and for a constant. It takes points as independent of each other, so waves look like trends to a
    /// window that is shorter than they are.
    pub confidence: f64,
}

/// Which way a [`Trend`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Direction {
    /// Up, with a confidence of at least 0.95.
    Rising,
    /// Down, with a confidence of at least 0.95.
    Falling,
    /// Neither can be said.
    Steady,
}

impl Trend {
    /// Which way it goes, if that can be said with a confidence of 0.95.
    ///
    /// ```
    /// use metrics_recall::{Clock, Direction, Recall, mins, secs};
    ///
    /// let (clock, hands) = Clock::manual();
    /// let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// for depth in 0..10 {
    ///     recorder.scope(|| metrics::gauge!("queue_depth").set(f64::from(depth)));
    ///     hands.advance(secs(1));
    ///     recall.tick();
    /// }
    /// let trend = recall.gauges("queue_depth").over(mins(1)).trend().expect("ten points");
    /// assert_eq!(trend.direction(), Direction::Rising);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn direction(&self) -> Direction {
        if self.confidence < 0.95 {
            Direction::Steady
        } else if self.slope > 0.0 {
            Direction::Rising
        } else {
            Direction::Falling
        }
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (slope, sure) = (self.slope.abs(), 100.0 * self.confidence);
        match self.direction() {
            Direction::Rising => write!(f, "rising by {slope} a second ({sure:.0} % sure)"),
            Direction::Falling => write!(f, "falling by {slope} a second ({sure:.0} % sure)"),
            Direction::Steady => f.write_str("steady"),
        }
    }
}

/// How many values lie in a range.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Bucket {
    /// Lower end; a value equal to it is in the bucket before, if there is one. Of a histogram, negative
    /// values on an end are the other way round.
    pub from: f64,
    /// Upper end, inclusive.
    pub to: f64,
    /// Values in the range.
    pub count: u64,
}

impl Answer {
    /// Of a step that no tick covers.
    pub(super) fn nothing(at: Timestamp) -> Self {
        Self {
            at,
            value: None,
            coverage: 0.0,
            bound: 0.0,
            partial: false,
        }
    }
}
