//! The detectors: each looks at one track by itself, and says at most one thing.

use super::{
    insight::{Insight, InsightKind, Short},
    robust::{change_point, confidence, kendall, larger, line, median, moves, quantile},
    track::{HOUR, STEP, TWO_HOURS, Track, WINDOW, name},
};
use crate::{alerts::Severity, model::MetricKind};

/// Looks at a track.
pub(super) type Detector = fn(&Track<'_>) -> Option<Insight>;

/// All of them. Of one track the first that finds something speaks.
pub(super) const DETECTORS: [Detector; 5] = [stopped, saturated, will_hit, rising, level];

/// Steps that a change must have lasted for.
const LASTING: usize = 10;
/// By how much of itself a number must have changed.
const LARGE: f64 = 0.3;
/// How many standard deviations from chance it must be, and how many times its usual move it is large.
const CLEAR: f64 = 5.0;
const UNUSUAL: f64 = 2.0;
/// Steps of which the medians are a level.
const BLOCK: usize = 10;
/// Steps that must be known before anything is said of what is usual.
const KNOWN: usize = 20;

fn insight(
    track: &Track<'_>,
    kind: InsightKind,
    value: f64,
    before: f64,
    z: f64,
    text: String,
) -> Insight {
    Insight {
        kind,
        severity: Severity::Warning,
        metric: track.subject.name.clone(),
        metric_kind: track.subject.kind,
        labels: track.labels.clone(),
        value,
        before: Some(before),
        confidence: confidence(z),
        window: WINDOW,
        text,
    }
}

/// Minutes and hours of so many steps.
fn shown(steps: usize) -> String {
    let minutes = STEP.as_secs() / 60 * steps as u64;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// A counter that counted most of the time has not for much longer than it ever paused.
#[expect(clippy::cast_precision_loss, reason = "a few steps")]
fn stopped(track: &Track<'_>) -> Option<Insight> {
    if track.subject.kind != MetricKind::Counter {
        return None;
    }
    let is_quiet = |value: &&Option<f64>| value.is_some_and(|value| value == 0.0);
    let quiet = track.steps.iter().rev().take_while(is_quiet).count();
    let earlier = track.past(quiet);
    let pauses = earlier.split(|value| !is_quiet(&value));
    let pause = pauses.map(<[_]>::len).max().unwrap_or(0);
    let from = earlier.len().saturating_sub(TWO_HOURS);
    let before: Vec<f64> = earlier.iter().skip(from).flatten().copied().collect();
    let busy = before.iter().filter(|rate| **rate > 0.0).count();
    let usual = median(before.iter().copied())?;
    let is_clear =
        quiet >= LASTING && quiet >= 3 * pause && busy >= LASTING && busy * 2 >= before.len();
    // After hours it is the new level.
    let missing = usual * STEP.as_secs_f64() * quiet as f64;
    if !is_clear || missing < 20.0 || quiet > 3 * TWO_HOURS {
        return None;
    }
    let text = format!(
        "{} has not counted for {}, after {} a second before: see whether what counts it still runs",
        name(track.subject, &track.labels),
        shown(quiet),
        Short(usual)
    );
    Some(insight(
        track,
        InsightKind::Stopped,
        0.0,
        usual,
        CLEAR,
        text,
    ))
}

/// A gauge is at its bound.
fn saturated(track: &Track<'_>) -> Option<Insight> {
    let bound = track.bound?;
    let last: Vec<f64> = track.recent(LASTING).iter().flatten().copied().collect();
    let low = quantile(last.iter().copied(), 0.2)?;
    if last.len() < LASTING / 2 || low < 0.95 * bound {
        return None;
    }
    let now = median(last.iter().copied())?;
    let text = format!(
        "{} is at {} of {}, and has been for {}: give it more room, or less to do",
        name(track.subject, &track.labels),
        Short(now),
        Short(bound),
        shown(last.len())
    );
    let mut found = insight(track, InsightKind::Saturated, now, bound, CLEAR, text);
    found.severity = Severity::Error;
    Some(found)
}

/// The line through the last hour reaches a gauge's bound within two more.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "minutes for people"
)]
fn will_hit(track: &Track<'_>) -> Option<Insight> {
    let bound = track.bound?;
    let points = track.known(HOUR);
    if points.len() < KNOWN {
        return None;
    }
    let values: Vec<f64> = points.iter().map(|point| point.1).collect();
    let z = kendall(&values);
    let (slope, end) = line(&points)?;
    let steps = (bound - end) / slope;
    let risen = slope * points.len() as f64;
    let is_near =
        slope > 0.0 && end < bound && steps <= 2.0 * WINDOW.as_secs_f64() / STEP.as_secs_f64();
    let usual = moves(track.past(HOUR), BLOCK, HOUR / BLOCK).unwrap_or(0.0);
    if !is_near || z < CLEAR || risen < 0.05 * bound || risen < UNUSUAL * usual {
        return None;
    }
    let text = format!(
        "{} rises to its bound of {}: it is at {} and will be there in {} at this pace ({:.1} % sure): make room before",
        name(track.subject, &track.labels),
        Short(bound),
        Short(end),
        shown(steps.ceil() as usize),
        100.0 * confidence(z)
    );
    Some(insight(track, InsightKind::WillHit, end, bound, z, text))
}

