//! The `metrics::Recorder`: hands out cells of the live store.

use crate::{
    live::{Counter as Counters, Gauge as Gauges, Histogram as Histograms, Live},
    model::MetricKind,
};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::{fmt, sync::Arc};

/// The recorder that the `metrics` macros emit to. Clones feed the same store.
///
/// Usually [`RecallBuilder::install`](crate::RecallBuilder::install) keeps it out of sight.
/// [`start`](crate::RecallBuilder::start) and [`build`](crate::RecallBuilder::build) hand it out, to be put below layers
/// or to be used as a local recorder:
///
/// ```
/// use metrics_recall::Recall;
///
/// let (recorder, recall) = Recall::builder().build()?;
/// recorder.scope(|| metrics::counter!("orders_total").increment(3));
/// assert_eq!(recall.counters("orders_total").total(), Some(3));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone)]
pub struct RecallRecorder(Arc<Live>);

impl RecallRecorder {
    pub(crate) fn new(live: Arc<Live>) -> Self {
        Self(live)
    }

    /// Runs `f` with this recorder as the one of the current thread.
    pub fn scope<T>(&self, f: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(self, f)
    }
}

impl fmt::Debug for RecallRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecallRecorder").finish_non_exhaustive()
    }
}

impl Recorder for RecallRecorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0
            .describe(MetricKind::Counter, key.as_str(), unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0
            .describe(MetricKind::Gauge, key.as_str(), unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0
            .describe(MetricKind::Histogram, key.as_str(), unit, &description);
    }

    #[inline]
    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.0
            .cell::<Counters>(key, metadata)
            .map_or(Counter::noop(), Counter::from_arc)
    }

    #[inline]
    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.0
            .cell::<Gauges>(key, metadata)
            .map_or(Gauge::noop(), Gauge::from_arc)
    }

    #[inline]
    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.0
            .cell::<Histograms>(key, metadata)
            .map_or(Histogram::noop(), Histogram::from_arc)
    }
}
