//! Annotations: text with `{{ ... }}` in Prometheus' notation, understood once, when the rule is added.
//!
//! A subset of Go's templates without control flow: `$value`, `$labels.NAME`, strings and numbers, and functions, called
//! as `humanize $value` or `$value | humanize`. What is not of the subset is an error with its position, never text that
//! nobody expands.

mod action;
mod function;

use self::{
    action::Parser,
    function::{Item, Step},
};
use super::lexis::position;
use crate::util::text::clip;
use std::fmt;

/// Bytes of a text that is made of one.
const MOST: usize = 8 << 10;

/// A template that was understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template(Box<[Piece]>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(Box<str>),
    /// A value and what it is piped through.
    Value(Start, Box<[Step]>),
}

#[derive(Clone, Debug, PartialEq)]
enum Start {
    Value,
    Label(Box<str>),
    Text(Box<str>),
    Number(f64),
}

/// What is wrong with a template, and at which character, from 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mistake {
    pub(crate) at: usize,
    pub(crate) what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at, self.what)
    }
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let mut pieces = Vec::new();
        let mut rest = 0;
        // `-}}` takes away what is blank behind it.
        let mut trim = false;
        while let Some(open) = text[rest..].find("{{").map(|at| rest + at) {
            let inside = open + 2;
            let close = end_of_action(text, inside).ok_or_else(|| Mistake {
                at: position(text, open),
                what: "`{{` without `}}`".to_owned(),
            })?;
            let action = &text[inside..close];
            let left = action.starts_with("- ");
            let right = action.ends_with(" -");
            push_text(&mut pieces, &text[rest..open], trim, left);
            let from = inside + usize::from(left);
            let to = close - usize::from(right);
            pieces.extend(Parser::new(text, from, to.max(from)).action()?);
            (rest, trim) = (close + 2, right);
        }
        push_text(&mut pieces, &text[rest..], trim, false);
        Ok(Self(pieces.into()))
    }

    /// Whether it depends on the value.
    pub(crate) fn uses_value(&self) -> bool {
        let mut pieces = self.0.iter();
        pieces.any(|piece| matches!(piece, Piece::Value(Start::Value, _)))
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Value(start, steps) => {
                let start = match start {
                    Start::Label(text) | Start::Text(text) => text.len(),
                    Start::Value | Start::Number(_) => 0,
                };
                start + size_of_val(&**steps) + steps.iter().map(Step::bytes).sum::<usize>()
            }
        };
        size_of_val(&*self.0) + self.0.iter().map(piece).sum::<usize>()
    }

    /// The text for these labels and this value. A long one is cut: values of labels come from outside, and a template may
    /// have the same one hundreds of times.
    pub(crate) fn render<'a>(&self, label: impl Fn(&str) -> Option<&'a str>, value: f64) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value(start, steps) => {
                    let mut item = match start {
                        Start::Value => Item::Number(value),
                        Start::Label(name) => Item::Text(label(name).unwrap_or("").to_owned()),
                        Start::Text(text) => Item::Text(text.to_string()),
                        Start::Number(number) => Item::Number(*number),
                    };
                    for step in steps {
                        item = step.apply(item);
                    }
                    out.push_str(&item.text());
                }
            }
            if out.len() > MOST {
                let end = clip(&out, MOST).len();
                out.truncate(end);
                out.push('…');
                break;
            }
        }
        out
    }
}

