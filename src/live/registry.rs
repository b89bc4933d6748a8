//! From keys to cells: admission, promotion, eviction. One registry a kind.
//!
//! Locks, in the order in which they may be taken: a shard of names, a shard of series, the members of a name. All are
//! held for a few steps only. Recording through a handle takes none of them.

use super::{
    key,
    name::Name,
    offenders::Offenders,
    series::{Cells, END, Entry, Kind, Pins, Series},
};
use crate::{
    ledger::{Full, Ledger, Part},
    model::{frame::SeriesId, schema::Schema},
    util::{
        layout,
        sync::{Arc, AtomicU32, AtomicU64, AtomicUsize, Mutex, MutexGuard},
        table::Table,
    },
};
use metrics::Key;
use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::Ordering::{Acquire, Relaxed},
};

/// Shards of series; the number is in the upper six bits of a [`SeriesId`].
pub(crate) const SHARDS: usize = 64;
const SHARD_BITS: u32 = 6;
const PLACE_BITS: u32 = 32 - SHARD_BITS;

/// Shards of names.
const NAME_SHARDS: usize = 16;

/// Name of the series for what has not even a name of its own.
pub(crate) const NAMELESS: &str = "recall_overflow";

/// What the slow path needs to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) series_per_metric: usize,
    pub(crate) metrics: usize,
    pub(crate) schema: u8,
}

/// Series of one shard, found by their keys' hash.
pub(crate) struct Shard<K: Kind> {
    pub(crate) entries: Vec<Entry<K>>,
    table: Table,
    /// First free place in `entries`, or [`END`].
    free: u32,
}

struct NameShard<K: Kind> {
    table: Table,
    entries: Vec<Named<K>>,
}

/// A name, and the series for what its own limits refuse.
struct Named<K: Kind> {
    name: Arc<Name>,
    overflow: Grant<K>,
}

/// A cell handed out.
pub(crate) struct Grant<K: Kind> {
    pub(crate) cell: Arc<K::Cell>,
    /// The series, if the caller may cache the cell; else it is an overflow cell for a key that must not be kept.
    pub(crate) id: Option<SeriesId>,
}

impl<K: Kind> Clone for Grant<K> {
    fn clone(&self) -> Self {
        Self {
            cell: self.cell.clone(),
            id: self.id,
        }
    }
}

/// Memory of an evicted cell that a cache still pins.
struct Zombie {
    id: SeriesId,
    bytes: usize,
}

/// All series of a kind.
pub(crate) struct Registry<K: Kind> {
    shards: Box<[Mutex<Shard<K>>]>,
    names: Box<[Mutex<NameShard<K>>]>,
    zombies: Mutex<Vec<Zombie>>,
    pub(crate) pins: Arc<Pins>,
    pub(crate) ledger: Arc<Ledger>,
    hasher: RandomState,
    limits: Limits,
    /// Series with cells.
    pub(crate) live: AtomicUsize,
    name_count: AtomicUsize,
    /// Names that were refused, ever.
    pub(crate) nameless: AtomicU64,
    /// Keys that were too long, ever.
    pub(crate) too_long: AtomicU64,
    pub(crate) evicted: AtomicU64,
    /// Hand-outs that a limit or the ledger sent to an overflow series, ever.
    pub(crate) denied: AtomicU64,
    /// Number of the newest sweep, wrapping.
    now: AtomicU32,
    offenders: Arc<Offenders>,
    /// For what has no name of its own.
    spare: Option<Grant<K>>,
}

