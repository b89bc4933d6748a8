//! Seals one counter at a time.

use super::{Sealing, columns::Columns, range};
use crate::{
    codec::{
        counters,
        rows::{self, Rows},
    },
    history::bench::Bench,
    ledger::{Full, Ledger, Part},
    model::{frame::SeriesId, numbers::Numbers},
    util::layout,
};

impl Sealing {
    pub(super) fn counter(
        &mut self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        id: SeriesId,
        hits: Rows,
    ) -> Result<(), Full> {
        let n = columns.rows().len();
        let Bench {
            increments, peaks, ..
        } = bench;
        let (Some(increments), Some(peaks)) = (increments.get_mut(..n), peaks.get_mut(..n)) else {
            return Ok(());
        };
        if hits != rows::first(n) {
            increments.fill(0);
            peaks.fill(0);
        }
        for run in self.hit(id) {
            let columns = columns.of(&run.rows);
            let rows = increments.get_mut(run.rows.clone()).unwrap_or_default();
            for (there, column) in rows.iter_mut().zip(columns) {
                *there = column.increments.get(run.at).unwrap_or(0);
            }
        }
        let increments = &*increments;
        let peaks = if columns.are_usual {
            increments
        } else {
            for (row, column, at) in self.changes(columns, id, 0..n) {
                let increment = increments.get(row).copied().unwrap_or(0);
                let peak = match column.pace_ns {
                    None => column.peaks.get(at).unwrap_or(increment),
                    Some(ns) => paced(increment, ns, self.resolution_ns),
                };
                if let Some(most) = peaks.get_mut(row) {
                    *most = peak;
                }
            }
            peaks
        };
        if !self.has_chunk && self.form.keeps(id) {
            let plan = if self.is_coarse() {
                counters::Plan::with_peaks(increments, peaks)
            } else {
                counters::Plan::new(increments)
            };
            self.chunk(id, plan.encoded_len(), |out| {
                plan.write(increments, peaks, out);
            })?;
        }
        self.has_chunk = true;
        let keeps = self.coarser.is_some_and(|form| form.keeps(id));
        for point in self.points.iter_mut().skip(self.coarse_done) {
            if keeps && hits & range(&point.rows) != 0 {
                let rose = increments.get(point.rows.clone()).unwrap_or_default();
                let most = peaks.get(point.rows.clone()).unwrap_or_default();
                let rose = rose.iter().fold(0, |sum: u64, n| sum.wrapping_add(*n));
                let most = most.iter().copied().max().unwrap_or(0);
                let ledger = &self.ledger;
                let draft = &mut point.draft;
                let fits = ledger.room(Part::Tick, &mut draft.counters.0, 1)
                    && room_for(&mut draft.counters.1, rose, ledger)
                    && room_for(&mut draft.peaks, most, ledger);
                if !fits {
                    return Err(Full);
                }
                draft.counters.0.push(id);
                draft.counters.1.push(rose);
                draft.peaks.push(most);
            }
            self.coarse_done += 1;
        }
        Ok(())
    }
}

/// Sees to it that one more number fits; false: no room.
#[inline]
fn room_for(numbers: &mut Numbers, n: u64, ledger: &Ledger) -> bool {
    if let Numbers::Narrow(narrow) = &*numbers
        && n > u64::from(u32::MAX)
    {
        let capacity = narrow.capacity();
        if ledger
            .reserve(Part::Tick, layout::vec::<u64>(capacity))
            .is_err()
        {
            return false;
        }
        numbers.widen();
        ledger.release(Part::Tick, layout::vec::<u32>(capacity));
    }
    match numbers {
        Numbers::Narrow(all) => ledger.room(Part::Tick, all, 1),
        Numbers::Wide(all) => ledger.room(Part::Tick, all, 1),
    }
}

/// What a counter that rose by `increment` in `ns` rose by in one tick as long as the resolution; rounded up.
fn paced(increment: u64, ns: u64, resolution_ns: u64) -> u64 {
    if ns == 0 || ns == resolution_ns {
        return increment;
    }
    let paced = u128::from(increment) * u128::from(resolution_ns);
    u64::try_from(paced.div_ceil(u128::from(ns))).unwrap_or(u64::MAX)
}
