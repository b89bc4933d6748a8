//! Every sample of every series over a window, as it is kept: for engines that ask in their own way.

use super::{
    ask::{Member, Missing, Query},
    counted::each_rise,
    gauge_walk::each_gauge_sample,
    question::Cut,
    sample::{CounterSample, GaugeSample, HistogramSample},
    selection::Selection,
    shape::{Counters, Gauges, Histograms, Kind, Over},
};
use crate::{
    codec::histograms::Chunk,
    error::Error,
    history::Source,
    ledger::Full,
    model::{Labels, MetricKind, Timestamp, frame::class_of},
    util::text::Shown,
};

/// Samples of one answer, of all of its series together.
const MOST_SAMPLES: usize = 1_000_000;

/// One series and what it did, point by point.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Series<T> {
    /// Its labels.
    pub labels: Labels,
    /// The ends of the points and what it did in each, oldest first.
    pub samples: Vec<(Timestamp, T)>,
}

/// A kind whose samples can be had.
pub trait Sampled: Kind {
    /// What a series of this kind does in one point.
    type Sample;

    /// `None`: no working memory.
    #[doc(hidden)]
    fn of(one: One<'_>) -> Option<Vec<(Timestamp, Self::Sample)>>;
}

/// A series and a window on its points.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct One<'a> {
    member: &'a Member,
    cut: &'a Cut<'a>,
}

impl std::fmt::Debug for One<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.member.fmt(f)
    }
}

impl<K: Sampled> Selection<K, Over> {
    /// The selected series in the order of their labels, each with its samples in the window: the seam for an engine with a
    /// query language of its own, such as `PromQL`. Points are those that other questions read: ticks where they are left, and
    /// of what is older those of the coarser tiers.
    ///
    /// - A counter has a sample for each point, with its **cumulative total** at the end of it, so that the difference of two of
    ///   them is the increase between. In front of its first increment that is zero; it never falls, not even at a reset.
    /// - A gauge has one for each point in which it had a value.
    /// - A histogram has one for each point in which it received something: that point's native histogram, not a
    ///   cumulative one.
    ///
    /// To ask for several metrics at one instant, take a [`Snapshot`](crate::Snapshot) and ask that.
    ///
    /// Cost: proportional to the samples, of which an answer has a million at most. They are the caller's memory, not the
    /// store's.
    ///
    /// # Errors
    ///
    /// For a metric that was never seen, with the nearest names; for more than a million samples; when there is no working
    /// memory; and inside of a tick.
    ///
    /// ```
    /// use metrics_recall::{Clock, Recall, mins, secs};
    ///
    /// let (clock, hands) = Clock::manual();
    /// let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// for n in [10, 0, 30] {
    ///     recorder.scope(|| metrics::counter!("orders_total", "region" => "eu").increment(n));
    ///     hands.advance(secs(1));
    ///     recall.tick();
    /// }
    /// let all = recall.snapshot().counters("orders_total").over(mins(5)).samples()?;
    /// let totals: Vec<u64> = all[0].samples.iter().map(|(_, sample)| sample.total).collect();
    /// assert_eq!((all[0].labels.get("region"), totals), (Some("eu"), vec![10, 10, 40]));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn samples(&self) -> Result<Vec<Series<K::Sample>>, Error> {
        let Some(from) = &self.from else {
            return Ok(Vec::new());
        };
        let query = &self.query;
        let found = from.find_each(query);
        let mut found = found.map_err(|missing| from.explain(query, missing))?;
        found
            .members
            .sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        let refused = || {
            from.refuse();
            from.explain(query, Missing::Refused)
        };
        let mut all: Vec<Series<K::Sample>> = Vec::with_capacity(found.members.len());
        let mut left = MOST_SAMPLES;
        let mut last: Option<(usize, Cut<'_>)> = None;
        for member in &found.members {
            let class = class_of(member.id);
            let cut = match last.take().filter(|(of, _)| *of == class) {
                Some((_, cut)) => cut,
                None => Cut::new(query, &found, 1 << class, 1).map_err(|Full| refused())?,
            };
            let points = cut.whole_points().len();
            left = left.checked_sub(points).ok_or_else(|| too_many(query))?;
            all.push(Series {
                labels: Labels::all(&member.labels),
                samples: K::of(One { member, cut: &cut }).ok_or_else(refused)?,
            });
            last = Some((class, cut));
        }
        Ok(all)
    }
}

