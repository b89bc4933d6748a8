//! What can be asked of gauges.

use crate::query::{
    aggregation::Aggregation,
    answer::{Bucket, Stats, Trend},
    levels::Levels,
    selection::Selection,
    shape::{Gauges, Live, Read, Shape, Window},
};

impl<S: Shape> Selection<Gauges, S> {
    /// Sum of the selected gauges' values. Live: no tick is needed.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// assert_eq!(recall.gauges("queue_depth").current(), Some(3.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn current(&self) -> S::Of<f64>
    where
        S: Live,
    {
        self.say(Aggregation::Current, |q| q.live_values())
    }

    /// Smallest value, those between two ticks included.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// assert_eq!(depth.min(), Some(1.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn min(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Min, |q| q.levels(Levels::min))
    }

    /// Greatest value, those between two ticks included.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// assert_eq!(depth.max(), Some(5.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn max(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Max, |q| q.levels(Levels::max))
    }

    /// Mean of the values at the ends of ticks, each weighted with how long its tick was; over all selected series.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// assert_eq!(depth.avg(), Some(3.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn avg(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Avg, |q| q.levels(Levels::avg))
    }

    /// Sum of the values at the ends of ticks.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// assert_eq!(depth.sum(), Some(12.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn sum(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Sum, |q| q.levels(Levels::sum))
    }

    /// How many values at the ends of ticks there are: ticks times series.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// assert_eq!(depth.count(), Some(4));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn count(&self) -> S::Of<u64>
    where
        S: Window,
    {
        self.say(Aggregation::Count, |q| q.levels(|l| Some(l.count())))
    }

    /// The middle one of the values at the ends of ticks; the same as `quantile(0.5)`.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// assert_eq!(depth.median(), Some(3.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn median(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Median, |q| q.level_quantiles(0.5))
    }

    /// The `q`-quantile of the values at the ends of ticks, interpolated; `None` unless `0 <= q <= 1`. Cost: sorts them.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// assert_eq!(depth.quantile(1.0), Some(5.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
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
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// assert_eq!(depth.std_dev(), Some(2.0_f64.sqrt()));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn std_dev(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::StdDev, |q| q.level_deviations())
    }

    /// At most `n` ranges of equal width from the least to the greatest value at the end of a tick, and how many there are in
    /// each. `None` unless `1 <= n <= 10_000`.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// let counts: Vec<u64> = depth.buckets(2).unwrap().iter().map(|bucket| bucket.count).collect();
    /// assert_eq!(counts, [3, 1]); // up to 3, and above
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn buckets(&self, n: usize) -> S::Of<Vec<Bucket>>
    where
        S: Read,
    {
        self.say(Aggregation::Count, |q| q.level_buckets(n))
    }

    /// What the gauges changed by, all together: of each the last value in the window less the one before it, or less its
    /// first value, if it had none before.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// assert_eq!(depth.change(), Some(2.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn change(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Change, |q| q.levels(Levels::change))
    }

    /// [`change`](Self::change) per second of covered time.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// assert_eq!(depth.rate(), Some(0.5)); // 2 in four seconds
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn rate(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Rate, |q| q.levels(Levels::rate))
    }

    /// The straight line through the sum of the gauges, by least squares: by how much it changes a second. `None` for fewer
    /// than two points.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// assert!((depth.trend().unwrap().slope - 0.4).abs() < 1e-9);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn trend(&self) -> S::Of<Trend>
    where
        S: Window,
    {
        self.say(Aggregation::Trend, |q| q.level_trends())
    }

    /// The usual numbers of the values at the ends of ticks; extremes are of all values. Cost: sorts the values.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for depth in [1.0, 5.0, 3.0, 3.0] {
    /// #     recorder.scope(|| metrics::gauge!("queue_depth").set(depth));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let depth = recall.gauges("queue_depth").over(mins(5)); // 1, 5, 3, 3
    /// let stats = depth.stats().unwrap();
    /// assert_eq!((stats.count, stats.min, stats.median, stats.max), (4, 1.0, 3.0, 5.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> S::Of<Stats>
    where
        S: Read,
    {
        self.say(Aggregation::Avg, |q| q.level_stats())
    }
}
