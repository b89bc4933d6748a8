//! What counters did over a window, step by step or point by point.

use super::{
    aggregation::Aggregation,
    answer::{Answer, Trend},
    ask::{Member, Missing},
    line::{self, Dot},
    question::{Cut, Question, Reading, Steps, or_nothing, per_second},
    scatter::{quantile, std_dev},
    shape::{Answers, Rows},
};
use crate::{
    codec::{counters, rows::MOST_ROWS},
    history::{Piece, Reach, Source},
    ledger::Full,
    model::{MetricKind, frame::SeriesId},
    util::layout,
};
use std::ops::Range;

/// What counters did in one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Increase {
    by: u64,
    ns: u64,
    per_one: u64,
}

impl Increase {
    /// In whole ones.
    pub(super) fn whole(self) -> u64 {
        self.by / self.per_one
    }

    /// With its fraction.
    #[expect(clippy::cast_precision_loss, reason = "an answer is a float")]
    fn exact(self) -> f64 {
        self.by as f64 / self.per_one as f64
    }

    pub(super) fn rate(self) -> Option<f64> {
        grains_per_second(self.by, self.ns, self.per_one)
    }
}

/// A rate of what is counted in grains. One that is whole is not divided, so that it is what it always was, to the bit.
#[expect(clippy::cast_precision_loss, reason = "a rate is a float")]
fn grains_per_second(by: u64, ns: u64, per_one: u64) -> Option<f64> {
    let rate = per_second(by, ns)?;
    Some(if per_one == 1 {
        rate
    } else {
        rate / per_one as f64
    })
}

/// What counters did in one point.
#[derive(Clone, Copy, Debug)]
struct Rise {
    /// Twice its middle on the axis, in nanoseconds.
    middle: u128,
    by: u64,
    /// In coarse tiers, at most so much in one tick as long as the resolution.
    peak: u64,
    ns: u64,
    ticks: u32,
    is_coarse: bool,
}

/// What counters did over some points.
pub(super) struct Counted<'a> {
    points: &'a [Rise],
    resolution_ns: u64,
    per_one: u64,
    /// Room for a rate of each point.
    rates: &'a mut Vec<(f64, u32)>,
}

impl Counted<'_> {
    fn rate(&self, by: u64, ns: u64) -> Option<f64> {
        grains_per_second(by, ns, self.per_one)
    }

    /// Rates of all points, with their ticks.
    fn rates(&self) -> impl Iterator<Item = (f64, u32)> {
        let points = self.points.iter();
        points.filter_map(|point| Some((self.rate(point.by, point.ns)?, point.ticks)))
    }

    pub(super) fn min(&self) -> Option<f64> {
        self.rates().map(|rate| rate.0).reduce(f64::min)
    }

    pub(super) fn max(&self) -> Option<f64> {
        let peaks = self.points.iter().filter_map(|point| {
            let rate = self.rate(point.by, point.ns)?;
            let peak = self
                .rate(point.peak, self.resolution_ns)
                .filter(|_| point.is_coarse);
            Some(peak.map_or(rate, |peak| peak.max(rate)))
        });
        peaks.reduce(f64::max)
    }

    pub(super) fn quantile(&mut self, q: f64) -> Option<f64> {
        let mut rates = std::mem::take(self.rates);
        rates.clear();
        rates.extend(self.rates());
        let answer = quantile(&mut rates, q);
        *self.rates = rates;
        answer
    }

    /// Standard deviation of the rates, each as often as its point has ticks.
    pub(super) fn std_dev(&self) -> Option<f64> {
        std_dev(|| self.rates())
    }

    /// A line through the rates at the middles of the points.
    pub(super) fn trend(&self) -> Option<Trend> {
        let mut dots: Vec<Dot> = Vec::with_capacity(self.points.len());
        dots.extend(self.points.iter().filter_map(|point| {
            let rate = self.rate(point.by, point.ns)?;
            Some((line::seconds(point.middle), rate, f64::from(point.ticks)))
        }));
        line::through(&dots)
    }

    /// `several`: the counts of more than one series.
    fn reading(&mut self, aggregation: Aggregation, several: bool) -> Option<Reading> {
        let is_coarse = self.points.iter().any(|point| point.is_coarse);
        let (value, partial) = match aggregation {
            Aggregation::Min => (self.min(), is_coarse),
            Aggregation::Max => (self.max(), is_coarse && several),
            Aggregation::StdDev => (self.std_dev(), is_coarse),
            Aggregation::Trend => (self.trend().map(|trend| trend.slope), false),
            other => (self.quantile(other.quantile()?), is_coarse),
        };
        Some(Reading::exact(value?).partial_if(partial))
    }
}

