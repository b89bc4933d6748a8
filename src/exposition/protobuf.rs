//! Length-delimited `MetricFamily` messages of `io.prometheus.client`, written by hand: they are few, and so nobody needs a
//! compiler for them.

use super::{
    family::{Encode, Family, FamilyKind, Globals},
    names,
    text::with_globals,
};
use crate::model::{
    family::{Buckets, Seen, Totals, Value},
    schema::Code,
};

/// The encoder. A family is one message, and so it is gathered before it is written.
#[derive(Debug)]
pub(super) struct Protobuf {
    globals: Globals,
    family: Vec<u8>,
    metric: Vec<u8>,
    inner: Vec<u8>,
    small: Vec<u8>,
}

/// Bounds of what counts as zero in the store: all below the smallest normal value.
const ZERO: f64 = f64::MIN_POSITIVE;

impl Protobuf {
    pub(super) fn new(globals: Globals) -> Self {
        Self {
            globals,
            family: Vec::new(),
            metric: Vec::new(),
            inner: Vec::new(),
            small: Vec::new(),
        }
    }

    fn label(&mut self, name: &str, value: &str) {
        self.small.clear();
        bytes(1, name.as_bytes(), &mut self.small);
        bytes(2, value.as_bytes(), &mut self.small);
        bytes(1, &self.small, &mut self.metric);
    }

    /// A `google.protobuf.Timestamp`.
    fn since(&mut self, field: u32, ms: i64) {
        self.small.clear();
        uint(1, ms.div_euclid(1000).cast_unsigned(), &mut self.small);
        let nanos = ms.rem_euclid(1000) * 1_000_000;
        uint(2, nanos.cast_unsigned(), &mut self.small);
        bytes(field, &self.small, &mut self.inner);
    }

    fn classic(&mut self, totals: Totals, buckets: &[(f64, u64)]) {
        uint(1, totals.count, &mut self.inner);
        double(2, totals.sum, &mut self.inner);
        let last = (f64::INFINITY, totals.count);
        for (bound, count) in buckets.iter().chain([&last]) {
            self.small.clear();
            uint(1, *count, &mut self.small);
            double(2, *bound, &mut self.small);
            bytes(3, &self.small, &mut self.inner);
        }
    }

    fn native(&mut self, totals: Totals, scale: u8, counts: &[(Code, u64)]) {
        uint(1, totals.count, &mut self.inner);
        double(2, totals.sum, &mut self.inner);
        uint(5, zigzag(i64::from(scale)), &mut self.inner);
        double(6, ZERO, &mut self.inner);
        let zeros = counts.iter().find(|count| count.0 == 0);
        uint(7, zeros.map_or(0, |count| count.1), &mut self.inner);
        // Code 1 holds the smallest normal value alone and the buckets up to there; Prometheus counts from 2^-1022.
        let first = (1022i32 << scale) + 1;
        let negative = counts.iter().rev().filter(|count| count.0 < 0);
        let negative = negative.map(|(code, n)| (-code - first, *n));
        let positive = counts.iter().filter(|count| count.0 > 0);
        let positive = positive.map(|(code, n)| (code - first, *n));
        self.spans(9, negative);
        let has_negative = counts.first().is_some_and(|count| count.0 < 0);
        let has_positive = counts.last().is_some_and(|count| count.0 > 0);
        self.spans(12, positive);
        if !has_negative && !has_positive {
            // A span without buckets says that the histogram is native.
            bytes(12, &[8, 0, 16, 0], &mut self.inner);
        }
    }

