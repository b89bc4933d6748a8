//! Makes a chunk of a histogram out of its points, for `codec::histograms` to read, where the layout is described.

use super::bits::{Writer, number_bits};
use super::floats;
use super::histograms::{Floats, Head, ROW_BITS, SCALE_BITS, Sets, code_number};
use super::rows::{self, MOST_ROWS, Rows};
use super::tally::{self, Cell};
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
    /// Buckets, row by row, codes ascending in each; sorted by code and row once planned.
    cells: Vec<Bucket>,
    /// For sorting.
    sorted: Vec<Bucket>,
    /// Where the buckets of a code go, or end.
    ends: Vec<u32>,
    spans: Vec<(u8, Code, Code, u64)>,
    /// How many of `cells` are outliers.
    outliers: usize,
    columns: Vec<Column>,
    /// Rows and counts of one bucket.
    column: Vec<Cell>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    code: Code,
    row: u8,
    is_outlier: bool,
    count: u64,
}

/// A bucket that is not empty in the end.
#[derive(Clone, Copy, Debug)]
struct Column {
    code: Code,
    /// End of its cells in `cells`.
    end: u32,
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
            sums: [0.0; MOST_ROWS],
            mins: [0.0; MOST_ROWS],
            maxs: [0.0; MOST_ROWS],
            cells: Vec::new(),
            sorted: Vec::new(),
            ends: Vec::new(),
            spans: Vec::new(),
            outliers: 0,
            columns: Vec::new(),
            column: Vec::new(),
        }
    }

    /// Bytes that a compiler needs beside itself for a chunk with so many buckets, counted in each point, and spans, and
    /// codes that lie within so many.
    pub(crate) const fn needed(buckets: usize, spans: usize, codes: usize) -> usize {
        let columns = if codes < buckets { codes } else { buckets };
        let counted = if codes < MOST_COUNTED { codes } else { 0 };
        buckets * 2 * size_of::<Bucket>()
            + columns * size_of::<Column>()
            + counted * size_of::<u32>()
            + spans * size_of::<(u8, Code, Code, u64)>()
            + MOST_ROWS * size_of::<Cell>()
    }

    /// Forgets all points, and gets all the room of [`Compiler::needed`] at once, so that nothing allocates later.
    pub(crate) fn reserve(&mut self, buckets: usize, spans: usize, codes: usize) {
        self.clear(self.scale);
        self.sorted.clear();
        self.columns.clear();
        self.ends.clear();
        self.column.clear();
        self.cells.reserve_exact(buckets);
        self.sorted.reserve_exact(buckets);
        self.columns.reserve_exact(codes.min(buckets));
        self.ends
            .reserve_exact(if codes < MOST_COUNTED { codes } else { 0 });
        self.spans.reserve_exact(spans);
        self.column.reserve_exact(MOST_ROWS);
    }

    /// Whether [`Compiler::reserve`] would find room for all that.
    pub(crate) fn has_room(&self, buckets: usize, spans: usize, codes: usize) -> bool {
        let counted = if codes < MOST_COUNTED { codes } else { 0 };
        self.cells.capacity() >= buckets
            && self.sorted.capacity() >= buckets
            && self.columns.capacity() >= codes.min(buckets)
            && self.ends.capacity() >= counted
            && self.spans.capacity() >= spans
            && self.column.capacity() >= MOST_ROWS
    }

    /// Bytes that it holds beside itself.
    pub(crate) fn bytes(&self) -> usize {
        (self.cells.capacity() + self.sorted.capacity()) * size_of::<Bucket>()
            + self.columns.capacity() * size_of::<Column>()
            + self.ends.capacity() * size_of::<u32>()
            + self.spans.capacity() * size_of::<(u8, Code, Code, u64)>()
            + self.column.capacity() * size_of::<Cell>()
    }

    /// Forgets all points.
    pub(crate) fn clear(&mut self, scale: u8) {
        self.scale = scale;
        self.n = 0;
        self.sets = Sets::default();
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
        let cells = buckets.into_iter().map(|(code, count)| Bucket {
            code,
            row,
            is_outlier: false,
            count,
        });
        self.cells.extend(cells);
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
            if leave_out_extremes(
                self.cells.get_mut(start..).unwrap_or_default(),
                ends,
                single,
            ) {
                self.sets.implied |= bit;
            }
        } else {
            self.sets.unknown |= bit;
        }
    }

    /// Decides how to write the points.
    pub(crate) fn plan(&mut self) -> Plan {
        let lowest = self.cells.iter().map(|cell| cell.code).min();
        let highest = self.cells.iter().map(|cell| cell.code).max();
        let (first, buckets) = match (lowest, highest) {
            (Some(lowest), Some(highest)) => (lowest, u64::from(highest.abs_diff(lowest)) + 1),
            _ => (0, 0),
        };
        self.cells.retain(|cell| cell.count > 0);
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
        writer.number(self.outliers as u64);
        for cell in self.cells.iter().filter(|cell| cell.is_outlier) {
            writer.put(cell.row.into(), ROW_BITS);
            writer.number(cell.code.abs_diff(plan.first).into());
            writer.number(cell.count);
        }
        self.write_columns(plan, &mut writer);
        writer.finish();
    }

    fn write_columns(&mut self, plan: &Plan, writer: &mut Writer) {
        let m = self.sets.rows();
        let (mut start, mut next) = (0, 0);
        for column in &self.columns {
            let cells = self
                .cells
                .get(start..column.end as usize)
                .unwrap_or_default();
            start = column.end as usize;
            let Some(shape) = column.plan else {
                continue;
            };
            let bucket = u64::from(column.code.abs_diff(plan.first));
            if bucket > next {
                tally::write_gap(bucket - next, writer);
            }
            next = bucket + 1;
            fill(&mut self.column, cells);
            shape.write(&self.column, m, writer);
        }
        if plan.buckets > next {
            tally::write_gap(plan.buckets - next, writer);
        }
    }

    /// Sorts buckets by code, rows ascending in each.
    fn sort(&mut self, first: Code, buckets: u64) {
        let counted = usize::try_from(buckets)
            .ok()
            .filter(|&buckets| buckets < MOST_COUNTED);
        let Some(buckets) = counted else {
            self.cells
                .sort_unstable_by_key(|cell| (cell.code, cell.row));
            return;
        };
        let place = |code: Code| code.abs_diff(first) as usize;
        self.ends.clear();
        self.ends.resize(buckets, 0);
        for cell in &self.cells {
            if let Some(end) = self.ends.get_mut(place(cell.code)) {
                *end += 1;
            }
        }
        let mut start = 0;
        for end in &mut self.ends {
            start += std::mem::replace(end, start);
        }
        self.sorted.clear();
        self.sorted.extend_from_slice(&self.cells);
        for cell in &self.cells {
            if let Some(end) = self.ends.get_mut(place(cell.code)) {
                if let Some(there) = self.sorted.get_mut(*end as usize) {
                    *there = *cell;
                }
                *end += 1;
            }
        }
        std::mem::swap(&mut self.cells, &mut self.sorted);
    }

    /// Finds columns and outliers; bits of all columns.
    fn plan_columns(&mut self, first: Code, buckets: u64) -> usize {
        let m = self.sets.rows();
        self.columns.clear();
        self.outliers = 0;
        let (mut bits, mut next, mut end) = (0, 0, 0);
        for cells in self.cells.chunk_by_mut(|a, b| a.code == b.code) {
            let Some(code) = cells.first().map(|cell| cell.code) else {
                continue;
            };
            end += cells.len();
            let bucket = u64::from(code.abs_diff(first));
            fill(&mut self.column, cells);
            let limit = outliers_above(&self.column);
            let mut take_outliers = |cells: &mut [Bucket], limit| {
                for cell in cells
                    .iter_mut()
                    .filter(|cell| cell.count > limit && !cell.is_outlier)
                {
                    cell.is_outlier = true;
                    self.outliers += 1;
                }
            };
            take_outliers(cells, limit);
            fill(&mut self.column, cells);
            let (mut plan, mut length) = (None, 0);
            if !self.column.is_empty() {
                let (shape, bits) = tally::Plan::new(&self.column, m);
                let listed = self
                    .column
                    .iter()
                    .map(|cell| OUTLIER_BITS + number_bits(cell.1));
                if bits > listed.sum() {
                    take_outliers(cells, 0);
                } else {
                    (plan, length) = (Some(shape), bits);
                }
            }
            if plan.is_some() {
                bits += length
                    + if bucket > next {
                        tally::gap_bits(bucket - next)
                    } else {
                        0
                    };
                next = bucket + 1;
            }
            // A chunk has at most 128 rows, and codes are 32 bits.
            let end = u32::try_from(end).unwrap_or(u32::MAX);
            self.columns.push(Column { code, end, plan });
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
        let outliers = self
            .cells
            .iter()
            .filter(|cell| cell.is_outlier)
            .map(|cell| {
                ROW_BITS as usize
                    + number_bits(cell.code.abs_diff(first).into())
                    + number_bits(cell.count)
            });
        number_bits(self.spans.len() as u64)
            + number_bits(self.outliers as u64)
            + spans.sum::<usize>()
            + outliers.sum::<usize>()
    }
}

