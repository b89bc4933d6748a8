//! A histogram's occupied buckets as bytes: two for most buckets, read in about a nanosecond.
//!
//! Layout: no bytes for no buckets; else per bucket a step byte, a count byte, and what these two
//! leave for later, step first. The step is the zigzagged code for the first bucket, afterwards the
//! gap to the bucket before, less one. The count is stored less one too, so no byte is wasted on
//! what cannot be. A byte up to 252 is the number itself; 253, 254 and 255 leave it to the 2, 4 or
//! 8 bytes (little-endian) behind. The first code of a schema-4 histogram thus takes three bytes.
//!
//! Decoders accept any bytes: they stop at the first bucket that is cut off or out of range, and
//! never panic.

/// Says that the number follows in two bytes; lower bytes are the number.
const IN_TWO: u8 = 253;
/// Says that the number follows in four bytes.
const IN_FOUR: u8 = 254;
/// Says that the number follows in eight bytes.
const IN_EIGHT: u8 = 255;

/// Reads back what [`encode`] wrote: codes strictly increasing, counts of at least one.
#[derive(Clone, Debug)]
pub(crate) struct Buckets<'a> {
    /// What is still to be read; empty after malformed bytes.
    rest: &'a [u8],
    /// The code of the bucket before; `None` before the first.
    previous: Option<i32>,
}

impl<'a> Buckets<'a> {
    /// Reads all of `bytes` as one list of buckets.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            previous: None,
        }
    }

    fn read(&mut self) -> Option<(i32, u64)> {
        let (&[step, count], rest) = self.rest.split_first_chunk()?;
        let (step, rest) = read_number(step, rest)?;
        let (count, rest) = read_number(count, rest)?;
        let step = u32::try_from(step).ok()?;
        let code = match self.previous {
            None => unzigzag(step),
            Some(previous) => previous.checked_add_unsigned(step)?.checked_add(1)?,
        };
        let count = count.checked_add(1)?;
        self.rest = rest;
        self.previous = Some(code);
        Some((code, count))
    }
}

impl Iterator for Buckets<'_> {
    type Item = (i32, u64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let bucket = self.read();
        if bucket.is_none() {
            self.rest = &[];
        }
        bucket
    }
}

impl std::iter::FusedIterator for Buckets<'_> {}

/// Appends `buckets`, pairs of code and count, to `out`. Codes must be strictly increasing and
/// counts at least one. Does not allocate if `out` has room for [`encoded_len`] bytes.
pub(crate) fn encode(buckets: &[(i32, u64)], out: &mut Vec<u8>) {
    debug_assert!(
        buckets.is_sorted_by(|a, b| a.0 < b.0),
        "codes must increase"
    );
    debug_assert!(buckets.iter().all(|bucket| bucket.1 > 0), "empty bucket");
    for (step, count) in numbers(buckets) {
        let first = [first_byte(step), first_byte(count)];
        out.extend_from_slice(&first);
        if first.iter().any(|&byte| byte >= IN_TWO) {
            write_rest(step, out);
            write_rest(count, out);
        }
    }
}

/// Makes one list that [`encode`] takes of several, one behind the other. Counts wrap; a bucket in which nothing is left
/// of them goes.
pub(crate) fn settle(buckets: &mut Vec<(i32, u64)>) {
    if buckets.is_sorted_by(|a, b| a.0 < b.0) {
        return;
    }
    buckets.sort_unstable_by_key(|bucket| bucket.0);
    buckets.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 = kept.1.wrapping_add(next.1);
        }
        same
    });
    buckets.retain(|bucket| bucket.1 > 0);
}

/// How many bytes [`encode`] appends for `buckets`.
#[must_use]
pub(crate) fn encoded_len(buckets: &[(i32, u64)]) -> usize {
    numbers(buckets)
        .map(|(step, count)| 2 + rest_len(step) + rest_len(count))
        .sum()
}

/// Calls `f` with every code and count in `bytes`, as [`Buckets`] does, but faster.
#[inline]
pub(crate) fn for_each(bytes: &[u8], mut f: impl FnMut(i32, u64)) {
    let mut buckets = Buckets::new(bytes);
    while let Some((mut code, count)) = buckets.read() {
        f(code, count);
        // Most buckets are two plain bytes; `read` takes any other, and decides whether it is
        // malformed.
        while let Some((&[step, count], rest)) = buckets.rest.split_first_chunk()
            && step < IN_TWO
            && count < IN_TWO
            && let Some(next) = code.checked_add(i32::from(step) + 1)
        {
            code = next;
            buckets.rest = rest;
            f(code, u64::from(count) + 1);
        }
        buckets.previous = Some(code);
    }
}

/// The numbers to store per bucket: step and count.
fn numbers(buckets: &[(i32, u64)]) -> impl Iterator<Item = (u64, u64)> {
    let mut previous = None;
    buckets.iter().map(move |&(code, count)| {
        let step = match previous.replace(code) {
            None => zigzag(code),
            Some(previous) => code.abs_diff(previous).saturating_sub(1),
        };
        (u64::from(step), count.saturating_sub(1))
    })
}

