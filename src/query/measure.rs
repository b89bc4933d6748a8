//! A question without a store: what a rule compares with a bound.

use super::{aggregation::Aggregation, ask::Query};
use std::time::Duration;

/// What an alert rule compares: a selection and what is asked of it. A condition is made of it by comparing, as in
/// `.above(0.5)`.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "compare it: `.above(0.5)`"]
pub struct Measure(pub(crate) Term);

/// A measure as a tree.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    Ask {
        query: Query,
        aggregation: Aggregation,
    },
    /// The first by the second.
    Ratio(Box<Term>, Box<Term>),
    /// What it is, less what it was so long ago.
    Change(Box<Term>, Duration),
    /// What it was so long ago.
    Ago(Box<Term>, Duration),
}

impl Measure {
    pub(crate) fn ask(query: Query, aggregation: Aggregation) -> Self {
        Self(Term::Ask { query, aggregation })
    }
}
