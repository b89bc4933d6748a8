//! The summary for a terminal: what there is, kind by kind, with what it did over the last minute.

use super::{
    core::Core,
    info::{Bytes, MetricInfo, Retention},
};
use crate::{
    model::MetricKind,
    query::{Counters, Gauges, Histograms, Selection},
    util::text::{Shown, clip},
};
use std::{fmt, sync::Arc, time::Duration};

/// All metrics, kind by kind, each on a line of its own, with what they did over the last minute. Columns are aligned, and
/// numbers have the units that `describe_*` gave, or that a name ends with, as in `_seconds` and `_bytes`.
///
/// ```
/// # let (recorder, recall) = metrics_recall::Recall::builder().build()?;
/// # recorder.scope(|| metrics::counter!("orders_total").increment(3));
/// # recall.tick();
/// println!("{}", recall.summary());
/// # assert!(recall.summary().to_string().contains("orders_total"));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Summary {
    head: [String; 2],
    tables: Vec<Table>,
    foot: Option<String>,
}

/// The metrics of one kind.
#[derive(Clone, Debug)]
struct Table {
    /// Name of the first column, and the others'.
    head: [&'static str; 6],
    rows: Vec<[String; 6]>,
    more: usize,
}

/// Metrics of a kind that a summary shows at most.
const MOST_ROWS: usize = 100;

/// Bytes of a name that are shown.
const LONGEST_NAME: usize = 40;

const WINDOW: Duration = Duration::from_secs(60);

impl Summary {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        let metrics = core.metrics();
        let up = core.clock.elapsed_ns().saturating_sub(core.born_ns);
        let series: usize = metrics.iter().map(|m| m.series).sum();
        let head = [
            format!(
                "{}, {series} series in {}",
                counted(metrics.len(), "metric"),
                core.memory()
            ),
            format!(
                "up {}; history {}",
                time(Duration::from_nanos(up).as_secs_f64()),
                history(&core.retention())
            ),
        ];
        let now = core.now().as_millis();
        let kinds = [
            (
                MetricKind::Counter,
                ["counters", "total", "rate", "", "", "series"],
            ),
            (
                MetricKind::Gauge,
                ["gauges", "now", "min", "avg", "max", "series"],
            ),
            (
                MetricKind::Histogram,
                ["histograms", "rate", "p50", "p99", "max", "series"],
            ),
        ];
        let table = |(kind, head): (MetricKind, _)| {
            let of_kind = || metrics.iter().filter(|metric| metric.kind == kind);
            Table {
                head,
                rows: of_kind()
                    .take(MOST_ROWS)
                    .map(|m| row(core, m, now))
                    .collect(),
                more: of_kind().count().saturating_sub(MOST_ROWS),
            }
        };
        let tables = kinds.into_iter().map(table);
        Self {
            head,
            tables: tables.filter(|table| !table.rows.is_empty()).collect(),
            foot: core.deaf(),
        }
    }
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}

/// How far each tier reaches back.
fn history(tiers: &[Retention]) -> String {
    let seconds = |time: Duration| self::time(time.as_secs_f64());
    let has = tiers.iter().filter(|tier| tier.points > 0);
    let texts: Vec<String> = has
        .map(|tier| {
            let short = if tier.shortened > 0 && tier.effective < tier.target {
                format!(" instead of {}", seconds(tier.target))
            } else {
                String::new()
            };
            let (every, back) = (seconds(tier.interval), seconds(tier.effective));
            format!("of {back}{short} every {every}")
        })
        .collect();
    if texts.is_empty() {
        return "of no tick yet".to_owned();
    }
    texts.join(", ")
}

/// Seconds for people, in the unit in which they are neither many nor few.
pub(crate) fn time(seconds: f64) -> String {
    let (by, unit) = match seconds.abs() {
        0.0 => (1.0, "s"),
        size if size < 1e-6 => (1e-9, "ns"),
        size if size < 1e-3 => (1e-6, "us"),
        size if size < 1.0 => (1e-3, "ms"),
        size if size < 120.0 => (1.0, "s"),
        size if size < 7_200.0 => (60.0, "min"),
        size if size < 172_800.0 => (3_600.0, "h"),
        _ => (86_400.0, "d"),
    };
    format!("{} {unit}", short(seconds / by))
}

