//! What a program's numbers look like over days, with and without something that happens: for the detectors of insights.
//!
//! A tick is a minute. The same seed gives the same numbers.

use metrics::{counter, gauge, histogram};
use metrics_recall::{Clock, Insight, InsightKind, ManualClock, Recall, RecallRecorder, secs};
use std::f64::consts::TAU;

/// Minutes of a day, and between two looks.
pub const DAY: u32 = 1440;
pub const LOOK: u32 = 30;
/// A finding must come within two windows of an hour.
pub const IN_TIME: u32 = 120;

/// A small generator, the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 to 1.
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Nearly normal.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// What moves without any reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    Plain,
    /// Some minutes now and then have many times as much.
    Bursty,
    /// A few values are far beyond all others.
    HeavyTailed,
    /// Much by day, little by night.
    Diurnal,
}

pub const NOISES: [Noise; 4] = [
    Noise::Plain,
    Noise::Bursty,
    Noise::HeavyTailed,
    Noise::Diurnal,
];

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    Nothing,
    /// All at once another level.
    Step,
    /// Ever more, over an hour and a half.
    Ramp,
    Stop,
    Saturation,
}

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Signal {
    /// A counter of some hundred a minute.
    Rate,
    /// A gauge about 100.
    Depth,
    /// A gauge from 0 to 1.
    Ratio,
    /// A histogram of some hundred values a minute, about 20 ms.
    Latency,
}

/// Signals with the events that they can have.
pub const CASES: [(Signal, Event); 8] = [
    (Signal::Rate, Event::Step),
    (Signal::Rate, Event::Stop),
    (Signal::Depth, Event::Step),
    (Signal::Ratio, Event::Ramp),
    (Signal::Ratio, Event::Saturation),
    (Signal::Ratio, Event::Step),
    (Signal::Latency, Event::Step),
    (Signal::Latency, Event::Ramp),
];

pub const SIGNALS: [Signal; 4] = [Signal::Rate, Signal::Depth, Signal::Ratio, Signal::Latency];

/// One metric, from now on.
pub struct Source {
    pub signal: Signal,
    pub noise: Noise,
    pub event: Event,
    /// The minute at which it happens, and how large it is: a factor.
    pub at: u32,
    pub size: f64,
    pub name: String,
    random: Random,
    /// Minutes that a burst goes on for.
    burst: u32,
}

impl Source {
    pub fn new(signal: Signal, noise: Noise, event: Event, at: u32, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let size = random.between(2.0, 5.0);
        let name = match signal {
            Signal::Rate => "rate_total",
            Signal::Depth => "depth",
            Signal::Ratio => "in_use_ratio",
            Signal::Latency => "took_seconds",
        };
        Self {
            signal,
            noise,
            event,
            at,
            size,
            name: format!(
                "{}_{seed}_{name}",
                format!("{noise:?}_{event:?}").to_lowercase()
            ),
            random,
            burst: 0,
        }
    }

    /// What the level is multiplied by, as the event has it.
    fn factor(&self, minute: u32) -> f64 {
        let Some(since) = minute.checked_sub(self.at) else {
            return 1.0;
        };
        match self.event {
            Event::Nothing => 1.0,
            Event::Step => self.size,
            Event::Ramp => 1.0 + (self.size - 1.0) * f64::from(since.min(90)) / 90.0,
            Event::Stop => 0.0,
            Event::Saturation => 100.0,
        }
    }

    /// Records a minute.
    pub fn record(&mut self, minute: u32) {
        let factor = self.factor(minute);
        let day = 1.0 + 0.5 * (TAU * f64::from(minute) / f64::from(DAY)).sin();
        let mut level = if self.noise == Noise::Diurnal {
            day
        } else {
            1.0
        };
        if self.noise == Noise::Bursty {
            if self.burst == 0 && self.random.unit() < 0.03 {
                self.burst = 1 + (self.random.unit() * 3.0) as u32;
            }
            if self.burst > 0 {
                self.burst -= 1;
                level *= 4.0;
            }
        }
        let tail = match self.noise {
            // Pareto, with an infinite variance.
            Noise::HeavyTailed => 0.7 * self.random.unit().max(1e-4).powf(-1.0 / 1.5),
            _ => (1.0 + 0.1 * self.random.normal()).max(0.05),
        };
        let name = self.name.clone();
        match self.signal {
            Signal::Rate => {
                let count = (300.0 * level * tail * factor).round() as u64;
                counter!(name).increment(count);
            }
            Signal::Depth => gauge!(name).set(100.0 * level * tail * factor),
            Signal::Ratio => {
                // A ramp ends at the bound.
                let base = match self.event {
                    Event::Ramp => {
                        let since = minute.saturating_sub(self.at).min(90);
                        0.3 + 0.8 * f64::from(since) / 90.0
                    }
                    _ => 0.2 * factor,
                };
                gauge!(name).set((base * level.min(2.0) * tail.min(2.0)).clamp(0.0, 1.0));
            }
            Signal::Latency => {
                let values = histogram!(name);
                for _ in 0..100 {
                    let one = match self.noise {
                        Noise::HeavyTailed => 0.01 * self.random.unit().max(1e-4).powf(-1.0 / 1.5),
                        _ => 0.02 * (0.5 * self.random.normal()).exp(),
                    };
                    values.record(one * level * factor);
                }
            }
        }
    }
}

