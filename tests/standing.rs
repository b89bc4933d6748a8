//! What rules and watches keep from tick to tick is what the same questions answer when history is asked: across late ticks,
//! ticks that join, gaps, resets, deletes, evictions, scarce memory, and windows that reach into coarse tiers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Store;
use metrics::{counter, gauge, histogram};
use metrics_recall::{
    Aggregation, AlertRule, Condition, Labels, MemoryProfile, Recall, Tier, Timestamp, Watch, secs,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, fmt::Write};

const NAME: &str = "watched";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A question, as rules, watches and we ask it.
#[derive(Clone, Debug)]
struct Asked {
    kind: Kind,
    aggregation: Aggregation,
    window: u64,
    is_grouped: bool,
    /// Only series of this host.
    host: Option<u8>,
    ago: u64,
}

impl Asked {
    /// A condition that holds whenever there is a value.
    fn condition(&self) -> Condition {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let mut text = format!("{}({kind} {NAME}", self.aggregation);
        if let Some(host) = self.host {
            let _ = write!(text, "{{host=\"{host}\"}}");
        }
        text += ")";
        if self.is_grouped {
            text += " by (route)";
        }
        let _ = write!(text, " over {}s", self.window);
        if self.ago > 0 {
            let _ = write!(text, " offset {}s", self.ago);
        }
        format!("{text} > -1e300").parse().unwrap()
    }

    /// What history answers; `None`: there is no room for the question.
    fn answers(&self, recall: &Recall, now: Timestamp) -> Option<BTreeMap<Labels, Said>> {
        macro_rules! ask {
            ($kind:ident) => {{
                let all = recall.$kind(NAME);
                let all = match self.host {
                    Some(host) => all.label("host", host.to_string()),
                    None => all,
                };
                let window = secs(self.window);
                let all = if self.ago > 0 {
                    let to = now - secs(self.ago);
                    all.between(to - window, to)
                } else {
                    all.over(window)
                };
                if self.is_grouped {
                    all.by("route").eval(self.aggregation)
                } else {
                    let answer = all.eval(self.aggregation);
                    answer.map(|answer| vec![(Labels::from([]), answer)])
                }
            }};
        }
        let rows = match self.kind {
            Kind::Counter => ask!(counters),
            Kind::Gauge => ask!(gauges),
            Kind::Histogram => ask!(histograms),
        };
        match rows {
            Err(error) if error.is_refused() => None,
            rows => {
                let some = rows.unwrap_or_default().into_iter();
                Some(
                    some.filter_map(|(labels, answer)| {
                        let (value, bound) = (answer.value?, answer.bound);
                        Some((labels, Said { value, bound }))
                    })
                    .collect(),
                )
            }
        }
    }

    fn watch(&self, recall: &Recall) -> Option<Watch> {
        macro_rules! watch {
            ($kind:ident) => {{
                let all = recall.$kind(NAME);
                let all = match self.host {
                    Some(host) => all.label("host", host.to_string()),
                    None => all,
                };
                all.over(secs(self.window)).watch(self.aggregation)
            }};
        }
        (self.ago == 0 && !self.is_grouped).then(|| match self.kind {
            Kind::Counter => watch!(counters),
            Kind::Gauge => watch!(gauges),
            Kind::Histogram => watch!(histograms),
        })
    }

    /// Sums of floats may be rounded otherwise, and scarce memory seals histograms with wider buckets than they were kept
    /// with; all else is the same to the bit.
    fn agrees(&self, kept: f64, asked: Said, is_scarce: bool) -> bool {
        let is_sum = matches!(
            (self.kind, self.aggregation),
            (
                Kind::Gauge | Kind::Histogram,
                Aggregation::Avg | Aggregation::Sum
            )
        );
        let off = (kept - asked.value).abs();
        if is_sum {
            off <= 1e-9 * asked.value.abs().max(1.0)
        } else {
            let is_within = is_scarce && off <= 2.0 * asked.bound * asked.value.abs();
            is_within || kept.to_bits() == asked.value.to_bits()
        }
    }
}

