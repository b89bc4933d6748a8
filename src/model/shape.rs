//! How a histogram is shown to the outside: chosen for each metric, by the first rule that its name fits.

use super::{
    glob::Glob,
    schema::{Code, Schema, fold_code},
};
use std::{sync::Arc, time::Duration};

/// What becomes of a histogram's buckets when it is exposed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Shape {
    /// Classic buckets that end at powers of two, exactly.
    #[default]
    PowersOfTwo,
    /// Classic buckets that end here; ascending and finite.
    Bounds(Arc<[f64]>),
    /// The store's own buckets, as a native histogram; in text, classic buckets at powers of two.
    Native,
    /// Quantiles over a window.
    Summary(Duration),
}

/// A pattern of names, and how those that fit are shown.
pub(crate) type ShapeRule = (Glob, Shape);

/// Which buckets of a histogram are counted together since the start.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fold {
    /// By powers of two: keys are codes of schema 0.
    Octaves,
    /// By the first bound that is not below: keys are places in this list of the bounds' codes.
    Bounds(Arc<[Code]>),
    /// Each alone: keys are codes.
    Codes,
    /// Not at all.
    Nothing,
}

impl Fold {
    pub(crate) fn new(shape: &Shape, schema: &Schema) -> Self {
        match shape {
            Shape::PowersOfTwo => Self::Octaves,
            Shape::Native => Self::Codes,
            Shape::Summary(_) => Self::Nothing,
            Shape::Bounds(bounds) => {
                Self::Bounds(bounds.iter().filter_map(|b| schema.code(*b)).collect())
            }
        }
    }

    /// The key under which a code of `schema` is counted. Ascending codes have keys that do not descend.
    #[inline]
    pub(crate) fn key(&self, code: Code, schema: &Schema) -> Option<Code> {
        match self {
            Self::Octaves => Some(fold_code(code, schema.scale(), 0)),
            Self::Codes => Some(code),
            Self::Nothing => None,
            Self::Bounds(bounds) => {
                let at = bounds.partition_point(|bound| *bound < code);
                i32::try_from(at).ok().filter(|_| at < bounds.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octaves_end_at_powers_of_two() {
        let schema = Schema::get(4);
        for (value, bound) in [(1.0, 1.0), (1.01, 2.0), (2.0, 2.0), (0.3, 0.5), (0.0, 0.0)] {
            let code = schema.code(value).expect("a number");
            let key = Fold::Octaves.key(code, schema).expect("a key");
            let end = Schema::get(0).range_of(key).1;
            assert_eq!(end.to_bits(), f64::to_bits(bound), "{value}");
        }
    }

    #[test]
    fn a_value_counts_at_the_first_bound_that_is_not_below() {
        let schema = Schema::get(4);
        let fold = Fold::new(&Shape::Bounds([0.25, 1.0, 4.0].into()), schema);
        for (value, key) in [
            (0.1, Some(0)),
            (0.25, Some(0)),
            (0.3, Some(1)),
            (4.0, Some(2)),
            (5.0, None),
            (-1.0, Some(0)),
        ] {
            let code = schema.code(value).expect("a number");
            assert_eq!(fold.key(code, schema), key, "{value}");
        }
    }
}
