//! All answers at one instant: the newest tick's.

use super::{
    answers::{Keys, accepted},
    asked::Asked,
    core::Core,
    holds::Hold,
};
use crate::{
    error::Error,
    history::{Charge, Timeline},
    ledger::{Full, Part},
    live::{Busy, Counter, Gauge, Histogram, Name},
    model::{MetricKind, Timestamp, frame::SeriesId},
    query::{
        Aggregation, Ask, Counters, Found, Gauges, Histograms, Missing, Query, Selection, Sum,
        Values, Watch,
    },
    util::fork,
};
use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// The store as its newest tick left it. Selections from it answer all at this one instant, however long they are asked:
/// windows end at that tick, and `total()` and `current()` give what it knew. What is recorded, committed, evicted or
/// dropped later changes no answer; only a series that is deleted is gone from it, too. Clones are the same snapshot.
///
/// **Holding one pins memory**: the history that it sees, and the keys of all series, which makes no room for new ones
/// while it lives. All of that is charged to the store's budget, so the store has less for what comes: history gets
/// shorter, and [`Recall::health`](crate::Recall::health) says so. Take it, ask, and drop it.
///
/// Of its own it has up to 12 bytes a series, beside the working memory of questions. Without room for that it answers
/// nothing, which `health()` names as well.
///
/// ```
/// use metrics_recall::{Clock, Recall, mins, secs};
///
/// let (clock, hands) = Clock::manual();
/// let (recorder, recall) = Recall::builder().clock(clock).build()?;
/// recorder.scope(|| metrics::counter!("orders_total").increment(30));
/// hands.advance(secs(10));
/// recall.tick();
///
/// let then = recall.snapshot();
/// recorder.scope(|| metrics::counter!("orders_total").increment(70));
/// hands.advance(secs(10));
/// recall.tick();
/// let orders = then.counters("orders_total");
/// assert_eq!(orders.total(), Some(30));
/// assert_eq!(orders.over(mins(1)).rate(), Some(3.0));
/// assert_eq!(recall.counters("orders_total").total(), Some(100));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone)]
pub struct Snapshot(Arc<Pinned>);

struct Pinned {
    core: Arc<Core>,
    timeline: Arc<Timeline>,
    /// `None`: there was no room.
    known: Option<Known>,
    /// Keeps every id that there is; last, as the others may mention them.
    _hold: Arc<Hold>,
}

/// What the newest tick knew of all series.
pub(super) struct Known {
    counters: Columns<u64>,
    gauges: Columns<f64>,
    histograms: Columns<()>,
    /// Of counters: what evicted series had, where there is any. A reset may take it from the names.
    retired: Vec<(Arc<Name>, u64)>,
    /// What all of this is charged to; last, so that it is given back last.
    _charge: Charge,
}

/// Ids, ascending, and what is known of each.
struct Columns<T> {
    ids: Vec<SeriesId>,
    values: Vec<T>,
    /// Overflow series that had not been used: they are not shown, but their names are known.
    hidden: Vec<SeriesId>,
}

impl<T> Columns<T> {
    const NONE: Self = Self {
        ids: Vec::new(),
        values: Vec::new(),
        hidden: Vec::new(),
    };

    fn value(&self, id: SeriesId) -> Option<&T> {
        let at = self.ids.binary_search(&id).ok()?;
        self.values.get(at)
    }

    fn has(&self, id: SeriesId) -> bool {
        self.ids.binary_search(&id).is_ok() || self.hidden.binary_search(&id).is_ok()
    }

    fn gather<K: Asked>(
        &mut self,
        core: &Core,
        charge: &mut Charge,
        value: impl Fn(Values) -> T,
    ) -> Result<(), Full> {
        let mut full = Ok(());
        K::registry(&core.live).for_each_entry(|id, entry| {
            let Some(series) = entry.cells.series() else {
                return;
            };
            full = full.and_then(|()| {
                if series.name.is_unused() {
                    return Ok(());
                }
                if series.name.hides(&series.labels) {
                    charge.room(&mut self.hidden)?;
                    self.hidden.push(id);
                } else {
                    charge.room(&mut self.ids)?;
                    charge.room(&mut self.values)?;
                    self.ids.push(id);
                    self.values.push(value(K::noted(entry)));
                }
                Ok(())
            });
        });
        full
    }
}

