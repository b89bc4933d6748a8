//! Reads what stands between `{{` and `}}`: a value, and the functions that it is piped through.

use super::{
    Mistake, Piece, Start,
    function::{self, Step},
};
use crate::alerts::lexis::{is_label_name, position, string};

/// A word of an action, with the byte at which it begins.
enum Word<'a> {
    Name(&'a str),
    Text(Box<str>),
    Number(f64),
    Pipe,
}

/// Reads one action.
pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, at: usize, end: usize) -> Self {
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
    pub(super) fn action(mut self) -> Result<Option<Piece>, Mistake> {
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
                Some((at, Word::Text(format))) => Step::print(&format).ok_or_else(|| {
                    self.mistake(at, format!("format \"{format}\": allowed is one of %s, %v, %.2f, %.2e, %.4g with any number of decimals up to 30, and %% for a percent sign"))
                }),
                _ => Err(self.mistake(
                    at,
                    "`printf` takes a format, as in `printf \"%.2f\" $value`",
                )),
            };
        }
        Step::named(name).ok_or_else(|| {
            self.mistake(
                at,
                format!(
                    "unknown function `{name}`: allowed are {}",
                    function::names()
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
}
