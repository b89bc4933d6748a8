//! Every question that `tests/model.rs` does not ask, against lists of everything that was recorded: medians, deviations,
//! trends, changes, ranges, the usual numbers at once, and questions as data with what is to be known of their answers.
//!
//! `PROPTEST_CASES=10000 cargo test --test questions_model` looks longer.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/expected.rs"]
mod expected;
#[path = "common/naive.rs"]
#[expect(dead_code, reason = "some of it is for `tests/model.rs`")]
mod naive;

use common::Store;
use expected::{Ends, Side, deviation, float};
use metrics::{Label, counter, gauge, histogram};
use metrics_recall::{
    Aggregation, Answer, Bucket, Labels, MemoryProfile, MetricKind, Point, Recall, Stats, Tier,
    Timestamp, Trend, secs,
};
use naive::{Filter, Key, Model, Question, Row, Texts, Window};
use proptest::prelude::*;
use std::time::Duration;

/// What a program or its reader may do.
#[derive(Clone, Debug)]
enum Op {
    Increment(Key, u64),
    Set(Key, f64),
    Record(Key, f64, usize),
    Tick(u64),
    /// The machine sleeps for so long, and then there is a tick.
    Sleep(u64),
    /// So many ticks with something in each.
    Run(u8, Key, i8),
    /// Totals of counters and histograms start again; windows keep what they have.
    Reset,
    Ask(Question),
}

fn key() -> impl Strategy<Value = Key> {
    (0..naive::NAMES.len(), 0..naive::LABELS.len()).prop_map(|(name, labels)| Key { name, labels })
}

/// Numbers whose sums are exact.
fn value() -> impl Strategy<Value = f64> {
    let wide = any::<i16>().prop_map(|v| f64::from(v) / 16.0);
    let positive = (1..4_000_u16).prop_map(|v| f64::from(v) / 16.0);
    prop_oneof![1 => wide, 3 => positive, 1 => (-3..=3_i8).prop_map(f64::from), 1 => Just(0.25)]
}

fn advance() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(1_000), 2 => Just(0), 2 => 1..3_000_u64, 1 => 1..30_000_u64]
}

