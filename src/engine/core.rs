//! A store as a whole: live cells, history, a clock, and the lock that lets one tick run at a time.

use super::{
    attached::Attachments,
    durations::Durations,
    forget::{Fate, Whose},
    holds::Holds,
    schedule::Schedule,
    strange::Strange,
    tick::{Engine, nanos},
    watches::Watches,
    worker::Worker,
};
use crate::{
    alerts::{Board, Now},
    clock::Clock,
    config::{MOST_TIERS, Plan, RetentionRule, TierPlan},
    error::Error,
    history::{Charge, Timeline},
    ledger::{Full, Ledger, Part},
    live::{
        Busy, Counter, Entry, Gauge, Histogram, Live, Name,
        drain::Visit,
        key::OVERFLOW,
        registry::{Limits, Registry},
        remove::is_shown,
        tee::Tee,
    },
    model::{MetricKind, Timestamp, frame::SeriesId, schema::Schema},
    query::{Aggregation, Ask, Found, Member, Membership, Missing, Query, Sum, Values, Watch},
    util::{bits::low, fork, layout, near::Nearest, recent::Recent, text::Brief},
};
use parking_lot::{Mutex, ReentrantMutex};
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
    pub(super) worker: Mutex<Option<Worker>>,
    /// Held while the worker is started or stopped.
    pub(super) life: ReentrantMutex<()>,
    pub(super) is_shut: AtomicBool,
    /// What macros emit did not arrive when that was tried, nor has anything else since.
    pub(super) is_deaf: AtomicBool,
    /// When the store was made, on its clock.
    pub(super) born_ns: u64,
    /// When the store became the process's, on its clock; [`u64::MAX`]: it has not.
    pub(crate) installed_ns: AtomicU64,
    /// Somebody has asked for the exposition: only then does it matter what names meet in it.
    pub(crate) is_exposed: AtomicBool,
    pub(crate) alerts: Arc<Board>,
    pub(crate) attached: Attachments,
    pub(super) watches: Watches,
    pub(crate) schedule: Schedule,
    pub(crate) holds: Arc<Holds>,
    /// How often the engine's work began and ended: odd while it is at work.
    pub(super) turns: Mutex<u64>,
    published: Arc<Mutex<Arc<Timeline>>>,
    /// History before the first tick: for a child that was forked while the newest one was being published.
    nothing: Arc<Timeline>,
}

/// What the engine counts of itself.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) ticks: Recent,
    /// Ticks that took place more than half a resolution after their time.
    pub(crate) late: Recent,
    /// Ticks whose frame had no room; totals have them, windows do not.
    pub(crate) lost: Recent,
    /// Ticks of the worker that panicked, but for what watches did.
    pub(crate) panicked: Recent,
    /// Calls of `tick` from inside a tick.
    pub(crate) nested: Recent,
    /// Points that had to wait for a later tick for want of room.
    pub(crate) waited: Recent,
    /// By tier: points dropped before their retention was over.
    pub(crate) shortened: [AtomicU64; MOST_TIERS],
    pub(crate) slowest_ns: AtomicU64,
    /// Ticks that joined the frame of the one before.
    pub(crate) joined: AtomicU64,
    /// How long ticks took, and the points that they made.
    pub(crate) durations: Durations,
    pub(crate) recorded: AtomicU64,
    /// Questions that were refused for want of working memory.
    pub(crate) refused_questions: Recent,
    /// Questions about what does not exist, or with arguments that make no sense.
    pub(crate) strange: Strange,
}

impl Counts {
    fn new() -> Self {
        Self {
            ticks: Recent::new(),
            late: Recent::new(),
            lost: Recent::new(),
            panicked: Recent::new(),
            nested: Recent::new(),
            waited: Recent::new(),
            shortened: std::array::from_fn(|_| AtomicU64::new(0)),
            slowest_ns: AtomicU64::new(0),
            joined: AtomicU64::new(0),
            durations: Durations::new(),
            recorded: AtomicU64::new(0),
            refused_questions: Recent::new(),
            strange: Strange::default(),
        }
    }

