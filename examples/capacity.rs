//! How many series does each memory profile hold, with all of its history? Counters that rise by 50 a second, gauges in
//! percent, and histograms that receive a hundred log-normal latencies a second; each alone in a store.
//! Run it with `cargo run --release --example capacity`; `-- check production` lives through a whole day besides, with
//! nine tenths of what the table says, and with six fifths.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_recall::{Clock, ManualClock, MemoryProfile, Recall, RecallRecorder, secs};
use std::{process::ExitCode, time::Duration};

const PROFILES: [MemoryProfile; 4] = [
    MemoryProfile::Edge,
    MemoryProfile::Production,
    MemoryProfile::Staging,
    MemoryProfile::Development,
];
const KINDS: [Kind; 3] = [Kind::Counter, Kind::Gauge, Kind::Histogram];

/// After so long each tier has filled some segments, and grows evenly until its retention is over.
const WARM: Duration = secs(2 * 3_600);
/// Points of all tiers are sealed twice in that time, or more often.
const SAMPLE: Duration = secs(2 * 3_600);
/// Share of the budget that points of a tier take which are not sealed yet, when memory is scarce.
const WAITING: usize = 16;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

fn main() -> Result<ExitCode, metrics_recall::Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let checked = match arguments.as_slice() {
        [] => None,
        [check, name] if check == "check" => Some(MemoryProfile::from_environment(name)?),
        _ => {
            eprintln!("expected nothing, or `check` and a profile, not {arguments:?}");
            return Ok(ExitCode::from(2));
        }
    };
    println!("| profile | budget | counters | gauges | busy histograms |");
    println!("|---|---|---|---|---|");
    for profile in PROFILES {
        let mib = profile.config().memory_budget >> 20;
        let mut cells = Vec::new();
        for kind in KINDS {
            let (n, each) = capacity(profile, kind)?;
            cells.push(format!("{n} ({:.1} KiB each)", f64_of(each) / 1024.0));
            if checked == Some(profile) {
                check(profile, kind, n)?;
            }
        }
        println!("| `{profile}` | {mib} MiB | {} |", cells.join(" | "));
    }
    Ok(ExitCode::SUCCESS)
}

/// Series of one kind that fit with all of their history, and bytes of each.
fn capacity(profile: MemoryProfile, kind: Kind) -> Result<(usize, usize), metrics_recall::Error> {
    let budget = profile.config().memory_budget;
    // The store leaves a sixteenth free for series that are new, and some for its own work.
    let most = budget - budget / 8;
    let mut n = budget
        / match kind {
            Kind::Counter => 6 << 10,
            Kind::Gauge => 12 << 10,
            Kind::Histogram => 128 << 10,
        };
    // What a point takes depends on how many series share a budget, so this comes closer step by step.
    loop {
        let mut service = Service::new(profile, kind, n)?;
        let fixed = service.recall.memory().used;
        service.run(WARM);
        let before = service.sealed_bytes();
        let mut full = service.run(SAMPLE);
        let tiers = service.recall.retention();
        if tiers.iter().any(|tier| tier.shortened > 0) {
            n = n * 4 / 5;
            continue;
        }
        for (tier, before) in tiers.iter().zip(before) {
            let missing = tier.target.saturating_sub(tier.effective).as_secs_f64();
            let growth = f64_of(tier.sealed_bytes.saturating_sub(before)) / SAMPLE.as_secs_f64();
            full += usize_of(growth * missing);
        }
        let each = (full - fixed) / n;
        let next = (most - fixed) / each.max(1);
        if next.abs_diff(n) <= n / 16 {
            return Ok((next, each));
        }
        n = n.midpoint(next);
    }
}

/// Nine tenths of so many series must have all of their history, and six fifths must not, and say so.
fn check(profile: MemoryProfile, kind: Kind, n: usize) -> Result<(), metrics_recall::Error> {
    for n in [n * 9 / 10, n * 6 / 5] {
        let mut service = Service::new(profile, kind, n)?;
        let longest = profile.config().tiers.iter().map(|t| t.retention).max();
        service.run(longest.unwrap_or_default() + secs(2 * 3_600));
        eprintln!(
            "{profile}, {n} of {kind:?}: {}, {}",
            service.recall.memory(),
            service.recall.health()
        );
    }
    Ok(())
}

