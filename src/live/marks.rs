//! A few bits that stand for the labels of a series, so that a question passes over the series that lack what it asks
//! for without touching them.

use crate::{model::labels, util::hash::Seed};

/// Bits for a set of labels: a series that lacks one of a label's bits lacks the label. One that has them all may lack it
/// yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks(u32);

impl Marks {
    pub(crate) const NONE: Self = Self(0);

    /// Those of all labels in canonical bytes.
    pub(crate) fn of_all(seed: &Seed, canonical: &[u8]) -> Self {
        let labels = labels::iter(canonical);
        labels.fold(Self::NONE, |marks, (name, value)| {
            marks.and(Self::of(seed, name, value))
        })
    }

    /// Those of one label: three bits, or fewer.
    pub(crate) fn of(seed: &Seed, name: &str, value: &str) -> Self {
        let hash = seed.extend(seed.hash(name.as_bytes()), value.as_bytes());
        let bit = |shift: u32| 1 << ((hash >> shift) % 32);
        Self(bit(0) | bit(5) | bit(10))
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `wanted` are here.
    pub(crate) fn have(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_the_marks_of_its_labels_and_few_others() {
        let seed = Seed::random();
        let marks = Marks::of_all(&seed, b"\x01\x00a\x01\x00x\x01\x00b\x01\x00y");
        for (name, value) in [("a", "x"), ("b", "y")] {
            assert!(marks.have(Marks::of(&seed, name, value)));
        }
        assert!(marks.have(Marks::NONE));
        let others = (0..10_000).filter(|i| marks.have(Marks::of(&seed, "a", &i.to_string())));
        assert!(others.count() < 500);
    }
}
