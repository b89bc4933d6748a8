//! Every row of the table of states, and what holds for all of them.

use super::*;

const SECOND: u64 = 1_000_000_000;

/// Thirty seconds to fire, a minute of keeping, no cooldown.
const POLICY: Policy = Policy {
    hold_ns: 30 * SECOND,
    keep_ns: 60 * SECOND,
    cooldown_ns: 0,
    no_data: NoData::Resolve,
    is_enabled: true,
};

const HOLDS: Seen = Seen::Value {
    holds: true,
    clear: false,
};
/// Between the two thresholds.
const BETWEEN: Seen = Seen::Value {
    holds: false,
    clear: false,
};
const OVER: Seen = Seen::Value {
    holds: false,
    clear: true,
};

/// Begun ten minutes in.
const T: u64 = 600;

fn at(seconds: u64) -> u64 {
    seconds * SECOND
}

fn state(phase: Phase) -> State {
    State {
        phase,
        announced: None,
        told: true,
    }
}

fn pending() -> Phase {
    Phase::Pending { since: at(T) }
}

fn firing(ending: Option<u64>) -> Phase {
    Phase::Firing {
        since: at(T),
        fired: at(T + 30),
        ending: ending.map(at),
    }
}

fn resolved(second: u64) -> Phase {
    Phase::Resolved {
        since: at(T),
        fired: at(T + 30),
        at: at(second),
    }
}

#[test]
fn each_phase_and_observation_has_its_next_phase() {
    use Phase::Inactive;
    let fresh = |second| Phase::Pending { since: at(second) };
    let table = [
        // Nothing begins without a condition that holds.
        (Inactive, OVER, T, Inactive),
        (Inactive, BETWEEN, T, Inactive),
        (Inactive, Seen::Nothing, T, Inactive),
        (Inactive, HOLDS, T, pending()),
        // Pending until it has held for thirty seconds, the last of them included.
        (pending(), HOLDS, T, pending()),
        (pending(), HOLDS, T + 29, pending()),
        (pending(), HOLDS, T + 30, firing(None)),
        (pending(), OVER, T + 29, Inactive),
        (pending(), OVER, T + 30, Inactive),
        (pending(), BETWEEN, T + 30, Inactive),
        (pending(), Seen::Nothing, T + 30, Inactive),
        // The second threshold keeps what fires, and only that.
        (firing(None), HOLDS, T + 40, firing(None)),
        (firing(None), BETWEEN, T + 40, firing(None)),
        // Keeps firing for a minute, the last instant excluded.
        (firing(None), OVER, T + 40, firing(Some(T + 40))),
        (firing(None), Seen::Nothing, T + 40, firing(Some(T + 40))),
        (firing(Some(T + 40)), OVER, T + 99, firing(Some(T + 40))),
        (firing(Some(T + 40)), OVER, T + 100, resolved(T + 100)),
        // In between the condition held: the minute begins anew.
        (firing(Some(T + 40)), HOLDS, T + 99, firing(None)),
        (firing(Some(T + 40)), BETWEEN, T + 99, firing(None)),
        // Resolved stays, and begins anew.
        (resolved(T + 100), OVER, T + 101, resolved(T + 100)),
        (resolved(T + 100), BETWEEN, T + 101, resolved(T + 100)),
        (resolved(T + 100), Seen::Nothing, T + 101, resolved(T + 100)),
        (resolved(T + 100), HOLDS, T + 200, fresh(T + 200)),
        // Behind a gap: time that passed counts, as for Prometheus.
        (
            pending(),
            HOLDS,
            T + 9_999,
            Phase::Firing {
                since: at(T),
                fired: at(T + 9_999),
                ending: None,
            },
        ),
        (firing(Some(T + 40)), OVER, T + 9_999, resolved(T + 9_999)),
        // A clock that went back: no time has passed.
        (pending(), HOLDS, T - 100, pending()),
        (firing(Some(T + 40)), OVER, T - 100, firing(Some(T + 40))),
    ];
    for (from, seen, second, to) in table {
        let (next, transition) = state(from).next(&POLICY, seen, at(second));
        assert_eq!(next.phase, to, "{from:?} {seen:?} at {second}");
        let changed = state(from).name() != next.name();
        assert_eq!(
            transition.is_some(),
            changed,
            "{from:?} {seen:?} at {second}"
        );
    }
}

