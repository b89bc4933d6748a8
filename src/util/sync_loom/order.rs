//! Orderings that a model may weaken by their names.

use std::{
    cell::Cell,
    sync::atomic::Ordering::{self, Relaxed},
    thread::panicking,
};

/// An ordering that a model may weaken by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    name: &'static str,
    strong: Ordering,
}

pub(crate) const fn order(name: &'static str, strong: Ordering) -> Order {
    Order { name, strong }
}

thread_local! {
    /// Names of the orderings that are relaxed; all threads of a model run on one thread of the system.
    static WEAK: Cell<[&'static str; 3]> = const { Cell::new([""; 3]) };
}

/// While it lives, an ordering is no better than `Relaxed`.
#[cfg(test)]
pub(crate) struct Weakened(());

#[cfg(test)]
impl Weakened {
    pub(crate) fn new(order: Order) -> Self {
        let [_, one, other] = WEAK.get();
        WEAK.set([order.name, one, other]);
        Self(())
    }

    /// Two more, beside that of [`new`](Self::new).
    pub(crate) fn beside([one, other]: [Order; 2]) -> Self {
        WEAK.set(["", one.name, other.name]);
        Self(())
    }
}

#[cfg(test)]
impl Drop for Weakened {
    fn drop(&mut self) {
        WEAK.set([""; 3]);
    }
}

impl Order {
    fn is_weak(self) -> bool {
        !self.name.is_empty() && WEAK.get().contains(&self.name)
    }

    /// What it is in this model.
    pub(super) fn now(self) -> Ordering {
        if self.is_weak() { Relaxed } else { self.strong }
    }
}

impl From<Ordering> for Order {
    fn from(strong: Ordering) -> Self {
        order("", strong)
    }
}

/// A fence; none if its ordering is weakened.
pub(crate) fn fence(order: Order) {
    if !order.is_weak() && !panicking() {
        loom::sync::atomic::fence(order.strong);
    }
}
