//! Doors into private modules for the targets in `fuzz/`. Only builds with `--cfg fuzzing` have them.

pub mod chunks;
pub mod segment;

#[cfg(feature = "probes")]
use crate::collectors::probes::doors;
#[cfg(feature = "http")]
use crate::http;
use crate::{
    codec::{buckets, distribution},
    exposition,
    live::key,
    model::{glob::Glob, labels},
};
use metrics::Key;

/// A code and its count.
pub type Bucket = (i32, u64);

/// Two codes and the count between them.
pub type Span = distribution::Span;

/// Spans that one distribution may have.
pub const MOST_SPANS: usize = distribution::MOST_SPANS;

/// Bytes of name and labels that a key may have.
pub const LONGEST_KEY: usize = key::LONGEST;

/// Labels that a key may have.
pub const MOST_LABELS: usize = key::MOST_LABELS;

/// Buckets as bytes, and how many bytes were foretold.
#[must_use]
pub fn encode_buckets(list: &[Bucket]) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    buckets::encode(list, &mut bytes);
    (bytes, buckets::encoded_len(list))
}

/// Several lists of buckets, one behind the other, as one list.
pub fn settle_buckets(list: &mut Vec<Bucket>) {
    buckets::settle(list);
}

/// What the iterator reads.
pub fn decode_buckets(bytes: &[u8]) -> impl Iterator<Item = Bucket> {
    buckets::Buckets::new(bytes)
}

/// What the faster visitor reads.
pub fn visit_buckets(bytes: &[u8], visit: impl FnMut(i32, u64)) {
    buckets::for_each(bytes, visit);
}

/// A distribution as bytes, and how many bytes were foretold.
#[must_use]
pub fn encode_distribution(spans: &[Span], fine: &[Bucket]) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    distribution::encode(spans, fine, &mut bytes);
    (bytes, distribution::encoded_len(spans, fine))
}

/// Spans, and the bytes of the buckets.
pub fn split_distribution(bytes: &[u8]) -> (impl Iterator<Item = Span>, &[u8]) {
    distribution::split(bytes)
}

/// The canonical bytes of a key's labels; `None`: the key is too long.
#[must_use]
pub fn canonical(key: &Key) -> Option<Vec<u8>> {
    key::with_canonical(key, <[u8]>::to_vec).ok()
}

/// Whether a key has exactly the labels of these canonical bytes.
#[must_use]
pub fn same_labels(key: &Key, canonical: &[u8]) -> bool {
    key::same_labels(key, canonical)
}

/// The name under which a metric is exposed.
#[must_use]
pub fn exposed_metric(name: &str) -> String {
    exposition::metric_name(name).into_owned()
}

/// The name under which a label is exposed.
#[must_use]
pub fn exposed_label(name: &str) -> String {
    exposition::label_name(name).into_owned()
}

/// The format that an `Accept` is answered with.
#[cfg(feature = "http")]
#[must_use]
pub fn accepted_format(accept: &str) -> exposition::Format {
    http::format(accept)
}

/// Whether an `Accept-Encoding` is answered with gzip.
#[cfg(feature = "http")]
#[must_use]
pub fn accepts_gzip(accept_encoding: &str) -> bool {
    http::encoding(accept_encoding) == http::Encoding::Gzip
}

/// Whether a pattern fits the whole of a text.
#[must_use]
pub fn fits(pattern: &str, text: &str) -> bool {
    Glob::new(pattern).matches(text)
}

/// Names and values in canonical bytes.
pub fn labels(canonical: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    labels::iter(canonical)
}

/// What a probe makes of a URL: whether with TLS, host, port, `Host` header, path. `None`: it is refused.
#[cfg(feature = "probes")]
#[must_use]
pub fn probed_url(text: &str) -> Option<(bool, String, u16, String, String)> {
    doors::url(text)
}

/// Where a redirect leads a probe.
#[cfg(feature = "probes")]
#[must_use]
pub fn probed_redirect(from: &str, location: &str) -> Option<(bool, String, u16, String, String)> {
    doors::redirect(from, location)
}

/// When a certificate expires, in seconds since the Unix epoch.
#[cfg(feature = "probes")]
#[must_use]
pub fn certificate_expiry(der: &[u8]) -> Option<u64> {
    doors::certificate_expiry(der)
}

/// What a probe makes of an answer that it reads `most` bytes at a time: the status, and the bytes of the body; or what it says is wrong.
///
/// # Errors
///
/// As a probe's.
#[cfg(feature = "probes")]
pub fn probed_answer(bytes: &[u8], most: usize) -> Result<(u16, u64), String> {
    doors::answer(bytes, most).map_err(|failure| failure.to_string())
}
