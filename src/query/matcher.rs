//! Conditions on a label.

use crate::{error::Error, util::text::Brief};
use regex::{Regex, RegexBuilder};

/// One condition on a label. A label that is absent has the value `""`.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    pub(crate) name: Box<str>,
    pub(crate) value: Wanted,
    /// Whether the value is to be wanted, or not to be.
    pub(crate) is: bool,
}

/// What values are compared with.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Text(Box<str>),
    /// As it was given, and anchored at both ends.
    Pattern(Box<str>, Regex),
}

/// Bytes that a compiled pattern may take.
const LARGEST: usize = 1 << 20;

impl Wanted {
    /// A pattern, which must fit the whole of a value.
    pub(crate) fn pattern(pattern: &str) -> Result<Self, Error> {
        let anchored = format!("^(?:{pattern})$");
        let compiled = RegexBuilder::new(&anchored)
            .size_limit(LARGEST)
            .dfa_size_limit(LARGEST)
            .build();
        match compiled {
            // Alone, it must be one, too: else its brackets would end ours.
            Ok(regex) if Regex::new(pattern).is_ok() => Ok(Self::Pattern(pattern.into(), regex)),
            Ok(_) => Err(wrong(pattern, "unbalanced parentheses")),
            Err(regex::Error::CompiledTooBig(_)) => Err(wrong(pattern, "it is too large")),
            Err(error) => {
                let text = error.to_string();
                let why = text.lines().last().unwrap_or("it cannot be read");
                Err(wrong(pattern, why.trim_start_matches("error: ")))
            }
        }
    }

    fn fits(&self, value: &str) -> bool {
        match self {
            Self::Text(text) => **text == *value,
            Self::Pattern(_, regex) => regex.is_match(value),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Text(text) | Self::Pattern(text, _) => text,
        }
    }
}

fn wrong(pattern: &str, why: &str) -> Error {
    Error::invalid(format!(
        "pattern {:?}: {why}; allowed are regular expressions as the `regex` crate has them, of at most 1 MiB when compiled",
        Brief(pattern)
    ))
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        let is_pattern = |matcher: &Self| matches!(matcher.value, Wanted::Pattern(..));
        (&self.name, self.is, is_pattern(self), self.value.as_str())
            == (
                &other.name,
                other.is,
                is_pattern(other),
                other.value.as_str(),
            )
    }
}

impl Matcher {
    /// Whether the value is a pattern.
    pub(crate) fn is_pattern(&self) -> bool {
        matches!(self.value, Wanted::Pattern(..))
    }

    /// The value or pattern, as it was given.
    pub(crate) fn text(&self) -> &str {
        self.value.as_str()
    }

    pub(crate) fn accepts(&self, value: &str) -> bool {
        self.value.fits(value) == self.is
    }

    /// Bytes on the heap, beside its name: a compiled pattern takes some hundred for each character, and no more than
    /// [`LARGEST`].
    pub(crate) fn bytes(&self) -> usize {
        match &self.value {
            Wanted::Text(text) => text.len(),
            Wanted::Pattern(text, _) => text.len() + LARGEST.min(4096 + 512 * text.len()),
        }
    }

    /// The value that a series must have, if there is just one.
    pub(crate) fn only(&self) -> Option<&str> {
        match &self.value {
            // The value of a label that is absent is empty.
            Wanted::Text(text) if self.is && !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, value: &str) -> bool {
        Wanted::pattern(pattern).unwrap().fits(value)
    }

    #[test]
    fn a_pattern_fits_whole_values() {
        assert!(fits("a|b", "a") && fits("a|b", "b") && !fits("a|b", "ab"));
        assert!(fits("", "") && !fits("", "a") && fits(".*", "") && !fits(".+", ""));
        assert!(!fits("b", "abc"));
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        for pattern in ["(", "a)(b", "[", "a{100000}{100000}", "\\"] {
            let message = Wanted::pattern(pattern).unwrap_err().to_string();
            assert!(message.contains(&format!("{pattern:?}")), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }
}
