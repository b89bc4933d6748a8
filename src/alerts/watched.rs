//! A rule and its alerts: one evaluation of all of its groups.

use super::{
    evaluate::{Now, Store},
    kept::Kept,
    rule::Checked,
    state::{Phase, Policy, Seen, State, Transition},
};
use crate::{
    error::Error,
    ledger::{Full, Ledger, Part},
    model::{Labels, Timestamp},
    util::layout,
};
use std::{mem, sync::Arc};

/// One alert: a group of a rule that is active, was so not long ago, or must be remembered for its absence.
pub(super) struct Group {
    /// The group's own.
    key: Labels,
    /// With those of the rule.
    pub(super) labels: Labels,
    pub(super) state: State,
    pub(super) value: f64,
    /// When there were data last, for a rule about absence.
    had_ns: Option<u64>,
    /// What the labels take.
    kept: Kept,
}

/// A rule, and what became of it.
pub(super) struct Watched {
    pub(super) rule: Arc<Checked>,
    pub(super) is_enabled: bool,
    /// Sorted by their keys.
    pub(super) groups: Vec<Group>,
    /// Since when it has been watched.
    since_ns: Option<u64>,
    pub(super) evaluated: Option<Timestamp>,
    pub(super) error: Option<Box<str>>,
    pub(super) failures: u64,
    /// Groups that are not followed.
    pub(super) excess: usize,
    /// Groups of the last evaluation, those without an alert included.
    pub(super) answered: usize,
    /// Of the store's own rules: what the labels of their only alert take, so that they fire when there is no memory left.
    spare: Option<Kept>,
    ledger: Arc<Ledger>,
}

/// What happened to one alert.
pub(super) struct Change {
    pub(super) transition: Transition,
    pub(super) labels: Labels,
    pub(super) value: f64,
    pub(super) state: State,
}

impl Watched {
    pub(super) fn new(rule: Arc<Checked>, ledger: &Arc<Ledger>) -> Self {
        let mut groups = Vec::new();
        if rule.is_builtin
            && ledger
                .reserve(Part::Alerts, layout::vec::<Group>(1))
                .is_ok()
        {
            layout::regrow(&mut groups, 1);
        }
        Self {
            is_enabled: rule.policy.is_enabled,
            spare: spare(&rule, ledger),
            rule,
            groups,
            since_ns: None,
            evaluated: None,
            error: None,
            failures: 0,
            excess: 0,
            answered: 0,
            ledger: ledger.clone(),
        }
    }

    pub(super) fn policy(&self) -> Policy {
        Policy {
            is_enabled: self.is_enabled,
            ..self.rule.policy
        }
    }

    /// Evaluates it, and tells `report` what changed.
    pub(super) fn evaluate(
        &mut self,
        store: Store<'_>,
        report: &mut dyn FnMut(&Checked, Change),
    ) -> Result<(), Error> {
        let now = store.now;
        if !self.is_enabled {
            self.end(now, report);
            return Ok(());
        }
        let rule = self.rule.clone();
        let values = rule.condition.values(store, rule.most_groups)?;
        let since_ns = *self.since_ns.get_or_insert(now.ns);
        self.excess = values.excess;
        self.answered = values.groups.len();
        let policy = self.policy();
        let known = self.groups.len();
        let mut seen = vec![false; known];
        // A question without groups has one alert, data or not.
        let alone = (rule.condition.by().is_empty() && values.groups.is_empty())
            .then(|| (Labels::from([]), None));
        for (key, value) in values.groups.into_iter().chain(alone) {
            let at = self.groups.get(..known).unwrap_or_default();
            match at.binary_search_by(|group| group.key.cmp(&key)) {
                Ok(at) => {
                    if let Some(seen) = seen.get_mut(at) {
                        *seen = true;
                    }
                    let change = self.groups.get_mut(at).and_then(|group| {
                        let seen = group.look(&rule, value, since_ns, now.ns);
                        group.go(&policy, seen, now.ns)
                    });
                    if let Some(change) = change {
                        report(&rule, change);
                    }
                }
                Err(_) => self.meet(&rule, key, value, now, report),
            }
        }
        for (group, _) in self.groups.iter_mut().zip(seen).filter(|(_, seen)| !seen) {
            let seen = group.look(&rule, None, since_ns, now.ns);
            let change = group.go(&policy, seen, now.ns);
            if let Some(change) = change {
                report(&rule, change);
            }
        }
        self.tidy(&policy, now.ns);
        self.evaluated = Some(now.at);
        Ok(())
    }

    /// A group that is new; it is kept if there is something to keep.
    fn meet(
        &mut self,
        rule: &Checked,
        key: Labels,
        value: Option<f64>,
        now: Now,
        report: &mut dyn FnMut(&Checked, Change),
    ) {
        let policy = self.policy();
        let is_data = rule.condition.is_data(value);
        let absence = rule.condition.absence().is_some();
        let mut group = Group {
            labels: key.clone(),
            key,
            state: State::INACTIVE,
            value: f64::NAN,
            had_ns: None,
            // What the group takes is charged when it is kept.
            kept: match Kept::new(&self.ledger, 0) {
                Ok(kept) => kept,
                Err(Full) => return,
            },
        };
        let since_ns = self.since_ns.unwrap_or(now.ns);
        let seen = group.look(rule, value, since_ns, now.ns);
        let change = group.go(&policy, seen, now.ns);
        // A question without groups is remembered by its rule alone, as long as it is quiet.
        let is_needed = group.state.phase != Phase::Inactive || (absence && is_data);
        if !is_needed {
            return;
        }
        if !self.keep(rule, group) {
            self.excess += 1;
            return;
        }
        let labels = self.groups.last().map(|group| group.labels.clone());
        if let (Some(change), Some(labels)) = (change, labels) {
            report(rule, Change { labels, ..change });
        }
    }

