//! A simulated day: the service that the defaults are made for, and ten times as much on the same budget.
//!
//! Everything that it records is added up naively beside it, and every answer is compared with that. The usual run is
//! some hours, with tiers as much shorter; `RECALL_LONG=1` asks for 32 hours on the defaults.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]

#[allow(dead_code, reason = "each test uses a part of it")]
mod common;
#[path = "common/service.rs"]
mod service;

use common::Store;
use metrics_recall::{
    MemoryProfile, ProfileConfig, Recall, RecallBuilder, Selection, Tier, Timestamp, mins,
    query::{Histograms, Over},
    secs,
};
use service::{Expected, Load, Service, key};
use std::time::Duration;

fn is_long() -> bool {
    std::env::var("RECALL_LONG").is_ok_and(|v| v == "1")
}

/// Most that a quantile may be off at a schema, as a factor; and what floats round.
fn off_by(schema: i32) -> f64 {
    f64::from(-schema).exp2().exp2().sqrt() * (1.0 + 1e-12)
}

/// Time that this thread has had; what others did meanwhile is not in it.
#[cfg(target_os = "linux")]
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(not(target_os = "linux"))]
fn cpu_ns() -> u64 {
    0
}

/// A service at work, and the most that its store took in each period.
struct Day {
    store: Store,
    service: Service,
    load: Load,
    period: Duration,
    used: Vec<usize>,
    /// Nanoseconds that ticks took.
    ticks: Vec<u64>,
}

impl Day {
    fn new(builder: RecallBuilder, load: Load, period: Duration) -> Self {
        let store = Store::from(builder);
        let service = Service::new(&store.recorder, load);
        Self {
            store,
            service,
            load,
            period,
            used: Vec::new(),
            ticks: Vec::new(),
        }
    }

    fn pass_period(&mut self) {
        let start = self.store.recall.now();
        self.service.start_period(start);
        let mut most = 0;
        for second in 1..=self.period.as_secs() {
            self.service.work(start + secs(second));
            self.store.hands.advance(secs(1));
            let begin = cpu_ns();
            self.store.recall.tick();
            self.ticks.push(cpu_ns() - begin);
            most = most.max(self.store.recall.memory().used);
        }
        self.used.push(most);
        self.print();
    }

    fn print(&self) {
        let memory = self.store.recall.memory();
        let parts = memory.parts.iter().map(|(part, bytes)| {
            let kib = bytes >> 10;
            format!("{part} {kib}")
        });
        let parts: Vec<String> = parts.collect();
        let passed = self.period * self.service.periods.len() as u32;
        let most = self.used.last().map_or(0, |bytes| bytes >> 10);
        println!(
            "{passed:?}: {memory}, at most {most} KiB; {}",
            parts.join(", ")
        );
        for tier in self.store.recall.retention() {
            println!("  {tier}");
        }
    }

    /// How long ticks took, for people: it is another test's business what they may.
    fn print_ticks(&self) {
        let mut ticks = self.ticks.clone();
        ticks.sort_unstable();
        let at = |part: usize| {
            ticks
                .get(ticks.len() * part / 1_000)
                .map_or(0, |ns| ns / 1_000)
        };
        println!(
            "ticks: median {} us, 99 % {} us, 99.9 % {} us, slowest {} us",
            at(500),
            at(990),
            at(999),
            ticks.last().map_or(0, |ns| ns / 1_000)
        );
    }

    fn reach(&self) -> Duration {
        let tiers = self.store.recall.retention();
        tiers.iter().map(|tier| tier.effective).max().unwrap()
    }

    /// Compares all answers about all periods that history reaches.
    fn check_answers(&self, schema: i32) -> usize {
        let now = self.store.recall.now();
        let oldest = Timestamp::from_millis(now.as_millis() - self.reach().as_millis() as i64);
        let mut checked = 0;
        for period in 0..self.service.periods.len() {
            if self.service.periods[period].start >= oldest {
                self.check_period(period, schema);
                checked += 1;
            }
        }
        self.check_totals();
        checked
    }

    fn check_period(&self, at: usize, schema: i32) {
        let recall = &self.store.recall;
        let period = &self.service.periods[at];
        let (from, to) = (period.start, period.end);
        for (n, by) in period.counters.iter().enumerate() {
            let (name, route) = key("requests", n);
            let ask = recall
                .counters(name)
                .label("route", route)
                .between(from, to);
            assert_eq!(ask.increase(), Some(*by), "counter {n} in period {at}");
            let seconds = self.period.as_secs_f64();
            assert_eq!(
                ask.rate(),
                Some(*by as f64 / seconds),
                "counter {n} in period {at}"
            );
        }
        for (n, level) in period.gauges.iter().enumerate() {
            let level = level.unwrap();
            let (name, route) = key("level", n);
            let ask = recall.gauges(name).label("route", route).between(from, to);
            assert_eq!(ask.count(), Some(level.count), "gauge {n} in period {at}");
            assert_eq!(ask.min(), Some(level.min), "gauge {n} in period {at}");
            assert_eq!(ask.max(), Some(level.max), "gauge {n} in period {at}");
            let (sum, avg) = (ask.sum().unwrap(), ask.avg().unwrap());
            let mean = level.sum / level.count as f64;
            let rounded = 1e-9 * level.sum.abs().max(1.0);
            assert!((sum - level.sum).abs() <= rounded, "{sum} {level:?}");
            assert!((avg - mean).abs() <= rounded, "{avg} {mean}");
        }
        for n in 0..self.load.histograms {
            let expected = self.service.expected(n, at);
            let (name, route) = key("micros", n);
            let ask = recall
                .histograms(name)
                .label("route", route)
                .between(from, to);
            let of = format!("histogram {n} in period {at}");
            check_histogram(&ask, expected, schema, &of);
        }
    }

