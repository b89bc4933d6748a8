//! Whatever a builder is told, it builds a store that works or says all that is wrong.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use metrics_recall::{
    Clock, Error, MemoryProfile, Recall,
    metrics::{Key, Level, Metadata, Recorder},
};
use std::time::Duration;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    environment: &'a str,
    padding: u8,
    profile: Option<u8>,
    budget: Option<Number>,
    resolution: Option<Time>,
    series: Option<Number>,
    metrics: Option<Number>,
    idle: Option<Time>,
    retention: Option<Time>,
    /// Before the store exists.
    elapsed: Time,
    wall_steps: i64,
    records: u8,
    advance: Time,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Number {
    Any(usize),
    Power(u8, i8),
}

impl Number {
    fn get(self) -> usize {
        match self {
            Number::Any(n) => n,
            Number::Power(by, more) => {
                let power = 1usize << (by % 64);
                power.saturating_add_signed(isize::from(more))
            }
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Time {
    Any { secs: u64, nanos: u32 },
    Millis(u16),
    Seconds(u32),
    Days(u16),
    Longest,
}

impl Time {
    fn get(self) -> Duration {
        match self {
            Time::Any { secs, nanos } => Duration::new(secs, nanos % 1_000_000_000),
            Time::Millis(n) => Duration::from_millis(n.into()),
            Time::Seconds(n) => Duration::from_secs(n.into()),
            Time::Days(n) => Duration::from_secs(86_400 * u64::from(n)),
            Time::Longest => Duration::MAX,
        }
    }
}

const KNOWN: [(&str, MemoryProfile); 11] = [
    ("edge", MemoryProfile::Edge),
    ("iot", MemoryProfile::Edge),
    ("embedded", MemoryProfile::Edge),
    ("prod", MemoryProfile::Production),
    ("production", MemoryProfile::Production),
    ("staging", MemoryProfile::Staging),
    ("stage", MemoryProfile::Staging),
    ("dev", MemoryProfile::Development),
    ("development", MemoryProfile::Development),
    ("local", MemoryProfile::Development),
    ("test", MemoryProfile::Development),
];

fn assert_reads_well(message: &str) {
    let first = message.chars().next();
    assert!(first.is_some_and(char::is_lowercase), "{message:?}");
}

fn environment(name: &str) {
    let wanted = name.trim().to_lowercase();
    let known = KNOWN.iter().find(|(known, _)| *known == wanted);
    match MemoryProfile::from_environment(name) {
        Ok(profile) => assert_eq!(known.map(|k| k.1), Some(profile)),
        Err(error) => {
            assert!(known.is_none() && error.is_invalid());
            let message = error.to_string();
            assert_reads_well(&message);
            assert!(message.contains(&format!("{name:?}")), "{message}");
            for (known, _) in KNOWN {
                assert!(message.contains(known), "{message}");
            }
        }
    }
}

/// How many settings are outside of what the builder's documentation allows.
fn wrong(input: &Input<'_>) -> usize {
    let minute = Duration::from_secs(60);
    let year = Duration::from_secs(366 * 86_400);
    let budget = input.budget.map(Number::get);
    let resolution = input
        .resolution
        .map_or(Duration::from_secs(1), |time| time.get());
    let divides = resolution >= Duration::from_millis(10)
        && resolution <= minute
        && minute.as_nanos().is_multiple_of(resolution.as_nanos());
    let lasts = |time: Option<Time>, preset: u64| {
        let time = time.map_or(Duration::from_secs(preset), Time::get);
        resolution <= time && time <= year
    };
    let preset = match input.profile.map(profile).unwrap_or_default() {
        MemoryProfile::Edge => 120,
        MemoryProfile::Production => 600,
        MemoryProfile::Staging => 1_800,
        _ => 3_600,
    };
    let counts = |n: Option<Number>| n.is_none_or(|n| (1..=1 << 30).contains(&n.get()));
    let right = [
        budget.is_none_or(|bytes| (128 << 10..=1 << 46).contains(&bytes)),
        divides,
        lasts(input.retention, preset),
        counts(input.series),
        counts(input.metrics),
        lasts(input.idle, 600),
    ];
    right.into_iter().filter(|right| !right).count()
}

fn profile(at: u8) -> MemoryProfile {
    match at % 4 {
        0 => MemoryProfile::Edge,
        1 => MemoryProfile::Production,
        2 => MemoryProfile::Staging,
        _ => MemoryProfile::Development,
    }
}

fn refused(error: &Error, problems: usize) {
    let message = error.to_string();
    assert!(error.is_invalid() && problems > 0, "{message}");
    for problem in message.split("; ") {
        assert_reads_well(problem);
    }
    assert_eq!(message.split("; ").count(), problems, "{message}");
    assert!(format!("{error:?}").contains(&message));
}

fn store(input: &Input<'_>) {
    let (clock, hands) = Clock::manual();
    hands.advance(input.elapsed.get());
    hands.step_wall(input.wall_steps);
    let mut builder = Recall::builder().clock(clock);
    if let Some(at) = input.profile {
        builder = builder.profile(profile(at));
    }
    if let Some(n) = input.budget {
        builder = builder.memory_budget(n.get());
    }
    if let Some(time) = input.resolution {
        builder = builder.resolution(time.get());
    }
    if let Some(n) = input.series {
        builder = builder.max_series_per_metric(n.get());
    }
    if let Some(n) = input.metrics {
        builder = builder.max_metrics(n.get());
    }
    if let Some(time) = input.idle {
        builder = builder.idle_timeout(time.get());
    }
    if let Some(time) = input.retention {
        builder = builder.retention(time.get());
    }
    assert!(!format!("{builder:?}").is_empty());
    let problems = wrong(input);
    let (recorder, recall) = match builder.build() {
        Ok(built) => built,
        Err(error) => return refused(&error, problems),
    };
    assert_eq!(problems, 0, "a store out of wrong settings: {input:?}");

    let metadata = Metadata::new("fuzz", Level::INFO, None);
    for n in 0..input.records {
        let key = Key::from_parts("n", vec![("n", n.to_string())].as_slice());
        recorder.register_counter(&key, &metadata).increment(1);
        recorder
            .register_histogram(&key, &metadata)
            .record(f64::from(n));
    }
    hands.advance(input.advance.get());
    let tick = recall.tick();
    assert_eq!(tick.at, recall.now());
    let memory = recall.memory();
    assert!(memory.used <= memory.budget, "{memory}");
    let total = recall.counters("n").total();
    let records = u64::from(input.records);
    assert_eq!(total.unwrap_or(0), records);
    let count = recall.histograms("n").over(Duration::MAX).count();
    if recall.health().is_healthy() {
        assert_eq!(count.unwrap_or(0), records);
    }
}

fuzz_target!(|input: Input<'_>| {
    environment(input.environment);
    let (known, _) = KNOWN[usize::from(input.padding) % KNOWN.len()];
    environment(&format!("{known}{}", input.environment));
    environment(&format!(" \t{}\n", known.to_uppercase()));
    store(&input);
});
