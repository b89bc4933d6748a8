//! The global allocator: the system's, with counters that stay off (one relaxed load) unless a memory group turns them on.
#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

static ON: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// Counts allocations per thread and live bytes over all threads.
pub struct Counting;

/// Starts counting; what lives already is not in [`live`].
pub fn start_counting() {
    ON.store(true, Relaxed);
}

/// Bytes allocated and not freed since counting started; differences mean something, the value does not.
pub fn live() -> i64 {
    LIVE.load(Relaxed)
}

/// Allocations that this thread has made, reallocations included.
pub fn calls() -> u64 {
    CALLS.get()
}

fn note(calls: u64, allocated: usize, freed: usize) {
    if ON.load(Relaxed) {
        CALLS.set(CALLS.get() + calls);
        LIVE.fetch_add(
            allocated.cast_signed() as i64 - freed.cast_signed() as i64,
            Relaxed,
        );
    }
}

// SAFETY: every method hands its arguments to `System` unchanged, and counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size(), 0);
        // SAFETY: the caller's promises are the ones that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, 0, layout.size());
        // SAFETY: as above; `pointer` came from `System` because all of ours do.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
