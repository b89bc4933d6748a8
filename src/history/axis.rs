//! When the points of a segment were.
//!
//! One mostly begins where the one before ends, and all are of equally many ticks; so a point takes eight bytes, and more
//! only in a segment of which that is not true. Of a store with few series, this is most of what a segment takes.

use super::Charge;
use crate::{codec::segment::Row, util::layout};

/// The points of a segment.
#[derive(Debug)]
pub(crate) struct Axis {
    /// Where the first begins.
    start_ns: u64,
    /// Oldest first.
    ends: Box<[u64]>,
    /// Where points begin; empty if each does where the one before ends.
    starts: Box<[u64]>,
    /// Of how many ticks each is; empty if all are of as many as the first.
    ticks: Box<[u32]>,
    ticks_each: u32,
    /// Number of the first tick.
    pub(super) tick: u64,
    pub(super) charge: Charge,
}

/// What of these has to be written down for each.
fn is_own(rows: &(impl Iterator<Item = Row> + Clone)) -> (bool, bool) {
    let mut two = rows.clone().zip(rows.clone().skip(1));
    let starts = two.any(|(before, row)| before.end_ns != row.start_ns);
    let each = rows.clone().next().map_or(0, |row| row.ticks);
    (starts, rows.clone().any(|row| row.ticks != each))
}

impl Axis {
    /// Bytes to charge for these points.
    pub(super) fn bytes(rows: &(impl ExactSizeIterator<Item = Row> + Clone)) -> usize {
        let n = rows.len();
        let (starts, ticks) = is_own(rows);
        let len = |is_own| if is_own { n } else { 0 };
        layout::arc::<Self>()
            + layout::vec::<u64>(n)
            + layout::vec::<u64>(len(starts))
            + layout::vec::<u32>(len(ticks))
    }

    /// `charge` is for [`Axis::bytes`] of the same points, oldest first; each begins where the one before ends, or later.
    pub(super) fn new(
        rows: &(impl ExactSizeIterator<Item = Row> + Clone),
        tick: u64,
        charge: Charge,
    ) -> Self {
        let (starts, ticks) = is_own(rows);
        let first = rows.clone().next();
        Self {
            start_ns: first.map_or(0, |row| row.start_ns),
            ends: rows.clone().map(|row| row.end_ns).collect(),
            starts: if starts {
                rows.clone().map(|row| row.start_ns).collect()
            } else {
                Box::default()
            },
            ticks: if ticks {
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
        self.ends.len()
    }

    /// When a point was.
    pub(crate) fn row(&self, at: usize) -> Option<Row> {
        let end_ns = *self.ends.get(at)?;
        let before = at.checked_sub(1).and_then(|at| self.ends.get(at));
        let start_ns = self.starts.get(at).or(before).unwrap_or(&self.start_ns);
        Some(Row {
            start_ns: *start_ns,
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
        self.ends.last().copied().unwrap_or(0)
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
        let bytes = Axis::bytes(&rows.iter().copied());
        let charge = Charge::new(&ledger, Part::History, bytes).expect("room");
        Axis::new(&rows.iter().copied(), 7, charge)
    }

    /// Points that begin where the one before ends, but for every so many, and of one tick, but for every so many.
    fn any_rows() -> impl Strategy<Value = Vec<Row>> {
        let row = (
            prop_oneof![9 => Just(0), 1 => 1_u64..50],
            1_u64..100,
            prop_oneof![9 => Just(1), 1 => 2_u32..9],
        );
        (0_u64..1000, 1_usize..130, vec(row, 1..130)).prop_map(|(start, most, parts)| {
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
            parts.into_iter().take(most).map(row).collect()
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
    fn a_point_takes_eight_bytes_where_ticks_are_regular() {
        let row = |at: u64| Row {
            start_ns: at,
            end_ns: at + 1,
            ticks: 1,
        };
        let regular: Vec<Row> = (0..120).map(row).collect();
        let bytes = |rows: &[Row]| Axis::bytes(&rows.iter().copied()) - layout::arc::<Axis>();
        assert_eq!(bytes(&regular), layout::vec::<u64>(120));
        let mut odd = regular.clone();
        odd[60].ticks = 2;
        assert_eq!(
            bytes(&odd),
            layout::vec::<u64>(120) + layout::vec::<u32>(120)
        );
        odd[119].end_ns = 200;
        odd[119].start_ns = 150;
        assert_eq!(
            bytes(&odd),
            2 * layout::vec::<u64>(120) + layout::vec::<u32>(120)
        );
    }
}
