//! The recorder beside us: what is recorded here is recorded there, too, through a handle that hangs on the cell.
//!
//! So the other recorder is asked for a handle once for each cell, and not with each macro call. It may forget a series
//! that is idle, and a handle of such a series is deaf. Therefore a handle that nobody used for two seconds is made anew
//! before it is used again: the first stays where it is, the later ones stand behind a lock that is only ever tried.
//!
//! The other recorder gets the series as this store has them: labels sorted, without empty ones, and what is refused as
//! the overflow series.

use super::series::{Kind, Series};
use crate::{
    model::labels,
    util::{bits::low, caught::caught, recent::Recent},
};
use metrics::{Key, Label, Metadata, Recorder};
use parking_lot::RwLock;
use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

/// What another recorder needs done from time to time.
pub(crate) type Chore = Box<dyn Fn() + Send + Sync>;

/// The other recorder.
pub(crate) struct Tee {
    inner: Box<dyn Recorder + Send + Sync>,
    chores: Vec<Chore>,
    /// Second of the axis in which the newest tick ended, wrapping below [`RENEWED`].
    second: AtomicU32,
    /// When the chores were last done, in seconds of the axis.
    done: AtomicU64,
    /// Its panics.
    pub(crate) panicked: Recent,
}

/// Seconds between two rounds of chores.
const ROUND: u64 = 5;

impl fmt::Debug for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tee").finish_non_exhaustive()
    }
}

impl Tee {
    pub(crate) fn new(inner: Box<dyn Recorder + Send + Sync>, chores: Vec<Chore>) -> Self {
        Self {
            inner,
            chores,
            second: AtomicU32::new(0),
            done: AtomicU64::new(0),
            panicked: Recent::new(),
        }
    }

    /// Calls the other recorder. Its panic is its own.
    #[inline]
    pub(crate) fn call<T>(&self, f: impl FnOnce(&dyn Recorder) -> T) -> Option<T> {
        let result = caught(|| f(&*self.inner));
        result.inspect_err(|_| self.panicked.add(1)).ok()
    }

    /// A tick has ended at `end_ns` of the axis.
    pub(crate) fn turn(&self, end_ns: u64) {
        self.second
            .store(low(end_ns / 1_000_000_000) & !RENEWED, Relaxed);
    }

    /// Does what is due for the other recorder. For the tick, without any lock.
    pub(crate) fn do_chores(&self, end_ns: u64) {
        let now = end_ns / 1_000_000_000;
        let due = self.done.load(Relaxed) + ROUND;
        if now < due || self.chores.is_empty() {
            return;
        }
        self.done.store(now, Relaxed);
        for chore in &self.chores {
            self.call(|_| chore());
        }
    }
}

/// Bit of `Teed::used`: the first handle is of no use any more.
const RENEWED: u32 = 1 << 31;

/// A cell's handle of the other recorder.
pub(crate) struct Teed<K: Kind> {
    tee: Arc<Tee>,
    first: OnceLock<K::Handle>,
    /// In place of the first, once nobody had used it for two seconds. Only tried: user code runs under it.
    later: RwLock<Option<K::Handle>>,
    /// The second in which it was used last, and [`RENEWED`].
    used: AtomicU32,
}

impl<K: Kind> fmt::Debug for Teed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teed").finish_non_exhaustive()
    }
}

impl<K: Kind> Teed<K> {
    pub(crate) fn new(tee: Arc<Tee>) -> Self {
        Self {
            tee,
            first: OnceLock::new(),
            later: RwLock::new(None),
            used: AtomicU32::new(0),
        }
    }

    /// Makes the series known to the other recorder. For the slow path, which has marked the thread and holds no lock.
    pub(crate) fn introduce(&self, series: &Series<K>, metadata: &Metadata<'_>) {
        if self.first.get().is_none()
            && let Some(handle) = self.register(series, metadata)
            && self.first.set(handle).is_ok()
        {
            self.used.store(self.tee.second.load(Relaxed), Relaxed);
        }
    }

    /// Calls `record` with a handle that is not deaf.
    #[inline]
    pub(crate) fn forward(&self, series: &Series<K>, record: impl Fn(&K::Handle)) {
        let now = self.tee.second.load(Relaxed);
        match self.first.get() {
            Some(first) if self.used.load(Relaxed) == now => {
                self.tee.call(|_| record(first));
            }
            _ => self.forward_late(series, now, &record),
        }
    }

