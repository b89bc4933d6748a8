//! What `sync` exports under `cfg(loom)`: atomics and locks that a model sees, and an `Arc` with a `Weak`, which loom has
//! not.
//!
//! A failing model unwinds through destructors on every thread's stack; nothing here touches loom then.

mod arc;
mod atomic;
mod lock;
mod once;
mod order;

#[cfg(test)]
pub(crate) use self::{arc::Grave, order::Weakened};
pub(crate) use self::{
    arc::{ARC_ACQUIRE, ARC_RELEASE, ARC_WEAK_ACQUIRE, ARC_WEAK_RELEASE, Arc, Weak},
    atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize},
    lock::{Mutex, MutexGuard},
    once::{ONCE_FILLED, ONCE_READ, OnceBox},
    order::{Order, fence, order},
};

use std::{cell::Cell, collections::hash_map::DefaultHasher, hash::BuildHasherDefault};

/// The same in every run of a model.
pub(crate) type RandomState = BuildHasherDefault<DefaultHasher>;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What `make` creates is not part of the model: its atomics and counts change at once and for everyone, and no other
/// thread gets its turn for them.
#[cfg(test)]
pub(crate) fn quietly<T>(make: impl FnOnce() -> T) -> T {
    QUIET.set(true);
    let value = make();
    QUIET.set(false);
    value
}

/// What is made now is not part of the model.
fn is_quiet() -> bool {
    QUIET.get()
}

fn hold<T>(word: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    word.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
