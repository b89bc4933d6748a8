//! Connection pools, by a closure that says how they are.

use super::Collecting;
use crate::{error::Error, handle::Recall};
use metrics::{counter, gauge};
use std::time::Duration;

/// How a pool is. What a pool does not tell is left at `None`, and not recorded.
///
/// ```
/// use metrics_recall::PoolStatus;
///
/// let status = PoolStatus::new(10, 4).waiters(3);
/// assert_eq!(status.in_use(), 6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it is what a closure of `collect_pool` gives"]
pub struct PoolStatus {
    size: u64,
    idle: u64,
    waiters: Option<u64>,
    timeouts: Option<u64>,
}

impl PoolStatus {
    /// A pool of so many connections, of which so many are idle.
    pub fn new(size: u64, idle: u64) -> Self {
        Self {
            size,
            idle: idle.min(size),
            waiters: None,
            timeouts: None,
        }
    }

    /// Callers that wait for a connection.
    pub fn waiters(mut self, waiters: u64) -> Self {
        self.waiters = Some(waiters);
        self
    }

    /// Callers that have waited in vain, ever.
    pub fn timeouts(mut self, timeouts: u64) -> Self {
        self.timeouts = Some(timeouts);
        self
    }

    /// Connections that are in use.
    #[must_use]
    pub fn in_use(self) -> u64 {
        self.size - self.idle
    }
}

impl Recall {
    /// Records how a connection pool is, every `interval`, for as long as the guard lives: `pool_connections{pool,state}` with the
    /// states `idle` and `in_use`, `pool_waiters{pool}`, and `pool_timeouts_total{pool}`.
    ///
    /// # Errors
    ///
    /// As [`collect_as`](Self::collect_as); the collector is called `pool` and the pool.
    ///
    /// ```
    /// use metrics_recall::{PoolStatus, Recall, secs};
    ///
    /// let (_recorder, recall) = Recall::builder().build()?;
    /// let _collecting = recall.collect_pool("orders", secs(5), || PoolStatus::new(10, 4).waiters(3))?;
    /// recall.tick();
    /// let in_use = recall.gauges("pool_connections").label("pool", "orders").label("state", "in_use");
    /// assert_eq!(in_use.current(), Some(6.0));
    /// assert_eq!(recall.gauges("pool_waiters").current(), Some(3.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn collect_pool(
        &self,
        pool: impl Into<String>,
        interval: Duration,
        mut status: impl FnMut() -> PoolStatus + Send + 'static,
    ) -> Result<Collecting, Error> {
        let pool = pool.into();
        self.collect_as(format!("pool {pool}"), interval, move || {
            record(&pool, status());
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn record(pool: &str, status: PoolStatus) {
    let pool = || pool.to_owned();
    gauge!("pool_connections", "pool" => pool(), "state" => "idle").set(status.idle as f64);
    gauge!("pool_connections", "pool" => pool(), "state" => "in_use").set(status.in_use() as f64);
    if let Some(waiters) = status.waiters {
        gauge!("pool_waiters", "pool" => pool()).set(waiters as f64);
    }
    if let Some(timeouts) = status.timeouts {
        counter!("pool_timeouts_total", "pool" => pool()).absolute(timeouts);
    }
}
