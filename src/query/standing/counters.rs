//! What counters did over a window that moves: a sum of integers.

use super::{
    super::counted::each_rise,
    group::READ_AHEAD,
    view::{Place, View, place_of},
};
use crate::{history::Charge, ledger::Full, model::frame::SeriesId, util::layout};
use std::ops::Range;

/// Increments of all series of a group.
#[derive(Debug, Default)]
pub(super) struct Rises {
    pub(super) by: u64,
    /// Points that will leave next, and what rose in them.
    ahead: Vec<(Place, u64)>,
    /// How many of these have left.
    left: usize,
}

impl Rises {
    pub(super) fn clear(&mut self) {
        self.by = 0;
        self.ahead.clear();
        self.left = 0;
    }

    pub(super) fn enter(&mut self, ids: &[SeriesId], view: &View<'_>, points: &Range<usize>) {
        for id in ids {
            each_rise(&view.reach, points, *id, |_, by, _| {
                self.by = self.by.wrapping_add(by);
            });
        }
    }

    /// False: history has it no more.
    pub(super) fn leave(
        &mut self,
        ids: &[SeriesId],
        view: &View<'_>,
        points: &Range<usize>,
        charge: &mut Charge,
    ) -> Result<bool, Full> {
        for point in points.clone() {
            let Some(row) = view.row(point) else {
                return Ok(false);
            };
            let is_next = self.ahead.get(self.left).map(|next| next.0) == Some(place_of(row));
            if !is_next {
                self.look_ahead(ids, view, &view.ahead(point, READ_AHEAD), charge)?;
            }
            let by = self.ahead.get(self.left).map_or(0, |next| next.1);
            self.by = self.by.wrapping_sub(by);
            self.left += 1;
        }
        Ok(true)
    }

    fn look_ahead(
        &mut self,
        ids: &[SeriesId],
        view: &View<'_>,
        points: &Range<usize>,
        charge: &mut Charge,
    ) -> Result<(), Full> {
        self.ahead.clear();
        self.left = 0;
        if self.ahead.capacity() < points.len() {
            let before = layout::vec::<(Place, u64)>(self.ahead.capacity());
            charge.add(layout::vec::<(Place, u64)>(READ_AHEAD))?;
            self.ahead = Vec::with_capacity(READ_AHEAD);
            charge.give_back(before);
        }
        let rows = view.reach.rows(points);
        self.ahead.extend(rows.map(|row| (place_of(row), 0)));
        for id in ids {
            each_rise(&view.reach, points, *id, |place, by, _| {
                if let Some((_, sum)) = self.ahead.get_mut(place) {
                    *sum = sum.wrapping_add(by);
                }
            });
        }
        Ok(())
    }
}
