//! An answer that the tick keeps up to date, so that reading it is one load.

use super::{
    aggregation::Aggregation,
    ask::{Ask, Query},
    question::Question,
    ruled::Shift,
    selection::Selection,
    shape::{Kind, Over},
    standing::Standings,
};
use crate::{
    history::Charge,
    ledger::{Ledger, Part},
    model::Timestamp,
    util::{layout, recent::Recent, text::Shown},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// An answer that each tick brings up to date: for what is decided again and again, such as whether to take one more
/// request.
///
/// It is kept for as long as this, or a clone of it, lives; it does not keep the store. What it takes of the budget, some
/// hundred bytes and what its answer is made of, is given back by the tick after the last clone is dropped. Cost:
/// [`get`](Self::get) is one load; each tick looks at what came into the window and what left it; what cannot be kept so, such as
/// quantiles of gauges, takes as long as the window has points.
///
/// ```
/// use metrics_recall::{Aggregation, Clock, Recall, secs};
///
/// let (clock, hands) = Clock::manual();
/// let (recorder, recall) = Recall::builder().clock(clock).build()?;
/// let p99 = recall.histograms("checkout_seconds").over(secs(30)).watch(Aggregation::Quantile(0.99));
/// assert_eq!(p99.get(), None);
///
/// recorder.scope(|| metrics::histogram!("checkout_seconds").record(0.7));
/// hands.advance(secs(1));
/// recall.tick();
/// assert_eq!(p99.get(), Some(0.7));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "the value is kept only while this lives"]
pub struct Watch(Arc<Watched>);

/// What the store has of a watch.
pub(crate) struct Watched {
    /// Bits of the newest answer; NaN: there is none.
    value: AtomicU64,
    query: Query,
    aggregation: Aggregation,
    /// Times that asking panicked.
    pub(crate) panics: Recent,
    /// Kept although nobody has it.
    is_detached: AtomicBool,
    /// `None`: there was no room, and the value is never known.
    charge: Option<Charge>,
}

impl Watch {
    /// The answer as of the newest tick; `None`: there is none, or none can be given.
    #[must_use]
    pub fn get(&self) -> Option<f64> {
        let value = f64::from_bits(self.0.value.load(Relaxed));
        (!value.is_nan()).then_some(value)
    }

    /// The tick goes on keeping the value although nobody reads it any more, for as long as there is the store.
    pub fn detach(self) {
        self.0.is_detached.store(true, Relaxed);
    }

    pub(crate) fn new(ledger: &Arc<Ledger>, query: &Query, aggregation: Aggregation) -> Self {
        let bytes = layout::arc::<Watched>() + query.bytes();
        let charge = Charge::new(ledger, Part::Queries, bytes);
        Self(Arc::new(Watched {
            value: AtomicU64::new(f64::NAN.to_bits()),
            query: query.clone(),
            aggregation,
            panics: Recent::new(),
            is_detached: AtomicBool::new(false),
            charge: charge.ok(),
        }))
    }

    pub(crate) fn watched(&self) -> &Arc<Watched> {
        &self.0
    }
}

impl Watched {
    /// Whether somebody may read the value.
    pub(crate) fn is_wanted(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1 || self.is_detached.load(Relaxed)
    }

    /// Asks once more.
    pub(crate) fn update(&self, from: &dyn Ask) {
        let query = &self.query;
        let rows = match self.charge {
            Some(_) => Question { query, from }.evaluate(self.aggregation).ok(),
            None => None,
        };
        let points = rows.and_then(|rows| rows.into_iter().next());
        let answer = points.and_then(|(_, points)| points.into_iter().next()?.value?.value);
        self.value
            .store(answer.unwrap_or(f64::NAN).to_bits(), Relaxed);
    }

    /// Brings it up to date with a tick.
    pub(crate) fn move_on(&self, from: &dyn Ask, kept: &mut Standings, now: Timestamp) {
        let shift = Shift {
            now,
            ago: Duration::ZERO,
            steps: None,
        };
        if self.charge.is_none() {
            return self.void();
        }
        let ruled = kept.ask(from, &self.query, self.aggregation, shift, usize::MAX);
        let Ok(ruled) = ruled else {
            return self.void();
        };
        let row = ruled.rows.into_iter().next();
        let answer = row.and_then(|(_, values)| values.into_iter().next().flatten());
        self.value
            .store(answer.unwrap_or(f64::NAN).to_bits(), Relaxed);
    }

    /// There is no answer.
    pub(crate) fn void(&self) {
        self.value.store(f64::NAN.to_bits(), Relaxed);
    }

    /// Whether what is asked makes sense, and there was room for it.
    pub(crate) fn is_sound(&self) -> bool {
        self.charge.is_some() && self.aggregation.check(&self.query).is_ok()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({}: {:?})", self.0, self.get())
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of `{}`", self.aggregation, Shown(&self.query.name))
    }
}

impl<K: Kind> Selection<K, Over> {
    /// Keeps the answer to this question up to date with each tick; the first one is given at once. A question that makes no
    /// sense, and one about a metric that is not there yet, has no answer; `health()` names both.
    ///
    /// Cost: that of a question now; then each tick looks at what came into the window and what left it.
    pub fn watch(&self, aggregation: Aggregation) -> Watch {
        let from = self.from.as_ref();
        // A selection over a window is of a store; only those of rules are of none.
        from.map_or_else(
            || Watch::new(&Arc::new(Ledger::new(0)), &self.query, aggregation),
            |from| from.watch(&self.query, aggregation),
        )
    }
}
