//! The hot path: from a macro call to a cell, and from a cell to its words.
//!
//! A macro call registers every time, so the lookup is what counts: a hit in the thread's cache takes no lock and
//! allocates nothing. The handle protocol is described in `DESIGN.md`, step by step.

mod admit;
mod buckets;
mod cache;
pub(crate) mod classes;
pub(crate) mod collect;
mod counter;
mod describe;
pub(crate) mod drain;
mod extremes;
mod gauge;
mod histogram;
pub(crate) mod ids;
pub(crate) mod key;
mod lanes;
mod marks;
#[cfg(all(test, loom))]
mod models;
mod name;
mod names;
mod news;
mod offenders;
pub(crate) mod registry;
pub(crate) mod remove;
mod series;
mod shard;
mod stripes;
mod tally;
pub(crate) mod tee;
#[cfg(not(loom))]
mod threads;
mod visit;
mod words;
mod zombies;

#[cfg(not(loom))]
pub(crate) use self::threads::{Busy, probe};

pub(crate) use self::{
    counter::{Counter, CounterCell},
    gauge::Gauge,
    histogram::Histogram,
    marks::Marks,
    name::{Grain, Name},
    series::{Entry, Kind},
};

use self::{
    classes::Classes,
    describe::Descriptions,
    offenders::Offenders,
    registry::{Folds, Limits, Registry},
    tee::Tee,
};
use crate::{
    ledger::{Full, Ledger, Part},
    model::{schema::Schema, shape::ShapeRule},
    util::{fork, recent::Recent, sync::Arc},
};

/// Everything that macros can reach.
pub(crate) struct Live {
    /// Tells stores apart in a thread's caches; never reused.
    #[cfg_attr(
        loom,
        expect(dead_code, reason = "caches are per thread; models have none")
    )]
    pub(crate) id: u64,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) counters: Registry<Counter>,
    pub(crate) gauges: Registry<Gauge>,
    pub(crate) histograms: Registry<Histogram>,
    pub(crate) descriptions: Descriptions,
    pub(crate) offenders: Arc<Offenders>,
    /// Which series are kept for how long.
    pub(crate) classes: Arc<Classes>,
    /// Calls that came from inside the slow path of the same thread, as an allocator's may.
    pub(crate) reentrant: Recent,
    /// Probes of the facade that arrived here.
    pub(crate) probed: std::sync::atomic::AtomicU64,
    /// The recorder beside this one.
    pub(crate) tee: Option<std::sync::Arc<Tee>>,
}

impl Live {
    /// # Errors
    ///
    /// [`Full`] when the budget cannot hold even an empty store.
    #[cfg(test)]
    pub(crate) fn new(ledger: Arc<Ledger>, limits: Limits) -> Result<Self, Full> {
        Self::shaped(ledger, limits, &[], None)
    }

    /// With rules of how histograms are exposed, and a recorder beside it.
    ///
    /// # Errors
    ///
    /// As [`Full`]: when the budget cannot hold an empty store.
    pub(crate) fn shaped(
        ledger: Arc<Ledger>,
        limits: Limits,
        shapes: &[ShapeRule],
        tee: Option<std::sync::Arc<Tee>>,
    ) -> Result<Self, Full> {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        fork::settle();
        ledger.reserve(Part::Names, size_of::<Offenders>())?;
        let offenders = Arc::new(Offenders::new());
        let classes = Arc::new(Classes::new(ledger.clone()));
        let folds = Arc::new(Folds::new(shapes, Schema::get(limits.schema)));
        ledger.reserve(Part::Names, folds.bytes())?;
        let most = limits.metrics.saturating_mul(2);
        Ok(Self {
            id: NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            counters: Registry::new(
                ledger.clone(),
                limits,
                offenders.clone(),
                classes.clone(),
                folds.clone(),
                tee.clone(),
            )?,
            gauges: Registry::new(
                ledger.clone(),
                limits,
                offenders.clone(),
                classes.clone(),
                folds.clone(),
                tee.clone(),
            )?,
            histograms: Registry::new(
                ledger.clone(),
                limits,
                offenders.clone(),
                classes.clone(),
                folds.clone(),
                tee.clone(),
            )?,
            descriptions: Descriptions::new(ledger.clone(), most)?,
            offenders,
            classes,
            ledger,
            reentrant: Recent::new(),
            probed: std::sync::atomic::AtomicU64::new(0),
            tee,
        })
    }

    /// The store begins at `now_ms`, in wall milliseconds of the axis.
    #[cfg(not(loom))]
    pub(crate) fn start(&self, now_ms: i64) {
        self.counters.start(now_ms);
        self.gauges.start(now_ms);
        self.histograms.start(now_ms);
    }

    /// Whether no metric was ever recorded.
    #[cfg(not(loom))]
    pub(crate) fn is_unused(&self) -> bool {
        self.counters.is_unused() && self.gauges.is_unused() && self.histograms.is_unused()
    }

    /// Series with cells, of all kinds.
    pub(crate) fn series(&self) -> usize {
        use std::sync::atomic::Ordering::Relaxed;
        self.counters.live.load(Relaxed)
            + self.gauges.live.load(Relaxed)
            + self.histograms.live.load(Relaxed)
    }
}

impl Live {
    /// Hand-outs that went to overflow series, of all kinds.
    pub(crate) fn denied(&self) -> u64 {
        use std::sync::atomic::Ordering::Relaxed;
        self.counters.denied.load(Relaxed)
            + self.gauges.denied.load(Relaxed)
            + self.histograms.denied.load(Relaxed)
    }
}

impl Live {
    /// Some minutes have passed: what was counted before is old.
    pub(crate) fn turn(&self) {
        self.counters.turn();
        self.gauges.turn();
        self.histograms.turn();
        self.descriptions.refused.turn();
        self.reentrant.turn();
        if let Some(tee) = &self.tee {
            tee.panicked.turn();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.ledger.close();
    }
}
