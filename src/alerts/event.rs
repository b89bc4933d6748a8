//! What callbacks are told.

use super::{
    kept::Kept,
    number::{humanize_timestamp, short},
    report::shown,
    severity::Severity,
    state::AlertState,
};
use crate::{
    model::{Labels, Timestamp},
    util::text::Shown,
};
use std::{fmt, sync::Arc};

/// An alert changed its state. Cheap to clone.
///
/// Shown on a line of its own:
///
/// ```text
/// 2026-01-01 00:01:05 +0000 UTC firing SlowCheckout{route="/pay"} (critical): 0.75, threshold 0.5, since 00:00:35; summary: p99 of /pay is 0.75
/// ```
#[derive(Clone)]
pub struct AlertEvent(Arc<Told>);

/// What an event says. It is charged for as long as anybody holds it.
pub(crate) struct Told {
    pub(crate) rule: Box<str>,
    pub(crate) what: What,
    pub(crate) labels: Labels,
    pub(crate) severity: Severity,
    pub(crate) value: f64,
    pub(crate) threshold: Option<f64>,
    pub(crate) at: Timestamp,
    pub(crate) since: Option<Timestamp>,
    pub(crate) fired: Option<Timestamp>,
    pub(crate) annotations: Box<[(Box<str>, Box<str>)]>,
    pub(crate) fingerprint: u64,
    pub(crate) _kept: Kept,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Changed {
        from: AlertState,
        to: AlertState,
    },
    /// All alerts were cleared.
    Reset {
        rules: usize,
        alerts: usize,
    },
}

impl AlertEvent {
    /// Bytes of the shared part.
    pub(crate) const BYTES: usize = crate::util::layout::arc::<Told>();

    pub(crate) fn new(told: Told) -> Self {
        Self(Arc::new(told))
    }

    /// The name of the rule; empty when all alerts were reset.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.0.rule
    }

    /// What the alert is now. [`Inactive`](AlertState::Inactive) is told of an alert that was pending and did not fire,
    /// and of a reset.
    #[must_use]
    pub fn state(&self) -> AlertState {
        match self.0.what {
            What::Changed { to, .. } => to,
            What::Reset { .. } => AlertState::Inactive,
        }
    }

    /// What it was before. The same as now when a firing is told late, because of the rule's cooldown.
    #[must_use]
    pub fn from(&self) -> AlertState {
        match self.0.what {
            What::Changed { from, .. } => from,
            What::Reset { .. } => AlertState::Inactive,
        }
    }

    /// Whether it says that [`Alerts::reset`](crate::Alerts::reset) cleared all alerts, and nothing else.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        matches!(self.0.what, What::Reset { .. })
    }

    /// The value that the condition was compared with; for an absence 1, as Prometheus has it. When data are missing it
    /// is the last value that there was, and NaN if there was none.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.0.value
    }

    /// What the value was compared with; `None` for an absence.
    #[must_use]
    pub fn threshold(&self) -> Option<f64> {
        self.0.threshold
    }

    /// The labels of the group, and those of the rule.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.0.labels
    }

    /// The rule's.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.0.severity
    }

    /// The tick that saw the change, on the store's axis.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.0.at
    }

    /// Since when the condition has held, or did.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.0.since
    }

    /// Since when it has been firing, or was.
    #[must_use]
    pub fn fired_at(&self) -> Option<Timestamp> {
        self.0.fired
    }

    /// The annotation called `name`, with its values filled in.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations()
            .find(|(known, _)| *known == name)
            .map(|(_, text)| text)
    }

    /// All annotations, in the order in which the rule has them.
    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.annotations.iter().map(|(n, t)| (&**n, &**t))
    }

    /// A number that is the same for all events of the same alert: of its rule and its labels. It stays the same from
    /// one run of a program to the next.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.0.fingerprint
    }
}

/// Of a rule's name and an alert's labels: FNV-1a with 64 bits, with a byte that no text has between them.
pub(crate) fn fingerprint(rule: &str, labels: &Labels) -> u64 {
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for text in std::iter::once(rule).chain(texts) {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

/// As a date, to the second.
pub(crate) fn date(at: Timestamp) -> String {
    #[expect(
        clippy::cast_precision_loss,
        reason = "whole seconds of an axis near now"
    )]
    humanize_timestamp(at.as_millis().div_euclid(1000) as f64)
}

impl fmt::Display for AlertEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = &*self.0;
        write!(f, "{} ", date(told.at))?;
        if let What::Reset { rules, alerts } = told.what {
            return write!(
                f,
                "alerts were reset: {rules} rules, {alerts} active alerts cleared"
            );
        }
        let labels = shown(&told.labels);
        write!(f, "{} {}{labels}", self.state(), Shown(&told.rule))?;
        write!(f, " ({}): {}", told.severity, short(told.value, 6))?;
        if let Some(threshold) = told.threshold {
            write!(f, ", threshold {}", short(threshold, 6))?;
        }
        if let Some(since) = told.since.filter(|since| *since < told.at) {
            let ms = told.at.as_millis().saturating_sub(since.as_millis());
            #[expect(clippy::cast_precision_loss, reason = "a duration for people")]
            let held = super::number::humanize_duration(ms as f64 / 1000.0);
            write!(f, ", for {held}")?;
        }
        for (name, text) in self.annotations() {
            write!(f, "; {name}: {}", Shown(text))?;
        }
        Ok(())
    }
}

impl fmt::Debug for AlertEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlertEvent({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_of_rule_and_labels_and_never_changes() {
        let labels = Labels::from([("route", "/pay")]);
        let one = fingerprint("SlowCheckout", &labels);
        assert_eq!(one, 0x3fad_3e8f_a570_b6eb, "{one:#x}");
        assert_ne!(one, fingerprint("SlowCheckou", &labels));
        assert_ne!(one, fingerprint("SlowCheckout", &Labels::from([])));
        // What ends a text is part of it.
        let [a, b] = [("a", "bc"), ("ab", "c")].map(|pair| Labels::from([pair]));
        assert_ne!(fingerprint("x", &a), fingerprint("x", &b));
    }
}
