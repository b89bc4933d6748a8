//! What `sync` exports under `cfg(loom)`: atomics and locks that a model sees, and an `Arc` with a `Weak`, which loom has
//! not.
//!
//! Counts of references are loom's for cells only, with exactly the orderings of std. What other things count guards
//! nothing, so the model need not see it, and is the stricter for it.
//!
//! A failing model unwinds through destructors on every thread's stack; nothing here touches loom then.

use std::{
    cell::Cell,
    collections::hash_map::DefaultHasher,
    fmt,
    hash::BuildHasherDefault,
    ops::Deref,
    sync::{
        OnceLock,
        atomic::Ordering::{self, Acquire, Relaxed, Release},
    },
    thread::panicking,
};

/// The same in every run of a model.
pub(crate) type RandomState = BuildHasherDefault<DefaultHasher>;

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
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// Name of the ordering that is relaxed; all threads of a model run on one thread of the system.
    static WEAK: Cell<&'static str> = const { Cell::new("") };
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

fn hold<T>(word: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    word.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// While it lives, an ordering is no better than `Relaxed`.
#[cfg(test)]
pub(crate) struct Weakened(());

#[cfg(test)]
impl Weakened {
    pub(crate) fn new(order: Order) -> Self {
        WEAK.set(order.name);
        Self(())
    }
}

#[cfg(test)]
impl Drop for Weakened {
    fn drop(&mut self) {
        WEAK.set("");
    }
}

impl Order {
    fn is_weak(self) -> bool {
        !self.name.is_empty() && WEAK.get() == self.name
    }

    fn now(self) -> Ordering {
        if self.is_weak() { Relaxed } else { self.strong }
    }
}

impl From<Ordering> for Order {
    fn from(strong: Ordering) -> Self {
        order("", strong)
    }
}

/// What loom's atomics have in common.
pub(crate) trait Word {
    type Value: Copy + Default + PartialEq;
    fn from_value(value: Self::Value) -> Self;
    fn get(&self, order: Ordering) -> Self::Value;
    fn put(&self, value: Self::Value, order: Ordering);
    fn exchange(
        &self,
        now: Self::Value,
        next: Self::Value,
        orders: (Ordering, Ordering),
    ) -> Result<Self::Value, Self::Value>;
}

/// Those that count.
pub(crate) trait Number: Word {
    fn change(&self, by: Change, value: Self::Value, order: Ordering) -> Self::Value;
    fn changed(by: Change, before: Self::Value, value: Self::Value) -> Self::Value;
}

#[derive(Clone, Copy)]
pub(crate) enum Change {
    Add,
    Sub,
    Min,
    Max,
    Swap,
}

/// One of loom's atomics, whose methods take an [`Order`], too.
pub(crate) enum Atomic<W: Word> {
    Seen(W),
    /// Made by [`quietly`].
    Quiet(std::sync::Mutex<W::Value>),
}

pub(crate) type AtomicBool = Atomic<loom::sync::atomic::AtomicBool>;
pub(crate) type AtomicI64 = Atomic<loom::sync::atomic::AtomicI64>;
pub(crate) type AtomicU32 = Atomic<loom::sync::atomic::AtomicU32>;
pub(crate) type AtomicU64 = Atomic<loom::sync::atomic::AtomicU64>;
pub(crate) type AtomicUsize = Atomic<loom::sync::atomic::AtomicUsize>;

macro_rules! words {
    ($($word:ident $value:ident;)*) => {$(
        impl Word for loom::sync::atomic::$word {
            type Value = $value;

            fn from_value(value: $value) -> Self {
                Self::new(value)
            }

            #[track_caller]
            fn get(&self, order: Ordering) -> $value {
                self.load(order)
            }

            /// Loom's own `store` may come between the two halves of another thread's swap, which no machine allows.
            #[track_caller]
            fn put(&self, value: $value, order: Ordering) {
                self.swap(value, order);
            }

            #[track_caller]
            fn exchange(
                &self,
                now: $value,
                next: $value,
                (success, failure): (Ordering, Ordering),
            ) -> Result<$value, $value> {
                self.compare_exchange(now, next, success, failure)
            }
        }
    )*};
}

macro_rules! numbers {
    ($($word:ident)*) => {$(
        impl Number for loom::sync::atomic::$word {
            #[track_caller]
            fn change(&self, by: Change, value: Self::Value, order: Ordering) -> Self::Value {
                match by {
                    Change::Add => self.fetch_add(value, order),
                    Change::Sub => self.fetch_sub(value, order),
                    Change::Min => self.fetch_min(value, order),
                    Change::Max => self.fetch_max(value, order),
                    Change::Swap => self.swap(value, order),
                }
            }

            fn changed(by: Change, before: Self::Value, value: Self::Value) -> Self::Value {
                match by {
                    Change::Add => before.wrapping_add(value),
                    Change::Sub => before.wrapping_sub(value),
                    Change::Min => before.min(value),
                    Change::Max => before.max(value),
                    Change::Swap => value,
                }
            }
        }
    )*};
}

words! { AtomicBool bool; AtomicI64 i64; AtomicU32 u32; AtomicU64 u64; AtomicUsize usize; }
numbers! { AtomicI64 AtomicU32 AtomicU64 AtomicUsize }

impl<W: Word> Atomic<W> {
    #[track_caller]
    pub(crate) fn new(value: W::Value) -> Self {
        if QUIET.get() {
            return Self::Quiet(std::sync::Mutex::new(value));
        }
        Self::Seen(W::from_value(value))
    }

    #[track_caller]
    pub(crate) fn load(&self, order: impl Into<Order>) -> W::Value {
        match self {
            Self::Seen(_) if panicking() => W::Value::default(),
            Self::Seen(word) => word.get(order.into().now()),
            Self::Quiet(word) => *hold(word),
        }
    }

    #[track_caller]
    pub(crate) fn store(&self, value: W::Value, order: impl Into<Order>) {
        match self {
            Self::Seen(_) if panicking() => {}
            Self::Seen(word) => word.put(value, order.into().now()),
            Self::Quiet(word) => *hold(word) = value,
        }
    }

    #[track_caller]
    pub(crate) fn compare_exchange(
        &self,
        now: W::Value,
        next: W::Value,
        success: impl Into<Order>,
        failure: Ordering,
    ) -> Result<W::Value, W::Value> {
        match self {
            Self::Seen(_) if panicking() => Ok(now),
            Self::Seen(word) => word.exchange(now, next, (success.into().now(), failure)),
            Self::Quiet(word) => {
                let mut word = hold(word);
                if *word != now {
                    return Err(*word);
                }
                *word = next;
                Ok(now)
            }
        }
    }

    /// Never fails without a reason.
    #[track_caller]
    pub(crate) fn compare_exchange_weak(
        &self,
        now: W::Value,
        next: W::Value,
        success: impl Into<Order>,
        failure: Ordering,
    ) -> Result<W::Value, W::Value> {
        self.compare_exchange(now, next, success, failure)
    }
}

impl<W: Number> Atomic<W> {
    #[track_caller]
    fn change(&self, by: Change, value: W::Value, order: impl Into<Order>) -> W::Value {
        match self {
            Self::Seen(_) if panicking() => W::Value::default(),
            Self::Seen(word) => word.change(by, value, order.into().now()),
            Self::Quiet(word) => {
                let mut word = hold(word);
                let before = *word;
                *word = W::changed(by, before, value);
                before
            }
        }
    }

    #[track_caller]
    pub(crate) fn fetch_add(&self, value: W::Value, order: impl Into<Order>) -> W::Value {
        self.change(Change::Add, value, order)
    }

    #[track_caller]
    pub(crate) fn fetch_sub(&self, value: W::Value, order: impl Into<Order>) -> W::Value {
        self.change(Change::Sub, value, order)
    }

    #[track_caller]
    pub(crate) fn fetch_min(&self, value: W::Value, order: impl Into<Order>) -> W::Value {
        self.change(Change::Min, value, order)
    }

    #[track_caller]
    pub(crate) fn fetch_max(&self, value: W::Value, order: impl Into<Order>) -> W::Value {
        self.change(Change::Max, value, order)
    }

    #[track_caller]
    pub(crate) fn swap(&self, value: W::Value, order: impl Into<Order>) -> W::Value {
        self.change(Change::Swap, value, order)
    }
}

impl<W: Word> Default for Atomic<W> {
    fn default() -> Self {
        Self::new(W::Value::default())
    }
}

impl<W: Word> fmt::Debug for Atomic<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Atomic")
    }
}

