//! Conditions become text, which reads as the same condition.

use super::{KINDS, is_plain, span::Span, usual};
use crate::{
    alerts::condition::{Condition, Test},
    query::{Aggregation, Query, Range, Term},
};
use std::fmt::{self, Display, Formatter, Write};

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
