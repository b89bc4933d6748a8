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
#[cfg(all(feature = "alloc", not(loom)))]
pub mod alloc;
#[cfg(not(loom))]
mod builder;
#[cfg(not(loom))]
mod catalogue;
#[cfg(not(loom))]
mod clock;
#[cfg(not(loom))]
mod collectors;
#[cfg(not(loom))]
mod config;
#[cfg(not(loom))]
mod engine;
#[cfg(not(loom))]
mod error;
#[cfg(all(feature = "push", not(loom)))]
mod export;
#[cfg(not(loom))]
mod exposition;
#[cfg(not(loom))]
pub mod guide;
#[cfg(not(loom))]
mod handle;
#[cfg(not(loom))]
mod history;
#[cfg(all(not(loom), feature = "http"))]
mod http;
#[cfg(not(loom))]
mod insights;
#[cfg(not(loom))]
mod intake;
#[cfg(not(loom))]
pub mod query;
#[cfg(not(loom))]
mod recorder;
#[cfg(not(loom))]
mod sampling;
#[cfg(not(loom))]
mod timing;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

/// The facade that this crate records for, at the version that it works with.
pub use metrics;
pub use model::{Labels, MetricKind, Timestamp};

#[cfg(all(feature = "probes", not(loom)))]
pub use collectors::probes;
#[cfg(all(feature = "system", not(loom)))]
pub use collectors::system;

#[cfg(not(loom))]
pub use self::{
    alerts::{
        Alert, AlertEvent, AlertFilter, AlertGroup, AlertReceiver, AlertRule, AlertState, Alerts,
        CallbackStats, Condition, NoData, RuleStatus, Severity, Subscription,
    },
    builder::RecallBuilder,
    catalogue::{Catalogue, Declared, MetricUnit},
    clock::{Clock, ManualClock, mins, secs},
    collectors::{Collecting, PoolStatus, RateMetric, process},
    config::{HistogramRule, MemoryProfile, ProfileConfig, RetentionRule, Tier},
    engine::{
        CollectorStatus, Frame, Freed, Health, HealthAlerts, HealthLevel, HealthMemory,
        HealthOffender, HealthReport, HealthSamples, HealthSeries, HealthTicks, Memory, MetricInfo,
        Reader, Retention, SeriesValue, Snapshot, Summary, Tick, Value,
    },
    error::Error,
    exposition::Format,
    handle::Recall,
    insights::{Insight, InsightKind},
    intake::{Cause, CollectError, Collector, FractionalCounter},
    query::{
        Aggregation, Answer, Bucket, CounterSample, Direction, GaugeSample, HistogramSample,
        Measure, Meter, Point, Selection, Stats, Trend, Watch,
    },
    recorder::RecallRecorder,
    timing::{Timed, TimedFuture, Timer, time, timed_future},
};

#[cfg(all(feature = "push", not(loom)))]
pub use self::export::PushGateway;
#[cfg(all(not(loom), feature = "http", unix))]
pub use self::http::UnixSidecar;
#[cfg(all(not(loom), feature = "http"))]
pub use self::http::{HttpRequest, HttpResponse, ServeOptions, Sidecar};

