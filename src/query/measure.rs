//! A question without a store: what a rule compares with a bound.

use super::{aggregation::Aggregation, selection::Query};

/// What an alert rule compares: a selection and what is asked of it. A condition is made of it by comparing, as in
/// `.above(0.5)`.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "compare it: `.above(0.5)`"]
pub struct Measure {
    pub(crate) query: Query,
    pub(crate) aggregation: Aggregation,
}
