//! The composition root: from what the user chose to a running store.

mod alerts;
mod beside;

use self::{
    alerts::{AlertConfig, subscribe},
    beside::Beside,
};
#[cfg(feature = "http")]
use crate::http::ServeOptions;
use crate::{
    clock::Clock,
    collectors::Collecting,
    config::{Config, HistogramRule, MemoryProfile, ProfileConfig, RetentionRule},
    error::Error,
    handle::Recall,
    recorder::RecallRecorder,
};
use parking_lot::Mutex;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Chooses what a store keeps, and brings it to life.
///
/// Setters only set; [`install`](Self::install), [`start`](Self::start) and [`build`](Self::build) check everything and
/// report every problem at once:
///
/// ```
/// use metrics_recall::{Recall, secs};
///
/// let error = Recall::builder().memory_budget(0).resolution(secs(7)).build().unwrap_err();
/// let message = error.to_string();
/// assert!(message.contains("0 bytes") && message.contains("7s"));
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `install()`, `start()` or `build()`"]
pub struct RecallBuilder {
    config: Config,
    clock: Option<Clock>,
    alerts: AlertConfig,
    #[cfg(feature = "http")]
    serve: Vec<(String, ServeOptions)>,
    collects: Vec<Collect>,
    black_box: Option<PathBuf>,
    beside: Beside,
}

/// Begins to collect something.
type Collect = fn(&Recall) -> Result<Collecting, Error>;

impl Recall {
    /// A builder with the defaults of [`MemoryProfile::Production`].
    pub fn builder() -> RecallBuilder {
        RecallBuilder::default()
    }
}

impl RecallBuilder {
    /// Budget and everything that follows from it. Default: [`MemoryProfile::Production`].
    pub fn profile(mut self, profile: MemoryProfile) -> Self {
        self.config.profile = profile;
        self.config.custom = None;
        self
    }

    /// Numbers of one's own in place of a profile's; those that other setters give go before them. Default: those of
    /// [`MemoryProfile::Production`].
    ///
    /// ```
    /// use metrics_recall::{MemoryProfile, Recall};
    ///
    /// let mut config = MemoryProfile::Edge.config();
    /// config.max_series_per_metric = 20;
    /// let (_recorder, recall) = Recall::builder().config(config).build()?;
    /// assert_eq!(recall.memory().budget, 1 << 20);
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn config(mut self, config: ProfileConfig) -> Self {
        self.config.custom = Some(config);
        self
    }

