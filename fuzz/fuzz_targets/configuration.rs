//! Whatever a builder is told, it builds a store that works or says all that is wrong.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use metrics_recall::{
    Clock, Error, MemoryProfile, MetricKind, ProfileConfig, Recall, RetentionRule, Tier,
    metrics::{Key, Level, Metadata, Recorder},
};
use std::time::Duration;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    environment: &'a str,
    padding: u8,
    profile: Option<u8>,
    custom: Option<Custom>,
    rules: Vec<RuleOf<'a>>,
    /// In place of those, while the store runs.
    later: Option<Vec<RuleOf<'a>>>,
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

/// What differs from the profile.
#[derive(Arbitrary, Debug)]
struct Custom {
    tiers: Vec<(Time, Time)>,
    schemas: Option<(u8, u8)>,
}

impl Custom {
    fn get(&self, profile: MemoryProfile) -> ProfileConfig {
        let mut config = profile.config();
        let tiers = self.tiers.iter();
        config.tiers = tiers.map(|(a, b)| Tier::new(a.get(), b.get())).collect();
        if let Some((finest, coarsest)) = self.schemas {
            (config.schema, config.coarsest_schema) = (finest, coarsest);
        }
        config
    }
}

#[derive(Arbitrary, Debug)]
struct RuleOf<'a> {
    name: Option<&'a str>,
    kind: Option<bool>,
    labels: Vec<(&'a str, &'a str)>,
    level: Option<u8>,
    verbose: Option<u8>,
    target: Option<&'a str>,
    keep: Vec<Time>,
}

impl RuleOf<'_> {
    fn get(&self) -> RetentionRule {
        let mut rule = RetentionRule::new().keep(self.keep.iter().map(|time| time.get()));
        if let Some(name) = self.name {
            rule = rule.name(name);
        }
        if let Some(is_counter) = self.kind {
            rule = rule.kind(match is_counter {
                true => MetricKind::Counter,
                false => MetricKind::Histogram,
            });
        }
        for (name, value) in &self.labels {
            rule = rule.label(*name, *value);
        }
        if let Some(at) = self.level {
            rule = rule.level(level(at));
        }
        if let Some(at) = self.verbose {
            rule = rule.verbose(level(at));
        }
        if let Some(target) = self.target {
            rule = rule.target(target);
        }
        rule
    }
}

fn level(at: u8) -> Level {
    match at % 5 {
        0 => Level::TRACE,
        1 => Level::DEBUG,
        2 => Level::INFO,
        3 => Level::WARN,
        _ => Level::ERROR,
    }
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
    let is_small = |c: char| c.is_lowercase() || c.is_ascii_digit();
    assert!(first.is_some_and(is_small), "{message:?}");
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

/// How many settings are outside of what the builder's documentation allows, tiers and rules left aside.
fn wrong(input: &Input<'_>) -> usize {
    let minute = Duration::from_secs(60);
    let year = Duration::from_secs(366 * 86_400);
    let profile = input.profile.map(profile).unwrap_or_default();
    let budget = input
        .budget
        .map_or(profile.config().memory_budget, Number::get);
    let tiers = input.custom.iter().flat_map(|custom| custom.tiers.first());
    let finest = tiers.map(|tier| tier.0).next();
    let resolution = input
        .resolution
        .or(finest)
        .map_or(Duration::from_secs(1), Time::get);
    let divides = resolution >= Duration::from_millis(10)
        && resolution <= minute
        && minute.as_nanos().is_multiple_of(resolution.as_nanos());
    let lasts = |time: Duration| resolution <= time && time <= year;
    let retention = input.retention.map(Time::get);
    let idle = input.idle.map_or(profile.config().idle_timeout, Time::get);
    let counts = |n: Option<Number>| n.is_none_or(|n| (1..=1 << 30).contains(&n.get()));
    let tiers = [
        (128 << 10..=1 << 46).contains(&budget),
        divides,
        retention.is_none_or(lasts),
    ];
    let others = [counts(input.series), counts(input.metrics), lasts(idle)];
    let wrong = tiers.iter().chain(&others).filter(|right| !**right).count();
    // A time axis takes sixteen bytes a tick, and may take an eighth of the budget.
    let fits =
        |time: Duration| time.as_nanos().div_ceil(resolution.as_nanos()) <= budget as u128 / 128;
    let is_overlong = tiers == [true; 3] && !retention.is_none_or(fits);
    wrong + usize::from(is_overlong && !has_own_tiers(input))
}

/// Whether more may be wrong than [`wrong`] counts.
fn has_own_tiers(input: &Input<'_>) -> bool {
    input.custom.is_some() || !input.rules.is_empty()
}

fn profile(at: u8) -> MemoryProfile {
    match at % 4 {
        0 => MemoryProfile::Edge,
        1 => MemoryProfile::Production,
        2 => MemoryProfile::Staging,
        _ => MemoryProfile::Development,
    }
}

/// Gives how many problems an error names.
fn refused(error: &Error) -> usize {
    let message = error.to_string();
    assert!(error.is_invalid(), "{message}");
    for problem in message.split("; ") {
        assert_reads_well(problem);
    }
    assert!(format!("{error:?}").contains(&message));
    message.split("; ").count()
}

fn rules(rules: &[RuleOf<'_>]) -> Vec<RetentionRule> {
    rules.iter().map(RuleOf::get).collect()
}

fn store(input: &Input<'_>) {
    let (clock, hands) = Clock::manual();
    hands.advance(input.elapsed.get());
    hands.step_wall(input.wall_steps);
    let mut builder = Recall::builder().clock(clock);
    if let Some(at) = input.profile {
        builder = builder.profile(profile(at));
    }
    if let Some(custom) = &input.custom {
        builder = builder.config(custom.get(input.profile.map(profile).unwrap_or_default()));
    }
    for rule in rules(&input.rules) {
        builder = builder.retain(rule);
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
        Err(error) => {
            let named = refused(&error);
            assert!(named >= problems, "{error}");
            assert!(has_own_tiers(input) || named == problems, "{error}");
            return;
        }
    };
    assert_eq!(problems, 0, "a store out of wrong settings: {input:?}");

    let metadata = Metadata::new("fuzz", Level::INFO, None);
    for n in 0..input.records {
        let key = Key::from_parts("n", vec![("n", n.to_string())].as_slice());
        recorder.register_counter(&key, &metadata).increment(1);
        recorder
            .register_histogram(&key, &metadata)
            .record(f64::from(n));
        if n == 9
            && let Some(later) = &input.later
            && let Err(error) = recall.set_retention_rules(rules(later))
        {
            refused(&error);
        }
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
