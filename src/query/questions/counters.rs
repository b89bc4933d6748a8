//! What can be asked of counters.

use crate::query::{
    aggregation::Aggregation,
    answer::Trend,
    counted::Increase,
    selection::Selection,
    shape::{Counters, Live, Shape, Window},
};

impl<S: Shape> Selection<Counters, S> {
    /// Sum of all increments since the start, and of what `absolute` set. Live: no tick is needed.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for n in [10, 30] {
    /// #     recorder.scope(|| metrics::counter!("orders_total").increment(n));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// assert_eq!(recall.counters("orders_total").total(), Some(40));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn total(&self) -> S::Of<u64>
    where
        S: Live,
    {
        self.say(Aggregation::Total, |q| q.live_totals())
    }

    /// As [`total`](Self::total), with its fraction.
    pub(crate) fn exact_total(&self) -> S::Of<f64>
    where
        S: Live,
    {
        self.say(Aggregation::Total, |q| q.exact_totals())
    }

    /// Increments in the window, exactly.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for n in [10, 30] {
    /// #     recorder.scope(|| metrics::counter!("orders_total").increment(n));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let orders = recall.counters("orders_total").over(mins(5)); // 10 in the first second, 30 in the next
    /// assert_eq!(orders.increase(), Some(40));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn increase(&self) -> S::Of<u64>
    where
        S: Window,
    {
        self.say(Aggregation::Increase, |q| {
            q.increases(|increase| Some(increase.whole()))
        })
    }

    /// Increments per second of covered time.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for n in [10, 30] {
    /// #     recorder.scope(|| metrics::counter!("orders_total").increment(n));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let orders = recall.counters("orders_total").over(mins(5)); // 10 in the first second, 30 in the next
    /// assert_eq!(orders.rate(), Some(20.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn rate(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Rate, |q| q.increases(Increase::rate))
    }

    /// Smallest per-tick rate, per second; of times that only a coarse tier has, the smallest of its points.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for n in [10, 30] {
    /// #     recorder.scope(|| metrics::counter!("orders_total").increment(n));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let orders = recall.counters("orders_total").over(mins(5)); // 10 in the first second, 30 in the next
    /// assert_eq!(orders.min(), Some(10.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn min(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Min, |q| q.counted(|c| c.min()))
    }

    /// Greatest per-tick rate, per second. Coarse tiers keep it for each series; of several together, of times that only
    /// a coarse tier has, it is not more than this.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for n in [10, 30] {
    /// #     recorder.scope(|| metrics::counter!("orders_total").increment(n));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let orders = recall.counters("orders_total").over(mins(5)); // 10 in the first second, 30 in the next
    /// assert_eq!(orders.max(), Some(30.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn max(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Max, |q| q.counted(|c| c.max()))
    }

    /// Increments per second of covered time; the same as [`rate`](Self::rate).
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for n in [10, 30] {
    /// #     recorder.scope(|| metrics::counter!("orders_total").increment(n));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let orders = recall.counters("orders_total").over(mins(5)); // 10 in the first second, 30 in the next
    /// assert_eq!(orders.avg(), Some(20.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn avg(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Avg, |q| q.increases(Increase::rate))
    }

    /// The middle one of the per-tick rates, per second; the same as `quantile(0.5)`.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for n in [10, 30] {
    /// #     recorder.scope(|| metrics::counter!("orders_total").increment(n));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let orders = recall.counters("orders_total").over(mins(5)); // 10 in the first second, 30 in the next
    /// assert_eq!(orders.median(), Some(20.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn median(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::Median, |q| q.counted(|c| c.quantile(0.5)))
    }

    /// The `q`-quantile of the per-tick rates, per second, interpolated; `None` unless `0 <= q <= 1`. Cost: sorts the points.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for n in [10, 30] {
    /// #     recorder.scope(|| metrics::counter!("orders_total").increment(n));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let orders = recall.counters("orders_total").over(mins(5)); // 10 in the first second, 30 in the next
    /// assert_eq!(orders.quantile(0.25), Some(15.0));
    /// assert_eq!(orders.quantile(25.0), None);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
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
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for n in [10, 30] {
    /// #     recorder.scope(|| metrics::counter!("orders_total").increment(n));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let orders = recall.counters("orders_total").over(mins(5)); // 10 in the first second, 30 in the next
    /// assert_eq!(orders.std_dev(), Some(10.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn std_dev(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.say(Aggregation::StdDev, |q| q.counted(|c| c.std_dev()))
    }

    /// The straight line through the per-tick rates, by least squares: by how much the rate changes a second. `None` for
    /// fewer than two points.
    ///
    /// ```
    /// # use metrics_recall::{Clock, Recall, mins, secs};
    /// # let (clock, hands) = Clock::manual();
    /// # let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// # for n in [10, 30] {
    /// #     recorder.scope(|| metrics::counter!("orders_total").increment(n));
    /// #     hands.advance(secs(1));
    /// #     recall.tick();
    /// # }
    /// let orders = recall.counters("orders_total").over(mins(5)); // 10 in the first second, 30 in the next
    /// assert_eq!(orders.trend().map(|trend| trend.slope), Some(20.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn trend(&self) -> S::Of<Trend>
    where
        S: Window,
    {
        self.say(Aggregation::Trend, |q| q.counted(|c| c.trend()))
    }
}
