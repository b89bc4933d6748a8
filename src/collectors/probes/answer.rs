//! The answer to a request: its head, those of the interim answers before it, and where its body ends.

use super::chunked::Chunked;
use std::io::{self, ErrorKind, Read};

/// Bytes of the head of an answer, with those of all interim answers before it.
const LONGEST_HEAD: usize = 64 << 10;

/// Bytes of a body that are read.
const LONGEST_BODY: u64 = 16 << 20;

const VERSION: &[u8] = b"HTTP/1.";

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    length: Length,
}

/// How long the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(u64),
    Chunked,
    /// To the end of the connection.
    ToEnd,
}

/// Reads the head of the final answer, and perhaps some of its body.
///
/// # Errors
///
/// [`ErrorKind::InvalidData`]: it is no answer.
pub(super) fn read_head(stream: &mut dyn Read) -> io::Result<(Head, Vec<u8>)> {
    let mut read = Vec::new();
    // Bytes of all heads, and where in this one an empty line may begin.
    let (mut all, mut from) = (0, 0_usize);
    let mut block = [0; 4096];
    loop {
        if let Some(end) = end_of_head(&read, from) {
            let rest = read.split_off(end);
            let head = Head::parse(&read)?;
            // What is early (103), or says to go on (100), is followed by the answer. Nobody asked to switch protocols.
            if !(100..200).contains(&head.status) || head.status == 101 {
                return Ok((head, rest));
            }
            read = rest;
            from = 0;
            continue;
        }
        let first = read.get(..VERSION.len().min(read.len()));
        if first.is_some_and(|first| !VERSION.starts_with(first)) {
            // Whoever speaks something else may wait for us now.
            return Err(wrong("the answer is not HTTP/1.1"));
        }
        if all > LONGEST_HEAD {
            let message = format!("the head of the answer is longer than {LONGEST_HEAD} bytes");
            return Err(wrong(message));
        }
        let n = stream.read(&mut block)?;
        if n == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        all += n;
        from = read.len().saturating_sub(2);
        read.extend_from_slice(block.get(..n).unwrap_or_default());
    }
}

/// Where the empty line ends; the line before it ends at `from` or later. Lines may end without a carriage return.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let bytes_from = bytes.iter().enumerate().skip(from);
    let mut feeds = bytes_from.filter(|(_, byte)| **byte == b'\n');
    feeds.find_map(|(at, _)| match bytes.get(at + 1..) {
        Some([b'\n', ..]) => Some(at + 2),
        Some([b'\r', b'\n', ..]) => Some(at + 3),
        _ => None,
    })
}

impl Head {
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines();
        let status = status(lines.next().unwrap_or_default())
            .ok_or_else(|| wrong("the answer is not HTTP/1.1"))?;
        let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
        let of = |wanted: &'static str| {
            let all = headers.iter().copied();
            let same = all.filter(move |(name, _)| name.eq_ignore_ascii_case(wanted));
            same.map(|(_, value)| value.trim())
        };
        let codings = of("transfer-encoding").flat_map(|value| value.split(','));
        let length = match codings.last().map(str::trim) {
            Some(last) if last.eq_ignore_ascii_case("chunked") => Length::Chunked,
            Some(_) => Length::ToEnd,
            None => length(of("content-length"))?,
        };
        Ok(Self {
            status,
            location: of("location").next().map(str::to_owned),
            length,
        })
    }

    fn has_body(&self) -> bool {
        !matches!(self.status, 101 | 204 | 304)
    }
}

/// Of `HTTP/1.1 200 OK`: three digits.
fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let (version, rest) = rest.split_once(' ')?;
    let digits = rest.trim_start().split(' ').next()?;
    let is_number = |text: &str, n| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let status = digits.parse().ok().filter(|_| is_number(digits, 3))?;
    (is_number(version, 1) && status >= 100).then_some(status)
}

/// What all of these agree on.
fn length<'a>(values: impl Iterator<Item = &'a str>) -> io::Result<Length> {
    let mut known = None;
    for value in values.flat_map(|value| value.split(',')).map(str::trim) {
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let length = value.parse::<u64>().ok().filter(|_| is_number);
        let Some(length) = length.filter(|length| known.is_none_or(|known| known == *length))
        else {
            return Err(wrong("the answer's content-length is not one number"));
        };
        known = Some(length);
    }
    Ok(known.map_or(Length::ToEnd, Length::Bytes))
}