fn question() -> impl Strategy<Value = Question> {
    let filter = prop_oneof![
        3 => Just(Filter::All),
        2 => (0..2_usize, 0..3_usize).prop_map(|(label, value)| Filter::Is(label, value)),
        1 => (0..2_usize, 0..3_usize).prop_map(|(label, value)| Filter::Not(label, value)),
    ];
    let ms = || {
        prop_oneof![
            (0..20_u64).prop_map(|s| s * 1_000),
            0..5_000_u64,
            0..60_000_u64
        ]
    };
    let window = prop_oneof![
        2 => Just(Window::All),
        3 => ms().prop_map(Window::Last),
        2 => (-5_000..40_000_i64, -1_000..60_000_i64).prop_map(|(from, to)| Window::Between(from, to)),
        1 => (0..40_000_i64, 0..3_000_i64).prop_map(|(from, by)| Window::Between(from, from + by)),
    ];
    let by = prop::sample::select(vec![vec![], vec![], vec![0], vec![1], vec![0, 1]]);
    let step = prop_oneof![
        2 => Just(None),
        1 => (500..10_000_u64).prop_map(Some),
        1 => prop::sample::select(vec![Some(1_000), Some(10_000)]),
    ];
    (0..naive::NAMES.len(), filter, by, window, step).prop_map(
        |(name, filter, by, window, step)| Question {
            name,
            filter,
            by,
            window,
            step,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let times = prop_oneof![4 => Just(1), 1 => 0..5_usize];
    prop_oneof![
        3 => (key(), 0..100_u64).prop_map(|(key, by)| Op::Increment(key, by)),
        3 => (key(), value()).prop_map(|(key, v)| Op::Set(key, v)),
        4 => (key(), value(), times).prop_map(|(key, v, n)| Op::Record(key, v, n)),
        5 => advance().prop_map(Op::Tick),
        1 => (1_000..90_000_u64).prop_map(Op::Sleep),
        2 => (1..40_u8, key(), any::<i8>()).prop_map(|(n, key, v)| Op::Run(n, key, v)),
        1 => Just(Op::Reset),
        4 => question().prop_map(Op::Ask),
    ]
}

/// Answers of every shape as rows, each value by way of `as_float`.
trait Rows<T> {
    fn rows(self, as_float: impl Fn(&T) -> f64) -> Vec<Row>;
}

fn texts(labels: &Labels) -> Texts {
    let pairs = labels.iter();
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn each<T>(points: &[Point<T>], as_float: impl Fn(&T) -> f64) -> Vec<naive::Answer> {
    let point = |p: &Point<T>| (p.at.as_millis(), p.value.as_ref().map(&as_float));
    points.iter().map(point).collect()
}

impl<T> Rows<T> for Option<T> {
    fn rows(self, as_float: impl Fn(&T) -> f64) -> Vec<Row> {
        vec![(Vec::new(), vec![(0, self.as_ref().map(as_float))])]
    }
}

impl<T> Rows<T> for Vec<(Labels, T)> {
    fn rows(self, as_float: impl Fn(&T) -> f64) -> Vec<Row> {
        let row = |(labels, value): &(Labels, T)| (texts(labels), vec![(0, Some(as_float(value)))]);
        self.iter().map(row).collect()
    }
}

impl<T> Rows<T> for Vec<Point<T>> {
    fn rows(self, as_float: impl Fn(&T) -> f64) -> Vec<Row> {
        vec![(Vec::new(), each(&self, as_float))]
    }
}

impl<T> Rows<T> for Vec<(Labels, Vec<Point<T>>)> {
    fn rows(self, as_float: impl Fn(&T) -> f64) -> Vec<Row> {
        let row =
            |(labels, points): &(Labels, Vec<Point<T>>)| (texts(labels), each(points, &as_float));
        self.iter().map(row).collect()
    }
}

/// How an answer may differ from the model's.
#[derive(Clone, Copy, Debug)]
enum Allowed {
    Rounding,
    /// Where the model's is NaN, rounding decides.
    Sure,
    HalfABucket,
}

impl Allowed {
    fn is_close(self, ours: f64, model: f64) -> bool {
        match self {
            Self::Rounding => (ours - model).abs() <= 1e-9 * (1.0 + model.abs()),
            Self::Sure if model.is_nan() => (0.0..=1.0).contains(&ours),
            Self::Sure => (ours - model).abs() <= 1e-6,
            Self::HalfABucket if model == 0.0 => ours == 0.0,
            Self::HalfABucket => {
                let most = HALF_A_BUCKET * (1.0 + 1e-12);
                (1.0 / most..=most).contains(&(ours / model))
            }
        }
    }
}

/// A sixteenth of an octave is a bucket in production.
const HALF_A_BUCKET: f64 = 1.021_897_148_654_116_6;

/// The store and its model, side by side.
struct Pair {
    store: Store,
    model: Model,
    ends: Ends,
    /// Of each name, increments since the start or the last reset; `None`: it was never recorded.
    totals: [Option<u64>; naive::NAMES.len()],
    start: Timestamp,
    /// Everything that was answered, as text.
    said: Vec<String>,
}

macro_rules! windowed {
    ($pair:ident, $question:ident, $selection:expr) => {
        match $question.window {
            Window::All => $selection.over(Duration::MAX),
            Window::Last(ms) => $selection.over(Duration::from_millis(ms)),
            Window::Between(from, to) => $selection.between($pair.at(from), $pair.at(to)),
        }
    };
}

macro_rules! filtered {
    ($question:expr, $selection:expr) => {
        match $question.filter {
            Filter::All => $selection,
            Filter::Is(label, value) => {
                $selection.label(naive::LABEL_NAMES[label], naive::LABEL_VALUES[value])
            }
            Filter::Not(label, value) => {
                $selection.label_not(naive::LABEL_NAMES[label], naive::LABEL_VALUES[value])
            }
        }
    };
}

/// Asks in the shape of the question, and compares. One line a terminal.
macro_rules! compare {
    ($pair:ident, $question:ident, $selection:expr, $($allowed:ident $what:ident($($arg:expr),*) $as_float:expr => $model:expr;)*) => {
        let by: Vec<&str> = $question.by.iter().map(|at| naive::LABEL_NAMES[*at]).collect();
        let step = $question.step.map(Duration::from_millis);
        $(
            let ours = match ($question.by.is_empty(), step) {
                (true, None) => windowed!($pair, $question, $selection).$what($($arg),*).rows($as_float),
                (false, None) => windowed!($pair, $question, $selection.by(&by)).$what($($arg),*).rows($as_float),
                (true, Some(step)) => {
                    windowed!($pair, $question, $selection).every(step).$what($($arg),*).rows($as_float)
                }
                (false, Some(step)) => {
                    windowed!($pair, $question, $selection).by(&by).every(step).$what($($arg),*).rows($as_float)
                }
            };
            let what = concat!(stringify!($what), stringify!(($($arg),*)));
            $pair.assert_same(what, Allowed::$allowed, $question, &ours, &$model);
        )*
    };
}

/// Asks as data: the value must be the terminal's, to the bit.
macro_rules! evaluate {
    ($pair:ident, $question:ident, $selection:expr, $($aggregation:expr => $what:ident($($arg:expr),*) $as_float:expr;)*) => {
        $(
            let asked = windowed!($pair, $question, $selection);
            let value = asked.$what($($arg),*);
            let value = value.as_ref().map($as_float);
            $pair.check_answer($question, $aggregation, asked.eval($aggregation), value);
        )*
    };
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "as the other ways to a float"
)]
fn plain(value: &f64) -> f64 {
    *value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "as the other ways to a float"
)]
fn count(value: &u64) -> f64 {
    float(*value)
}

fn slope(trend: &Trend) -> f64 {
    trend.slope
}

fn confidence(trend: &Trend) -> f64 {
    trend.confidence
}

impl Pair {
    fn new(retention_ms: u64) -> Self {
        let mut config = MemoryProfile::Production.config();
        config.tiers = vec![Tier::new(secs(1), Duration::from_millis(retention_ms))];
        let store = Store::from(Recall::builder().config(config));
        Self {
            start: store.recall.now(),
            model: Model::new(retention_ms, store.recall.now().as_millis()),
            ends: Ends::default(),
            totals: [None; naive::NAMES.len()],
            store,
            said: Vec::new(),
        }
    }

    fn at(&self, ms: i64) -> Timestamp {
        Timestamp::from_millis(self.start.as_millis() + ms)
    }

    fn run(&mut self, ops: &[Op]) {
        for op in ops {
            self.step(op);
        }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Increment(key, by) => self.increment(*key, *by),
            Op::Set(key, value) => self.set(*key, *value),
            Op::Record(key, value, times) => self.record(*key, *value, *times),
            Op::Tick(ms) => self.tick(*ms),
            Op::Sleep(ms) => {
                self.store.hands.suspend(Duration::from_millis(*ms));
                let tick = self.store.recall.tick();
                self.after_tick(*ms, tick);
            }
            Op::Run(times, key, value) => {
                for at in 0..*times {
                    let value = value.wrapping_add_unsigned(at);
                    self.increment(*key, u64::from(value.unsigned_abs()));
                    if value % 3 == 0 {
                        self.set(*key, f64::from(value) / 4.0);
                    }
                    if value % 5 != 0 {
                        self.record(*key, f64::from(value.unsigned_abs()) + 0.5, 1);
                    }
                    self.tick(1_000);
                }
            }
            Op::Reset => {
                let recall = &self.store.recall;
                recall.reset_kind(MetricKind::Counter).unwrap();
                self.totals = self.totals.map(|total| total.map(|_| 0));
                self.after_reset();
                self.store.recall.reset_kind(MetricKind::Histogram).unwrap();
                self.after_reset();
            }
            Op::Ask(question) => {
                let name = naive::NAMES[question.name];
                let total = self.store.recall.counters(name).total();
                assert_eq!(total, self.totals[question.name], "total of {name}");
                self.ask_counters(question);
                self.ask_gauges(question);
                self.ask_histograms(question);
                self.ask_for_data(question);
                self.ask_for_ranges(question);
            }
        }
    }

    fn tick(&mut self, ms: u64) {
        let tick = self.store.tick(Duration::from_millis(ms));
        self.after_tick(ms, tick);
    }

    fn after_tick(&mut self, ms: u64, tick: metrics_recall::Tick) {
        assert_eq!(tick.merged, self.model.tick(ms));
        self.ends.push(self.model.now(), &self.model.gauges);
        let [finest] = &*self.store.recall.retention() else {
            panic!("one tier");
        };
        self.model.forget(finest.points);
    }

    /// A reset ticks by itself, at the same instant.
    fn after_reset(&mut self) {
        self.model.tick(0);
        self.ends.push(self.model.now(), &self.model.gauges);
        let [finest] = &*self.store.recall.retention() else {
            panic!("one tier");
        };
        self.model.forget(finest.points);
    }

    fn increment(&mut self, key: Key, by: u64) {
        let total = &mut self.totals[key.name];
        *total = Some(total.unwrap_or(0) + by);
        let labels = labels(key);
        self.store
            .recorder
            .scope(|| counter!(naive::NAMES[key.name], labels.iter()).increment(by));
        self.model.increment(key, by);
    }

    fn set(&mut self, key: Key, value: f64) {
        let labels = labels(key);
        self.store
            .recorder
            .scope(|| gauge!(naive::NAMES[key.name], labels.iter()).set(value));
        self.model.set(key, value);
    }

    fn record(&mut self, key: Key, value: f64, times: usize) {
        let labels = labels(key);
        self.store.recorder.scope(|| {
            histogram!(naive::NAMES[key.name], labels.iter()).record_many(value, times);
        });
        self.model.record(key, value, times);
    }

    fn assert_same(
        &mut self,
        what: &str,
        allowed: Allowed,
        question: &Question,
        ours: &[Row],
        model: &[Row],
    ) {
        self.said.push(format!("{what} {ours:?}"));
        let same = |(a, b): (&naive::Answer, &naive::Answer)| {
            a.0 == b.0
                && match (a.1, b.1) {
                    (Some(a), Some(b)) => allowed.is_close(a, b),
                    (a, b) => a.is_none() && b.is_none(),
                }
        };
        let equal = ours.len() == model.len()
            && ours.iter().zip(model).all(|(a, b)| {
                a.0 == b.0 && a.1.len() == b.1.len() && a.1.iter().zip(&b.1).all(same)
            });
        assert!(
            equal,
            "{what} of {question:?}\n  answered {ours:?}\n  expected {model:?}"
        );
    }

    fn ask_counters(&mut self, question: &Question) {
        let name = naive::NAMES[question.name];
        let asked = filtered!(question, self.store.recall.counters(name));
        compare! { self, question, asked.clone(),
            Rounding median() plain => self.model.rate_median(question);
            Rounding std_dev() plain => self.model.rate_deviation(question);
            Rounding trend() slope => self.model.rate_trend(question, Side::Slope);
            Sure trend() confidence => self.model.rate_trend(question, Side::Confidence);
        }
    }

    fn ask_gauges(&mut self, question: &Question) {
        let name = naive::NAMES[question.name];
        let asked = filtered!(question, self.store.recall.gauges(name));
        compare! { self, question, asked.clone(),
            Rounding median() plain => self.model.gauge_median(question);
            Rounding std_dev() plain => self.model.gauge_deviation(question);
            Rounding change() plain => self.model.gauge_change(question, &self.ends);
            Rounding rate() plain => self.model.gauge_rate(question, &self.ends);
            Rounding trend() slope => self.model.gauge_trend(question, Side::Slope);
            Sure trend() confidence => self.model.gauge_trend(question, Side::Confidence);
            Rounding stats() |s: &Stats| s.sum => self.model.gauge_sum(question);
            Rounding stats() |s: &Stats| float(s.count) => self.model.gauge_count(question);
            Rounding stats() |s: &Stats| s.min => self.model.gauge_min(question);
            Rounding stats() |s: &Stats| s.max => self.model.gauge_max(question);
            Rounding stats() |s: &Stats| s.avg => self.model.gauge_avg(question);
            Rounding stats() |s: &Stats| s.std_dev => self.model.gauge_deviation(question);
            Rounding stats() |s: &Stats| s.median => self.model.gauge_median(question);
            Rounding stats() |s: &Stats| s.p90 => self.model.gauge_quantile(question, 0.9);
            Rounding stats() |s: &Stats| s.p95 => self.model.gauge_quantile(question, 0.95);
            Rounding stats() |s: &Stats| s.p99 => self.model.gauge_quantile(question, 0.99);
        }
    }

    fn ask_histograms(&mut self, question: &Question) {
        let name = naive::NAMES[question.name];
        let asked = filtered!(question, self.store.recall.histograms(name));
        compare! { self, question, asked.clone(),
            HalfABucket median() plain => self.model.record_median(question);
            Rounding trend() slope => self.model.record_trend(question, Side::Slope);
            Sure trend() confidence => self.model.record_trend(question, Side::Confidence);
            Rounding stats() |s: &Stats| s.avg => self.model.avg(question);
            Rounding stats() |s: &Stats| s.min => self.model.min(question);
            Rounding stats() |s: &Stats| s.max => self.model.max(question);
            HalfABucket stats() |s: &Stats| s.median => self.model.record_median(question);
            HalfABucket stats() |s: &Stats| s.p90 => self.model.quantile(question, 0.9);
            HalfABucket stats() |s: &Stats| s.p95 => self.model.quantile(question, 0.95);
            HalfABucket stats() |s: &Stats| s.p99 => self.model.quantile(question, 0.99);
        }
    }

    fn ask_for_data(&mut self, question: &Question) {
        let name = naive::NAMES[question.name];
        let recall = self.store.recall.clone();
        if self
            .model
            .counters()
            .iter()
            .any(|key| key.name == question.name)
        {
            let asked = filtered!(question, recall.counters(name));
            evaluate! { self, question, asked.clone(),
                Aggregation::Increase => increase() count;
                Aggregation::Rate => rate() plain;
                Aggregation::Avg => avg() plain;
                Aggregation::Min => min() plain;
                Aggregation::Max => max() plain;
                Aggregation::Median => median() plain;
                Aggregation::Quantile(0.9) => quantile(0.9) plain;
                Aggregation::StdDev => std_dev() plain;
                Aggregation::Trend => trend() slope;
            }
        }
        if self
            .model
            .gauges
            .keys()
            .any(|key| key.name == question.name)
        {
            let asked = filtered!(question, recall.gauges(name));
            evaluate! { self, question, asked.clone(),
                Aggregation::Count => count() count;
                Aggregation::Sum => sum() plain;
                Aggregation::Avg => avg() plain;
                Aggregation::Min => min() plain;
                Aggregation::Max => max() plain;
                Aggregation::Median => median() plain;
                Aggregation::Quantile(0.9) => quantile(0.9) plain;
                Aggregation::StdDev => std_dev() plain;
                Aggregation::Change => change() plain;
                Aggregation::Rate => rate() plain;
                Aggregation::Trend => trend() slope;
            }
        }
        if self
            .model
            .histograms
            .iter()
            .any(|key| key.name == question.name)
        {
            let asked = filtered!(question, recall.histograms(name));
            evaluate! { self, question, asked.clone(),
                Aggregation::Count => count() count;
                Aggregation::Sum => sum() plain;
                Aggregation::Avg => avg() plain;
                Aggregation::Min => min() plain;
                Aggregation::Max => max() plain;
                Aggregation::Median => median() plain;
                Aggregation::Quantile(0.9) => quantile(0.9) plain;
                Aggregation::StdDev => std_dev() plain;
                Aggregation::Rate => rate() plain;
                Aggregation::Trend => trend() slope;
            }
        }
    }

    fn check_answer(
        &mut self,
        question: &Question,
        aggregation: Aggregation,
        answer: Result<Answer, metrics_recall::Error>,
        value: Option<f64>,
    ) {
        self.said.push(format!("{aggregation} {answer:?}"));
        let covered = self.model.coverage(question);
        match (answer, covered) {
            (Ok(answer), Some(covered)) => {
                let bits = |value: Option<f64>| value.map(f64::to_bits);
                assert_eq!(
                    bits(answer.value),
                    bits(value),
                    "{aggregation} of {question:?}"
                );
                let close = (answer.coverage - covered).abs() <= 1e-9;
                assert!(close, "{answer:?} of {question:?} covers {covered}");
                let (_, to) = self.model.bounds(question).unwrap();
                assert_eq!(answer.at, self.at(to), "{aggregation} of {question:?}");
                assert!(!answer.partial && answer.bound >= 0.0, "{answer:?}");
            }
            (Err(error), None) => assert!(error.is_beyond_retention(), "{error}"),
            (answer, covered) => panic!("{aggregation} of {question:?}: {answer:?}, {covered:?}"),
        }
    }

    /// Ranges, and bounds of deviations and quantiles, of all that a question is about.
    fn ask_for_ranges(&mut self, question: &Question) {
        let question = &Question {
            by: Vec::new(),
            step: None,
            ..question.clone()
        };
        let name = naive::NAMES[question.name];
        let recall = self.store.recall.clone();
        let gauges = windowed!(self, question, filtered!(question, recall.gauges(name)));
        let ends = self.model.all_ends(question).unwrap_or_default();
        for n in [1, 3, 10] {
            let buckets = gauges.buckets(n);
            self.said.push(format!("{buckets:?}"));
            assert_eq!(buckets.is_some(), !ends.is_empty(), "{question:?}");
            assert_ranges(&buckets.unwrap_or_default(), n, &ends);
        }
        let histograms = windowed!(self, question, filtered!(question, recall.histograms(name)));
        let all = self.model.all_records(question).unwrap_or_default();
        for n in [1, 3, 10] {
            let buckets = histograms.buckets(n);
            self.said.push(format!("{buckets:?}"));
            assert_eq!(buckets.is_some(), !all.is_empty(), "{question:?}");
            assert_ranges(&buckets.unwrap_or_default(), n, &all);
        }
        let bounds = [0.25, 1.0, 8.0, 64.0];
        let buckets = histograms.buckets_at(bounds);
        assert_eq!(buckets.is_some(), !all.is_empty(), "{question:?}");
        let mut from = f64::NEG_INFINITY;
        for (bucket, to) in buckets
            .iter()
            .flatten()
            .zip(bounds.into_iter().chain([f64::INFINITY]))
        {
            let inside = all.iter().filter(|value| from < **value && **value <= to);
            let expected = (from, to, inside.count() as u64);
            assert_eq!(
                (bucket.from, bucket.to, bucket.count),
                expected,
                "{question:?}"
            );
            from = to;
        }
        if all.is_empty() {
            return;
        }
        let off = |answer: &Answer, truth: f64| (answer.value.unwrap() - truth).abs();
        let answer = histograms.eval(Aggregation::StdDev).unwrap();
        let deviation = deviation(&all).unwrap();
        let most = answer.bound * answer.value.unwrap() + 1e-9 * (1.0 + deviation);
        assert!(
            most.is_nan() || off(&answer, deviation) <= most,
            "{answer:?} is not {deviation}: {all:?}"
        );
        let answer = histograms.eval(Aggregation::Quantile(0.7)).unwrap();
        let truth = rank(&all, 0.7);
        let most = (answer.bound + 1e-12) * truth.abs();
        assert!(
            most.is_nan() || off(&answer, truth) <= most,
            "{answer:?} is not {truth}"
        );
        if all.iter().all(|value| *value > 0.0) {
            assert!(answer.bound <= HALF_A_BUCKET - 1.0 + 1e-12, "{answer:?}");
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks of a vector"
)]
fn rank(all: &[f64], q: f64) -> f64 {
    let rank = (q * float(all.len() as u64)).ceil() as usize;
    all[rank.max(1) - 1]
}

fn labels(key: Key) -> Vec<Label> {
    let pairs = naive::LABELS[key.labels].iter();
    pairs
        .map(|(k, v)| Label::new(naive::LABEL_NAMES[*k], naive::LABEL_VALUES[*v]))
        .collect()
}

/// Ranges lie side by side, reach from the least to the greatest value, and count what is in them. Values on a bound may be
/// on either side.
fn assert_ranges(buckets: &[Bucket], n: usize, values: &[f64]) {
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
        return;
    };
    assert!(buckets.len() <= n, "{buckets:?}");
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert_eq!((first.from, last.to), (low, high), "{buckets:?}");
    let all: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    assert_eq!(all, values.len() as u64, "{buckets:?}");
    for pair in buckets.windows(2) {
        assert_eq!(pair[0].to.to_bits(), pair[1].from.to_bits(), "{buckets:?}");
    }
    for bucket in buckets {
        let inside = values
            .iter()
            .filter(|v| bucket.from < **v && **v < bucket.to);
        let closed = values
            .iter()
            .filter(|v| bucket.from <= **v && **v <= bucket.to);
        let allowed = inside.count() as u64..=closed.count() as u64;
        assert!(allowed.contains(&bucket.count), "{bucket:?} of {values:?}");
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn retention() -> impl Strategy<Value = u64> {
    prop_oneof![Just(120_000), (5..30_u64).prop_map(|s| s * 1_000)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_answer_is_what_the_books_say(
        retention in retention(),
        ops in prop::collection::vec(op(), 1..60),
    ) {
        Pair::new(retention).run(&ops);
    }

    /// How long points stay that are past their retention is not part of the promise: they go some at a time.
    #[test]
    fn equal_ticks_give_equal_answers_to_the_bit(
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let said = || {
            let mut pair = Pair::new(2 * 3_600_000);
            pair.run(&ops);
            pair.said
        };
        prop_assert_eq!(said(), said());
    }
}
