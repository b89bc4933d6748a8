//! Halves of words.

/// The lower half.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper half is dropped on purpose"
)]
pub(crate) const fn low(word: u64) -> u32 {
    word as u32
}