/// Takes the observations of the extremes out of a row's buckets, if they are the outmost ones.
fn leave_out_extremes(
    cells: &mut [Bucket],
    ends: (Option<Code>, Option<Code>),
    single: bool,
) -> bool {
    let outmost = (
        cells.first().map(|cell| cell.code),
        cells.last().map(|cell| cell.code),
    );
    if outmost.0.is_none() || outmost != ends {
        return false;
    }
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
fn outliers_above(cells: &[Cell]) -> u64 {
    let most = cells.iter().map(|cell| cell.1).max().unwrap_or(0);
    let sum: u128 = cells.iter().map(|cell| u128::from(cell.1)).sum();
    if most < 32 || u128::from(most) * (cells.len() as u128) < 8 * sum {
        return u64::MAX;
    }
    // Sixteen times the smallest power of two that three quarters of all are below.
    let limit = (0..60).map(|length| 1_u64 << length).find(|&limit| {
        let below = cells.iter().filter(|cell| cell.1 < limit).count();
        4 * below >= 3 * cells.len()
    });
    limit.map_or(u64::MAX, |limit| limit.saturating_mul(16))
}

fn fill(column: &mut Vec<Cell>, cells: &[Bucket]) {
    column.clear();
    column.extend(
        cells
            .iter()
            .filter(|cell| !cell.is_outlier)
            .map(|cell| (cell.row, cell.count)),
    );
}
