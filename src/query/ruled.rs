//! Questions of alert rules: at most so many groups, at an instant that may lie in the past, and live ones, too.

use super::{
    aggregation::Aggregation,
    ask::{Ask, Found, Member, Missing, Query, Range, Sum},
    question::Question,
    shape::Point,
    watch::Watch,
};
use crate::{
    error::Error,
    ledger::Full,
    model::{Labels, MetricKind, Timestamp},
};
use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
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
    /// Groups that are asked about, and their series.
    groups: AtomicUsize,
    members: AtomicUsize,
    /// There was no memory for the answer.
    is_refused: AtomicBool,
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
        let same = |a: &Member, b: &Member| a.cmp_group(b, &query.by).is_eq();
        let groups = members.chunk_by(same).count();
        let mut most = groups.min(self.most);
        // Rather fewer groups than no answer: what is not followed is said, and a rule that is not evaluated is blind.
        while let Err(Full) = found.scratch.add(most * (GROUP + 64 * self.steps)) {
            most /= 2;
        }
        if most == 0 && groups > 0 {
            return Err(self.refused());
        }
        let kept = members.chunk_by(same).take(most).map(<[_]>::len).sum();
        members.truncate(kept);
        self.groups.store(most, Relaxed);
        self.excess.store(groups - most, Relaxed);
        Ok(found)
    }

    fn find_each(&self, query: &Query) -> Result<Found, Missing> {
        self.ask.find_each(query)
    }

    fn sum(&self, query: &Query) -> Result<Option<Sum>, Missing> {
        self.ask.sum(query)
    }

    /// It may be asked again about less.
    fn refuse(&self) {
        self.is_refused.store(true, Relaxed);
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

impl Limited<'_> {
    fn refused(&self) -> Missing {
        self.refuse();
        Missing::Refused
    }
}

/// Asks for a rule. A metric that nobody has met is no data, and no oddity. Without working memory for all groups it is asked
/// about fewer; the others are beyond the limit.
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
    let shifted;
    let query = if shift.ago.is_zero() && shift.steps.is_none() {
        query
    } else {
        shifted = query.shifted(shift);
        &shifted
    };
    let mut most = most;
    let (rows, limited) = loop {
        let limited = Limited {
            ask,
            most,
            steps: shift.steps.map_or(1, |n| n as usize),
            excess: AtomicUsize::new(0),
            groups: AtomicUsize::new(0),
            members: AtomicUsize::new(0),
            is_refused: AtomicBool::new(false),
        };
        let rows = rows(&limited, query, aggregation);
        let groups = limited.groups.load(Relaxed);
        let is_refused = limited.is_refused.load(Relaxed);
        match rows {
            Err(Missing::Refused) if is_refused && groups > 1 => most = groups / 2,
            Err(missing) => {
                if is_refused {
                    ask.refuse();
                }
                return Err(ask.explain(query, missing));
            }
            Ok(rows) => break (rows, limited),
        }
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

type Rows = Vec<(Labels, Vec<Option<f64>>)>;

fn rows(from: &Limited<'_>, query: &Query, aggregation: Aggregation) -> Result<Rows, Missing> {
    let question = Question { query, from };
    Ok(if aggregation.is_live() {
        let rows = question.live_rows(|sum| live(query.kind, sum))?;
        plain(rows, |point: Point<f64>| point.value)
    } else {
        plain(question.readings(aggregation)?, |point| point.value?.value)
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
