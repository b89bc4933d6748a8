//! Stores with tiers of their own.

use metrics_recall::{MemoryProfile, ProfileConfig, Tier, secs};
use std::time::Duration;

/// Production without coarse tiers: a tick that is older than this is gone.
pub fn finest_only(retention: Duration) -> ProfileConfig {
    let mut config = MemoryProfile::Production.config();
    config.tiers = vec![Tier::new(secs(1), retention)];
    config
}
