//! A guard that records how long it lived.

use super::seconds;
use crate::clock::Moment;
use metrics::Histogram;
use std::{fmt, time::Duration};

/// Records, when it is dropped, how long it lived: in seconds, into the histogram that it was started with.
///
/// It works with whatever recorder the histogram is from. Leaving early by `?`, by `return` or by a panic that unwinds is
/// recorded as well; [`cancel`](Self::cancel) is for what should not be.
///
/// Take the handle where you start the timer, as below. One that is kept from before the recorder was installed
/// records nothing, for ever.
///
/// # Cost
///
/// Two readings of the processor's counter and one record; no allocation. The very first timer of a process compares that
/// counter with the system's clock, which takes some milliseconds, once.
///
/// ```
/// use metrics::histogram;
/// use metrics_recall::{Recall, Timer};
///
/// fn pay(amount: u32) -> Result<(), String> {
///     let mut timer = Timer::start(histogram!("pay_seconds", "result" => "ok"));
///     if amount == 0 {
///         timer.record_to(histogram!("pay_seconds", "result" => "error"));
///         return Err("an amount of 0".to_owned());
///     }
///     Ok(())
/// }
///
/// let (recorder, recall) = Recall::builder().build()?;
/// recorder.scope(|| {
///     let _ = (pay(5), pay(0));
/// });
/// # use metrics_recall::MetricKind;
/// assert_eq!(recall.values(MetricKind::Histogram).len(), 2);
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[must_use = "it records when dropped, and `let _ =` drops it at once: write `let _timer =`"]
pub struct Timer {
    start: Moment,
    /// None once there is nothing left to record.
    histogram: Option<Histogram>,
}

impl Timer {
    /// Starts now.
    #[inline]
    pub fn start(histogram: Histogram) -> Self {
        Self {
            start: Moment::now(),
            histogram: Some(histogram),
        }
    }

    /// How long it has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.start.nanos_to(Moment::now()))
    }

    /// Points it at another histogram: its duration goes there, and not into the one it was started with.
    pub fn record_to(&mut self, other: Histogram) {
        self.histogram = Some(other);
    }

    /// Records now, and says what.
    #[expect(
        clippy::must_use_candidate,
        reason = "recording is what it is called for"
    )]
    pub fn stop(mut self) -> Duration {
        let nanos = self.record();
        Duration::from_nanos(nanos)
    }

    /// Ends without recording anything.
    pub fn cancel(mut self) {
        self.histogram = None;
    }

    #[inline]
    fn record(&mut self) -> u64 {
        let Some(histogram) = self.histogram.take() else {
            return 0;
        };
        let nanos = self.start.nanos_to(Moment::now());
        histogram.record(seconds(nanos));
        nanos
    }
}

impl Drop for Timer {
    #[inline]
    fn drop(&mut self) {
        self.record();
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}
