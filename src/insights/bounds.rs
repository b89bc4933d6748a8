//! What a gauge cannot exceed: by its unit, by its name, or by another gauge that says so.

use super::{Subject, track::Track};
use crate::{
    model::MetricKind,
    query::{Ask, Gauges, Selection},
};
use std::sync::Arc;

/// Endings of a gauge's name, and of the one that has its bound.
const PAIRS: [(&str, &str); 8] = [
    ("_usage_bytes", "_limit_bytes"),
    ("_used_bytes", "_total_bytes"),
    ("_used_bytes", "_max_bytes"),
    ("_open_fds", "_max_fds"),
    ("_size", "_capacity"),
    ("_depth", "_capacity"),
    ("_in_use", "_max"),
    ("_active", "_max"),
];

/// The bound of a track, if one is known.
pub(super) fn of(ask: &Arc<dyn Ask>, subjects: &[Subject], track: &Track<'_>) -> Option<f64> {
    let subject = track.subject;
    if subject.kind != MetricKind::Gauge {
        return None;
    }
    let most = track.steps.iter().flatten().copied();
    let most = most.fold(f64::NEG_INFINITY, f64::max);
    if subject.name.ends_with("_ratio") {
        return (most <= 1.0).then_some(1.0);
    }
    if subject.unit == Some("percent") || subject.name.ends_with("_percent") {
        return (most <= 100.0).then_some(100.0);
    }
    let partner = PAIRS.iter().find_map(|(own, other)| {
        let stem = subject.name.strip_suffix(own)?;
        let name = format!("{stem}{other}");
        subjects
            .iter()
            .find(|other| other.kind == MetricKind::Gauge && other.name == name)
    })?;
    let all = Selection::<Gauges>::new(ask.clone(), &partner.name);
    let by = all.by(["instance", "service"]).current();
    let same = by.iter().find(|(labels, _)| *labels == track.labels);
    same.map(|(_, bound)| *bound).filter(|bound| *bound > 0.0)
}
