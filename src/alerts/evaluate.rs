//! What a condition says of each group, now.

use super::{
    builtin::Vitals,
    condition::{Condition, Test},
    state::Seen,
};
use crate::{
    error::Error,
    model::{Labels, MetricKind, Timestamp},
    query::{Aggregation, Ask, Query, Range, Ruled, Shift, Standings, Term, ask_for_rule},
};
use std::{cell::RefCell, time::Duration};

/// When an evaluation takes place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// On the store's clock.
    pub(crate) ns: u64,
    /// The same instant, as the axis has it.
    pub(crate) at: Timestamp,
}

/// The store that is asked.
#[derive(Clone, Copy)]
pub(crate) struct Store<'a> {
    pub(crate) ask: &'a dyn Ask,
    pub(crate) vitals: &'a Vitals,
    pub(crate) now: Now,
    /// Answers that move on from tick to tick.
    pub(crate) kept: &'a RefCell<Standings>,
}

/// The values of all groups.
pub(super) struct Values {
    pub(super) groups: Vec<(Labels, Option<f64>)>,
    pub(super) excess: usize,
}

/// Points of the line that a crossing is foreseen by, and the least that it is drawn through.
const LINE: u32 = 20;
const LEAST: usize = 3;

impl Condition {
    /// What there is to compare, for each group. Of a crossing, the value that is foreseen if it crosses, and else nothing.
    pub(super) fn values(&self, store: Store<'_>, most: usize) -> Result<Values, Error> {
        let (Test::Crosses(x, within), Term::Ask { query, aggregation }) = (self.test, &self.term)
        else {
            return values(&self.term, store, Duration::ZERO, most);
        };
        let steps = Some(LINE);
        let ruled = ask(
            query,
            line_of(query, *aggregation),
            store,
            Duration::ZERO,
            steps,
            most,
        )?;
        let window = match query.window {
            Some(Range::Last(window)) => window.as_secs_f64(),
            _ => 0.0,
        };
        let foreseen = |(labels, points): (Labels, Vec<Option<f64>>)| {
            (
                labels,
                foresee(&points, window / f64::from(LINE), x, within),
            )
        };
        Ok(Values {
            groups: ruled.rows.into_iter().map(foreseen).collect(),
            excess: ruled.excess,
        })
    }

    /// What a value says; an absence is no matter of values.
    pub(super) fn see(&self, value: Option<f64>) -> Seen {
        let Some(value) = value.filter(|value| !value.is_nan()) else {
            return match self.test {
                // It does not cross.
                Test::Crosses(..) => Seen::Value {
                    holds: false,
                    clear: true,
                },
                _ => Seen::Nothing,
            };
        };
        let holds = matches!(self.test, Test::Crosses(..)) || self.test.holds(value, None);
        let clear = match self.clear {
            Some(bound) => !self.test.holds(value, Some(bound)),
            None => !holds,
        };
        Seen::Value { holds, clear }
    }

    /// How long there must be no data, if that is what it is about.
    pub(super) fn absence(&self) -> Option<Duration> {
        match self.test {
            Test::Absent(time) => Some(time),
            _ => None,
        }
    }

    /// Whether a value is a sign of data: of counts and rates, zero is none.
    pub(super) fn is_data(&self, value: Option<f64>) -> bool {
        let counts = matches!(
            &self.term,
            Term::Ask {
                query: Query {
                    kind: MetricKind::Counter | MetricKind::Histogram,
                    ..
                },
                aggregation: Aggregation::Increase | Aggregation::Rate | Aggregation::Count,
            }
        );
        value.is_some_and(|value| !counts || value > 0.0)
    }

    /// The window of its question.
    pub(super) fn window(&self) -> Duration {
        let mut term = &self.term;
        loop {
            term = match term {
                Term::Ask { query, .. } => {
                    return match query.window {
                        Some(Range::Last(window)) => window,
                        _ => Duration::ZERO,
                    };
                }
                Term::Ratio(inner, _) | Term::Change(inner, _) | Term::Ago(inner, _) => inner,
            }
        }
    }
}

/// What a line is drawn through, where a slope is asked for.
fn line_of(query: &Query, aggregation: Aggregation) -> Aggregation {
    match (aggregation, query.kind) {
        (Aggregation::Trend, MetricKind::Counter) => Aggregation::Rate,
        (Aggregation::Trend, _) => Aggregation::Avg,
        (other, _) => other,
    }
}

fn ask(
    query: &Query,
    aggregation: Aggregation,
    store: Store<'_>,
    ago: Duration,
    steps: Option<u32>,
    most: usize,
) -> Result<Ruled, Error> {
    // What a store says of itself has no series yet.
    if aggregation == Aggregation::Current
        && let Some(own) = store.vitals.get(&query.name)
        && !store.ask.knows(query.kind, &query.name)
    {
        let rows = vec![(Labels::from([]), vec![Some(own)])];
        return Ok(Ruled::of(rows, 0));
    }
    let shift = Shift {
        now: store.now.at,
        ago,
        steps,
    };
    match store.kept.try_borrow_mut() {
        Ok(mut kept) => kept.ask(store.ask, query, aggregation, shift, most),
        Err(_) => ask_for_rule(store.ask, query, aggregation, shift, most),
    }
}

