//! Small tools without any idea of metrics.

#[cfg(all(not(loom), any(feature = "http", feature = "push")))]
pub(crate) mod base64;
pub(crate) mod bits;
pub(crate) mod caught;
#[cfg(not(loom))]
pub(crate) mod fork;
#[cfg(loom)]
pub(crate) mod fork {
    //! Nobody forks a model.

    use super::sync::{Mutex, MutexGuard};

    #[expect(clippy::unnecessary_wraps, reason = "as outside of models")]
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        Some(mutex.lock())
    }

    pub(crate) fn settle() {}

    pub(crate) fn turn() {}
}
pub(crate) mod hash;
pub(crate) mod layout;
pub(crate) mod line;
#[cfg(not(loom))]
pub(crate) mod machine;
#[cfg(not(loom))]
pub(crate) mod near;
pub(crate) mod order;
pub(crate) mod prefetch;
pub(crate) mod recent;
pub(crate) mod sum;
pub(crate) mod sync;
pub(crate) mod table;
pub(crate) mod text;
#[cfg(not(loom))]
pub(crate) mod thread;
