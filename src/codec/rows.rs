//! A set of rows of one chunk, as a mask: bit `r` is row `r`.
//!
//! Layout, in bits: a form in three, then for `ALL` and `NONE` nothing, for `BITMAP` a bit for each row, for `LIST` a list of the
//! rows, and for `EDGES` one of the edges. An edge is a row that is in the set while the one before is not, or the other
//! way round; before the first row is no row.
//!
//! A list is how many there are, at most 63, in six; and of each how many rows were left out since the one before, in Rice codes: the
//! lowest bits of all of them in fields, then the rest of each as a unary number. How wide the fields are follows from how many
//! there are of how many rows.

use super::bits::{Reader, Writer};

/// A set of rows.
pub(crate) type Rows = u128;

/// Rows that a chunk may have.
pub(crate) const MOST_ROWS: usize = 128;

const FORM_BITS: u32 = 3;
const LISTED_BITS: u32 = 6;
const MOST_LISTED: usize = (1 << LISTED_BITS) - 1;

const ALL: u64 = 0;
const BITMAP: u64 = 1;
const LIST: u64 = 2;
const EDGES: u64 = 3;
const NONE: u64 = 4;

/// The rows `0..n`.
#[inline]
pub(crate) const fn first(n: usize) -> Rows {
    match n {
        0..MOST_ROWS => (1 << n) - 1,
        _ => Rows::MAX,
    }
}

/// How many rows a set has.
#[inline]
pub(crate) const fn count(rows: Rows) -> usize {
    rows.count_ones() as usize
}

/// How many rows of a set are before row `at`.
#[inline]
pub(crate) const fn rank(rows: Rows, at: usize) -> usize {
    count(rows & first(at))
}

/// The rows of a set, ascending.
#[inline]
pub(crate) fn iter(rows: Rows) -> impl Iterator<Item = usize> {
    let [low, high] = halves(rows);
    ones(low).chain(ones(high).map(|row| row + 64))
}

/// The rows, of those from 0 on, that `is_in` says yes to.
#[inline]
pub(crate) fn collect(is_in: impl IntoIterator<Item = bool>) -> Rows {
    let mut is_in = is_in.into_iter();
    let mut half = || {
        let bits = is_in.by_ref().take(64).zip(0..);
        bits.fold(0_u64, |word, (is_in, row)| word | u64::from(is_in) << row)
    };
    let low = half();
    Rows::from(low) | Rows::from(half()) << 64
}

/// The two words of a set, that of the first rows first.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
pub(crate) const fn halves(rows: Rows) -> [u64; 2] {
    [rows as u64, (rows >> 64) as u64]
}

/// The values of some rows, close together: those of the first rows are where they are, others are copied to `column`.
pub(crate) fn gather<'a, T: Copy>(
    values: &'a [T],
    wanted: Rows,
    column: &'a mut [T; MOST_ROWS],
) -> &'a [T] {
    let n = count(wanted);
    if wanted == first(n) {
        return values.get(..n).unwrap_or_default();
    }
    let taken = iter(wanted).filter_map(|row| values.get(row));
    for (place, &value) in column.iter_mut().zip(taken) {
        *place = value;
    }
    column.get(..n).unwrap_or_default()
}

/// Puts values that were close together where their rows are.
pub(crate) fn scatter<T: Copy>(column: &[T], wanted: Rows, values: &mut [T]) {
    for (row, &value) in iter(wanted).zip(column) {
        if let Some(place) = values.get_mut(row) {
            *place = value;
        }
    }
}

/// The places that the rows in `set`, which are all in `of`, have among those in `of`.
pub(crate) fn within(set: Rows, of: Rows) -> Rows {
    let n = count(of);
    if set == of {
        return first(n);
    }
    if set == 0 || of == first(n) {
        return set;
    }
    collect(iter(of).map(|row| set >> row & 1 == 1))
}

/// Undoes [`within`].
pub(crate) fn spread(places: Rows, of: Rows) -> Rows {
    let n = count(of);
    if places == first(n) {
        return of;
    }
    if places == 0 || of == first(n) {
        return places;
    }
    let rows = iter(of).enumerate();
    rows.fold(0, |set, (place, row)| set | (places >> place & 1) << row)
}

/// Places of the ones in a word, ascending.
#[inline]
fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (word != 0).then(|| word.trailing_zeros() as usize);
        word &= word.wrapping_sub(1);
        place
    })
}

/// Bits that [`write()`] writes.
pub(crate) fn bits(rows: Rows, n: usize) -> usize {
    FORM_BITS as usize
        + match form(rows, n) {
            ALL | NONE => 0,
            BITMAP => n.min(MOST_ROWS),
            LIST => list_bits(rows, n),
            _ => list_bits(edges(rows, n), n),
        }
}

/// Writes a set of rows below `n`, in the form that takes the fewest bits.
pub(crate) fn write(rows: Rows, n: usize, writer: &mut Writer) {
    let form = form(rows, n);
    writer.put(form, FORM_BITS);
    match form {
        ALL | NONE => {}
        BITMAP => {
            (0..n.min(MOST_ROWS)).for_each(|row| writer.put(u64::from(rows >> row & 1 == 1), 1));
        }
        LIST => write_list(rows, n, writer),
        _ => write_list(edges(rows, n), n, writer),
    }
}

/// Reads a set of rows below `n`.
pub(crate) fn read(n: usize, reader: &mut Reader) -> Rows {
    let rows = match reader.take(FORM_BITS) {
        ALL => Rows::MAX,
        BITMAP => {
            let rows = Rows::from(reader.peek(0)) | Rows::from(reader.peek(64)) << 64;
            reader.skip(n.min(MOST_ROWS));
            rows
        }
        LIST => read_list(n, reader),
        NONE => 0,
        _ => {
            // Every row's bit is the parity of the edges up to it.
            let mut rows = read_list(n, reader);
            for shift in [1, 2, 4, 8, 16, 32, 64] {
                rows ^= rows << shift;
            }
            rows
        }
    };
    rows & first(n)
}

