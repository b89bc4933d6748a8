//! The text formats: a line a sample. Labels are written once a series, and what repeats is copied.

use super::{
    family::{Encode, Family, FamilyKind, Globals},
    names::{self, is_label_name, is_metric_name},
    number,
};
use crate::model::{
    family::{Buckets, Seen, Totals, Value},
    labels,
};

/// Which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// 0.0.4
    Classic,
    /// 1.0.0
    Utf8,
    /// 1.0
    OpenMetrics,
}

/// The encoder.
#[derive(Debug)]
pub(super) struct Text {
    dialect: Dialect,
    /// Whether series say since when they count; for OpenMetrics.
    has_created: bool,
    globals: Globals,
    /// Names of the labels of the series before, if it was of the same family.
    names: Option<Vec<Known>>,
    /// Labels of the series at hand, without braces.
    labels: Vec<u8>,
    /// What the lines of the family at hand begin with, but for the suffix.
    head: Vec<u8>,
    /// Bounds of the family at hand, and where each begins in `bounds`.
    bounds: Vec<u8>,
    known: Vec<(f64, usize)>,
}

/// The name of a label.
#[derive(Debug)]
struct Known {
    /// As the series has it; `None`: it is a global one.
    name: Option<Box<[u8]>>,
    /// What is written before its value; of a global label all of it.
    text: Vec<u8>,
}

impl Text {
    pub(super) fn new(dialect: Dialect, has_created: bool, globals: Globals) -> Self {
        Self {
            dialect,
            has_created: has_created && dialect == Dialect::OpenMetrics,
            globals,
            names: None,
            labels: Vec::new(),
            head: Vec::new(),
            bounds: Vec::new(),
            known: Vec::new(),
        }
    }

    fn is_utf8(&self) -> bool {
        self.dialect == Dialect::Utf8
    }

    /// Writes the labels of a series to `self.labels`.
    fn read_labels(&mut self, kind: FamilyKind, bytes: &[u8]) {
        if self.read_known(bytes) {
            return;
        }
        self.learn(kind, bytes);
        if !self.read_known(bytes) {
            // Bytes that nobody wrote.
            self.labels.clear();
        }
    }

    /// As most series of a family have the same names of labels, only the values are new. False: there are other names.
    fn read_known(&mut self, bytes: &[u8]) -> bool {
        self.labels.clear();
        let mut rest = bytes;
        let Some(names) = &self.names else {
            return false;
        };
        for Known { name, text } in names {
            let Some(name) = name else {
                self.labels.extend_from_slice(text);
                continue;
            };
            if labels::take_bytes(&mut rest) != Some(name) {
                return false;
            }
            let Some(value) = labels::take_bytes(&mut rest) else {
                return false;
            };
            self.labels.extend_from_slice(text);
            escape(value, true, &mut self.labels);
            self.labels.push(b'"');
        }
        rest.is_empty()
    }

    /// From now on, series have names as this one has.
    fn learn(&mut self, kind: FamilyKind, bytes: &[u8]) {
        let mut known = Vec::new();
        let is_utf8 = self.is_utf8();
        let all = with_globals(bytes, &self.globals);
        let renamed = names::label_names(all.clone().map(|l| l.0), kind.own_label(), is_utf8);
        let mut renamed = renamed.iter().flatten();
        let own = labels::iter(bytes).count();
        for (at, (name, value)) in all.enumerate() {
            let shown = renamed.next().map_or(name, AsRef::as_ref);
            let mut text = Vec::with_capacity(shown.len() + 3);
            if at > 0 {
                text.push(b',');
            }
            if is_label_name(shown) {
                text.extend_from_slice(shown.as_bytes());
            } else {
                quote(shown, &mut text);
            }
            text.extend_from_slice(b"=\"");
            // A global one is the same in each series.
            let is_global = at >= own;
            if is_global {
                escape(value.as_bytes(), true, &mut text);
                text.push(b'"');
            }
            let name = (!is_global).then(|| name.as_bytes().into());
            known.push(Known { name, text });
        }
        self.names = Some(known);
    }