fn first_byte(number: u64) -> u8 {
    match u8::try_from(number) {
        Ok(plain @ ..IN_TWO) => plain,
        _ => match rest_len(number) {
            2 => IN_TWO,
            4 => IN_FOUR,
            _ => IN_EIGHT,
        },
    }
}

/// How many bytes of `number` come after its first one.
const fn rest_len(number: u64) -> usize {
    match number {
        0..=252 => 0,
        253..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

fn write_rest(number: u64, out: &mut Vec<u8>) {
    out.extend(number.to_le_bytes().iter().take(rest_len(number)));
}

#[inline]
fn read_number(first: u8, rest: &[u8]) -> Option<(u64, &[u8])> {
    Some(match first {
        IN_TWO => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (u64::from(u16::from_le_bytes(*bytes)), rest)
        }
        IN_FOUR => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (u64::from(u32::from_le_bytes(*bytes)), rest)
        }
        IN_EIGHT => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (u64::from_le_bytes(*bytes), rest)
        }
        plain => (u64::from(plain), rest),
    })
}

/// Folds the sign into the lowest bit, so that codes near zero are small numbers.
const fn zigzag(code: i32) -> u32 {
    ((code << 1) ^ (code >> 31)).cast_unsigned()
}

const fn unzigzag(number: u32) -> i32 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn encoded(buckets: &[(i32, u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(buckets, &mut bytes);
        bytes
    }

    fn visited(bytes: &[u8]) -> Vec<(i32, u64)> {
        let mut buckets = Vec::new();
        for_each(bytes, |code, count| buckets.push((code, count)));
        buckets
    }

    /// Buckets whose codes and counts are of every size.
    fn any_buckets() -> impl Strategy<Value = Vec<(i32, u64)>> {
        let code = prop_oneof![-300..300, -70_000..70_000, any::<i32>()];
        let count = prop_oneof![1..300_u64, 65_000..66_000_u64, 1..=u64::MAX];
        btree_map(code, count, 0..80).prop_map(|map: BTreeMap<_, _>| map.into_iter().collect())
    }

    #[test]
    fn plain_buckets_take_two_bytes() {
        assert_eq!(encoded(&[]), []);
        assert_eq!(encoded(&[(-1, 1), (0, 253)]), [1, 0, 0, 252]);
        assert_eq!(
            encoded(&[(16_384, 3), (16_386, 300)]),
            [253, 2, 0, 128, 1, 253, 43, 1]
        );
    }

    #[test]
    fn extremes_survive() {
        let buckets = [(i32::MIN, u64::MAX), (0, 1), (i32::MAX, u64::MAX)];
        assert_eq!(visited(&encoded(&buckets)), buckets);
    }

    /// An empty bucket would be read back as one that holds one value.
    #[test]
    fn settled_lists_ascend_and_have_no_empty_bucket() {
        let half = 1 << 63;
        let mut buckets = vec![(1, half), (7, 2), (-3, 1), (1, half), (7, 3)];
        settle(&mut buckets);
        assert_eq!(buckets, [(-3, 1), (7, 5)]);
    }

    #[test]
    fn malformed_bytes_end_the_list() {
        // A count that would be 2^64, a step beyond 32 bits, a code beyond `i32::MAX`.
        let too_many = [&[0, 255][..], &[255; 8], &[0, 0]].concat();
        let too_far = [&[0, 0, 255, 0][..], &[255; 8], &[0, 0]].concat();
        let past_the_end = [
            &[254, 0][..],
            &0xffff_fffc_u32.to_le_bytes(),
            &[1, 0, 0, 0, 0, 0],
        ]
        .concat();
        for (bytes, expected) in [
            (too_many, vec![]),
            (too_far, vec![(0, 1)]),
            (past_the_end, vec![(i32::MAX - 1, 1)]),
        ] {
            let mut buckets = Buckets::new(&bytes);
            assert_eq!(buckets.by_ref().collect::<Vec<_>>(), expected);
            assert_eq!(buckets.next(), None);
            assert_eq!(visited(&bytes), expected);
        }
    }

    proptest! {
        #[test]
        fn buckets_survive_the_round_trip(buckets in any_buckets()) {
            let bytes = encoded(&buckets);
            prop_assert_eq!(bytes.len(), encoded_len(&buckets));
            prop_assert_eq!(&Buckets::new(&bytes).collect::<Vec<_>>(), &buckets);
            prop_assert_eq!(visited(&bytes), buckets);
        }

        #[test]
        fn a_cut_list_is_a_prefix(buckets in any_buckets(), cut in any::<prop::sample::Index>()) {
            let mut bytes = encoded(&buckets);
            bytes.truncate(cut.index(bytes.len() + 1));
            let read = visited(&bytes);
            prop_assert!(buckets.starts_with(&read));
            prop_assert!(encoded_len(&read) <= bytes.len());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in vec(prop_oneof![any::<u8>(), 250..=255_u8], 0..200)) {
            let buckets: Vec<_> = Buckets::new(&bytes).collect();
            prop_assert!(buckets.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert!(buckets.iter().all(|bucket| bucket.1 > 0));
            prop_assert_eq!(visited(&bytes), buckets);
        }
    }
}
