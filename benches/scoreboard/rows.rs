//! The table as data: what each row is called, what the prototypes reached, the goal and the must; and the groups.

use self::Unit::{Bytes, Calls, Nanos, Times, Yards};
use crate::subject::Subject::{self, Facade, Mep, Recall};
use crate::{
    alerts, collect, history, hot, memory, questions, render, scrape, sites, store, timing,
};

/// What a row counts in, and which number its goal is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds, judged as a multiple of the yardstick.
    Yards,
    /// Nanoseconds, judged as they are.
    Nanos,
    /// Heap bytes.
    Bytes,
    /// Allocations, judged beyond the facade's own.
    Calls,
    /// A ratio of two measurements of this run.
    Times,
}

/// One line of the table.
pub struct Row {
    pub group: &'static str,
    pub id: &'static str,
    pub what: &'static str,
    pub unit: Unit,
    pub proto: &'static str,
    pub goal: Option<f64>,
    pub must: Option<f64>,
}

/// Rows that share a child process.
pub struct Group {
    pub name: &'static str,
    pub subjects: &'static [Subject],
    /// Runs of which the smallest values count; more than one where a single preemption would spoil the row.
    pub runs: usize,
    pub run: fn(Subject),
}

const ALL: &[Subject] = &[Recall, Mep, Facade];
const BOTH: &[Subject] = &[Recall, Mep];

pub const GROUPS: &[Group] = &[
    group("macros", ALL, 1, hot::macros),
    group("pairs", BOTH, 1, hot::pairs),
    group("dynamic", ALL, 1, hot::dynamic),
    group("sites", ALL, 1, sites::sites),
    group("crowd", ALL, 1, hot::crowd),
    group("handles", BOTH, 1, hot::handles),
    group("timing", ALL, 1, timing::timing),
    group("sampling", ALL, 1, timing::sampling),
    group("collect", &[Recall], 1, collect::collect),
    #[cfg(feature = "alloc")]
    group("counted", &[Recall], 1, collect::counted),
    group("allocations", ALL, 1, memory::allocations),
    group("latency", BOTH, 3, store::latency),
    group("fresh", BOTH, 1, memory::fresh),
    group("counters", BOTH, 1, memory::counters),
    group("histograms", BOTH, 1, memory::histograms),
    group("tick", &[Recall], 1, store::tick),
    group("tick_histograms", &[Recall], 1, store::tick_histograms),
    group("query", &[Recall], 1, history::query),
    group("questions", &[Recall], 1, questions::questions),
    group("alerts", &[Recall], 1, alerts::alerts),
    group("day", &[Recall], 1, history::day),
    group("readers", &[Recall], 1, history::readers),
    group("points", &[Recall], 1, history::points),
    group("register", BOTH, 3, store::register),
    group("render", BOTH, 1, render::counters),
    group("render_histograms", BOTH, 1, render::histograms),
    group("render_summaries", BOTH, 1, render::summaries),
    group("scrape", &[Recall], 1, scrape::scrape),
    group("scraped", BOTH, 1, scrape::scraped),
    group("tee", BOTH, 1, hot::tee),
];

const fn group(
    name: &'static str,
    subjects: &'static [Subject],
    runs: usize,
    run: fn(Subject),
) -> Group {
    Group {
        name,
        subjects,
        runs,
        run,
    }
}

/// Builds a row; `goal` and `must` follow where there are any.
const fn row(group: &'static str, id: &'static str, what: &'static str, unit: Unit) -> Row {
    Row {
        group,
        id,
        what,
        unit,
        proto: "",
        goal: None,
        must: None,
    }
}

impl Row {
    const fn proto(mut self, text: &'static str) -> Self {
        self.proto = text;
        self
    }

    const fn goal(mut self, most: f64) -> Self {
        self.goal = Some(most);
        self
    }

    const fn must(mut self, most: f64) -> Self {
        self.must = Some(most);
        self
    }
}

