//! Words for threads that share one handle: each writes a line of its own.

use crate::util::sync::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// How many lines; a power of two.
const LINES: usize = if cfg!(loom) { 2 } else { 8 };

/// Two cache lines, since processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU64);

/// One word for each group of threads.
#[derive(Debug, Default)]
pub(crate) struct Stripes([Line; LINES]);

impl Stripes {
    #[inline]
    pub(crate) fn of(&self, thread: u32) -> &AtomicU64 {
        &self.0[thread as usize % LINES].0
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, line| sum.wrapping_add(line.0.load(Relaxed)))
    }
}
