//! Seals one counter at a time.

use super::{Sealing, columns::Columns, range};
use crate::{
    codec::{
        counters,
        rows::{self, Rows},
    },
    history::bench::Bench,
    ledger::{Full, Part},
    model::frame::SeriesId,
};

impl Sealing {
    pub(super) fn counter(
        &mut self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        id: SeriesId,
        hits: Rows,
    ) -> Result<(), Full> {
        let n = self.cursors.len();
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
        for (row, column, at) in self.changes(columns, hits) {
            let increment = column.increments.get(at).copied().unwrap_or(0);
            let peak = match column.pace_ns {
                None => column.peaks.get(at).copied().unwrap_or(increment),
                Some(ns) => paced(increment, ns, self.resolution_ns),
            };
            if let (Some(there), Some(most)) = (increments.get_mut(row), peaks.get_mut(row)) {
                (*there, *most) = (increment, peak);
            }
        }
        let (increments, peaks) = (&*increments, &*peaks);
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
                let ledger = &self.ledger;
                let draft = &mut point.draft;
                let fits = ledger.room(Part::Tick, &mut draft.counters.0, 1)
                    && ledger.room(Part::Tick, &mut draft.counters.1, 1)
                    && ledger.room(Part::Tick, &mut draft.peaks, 1);
                if !fits {
                    return Err(Full);
                }
                draft.counters.0.push(id);
                draft
                    .counters
                    .1
                    .push(rose.iter().fold(0, |sum, n| sum.wrapping_add(*n)));
                draft.peaks.push(most.iter().copied().max().unwrap_or(0));
            }
            self.coarse_done += 1;
        }
        Ok(())
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
