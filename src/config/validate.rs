//! From what was asked for to a plan that holds: every problem is found and all are reported at once.

use super::profile::MemoryProfile;
use crate::{error::Error, ledger::SMALLEST};
use std::time::Duration;

/// What the builder was told; `None`: as the profile has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) profile: MemoryProfile,
    pub(crate) budget: Option<usize>,
    pub(crate) resolution: Option<Duration>,
    pub(crate) retention: Option<Duration>,
    pub(crate) series_per_metric: Option<usize>,
    pub(crate) metrics: Option<usize>,
    pub(crate) idle_timeout: Option<Duration>,
}

/// A checked configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) budget: usize,
    pub(crate) schema: u8,
    pub(crate) resolution: Duration,
    pub(crate) retention: Duration,
    pub(crate) series_per_metric: usize,
    pub(crate) metrics: usize,
    pub(crate) idle_timeout: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);
const FINEST: Duration = Duration::from_millis(10);
/// No machine has more; a larger budget is a mistake in units.
const LARGEST: usize = 1 << 46;
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// Series that one metric's shards can number.
const MOST: usize = 1 << 30;

impl Config {
    /// # Errors
    ///
    /// One error that names every value that is out of its range.
    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        let preset = self.profile.preset();
        let plan = Plan {
            budget: self.budget.unwrap_or(preset.budget),
            schema: preset.schema,
            resolution: self.resolution.unwrap_or(Duration::from_secs(1)),
            retention: self.retention.unwrap_or(preset.retention),
            series_per_metric: self.series_per_metric.unwrap_or(preset.series_per_metric),
            metrics: self.metrics.unwrap_or(preset.metrics),
            idle_timeout: self.idle_timeout.unwrap_or(Duration::from_secs(600)),
        };
        let problems = plan.problems();
        if problems.is_empty() {
            Ok(plan)
        } else {
            Err(Error::invalid(problems.join("; ")))
        }
    }
}

impl Plan {
    /// What `other` would have otherwise, as "setting value (now value)".
    pub(crate) fn changes(&self, other: &Plan) -> Vec<String> {
        let settings = |plan: &Plan| {
            [
                ("memory_budget", plan.budget.to_string()),
                ("schema", plan.schema.to_string()),
                ("resolution", format!("{:?}", plan.resolution)),
                ("retention", format!("{:?}", plan.retention)),
                ("max_series_per_metric", plan.series_per_metric.to_string()),
                ("max_metrics", plan.metrics.to_string()),
                ("idle_timeout", format!("{:?}", plan.idle_timeout)),
            ]
        };
        let pairs = settings(self).into_iter().zip(settings(other));
        pairs
            .filter(|((_, now), (_, then))| now != then)
            .map(|((name, now), (_, then))| format!("{name} {then} (it has {now})"))
            .collect()
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(SMALLEST..=LARGEST).contains(&self.budget) {
            problems.push(format!(
                "memory budget of {} bytes: allowed are {SMALLEST} (128 KiB) to {LARGEST} (64 TiB)",
                self.budget
            ));
        }
        let divides = !self.resolution.is_zero()
            && MINUTE.as_nanos().is_multiple_of(self.resolution.as_nanos());
        if !divides || !(FINEST..=MINUTE).contains(&self.resolution) {
            problems.push(format!(
                "resolution of {:?}: allowed are divisors of 60s from 10ms to 60s, such as 100ms, 1s or 10s",
                self.resolution
            ));
        }
        if !(self.resolution..=LONGEST).contains(&self.retention) {
            problems.push(format!(
                "retention of {:?}: allowed are the resolution ({:?}) to 366 days",
                self.retention, self.resolution
            ));
        }
        if !(1..=MOST).contains(&self.series_per_metric) {
            problems.push(format!(
                "limit of {} series per metric: allowed are 1 to {MOST}",
                self.series_per_metric
            ));
        }
        if !(1..=MOST).contains(&self.metrics) {
            problems.push(format!(
                "limit of {} metrics: allowed are 1 to {MOST}",
                self.metrics
            ));
        }
        if !(self.resolution..=LONGEST).contains(&self.idle_timeout) {
            problems.push(format!(
                "idle timeout of {:?}: allowed are the resolution ({:?}) to 366 days",
                self.idle_timeout, self.resolution
            ));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_a_valid_plan() {
        for profile in [
            MemoryProfile::Edge,
            MemoryProfile::Production,
            MemoryProfile::Staging,
            MemoryProfile::Development,
        ] {
            let config = Config {
                profile,
                ..Config::default()
            };
            assert_eq!(config.plan().unwrap().budget, profile.preset().budget);
        }
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let config = Config {
            budget: Some(0),
            resolution: Some(Duration::from_millis(700)),
            series_per_metric: Some(0),
            ..Config::default()
        };
        let message = config.plan().unwrap_err().to_string();
        for part in ["0 bytes", "700ms", "0 series"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_resolution_must_divide_a_minute() {
        for (ms, allowed) in [
            (10, true),
            (1_000, true),
            (60_000, true),
            (0, false),
            (5, false),
            (7_000, false),
            (120_000, false),
        ] {
            let config = Config {
                resolution: Some(Duration::from_millis(ms)),
                retention: Some(Duration::from_secs(600)),
                ..Config::default()
            };
            assert_eq!(config.plan().is_ok(), allowed, "{ms} ms");
        }
    }
}
