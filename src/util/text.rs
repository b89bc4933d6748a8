//! Text of a bounded length, and text that may be shown.

use std::fmt;

/// The longest prefix of at most `most` bytes that ends between two characters.
pub(crate) fn clip(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The first bytes of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: u16,
}

impl<const N: usize> Text<N> {
    pub(crate) fn new(text: &str) -> Self {
        let text = clip(text, N).as_bytes();
        let mut bytes = [0; N];
        if let Some(place) = bytes.get_mut(..text.len()) {
            place.copy_from_slice(text);
        }
        Self {
            bytes,
            len: u16::try_from(text.len()).unwrap_or(0),
        }
    }

    /// Whether `text` begins so, or is it.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.bytes.get(..usize::from(self.len)) == Some(clip(text, N).as_bytes())
    }

    pub(crate) fn read(&self) -> String {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// Text of unknown origin for a terminal or a log: what would move the cursor, begin a line or turn its direction is
/// escaped.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else if turns(c) {
                write!(f, "{}", c.escape_unicode())?;
            } else {
                fmt::Write::write_char(f, c)?;
            }
        }
        Ok(())
    }
}

/// What somebody wrote, in an error: as [`Shown`], or quoted as `Debug` does, and of a long text the beginning.
#[derive(Clone, Copy)]
pub(crate) struct Brief<'a>(pub(crate) &'a str);

/// Bytes of it that are shown.
const BRIEF: usize = 200;

impl<'a> Brief<'a> {
    /// What is shown, and what stands for the rest.
    fn parts(self) -> (&'a str, &'static str) {
        let text = clip(self.0, BRIEF);
        (text, if text.len() < self.0.len() { "…" } else { "" })
    }
}

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, rest) = self.parts();
        write!(f, "{}{rest}", Shown(text))
    }
}

impl fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, rest) = self.parts();
        write!(f, "{text:?}{rest}")
    }
}

/// Ends of lines and marks of direction that are no control characters.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_stay_whole() {
        assert_eq!(clip("größe", 3), "gr");
        assert_eq!(clip("größe", 4), "grö");
        assert_eq!(clip("a", 9), "a");
    }

    #[test]
    fn what_is_brief_is_shown_up_to_its_middle() {
        assert_eq!(
            format!("{} {:?}", Brief("a\n"), Brief("a\n")),
            "a\\n \"a\\n\""
        );
        let long = "ö".repeat(1 << 20);
        assert_eq!(Brief(&long).to_string(), format!("{}…", "ö".repeat(100)));
        assert!(format!("{:?}", Brief(&long)).ends_with("ö\"…"));
    }

    #[test]
    fn what_is_shown_stays_on_its_line() {
        let text = "größe \"a\\\"\n\r\0\x1b[31m\u{9b}\u{202e}\u{2028}";
        let shown = r#"größe "a\"\n\r\u{0}\u{1b}[31m\u{9b}\u{202e}\u{2028}"#;
        assert_eq!(Shown(text).to_string(), shown);
    }
}
