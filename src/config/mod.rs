//! What a user may choose, as plain data; and the checked plan that the store is built from.

mod classes;
mod exposed;
mod profile;
mod retention;
#[cfg(test)]
mod tests;
mod tiers;
mod validate;

pub use exposed::HistogramRule;
pub use profile::{MemoryProfile, ProfileConfig, Tier};
pub use retention::RetentionRule;
pub(crate) use tiers::{MOST_TIERS, TierPlan};
pub(crate) use validate::{Config, LARGEST, Plan};
