//! One histogram over the points of a chunk. Buckets lie side by side, each with its counts over all rows, so that adding
//! up many rows costs little more than adding up a few.
//!
//! A row is a point in which something was recorded. The buckets of a row's extremes are known from these, so the least
//! and the greatest observation are left out of the counts: they would cost the most, far out where others are rare.
//!
//! Layout: no bytes if there is no row. Else, in bits: the schema in four; which points are rows (`codec::rows`, as all
//! sets); which rows have no extremes; which consist of a single observation, or look so, as least, greatest and sum are
//! the same; for which rows the extremes' observations are left out. Then the sums of all rows, and the least and the
//! greatest values of those that are neither without nor single (`codec::floats`). Then the code of the first bucket,
//! zigzagged, and the number of buckets; how many spans, and each as a row in seven bits, its codes, zigzagged, and its
//! count; how many outliers, and each as a row in seven bits, a number of buckets from the first on, and its count. At
//! last the buckets (`codec::tally`), without the outliers.
//!
//! Decoders accept any bytes, and never panic; nonsense comes out as some rows. The range of codes may be nonsense too: do
//! not allocate by it without asking the ledger.

use std::ops::Range;

use super::bits::{Reader, Writer, zigzag};
use super::floats;
use super::rows::{self, MOST_ROWS, Rows};
use super::tally;
use crate::model::schema::{Code, Schema};

pub(super) const SCALE_BITS: u32 = 4;
pub(super) const ROW_BITS: u32 = 7;

/// One float for each row.
pub(super) type Floats = [f64; MOST_ROWS];

/// What one histogram received in one point, but for its buckets. Its count is the sum of those.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) sum: f64,
    /// `min > max` if the extremes are not known; read back as infinities.
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// Sets of rows that are written, each within the one before that says so.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sets {
    /// Points that are rows. The other sets count these from zero.
    pub(super) present: Rows,
    /// Rows without extremes.
    pub(super) unknown: Rows,
    /// Rows with extremes that are both the sum.
    pub(super) single: Rows,
    /// Rows whose extremes' observations are left out of the buckets.
    pub(super) implied: Rows,
}

/// A chunk, opened: extremes and sums are unpacked, buckets are not.
#[derive(Clone, Debug)]
pub(crate) struct Chunk<'a> {
    scale: u8,
    sets: Sets,
    sums: Floats,
    mins: Floats,
    maxs: Floats,
    first: Code,
    buckets: u64,
    /// Stands at the spans.
    reader: Reader<'a>,
}

impl Sets {
    pub(super) fn rows(&self) -> usize {
        rows::count(self.present)
    }

    /// Rows whose extremes are written.
    pub(super) fn own(&self) -> Rows {
        rows::first(self.rows()) & !self.unknown & !self.single
    }

    pub(super) fn bits(&self, n: usize) -> usize {
        let set = |set| rows::bits(set, self.rows());
        rows::bits(self.present, n) + set(self.unknown) + set(self.single) + set(self.implied)
    }

    pub(super) fn write(&self, n: usize, writer: &mut Writer) {
        rows::write(self.present, n, writer);
        for set in [self.unknown, self.single, self.implied] {
            rows::write(set, self.rows(), writer);
        }
    }

    fn read(n: usize, reader: &mut Reader) -> Self {
        let present = rows::read(n, reader);
        let m = rows::count(present);
        let unknown = rows::read(m, reader);
        let single = rows::read(m, reader) & !unknown;
        let implied = rows::read(m, reader) & !unknown;
        Self {
            present,
            unknown,
            single,
            implied,
        }
    }
}

