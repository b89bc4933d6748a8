//! From samples to bytes and back, pure.

pub(crate) mod buckets;
pub(crate) mod distribution;
