//! Each thread's caches, and the guard against a slow path that is entered from inside itself.

use super::{
    Counter, Gauge, Grain, Histogram, Live,
    cache::{Cache, Look, PROMOTE_AFTER},
    counter::CounterCell,
    lanes::{LaneCell, Lanes, Taken},
    registry::{Grant, Registry},
    series::{Kind, UNOWNED},
};
use crate::{
    ledger::{Ledger, Part},
    model::MetricKind,
    util::{
        sync::Arc,
        thread::{NOBODY, introduce, me},
    },
};
use metrics::{Key, KeyName, Metadata, SharedString, Unit};
use std::{
    cell::{Cell, RefCell},
    mem::ManuallyDrop,
    sync::atomic::Ordering::Relaxed,
};

thread_local! {
    /// No destructor, which would cost every access a look at its state; [`LEAVING`] empties it.
    static STORES: RefCell<ManuallyDrop<Stores>> =
        const { RefCell::new(ManuallyDrop::new(Stores::new())) };
    /// Lanes of hot histograms; as [`STORES`], without a destructor of its own.
    static TAKEN: RefCell<ManuallyDrop<Taken>> = const { RefCell::new(ManuallyDrop::new(Taken::new())) };
    static LEAVING: Leaving = const { Leaving };
    /// No destructor: readable while other thread-locals are torn down.
    static BUSY: Cell<bool> = const { Cell::new(false) };
    /// What this thread describes is there to be heard, and not to be kept.
    static PROBES: Cell<bool> = const { Cell::new(false) };
}

/// Describes something through the facade; the store that hears it counts it.
pub(crate) fn probe() {
    PROBES.set(true);
    metrics::with_recorder(|recorder| {
        let name = KeyName::from_const_str("recall_probe");
        recorder.describe_counter(name, None, SharedString::const_str(""));
    });
    PROBES.set(false);
}

/// What a thread knows of the stores that it has met. Nearly always there is one, and it is found without a pointer.
struct Stores {
    first: Option<Caches>,
    more: Vec<Caches>,
}

/// Stores beside the first that a thread keeps caches for; a further one takes the place of the oldest.
const MORE: usize = 3;

/// What a thread knows of one store.
pub(crate) struct Caches {
    store: u64,
    /// What the ledger has been charged for this struct.
    charged: usize,
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
        (!BUSY.replace(true)).then(|| Self(()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.set(false);
    }
}

/// Drops a thread's caches when it ends.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        STORES.with(|stores| {
            if let Ok(mut stores) = stores.try_borrow_mut() {
                let empty = ManuallyDrop::new(Stores::new());
                drop(ManuallyDrop::into_inner(std::mem::replace(
                    &mut *stores,
                    empty,
                )));
            }
        });
        let taken = TAKEN.try_with(|taken| {
            let mut taken = taken.try_borrow_mut().ok()?;
            Some(std::mem::replace(
                &mut *taken,
                ManuallyDrop::new(Taken::new()),
            ))
        });
        if let Ok(Some(taken)) = taken {
            drop(ManuallyDrop::into_inner(taken));
        }
    }
}

/// Records into the lane that this thread has taken, if it has; false: it has none, or `record` did nothing.
#[inline(always)]
pub(super) fn in_lane(lanes: &Lanes, record: impl FnOnce(&LaneCell) -> bool) -> bool {
    TAKEN.with(|taken| {
        // Borrowed to change it, or the next record would wait for the count of borrows.
        let taken = taken.try_borrow_mut().ok();
        taken.is_some_and(|taken| taken.find(lanes).is_some_and(record))
    })
}

/// As [`in_lane`], and takes a lane if one is vacant.
pub(super) fn in_own_lane(lanes: &Lanes, record: &dyn Fn(&LaneCell) -> bool) -> bool {
    TAKEN.with(|taken| {
        let Ok(mut taken) = taken.try_borrow_mut() else {
            return false;
        };
        if taken.find(lanes).is_none() {
            let Some(_busy) = Busy::enter() else {
                return false;
            };
            // In a thread's last moments nobody would leave the lane any more.
            if LEAVING.try_with(|_| ()).is_err() {
                return false;
            }
            return taken.find_or_take(lanes).is_some_and(record);
        }
        taken.find(lanes).is_some_and(record)
    })
}

impl Stores {
    const fn new() -> Self {
        Self {
            first: None,
            more: Vec::new(),
        }
    }

    #[inline(always)]
    fn find(&mut self, store: u64) -> Option<&mut Caches> {
        let Self { first, more } = self;
        match first {
            Some(first) if first.store == store => Some(first),
            _ => Self::find_more(more, store),
        }
    }

    #[inline(never)]
    fn find_more(more: &mut [Caches], store: u64) -> Option<&mut Caches> {
        more.iter_mut().find(|caches| caches.store == store)
    }

    /// Adds caches for a store, if its ledger has room for them.
    fn add(&mut self, live: &Live) {
        if self.first.as_ref().is_some_and(|c| c.ledger.is_closed()) {
            self.first = None;
        }
        self.more.retain(|caches| !caches.ledger.is_closed());
        if self.first.is_none() {
            self.first = Some(Caches::new(live, 0));
            return;
        }
        if self.more.len() >= MORE {
            self.more.remove(0);
        }
        let bytes = size_of::<Caches>();
        if live.ledger.reserve(Part::Caches, bytes).is_ok() {
            if self.more.len() == self.more.capacity() {
                self.more.reserve_exact(1);
            }
            self.more.push(Caches::new(live, bytes));
        }
    }
}

