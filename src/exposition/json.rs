//! One JSON document, for programs that read no Prometheus.

use super::{
    family::{Encode, Family, Globals},
    number,
    text::with_globals,
};
use crate::model::family::{Buckets, Seen, Totals, Value};
use std::io::Write;

/// The encoder.
#[derive(Debug)]
pub(super) struct Json {
    globals: Globals,
    /// Whether something stands before what comes next.
    more_families: bool,
    more_series: bool,
}

impl Json {
    pub(super) fn new(globals: Globals) -> Self {
        Self {
            globals,
            more_families: false,
            more_series: false,
        }
    }
}

fn key(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A text in its quotes.
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        // A vector is a writer that never fails.
        let _ = match c {
            '"' => write!(out, "\\\""),
            '\\' => write!(out, "\\\\"),
            '\n' => write!(out, "\\n"),
            c if u32::from(c) < 0x20 => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "{c}"),
        };
    }
    out.push(b'"');
}

/// Appends a number; those that JSON has not are texts.
pub(crate) fn float(x: f64, out: &mut Vec<u8>) {
    if x.is_finite() {
        number::float(x, out);
    } else {
        out.push(b'"');
        number::float(x, out);
        out.push(b'"');
    }
}

fn totals(totals: Totals, out: &mut Vec<u8>) {
    key("count", out);
    number::integer(totals.count, out);
    key("sum", out);
    float(totals.sum, out);
}

/// An array of pairs.
fn pairs<T: Copy>(
    name: &str,
    pairs: &[(f64, T)],
    write: impl Fn(T, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    key(name, out);
    out.push(b'[');
    for (at, (first, second)) in pairs.iter().enumerate() {
        out.extend_from_slice(if at > 0 { b",[" } else { b"[" });
        float(*first, out);
        out.push(b',');
        write(*second, out);
        out.push(b']');
    }
    out.push(b']');
}

impl Encode for Json {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.push(b'[');
    }

    fn family(&mut self, family: &Family, out: &mut Vec<u8>) {
        let start: &[u8] = if self.more_families {
            b",\n{\"name\":"
        } else {
            b"\n{\"name\":"
        };
        out.extend_from_slice(start);
        self.more_families = true;
        self.more_series = false;
        string(&format!("{}{}", family.name, family.suffix), out);
        key("type", out);
        string(family.kind.word(), out);
        for (name, text) in [("help", family.help.as_deref()), ("unit", family.unit)] {
            if let Some(text) = text {
                key(name, out);
                string(text, out);
            }
        }
        key("series", out);
        out.push(b'[');
    }

    fn series(&mut self, _: &Family, seen: Seen<'_>, value: Value<'_>, out: &mut Vec<u8>) {
        let start: &[u8] = if self.more_series {
            b",\n {\"labels\":{"
        } else {
            b"\n {\"labels\":{"
        };
        out.extend_from_slice(start);
        self.more_series = true;
        for (at, (name, value)) in with_globals(seen.labels, &self.globals).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            string(name, out);
            out.push(b':');
            string(value, out);
        }
        out.push(b'}');
        match value {
            Value::Counter(n) => {
                key("value", out);
                number::integer(n, out);
            }
            Value::Gauge(x) | Value::Fraction(x) => {
                key("value", out);
                float(x, out);
            }
            Value::Histogram(sums, Buckets::Classic(buckets)) => {
                totals(sums, out);
                pairs("buckets", buckets, number::integer, out);
            }
            Value::Histogram(sums, Buckets::Native(..)) => totals(sums, out),
            Value::Summary(sums, quantiles) => {
                totals(sums, out);
                pairs("quantiles", quantiles, float, out);
            }
        }
        out.push(b'}');
    }

    fn family_end(&mut self, _: &Family, out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}");
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\n]\n");
    }
}