/// A store whose ticks are minutes.
pub struct Store {
    pub recorder: RecallRecorder,
    pub recall: Recall,
    hands: ManualClock,
    pub minute: u32,
}

impl Store {
    pub fn new() -> Self {
        let (clock, hands) = Clock::manual();
        let builder = Recall::builder().resolution(secs(60)).own_alerts(false);
        let (recorder, recall) = builder.clock(clock).build().expect("a good setup");
        Self {
            recorder,
            recall,
            hands,
            minute: 0,
        }
    }

    pub fn minute(&mut self, sources: &mut [Source]) {
        self.recorder.scope(|| {
            for source in sources.iter_mut() {
                source.record(self.minute);
            }
        });
        self.minute += 1;
        self.hands.advance(secs(60));
        self.recall.tick();
    }
}

/// Whether a finding is what happened.
pub fn is_it(event: Event, kind: InsightKind) -> bool {
    match event {
        Event::Nothing => false,
        Event::Step => matches!(
            kind,
            InsightKind::Level | InsightKind::Rising | InsightKind::Saturated
        ),
        Event::Ramp => matches!(
            kind,
            InsightKind::Rising
                | InsightKind::WillHit
                | InsightKind::Level
                | InsightKind::Saturated
        ),
        Event::Stop => kind == InsightKind::Stopped,
        Event::Saturation => kind == InsightKind::Saturated,
    }
}

/// Of `n` metrics of each case and noise, how many events there were, and which were found in time.
pub fn found(seed: u64, n: u64) -> Vec<(Signal, Event, Noise, bool)> {
    let mut store = Store::new();
    let mut sources = Vec::new();
    let mut random = Random::new(seed);
    for round in 0..n {
        for (at, (signal, event)) in CASES.into_iter().enumerate() {
            for (of, noise) in NOISES.into_iter().enumerate() {
                let own = seed * 1_000_003 + round * 101 + at as u64 * 11 + of as u64;
                let begin = DAY + (random.unit() * 600.0) as u32;
                sources.push(Source::new(signal, noise, event, begin, own));
            }
        }
    }
    let mut results = vec![false; sources.len()];
    while store.minute < DAY + 600 + IN_TIME + LOOK {
        store.minute(&mut sources);
        if store.minute <= DAY || !store.minute.is_multiple_of(LOOK) {
            continue;
        }
        for insight in store.recall.insights() {
            let of = sources
                .iter()
                .position(|source| source.name == insight.metric);
            let Some(of) = of else { continue };
            let source = &sources[of];
            let in_time = store.minute > source.at && store.minute <= source.at + IN_TIME;
            if in_time && is_it(source.event, insight.kind) {
                results[of] = true;
            }
        }
    }
    let all = sources.iter().zip(results);
    all.map(|(source, is_found)| (source.signal, source.event, source.noise, is_found))
        .collect()
}

/// What is found in `days` of `n` metrics of each signal and noise in which nothing happens: what was found, once for as long
/// as it is found again at each look.
pub fn cried(seed: u64, n: u64, days: u32) -> Vec<(Signal, Noise, Vec<Insight>)> {
    let mut store = Store::new();
    let mut sources = Vec::new();
    for round in 0..n {
        for (at, signal) in SIGNALS.into_iter().enumerate() {
            for (of, noise) in NOISES.into_iter().enumerate() {
                let own = seed * 1_000_033 + round * 103 + at as u64 * 13 + of as u64 + 7;
                sources.push(Source::new(signal, noise, Event::Nothing, 0, own));
            }
        }
    }
    let mut all: Vec<(Signal, Noise, Vec<Insight>)> = sources
        .iter()
        .map(|source| (source.signal, source.noise, Vec::new()))
        .collect();
    let mut last: Vec<(String, InsightKind)> = Vec::new();
    while store.minute < days * DAY {
        store.minute(&mut sources);
        if !store.minute.is_multiple_of(LOOK) {
            continue;
        }
        let mut now = Vec::new();
        for insight in store.recall.insights() {
            let key = (insight.metric.clone(), insight.kind);
            let of = sources
                .iter()
                .position(|source| source.name == insight.metric);
            if let Some(of) = of
                && !last.contains(&key)
            {
                all[of].2.push(insight);
            }
            now.push(key);
        }
        last = now;
    }
    all
}
