//! The buckets of a distribution side by side, without those between the two signs, which are many and empty.

use super::pile::Span;
use crate::model::schema::Code;

/// Codes between the outermost ones of each sign, and zero: side by side, without those between the signs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    /// First and last code that is negative, zero, positive.
    sides: [Option<(Code, Code)>; 3],
}

impl Sides {
    /// `None`: there are no ranges.
    pub(super) fn of(ranges: impl Iterator<Item = Span>) -> Option<Self> {
        let mut sides: [Option<(Code, Code)>; 3] = [None; 3];
        let all = [(Code::MIN, -1), (0, 0), (1, Code::MAX)];
        for (from, to, _) in ranges {
            for (side, (least, most)) in sides.iter_mut().zip(all) {
                let (from, to) = (from.max(least), to.min(most));
                if from <= to {
                    let (low, high) = side.unwrap_or((from, to));
                    *side = Some((low.min(from), high.max(to)));
                }
            }
        }
        sides.iter().any(Option::is_some).then_some(Self { sides })
    }

    fn some(&self) -> impl Iterator<Item = (i64, i64)> {
        let some = self.sides.iter().flatten();
        some.map(|(first, last)| (i64::from(*first), i64::from(*last)))
    }

    pub(super) fn len(&self) -> i64 {
        self.some().map(|(first, last)| last - first + 1).sum()
    }

    /// Where a code stands.
    pub(super) fn place(&self, code: Code) -> i64 {
        let code = i64::from(code);
        let before = |(first, last): (i64, i64)| (code.min(last + 1) - first).max(0);
        self.some().map(before).sum()
    }

    /// The code that stands there.
    pub(super) fn code(&self, place: i64) -> Code {
        let mut left = place;
        let mut code = 0;
        for (first, last) in self.some() {
            code = (first + left).min(last);
            if first + left <= last {
                break;
            }
            left -= last - first + 1;
        }
        Code::try_from(code).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn between_the_signs_nothing_has_a_place() {
        let sides =
            Sides::of([(-9, -9, 1), (-7, -7, 2), (0, 0, 1), (5, 6, 3)].into_iter()).unwrap();
        assert_eq!(sides.len(), 6);
        let codes: Vec<Code> = (0..6).map(|place| sides.code(place)).collect();
        assert_eq!(codes, [-9, -8, -7, 0, 5, 6]);
        assert!(Sides::of(std::iter::empty()).is_none());
    }

    proptest! {
        #[test]
        fn a_code_is_found_where_it_stands(ranges in prop::collection::vec((any::<Code>(), any::<Code>()), 1..5)) {
            let ranges = ranges.iter().map(|(a, b)| (*a.min(b), *a.max(b), 1));
            let sides = Sides::of(ranges.clone()).unwrap();
            for (from, to, _) in ranges {
                for code in [from, to] {
                    prop_assert_eq!(sides.code(sides.place(code)), code);
                }
            }
            prop_assert_eq!(sides.place(sides.code(sides.len() - 1)), sides.len() - 1);
        }
    }
}
