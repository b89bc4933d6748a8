//! A value that shares its cache lines with nothing else.

use std::ops::Deref;

/// Who writes to what is in it takes no line from those who read what lies beside it. It costs the room of two lines at most,
/// and what it stands in is aligned as it is.
#[derive(Debug, Default)]
#[cfg_attr(target_arch = "aarch64", repr(align(128)))]
#[cfg_attr(not(target_arch = "aarch64"), repr(align(64)))]
pub(crate) struct Line<T>(T);

impl<T> Deref for Line<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