pub const ROWS: &[Row] = &[
    row("macros", "counter_static", "counter! static key", Yards)
        .proto("2.65")
        .goal(3.0)
        .must(4.0),
    row(
        "pairs",
        "counter_pair_same",
        "counter! static key, 2 threads, one metric",
        Yards,
    )
    .proto("2.67")
    .goal(3.2)
    .must(5.0),
    row(
        "pairs",
        "counter_pair_apart",
        "counter! static keys, 2 threads, two metrics",
        Yards,
    )
    .proto("2.65")
    .goal(3.2)
    .must(5.0),
    row(
        "dynamic",
        "dynamic_1000",
        "counter! one dynamic label, 1,000 values",
        Yards,
    )
    .proto("7.9")
    .goal(8.5)
    .must(11.0),
    row("macros", "gauge_static", "gauge! static key", Yards),
    row("macros", "histogram_static", "histogram! static key", Yards).goal(4.0),
    row(
        "handles",
        "counter_own",
        "counter handle, own thread",
        Yards,
    )
    .proto("0.25")
    .goal(0.4),
    row(
        "handles",
        "counter_other",
        "counter handle, made on another thread",
        Yards,
    )
    .proto("1.0")
    .goal(1.15),
    row(
        "handles",
        "counter_shared",
        "one counter handle, 2 threads",
        Yards,
    )
    .proto("3.2")
    .goal(1.5),
    row("handles", "gauge_own", "gauge handle, set", Yards)
        .proto("0.30")
        .goal(0.5),
    row(
        "handles",
        "histogram_own",
        "histogram handle, own thread",
        Yards,
    )
    .proto("0.60")
    .goal(0.9),
    row(
        "handles",
        "histogram_other",
        "histogram handle, made on another thread",
        Yards,
    )
    .proto("2.15")
    .goal(2.4),
    row(
        "handles",
        "histogram_shared",
        "one histogram handle, 2 threads",
        Yards,
    )
    .goal(3.0),
    row(
        "handles",
        "histogram_drain",
        "... its drain at a tick or upkeep, per sample",
        Yards,
    ),
    row("collect", "collect_process", "this process, one run", Nanos),
    row(
        "collect",
        "collect_all",
        "... and the machine: all defaults, one run",
        Nanos,
    )
    .goal(1e6),
    #[cfg(feature = "alloc")]
    row(
        "counted",
        "alloc_system",
        "64 bytes allocated and freed",
        Yards,
    ),
    #[cfg(feature = "alloc")]
    row("counted", "alloc_counted", "... and counted", Yards),
    row(
        "timing",
        "timer_parts",
        "two counter readings and a histogram! record",
        Yards,
    ),
    row("timing", "timer", "a Timer around nothing", Yards),
    row("timing", "timer_times", "... times its parts", Times).goal(1.1),
    row("timing", "timer_closure", "time(.., closure)", Yards),
    row(
        "timing",
        "timer_std",
        "two `Instant`s and a histogram! record",
        Yards,
    ),
    row(
        "timing",
        "timed_by_hand",
        "a function with a Timer and one label",
        Yards,
    ),
    row(
        "timing",
        "timed",
        "... with #[timed] (feature macros)",
        Yards,
    ),
    row("timing", "timed_times", "... times the one by hand", Times).goal(1.1),
    row("timing", "timed_result", "... with #[timed(result)]", Yards),
    row(
        "timing",
        "timed_in_flight",
        "... with #[timed(in_flight)]",
        Yards,
    ),
    row("sampling", "sampled_not", "histogram! of every call", Yards),
    row(
        "sampling",
        "sampled_64",
        "... of one in 64 by chance",
        Yards,
    ),
    row(
        "sampling",
        "sampled_auto",
        "... of a thousand a second",
        Yards,
    ),
    row(
        "sampling",
        "throttled",
        "throttled! with most held back",
        Yards,
    ),
    row(
        "allocations",
        "calls_counter",
        "allocations per counter! static key",
        Calls,
    )
    .proto("0")
    .goal(0.0)
    .must(0.0),
    row(
        "allocations",
        "calls_gauge",
        "allocations per gauge! static key",
        Calls,
    )
    .goal(0.0)
    .must(0.0),
    row(
        "allocations",
        "calls_histogram",
        "allocations per histogram! static key",
        Calls,
    )
    .goal(0.0)
    .must(0.0),
    row(
        "allocations",
        "calls_dynamic",
        "allocations per counter! one dynamic label",
        Calls,
    )
    .proto("+0")
    .goal(0.0)
    .must(0.0),
    row(
        "latency",
        "record_p9999",
        "99.99th percentile of a record amid ticks, evictions",
        Nanos,
    )
    .goal(2_000.0),
    row("latency", "record_p999", "... 99.9th percentile", Nanos),
    row("latency", "record_p50", "... median", Nanos),
    row(
        "register",
        "register_slowest",
        "slowest registration of 1,000,000",
        Nanos,
    )
    .goal(1_000_000.0),
    row("register", "register_mean", "... and the mean", Nanos),
    row("fresh", "heap_fresh", "heap of a fresh recorder", Bytes).goal(262_144.0),
    row(
        "counters",
        "heap_counter",
        "heap per counter series, 3 labels, no history",
        Bytes,
    )
    .goal(180.0),
    row(
        "histograms",
        "heap_histograms",
        "heap of 10,000 histograms x 100 samples",
        Bytes,
    )
    .goal(20_000_000.0),
    row(
        "tick",
        "tick_active",
        "tick per counter series, 100,000 active",
        Nanos,
    )
    .proto("0.75 ns")
    .goal(30.0),
    row(
        "tick",
        "tick_idle",
        "tick per counter series, 100,000 idle",
        Nanos,
    )
    .goal(3.0),
    row(
        "tick",
        "tick_slowest",
        "slowest of 300 ticks, times the median",
        Times,
    )
    .goal(3.0),
    row(
        "tick",
        "tick_tenfold",
        "tick of 100,000 active, times that of 10,000",
        Times,
    )
    .goal(10.0),
    row(
        "tick_histograms",
        "tick_histograms",
        "tick per busy histogram, 10,000 of them",
        Nanos,
    ),
    row(
        "query",
        "query_p99",
        "p99 over 5 min at 1 s, 100 buckets a tick",
        Nanos,
    )
    .goal(60_000.0)
    .must(100_000.0),
    row(
        "query",
        "query_day",
        "p99 over 24 h of the same histogram",
        Nanos,
    )
    .goal(500_000.0),
    row(
        "questions",
        "ask_rate",
        "rate of one series over 5 min",
        Nanos,
    )
    .goal(5_000.0),
    row(
        "questions",
        "ask_by",
        "rates over 5 min by label, 1,000 series",
        Nanos,
    )
    .goal(5_000_000.0),
    row(
        "questions",
        "ask_every",
        "rates of one series, 600 steps of 1 s",
        Nanos,
    )
    .goal(200_000.0),
    row(
        "questions",
        "ask_typo",
        "rate of a name that was never seen",
        Nanos,
    )
    .goal(1_000.0),
    row("questions", "watch_get", "a watch is read", Nanos).goal(1.0),
    row(
        "alerts",
        "alerts_tick",
        "alerts: 1,000 rules over 10,000 series, per tick",
        Nanos,
    )
    .goal(20e6),
    row(
        "alerts",
        "alerts_slowest",
        "... the slowest tick of 130",
        Nanos,
    ),
    row(
        "alerts",
        "alerts_history",
        "... with three times the history, times that",
        Times,
    )
    .goal(1.1),
    row(
        "render",
        "render_first",
        "render 100,000 counters as text, the first time",
        Nanos,
    ),
    row("render", "render", "... later, changed meanwhile", Nanos).goal(8e6),
    row(
        "render",
        "render_times_client",
        "... times prometheus-client's",
        Times,
    )
    .goal(1.1),
    row(
        "render_histograms",
        "render_histograms_first",
        "render 10,000 histograms, 12 buckets, the first time",
        Nanos,
    ),
    row(
        "render_histograms",
        "render_histograms",
        "... later, changed meanwhile",
        Nanos,
    )
    .goal(12e6),
    row(
        "render_summaries",
        "render_summaries_first",
        "render 10,000 summaries over 60 s, the first time",
        Nanos,
    ),
    row(
        "render_summaries",
        "render_summaries",
        "... later, changed meanwhile",
        Nanos,
    )
    .goal(60e6),
    row(
        "scrape",
        "scrape",
        "scrape 100,000 counters over HTTP",
        Nanos,
    ),
    row("scrape", "scrape_times", "... times the render", Times).goal(2.0),
    row("scrape", "scrape_gzip", "... compressed", Nanos),
    row("scrape", "scrape_gzip_times", "... times the render", Times).goal(5.0),
    row(
        "scraped",
        "scraped",
        "counter! while another core scrapes, times without",
        Times,
    )
    .goal(1.0 / 0.95),
    row(
        "tee",
        "counter_tee",
        "counter! static key, and to the exporter",
        Yards,
    )
    .goal(8.0),
    row(
        "day",
        "day_tick",
        "tick after 24 h, times that after 15 min",
        Times,
    )
    .goal(1.05),
    row(
        "readers",
        "readers_stranger",
        "recording beside questions to another store, times alone",
        Times,
    ),
    row(
        "readers",
        "readers_alone",
        "... beside questions to this one, times alone",
        Times,
    ),
    row(
        "readers",
        "readers_record",
        "... times beside those to the other",
        Times,
    )
    .goal(1.05),
    row(
        "readers",
        "readers_tick_stranger",
        "ticking beside questions to another store, times alone",
        Times,
    ),
    row(
        "readers",
        "readers_tick_alone",
        "... beside questions to this one, times alone",
        Times,
    ),
    row(
        "readers",
        "readers_tick",
        "... times beside those to the other",
        Times,
    )
    .goal(1.05),
    row(
        "points",
        "points_poisson",
        "history per point: counter, Poisson(50)",
        Bytes,
    )
    .goal(0.72),
    row("points", "points_idle", "... counter, idle", Bytes).goal(0.02),
    row(
        "points",
        "points_sparse",
        "... counter, active in 5 % of the ticks",
        Bytes,
    )
    .goal(0.13),
    row(
        "points",
        "points_memory",
        "... gauge, memory in bytes",
        Bytes,
    )
    .goal(0.8),
    row(
        "points",
        "points_percent",
        "... gauge, percent with one decimal",
        Bytes,
    )
    .goal(1.0),
    row("points", "points_walk", "... gauge, random walk", Bytes).goal(6.9),
    row(
        "points",
        "points_busy",
        "... histogram, 100 samples a tick",
        Bytes,
    ),
    row(
        "sites",
        "sites_1000",
        "counter! 1,000 call sites in turn",
        Yards,
    ),
    row(
        "dynamic",
        "dynamic_10000",
        "counter! one dynamic label, 10,000 values",
        Yards,
    ),
    row(
        "dynamic",
        "collide_0",
        "counter! 16 keys, hash bits 0..12 equal",
        Yards,
    ),
    row(
        "dynamic",
        "collide_40",
        "counter! 16 keys, hash bits 40..52 equal",
        Yards,
    ),
    row(
        "dynamic",
        "collide_52",
        "counter! 16 keys, hash bits 52..64 equal",
        Yards,
    ),
    row(
        "crowd",
        "crowd_256",
        "counter! 1,000 values from each of 256 threads",
        Yards,
    ),
];
