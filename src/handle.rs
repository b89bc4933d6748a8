//! What the application keeps: questions, memory, health, and the life of the store.

mod black_box;
mod dump;
mod render;

#[cfg(feature = "http")]
use crate::engine::Attached;
use crate::{
    alerts::{AlertRule, Alerts},
    clock::Clock,
    config::{Plan, RetentionRule},
    engine::{
        Core, Fate, Freed, Health, Memory, MetricInfo, Reader, Retention, SeriesValue, Snapshot,
        Summary, TURN, Tick, Whose,
    },
    error::Error,
    insights::{self, Insight, Subject},
    intake::FractionalCounter,
    live::{Live, tee::Tee},
    model::{MetricKind, Timestamp},
    query::{Ask, Counters, Gauges, Histograms, Selection},
};
#[cfg(feature = "http")]
use std::sync::Weak;
use std::{
    fmt,
    sync::{Arc, OnceLock, atomic::Ordering::Relaxed},
};

/// The store, as the application holds it. Clones are the same store.
///
/// ```no_run
/// use metrics_recall::{Recall, mins};
///
/// let recall = Recall::builder().install()?;
/// metrics::histogram!("checkout_seconds").record(0.12);
/// let p99 = recall.histograms("checkout_seconds").over(mins(5)).quantile(0.99);
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone)]
pub struct Recall(Arc<Core>);

/// The store whose recorder is the process's; set once, since the facade cannot change its recorder.
static GLOBAL: OnceLock<Recall> = OnceLock::new();

impl Recall {
    pub(crate) fn new(plan: Plan, clock: Clock, tee: Option<Arc<Tee>>) -> Result<Self, Error> {
        Core::new(plan, clock, tee).map(Self)
    }

    /// The alert rules that the store begins with.
    pub(crate) fn set_default_rules(&self, own: bool, rules: Vec<AlertRule>) -> Result<(), Error> {
        self.0.alerts.set_defaults(own, rules)
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        self.0.live.clone()
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.0
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.0.plan
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.0.is_shut()
    }

    /// Ties something to the store, with which it ends.
    #[cfg(feature = "http")]
    pub(crate) fn attach(&self, attached: Box<dyn Attached>) {
        self.0.attached.add(attached);
    }

    #[cfg(feature = "http")]
    pub(crate) fn downgrade(&self) -> WeakRecall {
        WeakRecall(Arc::downgrade(&self.0))
    }

    pub(crate) fn has_worker(&self) -> bool {
        self.0.has_worker()
    }

    pub(crate) fn start_worker(&self) -> Result<(), Error> {
        self.0.start_worker()
    }

    /// Tries whether macros reach this store; `health` says if they do not.
    pub(crate) fn listen(&self) {
        self.0.listen();
    }

    /// The store that [`install`](crate::RecallBuilder::install) or [`make_global`](Self::make_global) made the
    /// process's, if any.
    #[must_use]
    pub fn global() -> Option<Recall> {
        GLOBAL.get().cloned()
    }

    /// Makes this store the one that [`Recall::global`] gives and that the process keeps alive. For a recorder that
    /// [`start`](crate::RecallBuilder::start) gave and that was put below layers of `metrics-util`.
    ///
    /// # Errors
    ///
    /// When another store is global already.
    pub fn make_global(&self) -> Result<(), Error> {
        let global = GLOBAL.get_or_init(|| self.clone());
        if Arc::ptr_eq(&global.0, &self.0) {
            let now = self.0.clock.elapsed_ns();
            let never = u64::MAX;
            let _ = self
                .0
                .installed_ns
                .compare_exchange(never, now, Relaxed, Relaxed);
            Ok(())
        } else {
            Err(Error::installed(
                "another store is global already: `Recall::global()` gives it",
            ))
        }
    }

    /// A question about the counters called `name`.
    pub fn counters(&self, name: impl AsRef<str>) -> Selection<Counters> {
        Selection::new(self.0.clone(), name.as_ref())
    }

    /// A question about the gauges called `name`.
    pub fn gauges(&self, name: impl AsRef<str>) -> Selection<Gauges> {
        Selection::new(self.0.clone(), name.as_ref())
    }

    /// A question about the histograms called `name`.
    pub fn histograms(&self, name: impl AsRef<str>) -> Selection<Histograms> {
        Selection::new(self.0.clone(), name.as_ref())
    }

