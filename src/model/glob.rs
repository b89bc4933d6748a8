//! A pattern of plain text and `*`, which stands for any text, also for none.

/// A checked or unchecked pattern; without a `*` it matches itself only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(Box<str>);

impl Glob {
    pub(crate) fn new(pattern: impl Into<Box<str>>) -> Self {
        Self(pattern.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `text` fits. Cost: linear in both lengths.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else {
            return *self.0 == *text;
        };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        let inner = text
            .strip_prefix(head)
            .and_then(|text| text.strip_suffix(tail));
        // The first place that fits leaves the most text to the parts that follow.
        let mut parts = middle.split('*');
        let left = |text, part| str::split_once(text, part).map(|(_, after)| after);
        inner.is_some_and(|text| parts.try_fold(text, left).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By the definition, in exponential time.
    fn fits(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|at| fits(rest, &text[at..])),
            Some((byte, rest)) => text.first() == Some(byte) && fits(rest, &text[1..]),
        }
    }

    #[test]
    fn a_pattern_covers_the_whole_text() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a", "ab", false),
            ("*", "", true),
            ("debug_*", "debug_", true),
            ("debug_*", "a_debug_b", false),
            ("*_total", "jobs_total", true),
            ("a*a", "a", false),
            ("a*bc*d", "abcd_", false),
            ("a*bcb*d", "abcd", false),
            ("a*bc*d", "a bc d", true),
            ("größe*", "größe_cm", true),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(text),
                expected,
                "{pattern:?} {text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_star_is_any_text(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            let expected = fits(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(Glob::new(pattern).matches(&text), expected);
        }
    }
}
