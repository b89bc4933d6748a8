//! Makes a chunk of a histogram out of its points, for `codec::histograms` to read, where the layout is described.

use super::bits::{Writer, number_bits};
use super::floats;
use super::histograms::{Floats, Head, ROW_BITS, SCALE_BITS, Sets, code_at, code_number};
use super::rows::{self, MOST_ROWS, Rows};
use super::tally::{self, Cell, Totals};
use crate::model::schema::{Code, Schema};

/// Ranges of codes up to this are sorted by counting.
const MOST_COUNTED: usize = 1 << 13;

/// Bits of an outlier, but for its count, are about this many.
const OUTLIER_BITS: usize = 30;

/// Collects the points of a chunk, and writes it. Can be used again; keeps its room.
#[derive(Debug)]
pub(crate) struct Compiler {
    scale: u8,
    /// Points so far.
    n: usize,
    sets: Sets,
    sums: Floats,
    mins: Floats,
    maxs: Floats,
    /// The lowest and the highest code of all buckets.
    range: Option<(Code, Code)>,
    /// Buckets, row by row, codes ascending in each; those that are outliers once planned.
    cells: Vec<Bucket>,
    /// Rows and counts by code and row, once planned; those behind the last column mean nothing.
    sorted: Vec<Cell>,
    /// Where the buckets of a code go, or end.
    ends: Vec<u32>,
    spans: Vec<(u8, Code, Code, u64)>,
    columns: Vec<Column>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    code: Code,
    row: u8,
    count: u64,
}

/// A bucket that is not empty in the end, but for its outliers.
#[derive(Clone, Copy, Debug)]
struct Column {
    code: Code,
    /// Its cells in `sorted`.
    start: u32,
    end: u32,
    /// None if all are outliers.
    plan: Option<tally::Plan>,
}

/// What is written, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    sums: floats::Plan,
    mins: floats::Plan,
    maxs: floats::Plan,
    first: Code,
    buckets: u64,
    bits: usize,
    is_empty: bool,
}

impl Plan {
    /// Exactly how many bytes [`Compiler::write`] appends.
    pub(crate) const fn encoded_len(&self) -> usize {
        if self.is_empty {
            0
        } else {
            self.bits.div_ceil(8)
        }
    }
}

impl Compiler {
    /// For histograms of this schema.
    pub(crate) fn new(scale: u8) -> Self {
        Self {
            scale,
            n: 0,
            sets: Sets::default(),
            range: None,
            sums: [0.0; MOST_ROWS],
            mins: [0.0; MOST_ROWS],
            maxs: [0.0; MOST_ROWS],
            cells: Vec::new(),
            sorted: Vec::new(),
            ends: Vec::new(),
            spans: Vec::new(),
            columns: Vec::new(),
        }
    }

    /// Bytes that a compiler needs beside itself for a chunk with so many buckets, counted in each point, and spans, and
    /// codes that lie within so many.
    pub(crate) const fn needed(buckets: usize, spans: usize, codes: usize) -> usize {
        let columns = if codes < buckets { codes } else { buckets };
        let counted = if codes < MOST_COUNTED { codes } else { 0 };
        buckets * (size_of::<Bucket>() + size_of::<Cell>())
            + columns * size_of::<Column>()
            + counted * size_of::<u32>()
            + spans * size_of::<(u8, Code, Code, u64)>()
    }

    /// Forgets all points, and gets all the room of [`Compiler::needed`] at once, so that nothing allocates later.
    pub(crate) fn reserve(&mut self, buckets: usize, spans: usize, codes: usize) {
        self.clear(self.scale);
        self.sorted.clear();
        self.columns.clear();
        self.ends.clear();
        self.cells.reserve_exact(buckets);
        self.sorted.reserve_exact(buckets);
        self.columns.reserve_exact(codes.min(buckets));
        self.ends
            .reserve_exact(if codes < MOST_COUNTED { codes } else { 0 });
        self.spans.reserve_exact(spans);
    }

