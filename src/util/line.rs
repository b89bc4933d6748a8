//! A value that shares its cache lines with nothing else.

use std::ops::Deref;

/// Who writes to what is in it takes no line from those who read what lies beside it. Costs up to two lines of room.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Line<T>(T);

impl<T> Deref for Line<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