/// A lock with `parking_lot`'s methods.
#[derive(Debug)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

pub(crate) type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    #[track_caller]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// A cell that is filled once, with `once_cell`'s methods and orderings.
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
        let full = self.full.load(Acquire);
        full.then(|| self.value.get().map(|value| &**value))
            .flatten()
    }

    /// Loom switches threads before an operation, never after: nobody sees `full` without a value.
    #[track_caller]
    pub(crate) fn set(&self, value: Box<T>) -> Result<(), Box<T>> {
        match self.full.compare_exchange(false, true, Release, Acquire) {
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
    freed: std::sync::Mutex<loom::cell::Cell<bool>>,
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
pub(crate) const ARC_RELEASE: Order = order("ARC_RELEASE", Release);

/// The last strong reference is taken apart. As above.
pub(crate) const ARC_ACQUIRE: Order = order("ARC_ACQUIRE", Acquire);

pub(crate) fn fence(order: Order) {
    if !order.is_weak() && !panicking() {
        loom::sync::atomic::fence(order.strong);
    }
}

impl Counted {
    fn drop_weak(&self) {
        if self.weak.fetch_sub(1, Release) == 1 {
            fence(ARC_ACQUIRE);
            hold(&self.freed).set(true);
        }
    }
}

impl<T> Arc<T> {
    pub(crate) fn new(value: T) -> Self {
        let counted = std::any::type_name::<T>().ends_with("Cell") && !QUIET.get();
        Self {
            value: Some(std::sync::Arc::new(value)),
            counts: counted.then(|| {
                std::sync::Arc::new(Counted {
                    strong: AtomicUsize::new(1),
                    weak: AtomicUsize::new(1),
                    freed: std::sync::Mutex::new(loom::cell::Cell::new(false)),
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
            while let Err(seen) = counts.weak.compare_exchange(now, now + 1, Acquire, Relaxed) {
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
        let mut now = counts.strong.load(Relaxed);
        loop {
            if now == 0 {
                return None;
            }
            match counts
                .strong
                .compare_exchange(now, now + 1, Acquire, Relaxed)
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
            Some(counts) => counts.strong.load(Relaxed),
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