    /// The hard limit of what the store may own, in bytes: 128 KiB to 64 TiB. Default: the profile's.
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.config.budget = Some(bytes);
        self
    }

    /// Length of a tick: a divisor of 60 s, from 10 ms to 60 s. Default: 1 s.
    pub fn resolution(mut self, tick: Duration) -> Self {
        self.config.resolution = Some(tick);
        self
    }

    /// Series that one metric may have beside its overflow series; at least 1. Default: the profile's.
    pub fn max_series_per_metric(mut self, n: usize) -> Self {
        self.config.series_per_metric = Some(n);
        self
    }

    /// Metrics of each kind; at least 1. Default: the profile's.
    pub fn max_metrics(mut self, n: usize) -> Self {
        self.config.metrics = Some(n);
        self
    }

    /// How long a series that nobody holds must be idle before it may be evicted, which happens only when room is
    /// needed. Default: 10 min.
    pub fn idle_timeout(mut self, after: Duration) -> Self {
        self.config.idle_timeout = Some(after);
        self
    }

    /// How far the finest tier of history reaches back, memory permitting; coarser tiers reach no less far. Default: the
    /// profile's.
    pub fn retention(mut self, finest: Duration) -> Self {
        self.config.retention = Some(finest);
        self
    }

    /// Keeps the series that a rule matches longer or shorter than others; at most 64 rules, of which the first that
    /// matches wins. Default: none.
    pub fn retain(mut self, rule: RetentionRule) -> Self {
        self.config.rules.push(rule);
        self
    }

    /// How the histograms are exposed whose name fits a rule; the first that fits wins. Default: none, and so classic
    /// buckets at powers of two.
    pub fn expose(mut self, rule: HistogramRule) -> Self {
        self.config.histograms.push(rule);
        self
    }

    /// Exposed names end as they are recorded: without the unit that `describe_*` gave, and without `_total`, which
    /// OpenMetrics demands of counters all the same. Default: off.
    ///
    /// ```
    /// let (recorder, recall) = metrics_recall::Recall::builder().plain_names().build()?;
    /// recorder.scope(|| metrics::counter!("orders").increment(1));
    /// assert!(recall.render().ends_with("\norders 1\n"));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn plain_names(mut self) -> Self {
        self.config.plain_names = true;
        self
    }

    /// OpenMetrics says of each counter, histogram and summary since when it counts, in a line that ends in `_created`: since it was
    /// first seen or reset, to a tick. Default: off, since a Prometheus that is not told otherwise
    /// (`--enable-feature=created-timestamp-zero-ingestion`) stores each of these lines as one more series. The protobuf format says
    /// it in any case, where it costs nobody anything.
    ///
    /// ```
    /// use metrics_recall::{Format, Recall};
    ///
    /// let (recorder, recall) = Recall::builder().openmetrics_created().build()?;
    /// recorder.scope(|| metrics::counter!("orders").increment(1));
    /// let text = String::from_utf8(recall.render_as(Format::OpenMetrics))?;
    /// assert!(text.contains("\norders_total 1\norders_created 1"), "{text}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn openmetrics_created(mut self) -> Self {
        self.config.created = true;
        self
    }

    /// A label that every exposed series gets, unless it has one of that name: what tells this process from others, as in
    /// `service="shop"`. Called again, one more. Answers inside the process do not have it. Default: none.
    ///
    /// ```
    /// let builder = metrics_recall::Recall::builder().global_label("service", "shop");
    /// let (recorder, recall) = builder.build()?;
    /// recorder.scope(|| metrics::gauge!("queue_depth").set(3.0));
    /// assert!(recall.render().ends_with("\nqueue_depth{service=\"shop\"} 3\n"));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn global_label(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let label = (name.as_ref().into(), value.as_ref().into());
        self.config.globals.push(label);
        self
    }

    /// Where time comes from. Default: the machine.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Serves the store at an address, as [`Recall::serve`] does, for as long as it lives. Called again, at one more.
    /// Default: nothing is served.
    ///
    /// ```no_run
    /// let recall = metrics_recall::Recall::builder().serve("127.0.0.1:9100").install()?;
    /// // curl http://127.0.0.1:9100/metrics
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[cfg(feature = "http")]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what it is given is an address or its text"
    )]
    pub fn serve(self, addr: impl ToString) -> Self {
        self.serve_with(addr.to_string(), ServeOptions::new())
    }

    /// As [`serve`](Self::serve), with authentication or with other limits. Default: nothing is served.
    #[cfg(feature = "http")]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what it is given is an address or its text"
    )]
    pub fn serve_with(mut self, addr: impl ToString, options: ServeOptions) -> Self {
        self.serve.push((addr.to_string(), options));
        self
    }

    /// Collects the machine and this process from the start, as [`Recall::collect_system`]. Default: neither.
    #[cfg(feature = "system")]
    pub fn collect_system(mut self) -> Self {
        self.collects.push(Recall::collect_system);
        self
    }

    /// Collects this process from the start, as [`Recall::collect_process`]. Default: it does not.
    ///
    /// ```
    /// let (_recorder, recall) = metrics_recall::Recall::builder().collect_process().build()?;
    /// recall.tick();
    /// assert_eq!(recall.collectors()[0].name, "process");
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn collect_process(mut self) -> Self {
        self.collects.push(Recall::collect_process);
        self
    }

    /// A panic writes a [dump](Recall::dump) to `path`, over whatever is there, with its message and place: as much as the
    /// finest tier of history keeps. Default: none.
    ///
    /// A hook is chained behind the one that the program has. It has the file written by another thread and waits two
    /// seconds at most, so a panic inside of a tick or of a registration is none that hangs. A program that survives its
    /// panics gets no more than a file a minute.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join("doc-black-box.json");
    /// let (_recorder, recall) = metrics_recall::Recall::builder().dump_on_panic(&path).build()?;
    /// # drop(recall);
    /// # let _ = std::panic::take_hook();
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn dump_on_panic(mut self, path: impl AsRef<Path>) -> Self {
        self.black_box = Some(path.as_ref().to_owned());
        self
    }

    /// A store that the caller ticks, not installed. Only callbacks of alerts, and a sidecar, have threads.
    ///
    /// # Errors
    ///
    /// For settings outside of their ranges, all of them at once; and those of [`Recall::serve_with`], if it is to be served.
    pub fn build(self) -> Result<(RecallRecorder, Recall), Error> {
        let plan = self.config.plan()?;
        let clock = self.clock.unwrap_or_default();
        let recall = Recall::new(plan, clock, self.beside.tee())?;
        recall.set_default_rules(!self.alerts.without_own, self.alerts.rules)?;
        if let Some(path) = self.black_box {
            recall.dump_on_panic(&path)?;
        }
        subscribe(&recall, self.alerts.callbacks.into_inner());
        #[cfg(feature = "http")]
        serve(&recall, self.serve)?;
        collect(&recall, &self.collects)?;
        Ok((RecallRecorder::new(recall.live()), recall))
    }

    /// A store with a worker, not installed: for layers above it, or as a local recorder. The worker stops when the
    /// last [`Recall`] is dropped.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and when no thread can be started.
    pub fn start(self) -> Result<(RecallRecorder, Recall), Error> {
        let (recorder, recall) = self.build()?;
        recall.start_worker()?;
        Ok((recorder, recall))
    }

    /// A store with a worker, installed as the process's recorder. It lives as long as the process; dropping handles
    /// does not stop it, [`Recall::shutdown`] does. After a `fork` of a process that did nothing
    /// else at that instant, `install()` in the child gives it a worker of its own.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); when a recorder is installed already; and after a shutdown or a fork, when the settings
    /// differ from those of the installed store, which cannot change. Of several threads that install at once, one does.
    pub fn install(self) -> Result<Recall, Error> {
        // One after the other, or two would both find that there is none.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock();
        if let Some(global) = Recall::global() {
            return self.revive(global);
        }
        // Everything that may fail comes before the facade's recorder is set, which cannot be taken back.
        let (recorder, recall) = self.start()?;
        metrics::set_global_recorder(recorder).map_err(|_| {
            Error::installed(
                "a global recorder is installed already: the `metrics` facade takes one for the life of a process; \
                 use `start()` and a fanout to have both",
            )
        })?;
        recall.make_global()?;
        recall.listen();
        Ok(recall)
    }

    /// Starts the installed store again after a shutdown.
    fn revive(self, global: Recall) -> Result<Recall, Error> {
        let plan = self.config.plan()?;
        if !global.is_shut() && global.has_worker() {
            return Err(Error::installed(
                "a store is installed already: `Recall::global()` gives it",
            ));
        }
        let mut changes = global.plan().changes(&plan);
        if !self.beside.recorders.is_empty() {
            changes.push("another recorder beside it".to_owned());
        }
        if self.black_box.is_some() {
            changes.push("a dump_on_panic, whose hook is set once".to_owned());
        }
        if self.clock.is_some() {
            changes.push("another clock".to_owned());
        }
        let own = global
            .alerts()
            .rules()
            .iter()
            .any(|rule| rule.name.starts_with("Recall"));
        if own == self.alerts.without_own {
            changes.push(format!("own_alerts {} (it has {own})", !own));
        }
        if !changes.is_empty() {
            return Err(Error::installed(format!(
                "the installed store cannot change its settings: asked for were {}",
                changes.join(", ")
            )));
        }
        global.set_retention_rules(self.config.rules)?;
        for rule in self.alerts.rules {
            let known = global.alerts().rules();
            if known.iter().any(|other| *other.name == *rule.name()) {
                global.alerts().replace(rule)?;
            } else {
                global.alerts().add(rule)?;
            }
        }
        subscribe(&global, self.alerts.callbacks.into_inner());
        global.start_worker()?;
        #[cfg(feature = "http")]
        serve(&global, self.serve)?;
        // After a fork they are there.
        if global.collectors().is_empty() {
            collect(&global, &self.collects)?;
        }
        global.resume_rates()?;
        // A store that `make_global` named may never have been installed. If there is a recorder already, it is this one, or
        // layers above it, or another one that does not pass on what it hears: then `health` says so.
        drop(metrics::set_global_recorder(RecallRecorder::new(
            global.live(),
        )));
        global.listen();
        Ok(global)
    }
}

/// Serves a store for as long as it lives.
#[cfg(feature = "http")]
fn serve(recall: &Recall, all: Vec<(String, ServeOptions)>) -> Result<(), Error> {
    for (addr, options) in all {
        options.check()?;
        let sidecar = recall.serve_with(&*addr, options);
        // An address has no name where anything may be one; here it is a text.
        let sidecar = sidecar.map_err(|e| {
            if e.is_invalid() {
                Error::invalid(format!("`{addr}`: {e}"))
            } else {
                e
            }
        });
        sidecar?.detach();
    }
    Ok(())
}

/// Collects for as long as the store lives.
fn collect(recall: &Recall, all: &[Collect]) -> Result<(), Error> {
    all.iter()
        .try_for_each(|collect| collect(recall).map(Collecting::detach))
}
