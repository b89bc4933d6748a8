//! From keys to cells. One registry a kind.
//!
//! Locks, in the order in which they may be taken: a shard of names, the retention rules, a shard of series, the members of
//! a name. All are held for a few steps only. Recording through a handle takes none of them.

use super::{
    admit::Wanted,
    classes::Classes,
    ids::{SHARDS, by_shard, id_of, split_id},
    key,
    marks::Marks,
    name::Name,
    names::NameShard,
    news::{CHUNK, News, tell},
    offenders::Offenders,
    series::{Cells, END, Entry, Kind, Pins, Series, UNOWNED},
    shard::Shard,
    tee::Tee,
    zombies::Zombie,
};
use crate::{
    ledger::{Full, Ledger, Part},
    model::{
        frame::SeriesId,
        glob::Glob,
        matcher::Subject,
        schema::Schema,
        shape::{Fold, ShapeRule},
    },
    util::{
        bits::low,
        fork,
        hash::Seed,
        layout,
        recent::Recent,
        sync::{Arc, AtomicU32, AtomicU64, AtomicUsize, Mutex},
    },
};
use metrics::{Key, Metadata};
use std::sync::atomic::Ordering::Relaxed;

/// Shards of names.
pub(super) const NAME_SHARDS: usize = if cfg!(loom) { 1 } else { 16 };

/// So many pointers behind an entry lies what exposition reads, its labels.
const DEPTH: usize = 2;
/// Series for which it pays to ask for their memory ahead.
const MANY: usize = 16;

/// Name of the series for what has not even a name of its own.
pub(crate) const NAMELESS: &str = "recall_overflow";

/// What the slow path needs to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) series_per_metric: usize,
    pub(crate) metrics: usize,
    pub(crate) schema: u8,
}

/// By which buckets histograms are counted: the first pattern that a name fits.
#[derive(Debug, Default)]
pub(crate) struct Folds(Box<[(Glob, Fold)]>);

impl Folds {
    pub(crate) fn new(rules: &[ShapeRule], schema: &Schema) -> Self {
        let fold = |(glob, shape): &ShapeRule| (glob.clone(), Fold::new(shape, schema));
        Self(rules.iter().map(fold).collect())
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let bounds = |fold: &Fold| match fold {
            Fold::Bounds(bounds) => 2 * size_of::<usize>() + size_of_val::<[_]>(bounds),
            _ => 0,
        };
        let texts = self
            .0
            .iter()
            .map(|(glob, fold)| glob.as_str().len() + bounds(fold));
        layout::arc::<Self>() + layout::vec::<(Glob, Fold)>(self.0.len()) + texts.sum::<usize>()
    }

    pub(super) fn of(&self, name: &str) -> Fold {
        let found = self.0.iter().find(|(glob, _)| glob.matches(name));
        found.map_or(Fold::Octaves, |(_, fold)| fold.clone())
    }
}

/// The overflow series is shown from now on: the next tick is to see it.
pub(super) fn use_overflow<K: Kind>(cell: &K::Cell) {
    K::series(cell).name.use_overflow();
    tell::<K>(cell);
}

/// A cell handed out.
pub(crate) struct Grant<K: Kind> {
    pub(crate) cell: Arc<K::Cell>,
    /// The series, if the caller may cache the cell; else it is an overflow cell for a key that must not be kept.
    pub(crate) id: Option<SeriesId>,
}

