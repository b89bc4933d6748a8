//! Text of a bounded length.

/// The longest prefix of at most `most` bytes that ends between two characters.
pub(crate) fn clip(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
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
