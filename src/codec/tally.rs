//! One bucket of a histogram over the rows of a chunk: how many observations it received in each row.
//!
//! Layout, in bits: a mode in three, then for `m` rows
//!
//! - modes `0..=2`: one, two or three planes, each a bit for each row, which together are the counts, or all ones for what
//!   is too large; then for each of these rows what its count is above that, as a unary number;
//! - modes `3..=6`, few at all: with `k` of 1, 2, 3 or 5, how many observations, less one, in `8 - k`; of each observation's
//!   row the low `k` bits, then the rest as zeros before a one, counted from the observation before, and zeros up to
//!   `(m - 1) >> k` altogether;
//! - mode 7: two more bits. `NONE`: the bucket is empty. `GAP`: this one and more are, how many as a number. `MANY`: the
//!   number of planes in seven bits, and a number that is subtracted from all counts; then as the first modes.
//!
//! Sums over rows are read off by counting ones, not by reading counts.

use std::ops::{Range, RangeInclusive};

use super::bits::{Reader, Writer, bit_length, mask, number_bits};
use super::rows::{self, MOST_ROWS};

const MODE_BITS: u32 = 3;
const MORE_BITS: u32 = 2;
const PLANES_BITS: u32 = 7;

/// Planes of the first modes, which number them from one.
const MOST_PLAIN: u32 = 3;
/// Low bits of the modes behind these.
const LOWS: [u32; 4] = [1, 2, 3, 5];
const OTHER: u64 = 7;
const NONE: u64 = 0;
const GAP: u64 = 1;
const MANY: u64 = 2;

/// Bits for the number of observations, together with those of a row that are low.
const FEW_BITS: u32 = 8;

/// A row and how many observations it has, at least one.
pub(crate) type Cell = (u8, u64);

/// How a bucket will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Mode, and low bits of rows.
    Few(u64, u32),
    /// Planes, the first of which are the low bits, and what is subtracted from all counts.
    Many(u32, u64),
}

/// What stands before a bucket.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Gap(u64),
    /// Low bits, observations.
    Few(u32, usize),
    Many(u32, u64),
}

/// What a bucket is planned by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    /// Of all counts; saturates.
    pub(crate) sum: u64,
    least: u64,
    pub(crate) most: u64,
    /// What counts are above the full ones of two planes and of three, less one; saturates.
    above: [u64; 2],
}

impl Totals {
    pub(crate) fn of(cells: &[Cell]) -> Self {
        let mut totals = Self {
            sum: 0,
            least: u64::MAX,
            most: 0,
            above: [0; 2],
        };
        let [above_two, above_three] = &mut totals.above;
        for &(_, count) in cells {
            totals.sum = totals.sum.saturating_add(count);
            totals.least = totals.least.min(count);
            totals.most = totals.most.max(count);
            *above_two = above_two.saturating_add(count.saturating_sub(2));
            *above_three = above_three.saturating_add(count.saturating_sub(6));
        }
        totals
    }
}

impl Plan {
    /// The shortest way to write cells of ascending rows below `m`, at least one, and its bits.
    pub(crate) fn new(cells: &[Cell], totals: &Totals, m: usize) -> (Self, usize) {
        let &Totals { sum, most, .. } = totals;
        let plain = Self::plain(totals, m);
        if most < 1 << MOST_PLAIN {
            return Self::few(sum, m, plain);
        }
        let base = if cells.len() < m { 0 } else { totals.least };
        let above = sum.saturating_sub(base.saturating_mul(cells.len() as u64));
        let range = bit_length(average(above, m))..=bit_length(most - base);
        let (planes, bits) = best_planes(cells, m, base, range);
        let bits = (MODE_BITS + MORE_BITS + PLANES_BITS) as usize + number_bits(base) + bits;
        let many = (Self::Many(planes, base), bits);
        Self::few(
            sum,
            m,
            if plain.1 <= many.1 || many.0.is_plain() {
                plain
            } else {
                many
            },
        )
    }

