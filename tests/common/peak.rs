//! An allocator that knows how much of the process's heap is in use, and how much was at most.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

pub struct Peak;

impl Peak {
    /// Starts anew, and gives what is in use.
    pub fn start() -> usize {
        let now = LIVE.load(SeqCst);
        MOST.store(now, SeqCst);
        now
    }

    /// The most since the start.
    pub fn most() -> usize {
        MOST.load(SeqCst)
    }
}

fn add(bytes: usize) {
    let now = LIVE.fetch_add(bytes, SeqCst) + bytes;
    MOST.fetch_max(now, SeqCst);
}

// SAFETY: every call goes to `System` as it came; counting touches two atomics.
unsafe impl GlobalAlloc for Peak {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), SeqCst);
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size);
        LIVE.fetch_sub(layout.size(), SeqCst);
        // SAFETY: the caller keeps the promises of `realloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}
