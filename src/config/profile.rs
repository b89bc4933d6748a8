//! Memory profiles: a budget and everything that follows from it, under one word.

use crate::{
    clock::{mins, secs},
    error::Error,
    model::schema::Schema,
};
use std::{fmt, time::Duration};

/// How much memory metrics may take, and what they keep for it.
///
/// | profile | budget | bucket width | at 1 s | at 10 s | at 60 s | series per metric | metrics |
/// |---|---|---|---|---|---|---|---|
/// | `Edge` | 1 MiB | 9.1 % | 2 min | 30 min | 2 h | 100 | 500 |
/// | `Production` | 32 MiB | 4.4 % | 10 min | 2 h | 24 h | 2,000 | 10,000 |
/// | `Staging` | 64 MiB | 4.4 % | 30 min | 6 h | 24 h | 5,000 | 20,000 |
/// | `Development` | 128 MiB | 2.2 % | 1 h | 6 h | 24 h | 10,000 | 50,000 |
///
/// The budget is a hard limit; the rest is what is aimed at inside it. Every number can be overridden in the
/// [builder](crate::RecallBuilder), or changed in what [`config`](Self::config) gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MemoryProfile {
    /// Small devices: 1 MiB.
    Edge,
    /// Services, and the default: 32 MiB.
    #[default]
    Production,
    /// Longer history: 64 MiB.
    Staging,
    /// An hour at full resolution: 128 MiB.
    Development,
}

/// What a profile stands for, to look at and to change.
///
/// [`MemoryProfile::config`] makes one, [`RecallBuilder::config`](crate::RecallBuilder::config) takes it. Nothing is
/// checked before `build()`.
///
/// ```
/// use metrics_recall::{MemoryProfile, Recall, Tier, mins, secs};
///
/// let mut config = MemoryProfile::Edge.config();
/// assert_eq!(config.memory_budget, 1 << 20);
/// config.tiers = vec![Tier::new(secs(5), mins(10)), Tier::new(secs(30), mins(60))];
/// let (_recorder, _recall) = Recall::builder().config(config).build()?;
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProfileConfig {
    /// The hard limit of what the store may own, in bytes: 128 KiB to 64 TiB.
    pub memory_budget: usize,
    /// How fine histograms are in the finest tier: `2^schema` buckets between a value and its double; 0 to 8.
    pub schema: u8,
    /// Each coarser tier halves the number of buckets, down to `2^coarsest_schema`; at most `schema`.
    pub coarsest_schema: u8,
    /// One to four, finest first; each interval is a multiple of the one before, and each is kept no shorter.
    pub tiers: Vec<Tier>,
    /// Series that one metric may have beside its overflow series; at least 1.
    pub max_series_per_metric: usize,
    /// Metrics of each kind; at least 1.
    pub max_metrics: usize,
    /// How long a series that nobody holds must be idle before it may be evicted.
    pub idle_timeout: Duration,
}

impl ProfileConfig {
    /// By how much a bucket's upper bound exceeds its lower one in the finest tier: 0.044 is 4.4 %. A quantile is off by
    /// no more.
    ///
    /// ```
    /// use metrics_recall::MemoryProfile;
    ///
    /// let width = MemoryProfile::Production.config().bucket_width();
    /// assert!((width - 0.044).abs() < 0.001);
    /// ```
    #[must_use]
    pub fn bucket_width(&self) -> f64 {
        Schema::get(self.schema).width()
    }
}

/// A resolution of history, and how long it is kept, memory permitting.
///
/// ```
/// use metrics_recall::{MemoryProfile, Tier, mins, secs};
///
/// let tiers = MemoryProfile::Production.config().tiers;
/// assert_eq!(tiers[0], Tier::new(secs(1), mins(10)));
/// assert_eq!(tiers[2], Tier::new(secs(60), mins(24 * 60)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Tier {
    /// Time that one point stands for. That of the finest tier is the store's resolution.
    pub interval: Duration,
    /// How far the tier reaches back.
    pub retention: Duration,
}

impl Tier {
    /// Points of `interval`, kept for `retention`.
    #[must_use]
    pub const fn new(interval: Duration, retention: Duration) -> Self {
        Self {
            interval,
            retention,
        }
    }
}

/// Names that [`MemoryProfile::from_environment`] knows.
const NAMES: [(&str, MemoryProfile); 11] = [
    ("edge", MemoryProfile::Edge),
    ("iot", MemoryProfile::Edge),
    ("embedded", MemoryProfile::Edge),
    ("prod", MemoryProfile::Production),
    ("production", MemoryProfile::Production),
    ("staging", MemoryProfile::Staging),
    ("stage", MemoryProfile::Staging),
    ("dev", MemoryProfile::Development),
    ("development", MemoryProfile::Development),
    ("local", MemoryProfile::Development),
    ("test", MemoryProfile::Development),
];

impl MemoryProfile {
    /// The profile for the name of an environment, as deployments call them, in any case.
    ///
    /// # Errors
    ///
    /// For a name that is not known; the message lists those that are.
    ///
    /// ```
    /// use metrics_recall::MemoryProfile;
    ///
    /// assert_eq!(MemoryProfile::from_environment("PROD")?, MemoryProfile::Production);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn from_environment(name: impl AsRef<str>) -> Result<Self, Error> {
        let name = name.as_ref();
        let wanted = name.trim().to_lowercase();
        let found = NAMES.iter().find(|(known, _)| *known == wanted);
        found.map(|(_, profile)| *profile).ok_or_else(|| {
            let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
            let known = known.join(", ");
            Error::invalid(format!("unknown environment {name:?}: known are {known}"))
        })
    }

    /// The numbers of this profile, to look at, or to change and to give to
    /// [`RecallBuilder::config`](crate::RecallBuilder::config).
    ///
    /// ```
    /// use metrics_recall::MemoryProfile;
    ///
    /// assert_eq!(MemoryProfile::Production.config().memory_budget, 32 << 20);
    /// ```
    #[must_use]
    pub fn config(self) -> ProfileConfig {
        let (mib, schema, coarsest_schema) = match self {
            Self::Edge => (1, 3, 2),
            Self::Production => (32, 4, 3),
            Self::Staging => (64, 4, 3),
            Self::Development => (128, 5, 3),
        };
        let (minutes, max_series_per_metric, max_metrics) = match self {
            Self::Edge => ([2, 30, 2 * 60], 100, 500),
            Self::Production => ([10, 2 * 60, 24 * 60], 2_000, 10_000),
            Self::Staging => ([30, 6 * 60, 24 * 60], 5_000, 20_000),
            Self::Development => ([60, 6 * 60, 24 * 60], 10_000, 50_000),
        };
        let intervals = [secs(1), secs(10), secs(60)].into_iter();
        let tiers = intervals.zip(minutes.map(mins));
        ProfileConfig {
            memory_budget: mib << 20,
            schema,
            coarsest_schema,
            tiers: tiers.map(|(every, keep)| Tier::new(every, keep)).collect(),
            max_series_per_metric,
            max_metrics,
            idle_timeout: mins(10),
        }
    }
}

impl fmt::Display for MemoryProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Edge => "edge",
            Self::Production => "production",
            Self::Staging => "staging",
            Self::Development => "development",
        })
    }
}
