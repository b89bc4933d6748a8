//! The questions themselves: the last word of a selection, for each kind.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method is of one lifetime, a closure of all"
)]

mod counters;
mod gauges;
mod histograms;