    /// Windows that end now.
    fn check_lately(&self, ticks: usize) {
        let config = MemoryProfile::Production.config();
        let finest = &self.store.recall.retention()[0];
        let schema = if finest.effective >= secs(ticks as u64) {
            config.schema
        } else {
            config.coarsest_schema
        };
        for n in 0..self.load.histograms {
            let expected = self.service.expected_lately(n, ticks);
            let (name, route) = key("micros", n);
            let ask = self.store.recall.histograms(name).label("route", route);
            let of = format!("histogram {n} over {ticks} s");
            check_histogram(&ask.over(secs(ticks as u64)), expected, schema.into(), &of);
        }
    }

    fn check_totals(&self) {
        for n in 0..self.load.counters {
            let total = self.service.periods.iter().map(|period| period.counters[n]);
            let (name, route) = key("requests", n);
            let ask = self.store.recall.counters(name).label("route", route);
            assert_eq!(ask.total(), Some(total.sum()), "counter {n}");
        }
    }
}

fn check_histogram(ask: &Selection<Histograms, Over>, expected: Expected, schema: i32, of: &str) {
    assert_eq!(ask.count(), Some(expected.count), "{of}");
    let sum = ask.sum().unwrap();
    // Whole numbers add up exactly; in the sum beside, others are rounded.
    let rounded = if expected.sum.fract() == 0.0 {
        0.0
    } else {
        1e-11 * expected.sum
    };
    assert!(
        (sum - expected.sum).abs() <= rounded,
        "{of}: {sum}, {expected:?}"
    );
    assert_eq!(ask.min(), Some(expected.min), "{of}");
    assert_eq!(ask.max(), Some(expected.max), "{of}");
    let off = ask.quantile(0.99).unwrap() / expected.p99;
    let most = off_by(schema);
    assert!(
        off <= most && off >= 1.0 / most,
        "{of}: off by {off}, {expected:?}"
    );
}

/// The profile's tiers, all of them twelve times shorter.
fn two_hours() -> ProfileConfig {
    let mut config = MemoryProfile::Production.config();
    config.tiers = vec![
        Tier::new(secs(1), secs(120)),
        Tier::new(secs(10), mins(20)),
        Tier::new(secs(60), mins(120)),
    ];
    config
}

#[test]
fn the_service_of_the_defaults_has_all_of_its_day() {
    let (mut day, periods) = if is_long() {
        (Day::new(Recall::builder(), Load::SERVICE, mins(60)), 32)
    } else {
        let builder = Recall::builder().config(two_hours());
        (Day::new(builder, Load::SERVICE, mins(10)), 21)
    };
    for passed in 1..=periods {
        day.pass_period();
        let health = day.store.recall.health();
        assert!(health.is_healthy(), "{health}");
        for tier in day.store.recall.retention() {
            let least = tier.target.min(day.period * passed);
            assert!(tier.effective >= least && tier.shortened == 0, "{tier}");
        }
        day.check_lately(60);
    }
    day.print_ticks();
    let coarsest = i32::from(MemoryProfile::Production.config().coarsest_schema);
    // A day, or two hours.
    let of_retention = if is_long() { 24 } else { 12 };
    assert!(day.check_answers(coarsest) >= of_retention);
    if is_long() {
        day.check_lately(300);
    }
    let memory = day.store.recall.memory();
    assert!(memory.peak <= memory.budget, "{memory}");
    // All retention is full before the last six periods; segments come and go in rounds of two or three.
    let most = |skip: usize| day.used.iter().rev().skip(skip).take(3).max().copied();
    let (before, last) = (most(3).unwrap(), most(0).unwrap());
    assert!(last.abs_diff(before) < before / 20, "{:?}", day.used);
}

#[test]
fn ten_times_the_service_is_remembered_for_a_shorter_time_which_is_said() {
    let (period, periods) = if is_long() {
        (mins(60), 4)
    } else {
        (mins(3), 3)
    };
    let mut day = Day::new(Recall::builder(), Load::SERVICE.times(10), period);
    for _ in 0..periods {
        day.pass_period();
        day.check_lately(30);
        let memory = day.store.recall.memory();
        assert!(memory.peak <= memory.budget, "{memory}");
    }
    day.print_ticks();
    let health = day.store.recall.health();
    println!("{health}");
    let reasons = health.reasons();
    assert!(
        reasons.iter().any(|r| r.contains("history reaches back")),
        "{health}"
    );
    assert!(
        reasons.iter().all(|r| r.contains("history reaches back")),
        "{health}"
    );
    let tiers = day.store.recall.retention();
    assert!(tiers.iter().any(|tier| tier.shortened > 0));
    let coarsest = i32::from(MemoryProfile::Production.config().coarsest_schema);
    println!("{} periods checked", day.check_answers(coarsest));
}
