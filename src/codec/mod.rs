//! From samples to bytes and back, pure.

pub(crate) mod buckets;
pub(crate) mod distribution;

// Codecs of segments: tested, and to be used by the tiers of history.
#[cfg(test)]
mod bits;
#[cfg(test)]
mod compile;
#[cfg(test)]
mod counters;
#[cfg(test)]
mod floats;
#[cfg(test)]
mod gauges;
#[cfg(test)]
mod histograms;
#[cfg(test)]
mod ints;
#[cfg(test)]
mod noise;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod tally;
