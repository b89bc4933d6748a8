//! What a store says of its contents: memory, metrics, and the summary for a terminal.

use super::core::Core;
use crate::{
    config::TierPlan,
    ledger::{BASE, PARTS},
    live::{Busy, Name, drain::Visit, registry::Registry},
    model::MetricKind,
    query::{Counters, Gauges, Histograms, Selection},
    util::text::Shown,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Memory in use, as the store's ledger has it.
///
/// `used` counts every allocation that the store owns, before it is made; it never exceeds `budget`. Answers, text and
/// the stacks of threads are not the store's. Shown as `1.2 MiB of 32.0 MiB (3.8 %)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Bytes in use.
    pub used: usize,
    /// Bytes allowed.
    pub budget: usize,
    /// The most that was ever in use, also under a larger budget.
    pub peak: usize,
    /// What is used for what; the parts add up to `used`.
    pub parts: Vec<(&'static str, usize)>,
}

impl fmt::Display for Memory {
    #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.used as f64 / self.budget as f64;
        let (used, budget) = (Bytes(self.used), Bytes(self.budget));
        write!(f, "{used} of {budget} ({share:.1} %)")
    }
}

/// Bytes for people.
pub(super) struct Bytes(pub(super) usize);

impl fmt::Display for Bytes {
    #[expect(clippy::cast_precision_loss, reason = "one decimal for people")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1024 => write!(f, "{} B", self.0),
            1024..1_048_576 => write!(f, "{:.1} KiB", bytes / 1024.0),
            _ => write!(f, "{:.1} MiB", bytes / 1_048_576.0),
        }
    }
}

/// What one tier of history reaches. Shown as `1s: 600 s of 600 s, 600 points, 1.2 MiB`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Time that one point stands for.
    pub interval: Duration,
    /// How far the tier is to reach back.
    pub target: Duration,
    /// How far it does. Less than the target while the store is young, and when memory is short; somewhat more, since
    /// points are dropped some tens at a time.
    pub effective: Duration,
    /// Points that it has.
    pub points: usize,
    /// Bytes that these take.
    pub bytes: usize,
    /// Points of these that are sealed in segments. The newest ones are not yet, and take several times as much.
    pub sealed_points: usize,
    /// Bytes that the sealed points take.
    pub sealed_bytes: usize,
    /// Points that were ever dropped before their time, to make room.
    pub shortened: u64,
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}: {:.0} s of {:.0} s, {} points, {}",
            self.interval,
            self.effective.as_secs_f64(),
            self.target.as_secs_f64(),
            self.points,
            Bytes(self.bytes)
        )?;
        match self.shortened {
            0 => Ok(()),
            n => write!(f, ", {n} dropped before their time"),
        }
    }
}

/// A metric that the store has met. Shown as its name, kind, number of series, and description.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricInfo {
    /// As the macros have it.
    pub name: String,
    /// Counter, gauge or histogram.
    pub kind: MetricKind,
    /// Live series with labels of their own; the overflow series is not counted.
    pub series: usize,
    /// Recordings that went to the overflow series, since the metric had too many series or memory was short.
    pub overflowed: u64,
    /// The unit that `describe_*` gave, as in `"seconds"`.
    pub unit: Option<&'static str>,
    /// The text that `describe_*` gave.
    pub description: Option<String>,
}