/// All series of a kind.
pub(crate) struct Registry<K: Kind> {
    pub(super) shards: Box<[Mutex<Shard<K>>]>,
    pub(super) names: Box<[Mutex<NameShard<K>>]>,
    pub(super) zombies: Mutex<Vec<Zombie>>,
    pub(crate) pins: Arc<Pins>,
    pub(super) news: Arc<News>,
    pub(crate) ledger: Arc<Ledger>,
    pub(super) seed: Seed,
    pub(super) limits: Limits,
    pub(super) folds: Arc<Folds>,
    /// The recorder beside this one.
    pub(super) tee: Option<std::sync::Arc<Tee>>,
    /// Series with cells.
    pub(crate) live: AtomicUsize,
    pub(super) name_count: AtomicUsize,
    /// Names that were refused, ever.
    pub(crate) nameless: Recent,
    /// Keys that were too long and are of no metric, ever.
    pub(crate) too_long: Recent,
    pub(crate) evicted: AtomicU64,
    /// Hand-outs that a limit or the ledger sent to an overflow series, ever.
    pub(crate) denied: AtomicU64,
    /// Series that were removed for good, ever. While it stays, a walk over a name's members meets each series once.
    pub(crate) forgotten: AtomicU64,
    /// Number of the newest sweep, wrapping.
    pub(crate) now: AtomicU32,
    /// How many there were, wrapping.
    pub(super) sweeps: AtomicU32,
    /// When it began, in wall milliseconds of the axis. Nothing is told by it, so models need not see it.
    now_ms: std::sync::atomic::AtomicI64,
    pub(super) offenders: Arc<Offenders>,
    pub(super) classes: Arc<Classes>,
    /// For what has no name of its own.
    pub(super) spare: Option<Arc<K::Cell>>,
}

