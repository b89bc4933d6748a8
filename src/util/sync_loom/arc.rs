//! `Arc` and `Weak`, with counts that a model sees.
//!
//! Counts of references are loom's for cells only. What other things count guards nothing, so the model need not see it,
//! and is the stricter for it. The orderings are those of std that its documentation implies: what was done with a
//! reference is seen by whoever takes the value apart or frees the memory. Others of std's are `Relaxed` here, so that
//! no model relies on them.

use super::{AtomicUsize, Order, fence, hold, is_quiet, order};
use std::{
    fmt,
    ops::Deref,
    sync::{
        Mutex,
        atomic::Ordering::{Acquire, Relaxed, Release},
    },
    thread::panicking,
};

/// std's, with counts that a model sees. The value itself is kept by a second, real `Arc`.
pub(crate) struct Arc<T> {
    /// `None` only while it is dropped.
    value: Option<std::sync::Arc<T>>,
    counts: Counts,
}

pub(crate) struct Weak<T> {
    value: std::sync::Weak<T>,
    counts: Counts,
}

/// `None`: not counted in the model.
type Counts = Option<std::sync::Arc<Counted>>;

struct Counted {
    strong: AtomicUsize,
    /// One for all the strong ones together.
    weak: AtomicUsize,
    /// The memory was freed. Not atomic to loom, which fails a look that the freeing does not precede for certain.
    freed: Mutex<loom::cell::Cell<bool>>,
}

/// What a model knows of memory that an `Arc` took.
#[cfg(test)]
pub(crate) struct Grave(Counts);

#[cfg(test)]
impl Grave {
    pub(crate) fn is_freed(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|counts| hold(&counts.freed).get())
    }
}

/// A strong reference is dropped. Not ours, but the protocol relies on it.
///
/// ORDERING: whoever takes the value apart sees what was done with the reference. Partners: [`ARC_ACQUIRE`],
/// `HANDLES_GONE`.
pub(crate) const ARC_RELEASE: Order = order("ARC_RELEASE", Release);

/// The last strong reference is taken apart: a fence. As above.
///
/// ORDERING: partner of [`ARC_RELEASE`].
pub(crate) const ARC_ACQUIRE: Order = order("ARC_ACQUIRE", Acquire);

/// A weak reference is dropped. As above.
///
/// ORDERING: whoever frees the memory sees that nobody uses it any more. Partner: [`ARC_WEAK_ACQUIRE`].
pub(crate) const ARC_WEAK_RELEASE: Order = order("ARC_WEAK_RELEASE", Release);

/// The last weak reference has gone: a fence. As above.
///
/// ORDERING: partner of [`ARC_WEAK_RELEASE`].
pub(crate) const ARC_WEAK_ACQUIRE: Order = order("ARC_WEAK_ACQUIRE", Acquire);

impl Counted {
    /// Whoever has a reference may look at the memory.
    #[track_caller]
    fn touch(&self) {
        assert!(!hold(&self.freed).get(), "used after it was freed");
    }

    fn drop_weak(&self) {
        self.touch();
        if self.weak.fetch_sub(1, ARC_WEAK_RELEASE) == 1 {
            fence(ARC_WEAK_ACQUIRE);
            hold(&self.freed).set(true);
        }
    }
}

impl<T> Arc<T> {
    pub(crate) fn new(value: T) -> Self {
        let counted = std::any::type_name::<T>().ends_with("Cell") && !is_quiet();
        Self {
            value: Some(std::sync::Arc::new(value)),
            counts: counted.then(|| {
                std::sync::Arc::new(Counted {
                    strong: AtomicUsize::new(1),
                    weak: AtomicUsize::new(1),
                    freed: Mutex::new(loom::cell::Cell::new(false)),
                })
            }),
        }
    }

    fn value(&self) -> &std::sync::Arc<T> {
        self.value.as_ref().expect("taken only in drop")
    }

    pub(crate) fn downgrade(this: &Self) -> Weak<T> {
        if let Some(counts) = &this.counts {
            let mut now = counts.weak.load(Relaxed);
            while let Err(seen) = counts.weak.compare_exchange(now, now + 1, Relaxed, Relaxed) {
                now = seen;
            }
        }
        Weak {
            value: std::sync::Arc::downgrade(this.value()),
            counts: this.counts.clone(),
        }
    }

    pub(crate) fn strong_count(this: &Self) -> usize {
        match &this.counts {
            Some(counts) => counts.strong.load(Relaxed),
            None => std::sync::Arc::strong_count(this.value()),
        }
    }

    pub(crate) fn weak_count(this: &Self) -> usize {
        match &this.counts {
            Some(counts) => counts.weak.load(Relaxed) - 1,
            None => std::sync::Arc::weak_count(this.value()),
        }
    }

    pub(crate) fn try_unwrap(mut this: Self) -> Result<T, Self> {
        if let Some(counts) = &this.counts {
            if counts
                .strong
                .compare_exchange(1, 0, Relaxed, Relaxed)
                .is_err()
            {
                return Err(this);
            }
            fence(ARC_ACQUIRE);
        }
        let counts = this.counts.take();
        let value = this.value.take().expect("taken only in drop");
        let value = std::sync::Arc::try_unwrap(value).map_err(|value| Self {
            value: Some(value),
            counts: counts.clone(),
        })?;
        if let Some(counts) = counts {
            counts.drop_weak();
        }
        Ok(value)
    }

    #[cfg(test)]
    pub(crate) fn grave(this: &Self) -> Grave {
        Grave(this.counts.clone())
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value()
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        if let Some(counts) = &self.counts {
            counts.strong.fetch_add(1, Relaxed);
        }
        Self {
            value: self.value.clone(),
            counts: self.counts.clone(),
        }
    }
}

impl<T> Drop for Arc<T> {
    fn drop(&mut self) {
        let Some(counts) = self.counts.take().filter(|_| !panicking()) else {
            return;
        };
        if counts.strong.fetch_sub(1, ARC_RELEASE) != 1 {
            // Loom switches threads before an operation: whoever sees the count finds the value let go.
            self.value = None;
            return;
        }
        fence(ARC_ACQUIRE);
        self.value = None;
        counts.drop_weak();
    }
}

impl<T> fmt::Debug for Arc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Arc")
    }
}

impl<T> Weak<T> {
    pub(crate) fn new() -> Self {
        Self {
            value: std::sync::Weak::new(),
            counts: None,
        }
    }

    pub(crate) fn upgrade(&self) -> Option<Arc<T>> {
        let Some(counts) = &self.counts else {
            return self.value.upgrade().map(|value| Arc {
                value: Some(value),
                counts: None,
            });
        };
        counts.touch();
        let mut now = counts.strong.load(Relaxed);
        loop {
            if now == 0 {
                return None;
            }
            match counts
                .strong
                .compare_exchange(now, now + 1, Relaxed, Relaxed)
            {
                Ok(_) => break,
                Err(seen) => now = seen,
            }
        }
        Some(Arc {
            value: self.value.upgrade(),
            counts: self.counts.clone(),
        })
    }

    pub(crate) fn strong_count(&self) -> usize {
        match &self.counts {
            Some(counts) => {
                counts.touch();
                counts.strong.load(Relaxed)
            }
            None => self.value.strong_count(),
        }
    }
}

impl<T> Drop for Weak<T> {
    fn drop(&mut self) {
        if let Some(counts) = self.counts.take().filter(|_| !panicking()) {
            counts.drop_weak();
        }
    }
}