impl fmt::Display for MetricInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {} series", self.name, self.kind, self.series)?;
        if self.overflowed > 0 {
            write!(f, ", {} recordings overflowed", self.overflowed)?;
        }
        f.write_str(")")?;
        match &self.description {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

impl Core {
    pub(crate) fn memory(&self) -> Memory {
        let ledger = &self.live.ledger;
        let mut parts: Vec<_> = PARTS
            .iter()
            .map(|part| (part.name(), ledger.part(*part)))
            .collect();
        parts.push(("fixed", BASE));
        let (used, budget) = ledger.used_of();
        Memory {
            used,
            budget,
            peak: ledger.peak(),
            parts,
        }
    }

    /// What each tier reaches, finest first.
    pub(crate) fn retention(&self) -> Vec<Retention> {
        let timeline = self.timeline();
        let end = timeline.last().map_or(0, |frame| frame.span.end_ns);
        let tiers = self.tiers.lock().clone();
        let shortened = self.counts.shortened.iter();
        let tier = |(at, (tier, shortened)): (usize, (TierPlan, &AtomicU64))| {
            let start = timeline.start_ns(at).unwrap_or(end);
            let [(points, bytes), (sealed_points, sealed_bytes)] = timeline.size(at);
            Retention {
                interval: tier.interval,
                target: tier.keep.iter().copied().max().unwrap_or_default(),
                effective: Duration::from_nanos(end.saturating_sub(start)),
                points,
                bytes,
                sealed_points,
                sealed_bytes,
                shortened: shortened.load(Relaxed),
            }
        };
        tiers
            .into_iter()
            .zip(shortened)
            .enumerate()
            .map(tier)
            .collect()
    }

    /// All metrics, by name and kind. Those that only ever had an untouched overflow series are left out.
    pub(crate) fn metrics(&self) -> Vec<MetricInfo> {
        // What an allocation emits while names are locked must not look for that lock.
        let _busy = Busy::enter();
        let mut all = Vec::new();
        collect(self, &self.live.counters, &mut all);
        collect(self, &self.live.gauges, &mut all);
        collect(self, &self.live.histograms, &mut all);
        all.sort_by(|a, b| (&a.name, a.kind).cmp(&(&b.name, b.kind)));
        all
    }
}

fn collect<K: Visit>(core: &Core, registry: &Registry<K>, all: &mut Vec<MetricInfo>) {
    let mut names: Vec<Arc<Name>> = Vec::new();
    registry.for_each_name(|name| names.push(name.clone()));
    for name in names {
        if !registry.shows(&name) {
            continue;
        }
        let series = {
            let members = name.members.lock();
            members.live.saturating_sub(members.asleep)
        };
        let spared = if name.is_spare() {
            registry.spared()
        } else {
            0
        };
        let overflowed = spared + name.denied.total();
        let described = core.live.descriptions.find(K::KIND, &name.text);
        all.push(MetricInfo {
            name: name.text.to_string(),
            kind: K::KIND,
            series,
            overflowed,
            unit: described.as_ref().and_then(|d| d.unit).map(|u| u.as_str()),
            description: described.map(|d| d.text.into()),
        });
    }
}

/// Every metric on a line of its own, aligned, with what it did over the last minute.
#[derive(Clone, Debug)]
pub struct Summary {
    head: String,
    rows: Vec<[String; 4]>,
}

/// Metrics that a summary shows at most.
const MOST_ROWS: usize = 200;

impl Summary {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        let window = Duration::from_secs(60);
        let metrics = core.metrics();
        let memory = core.memory();
        let timeline = core.timeline();
        let covered = Duration::from_nanos(timeline.reach_ns());
        drop(timeline);
        let series: usize = metrics.iter().map(|m| m.series).sum();
        let head = format!(
            "{} metrics, {series} series, {memory}, {:.0} s of history",
            metrics.len(),
            covered.as_secs_f64()
        );
        let more = metrics.len().saturating_sub(MOST_ROWS);
        let mut rows: Vec<[String; 4]> = metrics
            .iter()
            .take(MOST_ROWS)
            .map(|metric| row(core, metric, window))
            .collect();
        if more > 0 {
            rows.push([
                format!("and {more} more"),
                String::new(),
                String::new(),
                String::new(),
            ]);
        }
        Self { head, rows }
    }
}

fn row(core: &Arc<Core>, metric: &MetricInfo, window: Duration) -> [String; 4] {
    let unit = metric.unit;
    let (now, over) = match metric.kind {
        MetricKind::Counter => {
            let ask = Selection::<Counters>::new(core.clone(), &metric.name);
            let rate = ask.clone().over(window).rate();
            (
                ask.total().map_or("-".into(), |n| n.to_string()),
                rate.map_or("-".into(), |r| format!("{}/s", short(r))),
            )
        }
        MetricKind::Gauge => {
            let ask = Selection::<Gauges>::new(core.clone(), &metric.name);
            let over = ask.clone().over(window);
            let extremes = over.min().zip(over.max());
            (
                ask.current().map_or("-".into(), |v| with_unit(v, unit)),
                extremes.map_or("-".into(), |(low, high)| {
                    format!("{} .. {}", with_unit(low, unit), with_unit(high, unit))
                }),
            )
        }
        MetricKind::Histogram => {
            let ask = Selection::<Histograms>::new(core.clone(), &metric.name).over(window);
            let quantiles = ask.quantile(0.5).zip(ask.quantile(0.99));
            (
                ask.rate().map_or("-".into(), |r| format!("{}/s", short(r))),
                quantiles.map_or("-".into(), |(p50, p99)| {
                    format!("p50 {}, p99 {}", with_unit(p50, unit), with_unit(p99, unit))
                }),
            )
        }
    };
    let series = if metric.overflowed > 0 {
        format!("{} series + overflow", metric.series)
    } else {
        format!("{} series", metric.series)
    };
    [
        format!("{} {}", metric.kind, Shown(&metric.name)),
        series,
        now,
        over,
    ]
}

/// Three significant digits.
fn short(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e6 || (magnitude < 1e-3 && magnitude > 0.0) {
        format!("{value:.2e}")
    } else if magnitude >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if magnitude >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes for people; floats saturate"
)]
fn with_unit(value: f64, unit: Option<&'static str>) -> String {
    match unit {
        Some("seconds") if value.abs() < 1.0 => format!("{} ms", short(value * 1e3)),
        Some("seconds") => format!("{} s", short(value)),
        Some("milliseconds") => format!("{} ms", short(value)),
        Some("bytes") if value >= 0.0 => Bytes(value as usize).to_string(),
        Some("percent") => format!("{} %", short(value)),
        _ => short(value),
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let (name, series, now) = (width(0), width(1), width(2));
        for [a, b, c, d] in &self.rows {
            let line = format!("{a:<name$}  {b:>series$}  {c:>now$}  {d}");
            write!(f, "\n  {}", line.trim_end())?;
        }
        Ok(())
    }
}
