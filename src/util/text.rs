//! Text of a bounded length.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_stay_whole() {
        assert_eq!(clip("größe", 3), "gr");
        assert_eq!(clip("größe", 4), "grö");
        assert_eq!(clip("a", 9), "a");
    }
}
