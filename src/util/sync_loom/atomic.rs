//! Loom's atomics, whose methods take an [`Order`], too.

use super::{Order, hold, is_quiet};
use std::{fmt, sync::atomic::Ordering, thread::panicking};

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
    Or,
    Swap,
}

/// One of loom's atomics.
pub(crate) enum Atomic<W: Word> {
    Seen(W),
    /// Made by [`quietly`](super::quietly).
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
                    Change::Or => self.fetch_or(value, order),
                    Change::Swap => self.swap(value, order),
                }
            }

            fn changed(by: Change, before: Self::Value, value: Self::Value) -> Self::Value {
                match by {
                    Change::Add => before.wrapping_add(value),
                    Change::Sub => before.wrapping_sub(value),
                    Change::Min => before.min(value),
                    Change::Max => before.max(value),
                    Change::Or => before | value,
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
        if is_quiet() {
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
    pub(crate) fn fetch_or(&self, value: W::Value, order: impl Into<Order>) -> W::Value {
        self.change(Change::Or, value, order)
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