impl<'a> Chunk<'a> {
    /// Opens a chunk of `n` points; `None` if nothing was recorded in it.
    pub(crate) fn open(bytes: &'a [u8], n: usize) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let mut reader = Reader::new(bytes);
        let scale = u8::try_from(reader.take(SCALE_BITS)).unwrap_or(0);
        let sets = Sets::read(n, &mut reader);
        let m = sets.rows();
        let mut sums = [0.0; MOST_ROWS];
        floats::read(&mut reader, sums.get_mut(..m)?);
        let (mut mins, mut maxs) = ([f64::INFINITY; MOST_ROWS], [f64::NEG_INFINITY; MOST_ROWS]);
        for extremes in [&mut mins, &mut maxs] {
            read_own(&mut reader, sets.own(), m, extremes);
            for row in rows::iter(sets.single) {
                if let (Some(extreme), Some(sum)) = (extremes.get_mut(row), sums.get(row)) {
                    *extreme = *sum;
                }
            }
        }
        let first = code(&mut reader);
        let buckets = reader.number();
        Some(Self {
            scale,
            sets,
            sums,
            mins,
            maxs,
            first,
            buckets,
            reader,
        })
    }

    /// The schema of the codes.
    pub(crate) fn scale(&self) -> u8 {
        self.scale
    }

    /// The lowest and the highest code that has a bucket in any row; `None` if there are only spans.
    pub(crate) fn codes(&self) -> Option<(Code, Code)> {
        let behind = self.buckets.checked_sub(1)?;
        Some((self.first, code_at(self.first, behind)))
    }

    /// Calls `f` with each of these points in which something was recorded.
    #[inline]
    pub(crate) fn heads(&self, points: Range<usize>, mut f: impl FnMut(usize, Head)) {
        let columns = self.sums.iter().zip(&self.mins).zip(&self.maxs);
        for (point, ((&sum, &min), &max)) in rows::iter(self.sets.present).zip(columns) {
            if points.contains(&point) {
                f(point, Head { sum, min, max });
            }
        }
    }

    /// Adds the buckets of these points to `counts`, whose first has the code `base`, and says how many observations they
    /// hold. Those of codes that `counts` has no place for are counted, but not added. Sums wrap.
    #[inline]
    pub(crate) fn add(&self, points: Range<usize>, base: Code, counts: &mut [u64]) -> u64 {
        let m = self.sets.rows();
        let wanted = self.ranks(&points);
        if wanted.is_empty() {
            return 0;
        }
        let mut total = 0_u64;
        let mut add = |code: Code, count: u64| {
            total = total.wrapping_add(count);
            let place = code.wrapping_sub(base).cast_unsigned() as usize;
            if let Some(there) = counts.get_mut(place) {
                *there = there.wrapping_add(count);
            }
        };
        self.each_implied(&wanted, |_, code| add(code, 1));
        let mut reader = self.reader;
        each_span(&mut reader, |_, _, _, _| ());
        each_outlier(&mut reader, |row, bucket, count| {
            if wanted.contains(&row) {
                add(code_at(self.first, bucket), count);
            }
        });
        self.each_bucket(reader, |bucket, reader| {
            let count = tally::read_sum(reader, m, &wanted)?;
            add(code_at(self.first, bucket), count);
            Ok(())
        });
        total
    }

    /// Calls `f` with point, code and count of the buckets of these points; bucket by bucket, not point by point, and
    /// maybe several times with one bucket of one point.
    pub(crate) fn cells(&self, points: Range<usize>, mut f: impl FnMut(usize, Code, u64)) {
        let m = self.sets.rows();
        let wanted = self.ranks(&points);
        if wanted.is_empty() {
            return;
        }
        let mut places = [0; MOST_ROWS];
        for (place, point) in places.iter_mut().zip(rows::iter(self.sets.present)) {
            *place = point;
        }
        let mut cell = |row: usize, code: Code, count: u64| {
            if wanted.contains(&row) {
                f(places.get(row).copied().unwrap_or(0), code, count);
            }
        };
        self.each_implied(&wanted, |row, code| cell(row, code, 1));
        let mut reader = self.reader;
        each_span(&mut reader, |_, _, _, _| ());
        each_outlier(&mut reader, |row, bucket, count| {
            cell(row, code_at(self.first, bucket), count);
        });
        self.each_bucket(reader, |bucket, reader| {
            let code = code_at(self.first, bucket);
            tally::read_cells(reader, m, |row, count| cell(row, code, count))
        });
    }

