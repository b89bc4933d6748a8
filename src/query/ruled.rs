//! Questions of alert rules: at most so many groups, at an instant that may lie in the past, and live ones, too.

use super::{
    aggregation::Aggregation,
    question::Question,
    selection::{Ask, Found, Missing, Query, Range, Sum},
    shape::Point,
    watch::Watch,
};
use crate::{
    error::Error,
    ledger::Full,
    model::{Labels, MetricKind, Timestamp},
};
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

/// What a rule is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ruled {
    /// The values of each group, oldest first; one without steps. Sorted by labels.
    pub(crate) rows: Vec<(Labels, Vec<Option<f64>>)>,
    /// Groups beyond the limit, which are not among the rows.
    pub(crate) excess: usize,
    /// Points of series that were read for it; 0: nobody counted.
    pub(crate) cost: u64,
}

impl Ruled {
    /// An answer of these rows.
    pub(crate) fn of(rows: Vec<(Labels, Vec<Option<f64>>)>, excess: usize) -> Self {
        let cost = 0;
        Self { rows, excess, cost }
    }

    /// A copy that shares nothing, and has no slack.
    pub(super) fn copied(&self) -> Self {
        let rows = self.rows.iter();
        let mut copy = Vec::with_capacity(rows.len());
        copy.extend(rows.map(|(labels, values)| (labels.with([]), values.clone())));
        Self {
            rows: copy,
            ..*self
        }
    }
}

/// When a rule's question is about, and in how many steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shift {
    /// The newest tick.
    pub(crate) now: Timestamp,
    pub(crate) ago: Duration,
    pub(crate) steps: Option<u32>,
}

/// A window has no more points than this, or they are coarse.
const LONGEST: u64 = 2_000;

/// Working memory of a group in an answer, beside its steps.
const GROUP: usize = 512;

/// A store of which only so many groups are known.
struct Limited<'a> {
    ask: &'a dyn Ask,
    most: usize,
    steps: usize,
    excess: AtomicUsize,
    /// Series that are asked about.
    members: AtomicUsize,
}

impl Ask for Limited<'_> {
    fn knows(&self, kind: MetricKind, name: &str) -> bool {
        self.ask.knows(kind, name)
    }

    /// The first groups by their labels, so that the same ones are followed from tick to tick.
    fn find(&self, query: &Query) -> Result<Found, Missing> {
        let mut found = self.ask.find(query)?;
        self.members.store(found.members.len(), Relaxed);
        if query.by.is_empty() {
            return Ok(found);
        }
        let members = &mut found.members;
        members.sort_unstable_by(|a, b| a.cmp_group(b, &query.by));
        let (mut groups, mut kept) = (0, 0);
        for group in members.chunk_by(|a, b| a.cmp_group(b, &query.by).is_eq()) {
            groups += 1;
            if groups <= self.most {
                kept += group.len();
            }
        }
        members.truncate(kept);
        self.excess.store(groups.saturating_sub(self.most), Relaxed);
        let bytes = groups.min(self.most) * (GROUP + 64 * self.steps);
        found.scratch.add(bytes).map_err(|Full| {
            self.refuse();
            Missing::Refused
        })?;
        Ok(found)
    }

    fn find_each(&self, query: &Query) -> Result<Found, Missing> {
        self.ask.find_each(query)
    }

    fn sum(&self, query: &Query) -> Result<Option<Sum>, Missing> {
        self.ask.sum(query)
    }

    fn refuse(&self) {
        self.ask.refuse();
    }

    fn odd(&self, query: &Query) {
        self.ask.odd(query);
    }

    fn explain(&self, query: &Query, missing: Missing) -> Error {
        self.ask.explain(query, missing)
    }

    fn reset(&self, query: &Query) -> Result<(), Error> {
        self.ask.reset(query)
    }

    fn delete(&self, query: &Query) -> Result<(), Error> {
        self.ask.delete(query)
    }

    fn watch(&self, query: &Query, aggregation: Aggregation) -> Watch {
        self.ask.watch(query, aggregation)
    }

    fn covered(&self) -> Option<(Timestamp, Timestamp)> {
        self.ask.covered()
    }
}

/// Asks for a rule. A metric that nobody has met is no data, and no oddity.
pub(crate) fn ask_for_rule(
    ask: &dyn Ask,
    query: &Query,
    aggregation: Aggregation,
    shift: Shift,
    most: usize,
) -> Result<Ruled, Error> {
    if !ask.knows(query.kind, &query.name) {
        return Ok(Ruled::default());
    }
    let limited = Limited {
        ask,
        most,
        steps: shift.steps.map_or(1, |n| n as usize),
        excess: AtomicUsize::new(0),
        members: AtomicUsize::new(0),
    };
    let shifted;
    let query = if shift.ago.is_zero() && shift.steps.is_none() {
        query
    } else {
        shifted = query.shifted(shift);
        &shifted
    };
    let question = Question {
        query,
        from: &limited,
    };
    let explain = |missing| ask.explain(query, missing);
    let rows = if aggregation.is_live() {
        let rows = question.live_rows(|sum| live(query.kind, sum));
        let value = |point: Point<f64>| point.value;
        plain(rows.map_err(explain)?, value)
    } else {
        let rows = question.readings(aggregation);
        plain(rows.map_err(explain)?, |point| point.value?.value)
    };
    let ticks = match query.window {
        Some(Range::Last(window)) => window.as_secs().clamp(1, LONGEST),
        Some(Range::Between(..)) => LONGEST / 8,
        None => 1,
    };
    let members = limited.members.load(Relaxed) as u64;
    Ok(Ruled {
        rows,
        excess: limited.excess.load(Relaxed),
        cost: members.saturating_mul(ticks).max(1),
    })
}

fn live(kind: MetricKind, sum: Sum) -> Option<f64> {
    match kind {
        MetricKind::Counter => Some(sum.exact()),
        _ => sum.now,
    }
}

fn plain<T>(
    rows: Vec<(Labels, Vec<Point<T>>)>,
    value: impl Fn(Point<T>) -> Option<f64>,
) -> Vec<(Labels, Vec<Option<f64>>)> {
    rows.into_iter()
        .map(|(labels, points)| (labels, points.into_iter().map(&value).collect()))
        .collect()
}

impl Query {
    /// The same question about an earlier window, or in steps.
    fn shifted(&self, shift: Shift) -> Self {
        let mut query = self.clone();
        let Some(Range::Last(window)) = self.window else {
            return query;
        };
        if !shift.ago.is_zero() {
            let to = shift.now - shift.ago;
            query.window = Some(Range::Between(to - window, to));
        }
        query.step = shift.steps.map(|n| window / n.max(1));
        query
    }
}