    /// As one of the first modes.
    fn plain(totals: &Totals, m: usize) -> (Self, usize) {
        let [above_two, above_three] = totals.above;
        let ways = (1..).zip([totals.sum, above_two, above_three]);
        let bits = |(planes, unary): (u32, u64)| {
            let unary = usize::try_from(unary).unwrap_or(usize::MAX);
            let bits = planes as usize * m + unary.min(usize::MAX / 4);
            (Self::Many(planes, 0), MODE_BITS as usize + bits)
        };
        ways.map(bits)
            .min_by_key(|&(_, bits)| bits)
            .unwrap_or((Self::Many(1, 0), usize::MAX))
    }

    /// As few observations, if that is shorter than `other`.
    fn few(sum: u64, m: usize, other: (Self, usize)) -> (Self, usize) {
        let Ok(sum) = usize::try_from(sum) else {
            return other;
        };
        let ways = (u64::from(MOST_PLAIN)..).zip(LOWS);
        let few = ways
            .filter(|&(_, low)| sum <= 1 << (FEW_BITS - low))
            .map(|(mode, low)| {
                (
                    Self::Few(mode, low),
                    MODE_BITS as usize + few_bits(low, sum, m),
                )
            });
        few.chain([other])
            .min_by_key(|&(_, bits)| bits)
            .unwrap_or(other)
    }

    fn is_plain(self) -> bool {
        matches!(self, Self::Many(1..=MOST_PLAIN, 0))
    }

    /// Writes the cells that the plan was made for.
    pub(crate) fn write(self, cells: &[Cell], m: usize, writer: &mut Writer) {
        match self {
            Self::Few(mode, low) => {
                writer.put(mode, MODE_BITS);
                write_few(low, cells, m, writer);
            }
            Self::Many(planes, base) => {
                if self.is_plain() {
                    writer.put(u64::from(planes - 1), MODE_BITS);
                } else {
                    writer.put(OTHER, MODE_BITS);
                    writer.put(MANY, MORE_BITS);
                    writer.put(planes.into(), PLANES_BITS);
                    writer.number(base);
                }
                write_many(planes, base, cells, m, writer);
            }
        }
    }
}

fn average(sum: u64, m: usize) -> u64 {
    sum / m.max(1) as u64
}

/// The best number of planes in a range, of which only the first few are tried, and the last; and the bits.
fn best_planes(cells: &[Cell], m: usize, base: u64, range: RangeInclusive<u32>) -> (u32, usize) {
    let (first, last) = (*range.start(), *range.end());
    let bits = |planes: u32| {
        let full = mask(planes);
        let large = cells
            .iter()
            .map(|cell| cell.1 - base)
            .filter(|&count| count >= full);
        let unary = large.fold(0_u64, |bits, count| {
            bits.saturating_add(count - full).saturating_add(1)
        });
        // Rows without a cell are as large if there are no planes.
        let empty = if planes == 0 { m - cells.len() } else { 0 };
        let unary = usize::try_from(unary)
            .unwrap_or(usize::MAX)
            .min(usize::MAX / 4);
        planes as usize * m + empty + unary
    };
    (first..=last.min(first + 3))
        .chain([last])
        .map(|planes| (planes, bits(planes)))
        .min_by_key(|&(_, bits)| bits)
        .unwrap_or_default()
}

/// Bits of [`write_gap`].
pub(crate) fn gap_bits(buckets: u64) -> usize {
    (MODE_BITS + MORE_BITS) as usize + if buckets > 1 { number_bits(buckets) } else { 0 }
}

/// Writes that so many buckets, at least one, are empty.
pub(crate) fn write_gap(buckets: u64, writer: &mut Writer) {
    writer.put(OTHER, MODE_BITS);
    if buckets > 1 {
        writer.put(GAP, MORE_BITS);
        writer.number(buckets);
    } else {
        writer.put(NONE, MORE_BITS);
    }
}

