//! From what was asked for to a plan that holds: every problem is found and all are reported at once.

use super::{
    classes,
    exposed::{self, HistogramRule},
    profile::{MemoryProfile, ProfileConfig},
    retention::RetentionRule,
    tiers::{self, LONGEST, Layout, Row, TierPlan},
};
use crate::{
    error::Error,
    ledger::SMALLEST,
    model::{frame::CLASSES, matcher::Rule, schema, shape::ShapeRule},
};
use std::time::Duration;

/// What the builder was told; `None`: as the profile has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) profile: MemoryProfile,
    /// Numbers of one's own instead of the profile's.
    pub(crate) custom: Option<ProfileConfig>,
    pub(crate) budget: Option<usize>,
    pub(crate) resolution: Option<Duration>,
    pub(crate) retention: Option<Duration>,
    pub(crate) series_per_metric: Option<usize>,
    pub(crate) metrics: Option<usize>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) rules: Vec<RetentionRule>,
    pub(crate) histograms: Vec<HistogramRule>,
    pub(crate) plain_names: bool,
    /// Whether OpenMetrics says since when series count.
    pub(crate) created: bool,
    /// Labels that every exposed series gets.
    pub(crate) globals: Vec<(Box<str>, Box<str>)>,
}

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) budget: usize,
    /// Of histograms, in the finest tier.
    pub(crate) schema: u8,
    pub(crate) resolution: Duration,
    /// What the finest tier keeps of class 0.
    pub(crate) retention: Duration,
    /// Finest first, at least one; the finest has the resolution as its interval.
    pub(crate) tiers: Vec<TierPlan>,
    /// What series are like, and their class then; the first that fits decides.
    pub(crate) rules: Vec<Rule>,
    /// How histograms are exposed; the first that fits decides.
    pub(crate) shapes: Vec<ShapeRule>,
    /// Exposed names get no suffixes of units and totals.
    pub(crate) plain_names: bool,
    /// Whether OpenMetrics says since when series count.
    pub(crate) created: bool,
    /// Labels that every exposed series gets, sorted by name.
    pub(crate) globals: Vec<(Box<str>, Box<str>)>,
    layout: Layout,
    pub(crate) series_per_metric: usize,
    pub(crate) metrics: usize,
    pub(crate) idle_timeout: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);
const FINEST: Duration = Duration::from_millis(10);
/// No machine has more; a larger budget is a mistake in units.
pub(crate) const LARGEST: usize = 1 << 46;
/// Series that one metric's shards can number.
const MOST: usize = 1 << 30;

impl Config {
    /// # Errors
    ///
    /// One error that names every value that is out of its range.
    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        let chosen = self.chosen();
        let finest = chosen.tiers.first().map(|tier| tier.interval);
        let resolution = self.resolution.or(finest).unwrap_or(Duration::from_secs(1));
        let mut problems = problems(&chosen);
        problems.extend(budget_problem(chosen.memory_budget));
        problems.extend(resolution_problem(resolution));
        problems.extend(
            self.retention
                .and_then(|d| range_problem("retention", d, resolution)),
        );
        let shapes = exposed::shapes(&self.histograms, &mut problems);
        let globals = exposed::globals(&self.globals, &mut problems);
        let has_tiers = problems.is_empty();
        problems.extend(limit_problems(&chosen, resolution));
        let planned = if has_tiers {
            self.tiers(&chosen, resolution, &mut problems)
        } else {
            classes::check(&self.rules, None, &mut problems);
            None
        };
        let Some((layout, tiers, rules)) = planned.filter(|_| problems.is_empty()) else {
            return Err(Error::invalid(problems.join("; ")));
        };
        Ok(Plan {
            budget: chosen.memory_budget,
            schema: chosen.schema,
            resolution,
            retention: layout.rows.first().map_or(resolution, |row| row.keep),
            tiers,
            rules,
            shapes,
            plain_names: self.plain_names,
            created: self.created,
            globals,
            layout,
            series_per_metric: chosen.max_series_per_metric,
            metrics: chosen.max_metrics,
            idle_timeout: chosen.idle_timeout,
        })
    }

    /// The numbers of the profile, or one's own, and the builder's over them.
    fn chosen(&self) -> ProfileConfig {
        let mut chosen = self.custom.clone().unwrap_or_else(|| self.profile.config());
        let set = |to: &mut usize, from: Option<usize>| *to = from.unwrap_or(*to);
        set(&mut chosen.memory_budget, self.budget);
        set(&mut chosen.max_series_per_metric, self.series_per_metric);
        set(&mut chosen.max_metrics, self.metrics);
        chosen.idle_timeout = self.idle_timeout.unwrap_or(chosen.idle_timeout);
        chosen
    }

    /// Tiers and rules, of numbers that are in their ranges.
    fn tiers(
        &self,
        chosen: &ProfileConfig,
        resolution: Duration,
        problems: &mut Vec<String>,
    ) -> Option<(Layout, Vec<TierPlan>, Vec<Rule>)> {
        let mut rows = tiers::rows(&chosen.tiers, resolution, self.retention);
        if self.custom.is_none() {
            tiers::shorten(&mut rows, chosen.memory_budget, self.retention.is_some());
        }
        let layout = Layout {
            rows,
            chosen: chosen.tiers.len(),
        };
        let mut tiers: Vec<TierPlan> = (0..)
            .zip(&layout.rows)
            .map(|(n, row)| tier(n, row, chosen))
            .collect();
        let before = problems.len();
        problems.extend(tiers::overlong(&tiers, chosen.memory_budget));
        classes::check(&self.rules, Some(&layout), problems);
        if problems.len() > before {
            return None;
        }
        match retain(
            self.rules.clone(),
            &layout,
            [false; CLASSES],
            &mut tiers,
            chosen.memory_budget,
        ) {
            Ok(rules) => Some((layout, tiers, rules)),
            Err(problem) => {
                problems.push(problem);
                None
            }
        }
    }
}