impl Known {
    fn gather(core: &Core) -> Result<Self, Full> {
        let mut charge = Charge::new(&core.live.ledger, Part::Queries, size_of::<Pinned>())?;
        let mut counters = Columns::NONE;
        let mut gauges = Columns::NONE;
        let mut histograms = Columns::NONE;
        counters.gather::<Counter>(core, &mut charge, |values| values.total)?;
        gauges.gather::<Gauge>(core, &mut charge, |values| values.held)?;
        histograms.gather::<Histogram>(core, &mut charge, |_| ())?;
        let mut retired = Vec::new();
        let mut full = Ok(());
        core.live.counters.for_each_name(|name| {
            let total = name.retired.load(Relaxed);
            if total > 0 && full.is_ok() {
                full = charge.room(&mut retired);
                retired.extend(full.is_ok().then(|| (name.clone(), total)));
            }
        });
        full?;
        Ok(Self {
            counters,
            gauges,
            histograms,
            retired,
            _charge: charge,
        })
    }

    fn values(&self, kind: MetricKind, id: SeriesId) -> Option<Values> {
        match kind {
            MetricKind::Counter => self.counters.value(id).map(|total| Values {
                total: *total,
                ..Values::default()
            }),
            MetricKind::Gauge => self.gauges.value(id).map(|held| Values {
                now: *held,
                held: *held,
                ..Values::default()
            }),
            MetricKind::Histogram => self.histograms.value(id).map(|()| Values::default()),
        }
    }

    /// What evicted series of a counter had.
    fn retired(&self, name: &Arc<Name>) -> u64 {
        let same = |(other, _): &&(Arc<Name>, u64)| Arc::ptr_eq(other, name);
        self.retired
            .iter()
            .find(same)
            .map_or(0, |(_, total)| *total)
    }

    /// Whether the name was there.
    fn has(&self, core: &Core, kind: MetricKind, name: &Name) -> bool {
        let mut is_known = false;
        name.for_each_member(core.live.counters.marks_of(std::iter::empty()), |id| {
            is_known |= match kind {
                MetricKind::Counter => self.counters.has(id),
                MetricKind::Gauge => self.gauges.has(id),
                MetricKind::Histogram => self.histograms.has(id),
            };
        });
        is_known
    }
}

/// A copy that a tick disturbed is made again so often; then the next tick waits for it.
const TRIES: usize = 4;

impl Snapshot {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        // Before anything is read: what is there stays.
        let hold = core.holds.hold(None);
        let (timeline, known) = core.newest();
        Self(Arc::new(Pinned {
            core: core.clone(),
            timeline,
            known,
            _hold: hold,
        }))
    }

    /// The instant: the end of the newest tick before the snapshot was made; `None`: there was none.
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        let last = self.0.timeline.last()?;
        Some(Timestamp::from_millis(last.span.wall_ms))
    }

    /// A question about the counters called `name`, at this instant.
    pub fn counters(&self, name: impl AsRef<str>) -> Selection<Counters> {
        Selection::new(self.0.clone(), name.as_ref())
    }

    /// A question about the gauges called `name`, at this instant.
    pub fn gauges(&self, name: impl AsRef<str>) -> Selection<Gauges> {
        Selection::new(self.0.clone(), name.as_ref())
    }

    /// A question about the histograms called `name`, at this instant.
    pub fn histograms(&self, name: impl AsRef<str>) -> Selection<Histograms> {
        Selection::new(self.0.clone(), name.as_ref())
    }
}

impl Core {
    /// History, and what the newest tick in it knew of all series.
    fn newest(&self) -> (Arc<Timeline>, Option<Known>) {
        // What an allocation emits while a shard is locked must not look for that lock.
        let Some(_busy) = Busy::enter() else {
            self.refuse();
            return (self.timeline(), None);
        };
        self.or_refuse(self.between_ticks(|| (self.timeline(), Known::gather(self))))
    }

    /// Reads what ticks write, and whole: not while one does.
    pub(super) fn between_ticks<T>(&self, read: impl Fn() -> T) -> T {
        for _ in 0..TRIES {
            let turns = || fork::lock(&self.turns).map_or(1, |turns| *turns);
            let before = turns();
            if before.is_multiple_of(2) {
                let copy = read();
                if turns() == before {
                    return copy;
                }
            }
            std::thread::yield_now();
        }
        // In a child that was forked in the middle of a tick, there will be no other: what there is, is all.
        let _engine = fork::lock(&self.engine);
        read()
    }

    fn or_refuse(
        &self,
        (timeline, known): (Arc<Timeline>, Result<Known, Full>),
    ) -> (Arc<Timeline>, Option<Known>) {
        (timeline, known.inspect_err(|Full| self.refuse()).ok())
    }
}

