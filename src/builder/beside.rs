//! Recorders beside a store, which are fed as it is.

use super::RecallBuilder;
#[cfg(feature = "prometheus-exporter")]
use crate::error::Error;
use crate::live::tee::{self, Chore, Tee};
use metrics::Recorder;
use std::{fmt, sync::Arc};

/// Recorders that are fed as this one is.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) recorders: Vec<Box<dyn Recorder + Send + Sync>>,
    chores: Vec<Chore>,
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} recorders", self.recorders.len())
    }
}

impl Beside {
    pub(super) fn tee(self) -> Option<Arc<Tee>> {
        let inner = tee::together(self.recorders)?;
        Some(Arc::new(Tee::new(inner, self.chores)))
    }
}

impl RecallBuilder {
    /// Feeds another recorder, too: an exporter that the program has, say. Called again, one more. Default: none.
    ///
    /// The other recorder is asked for a handle once for each thread and series, and not with each macro call; the handle is
    /// kept beside ours, and made anew when nobody used it for two seconds, or two ticks if they are longer. So its own
    /// idle timeout, of three seconds or more, makes no handle deaf. It gets the series as this store has them: labels
    /// sorted, without empty ones, and keys that a limit refuses as their metric's overflow series. A panic of it is
    /// caught and named in [`Recall::health`](crate::Recall::health). What it keeps is not in the memory budget.
    ///
    /// ```
    /// use metrics_exporter_prometheus::PrometheusBuilder;
    ///
    /// let exporter = PrometheusBuilder::new().build_recorder();
    /// let scrape = exporter.handle();
    /// let (recorder, recall) = metrics_recall::Recall::builder().tee(exporter).build()?;
    /// recorder.scope(|| metrics::counter!("orders_total").increment(3));
    /// assert_eq!(recall.counters("orders_total").total(), Some(3));
    /// assert!(scrape.render().contains("orders_total 3"));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn tee(mut self, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        self.beside.recorders.push(Box::new(recorder));
        self
    }

    /// As [`tee`](Self::tee), for `metrics-exporter-prometheus`: gives the builder back, and the exporter's handle, whose
    /// `render` is served as before.
    ///
    /// Every five seconds a tick does the exporter's upkeep. So histograms that nobody scrapes do not grow, and no runtime
    /// is needed. The exporter's own listener and push gateway are not started; serve `handle.render()`.
    ///
    /// # Errors
    ///
    /// None so far. The signature leaves room for what later versions of the exporter may refuse.
    ///
    /// ```
    /// use metrics_exporter_prometheus::PrometheusBuilder;
    ///
    /// let builder = metrics_recall::Recall::builder();
    /// let (builder, handle) = builder.prometheus_exporter(PrometheusBuilder::new())?;
    /// let (recorder, _recall) = builder.build()?; // in a program: `.install()?`
    /// recorder.scope(|| metrics::counter!("orders_total").increment(3));
    /// assert!(handle.render().contains("orders_total 3"));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[cfg(feature = "prometheus-exporter")]
    pub fn prometheus_exporter(
        mut self,
        exporter: metrics_exporter_prometheus::PrometheusBuilder,
    ) -> Result<(Self, metrics_exporter_prometheus::PrometheusHandle), Error> {
        let recorder = exporter.build_recorder();
        let handle = recorder.handle();
        let upkeep = handle.clone();
        self.beside
            .chores
            .push(Box::new(move || upkeep.run_upkeep()));
        Ok((self.tee(recorder), handle))
    }
}
