//! Seals one histogram at a time.

use super::{Sealing, columns::Columns, range};
use crate::{
    codec::{
        buckets, distribution,
        histograms::Head,
        rows::{self, Rows},
    },
    history::bench::Bench,
    ledger::{Full, Part},
    model::{
        frame::{HistogramPoint, SeriesId},
        schema::{Code, fold_code},
    },
    util::sum::Sum,
};
use std::ops::Range;

/// Ranges of codes up to this are merged by counting.
const MOST_DENSE: usize = 1 << 12;

impl Sealing {
    pub(super) fn histogram(
        &mut self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        id: SeriesId,
        hits: Rows,
    ) -> Result<(), Full> {
        let scale = self.lay_out_histogram(columns, bench, id)?;
        if !self.has_chunk && self.form.keeps(id) {
            bench.compiler.clear(scale);
            let rows = 0..columns.rows().len();
            let mut changes = self.changes(columns, id, rows.clone()).peekable();
            for row in rows {
                let change = changes.next_if(|(changed, ..)| *changed == row);
                let point = change.and_then(|(_, column, at)| column.histogram(at));
                let Some(point) = point else {
                    bench.compiler.skip();
                    continue;
                };
                let head = Head {
                    sum: point.sum,
                    min: point.min,
                    max: point.max,
                };
                let start = row.checked_sub(1).and_then(|before| bench.ends.get(before));
                let cells = start.copied().unwrap_or(0)..bench.ends.get(row).copied().unwrap_or(0);
                let cells = bench.cells.get(cells).unwrap_or_default();
                let spans = bench.spans.iter().filter(|(of, _)| *of == row);
                let spans = spans.map(|(_, span)| *span);
                bench.compiler.add(head, cells.iter().copied(), spans);
            }
            drop(changes);
            let plan = bench.compiler.plan();
            let compiler = &mut bench.compiler;
            self.chunk(id, plan.encoded_len(), |out| compiler.write(&plan, out))?;
        }
        self.has_chunk = true;
        let Some(coarser) = self.coarser.filter(|form| form.keeps(id)) else {
            return Ok(());
        };
        while let Some(rows) = self.points.get(self.coarse_done).map(|p| p.rows.clone()) {
            let hits = hits & range(&rows);
            if hits != 0 {
                let scales = (scale, coarser.scale);
                let point = self.merge_histogram(columns, bench, (id, rows), scales);
                let draft = match self.points.get_mut(self.coarse_done) {
                    Some(point) => &mut point.draft,
                    None => return Ok(()),
                };
                let bytes = distribution::encoded_len(&bench.coarse, &bench.fine);
                let ledger = &self.ledger;
                let fits = ledger.room(Part::Tick, &mut draft.histograms.0, 1)
                    && ledger.room(Part::Tick, &mut draft.histograms.1, 1)
                    && ledger.room(Part::Tick, &mut draft.bytes, bytes);
                if !fits {
                    return Err(Full);
                }
                distribution::encode(&bench.coarse, &bench.fine, &mut draft.bytes);
                draft.histograms.0.push(id);
                draft.histograms.1.push(HistogramPoint {
                    end: u32::try_from(draft.bytes.len()).unwrap_or(u32::MAX),
                    ..point
                });
            }
            self.coarse_done += 1;
        }
        Ok(())
    }

    /// Unpacks a histogram; gives the scale of what it is then. Without room for all buckets they become fewer and
    /// wider, and at last one.
    fn lay_out_histogram(
        &self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        id: SeriesId,
    ) -> Result<u8, Full> {
        let mut scale = self.form.scale;
        loop {
            let all = self.unpack(columns, bench, id, Some(scale));
            if all
                .and_then(|()| bench.room_to_compile(columns.rows().len()))
                .is_ok()
            {
                return Ok(scale);
            }
            if scale == 0 {
                break;
            }
            scale = scale.saturating_sub(2);
        }
        self.unpack(columns, bench, id, None)?;
        bench.room_to_compile(columns.rows().len())?;
        Ok(scale)
    }

    /// Buckets of all points, folded to a scale; or, without one, only their counts.
    fn unpack(
        &self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        id: SeriesId,
        scale: Option<u8>,
    ) -> Result<(), Full> {
        bench.cells.clear();
        bench.spans.clear();
        let rows = 0..columns.rows().len();
        let mut changes = self.changes(columns, id, rows.clone()).peekable();
        for row in rows {
            let change = changes.next_if(|(changed, ..)| *changed == row);
            if let Some((point, packed)) = change.and_then(|(_, column, at)| column.packed(at)) {
                match scale {
                    Some(scale) => self.unpack_point(bench, row, packed, scale)?,
                    None => bench.push_span(row, (-Code::MAX, Code::MAX, point.count))?,
                }
            }
            let cells = bench.cells.len();
            if let Some(end) = bench.ends.get_mut(row) {
                *end = cells;
            }
        }
        Ok(())
    }