    /// In another second than the one before, or through a later handle.
    #[inline(never)]
    fn forward_late(&self, series: &Series<K>, now: u32, record: &dyn Fn(&K::Handle)) {
        let used = self.used.load(Relaxed);
        let age = now.wrapping_sub(used) & !RENEWED;
        let mut is_renewed = used & RENEWED != 0;
        if self.first.get().is_none() || age > 1 {
            let Some(handle) = self.renew(series) else {
                return;
            };
            self.tee.call(|_| record(&handle));
            let kept = self.first.set(handle);
            is_renewed |= kept.is_err();
            if let Err(handle) = kept
                && let Some(mut later) = self.later.try_write()
            {
                let before = later.replace(handle);
                drop(later);
                self.tee.call(|_| drop(before));
            }
            let mark = if is_renewed { RENEWED } else { 0 };
            return self.used.store(now | mark, Relaxed);
        }
        if age == 1 {
            self.used.store(now | used & RENEWED, Relaxed);
        }
        if !is_renewed {
            if let Some(first) = self.first.get() {
                self.tee.call(|_| record(first));
            }
            return;
        }
        let later = self.later.try_read();
        match later.as_ref().and_then(|later| later.as_ref()) {
            Some(handle) => {
                self.tee.call(|_| record(handle));
            }
            // Another thread renews it right now.
            None => {
                if let Some(handle) = self.renew(series) {
                    self.tee.call(|_| record(&handle));
                }
            }
        }
    }

    /// `None`: the call came from inside of the other recorder's registration, or that panicked.
    fn renew(&self, series: &Series<K>) -> Option<K::Handle> {
        #[cfg(not(loom))]
        let _busy = super::threads::Busy::enter()?;
        self.register(
            series,
            &Metadata::new("metrics_recall", metrics::Level::INFO, None),
        )
    }

    fn register(&self, series: &Series<K>, metadata: &Metadata<'_>) -> Option<K::Handle> {
        let labels = labels::iter(&series.labels);
        let labels: Vec<Label> = labels
            .map(|(name, value)| Label::new(name.to_owned(), value.to_owned()))
            .collect();
        let key = Key::from_parts(series.name.text.to_string(), labels);
        self.tee.call(|inner| K::register(inner, &key, metadata))
    }
}

impl<K: Kind> Drop for Teed<K> {
    fn drop(&mut self) {
        let (first, later) = (self.first.take(), self.later.get_mut().take());
        self.tee.call(|_| drop((first, later)));
    }
}

/// Two recorders as one.
struct Pair(
    Box<dyn Recorder + Send + Sync>,
    Box<dyn Recorder + Send + Sync>,
);

/// Several recorders as one; `None` of none.
pub(crate) fn together(
    recorders: impl IntoIterator<Item = Box<dyn Recorder + Send + Sync>>,
) -> Option<Box<dyn Recorder + Send + Sync>> {
    recorders
        .into_iter()
        .reduce(|first, second| Box::new(Pair(first, second)))
}

/// Handles of both.
struct Both<H>(H, H);

impl metrics::CounterFn for Both<metrics::Counter> {
    fn increment(&self, value: u64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn absolute(&self, value: u64) {
        self.0.absolute(value);
        self.1.absolute(value);
    }
}

impl metrics::GaugeFn for Both<metrics::Gauge> {
    fn increment(&self, value: f64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn decrement(&self, value: f64) {
        self.0.decrement(value);
        self.1.decrement(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
        self.1.set(value);
    }
}

impl metrics::HistogramFn for Both<metrics::Histogram> {
    fn record(&self, value: f64) {
        self.0.record(value);
        self.1.record(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.0.record_many(value, count);
        self.1.record_many(value, count);
    }
}

macro_rules! both {
    ($($describe:ident, $register:ident, $handle:ident;)*) => {
        impl Recorder for Pair {
            $(
                fn $describe(
                    &self,
                    key: metrics::KeyName,
                    unit: Option<metrics::Unit>,
                    description: metrics::SharedString,
                ) {
                    self.0.$describe(key.clone(), unit, description.clone());
                    self.1.$describe(key, unit, description);
                }

                fn $register(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::$handle {
                    let first = self.0.$register(key, metadata);
                    let both = Both(first, self.1.$register(key, metadata));
                    metrics::$handle::from_arc(Arc::new(both))
                }
            )*
        }
    };
}

both! {
    describe_counter, register_counter, Counter;
    describe_gauge, register_gauge, Gauge;
    describe_histogram, register_histogram, Histogram;
}