/// Calls `f` with the place behind `points.start` of each of these points in which a counter rose, by how much it did, and
/// its peak.
pub(super) fn each_rise(
    reach: &Reach<'_>,
    points: &Range<usize>,
    id: SeriesId,
    mut f: impl FnMut(usize, u64, u64),
) {
    let mut hint = 0;
    for piece in reach.over(points) {
        // A window may begin or end inside of a piece.
        let place = piece.points().start.max(points.start) - points.start;
        match piece.source {
            Source::Frame(kept) => {
                if let Some((by, peak)) = kept.frame.counter(id, &mut hint) {
                    f(place, by, peak.unwrap_or(by));
                }
            }
            Source::Segment(segment) => {
                if let Some(chunk) = segment.chunk(MetricKind::Counter, id) {
                    let n = segment.axis.len();
                    each_in_chunk(chunk, n, piece, &piece.rows_of(points), |at, by, peak| {
                        f(place + at, by, peak);
                    });
                }
            }
        }
    }
}

fn each_in_chunk(
    chunk: &[u8],
    n: usize,
    piece: &Piece<'_>,
    rows: &Range<usize>,
    mut f: impl FnMut(usize, u64, u64),
) {
    let (mut increments, mut peaks) = ([0; MOST_ROWS], [0; MOST_ROWS]);
    let columns = (increments.get_mut(..n), peaks.get_mut(..n));
    let (Some(all), Some(most)) = columns else {
        return;
    };
    if piece.is_coarse {
        counters::read_with_peaks(chunk, all, most);
    } else {
        counters::read(chunk, all);
    }
    let (all, most) = (all.get(rows.clone()), most.get(rows.clone()));
    let both = all.unwrap_or_default().iter().zip(most.unwrap_or_default());
    for (at, (by, peak)) in both.enumerate() {
        if *by > 0 {
            f(at, *by, if piece.is_coarse { *peak } else { *by });
        }
    }
}

impl Question<'_> {
    pub(super) fn live_totals(&self) -> Answers<u64> {
        or_nothing(self.live_rows(|sum| Some(sum.whole())))
    }

    pub(super) fn exact_totals(&self) -> Answers<f64> {
        or_nothing(self.live_rows(|sum| Some(sum.exact())))
    }

    /// Asks about whole steps.
    pub(super) fn increases<T>(&self, ask: impl Fn(Increase) -> Option<T>) -> Answers<T> {
        or_nothing(self.rows(|members, cut| each_increase(members, cut, &ask)))
    }

    /// Asks about the points of each step.
    pub(super) fn counted<T>(&self, ask: impl Fn(&mut Counted<'_>) -> Option<T>) -> Answers<T> {
        or_nothing(self.rows(|members, cut| each_count(members, cut, &ask)))
    }

    /// What was asked of counters over a window, as data.
    pub(super) fn counter_answers(
        &self,
        aggregation: Aggregation,
    ) -> Result<Rows<Answer>, Missing> {
        match aggregation {
            Aggregation::Increase => self.answers(|members, cut| {
                let by = |increase: Increase| Some(Reading::exact(increase.exact()));
                each_increase(members, cut, &by)
            }),
            Aggregation::Rate | Aggregation::Avg => self.answers(|members, cut| {
                each_increase(members, cut, &|increase| {
                    increase.rate().map(Reading::exact)
                })
            }),
            _ => self.answers(|members, cut| {
                let several = members.len() > 1;
                each_count(members, cut, &|counted| {
                    counted.reading(aggregation, several)
                })
            }),
        }
    }
}