/// Reads how many observations a bucket has in some of `m` rows. An error is the number of buckets that are empty.
#[inline]
pub(crate) fn read_sum(reader: &mut Reader, m: usize, rows: &Range<usize>) -> Result<u64, u64> {
    match shape(reader) {
        Shape::Gap(buckets) => Err(buckets),
        Shape::Few(low, sum) if rows.start == 0 && rows.end == m => {
            reader.skip(few_bits_behind(low, sum, m));
            Ok(sum as u64)
        }
        Shape::Few(low, sum) => {
            let mut inside = 0;
            each_few(reader, low, sum, m, rows.end, |row| {
                inside += u64::from(row >= rows.start);
            });
            Ok(inside)
        }
        Shape::Many(planes, base) => {
            let wanted = rows::first(rows.end) & !rows::first(rows.start);
            let mut sum = base.wrapping_mul(rows::count(wanted) as u64);
            let mut large = rows::first(m);
            for plane in 0..planes {
                let ones = take_plane(reader, m);
                sum = sum.wrapping_add((rows::count(ones & wanted) as u64) << plane);
                large &= ones;
            }
            if large == 0 {
                return Ok(sum);
            }
            let (before, to) = (rows::rank(large, rows.start), rows::rank(large, rows.end));
            skip_ones(reader, before);
            let units = skip_ones(reader, to - before);
            skip_ones(reader, rows::count(large) - to);
            Ok(sum.wrapping_add(units as u64))
        }
    }
}

/// Reads a bucket, and calls `f` with the cells of its `m` rows; with one cell for each observation if they are few. An
/// error is the number of buckets that are empty.
#[inline]
pub(crate) fn read_cells(
    reader: &mut Reader,
    m: usize,
    mut f: impl FnMut(usize, u64),
) -> Result<(), u64> {
    match shape(reader) {
        Shape::Gap(buckets) => return Err(buckets),
        Shape::Few(low, sum) => each_few(reader, low, sum, m, m, |row| f(row, 1)),
        Shape::Many(planes, base) => {
            let mut column = [base; MOST_ROWS];
            let column = column.get_mut(..m).unwrap_or_default();
            let mut large = rows::first(m);
            for plane in 0..planes {
                let mut ones = take_plane(reader, m);
                large &= ones;
                for count in &mut *column {
                    *count = count.wrapping_add(u64::from(ones & 1 == 1) << plane);
                    ones >>= 1;
                }
            }
            if large != 0 {
                let mut units = [0; MOST_ROWS];
                let units = units.get_mut(..rows::count(large)).unwrap_or_default();
                reader.add_unary(0, units);
                for (row, &units) in rows::iter(large).zip(&*units) {
                    if let Some(count) = column.get_mut(row) {
                        *count = count.wrapping_add(units);
                    }
                }
            }
            for (row, &count) in column.iter().enumerate() {
                if count > 0 {
                    f(row, count);
                }
            }
        }
    }
    Ok(())
}

#[inline]
fn shape(reader: &mut Reader) -> Shape {
    match reader.take(MODE_BITS) {
        OTHER => match reader.take(MORE_BITS) {
            NONE => Shape::Gap(1),
            GAP => Shape::Gap(reader.number()),
            _ => {
                let planes = u32::try_from(reader.take(PLANES_BITS)).unwrap_or(0).min(64);
                Shape::Many(planes, reader.number())
            }
        },
        mode => {
            let mode = usize::try_from(mode).unwrap_or(0);
            match mode
                .checked_sub(MOST_PLAIN as usize)
                .and_then(|few| LOWS.get(few))
            {
                Some(&low) => {
                    let sum = usize::try_from(reader.take(FEW_BITS - low)).unwrap_or(0) + 1;
                    Shape::Few(low, sum)
                }
                None => Shape::Many(u32::try_from(mode).unwrap_or(0) + 1, 0),
            }
        }
    }
}

/// Bits behind the mode.
fn few_bits(low: u32, sum: usize, m: usize) -> usize {
    (FEW_BITS - low) as usize + few_bits_behind(low, sum, m)
}

/// Bits behind the number of observations.
#[inline]
fn few_bits_behind(low: u32, sum: usize, m: usize) -> usize {
    sum * (low as usize + 1) + (m.saturating_sub(1) >> low)
}