impl<K: Kind> Registry<K> {
    /// # Errors
    ///
    /// [`Full`] when the budget cannot hold even an empty registry.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        limits: Limits,
        offenders: Arc<Offenders>,
        classes: Arc<Classes>,
        folds: Arc<Folds>,
        tee: Option<std::sync::Arc<Tee>>,
    ) -> Result<Self, Full> {
        let shards = layout::vec::<Mutex<Shard<K>>>(SHARDS);
        let names = layout::vec::<Mutex<NameShard<K>>>(NAME_SHARDS);
        ledger.reserve(Part::Index, shards + names)?;
        let mut registry = Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
            names: (0..NAME_SHARDS)
                .map(|_| Mutex::new(NameShard::new()))
                .collect(),
            zombies: Mutex::new(Vec::new()),
            pins: Arc::new(Pins::new()),
            news: Arc::new(News::new()),
            ledger,
            seed: Seed::random(),
            limits,
            folds,
            tee,
            live: AtomicUsize::new(0),
            name_count: AtomicUsize::new(0),
            nameless: Recent::new(),
            too_long: Recent::new(),
            evicted: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            now: AtomicU32::new(0),
            sweeps: AtomicU32::new(0),
            now_ms: std::sync::atomic::AtomicI64::new(0),
            offenders,
            classes,
            spare: None,
        };
        let key = Key::from_static_name(NAMELESS);
        let (_, spare) = registry.admit_name(&key, UNOWNED).ok_or(Full)?;
        registry.spare = Some(spare);
        Ok(registry)
    }

    /// Hand-outs of the overflow cell of the kind.
    pub(crate) fn spared(&self) -> u64 {
        self.nameless.total() + self.too_long.total()
    }

    /// Whether no metric of the kind was ever recorded: there is but the name for what has none.
    #[cfg(not(loom))]
    pub(crate) fn is_unused(&self) -> bool {
        self.name_count() <= 1 && self.spared() == 0
    }

    pub(crate) fn name_count(&self) -> usize {
        self.name_count.load(Relaxed)
    }

    /// The cell for `key`, from a call with this `metadata`: its own, or that of an overflow series. `me` is the caller's
    /// thread, which will own the cell if it is new. With `own`, the caller gets a cell of its own beside those of other
    /// threads, if there is room.
    pub(crate) fn acquire(
        &self,
        key: &Key,
        metadata: &Metadata<'_>,
        me: u32,
        own: bool,
    ) -> Option<Grant<K>> {
        let granted = key::with_canonical(key, |labels| {
            let hash = self.hash(key.name(), labels);
            let granted = self
                .known(key.name(), labels, hash, me, own)
                .or_else(|| self.unknown(key, metadata, labels, hash, me))?;
            if labels == key::OVERFLOW {
                use_overflow::<K>(&granted.cell);
            }
            Some(granted)
        });
        granted.unwrap_or_else(|key::TooLong| {
            let is_named = key.name().len() <= key::LONGEST;
            if let Some(name) = is_named.then(|| self.name(key, me)).flatten() {
                name.too_long.add(1);
                self.overflow(&name)
            } else {
                self.too_long.add(1);
                self.spare()
            }
        })
    }

    /// The cell of a series that exists.
    fn known(&self, name: &str, labels: &[u8], hash: u64, me: u32, own: bool) -> Option<Grant<K>> {
        let number = high(hash, SHARDS);
        let mut shard = fork::lock(&self.shards[number])?;
        let at = shard.find(hash, name, labels)?;
        self.enter(&mut shard, number, at, me, own).ok()?;
        shard.grant(number, at, me)
    }

    /// The cell of a series that is new, or of an overflow series.
    fn unknown(
        &self,
        key: &Key,
        metadata: &Metadata<'_>,
        labels: &[u8],
        hash: u64,
        me: u32,
    ) -> Option<Grant<K>> {
        let Some(name) = self.name(key, me) else {
            self.nameless.add(1);
            self.denied.fetch_add(1, Relaxed);
            return self.spare();
        };
        let claim = self.classes.claim(&Subject {
            name: &name.text,
            kind: K::KIND,
            labels,
            origin: Some(metadata),
        });
        let wanted = Wanted {
            labels,
            hash,
            class: claim.class(),
            me,
        };
        self.series(&name, &wanted)
            .or_else(|Full| {
                name.denied.add(1);
                self.denied.fetch_add(1, Relaxed);
                self.offenders.note(K::KIND, key);
                self.overflow(&name).ok_or(Full)
            })
            .ok()
    }

    pub(super) fn hash(&self, name: &str, labels: &[u8]) -> u64 {
        self.seed.extend(self.seed.hash(name.as_bytes()), labels)
    }

    /// The series of `name` with these labels: new, or found, if another thread was faster.
    pub(super) fn series(&self, name: &Arc<Name>, wanted: &Wanted<'_>) -> Result<Grant<K>, Full> {
        let number = high(wanted.hash, SHARDS);
        let mut shard = fork::lock(&self.shards[number]).ok_or(Full)?;
        let at = match shard.find(wanted.hash, &name.text, wanted.labels) {
            Some(at) => {
                self.enter(&mut shard, number, at, wanted.me, false)?;
                at
            }
            None => self.admit(&mut shard, number, name, wanted)?,
        };
        shard.grant(number, at, wanted.me).ok_or(Full)
    }

    /// Visits every shard, one after another, under its lock for a chunk at a time. What comes to a chunk after its visit is not
    /// met.
    pub(crate) fn visit(
        &self,
        mut visit: impl FnMut(&mut Shard<K>, usize, std::ops::Range<usize>),
    ) {
        for (number, shard) in self.shards.iter().enumerate() {
            let mut from = 0;
            loop {
                // Without it, nobody sees what these series do.
                let Some(mut shard) = fork::lock(shard) else {
                    break;
                };
                let end = shard.entries.len();
                if from >= end {
                    break;
                }
                visit(&mut shard, number, from..end.min(from + CHUNK));
                from += CHUNK;
            }
        }
    }

    /// Calls `look` with every series, in order of their ids, under the locks of their shards.
    pub(crate) fn for_each_entry(&self, mut look: impl FnMut(SeriesId, &Entry<K>)) {
        self.visit(|shard, number, places| {
            for at in places {
                if let Some(entry) = shard.entries.get(at) {
                    look(id_of(number, at, entry.class()), entry);
                }
            }
        });
    }

    /// Calls `look` with the series of an id, under the lock of its shard.
    pub(crate) fn with<T>(&self, id: SeriesId, look: impl FnOnce(&mut Entry<K>) -> T) -> Option<T> {
        let (number, at) = split_id(id);
        let mut shard = fork::lock(self.shards.get(number)?)?;
        shard.entries.get_mut(at).map(look)
    }

    /// Calls `look` with the series of some ids and their places among them, shard by shard, under the lock of each. `order` is
    /// working memory, whose content does not matter.
    ///
    /// Series are all over the heap, behind one pointer after the other. So walks through all of these shards come first that
    /// wait for nothing, each asking for what the next one reads: `ahead` is to ask for what lies so many pointers behind an entry.
    pub(crate) fn with_some(
        &self,
        ids: &[SeriesId],
        order: &mut Vec<u32>,
        ahead: impl Fn(&Entry<K>, usize),
        mut look: impl FnMut(usize, &Entry<K>),
    ) {
        let starts = by_shard(ids, order);
        let walk = |depth| {
            for (shard, range) in self.shards.iter().zip(starts.windows(2)) {
                let [from, to] = range else { continue };
                let places = order.get(*from as usize..*to as usize).unwrap_or_default();
                if places.is_empty() {
                    continue;
                }
                // It is not worth to wait for a lock.
                if let Some(shard) = shard.try_lock() {
                    let ids = places.iter().filter_map(|place| ids.get(*place as usize));
                    let entries = ids.filter_map(|id| shard.entries.get(split_id(*id).1));
                    entries.for_each(|entry| ahead(entry, depth));
                }
            }
        };
        if ids.len() >= MANY {
            (0..=DEPTH).for_each(walk);
        }
        for (shard, range) in self.shards.iter().zip(starts.windows(2)) {
            let [from, to] = range else { continue };
            let places = order.get(*from as usize..*to as usize).unwrap_or_default();
            if places.is_empty() {
                continue;
            }
            let Some(shard) = fork::lock(shard) else {
                continue;
            };
            let entry = |place: &u32| {
                let (_, at) = split_id(*ids.get(*place as usize)?);
                shard.entries.get(at)
            };
            for place in places {
                if let Some(entry) = entry(place) {
                    look(*place as usize, entry);
                }
            }
        }
    }

    /// What the marks of a series have at least that has all these labels.
    pub(crate) fn marks_of<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)>) -> Marks {
        labels.fold(Marks::NONE, |marks, (name, value)| {
            marks.and(Marks::of(&self.seed, name, value))
        })
    }

    /// Removes a series for good: its key, its place and its id. It has no cells.
    pub(crate) fn forget(&self, shard: &mut Shard<K>, at: usize) {
        let Some(entry) = shard.entries.get_mut(at) else {
            return;
        };
        let Cells::Ghost(series) = &entry.cells else {
            return;
        };
        self.forgotten.fetch_add(1, Relaxed);
        let series = series.clone();
        let place = entry.place();
        self.classes.leave(entry.class());
        let hash = self.hash(&series.name.text, &series.labels);
        let place_in_table = u32::try_from(at).unwrap_or(END);
        shard.table.remove(low(hash), place_in_table);
        if let Some(mut members) = fork::lock(&series.name.members) {
            members.remove(place);
        }
        let free = shard.free;
        if let Some(entry) = shard.entries.get_mut(at) {
            entry.cells = Cells::Free(free);
            entry.memory = K::Memory::default();
        }
        shard.free = place_in_table;
        let bytes = Series::<K>::bytes(&series.labels);
        let hung = K::hangs_on_series(&series);
        drop(series);
        self.ledger.release(Part::Series, bytes);
        self.ledger.release(Part::Pages, hung);
    }

    /// Some minutes have passed.
    pub(crate) fn turn(&self) {
        self.nameless.turn();
        self.too_long.turn();
        self.for_each_name(|name| {
            name.denied.turn();
            name.too_long.turn();
            name.odd.turn();
            if let Some(mut members) = fork::lock(&name.members) {
                members.turn();
            }
        });
    }

    /// A sweep begins; what is registered from now on is as young as it.
    pub(crate) fn begin(&self, tick: u32, now_ms: i64) {
        self.now.store(tick, Relaxed);
        self.sweeps.fetch_add(1, Relaxed);
        self.now_ms.store(now_ms, Relaxed);
    }

    /// The store begins, with the series that it has from the start.
    pub(crate) fn start(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Relaxed);
        for shard in &self.shards {
            let Some(mut shard) = fork::lock(shard) else {
                return;
            };
            for entry in &mut shard.entries {
                K::begin(&mut entry.memory, now_ms);
            }
        }
    }

    /// When the newest sweep began, or the store: what is registered now has nothing that was recorded before.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now_ms.load(Relaxed)
    }
}

/// The shard of a hash: its upper bits.
pub(super) fn high(hash: u64, shards: usize) -> usize {
    (hash >> 32) as usize % shards
}
