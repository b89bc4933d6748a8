//! Counts of the buckets of one sign, in leaves of neighbours: room is taken only where something is counted.

use crate::{history::Charge, ledger::Full, model::schema::Code, util::layout};

/// Counts of one sign, by magnitude of their codes.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Ascending; only those that have been counted in.
    #[expect(
        clippy::vec_box,
        reason = "a list that grows must not hold all counts twice"
    )]
    leaves: Vec<Box<Leaf>>,
    /// Where the last count was; the next one is mostly there or one further.
    at: usize,
}

/// Sixteen neighbouring buckets.
#[derive(Debug)]
struct Leaf {
    /// Magnitude of its first code, divided by sixteen.
    number: i32,
    counts: [u64; LEAF],
}

const LEAF: usize = 16;

impl Side {
    #[inline(always)]
    pub(super) fn count(&mut self, magnitude: Code) -> Option<&mut u64> {
        let number = magnitude >> 4;
        let is_at = |at: usize| self.leaves.get(at).is_some_and(|l| l.number == number);
        if !is_at(self.at) {
            if !is_at(self.at + 1) {
                return None;
            }
            self.at += 1;
        }
        let place = (magnitude & 15).cast_unsigned() as usize;
        self.leaves.get_mut(self.at)?.counts.get_mut(place)
    }

    /// Adds a count that is not near the last one, in a new leaf if need be.
    #[cold]
    pub(super) fn add(
        &mut self,
        magnitude: Code,
        count: u64,
        room: &mut Charge,
    ) -> Result<(), Full> {
        let number = magnitude >> 4;
        self.at = match self
            .leaves
            .binary_search_by_key(&number, |leaf| leaf.number)
        {
            Ok(at) => at,
            Err(at) => {
                self.make_room(room)?;
                let counts = [0; LEAF];
                self.leaves.insert(at, Box::new(Leaf { number, counts }));
                at
            }
        };
        if let Some(there) = self.count(magnitude) {
            *there = there.wrapping_add(count);
        }
        Ok(())
    }

    fn make_room(&mut self, room: &mut Charge) -> Result<(), Full> {
        room.add(size_of::<Leaf>())?;
        let before = self.leaves.capacity();
        if self.leaves.len() == before {
            let capacity = layout::grown(before);
            room.add(layout::vec::<Box<Leaf>>(capacity))?;
            layout::regrow(&mut self.leaves, capacity);
            room.give_back(layout::vec::<Box<Leaf>>(before));
        }
        Ok(())
    }

    /// What it is charged with.
    pub(super) fn bytes(&self) -> usize {
        self.leaves.len() * size_of::<Leaf>() + layout::vec::<Box<Leaf>>(self.leaves.capacity())
    }

    /// Leaves that it has.
    pub(super) fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Gives back the room of leaves that are empty.
    pub(super) fn prune(&mut self, room: &mut Charge) {
        let before = self.leaves.len();
        self.leaves.retain(|leaf| leaf.counts != [0; LEAF]);
        self.at = 0;
        let gone = before - self.leaves.len();
        room.give_back(gone * size_of::<Leaf>());
    }

    pub(super) fn clear(&mut self) {
        for leaf in &mut self.leaves {
            leaf.counts = [0; LEAF];
        }
        self.at = 0;
    }

    /// Magnitudes and counts of what is filled, ascending.
    pub(super) fn filled(&self) -> impl DoubleEndedIterator<Item = (Code, u64)> {
        self.leaves.iter().flat_map(|leaf| {
            let counts = leaf.counts.iter().enumerate();
            let filled = counts.filter(|(_, n)| **n > 0);
            filled.map(|(at, n)| (leaf.number * 16 + i32::try_from(at).unwrap_or(0), *n))
        })
    }
}
