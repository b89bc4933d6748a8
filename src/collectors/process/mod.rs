//! This process: CPU, memory, files, threads, faults and switches, under the names of the Prometheus client libraries.
//!
//! [`Recall::collect_process`] records them; [`read`] gives one typed reading without recording anything.
//!
//! | metric | kind | what it is | where |
//! |---|---|---|---|
//! | `process_cpu_seconds_total` | counter, of fractions | CPU time of all threads, in the process and in the kernel | Unix |
//! | `process_resident_memory_bytes` | gauge | memory that is in RAM | Linux |
//! | `process_virtual_memory_bytes` | gauge | address space that is in use | Linux |
//! | `process_open_fds` | gauge | open file descriptors | Linux |
//! | `process_max_fds` | gauge | file descriptors that may be open | Unix |
//! | `process_start_time_seconds` | gauge | when the process began, since the Unix epoch | Linux |
//! | `process_threads` | gauge | threads | Linux |
//! | `process_paging_faults_total{type}` | counter | page faults: `minor` and, with a read from disk, `major` | Unix |
//! | `process_context_switches_total{type}` | counter | a thread left the CPU: `voluntary` or `involuntary` | Unix |
//!
//! Elsewhere a metric is missing, not zero. A program that also runs the crate `metrics-process` records most of these
//! twice, into the same series: use one of the two.

#[cfg(target_os = "linux")]
mod proc;
#[cfg(unix)]
mod usage;

use crate::{
    collectors::Collecting,
    error::Error,
    handle::Recall,
    intake::{CollectError, Collector, FractionalCounter},
};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use std::time::Duration;

/// What this process has used, and holds. What the system does not tell is `None`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Process {
    /// CPU time of all threads since the process began.
    pub cpu: Option<Duration>,
    /// Bytes in RAM.
    pub resident_bytes: Option<u64>,
    /// Bytes of address space in use.
    pub virtual_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// How many may be open; `None` also where there is no limit.
    pub max_fds: Option<u64>,
    /// When the process began, in seconds since the Unix epoch.
    pub start_seconds: Option<f64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Page faults without a read from disk, since the process began.
    pub minor_faults: Option<u64>,
    /// Page faults with a read from disk.
    pub major_faults: Option<u64>,
    /// How often a thread left the CPU to wait for something.
    pub voluntary_switches: Option<u64>,
    /// How often a thread was made to leave the CPU.
    pub involuntary_switches: Option<u64>,
}

impl Process {
    const UNKNOWN: Self = Self {
        cpu: None,
        resident_bytes: None,
        virtual_bytes: None,
        open_fds: None,
        max_fds: None,
        start_seconds: None,
        threads: None,
        minor_faults: None,
        major_faults: None,
        voluntary_switches: None,
        involuntary_switches: None,
    };
}

/// Reads what the system tells of this process, without recording it. Cost: some system calls, about 30 µs.
///
/// # Errors
///
/// When a system that should tell does not: `/proc` is not mounted, say.
///
/// ```
/// let process = metrics_recall::process::read()?;
/// println!("{:?} of CPU time", process.cpu);
/// # Ok::<(), metrics_recall::Error>(())
/// ```
pub fn read() -> Result<Process, Error> {
    try_read().map_err(|error| Error::system(error.to_string()))
}

fn try_read() -> Result<Process, CollectError> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "nothing is known there"))]
    let mut process = Process::UNKNOWN;
    #[cfg(unix)]
    usage::read(&mut process);
    #[cfg(target_os = "linux")]
    proc::read(&mut process)?;
    Ok(process)
}

impl Recall {
    /// Records what the system tells of this process once a second, for as long as the guard lives: the metrics of
    /// [`process`](crate::process).
    ///
    /// # Errors
    ///
    /// As [`collect`](Recall::collect), and when it is collected already.
    ///
    /// ```
    /// let (_recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// let _collecting = recall.collect_process()?;
    /// recall.tick();
    /// # #[cfg(target_os = "linux")]
    /// assert!(recall.gauges("process_resident_memory_bytes").current() > Some(0.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn collect_process(&self) -> Result<Collecting, Error> {
        self.collect(ProcessGroup::new(self, Duration::from_secs(1)))
    }
}

/// The collector.
pub(super) struct ProcessGroup {
    interval: Duration,
    cpu: FractionalCounter,
    is_described: bool,
}

impl ProcessGroup {
    pub(super) fn new(recall: &Recall, interval: Duration) -> Self {
        Self {
            interval,
            cpu: recall.fractional_counter("process_cpu_seconds_total"),
            is_described: false,
        }
    }
}

impl Collector for ProcessGroup {
    fn name(&self) -> &'static str {
        "process"
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn collect(&mut self) -> Result<(), CollectError> {
        if !std::mem::replace(&mut self.is_described, true) {
            describe();
        }
        let process = try_read()?;
        if let Some(cpu) = process.cpu {
            self.cpu.absolute(cpu.as_secs_f64());
        }
        record(&process);
        Ok(())
    }
}

/// A gauge: its name, its unit, what it is, and its value.
type Shown = (
    &'static str,
    Option<Unit>,
    &'static str,
    fn(&Process) -> Option<f64>,
);

const GAUGES: &[Shown] = &[
    (
        "process_resident_memory_bytes",
        Some(Unit::Bytes),
        "Memory that is in RAM.",
        |process| process.resident_bytes.map(float),
    ),
    (
        "process_virtual_memory_bytes",
        Some(Unit::Bytes),
        "Address space that is in use.",
        |process| process.virtual_bytes.map(float),
    ),
    (
        "process_open_fds",
        None,
        "Open file descriptors.",
        |process| process.open_fds.map(float),
    ),
    (
        "process_max_fds",
        None,
        "File descriptors that may be open.",
        |process| process.max_fds.map(float),
    ),
    (
        "process_start_time_seconds",
        Some(Unit::Seconds),
        "When the process began, since the Unix epoch.",
        |process| process.start_seconds,
    ),
    ("process_threads", None, "Threads.", |process| {
        process.threads.map(float)
    }),
];

/// A counter with a label `type`: its name, what it is, and the values of two types.
type Counted = (
    &'static str,
    &'static str,
    [(&'static str, fn(&Process) -> Option<u64>); 2],
);

const COUNTERS: &[Counted] = &[
    (
        "process_paging_faults_total",
        "Page faults by type.",
        [
            ("minor", |process| process.minor_faults),
            ("major", |process| process.major_faults),
        ],
    ),
    (
        "process_context_switches_total",
        "How often a thread left the CPU, by type.",
        [
            ("voluntary", |process| process.voluntary_switches),
            ("involuntary", |process| process.involuntary_switches),
        ],
    ),
];

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn float(n: u64) -> f64 {
    n as f64
}

fn record(process: &Process) {
    for (name, _, _, value) in GAUGES {
        if let Some(value) = value(process) {
            gauge!(*name).set(value);
        }
    }
    for (name, _, types) in COUNTERS {
        for (kind, value) in types {
            if let Some(value) = value(process) {
                counter!(*name, "type" => *kind).absolute(value);
            }
        }
    }
}

fn describe() {
    describe_counter!(
        "process_cpu_seconds_total",
        Unit::Seconds,
        "CPU time of all threads, in the process and in the kernel."
    );
    for (name, unit, what, _) in GAUGES {
        match *unit {
            Some(unit) => describe_gauge!(*name, unit, *what),
            None => describe_gauge!(*name, *what),
        }
    }
    for (name, what, _) in COUNTERS {
        describe_counter!(*name, *what);
    }
}