    /// Spans at `field`, and behind it the differences of the counts.
    fn spans(&mut self, field: u32, counts: impl Iterator<Item = (i32, u64)>) {
        let mut spans: Vec<(i32, u32)> = Vec::new();
        let mut deltas = Vec::new();
        let (mut next, mut before) = (0, 0i64);
        for (index, count) in counts {
            match spans.last_mut() {
                Some(span) if index == next => span.1 += 1,
                _ => spans.push((index - next, 1)),
            }
            next = index + 1;
            let count = count.cast_signed();
            varint(zigzag(count.wrapping_sub(before)), &mut deltas);
            before = count;
        }
        for (offset, length) in spans {
            self.small.clear();
            uint(1, zigzag(i64::from(offset)), &mut self.small);
            uint(2, u64::from(length), &mut self.small);
            bytes(field, &self.small, &mut self.inner);
        }
        if !deltas.is_empty() {
            bytes(field + 1, &deltas, &mut self.inner);
        }
    }
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)).cast_unsigned()
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    loop {
        let low = (n & 0x7f).to_le_bytes()[0];
        n >>= 7;
        if n == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

fn tag(field: u32, wire: u32, out: &mut Vec<u8>) {
    varint(u64::from(field << 3 | wire), out);
}

fn uint(field: u32, n: u64, out: &mut Vec<u8>) {
    tag(field, 0, out);
    varint(n, out);
}

fn double(field: u32, x: f64, out: &mut Vec<u8>) {
    tag(field, 1, out);
    out.extend_from_slice(&x.to_le_bytes());
}

fn bytes(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    tag(field, 2, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

impl Encode for Protobuf {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn family(&mut self, family: &Family, _: &mut Vec<u8>) {
        self.family.clear();
        let name = format!("{}{}", family.name, family.suffix);
        bytes(1, name.as_bytes(), &mut self.family);
        if let Some(help) = &family.help {
            bytes(2, help.as_bytes(), &mut self.family);
        }
        let kind = match family.kind {
            FamilyKind::Counter => 0,
            FamilyKind::Gauge => 1,
            FamilyKind::Summary => 2,
            FamilyKind::Histogram => 4,
        };
        uint(3, kind, &mut self.family);
        if let Some(unit) = family.unit {
            bytes(5, unit.as_bytes(), &mut self.family);
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the message has floats for counters; above 2^53 they round"
    )]
    fn series(&mut self, family: &Family, seen: Seen<'_>, value: Value<'_>, _: &mut Vec<u8>) {
        self.metric.clear();
        self.inner.clear();
        let globals = std::mem::take(&mut self.globals);
        let all = with_globals(seen.labels, &globals);
        let own = family.kind.own_label();
        let renamed = names::label_names(all.clone().map(|l| l.0), own, false);
        let mut renamed = renamed.iter().flatten();
        for (name, value) in all {
            let name = renamed.next().map_or(name, AsRef::as_ref);
            self.label(name, value);
        }
        self.globals = globals;
        let field = match value {
            Value::Gauge(x) => {
                double(1, x, &mut self.inner);
                2
            }
            Value::Counter(n) => {
                double(1, n as f64, &mut self.inner);
                3
            }
            Value::Fraction(x) => {
                double(1, x, &mut self.inner);
                3
            }
            Value::Summary(totals, pairs) => {
                uint(1, totals.count, &mut self.inner);
                double(2, totals.sum, &mut self.inner);
                for (quantile, x) in pairs {
                    self.small.clear();
                    double(1, *quantile, &mut self.small);
                    double(2, *x, &mut self.small);
                    bytes(3, &self.small, &mut self.inner);
                }
                4
            }
            Value::Histogram(totals, Buckets::Classic(buckets)) => {
                self.classic(totals, buckets);
                7
            }
            Value::Histogram(totals, Buckets::Native(scale, counts)) => {
                self.native(totals, scale, counts);
                7
            }
        };
        if let Some(ms) = seen.since_ms {
            let field = match value {
                Value::Histogram(..) => 15,
                Value::Summary(..) => 4,
                Value::Counter(_) | Value::Fraction(_) | Value::Gauge(_) => 3,
            };
            self.since(field, ms);
        }
        bytes(field, &self.inner, &mut self.metric);
        bytes(4, &self.metric, &mut self.family);
    }

    fn family_end(&mut self, _: &Family, out: &mut Vec<u8>) {
        varint(self.family.len() as u64, out);
        out.extend_from_slice(&self.family);
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}