    /// A counter of fractions, which the facade has none of: of seconds, joules, currency. `key` is a name, or a name and
    /// labels, as in `("energy_joules_total", &[("rail", "cpu")])`.
    ///
    /// It is this store's, whatever recorder the macros emit to. See [`FractionalCounter`].
    pub fn fractional_counter(&self, key: impl Into<metrics::Key>) -> FractionalCounter {
        FractionalCounter::new(&self.0.live, &key.into())
    }

    /// The same questions, all at one instant: the newest tick's. See [`Snapshot`].
    ///
    /// Cost: a look at each series. No tick waits for it, unless ticks follow each other without a pause.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.0)
    }

    /// Follows the ticks: each committed frame once for each reader, from the oldest that is kept on, loss counted.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(&self.0)
    }

    /// Moves what was recorded since the last tick into history. A store with a worker does so by itself; calling it
    /// beside the worker is harmless.
    ///
    /// A tick covers the time since the one before, however long that was. If the clock has not moved, it joins the
    /// tick before. Cost: some nanoseconds a series.
    pub fn tick(&self) -> Tick {
        self.0.tick()
    }

    /// Now, on the store's axis: wall time at the start plus the time that has passed, suspension included.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Other [retention rules](RetentionRule) in place of those that the store has, for series that are new from now on.
    /// Series that exist keep the retention with which they were registered.
    ///
    /// # Errors
    ///
    /// For a rule that a builder would refuse, and when there would be more than four different retentions: the
    /// profile's, those of `rules`, and those of older rules that have series still, to which the overflow series of
    /// each metric belongs. The old rules hold on then.
    ///
    /// ```
    /// use metrics_recall::{Recall, RetentionRule, mins};
    ///
    /// let (_recorder, recall) = Recall::builder().build()?;
    /// recall.set_retention_rules(vec![RetentionRule::new().name("debug_*").keep([mins(2)])])?;
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn set_retention_rules(&self, rules: Vec<RetentionRule>) -> Result<(), Error> {
        self.0.set_retention_rules(rules)
    }

    /// How far each tier of history reaches back, finest first.
    ///
    /// ```
    /// let (_recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// for tier in recall.retention() {
    ///     println!("{tier}"); // 1s: 600 s of 600 s, 600 points, 1.2 MiB
    /// }
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn retention(&self) -> Vec<Retention> {
        self.0.retention()
    }

    /// Drops what is past its retention, and evicts series that nobody holds and that have been idle for longer than the
    /// idle timeout, whether there is room or not. The store does both by itself when room is needed. Cost: two ticks.
    ///
    /// ```
    /// let (_recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// println!("{}", recall.cleanup()); // 1.2 MiB: 600 points, 20 series
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn cleanup(&self) -> Freed {
        self.0.cleanup()
    }

    /// For an emergency: drops all points but the newest `keep` of each tier, and evicts series that nobody holds and that
    /// did not change in the newest `keep` ticks. Points are stored some tens at a time, so a few more may stay; the
    /// newest tick always does. Totals stay exact. Cost: two ticks.
    ///
    /// ```
    /// let (_recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// let freed = recall.force_cleanup(10);
    /// assert_eq!(freed.series, 0);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn force_cleanup(&self, keep: usize) -> Freed {
        self.0.force_cleanup(keep)
    }

    /// Another memory budget, in bytes, from now on. History gets shorter to fit a smaller one; if a reader still holds
    /// some of it, as soon as that is done, with the tick after at the latest.
    ///
    /// # Errors
    ///
    /// When the budget is below 128 KiB or above 64 TiB, or live series alone need more than three quarters of it. Then
    /// it stays what it was.
    ///
    /// ```
    /// let (_recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// recall.set_memory_budget(8 << 20)?;
    /// assert_eq!(recall.memory().budget, 8 << 20);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn set_memory_budget(&self, bytes: usize) -> Result<(), Error> {
        self.0.set_memory_budget(bytes)
    }

    /// The totals of the metrics called `name`, of all kinds, start again at zero; gauges have no value until they are set.
    /// Windows keep what they have, and handles stay valid. Cost: two ticks.
    ///
    /// # Errors
    ///
    /// For a name that was never seen, with the nearest ones; inside of a tick; and in a forked process that does not reach all of its
    /// series, when those that it reaches are reset.
    ///
    /// ```
    /// # let (recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// # recorder.scope(|| metrics::counter!("orders_total").increment(3));
    /// recall.reset("orders_total")?;
    /// assert_eq!(recall.counters("orders_total").total(), Some(0));
    /// assert!(recall.reset("order_total").unwrap_err().is_unknown_metric());
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn reset(&self, name: impl AsRef<str>) -> Result<(), Error> {
        self.0.settle(Whose::Name(name.as_ref()), Fate::Reset)
    }

    /// Resets all metrics of a kind, as [`reset`](Self::reset).
    ///
    /// # Errors
    ///
    /// Inside of a tick.
    pub fn reset_kind(&self, kind: MetricKind) -> Result<(), Error> {
        self.0.settle(Whose::Kind(kind), Fate::Reset)
    }

    /// Resets everything, as [`reset`](Self::reset): after a warm-up, say.
    ///
    /// # Errors
    ///
    /// Inside of a tick.
    pub fn reset_all(&self) -> Result<(), Error> {
        self.0.settle(Whose::All, Fate::Reset)
    }

    /// The metrics called `name`, of all kinds, are gone, with all that history has of them. A handle that somebody holds
    /// stays valid: what is recorded through it from now on is a new series that starts at zero. Cost: two ticks.
    ///
    /// # Errors
    ///
    /// As [`reset`](Self::reset), and when there is no memory for the new series of handles that are held.
    ///
    /// ```
    /// # let (recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// # recorder.scope(|| metrics::gauge!("queue_depth").set(3.0));
    /// recall.delete("queue_depth")?;
    /// assert_eq!(recall.gauges("queue_depth").current(), None);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn delete(&self, name: impl AsRef<str>) -> Result<(), Error> {
        self.0.settle(Whose::Name(name.as_ref()), Fate::Delete)
    }

    /// Deletes all metrics of a kind, as [`delete`](Self::delete).
    ///
    /// # Errors
    ///
    /// Inside of a tick, and when there is no memory for the new series of handles that are held.
    pub fn delete_kind(&self, kind: MetricKind) -> Result<(), Error> {
        self.0.settle(Whose::Kind(kind), Fate::Delete)
    }

    /// Memory used and allowed, by part.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.0.memory()
    }

    /// Alert rules, what is active, and who hears of it.
    ///
    /// ```
    /// use metrics_recall::{AlertRule, Condition, Recall, mins};
    ///
    /// let (_recorder, recall) = Recall::builder().build()?;
    /// let failing = Condition::counters("errors_total").over(mins(5)).rate().above(0.5);
    /// recall.alerts().add(AlertRule::new("Errors").when(failing))?;
    /// assert!(recall.alerts().active().is_empty());
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn alerts(&self) -> Alerts {
        Alerts::new(self.0.alerts.clone())
    }

    /// What stands out in the last hour, the worst first: what a good on-call engineer would notice.
    ///
    /// Small detectors look at each metric, by its labels `service` and `instance` where it has them: a 99th percentile that
    /// rises, errors that are more than 5 % of what is counted or much more than in the day before, a counter that
    /// stopped, a gauge that is at its bound or will be within two hours, another level, a number of series that grows. What is
    /// found is large, lasting, and more than what the metric does anyway; so most of them need some twenty minutes of
    /// history, and say little of things that move by less than a third.
    ///
    /// Bounds are known of gauges called `.._ratio` or `.._percent`, and of those that have another beside them:
    /// `.._usage_bytes` and `.._limit_bytes`, `.._open_fds` and `.._max_fds`, `.._size` and `.._capacity`.
    ///
    /// Cost: two questions about a day for each metric, some milliseconds each; not for a loop.
    ///
    /// ```
    /// use metrics_recall::{Clock, InsightKind, Recall, secs};
    ///
    /// let (clock, hands) = Clock::manual();
    /// let (recorder, recall) = Recall::builder().clock(clock).resolution(secs(60)).build()?;
    /// for minute in 0..60 {
    ///     recorder.scope(|| {
    ///         if minute < 40 {
    ///             metrics::counter!("jobs_done_total").increment(120 + minute % 7);
    ///         }
    ///     });
    ///     hands.advance(secs(60));
    ///     recall.tick();
    /// }
    /// let insights = recall.insights();
    /// assert_eq!(insights[0].kind, InsightKind::Stopped);
    /// assert!(insights[0].text.starts_with("`jobs_done_total` has not counted for 20 min"));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn insights(&self) -> Vec<Insight> {
        let ask: Arc<dyn Ask> = self.0.clone();
        let (turn, most_series) = (TURN, self.0.plan.series_per_metric);
        let subjects = self.0.metrics().into_iter().map(|info| {
            let grew = self.0.grew(info.kind, &info.name);
            let turns = u32::try_from(grew.len()).unwrap_or(0);
            Subject {
                kind: info.kind,
                unit: info.unit,
                series: info.series,
                most_series,
                grew,
                grew_in: turn * turns,
                name: info.name,
            }
        });
        insights::look(&ask, &subjects.collect::<Vec<_>>())
    }

    /// Whether anything was dropped, shortened or refused.
    #[must_use]
    pub fn health(&self) -> Health {
        let mut health = self.0.health();
        if self.0.is_exposed.load(Relaxed) {
            health.add_some(self.renamed(), "exposed under another name");
        }
        health
    }

    /// All metrics, sorted by name and kind. Cost: one look at each name.
    #[must_use]
    pub fn metrics(&self) -> Vec<MetricInfo> {
        self.0.metrics()
    }

    /// What is known of the metric called `name`; of several kinds, of the first. Cost: as [`metrics`](Self::metrics).
    ///
    /// ```
    /// # let (recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// # recorder.scope(|| metrics::counter!("orders_total", "region" => "eu").increment(3));
    /// let orders = recall.metric("orders_total").expect("there were orders");
    /// assert_eq!((orders.series, orders.overflowed), (1, 0));
    /// assert!(recall.metric("order_total").is_none());
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn metric(&self, name: impl AsRef<str>) -> Option<MetricInfo> {
        self.0.metric(name.as_ref())
    }

    /// What all series of a kind are at, sorted by name and labels: counters and gauges live, histograms as of the newest
    /// tick. Cost: one look at each series.
    ///
    /// ```
    /// # use metrics_recall::{MetricKind, Recall};
    /// # let (recorder, recall) = Recall::builder().build()?;
    /// # recorder.scope(|| metrics::counter!("orders_total", "region" => "eu").increment(3));
    /// for series in recall.values(MetricKind::Counter) {
    ///     println!("{series}"); // orders_total{region="eu"} 3
    /// #   assert_eq!(series.to_string(), r#"orders_total{region="eu"} 3"#);
    /// }
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn values(&self, kind: MetricKind) -> Vec<SeriesValue> {
        self.0.values(kind)
    }

    /// How often each function was called, the most called first: by the label `function` of whatever histograms have one, such as
    /// those of `#[timed]` without a name; as of the newest tick. Cost: one look at each series of a histogram.
    ///
    /// ```
    /// # use metrics_recall::Recall;
    /// # let (recorder, recall) = Recall::builder().build()?;
    /// # recorder.scope(|| {
    /// metrics::histogram!("function_duration_seconds", "function" => "shop::pay").record(0.2);
    /// # });
    /// # recall.tick();
    /// assert_eq!(recall.call_counts(), [("shop::pay".to_owned(), 1)]);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn call_counts(&self) -> Vec<(String, u64)> {
        self.0.call_counts()
    }

    /// All metrics with what they did over the last minute, aligned for a terminal.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::new(&self.0)
    }

    /// Commits what was recorded, stops the worker and waits for it; then gives alert callbacks up to two seconds to be called
    /// with what waits for them, and ends all subscriptions. Answers still work afterwards, and recording is
    /// harmless; a later [`install`](crate::RecallBuilder::install) with the same settings starts the worker again.
    ///
    /// Of several threads that shut down at once each returns when the worker is gone. From inside of a tick or a recording,
    /// as from an allocator, it waits for nothing: the worker, if there is one, does all this by itself.
    pub fn shutdown(&self) {
        self.0.shutdown();
    }
}

/// A store that somebody else keeps alive.
#[cfg(feature = "http")]
pub(crate) struct WeakRecall(Weak<Core>);

#[cfg(feature = "http")]
impl WeakRecall {
    pub(crate) fn upgrade(&self) -> Option<Recall> {
        self.0.upgrade().map(Recall)
    }
}

impl fmt::Debug for Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recall({})", self.memory())
    }
}