    fn unpack_point(
        &self,
        bench: &mut Bench,
        row: usize,
        packed: &[u8],
        scale: u8,
    ) -> Result<(), Full> {
        let from = self.form.scale;
        let start = bench.cells.len();
        let (spans, fine) = distribution::split(packed);
        for (low, high, count) in spans {
            let span = (fold(low, from, scale), fold(high, from, scale), count);
            bench.push_span(row, span)?;
        }
        let mut full = Ok(());
        buckets::for_each(fine, |code, count| {
            let code = fold(code, from, scale);
            let alike = bench.cells.len() > start;
            match bench
                .cells
                .last_mut()
                .filter(|last| alike && last.0 == code)
            {
                Some(last) => last.1 = last.1.wrapping_add(count),
                None if full.is_ok() => full = bench.push_cell(code, count),
                None => {}
            }
        });
        full
    }

    /// What a histogram received in some points together; its buckets are left in `fine` and `coarse`.
    fn merge_histogram(
        &self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        (id, rows): (SeriesId, Range<usize>),
        (from, to): (u8, u8),
    ) -> HistogramPoint {
        let mut sum = Sum::default();
        let mut merged = HistogramPoint {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            end: 0,
        };
        let mut hits = 0;
        for (row, column, at) in self.changes(columns, id, rows) {
            hits |= 1 << row;
            let Some(point) = column.histogram(at) else {
                continue;
            };
            merged.count = merged.count.wrapping_add(point.count);
            sum.add(point.sum);
            if point.min <= point.max {
                merged.min = merged.min.min(point.min);
                merged.max = merged.max.max(point.max);
            }
        }
        merged.sum = sum.value();
        bench.coarse.clear();
        // A histogram that had to be unpacked in wider buckets than this tier's cannot have them back.
        let to = to.min(from);
        if from < to || from < self.form.scale || merge_cells(bench, hits, from, to).is_err() {
            bench.fine.clear();
            bench.coarse.clear();
            bench.merge_span((-Code::MAX, Code::MAX, merged.count));
        }
        merged
    }
}

fn fold(code: Code, from: u8, to: u8) -> Code {
    if from == to {
        code
    } else {
        fold_code(code, from, to)
    }
}

/// Adds up the buckets of some points, folded.
fn merge_cells(bench: &mut Bench, hits: Rows, from: u8, to: u8) -> Result<(), Full> {
    let codes = || {
        rows::iter(hits)
            .flat_map(|row| bench.cells_of(row))
            .map(|cell| cell.0)
    };
    let lowest = codes().min().map_or(0, |code| fold(code, from, to));
    let highest = codes().max().map_or(0, |code| fold(code, from, to));
    let cells = rows::iter(hits).map(|row| bench.cells_of(row).len()).sum();
    let codes = highest.abs_diff(lowest) as usize + 1;
    let is_dense = codes <= MOST_DENSE;
    let most = if is_dense { codes.min(cells) } else { cells };
    bench.room_to_merge(if is_dense { codes } else { 0 }, most)?;
    let (mut dense, mut fine) = (
        std::mem::take(&mut bench.dense),
        std::mem::take(&mut bench.fine),
    );
    dense.resize(if is_dense { codes } else { 0 }, 0);
    for row in rows::iter(hits) {
        for &(code, count) in bench.cells_of(row) {
            let code = fold(code, from, to);
            if is_dense {
                if let Some(there) = dense.get_mut(code.abs_diff(lowest) as usize) {
                    *there = there.wrapping_add(count);
                }
            } else {
                fine.push((code, count));
            }
        }
    }
    if is_dense {
        let filled = (lowest..).zip(&dense).filter(|(_, count)| **count > 0);
        fine.extend(filled.map(|(code, count)| (code, *count)));
    } else {
        buckets::settle(&mut fine);
    }
    (bench.dense, bench.fine) = (dense, fine);
    let spans = bench.spans.len();
    for at in 0..spans {
        if let Some(&(row, (low, high, count))) = bench.spans.get(at)
            && hits >> row & 1 == 1
        {
            bench.merge_span((fold(low, from, to), fold(high, from, to), count));
        }
    }
    Ok(())
}
