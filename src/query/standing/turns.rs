//! Questions whose answers cannot be kept from tick to tick: asked once for all who have them, and not all in one tick.

use crate::{
    history::Charge,
    ledger::Full,
    model::Labels,
    query::{
        aggregation::Aggregation,
        ask::Query,
        ruled::{Ruled, Shift},
    },
    util::layout,
};
use std::time::Duration;

/// Points of series that are read in a tick for such questions, as long as there are several of them.
const QUOTA: u64 = 30_000;

/// One of them.
#[derive(Debug)]
pub(super) struct Turn {
    query: Query,
    aggregation: Aggregation,
    ago: Duration,
    steps: Option<u32>,
    most: usize,
    pub(super) hash: u64,
    ruled: Ruled,
    /// The round in which it was asked, and that in which it is to be asked again.
    asked: u64,
    due: u64,
    pub(super) used: u64,
    /// For the question, and for the answer. Last, so that they are given back last.
    _charge: Charge,
    room: Charge,
}

impl Turn {
    pub(super) fn new(
        query: &Query,
        aggregation: Aggregation,
        shift: Shift,
        most: usize,
        hash: u64,
        charge: Charge,
    ) -> Result<Self, Full> {
        let room = charge.beside(0)?;
        Ok(Self {
            query: query.clone(),
            aggregation,
            ago: shift.ago,
            steps: shift.steps,
            most,
            hash,
            ruled: Ruled::default(),
            asked: 0,
            due: 0,
            used: 0,
            _charge: charge,
            room,
        })
    }

    pub(super) fn is(
        &self,
        query: &Query,
        aggregation: Aggregation,
        shift: Shift,
        most: usize,
    ) -> bool {
        self.aggregation == aggregation
            && self.ago == shift.ago
            && self.steps == shift.steps
            && self.most == most
            && self.query == *query
    }

    /// What it was answered, if that is to do for this round.
    pub(super) fn answer(&mut self, round: u64) -> Option<Ruled> {
        self.used = round;
        (round < self.due || self.asked == round).then(|| self.ruled.clone())
    }

    pub(super) fn cost(&self) -> u64 {
        self.ruled.cost
    }

    /// Remembers an answer for `cycle` rounds; without room for it, for none.
    pub(super) fn put(&mut self, ruled: &Ruled, round: u64, cycle: u64) {
        let bytes = bytes(ruled);
        self.ruled = Ruled::default();
        let held = self.room.beside(0);
        drop(std::mem::replace(
            &mut self.room,
            match held {
                Ok(none) => none,
                Err(Full) => return,
            },
        ));
        if self.room.add(bytes).is_ok() {
            self.ruled = ruled.copied();
            self.asked = round;
            self.due = round + cycle;
        }
    }
}

/// Over how many rounds questions are spread that read so many points together.
pub(super) fn cycle(points: u64) -> u64 {
    points.div_ceil(QUOTA).max(1)
}

/// Bytes on the heap of an answer.
fn bytes(ruled: &Ruled) -> usize {
    type Row = (Labels, Vec<Option<f64>>);
    let row = |(labels, values): &Row| labels.bytes() + layout::vec::<Option<f64>>(values.len());
    layout::vec::<Row>(ruled.rows.len()) + ruled.rows.iter().map(row).sum::<usize>()
}
