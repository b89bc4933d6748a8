//! A cell that is filled once, with `once_cell`'s methods.

use super::{AtomicBool, Order, order};
use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::Ordering::{Acquire, Relaxed, Release},
    },
};

/// The cell is filled. Not ours, but pages, stripes and pins are published through it.
///
/// ORDERING: whoever finds the cell full finds the value made. Partner: [`ONCE_READ`].
pub(crate) const ONCE_FILLED: Order = order("ONCE_FILLED", Release);

/// The cell is read. As above.
///
/// ORDERING: partner of [`ONCE_FILLED`].
pub(crate) const ONCE_READ: Order = order("ONCE_READ", Acquire);

/// A cell whose value is behind a flag instead of a pointer.
pub(crate) struct OnceBox<T> {
    full: AtomicBool,
    value: OnceLock<Box<T>>,
}

impl<T> OnceBox<T> {
    pub(crate) fn new() -> Self {
        Self {
            full: AtomicBool::new(false),
            value: OnceLock::new(),
        }
    }

    #[track_caller]
    pub(crate) fn get(&self) -> Option<&T> {
        let full = self.full.load(ONCE_READ);
        full.then(|| self.value.get().map(|value| &**value))
            .flatten()
    }

    /// Who comes too late learns only that: `once_cell` would let it see the value of the other without another look.
    ///
    /// Loom switches threads before an operation, never after: nobody sees `full` without a value.
    #[track_caller]
    pub(crate) fn set(&self, value: Box<T>) -> Result<(), Box<T>> {
        match self
            .full
            .compare_exchange(false, true, ONCE_FILLED, Relaxed)
        {
            Ok(_) => self.value.set(value),
            Err(_) => Err(value),
        }
    }
}

impl<T> Default for OnceBox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for OnceBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnceBox")
    }
}