/// The 99th percentile rises through two hours: most pairs of steps say so, and by much more than it usually moves.
#[expect(clippy::cast_precision_loss, reason = "a few steps")]
fn rising(track: &Track<'_>) -> Option<Insight> {
    if track.subject.kind != MetricKind::Histogram {
        return None;
    }
    [HOUR, TWO_HOURS].into_iter().find_map(|n| {
        let points = track.known(n);
        if points.len() < KNOWN {
            return None;
        }
        let values: Vec<f64> = points.iter().map(|point| point.1).collect();
        let z = kendall(&values);
        if z < CLEAR {
            return None;
        }
        let (slope, end) = line(&points)?;
        let risen = slope * (points.len() - 1) as f64;
        let begin = end - risen;
        let usual = moves(track.past(n), BLOCK, n / BLOCK).unwrap_or(0.0);
        // A line may begin below zero where the rise is none.
        let low = begin.max(quantile(values, 0.1)?);
        if risen < LARGE * low.abs() || risen < UNUSUAL * usual {
            return None;
        }
        let text = format!(
            "p99 of {} rose from {} to {} in the last {} ({:.1} % sure): see what changed, or whether there is more to do than before",
            name(track.subject, &track.labels), Short(low), Short(end), shown(points.len()),
            100.0 * confidence(z)
        );
        Some(insight(track, InsightKind::Rising, end, low, z, text))
    })
}

/// The newest steps are on another level than those of hours before, and have been for a while.
fn level(track: &Track<'_>) -> Option<Insight> {
    let recent: Vec<f64> = track
        .known(TWO_HOURS)
        .into_iter()
        .map(|point| point.1)
        .collect();
    let at = change_point(&recent, LASTING)?;
    let (before, last) = recent.split_at(at);
    // What was before is better known from more of it.
    let earlier = track.past(TWO_HOURS);
    let earlier = earlier.get(earlier.len().saturating_sub(TWO_HOURS)..);
    let earlier = earlier.unwrap_or_default().iter().flatten();
    let mut before = before.to_vec();
    before.extend(earlier);
    if before.len() < KNOWN {
        return None;
    }
    let (now, was) = (
        median(last.iter().copied())?,
        median(before.iter().copied())?,
    );
    let (change, size) = ((now - was).abs(), was.abs().max(now.abs()));
    let usual = usual_move(track, last.len());
    let (share, z) = larger(last, &before);
    let is_apart = z.abs() >= CLEAR && (share - 0.5).abs() >= APART;
    if !is_apart || change < LARGE * size || change < UNUSUAL * usual {
        return None;
    }
    let way = if now > was { "rose" } else { "fell" };
    let text = format!(
        "{} {way} from {} to {} and has stayed there for {}: see what changed then, or take it for the new level",
        track.what(),
        Short(was),
        Short(now),
        shown(last.len())
    );
    let mut found = insight(track, InsightKind::Level, now, was, z, text);
    let is_worse = track.subject.kind == MetricKind::Histogram && now > was;
    found.severity = if is_worse {
        Severity::Warning
    } else {
        Severity::Info
    };
    Some(found)
}

/// How far a level of so many steps usually moves within two hours. A short level moves by chance more than a long one, so what
/// is usual is taken from levels about as long; from shorter ones, where too little is known for that.
fn usual_move(track: &Track<'_>, steps: usize) -> f64 {
    let past = track.past(steps);
    let blocks = BLOCKS
        .into_iter()
        .filter(|block| *block <= steps.max(BLOCK));
    let mut moves = blocks.filter_map(|block| moves(past, block, TWO_HOURS / block));
    moves.next().unwrap_or(0.0)
}

/// Steps of the levels that are compared, the longest first; they fit into two hours.
const BLOCKS: [usize; 4] = [60, 30, 20, BLOCK];

/// By how much more than half of all pairs of values must say so.
const APART: f64 = 0.25;
