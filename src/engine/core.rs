//! A store as a whole: live cells, history, a clock, and the lock that lets one tick run at a time.

use super::{
    tick::{Engine, nanos},
    worker::Worker,
};
use crate::{
    clock::Clock,
    config::{MOST_TIERS, Plan, RetentionRule, TierPlan},
    error::Error,
    history::{Charge, Timeline},
    ledger::{Full, Ledger, Part},
    live::{
        Busy, Counter, Entry, Gauge, Histogram, Kind, Live, Name,
        registry::{Limits, Registry},
    },
    model::{MetricKind, schema::Schema},
    query::{Ask, Found, Member, Query, Sum, Values},
    util::{bits::low, layout, recent::Recent},
};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// Everything behind a handle.
pub(crate) struct Core {
    pub(crate) live: Arc<Live>,
    pub(crate) clock: Clock,
    pub(crate) plan: Plan,
    pub(crate) engine: Mutex<Engine>,
    /// The plan's, with the retention classes of the newest rules.
    pub(crate) tiers: Mutex<Vec<TierPlan>>,
    pub(crate) counts: Counts,
    pub(crate) worker: Mutex<Option<Worker>>,
    pub(crate) is_shut: AtomicBool,
    published: Arc<Mutex<Arc<Timeline>>>,
}

/// What the engine counts of itself.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) ticks: AtomicU64,
    /// Ticks that took place more than half a resolution after their time.
    pub(crate) late: AtomicU64,
    /// Ticks whose frame had no room; totals have them, windows do not.
    pub(crate) lost: Recent,
    /// Ticks of the worker that panicked.
    pub(crate) panicked: Recent,
    /// Calls of `tick` from inside a tick.
    pub(crate) nested: Recent,
    /// Points that had to wait for a later tick for want of room.
    pub(crate) waited: Recent,
    /// By tier: points dropped before their retention was over.
    pub(crate) shortened: [AtomicU64; MOST_TIERS],
    pub(crate) slowest_ns: AtomicU64,
    /// Questions that were refused for want of working memory.
    pub(crate) refused_questions: Recent,
}

impl Counts {
    fn new() -> Self {
        Self {
            ticks: AtomicU64::new(0),
            late: AtomicU64::new(0),
            lost: Recent::new(),
            panicked: Recent::new(),
            nested: Recent::new(),
            waited: Recent::new(),
            shortened: std::array::from_fn(|_| AtomicU64::new(0)),
            slowest_ns: AtomicU64::new(0),
            refused_questions: Recent::new(),
        }
    }

    fn turn(&self) {
        for count in [
            &self.lost,
            &self.panicked,
            &self.nested,
            &self.waited,
            &self.refused_questions,
        ] {
            count.turn();
        }
    }
}

impl Core {
    pub(crate) fn new(mut plan: Plan, clock: Clock) -> Result<Arc<Self>, Error> {
        let budget = plan.budget;
        let build = || -> Result<Self, Full> {
            let ledger = Arc::new(Ledger::new(plan.budget));
            let limits = Limits {
                series_per_metric: plan.series_per_metric,
                metrics: plan.metrics,
                schema: plan.schema,
            };
            let live = Arc::new(Live::new(ledger.clone(), limits)?);
            let rules = std::mem::take(&mut plan.rules);
            live.classes.change(|_| Ok::<_, Full>(rules))?;
            let engine = Engine::new(&plan, &clock, ledger)?;
            Ok(Self {
                live,
                published: engine.published(),
                engine: Mutex::new(engine),
                tiers: Mutex::new(plan.tiers.clone()),
                clock,
                plan,
                counts: Counts::new(),
                worker: Mutex::new(None),
                is_shut: AtomicBool::new(false),
            })
        };
        let full = |Full| {
            Error::invalid(format!(
                "memory budget of {budget} bytes cannot hold an empty store with its retention rules"
            ))
        };
        build().map(Arc::new).map_err(full)
    }

    /// Other retention rules for series that are new from now on.
    pub(crate) fn set_retention_rules(&self, rules: Vec<RetentionRule>) -> Result<(), Error> {
        // What an allocation emits while the rules are locked must not look for that lock.
        let Some(_busy) = Busy::enter() else {
            return Err(Error::invalid(
                "retention rules cannot change inside a tick or a recording, as from an allocator: allowed is anywhere else",
            ));
        };
        let n = rules.len();
        let mut engine = self.engine.lock();
        let mut tiers = self.tiers.lock();
        let mut new = tiers.clone();
        let budget = self.live.ledger.budget();
        let changed = self.live.classes.change(|in_use| {
            let rules = self.plan.retain(rules, in_use, &mut new, budget);
            let rules = rules.map_err(Refused::Wrong)?;
            // Before there is a series of a class that is new.
            engine.set_tiers(&new);
            Ok(rules)
        });
        if changed.is_err() {
            engine.set_tiers(&tiers);
        }
        match changed {
            Ok(()) => {
                *tiers = new;
                Ok(())
            }
            Err(Refused::Wrong(error)) => Err(error),
            Err(Refused::Full) => Err(Error::invalid(format!(
                "number of retention rules, {n}: allowed are as many as the memory budget of {budget} bytes has room for"
            ))),
        }
    }

    /// Some minutes have passed: what `health` counted before is old.
    pub(crate) fn turn(&self) {
        self.counts.turn();
        self.live.turn();
    }

    pub(crate) fn timeline(&self) -> Arc<Timeline> {
        self.published.lock().clone()
    }
}

