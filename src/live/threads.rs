//! Each thread's caches, and the guard against a slow path that is entered from inside itself.

use super::{
    Counter, Gauge, Histogram, Live,
    cache::{Cache, Look},
    registry::{Grant, Registry},
    series::Kind,
};
use crate::{
    ledger::{Ledger, Part},
    model::MetricKind,
    util::{
        sync::Arc,
        thread::{introduce, me},
    },
};
use metrics::{Key, Unit};
use std::{
    cell::{Cell, RefCell},
    sync::atomic::Ordering::Relaxed,
};

thread_local! {
    static CACHES: RefCell<Vec<Caches>> = const { RefCell::new(Vec::new()) };
    /// No destructor: readable while other thread-locals are torn down.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Stores that a thread keeps caches for; a further one takes the place of the oldest.
const STORES: usize = 4;

/// What a thread knows of one store.
pub(crate) struct Caches {
    store: u64,
    counters: Cache<Counter>,
    gauges: Cache<Gauge>,
    histograms: Cache<Histogram>,
    ledger: Arc<Ledger>,
}

/// While it lives, the slow path on this thread answers with overflow cells: a lock may be held, or an allocation
/// under way that emits a metric.
pub(crate) struct Busy(());

impl Busy {
    /// `None`: this thread is busy already.
    pub(crate) fn enter() -> Option<Self> {
        (!BUSY.replace(true)).then_some(Self(()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.set(false);
    }
}

impl Caches {
    fn new(live: &Live) -> Self {
        let ledger = &live.ledger;
        Self {
            store: live.id,
            counters: Cache::new(live.counters.pins.clone(), ledger.clone()),
            gauges: Cache::new(live.gauges.pins.clone(), ledger.clone()),
            histograms: Cache::new(live.histograms.pins.clone(), ledger.clone()),
            ledger: ledger.clone(),
        }
    }
}

impl Drop for Caches {
    fn drop(&mut self) {
        self.ledger.release(Part::Caches, size_of::<Self>());
    }
}

/// A kind whose caches and registries can be named.
pub(crate) trait Cached: Kind {
    fn registry(live: &Live) -> &Registry<Self>;
    fn cache(caches: &mut Caches) -> &mut Cache<Self>;
}

impl Cached for Counter {
    fn registry(live: &Live) -> &Registry<Self> {
        &live.counters
    }

    #[inline(always)]
    fn cache(caches: &mut Caches) -> &mut Cache<Self> {
        &mut caches.counters
    }
}

impl Cached for Gauge {
    fn registry(live: &Live) -> &Registry<Self> {
        &live.gauges
    }

    #[inline(always)]
    fn cache(caches: &mut Caches) -> &mut Cache<Self> {
        &mut caches.gauges
    }
}

impl Cached for Histogram {
    fn registry(live: &Live) -> &Registry<Self> {
        &live.histograms
    }

    #[inline(always)]
    fn cache(caches: &mut Caches) -> &mut Cache<Self> {
        &mut caches.histograms
    }
}

impl Live {
    /// The cell for a key; a hit in this thread's cache takes no lock and allocates nothing.
    #[inline]
    pub(crate) fn cell<K: Cached>(&self, key: &Key) -> Option<Arc<K::Cell>> {
        let me = me();
        let look = CACHES.try_with(|caches| {
            let mut caches = caches.try_borrow_mut().ok()?;
            let caches = caches.iter_mut().find(|caches| caches.store == self.id)?;
            Some(K::cache(caches).look(key, me))
        });
        match look {
            Ok(Some(Look::Hit(cell))) => Some(cell),
            Ok(Some(Look::Promote)) => self.slow::<K>(key, true),
            _ => self.slow::<K>(key, false),
        }
    }

    #[cold]
    #[inline(never)]
    fn slow<K: Cached>(&self, key: &Key, own: bool) -> Option<Arc<K::Cell>> {
        let Some(_busy) = Busy::enter() else {
            self.reentrant.fetch_add(1, Relaxed);
            return K::registry(self).spare().map(|grant| grant.cell);
        };
        let grant = K::registry(self).acquire(key, introduce(), own)?;
        if grant.id.is_some() {
            self.remember(key, &grant);
        }
        Some(grant.cell)
    }

    fn remember<K: Cached>(&self, key: &Key, grant: &Grant<K>) {
        // In a thread's last moments there is no cache any more, and nothing to remember for.
        let _ = CACHES.try_with(|caches| {
            let Ok(mut caches) = caches.try_borrow_mut() else {
                return;
            };
            if !caches.iter().any(|caches| caches.store == self.id) && !self.add_caches(&mut caches)
            {
                return;
            }
            if let Some(caches) = caches.iter_mut().find(|caches| caches.store == self.id) {
                K::cache(caches).put(key, grant);
            }
        });
    }

    /// False: no room.
    fn add_caches(&self, caches: &mut Vec<Caches>) -> bool {
        caches.retain(|caches| !caches.ledger.is_closed());
        if caches.len() >= STORES {
            caches.remove(0);
        }
        // The vector's own buffer is charged to whom it grows for: one element each.
        if self
            .ledger
            .reserve(Part::Caches, size_of::<Caches>())
            .is_err()
        {
            return false;
        }
        if caches.len() == caches.capacity() {
            caches.reserve_exact(1);
        }
        caches.push(Caches::new(self));
        true
    }

    /// A description; once known, neither locks nor allocates.
    pub(crate) fn describe(&self, kind: MetricKind, name: &str, unit: Option<Unit>, text: &str) {
        if self.descriptions.knows(kind, name, unit, text) {
            return;
        }
        if let Some(_busy) = Busy::enter() {
            self.descriptions.note(kind, name, unit, text);
        }
    }
}
