//! All rules, their alerts, and the record of what happened.

use super::{
    builtin::{self, Vitals},
    evaluate::{Now, Store},
    event::{AlertEvent, Told, What, fingerprint},
    kept::Kept,
    notify::Hub,
    rule::{AlertRule, Checked},
    watched::{Change, Watched},
};
use crate::{
    error::Error,
    ledger::{Full, Ledger, Part},
    model::{Labels, Timestamp},
    query::{Ask, Standings},
    util::{caught::caught, fork, layout, recent::Recent, text::Brief},
};
use parking_lot::Mutex;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::Arc,
};

/// Transitions that are remembered.
const RECORD: usize = 256;

/// Bytes of some events of the store's own rules.
const SPARE: usize = 2 << 10;

/// Everything about alerts.
pub(crate) struct Board {
    inner: Mutex<Inner>,
    pub(crate) hub: Arc<Hub>,
    ledger: Arc<Ledger>,
    /// Recordings that went to overflow series, as the tick saw them.
    overflowed: Recent,
    /// What events of the store's own rules take, for when there is no memory left.
    spare: Mutex<Option<Kept>>,
}

pub(super) struct Inner {
    /// In the order in which they were added.
    pub(super) rules: Vec<Watched>,
    /// The store's own, and the builder's.
    defaults: Vec<Arc<Checked>>,
    /// Newest last.
    pub(super) record: VecDeque<AlertEvent>,
    /// The newest tick.
    pub(super) now: Now,
    /// Answers to what rules ask, which move on from tick to tick.
    kept: RefCell<Standings>,
}