enum Handles {
    Counters(Vec<Counter>),
    Gauges(Vec<(Gauge, f64)>),
    Histograms(Vec<Histogram>),
}

/// A store whose clock is moved by hand, and what is recorded in it.
struct Service {
    recall: Recall,
    hands: ManualClock,
    handles: Handles,
    dice: u64,
    /// Latencies that were drawn beforehand; where a tick begins in them is drawn then.
    latencies: Vec<f64>,
}

impl Service {
    fn new(profile: MemoryProfile, kind: Kind, n: usize) -> Result<Self, metrics_recall::Error> {
        let (clock, hands) = Clock::manual();
        let (recorder, recall): (RecallRecorder, _) =
            Recall::builder().profile(profile).clock(clock).build()?;
        // Ten series a metric.
        let name = |n: usize| (format!("work_{}", n / 10), format!("/{}", n % 10));
        let handles = recorder.scope(|| match kind {
            Kind::Counter => Handles::Counters(
                (0..n)
                    .map(name)
                    .map(|(name, route)| counter!(name, "route" => route))
                    .collect(),
            ),
            Kind::Gauge => Handles::Gauges(
                (0..n)
                    .map(name)
                    .map(|(name, route)| (gauge!(name, "route" => route), 50.0))
                    .collect(),
            ),
            Kind::Histogram => Handles::Histograms(
                (0..n)
                    .map(name)
                    .map(|(name, route)| histogram!(name, "route" => route))
                    .collect(),
            ),
        });
        let mut service = Self {
            recall,
            hands,
            handles,
            dice: 1,
            latencies: Vec::new(),
        };
        // Durations are whole nanoseconds.
        let latency = |service: &mut Self| (2e7 * (0.8 * service.normal()).exp()).round() / 1e9;
        service.latencies = (0..100_100).map(|_| latency(&mut service)).collect();
        Ok(service)
    }

    /// Works for so long; the most memory that was in use after a tick, but for points that wait to be sealed only as
    /// long as there is memory to spare.
    fn run(&mut self, time: Duration) -> usize {
        let mut peak = 0;
        let at_most = self.recall.memory().budget / WAITING;
        for _ in 0..time.as_secs() {
            self.work();
            self.hands.advance(secs(1));
            self.recall.tick();
            let tiers = self.recall.retention();
            let waiting = tiers.iter().map(|tier| tier.bytes - tier.sealed_bytes);
            let to_spare: usize = waiting.map(|bytes| bytes.saturating_sub(at_most)).sum();
            peak = peak.max(self.recall.memory().used - to_spare);
        }
        peak
    }

    fn sealed_bytes(&self) -> Vec<usize> {
        let tiers = self.recall.retention().into_iter();
        tiers.map(|tier| tier.sealed_bytes).collect()
    }

    fn work(&mut self) {
        let mut handles = std::mem::replace(&mut self.handles, Handles::Counters(Vec::new()));
        match &mut handles {
            Handles::Counters(counters) => {
                for counter in counters {
                    // Nearly Poisson.
                    counter.increment(u64_of((50.0 + 50_f64.sqrt() * self.normal()).round()));
                }
            }
            Handles::Gauges(gauges) => {
                for (gauge, value) in gauges {
                    *value = ((*value + self.normal()).clamp(0.0, 100.0) * 10.0).round() / 10.0;
                    gauge.set(*value);
                }
            }
            Handles::Histograms(histograms) => {
                for histogram in histograms {
                    let at = usize_of(self.uniform() * 100_000.0);
                    for latency in self.latencies.iter().skip(at).take(100) {
                        histogram.record(*latency);
                    }
                }
            }
        }
        self.handles = handles;
    }

    /// Normal with mean 0 and deviation 1, but for its tails: a sum of uniform numbers.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    /// Splitmix64, in `0.0..1.0`.
    fn uniform(&mut self) -> f64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.dice;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from((x >> 32) as u32) / 2_f64.powi(32)
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes for people")]
fn f64_of(bytes: usize) -> f64 {
    bytes as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small positive numbers"
)]
fn usize_of(value: f64) -> usize {
    value as usize
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small positive numbers"
)]
fn u64_of(value: f64) -> u64 {
    value as u64
}
