//! Allocations, counted by a wrapper around the global allocator.
//!
//! ```
//! use metrics_recall::alloc::{self, CountingAllocator};
//!
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = CountingAllocator::system();
//!
//! let (bytes, cost) = alloc::measure(|| vec![0_u8; 1000]);
//! assert_eq!((cost.allocations, cost.bytes), (1, 1000));
//! # drop(bytes);
//! assert!(alloc::process().allocations > 0);
//! ```
//!
//! Whatever allocator a program has can be wrapped: `CountingAllocator::new(mimalloc::MiMalloc)`. What is counted is what is
//! asked for; what the allocator takes from the system is `process_resident_memory_bytes`. Growing in place counts as one
//! allocation of the new size, and one that is freed.
#![expect(
    unsafe_code,
    reason = "`GlobalAlloc` is an unsafe trait; see `CountingAllocator`"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// A global allocator that counts what passes through it, and passes it on.
///
/// Counting takes neither a lock nor an allocation and cannot panic: two numbers of the thread, and three words that it shares
/// with few others.
#[derive(Debug, Default)]
pub struct CountingAllocator<A = System>(A);

impl CountingAllocator {
    /// Counts for the system's allocator.
    #[must_use]
    pub const fn system() -> Self {
        Self(System)
    }
}

impl<A> CountingAllocator<A> {
    /// Counts for another allocator.
    #[must_use]
    pub const fn new(inner: A) -> Self {
        Self(inner)
    }
}

/// What was asked of the allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allocations {
    /// How often memory was asked for.
    pub allocations: u64,
    /// How much, in bytes; what was freed since is still counted.
    pub bytes: u64,
    /// Bytes that were given back.
    pub freed_bytes: u64,
}

impl Allocations {
    /// What is allocated and not given back: bytes. Of one thread it may be less than nothing, since others free what it made,
    /// and is zero then.
    #[must_use]
    pub fn held_bytes(self) -> u64 {
        self.bytes.saturating_sub(self.freed_bytes)
    }

    /// Both together.
    #[cfg(feature = "macros")]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            allocations: self.allocations.wrapping_add(other.allocations),
            bytes: self.bytes.wrapping_add(other.bytes),
            freed_bytes: self.freed_bytes.wrapping_add(other.freed_bytes),
        }
    }

    /// What has been asked for since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            allocations: self.allocations.wrapping_sub(before.allocations),
            bytes: self.bytes.wrapping_sub(before.bytes),
            freed_bytes: self.freed_bytes.wrapping_sub(before.freed_bytes),
        }
    }
}

impl fmt::Display for Allocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, bytes, freed) = (self.allocations, self.bytes, self.freed_bytes);
        write!(f, "{n} allocations of {bytes} bytes, {freed} bytes freed")
    }
}

/// Words that some threads share, on cache lines of their own.
#[repr(align(128))]
struct Stripe {
    allocations: AtomicU64,
    bytes: AtomicU64,
    freed: AtomicU64,
}

/// As many as a power of two.
const STRIPES: usize = 16;

static PROCESS: [Stripe; STRIPES] = [const {
    Stripe {
        allocations: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        freed: AtomicU64::new(0),
    }
}; STRIPES];

thread_local! {
    /// Without a destructor: neither the first use nor the last moments of a thread allocate.
    static MINE: Cell<Allocations> = const {
        Cell::new(Allocations { allocations: 0, bytes: 0, freed_bytes: 0 })
    };
}

/// Counts one call, for its thread and for the process.
#[inline]
fn count(allocations: u64, bytes: usize, freed: usize) {
    let (bytes, freed) = (bytes as u64, freed as u64);
    let at = MINE.with(|mine| {
        let now = mine.get();
        mine.set(Allocations {
            allocations: now.allocations.wrapping_add(allocations),
            bytes: now.bytes.wrapping_add(bytes),
            freed_bytes: now.freed_bytes.wrapping_add(freed),
        });
        // Threads' own variables are pages apart.
        (std::ptr::from_ref(mine).addr() >> 12) % STRIPES
    });
    let stripe = &PROCESS[at];
    if allocations > 0 {
        stripe.allocations.fetch_add(allocations, Relaxed);
        stripe.bytes.fetch_add(bytes, Relaxed);
    }
    if freed > 0 {
        stripe.freed.fetch_add(freed, Relaxed);
    }
}

// SAFETY: every call is passed on as it came, and its result given as it is, so what the inner allocator promises holds for
// this one. Counting touches plain words only: it cannot panic, and allocates nothing.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the contract of `alloc`, which is the same.
        let block = unsafe { self.0.alloc(layout) };
        if !block.is_null() {
            count(1, layout.size(), 0);
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the contract of `alloc_zeroed`, which is the same.
        let block = unsafe { self.0.alloc_zeroed(layout) };
        if !block.is_null() {
            count(1, layout.size(), 0);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is from this allocator, and so from the inner one, with this layout.
        unsafe { self.0.dealloc(block, layout) };
        count(0, 0, layout.size());
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the block is from this allocator, and so from the inner one, with this layout.
        let grown = unsafe { self.0.realloc(block, layout, size) };
        if !grown.is_null() {
            count(1, size, layout.size());
        }
        grown
    }
}

/// What all threads have asked for since the process began; nothing, if no [`CountingAllocator`] is its allocator.
#[must_use]
pub fn process() -> Allocations {
    let mut sum = Allocations::default();
    for stripe in &PROCESS {
        sum.allocations = sum
            .allocations
            .wrapping_add(stripe.allocations.load(Relaxed));
        sum.bytes = sum.bytes.wrapping_add(stripe.bytes.load(Relaxed));
        sum.freed_bytes = sum.freed_bytes.wrapping_add(stripe.freed.load(Relaxed));
    }
    sum
}

/// What this thread has asked for.
#[must_use]
pub fn thread() -> Allocations {
    MINE.get()
}

/// Whether a [`CountingAllocator`] is the process's: no process gets far without an allocation.
pub(crate) fn is_counting() -> bool {
    thread().allocations > 0 || process().allocations > 0
}

/// Runs `f`, and says what this thread has asked for meanwhile.
pub fn measure<T>(f: impl FnOnce() -> T) -> (T, Allocations) {
    let before = thread();
    let result = f();
    (result, thread().since(before))
}