/// `now`: milliseconds since the Unix epoch.
fn row(core: &Arc<Core>, metric: &MetricInfo, now: i64) -> [String; 6] {
    let unit = Unit::of(metric, now);
    let show = |value: Option<f64>| value.map_or("-".to_owned(), |value| unit.show(value));
    let per_second = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| unit.per_second(rate));
    let numbers = match metric.kind {
        MetricKind::Counter => {
            let ask = Selection::<Counters>::new(core.clone(), &metric.name);
            let total = ask.exact_total();
            let rate = ask.over(WINDOW).rate();
            [show(total), per_second(rate), String::new(), String::new()]
        }
        MetricKind::Gauge => {
            let ask = Selection::<Gauges>::new(core.clone(), &metric.name);
            let over = ask.clone().over(WINDOW);
            if let Unit::Instant { .. } = unit {
                // Extremes and means of instants say nothing more, and sums nothing at all.
                let none = String::new;
                let newest = if metric.series > 1 { over.max() } else { None };
                let since = show(newest.or_else(|| ask.current()));
                return [
                    name(&metric.name),
                    since,
                    none(),
                    none(),
                    none(),
                    series(metric),
                ];
            }
            let now = show(ask.current());
            [
                if metric.series > 1 {
                    format!("sum {now}")
                } else {
                    now
                },
                show(over.min()),
                show(over.avg()),
                show(over.max()),
            ]
        }
        MetricKind::Histogram => {
            let over = Selection::<Histograms>::new(core.clone(), &metric.name).over(WINDOW);
            let rate = over
                .rate()
                .map_or("-".to_owned(), |rate| format!("{}/s", short(rate)));
            [
                rate,
                show(over.quantile(0.5)),
                show(over.quantile(0.99)),
                show(over.max()),
            ]
        }
    };
    let [a, b, c, d] = numbers;
    [name(&metric.name), a, b, c, d, series(metric)]
}

fn series(metric: &MetricInfo) -> String {
    let overflow = if metric.overflowed > 0 {
        " + overflow"
    } else {
        ""
    };
    format!("{}{overflow}", metric.series)
}

/// A name, with its middle left out if it is long: names differ at their ends.
fn name(name: &str) -> String {
    let shown = Shown(name).to_string();
    if shown.len() <= LONGEST_NAME {
        return shown;
    }
    let half = LONGEST_NAME / 2;
    let mut from = shown.len() - half;
    while !shown.is_char_boundary(from) {
        from += 1;
    }
    let (head, tail) = (clip(&shown, half), shown.get(from..).unwrap_or_default());
    format!("{head}…{tail}")
}

/// Whether a name is of a time of day, which is no duration.
fn is_instant(name: &str) -> bool {
    [
        "start_time_seconds",
        "timestamp_seconds",
        "boot_time_seconds",
    ]
    .iter()
    .any(|end| name.ends_with(end))
}

/// What numbers are of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unit {
    /// Times this.
    Seconds(f64),
    /// Seconds since the Unix epoch, which is these milliseconds ago.
    Instant {
        now: i64,
    },
    Bytes,
    Percent,
    /// As it was described.
    Other(&'static str),
    None,
}

impl Unit {
    /// As described, or else as the name says.
    pub(crate) fn of(metric: &MetricInfo, now: i64) -> Self {
        let base = metric.name.trim_end_matches("_total");
        match metric.unit {
            None | Some("seconds") if is_instant(base) => Self::Instant { now },
            Some("seconds") => Self::Seconds(1.0),
            Some("bytes") => Self::Bytes,
            Some("percent") => Self::Percent,
            Some("count") | None => {
                if base.ends_with("_seconds") {
                    Self::Seconds(1.0)
                } else if base.ends_with("_bytes") {
                    Self::Bytes
                } else {
                    Self::None
                }
            }
            Some("milliseconds") => Self::Seconds(1e-3),
            Some("microseconds") => Self::Seconds(1e-6),
            Some("nanoseconds") => Self::Seconds(1e-9),
            Some(other) => Self::Other(other),
        }
    }

    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Seconds(by) => time(value * by),
            Self::Instant { now } => {
                #[expect(clippy::cast_precision_loss, reason = "for people")]
                let age = now as f64 / 1e3 - value;
                if age < 0.0 {
                    format!("in {}", time(-age))
                } else {
                    format!("{} ago", time(age))
                }
            }
            Self::Bytes if value >= 0.0 => bytes(value),
            Self::Bytes => format!("-{}", bytes(-value)),
            Self::Percent => format!("{} %", short(value)),
            Self::Other(unit) => format!("{} {unit}", short(value)),
            Self::None => short(value),
        }
    }

    pub(crate) fn per_second(self, rate: f64) -> String {
        match self {
            // Seconds a second are a share.
            Self::Seconds(by) => format!("{} s/s", short(rate * by)),
            unit => format!("{}/s", unit.show(rate)),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes for people; floats saturate"
)]
fn bytes(value: f64) -> String {
    Bytes(value as usize).to_string()
}

