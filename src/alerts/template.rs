//! Annotations: text with `{{ ... }}` in Prometheus' notation, understood once, when the rule is added.
//!
//! A subset of Go's templates without control flow: `$value`, `$labels.NAME`, strings and numbers, and functions, called
//! as `humanize $value` or `$value | humanize`. What is not of the subset is an error with its position, never text that
//! nobody expands.

use super::number::{self, go};
use std::fmt::{self, Write};

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

/// One function of a pipeline.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Plain(Function),
    /// `printf` with one value: what stands before it, how it is written, what stands behind it.
    Print(Box<str>, Verb, Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
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
enum Verb {
    /// `%s`, `%v`
    Plain,
    /// `%.2f`
    Fixed(u8),
    /// `%.4g`
    Short(u8),
    /// `%.2e`
    Exponent(u8),
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

/// A value on its way through a pipeline.
enum Item {
    Number(f64),
    Text(String),
}

impl Item {
    fn text(self) -> String {
        match self {
            Self::Number(value) => go(value),
            Self::Text(text) => text,
        }
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
                let step = |step: &Step| match step {
                    Step::Plain(_) => 0,
                    Step::Print(before, _, behind) => before.len() + behind.len(),
                };
                start + size_of_val(&**steps) + steps.iter().map(step).sum::<usize>()
            }
        };
        size_of_val(&*self.0) + self.0.iter().map(piece).sum::<usize>()
    }

    /// The text for these labels and this value.
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

/// The character that byte `at` belongs to, from 1.
pub(crate) fn position(text: &str, at: usize) -> usize {
    let before = text.char_indices().take_while(|(i, _)| *i < at);
    before.count() + 1
}

/// A word of an action, with the byte at which it begins.
enum Word<'a> {
    Name(&'a str),
    Text(Box<str>),
    Number(f64),
    Pipe,
}

/// Reads one action.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, at: usize, end: usize) -> Self {
        Self { text, at, end }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..self.end]
    }

    fn mistake(&self, at: usize, what: impl Into<String>) -> Mistake {
        Mistake {
            at: position(self.text, at),
            what: what.into(),
        }
    }

    fn skip_blanks(&mut self) {
        self.at = self.end - self.rest().trim_start().len();
    }

    /// A comment is nothing; everything else is a value.
    fn action(mut self) -> Result<Option<Piece>, Mistake> {
        let all = self.rest().trim();
        if all.starts_with("/*") && all.ends_with("*/") {
            return Ok(None);
        }
        let mut start = None;
        let mut steps = Vec::new();
        loop {
            let (given, step) = self.command(start.is_some())?;
            if let Some(given) = given {
                start = Some(given);
            }
            steps.extend(step);
            self.skip_blanks();
            if self.rest().is_empty() {
                break;
            }
            // `command` stops only at a pipe.
            self.at += 1;
        }
        Ok(start.map(|start| Piece::Value(start, steps.into())))
    }

    /// What stands between two pipes: a value, or a function with or without its value.
    fn command(&mut self, piped: bool) -> Result<(Option<Start>, Option<Step>), Mistake> {
        let mut words = Vec::new();
        loop {
            self.skip_blanks();
            if self.rest().is_empty() {
                break;
            }
            let at = self.at;
            match self.word()? {
                Word::Pipe => {
                    self.at = at;
                    break;
                }
                word => words.push((at, word)),
            }
        }
        let mut words = words.into_iter();
        let Some((at, first)) = words.next() else {
            return Err(self.mistake(self.at, "nothing to show: allowed are `$value`, `$labels.NAME`, a string, or a function of one"));
        };
        let step = match first {
            Word::Name(name) if !name.starts_with(['$', '.']) => {
                Some(self.function(at, name, &mut words)?)
            }
            _ if piped => {
                return Err(self.mistake(
                    at,
                    "what is piped goes into a function, and this is a value",
                ));
            }
            first => {
                let start = self.value(at, first)?;
                if let Some((at, _)) = words.next() {
                    return Err(self.mistake(
                        at,
                        "a value takes no argument: `|` pipes it into a function",
                    ));
                }
                return Ok((Some(start), None));
            }
        };
        let given = match words.next() {
            Some((at, _)) if piped => {
                return Err(self.mistake(at, "the function has its value from the pipe already"));
            }
            Some((at, word)) => Some(self.value(at, word)?),
            None if piped => None,
            None => {
                return Err(self.mistake(at, "the function has no value: write `humanize $value`"));
            }
        };
        if let Some((at, _)) = words.next() {
            return Err(self.mistake(at, "functions take one value"));
        }
        Ok((given, step))
    }

    fn function(
        &self,
        at: usize,
        name: &str,
        words: &mut impl Iterator<Item = (usize, Word<'a>)>,
    ) -> Result<Step, Mistake> {
        if name == "printf" {
            return match words.next() {
                Some((at, Word::Text(format))) => self.format(at, &format),
                _ => Err(self.mistake(
                    at,
                    "`printf` takes a format, as in `printf \"%.2f\" $value`",
                )),
            };
        }
        let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
        known
            .map(|(_, function)| Step::Plain(*function))
            .ok_or_else(|| {
                let names: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
                self.mistake(
                    at,
                    format!(
                        "unknown function `{name}`: allowed are {}, printf",
                        names.join(", ")
                    ),
                )
            })
    }

    fn value(&self, at: usize, word: Word<'_>) -> Result<Start, Mistake> {
        match word {
            Word::Text(text) => Ok(Start::Text(text)),
            Word::Number(number) => Ok(Start::Number(number)),
            Word::Name("$value" | ".Value") => Ok(Start::Value),
            Word::Name(name) => {
                let label = name
                    .strip_prefix("$labels.")
                    .or_else(|| name.strip_prefix(".Labels."));
                let label = label.filter(|label| is_label_name(label));
                label
                    .map(|label| Start::Label(label.into()))
                    .ok_or_else(|| {
                        self.mistake(
                            at,
                            format!(
                                "unknown value `{name}`: allowed are `$value` and `$labels.NAME`"
                            ),
                        )
                    })
            }
            Word::Pipe => Err(self.mistake(at, "a value is missing before `|`")),
        }
    }

    fn word(&mut self) -> Result<Word<'a>, Mistake> {
        let (at, rest) = (self.at, self.rest());
        if rest.starts_with('|') {
            self.at += 1;
            return Ok(Word::Pipe);
        }
        if rest.starts_with(['"', '`']) {
            let (text, len) = string(rest).ok_or_else(|| {
                self.mistake(
                    at,
                    "a string without end, or with an escape other than \\\" \\\\ \\n \\t",
                )
            })?;
            self.at += len;
            return Ok(Word::Text(text.into()));
        }
        let len =
            rest.find(|c: char| c.is_whitespace() || matches!(c, '|' | '"' | '`' | '(' | ')'));
        let word = &rest[..len.unwrap_or(rest.len())];
        self.at += word.len();
        if word.is_empty() {
            return Err(self.mistake(
                at,
                "parentheses are not understood: `|` pipes a value through functions",
            ));
        }
        if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            let number = word
                .parse()
                .map_err(|_| self.mistake(at, format!("`{word}` is not a number")))?;
            return Ok(Word::Number(number));
        }
        if matches!(
            word,
            "if" | "else" | "end" | "range" | "with" | "define" | "template" | "block"
        ) {
            return Err(self.mistake(
                at,
                format!(
                    "`{word}` is not understood: there are values and functions, no control flow"
                ),
            ));
        }
        Ok(Word::Name(word))
    }

    /// The format of a `printf` of one value.
    fn format(&self, at: usize, format: &str) -> Result<Step, Mistake> {
        let wrong = || {
            self.mistake(at, format!("format \"{format}\": allowed is one of %s, %v, %.2f, %.2e, %.4g with any number of decimals up to 30, and %% for a percent sign"))
        };
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
            let len = rest
                .find(|c: char| c.is_ascii_alphabetic())
                .ok_or_else(wrong)?;
            let digits = match &rest[..len] {
                "" => None,
                some => Some(
                    some.strip_prefix('.')
                        .and_then(|n| n.parse::<u8>().ok())
                        .filter(|n| *n <= 30)
                        .ok_or_else(wrong)?,
                ),
            };
            let found = match (rest.as_bytes()[len], digits) {
                (b's' | b'v' | b'g', None) => Verb::Plain,
                (b'f', digits) => Verb::Fixed(digits.unwrap_or(6)),
                (b'e', digits) => Verb::Exponent(digits.unwrap_or(6)),
                (b'g', Some(digits)) => Verb::Short(digits.max(1)),
                _ => return Err(wrong()),
            };
            if verb.replace(found).is_some() {
                return Err(wrong());
            }
            rest = &rest[len + 1..];
        }
        let verb = verb.ok_or_else(wrong)?;
        let [before, mut behind] = sides;
        behind.push_str(rest);
        Ok(Step::Print(before.into(), verb, behind.into()))
    }
}

/// Whether Prometheus would take it for the name of a label.
pub(crate) fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The string at the beginning of `text`, and how many bytes it takes there.
pub(crate) fn string(text: &str) -> Option<(String, usize)> {
    if let Some(raw) = text.strip_prefix('`') {
        let len = raw.find('`')?;
        return Some((raw[..len].to_owned(), len + 2));
    }
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, at + 1)),
            '\\' => out.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                c @ ('"' | '\\') => c,
                _ => return None,
            }),
            c => out.push(c),
        }
    }
    None
}

impl Step {
    fn apply(&self, item: Item) -> Item {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, value: f64) -> String {
        let template = Template::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        template.render(|name| (name == "route").then_some("/pay"), value)
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
