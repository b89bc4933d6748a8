//! The least and the greatest value of a window that moves.

use crate::{history::Charge, ledger::Full, util::layout};
use std::collections::VecDeque;

/// Values with the starts of their points, oldest first; only those that are still to be the extreme of some window, so
/// that each is the least, or the greatest, of all behind it.
#[derive(Debug, Default)]
pub(super) struct Extremes {
    low: VecDeque<(u64, f64)>,
    high: VecDeque<(u64, f64)>,
}

impl Extremes {
    /// The extremes of a point come in; `min > max`: it has none. Points come in the order of their starts.
    pub(super) fn enter(
        &mut self,
        start_ns: u64,
        min: f64,
        max: f64,
        charge: &mut Charge,
    ) -> Result<(), Full> {
        if min <= max {
            push(
                &mut self.low,
                (start_ns, min),
                |old, new| old >= new,
                charge,
            )?;
            push(
                &mut self.high,
                (start_ns, max),
                |old, new| old <= new,
                charge,
            )?;
        }
        Ok(())
    }

    /// The window begins here now.
    pub(super) fn leave(&mut self, begin_ns: u64) {
        for side in [&mut self.low, &mut self.high] {
            while side.front().is_some_and(|(start, _)| *start < begin_ns) {
                side.pop_front();
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.low.clear();
        self.high.clear();
    }

    /// Least and greatest, if any point has them.
    pub(super) fn get(&self) -> Option<(f64, f64)> {
        Some((self.low.front()?.1, self.high.front()?.1))
    }
}

fn push(
    side: &mut VecDeque<(u64, f64)>,
    new: (u64, f64),
    is_beaten: impl Fn(f64, f64) -> bool,
    charge: &mut Charge,
) -> Result<(), Full> {
    while side.back().is_some_and(|(_, old)| is_beaten(*old, new.1)) {
        side.pop_back();
    }
    let capacity = side.capacity();
    if side.len() == capacity {
        let larger = layout::grown(capacity);
        charge.add(layout::vec::<(u64, f64)>(larger))?;
        let mut grown = VecDeque::with_capacity(larger);
        grown.append(side);
        *side = grown;
        charge.give_back(layout::vec::<(u64, f64)>(capacity));
    }
    side.push_back(new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Ledger, Part};
    use proptest::prelude::*;
    use std::sync::Arc;

    proptest! {
        #[test]
        fn extremes_are_those_of_all_points_in_the_window(
            values in prop::collection::vec((-5_i32..5, 0_i32..3), 1..80),
            width in 1_usize..20,
        ) {
            let ledger = Arc::new(Ledger::new(1 << 20));
            let mut charge = Charge::new(&ledger, Part::Queries, 0).unwrap();
            let mut extremes = Extremes::default();
            for (at, (min, more)) in values.iter().enumerate() {
                let (min, max) = (f64::from(*min), f64::from(min + more));
                extremes.enter(at as u64, min, max, &mut charge).unwrap();
                let from = (at + 1).saturating_sub(width);
                extremes.leave(from as u64);
                let some = &values[from..=at];
                let low = some.iter().map(|v| v.0).min().unwrap();
                let high = some.iter().map(|v| v.0 + v.1).max().unwrap();
                prop_assert_eq!(extremes.get(), Some((f64::from(low), f64::from(high))));
            }
            drop((extremes, charge));
            prop_assert_eq!(ledger.part(Part::Queries), 0);
        }
    }
}