impl Caches {
    fn new(live: &Live, charged: usize) -> Self {
        let ledger = &live.ledger;
        Self {
            store: live.id,
            charged,
            counters: Cache::new(live.counters.pins.clone(), ledger.clone()),
            gauges: Cache::new(live.gauges.pins.clone(), ledger.clone()),
            histograms: Cache::new(live.histograms.pins.clone(), ledger.clone()),
            ledger: ledger.clone(),
        }
    }
}

impl Drop for Caches {
    fn drop(&mut self) {
        self.ledger.release(Part::Caches, self.charged);
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
    pub(crate) fn cell<K: Cached>(
        &self,
        key: &Key,
        metadata: &Metadata<'_>,
    ) -> Option<Arc<K::Cell>> {
        let cell = STORES.with(|stores| {
            let mut stores = stores.try_borrow_mut().ok()?;
            let first = stores.first.as_mut()?;
            if first.store != self.id {
                return None;
            }
            K::cache(first).look(key, me())
        });
        if cell.is_some() {
            return cell;
        }
        self.further::<K>(key, metadata)
    }

    /// A key with labels, another store than the first, or a miss.
    #[inline(never)]
    fn further<K: Cached>(&self, key: &Key, metadata: &Metadata<'_>) -> Option<Arc<K::Cell>> {
        let look = STORES.with(|stores| {
            let mut stores = stores.try_borrow_mut().ok()?;
            Some(K::cache(stores.find(self.id)?).look_further(key, me()))
        });
        match look {
            Some(Look::Hit(cell)) => Some(cell),
            Some(Look::Promote) => self.slow::<K>(key, metadata, true),
            _ => self.slow::<K>(key, metadata, false),
        }
    }

    #[cold]
    #[inline(never)]
    fn slow<K: Cached>(
        &self,
        key: &Key,
        metadata: &Metadata<'_>,
        own: bool,
    ) -> Option<Arc<K::Cell>> {
        let Some(_busy) = Busy::enter() else {
            self.reentrant.add(1);
            return K::registry(self).spare().map(|grant| grant.cell);
        };
        TAKEN.with(|taken| {
            if let Ok(mut taken) = taken.try_borrow_mut() {
                taken.forget_void();
            }
        });
        let me = match introduce() {
            NOBODY => UNOWNED,
            me => me,
        };
        let grant = K::registry(self).acquire(key, metadata, me, own)?;
        if let Some(teed) = K::teed(&grant.cell) {
            teed.introduce(K::series(&grant.cell), metadata);
        }
        if grant.id.is_some() {
            self.remember(key, &grant, if own { PROMOTE_AFTER } else { 0 });
        }
        Some(grant.cell)
    }

    fn remember<K: Cached>(&self, key: &Key, grant: &Grant<K>, hits: u16) {
        // In a thread's last moments nobody would empty the cache any more.
        if LEAVING.try_with(|_| ()).is_err() {
            return;
        }
        STORES.with(|stores| {
            let Ok(mut stores) = stores.try_borrow_mut() else {
                return;
            };
            if stores.find(self.id).is_none() {
                stores.add(self);
            }
            if let Some(caches) = stores.find(self.id) {
                K::cache(caches).put(key, grant, hits);
            }
        });
    }

    /// The cell of a counter of fractions. A name that the facade had first counts in whole ones, and so does its cell.
    pub(crate) fn fine_cell(&self, key: &Key, metadata: &Metadata<'_>) -> Option<Arc<CounterCell>> {
        if let Some(_busy) = Busy::enter() {
            let me = match introduce() {
                NOBODY => UNOWNED,
                me => me,
            };
            let grain = Grain::Millionth;
            let _ = self.counters.admit_grained(key, grain, me);
        }
        self.cell::<Counter>(key, metadata)
    }

    /// A description; once known, neither locks nor allocates.
    pub(crate) fn describe(&self, kind: MetricKind, name: &str, unit: Option<Unit>, text: &str) {
        if PROBES.get() {
            self.probed.fetch_add(1, Relaxed);
            return;
        }
        if self.descriptions.knows(kind, name, unit, text) {
            return;
        }
        if let Some(_busy) = Busy::enter() {
            self.descriptions.note(kind, name, unit, text);
            self.describe_beside(kind, name, unit, text);
        }
    }

    /// Tells the other recorder. The thread is marked, and no lock is held.
    fn describe_beside(&self, kind: MetricKind, name: &str, unit: Option<Unit>, text: &str) {
        let Some(tee) = &self.tee else { return };
        let (name, text) = (KeyName::from(name.to_owned()), text.to_owned().into());
        tee.call(|inner| match kind {
            MetricKind::Counter => inner.describe_counter(name, unit, text),
            MetricKind::Gauge => inner.describe_gauge(name, unit, text),
            MetricKind::Histogram => inner.describe_histogram(name, unit, text),
        });
    }
}