    /// Whether [`Compiler::reserve`] would find room for all that.
    pub(crate) fn has_room(&self, buckets: usize, spans: usize, codes: usize) -> bool {
        let counted = if codes < MOST_COUNTED { codes } else { 0 };
        self.cells.capacity() >= buckets
            && self.sorted.capacity() >= buckets
            && self.columns.capacity() >= codes.min(buckets)
            && self.ends.capacity() >= counted
            && self.spans.capacity() >= spans
    }

    /// Bytes that it holds beside itself.
    pub(crate) fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Bucket>()
            + self.sorted.capacity() * size_of::<Cell>()
            + self.columns.capacity() * size_of::<Column>()
            + self.ends.capacity() * size_of::<u32>()
            + self.spans.capacity() * size_of::<(u8, Code, Code, u64)>()
    }

    /// Forgets all points.
    pub(crate) fn clear(&mut self, scale: u8) {
        self.scale = scale;
        self.n = 0;
        self.sets = Sets::default();
        self.range = None;
        self.cells.clear();
        self.spans.clear();
    }

    /// A point in which nothing was recorded.
    pub(crate) fn skip(&mut self) {
        self.n += 1;
    }

    /// A point; the 129th and later ones are left out. Codes ascend, counts are at least one.
    pub(crate) fn add(
        &mut self,
        head: Head,
        buckets: impl IntoIterator<Item = (Code, u64)>,
        spans: impl IntoIterator<Item = (Code, Code, u64)>,
    ) {
        debug_assert!(self.n < MOST_ROWS, "a chunk has at most 128 points");
        let Ok(row) = u8::try_from(self.sets.rows()) else {
            return;
        };
        let place = usize::from(row);
        let columns = (
            self.sums.get_mut(place),
            self.mins.get_mut(place),
            self.maxs.get_mut(place),
        );
        let (Some(sum), Some(min), Some(max)) = columns else {
            return;
        };
        (*sum, *min, *max) = (head.sum, head.min, head.max);
        let start = self.cells.len();
        let cells = buckets
            .into_iter()
            .map(|(code, count)| Bucket { code, row, count });
        self.cells.extend(cells);
        let cells = self.cells.get_mut(start..).unwrap_or_default();
        let outmost = cells.first().zip(cells.last());
        let outmost = outmost.map(|(first, last)| (first.code, last.code));
        if let Some((first, last)) = outmost {
            let (lowest, highest) = self.range.unwrap_or((first, last));
            self.range = Some((lowest.min(first), highest.max(last)));
        }
        self.spans.extend(
            spans
                .into_iter()
                .map(|(from, to, count)| (row, from, to, count)),
        );
        self.sets.present |= 1 << self.n;
        self.n += 1;
        let bit: Rows = 1 << row;
        // Not so for NaN.
        if head.min <= head.max {
            let single = [head.min, head.max].map(f64::to_bits) == [head.sum.to_bits(); 2];
            self.sets.single |= if single { bit } else { 0 };
            let schema = Schema::get(self.scale);
            let ends = (schema.code(head.min), schema.code(head.max));
            let is_outmost = outmost.is_some_and(|codes| ends == (Some(codes.0), Some(codes.1)));
            if is_outmost && leave_out_extremes(cells, single) {
                self.sets.implied |= bit;
            }
        } else {
            self.sets.unknown |= bit;
        }
    }

    /// Decides, once, how to write the points.
    pub(crate) fn plan(&mut self) -> Plan {
        let (first, buckets) = self.range.map_or((0, 0), |(lowest, highest)| {
            (lowest, u64::from(highest.abs_diff(lowest)) + 1)
        });
        self.sort(first, buckets);
        let m = self.sets.rows();
        let own = self.sets.own();
        let plan = |floats: &Floats, own| {
            let mut column = [0.0; MOST_ROWS];
            floats::Plan::new(rows::gather(floats, own, &mut column))
        };
        let (sums, mins, maxs) = (
            plan(&self.sums, rows::first(m)),
            plan(&self.mins, own),
            plan(&self.maxs, own),
        );
        let bits = SCALE_BITS as usize
            + self.sets.bits(self.n)
            + sums.bits()
            + mins.bits()
            + maxs.bits()
            + number_bits(code_number(first))
            + number_bits(buckets)
            + self.plan_columns(first, buckets)
            + self.listed_bits(first);
        Plan {
            sums,
            mins,
            maxs,
            first,
            buckets,
            bits,
            is_empty: self.sets.present == 0,
        }
    }

    /// Appends the chunk that was planned last.
    pub(crate) fn write(&mut self, plan: &Plan, out: &mut Vec<u8>) {
        if plan.is_empty {
            return;
        }
        let mut writer = Writer::new(out);
        writer.put(self.scale.into(), SCALE_BITS);
        self.sets.write(self.n, &mut writer);
        let mut column = [0.0; MOST_ROWS];
        let all = rows::first(self.sets.rows());
        plan.sums
            .write(rows::gather(&self.sums, all, &mut column), &mut writer);
        plan.mins.write(
            rows::gather(&self.mins, self.sets.own(), &mut column),
            &mut writer,
        );
        plan.maxs.write(
            rows::gather(&self.maxs, self.sets.own(), &mut column),
            &mut writer,
        );
        writer.number(code_number(plan.first));
        writer.number(plan.buckets);
        writer.number(self.spans.len() as u64);
        for &(row, from, to, count) in &self.spans {
            writer.put(row.into(), ROW_BITS);
            writer.number(code_number(from));
            writer.number(code_number(to));
            writer.number(count);
        }
        writer.number(self.cells.len() as u64);
        for cell in &self.cells {
            writer.put(cell.row.into(), ROW_BITS);
            writer.number(cell.code.abs_diff(plan.first).into());
            writer.number(cell.count);
        }
        self.write_columns(plan, &mut writer);
        writer.finish();
    }

    fn write_columns(&self, plan: &Plan, writer: &mut Writer) {
        let m = self.sets.rows();
        let mut next = 0;
        for column in &self.columns {
            let Some(shape) = column.plan else {
                continue;
            };
            let bucket = u64::from(column.code.abs_diff(plan.first));
            if bucket > next {
                tally::write_gap(bucket - next, writer);
            }
            next = bucket + 1;
            let cells = self.sorted.get(column.start as usize..column.end as usize);
            shape.write(cells.unwrap_or_default(), m, writer);
        }
        if plan.buckets > next {
            tally::write_gap(plan.buckets - next, writer);
        }
    }

    /// Sorts buckets that are not empty by code, rows ascending in each, and finds the columns.
    fn sort(&mut self, first: Code, buckets: u64) {
        let most = self.sorted.len().max(self.cells.len());
        self.sorted.resize(most, (0, 0));
        self.columns.clear();
        // A chunk has at most 128 rows, and codes are 32 bits.
        let index = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let column = |code, start, end| Column {
            code,
            start,
            end,
            plan: None,
        };
        let counted = usize::try_from(buckets)
            .ok()
            .filter(|&buckets| buckets < MOST_COUNTED);
        let Some(buckets) = counted else {
            self.cells.retain(|cell| cell.count > 0);
            self.cells
                .sort_unstable_by_key(|cell| (cell.code, cell.row));
            for (there, cell) in self.sorted.iter_mut().zip(&self.cells) {
                *there = (cell.row, cell.count);
            }
            let mut end = 0;
            for cells in self.cells.chunk_by(|a, b| a.code == b.code) {
                let start = end;
                end += cells.len();
                let code = cells.first().map_or(first, |cell| cell.code);
                self.columns.push(column(code, index(start), index(end)));
            }
            return;
        };
        let place = |code: Code| code.abs_diff(first) as usize;
        self.ends.clear();
        self.ends.resize(buckets, 0);
        for cell in &self.cells {
            if let Some(end) = self.ends.get_mut(place(cell.code)) {
                *end += u32::from(cell.count > 0);
            }
        }
        let mut start = 0;
        for (bucket, end) in (0..).zip(&mut self.ends) {
            let n = std::mem::replace(end, start);
            if n > 0 {
                let code = code_at(first, bucket);
                self.columns.push(column(code, start, start + n));
            }
            start += n;
        }
        for cell in self.cells.iter().filter(|cell| cell.count > 0) {
            if let Some(end) = self.ends.get_mut(place(cell.code)) {
                if let Some(there) = self.sorted.get_mut(*end as usize) {
                    *there = (cell.row, cell.count);
                }
                *end += 1;
            }
        }
    }

    /// Plans columns, and takes outliers out of them; bits of all columns.
    fn plan_columns(&mut self, first: Code, buckets: u64) -> usize {
        let m = self.sets.rows();
        self.cells.clear();
        let (mut bits, mut next) = (0, 0);
        for column in &mut self.columns {
            let cells = self
                .sorted
                .get_mut(column.start as usize..column.end as usize);
            let mut cells = cells.unwrap_or_default();
            let mut totals = Totals::of(cells);
            let limit = outliers_above(cells, &totals);
            if limit < totals.most {
                let kept = take_outliers(cells, column.code, limit, &mut self.cells);
                cells = cells.get_mut(..kept).unwrap_or_default();
                totals = Totals::of(cells);
                column.end = column.start + u32::try_from(kept).unwrap_or(0);
            }
            if cells.is_empty() {
                continue;
            }
            let (shape, length) = tally::Plan::new(cells, &totals, m);
            let listed = |cell: &Cell| OUTLIER_BITS + number_bits(cell.1);
            if length > OUTLIER_BITS * cells.len() && length > cells.iter().map(listed).sum() {
                take_outliers(cells, column.code, 0, &mut self.cells);
                continue;
            }
            column.plan = Some(shape);
            let bucket = u64::from(column.code.abs_diff(first));
            bits += length;
            if bucket > next {
                bits += tally::gap_bits(bucket - next);
            }
            next = bucket + 1;
        }
        bits + if buckets > next {
            tally::gap_bits(buckets - next)
        } else {
            0
        }
    }

    /// Bits of spans and outliers.
    fn listed_bits(&self, first: Code) -> usize {
        let spans = self.spans.iter().map(|&(_, from, to, count)| {
            ROW_BITS as usize
                + number_bits(code_number(from))
                + number_bits(code_number(to))
                + number_bits(count)
        });
        let outliers = self.cells.iter().map(|cell| {
            ROW_BITS as usize
                + number_bits(cell.code.abs_diff(first).into())
                + number_bits(cell.count)
        });
        number_bits(self.spans.len() as u64)
            + number_bits(self.cells.len() as u64)
            + spans.sum::<usize>()
            + outliers.sum::<usize>()
    }
}

