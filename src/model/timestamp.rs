//! Wall time of a tick.

use std::{
    fmt,
    ops::{Add, Sub},
    time::{Duration, SystemTime},
};

/// A point on the store's time axis: milliseconds since the Unix epoch.
///
/// The axis starts at the wall time of the start and then follows elapsed time, suspension included; a wall clock
/// that is stepped later does not move it. Shown as seconds with three decimals, as Prometheus shows it.
///
/// ```
/// use metrics_recall::{Timestamp, secs};
///
/// let at = Timestamp::from_millis(1_767_225_600_000) + secs(90);
/// assert_eq!(at.as_millis(), 1_767_225_690_000);
/// assert_eq!(at.to_string(), "1767225690.000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `ms` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

fn millis(by: Duration) -> i64 {
    i64::try_from(by.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        let by = Duration::from_millis(at.0.unsigned_abs());
        let time = if at.0 < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(by)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(by)
        };
        time.unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let ms = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:03}", ms / 1000, ms % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_the_epoch_survive_the_round_trip() {
        for ms in [-1, 0, 1, -1_500, 1_767_225_600_123] {
            let at = Timestamp::from_millis(ms);
            assert_eq!(Timestamp::from(SystemTime::from(at)), at);
        }
        assert_eq!(Timestamp::from_millis(-1_500).to_string(), "-1.500");
    }
}