/// Why retention rules stay what they are.
enum Refused {
    Wrong(Error),
    Full,
}

impl From<Full> for Refused {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}

/// A kind as questions see it.
trait Asked: Kind {
    fn registry(live: &Live) -> &Registry<Self>;

    /// What a series says of itself, live.
    fn values(entry: &Entry<Self>) -> Values;

    /// What the tick knows of a series. Cells are not touched: their writers would have to fetch them back.
    fn remembered(_: &Entry<Self>) -> Values {
        Values::default()
    }
}

impl Asked for Counter {
    fn registry(live: &Live) -> &Registry<Self> {
        &live.counters
    }

    fn values(entry: &Entry<Self>) -> Values {
        Values {
            total: entry.total(),
            ..Values::default()
        }
    }
}

impl Asked for Gauge {
    fn registry(live: &Live) -> &Registry<Self> {
        &live.gauges
    }

    fn values(entry: &Entry<Self>) -> Values {
        Values {
            now: entry.now(),
            ..Values::default()
        }
    }

    fn remembered(entry: &Entry<Self>) -> Values {
        Values {
            held: entry.memory.last,
            ..Values::default()
        }
    }
}

impl Asked for Histogram {
    fn registry(live: &Live) -> &Registry<Self> {
        &live.histograms
    }

    fn values(_: &Entry<Self>) -> Values {
        Values::default()
    }
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
fn accepted<'a, K: Kind>(entry: &'a Entry<K>, name: &Name, query: &Query) -> Option<&'a [u8]> {
    let series = entry.cells.series();
    let series = series.filter(|series| std::ptr::eq::<Name>(&raw const *series.name, name))?;
    let shown = !name.hides(&series.labels) && query.accepts(&series.labels);
    shown.then_some(&series.labels)
}

impl Core {
    fn name<K: Asked>(&self, query: &Query) -> Option<Arc<Name>> {
        let name = K::registry(&self.live).find_name(&query.name)?;
        (!name.is_unused()).then_some(name)
    }

    fn find_in<K: Asked>(&self, query: &Query) -> Option<Found> {
        let name = self.name::<K>(query)?;
        // While it is held, no id of a series that it mentions is given to another.
        let held = self.timeline();
        let forgotten = &K::registry(&self.live).forgotten;
        let found = loop {
            let before = forgotten.load(Relaxed);
            let found = self.members::<K>(query, &name, &held);
            // A series that took over an id meanwhile may have been met twice.
            if forgotten.load(Relaxed) == before {
                break found;
            }
        };
        found.inspect_err(|Full| self.refuse()).ok()
    }

    fn members<K: Asked>(
        &self,
        query: &Query,
        name: &Name,
        held: &Timeline,
    ) -> Result<Found, Full> {
        let oldest = held.oldest_tick().map(low);
        let most = name.members.lock().len();
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
                if query.window.is_some() && entry.is_past(oldest, registry.now.load(Relaxed)) {
                    return None;
                }
                // Labels are for groups only.
                let labels = if query.by.is_empty() { &[] } else { labels };
                full = scratch.add(labels.len());
                full.is_ok().then(|| Member {
                    id,
                    labels: labels.into(),
                    values: if query.window.is_some() {
                        K::remembered(entry)
                    } else {
                        K::values(entry)
                    },
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
            resolution_ns: nanos(self.plan.resolution),
            scratch,
        })
    }

    /// Adds up what is live, in no memory at all: it answers also when there is none left.
    fn sum_in<K: Asked>(&self, query: &Query) -> Option<Sum> {
        let registry = K::registry(&self.live);
        let name = self.name::<K>(query)?;
        let all = query.matchers.is_empty();
        let wanted = registry.marks_of(query.wanted());
        loop {
            let forgotten = registry.forgotten.load(Relaxed);
            let retired = name.retired.load(Relaxed);
            let mut sum = Sum::default();
            name.for_each_member(wanted, |id| {
                let values = registry.with(id, |entry| {
                    accepted(entry, &name, query).map(|_| K::values(entry))
                });
                if let Some(values) = values.flatten() {
                    sum.add(values);
                }
            });
            // A series that joined the retired ones meanwhile may be in both, and one that took over its id may have
            // been met twice.
            if registry.forgotten.load(Relaxed) == forgotten {
                let found = all || sum.members > 0;
                sum.total = sum.total.wrapping_add(if all { retired } else { 0 });
                return found.then_some(sum);
            }
        }
    }
}

impl Ask for Core {
    /// Members before the timeline: what a tick between the two changes is in the timeline then, with what was before.
    fn find(&self, query: &Query) -> Option<Found> {
        // What an allocation emits while a shard is locked must not look for that lock, nor ask.
        let Some(_busy) = Busy::enter() else {
            self.refuse();
            return None;
        };
        match query.kind {
            MetricKind::Counter => self.find_in::<Counter>(query),
            MetricKind::Gauge => self.find_in::<Gauge>(query),
            MetricKind::Histogram => self.find_in::<Histogram>(query),
        }
    }

    fn sum(&self, query: &Query) -> Option<Sum> {
        let Some(_busy) = Busy::enter() else {
            self.refuse();
            return None;
        };
        match query.kind {
            MetricKind::Counter => self.sum_in::<Counter>(query),
            MetricKind::Gauge => self.sum_in::<Gauge>(query),
            MetricKind::Histogram => self.sum_in::<Histogram>(query),
        }
    }

    fn refuse(&self) {
        self.counts.refused_questions.add(1);
    }
}
