//! Text becomes a condition, or a mistake with its position.

use super::{KINDS, is_plain, span::read_duration, usual};
use crate::{
    alerts::{
        condition::{Condition, Test},
        lexis::{position, string},
    },
    error::Error,
    model::MetricKind,
    query::{Aggregation, Matcher, Query, Range, Term, Wanted},
    util::text::Brief,
};
use std::{str::FromStr, time::Duration};

/// Bytes of a condition, and parentheses inside of each other, that are read.
pub(super) const LONGEST: usize = 16 << 10;
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
            let text = Brief(text);
            Error::invalid(format!("condition `{text}`, at character {at}: {what}"))
        })?;
        condition.check()?;
        Ok(condition)
    }
}

/// Where a mistake is, in bytes, and what it is.
pub(super) type Wrong = (usize, String);

/// Reads one condition.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) depth: usize,
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

    pub(super) fn condition(&mut self) -> Result<Condition, Wrong> {
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
        if number.is_infinite() && word.contains(|c: char| c.is_ascii_digit()) {
            return Err(self.wrong(format!(
                "`{word}` is beyond all numbers: allowed are those up to 1.8e308, and `inf`"
            )));
        }
        self.at += end;
        Ok(number)
    }

    fn duration(&mut self) -> Result<Duration, Wrong> {
        let word = self.peek();
        let duration = read_duration(word).ok_or_else(|| {
            let found = self.rest().split_whitespace().next();
            let found = found.map_or("a duration is missing".to_owned(), |found| {
                format!("`{found}` is no duration")
            });
            self.wrong(format!(
                "{found}: allowed are 500ms, 30s, 5m, 1h30m, 2d and the like, above zero"
            ))
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

/// A sign, and what it compares.
pub(super) type Comparison = (&'static str, fn(f64) -> Test);

/// Those with two signs first.
pub(super) const COMPARISONS: [Comparison; 6] = [
    (">=", Test::AtLeast),
    ("<=", Test::AtMost),
    ("==", Test::Equal),
    ("!=", Test::NotEqual),
    (">", Test::Above),
    ("<", Test::Below),
];