/// Takes the observations of the extremes out of a row's buckets, which they are the outmost of.
fn leave_out_extremes(cells: &mut [Bucket], single: bool) -> bool {
    match cells {
        [only] if single => only.count -= 1,
        [only] if only.count > 1 => only.count -= 2,
        [least, .., greatest] => {
            least.count -= 1;
            greatest.count -= 1;
        }
        _ => return false,
    }
    true
}

/// Counts above this would make all others wide.
fn outliers_above(cells: &[Cell], totals: &Totals) -> u64 {
    let &Totals { sum, most, .. } = totals;
    if most < 32 || u128::from(most) * (cells.len() as u128) < 8 * u128::from(sum) {
        return u64::MAX;
    }
    // Sixteen times the smallest power of two that three quarters of all are below.
    let limit = (0..60).map(|length| 1_u64 << length).find(|&limit| {
        let below = cells.iter().filter(|cell| cell.1 < limit).count();
        4 * below >= 3 * cells.len()
    });
    limit.map_or(u64::MAX, |limit| limit.saturating_mul(16))
}

/// Moves the cells above `limit` to `outliers`; so many are left, at the front.
fn take_outliers(cells: &mut [Cell], code: Code, limit: u64, outliers: &mut Vec<Bucket>) -> usize {
    let mut kept = 0;
    for at in 0..cells.len() {
        let Some(&(row, count)) = cells.get(at) else {
            break;
        };
        if count > limit {
            outliers.push(Bucket { code, row, count });
        } else {
            if let Some(there) = cells.get_mut(kept) {
                *there = (row, count);
            }
            kept += 1;
        }
    }
    kept
}
