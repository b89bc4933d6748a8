//! What one histogram received in one tick, as bytes: counts without a bucket of their own, then the buckets.
//!
//! Layout: `n u8`, then `n` spans of `from i32, to i32, count u64` (little-endian, codes inclusive), then the buckets as
//! `codec::buckets` writes them.

use super::buckets;

/// Counts that lie somewhere between two codes.
pub(crate) type Span = (i32, i32, u64);

const SPAN: usize = 16;

/// Spans that one distribution may have.
pub(crate) const MOST_SPANS: usize = 255;

/// Adds a span to others: to one that is alike; or as one more, if `grow` makes room for it; or else to the last.
pub(crate) fn add_span(
    spans: &mut Vec<Span>,
    span: Span,
    grow: impl FnOnce(&mut Vec<Span>) -> bool,
) {
    let (from, to, count) = span;
    if let Some(same) = spans.iter_mut().find(|s| (s.0, s.1) == (from, to)) {
        same.2 = same.2.wrapping_add(count);
    } else if spans.len() < MOST_SPANS && grow(spans) {
        spans.push(span);
    } else if let Some(last) = spans.last_mut() {
        *last = (last.0.min(from), last.1.max(to), last.2.wrapping_add(count));
    }
}

/// Exact length of what [`encode`] appends.
pub(crate) fn encoded_len(spans: &[Span], fine: &[(i32, u64)]) -> usize {
    1 + spans.len() * SPAN + buckets::encoded_len(fine)
}

/// Appends a distribution: at most [`MOST_SPANS`] spans, and buckets whose codes ascend.
pub(crate) fn encode(spans: &[Span], fine: &[(i32, u64)], out: &mut Vec<u8>) {
    let n = u8::try_from(spans.len()).unwrap_or(u8::MAX);
    out.push(n);
    for (from, to, count) in spans.iter().take(usize::from(n)) {
        out.extend_from_slice(&from.to_le_bytes());
        out.extend_from_slice(&to.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
    }
    buckets::encode(fine, out);
}

/// Splits bytes into spans and the bytes of the buckets; what is malformed is empty.
pub(crate) fn split(bytes: &[u8]) -> (impl Iterator<Item = Span>, &[u8]) {
    let (n, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let (spans, fine) = rest
        .split_at_checked(usize::from(*n) * SPAN)
        .unwrap_or((&[], &[]));
    (spans.chunks_exact(SPAN).filter_map(span), fine)
}

fn span(bytes: &[u8]) -> Option<Span> {
    let (from, rest) = bytes.split_first_chunk::<4>()?;
    let (to, count) = rest.split_first_chunk::<4>()?;
    Some((
        i32::from_le_bytes(*from),
        i32::from_le_bytes(*to),
        u64::from_le_bytes(count.try_into().ok()?),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn more_spans_than_fit_keep_their_counts() {
        let mut spans = Vec::new();
        for at in 0..300 {
            for _ in 0..2 {
                add_span(&mut spans, (at, at + 1, 1), |_| true);
            }
        }
        assert_eq!(spans.len(), MOST_SPANS);
        assert_eq!(spans.last(), Some(&(254, 300, 92)));
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(
            spans in prop::collection::vec((any::<i32>(), any::<i32>(), any::<u64>()), 0..5),
            codes in prop::collection::btree_map(any::<i32>(), 1u64.., 0..50),
        ) {
            let fine: Vec<(i32, u64)> = codes.into_iter().collect();
            let mut bytes = Vec::new();
            encode(&spans, &fine, &mut bytes);
            prop_assert_eq!(bytes.len(), encoded_len(&spans, &fine));
            let (back, rest) = split(&bytes);
            prop_assert_eq!(back.collect::<Vec<_>>(), spans);
            prop_assert_eq!(buckets::Buckets::new(rest).collect::<Vec<_>>(), fine);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (spans, rest) = split(&bytes);
            let _ = spans.count();
            buckets::for_each(rest, |_, _| ());
        }
    }
}
