//! A closure, and how long it took.

use super::Timer;
use metrics::Histogram;

/// Runs `f`, records how long that took, in seconds, and gives back what `f` did. A panic that unwinds is recorded, too.
///
/// ```
/// use metrics::histogram;
/// use metrics_recall::{Recall, time};
///
/// let (recorder, recall) = Recall::builder().build()?;
/// let sum: u64 = recorder.scope(|| time(histogram!("sum_seconds"), || (1..=100).sum()));
/// assert_eq!(sum, 5050);
/// assert!(recall.metric("sum_seconds").is_some());
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[inline]
pub fn time<T>(histogram: Histogram, f: impl FnOnce() -> T) -> T {
    let _timer = Timer::start(histogram);
    f()
}
