//! The `metrics::Recorder`: hands out cells of the live store.

use crate::{
    error::Error,
    live::{Counter as Counters, Gauge as Gauges, Histogram as Histograms, Live},
    model::MetricKind,
};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::{fmt, sync::Arc};

/// The recorder that the `metrics` macros emit to. Clones feed the same store.
///
/// Usually [`RecallBuilder::install`](crate::RecallBuilder::install) keeps it out of sight.
/// [`start`](crate::RecallBuilder::start) and [`build`](crate::RecallBuilder::build) hand it out, to be put below layers
/// or to be used as a local recorder:
///
/// ```
/// use metrics_recall::Recall;
///
/// let (recorder, recall) = Recall::builder().build()?;
/// recorder.scope(|| metrics::counter!("orders_total").increment(3));
/// assert_eq!(recall.counters("orders_total").total(), Some(3));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone)]
pub struct RecallRecorder(Arc<Live>);

impl RecallRecorder {
    pub(crate) fn new(live: Arc<Live>) -> Self {
        Self(live)
    }

    /// Runs `f` with this recorder as the one of the current thread. Threads that `f` starts have theirs: see
    /// [`wrap`](Self::wrap) and [`scope_process`](Self::scope_process).
    pub fn scope<T>(&self, f: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(self, f)
    }

    /// A closure that runs `f` in this recorder's [`scope`](Self::scope), wherever it is called: for threads that a test starts
    /// itself.
    ///
    /// ```
    /// let (recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// let worker = std::thread::spawn(recorder.wrap(|| metrics::counter!("jobs_total").increment(1)));
    /// worker.join().unwrap();
    /// assert_eq!(recall.counters("jobs_total").total(), Some(1));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn wrap<T, F: FnOnce() -> T>(&self, f: F) -> impl FnOnce() -> T + use<T, F> {
        let recorder = self.clone();
        move || recorder.scope(f)
    }

    /// A future that is polled in this recorder's [`scope`](Self::scope), on whatever thread that happens. What it spawns is
    /// not in it, unless it is wrapped, too.
    ///
    /// ```
    /// let (recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// let task = recorder.wrap_future(async { metrics::counter!("jobs_total").increment(1) });
    /// # let task = std::pin::pin!(task);
    /// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// # assert!(std::future::Future::poll(task, &mut context).is_ready());
    /// assert_eq!(recall.counters("jobs_total").total(), Some(1));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn wrap_future<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let recorder = self.clone();
        let mut future = Box::pin(future);
        std::future::poll_fn(move |context| recorder.scope(|| future.as_mut().poll(context)))
    }

    /// Runs `f` with this recorder as the one of the whole process, so that threads which the code under test starts, and
    /// pools that it keeps, are reached, too. One such scope runs at a time: others wait. A thread's own recorder goes before
    /// it. Handles that threads keep from the scope go on feeding this store.
    ///
    /// The first call makes the process's recorder one that passes on to the scope that runs, and to nobody outside of one; so
    /// it is for tests, not for a program that installs a recorder.
    ///
    /// # Errors
    ///
    /// When another recorder is installed in the process, and inside of another such scope of this thread, which could only
    /// wait for itself. For the same reason a scope must not wait for a thread that opens one.
    ///
    /// ```
    /// let (recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// recorder.scope_process(|| {
    ///     std::thread::spawn(|| metrics::counter!("jobs_total").increment(1)).join().unwrap();
    /// })?;
    /// assert_eq!(recall.counters("jobs_total").total(), Some(1));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn scope_process<T>(&self, f: impl FnOnce() -> T) -> Result<T, Error> {
        let _turn = passing::turn(self.clone())?;
        Ok(f())
    }
}

mod passing {
    //! The process's recorder in tests: whatever comes goes to the scope that runs.

    use super::RecallRecorder;
    use crate::error::Error;
    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };
    use parking_lot::{Mutex, MutexGuard, RwLock};
    use std::{cell::Cell, sync::OnceLock};

    /// One scope at a time.
    static TURN: Mutex<()> = Mutex::new(());

    static SCOPE: RwLock<Option<RecallRecorder>> = RwLock::new(None);

    thread_local! {
        /// The scope that runs is this thread's.
        static IS_MINE: Cell<bool> = const { Cell::new(false) };
    }

    /// Ends the scope when it is dropped, also by a panic.
    pub(super) struct Turn(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

    impl Drop for Turn {
        fn drop(&mut self) {
            *SCOPE.write() = None;
            IS_MINE.set(false);
        }
    }

    pub(super) fn turn(recorder: RecallRecorder) -> Result<Turn, Error> {
        static IS_OURS: OnceLock<bool> = OnceLock::new();
        if !*IS_OURS.get_or_init(|| metrics::set_global_recorder(Passing).is_ok()) {
            return Err(Error::installed(
                "a global recorder is installed already: `scope_process` needs a process without one",
            ));
        }
        if IS_MINE.get() {
            return Err(Error::reentrant(
                "`scope_process` inside of `scope_process`: one runs at a time, and this one would wait for itself; `scope` may be called there",
            ));
        }
        let turn = Turn(TURN.lock());
        IS_MINE.set(true);
        *SCOPE.write() = Some(recorder);
        Ok(turn)
    }

    struct Passing;

    /// Asks the scope that runs.
    fn pass<T>(ask: impl FnOnce(&RecallRecorder) -> T) -> Option<T> {
        let scope = SCOPE.read().clone();
        scope.as_ref().map(ask)
    }

    impl Recorder for Passing {
        fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
            pass(|scope| scope.describe_counter(key, unit, description));
        }

        fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
            pass(|scope| scope.describe_gauge(key, unit, description));
        }

        fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
            pass(|scope| scope.describe_histogram(key, unit, description));
        }

        fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
            pass(|scope| scope.register_counter(key, metadata)).unwrap_or(Counter::noop())
        }

        fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
            pass(|scope| scope.register_gauge(key, metadata)).unwrap_or(Gauge::noop())
        }

        fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
            pass(|scope| scope.register_histogram(key, metadata)).unwrap_or(Histogram::noop())
        }
    }
}

impl fmt::Debug for RecallRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecallRecorder").finish_non_exhaustive()
    }
}

impl Recorder for RecallRecorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0
            .describe(MetricKind::Counter, key.as_str(), unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0
            .describe(MetricKind::Gauge, key.as_str(), unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0
            .describe(MetricKind::Histogram, key.as_str(), unit, &description);
    }

    #[inline]
    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.0
            .cell::<Counters>(key, metadata)
            .map_or(Counter::noop(), Counter::from_arc)
    }

    #[inline]
    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.0
            .cell::<Gauges>(key, metadata)
            .map_or(Gauge::noop(), Gauge::from_arc)
    }

    #[inline]
    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.0
            .cell::<Histograms>(key, metadata)
            .map_or(Histogram::noop(), Histogram::from_arc)
    }
}
