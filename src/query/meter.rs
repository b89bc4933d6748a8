//! How fast a counter goes up: over one, five and fifteen minutes.

use super::{
    selection::Selection,
    shape::{Counters, Now},
};
use std::{fmt, time::Duration};

/// The moving rates of a counter, as `uptime` shows those of a machine's load: from history, each time that it is asked, so that counting
/// costs nothing more.
///
/// Shown as `1240 in all, 21.3/s over 1 min, 20.1/s over 5 min, 20.4/s over 15 min`.
///
/// ```
/// use metrics_recall::{Clock, Recall, secs};
///
/// let (clock, hands) = Clock::manual();
/// let (recorder, recall) = Recall::builder().clock(clock).build()?;
/// let orders = recall.counters("orders_total").label("region", "eu").meter();
/// for _ in 0..120 {
///     recorder.scope(|| metrics::counter!("orders_total", "region" => "eu").increment(5));
///     hands.advance(secs(1));
///     recall.tick();
/// }
/// assert_eq!(orders.one_minute(), Some(5.0));
/// assert_eq!(orders.total(), Some(600));
/// # assert_eq!(orders.to_string(), "600 in all, 5.00/s over 1 min, 5.00/s over 5 min, 5.00/s over 15 min");
/// # Ok::<(), metrics_recall::Error>(())
/// ```
///
/// A rate that is asked for again and again is a [`watch`](Selection::watch), which the tick keeps up to date.
#[derive(Clone, Debug)]
#[must_use = "a meter computes nothing until it is asked"]
pub struct Meter(Selection<Counters, Now>);

const MINUTE: Duration = Duration::from_secs(60);

impl Selection<Counters, Now> {
    /// The rates of what is selected, over one, five and fifteen minutes.
    pub fn meter(&self) -> Meter {
        Meter(self.clone())
    }
}

impl Meter {
    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.0.query.bytes()
    }

    /// All that was counted. Live: no tick is needed.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.0.total()
    }

    /// A second, over the last minute. As all rates it divides by the time that ticks cover, so a process that is younger has one, too;
    /// `None`: no tick covers any of it, or there is no such counter.
    #[must_use]
    pub fn one_minute(&self) -> Option<f64> {
        self.over(1)
    }

    /// A second, over the last five minutes.
    #[must_use]
    pub fn five_minutes(&self) -> Option<f64> {
        self.over(5)
    }

    /// A second, over the last fifteen minutes, or as many of them as history has.
    #[must_use]
    pub fn fifteen_minutes(&self) -> Option<f64> {
        self.over(15)
    }

    fn over(&self, minutes: u32) -> Option<f64> {
        self.0.clone().over(MINUTE * minutes).rate()
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in all", self.total().unwrap_or(0))?;
        for minutes in [1, 5, 15] {
            match self.over(minutes) {
                Some(rate) => write!(f, ", {rate:.2}/s over {minutes} min")?,
                None => write!(f, ", nothing known over {minutes} min")?,
            }
        }
        Ok(())
    }
}
