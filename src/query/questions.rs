//! The questions themselves: the last word of a selection, for each kind.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method is of one lifetime, a closure of all"
)]

use super::{
    aggregation::Aggregation,
    answer::{Bucket, Stats, Trend},
    counted::Increase,
    levels::Levels,
    pile::Pile,
    selection::Selection,
    shape::{Counters, Gauges, Histograms, Live, Read, Shape, Window},
};

impl<S: Shape> Selection<Counters, S> {
    /// Sum of all increments since the start, and of what `absolute` set. Live: no tick is needed.
    #[must_use]
    pub fn total(&self) -> S::Of<u64>
    where
        S: Live,
    {
        self.say(Aggregation::Total, |q| q.live_totals())
    }

    /// Increments in the window, exactly.
    #[must_use]
    pub fn increase(&self) -> S::Of<u64>
    where
        S: Window,
    {
        self.say(Aggregation::Increase, |q| {
            q.increases(|increase| Some(increase.by))
        })
    }

    /// Increments per second of covered time.
    #[must_use]
    pub fn rate(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Rate, |q| q.increases(Increase::rate))
    }

    /// Smallest per-tick rate, per second; of times that only a coarse tier has, the smallest of its points.
    #[must_use]
    pub fn min(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Min, |q| q.counted(|c| c.min()))
    }

    /// Greatest per-tick rate, per second. Coarse tiers keep it for each series; of several together, of times that only
    /// a coarse tier has, it is not more than this.
    #[must_use]
    pub fn max(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Max, |q| q.counted(|c| c.max()))
    }

    /// Increments per second of covered time; the same as [`rate`](Self::rate).
    #[must_use]
    pub fn avg(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Avg, |q| q.increases(Increase::rate))
    }

    /// The middle one of the per-tick rates, per second; the same as `quantile(0.5)`.
    #[must_use]
    pub fn median(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Median, |q| q.counted(|c| c.quantile(0.5)))
    }

    /// The `q`-quantile of the per-tick rates, per second, interpolated; `None` unless `0 <= q <= 1`. Cost: sorts the points.
    #[must_use]
    pub fn quantile(&self, q: f64) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Quantile(q), |question| {
            question.counted(|c| c.quantile(q))
        })
    }

    /// Standard deviation of the per-tick rates, per second, over all ticks of the window.
    #[must_use]
    pub fn std_dev(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::StdDev, |q| q.counted(|c| c.std_dev()))
    }

    /// The straight line through the per-tick rates, by least squares: by how much the rate changes a second. `None` for
    /// fewer than two points.
    #[must_use]
    pub fn trend(&self) -> S::Of<Trend>
    where
        S: Window,
    {
        self.say(Aggregation::Trend, |q| q.counted(|c| c.trend()))
    }
}

impl<S: Shape> Selection<Gauges, S> {
    /// Sum of the selected gauges' values. Live: no tick is needed.
    #[must_use]
    pub fn current(&self) -> S::Of<f64>
    where
        S: Live,
    {
        self.say(Aggregation::Current, |q| q.live_values())
    }

    /// Smallest value, those between two ticks included.
    #[must_use]
    pub fn min(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Min, |q| q.levels(Levels::min))
    }

    /// Greatest value, those between two ticks included.
    #[must_use]
    pub fn max(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Max, |q| q.levels(Levels::max))
    }

    /// Mean of the values at the ends of ticks, each weighted with how long its tick was; over all selected series.
    #[must_use]
    pub fn avg(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Avg, |q| q.levels(Levels::avg))
    }

    /// Sum of the values at the ends of ticks.
    #[must_use]
    pub fn sum(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Sum, |q| q.levels(Levels::sum))
    }

    /// How many values at the ends of ticks there are: ticks times series.
    #[must_use]
    pub fn count(&self) -> S::Of<u64>
    where
        S: Window,
    {
        self.say(Aggregation::Count, |q| q.levels(|l| Some(l.count())))
    }

    /// The middle one of the values at the ends of ticks; the same as `quantile(0.5)`.
    #[must_use]
    pub fn median(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Median, |q| q.level_quantiles(0.5))
    }

    /// The `q`-quantile of the values at the ends of ticks, interpolated; `None` unless `0 <= q <= 1`. Cost: sorts them.
    #[must_use]
    pub fn quantile(&self, q: f64) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Quantile(q), |question| {
            question.level_quantiles(q)
        })
    }

    /// Standard deviation of the values at the ends of ticks, over all selected series; of times that only a coarse tier has,
    /// of the means of its points.
    #[must_use]
    pub fn std_dev(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::StdDev, |q| q.level_deviations())
    }

    /// At most `n` ranges of equal width from the least to the greatest value at the end of a tick, and how many there are in
    /// each. `None` unless `1 <= n <= 10_000`.
    #[must_use]
    pub fn buckets(&self, n: usize) -> S::Of<Vec<Bucket>>
    where
        S: Read,
    {
        self.say(Aggregation::Count, |q| q.level_buckets(n))
    }

    /// What the gauges changed by, all together: of each the last value in the window less the one before it, or less its
    /// first value, if it had none before.
    #[must_use]
    pub fn change(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Change, |q| q.levels(Levels::change))
    }

    /// [`change`](Self::change) per second of covered time.
    #[must_use]
    pub fn rate(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Rate, |q| q.levels(Levels::rate))
    }

    /// The straight line through the sum of the gauges, by least squares: by how much it changes a second. `None` for fewer
    /// than two points.
    #[must_use]
    pub fn trend(&self) -> S::Of<Trend>
    where
        S: Window,
    {
        self.say(Aggregation::Trend, |q| q.level_trends())
    }

    /// The usual numbers of the values at the ends of ticks; extremes are of all values. Cost: sorts the values.
    #[must_use]
    pub fn stats(&self) -> S::Of<Stats>
    where
        S: Read,
    {
        self.say(Aggregation::Avg, |q| q.level_stats())
    }
}

