//! Alert events as events of `tracing`, which makes records of `log` of them where it has no subscriber.

use super::{event::AlertEvent, severity::Severity, state::AlertState};
use crate::util::text::Shown;
use tracing::{error, info, warn};

/// Firing is logged as bad as it is, everything else as information.
pub(crate) fn log(event: &AlertEvent) {
    let (rule, state, severity) = (event.rule(), event.state(), event.severity());
    let (labels, value) = (event.labels().to_string(), event.value());
    let labels = Shown(&labels);
    macro_rules! log {
        ($level:ident) => {
            $level!(target: "metrics_recall::alerts", rule, %state, %severity, %labels, value, "{event}")
        };
    }
    match (state, severity) {
        (AlertState::Firing, Severity::Warning) => log!(warn),
        (AlertState::Firing, Severity::Error | Severity::Critical) => log!(error),
        _ => log!(info),
    }
}