impl Pinned {
    /// The name that a question is about, if it was there.
    fn name<K: Asked>(&self, query: &Query) -> Result<(Arc<Name>, &Known), Missing> {
        let known = self.known.as_ref().ok_or_else(|| self.refused())?;
        let name = self.core.name::<K>(query)?;
        let was_there = known.has(&self.core, query.kind, &name);
        was_there.then_some((name, known)).ok_or(Missing::Unknown)
    }

    fn refused(&self) -> Missing {
        self.core.refuse();
        Missing::Refused
    }

    fn find_in<K: Asked>(&self, query: &Query, keys: Keys) -> Result<Found, Missing> {
        let (name, known) = self.name::<K>(query)?;
        let value = |id, _: &_| known.values(query.kind, id);
        let members = || self.core.members::<K>(query, &name, keys, value);
        let found = fork::whole(members).ok_or(Missing::Abandoned)?;
        let found = found.map_err(|Full| self.refused())?;
        Ok(Found {
            timeline: self.timeline.clone(),
            ..found
        })
    }

    fn sum_in<K: Asked>(&self, query: &Query) -> Result<Option<Sum>, Missing> {
        let (name, known) = self.name::<K>(query)?;
        let registry = K::registry(&self.core.live);
        let mut sum = Sum::of(name.grain.per_one());
        name.for_each_member(registry.marks_of(query.wanted()), |id| {
            let values = registry.with(id, |entry| {
                accepted(entry, &name, query).and_then(|_| known.values(query.kind, id))
            });
            if let Some(values) = values.flatten() {
                sum.add(values);
            }
        });
        let all = query.matchers.is_empty();
        if all {
            // Nothing joins these while the snapshot lives.
            sum.total = sum.total.wrapping_add(known.retired(&name));
        }
        Ok((all || sum.members > 0).then_some(sum))
    }

    fn find_keyed(&self, query: &Query, keys: Keys) -> Result<Found, Missing> {
        let _busy = Busy::enter().ok_or_else(|| self.refused())?;
        match query.kind {
            MetricKind::Counter => self.find_in::<Counter>(query, keys),
            MetricKind::Gauge => self.find_in::<Gauge>(query, keys),
            MetricKind::Histogram => self.find_in::<Histogram>(query, keys),
        }
    }

    fn no_change(&self, word: &str) -> Error {
        let at = self.timeline.last().map_or(0, |frame| frame.span.wall_ms);
        Error::invalid(format!(
            "{word} of a snapshot, which is of {} and does not change: allowed is `recall.counters(..)` and its like",
            Timestamp::from_millis(at)
        ))
    }
}

impl Ask for Pinned {
    fn knows(&self, kind: MetricKind, name: &str) -> bool {
        let query = Query::of(kind, name);
        match kind {
            MetricKind::Counter => self.name::<Counter>(&query).is_ok(),
            MetricKind::Gauge => self.name::<Gauge>(&query).is_ok(),
            MetricKind::Histogram => self.name::<Histogram>(&query).is_ok(),
        }
    }

    /// Nothing changes here: the first value is the last.
    fn watch(&self, query: &Query, aggregation: Aggregation) -> Watch {
        let watch = Watch::new(&self.core.live.ledger, query, aggregation);
        watch.watched().update(self);
        watch
    }

    fn find(&self, query: &Query) -> Result<Found, Missing> {
        self.find_keyed(query, Keys::Grouped)
    }

    fn find_each(&self, query: &Query) -> Result<Found, Missing> {
        self.find_keyed(query, Keys::All)
    }

    fn sum(&self, query: &Query) -> Result<Option<Sum>, Missing> {
        let _busy = Busy::enter().ok_or_else(|| self.refused())?;
        let sum = fork::whole(|| match query.kind {
            MetricKind::Counter => self.sum_in::<Counter>(query),
            MetricKind::Gauge => self.sum_in::<Gauge>(query),
            MetricKind::Histogram => self.sum_in::<Histogram>(query),
        });
        sum.unwrap_or(Err(Missing::Abandoned))
    }

    fn refuse(&self) {
        self.core.refuse();
    }

    fn odd(&self, query: &Query) {
        self.core.odd(query);
    }

    fn explain(&self, query: &Query, missing: Missing) -> Error {
        self.core.explain(query, missing)
    }

    fn reset(&self, _: &Query) -> Result<(), Error> {
        Err(self.no_change("reset"))
    }

    fn delete(&self, _: &Query) -> Result<(), Error> {
        Err(self.no_change("delete"))
    }

    fn covered(&self) -> Option<(Timestamp, Timestamp)> {
        self.timeline.covered()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at() {
            Some(at) => write!(f, "Snapshot({at})"),
            None => f.write_str("Snapshot(before the first tick)"),
        }
    }
}