    /// A line up to its value. `extra`: one more label, all of it.
    fn line(&self, family: &Family, suffix: &str, extra: &[u8], out: &mut Vec<u8>) {
        let is_plain = self.head.is_empty();
        let mut open = if is_plain { b'{' } else { b',' };
        if is_plain {
            out.extend_from_slice(family.name.as_bytes());
            out.extend_from_slice(suffix.as_bytes());
        } else {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(suffix.as_bytes());
            out.push(b'"');
        }
        for part in [&*self.labels, extra] {
            if !part.is_empty() {
                out.push(open);
                out.extend_from_slice(part);
                open = b',';
            }
        }
        if !is_plain || open == b',' {
            out.push(b'}');
        }
        out.push(b' ');
    }

    /// Whether a sum may be told. One into which negative values go is no counter, and OpenMetrics has none then: its section
    /// "Histogram".
    fn has_sum(&self, totals: Totals, is_signed: bool) -> bool {
        self.dialect != Dialect::OpenMetrics || !(is_signed || totals.sum < 0.0)
    }

    fn sum(&self, family: &Family, totals: Totals, out: &mut Vec<u8>) {
        self.line(family, "_sum", b"", out);
        number::float(totals.sum, out);
        out.push(b'\n');
    }

    fn count(&self, family: &Family, totals: Totals, out: &mut Vec<u8>) {
        self.line(family, "_count", b"", out);
        number::integer(totals.count, out);
        out.push(b'\n');
    }

    fn classic(
        &mut self,
        family: &Family,
        totals: Totals,
        buckets: &[(f64, u64)],
        out: &mut Vec<u8>,
    ) {
        if self.known.len() != buckets.len()
            || self
                .known
                .iter()
                .zip(buckets)
                .any(|(a, b)| a.0.to_bits() != b.0.to_bits())
        {
            self.known.clear();
            self.bounds.clear();
            for (bound, _) in buckets {
                self.known.push((*bound, self.bounds.len()));
                self.bounds.extend_from_slice(b"le=\"");
                number::canonical(*bound, &mut self.bounds);
                self.bounds.push(b'"');
            }
        }
        let ends = self.known.iter().skip(1).map(|known| known.1);
        let ends = ends.chain([self.bounds.len()]);
        for (((_, from), to), (_, count)) in self.known.iter().zip(ends).zip(buckets) {
            let bound = self.bounds.get(*from..to).unwrap_or_default();
            self.line(family, "_bucket", bound, out);
            number::integer(*count, out);
            out.push(b'\n');
        }
        self.line(family, "_bucket", b"le=\"+Inf\"", out);
        number::integer(totals.count, out);
        out.push(b'\n');
        let is_signed = buckets.first().is_some_and(|(bound, _)| *bound < 0.0);
        // Without a sum there is no count, which the last bucket says.
        if self.has_sum(totals, is_signed) {
            self.sum(family, totals, out);
            self.count(family, totals, out);
        }
    }

    fn summary(&self, family: &Family, totals: Totals, pairs: &[(f64, f64)], out: &mut Vec<u8>) {
        let mut label = Vec::with_capacity(32);
        let is_signed = pairs.iter().any(|(_, value)| *value < 0.0);
        // OpenMetrics has no quantiles below zero, and a parser that minds refuses all of the text for one.
        let is_left_out = |value: f64| self.dialect == Dialect::OpenMetrics && value < 0.0;
        for (quantile, value) in pairs.iter().filter(|pair| !is_left_out(pair.1)) {
            label.clear();
            label.extend_from_slice(b"quantile=\"");
            number::canonical(*quantile, &mut label);
            label.push(b'"');
            self.line(family, "", &label, out);
            number::float(*value, out);
            out.push(b'\n');
        }
        if self.has_sum(totals, is_signed) {
            self.sum(family, totals, out);
        }
        self.count(family, totals, out);
    }

