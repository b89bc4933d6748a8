//! Conditions as text, both ways.

use super::{
    condition::{Condition, Test},
    template::{is_label_name, position, string},
};
use crate::{
    error::Error,
    model::MetricKind,
    query::{Aggregation, Matcher, Query, Range, Term, Wanted},
};
use std::{
    fmt::{self, Display, Formatter, Write},
    str::FromStr,
    time::Duration,
};

/// Bytes of a condition, and parentheses inside of each other, that are read.
const LONGEST: usize = 16 << 10;
const DEEPEST: usize = 32;

impl FromStr for Condition {
    type Err = Error;

    /// Reads what `Display` writes; see [`Condition`] for the words. A mistake is named with its position.
    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(Error::invalid(format!(
                "a condition of {} bytes: allowed are {LONGEST}",
                text.len()
            )));
        }
        let mut reader = Reader {
            text,
            at: 0,
            depth: 0,
        };
        let condition = reader.condition().map_err(|(at, what)| {
            let at = position(text, at);
            Error::invalid(format!("condition `{text}`, at character {at}: {what}"))
        })?;
        condition.check()?;
        Ok(condition)
    }
}

/// Where a mistake is, in bytes, and what it is.
type Wrong = (usize, String);

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blank(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes `sign` if it is next.
    fn sign(&mut self, sign: &str) -> bool {
        self.blank();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn need(&mut self, sign: &str) -> Result<(), Wrong> {
        if self.sign(sign) {
            Ok(())
        } else {
            Err(self.wrong(format!("`{sign}` is missing")))
        }
    }

    fn wrong(&self, what: impl Into<String>) -> Wrong {
        (self.at, what.into())
    }

    /// The word that is next, without taking it.
    fn peek(&mut self) -> &'a str {
        self.blank();
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '.')));
        &rest[..end.unwrap_or(rest.len())]
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.peek() == word;
        if found {
            self.at += word.len();
        }
        found
    }

    fn condition(&mut self) -> Result<Condition, Wrong> {
        let term = self.ratio()?;
        let test = self.test()?;
        let clear = if self.word("clear") {
            Some(self.number()?)
        } else {
            None
        };
        self.blank();
        if self.rest().is_empty() {
            Ok(Condition { term, test, clear })
        } else {
            Err(self.wrong("the condition should end here"))
        }
    }

    fn ratio(&mut self) -> Result<Term, Wrong> {
        let mut term = self.postfixed()?;
        while self.sign("/") {
            term = Term::Ratio(Box::new(term), Box::new(self.postfixed()?));
        }
        Ok(term)
    }

    fn postfixed(&mut self) -> Result<Term, Wrong> {
        let mut term = if self.sign("(") {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(self.wrong(format!(
                    "more than {DEEPEST} parentheses inside of each other"
                )));
            }
            let inner = self.ratio()?;
            self.depth -= 1;
            self.need(")")?;
            inner
        } else {
            self.ask()?
        };
        let mut more = 0;
        loop {
            if self.word("change") {
                term = Term::Change(Box::new(term), self.duration()?);
            } else if self.word("offset") {
                term = Term::Ago(Box::new(term), self.duration()?);
            } else {
                return Ok(term);
            }
            more += 1;
            if more > DEEPEST {
                return Err(self.wrong(format!("more than {DEEPEST} changes and offsets")));
            }
        }
    }

    fn ask(&mut self) -> Result<Term, Wrong> {
        let begin = self.at;
        let mut word = self.peek();
        let from = self.at;
        self.at += word.len();
        // `quantile(0.5)(name)` has its number in front.
        let whole;
        if word.eq_ignore_ascii_case("quantile") {
            self.need("(")?;
            let q = self.number()?;
            self.need(")")?;
            whole = format!("quantile({q})");
            word = &whole;
        }
        if word.is_empty() {
            return Err((
                from.max(begin),
                "a question is missing, as `rate(name) over 5m`".to_owned(),
            ));
        }
        let aggregation: Aggregation = word
            .parse()
            .map_err(|error: Error| (from, error.to_string()))?;
        self.need("(")?;
        let kind = self.kind(aggregation);
        let mut query = Query {
            kind,
            name: self.name("the name of a metric")?.into(),
            matchers: Vec::new(),
            by: Vec::new(),
            window: None,
            step: None,
        };
        if self.sign("{") {
            query.matchers = self.matchers()?;
        }
        self.need(")")?;
        if self.word("by") {
            query.by = self.labels()?;
        }
        if self.word("over") {
            query.window = Some(Range::Last(self.duration()?));
        }
        aggregation
            .check(&query)
            .map_err(|error| (from, error.to_string()))?;
        Ok(Term::Ask { query, aggregation })
    }

    /// The kind that is named, or else the one that is meant.
    fn kind(&mut self, aggregation: Aggregation) -> MetricKind {
        let before = self.at;
        let word = self.peek();
        self.at += word.len();
        let kind = KINDS.iter().find(|kind| kind.as_str() == word);
        // `max(gauge)` is about a metric of that name.
        self.blank();
        if let Some(kind) = kind.filter(|_| !self.rest().starts_with([')', '{'])) {
            return *kind;
        }
        self.at = before;
        usual(aggregation)
    }

    /// A plain word, or a string.
    fn name(&mut self, what: &str) -> Result<String, Wrong> {
        self.blank();
        if self.rest().starts_with('"') {
            return self.string();
        }
        let word = self.peek();
        if !is_plain(word) {
            return Err(self.wrong(format!("{what} is missing: allowed are words of letters, digits, `_`, `:` and `.`, and strings")));
        }
        self.at += word.len();
        Ok(word.to_owned())
    }

    fn string(&mut self) -> Result<String, Wrong> {
        self.blank();
        let begin = self.rest().starts_with('"');
        let read = string(self.rest()).filter(|_| begin);
        let (text, len) = read.ok_or_else(|| {
            self.wrong("a string in double quotes is missing, or has no end, or an escape other than \\\" \\\\ \\n \\t")
        })?;
        self.at += len;
        Ok(text)
    }

    fn matchers(&mut self) -> Result<Vec<Matcher>, Wrong> {
        let mut matchers = Vec::new();
        while !self.sign("}") {
            let name = self.name("the name of a label")?.into();
            let from = self.at;
            let (is, is_pattern) = match () {
                () if self.sign("=~") => (true, true),
                () if self.sign("!~") => (false, true),
                () if self.sign("!=") => (false, false),
                () if self.sign("=") => (true, false),
                () => return Err(self.wrong("a label is compared by `=`, `!=`, `=~` or `!~`")),
            };
            let text = self.string()?;
            let value = if is_pattern {
                Wanted::pattern(&text).map_err(|error| (from, error.to_string()))?
            } else {
                Wanted::Text(text.into())
            };
            matchers.push(Matcher { name, value, is });
            if !self.sign(",") {
                self.need("}")?;
                break;
            }
        }
        Ok(matchers)
    }

    fn labels(&mut self) -> Result<Vec<Box<str>>, Wrong> {
        self.need("(")?;
        let mut names: Vec<Box<str>> = Vec::new();
        loop {
            names.push(self.name("the name of a label")?.into());
            if !self.sign(",") {
                break;
            }
        }
        self.need(")")?;
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn number(&mut self) -> Result<f64, Wrong> {
        self.blank();
        let rest = self.rest();
        let mut end = 0;
        for (at, c) in rest.char_indices() {
            // A range has two points, an exponent a sign.
            let is_range = rest[at..].starts_with("..");
            let is_sign = matches!(c, '+' | '-') && (at == 0 || rest[..at].ends_with(['e', 'E']));
            if is_range || !(c.is_ascii_alphanumeric() || c == '.' || is_sign) {
                break;
            }
            end = at + c.len_utf8();
        }
        let word = &rest[..end];
        let number = word
            .parse::<f64>()
            .map_err(|_| self.wrong(format!("a number is missing, and `{word}` is none")))?;
        if number.is_nan() {
            return Err(self.wrong("NaN is no threshold: allowed are numbers"));
        }
        self.at += end;
        Ok(number)
    }

    fn duration(&mut self) -> Result<Duration, Wrong> {
        let word = self.peek();
        let duration = read_duration(word).ok_or_else(|| {
            self.wrong(format!("`{word}` is no duration: allowed are 500ms, 30s, 5m, 1h30m, 2d and the like, above zero"))
        })?;
        self.at += word.len();
        Ok(duration)
    }

    fn test(&mut self) -> Result<Test, Wrong> {
        for (sign, test) in COMPARISONS {
            if self.sign(sign) {
                return Ok(test(self.number()?));
            }
        }
        if self.word("outside") {
            let low = self.number()?;
            self.need("..")?;
            return Ok(Test::Outside(low, self.number()?));
        }
        if self.word("absent") {
            return Ok(Test::Absent(self.duration()?));
        }
        if self.word("crosses") {
            let x = self.number()?;
            self.blank();
            if !self.word("within") {
                return Err(self.wrong("`within` is missing"));
            }
            return Ok(Test::Crosses(x, self.duration()?));
        }
        Err(self
            .wrong("a comparison is missing: allowed are > >= < <= == != outside absent crosses"))
    }
}