    /// Makes room for a group, and keeps it; false: there is none.
    fn keep(&mut self, rule: &Checked, mut group: Group) -> bool {
        if self.groups.len() >= rule.most_groups.saturating_mul(2) {
            return false;
        }
        let labels = rule.labels_of(&group.key);
        let bytes = group.key.bytes() + labels.bytes();
        let kept = Kept::new(&self.ledger, bytes).ok();
        let Some(kept) = kept.or_else(|| self.spare.take()) else {
            return false;
        };
        // A copy of its own: what an answer shares is not charged.
        group.key = group.key.with([]);
        group.labels = labels;
        group.kept = kept;
        if !self.ledger.room(Part::Alerts, &mut self.groups, 1) {
            return false;
        }
        self.groups.push(group);
        true
    }

    /// Forgets what is past, and sorts what is left.
    fn tidy(&mut self, policy: &Policy, now_ns: u64) {
        let absence = self.rule.condition.absence().is_some();
        self.groups.retain(|group| {
            (absence && group.had_ns.is_some()) || !group.state.is_past(policy, now_ns)
        });
        self.groups.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        if self.groups.is_empty() && self.spare.is_none() {
            self.spare = spare(&self.rule, &self.ledger);
        }
        let (len, capacity) = (self.groups.len(), self.groups.capacity());
        if capacity > 16
            && len < capacity / 4
            && self
                .ledger
                .reserve(Part::Alerts, layout::vec::<Group>(2 * len))
                .is_ok()
        {
            layout::regrow(&mut self.groups, 2 * len);
            self.ledger
                .release(Part::Alerts, layout::vec::<Group>(capacity));
        }
    }

    /// Ends all alerts, as when the rule is disabled or removed.
    pub(super) fn end(&mut self, now: Now, report: &mut dyn FnMut(&Checked, Change)) {
        let policy = Policy {
            is_enabled: false,
            ..self.rule.policy
        };
        for group in &mut self.groups {
            let change = group.go(&policy, Seen::Nothing, now.ns);
            if let Some(change) = change {
                report(&self.rule, change);
            }
        }
        self.clear();
        self.excess = 0;
        self.since_ns = None;
    }

    /// Forgets all alerts; gives how many were active.
    pub(super) fn clear(&mut self) -> usize {
        let active = self.groups.iter().filter(|group| group.state.is_active());
        let active = active.count();
        if self.rule.is_builtin {
            self.groups.clear();
        } else {
            self.free();
        }
        active
    }

    /// Forgets all alerts, and has no room for any.
    fn free(&mut self) {
        let groups = mem::take(&mut self.groups);
        let bytes = layout::vec::<Group>(groups.capacity());
        drop(groups);
        self.ledger.release(Part::Alerts, bytes);
    }

    /// The alerts of another version of the rule.
    pub(super) fn take_over(&mut self, mut other: Self) {
        self.free();
        self.groups = mem::take(&mut other.groups);
        self.since_ns = other.since_ns;
        self.evaluated = other.evaluated;
    }

    /// Something went wrong with its evaluation.
    pub(super) fn failed(&mut self, what: &str, now: Now) {
        // Few bytes, so that they need no charge of their own.
        self.error = Some(crate::util::text::clip(what, 200).into());
        self.failures += 1;
        self.evaluated = Some(now.at);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.free();
    }
}

/// What one of the store's own rules keeps for its alert.
fn spare(rule: &Checked, ledger: &Arc<Ledger>) -> Option<Kept> {
    let key = Labels::from([]);
    let bytes = || key.bytes() + rule.labels_of(&key).bytes();
    rule.is_builtin
        .then(|| Kept::new(ledger, bytes()).ok())
        .flatten()
}

impl Group {
    /// What a value says about this group.
    fn look(&mut self, rule: &Checked, value: Option<f64>, since_ns: u64, now_ns: u64) -> Seen {
        let condition = &rule.condition;
        let Some(absence) = condition.absence() else {
            if let Some(value) = value {
                self.value = value;
            }
            return condition.see(value);
        };
        self.value = 1.0;
        if condition.is_data(value) {
            self.had_ns = Some(now_ns);
            return Seen::Value {
                holds: false,
                clear: true,
            };
        }
        // Of the time before the rule nothing is known; behind data, the window has been empty for its whole length.
        let window = condition.window();
        let gap = match self.had_ns {
            Some(had_ns) => u128::from(now_ns.saturating_sub(had_ns)) + window.as_nanos(),
            None => u128::from(now_ns.saturating_sub(since_ns)),
        };
        let holds = gap >= absence.as_nanos();
        Seen::Value {
            holds,
            clear: !holds,
        }
    }

    fn go(&mut self, policy: &Policy, seen: Seen, now_ns: u64) -> Option<Change> {
        let (state, transition) = self.state.next(policy, seen, now_ns);
        let before = mem::replace(&mut self.state, state);
        // What has ended says when it began.
        let told = if state.since().is_some() {
            state
        } else {
            before
        };
        transition.map(|transition| Change {
            transition,
            labels: self.labels.clone(),
            value: self.value,
            state: told,
        })
    }
}