fn write_few(low: u32, cells: &[Cell], m: usize, writer: &mut Writer) {
    let sum: u64 = cells.iter().map(|cell| cell.1).sum();
    writer.put(sum.saturating_sub(1), FEW_BITS - low);
    let rows = || {
        cells
            .iter()
            .flat_map(|&(row, count)| (0..count).map(move |_| u64::from(row)))
    };
    let low_mask = mask(low);
    let (mut word, mut filled) = (0, 0);
    for row in rows() {
        if filled + low > 64 {
            writer.put(word, filled);
            (word, filled) = (0, 0);
        }
        word |= (row & low_mask) << filled;
        filled += low;
    }
    writer.put(word, filled);
    // At most 128 ones, and half as many zeros.
    let mut words = [0_u64; 4];
    for (row, before) in rows().zip(0..) {
        let place = (row >> low) + before;
        if let Some(word) = words.get_mut((place / 64) as usize) {
            *word |= 1 << (place % 64);
        }
    }
    let mut left = sum + (m.saturating_sub(1) >> low) as u64;
    for word in words {
        // At most 64.
        writer.put(word, u32::try_from(left.min(64)).unwrap_or(0));
        left = left.saturating_sub(64);
    }
}

/// Calls `f` with the row of each observation before row `end`.
#[inline]
fn each_few(
    reader: &mut Reader,
    low: u32,
    sum: usize,
    m: usize,
    end: usize,
    mut f: impl FnMut(usize),
) {
    let mut lows = *reader;
    let mut highs = *reader;
    highs.skip(sum * low as usize);
    reader.skip(few_bits_behind(low, sum, m));
    let low_mask = mask(low);
    let mut left = sum;
    // Zeros before the word.
    let mut zeros = 0;
    while left > 0 && !highs.is_at_end() {
        let mut word = highs.peek(0);
        let mut before = 0;
        let ones = word.count_ones();
        while word != 0 && left > 0 {
            // Of the bits below a one, those that are no ones are zeros.
            let high = zeros + (word.trailing_zeros() - before) as usize;
            let row = high << low | usize::try_from(lows.peek(0) & low_mask).unwrap_or(0);
            lows.skip(low as usize);
            if row >= end {
                return;
            }
            f(row);
            before += 1;
            left -= 1;
            word &= word - 1;
        }
        zeros += (64 - ones) as usize;
        highs.skip(64);
    }
}

fn write_many(planes: u32, base: u64, cells: &[Cell], m: usize, writer: &mut Writer) {
    let full = mask(planes);
    let halves = cells.split_at(cells.partition_point(|cell| cell.0 < 64));
    for plane in 0..planes {
        for (cells, from) in [(halves.0, 0), (halves.1, 64)] {
            let ones = cells.iter().fold(0, |ones, &(row, count)| {
                let bit = (count - base).min(full) >> plane & 1;
                ones | bit << (row % 64)
            });
            let width = m.saturating_sub(from).min(64);
            writer.put(ones, u32::try_from(width).unwrap_or(64));
        }
    }
    if planes > 0 {
        let large = cells.iter().map(|cell| cell.1 - base);
        writer.unaries(
            large
                .filter(|&count| count >= full)
                .map(|count| count - full),
        );
    } else {
        // Rows without a cell are as large.
        let mut cells = cells.iter().peekable();
        let counts = (0..m).map(|row| {
            let cell = cells.next_if(|cell| usize::from(cell.0) == row);
            cell.map_or(0, |cell| cell.1 - base)
        });
        writer.unaries(counts);
    }
}

#[inline]
fn take_plane(reader: &mut Reader, m: usize) -> rows::Rows {
    let plane = rows::Rows::from(reader.peek(0)) | rows::Rows::from(reader.peek(64)) << 64;
    reader.skip(m);
    plane
}

/// Goes behind so many ones, and says how many zeros were before them.
#[inline]
fn skip_ones(reader: &mut Reader, ones: usize) -> usize {
    let (mut left, mut zeros) = (ones, 0);
    while left > 0 && !reader.is_at_end() {
        let word = reader.peek(0);
        let here = word.count_ones() as usize;
        if here < left {
            left -= here;
            zeros += 64 - here;
            reader.skip(64);
        } else {
            let place = nth_one(word, left as u64 - 1);
            zeros += place + 1 - left;
            reader.skip(place + 1);
            left = 0;
        }
    }
    zeros
}