/// An answer of history, and by how much of itself it may be off.
#[derive(Clone, Copy, Debug)]
struct Said {
    value: f64,
    bound: f64,
}

fn asked() -> impl Strategy<Value = Asked> {
    use Aggregation::{Avg, Count, Increase, Max, Median, Min, Quantile, Rate, StdDev, Sum};
    let counters = prop::sample::select(vec![Increase, Rate, Avg, Max]);
    let gauges = prop::sample::select(vec![Avg, Min, Max, Sum, Count, Median]);
    let histograms = prop::sample::select(vec![
        Avg,
        Min,
        Max,
        Sum,
        Count,
        Rate,
        StdDev,
        Median,
        Quantile(0.99),
        Quantile(0.0),
    ]);
    let question = prop_oneof![
        counters.prop_map(|a| (Kind::Counter, a)),
        gauges.prop_map(|a| (Kind::Gauge, a)),
        histograms.prop_map(|a| (Kind::Histogram, a)),
    ];
    let window = prop::sample::select(vec![1, 3, 10, 20, 45, 100, 400]);
    let ago = prop::sample::select(vec![0, 0, 0, 7, 50]);
    (
        question,
        window,
        any::<bool>(),
        prop::option::of(0_u8..2),
        ago,
    )
        .prop_map(
            |((kind, aggregation), window, is_grouped, host, ago)| Asked {
                kind,
                aggregation,
                // What takes turns is answered at once as long as it is little.
                window: match (kind, aggregation) {
                    (Kind::Counter, Max) | (Kind::Gauge, Median) => window.min(20),
                    _ => window,
                },
                is_grouped,
                host,
                ago: match (kind, aggregation) {
                    (Kind::Counter, Max) | (Kind::Gauge, Median) => 0,
                    _ => ago,
                },
            },
        )
}

#[derive(Clone, Debug)]
enum Step {
    /// Route, host, value.
    Count(u8, u8, u64),
    Set(u8, u8, i32),
    Observe(u8, u8, u32),
    /// So many milliseconds pass.
    Tick(u64),
    /// So many usual seconds, with a little of everything.
    Run(u8, u32),
    Reset,
    ResetSome(u8),
    Delete,
    DeleteSome(u8),
    /// So many metrics come that nobody asks for, until memory is scarce.
    Crowd(u16),
    Cleanup,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..4, 0_u8..3, 0_u64..100).prop_map(|(r, h, n)| Step::Count(r, h, n)),
        8 => (0_u8..4, 0_u8..3, -50_i32..50).prop_map(|(r, h, n)| Step::Set(r, h, n)),
        8 => (0_u8..4, 0_u8..3, 0_u32..1000).prop_map(|(r, h, n)| Step::Observe(r, h, n)),
        8 => prop::sample::select(vec![1000_u64, 1000, 1000, 1000, 0, 300, 1700, 9_000, 70_000])
            .prop_map(Step::Tick),
        8 => (1_u8..60, any::<u32>()).prop_map(|(n, seed)| Step::Run(n, seed)),
        1 => Just(Step::Reset),
        1 => (0_u8..3).prop_map(Step::ResetSome),
        1 => Just(Step::Delete),
        1 => (0_u8..3).prop_map(Step::DeleteSome),
        1 => (1_u16..400).prop_map(Step::Crowd),
        1 => Just(Step::Cleanup),
    ]
}

fn count(route: u8, host: u8, n: u64) {
    let labels = [("route", route.to_string()), ("host", host.to_string())];
    counter!(NAME, &labels).increment(n);
}

fn set(route: u8, host: u8, value: i32) {
    let labels = [("route", route.to_string()), ("host", host.to_string())];
    gauge!(NAME, &labels).set(f64::from(value) / 8.0);
}

fn observe(route: u8, host: u8, value: u32) {
    let labels = [("route", route.to_string()), ("host", host.to_string())];
    histogram!(NAME, &labels).record(f64::from(value) / 16.0);
}

