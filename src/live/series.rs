//! What one series is, for every kind: its key, its cells, and what the tick remembers of it.

use super::{name::Name, tee::Teed, words::Words};
use crate::{
    ledger::Part,
    model::{
        MetricKind,
        frame::{CLASS_BITS, CLASSES},
    },
    util::{
        bits::low,
        layout,
        prefetch::prefetch,
        sync::{Arc, AtomicU32, Order, Weak, order},
    },
};
use metrics::{Key, Metadata, Recorder};
use std::sync::atomic::Ordering::{Acquire, Release};

/// A kind of metric as the registry sees it. The hot path is in the kinds' cells; this is for the slow path and the
/// tick.
pub(crate) trait Kind: Sized + Send + Sync + 'static {
    const KIND: MetricKind;

    /// What all cells of a series share.
    type Shared: Default + Send + Sync;

    /// What a handle points to. One thread owns it and may write its owned words without a locked operation.
    type Cell: Send + Sync;

    /// What the tick saw last.
    type Memory: Default + Send + std::fmt::Debug;

    /// `pin`: see [`super::ids::pin_of`].
    fn cell(owner: u32, series: Arc<Series<Self>>, pin: u32) -> Self::Cell;

    fn owner(cell: &Self::Cell) -> u32;

    fn series(cell: &Self::Cell) -> &Arc<Series<Self>>;

    /// Whether the cell has told the tick that there is something new: see [`super::news`].
    fn told(cell: &Self::Cell) -> &AtomicU32;

    /// A handle of another recorder.
    type Handle: Send + Sync;

    /// Asks another recorder for a handle.
    fn register(recorder: &dyn Recorder, key: &Key, metadata: &Metadata<'_>) -> Self::Handle;

    /// What the cell has of another recorder.
    fn teed(cell: &Self::Cell) -> Option<&Teed<Self>>;

    /// Bytes that hang on each cell when there is another recorder.
    const TEED: usize;

    /// Its totals begin: at zero, now. For kinds that have totals.
    fn begin(_: &mut Self::Memory, _: i64) {}

    /// A series that was evicted gets a cell again: it goes on where it stopped.
    fn revive(cell: &Self::Cell, memory: &Self::Memory);

    /// Where the ledger has what hangs on cells and series.
    const HUNG: Part;

    /// Bytes of what hangs on the cell, beyond the cell itself.
    fn hangs_on(cell: &Self::Cell) -> usize;

    /// Bytes of what hangs on the series' shared part.
    fn hangs_on_series(series: &Series<Self>) -> usize;
}

/// The key of a series and what its cells share.
#[derive(Debug)]
pub(crate) struct Series<K: Kind> {
    pub(crate) name: Arc<Name>,
    /// Canonical bytes.
    pub(crate) labels: Box<[u8]>,
    pub(crate) shared: K::Shared,
}

impl<K: Kind> Series<K> {
    pub(crate) fn is(&self, name: &str, labels: &[u8]) -> bool {
        *self.labels == *labels && *self.name.text == *name
    }

    /// Bytes of the series itself, its `Arc` included.
    pub(crate) fn bytes(labels: &[u8]) -> usize {
        layout::arc::<Self>() + labels.len()
    }

    /// Bytes that hang on each cell for another recorder.
    pub(super) fn beside(name: &Name) -> usize {
        name.tee.as_ref().map_or(0, |_| K::TEED)
    }

    /// Bytes of a cell of the metric, its `Arc` included.
    pub(super) fn cell_bytes(name: &Name) -> usize {
        layout::arc::<K::Cell>() + Self::beside(name)
    }
}