    /// Calls `f` with point, lowest and highest code, and count of what has no bucket of its own.
    pub(crate) fn spans(&self, points: Range<usize>, mut f: impl FnMut(usize, Code, Code, u64)) {
        let mut reader = self.reader;
        each_span(&mut reader, |row, from, to, count| {
            if let Some(point) = rows::iter(self.sets.present).nth(row)
                && points.contains(&point)
            {
                f(point, from, to, count);
            }
        });
    }

    /// Which rows these points are.
    fn ranks(&self, points: &Range<usize>) -> Range<usize> {
        rows::rank(self.sets.present, points.start)..rows::rank(self.sets.present, points.end)
    }

    /// Calls `f` with row and code of the observations that were left out.
    fn each_implied(&self, wanted: &Range<usize>, mut f: impl FnMut(usize, Code)) {
        let schema = Schema::get(self.scale);
        let wanted = self.sets.implied & rows::first(wanted.end) & !rows::first(wanted.start);
        for row in rows::iter(wanted) {
            let code = |of: &Floats| of.get(row).and_then(|&extreme| schema.code(extreme));
            if let Some(code) = code(&self.mins) {
                f(row, code);
            }
            if self.sets.single >> row & 1 == 0
                && let Some(code) = code(&self.maxs)
            {
                f(row, code);
            }
        }
    }

    /// Calls `f` with the number of each bucket; it reads the bucket, or says how many are empty from this one on.
    #[inline]
    fn each_bucket(
        &self,
        mut reader: Reader,
        mut f: impl FnMut(u64, &mut Reader) -> Result<(), u64>,
    ) {
        let mut bucket = 0_u64;
        while bucket < self.buckets && !reader.is_at_end() {
            let gap = f(bucket, &mut reader).err().unwrap_or(1);
            bucket = bucket.saturating_add(gap.max(1));
        }
    }
}

/// Of a column that holds only some rows, the values to where they belong.
fn read_own(reader: &mut Reader, own: Rows, m: usize, values: &mut Floats) {
    if own == rows::first(m) {
        floats::read(reader, values.get_mut(..m).unwrap_or_default());
        return;
    }
    let mut column = [0.0; MOST_ROWS];
    let column = column.get_mut(..rows::count(own)).unwrap_or_default();
    floats::read(reader, column);
    rows::scatter(column, own, values);
}

/// Calls `f` with row, codes and count.
fn each_span(reader: &mut Reader, mut f: impl FnMut(usize, Code, Code, u64)) {
    for _ in 0..reader.number() {
        if reader.is_at_end() {
            return;
        }
        f(row(reader), code(reader), code(reader), reader.number());
    }
}

/// Calls `f` with row, number of the bucket and count.
fn each_outlier(reader: &mut Reader, mut f: impl FnMut(usize, u64, u64)) {
    for _ in 0..reader.number() {
        if reader.is_at_end() {
            return;
        }
        f(row(reader), reader.number(), reader.number());
    }
}

fn row(reader: &mut Reader) -> usize {
    usize::try_from(reader.take(ROW_BITS)).unwrap_or(0)
}

fn code(reader: &mut Reader) -> Code {
    let code = super::bits::unzigzag(reader.number());
    // Out of range only in malformed bytes.
    i32::try_from(code).unwrap_or(0)
}

/// The number that stands for a code.
pub(super) fn code_number(code: Code) -> u64 {
    zigzag(code.into())
}

/// The code that is so many buckets further on; some code if there is none.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "wraps, as the sum does")]
pub(super) fn code_at(first: Code, bucket: u64) -> Code {
    first.wrapping_add((bucket as u32).cast_signed())
}

#[cfg(test)]
mod tests;
