//! Words that are found by number, without a lock, and come by the chunk.

use crate::util::{layout, sync::OnceBox};

/// As many as are asked for; zero to begin with. The first chunk has `FIRST`, each further one twice as many as the one before.
#[derive(Debug)]
pub(crate) struct Words<T, const FIRST: usize> {
    chunks: [OnceBox<Box<[T]>>; 20],
}

impl<T: Default, const FIRST: usize> Words<T, FIRST> {
    pub(crate) fn new() -> Self {
        Self {
            chunks: std::array::from_fn(|_| OnceBox::new()),
        }
    }

    /// Chunk of word `at`, and its place there.
    fn find(at: usize) -> (usize, usize) {
        let n = at / FIRST + 1;
        let chunk = n.ilog2() as usize;
        (chunk, at - FIRST * ((1 << chunk) - 1))
    }

    /// Bytes to reserve so that word `at` exists; 0 when it does.
    pub(crate) fn growth(&self, at: usize) -> usize {
        let (chunk, _) = Self::find(at);
        match self.chunks.get(chunk) {
            Some(chunk_cell) if chunk_cell.get().is_none() => {
                layout::vec::<T>(FIRST << chunk) + size_of::<Box<[T]>>()
            }
            _ => 0,
        }
    }

    /// Makes word `at` exist. False: another thread was faster, and the reserved bytes are to be given back.
    pub(crate) fn grow(&self, at: usize) -> bool {
        let (chunk, _) = Self::find(at);
        let words = (0..FIRST << chunk).map(|_| T::default()).collect();
        self.chunks
            .get(chunk)
            .is_some_and(|cell| cell.set(Box::new(words)).is_ok())
    }

    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        let (chunk, place) = Self::find(at);
        self.chunks.get(chunk)?.get()?.get(place)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn chunks_are_filled_without_gaps() {
        let find = Words::<AtomicU32, 256>::find;
        assert_eq!(find(0), (0, 0));
        assert_eq!(find(255), (0, 255));
        assert_eq!(find(256), (1, 0));
        assert_eq!(find(767), (1, 511));
        assert_eq!(find(768), (2, 0));
        let words = Words::<AtomicU32, 256>::new();
        assert!(words.growth(700) > 0 && words.get(700).is_none());
        assert!(words.grow(700) && !words.grow(701));
        assert!(words.get(700).is_some() && words.growth(256) == 0);
    }
}
