//! Sources: what is read from time to time and recorded, by the program or by this crate.
//!
//! Collectors emit through the facade, like any other code. Scheduling is the engine's.

#[cfg(feature = "alloc")]
mod allocations;
mod closure;
mod guard;
mod pool;
#[cfg(feature = "probes")]
pub mod probes;
pub mod process;
mod rates;
mod scoped;
#[cfg(feature = "system")]
pub mod system;

pub use self::{guard::Collecting, pool::PoolStatus, rates::RateMetric};

use self::{closure::Closure, scoped::Scoped};
use crate::{
    engine::CollectorStatus,
    error::Error,
    handle::Recall,
    intake::{Collector, Outcome},
};
use std::{panic::Location, time::Duration};

/// What is read from time to time.
///
/// With a worker, a collector has a thread of its own: one that blocks, panics or is slow costs no tick and no other
/// collector anything. What it records is in history with the tick after. In a store without a worker
/// ([`build`](crate::RecallBuilder::build)), [`tick`](Self::tick) runs what is due before it looks at anything.
///
/// Collectors emit through the macros: to the process's recorder and whatever layers it has, when this store is
/// [global](Self::make_global), else straight to this store.
impl Recall {
    /// Runs `f` every `interval`, for as long as the guard lives, beginning with the next tick. `f` gives nothing, or a
    /// `Result` of any error. It is called after the line that this call stands on; see [`collect_as`](Self::collect_as).
    ///
    /// What fails or panics is counted in `recall_collector_errors_total{collector}`, named in [`health`](Self::health), and
    /// tried again after the interval, twice the interval, and so on, up to five minutes; what it took is in
    /// `recall_collector_duration_seconds{collector}`. An interval that passes while `f` still runs is left out, and so are those
    /// shorter than a tick.
    ///
    /// # Errors
    ///
    /// When `interval` is not 1 ms to 24 h, after a [`shutdown`](Self::shutdown), and when there is no memory or 64
    /// collectors are there already.
    ///
    /// ```
    /// use metrics_recall::{Clock, Recall, secs};
    ///
    /// let (clock, hands) = Clock::manual();
    /// let (_recorder, recall) = Recall::builder().clock(clock).build()?;
    /// let collecting = recall.collect_every(secs(5), || metrics::gauge!("queue_depth").set(3.0))?;
    /// hands.advance(secs(1));
    /// recall.tick();
    /// assert_eq!(recall.gauges("queue_depth").current(), Some(3.0));
    /// drop(collecting); // no more
    /// assert!(recall.collect_every(secs(0), || ()).unwrap_err().is_invalid());
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[track_caller]
    pub fn collect_every<O: Outcome>(
        &self,
        interval: Duration,
        f: impl FnMut() -> O + Send + 'static,
    ) -> Result<Collecting, Error> {
        let here = Location::caller();
        let here = format!("{}:{}", here.file(), here.line());
        let name = self.core().schedule.free_name(&here);
        self.collect_as(name, interval, f)
    }

    /// As [`collect_every`](Self::collect_every), under a name.
    ///
    /// # Errors
    ///
    /// As [`collect_every`](Self::collect_every), and when there is a collector of that name or the name is empty or longer
    /// than 200 bytes.
    ///
    /// ```
    /// use metrics_recall::{Recall, secs};
    ///
    /// let (_recorder, recall) = Recall::builder().build()?;
    /// let _collecting = recall.collect_as("temperature", secs(5), || -> std::io::Result<()> {
    ///     let text = std::fs::read_to_string("/sys/class/thermal/thermal_zone0/temp")?;
    ///     let millis: f64 = text.trim().parse().map_err(std::io::Error::other)?;
    ///     metrics::gauge!("temperature_celsius").set(millis / 1000.0);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn collect_as<O: Outcome>(
        &self,
        name: impl Into<String>,
        interval: Duration,
        f: impl FnMut() -> O + Send + 'static,
    ) -> Result<Collecting, Error> {
        self.collect(Closure::new(name.into(), interval, f))
    }

    /// Runs a [`Collector`] for as long as the guard lives, as [`collect_every`](Self::collect_every).
    ///
    /// # Errors
    ///
    /// As [`collect_as`](Self::collect_as).
    pub fn collect(&self, collector: impl Collector + 'static) -> Result<Collecting, Error> {
        self.collect_together(vec![Box::new(collector)])
    }

    /// Collectors that share a thread.
    pub(crate) fn collect_together(
        &self,
        collectors: Vec<Box<dyn Collector>>,
    ) -> Result<Collecting, Error> {
        let scoped = collectors.into_iter().map(|collector| {
            let scoped = Scoped::new(self, collector);
            Box::new(scoped) as Box<dyn Collector>
        });
        let core = self.core();
        let crew = core.schedule.add(core, scoped.collect())?;
        Ok(Collecting::new(vec![crew]))
    }

    /// Runs all collectors now, one after the other on this thread, but for those that are running and those of a guard that is
    /// gone. Gives what became of them, as [`collectors`](Self::collectors).
    ///
    /// Cost: that of the collectors.
    pub fn collect_now(&self) -> Vec<CollectorStatus> {
        self.core().collect_now();
        self.collectors()
    }

    /// All collectors, in the order in which they were added: when they run, how long the last run took, and what it failed
    /// of.
    ///
    /// ```
    /// use metrics_recall::{Cause, CollectError, Recall, secs};
    ///
    /// let (_recorder, recall) = Recall::builder().build()?;
    /// let late = || Err::<(), _>(CollectError::timeout("no answer within 2 s"));
    /// let _collecting = recall.collect_as("upstream", secs(5), late)?;
    /// recall.collect_now();
    /// let status = &recall.collectors()[0];
    /// assert_eq!(status.last_error, Some((Cause::Timeout, "no answer within 2 s".to_owned())));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn collectors(&self) -> Vec<CollectorStatus> {
        self.core().schedule.statuses()
    }
}
