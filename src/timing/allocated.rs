//! What a call allocates, for `#[timed(alloc)]`.
#![expect(missing_docs, reason = "hidden from the documentation")]

use super::call::{Also, End, Site};
use crate::alloc::{self, Allocations};

/// Adds up what is allocated while the parts of a call run, each of which stays on one thread.
#[derive(Debug)]
pub struct Allocated<S> {
    allocations: S,
    bytes: S,
    sum: Allocations,
}

impl<S> Allocated<S> {
    #[must_use]
    pub fn new(allocations: S, bytes: S) -> Self {
        Self {
            allocations,
            bytes,
            sum: Allocations::default(),
        }
    }
}

impl<S: Site> Also for Allocated<S> {
    #[inline]
    fn part<T>(&mut self, f: impl FnOnce() -> T) -> T {
        let _part = Part {
            before: alloc::thread(),
            sum: &mut self.sum,
        };
        f()
    }

    #[expect(clippy::cast_precision_loss, reason = "a histogram takes floats")]
    fn record(&self, end: End) {
        if !alloc::is_counting() {
            return; // Nothing is known, which is not nothing.
        }
        let record = |site: &S, value: u64| site.histogram(end).record(value as f64);
        record(&self.allocations, self.sum.allocations);
        record(&self.bytes, self.sum.bytes);
    }
}

/// Adds up also what panics, and on the thread that it began on: a future may be dropped on another one.
struct Part<'a> {
    before: Allocations,
    sum: &'a mut Allocations,
}

impl Drop for Part<'_> {
    #[inline]
    fn drop(&mut self) {
        *self.sum = self.sum.plus(alloc::thread().since(self.before));
    }
}