thread_local! {
    /// This thread holds the lock of a board.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// While the lock is held: an allocator that emits metrics or ticks must not look for it again.
struct Inside(());

impl Inside {
    fn enter() -> Option<Self> {
        (!INSIDE.replace(true)).then(|| Self(()))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}

impl Board {
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        now: Now,
        now_ns: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Result<Arc<Self>, Full> {
        ledger.reserve(Part::Alerts, layout::vec::<AlertEvent>(RECORD))?;
        Ok(Arc::new(Self {
            inner: Mutex::new(Inner {
                rules: Vec::new(),
                defaults: Vec::new(),
                record: VecDeque::with_capacity(RECORD),
                now,
                kept: RefCell::new(Standings::new(&ledger, Part::Alerts)),
            }),
            hub: Hub::new(ledger.clone(), now_ns),
            spare: Mutex::new(Kept::new(&ledger, SPARE).ok()),
            ledger,
            overflowed: Recent::new(),
        }))
    }

    /// The first rules: the store's own unless they are not wanted, and those that the builder was given.
    ///
    /// # Errors
    ///
    /// For all that is wrong with them.
    pub(crate) fn set_defaults(&self, own: bool, rules: Vec<AlertRule>) -> Result<(), Error> {
        let own = if own { builtin::rules()? } else { Vec::new() };
        let all = own.into_iter().map(|rule| (rule, true));
        let all = all.chain(rules.into_iter().map(|rule| (rule, false)));
        let mut wrong = Vec::new();
        for (rule, is_own) in all {
            let added = Checked::new(rule, is_own, &self.ledger).and_then(|rule| {
                self.with(|inner| {
                    self.push(inner, rule.clone())?;
                    if !self.ledger.room(Part::Alerts, &mut inner.defaults, 1) {
                        return Err(no_room(&rule.name));
                    }
                    inner.defaults.push(rule);
                    Ok(())
                })?
            });
            wrong.extend(added.err().map(|error| error.to_string()));
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid(wrong.join("; ")))
        }
    }

    /// Has the rules for itself.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> Result<T, Error> {
        let _inside = Inside::enter().ok_or_else(|| {
            Error::refused("alerts were asked for from inside of their own evaluation, as from an allocator: allowed is anywhere else")
        })?;
        let mut inner = fork::lock(&self.inner).ok_or_else(|| {
            Error::refused("this process was forked while its parent had the alerts locked: allowed is a fork while nothing else runs")
        })?;
        Ok(work(&mut inner))
    }

    pub(super) fn check(&self, rule: AlertRule) -> Result<Arc<Checked>, Error> {
        Checked::new(rule, false, &self.ledger)
    }

    /// Adds a rule whose name is free.
    pub(super) fn push(&self, inner: &mut Inner, rule: Arc<Checked>) -> Result<(), Error> {
        if inner.find(&rule.name).is_ok() {
            return Err(Error::invalid(format!(
                "rule `{}`: there is one of this name; `replace` puts another in its place",
                Brief(&rule.name)
            )));
        }
        if !self.ledger.room(Part::Alerts, &mut inner.rules, 1) {
            return Err(no_room(&rule.name));
        }
        inner.rules.push(Watched::new(rule, &self.ledger));
        Ok(())
    }

    /// Puts a rule in the place of the one of its name. Alerts go on if condition and labels are the same; else they end.
    pub(super) fn replace(&self, inner: &mut Inner, rule: Arc<Checked>) -> Result<(), Error> {
        let at = inner.find(&rule.name)?;
        let now = inner.now;
        let mut new = Watched::new(rule, &self.ledger);
        let Inner { rules, record, .. } = inner;
        let Some(place) = rules.get_mut(at) else {
            return Ok(());
        };
        std::mem::swap(place, &mut new);
        let mut old = new;
        if place.rule.is_like(&old.rule) {
            place.take_over(old);
        } else {
            old.end(now, &mut |rule, change| {
                self.tell(record, rule, change, now);
            });
        }
        Ok(())
    }

    /// Takes a rule away; its alerts end.
    pub(super) fn remove(&self, inner: &mut Inner, name: &str) -> Result<(), Error> {
        let at = inner.find(name)?;
        let now = inner.now;
        let mut gone = inner.rules.remove(at);
        let record = &mut inner.record;
        gone.end(now, &mut |rule, change| {
            self.tell(record, rule, change, now);
        });
        Ok(())
    }

    /// Enables or disables a rule; alerts of a disabled one end at once.
    pub(super) fn enable(&self, inner: &mut Inner, name: &str, yes: bool) -> Result<(), Error> {
        let at = inner.find(name)?;
        let now = inner.now;
        let Inner { rules, record, .. } = inner;
        if let Some(watched) = rules.get_mut(at) {
            watched.is_enabled = yes;
            if !yes {
                watched.end(now, &mut |rule, change| {
                    self.tell(record, rule, change, now);
                });
            }
        }
        Ok(())
    }

    /// The default rules again, without any alert, and an event that says so.
    pub(super) fn reset(&self, inner: &mut Inner) {
        let alerts = inner.rules.iter_mut().map(Watched::clear).sum();
        inner.rules.clear();
        let defaults = inner.defaults.clone();
        for rule in defaults {
            // There was room for as many before.
            let _ = self.push(inner, rule);
        }
        let rules = inner.rules.len();
        let now = inner.now;
        let bytes = AlertEvent::BYTES + Labels::from([]).bytes();
        let Ok(kept) = Kept::new(&self.ledger, bytes) else {
            self.hub.counts.dropped.add(1);
            return;
        };
        let event = AlertEvent::new(Told {
            rule: "".into(),
            what: What::Reset { rules, alerts },
            labels: Labels::from([]),
            severity: super::severity::Severity::Info,
            value: f64::NAN,
            threshold: None,
            at: now.at,
            since: None,
            fired: None,
            annotations: Box::new([]),
            fingerprint: 0,
            _kept: kept,
        });
        self.publish(&mut inner.record, event, now);
    }

    /// Evaluates all rules. Cost: that of their questions.
    pub(crate) fn evaluate(&self, ask: &dyn Ask, vitals: &Vitals, now: Now) {
        // Refused only to an allocator that ticks; its tick is evaluated by the next.
        let _ = self.with(|inner| {
            // Another thread's tick may have been here already.
            if now.ns < inner.now.ns {
                return;
            }
            inner.now = now;
            let Inner {
                rules,
                record,
                kept,
                ..
            } = inner;
            let begun = caught(|| kept.get_mut().begin(ask, now.at));
            if begun.is_err() {
                kept.get_mut().clear();
            }
            let store = Store {
                ask,
                vitals,
                now,
                kept,
            };
            for watched in rules {
                let mut tell = |rule: &Checked, change| self.tell(record, rule, change, now);
                let result = caught(|| watched.evaluate(store, &mut tell));
                match result {
                    Ok(Ok(())) => watched.error = None,
                    Ok(Err(error)) => watched.failed(&error.to_string(), now),
                    Err(_) => watched.failed("the evaluation panicked, which is a mistake in this crate: please report it", now),
                }
            }
            kept.get_mut().end();
            if let Some(mut spare) = fork::lock(&self.spare)
                && spare.is_none()
            {
                *spare = Kept::new(&self.ledger, SPARE).ok();
            }
            self.hub.pass(now.ns);
        });
    }

    /// Makes an event of a change, if anybody is to hear of it.
    fn tell(&self, record: &mut VecDeque<AlertEvent>, rule: &Checked, change: Change, now: Now) {
        if !change.transition.is_heard {
            return;
        }
        let Change {
            transition,
            labels,
            value,
            state,
        } = change;
        let annotations = rule.annotations_of(&labels, value);
        let texts = annotations
            .iter()
            .map(|(name, text)| name.len() + text.len());
        let bytes = AlertEvent::BYTES
            + rule.name.len()
            + labels.bytes()
            + size_of_val(&*annotations)
            + texts.sum::<usize>();
        let Some(kept) = self.charge(record, bytes, rule.is_builtin) else {
            self.hub.counts.dropped.add(1);
            return;
        };
        let wall = |ns: u64| at(now, ns);
        let event = AlertEvent::new(Told {
            what: What::Changed {
                from: transition.from,
                to: transition.to,
            },
            fingerprint: fingerprint(&rule.name, &labels),
            rule: rule.name.clone(),
            // The group's own are charged with the group.
            labels: labels.with([]),
            severity: rule.severity,
            value,
            threshold: rule.condition.threshold(value),
            at: now.at,
            since: state.since().map(wall),
            fired: state.fired().map(wall),
            annotations,
            _kept: kept,
        });
        self.publish(record, event, now);
    }

    /// Room for an event; the record gives way, and then, to one of the store's own rules, what is spared for that.
    fn charge(
        &self,
        record: &mut VecDeque<AlertEvent>,
        bytes: usize,
        is_own: bool,
    ) -> Option<Kept> {
        loop {
            if let Ok(kept) = Kept::new(&self.ledger, bytes) {
                return Some(kept);
            }
            if record.pop_front().is_none() {
                let spare = fork::lock(&self.spare).filter(|_| is_own);
                drop(spare?.take()?);
            }
        }
    }

    fn publish(&self, record: &mut VecDeque<AlertEvent>, event: AlertEvent, now: Now) {
        self.hub.publish(&event, now.ns);
        if record.len() >= RECORD {
            record.pop_front();
        }
        record.push_back(event);
    }

    /// Some minutes have passed.
    pub(crate) fn turn(&self) {
        let counts = &self.hub.counts;
        for count in [
            &counts.dropped,
            &counts.panicked,
            &counts.slow,
            &counts.deaf,
            &self.overflowed,
        ] {
            count.turn();
        }
    }

    /// Events that were dropped in the last minutes.
    pub(crate) fn dropped(&self) -> u64 {
        self.hub.counts.dropped.recent()
    }

    /// Recordings that went to overflow series in the last minutes, of so many ever.
    pub(crate) fn overflowed(&self, ever: u64) -> u64 {
        self.overflowed
            .add(ever.saturating_sub(self.overflowed.total()));
        self.overflowed.recent()
    }
}

