//! Bits in bytes, lowest first: a writer, a reader at any offset, and the three shapes that the column codecs are made
//! of: fields of one width, unary numbers, and numbers that bring their own width.
//!
//! A unary number `q` is `q` zeros and a one. A number is its width in four bits or, from 15 on, 15 there and how much more
//! in six; and then that many bits but for the highest, which is a one.
//!
//! Readers accept any bytes: what lies behind the end reads as zeros, or ends a run of unary numbers.

/// Bits in which [`Writer::number`] says a width below [`WIDE`], and by how much one is above it.
const WIDTH_BITS: u32 = 4;
const WIDE: u32 = 15;
const MORE_BITS: u32 = 6;

/// Appends bits to bytes. Does not allocate if the bytes have room for them.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Bits that are not in `out` yet, from the lowest; the others are zero.
    pending: u64,
    /// How many they are, below 64.
    filled: u32,
}

impl<'a> Writer<'a> {
    /// Starts at the next whole byte.
    pub(crate) const fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            pending: 0,
            filled: 0,
        }
    }

    /// The lowest `width` bits of `value`, at most 64.
    #[inline]
    pub(crate) fn put(&mut self, value: u64, width: u32) {
        let value = value & mask(width);
        self.pending |= value << self.filled;
        let filled = self.filled + width;
        if filled >= 64 {
            self.out.extend_from_slice(&self.pending.to_le_bytes());
            // Nothing of `value` is left if all of it fitted, which may be a shift by 64.
            self.pending = value.checked_shr(64 - self.filled).unwrap_or(0);
        }
        self.filled = filled % 64;
    }

    /// `zeros` zeros and a one.
    #[inline]
    pub(crate) fn unary(&mut self, mut zeros: u64) {
        while zeros >= 63 {
            self.put(0, 63);
            zeros -= 63;
        }
        self.put(1 << zeros, u64::BITS - (1_u64 << zeros).leading_zeros());
    }

    /// The lowest `width` bits of each of `values`.
    #[inline]
    pub(crate) fn fields(&mut self, width: u32, values: &[u64]) {
        match width {
            0 => {}
            1 => self.narrow::<1, 64>(values),
            2 => self.narrow::<2, 32>(values),
            3 => self.narrow::<3, 21>(values),
            4 => self.narrow::<4, 16>(values),
            5 => self.narrow::<5, 12>(values),
            6 => self.narrow::<6, 10>(values),
            7 => self.narrow::<7, 9>(values),
            8 => self.narrow::<8, 8>(values),
            _ => values.iter().for_each(|&value| self.put(value, width)),
        }
    }

    /// Fields of which `EACH` are in a word, as many as there can be.
    #[inline]
    fn narrow<const WIDTH: u32, const EACH: usize>(&mut self, values: &[u64]) {
        let (chunks, rest) = values.as_chunks::<EACH>();
        for chunk in chunks {
            let fields = (0..).step_by(WIDTH as usize).zip(chunk);
            let word = fields.fold(0, |word, (shift, value)| {
                word | (value & mask(WIDTH)) << shift
            });
            self.put(word, u64::BITS / WIDTH * WIDTH);
        }
        for &value in rest {
            self.put(value, WIDTH);
        }
    }

    /// Each of these as a unary number.
    #[inline]
    pub(crate) fn unaries(&mut self, numbers: impl IntoIterator<Item = u64>) {
        let (mut word, mut filled) = (0_u64, 0_u64);
        // At most 64.
        let width = |filled| u32::try_from(filled).unwrap_or(0);
        for zeros in numbers {
            if zeros >= 64 - filled {
                self.put(word, width(filled));
                (word, filled) = (0, 0);
                if zeros >= 64 {
                    self.unary(zeros);
                    continue;
                }
            }
            word |= 1 << (filled + zeros);
            filled += zeros + 1;
        }
        self.put(word, width(filled));
    }

    /// A number that brings its width.
    pub(crate) fn number(&mut self, value: u64) {
        let width = bit_length(value);
        self.put(u64::from(width.min(WIDE)), WIDTH_BITS);
        if let Some(more) = width.checked_sub(WIDE) {
            self.put(u64::from(more), MORE_BITS);
        }
        self.put(value, width.saturating_sub(1));
    }

    /// The last byte, filled up with zeros.
    pub(crate) fn finish(self) {
        let bytes = self.pending.to_le_bytes();
        self.out
            .extend(bytes.iter().take(self.filled.div_ceil(8) as usize));
    }
}