/// Reads the body to its end, of which `first` is there, and gives its length on the wire.
///
/// # Errors
///
/// [`ErrorKind::InvalidData`]: it is not what the head says.
pub(super) fn read_body(head: &Head, first: &[u8], stream: &mut dyn Read) -> io::Result<u64> {
    if !head.has_body() {
        return Ok(0);
    }
    let mut chunked = Chunked::new();
    let mut block = [0; 16 << 10];
    let mut bytes = 0;
    let mut piece = first;
    loop {
        let here = match head.length {
            Length::Bytes(length) => (length - bytes).min(piece.len() as u64),
            Length::Chunked => chunked.read(piece)? as u64,
            Length::ToEnd => piece.len() as u64,
        };
        bytes += here;
        let is_done = match head.length {
            Length::Bytes(length) => bytes == length,
            Length::Chunked => chunked.is_at_end(),
            Length::ToEnd => false,
        };
        if is_done || bytes >= LONGEST_BODY {
            return Ok(bytes);
        }
        let n = match stream.read(&mut block) {
            Ok(n) => n,
            // Many servers end TLS without saying so.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error),
        };
        if n == 0 {
            let message = format!("the body ends after {bytes} bytes");
            let cut = io::Error::new(ErrorKind::UnexpectedEof, message);
            return matches!(head.length, Length::ToEnd)
                .then_some(bytes)
                .ok_or(cut);
        }
        piece = block.get(..n).unwrap_or_default();
    }
}

fn wrong(message: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, and bytes of the body.
    fn read(mut answer: &[u8]) -> io::Result<(u16, u64)> {
        let (head, first) = read_head(&mut answer)?;
        let bytes = read_body(&head, &first, &mut answer)?;
        Ok((head.status, bytes))
    }

    fn refused(answer: &str) -> ErrorKind {
        read(answer.as_bytes()).unwrap_err().kind()
    }

    #[test]
    fn lengths_are_one_number_or_none() {
        for lines in [
            "Content-Length: 3\r\n",
            "content-length:3\r\nContent-Length: 3\r\n",
            "Content-Length: 3, 3\n",
            "Transfer-Encoding: gzip\r\nContent-Length: 1\r\n",
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\n{lines}\r\nabc");
            assert_eq!(read(answer.as_bytes()).unwrap(), (200, 3), "{lines}");
        }
        for length in [
            "",
            "+3",
            "-1",
            "3.0",
            "0x3",
            "3, 4",
            "3,",
            "99999999999999999999",
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nabc");
            assert_eq!(refused(&answer), ErrorKind::InvalidData, "{length}");
        }
    }

    #[test]
    fn codings_end_with_the_one_that_counts() {
        for coding in [
            "chunked",
            "gzip, Chunked",
            "gzip\r\nTransfer-Encoding: chunked",
        ] {
            let answer =
                format!("HTTP/1.1 200\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\nmore");
            assert_eq!(read(answer.as_bytes()).unwrap(), (200, 5), "{coding}");
        }
        // Not chunked at all, for all that its name ends so.
        let odd = "HTTP/1.1 200 OK\r\nTransfer-Encoding: unchunked\r\n\r\nabc";
        assert_eq!(read(odd.as_bytes()).unwrap(), (200, 3));
    }

    #[test]
    fn what_is_no_answer_is_refused_before_its_end() {
        for text in [
            "SSH-2.0-OpenSSH_9.2",
            "H2",
            "http/1.1 200 OK",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 +20\r\n\r\n",
            "HTTP/1.1 2000\r\n\r\n",
            "HTTP/1.1 099\r\n\r\n",
            "HTTP/1.1\r\n\r\n",
            "HTTP/1.x 200 OK\r\n\r\n",
        ] {
            assert_eq!(refused(text), ErrorKind::InvalidData, "{text}");
        }
        assert_eq!(refused("HTTP/1.1 200 OK\r\n"), ErrorKind::UnexpectedEof);
        assert_eq!(refused(""), ErrorKind::UnexpectedEof);
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(LONGEST_HEAD));
        assert_eq!(refused(&endless), ErrorKind::InvalidData);
        let early = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(LONGEST_HEAD / 20);
        assert_eq!(refused(&early), ErrorKind::InvalidData);
    }
}
