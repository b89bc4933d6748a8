//! Seals one gauge at a time.

use super::{Sealing, columns::Columns, range};
use crate::{
    codec::{
        gauges::{self, times},
        rows::Rows,
    },
    history::bench::Bench,
    ledger::{Full, Part},
    model::frame::{GaugePoint, SeriesId, Total},
    util::sum::Sum,
};

impl Sealing {
    pub(super) fn gauge(
        &mut self,
        columns: &Columns<'_>,
        bench: &mut Bench,
        id: SeriesId,
        hits: Rows,
    ) -> Result<(), Full> {
        self.lay_out_gauge(columns, bench, id);
        let n = columns.rows().len();
        let laid_out = [&bench.last, &bench.min, &bench.max, &bench.sum];
        let [last, min, max, sum] = laid_out.map(|column| column.get(..=n).unwrap_or_default());
        let count = bench.count.get(..=n).unwrap_or_default();
        if !self.has_chunk && self.form.keeps(id) {
            let has_totals = self.is_coarse();
            let points = gauges::Points {
                last,
                min,
                max,
                totals: has_totals.then_some((sum, count)),
            };
            let plan = gauges::Plan::new(&points);
            self.chunk(id, plan.encoded_len(), |out| plan.write(&points, out))?;
        }
        self.has_chunk = true;
        let keeps = self.coarser.is_some_and(|form| form.keeps(id));
        for point in self.points.iter_mut().skip(self.coarse_done) {
            if keeps && hits & range(&point.rows) != 0 {
                let ledger = &self.ledger;
                let draft = &mut point.draft;
                let fits = ledger.room(Part::Tick, &mut draft.gauges.0, 1)
                    && ledger.room(Part::Tick, &mut draft.gauges.1, 1)
                    && ledger.room(Part::Tick, &mut draft.totals, 1);
                if !fits {
                    return Err(Full);
                }
                let rows = point.rows.start + 1..point.rows.end + 1;
                let of = |column: &[f64], f: fn(f64, f64) -> f64| {
                    let values = column.get(rows.clone()).unwrap_or_default().iter().copied();
                    values.reduce(f).unwrap_or(f64::NAN)
                };
                let mut total = Sum::default();
                let sums = sum.get(rows.clone()).unwrap_or_default();
                for sum in sums {
                    total.add(*sum);
                }
                let counts = count.get(rows.clone()).unwrap_or_default();
                draft.gauges.0.push(id);
                draft.gauges.1.push(GaugePoint {
                    last: of(last, |_, then| then),
                    min: of(min, f64::min),
                    max: of(max, f64::max),
                    prev: last.get(point.rows.start).copied().unwrap_or(f64::NAN),
                });
                draft.totals.push(Total {
                    sum: total.value(),
                    count: counts.iter().sum(),
                });
            }
            self.coarse_done += 1;
        }
        Ok(())
    }

    /// The values of a gauge in all points, those included in which it did not change; in front of them, the value
    /// before.
    fn lay_out_gauge(&self, columns: &Columns<'_>, bench: &mut Bench, id: SeriesId) {
        let mut changes = self
            .changes(columns, id, 0..columns.rows().len())
            .peekable();
        let first = changes.peek();
        let before = first.and_then(|(_, column, at)| column.gauges.get(*at));
        let mut value = before.map_or(f64::NAN, |point| point.prev);
        let first_ticks = columns.rows().first().map_or(1, |column| column.ticks);
        let held = |value: f64, ticks: u64| {
            let count = if value.is_nan() { 0 } else { ticks };
            (value, value, value, times(value, count), count)
        };
        let mut put = |place: usize, of: (f64, f64, f64, f64, u64)| {
            let places = [
                (&mut bench.last, of.0),
                (&mut bench.min, of.1),
                (&mut bench.max, of.2),
                (&mut bench.sum, of.3),
            ];
            for (column, value) in places {
                if let Some(there) = column.get_mut(place) {
                    *there = value;
                }
            }
            if let Some(there) = bench.count.get_mut(place) {
                *there = of.4;
            }
        };
        // The numbers in front of all points are never read; these take the fewest bits.
        put(0, held(value, first_ticks));
        for (row, column) in columns.rows().iter().enumerate() {
            let change = changes.next_if(|(changed, ..)| *changed == row);
            let point = change.and_then(|(_, column, at)| column.gauges.get(at));
            let total = change.and_then(|(_, column, at)| column.totals.get(at));
            let of = match point {
                None => held(value, column.ticks),
                Some(point) => {
                    value = point.last;
                    let (.., sum, count) = held(value, column.ticks);
                    let (sum, count) = total.map_or((sum, count), |total| (total.sum, total.count));
                    (point.last, point.min, point.max, sum, count)
                }
            };
            put(row + 1, of);
        }
    }
}
