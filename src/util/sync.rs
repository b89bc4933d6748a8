//! The synchronisation that the hot path is built from: the standard library's, or loom's models of it.
//!
//! Everything that a loom model must see goes through here. `Arc` and `Weak` are the standard ones in a normal build;
//! loom has no `Weak`, so under `cfg(loom)` a small pair with no more than std's orderings stands in.

#[cfg(not(loom))]
mod imp {
    pub(crate) use once_cell::race::OnceBox;
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use std::{
        hash::RandomState,
        sync::{
            Arc, Weak,
            atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
        },
    };

    pub(crate) type Order = Ordering;

    pub(crate) const fn order(_: &str, order: Ordering) -> Ordering {
        order
    }
}

#[cfg(loom)]
#[path = "sync_loom/mod.rs"]
mod imp;

pub(crate) use imp::*;
