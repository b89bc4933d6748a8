//! From samples to bytes and back, pure.

mod bits;
pub(crate) mod buckets;
pub(crate) mod compile;
pub(crate) mod counters;
pub(crate) mod distribution;
mod floats;
pub(crate) mod gauges;
pub(crate) mod histograms;
mod ints;
#[cfg(test)]
pub(crate) mod noise;
mod packing;
pub(crate) mod rows;
pub(crate) mod segment;
#[cfg(any(test, fuzzing))]
pub(crate) mod stored;
mod tally;
