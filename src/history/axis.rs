//! When the points of a segment were.
//!
//! One mostly begins where the one before ends, all are of equally many ticks, and they end about as far from each other;
//! so a point takes four bytes, and more only in a segment of which that is not true. Of a store with few series, this is
//! most of what a segment takes.

use super::Charge;
use crate::{codec::segment::Row, util::layout};

/// The points of a segment.
#[derive(Debug)]
pub(crate) struct Axis {
    /// Where the first begins.
    start_ns: u64,
    /// Oldest first.
    ends: Ends,
    /// Where points begin; empty if each does where the one before ends.
    starts: Box<[u64]>,
    /// Of how many ticks each is; empty if all are of as many as the first.
    ticks: Box<[u32]>,
    ticks_each: u32,
    /// Number of the first tick.
    pub(super) tick: u64,
    pub(super) charge: Charge,
}

/// Where points end.
#[derive(Debug)]
enum Ends {
    /// By how many nanoseconds each misses its place on a line.
    Near(Line, Box<[i32]>),
    Far(Box<[u64]>),
}

/// Places that are equally far from each other.
#[derive(Clone, Copy, Debug)]
struct Line {
    first_ns: u64,
    step_ns: u64,
}

impl Line {
    /// From the end of the first point to that of the last.
    fn through(rows: &(impl ExactSizeIterator<Item = Row> + Clone)) -> Self {
        let first_ns = rows.clone().next().map_or(0, |row| row.end_ns);
        let last_ns = rows.clone().last().map_or(0, |row| row.end_ns);
        let steps = rows.len().saturating_sub(1).max(1) as u64;
        Self {
            first_ns,
            step_ns: last_ns.wrapping_sub(first_ns) / steps,
        }
    }

    fn at(self, place: usize) -> u64 {
        let far = self.step_ns.wrapping_mul(place as u64);
        self.first_ns.wrapping_add(far)
    }

    /// `None`: too far away.
    fn missed_by(self, place: usize, end_ns: u64) -> Option<i32> {
        let missed = end_ns.wrapping_sub(self.at(place)).cast_signed();
        i32::try_from(missed).ok()
    }
}

/// What has to be written down of some points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    n: usize,
    starts: bool,
    ticks: bool,
    line: Option<Line>,
}

impl Parts {
    /// Of points that are oldest first; each begins where the one before ends, or later.
    pub(super) fn of(rows: &(impl ExactSizeIterator<Item = Row> + Clone)) -> Self {
        let mut two = rows.clone().zip(rows.clone().skip(1));
        let each = rows.clone().next().map_or(0, |row| row.ticks);
        let line = Line::through(rows);
        let mut ends = rows.clone().map(|row| row.end_ns).enumerate();
        let is_near = ends.all(|(place, end_ns)| line.missed_by(place, end_ns).is_some());
        Self {
            n: rows.len(),
            starts: two.any(|(before, row)| before.end_ns != row.start_ns),
            ticks: rows.clone().any(|row| row.ticks != each),
            line: is_near.then_some(line),
        }
    }

    /// Bytes to charge for these points.
    pub(super) fn bytes(&self) -> usize {
        let len = |is_own| if is_own { self.n } else { 0 };
        layout::arc::<Axis>()
            + layout::vec::<i32>(len(self.line.is_some()))
            + layout::vec::<u64>(len(self.line.is_none()))
            + layout::vec::<u64>(len(self.starts))
            + layout::vec::<u32>(len(self.ticks))
    }
}

impl Axis {
    /// `parts` are those of these points, and `charge` is for their bytes.
    pub(super) fn new(
        rows: &(impl ExactSizeIterator<Item = Row> + Clone),
        parts: &Parts,
        tick: u64,
        charge: Charge,
    ) -> Self {
        let first = rows.clone().next();
        let ends = rows.clone().map(|row| row.end_ns);
        Self {
            start_ns: first.map_or(0, |row| row.start_ns),
            ends: match parts.line {
                Some(line) => {
                    let missed = |(place, end_ns)| line.missed_by(place, end_ns).unwrap_or(0);
                    Ends::Near(line, ends.enumerate().map(missed).collect())
                }
                None => Ends::Far(ends.collect()),
            },
            starts: if parts.starts {
                rows.clone().map(|row| row.start_ns).collect()
            } else {
                Box::default()
            },
            ticks: if parts.ticks {
                rows.clone().map(|row| row.ticks).collect()
            } else {
                Box::default()
            },
            ticks_each: first.map_or(0, |row| row.ticks),
            tick,
            charge,
        }
    }

