//! One collector: when it is due, and what became of its runs.

use crate::{
    engine::{core::Core, summary::time},
    intake::{Cause, CollectError, Collector},
    live::{Counter, Histogram, Live},
    model::MetricKind,
    util::{
        caught::{Panic, caught},
        layout,
        recent::Recent,
        text::Shown,
    },
};
use metrics::{CounterFn, HistogramFn, Key, Label, Level, Metadata, Unit};
use parking_lot::Mutex;
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

/// What a collector did so far. Shown on one line, as in `queue: every 5s, 12 runs, the last took 1.2ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectorStatus {
    /// Its name, which is the label `collector` of what the store records of it.
    pub name: String,
    /// How often it is to run.
    pub interval: Duration,
    /// It is at work right now, and began so long ago.
    pub running: Option<Duration>,
    /// It was stopped, and waits to be started again.
    pub stopped: bool,
    /// Runs that ended.
    pub runs: u64,
    /// Runs that failed, those that panicked among them.
    pub failures: u64,
    /// How long the last run took.
    pub last_duration: Option<Duration>,
    /// What the last run failed of; `None`: it did not fail.
    pub last_error: Option<(Cause, String)>,
    /// When it runs next, from now; zero: with the next tick.
    pub next: Duration,
}

impl std::fmt::Display for CollectorStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, interval, runs) = (Shown(&self.name), self.interval, self.runs);
        write!(f, "{name}: every {interval:?}, {runs} runs")?;
        if self.failures > 0 {
            write!(f, ", {} failed", self.failures)?;
        }
        if let Some(took) = self.last_duration {
            write!(f, ", the last took {took:?}")?;
        }
        if let Some((cause, message)) = &self.last_error {
            write!(f, ", and failed ({cause}): {}", Shown(message))?;
        }
        if let Some(since) = self.running {
            write!(f, ", running for {since:?}")?;
        }
        if self.stopped {
            f.write_str(", stopped")?;
        }
        Ok(())
    }
}

/// A collector on the schedule.
pub(crate) struct Job {
    pub(super) name: Box<str>,
    interval_ns: u64,
    /// Locked while it runs, and never waited for.
    collector: Mutex<Option<Box<dyn Collector>>>,
    state: Mutex<State>,
    is_stopped: AtomicBool,
    failed: Recent,
    durations: Key,
    errors: Key,
}

#[derive(Debug, Default)]
struct State {
    /// On the store's clock.
    next_ns: u64,
    running_since: Option<u64>,
    runs: u64,
    failures: u64,
    /// Since the last run that did not fail.
    in_a_row: u32,
    last_took: Option<Duration>,
    last_error: Option<CollectError>,
}

/// However long a collector fails, it is tried so often, unless its interval is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How long to wait after the last of so many failures in a row.
fn wait(interval_ns: u64, in_a_row: u32) -> u64 {
    let longest = u64::try_from(LONGEST_WAIT.as_nanos()).unwrap_or(u64::MAX);
    let factor = 1_u64 << in_a_row.saturating_sub(1).min(20);
    let longer = interval_ns.saturating_mul(factor);
    longer.min(longest.max(interval_ns))
}

/// The first instant after `now` that is whole intervals from `next`, so that runs keep their time.
fn after(next_ns: u64, interval_ns: u64, now_ns: u64) -> u64 {
    match now_ns.checked_sub(next_ns) {
        None => now_ns.saturating_add(interval_ns),
        Some(past) => next_ns.saturating_add((past / interval_ns + 1).saturating_mul(interval_ns)),
    }
}

static HERE: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

const DURATIONS: &str = "recall_collector_duration_seconds";
const ERRORS: &str = "recall_collector_errors_total";

/// What the store says of its collectors.
pub(super) fn describe(live: &Live) {
    let seconds = Some(Unit::Seconds);
    let text = "How long collectors took.";
    live.describe(MetricKind::Histogram, DURATIONS, seconds, text);
    let text = "Runs of collectors that failed.";
    live.describe(MetricKind::Counter, ERRORS, None, text);
}

impl Job {
    pub(super) fn new(
        collector: Box<dyn Collector>,
        name: &str,
        interval: Duration,
        now_ns: u64,
    ) -> Self {
        let label = || vec![Label::new("collector", name.to_owned())];
        Self {
            name: name.into(),
            interval_ns: u64::try_from(interval.as_nanos())
                .unwrap_or(u64::MAX)
                .max(1),
            collector: Mutex::new(Some(collector)),
            state: Mutex::new(State {
                next_ns: now_ns,
                ..State::default()
            }),
            is_stopped: AtomicBool::new(false),
            failed: Recent::new(),
            durations: Key::from_parts(DURATIONS, label()),
            errors: Key::from_parts(ERRORS, label()),
        }
    }

