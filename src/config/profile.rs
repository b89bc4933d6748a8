//! Memory profiles: a budget and everything that follows from it, under one word.

use crate::{
    clock::{mins, secs},
    error::Error,
};
use std::{fmt, time::Duration};

/// How much memory metrics may take, and what they keep for it.
///
/// | profile | budget | bucket width | history at 1 s | series per metric | metrics |
/// |---|---|---|---|---|---|
/// | `Edge` | 1 MiB | 9.1 % | 2 min | 100 | 500 |
/// | `Production` | 32 MiB | 4.4 % | 10 min | 2,000 | 10,000 |
/// | `Staging` | 64 MiB | 4.4 % | 30 min | 5,000 | 20,000 |
/// | `Development` | 128 MiB | 2.2 % | 1 h | 10,000 | 50,000 |
///
/// The budget is a hard limit; the rest is what is aimed at inside it. Every number can be overridden in the
/// [builder](crate::RecallBuilder).
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

/// What a profile stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Preset {
    pub(crate) budget: usize,
    pub(crate) schema: u8,
    pub(crate) retention: Duration,
    pub(crate) series_per_metric: usize,
    pub(crate) metrics: usize,
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

    pub(crate) fn preset(self) -> Preset {
        let (mib, schema, retention, series_per_metric, metrics) = match self {
            Self::Edge => (1, 3, mins(2), 100, 500),
            Self::Production => (32, 4, mins(10), 2_000, 10_000),
            Self::Staging => (64, 4, mins(30), 5_000, 20_000),
            Self::Development => (128, 5, secs(3_600), 10_000, 50_000),
        };
        Preset {
            budget: mib << 20,
            schema,
            retention,
            series_per_metric,
            metrics,
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