/// Cells of a series. Every change happens under the lock of its shard.
///
/// Cells know their series, too; but whoever looks for that in a cell has its line fetched from the thread that records.
pub(crate) enum Cells<K: Kind> {
    /// No series here; the next free place, or [`END`].
    Free(u32),
    /// The usual case.
    One(Arc<Series<K>>, Arc<K::Cell>),
    /// Two or more: further hot threads got cells of their own.
    #[expect(clippy::box_collection, reason = "keeps the usual case small")]
    Many(Arc<Series<K>>, Box<Vec<Arc<K::Cell>>>),
    /// Evicted. History still knows the series, and so its id and its total stay.
    Ghost(Arc<Series<K>>),
    /// Deleted. History still has points of this id, and so no other series gets it; nobody finds them. The series, if
    /// threads still hold something of it.
    Tomb(Option<Arc<Series<K>>>),
}

/// Owner of a cell without a single writer; no thread has this id, and none without an id passes for it.
pub(crate) const UNOWNED: u32 = (1 << 30) - 1;

#[cfg(not(loom))]
const _: () = assert!(crate::util::thread::MOST < UNOWNED);

/// Bit of `Entry::standing`.
const DORMANT: u32 = 1 << CLASS_BITS;
const PLACE_SHIFT: u32 = CLASS_BITS + 1;

/// End of a shard's list of free places.
pub(crate) const END: u32 = u32::MAX;

impl<K: Kind> Cells<K> {
    pub(crate) fn as_slice(&self) -> &[Arc<K::Cell>] {
        match self {
            Cells::One(_, cell) => std::slice::from_ref(cell),
            Cells::Many(_, cells) => cells,
            Cells::Free(_) | Cells::Ghost(_) | Cells::Tomb(_) => &[],
        }
    }

    pub(crate) fn series(&self) -> Option<&Arc<Series<K>>> {
        match self {
            Cells::One(series, _) | Cells::Many(series, _) | Cells::Ghost(series) => Some(series),
            Cells::Free(_) | Cells::Tomb(_) => None,
        }
    }
}

/// A place in a shard.
pub(crate) struct Entry<K: Kind> {
    pub(crate) cells: Cells<K>,
    pub(crate) memory: K::Memory,
    /// Where the id stands in `Name::members`, whether the series is dormant, and its retention class.
    standing: u32,
    /// Tick of the last change, or of the eviction.
    pub(crate) touched: u32,
}

impl<K: Kind> Entry<K> {
    /// A series of one cell. `place` is where its id stands in `Name::members`; there are fewer ids than places that fit
    /// beside the class.
    pub(crate) fn new(cell: K::Cell, place: u32, class: usize, now: u32) -> Self {
        Self {
            cells: Cells::One(K::series(&cell).clone(), Arc::new(cell)),
            memory: K::Memory::default(),
            standing: place << PLACE_SHIFT | low(class as u64),
            touched: now,
        }
    }

    /// Cells that start anew, under another id.
    pub(super) fn moved(
        cells: Cells<K>,
        memory: K::Memory,
        place: u32,
        class: usize,
        now: u32,
    ) -> Self {
        let standing = place << PLACE_SHIFT | low(class as u64);
        Self {
            cells,
            memory,
            standing: standing | DORMANT,
            touched: now,
        }
    }

    /// Asks for what lies so many pointers behind it on the way to its labels.
    pub(crate) fn prefetch_key(&self, depth: usize) {
        if depth == 0 {
            return prefetch(self);
        }
        match (self.cells.series(), depth) {
            // Not what threads share: whoever asks for that takes it from those who write to it.
            (Some(series), 1) => {
                prefetch(&series.name);
                prefetch(&series.labels);
            }
            (Some(series), 2) => prefetch(&*series.labels),
            _ => {}
        }
    }

    pub(crate) fn place(&self) -> u32 {
        self.standing >> PLACE_SHIFT
    }

    /// Whether the series was deleted while somebody held a handle of it, and nobody has written to it since: then there
    /// is nothing of it to show.
    pub(crate) fn is_dormant(&self) -> bool {
        self.standing & DORMANT != 0
    }

    pub(super) fn set_dormant(&mut self, dormant: bool) {
        self.standing = self.standing & !DORMANT | if dormant { DORMANT } else { 0 };
    }

    /// The retention class, chosen when the series was first registered.
    pub(crate) fn class(&self) -> usize {
        self.standing as usize % CLASSES
    }

