//! What a store says of its contents: memory, metrics, and the summary for a terminal.

use super::core::Core;
use crate::{
    config::TierPlan,
    ledger::{BASE, PARTS},
    live::{Busy, Name, drain::Visit, registry::Registry},
    model::MetricKind,
    util::fork,
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

    /// Numbers of series that a metric had at the newest turns, oldest first.
    pub(crate) fn grew(&self, kind: MetricKind, name: &str) -> Vec<usize> {
        let _busy = Busy::enter();
        let name = match kind {
            MetricKind::Counter => self.live.counters.find_name(name),
            MetricKind::Gauge => self.live.gauges.find_name(name),
            MetricKind::Histogram => self.live.histograms.find_name(name),
        };
        let grew = name.and_then(|name| Some(fork::lock(&name.members)?.grew()));
        grew.unwrap_or_default()
    }

    /// The metrics of a name, of whatever kind; of several kinds, the first.
    pub(crate) fn metric(&self, name: &str) -> Option<MetricInfo> {
        let all = self.metrics().into_iter();
        all.into_iter().find(|metric| metric.name == name)
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
            let members = fork::lock(&name.members);
            members.map_or(0, |members| members.live.saturating_sub(members.asleep))
        };
        let spared = if name.is_spare() {
            registry.spared()
        } else {
            0
        };
        let overflowed = spared + name.denied.total() + name.too_long.total();
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
