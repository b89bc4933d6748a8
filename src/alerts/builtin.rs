//! The store's own rules, about itself.

use super::{
    rule::{AlertRule, NoData},
    severity::Severity,
};
use crate::error::Error;

/// What a store says of itself, as gauges that rules can ask `current()` of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Vitals {
    /// Memory used, as a share of the budget.
    pub(crate) memory: f64,
    /// Recordings that went to overflow series in the last minutes.
    pub(crate) overflowed: f64,
    /// Ticks that were lost or late in the last minutes.
    pub(crate) disturbed: f64,
    /// Alert events that were dropped in the last minutes.
    pub(crate) dropped: f64,
    /// How far history reaches, as a share of how far it is to; of the tier that memory shortens most.
    pub(crate) retention: f64,
}

impl Vitals {
    /// The gauge of this name.
    pub(super) fn get(&self, name: &str) -> Option<f64> {
        match name {
            "recall_memory_ratio" => Some(self.memory),
            "recall_overflowed" => Some(self.overflowed),
            "recall_ticks_disturbed" => Some(self.disturbed),
            "recall_alert_events_dropped" => Some(self.dropped),
            "recall_retention_ratio" => Some(self.retention),
            _ => None,
        }
    }
}

/// Name, condition, severity, summary.
const RULES: [(&str, &str, Severity, &str); 6] = [
    (
        "RecallMemoryHigh",
        "current(recall_memory_ratio) > 0.8",
        Severity::Info,
        "{{ humanizePercentage $value }} of the memory budget are in use; soon history gets shorter (`memory_budget`)",
    ),
    (
        "RecallMemoryFull",
        "current(recall_memory_ratio) > 0.95",
        Severity::Warning,
        "{{ humanizePercentage $value }} of the memory budget are in use; history gets shorter and new series overflow (`memory_budget`)",
    ),
    (
        "RecallSeriesOverflow",
        "current(recall_overflowed) > 0",
        Severity::Warning,
        "{{ $value }} recordings of the last minutes went to overflow series; `health()` names the metric (`max_series_per_metric`, `memory_budget`)",
    ),
    (
        "RecallTicksDisturbed",
        "current(recall_ticks_disturbed) > 0",
        Severity::Warning,
        "{{ $value }} ticks were lost or late (`memory_budget`, `resolution`)",
    ),
    (
        "RecallEventsDropped",
        "current(recall_alert_events_dropped) > 0",
        Severity::Warning,
        "{{ $value }} alert events of the last minutes were dropped: callbacks are slower than events come",
    ),
    (
        "RecallRetentionShort",
        "current(recall_retention_ratio) < 0.5",
        Severity::Warning,
        "history reaches back {{ humanizePercentage $value }} of what it is to (`memory_budget`, `retention`)",
    ),
];

/// The store's own rules.
pub(super) fn rules() -> Result<Vec<AlertRule>, Error> {
    let rule = |(name, condition, severity, summary): (&str, &str, Severity, &str)| {
        Ok(AlertRule::new(name)
            .when(condition.parse()?)
            .severity(severity)
            .no_data(NoData::Keep)
            .annotation("summary", summary))
    };
    RULES.into_iter().map(rule).collect()
}