impl<S: Shape> Selection<Histograms, S> {
    /// How many values were recorded, exactly.
    #[must_use]
    pub fn count(&self) -> S::Of<u64>
    where
        S: Window,
    {
        self.say(Aggregation::Count, |q| q.piled(|p| Some(p.count)))
    }

    /// Sum of the values.
    #[must_use]
    pub fn sum(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Sum, |q| q.piled(|p| Some(p.sum())))
    }

    /// Mean of the values; `None` when nothing was recorded.
    #[must_use]
    pub fn avg(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Avg, |q| q.piled(Pile::avg))
    }

    /// Smallest value, exactly.
    #[must_use]
    pub fn min(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Min, |q| q.piled(Pile::min))
    }

    /// Greatest value, exactly.
    #[must_use]
    pub fn max(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Max, |q| q.piled(Pile::max))
    }

    /// Values recorded per second of covered time.
    #[must_use]
    pub fn rate(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Rate, |q| q.piled(Pile::rate))
    }

    /// The middle one of the values; the same as `quantile(0.5)`.
    #[must_use]
    pub fn median(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Median, |q| q.quantiles(0.5))
    }

    /// The `q`-quantile, off by at most half of the bucket's width: 2.2 % on the defaults. `None` when nothing was
    /// recorded, or unless `0 <= q <= 1`. Quantiles 0 and 1 are the exact extremes.
    #[must_use]
    pub fn quantile(&self, q: f64) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Quantile(q), |question| question.quantiles(q))
    }

    /// Standard deviation of the values, each taken for the middle of its bucket; `eval` says by how much it may be off.
    #[must_use]
    pub fn std_dev(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::StdDev, |q| q.piled(Pile::std_dev))
    }

    /// At most `n` ranges side by side from the least to the greatest value, each as wide in proportion, and how many values
    /// there are in each, exactly. Where the signs meet, a range reaches over what is between them. `None` unless
    /// `1 <= n <= 10_000`.
    #[must_use]
    pub fn buckets(&self, n: usize) -> S::Of<Vec<Bucket>>
    where
        S: Read,
    {
        self.say(Aggregation::Count, |q| q.pile_buckets(n))
    }

    /// How many values there are up to each of these bounds and above the one before, and above all of them: one range more
    /// than there are bounds. Exact where a bound is a power of two; at any other bound, the values of the one bucket around
    /// it count for the side where its middle is. `None` unless bounds ascend.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # recorder.scope(|| for ms in [3.0, 80.0, 90.0, 700.0] { metrics::histogram!("request_seconds").record(ms / 1e3) });
    /// # hands.advance(secs(1));
    /// # recall.tick();
    /// let requests = recall.histograms("request_seconds").over(mins(5));
    /// let counts: Vec<u64> = requests.buckets_at([0.0625, 0.5]).unwrap().iter().map(|b| b.count).collect();
    /// assert_eq!(counts, [1, 2, 1]);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn buckets_at(&self, bounds: impl AsRef<[f64]>) -> S::Of<Vec<Bucket>>
    where
        S: Read,
    {
        self.say(Aggregation::Count, |q| q.pile_buckets_at(bounds.as_ref()))
    }

    /// The straight line through the means of the points, by least squares: by how much the mean changes a second. `None` for
    /// fewer than two points with values.
    #[must_use]
    pub fn trend(&self) -> S::Of<Trend>
    where
        S: Window,
    {
        self.say(Aggregation::Trend, |q| q.pile_trends())
    }

    /// The usual numbers at once, in one pass.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # recorder.scope(|| for ms in 1..=100 { metrics::histogram!("request_seconds").record(f64::from(ms) / 1e3) });
    /// # hands.advance(secs(1));
    /// # recall.tick();
    /// let stats = recall.histograms("request_seconds").over(mins(5)).stats().expect("there are values");
    /// assert_eq!((stats.count, stats.max), (100, 0.1));
    /// assert!((stats.p95 / 0.095 - 1.0).abs() < 0.022);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> S::Of<Stats>
    where
        S: Read,
    {
        self.say(Aggregation::Avg, |q| q.pile_stats())
    }
}