/// Reads what [`Writer`] wrote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `width` bits, at most 64.
    #[inline]
    pub(crate) fn take(&mut self, width: u32) -> u64 {
        let value = self.peek(0) & mask(width);
        self.at = self.at.saturating_add(width as usize);
        value
    }

    /// A number that brings its width.
    pub(crate) fn number(&mut self) -> u64 {
        // `u32::try_from` cannot fail for so few bits.
        let mut width = u32::try_from(self.take(WIDTH_BITS)).unwrap_or(0);
        if width == WIDE {
            width += u32::try_from(self.take(MORE_BITS)).unwrap_or(0);
        }
        match width.min(64).checked_sub(1) {
            None => 0,
            Some(below) => 1 << below | self.take(below),
        }
    }

    /// The 64 bits that are `ahead` bits further on.
    #[inline]
    pub(crate) fn peek(&self, ahead: usize) -> u64 {
        let at = self.at.saturating_add(ahead);
        let shift = at % 8;
        let rest = self.bytes.get(at / 8..).unwrap_or(&[]);
        if let Some((word, [ninth, ..])) = rest.split_first_chunk() {
            u64::from_le_bytes(*word) >> shift | u64::from(*ninth) << 1 << (63 - shift)
        } else {
            last_word(rest) >> shift
        }
    }

    /// Goes on `bits` bits further on.
    #[inline]
    pub(crate) const fn skip(&mut self, bits: usize) {
        self.at = self.at.saturating_add(bits);
    }

    /// Whether all bits were read.
    #[inline]
    pub(crate) const fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len().saturating_mul(8)
    }

    /// Reads a field of `width` bits for each of `values`, and leaves it there.
    #[inline]
    pub(crate) fn fields(&mut self, width: u32, values: &mut [u64]) {
        match width {
            0 => values.fill(0),
            1 => self.narrow::<1, 64>(values),
            2 => self.narrow::<2, 32>(values),
            3 => self.narrow::<3, 21>(values),
            4 => self.narrow::<4, 16>(values),
            5 => self.narrow::<5, 12>(values),
            6 => self.narrow::<6, 10>(values),
            7 => self.narrow::<7, 9>(values),
            8 => self.narrow::<8, 8>(values),
            9..=32 => {
                let mask = mask(width);
                for values in values.chunks_mut((64 / width) as usize) {
                    let mut word = self.peek(0);
                    for value in &mut *values {
                        *value = word & mask;
                        word >>= width;
                    }
                    self.skip(values.len() * width as usize);
                }
            }
            _ => values
                .iter_mut()
                .for_each(|value| *value = self.take(width)),
        }
    }

    /// Fields of which `EACH` are in a word, as many as there can be.
    #[inline]
    fn narrow<const WIDTH: u32, const EACH: usize>(&mut self, values: &mut [u64]) {
        let (chunks, rest) = values.as_chunks_mut::<EACH>();
        for chunk in chunks {
            let word = self.peek(0);
            for (shift, value) in (0..).step_by(WIDTH as usize).zip(chunk) {
                *value = word >> shift & mask(WIDTH);
            }
            self.skip(EACH * WIDTH as usize);
        }
        for value in rest {
            *value = self.take(WIDTH);
        }
    }

    /// Reads a unary number for each of `values`, and adds it, shifted to the left, to what is there.
    #[inline]
    pub(crate) fn add_unary(&mut self, shift: u32, values: &mut [u64]) {
        let mut values = values.iter_mut();
        // Where the number began, from the start of the word on; before it if negative.
        let mut start = 0_u64;
        while !values.as_slice().is_empty() && !self.is_at_end() {
            let mut word = self.peek(0);
            for value in values.by_ref().take(word.count_ones() as usize) {
                let place = u64::from(word.trailing_zeros());
                *value = value.wrapping_add(place.wrapping_sub(start).wrapping_shl(shift));
                start = place + 1;
                word &= word.wrapping_sub(1);
            }
            if values.as_slice().is_empty() {
                // At most 64, as the last one was in this word.
                self.skip(usize::try_from(start).unwrap_or(0));
                return;
            }
            start = start.wrapping_sub(64);
            self.skip(64);
        }
    }
}

