//! The nouns: kinds, timestamps, labels, and the draft in which one tick meets history. No locks, no I/O.

mod kind;
mod timestamp;

pub(crate) mod family;
pub(crate) mod frame;
pub(crate) mod glob;
pub(crate) mod labels;
pub(crate) mod matcher;
pub(crate) mod numbers;
pub(crate) mod schema;
pub(crate) mod shape;

pub use kind::MetricKind;
pub use labels::Labels;
pub use timestamp::Timestamp;
