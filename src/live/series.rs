//! What one series is, for every kind: its key, its cells, and what the tick remembers of it.

use super::name::Name;
use crate::{
    ledger::Part,
    model::MetricKind,
    util::{
        layout,
        sync::{Arc, AtomicU32, OnceBox, Order, Weak, order},
    },
};
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

    fn cell(owner: u32, series: Arc<Series<Self>>) -> Self::Cell;

    fn owner(cell: &Self::Cell) -> u32;

    fn series(cell: &Self::Cell) -> &Arc<Series<Self>>;

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
}

/// Cells of a series. Every change happens under the lock of its shard.
pub(crate) enum Cells<K: Kind> {
    /// No series here; the next free place, or [`END`].
    Free(u32),
    /// The usual case.
    One(Arc<K::Cell>),
    /// Two or more: further hot threads got cells of their own.
    #[expect(clippy::box_collection, reason = "keeps the usual case small")]
    Many(Box<Vec<Arc<K::Cell>>>),
    /// Evicted. History still knows the series, and so its id and its total stay.
    Ghost(Arc<Series<K>>),
}

/// Owner of a cell without a single writer; no thread has this id, and none without an id passes for it.
pub(crate) const UNOWNED: u32 = u32::MAX;

/// End of a shard's list of free places.
pub(crate) const END: u32 = u32::MAX;

impl<K: Kind> Cells<K> {
    pub(crate) fn as_slice(&self) -> &[Arc<K::Cell>] {
        match self {
            Cells::One(cell) => std::slice::from_ref(cell),
            Cells::Many(cells) => cells,
            Cells::Free(_) | Cells::Ghost(_) => &[],
        }
    }

    pub(crate) fn series(&self) -> Option<&Arc<Series<K>>> {
        match self {
            Cells::Ghost(series) => Some(series),
            cells => cells.as_slice().first().map(|cell| K::series(cell)),
        }
    }
}

/// A place in a shard.
pub(crate) struct Entry<K: Kind> {
    pub(crate) cells: Cells<K>,
    pub(crate) memory: K::Memory,
    /// Where the id stands in `Name::members`.
    pub(crate) place: u32,
    /// Tick of the last change, or of the eviction.
    pub(crate) touched: u32,
}

/// How many cache slots point at the cells of each series. A dead cell's memory stays with its last `Weak`; as long as
/// there is one, the cell stays charged.
#[derive(Debug)]
pub(crate) struct Pins {
    /// Chunk `c` has `FIRST << c` words.
    chunks: [OnceBox<Box<[AtomicU32]>>; 20],
}

const FIRST: usize = if cfg!(loom) { 8 } else { 256 };

impl Pins {
    pub(crate) fn new() -> Self {
        Self {
            chunks: std::array::from_fn(|_| OnceBox::new()),
        }
    }

    /// Chunk of pin `at`, and its place there.
    fn find(at: u32) -> (usize, usize) {
        let n = at as usize / FIRST + 1;
        let chunk = n.ilog2() as usize;
        (chunk, at as usize - FIRST * ((1 << chunk) - 1))
    }

    /// Bytes to reserve so that pin `at` exists; 0 when it does.
    pub(crate) fn growth(&self, at: u32) -> usize {
        let (chunk, _) = Self::find(at);
        match self.chunks.get(chunk) {
            Some(chunk_cell) if chunk_cell.get().is_none() => {
                layout::vec::<AtomicU32>(FIRST << chunk) + size_of::<Box<[AtomicU32]>>()
            }
            _ => 0,
        }
    }

    /// Makes pin `at` exist. False: another thread was faster, and the reserved bytes are to be given back.
    pub(crate) fn grow(&self, at: u32) -> bool {
        let (chunk, _) = Self::find(at);
        let words = (0..FIRST << chunk).map(|_| AtomicU32::new(0)).collect();
        self.chunks
            .get(chunk)
            .is_some_and(|cell| cell.set(Box::new(words)).is_ok())
    }

    pub(crate) fn word(&self, at: u32) -> Option<&AtomicU32> {
        let (chunk, place) = Self::find(at);
        self.chunks.get(chunk)?.get()?.get(place)
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

/// A weak reference to a cell, as a cache slot keeps it.
pub(crate) type WeakCell<K> = Weak<<K as Kind>::Cell>;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn pins_fill_their_chunks_without_gaps() {
        assert_eq!(Pins::find(0), (0, 0));
        assert_eq!(Pins::find(255), (0, 255));
        assert_eq!(Pins::find(256), (1, 0));
        assert_eq!(Pins::find(767), (1, 511));
        assert_eq!(Pins::find(768), (2, 0));
        let pins = Pins::new();
        assert!(pins.growth(700) > 0 && pins.word(700).is_none());
        assert!(pins.grow(700) && !pins.grow(701));
        assert!(pins.word(700).is_some() && pins.growth(256) == 0);
    }
}