/// Where the one is that has `n` ones below it; there must be such a one.
#[inline]
fn nth_one(word: u64, n: u64) -> usize {
    const BYTES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = BYTES << 7;
    // Ones in each byte and those below it.
    let pairs = word - (word >> 1 & 0x5555_5555_5555_5555);
    let nibbles = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
    let sums = ((nibbles + (nibbles >> 4)) & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(BYTES);
    // Bytes that, with those below, do not have more than `n`.
    let passed = ((n.wrapping_mul(BYTES) | TOPS).wrapping_sub(sums) & TOPS).count_ones();
    let shift = 8 * passed.min(7);
    let below = (sums << 8).checked_shr(shift).unwrap_or(0) & 0xff;
    let mut byte = word >> shift;
    for _ in below..n {
        byte &= byte.wrapping_sub(1);
    }
    (shift + byte.trailing_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn counts() -> impl Strategy<Value = Vec<u64>> {
        prop_oneof![
            vec(0_u64..5, 1..129),
            vec(20_u64..50, 1..129),
            vec(prop_oneof![30 => Just(0), 1 => 0_u64..4], 1..129),
            vec(prop_oneof![Just(0), Just(u64::MAX), any::<u64>()], 1..129),
        ]
    }

    proptest! {
        #[test]
        fn cells_survive_the_round_trip(counts in counts(), a in 0_usize..129, b in 0_usize..129) {
            let cells: Vec<Cell> = (0..).zip(counts.iter().copied()).filter(|cell| cell.1 > 0).collect();
            prop_assume!(!cells.is_empty());
            let m = counts.len();
            let (plan, bits) = Plan::new(&cells, &Totals::of(&cells), m);
            let mut bytes = Vec::new();
            let mut writer = Writer::new(&mut bytes);
            plan.write(&cells, m, &mut writer);
            writer.number(77);
            writer.finish();
            prop_assert_eq!(bytes.len(), (bits + number_bits(77)).div_ceil(8), "{:?}", plan);

            let mut reader = Reader::new(&bytes);
            let mut back = vec![0; m];
            read_cells(&mut reader, m, |row, count| back[row] += count).unwrap();
            prop_assert_eq!(reader.number(), 77);
            prop_assert_eq!(&back, &counts);

            for range in [0..m, a.min(m).min(b)..b.min(m)] {
                let mut reader = Reader::new(&bytes);
                let sum = counts[range.clone()].iter().fold(0_u64, |sum, count| sum.wrapping_add(*count));
                prop_assert_eq!(read_sum(&mut reader, m, &range), Ok(sum), "{:?} {:?}", range, plan);
                prop_assert_eq!(reader.number(), 77);
            }
        }

        #[test]
        fn gaps_survive_the_round_trip(buckets in 1_u64..) {
            let mut bytes = Vec::new();
            let mut writer = Writer::new(&mut bytes);
            write_gap(buckets, &mut writer);
            writer.finish();
            prop_assert_eq!(bytes.len(), gap_bits(buckets).div_ceil(8));
            prop_assert_eq!(read_sum(&mut Reader::new(&bytes), 9, &(0..3)), Err(buckets));
        }

        #[test]
        fn nth_one_is_what_counting_says(word in 1_u64.., n in any::<u64>()) {
            let n = n % u64::from(word.count_ones());
            let place = nth_one(word, n);
            prop_assert_eq!(word >> place & 1, 1);
            prop_assert_eq!(u64::from((word & mask(u32::try_from(place).unwrap())).count_ones()), n);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..100), m in 0_usize..129, a in 0_usize..129) {
            let _ = read_sum(&mut Reader::new(&bytes), m, &(a.min(m)..m));
            let _ = read_cells(&mut Reader::new(&bytes), m, |row, _| assert!(row < m.max(1)));
        }
    }
}