    fn turn(&self) {
        for count in [
            &self.ticks,
            &self.late,
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
    pub(crate) fn new(
        mut plan: Plan,
        clock: Clock,
        tee: Option<Arc<Tee>>,
    ) -> Result<Arc<Self>, Error> {
        let budget = plan.budget;
        let build = || -> Result<Self, Full> {
            let ledger = Arc::new(Ledger::new(plan.budget));
            let limits = Limits {
                series_per_metric: plan.series_per_metric,
                metrics: plan.metrics,
                schema: plan.schema,
            };
            let live = Arc::new(Live::shaped(ledger.clone(), limits, &plan.shapes, tee)?);
            let rules = std::mem::take(&mut plan.rules);
            live.classes.change(|_| Ok::<_, Full>(rules))?;
            let engine = Engine::new(&plan, &clock, ledger.clone())?;
            let hands = clock.clone();
            let now = Now {
                ns: clock.elapsed_ns(),
                at: Timestamp::from_millis(clock.wall_ms()),
            };
            live.start(now.at.as_millis());
            let alerts = Board::new(ledger, now, move || hands.elapsed_ns())?;
            let nothing = engine.published().lock().clone();
            Ok(Self {
                nothing,
                alerts,
                attached: Attachments::default(),
                watches: Watches::new(&live.ledger),
                schedule: Schedule::new(live.ledger.clone()),
                turns: Mutex::new(0),
                holds: Arc::new(Holds::new(live.ledger.clone())),
                live,
                published: engine.published(),
                engine: Mutex::new(engine),
                tiers: Mutex::new(plan.tiers.clone()),
                clock,
                plan,
                counts: Counts::new(),
                worker: Mutex::new(None),
                life: ReentrantMutex::new(()),
                is_shut: AtomicBool::new(false),
                is_deaf: AtomicBool::new(false),
                born_ns: now.ns,
                installed_ns: AtomicU64::new(u64::MAX),
                is_exposed: AtomicBool::new(false),
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
        self.counts.strange.turn();
        self.watches.turn();
        self.live.turn();
        self.alerts.turn();
        self.schedule.turn();
    }

    /// Now, on the store's axis.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.clock.elapsed_ns() / 1_000_000).unwrap_or(i64::MAX);
        let start = self.timeline().wall_start_ms;
        Timestamp::from_millis(start.saturating_add(elapsed))
    }

    pub(crate) fn timeline(&self) -> Arc<Timeline> {
        let published = fork::lock(&self.published);
        published.map_or_else(|| self.nothing.clone(), |newest| newest.clone())
    }
}

impl Core {
    /// The error for a metric that was never seen; with a kind, of that kind.
    pub(crate) fn unknown_metric(&self, name: &str, kind: Option<MetricKind>) -> Error {
        // What an allocation emits while names are locked must not look for that lock.
        let _busy = Busy::enter();
        let others: Vec<MetricKind> = KINDS
            .into_iter()
            .filter(|other| Some(*other) != kind && self.has(*other, name))
            .collect();
        if let (Some(kind), Some(other)) = (kind, others.first()) {
            return Error::unknown_metric(format!(
                "`{}` is no {kind} but a {other}: ask `{other}s({:?})`",
                Brief(name),
                Brief(name)
            ));
        }
        let mut nearest = Nearest::to(name);
        let wanted = |other: MetricKind| kind.is_none_or(|kind| kind == other);
        if wanted(MetricKind::Counter) {
            self.live
                .counters
                .for_each_name(|name| look_at(name, &mut nearest));
        }
        if wanted(MetricKind::Gauge) {
            self.live
                .gauges
                .for_each_name(|name| look_at(name, &mut nearest));
        }
        if wanted(MetricKind::Histogram) {
            self.live
                .histograms
                .for_each_name(|name| look_at(name, &mut nearest));
        }
        let what = kind.map_or("metric", MetricKind::as_str);
        Error::unknown_metric(format!(
            "no {what} `{}` was ever seen{}",
            Brief(name),
            nearest.hint()
        ))
    }

    /// Whether there is a metric of this kind and name.
    pub(crate) fn has(&self, kind: MetricKind, name: &str) -> bool {
        match kind {
            MetricKind::Counter => self.has_in::<Counter>(name),
            MetricKind::Gauge => self.has_in::<Gauge>(name),
            MetricKind::Histogram => self.has_in::<Histogram>(name),
        }
    }

    fn has_in<K: Asked>(&self, name: &str) -> bool {
        let registry = K::registry(&self.live);
        let found = registry.find_name(name);
        found.is_some_and(|name| registry.shows(&name))
    }
}

const KINDS: [MetricKind; 3] = [
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
];

fn look_at(name: &Name, nearest: &mut Nearest<'_>) {
    if !name.is_unused() && !name.is_gone() {
        nearest.look_at(&name.text);
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
pub(super) trait Asked: Visit {
    fn registry(live: &Live) -> &Registry<Self>;

    /// What a series says of itself, live.
    fn values(entry: &Entry<Self>) -> Values;

    /// What the newest tick knew of a series.
    fn noted(entry: &Entry<Self>) -> Values {
        Self::remembered(entry)
    }

    /// What a question about a window needs of that. Cells are not touched: their writers would have to fetch them back.
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

    fn noted(entry: &Entry<Self>) -> Values {
        Values {
            total: entry.counted(),
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