fn form(rows: Rows, n: usize) -> u64 {
    if rows == first(n) {
        return ALL;
    }
    if rows == 0 {
        return NONE;
    }
    let [list, edges] = [rows, edges(rows, n)].map(|listed| list_bits(listed, n));
    if n.min(MOST_ROWS) <= list.min(edges) {
        BITMAP
    } else if list <= edges {
        LIST
    } else {
        EDGES
    }
}

/// Where the set begins and ends; an end behind the last row is none.
fn edges(rows: Rows, n: usize) -> Rows {
    (rows ^ rows << 1) & first(n)
}

/// Width of the fields for so many of `n` rows: about the average gap, as the gaps of rows that have nothing to do with each
/// other are shortest then.
fn gap_width(listed: usize, n: usize) -> u32 {
    // 11 of 16 are the logarithm of 2.
    let average = n.saturating_sub(listed) * 11 / (listed.max(1) * 16);
    average.checked_ilog2().unwrap_or(0)
}

/// How many rows were left out before each.
fn gaps(rows: Rows) -> impl Iterator<Item = u64> {
    let mut next = 0;
    iter(rows).map(move |row| {
        let gap = row - next;
        next = row + 1;
        gap as u64
    })
}

fn list_bits(rows: Rows, n: usize) -> usize {
    let (listed, width) = (count(rows), gap_width(count(rows), n));
    if listed > MOST_LISTED {
        return usize::MAX;
    }
    // Together not more than there are rows.
    let rest: u64 = gaps(rows).map(|gap| gap >> width).sum();
    LISTED_BITS as usize
        + listed * (width as usize + 1)
        + usize::try_from(rest).unwrap_or(MOST_ROWS)
}

fn write_list(rows: Rows, n: usize, writer: &mut Writer) {
    let (listed, mut column) = (count(rows), [0; MOST_ROWS]);
    for (place, gap) in column.iter_mut().zip(gaps(rows)) {
        *place = gap;
    }
    let (gaps, width) = (
        column.get(..listed).unwrap_or_default(),
        gap_width(listed, n),
    );
    writer.put(listed as u64, LISTED_BITS);
    writer.fields(width, gaps);
    writer.unaries(gaps.iter().map(|gap| gap >> width));
}

fn read_list(n: usize, reader: &mut Reader) -> Rows {
    // At most 63.
    let listed = usize::try_from(reader.take(LISTED_BITS)).unwrap_or(0);
    let (mut column, width) = ([0; MOST_ROWS], gap_width(listed, n));
    let gaps = column.get_mut(..listed).unwrap_or_default();
    reader.fields(width, gaps);
    reader.add_unary(width, gaps);
    let mut next = 0_u64;
    gaps.iter().fold(0, |rows, &gap| {
        let row = next.saturating_add(gap);
        next = row.saturating_add(1);
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        rows | Rows::from(1_u8).checked_shl(row).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::bits::number_bits;

    fn any_rows() -> impl Strategy<Value = Rows> {
        prop_oneof![
            any::<Rows>(),
            (0_u32..128).prop_map(|n| Rows::MAX >> n),
            (0_u32..128, 0_u32..128).prop_map(|(a, b)| Rows::MAX >> a & Rows::MAX << b),
            (0_u32..128, 0_u32..128).prop_map(|(a, b)| 1 << a | 1 << b),
        ]
    }

    proptest! {
        #[test]
        fn rows_survive_the_round_trip(rows in any_rows(), n in 0_usize..=128) {
            let rows = rows & first(n);
            let mut bytes = Vec::new();
            let mut writer = Writer::new(&mut bytes);
            write(rows, n, &mut writer);
            writer.number(77);
            writer.finish();
            prop_assert_eq!(bytes.len(), (bits(rows, n) + number_bits(77)).div_ceil(8));
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(read(n, &mut reader), rows);
            prop_assert_eq!(reader.number(), 77);
            prop_assert_eq!(iter(rows).count(), count(rows));
            prop_assert_eq!(collect((0..n).map(|row| rows >> row & 1 == 1)), rows);
            prop_assert_eq!(rank(rows, n), count(rows));
        }
    }

    proptest! {
        #[test]
        fn what_is_gathered_can_be_scattered(set in any_rows(), of in any_rows(), n in 0_usize..=128) {
            let of = of & first(n);
            let set = set & of;
            prop_assert_eq!(spread(within(set, of), of), set);
            let values: Vec<usize> = (0..n).collect();
            let mut column = [0; MOST_ROWS];
            let gathered = gather(&values, set, &mut column);
            prop_assert!(gathered.iter().copied().eq(iter(set)));
            let mut back = vec![MOST_ROWS; n];
            scatter(gathered, set, &mut back);
            for (row, &there) in back.iter().enumerate() {
                prop_assert_eq!(there, if set >> row & 1 == 1 { row } else { MOST_ROWS });
            }
        }
    }

    #[test]
    fn runs_and_few_rows_are_short() {
        assert_eq!(bits(first(120), 120), 3);
        assert_eq!(bits(0, 120), 3);
        assert_eq!(bits(first(50) << 30, 120), 22);
        assert_eq!(bits(1 << 7, 120), 16);
        // Six of 120, anywhere: the logarithm of as many ways is 31.8.
        let spread = [5, 22, 50, 51, 77, 101]
            .iter()
            .fold(0, |rows, row| rows | 1 << row);
        assert_eq!(bits(spread, 120), 3 + 6 + 34);
    }
}