fn each_increase<T>(
    members: &[Member],
    cut: &Cut<'_>,
    ask: &impl Fn(Increase) -> Option<T>,
) -> Result<Vec<Option<T>>, Full> {
    let mut answers = Vec::with_capacity(cut.len());
    for steps in cut.batches() {
        let bytes = layout::vec::<Increase>(steps.points().len());
        let _room = cut.scratch.beside(bytes)?;
        let mut increases = Vec::with_capacity(steps.points().len());
        increases.extend(steps.points().map(|points| Increase {
            by: 0,
            ns: cut.reach.covered_ns(&points),
            per_one: cut.per_one,
        }));
        for member in members {
            add_steps(cut, steps, member.id, &mut increases);
        }
        answers.extend(increases.into_iter().map(ask));
    }
    Ok(answers)
}

fn each_count<T>(
    members: &[Member],
    cut: &Cut<'_>,
    ask: &impl Fn(&mut Counted<'_>) -> Option<T>,
) -> Result<Vec<Option<T>>, Full> {
    let mut answers = Vec::with_capacity(cut.len());
    for steps in cut.batches() {
        answers.extend(count_points(members, cut, steps, ask)?);
    }
    Ok(answers)
}

/// Adds what one counter did to each step.
fn add_steps(cut: &Cut<'_>, steps: Steps<'_>, id: SeriesId, increases: &mut [Increase]) {
    let whole = steps.whole();
    let mut steps = steps.points().zip(increases).peekable();
    each_rise(&cut.reach, &whole, id, |place, by, _| {
        let point = whole.start + place;
        while steps.next_if(|(step, _)| step.end <= point).is_some() {}
        if let Some((step, increase)) = steps.peek_mut()
            && step.contains(&point)
        {
            increase.by = increase.by.wrapping_add(by);
        }
    });
}

/// Adds up all points of some steps, and asks about each step.
fn count_points<T>(
    members: &[Member],
    cut: &Cut<'_>,
    steps: Steps<'_>,
    ask: &impl Fn(&mut Counted<'_>) -> Option<T>,
) -> Result<Vec<Option<T>>, Full> {
    let whole = steps.whole();
    let n = whole.len();
    let bytes = layout::vec::<Rise>(n) + layout::vec::<(f64, u32)>(n) + layout::vec::<Dot>(n);
    let _room = cut.scratch.beside(bytes)?;
    let mut points = Vec::with_capacity(whole.len());
    for piece in cut.reach.over(&whole) {
        let rows = piece.rows_of(&whole).filter_map(|row| piece.row(row));
        points.extend(rows.map(|row| Rise {
            middle: u128::from(row.start_ns) + u128::from(row.end_ns),
            by: 0,
            peak: 0,
            ns: row.duration_ns(),
            ticks: row.ticks,
            is_coarse: piece.is_coarse,
        }));
    }
    for member in members {
        each_rise(&cut.reach, &whole, member.id, |place, by, peak| {
            if let Some(point) = points.get_mut(place) {
                point.by = point.by.wrapping_add(by);
                point.peak = point.peak.saturating_add(peak);
            }
        });
    }
    let mut rates = Vec::with_capacity(whole.len());
    let answers = steps.points().map(|step| {
        let step = step.start.checked_sub(whole.start)?..step.end.checked_sub(whole.start)?;
        ask(&mut Counted {
            points: points.get(step)?,
            resolution_ns: cut.resolution_ns,
            per_one: cut.per_one,
            rates: &mut rates,
        })
    });
    Ok(answers.collect())
}
