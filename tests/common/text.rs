//! A reader of the text formats that allows nothing that they do not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test uses some of it")]

use std::collections::{BTreeMap, HashMap};

pub type Sample = (String, BTreeMap<String, String>);

/// Reads a quoted text behind its first quote; gives it and the rest.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().unwrap().1 {
                'n' => value.push('\n'),
                c @ ('"' | '\\') => value.push(c),
                c => panic!("escaped {c:?}"),
            },
            '\n' => panic!("a line ends in a text"),
            c => value.push(c),
        }
    }
    panic!("no quote ends {text:?}")
}

/// Samples of a text in any of the text formats. Panics at what they do not allow.
pub fn parse(text: &str) -> HashMap<Sample, f64> {
    let mut samples = HashMap::new();
    let mut types = HashMap::new();
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if let Some(meta) = line.strip_prefix("# ") {
            if let Some(rest) = meta.strip_prefix("TYPE ") {
                let (name, kind) = rest.rsplit_once(' ').unwrap();
                let again = types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(again, None, "TYPE of {name} twice");
            }
            continue;
        }
        if line.is_empty() && text.is_empty() {
            continue;
        }
        let end = line.find(['{', ' ']).unwrap();
        let mut name = line[..end].to_owned();
        let mut rest = &line[end..];
        let mut labels = BTreeMap::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            loop {
                if let Some(after) = rest.strip_prefix('}') {
                    rest = after;
                    break;
                }
                let label;
                if let Some(after) = rest.strip_prefix('"') {
                    (label, rest) = quoted(after);
                    if !rest.starts_with('=') {
                        assert!(name.is_empty());
                        name = label;
                        rest = rest.strip_prefix(',').unwrap_or(rest);
                        continue;
                    }
                } else {
                    let at = rest.find('=').unwrap();
                    label = rest[..at].to_owned();
                    rest = &rest[at..];
                }
                let (value, after) = quoted(rest.strip_prefix("=\"").unwrap());
                rest = after.strip_prefix(',').unwrap_or(after);
                let again = labels.insert(label, value);
                assert_eq!(again, None, "a label twice: {line}");
            }
        }
        assert!(!name.is_empty(), "{line}");
        let value = rest.strip_prefix(' ').unwrap().replace("Inf", "inf");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let again = samples.insert((name, labels), value);
        assert_eq!(again, None, "a series twice: {line}");
    }
    samples
}

pub fn get(samples: &HashMap<Sample, f64>, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels = labels
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    samples.get(&(name.to_owned(), labels.collect())).copied()
}
