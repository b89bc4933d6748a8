//! Ready-made rules for what most services have.

use super::{condition::Condition, mins, rule::AlertRule, secs, severity::Severity};

/// Rules to add as they are, or to change first.
impl AlertRule {
    /// More than 5 % of what is counted by `all` is counted by `errors`, too, over five minutes, for a minute.
    ///
    /// ```
    /// use metrics_recall::{AlertRule, Recall};
    ///
    /// let (_recorder, recall) = Recall::builder().build()?;
    /// recall.alerts().add(AlertRule::error_ratio("errors_total", "requests_total"))?;
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn error_ratio(errors: impl AsRef<str>, all: impl AsRef<str>) -> Self {
        let (errors, all) = (errors.as_ref(), all.as_ref());
        let increase = |name: &str| Condition::counters(name).over(mins(5)).increase();
        let condition = increase(errors).ratio_to(increase(all)).above(0.05);
        Self::new(format!("ErrorRatio:{errors}"))
            .when(condition)
            .for_at_least(secs(60))
            .severity(Severity::Error)
            .annotation(
                "summary",
                "{{ humanizePercentage $value }} of requests fail",
            )
    }

    /// The 99th percentile of a histogram is above `bound` over five minutes, for a minute.
    pub fn p99_above(histogram: impl AsRef<str>, bound: f64) -> Self {
        let histogram = histogram.as_ref();
        let p99 = Condition::histograms(histogram)
            .over(mins(5))
            .quantile(0.99);
        Self::new(format!("P99:{histogram}"))
            .when(p99.above(bound))
            .for_at_least(secs(60))
            .annotation("summary", "p99 is {{ humanize $value }}")
    }

    /// The 99th percentile of a histogram over five minutes is more than half as much again as an hour ago, for five
    /// minutes.
    pub fn p99_rising(histogram: impl AsRef<str>) -> Self {
        let histogram = histogram.as_ref();
        let p99 = || {
            Condition::histograms(histogram)
                .over(mins(5))
                .quantile(0.99)
        };
        Self::new(format!("P99Rising:{histogram}"))
            .when(p99().ratio_to(p99().ago(mins(60))).above(1.5).clear_at(1.3))
            .for_at_least(mins(5))
            .annotation(
                "summary",
                "p99 is {{ printf \"%.1f\" $value }} times that of an hour ago",
            )
    }

    /// A gauge of CPU use, from 0 to 1, is above 0.9 on average of five minutes.
    pub fn high_cpu(gauge: impl AsRef<str>) -> Self {
        Self::share("HighCpu", gauge.as_ref(), 0.9)
    }

    /// A gauge of memory use, from 0 to 1, is above 0.9 on average of five minutes.
    pub fn high_memory(gauge: impl AsRef<str>) -> Self {
        Self::share("HighMemory", gauge.as_ref(), 0.9)
    }

    /// A gauge of disk use, from 0 to 1, is above 0.85 on average of five minutes.
    pub fn disk_full(gauge: impl AsRef<str>) -> Self {
        Self::share("DiskFull", gauge.as_ref(), 0.85)
    }

    /// CPU, memory and the fullest file system that can be written to, as `collect_system` (feature `system`) names them: the three
    /// rules above for `system_cpu_usage_ratio`, `system_memory_utilization_ratio` and `system_filesystem_fullest_ratio`.
    ///
    /// ```
    /// use metrics_recall::{AlertRule, Recall};
    ///
    /// let (_recorder, recall) = Recall::builder().build()?;
    /// for rule in AlertRule::system() {
    ///     recall.alerts().add(rule)?;
    /// }
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn system() -> [Self; 3] {
        [
            Self::high_cpu("system_cpu_usage_ratio"),
            Self::high_memory("system_memory_utilization_ratio"),
            Self::disk_full("system_filesystem_fullest_ratio"),
        ]
    }

    fn share(name: &str, gauge: &str, bound: f64) -> Self {
        let condition = Condition::gauges(gauge).over(mins(5)).avg().above(bound);
        Self::new(format!("{name}:{gauge}"))
            .when(condition.clear_at(bound - 0.05))
            .annotation("summary", "{{ humanizePercentage $value }} are in use")
    }
}
