//! The share of errors in what is counted: of a counter beside another, or of a label's values in one.

use super::{
    Subject,
    insight::{Insight, InsightKind, Short},
    track::WINDOW,
};
use crate::{
    alerts::Severity,
    model::{Labels, MetricKind},
    query::{Ask, Counters, Point, Selection},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// More errors than this are too many; and much fewer may be, if there are many more than there were.
const BOUND: f64 = 0.05;
const LEAST: f64 = 0.01;
const TIMES: f64 = 4.0;
/// Errors that there must be.
const FEW: f64 = 20.0;
/// The newest stretch, which is compared with the day before.
const RECENT: Duration = Duration::from_secs(900);
const PAST: Duration = Duration::from_secs(24 * 3600);
const PAST_STEP: Duration = Duration::from_secs(300);

/// Words of a name for what goes wrong, and of one for what is done.
const WRONG: [&str; 4] = ["errors", "failures", "failed", "error"];
const DONE: [&str; 5] = ["requests", "calls", "attempts", "jobs", "messages"];
/// Labels that tell errors from the rest, by these values, or those that begin with a 5.
const LABELS: [&str; 4] = ["code", "status", "result", "outcome"];
const VALUES: [&str; 7] = [
    "error", "err", "failed", "failure", "fail", "panic", "timeout",
];

fn is_error(value: &str) -> bool {
    let is_code =
        value.len() == 3 && value.starts_with('5') && value.bytes().all(|b| b.is_ascii_digit());
    let lower = value.to_ascii_lowercase();
    is_code || lower == "5xx" || VALUES.contains(&lower.as_str())
}

/// The counter of what is done beside that of what goes wrong.
pub(super) fn partner<'a>(subjects: &'a [Subject], errors: &Subject) -> Option<&'a Subject> {
    let word = WRONG.iter().find(|word| errors.name.contains(*word))?;
    let named = |name: String| {
        subjects.iter().find(|other| {
            other.kind == MetricKind::Counter && other.name == name && name != errors.name
        })
    };
    DONE.iter().find_map(|done| {
        let beside = errors.name.replacen(word, done, 1);
        let doubled = errors.name.replacen(&format!("{done}_{word}"), done, 1);
        named(beside).or_else(|| named(doubled))
    })
}

/// Sums of errors and of all, recently and before.
#[derive(Clone, Copy, Debug, Default)]
struct Shares {
    errors: f64,
    all: f64,
    errors_before: f64,
    all_before: f64,
}

/// What is wrong with the errors of a counter.
pub(super) fn look(ask: &Arc<dyn Ask>, subjects: &[Subject], subject: &Subject) -> Vec<Insight> {
    if subject.kind != MetricKind::Counter {
        return Vec::new();
    }
    let mut shares: BTreeMap<Labels, Shares> = BTreeMap::new();
    if let Some(all) = partner(subjects, subject) {
        for (labels, points) in rows(ask, subject, &[]) {
            let share = shares.entry(labels).or_default();
            (share.errors, share.errors_before) = parts(&points);
        }
        for (labels, points) in rows(ask, all, &[]) {
            if let Some(share) = shares.get_mut(&labels) {
                (share.all, share.all_before) = parts(&points);
            }
        }
    } else {
        for label in LABELS {
            for (labels, points) in rows(ask, subject, &[label]) {
                let Some(value) = labels.get(label) else {
                    continue;
                };
                let (now, before) = parts(&points);
                let is_error = is_error(value);
                let group = labels.only(&["instance".into(), "service".into()]);
                let share = shares.entry(group).or_default();
                share.all += now;
                share.all_before += before;
                if is_error {
                    share.errors += now;
                    share.errors_before += before;
                }
            }
            if !shares.is_empty() {
                break;
            }
        }
    }
    let found = shares
        .into_iter()
        .filter_map(|(labels, shares)| judge(subject, labels, shares));
    found.collect()
}

fn judge(subject: &Subject, labels: Labels, shares: Shares) -> Option<Insight> {
    let ratio = shares.errors / shares.all;
    let before = (shares.all_before > 0.0).then(|| shares.errors_before / shares.all_before);
    let is_news = before.is_some_and(|before| ratio > TIMES * before && ratio > LEAST);
    if shares.errors < FEW || shares.all <= 0.0 || !(ratio > BOUND || is_news) {
        return None;
    }
    let beside = before.map_or(String::new(), |before| {
        format!(", {} % in the day before", Short(100.0 * before))
    });
    let text = format!(
        "{} % of what {} is part of were errors in the last {} min{beside}: look at the errors of that time",
        Short(100.0 * ratio),
        super::track::name(subject, &labels),
        RECENT.as_secs() / 60
    );
    // How far the share is from the bound that it passed, in deviations of a share of so many.
    let bound = if ratio > BOUND {
        BOUND
    } else {
        TIMES * before.unwrap_or(0.0)
    };
    let deviation = (bound * (1.0 - bound).max(0.0) / shares.all)
        .sqrt()
        .max(f64::MIN_POSITIVE);
    Some(Insight {
        kind: InsightKind::Errors,
        severity: if ratio > BOUND {
            Severity::Error
        } else {
            Severity::Warning
        },
        metric: subject.name.clone(),
        metric_kind: subject.kind,
        labels,
        value: ratio,
        before,
        confidence: super::robust::confidence((ratio - bound) / deviation),
        window: WINDOW,
        text,
    })
}

fn rows(ask: &Arc<dyn Ask>, subject: &Subject, more: &[&str]) -> Vec<(Labels, Vec<Point<f64>>)> {
    let by: Vec<&str> = ["instance", "service"]
        .iter()
        .chain(more)
        .copied()
        .collect();
    let all = Selection::<Counters>::new(ask.clone(), &subject.name).by(by);
    all.over(PAST).every(PAST_STEP).rate()
}

/// What was counted in the newest stretch, and before.
#[expect(clippy::cast_possible_truncation, reason = "three steps")]
fn parts(points: &[Point<f64>]) -> (f64, f64) {
    let steps = (RECENT.as_secs() / PAST_STEP.as_secs()) as usize;
    let (before, now) = points.split_at(points.len().saturating_sub(steps));
    let sum = |points: &[Point<f64>]| {
        let values = points.iter().filter_map(|point| point.value);
        values.sum::<f64>() * PAST_STEP.as_secs_f64()
    };
    (sum(now), sum(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_by_their_words_and_codes() {
        for value in ["500", "503", "5xx", "error", "Failed"] {
            assert!(is_error(value), "{value}");
        }
        for value in ["200", "404", "50", "5000", "ok", ""] {
            assert!(!is_error(value), "{value}");
        }
    }

    #[test]
    fn a_counter_of_errors_has_one_of_requests_beside_it() {
        let subject = |name: &str| Subject::counter(name);
        let all = [
            subject("http_requests_total"),
            subject("http_errors_total"),
            subject("http_requests_failed_total"),
        ];
        let partner_of = |at: usize| partner(&all, &all[at]).map(|other| other.name.as_str());
        assert_eq!(partner_of(1), Some("http_requests_total"));
        assert_eq!(partner_of(2), Some("http_requests_total"));
        assert_eq!(partner_of(0), None);
    }
}
