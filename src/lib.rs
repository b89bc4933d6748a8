//! In-process history for the [`metrics`] facade.
//!
//! Keep your `counter!`, `gauge!` and `histogram!` calls; install one recorder; and the process remembers, and answers
//! questions about its last minutes, inside a byte budget that it cannot exceed.
//!
//! ```
//! use metrics_recall::{Clock, Recall, mins, secs};
//! use metrics::{counter, gauge, histogram};
//!
//! // A program says `Recall::builder().install()?` and is done; an example moves its clock by hand.
//! let (clock, hands) = Clock::manual();
//! let (recorder, recall) = Recall::builder().clock(clock).build()?;
//! recorder.scope(|| {
//!     counter!("orders_total", "region" => "eu").increment(12);
//!     gauge!("queue_depth").set(7.0);
//!     histogram!("checkout_seconds").record(0.125);
//! });
//! hands.advance(secs(1));
//! recall.tick();
//!
//! assert_eq!(recall.counters("orders_total").total(), Some(12));
//! assert_eq!(recall.counters("orders_total").over(mins(5)).rate(), Some(12.0));
//! assert_eq!(recall.gauges("queue_depth").over(mins(5)).max(), Some(7.0));
//! let p99 = recall.histograms("checkout_seconds").over(mins(5)).quantile(0.99);
//! assert_eq!(p99, Some(0.125));
//! # Ok::<(), metrics_recall::Error>(())
//! ```
//!
//! # Where to read on
//!
//! The [`guide`] is the book: [first steps](guide::first_steps), [concepts](guide::concepts), a [cookbook](guide::cookbook),
//! [testing your metrics](guide::testing), [costs](guide::costs), [limits](guide::limits), a
//! [comparison](guide::comparison), [coming from metrics-exporter-prometheus](guide::from_prometheus_exporter), and
//! [features and versions](guide::features).
//!
//! # What it promises
//!
//! - **Transparent**: whatever emits through `metrics` 0.24 shows up, third-party crates included.
//! - **Bounded**: [`Recall::memory`] is never above its budget, and is what the allocator was really asked for.
//! - **Lossless**: past a limit a sample lands in its metric's overflow series, labelled `overflow="true"`; totals by
//!   name stay exact. What is dropped or shortened is named in [`Recall::health`].
//! - **Recording cannot fail**: through a handle it takes no lock, allocates nothing (but for the first value of a
//!   histogram in an octave) and reads no clock.
//!
//! # Words
//!
//! A *metric* is a name of one kind; a *series* is a metric with one set of labels. A *tick* moves what was recorded
//! into a *frame* of history, once a second by default. A *window* is a stretch of ticks that a question is about.

#![cfg_attr(
    loom,
    expect(dead_code, unused_imports, reason = "models reach live cells only")
)]

mod codec;
mod ledger;
mod live;
mod model;
mod util;

// Models of live cells need none of these, and loom has no threads for them.
#[cfg(not(loom))]
mod alerts;
#[cfg(not(loom))]
mod builder;
#[cfg(not(loom))]
mod clock;
#[cfg(not(loom))]
mod config;
#[cfg(not(loom))]
mod engine;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod exposition;
#[cfg(not(loom))]
pub mod guide;
#[cfg(not(loom))]
mod handle;
#[cfg(not(loom))]
mod history;
#[cfg(not(loom))]
pub mod query;
#[cfg(not(loom))]
mod recorder;
#[cfg(not(loom))]
mod timing;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

/// The facade that this crate records for, at the version that it works with.
pub use metrics;
pub use model::{Labels, MetricKind, Timestamp};

#[cfg(not(loom))]
pub use self::{
    alerts::{
        Alert, AlertEvent, AlertFilter, AlertGroup, AlertReceiver, AlertRule, AlertState, Alerts,
        CallbackStats, Condition, NoData, RuleStatus, Severity, Subscription,
    },
    builder::RecallBuilder,
    clock::{Clock, ManualClock, mins, secs},
    config::{HistogramRule, MemoryProfile, ProfileConfig, RetentionRule, Tier},
    engine::{
        Frame, Freed, Health, Memory, MetricInfo, Reader, Retention, SeriesValue, Snapshot,
        Summary, Tick, Value,
    },
    error::Error,
    exposition::Format,
    handle::Recall,
    query::{
        Aggregation, Answer, Bucket, Direction, GaugeSample, HistogramSample, Measure, Point,
        Selection, Stats, Trend, Watch,
    },
    recorder::RecallRecorder,
    timing::{Timed, TimedFuture, Timer, time, timed_future},
};

/// The README's code compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
