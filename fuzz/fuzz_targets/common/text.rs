//! Names, values and labels as programs and attackers make them.

use arbitrary::Arbitrary;
use metrics_recall::metrics::{Label, SharedString};

/// A name or a value.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Text<'a> {
    /// One of a few, so that inputs meet the same series again.
    Known(u8),
    Any(&'a str),
    /// So many bytes.
    Long(u16),
    /// What means something to the store.
    Special(u8),
}

const KNOWN: [&str; 8] = ["a", "b", "c", "requests", "seconds", "route", "x", "zz"];
const SPECIAL: [&str; 6] = [
    "",
    "overflow",
    "true",
    "recall_overflow",
    "\0",
    "\u{10ffff}é",
];

fn of(list: &[&'static str], at: u8) -> &'static str {
    list[usize::from(at) % list.len()]
}

/// Longer than any key may be, twice.
const LONGEST: u16 = 8_300;

impl Text<'_> {
    pub fn shared(self) -> SharedString {
        match self {
            Text::Known(at) => SharedString::const_str(of(&KNOWN, at)),
            Text::Any(text) => text.to_owned().into(),
            Text::Long(len) => "é".repeat(usize::from(len % LONGEST) / 2).into(),
            Text::Special(at) => SharedString::const_str(of(&SPECIAL, at)),
        }
    }
}

/// Labels: those given, and so many numbered ones.
#[derive(Arbitrary, Clone, Debug)]
pub struct Labels<'a> {
    given: Vec<(Text<'a>, Text<'a>)>,
    more: More,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum More {
    None,
    /// Names that differ, backwards.
    Many(u8),
    /// One name again and again.
    Again(u8),
}

impl Labels<'_> {
    pub fn list(&self) -> Vec<Label> {
        let mut labels: Vec<Label> = self
            .given
            .iter()
            .map(|(name, value)| Label::new(name.shared(), value.shared()))
            .collect();
        match self.more {
            More::None => {}
            More::Many(n) => {
                labels.extend((0..n).rev().map(|i| Label::new(i.to_string(), "v")));
            }
            More::Again(n) => labels.extend((0..n).map(|i| Label::new("a", i.to_string()))),
        }
        labels
    }
}