    /// The family's name behind `# HELP` and its like.
    fn meta(&self, word: &str, family: &Family, out: &mut Vec<u8>) {
        out.extend_from_slice(b"# ");
        out.extend_from_slice(word.as_bytes());
        out.push(b' ');
        let suffix = match self.dialect {
            Dialect::OpenMetrics => "",
            Dialect::Classic | Dialect::Utf8 => family.suffix,
        };
        if self.head.is_empty() {
            out.extend_from_slice(family.name.as_bytes());
            out.extend_from_slice(suffix.as_bytes());
        } else {
            out.extend_from_slice(self.head.get(1..).unwrap_or_default());
            out.extend_from_slice(suffix.as_bytes());
            out.push(b'"');
        }
        out.push(b' ');
    }
}

/// Labels of a series, and the global ones that it has not.
pub(super) fn with_globals<'a>(
    bytes: &'a [u8],
    globals: &'a Globals,
) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
    let own = labels::iter(bytes);
    let absent = move |name: &str| globals.is_empty() || labels::value_of(bytes, name).is_none();
    let more = globals.iter().map(|(name, value)| (&**name, &**value));
    own.chain(more.filter(move |(name, _)| absent(name)))
}

/// Appends a text in quotes.
fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text.as_bytes(), true, out);
    out.push(b'"');
}

fn escape(text: &[u8], quotes: bool, out: &mut Vec<u8>) {
    let is_special = |c: u8| c == b'\\' || c == b'\n' || quotes && c == b'"';
    // Looked at without an end before the end, sixteen bytes are one step.
    if !text.iter().fold(false, |found, c| found | is_special(*c)) {
        return out.extend_from_slice(text);
    }
    for c in text {
        match c {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            c => out.push(*c),
        }
    }
}

impl Encode for Text {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn family(&mut self, family: &Family, out: &mut Vec<u8>) {
        self.head.clear();
        self.names = None;
        self.known.clear();
        self.bounds.clear();
        if !is_metric_name(&family.name) {
            self.head.extend_from_slice(b"{\"");
            escape(family.name.as_bytes(), true, &mut self.head);
        }
        let is_open = self.dialect == Dialect::OpenMetrics;
        if let (Some(help), false) = (&family.help, is_open) {
            self.meta("HELP", family, out);
            escape(help.as_bytes(), false, out);
            out.push(b'\n');
        }
        self.meta("TYPE", family, out);
        out.extend_from_slice(family.kind.word().as_bytes());
        out.push(b'\n');
        if let (Some(unit), true) = (family.unit, is_open) {
            self.meta("UNIT", family, out);
            out.extend_from_slice(unit.as_bytes());
            out.push(b'\n');
        }
        if let (Some(help), true) = (&family.help, is_open) {
            self.meta("HELP", family, out);
            escape(help.as_bytes(), true, out);
            out.push(b'\n');
        }
    }

    fn series(&mut self, family: &Family, seen: Seen<'_>, value: Value<'_>, out: &mut Vec<u8>) {
        self.read_labels(family.kind, seen.labels);
        match value {
            Value::Counter(n) => {
                self.line(family, family.suffix, b"", out);
                number::integer(n, out);
                out.push(b'\n');
            }
            Value::Fraction(x) => {
                self.line(family, family.suffix, b"", out);
                number::float(x, out);
                out.push(b'\n');
            }
            Value::Gauge(x) => {
                self.line(family, "", b"", out);
                number::float(x, out);
                out.push(b'\n');
            }
            Value::Histogram(totals, Buckets::Classic(buckets)) => {
                self.classic(family, totals, buckets, out);
            }
            // The traversal gives these to protobuf only.
            Value::Histogram(totals, Buckets::Native(..)) => {
                self.classic(family, totals, &[], out);
            }
            Value::Summary(totals, pairs) => self.summary(family, totals, pairs, out),
        }
        if let (Some(ms), true) = (seen.since_ms, self.has_created) {
            self.line(family, "_created", b"", out);
            number::seconds(ms, out);
            out.push(b'\n');
        }
    }

    fn family_end(&mut self, _: &Family, _: &mut Vec<u8>) {}

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.dialect == Dialect::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
    }
}