/// Three significant digits, and whole numbers as they are.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    // What was divided may have lost its last bit.
    if (value - value.round()).abs() <= size * 1e-12 && size < 1e15 {
        format!("{value:.0}")
    } else if !(1e-3..1e6).contains(&size) {
        format!("{value:.2e}")
    } else if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [what, since_when] = &self.head;
        write!(f, "{what}\n{since_when}")?;
        // The first columns are one below the other in all tables.
        let mut widths = [0; 6];
        for table in &self.tables {
            let heads = table.head.map(str::to_owned);
            for row in table.rows.iter().chain([&heads]) {
                for (width, cell) in widths.iter_mut().zip(row) {
                    *width = (*width).max(cell.chars().count());
                }
            }
        }
        for table in &self.tables {
            f.write_str("\n")?;
            write_row(f, &widths, &table.head)?;
            for row in &table.rows {
                let cells = row.each_ref().map(String::as_str);
                write_row(f, &widths, &cells)?;
            }
            if table.more > 0 {
                write!(f, "\n  and {} more {}", table.more, table.head[0])?;
            }
        }
        match &self.foot {
            Some(foot) => write!(f, "\n{foot}"),
            None => Ok(()),
        }
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, widths: &[usize; 6], cells: &[&str; 6]) -> fmt::Result {
    let pad = |at: usize| match (cells.get(at), widths.get(at)) {
        (Some(cell), Some(width)) if at == 0 => format!("{cell:<width$}"),
        (Some(cell), Some(width)) => format!("{cell:>width$}"),
        _ => String::new(),
    };
    let line = (0..cells.len()).map(pad).collect::<Vec<_>>().join("  ");
    write!(f, "\n  {}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_whole_ones_whole() {
        for (value, shown) in [
            (0.0, "0"),
            (1234.0, "1234"),
            (-3.0, "-3"),
            (1234.5, "1234"),
            (12.345, "12.3"),
            (1.2345, "1.23"),
            (0.012_345, "0.012"),
            (0.000_123_45, "1.23e-4"),
            (1_234_567.8, "1.23e6"),
            (1e300, "1.00e300"),
        ] {
            assert_eq!(short(value), shown);
        }
    }

    #[test]
    fn units_fit_their_numbers() {
        for (unit, value, shown) in [
            (Unit::Seconds(1.0), 0.0, "0 s"),
            (Unit::Seconds(1.0), 0.000_478, "478 us"),
            (Unit::Seconds(1.0), 0.25, "250 ms"),
            (Unit::Seconds(1.0), 3e-9, "3 ns"),
            (Unit::Seconds(1.0), 90.0, "90 s"),
            (Unit::Seconds(1.0), -5_400.0, "-90 min"),
            (Unit::Seconds(1.0), 12_600.0, "3.50 h"),
            (Unit::Seconds(1.0), 864_000.0, "10 d"),
            (Unit::Seconds(1e-3), 1_500.0, "1.50 s"),
            (Unit::Seconds(1e-9), 250.0, "250 ns"),
            (Unit::Instant { now: 90_000 }, 30.0, "60 s ago"),
            (Unit::Instant { now: 90_000 }, 91.5, "in 1.50 s"),
            (Unit::Bytes, 6_501_171.0, "6.2 MiB"),
            (Unit::Bytes, -2048.0, "-2.0 KiB"),
            (Unit::Percent, 12.5, "12.5 %"),
            (Unit::Other("bits"), 5.0, "5 bits"),
            (Unit::None, f64::INFINITY, "inf"),
        ] {
            assert_eq!(unit.show(value), shown, "{value}");
        }
    }

    #[test]
    fn a_long_name_shows_both_of_its_ends() {
        let long = format!("{}_{}", "a".repeat(50), "b".repeat(50));
        let shown = name(&long);
        assert!(shown.starts_with("aaa") && shown.ends_with("bbb") && shown.chars().count() == 41);
        assert_eq!(name("short"), "short");
        assert!(name(&"ö".repeat(100)).chars().count() <= 41);
    }
}
