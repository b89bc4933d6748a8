//! What a store answers when it is asked: the series that a question is about, and what they say.

use super::{
    asked::Asked,
    core::Core,
    forget::{Fate, Whose},
    tick::nanos,
};
use crate::{
    error::Error,
    history::{Charge, Timeline},
    ledger::{Full, Part},
    live::{
        Busy, Counter, Entry, Gauge, Histogram, Name, drain::Visit, key::OVERFLOW, remove::is_shown,
    },
    model::{MetricKind, Timestamp, frame::SeriesId, schema::Schema},
    query::{Aggregation, Ask, Found, Member, Membership, Missing, Query, Sum, Values, Watch},
    util::{bits::low, fork, layout, text::Brief},
};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// Whose labels a question needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// Only of what is grouped.
    Grouped,
    All,
}

/// Sees to it that one more member fits.
fn room_for_one(members: &mut Vec<Member>, scratch: &mut Charge) -> Result<(), Full> {
    let capacity = members.capacity();
    if members.len() == capacity {
        let larger = layout::grown(capacity);
        scratch.add(layout::vec::<Member>(larger))?;
        layout::regrow(members, larger);
        scratch.give_back(layout::vec::<Member>(capacity));
    }
    Ok(())
}

/// The labels of a series, if the question is about it.
pub(super) fn accepted<'a, K: Visit>(
    entry: &'a Entry<K>,
    name: &Name,
    query: &Query,
) -> Option<&'a [u8]> {
    let series = entry.cells.series();
    let series = series.filter(|series| std::ptr::eq::<Name>(&raw const *series.name, name))?;
    let shown = is_shown(entry, name) && query.accepts(&series.labels);
    shown.then_some(&series.labels)
}

impl Core {
    pub(super) fn name<K: Asked>(&self, query: &Query) -> Result<Arc<Name>, Missing> {
        let registry = K::registry(&self.live);
        let find = || registry.find_name(&query.name);
        let name = fork::whole(find).ok_or(Missing::Abandoned)?;
        let name = name.filter(|name| registry.shows(name));
        name.ok_or(Missing::Unknown)
    }

    /// The same; a name that nobody has seen is counted for `health`.
    fn asked_name<K: Asked>(&self, query: &Query) -> Result<Arc<Name>, Missing> {
        self.name::<K>(query).inspect_err(|missing| {
            if *missing == Missing::Unknown {
                self.counts.strange.unknown(query.kind, &query.name);
            }
        })
    }

    fn find_in<K: Asked>(&self, query: &Query) -> Result<Found, Missing> {
        let name = self.asked_name::<K>(query)?;
        // While it is held, no id of a series that it mentions is given to another.
        let held = self.timeline();
        let forgotten = &K::registry(&self.live).forgotten;
        let oldest = held.oldest_tick().map(low);
        let now = &K::registry(&self.live).now;
        let value = |_, entry: &Entry<K>| match query.window {
            Some(_) if entry.is_past(oldest, now.load(Relaxed)) => None,
            Some(_) => Some(K::remembered(entry)),
            None => Some(K::values(entry)),
        };
        let found = loop {
            let before = forgotten.load(Relaxed);
            let members = || self.members::<K>(query, &name, Keys::Grouped, value);
            let found = fork::whole(members).ok_or(Missing::Abandoned)?;
            // A series that took over an id meanwhile may have been met twice.
            if forgotten.load(Relaxed) == before {
                break found;
            }
        };
        found.map_err(|Full| self.refused())
    }

    fn find_each_in<K: Asked>(&self, query: &Query) -> Result<Found, Missing> {
        let name = self.asked_name::<K>(query)?;
        let noted = |_, entry: &_| Some(K::noted(entry));
        let members = || self.members::<K>(query, &name, Keys::All, noted);
        let found = self.between_ticks(|| fork::whole(members));
        let found = found.ok_or(Missing::Abandoned)?;
        found.map_err(|Full| self.refused())
    }

    fn membership_in<K: Asked>(&self, name: &str) -> Option<Membership> {
        let registry = K::registry(&self.live);
        let name = registry.find_name(name)?;
        registry.shows(&name).then(|| Membership {
            version: name.version(),
            oldest: self.timeline().oldest_tick().map(low),
            now: registry.now.load(Relaxed),
        })
    }

    fn refused(&self) -> Missing {
        self.refuse();
        Missing::Refused
    }

    /// The series that a question is about, and for which there is a `value`.
    pub(super) fn members<K: Asked>(
        &self,
        query: &Query,
        name: &Name,
        keys: Keys,
        value: impl Fn(SeriesId, &Entry<K>) -> Option<Values>,
    ) -> Result<Found, Full> {
        let most = fork::lock(&name.members).map_or(0, |members| members.len());
        let bytes = layout::vec::<Member>(most);
        let mut scratch = Charge::new(&self.live.ledger, Part::Queries, bytes)?;
        let mut members = Vec::with_capacity(most);
        let mut full = Ok(());
        let registry = K::registry(&self.live);
        name.for_each_member(registry.marks_of(query.wanted()), |id| {
            if full.is_err() {
                return;
            }
            let member = registry.with(id, |entry| {
                let labels = accepted(entry, name, query)?;
                let is_overflow = labels == OVERFLOW;
                let values = value(id, entry)?;
                let are_labels_asked = keys == Keys::All || !query.by.is_empty();
                let labels = if are_labels_asked { labels } else { &[] };
                full = scratch.add(labels.len());
                full.is_ok().then(|| Member {
                    id,
                    labels: labels.into(),
                    values,
                    is_overflow,
                    evicted: entry.evicted_at(),
                })
            });
            if let Some(member) = member.flatten() {
                // More of them than there were: others have come, and must not displace those.
                full = full.and_then(|()| room_for_one(&mut members, &mut scratch));
                members.extend(full.is_ok().then_some(member));
            }
        });
        full.map(|()| Found {
            members,
            timeline: self.timeline(),
            schema: Schema::get(self.plan.schema),
            per_one: name.grain.per_one(),
            resolution_ns: nanos(self.plan.resolution),
            scratch,
        })
    }