#[test]
fn without_time_to_hold_it_fires_at_once_and_without_time_to_keep_it_ends_at_once() {
    let policy = Policy {
        hold_ns: 0,
        keep_ns: 0,
        ..POLICY
    };
    let (fires, transition) = State::INACTIVE.next(&policy, HOLDS, at(T));
    let transition = transition.unwrap();
    assert_eq!(
        (transition.from, transition.to),
        (AlertState::Inactive, AlertState::Firing)
    );
    let (over, transition) = fires.next(&policy, OVER, at(T + 1));
    assert_eq!(transition.unwrap().to, AlertState::Resolved);
    assert_eq!(over.fired(), Some(at(T)));
}

#[test]
fn no_data_keeps_resolves_or_fires() {
    let with = |no_data| Policy { no_data, ..POLICY };
    for phase in [
        Phase::Inactive,
        pending(),
        firing(Some(T + 40)),
        resolved(T + 100),
    ] {
        let (kept, transition) = state(phase).next(&with(NoData::Keep), Seen::Nothing, at(T + 900));
        assert_eq!((kept.phase, transition), (phase, None));
        let as_data = |no_data, seen| {
            let (with_nothing, _) = state(phase).next(&with(no_data), Seen::Nothing, at(T + 900));
            let (with_value, _) = state(phase).next(&with(no_data), seen, at(T + 900));
            assert_eq!(with_nothing, with_value, "{phase:?} {no_data:?}");
        };
        as_data(NoData::Resolve, OVER);
        as_data(NoData::Fire, HOLDS);
    }
}

#[test]
fn a_disabled_rule_ends_everything_at_once() {
    let policy = Policy {
        is_enabled: false,
        ..POLICY
    };
    for seen in [HOLDS, BETWEEN, OVER, Seen::Nothing] {
        let next = |phase| state(phase).next(&policy, seen, at(T + 40)).0.phase;
        assert_eq!(next(Phase::Inactive), Phase::Inactive);
        assert_eq!(next(pending()), Phase::Inactive);
        assert_eq!(next(firing(None)), resolved(T + 40));
        assert_eq!(next(firing(Some(T + 39))), resolved(T + 40));
    }
}

#[test]
fn a_rule_that_asks_for_more_time_makes_what_fires_pending_again() {
    let policy = Policy {
        hold_ns: at(600),
        ..POLICY
    };
    let (next, transition) = state(firing(None)).next(&policy, HOLDS, at(T + 40));
    assert_eq!(next.phase, pending());
    assert_eq!(transition.unwrap().to, AlertState::Pending);
}

/// Runs observations a second apart; gives what is heard.
fn heard(policy: &Policy, seen: &[(u64, Seen)]) -> Vec<(u64, AlertState)> {
    let mut now = State::INACTIVE;
    let mut heard = Vec::new();
    for (second, seen) in seen {
        let (next, transition) = now.next(policy, *seen, at(*second));
        heard.extend(
            transition
                .filter(|transition| transition.is_heard)
                .map(|transition| (*second, transition.to)),
        );
        now = next;
    }
    heard
}

#[test]
fn an_alert_that_flaps_is_heard_once_in_a_cooldown() {
    use AlertState::{Firing, Resolved};
    let policy = Policy {
        hold_ns: 0,
        keep_ns: 0,
        cooldown_ns: at(60),
        ..POLICY
    };
    let seen = [
        (0, HOLDS),
        (1, OVER),
        (10, HOLDS),
        (11, OVER),
        (59, HOLDS),
        (60, HOLDS),
        (61, HOLDS),
        (62, OVER),
    ];
    // What came within the minute is not heard, nor is its end; what lasts is heard when the minute is over.
    let expected = [(0, Firing), (1, Resolved), (60, Firing), (62, Resolved)];
    assert_eq!(heard(&policy, &seen), expected);
}