    /// Bytes on the heap, the collector's own included, and what it may hold there not.
    pub(super) fn bytes(collector: &dyn Collector, name: &str) -> usize {
        let label = layout::vec::<Label>(1) + name.len();
        // The last error's text has a limit.
        collector.bytes() + name.len() + 2 * label + 256
    }

    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        let state = self.state.lock();
        !self.is_stopped.load(Relaxed) && state.running_since.is_none() && state.next_ns <= now_ns
    }

    /// Runs it, unless it is running. `core` is asked for before and after, so that a run that blocks keeps no store.
    pub(super) fn run<C: std::ops::Deref<Target = Core>>(&self, core: impl Fn() -> Option<C>) {
        let Some(mut place) = self.collector.try_lock() else {
            return;
        };
        let Some(collector) = place.as_mut() else {
            return;
        };
        let Some(begin_ns) = core().map(|core| core.clock.elapsed_ns()) else {
            return;
        };
        self.state.lock().running_since = Some(begin_ns);
        let result = caught(|| collector.collect());
        let result = result.unwrap_or_else(|panic| Err(CollectError::other(said(&panic))));
        drop(place);
        let end_ns = core().map_or(begin_ns, |core| {
            let end_ns = core.clock.elapsed_ns();
            let took = Duration::from_nanos(end_ns.saturating_sub(begin_ns));
            self.record(&core.live, took, result.is_err());
            end_ns
        });
        self.note(begin_ns, end_ns, result);
    }

    fn record(&self, live: &Live, took: Duration, is_failure: bool) {
        if let Some(cell) = live.cell::<Histogram>(&self.durations, &HERE) {
            cell.record(took.as_secs_f64());
        }
        if let Some(cell) = live.cell::<Counter>(&self.errors, &HERE) {
            cell.increment(u64::from(is_failure));
        }
    }

    fn note(&self, begin_ns: u64, end_ns: u64, result: Result<(), CollectError>) {
        let mut state = self.state.lock();
        state.running_since = None;
        state.runs += 1;
        state.last_took = Some(Duration::from_nanos(end_ns.saturating_sub(begin_ns)));
        match result {
            Ok(()) => {
                state.in_a_row = 0;
                state.last_error = None;
                state.next_ns = after(state.next_ns, self.interval_ns, end_ns);
            }
            Err(error) => {
                self.failed.add(1);
                state.failures += 1;
                state.in_a_row = state.in_a_row.saturating_add(1);
                state.last_error = Some(error);
                state.next_ns = end_ns.saturating_add(wait(self.interval_ns, state.in_a_row));
            }
        }
    }

    /// A run that could not begin.
    pub(super) fn fail(&self, now_ns: u64, error: CollectError) {
        self.note(now_ns, now_ns, Err(error));
    }

    /// It never runs again.
    pub(super) fn discard(&self) {
        let collector = self.collector.try_lock().and_then(|mut place| place.take());
        // A collector's own end is user code.
        drop(caught(|| drop(collector)));
    }

    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Relaxed);
    }

    /// From the next tick on, and as if it had never failed.
    pub(super) fn start(&self, now_ns: u64) {
        let mut state = self.state.lock();
        state.next_ns = now_ns;
        state.in_a_row = 0;
        self.is_stopped.store(false, Relaxed);
    }

    pub(super) fn turn(&self) {
        self.failed.turn();
    }

    pub(super) fn status(&self, now_ns: u64) -> CollectorStatus {
        let state = self.state.lock();
        let since = |ns: u64| Duration::from_nanos(now_ns.saturating_sub(ns));
        let error = state.last_error.as_ref();
        CollectorStatus {
            name: self.name.to_string(),
            interval: Duration::from_nanos(self.interval_ns),
            running: state.running_since.map(since),
            stopped: self.is_stopped.load(Relaxed),
            runs: state.runs,
            failures: state.failures,
            last_duration: state.last_took,
            last_error: error.map(|error| (error.cause(), error.to_string())),
            next: Duration::from_nanos(state.next_ns.saturating_sub(now_ns)),
        }
    }

    /// What is wrong with it.
    pub(super) fn reasons(&self, now_ns: u64, to: &mut Vec<String>) {
        let status = self.status(now_ns);
        let name = Shown(&self.name);
        let patience = status.interval.max(Duration::from_secs(5));
        if let Some(since) = status.running.filter(|since| *since > patience) {
            to.push(format!(
                "collector `{name}` has been running for {:.0} s, with an interval of {:?}: what it reads is old",
                since.as_secs_f64(),
                status.interval
            ));
        }
        let failed = self.failed.recent();
        if failed == 0 {
            return;
        }
        to.push(match status.last_error {
            Some((cause, message)) => format!(
                "collector `{name}` failed {failed} times, the last time of this ({cause}): {}; it is tried again in {}",
                Shown(&message),
                time(status.next.as_secs_f64())
            ),
            None => format!("collector `{name}` failed {failed} times, and works again"),
        });
    }
}

/// What a panic said.
fn said(panic: &Panic) -> String {
    format!(
        "it panicked: {}",
        panic.text().unwrap_or("without a message")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn failures_in_a_row_are_tried_later_and_later() {
        let waits: Vec<u64> = [1, 2, 3, 9, 60].map(|n| wait(SECOND, n) / SECOND).into();
        assert_eq!(waits, [1, 2, 4, 256, 300]);
        assert_eq!(wait(600 * SECOND, 60), 600 * SECOND);
        assert_eq!(wait(u64::MAX, 5), u64::MAX);
    }

    #[test]
    fn runs_keep_their_time() {
        assert_eq!(after(5, 10, 5), 15);
        assert_eq!(after(5, 10, 14), 15);
        assert_eq!(after(5, 10, 15), 25);
        assert_eq!(after(5, 10, 2), 12);
        assert_eq!(after(u64::MAX - 1, 10, u64::MAX), u64::MAX);
    }
}
