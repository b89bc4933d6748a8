//! The end of a chunked body: chunks with extensions, the last one, and trailers.
//!
//! What the chunks hold is of no interest, only where the body ends. Lines may end without a carriage return, as HTTP lets whoever reads
//! be lenient; anything else that is no chunk is an error at once, since a body that is read on in hope ends in a time-out.

use std::io::{self, ErrorKind};

/// Bytes of the extensions of a chunk, and of all trailers. A server that sends more is none to wait for.
const LONGEST_LINES: usize = 64 << 10;

/// How far the body was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the digits of a size, of which there were so many.
    Size(u64, u32),
    /// Behind a size, in its line.
    Extension(u64),
    /// So many bytes before the end of a chunk, never none.
    Data(u64),
    /// Behind the data of a chunk.
    DataEnd,
    DataLineFeed,
    /// In the trailers, in a line of so many bytes.
    Trailer(usize),
    End,
}

/// Reads a chunked body piece by piece.
#[derive(Debug)]
pub(super) struct Chunked {
    at: At,
    /// Bytes of extensions or trailers since the last chunk.
    lines: usize,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self {
            at: At::Size(0, 0),
            lines: 0,
        }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == At::End
    }

    /// Reads on. Gives how many of the bytes belong to the body: all, unless it ends in them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidData`]: these are no chunks.
    pub(super) fn read(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = bytes.get(read..).filter(|rest| !rest.is_empty()) {
            if self.is_at_end() {
                break;
            }
            read += self.step(rest)?;
        }
        Ok(read)
    }

    /// Reads a byte, or what there is of a chunk's data; gives how many bytes that were. `rest` is not empty.
    fn step(&mut self, rest: &[u8]) -> io::Result<usize> {
        if let At::Data(left) = self.at {
            let here = left.min(rest.len() as u64);
            self.at = match left - here {
                0 => At::DataEnd,
                left => At::Data(left),
            };
            // No more than `rest` is long.
            return Ok(usize::try_from(here).unwrap_or(rest.len()));
        }
        let byte = rest.first().copied().unwrap_or(b'\n');
        self.at = match (self.at, byte) {
            (At::Size(size, digits), byte) => size_with(size, digits, byte)?,
            // The line of the last size ends, or a trailer that is empty does.
            (At::Extension(0), b'\n') | (At::Trailer(0), b'\r') => At::Trailer(0),
            (At::Extension(size), b'\n') => At::Data(size),
            (At::Extension(size), _) => At::Extension(size),
            (At::DataEnd, b'\r') => At::DataLineFeed,
            (At::DataEnd | At::DataLineFeed, b'\n') => At::Size(0, 0),
            (At::DataEnd | At::DataLineFeed, _) => {
                return Err(wrong("a chunk is longer than its size says"));
            }
            (At::Trailer(0), b'\n') => At::End,
            (At::Trailer(_), b'\n') => At::Trailer(0),
            (At::Trailer(n), _) => At::Trailer(n + 1),
            (At::Data(_) | At::End, _) => self.at,
        };
        self.lines = match self.at {
            At::Extension(_) | At::Trailer(_) => self.lines + 1,
            _ => 0,
        };
        if self.lines > LONGEST_LINES {
            return Err(wrong("extensions or trailers without end"));
        }
        Ok(1)
    }
}

/// What comes behind `digits` digits of a size.
fn size_with(size: u64, digits: u32, byte: u8) -> io::Result<At> {
    let digit = char::from(byte).to_digit(16);
    match (digit, byte) {
        (Some(digit), _) => {
            let more = size.checked_mul(16).map(|size| size + u64::from(digit));
            let size = more.ok_or_else(|| wrong("the size of a chunk is no number of 64 bits"))?;
            Ok(At::Size(size, (digits + 1).min(32)))
        }
        (None, _) if digits == 0 => Err(wrong("the size of a chunk is no hexadecimal number")),
        (None, b'\n') if size == 0 => Ok(At::Trailer(0)),
        (None, b'\n') => Ok(At::Data(size)),
        (None, b'\r' | b';' | b' ' | b'\t') => Ok(At::Extension(size)),
        (None, _) => Err(wrong("the size of a chunk is no hexadecimal number")),
    }
}

fn wrong(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a body is, in pieces of `n` bytes; `None`: it does not end.
    fn length(body: &str, n: usize) -> io::Result<Option<usize>> {
        let mut chunked = Chunked::new();
        let mut length = 0;
        for piece in body.as_bytes().chunks(n) {
            length += chunked.read(piece)?;
        }
        Ok(chunked.is_at_end().then_some(length))
    }

    fn ends(body: &str, behind: &str) {
        let whole = format!("{body}{behind}");
        for n in [1, 2, 3, 7, 1000] {
            assert_eq!(length(&whole, n).unwrap(), Some(body.len()), "{whole:?}");
            for cut in 0..body.len() {
                let cut = &body[..cut];
                assert_eq!(length(cut, n).unwrap(), None, "{cut:?}");
            }
        }
    }

    #[test]
    fn a_body_ends_behind_its_trailers() {
        for behind in ["", "0\r\n\r\n", "more"] {
            ends("3\r\nabc\r\n0\r\n\r\n", behind);
            ends("0\r\n\r\n", behind);
            ends("00\r\nExpires: never\r\nX:y\r\n\r\n", behind);
            ends(
                "a;name=\"v\"\r\n0\r\n\r\n\r\n0\r\n\r\n0 ; last\r\n\r\n",
                behind,
            );
            ends("1\nx\n0\nT: 1\n\n", behind);
        }
    }

    #[test]
    fn what_is_no_chunk_is_an_error_at_once() {
        for (body, part) in [
            ("\r\n", "hexadecimal"),
            ("-1\r\n", "hexadecimal"),
            ("0x3\r\nabc", "hexadecimal"),
            ("<html>", "hexadecimal"),
            ("11111111111111111\r\n", "64 bits"),
            ("2\r\nabc", "longer"),
            ("2\r\nab\rx", "longer"),
        ] {
            for n in [1, 1000] {
                let error = length(body, n).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidData);
                assert!(error.to_string().contains(part), "{body:?}: {error}");
            }
        }
        // Nor is there an end of what a server flushes byte by byte.
        let small = "1;x\r\na\r\n".repeat(LONGEST_LINES);
        assert_eq!(length(&small, 4096).unwrap(), None);
        for begin in ["0\r\n", "1;"] {
            let endless = format!("{begin}{}", "x".repeat(LONGEST_LINES + 1));
            assert!(length(&endless, 99).is_err());
        }
    }
}