/// One of everything, by chance.
fn some(state: &mut u32) {
    let mut next = |n: u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*state >> 8) % n
    };
    let small = |n: u32| u8::try_from(n).unwrap();
    for _ in 0..next(4) {
        let (route, host) = (small(next(4)), small(next(3)));
        match next(3) {
            0 => count(route, host, u64::from(next(30))),
            1 => set(route, host, next(100).cast_signed() - 50),
            _ => observe(route, host, next(4000)),
        }
    }
}

fn store(budget: usize) -> Store {
    let mut config = MemoryProfile::Production.config();
    config.memory_budget = budget;
    config.coarsest_schema = 3;
    config.tiers = vec![
        Tier::new(secs(1), secs(40)),
        Tier::new(secs(5), secs(120)),
        Tier::new(secs(20), secs(300)),
    ];
    config.idle_timeout = secs(30);
    config.max_series_per_metric = 9;
    Store::from(Recall::builder().config(config).own_alerts(false))
}

struct Watched {
    store: Store,
    asked: Vec<Asked>,
    watches: Vec<Option<Watch>>,
    /// There may be no room for a question.
    is_scarce: bool,
}

impl Watched {
    fn new(budget: usize, asked: Vec<Asked>) -> Self {
        let store = store(budget);
        for (at, one) in asked.iter().enumerate() {
            let rule = AlertRule::new(at.to_string()).when(one.condition());
            store.recall.alerts().add(rule).unwrap();
        }
        let watches = asked.iter().map(|one| one.watch(&store.recall)).collect();
        Self {
            store,
            asked,
            watches,
            is_scarce: budget < 1 << 20,
        }
    }

    fn tick(&self, ms: u64) -> Result<(), TestCaseError> {
        let now = self.store.tick(std::time::Duration::from_millis(ms)).at;
        self.compare(now)
    }

    fn compare(&self, now: Timestamp) -> Result<(), TestCaseError> {
        let mut kept: BTreeMap<(usize, Labels), f64> = BTreeMap::new();
        for alert in self.store.recall.alerts().active() {
            let at = alert.rule.parse().unwrap();
            kept.insert((at, alert.labels), alert.value);
        }
        let rules = self.store.recall.alerts().rules();
        for (at, one) in self.asked.iter().enumerate() {
            let failed = rules[at].error.is_some() || rules[at].excess > 0;
            prop_assert!(self.is_scarce || !failed, "{}", rules[at]);
            let asked = one.answers(&self.store.recall, now);
            let Some(asked) = asked.filter(|_| !failed) else {
                prop_assert!(self.is_scarce);
                kept.retain(|(of, _), _| *of != at);
                continue;
            };
            for (labels, asked) in &asked {
                let kept = kept.remove(&(at, labels.clone()));
                prop_assert!(
                    kept.is_some_and(|kept| one.agrees(kept, *asked, self.is_scarce)),
                    "{one:?} {labels}: kept {kept:?}, asked {asked:?}"
                );
            }
            if let Some(watch) = self.watches.get(at).and_then(Option::as_ref) {
                let value = asked.values().next();
                let same = match (watch.get(), value) {
                    (Some(kept), Some(asked)) => one.agrees(kept, *asked, self.is_scarce),
                    (None, _) if self.is_scarce => true,
                    (kept, asked) => kept.is_none() && asked.is_none(),
                };
                prop_assert!(same, "{one:?}: watched {:?}, asked {value:?}", watch.get());
            }
        }
        prop_assert!(kept.is_empty(), "kept, and not there: {kept:?}");
        Ok(())
    }

