//! Doors for the fuzzer, in no other build.

use super::{Failure, Report, certificate, connect::Deadline, http, url::Url};
use crate::clock::{Clock, secs};
use std::io::{self, Read, Write};

/// Whether with TLS, host, port, `Host` header, path.
pub(crate) type Parts = (bool, String, u16, String, String);

pub(crate) fn url(text: &str) -> Option<Parts> {
    Url::parse(text).ok().map(parts)
}

pub(crate) fn redirect(from: &str, location: &str) -> Option<Parts> {
    let from = Url::parse(from).ok()?;
    from.join(location).ok().map(parts)
}

pub(crate) fn certificate_expiry(der: &[u8]) -> Option<u64> {
    certificate::not_after(der)
}

fn parts(url: Url) -> Parts {
    (url.is_tls, url.host, url.port, url.authority, url.path)
}

/// A server that has said all it will, and is read so many bytes at a time.
struct Said<'a> {
    bytes: &'a [u8],
    most: usize,
}

impl Read for Said<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = self.most.clamp(1, to.len());
        self.bytes.read(to.get_mut(..most).unwrap_or_default())
    }
}

impl Write for Said<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a probe makes of an answer, read `most` bytes at a time, before it follows a redirect.
pub(crate) fn answer(bytes: &[u8], most: usize) -> Result<(u16, u64), Failure> {
    let url = Url {
        is_tls: false,
        host: String::new(),
        port: 80,
        authority: String::new(),
        path: String::new(),
    };
    let deadline = Deadline::new(&Clock::default(), secs(3600));
    let mut report = Report::default();
    let head = http::exchange(&url, &mut Said { bytes, most }, &deadline, &mut report)?;
    Ok((head.status, report.body_bytes))
}