/// An instant of the axis.
pub(super) fn at(now: Now, ns: u64) -> Timestamp {
    now.at - std::time::Duration::from_nanos(now.ns.saturating_sub(ns))
}

fn no_room(name: &str) -> Error {
    Error::refused(format!(
        "rule `{}`: no room for it; alerts may take an eighth of the memory budget",
        Brief(name)
    ))
}

impl Inner {
    pub(super) fn find(&self, name: &str) -> Result<usize, Error> {
        let at = self
            .rules
            .iter()
            .position(|watched| *watched.rule.name == *name);
        at.ok_or_else(|| {
            let names: Vec<&str> = self
                .rules
                .iter()
                .take(20)
                .map(|watched| &*watched.rule.name)
                .collect();
            Error::invalid(format!(
                "no rule `{}`: there are {}",
                Brief(name),
                Brief(&names.join(", "))
            ))
        })
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        let bytes = layout::vec::<Watched>(inner.rules.capacity())
            + layout::vec::<Arc<Checked>>(inner.defaults.capacity())
            + layout::vec::<AlertEvent>(RECORD);
        inner.rules = Vec::new();
        inner.defaults = Vec::new();
        inner.record = VecDeque::new();
        inner.kept.get_mut().clear();
        self.ledger.release(Part::Alerts, bytes);
    }
}
