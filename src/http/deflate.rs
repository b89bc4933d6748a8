//! Gzip, for text that is mostly the same words again and again: the fastest level makes a tenth of it.

use flate2::{Compression, write::GzEncoder};
use std::io::{self, Write};

/// A writer that compresses for another.
pub(super) struct Deflate<'a, W: Write>(GzEncoder<&'a mut W>);

impl<'a, W: Write> Deflate<'a, W> {
    pub(super) fn new(to: &'a mut W) -> Self {
        Self(GzEncoder::new(to, Compression::fast()))
    }

    /// Writes what is left and the checksum.
    pub(super) fn finish(self) -> io::Result<()> {
        self.0.finish().map(drop)
    }
}

impl<W: Write> Write for Deflate<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
