//! A store as a whole: live cells, history, a clock, and the lock that lets one tick run at a time.

use super::{tick::Engine, worker::Worker};
use crate::{
    clock::Clock,
    config::Plan,
    error::Error,
    history::{Charge, Timeline},
    ledger::{Full, Ledger, Part},
    live::{
        Busy, Counter, Gauge, Histogram, Kind, Live, Name, Series,
        registry::{Limits, Registry},
    },
    model::{MetricKind, frame::SeriesId, schema::Schema},
    query::{Ask, Found, Member, Query},
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
    pub(crate) counts: Counts,
    pub(crate) worker: Mutex<Option<Worker>>,
    pub(crate) is_shut: AtomicBool,
    published: Arc<Mutex<Arc<Timeline>>>,
}

/// What the engine counts of itself.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) ticks: AtomicU64,
    /// Ticks that took place more than half a resolution after their time.
    pub(crate) late: AtomicU64,
    /// Ticks whose frame had no room; totals have them, windows do not.
    pub(crate) lost: AtomicU64,
    /// Calls of `tick` from inside a tick.
    pub(crate) nested: AtomicU64,
    /// Points that had to wait for a later tick for want of room.
    pub(crate) waited: AtomicU64,
    /// Frames dropped before their retention was over.
    pub(crate) shortened: AtomicU64,
    pub(crate) slowest_ns: AtomicU64,
    /// Questions that were refused for want of working memory.
    pub(crate) refused_questions: AtomicU64,
}

impl Core {
    pub(crate) fn new(plan: Plan, clock: Clock) -> Result<Arc<Self>, Error> {
        let build = || -> Result<Self, Full> {
            let ledger = Arc::new(Ledger::new(plan.budget));
            let limits = Limits {
                series_per_metric: plan.series_per_metric,
                metrics: plan.metrics,
                schema: plan.schema,
            };
            let live = Arc::new(Live::new(ledger.clone(), limits)?);
            let engine = Engine::new(&plan, &clock, ledger)?;
            Ok(Self {
                live,
                published: engine.published(),
                engine: Mutex::new(engine),
                clock,
                plan,
                counts: Counts::default(),
                worker: Mutex::new(None),
                is_shut: AtomicBool::new(false),
            })
        };
        let full = |Full| {
            let budget = plan.budget;
            Error::invalid(format!(
                "memory budget of {budget} bytes cannot hold an empty store"
            ))
        };
        build().map(Arc::new).map_err(full)
    }

    pub(crate) fn timeline(&self) -> Arc<Timeline> {
        self.published.lock().clone()
    }
}

/// A kind as questions see it.
trait Asked: Kind {
    fn registry(live: &Live) -> &Registry<Self>;

    /// A series as a member of a question.
    fn member(live: &Live, id: SeriesId, name: &Name, query: &Query) -> Option<Member>;
}

fn accepted<K: Kind>(
    series: Option<&Arc<Series<K>>>,
    name: &Name,
    query: &Query,
) -> Option<Box<[u8]>> {
    let series = series.filter(|series| std::ptr::eq::<Name>(&raw const *series.name, name))?;
    let shown = !name.hides(&series.labels) && query.accepts(&series.labels);
    shown.then(|| series.labels.clone())
}

impl Asked for Counter {
    fn registry(live: &Live) -> &Registry<Self> {
        &live.counters
    }

    fn member(live: &Live, id: SeriesId, name: &Name, query: &Query) -> Option<Member> {
        let seen = live.counters.with(id, |entry| {
            let labels = accepted(entry.cells.series(), name, query)?;
            Some((labels, entry.total()))
        });
        let (labels, total) = seen??;
        Some(Member {
            id,
            labels,
            total,
            now: 0.0,
            held: 0.0,
        })
    }
}

impl Asked for Gauge {
    fn registry(live: &Live) -> &Registry<Self> {
        &live.gauges
    }

    fn member(live: &Live, id: SeriesId, name: &Name, query: &Query) -> Option<Member> {
        let seen = live.gauges.with(id, |entry| {
            let labels = accepted(entry.cells.series(), name, query)?;
            Some((labels, entry.now(), entry.memory.last))
        });
        let (labels, now, held) = seen??;
        Some(Member {
            id,
            labels,
            total: 0,
            now,
            held,
        })
    }
}

impl Asked for Histogram {
    fn registry(live: &Live) -> &Registry<Self> {
        &live.histograms
    }

    fn member(live: &Live, id: SeriesId, name: &Name, query: &Query) -> Option<Member> {
        let labels = live
            .histograms
            .with(id, |entry| accepted(entry.cells.series(), name, query));
        Some(Member {
            id,
            labels: labels??,
            total: 0,
            now: 0.0,
            held: 0.0,
        })
    }
}

impl Core {
    fn find_in<K: Asked>(&self, query: &Query) -> Option<Found> {
        let name = K::registry(&self.live).find_name(&query.name)?;
        let ids = name.members.lock().len();
        let each = size_of::<Member>() + size_of::<SeriesId>();
        let mut scratch = Charge::new(&self.live.ledger, Part::Queries, ids * each)
            .inspect_err(|_| self.refuse_question())
            .ok()?;
        let ids: Vec<SeriesId> = name.members.lock().iter().take(ids).collect();
        let mut members = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(member) = K::member(&self.live, id, &name, query) else {
                continue;
            };
            if scratch.add(member.labels.len()).is_err() {
                self.refuse_question();
                return None;
            }
            members.push(member);
        }
        members.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        if members.is_empty() && name.is_spare() {
            return None;
        }
        let retired = if query.matchers.is_empty() {
            name.retired.load(Relaxed)
        } else {
            0
        };
        Some(Found {
            members,
            retired,
            timeline: self.timeline(),
            schema: Schema::get(self.plan.schema),
            scratch,
        })
    }

    fn refuse_question(&self) {
        self.counts.refused_questions.fetch_add(1, Relaxed);
    }
}

impl Ask for Core {
    fn refuse(&self) {
        self.refuse_question();
    }

    /// Members before the timeline: what a tick between the two changes is in the timeline then, with what was before.
    fn find(&self, query: &Query) -> Option<Found> {
        // What an allocation emits while a shard is locked must not look for that lock.
        let _busy = Busy::enter();
        match query.kind {
            MetricKind::Counter => self.find_in::<Counter>(query),
            MetricKind::Gauge => self.find_in::<Gauge>(query),
            MetricKind::Histogram => self.find_in::<Histogram>(query),
        }
    }
}