#[test]
fn pending_is_heard_and_so_is_its_end_unless_it_is_cooling() {
    use AlertState::{Firing, Inactive, Pending, Resolved};
    let policy = Policy {
        hold_ns: at(2),
        keep_ns: 0,
        cooldown_ns: at(60),
        ..POLICY
    };
    let seen = [
        (0, HOLDS),
        (1, OVER),
        (2, HOLDS),
        (4, HOLDS),
        (5, OVER),
        (6, HOLDS),
        (7, OVER),
        (64, HOLDS),
    ];
    let expected = [
        (0, Pending),
        (1, Inactive),
        (2, Pending),
        (4, Firing),
        (5, Resolved),
        (64, Pending),
    ];
    assert_eq!(heard(&policy, &seen), expected);
}

#[test]
fn what_is_past_may_be_forgotten() {
    let retention = RESOLVED_NS / SECOND;
    let state = state(resolved(T));
    assert!(!state.is_past(&POLICY, at(T + retention)));
    assert!(state.is_past(&POLICY, at(T + retention + 1)));
    let cooling = State {
        announced: Some(at(T)),
        ..State::INACTIVE
    };
    let policy = Policy {
        cooldown_ns: at(60),
        ..POLICY
    };
    assert!(!cooling.is_past(&policy, at(T + 59)));
    assert!(cooling.is_past(&policy, at(T + 60)));
}

/// All phases, observations, policies and instants together.
#[test]
fn what_holds_for_every_state() {
    let phases = [
        Phase::Inactive,
        pending(),
        firing(None),
        firing(Some(T + 40)),
        resolved(T + 100),
    ];
    let mut rows = 0;
    for phase in phases {
        for (announced, told) in [(None, false), (None, true), (Some(at(T + 30)), true)] {
            for seen in [HOLDS, BETWEEN, OVER, Seen::Nothing] {
                for bits in 0..16_u64 {
                    for no_data in [NoData::Keep, NoData::Resolve, NoData::Fire] {
                        for second in [0, T, T + 29, T + 30, T + 89, T + 100, T + 5_000] {
                            let policy = Policy {
                                hold_ns: at(30 * (bits & 1)),
                                keep_ns: at(60 * (bits >> 1 & 1)),
                                cooldown_ns: at(300 * (bits >> 2 & 1)),
                                no_data,
                                is_enabled: bits >> 3 == 1,
                            };
                            let before = State {
                                phase,
                                announced,
                                told,
                            };
                            let (after, change) = before.next(&policy, seen, at(second));
                            check(before, after, change, &policy);
                            rows += 1;
                            // The same again at the same instant changes nothing, but for a rule that asks for more time.
                            if before.fired().is_some() && after.name() == AlertState::Pending {
                                continue;
                            }
                            let again = after.next(&policy, seen, at(second));
                            let same =
                                after.name() == again.0.name() || after.phase == Phase::Inactive;
                            assert!(same && again.1.is_none(), "{before:?} {policy:?} {seen:?}");
                        }
                    }
                }
            }
        }
    }
    assert_eq!(rows, 5 * 3 * 4 * 16 * 3 * 7);
}

fn check(before: State, after: State, change: Option<Transition>, policy: &Policy) {
    let (from, to) = (before.name(), after.name());
    let all = format!("{before:?} -> {after:?} {change:?} {policy:?}");
    if from != to {
        let change = change.as_ref().unwrap_or_else(|| panic!("{all}"));
        assert_eq!((change.from, change.to), (from, to), "{all}");
    }
    if to == AlertState::Resolved && from != AlertState::Resolved {
        assert_eq!(from, AlertState::Firing, "{all}");
    }
    if !policy.is_enabled {
        assert!(!after.is_active(), "{all}");
    }
    if policy.hold_ns == 0 && policy.is_enabled && from != AlertState::Pending {
        assert_ne!(to, AlertState::Pending, "{all}");
    }
    if let (Some(since), Some(fired)) = (after.since(), after.fired()) {
        assert!(since <= fired, "{all}");
    }
}