impl<K: Kind> Registry<K> {
    /// # Errors
    ///
    /// [`Full`] when the budget cannot hold even an empty registry.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        limits: Limits,
        offenders: Arc<Offenders>,
    ) -> Result<Self, Full> {
        let shards = layout::vec::<Mutex<Shard<K>>>(SHARDS);
        let names = layout::vec::<Mutex<NameShard<K>>>(NAME_SHARDS);
        ledger.reserve(Part::Index, shards + names)?;
        let mut registry = Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
            names: (0..NAME_SHARDS)
                .map(|_| {
                    Mutex::new(NameShard {
                        table: Table::new(),
                        entries: Vec::new(),
                    })
                })
                .collect(),
            zombies: Mutex::new(Vec::new()),
            pins: Arc::new(Pins::new()),
            ledger,
            hasher: RandomState::new(),
            limits,
            live: AtomicUsize::new(0),
            name_count: AtomicUsize::new(0),
            nameless: AtomicU64::new(0),
            too_long: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            now: AtomicU32::new(0),
            offenders,
            spare: None,
        };
        let key = Key::from_static_name(NAMELESS);
        let (_, spare) = registry.admit_name(&key, 0).ok_or(Full)?;
        registry.spare = Some(spare);
        Ok(registry)
    }

    /// Hand-outs of the overflow cell of the kind.
    pub(crate) fn spared(&self) -> u64 {
        self.nameless.load(Relaxed) + self.too_long.load(Relaxed)
    }

    pub(crate) fn name_count(&self) -> usize {
        self.name_count.load(Relaxed)
    }

    /// The cell for `key`: its own, or that of an overflow series. `me` is the caller's thread, which will own the
    /// cell if it is new. With `own`, the caller gets a cell of its own beside those of other threads, if there is room.
    pub(crate) fn acquire(&self, key: &Key, me: u32, own: bool) -> Option<Grant<K>> {
        if key.name().len() > key::LONGEST {
            self.too_long.fetch_add(1, Relaxed);
            return self.spare();
        }
        let Some((name, overflow)) = self.name(key, me) else {
            self.nameless.fetch_add(1, Relaxed);
            self.denied.fetch_add(1, Relaxed);
            return self.spare();
        };
        let granted = key::with_canonical(key, |labels| {
            let granted = self.series(&name, labels, me, own);
            if labels == key::OVERFLOW {
                name.use_overflow();
            }
            granted.inspect_err(|Full| self.offenders.note(K::KIND, key))
        });
        if granted.is_err() {
            self.too_long.fetch_add(1, Relaxed);
        }
        granted.unwrap_or(Err(Full)).ok().or_else(|| {
            name.denied.fetch_add(1, Relaxed);
            self.denied.fetch_add(1, Relaxed);
            name.use_overflow();
            Some(overflow)
        })
    }

    /// The overflow cell of the kind; `None` only while the registry is being built.
    pub(crate) fn spare(&self) -> Option<Grant<K>> {
        let spare = self.spare.as_ref()?;
        K::series(&spare.cell).name.use_overflow();
        Some(Grant {
            cell: spare.cell.clone(),
            id: None,
        })
    }

    fn hash_name(&self, text: &str) -> u64 {
        self.hasher.hash_one(text)
    }

    /// The name of `key` with its overflow cell, admitted if it is new. `None`: there is no room for a further name.
    fn name(&self, key: &Key, me: u32) -> Option<(Arc<Name>, Grant<K>)> {
        let text = key.name();
        let hash = self.hash_name(text);
        {
            let shard = self.name_shard(hash);
            let found = shard.table.find(low(hash), |at| shard.is(at, text));
            if let Some(named) = found.and_then(|at| shard.entries.get(at as usize)) {
                let overflow = Grant {
                    cell: named.overflow.cell.clone(),
                    id: None,
                };
                return Some((named.name.clone(), overflow));
            }
        }
        if self.name_count.load(Relaxed) > self.limits.metrics {
            return None;
        }
        let (name, overflow) = self.admit_name(key, me)?;
        Some((
            name,
            Grant {
                cell: overflow.cell,
                id: None,
            },
        ))
    }

    fn name_shard(&self, hash: u64) -> MutexGuard<'_, NameShard<K>> {
        self.names[high(hash, NAME_SHARDS)].lock()
    }

    /// Adds a name and its overflow series, or finds it, if another thread was faster.
    fn admit_name(&self, key: &Key, me: u32) -> Option<(Arc<Name>, Grant<K>)> {
        let text = key.name();
        let hash = self.hash_name(text);
        let mut shard = self.name_shard(hash);
        let found = shard.table.find(low(hash), |at| shard.is(at, text));
        if let Some(named) = found.and_then(|at| shard.entries.get(at as usize)) {
            return Some((named.name.clone(), named.overflow.clone()));
        }
        let table = shard.table.needs().unwrap_or(0);
        let capacity = shard.entries.capacity();
        let room = if shard.entries.len() < capacity {
            0
        } else {
            layout::vec::<Named<K>>(layout::grown(capacity))
        };
        let bytes = Name::bytes(text);
        self.ledger.reserve(Part::Names, bytes + room).ok()?;
        if self.ledger.reserve(Part::Index, table).is_err() {
            self.ledger.release(Part::Names, bytes + room);
            return None;
        }
        let id = u32::try_from(self.name_count.fetch_add(1, Relaxed)).unwrap_or(u32::MAX);
        let schema = Schema::get(self.limits.schema);
        let name = Arc::new(Name::new(key, id, schema, self.ledger.clone()));
        let Ok(overflow) = self.series(&name, key::OVERFLOW, me, false) else {
            self.name_count.fetch_sub(1, Relaxed);
            drop(name);
            self.ledger.release(Part::Names, bytes + room);
            self.ledger.release(Part::Index, table);
            return None;
        };
        if room > 0 {
            layout::regrow(&mut shard.entries, layout::grown(capacity));
            self.ledger
                .release(Part::Names, layout::vec::<Named<K>>(capacity));
        }
        shard.entries.push(Named {
            name: name.clone(),
            overflow: overflow.clone(),
        });
        let at = u32::try_from(shard.entries.len() - 1).unwrap_or(END);
        insert(&mut shard.table, low(hash), at, &self.ledger);
        Some((name, overflow))
    }

    /// The series of `name` with these labels: found, revived, or new.
    fn series(&self, name: &Arc<Name>, labels: &[u8], me: u32, own: bool) -> Result<Grant<K>, Full> {
        let hash = self.hasher.hash_one((name.id, labels));
        let number = high(hash, SHARDS);
        let mut shard = self.shards[number].lock();
        let found = shard.table.find(low(hash), |at| shard.is(at, name, labels));
        let at = match found {
            Some(at) => {
                self.enter(&mut shard, at, me, own)?;
                at
            }
            None => self.admit(&mut shard, number, low(hash), name, labels, me)?,
        };
        let cells = shard.entries.get(at as usize).ok_or(Full)?.cells.as_slice();
        let mine = cells.iter().find(|cell| K::owner(cell) == me);
        let cell = mine.or(cells.first()).ok_or(Full)?.clone();
        Ok(Grant {
            cell,
            id: Some(id_of(number, at as usize)),
        })
    }

    /// Sees to it that the series at `at` has a cell, and with `own`, if there is room, one of this thread's.
    fn enter(&self, shard: &mut Shard<K>, at: u32, me: u32, own: bool) -> Result<(), Full> {
        let entry = shard.entries.get_mut(at as usize).ok_or(Full)?;
        if let Cells::Ghost(series) = &entry.cells {
            let series = series.clone();
            self.admit_live(&series.name)?;
            if let Err(full) = self.ledger.reserve(Part::Series, layout::arc::<K::Cell>()) {
                self.retract_live(&series.name);
                return Err(full);
            }
            let cell = K::cell(me, series);
            K::revive(&cell, &entry.memory);
            entry.cells = Cells::One(Arc::new(cell));
            entry.touched = self.now.load(Relaxed);
        } else if own && !entry.cells.as_slice().iter().any(|c| K::owner(c) == me) {
            // Without room the thread goes on with a foreign cell.
            let _ = self.promote(entry, me);
        }
        Ok(())
    }

    /// Gives the thread `me` a cell of its own.
    fn promote(&self, entry: &mut Entry<K>, me: u32) -> Result<(), Full> {
        let Some(series) = entry.cells.series().cloned() else {
            return Err(Full);
        };
        let (len, capacity) = match &entry.cells {
            Cells::Many(cells) => (cells.len(), cells.capacity()),
            _ => (1, 0),
        };
        let larger = capacity + 4;
        let room = match capacity {
            0 => layout::vec::<Arc<K::Cell>>(larger) + size_of::<Vec<Arc<K::Cell>>>(),
            _ if len == capacity => layout::vec::<Arc<K::Cell>>(larger),
            _ => 0,
        };
        self.ledger
            .reserve(Part::Series, layout::arc::<K::Cell>() + room)?;
        let cell = Arc::new(K::cell(me, series));
        match std::mem::replace(&mut entry.cells, Cells::Free(END)) {
            Cells::Many(mut cells) => {
                if room > 0 {
                    layout::regrow(&mut cells, larger);
                    self.ledger
                        .release(Part::Series, layout::vec::<Arc<K::Cell>>(capacity));
                }
                cells.push(cell);
                entry.cells = Cells::Many(cells);
            }
            Cells::One(first) => {
                let mut cells = Vec::with_capacity(larger);
                cells.push(first);
                cells.push(cell);
                entry.cells = Cells::Many(Box::new(cells));
            }
            other => entry.cells = other,
        }
        Ok(())
    }

    /// Adds a series, all or nothing; gives its place.
    fn admit(
        &self,
        shard: &mut Shard<K>,
        number: usize,
        hash: u32,
        name: &Arc<Name>,
        labels: &[u8],
        me: u32,
    ) -> Result<u32, Full> {
        let at = match shard.free {
            END => u32::try_from(shard.entries.len()).map_err(|_| Full)?,
            free => free,
        };
        if at >= (1 << PLACE_BITS) - 1 {
            return Err(Full);
        }
        if labels != key::OVERFLOW {
            self.admit_live(name)?;
        }
        let id = id_of(number, at as usize);
        let capacity = shard.entries.capacity();
        let entries = if at as usize == capacity {
            layout::vec::<Entry<K>>(layout::grown(capacity))
        } else {
            0
        };
        let table = shard.table.needs().unwrap_or(0);
        let pins = self.pins.growth(pin_of(id));
        let mut members = name.members.lock();
        let index = entries + table + pins + members.growth();
        let own = Series::<K>::bytes(labels) + layout::arc::<K::Cell>();
        let reserved = self.ledger.reserve(Part::Series, own).and_then(|()| {
            let index = self.ledger.reserve(Part::Index, index);
            index.inspect_err(|_| self.ledger.release(Part::Series, own))
        });
        if let Err(full) = reserved {
            drop(members);
            if labels != key::OVERFLOW {
                self.retract_live(name);
            }
            return Err(full);
        }
        if pins > 0 && !self.pins.grow(pin_of(id)) {
            self.ledger.release(Part::Index, pins);
        }
        let place = members.add(id, &self.ledger);
        drop(members);
        if entries > 0 {
            layout::regrow(&mut shard.entries, layout::grown(capacity));
            self.ledger
                .release(Part::Index, layout::vec::<Entry<K>>(capacity));
        }
        insert(&mut shard.table, hash, at, &self.ledger);
        let series = Arc::new(Series {
            name: name.clone(),
            labels: labels.into(),
            shared: K::Shared::default(),
        });
        shard.put(
            at,
            Entry {
                cells: Cells::One(Arc::new(K::cell(me, series))),
                memory: K::Memory::default(),
                place,
                touched: self.now.load(Relaxed),
            },
        );
        Ok(at)
    }

    /// One more live series of `name`, if its limit allows.
    fn admit_live(&self, name: &Name) -> Result<(), Full> {
        let mut members = name.members.lock();
        if members.live >= self.limits.series_per_metric {
            return Err(Full);
        }
        members.live += 1;
        self.live.fetch_add(1, Relaxed);
        Ok(())
    }

    pub(crate) fn retract_live(&self, name: &Name) {
        let mut members = name.members.lock();
        members.live = members.live.saturating_sub(1);
        self.live.fetch_sub(1, Relaxed);
    }

    /// Visits every shard, one after another; `visit` holds the lock for at most `PER_HOLD` places.
    pub(crate) fn visit(&self, mut visit: impl FnMut(&mut Shard<K>, usize, std::ops::Range<usize>)) {
        for (number, shard) in self.shards.iter().enumerate() {
            let mut from = 0;
            loop {
                let mut shard = shard.lock();
                let end = shard.entries.len();
                if from >= end {
                    break;
                }
                let to = end.min(from + PER_HOLD);
                visit(&mut shard, number, from..to);
                from = to;
            }
        }
    }

    /// Calls `look` with the series of an id, under the lock of its shard.
    pub(crate) fn with<T>(&self, id: SeriesId, look: impl FnOnce(&mut Entry<K>) -> T) -> Option<T> {
        let (number, at) = split_id(id);
        let mut shard = self.shards.get(number)?.lock();
        shard.entries.get_mut(at).map(look)
    }

    /// Calls `look` with every name.
    pub(crate) fn for_each_name(&self, mut look: impl FnMut(&Arc<Name>)) {
        for shard in &self.names {
            for named in &shard.lock().entries {
                look(&named.name);
            }
        }
    }

    /// The name that reads `text`.
    pub(crate) fn find_name(&self, text: &str) -> Option<Arc<Name>> {
        let hash = self.hash_name(text);
        let shard = self.name_shard(hash);
        let at = shard.table.find(low(hash), |at| shard.is(at, text))?;
        shard
            .entries
            .get(at as usize)
            .map(|named| named.name.clone())
    }

    /// Takes cells apart that nobody holds. `None`: somebody does, or there is no room to remember who pins it.
    /// `fold` receives each cell's content.
    pub(crate) fn unwrap_cell(
        &self,
        id: SeriesId,
        cell: Arc<K::Cell>,
    ) -> Result<K::Cell, Arc<K::Cell>> {
        let bytes = layout::arc::<K::Cell>();
        let mut zombies = self.zombies.lock();
        if zombies.len() == zombies.capacity() {
            let before = layout::vec::<Zombie>(zombies.capacity());
            let larger = layout::grown(zombies.capacity());
            let room = self
                .ledger
                .reserve(Part::Caches, layout::vec::<Zombie>(larger));
            if room.is_err() {
                return Err(cell);
            }
            layout::regrow(&mut zombies, larger);
            self.ledger.release(Part::Caches, before);
        }
        let cell = Arc::try_unwrap(cell)?;
        // ORDERING: pairs with the release in `cache::Slot::clear`: at zero the last `Weak` has freed the cell.
        let pinned = self
            .pins
            .word(pin_of(id))
            .is_some_and(|pins| pins.load(Acquire) > 0);
        if pinned {
            zombies.push(Zombie { id, bytes });
        } else {
            self.ledger.release(Part::Series, bytes);
        }
        Ok(cell)
    }

    /// Gives back what no cache pins any more.
    pub(crate) fn bury(&self) {
        let mut zombies = self.zombies.lock();
        zombies.retain(|zombie| {
            // ORDERING: as in `unwrap_cell`.
            let pinned = self
                .pins
                .word(pin_of(zombie.id))
                .is_some_and(|pins| pins.load(Acquire) > 0);
            if !pinned {
                self.ledger.release(Part::Series, zombie.bytes);
            }
            pinned
        });
        if zombies.is_empty() && zombies.capacity() > 0 {
            let bytes = layout::vec::<Zombie>(zombies.capacity());
            *zombies = Vec::new();
            self.ledger.release(Part::Caches, bytes);
        }
    }

    /// Removes a series for good: its key, its place and its id. It has no cells.
    pub(crate) fn forget(&self, shard: &mut Shard<K>, at: usize) {
        let Some(entry) = shard.entries.get_mut(at) else {
            return;
        };
        let Cells::Ghost(series) = &entry.cells else {
            return;
        };
        let series = series.clone();
        let place = entry.place;
        let hash = self
            .hasher
            .hash_one((series.name.id, &*series.labels));
        let place_in_table = u32::try_from(at).unwrap_or(END);
        shard.table.remove(low(hash), place_in_table);
        series.name.members.lock().remove(place);
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

    /// A sweep begins; what is registered from now on is as young as it.
    pub(crate) fn begin(&self, tick: u32) {
        self.now.store(tick, Relaxed);
    }
}

