//! From the tiers that were chosen to those that the store has, in pure steps.

use super::profile::Tier;
use crate::model::frame::CLASSES;
use std::{ops::Range, time::Duration};

/// Tiers that a store may have.
pub(crate) const MOST_TIERS: usize = 4;

/// A tier's points are numbered and timed once for all series; this is what a point costs for that alone.
const POINT: usize = 16;

/// The share of the budget that the points of all tiers together may take for that.
const AXIS_SHARE: usize = 8;

pub(super) const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// One tier of a store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TierPlan {
    /// A multiple of the interval of the tier before.
    pub(crate) interval: Duration,
    /// How long each retention class is kept here. Zero: not in this tier, or there is no such class.
    pub(crate) keep: [Duration; CLASSES],
    /// Of histograms; no finer than in the tier before.
    pub(crate) schema: u8,
}

/// What becomes of the chosen tiers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) interval: Duration,
    /// What class 0 is kept for.
    pub(super) keep: Duration,
    /// The chosen tiers that this one stands for. The finest stands for all that are no coarser.
    pub(super) of: Range<usize>,
}

/// How a store's tiers follow from the chosen ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub(super) rows: Vec<Row>,
    /// How many tiers were chosen.
    pub(super) chosen: usize,
}

/// What is wrong with chosen tiers, whatever the budget.
pub(super) fn problems(tiers: &[Tier]) -> Vec<String> {
    let mut problems = Vec::new();
    if !(1..=MOST_TIERS).contains(&tiers.len()) {
        let n = tiers.len();
        problems.push(format!(
            "number of tiers, {n}: allowed are 1 to {MOST_TIERS}"
        ));
    }
    for tier in tiers {
        let Tier {
            interval,
            retention,
        } = *tier;
        if !(interval..=LONGEST).contains(&retention) {
            problems.push(format!(
                "retention of {retention:?} in the tier of {interval:?}: allowed are its interval to 366 days"
            ));
        }
    }
    for (finer, tier) in tiers.iter().zip(tiers.iter().skip(1)) {
        let (before, interval) = (finer.interval, tier.interval);
        if interval <= before {
            problems.push(format!(
                "tier of {interval:?} after one of {before:?}: allowed are different intervals, finest first"
            ));
        } else if !is_multiple(interval, before) {
            problems.push(format!(
                "tier of {interval:?} after one of {before:?}: allowed are multiples of that"
            ));
        }
        if tier.retention < finer.retention {
            problems.push(format!(
                "retention of {:?} in the tier of {interval:?}: allowed is no less than in the finer tier, which has {:?}",
                tier.retention, finer.retention
            ));
        }
    }
    problems
}

fn is_multiple(interval: Duration, of: Duration) -> bool {
    interval.as_nanos().is_multiple_of(of.as_nanos())
}

/// The tiers of a store with this resolution. Those that are no coarser become its finest tier, which takes over the
/// longest of their retentions; of the coarser ones those stay that are multiples of it. With `retention` the finest is
/// kept for so long, and the coarser ones no shorter: when memory is short, the finest is shortened first.
pub(super) fn rows(tiers: &[Tier], resolution: Duration, retention: Option<Duration>) -> Vec<Row> {
    let finest = tiers.iter().take_while(|tier| tier.interval <= resolution);
    let finest = finest.count().max(1).min(tiers.len());
    let longest = tiers.iter().take(finest).map(|tier| tier.retention).max();
    let mut keep = retention.or(longest).unwrap_or_default();
    let mut rows = vec![Row {
        interval: resolution,
        keep,
        of: 0..finest,
    }];
    for (at, tier) in tiers.iter().enumerate().skip(finest) {
        if tier.interval > resolution && is_multiple(tier.interval, resolution) {
            keep = keep.max(tier.retention);
            rows.push(Row {
                interval: tier.interval,
                keep,
                of: at..at + 1,
            });
        }
    }
    rows
}

/// Shortens what a profile aims at, and nobody asked for, to what fits the budget: each tier to its part of the points.
/// A finest tier that was asked for stays as it is; coarser ones that would be shorter then are left out.
pub(super) fn shorten(rows: &mut Vec<Row>, budget: usize, is_finest_chosen: bool) {
    let most = most_points(budget);
    let points = rows.iter().map(|row| points(row.keep, row.interval));
    if points.fold(0, usize::saturating_add) <= most {
        return;
    }
    let chosen = usize::from(is_finest_chosen);
    let taken = rows.iter().take(chosen).map(points_of).sum();
    let others = rows.len().saturating_sub(chosen).max(1);
    let part = most.saturating_sub(taken) / others;
    let mut before = Duration::ZERO;
    let mut at = 0;
    rows.retain_mut(|row| {
        if at >= chosen {
            row.keep = row.keep.min(times(row.interval, part));
        }
        at += 1;
        let stays = row.keep >= before.max(row.interval);
        before = before.max(row.keep);
        stays || at == 1
    });
}

fn points_of(row: &Row) -> usize {
    points(row.keep, row.interval)
}

/// Which tier's time axis is too long for the budget, if they are together, and what would fit.
pub(super) fn overlong(tiers: &[TierPlan], budget: usize) -> Option<String> {
    let most = most_points(budget);
    let lengths = tiers.iter().map(|tier| {
        let keep = tier.keep.iter().max().copied().unwrap_or_default();
        (points(keep, tier.interval), keep, tier.interval)
    });
    let total = lengths
        .clone()
        .map(|(n, ..)| n)
        .fold(0, usize::saturating_add);
    let (points, keep, interval) = lengths.max()?;
    if total <= most {
        return None;
    }
    let room = most.saturating_sub(total - points);
    let room = if room == 0 { most / tiers.len() } else { room };
    let fit = times(interval, room);
    Some(format!(
        "retention of {keep:?} in the tier of {interval:?}: its time axis alone would take {} bytes, and allowed is an eighth of the memory budget of {budget} for all tiers: {fit:?} would fit",
        points.saturating_mul(POINT)
    ))
}

fn most_points(budget: usize) -> usize {
    budget / AXIS_SHARE / POINT
}

/// Points of `interval` in `keep`.
fn points(keep: Duration, interval: Duration) -> usize {
    let interval = interval.as_nanos().max(1);
    usize::try_from(keep.as_nanos().div_ceil(interval)).unwrap_or(usize::MAX)
}

fn times(interval: Duration, n: usize) -> Duration {
    interval.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX))
}