/// Where the action that begins at `from` ends; braces inside of strings do not end it.
fn end_of_action(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    let mut quote = None;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(open), byte) if open == byte => quote = None,
            (None, byte @ (b'"' | b'`')) => quote = Some(byte),
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, start: bool, end: bool) {
    let text = if start { text.trim_start() } else { text };
    let text = if end { text.trim_end() } else { text };
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, value: f64) -> String {
        let template = Template::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        template.render(|name| (name == "route").then_some("/pay"), value)
    }

    /// With labels of some kilobytes, an event's texts were megabytes before they were charged.
    #[test]
    fn a_text_is_cut_where_labels_make_it_huge() {
        let template = Template::parse(&"{{ $labels.path }}".repeat(200)).unwrap();
        let path = "äöü".repeat(600);
        let text = template.render(|_| Some(&path), 0.0);
        assert!(text.ends_with('…') && text.starts_with(&path));
        assert!(
            (MOST - 2..=MOST + 3).contains(&text.len()),
            "{}",
            text.len()
        );
        let short = Template::parse("{{ $labels.path }}").unwrap();
        assert_eq!(short.render(|_| Some(&path), 0.0), path);
    }

    #[test]
    fn values_labels_and_functions_are_expanded() {
        for (text, expected) in [
            ("plain } text {", "plain } text {"),
            ("{{ $value }}", "0.75"),
            ("{{$value}}{{ .Value }}", "0.750.75"),
            (
                "p99 of {{ $labels.route }} is {{ $value }}",
                "p99 of /pay is 0.75",
            ),
            ("{{ .Labels.route }}", "/pay"),
            ("[{{ $labels.absent }}]", "[]"),
            ("{{ humanize $value }}", "750m"),
            ("{{ $value | humanizePercentage }}", "75%"),
            ("{{ $value | humanizeDuration | toUpper }}", "750MS"),
            ("{{ printf \"%.1f s\" $value }}", "0.8 s"),
            ("{{ $value | printf \"100%% %.3e\" }}", "100% 7.500e-01"),
            ("{{ \"}}\" }}", "}}"),
            ("{{ `a\\` }}", "a\\"),
            ("a {{- $value -}} b", "a0.75b"),
            ("{{/* nothing */}}x", "x"),
            ("{{ humanizeDuration 90 }}", "1m 30s"),
            (
                "{{ $labels.route | humanize }}",
                "<error: \"/pay\" is not a number>",
            ),
        ] {
            assert_eq!(render(text, 0.75), expected, "{text}");
        }
    }

    #[test]
    fn a_mistake_says_where_it_is() {
        for (text, at, what) in [
            ("é {{ $value", 3, "without `}}`"),
            ("{{ $vaule }}", 4, "`$vaule`"),
            ("é {{ humanise $value }}", 6, "`humanise`"),
            ("{{ $labels }}", 4, "`$labels`"),
            ("{{ $labels.a-b }}", 4, "$labels.a-b"),
            ("{{ }}", 4, "nothing to show"),
            ("{{ $value | }}", 13, "nothing to show"),
            ("{{ $value $value }}", 11, "takes no argument"),
            ("{{ $value | $value }}", 13, "goes into a function"),
            ("{{ humanize }}", 4, "no value"),
            ("{{ humanize $value 3 }}", 20, "one value"),
            ("{{ $value | humanize $value }}", 22, "from the pipe"),
            ("{{ if $value }}", 4, "control flow"),
            ("{{ (humanize $value) }}", 4, "parentheses"),
            ("{{ \"open }}", 1, "without `}}`"),
            ("{{ \"\\q\" }}", 4, "escape"),
            ("{{ printf $value }}", 4, "`printf` takes a format"),
            ("{{ printf \"%d\" $value }}", 11, "%d"),
            ("{{ printf \"%.99f\" $value }}", 11, "%.99f"),
            ("{{ printf \"x\" $value }}", 11, "allowed is one of"),
            ("{{ printf \"%s%s\" $value }}", 11, "%s%s"),
            ("{{ 1x }}", 4, "`1x`"),
        ] {
            let mistake = Template::parse(text).unwrap_err();
            assert!(mistake.what.contains(what), "{text}: {mistake}");
            assert_eq!(mistake.at, at, "{text}: {mistake}");
        }
    }

    #[test]
    fn only_the_value_makes_it_change() {
        let uses = |text| Template::parse(text).unwrap().uses_value();
        assert!(uses("{{ humanize $value }}"));
        assert!(!uses("{{ $labels.value }} $value"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}", middle in "[-{}$a-z .|\"`%0-9\\\\]{0,30}") {
            for text in [text.clone(), format!("{text}{{{{ {middle} }}}}"), format!("{{{{{middle}")] {
                if let Ok(template) = Template::parse(&text) {
                    template.render(|_| None, 1.5);
                }
            }
        }
    }
}