    /// Adds up what is live, in no memory at all: it answers also when there is none left.
    fn sum_in<K: Asked>(&self, query: &Query) -> Result<Option<Sum>, Missing> {
        let registry = K::registry(&self.live);
        let name = self.asked_name::<K>(query)?;
        let all = query.matchers.is_empty();
        let wanted = registry.marks_of(query.wanted());
        loop {
            let forgotten = registry.forgotten.load(Relaxed);
            let retired = name.retired.load(Relaxed);
            let mut sum = Sum::of(name.grain.per_one());
            let add = |id| {
                let values = registry.with(id, |entry| {
                    accepted(entry, &name, query).map(|_| K::values(entry))
                });
                if let Some(values) = values.flatten() {
                    sum.add(values);
                }
            };
            fork::whole(|| name.for_each_member(wanted, add)).ok_or(Missing::Abandoned)?;
            // A series that joined the retired ones meanwhile may be in both, and one that took over its id may have
            // been met twice.
            if registry.forgotten.load(Relaxed) == forgotten {
                let found = all || sum.members > 0;
                sum.total = sum.total.wrapping_add(if all { retired } else { 0 });
                return Ok(found.then_some(sum));
            }
        }
    }
}

impl Ask for Core {
    fn knows(&self, kind: MetricKind, name: &str) -> bool {
        // What an allocation emits while names are locked must not look for that lock.
        let _busy = Busy::enter();
        self.has(kind, name)
    }

    /// Members before the timeline: what a tick between the two changes is in the timeline then, with what was before.
    fn find(&self, query: &Query) -> Result<Found, Missing> {
        // What an allocation emits while a shard is locked must not look for that lock, nor ask.
        let _busy = Busy::enter().ok_or_else(|| self.refused())?;
        match query.kind {
            MetricKind::Counter => self.find_in::<Counter>(query),
            MetricKind::Gauge => self.find_in::<Gauge>(query),
            MetricKind::Histogram => self.find_in::<Histogram>(query),
        }
    }

    fn find_each(&self, query: &Query) -> Result<Found, Missing> {
        let _busy = Busy::enter().ok_or_else(|| self.refused())?;
        match query.kind {
            MetricKind::Counter => self.find_each_in::<Counter>(query),
            MetricKind::Gauge => self.find_each_in::<Gauge>(query),
            MetricKind::Histogram => self.find_each_in::<Histogram>(query),
        }
    }

    fn sum(&self, query: &Query) -> Result<Option<Sum>, Missing> {
        let _busy = Busy::enter().ok_or_else(|| self.refused())?;
        match query.kind {
            MetricKind::Counter => self.sum_in::<Counter>(query),
            MetricKind::Gauge => self.sum_in::<Gauge>(query),
            MetricKind::Histogram => self.sum_in::<Histogram>(query),
        }
    }

    fn refuse(&self) {
        self.counts.refused_questions.add(1);
    }

    fn odd(&self, query: &Query) {
        self.counts.strange.odd(query.kind, &query.name);
    }

    fn explain(&self, query: &Query, missing: Missing) -> Error {
        match missing {
            Missing::Unknown => self.unknown_metric(&query.name, Some(query.kind)),
            Missing::Abandoned => Error::refused(format!(
                "some of `{}` cannot be seen: this process was forked while a thread of its parent had it locked (fork before `install()`, or while nothing else runs)",
                Brief(&query.name)
            )),
            Missing::Refused => Error::refused(format!(
                "no working memory for a question about `{}`, or it came from inside of a tick or a recording: {} of {} bytes are in use (`memory_budget`)",
                Brief(&query.name),
                self.live.ledger.used_of().0,
                self.live.ledger.budget()
            )),
        }
    }

    fn watch(&self, query: &Query, aggregation: Aggregation) -> Watch {
        let watch = Watch::new(&self.live.ledger, query, aggregation);
        match aggregation.check(query) {
            Ok(()) => self.keep_watch(&watch),
            Err(_) => self.odd(query),
        }
        watch
    }

    fn reset(&self, query: &Query) -> Result<(), Error> {
        self.settle(Whose::Query(query), Fate::Reset)
    }

    fn delete(&self, query: &Query) -> Result<(), Error> {
        self.settle(Whose::Query(query), Fate::Delete)
    }

    fn membership(&self, kind: MetricKind, name: &str) -> Option<Membership> {
        let _busy = Busy::enter()?;
        match kind {
            MetricKind::Counter => self.membership_in::<Counter>(name),
            MetricKind::Gauge => self.membership_in::<Gauge>(name),
            MetricKind::Histogram => self.membership_in::<Histogram>(name),
        }
    }

    fn history(&self) -> Option<(Arc<Timeline>, u64)> {
        let joined = self.counts.joined.load(Relaxed);
        Some((self.timeline(), joined))
    }

    fn covered(&self) -> Option<(Timestamp, Timestamp)> {
        self.timeline().covered()
    }
}
