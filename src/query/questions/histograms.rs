//! What can be asked of histograms.

use crate::query::{
    aggregation::Aggregation,
    answer::{Bucket, Stats, Trend},
    pile::Pile,
    selection::Selection,
    shape::{Histograms, Read, Shape, Window},
};

impl<S: Shape> Selection<Histograms, S> {
    /// How many values were recorded, exactly.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for seconds in [0.25, 0.5, 0.5, 0.75] {
    /// #     recorder.scope(|| metrics::histogram!("request_seconds").record(seconds));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let requests = recall.histograms("request_seconds").over(mins(5)); // 0.25, 0.5, 0.5, 0.75
    /// assert_eq!(requests.count(), Some(4));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn count(&self) -> S::Of<u64>
    where
        S: Window,
    {
        self.say(Aggregation::Count, |q| q.piled(|p| Some(p.count)))
    }

    /// Sum of the values.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for seconds in [0.25, 0.5, 0.5, 0.75] {
    /// #     recorder.scope(|| metrics::histogram!("request_seconds").record(seconds));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let requests = recall.histograms("request_seconds").over(mins(5)); // 0.25, 0.5, 0.5, 0.75
    /// assert_eq!(requests.sum(), Some(2.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn sum(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Sum, |q| q.piled(|p| Some(p.sum())))
    }

    /// Mean of the values; `None` when nothing was recorded.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for seconds in [0.25, 0.5, 0.5, 0.75] {
    /// #     recorder.scope(|| metrics::histogram!("request_seconds").record(seconds));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let requests = recall.histograms("request_seconds").over(mins(5)); // 0.25, 0.5, 0.5, 0.75
    /// assert_eq!(requests.avg(), Some(0.5));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn avg(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Avg, |q| q.piled(Pile::avg))
    }

    /// Smallest value, exactly.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for seconds in [0.25, 0.5, 0.5, 0.75] {
    /// #     recorder.scope(|| metrics::histogram!("request_seconds").record(seconds));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let requests = recall.histograms("request_seconds").over(mins(5)); // 0.25, 0.5, 0.5, 0.75
    /// assert_eq!(requests.min(), Some(0.25));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn min(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Min, |q| q.piled(Pile::min))
    }

    /// Greatest value, exactly.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for seconds in [0.25, 0.5, 0.5, 0.75] {
    /// #     recorder.scope(|| metrics::histogram!("request_seconds").record(seconds));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let requests = recall.histograms("request_seconds").over(mins(5)); // 0.25, 0.5, 0.5, 0.75
    /// assert_eq!(requests.max(), Some(0.75));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn max(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Max, |q| q.piled(Pile::max))
    }

    /// Values recorded per second of covered time.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for seconds in [0.25, 0.5, 0.5, 0.75] {
    /// #     recorder.scope(|| metrics::histogram!("request_seconds").record(seconds));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let requests = recall.histograms("request_seconds").over(mins(5)); // 0.25, 0.5, 0.5, 0.75
    /// assert_eq!(requests.rate(), Some(1.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn rate(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Rate, |q| q.piled(Pile::rate))
    }

    /// The middle one of the values; the same as `quantile(0.5)`.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for seconds in [0.25, 0.5, 0.5, 0.75] {
    /// #     recorder.scope(|| metrics::histogram!("request_seconds").record(seconds));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let requests = recall.histograms("request_seconds").over(mins(5)); // 0.25, 0.5, 0.5, 0.75
    /// assert!((requests.median().unwrap() / 0.5 - 1.0).abs() < 0.022);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn median(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Median, |q| q.quantiles(0.5))
    }

    /// The `q`-quantile, off by at most half of the bucket's width: 2.2 % on the defaults. `None` when nothing was
    /// recorded, or unless `0 <= q <= 1`. Quantiles 0 and 1 are the exact extremes.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for seconds in [0.25, 0.5, 0.5, 0.75] {
    /// #     recorder.scope(|| metrics::histogram!("request_seconds").record(seconds));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let requests = recall.histograms("request_seconds").over(mins(5)); // 0.25, 0.5, 0.5, 0.75
    /// assert_eq!(requests.quantile(1.0), Some(0.75));
    /// assert!((requests.quantile(0.6).unwrap() / 0.5 - 1.0).abs() < 0.022);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn quantile(&self, q: f64) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Quantile(q), |question| question.quantiles(q))
    }

    /// Several quantiles that ascend within (0, 1), for the price of one.
    pub(crate) fn quantiles<const N: usize>(&self, qs: [f64; N]) -> S::Of<[f64; N]>
    where
        S: Window,
    {
        self.say(Aggregation::Median, |q| q.piled(|pile| pile.quantiles(&qs)))
    }

    /// Standard deviation of the values, each taken for the middle of its bucket; `eval` says by how much it may be off.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for seconds in [0.25, 0.5, 0.5, 0.75] {
    /// #     recorder.scope(|| metrics::histogram!("request_seconds").record(seconds));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let requests = recall.histograms("request_seconds").over(mins(5)); // 0.25, 0.5, 0.5, 0.75
    /// assert!((requests.std_dev().unwrap() - 0.177).abs() < 0.01);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
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
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for seconds in [0.25, 0.5, 0.5, 0.75] {
    /// #     recorder.scope(|| metrics::histogram!("request_seconds").record(seconds));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let requests = recall.histograms("request_seconds").over(mins(5)); // 0.25, 0.5, 0.5, 0.75
    /// let counts: Vec<u64> = requests.buckets(2).unwrap().iter().map(|bucket| bucket.count).collect();
    /// assert_eq!(counts.iter().sum::<u64>(), 4);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
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
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for seconds in [0.25, 0.5, 0.5, 0.75] {
    /// #     recorder.scope(|| metrics::histogram!("request_seconds").record(seconds));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let requests = recall.histograms("request_seconds").over(mins(5)); // 0.25, 0.5, 0.5, 0.75
    /// assert!((requests.trend().unwrap().slope - 0.15).abs() < 1e-9); // seconds a second
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
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
