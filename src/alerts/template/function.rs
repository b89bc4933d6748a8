//! The functions of templates, and what they make of a value.

use super::super::number::{self, go};
use std::fmt::Write;

/// One function of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Plain(Function),
    /// `printf` with one value: what stands before it, how it is written, what stands behind it.
    Print(Box<str>, Verb, Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    Humanize,
    Humanize1024,
    HumanizeDuration,
    HumanizePercentage,
    HumanizeTimestamp,
    ToUpper,
    ToLower,
}

const FUNCTIONS: [(&str, Function); 7] = [
    ("humanize", Function::Humanize),
    ("humanize1024", Function::Humanize1024),
    ("humanizeDuration", Function::HumanizeDuration),
    ("humanizePercentage", Function::HumanizePercentage),
    ("humanizeTimestamp", Function::HumanizeTimestamp),
    ("toUpper", Function::ToUpper),
    ("toLower", Function::ToLower),
];

/// How `printf` writes its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verb {
    /// `%s`, `%v`
    Plain,
    /// `%.2f`
    Fixed(u8),
    /// `%.4g`
    Short(u8),
    /// `%.2e`
    Exponent(u8),
}

/// A value on its way through a pipeline.
pub(super) enum Item {
    Number(f64),
    Text(String),
}

impl Item {
    pub(super) fn text(self) -> String {
        match self {
            Self::Number(value) => go(value),
            Self::Text(text) => text,
        }
    }
}

/// All names that there are, for an error.
pub(super) fn names() -> String {
    let names: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
    format!("{}, printf", names.join(", "))
}

impl Step {
    /// The function of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
        known.map(|(_, function)| Self::Plain(*function))
    }

    /// `printf` with this format, of one value; `None`: the format is not understood.
    pub(super) fn print(format: &str) -> Option<Self> {
        let mut sides = [String::new(), String::new()];
        let mut verb = None;
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            let side = &mut sides[usize::from(verb.is_some())];
            side.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(behind) = rest.strip_prefix('%') {
                side.push('%');
                rest = behind;
                continue;
            }
            let len = rest.find(|c: char| c.is_ascii_alphabetic())?;
            let digits = match &rest[..len] {
                "" => None,
                some => Some(
                    some.strip_prefix('.')
                        .and_then(|n| n.parse::<u8>().ok())
                        .filter(|n| *n <= 30)?,
                ),
            };
            let found = match (rest.as_bytes()[len], digits) {
                (b's' | b'v' | b'g', None) => Verb::Plain,
                (b'f', digits) => Verb::Fixed(digits.unwrap_or(6)),
                (b'e', digits) => Verb::Exponent(digits.unwrap_or(6)),
                (b'g', Some(digits)) => Verb::Short(digits.max(1)),
                _ => return None,
            };
            if verb.replace(found).is_some() {
                return None;
            }
            rest = &rest[len + 1..];
        }
        let verb = verb?;
        let [before, mut behind] = sides;
        behind.push_str(rest);
        Some(Self::Print(before.into(), verb, behind.into()))
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Print(before, _, behind) => before.len() + behind.len(),
        }
    }

    pub(super) fn apply(&self, item: Item) -> Item {
        let with_number = |item: Item, write: &dyn Fn(f64) -> String| {
            let number = match &item {
                Item::Number(value) => Ok(*value),
                Item::Text(text) => text.parse::<f64>().map_err(|_| text),
            };
            match number {
                Ok(value) => write(value),
                Err(text) => format!("<error: {text:?} is not a number>"),
            }
        };
        let text = match self {
            Self::Plain(Function::ToUpper) => item.text().to_uppercase(),
            Self::Plain(Function::ToLower) => item.text().to_lowercase(),
            Self::Plain(function) => with_number(
                item,
                match function {
                    Function::Humanize1024 => &number::humanize1024,
                    Function::HumanizeDuration => &number::humanize_duration,
                    Function::HumanizePercentage => &number::humanize_percentage,
                    Function::HumanizeTimestamp => &number::humanize_timestamp,
                    _ => &number::humanize,
                },
            ),
            Self::Print(before, verb, behind) => {
                let middle = match *verb {
                    Verb::Plain => item.text(),
                    Verb::Fixed(digits) => with_number(item, &|v| number::fixed(v, digits.into())),
                    Verb::Short(digits) => with_number(item, &|v| number::short(v, digits.into())),
                    Verb::Exponent(digits) => {
                        with_number(item, &|v| number::exponent(v, digits.into()))
                    }
                };
                let mut text = String::new();
                // Writing to a string cannot fail.
                let _ = write!(text, "{before}{middle}{behind}");
                text
            }
        };
        Item::Text(text)
    }
}