const KINDS: [MetricKind; 3] = [
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
];

/// A sign, and what it compares.
type Comparison = (&'static str, fn(f64) -> Test);

/// Those with two signs first.
const COMPARISONS: [Comparison; 6] = [
    (">=", Test::AtLeast),
    ("<=", Test::AtMost),
    ("==", Test::Equal),
    ("!=", Test::NotEqual),
    (">", Test::Above),
    ("<", Test::Below),
];

/// The kind that is meant when none is named.
fn usual(aggregation: Aggregation) -> MetricKind {
    match aggregation {
        Aggregation::Total | Aggregation::Increase | Aggregation::Rate => MetricKind::Counter,
        Aggregation::Count | Aggregation::Median | Aggregation::Quantile(_) => {
            MetricKind::Histogram
        }
        _ => MetricKind::Gauge,
    }
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'.'))
}

const UNITS: [(&str, u128); 8] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// `1h30m`; not zero.
pub(super) fn read_duration(text: &str) -> Option<Duration> {
    if text == "all" {
        return Some(Duration::MAX);
    }
    let mut rest = text;
    let mut ns = 0_u128;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..end])?;
        ns += u128::from(number) * unit;
        rest = &rest[end..];
    }
    let seconds = u64::try_from(ns / 1_000_000_000).ok()?;
    let left = u32::try_from(ns % 1_000_000_000).ok()?;
    (ns > 0).then(|| Duration::new(seconds, left))
}

