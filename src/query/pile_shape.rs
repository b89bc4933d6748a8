//! What a pile of values looks like: deviation, usual numbers, buckets.

use super::{
    aggregation::Aggregation,
    answer::{Bucket, Stats},
    pile::Pile,
    question::Reading,
    ranks::Within,
    sides::Sides,
};

impl Pile {
    /// Standard deviation, each value taken for the middle of its bucket, and by how much it may be off at most: moving
    /// values by `e` each moves their deviation by no more than the root of the mean of `e^2` (the triangle inequality).
    #[expect(clippy::cast_precision_loss, reason = "a deviation is a float")]
    fn deviation(&self) -> Option<(f64, f64)> {
        if self.count == 0 {
            return None;
        }
        let each = || {
            self.ranges()
                .map(|(from, to, n)| (self.middle(from, to), n as f64))
        };
        let n = self.count as f64;
        let mean = each().map(|(within, n)| within.at * n).sum::<f64>() / n;
        // A single value is its own mean, whatever sums round to.
        let mean = match (self.min(), self.max()) {
            (Some(min), Some(max)) => mean.clamp(min, max),
            _ => mean,
        };
        let (mut squares, mut errors) = (0.0, 0.0);
        for (within, n) in each() {
            squares += (within.at - mean).powi(2) * n;
            errors += within.error().powi(2) * n;
        }
        Some(((squares / n).sqrt(), (errors / n).sqrt()))
    }

    pub(super) fn std_dev(&self) -> Option<f64> {
        self.deviation().map(|(deviation, _)| deviation)
    }

    pub(super) fn stats(&self) -> Option<Stats> {
        let quantile = |q| self.quantile(q);
        Some(Stats {
            count: self.count,
            sum: self.sum(),
            min: self.min().or_else(|| quantile(0.0))?,
            max: self.max().or_else(|| quantile(1.0))?,
            avg: self.avg()?,
            median: quantile(0.5)?,
            std_dev: self.std_dev()?,
            p90: quantile(0.9)?,
            p95: quantile(0.95)?,
            p99: quantile(0.99)?,
            coverage: 0.0,
        })
    }

    /// At most `n` ranges from the least to the greatest value, each of equally many buckets. Between the two signs nothing
    /// is counted but zeros, so that the many buckets there are left out.
    pub(super) fn buckets(&self, n: usize) -> Option<Vec<Bucket>> {
        let sides = Sides::of(self.ranges())?;
        let codes = sides.len();
        let n = i64::try_from(n).unwrap_or(i64::MAX).min(codes);
        // The code at place `p` is in bucket p n / codes, rounded down.
        let mut buckets: Vec<Bucket> = Vec::new();
        for at in 0..n {
            let last = sides.code((at + 1) * codes / n + i64::from((at + 1) * codes % n > 0) - 1);
            let (_, high) = self.bounds(last, last);
            let low = match buckets.last() {
                Some(before) => before.to,
                None => self.min().unwrap_or(self.bounds(sides.code(0), last).0),
            };
            let to = if at == n - 1 {
                self.max().unwrap_or(high)
            } else {
                high
            };
            buckets.push(Bucket {
                from: low,
                to,
                count: 0,
            });
        }
        for (from, to, count) in self.ranges() {
            // A span may reach over several: its values are taken for those in its middle.
            let place = sides.place(i32::midpoint(from, to)) * n / codes;
            let at = usize::try_from(place).unwrap_or(0);
            if let Some(bucket) = buckets.get_mut(at) {
                bucket.count = bucket.count.wrapping_add(count);
            }
        }
        Some(buckets)
    }

    /// The ranges between given bounds, and those below and above all of them.
    pub(super) fn buckets_at(&self, bounds: &[f64]) -> Option<Vec<Bucket>> {
        if self.count == 0 {
            return None;
        }
        let mut from = f64::NEG_INFINITY;
        let ends = bounds.iter().copied().chain([f64::INFINITY]);
        let empty = ends.map(|to| Bucket {
            from: std::mem::replace(&mut from, to),
            to,
            count: 0,
        });
        let mut buckets: Vec<Bucket> = empty.collect();
        for (low, high, count) in self.ranges() {
            let (_, upper) = self.bounds(low, high);
            let within = self.middle(low, high);
            // Where the whole bucket is below a bound, so is each of its values.
            let end = buckets.partition_point(|bucket| bucket.to < within.low);
            let whole = buckets.get(end).is_some_and(|bucket| upper <= bucket.to);
            let at = if whole {
                end
            } else {
                buckets.partition_point(|bucket| bucket.to < within.at)
            };
            if let Some(bucket) = buckets.get_mut(at) {
                bucket.count = bucket.count.wrapping_add(count);
            }
        }
        Some(buckets)
    }

    #[expect(clippy::cast_precision_loss, reason = "an answer is a float")]
    pub(super) fn reading(&self, aggregation: Aggregation) -> Option<Reading> {
        let exact = |value: Option<f64>| Some(Reading::exact(value?));
        match aggregation {
            Aggregation::Count => exact(Some(self.count as f64)),
            Aggregation::Sum => exact(Some(self.sum())),
            Aggregation::Avg => exact(self.avg()),
            Aggregation::Min => exact(self.min()),
            Aggregation::Max => exact(self.max()),
            Aggregation::Rate => exact(self.rate()),
            Aggregation::StdDev => {
                let (value, error) = self.deviation()?;
                let bound = if error > 0.0 { error / value } else { 0.0 };
                Some(Reading {
                    bound,
                    ..Reading::exact(value)
                })
            }
            other => {
                let within: Within = self.quantile_within(other.quantile()?)?;
                Some(Reading {
                    bound: within.bound(),
                    ..Reading::exact(within.at)
                })
            }
        }
    }
}