    /// How many points there are.
    pub(crate) fn len(&self) -> usize {
        match &self.ends {
            Ends::Near(_, missed) => missed.len(),
            Ends::Far(ends) => ends.len(),
        }
    }

    fn end(&self, at: usize) -> Option<u64> {
        match &self.ends {
            Ends::Near(line, missed) => {
                let missed = i64::from(*missed.get(at)?);
                Some(line.at(at).wrapping_add_signed(missed))
            }
            Ends::Far(ends) => ends.get(at).copied(),
        }
    }

    /// When a point was.
    pub(crate) fn row(&self, at: usize) -> Option<Row> {
        let end_ns = self.end(at)?;
        let own = self.starts.get(at).copied();
        let start_ns = own.or_else(|| self.end(at.checked_sub(1)?));
        Some(Row {
            start_ns: start_ns.unwrap_or(self.start_ns),
            end_ns,
            ticks: self.ticks.get(at).copied().unwrap_or(self.ticks_each),
        })
    }

    /// How many of the oldest points `is_before`; those that are not are all behind them.
    pub(super) fn partition_point(&self, mut is_before: impl FnMut(Row) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.row(middle).is_some_and(&mut is_before) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(super) fn start_ns(&self) -> u64 {
        self.start_ns
    }

    pub(super) fn end_ns(&self) -> u64 {
        let last = self.len().checked_sub(1).and_then(|at| self.end(at));
        last.unwrap_or(0)
    }
}

#[cfg(test)]
impl Axis {
    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = Row> + Clone {
        (0..self.len()).map(|at| self.row(at).expect("a row"))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        ledger::{Ledger, Part},
        util::sync::Arc,
    };

    fn axis(rows: &[Row]) -> Axis {
        let ledger = Arc::new(Ledger::new(1 << 20));
        let rows = rows.iter().copied();
        let parts = Parts::of(&rows);
        let charge = Charge::new(&ledger, Part::History, parts.bytes()).expect("room");
        Axis::new(&rows, &parts, 7, charge)
    }

    /// Points that begin where the one before ends, of one tick, and about as long as all others, but for every so many.
    fn any_rows() -> impl Strategy<Value = Vec<Row>> {
        let row = (
            prop_oneof![9 => Just(0), 1 => 1_u64..50],
            prop_oneof![99 => 1_u64..100, 1 => 1_u64..1 << 40],
            prop_oneof![9 => Just(1), 1 => 2_u32..9],
        );
        (0_u64..1000, 1_usize..130, vec(row, 1..130)).prop_map(|(start, most, pieces)| {
            let mut at = start;
            let row = |(gap, length, ticks)| {
                let start_ns = at + gap;
                at = start_ns + length;
                Row {
                    start_ns,
                    end_ns: at,
                    ticks,
                }
            };
            pieces.into_iter().take(most).map(row).collect()
        })
    }

    proptest! {
        #[test]
        fn points_are_where_they_were(rows in any_rows(), ns in 0_u64..10_000) {
            let axis = axis(&rows);
            prop_assert_eq!(axis.rows().collect::<Vec<_>>(), rows.clone());
            prop_assert_eq!((axis.len(), axis.row(rows.len())), (rows.len(), None));
            prop_assert_eq!(axis.start_ns(), rows[0].start_ns);
            prop_assert_eq!(axis.end_ns(), rows[rows.len() - 1].end_ns);
            let before = |row: Row| row.end_ns < ns;
            prop_assert_eq!(axis.partition_point(before), rows.partition_point(|row| before(*row)));
        }
    }

    #[test]
    fn a_point_takes_four_bytes_where_ticks_are_regular() {
        let row = |at: u64| Row {
            start_ns: at,
            end_ns: at + 1,
            ticks: 1,
        };
        let regular: Vec<Row> = (0..120).map(row).collect();
        let bytes = |rows: &[Row]| Parts::of(&rows.iter().copied()).bytes() - layout::arc::<Axis>();
        let [small, large] = [layout::vec::<u32>(120), layout::vec::<u64>(120)];
        assert_eq!(bytes(&regular), small);
        let mut odd = regular.clone();
        odd[60].ticks = 2;
        assert_eq!(bytes(&odd), 2 * small);
        odd[119].start_ns = 150;
        odd[119].end_ns = 200;
        assert_eq!(bytes(&odd), 2 * small + large);
        // Some seconds late, and early again.
        odd[119].end_ns = 1 << 33;
        assert_eq!(bytes(&odd), small + 2 * large);
    }
}