/// The other way round.
pub(super) struct Span(pub(super) Duration);

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == Duration::MAX {
            return f.write_str("all");
        }
        let mut ns = self.0.as_nanos();
        if ns == 0 {
            return f.write_str("0s");
        }
        // Weeks are for reading only.
        for (unit, size) in &UNITS[1..] {
            if ns >= *size {
                write!(f, "{}{unit}", ns / size)?;
                ns %= size;
            }
        }
        Ok(())
    }
}

/// A name as it stands in text.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_plain(self.0) {
            f.write_str(self.0)
        } else {
            Quoted(self.0).fmt(f)
        }
    }
}

struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// A term, in parentheses if it is a ratio.
struct Inner<'a>(&'a Term);

impl Display for Inner<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Term::Ratio(..) => write!(f, "({})", Whole(self.0)),
            term => Whole(term).fmt(f),
        }
    }
}

struct Whole<'a>(&'a Term);

impl Display for Whole<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Term::Ask { query, aggregation } => write_ask(f, query, *aggregation),
            Term::Ratio(a, b) => write!(f, "{} / {}", Inner(a), Inner(b)),
            Term::Change(inner, ago) => write!(f, "{} change {}", Inner(inner), Span(*ago)),
            Term::Ago(inner, ago) => write!(f, "{} offset {}", Inner(inner), Span(*ago)),
        }
    }
}

/// `p99`, where that says it exactly.
fn write_aggregation(f: &mut Formatter<'_>, aggregation: Aggregation) -> fmt::Result {
    if let Aggregation::Quantile(q) = aggregation {
        let short = format!("p{}", (q * 1e6).round() / 1e4);
        if short.parse::<Aggregation>().ok() == Some(aggregation) {
            return f.write_str(&short);
        }
    }
    write!(f, "{aggregation}")
}

fn write_ask(f: &mut Formatter<'_>, query: &Query, aggregation: Aggregation) -> fmt::Result {
    write_aggregation(f, aggregation)?;
    f.write_char('(')?;
    if query.kind != usual(aggregation) {
        write!(f, "{} ", query.kind)?;
    }
    let is_kind = KINDS.iter().any(|kind| kind.as_str() == &*query.name);
    if is_kind {
        Quoted(&query.name).fmt(f)?;
    } else {
        Name(&query.name).fmt(f)?;
    }
    for (i, matcher) in query.matchers.iter().enumerate() {
        let sign = match (matcher.is, matcher.is_pattern()) {
            (true, false) => "=",
            (false, false) => "!=",
            (true, true) => "=~",
            (false, true) => "!~",
        };
        let open = if i == 0 { "{" } else { ", " };
        write!(
            f,
            "{open}{}{sign}{}",
            Name(&matcher.name),
            Quoted(matcher.text())
        )?;
    }
    f.write_str(if query.matchers.is_empty() { ")" } else { "})" })?;
    if !query.by.is_empty() {
        f.write_str(" by (")?;
        for (i, name) in query.by.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, Name(name))?;
        }
        f.write_char(')')?;
    }
    match query.window {
        Some(Range::Last(window)) => write!(f, " over {}", Span(window)),
        // No rule has it.
        Some(Range::Between(from, to)) => write!(f, " between {from} and {to}"),
        None => Ok(()),
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", Whole(&self.term))?;
        match self.test {
            Test::Above(x) => write!(f, "> {x}"),
            Test::AtLeast(x) => write!(f, ">= {x}"),
            Test::Below(x) => write!(f, "< {x}"),
            Test::AtMost(x) => write!(f, "<= {x}"),
            Test::Equal(x) => write!(f, "== {x}"),
            Test::NotEqual(x) => write!(f, "!= {x}"),
            Test::Outside(low, high) => write!(f, "outside {low}..{high}"),
            Test::Absent(time) => write!(f, "absent {}", Span(time)),
            Test::Crosses(x, within) => write!(f, "crosses {x} within {}", Span(within)),
        }?;
        match self.clear {
            Some(clear) => write!(f, " clear {clear}"),
            None => Ok(()),
        }
    }
}

/// Whether a label of a rule may be called so.
pub(super) fn check_label(what: &str, name: &str) -> Result<(), Error> {
    if !is_label_name(name) {
        return Err(Error::invalid(format!(
            "{what} `{name}`: allowed are letters, digits and `_`, not beginning with a digit"
        )));
    }
    Ok(())
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
