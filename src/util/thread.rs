//! The only spawner of threads, and the id by which a cell knows its owner.

use std::{
    cell::Cell,
    io,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread::{Builder, JoinHandle},
};

/// Id of nobody: a thread that has not asked yet, or one of those after the billionth. No cell has such an owner.
pub(crate) const NOBODY: u32 = 0;

/// The greatest id: cells keep something else beside it.
pub(crate) const MOST: u32 = (1 << 30) - 2;

static NEXT: AtomicU32 = AtomicU32::new(1);

thread_local! {
    /// No destructor, so it can be read while other thread-locals are torn down.
    static ME: Cell<u32> = const { Cell::new(NOBODY) };
}

/// This thread's id; [`NOBODY`] until [`introduce`] was called.
#[inline(always)]
pub(crate) fn me() -> u32 {
    ME.get()
}

/// Gives this thread an id if it has none, at most [`MOST`]. Ids are never reused: when they run out, threads stay
/// nobody and record through the shared words, which is right and a little slower.
pub(crate) fn introduce() -> u32 {
    let mine = ME.get();
    if mine != NOBODY {
        return mine;
    }
    let id = NEXT
        .fetch_update(Relaxed, Relaxed, |next| match next {
            0..=MOST => Some(next + 1),
            _ => None,
        })
        .unwrap_or(NOBODY);
    ME.set(id);
    id
}

/// Starts a named thread.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_between_threads_and_stay_within_one() {
        let mine = introduce();
        assert_eq!(mine, introduce());
        assert_eq!(mine, me());
        let other = spawn("ids", || {
            assert_eq!(me(), NOBODY);
            assert_ne!(introduce(), NOBODY);
        });
        other.unwrap().join().unwrap();
    }
}