    fn go(&self, step: &Step) -> Result<(), TestCaseError> {
        let Store {
            recorder, recall, ..
        } = &self.store;
        match step {
            Step::Count(route, host, n) => recorder.scope(|| count(*route, *host, *n)),
            Step::Set(route, host, n) => recorder.scope(|| set(*route, *host, *n)),
            Step::Observe(route, host, n) => recorder.scope(|| observe(*route, *host, *n)),
            Step::Tick(ms) => return self.tick(*ms),
            Step::Run(n, seed) => {
                let mut state = *seed;
                for _ in 0..*n {
                    recorder.scope(|| some(&mut state));
                    self.tick(1000)?;
                }
            }
            Step::Reset => drop(recall.reset(NAME)),
            Step::Delete => drop(recall.delete(NAME)),
            Step::ResetSome(host) => {
                let host = host.to_string();
                drop(recall.counters(NAME).label("host", &host).reset());
                drop(recall.gauges(NAME).label("host", &host).reset());
                drop(recall.histograms(NAME).label("host", &host).reset());
            }
            Step::DeleteSome(host) => {
                let host = host.to_string();
                drop(recall.counters(NAME).label("host", &host).delete());
                drop(recall.gauges(NAME).label("host", &host).delete());
                drop(recall.histograms(NAME).label("host", &host).delete());
            }
            Step::Crowd(n) => recorder.scope(|| {
                for at in 0..*n {
                    counter!(format!("crowd_{}", at % 40), "i" => at.to_string()).increment(1);
                }
            }),
            Step::Cleanup => {
                recall.cleanup();
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        if std::env::var_os("RECALL_LONG").is_some() { 2_000 } else { 60 }
    ))]

    #[test]
    fn what_is_kept_is_what_history_answers(
        asked in prop::collection::vec(asked(), 1..12),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let watched = Watched::new(8 << 20, asked);
        for step in &steps {
            watched.go(step)?;
        }
        watched.tick(1000)?;
    }

    /// Where memory is short, some is not kept, and history gives way: the answers are the same, within their bounds.
    #[test]
    fn scarce_memory_changes_no_answer(
        asked in prop::collection::vec(asked(), 1..6),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let watched = Watched::new(256 << 10, asked);
        for step in &steps {
            watched.go(step)?;
        }
    }
}

/// Of all series, at this moment.
fn of(kind: Kind, aggregation: Aggregation, window: u64) -> Asked {
    Asked {
        kind,
        aggregation,
        window,
        is_grouped: false,
        host: None,
        ago: 0,
    }
}

fn goes(budget: usize, asked: Vec<Asked>, steps: &[Step]) {
    let watched = Watched::new(budget, asked);
    for step in steps {
        watched.go(step).unwrap();
    }
}

/// Kept answers knew the value of a gauge behind a gap, when history had dropped the last change before it.
#[test]
fn what_a_gauge_was_behind_a_gap_is_forgotten_with_what_was_before_it() {
    let by_route = |aggregation| Asked {
        is_grouped: true,
        ..of(Kind::Gauge, aggregation, 1)
    };
    // What history drops first is up to chance.
    for _ in 0..20 {
        let asked = vec![
            by_route(Aggregation::Avg),
            of(Kind::Gauge, Aggregation::Median, 1),
            by_route(Aggregation::Median),
            of(Kind::Gauge, Aggregation::Sum, 20),
        ];
        let steps = [
            Step::Run(10, 3_282_273_059),
            Step::Tick(1000),
            Step::Run(14, 1_527_978_195),
            Step::Cleanup,
            Step::Crowd(228),
            Step::Run(41, 1_422_012_707),
        ];
        goes(256 << 10, asked, &steps);
    }
}

/// A coarse point had the count of a tick without length, too, and was taken for the fine one that stood in its place.
#[test]
fn what_a_tick_without_length_counted_leaves_once() {
    let steps = [
        Step::Count(0, 0, 1),
        Step::Reset,
        Step::Tick(1000),
        Step::Tick(70_000),
        Step::Run(29, 0),
        Step::Tick(70_000),
    ];
    goes(
        8 << 20,
        vec![of(Kind::Counter, Aggregation::Increase, 100)],
        &steps,
    );
}

/// The buckets of a coarse point that left were taken away as if they were as narrow as those that had come in.
#[test]
fn buckets_that_have_become_wider_are_not_taken_away() {
    let steps = [
        Step::Tick(1000),
        Step::Tick(70_000),
        Step::Run(12, 4_138_462_402),
        Step::Tick(70_000),
    ];
    goes(
        8 << 20,
        vec![of(Kind::Histogram, Aggregation::StdDev, 100)],
        &steps,
    );
}
