//! The questions themselves: the last word of a selection, for each kind.

use super::{
    counted::Increase,
    levels::Levels,
    pile::Pile,
    selection::Selection,
    shape::{Counters, Gauges, Histograms, Live, Shape, Window},
};

impl<S: Shape> Selection<Counters, S> {
    /// Sum of all increments since the start, and of what `absolute` set. Live: no tick is needed.
    #[must_use]
    pub fn total(&self) -> S::Of<u64>
    where
        S: Live,
    {
        S::of(self.live_totals())
    }

    /// Increments in the window, exactly.
    #[must_use]
    pub fn increase(&self) -> S::Of<u64>
    where
        S: Window,
    {
        S::of(self.increases(|increase| Some(increase.by)))
    }

    /// Increments per second of covered time.
    #[must_use]
    pub fn rate(&self) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.increases(Increase::rate))
    }

    /// Smallest per-tick rate, per second; of times that only a coarse tier has, the smallest of its points.
    #[must_use]
    pub fn min(&self) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.counted(|c| c.min()))
    }

    /// Greatest per-tick rate, per second. Coarse tiers keep it for each series; of several together, of times that only
    /// a coarse tier has, it is not more than this.
    #[must_use]
    pub fn max(&self) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.counted(|c| c.max()))
    }

    /// Increments per second of covered time; the same as [`rate`](Self::rate).
    #[must_use]
    pub fn avg(&self) -> S::Of<f64>
    where
        S: Window,
    {
        self.rate()
    }

    /// The `q`-quantile of the per-tick rates, per second, interpolated; `None` unless `0 <= q <= 1`.
    #[must_use]
    pub fn quantile(&self, q: f64) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.counted(|c| c.quantile(q)))
    }
}

impl<S: Shape> Selection<Gauges, S> {
    /// Sum of the selected gauges' values. Live: no tick is needed.
    #[must_use]
    pub fn current(&self) -> S::Of<f64>
    where
        S: Live,
    {
        S::of(self.live_values())
    }

    /// Smallest value, those between two ticks included.
    #[must_use]
    pub fn min(&self) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.levels(Levels::min))
    }

    /// Greatest value, those between two ticks included.
    #[must_use]
    pub fn max(&self) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.levels(Levels::max))
    }

    /// Mean of the values at the ends of ticks, each weighted with how long its tick was; over all selected series.
    #[must_use]
    pub fn avg(&self) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.levels(Levels::avg))
    }

    /// Sum of the values at the ends of ticks.
    #[must_use]
    pub fn sum(&self) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.levels(Levels::sum))
    }

    /// How many values at the ends of ticks there are: ticks times series.
    #[must_use]
    pub fn count(&self) -> S::Of<u64>
    where
        S: Window,
    {
        S::of(self.levels(|l| Some(l.count())))
    }

    /// The `q`-quantile of the values at the ends of ticks, interpolated; `None` unless `0 <= q <= 1`.
    #[must_use]
    pub fn quantile(&self, q: f64) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.level_quantiles(q))
    }
}

impl<S: Shape> Selection<Histograms, S> {
    /// How many values were recorded, exactly.
    #[must_use]
    pub fn count(&self) -> S::Of<u64>
    where
        S: Window,
    {
        S::of(self.piled(|p| Some(p.count)))
    }

    /// Sum of the values.
    #[must_use]
    pub fn sum(&self) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.piled(|p| Some(p.sum())))
    }

    /// Mean of the values; `None` when nothing was recorded.
    #[must_use]
    pub fn avg(&self) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.piled(Pile::avg))
    }

    /// Smallest value, exactly.
    #[must_use]
    pub fn min(&self) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.piled(Pile::min))
    }

    /// Greatest value, exactly.
    #[must_use]
    pub fn max(&self) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.piled(Pile::max))
    }

    /// Values recorded per second of covered time.
    #[must_use]
    pub fn rate(&self) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.piled(Pile::rate))
    }

    /// The `q`-quantile, off by at most half of the bucket's width: 2.2 % on the defaults. `None` when nothing was
    /// recorded, or unless `0 <= q <= 1`. Quantiles 0 and 1 are the exact extremes.
    #[must_use]
    pub fn quantile(&self, q: f64) -> S::Of<f64>
    where
        S: Window,
    {
        S::of(self.quantiles(q))
    }
}