    /// If it was evicted: in which tick.
    pub(crate) fn evicted_at(&self) -> Option<u32> {
        matches!(self.cells, Cells::Ghost(_)).then_some(self.touched)
    }

    /// Whether the series was evicted before the tick `oldest`, so that no frame from there on mentions it. Its id may be
    /// another's in later frames. `now` is the tick of the newest sweep: numbers wrap, and a history may be longer than
    /// half of them.
    pub(crate) fn is_past(&self, oldest: Option<u32>, now: u32) -> bool {
        let age = |tick: u32| now.wrapping_sub(tick);
        let before = |oldest: u32| age(self.touched) > age(oldest);
        matches!(self.cells, Cells::Ghost(_)) && oldest.is_none_or(before)
    }
}

/// How many cache slots point at the cells of each series. A dead cell's memory stays with its last `Weak`; as long as
/// there is one, the cell stays charged.
#[derive(Debug)]
pub(crate) struct Pins {
    words: Words<AtomicU32, FIRST_PINS>,
    /// How many pins were ever added, wrapping: whether one was while others were counted.
    pub(crate) added: AtomicU32,
}

const FIRST_PINS: usize = if cfg!(loom) { 8 } else { 256 };

impl Pins {
    pub(crate) fn new() -> Self {
        Self {
            words: Words::new(),
            added: AtomicU32::new(0),
        }
    }

    /// Bytes to reserve so that pin `at` exists; 0 when it does.
    pub(crate) fn growth(&self, at: u32) -> usize {
        self.words.growth(at as usize)
    }

    /// Makes pin `at` exist. False: another thread was faster, and the reserved bytes are to be given back.
    pub(crate) fn grow(&self, at: u32) -> bool {
        self.words.grow(at as usize)
    }

    pub(crate) fn word(&self, at: u32) -> Option<&AtomicU32> {
        self.words.get(at as usize)
    }
}

/// A cache slot gives its pin back.
///
/// ORDERING: whoever sees the pin gone finds the slot's `Weak` gone. Partners: [`PINNED_AT_EVICTION`],
/// [`PINNED_AT_BURIAL`].
pub(crate) const UNPIN: Order = order("UNPIN", Release);

/// The tick asks who pins a cell that it has just taken apart.
///
/// ORDERING: partner of [`UNPIN`]; at zero the last `Weak` has freed the cell.
pub(crate) const PINNED_AT_EVICTION: Order = order("PINNED_AT_EVICTION", Acquire);

/// The tick asks again, for a cell that was pinned.
///
/// ORDERING: as [`PINNED_AT_EVICTION`].
pub(crate) const PINNED_AT_BURIAL: Order = order("PINNED_AT_BURIAL", Acquire);

/// A cache slot has got its pin.
///
/// ORDERING: whoever sees that a pin was added sees the pin. Partner: [`PINS_KNOWN`].
pub(crate) const PIN_ADDED: Order = order("PIN_ADDED", Release);

/// The tick is about to read pins.
///
/// ORDERING: partner of [`PIN_ADDED`].
pub(crate) const PINS_KNOWN: Order = order("PINS_KNOWN", Acquire);

/// A cache slot gets its `Weak`: a fence.
///
/// ORDERING: whoever counts the `Weak` sees that a pin was added. Partner: [`LIVING_COUNTED`].
pub(crate) const WEAK_MADE: Order = order("WEAK_MADE", Release);

/// The tick has counted the `Weak`s of living cells: a fence.
///
/// ORDERING: partner of [`WEAK_MADE`].
pub(crate) const LIVING_COUNTED: Order = order("LIVING_COUNTED", Acquire);

/// The tick has seen that it alone holds a cell: a fence.
///
/// ORDERING: the `Weak`s that others made of the cell are visible. Partner: `ARC_RELEASE`, in the drop of an `Arc`.
pub(crate) const HANDLES_GONE: Order = order("HANDLES_GONE", Acquire);

/// A weak reference to a cell, as a cache slot keeps it.
pub(crate) type WeakCell<K> = Weak<<K as Kind>::Cell>;