/// The tier in row `n`, with class 0 only.
fn tier(n: u8, row: &Row, chosen: &ProfileConfig) -> TierPlan {
    let mut keep = [Duration::ZERO; CLASSES];
    if let Some(default) = keep.first_mut() {
        *default = row.keep;
    }
    TierPlan {
        interval: row.interval,
        keep,
        schema: chosen.schema.saturating_sub(n).max(chosen.coarsest_schema),
    }
}

/// Rules that were checked, with their classes, which are entered into `tiers`.
fn retain(
    rules: Vec<RetentionRule>,
    layout: &Layout,
    in_use: [bool; CLASSES],
    tiers: &mut [TierPlan],
    budget: usize,
) -> Result<Vec<Rule>, String> {
    let rules = classes::assign(rules, layout, in_use, tiers)?;
    match tiers::overlong(tiers, budget) {
        Some(problem) => Err(problem),
        None => Ok(rules),
    }
}

impl Plan {
    /// What `other` would have otherwise, as "setting value (now value)". Retention rules are none: they can change.
    pub(crate) fn changes(&self, other: &Plan) -> Vec<String> {
        let settings = |plan: &Plan| {
            let tiers = plan.tiers.iter();
            let tiers = tiers.map(|tier| (tier.interval, tier.keep.first().copied(), tier.schema));
            [
                ("memory_budget", plan.budget.to_string()),
                ("schema", plan.schema.to_string()),
                ("resolution", format!("{:?}", plan.resolution)),
                ("retention", format!("{:?}", plan.retention)),
                ("tiers", format!("{:?}", tiers.collect::<Vec<_>>())),
                ("max_series_per_metric", plan.series_per_metric.to_string()),
                ("max_metrics", plan.metrics.to_string()),
                ("idle_timeout", format!("{:?}", plan.idle_timeout)),
                ("expose", format!("{:?}", plan.shapes)),
                ("plain_names", plan.plain_names.to_string()),
                ("openmetrics_created", plan.created.to_string()),
                ("global_label", format!("{:?}", plan.globals)),
            ]
        };
        let pairs = settings(self).into_iter().zip(settings(other));
        pairs
            .filter(|((_, now), (_, then))| now != then)
            .map(|((name, now), (_, then))| format!("{name} {then} (it has {now})"))
            .collect()
    }

    /// Other retention rules for a store that is running: `tiers` get their classes, of which those `in_use` stay as they
    /// are.
    ///
    /// # Errors
    ///
    /// One error that names all that is wrong; `tiers` are of no use then.
    pub(crate) fn retain(
        &self,
        rules: Vec<RetentionRule>,
        in_use: [bool; CLASSES],
        tiers: &mut [TierPlan],
        budget: usize,
    ) -> Result<Vec<Rule>, Error> {
        let mut problems = Vec::new();
        classes::check(&rules, Some(&self.layout), &mut problems);
        if !problems.is_empty() {
            return Err(Error::invalid(problems.join("; ")));
        }
        retain(rules, &self.layout, in_use, tiers, budget).map_err(Error::invalid)
    }
}

/// What is wrong with the tiers and the schemas.
fn problems(chosen: &ProfileConfig) -> Vec<String> {
    let mut problems = tiers::problems(&chosen.tiers);
    let finest = schema::FINEST;
    if chosen.schema > finest {
        problems.push(format!(
            "schema {}: allowed are 0 to {finest}",
            chosen.schema
        ));
    }
    if chosen.coarsest_schema > chosen.schema {
        problems.push(format!(
            "coarsest schema {}: allowed are 0 to the schema of the finest tier, {}",
            chosen.coarsest_schema, chosen.schema
        ));
    }
    problems
}

fn budget_problem(budget: usize) -> Option<String> {
    let allowed = SMALLEST..=LARGEST;
    (!allowed.contains(&budget)).then(|| {
        format!("memory budget of {budget} bytes: allowed are {SMALLEST} (128 KiB) to {LARGEST} (64 TiB)")
    })
}

fn resolution_problem(resolution: Duration) -> Option<String> {
    let divides = !resolution.is_zero() && MINUTE.as_nanos().is_multiple_of(resolution.as_nanos());
    let allowed = divides && (FINEST..=MINUTE).contains(&resolution);
    (!allowed).then(|| {
        format!("resolution of {resolution:?}: allowed are divisors of 60s from 10ms to 60s, such as 100ms, 1s or 10s")
    })
}

fn range_problem(what: &str, value: Duration, resolution: Duration) -> Option<String> {
    (!(resolution..=LONGEST).contains(&value)).then(|| {
        format!("{what} of {value:?}: allowed are the resolution ({resolution:?}) to 366 days")
    })
}

fn limit_problems(chosen: &ProfileConfig, resolution: Duration) -> Vec<String> {
    let counts = [
        (chosen.max_series_per_metric, "series per metric"),
        (chosen.max_metrics, "metrics"),
    ];
    let counts = counts.into_iter().filter(|(n, _)| !(1..=MOST).contains(n));
    let counts = counts.map(|(n, what)| format!("limit of {n} {what}: allowed are 1 to {MOST}"));
    counts
        .chain(range_problem(
            "idle timeout",
            chosen.idle_timeout,
            resolution,
        ))
        .collect()
}