/// Times every call of a function, in seconds: `async` or not, a method or not, generic or not.
///
/// It emits through the facade, to whichever recorder is in place when the function is called; it keeps no handle between calls.
///
/// ```
/// use metrics_recall::{Recall, mins, timed};
///
/// #[timed]
/// fn parse(text: &str) -> usize {
///     text.lines().count()
/// }
///
/// #[timed(name = "checkout_seconds", labels(route = "/pay", region = region), result, in_flight)]
/// async fn checkout(region: &str) -> Result<u32, std::num::ParseIntError> {
///     "12".parse()
/// }
/// # let (recorder, recall) = Recall::builder().build()?;
/// # recorder.scope(|| assert_eq!(parse("a\nb"), 2));
/// # recall.tick();
/// # assert_eq!(recall.call_counts().len(), 1);
/// # let _ = (mins(5), checkout("eu"));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
///
/// | argument | what it does |
/// |---|---|
/// | none | `function_duration_seconds{function="module::name"}` |
/// | `name = "checkout_seconds"` | another metric; the label `function` is left out |
/// | `labels(route = "/pay", n = items.len())` | labels: literals, or whatever is `Display`, computed as the call begins |
/// | `result` | a label that says how a call ended: `result="ok"`, `"err"`, `"panic"` |
/// | `in_flight` | a gauge of calls that run: `checkout_in_flight`, or `function_in_flight` |
/// | `alloc` | histograms of what each call allocates: `checkout_allocations` (how often) and `checkout_allocated_bytes`, or `function_allocations` and `function_allocated_bytes`, with the labels of the time. Needs the feature `alloc` |
/// | `crate = path` | where this crate is found, if not at `::metrics_recall` |
///
/// A method has the path of its module, too, since an attribute does not see the type: say
/// `labels(function = "Cart::add")` where two would meet. `?`, `return`, borrowed results, `impl Trait`, `unsafe fn`, `async fn` in
/// traits, and functions that end with the `async` block that they return, as `async_trait` makes them, work as they did.
///
/// A future counts from its first poll to its end, waiting included. One that is given up has the label
/// `result="cancelled"`, also without `result`.
///
/// `alloc` asks the `alloc::CountingAllocator`, which has to be the program's `#[global_allocator]`; where
/// it is not, nothing is recorded, rather than zeros. What counts is what the call's own thread asks for, what it frees not taken
/// off, and calls within the call included; threads and tasks that it starts are on their own. A future counts what is asked for in its
/// polls, each on whatever thread it runs, so it may move, and what other tasks do between its polls is not its.
///
/// # Cost
///
/// That of a [`Timer`] around the body: the key is made at compile time, and no call allocates. Labels that are computed are
/// made anew for each call, as in the facade's own macros. `alloc` adds two records.
#[cfg(all(feature = "macros", not(loom)))]
pub use metrics_recall_macros::timed;

#[cfg(not(loom))]
#[doc(hidden)]
pub mod __catalogue {
    //! What `catalogue!` expands to.
    pub use crate::catalogue::{Catalogue, MetricUnit, declared, is_name, labelled};
}

#[cfg(not(loom))]
#[doc(hidden)]
pub mod __sampling {
    //! What `sampled!` and `throttled!` expand to.
    pub use crate::sampling::{Auto, Sampled, Site, Throttle, chosen, one_in};
}

#[cfg(all(feature = "macros", not(loom)))]
#[doc(hidden)]
pub use timing::call as __private;

/// ```compile_fail,E0277
/// #[metrics_recall::timed(result)]
/// fn answer() -> u32 {
///     42
/// }
/// ```
///
/// ```compile_fail,E0277
/// #[metrics_recall::timed(result)]
/// async fn answer() -> Option<u32> {
///     Some(42)
/// }
/// ```
///
/// ```compile_fail,E0277
/// struct Region;
///
/// #[metrics_recall::timed(labels(region = region))]
/// fn ship(region: Region) {}
/// ```
///
/// ```
/// #[metrics_recall::timed(result, labels(region = "eu"))]
/// fn answer() -> Result<u32, String> {
///     Ok(42)
/// }
/// ```
#[cfg(all(doctest, feature = "macros"))]
struct WrongUsesOfTimed;

/// ```compile_fail
/// #[metrics_recall::timed(alloc)]
/// fn answer() -> Vec<u32> {
///     vec![42]
/// }
/// ```
#[cfg(all(doctest, feature = "macros", not(feature = "alloc")))]
struct AllocationsWithoutTheirFeature;

/// ```compile_fail,E0080
/// metrics_recall::sampled!(1 in 0, metrics::counter!("n").increment(1));
/// ```
///
/// ```compile_fail,E0277
/// metrics_recall::sampled!(1 in 64, metrics::gauge!("n").set(1.0));
/// ```
///
/// ```compile_fail
/// metrics_recall::sampled!(2 in 64, metrics::counter!("n").increment(1));
/// ```
///
/// ```compile_fail,E0080
/// metrics_recall::throttled!(0 per second, metrics::counter!("n").increment(1));
/// ```
#[cfg(doctest)]
struct WrongUsesOfSampling;

/// ```compile_fail,E0599
/// metrics_recall::catalogue! { Shop {
///     /// An unknown unit.
///     counter orders_total: Cuont,
/// } }
/// ```
///
/// ```compile_fail,E0080
/// metrics_recall::catalogue! { Shop {
///     /// An illegal name.
///     counter orders_total = "orders total": Count,
/// } }
/// ```
///
/// ```compile_fail
/// metrics_recall::catalogue! { Shop {
///     /// No kind.
///     meter orders_total: Count,
/// } }
/// ```
///
/// ```
/// metrics_recall::catalogue! { Shop {
///     /// All is well.
///     counter orders_total = "shop.orders": Count,
/// } }
/// Shop::new().orders_total().increment(1);
/// ```
#[cfg(doctest)]
struct WrongUsesOfCatalogue;

/// The README's code compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
