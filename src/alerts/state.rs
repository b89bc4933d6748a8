//! The states of one alert, moved by a pure function: `(policy, state, observation, now) -> (state, transition)`.
//!
//! The rules are those of Prometheus: an alert whose condition holds is pending, and fires once it has held for long
//! enough; one whose condition ends is forgotten while it is pending, and resolved if it fired, unless it is to keep firing
//! for a while. Beside that there are a second threshold for the end, a word for "no data", and silence between
//! announcements. Instants are nanoseconds on the store's axis; one that lies before an earlier one counts as equal.

use super::rule::NoData;
use std::fmt;

/// Where an alert stands.
///
/// ```
/// use metrics_recall::AlertState;
///
/// assert_eq!(AlertState::Firing.to_string(), "firing");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum AlertState {
    /// The condition does not hold.
    Inactive,
    /// The condition holds, but not yet for as long as the rule asks for.
    Pending,
    /// The condition has held for long enough.
    Firing,
    /// It was firing, and the condition holds no more.
    Resolved,
}

impl fmt::Display for AlertState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        })
    }
}

/// What of a rule its states depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) hold_ns: u64,
    pub(crate) keep_ns: u64,
    pub(crate) cooldown_ns: u64,
    pub(crate) no_data: NoData,
    pub(crate) is_enabled: bool,
}

/// What one evaluation says about an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// `holds`: whether the condition does; `clear`: whether it is over for an alert that fires.
    Value { holds: bool, clear: bool },
    /// The question had no answer.
    Nothing,
}

/// Where an alert stands, with the instants that the rules need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Inactive,
    Pending {
        since: u64,
    },
    Firing {
        since: u64,
        fired: u64,
        /// Since when it fires only because it is to keep firing.
        ending: Option<u64>,
    },
    Resolved {
        since: u64,
        fired: u64,
        at: u64,
    },
}

/// The state of one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// When this alert was last announced as firing.
    announced: Option<u64>,
    /// Whether what it is now was announced.
    told: bool,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) from: AlertState,
    pub(crate) to: AlertState,
    /// Whether anybody is to hear of it: within the cooldown nobody is.
    pub(crate) is_heard: bool,
}

/// A resolved alert is remembered for so long.
pub(crate) const RESOLVED_NS: u64 = 15 * 60 * 1_000_000_000;

impl State {
    pub(crate) const INACTIVE: Self = Self {
        phase: Phase::Inactive,
        announced: None,
        told: false,
    };

    pub(crate) fn name(&self) -> AlertState {
        match self.phase {
            Phase::Inactive => AlertState::Inactive,
            Phase::Pending { .. } => AlertState::Pending,
            Phase::Firing { .. } => AlertState::Firing,
            Phase::Resolved { .. } => AlertState::Resolved,
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Pending { .. } | Phase::Firing { .. })
    }

    /// Since when the condition has held.
    pub(crate) fn since(&self) -> Option<u64> {
        match self.phase {
            Phase::Inactive => None,
            Phase::Pending { since }
            | Phase::Firing { since, .. }
            | Phase::Resolved { since, .. } => Some(since),
        }
    }

    /// Since when it has fired.
    pub(crate) fn fired(&self) -> Option<u64> {
        match self.phase {
            Phase::Firing { fired, .. } | Phase::Resolved { fired, .. } => Some(fired),
            _ => None,
        }
    }

    /// Whether nothing would change if it were forgotten.
    pub(crate) fn is_past(&self, policy: &Policy, now: u64) -> bool {
        let is_old = match self.phase {
            Phase::Inactive => true,
            Phase::Resolved { at, .. } => now.saturating_sub(at) > RESOLVED_NS,
            _ => false,
        };
        is_old && !self.is_cooling(policy, now)
    }

    fn is_cooling(&self, policy: &Policy, now: u64) -> bool {
        self.announced
            .is_some_and(|at| now.saturating_sub(at) < policy.cooldown_ns)
    }

    /// What comes next. A transition also tells of a firing that the cooldown had kept quiet, when that is over.
    pub(crate) fn next(self, policy: &Policy, seen: Seen, now: u64) -> (Self, Option<Transition>) {
        let Some(holds) = self.judge(policy, seen) else {
            return (self, None);
        };
        let phase = self.phase_after(policy, holds, now);
        self.announce(phase, policy, now)
    }

    /// Whether the condition holds for this alert; `None`: everything stays.
    fn judge(&self, policy: &Policy, seen: Seen) -> Option<bool> {
        if !policy.is_enabled {
            return Some(false);
        }
        match (seen, policy.no_data) {
            (Seen::Value { clear, .. }, _) if matches!(self.phase, Phase::Firing { .. }) => {
                Some(!clear)
            }
            (Seen::Value { holds, .. }, _) => Some(holds),
            (Seen::Nothing, NoData::Keep) => None,
            (Seen::Nothing, NoData::Resolve) => Some(false),
            (Seen::Nothing, NoData::Fire) => Some(true),
        }
    }

    fn phase_after(&self, policy: &Policy, holds: bool, now: u64) -> Phase {
        if !holds {
            return self.ended(policy, now);
        }
        let (since, fired) = match self.phase {
            Phase::Inactive | Phase::Resolved { .. } => (now, None),
            Phase::Pending { since } => (since, None),
            Phase::Firing { since, fired, .. } => (since, Some(fired)),
        };
        // Also an alert that fired is pending again when its rule now asks for more time.
        let held_ns = now.max(fired.unwrap_or(now)).saturating_sub(since);
        if held_ns < policy.hold_ns {
            return Phase::Pending { since };
        }
        Phase::Firing {
            since,
            fired: fired.unwrap_or(now.max(since)),
            ending: None,
        }
    }

    fn ended(&self, policy: &Policy, now: u64) -> Phase {
        match self.phase {
            Phase::Inactive | Phase::Pending { .. } => Phase::Inactive,
            Phase::Firing {
                since,
                fired,
                ending,
            } => {
                let from = ending.unwrap_or(now);
                if policy.is_enabled && now.saturating_sub(from) < policy.keep_ns {
                    Phase::Firing {
                        since,
                        fired,
                        ending: Some(from),
                    }
                } else {
                    Phase::Resolved {
                        since,
                        fired,
                        at: now,
                    }
                }
            }
            resolved @ Phase::Resolved { .. } => resolved,
        }
    }

    /// What is heard of it. The end of something is heard if its beginning was.
    fn announce(self, phase: Phase, policy: &Policy, now: u64) -> (Self, Option<Transition>) {
        let cooling = self.is_cooling(policy, now);
        let mut next = Self { phase, ..self };
        let (from, to) = (self.name(), next.name());
        let is_heard = match to {
            _ if from == to && (self.told || cooling || to != AlertState::Firing) => {
                return (next, None);
            }
            AlertState::Pending | AlertState::Firing => !cooling,
            AlertState::Inactive | AlertState::Resolved => self.told,
        };
        next.told = is_heard;
        if is_heard && to == AlertState::Firing {
            next.announced = Some(now);
        }
        (next, Some(Transition { from, to, is_heard }))
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