fn values(term: &Term, store: Store<'_>, ago: Duration, most: usize) -> Result<Values, Error> {
    match term {
        Term::Ask { query, aggregation } => {
            let ruled = ask(query, *aggregation, store, ago, None, most)?;
            let last = |(labels, values): (Labels, Vec<Option<f64>>)| {
                (labels, values.into_iter().next_back().flatten())
            };
            Ok(Values {
                groups: ruled.rows.into_iter().map(last).collect(),
                excess: ruled.excess,
            })
        }
        Term::Ratio(a, b) => {
            let (above, below) = (values(a, store, ago, most)?, values(b, store, ago, most)?);
            Ok(above.combined(&below, ratio))
        }
        Term::Change(inner, by) => {
            let now = values(inner, store, ago, most)?;
            let before = values(inner, store, ago.saturating_add(*by), most)?;
            Ok(now.combined(&before, |now, before| Some(now - before)))
        }
        Term::Ago(inner, by) => values(inner, store, ago.saturating_add(*by), most),
    }
}

/// Zero by zero is nothing.
fn ratio(above: f64, below: f64) -> Option<f64> {
    let ratio = above / below;
    (!ratio.is_nan()).then_some(ratio)
}

impl Values {
    /// Puts `other` beside it: the group of the same labels, or the only one if that has none.
    fn combined(mut self, other: &Self, with: impl Fn(f64, f64) -> Option<f64>) -> Self {
        let only = match &*other.groups {
            [(labels, value)] if labels.is_empty() => Some(*value),
            _ => None,
        };
        for (labels, value) in &mut self.groups {
            let same = || {
                let at = other
                    .groups
                    .binary_search_by(|(known, _)| known.cmp(labels));
                at.ok().and_then(|at| other.groups.get(at)?.1)
            };
            let theirs = only.unwrap_or_else(same);
            *value = value
                .zip(theirs)
                .and_then(|(ours, theirs)| with(ours, theirs));
        }
        self.excess = self.excess.max(other.excess);
        self
    }
}

/// The value of the straight line through points, `step` seconds apart, of which the last is now, after so much time; if
/// it is on the other side of `x` than the line's beginning.
#[expect(clippy::cast_precision_loss, reason = "twenty points")]
fn foresee(points: &[Option<f64>], step: f64, x: f64, within: Duration) -> Option<f64> {
    let last = points.len().saturating_sub(1) as f64;
    let some = || {
        let points = points.iter().enumerate();
        points.filter_map(|(i, value)| Some(((i as f64 - last) * step, (*value)?)))
    };
    let n = some().count();
    if n < LEAST {
        return None;
    }
    let mean = |of: &dyn Fn((f64, f64)) -> f64| some().map(of).sum::<f64>() / n as f64;
    let (time, value) = (mean(&|p| p.0), mean(&|p| p.1));
    let slope = mean(&|p| (p.0 - time) * (p.1 - value)) / mean(&|p| (p.0 - time).powi(2));
    let line = |at: f64| value + slope * (at - time);
    let begin = some().next().map(|(at, _)| line(at))?;
    let end = line(within.as_secs_f64());
    let crosses = (begin < x && end >= x) || (begin > x && end <= x);
    crosses.then_some(end)
}

#[cfg(test)]
mod tests {
    use super::super::secs;
    use super::*;

    #[test]
    fn a_line_is_followed_to_where_it_leads() {
        let rising: Vec<_> = (0..20).map(|i| Some(f64::from(i))).collect();
        // Now it is 19, and it rises by one in two seconds.
        assert_eq!(foresee(&rising, 2.0, 25.0, secs(20)), Some(29.0));
        assert_eq!(foresee(&rising, 2.0, 25.0, secs(12)), Some(25.0));
        assert_eq!(foresee(&rising, 2.0, 25.0, secs(10)), None);
        assert_eq!(foresee(&rising, 2.0, -1.0, secs(20)), None);
        let falling: Vec<_> = rising.iter().rev().copied().collect();
        assert_eq!(foresee(&falling, 1.0, -5.0, secs(5)), Some(-5.0));
        assert_eq!(foresee(&[Some(1.0), Some(2.0)], 1.0, 3.0, secs(9)), None);
        assert_eq!(foresee(&[Some(1.0); 9], 1.0, 3.0, secs(9)), None);
        let gaps = [Some(0.0), None, Some(2.0), None, Some(4.0)];
        assert_eq!(foresee(&gaps, 1.0, 5.0, secs(2)), Some(6.0));
    }

    #[test]
    fn zero_by_zero_is_nothing_and_one_by_zero_is_much() {
        assert_eq!(ratio(0.0, 0.0), None);
        assert_eq!(ratio(1.0, 0.0), Some(f64::INFINITY));
        assert_eq!(ratio(1.0, 4.0), Some(0.25));
    }
}
