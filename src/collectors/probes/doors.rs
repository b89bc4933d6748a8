//! Doors for the fuzzer, in no other build.

use super::{certificate, url::Url};

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