/// The lowest `width` bits; all for 64 and above.
#[inline]
pub(crate) const fn mask(width: u32) -> u64 {
    match width {
        0..64 => (1 << width) - 1,
        _ => u64::MAX,
    }
}

/// How many bits `value` needs; none for zero.
#[inline]
pub(crate) const fn bit_length(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// Bits of [`Writer::number`].
pub(crate) const fn number_bits(value: u64) -> usize {
    number_bits_of(bit_length(value))
}

/// As [`number_bits`], of any number that needs so many bits.
pub(crate) const fn number_bits_of(width: u32) -> usize {
    let wide = if width < WIDE { 0 } else { MORE_BITS };
    (WIDTH_BITS + wide + width.saturating_sub(1)) as usize
}

/// Folds the sign into the lowest bit, so that numbers near zero are small.
#[inline]
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The number that [`zigzag`] was given.
#[inline]
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// At most eight bytes as a word, filled up with zeros.
#[cold]
fn last_word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(8)
        .rev()
        .fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_numbers_and_unary_survive_the_round_trip(
            lead in 0_u32..64,
            width in 0_u32..=64,
            values in vec((any::<u64>(), 0_u32..=64).prop_map(|(value, width)| value & mask(width)), 0..130),
            quotients in vec(0_u64..200, 0..130),
            shift in 0_u32..8,
        ) {
            let mut bytes = vec![1, 2, 3];
            let mut writer = Writer::new(&mut bytes);
            writer.put(0, lead);
            writer.fields(width, &values);
            writer.unaries(quotients.iter().copied());
            for &value in &values {
                writer.number(value);
            }
            writer.finish();
            let bits = lead as usize
                + values.len() * width as usize
                + quotients.iter().map(|&quotient| 1 + usize::try_from(quotient).unwrap()).sum::<usize>()
                + values.iter().map(|&value| number_bits(value)).sum::<usize>();
            prop_assert_eq!(bytes.len(), 3 + bits.div_ceil(8));

            let mut reader = Reader::new(&bytes[3..]);
            reader.take(lead);
            let mut fields = vec![7; values.len()];
            reader.fields(width, &mut fields);
            prop_assert_eq!(fields, values.iter().map(|value| value & mask(width)).collect::<Vec<_>>());
            let mut sums = vec![5; quotients.len()];
            reader.add_unary(shift, &mut sums);
            prop_assert_eq!(sums, quotients.iter().map(|quotient| 5 + (quotient << shift)).collect::<Vec<_>>());
            for value in values {
                prop_assert_eq!(reader.number(), value);
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in vec(prop_oneof![any::<u8>(), Just(0)], 0..40),
            skip in prop_oneof![0..400_usize, Just(usize::MAX)],
            width in 0_u32..=64,
            shift in 0_u32..=127,
        ) {
            let mut reader = Reader::new(&bytes);
            reader.skip(skip);
            let mut values = [0; 128];
            let _ = reader.number();
            reader.add_unary(shift, &mut values);
            reader.fields(width, &mut values);
            let _ = reader.take(width);
        }

        #[test]
        fn zigzag_is_reversible(value in any::<i64>()) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