/// Places that a visit looks at before it lets others have the lock.
const PER_HOLD: usize = 64;

impl<K: Kind> Shard<K> {
    fn new() -> Self {
        Self {
            entries: Vec::new(),
            table: Table::new(),
            free: END,
        }
    }

    fn is(&self, at: u32, name: &Name, labels: &[u8]) -> bool {
        let series = self.entries.get(at as usize).and_then(|e| e.cells.series());
        series.is_some_and(|series| series.is(name, labels))
    }

    fn put(&mut self, at: u32, entry: Entry<K>) {
        match self.entries.get_mut(at as usize) {
            Some(place) => {
                if let Cells::Free(next) = place.cells {
                    self.free = next;
                }
                *place = entry;
            }
            None => self.entries.push(entry),
        }
    }
}

impl<K: Kind> NameShard<K> {
    fn is(&self, at: u32, text: &str) -> bool {
        self.entries
            .get(at as usize)
            .is_some_and(|named| *named.name.text == *text)
    }
}

/// Inserts into a table whose growth the caller has reserved, and gives back what the old one took.
fn insert(table: &mut Table, hash: u32, at: u32, ledger: &Ledger) {
    let before = table.bytes();
    table.insert(hash, at);
    if table.bytes() != before {
        ledger.release(Part::Index, before);
    }
}

/// The shard of a hash: its upper bits.
fn high(hash: u64, shards: usize) -> usize {
    (hash >> 32) as usize % shards
}

/// The part of a hash that a table sees.
fn low(hash: u64) -> u32 {
    (hash & u64::from(u32::MAX)) as u32
}

/// The id of the series at a place of a shard; the registry never fills a place that has none.
pub(crate) fn id_of(shard: usize, at: usize) -> SeriesId {
    let id = shard << PLACE_BITS | at;
    u32::try_from(id).unwrap_or(SeriesId::MAX)
}

fn split_id(id: SeriesId) -> (usize, usize) {
    let at = id & ((1 << PLACE_BITS) - 1);
    ((id >> PLACE_BITS) as usize, at as usize)
}

/// Pins are numbered so that the first places of all shards come first.
pub(crate) fn pin_of(id: SeriesId) -> u32 {
    let (shard, at) = split_id(id);
    let pin = at << SHARD_BITS | shard;
    u32::try_from(pin).unwrap_or(u32::MAX)
}
