//! Counts of a histogram since its start, in the buckets in which it is exposed.
//!
//! The tick adds what it has just read, so that a scrape need not touch a cell. Without room for a further bucket, its
//! counts go to the next one above, or are in the series' total only: what is counted below a bound is never too much.

use crate::{
    ledger::{Ledger, Part},
    model::{
        schema::{Code, Schema},
        shape::Fold,
    },
    util::{layout, prefetch::prefetch, sync::Arc},
};

/// Counts by key, ascending. Nothing until there is something to count.
#[derive(Debug, Default)]
pub(crate) struct Tally(Option<Box<Counts>>);

#[derive(Debug)]
struct Counts {
    ledger: Arc<Ledger>,
    list: Vec<(Code, u64)>,
}

/// Buckets that a tally grows by.
const STEP: usize = 4;

impl Tally {
    /// Keys and their counts, ascending.
    pub(crate) fn counts(&self) -> &[(Code, u64)] {
        self.0.as_ref().map_or(&[], |counts| &counts.list)
    }

    /// Asks for what lies so many pointers behind it.
    pub(crate) fn prefetch(&self, depth: usize) {
        if depth == 0 {
            return;
        }
        match (&self.0, depth) {
            (Some(counts), 1) => prefetch::<Counts>(counts),
            (Some(counts), 2) => prefetch(&*counts.list),
            _ => {}
        }
    }

    /// Bytes that it is charged with.
    #[cfg(all(test, loom))]
    pub(crate) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |counts| {
            layout::vec::<Counts>(1) + layout::vec::<(Code, u64)>(counts.list.capacity())
        })
    }

    /// Adds ascending buckets, and counts that lie somewhere between two codes: at the upper one.
    pub(crate) fn add(
        &mut self,
        fold: &Fold,
        schema: &Schema,
        fine: &[(Code, u64)],
        spans: &[(Code, Code, u64)],
        ledger: &Arc<Ledger>,
    ) {
        if *fold == Fold::Nothing {
            return;
        }
        let Some(counts) = self.counts_in(ledger) else {
            return;
        };
        let mut near = 0;
        for (code, count) in fine {
            if let Some(key) = fold.key(*code, schema) {
                near = counts.add(near, key, *count);
            }
        }
        for (_, upto, count) in spans.iter().filter(|span| span.1 < Code::MAX) {
            if let Some(key) = fold.key(*upto, schema) {
                counts.add(0, key, *count);
            }
        }
    }

    fn counts_in(&mut self, ledger: &Arc<Ledger>) -> Option<&mut Counts> {
        if self.0.is_none() {
            ledger.reserve(Part::Pages, layout::vec::<Counts>(1)).ok()?;
            self.0 = Some(Box::new(Counts {
                ledger: ledger.clone(),
                list: Vec::new(),
            }));
        }
        self.0.as_deref_mut()
    }
}

impl Counts {
    /// Adds to `key`, which often stands at `near` or just behind; gives its place.
    #[inline]
    fn add(&mut self, near: usize, key: Code, count: u64) -> usize {
        for at in [near, near + 1] {
            if let Some(place) = self.list.get_mut(at).filter(|place| place.0 == key) {
                place.1 = place.1.wrapping_add(count);
                return at;
            }
        }
        let found = self.list.binary_search_by_key(&key, |place| place.0);
        let at = found.unwrap_or_else(|at| at);
        if found.is_err() && self.has_room() {
            self.list.insert(at, (key, 0));
        }
        if let Some(place) = self.list.get_mut(at) {
            place.1 = place.1.wrapping_add(count);
        }
        at
    }

    fn has_room(&mut self) -> bool {
        let capacity = self.list.capacity();
        if self.list.len() < capacity {
            return true;
        }
        let larger = capacity + STEP.max(capacity / 2);
        let bytes = layout::vec::<(Code, u64)>(larger);
        if self.ledger.reserve(Part::Pages, bytes).is_err() {
            return false;
        }
        layout::regrow(&mut self.list, larger);
        self.ledger
            .release(Part::Pages, layout::vec::<(Code, u64)>(capacity));
        true
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some(counts) = self.0.take() {
            let bytes =
                layout::vec::<Counts>(1) + layout::vec::<(Code, u64)>(counts.list.capacity());
            let ledger = counts.ledger.clone();
            drop(counts);
            ledger.release(Part::Pages, bytes);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ledger::SMALLEST;

    #[test]
    fn buckets_stay_in_order_and_all_memory_comes_back() {
        let ledger = Arc::new(Ledger::new(SMALLEST));
        let before = ledger.used();
        let schema = Schema::get(4);
        let mut tally = Tally::default();
        for codes in [[16, 40, 41], [-3, 40, 9000], [0, 1, 2]] {
            let fine = codes.map(|code| (code, 2));
            tally.add(&Fold::Codes, schema, &fine, &[(1, 41, 5)], &ledger);
        }
        let expected = [
            (-3, 2),
            (0, 2),
            (1, 2),
            (2, 2),
            (16, 2),
            (40, 4),
            (41, 17),
            (9000, 2),
        ];
        assert_eq!(tally.counts(), expected);
        drop(tally);
        assert_eq!(ledger.used(), before);
    }

    #[test]
    fn without_room_counts_go_up_and_never_down() {
        let ledger = Arc::new(Ledger::new(SMALLEST));
        let schema = Schema::get(4);
        let mut tally = Tally::default();
        let four = [(10, 1), (20, 1), (30, 1), (40, 1)];
        tally.add(&Fold::Codes, schema, &four, &[], &ledger);
        while ledger.reserve(Part::Pages, 8).is_ok() {}
        tally.add(&Fold::Codes, schema, &[(25, 7), (50, 9)], &[], &ledger);
        assert_eq!(tally.counts(), [(10, 1), (20, 1), (30, 8), (40, 1)]);
    }
}