fn too_many(query: &Query) -> Error {
    Error::refused(format!(
        "the samples of `{}` are more than {MOST_SAMPLES}: allowed are a shorter window, or fewer series by their labels",
        Shown(&query.name)
    ))
}

impl Sampled for Counters {
    type Sample = CounterSample;

    fn of(One { member, cut }: One<'_>) -> Option<Vec<(Timestamp, CounterSample)>> {
        let points = cut.whole_points();
        let zero = CounterSample {
            total: 0,
            increase: 0,
        };
        let mut samples: Vec<_> = cut.ends(&points).map(|at| (at, zero)).collect();
        each_rise(&cut.reach, &points, member.id, |place, by, _| {
            if let Some((_, sample)) = samples.get_mut(place) {
                sample.increase = sample.increase.wrapping_add(by);
            }
        });
        // What came after the window is in the total, too.
        let mut later = 0_u64;
        let rest = points.end..cut.reach.len();
        each_rise(&cut.reach, &rest, member.id, |_, by, _| {
            later = later.wrapping_add(by);
        });
        let inside = samples.iter().map(|(_, sample)| sample.increase);
        let inside = inside.fold(0, u64::wrapping_add);
        // A reset takes from the total, and nothing from history.
        let known = later.wrapping_add(inside);
        let mut total = member.values.total.saturating_sub(known);
        for (_, sample) in &mut samples {
            total = total.wrapping_add(sample.increase);
            sample.total = total;
        }
        Some(samples)
    }
}

impl Sampled for Gauges {
    type Sample = GaugeSample;

    fn of(One { member, cut }: One<'_>) -> Option<Vec<(Timestamp, GaugeSample)>> {
        let points = cut.whole_points();
        let mut samples = Vec::with_capacity(points.len());
        let mut ends = cut.ends(&points);
        each_gauge_sample(cut, &points, member, |sample| {
            let at = ends.next();
            let is_some = sample.value.is_some() || sample.max.is_some();
            samples.extend(at.filter(|_| is_some).map(|at| (at, sample)));
        })
        .ok()?;
        Some(samples)
    }
}

impl Sampled for Histograms {
    type Sample = HistogramSample;

    fn of(One { member, cut }: One<'_>) -> Option<Vec<(Timestamp, HistogramSample)>> {
        let points = cut.whole_points();
        let mut samples = Vec::new();
        let mut hint = 0;
        for piece in cut.reach.over(&points) {
            let rows = piece.rows_of(&points);
            let end = |row: usize| piece.row(row).map(|row| cut.wall(row.end_ns));
            match piece.source {
                Source::Frame(kept) => {
                    let point = kept.frame.histogram(member.id, &mut hint);
                    samples.extend(point.and_then(|(point, packed)| {
                        let at = end(rows.start)?;
                        Some((at, HistogramSample::of(point, packed, piece.scale)))
                    }));
                }
                Source::Segment(segment) => {
                    let chunk = segment.chunk(MetricKind::Histogram, member.id);
                    let n = segment.axis.len();
                    if let Some(chunk) = chunk.and_then(|chunk| Chunk::open(chunk, n)) {
                        let all = HistogramSample::of_chunk(&chunk, rows, piece.scale);
                        let all = all.into_iter();
                        samples.extend(all.filter_map(|(row, sample)| Some((end(row)?, sample))));
                    }
                }
            }
        }
        Some(samples)
    }
}
