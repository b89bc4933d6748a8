//! A naive model of the store: everything that was recorded, tick by tick, in plain lists. Every answer over any window
//! must be what the model says.
//!
//! `PROPTEST_CASES=10000 cargo test --test model` looks longer.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/naive.rs"]
mod naive;

use common::Store;
use metrics::{Counter, Gauge, Histogram, Label, counter, gauge, histogram};
use metrics_recall::{Labels, MemoryProfile, Point, Recall, Tier, Timestamp, secs};
use naive::{Answer, Fate, Filter, Key, Kind, Model, Question, Row, Texts, Window};
use proptest::prelude::*;
use std::{collections::BTreeMap, fmt::Debug, time::Duration};

/// What a program or its reader may do.
#[derive(Clone, Debug)]
enum Op {
    Increment(Key, u64),
    Absolute(Key, u64),
    Set(Key, f64),
    Add(Key, f64),
    Record(Key, f64, usize),
    Tick(u64),
    Ask(Question),
    /// Keeps a handle, which exists already or is new.
    Keep(Kind, Key),
    /// Drops all handles that are kept.
    Drop,
    /// What becomes of a whole name, or of some series of one kind.
    Settle(Fate, usize, Option<(Kind, Filter)>),
}

/// A handle that somebody keeps.
#[derive(Clone)]
enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

#[derive(Clone, Debug)]
struct Setup {
    profile: MemoryProfile,
    schema: i32,
    retention_ms: u64,
}

fn setup() -> impl Strategy<Value = Setup> {
    let profiles = [
        (MemoryProfile::Edge, 3),
        (MemoryProfile::Production, 4),
        (MemoryProfile::Development, 5),
    ];
    let retention_ms = prop_oneof![Just(120_000), (1..20_u64).prop_map(|s| s * 1_000)];
    (prop::sample::select(profiles.to_vec()), retention_ms).prop_map(
        |((profile, schema), retention_ms)| Setup {
            profile,
            schema,
            retention_ms,
        },
    )
}

fn key() -> impl Strategy<Value = Key> {
    (0..naive::NAMES.len(), 0..naive::LABELS.len()).prop_map(|(name, labels)| Key { name, labels })
}

/// Numbers whose sums are exact.
fn value() -> impl Strategy<Value = f64> {
    let wide = any::<i16>().prop_map(|v| f64::from(v) / 16.0);
    prop_oneof![wide, (-3..=3_i8).prop_map(f64::from), Just(0.25)]
}

fn advance() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(1_000), 2 => Just(0), 2 => 1..3_000_u64, 1 => 1..30_000_u64, 1 => Just(90_000)]
}

fn filter() -> impl Strategy<Value = Filter> {
    prop_oneof![
        3 => Just(Filter::All),
        2 => (0..2_usize, 0..3_usize).prop_map(|(label, value)| Filter::Is(label, value)),
        1 => (0..2_usize, 0..3_usize).prop_map(|(label, value)| Filter::Not(label, value)),
    ]
}

fn question() -> impl Strategy<Value = Question> {
    let filter = filter();
    let whole = || (0..20_u64).prop_map(|s| s * 1_000);
    let ms = || prop_oneof![whole(), 0..5_000_u64, 0..60_000_u64];
    let window = prop_oneof![
        1 => Just(Window::All),
        3 => ms().prop_map(Window::Last),
        2 => (-1_000..40_000_i64, -1_000..40_000_i64).prop_map(|(from, to)| Window::Between(from, to)),
        1 => (0..40_000_i64, 0..3_000_i64).prop_map(|(from, by)| Window::Between(from, from + by)),
    ];
    let by = prop::sample::select(vec![vec![], vec![], vec![0], vec![1], vec![0, 1]]);
    let step = prop_oneof![
        2 => Just(None),
        1 => (100..10_000_u64).prop_map(Some),
        1 => prop::sample::select(vec![Some(0), Some(1_000), Some(10_000)]),
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

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(naive::KINDS.to_vec())
}

fn settled() -> impl Strategy<Value = Op> {
    let fate = prop::sample::select(vec![Fate::Reset, Fate::Delete]);
    let some = prop::option::weighted(0.7, (kind(), filter()));
    (fate, 0..naive::NAMES.len(), some).prop_map(|(fate, name, some)| Op::Settle(fate, name, some))
}

fn op() -> impl Strategy<Value = Op> {
    let times = prop_oneof![4 => Just(1), 1 => 0..5_usize];
    prop_oneof![
        3 => (key(), 0..100_u64).prop_map(|(key, by)| Op::Increment(key, by)),
        1 => (key(), 0..100_u64).prop_map(|(key, to)| Op::Absolute(key, to)),
        3 => (key(), value()).prop_map(|(key, v)| Op::Set(key, v)),
        1 => (key(), value()).prop_map(|(key, v)| Op::Add(key, v)),
        5 => (key(), value(), times).prop_map(|(key, v, n)| Op::Record(key, v, n)),
        6 => advance().prop_map(Op::Tick),
        4 => question().prop_map(Op::Ask),
        1 => (kind(), key()).prop_map(|(kind, key)| Op::Keep(kind, key)),
        1 => settled(),
        1 => Just(Op::Drop),
    ]
}

/// Answers of every shape as rows.
trait Rows {
    fn rows(self) -> Vec<Row>;
}

trait Number: Copy {
    fn float(self) -> f64;
}

impl Number for f64 {
    fn float(self) -> f64 {
        self
    }
}

impl Number for u64 {
    #[expect(clippy::cast_precision_loss, reason = "small in this test")]
    fn float(self) -> f64 {
        self as f64
    }
}

fn texts(labels: &Labels) -> Texts {
    labels
        .iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

fn points<T: Number>(points: &[Point<T>]) -> Vec<Answer> {
    let each = |p: &Point<T>| (p.at.as_millis(), p.value.map(T::float));
    points.iter().map(each).collect()
}

impl<T: Number> Rows for Option<T> {
    fn rows(self) -> Vec<Row> {
        vec![(Vec::new(), vec![(0, self.map(T::float))])]
    }
}

impl<T: Number> Rows for Vec<(Labels, T)> {
    fn rows(self) -> Vec<Row> {
        let rows = self
            .iter()
            .map(|(l, v)| (texts(l), vec![(0, Some(v.float()))]));
        rows.collect()
    }
}

impl<T: Number> Rows for Vec<Point<T>> {
    fn rows(self) -> Vec<Row> {
        vec![(Vec::new(), points(&self))]
    }
}

impl<T: Number> Rows for Vec<(Labels, Vec<Point<T>>)> {
    fn rows(self) -> Vec<Row> {
        self.iter().map(|(l, p)| (texts(l), points(p))).collect()
    }
}

/// The store and its model, side by side.
struct Pair {
    store: Store,
    model: Model,
    schema: i32,
    start: Timestamp,
    /// Everything that was answered, as text.
    said: Vec<String>,
    /// A question was refused for want of working memory.
    refused: bool,
    kept: BTreeMap<(Kind, Key), Handle>,
}

/// How an answer may differ from the model's.
#[derive(Clone, Copy)]
enum Allowed {
    Nothing,
    Rounding,
    HalfABucket,
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

/// Asks in the shape of the question, and compares. One line a terminal.
macro_rules! compare {
    ($pair:ident, $question:ident, $selection:expr, $($allowed:ident $what:ident($($arg:expr),*) => $model:expr;)*) => {
        let by: Vec<&str> = $question.by.iter().map(|at| naive::LABEL_NAMES[*at]).collect();
        let step = $question.step.map(Duration::from_millis);
        $(
            let ours = match ($question.by.is_empty(), step) {
                (true, None) => windowed!($pair, $question, $selection).$what($($arg),*).rows(),
                (false, None) => windowed!($pair, $question, $selection.by(&by)).$what($($arg),*).rows(),
                (true, Some(step)) => {
                    windowed!($pair, $question, $selection).every(step).$what($($arg),*).rows()
                }
                (false, Some(step)) => {
                    windowed!($pair, $question, $selection).by(&by).every(step).$what($($arg),*).rows()
                }
            };
            let what = concat!(stringify!($what), stringify!(($($arg),*)));
            $pair.assert_same(what, Allowed::$allowed, $question, &ours, &$model);
        )*
    };
}

macro_rules! filtered {
    ($filter:expr, $selection:expr) => {
        match $filter {
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

fn labels(key: &Key) -> Vec<Label> {
    let pairs = naive::LABELS[key.labels].iter();
    pairs
        .map(|(k, v)| Label::new(naive::LABEL_NAMES[*k], naive::LABEL_VALUES[*v]))
        .collect()
}

fn name(key: &Key) -> &'static str {
    naive::NAMES[key.name]
}

impl Pair {
    fn new(setup: &Setup) -> Self {
        let mut config = setup.profile.config();
        let retention = Duration::from_millis(setup.retention_ms);
        config.tiers = vec![Tier::new(secs(1), retention)];
        let store = Store::from(Recall::builder().config(config));
        Self {
            start: store.recall.now(),
            model: Model::new(setup.retention_ms, store.recall.now().as_millis()),
            schema: setup.schema,
            store,
            said: Vec::new(),
            refused: false,
            kept: BTreeMap::new(),
        }
    }

    fn at(&self, ms: i64) -> Timestamp {
        Timestamp::from_millis(self.start.as_millis() + ms)
    }

    fn run(&mut self, ops: &[Op]) {
        for op in ops {
            self.step(op);
        }
        let health = self.store.recall.health();
        // Questions come before what they are about.
        let is_early = |reason: &String| reason.contains("never recorded");
        assert!(
            self.refused || health.reasons().iter().all(is_early),
            "{health}"
        );
    }

    /// Forgets the ticks that the store has forgotten.
    fn forget(&mut self) {
        let [finest] = &*self.store.recall.retention() else {
            panic!("one tier");
        };
        self.model.forget(finest.points);
    }

    fn keep(&mut self, kind: Kind, key: Key) {
        let (name, labels) = (name(&key), labels(&key));
        let handle = self.store.recorder.scope(|| match kind {
            Kind::Counter => Handle::Counter(counter!(name, labels.iter())),
            Kind::Gauge => Handle::Gauge(gauge!(name, labels.iter())),
            Kind::Histogram => Handle::Histogram(histogram!(name, labels.iter())),
        });
        // Recorded through, so that there is no more to know of a handle than of a macro.
        match &handle {
            Handle::Counter(counter) => {
                counter.increment(3);
                self.model.increment(key, 3);
            }
            Handle::Gauge(gauge) => {
                gauge.increment(2.0);
                self.model.add(key, 2.0);
            }
            Handle::Histogram(histogram) => {
                histogram.record(4.0);
                self.model.record(key, 4.0, 1);
            }
        }
        self.kept.insert((kind, key), handle);
    }

    fn settle(&mut self, fate: Fate, name: usize, some: Option<(Kind, Filter)>) {
        let (recall, text) = (&self.store.recall, naive::NAMES[name]);
        let done = match (fate, some) {
            (Fate::Reset, None) => recall.reset(text),
            (Fate::Delete, None) => recall.delete(text),
            (_, Some((Kind::Counter, filter))) => {
                let some = filtered!(filter, recall.counters(text));
                if fate == Fate::Reset {
                    some.reset()
                } else {
                    some.delete()
                }
            }
            (_, Some((Kind::Gauge, filter))) => {
                let some = filtered!(filter, recall.gauges(text));
                if fate == Fate::Reset {
                    some.reset()
                } else {
                    some.delete()
                }
            }
            (_, Some((Kind::Histogram, filter))) => {
                let some = filtered!(filter, recall.histograms(text));
                if fate == Fate::Reset {
                    some.reset()
                } else {
                    some.delete()
                }
            }
        };
        // Both begin with a tick.
        self.model.tick(0);
        self.forget();
        let (kinds, filter) = some
            .map_or((naive::KINDS.to_vec(), Filter::All), |(kind, filter)| {
                (vec![kind], filter)
            });
        let mut found = false;
        for kind in kinds {
            let is_kept = |key| self.kept.contains_key(&(kind, key));
            found |= self.model.settle(fate, kind, name, filter, is_kept);
        }
        assert_eq!(done.is_ok(), found, "{fate:?} {name} {some:?}: {done:?}");
    }

    fn step(&mut self, op: &Op) {
        let recorder = &self.store.recorder;
        match op {
            Op::Increment(key, by) => {
                recorder.scope(|| counter!(name(key), labels(key).iter()).increment(*by));
                self.model.increment(*key, *by);
            }
            Op::Absolute(key, to) => {
                recorder.scope(|| counter!(name(key), labels(key).iter()).absolute(*to));
                self.model.absolute(*key, *to);
            }
            Op::Set(key, value) => {
                recorder.scope(|| gauge!(name(key), labels(key).iter()).set(*value));
                self.model.set(*key, *value);
            }
            Op::Add(key, value) => {
                recorder.scope(|| gauge!(name(key), labels(key).iter()).increment(*value));
                self.model.add(*key, *value);
            }
            Op::Record(key, value, times) => {
                recorder.scope(|| {
                    histogram!(name(key), labels(key).iter()).record_many(*value, *times);
                });
                self.model.record(*key, *value, *times);
            }
            Op::Tick(ms) => {
                let tick = self.store.tick(Duration::from_millis(*ms));
                assert_eq!(tick.merged, self.model.tick(*ms));
                self.forget();
                assert_eq!(tick.at, self.at(i64::try_from(self.model.now()).unwrap()));
            }
            Op::Keep(kind, key) => self.keep(*kind, *key),
            Op::Drop => self.kept.clear(),
            Op::Settle(fate, name, some) => self.settle(*fate, *name, *some),
            Op::Ask(question) => {
                self.ask_counters(question);
                self.ask_gauges(question);
                self.ask_histograms(question);
                self.ask_live(question);
            }
        }
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
        let close = |a: f64, b: f64| match allowed {
            // Zero is zero, with either sign.
            Allowed::Nothing => (a + 0.0).to_bits() == (b + 0.0).to_bits(),
            Allowed::Rounding => (a - b).abs() <= 1e-9 * (1.0 + b.abs()),
            Allowed::HalfABucket if b == 0.0 => a == 0.0,
            Allowed::HalfABucket => {
                let most = f64::from(-self.schema).exp2().exp2().sqrt() * (1.0 + 1e-12);
                (1.0 / most..=most).contains(&(a / b))
            }
        };
        let same = |(a, b): (&Answer, &Answer)| {
            a.0 == b.0
                && match (a.1, b.1) {
                    (Some(a), Some(b)) => close(a, b),
                    (a, b) => a.is_none() && b.is_none(),
                }
        };
        let equal = ours.len() == model.len()
            && ours.iter().zip(model).all(|(a, b)| {
                a.0 == b.0 && a.1.len() == b.1.len() && a.1.iter().zip(&b.1).all(same)
            });
        // Ten thousand steps and more do not fit into the working memory of the smallest profile, which says so.
        let is_empty = ours
            .iter()
            .all(|row| row.1.iter().all(|answer| answer.1.is_none()));
        let refused = || {
            let health = self.store.recall.health().to_string();
            health.contains("had no answer for want of working memory")
        };
        if !equal && is_empty && question.step.is_some() && refused() {
            self.refused = true;
            return;
        }
        assert!(
            equal,
            "{what} of {question:?}\n  answered {ours:?}\n  expected {model:?}"
        );
    }

    fn ask_counters(&mut self, question: &Question) {
        let name = naive::NAMES[question.name];
        let asked = filtered!(question.filter, self.store.recall.counters(name));
        compare! { self, question, asked.clone(),
            Nothing increase() => self.model.increase(question);
            Rounding rate() => self.model.rate(question);
            Rounding avg() => self.model.rate(question);
            Rounding min() => self.model.least_rate(question);
            Rounding max() => self.model.greatest_rate(question);
            Rounding quantile(0.3) => self.model.rate_quantile(question, 0.3);
        }
    }

    fn ask_gauges(&mut self, question: &Question) {
        let name = naive::NAMES[question.name];
        let asked = filtered!(question.filter, self.store.recall.gauges(name));
        compare! { self, question, asked.clone(),
            Nothing min() => self.model.gauge_min(question);
            Nothing max() => self.model.gauge_max(question);
            Nothing sum() => self.model.gauge_sum(question);
            Nothing count() => self.model.gauge_count(question);
            Rounding avg() => self.model.gauge_avg(question);
            Rounding quantile(0.7) => self.model.gauge_quantile(question, 0.7);
        }
    }

    fn ask_histograms(&mut self, question: &Question) {
        let name = naive::NAMES[question.name];
        let asked = filtered!(question.filter, self.store.recall.histograms(name));
        compare! { self, question, asked.clone(),
            Nothing count() => self.model.count(question);
            Nothing sum() => self.model.sum(question);
            Nothing min() => self.model.min(question);
            Nothing max() => self.model.max(question);
            Rounding avg() => self.model.avg(question);
            Rounding rate() => self.model.record_rate(question);
            Nothing quantile(0.0) => self.model.min(question);
            HalfABucket quantile(0.5) => self.model.quantile(question, 0.5);
            HalfABucket quantile(0.9) => self.model.quantile(question, 0.9);
            Nothing quantile(1.0) => self.model.max(question);
        }
    }

    fn ask_live(&mut self, question: &Question) {
        let name = naive::NAMES[question.name];
        let counters = filtered!(question.filter, self.store.recall.counters(name));
        let gauges = filtered!(question.filter, self.store.recall.gauges(name));
        let (totals, values) = if question.by.is_empty() {
            (counters.total().rows(), gauges.current().rows())
        } else {
            let by: Vec<&str> = question
                .by
                .iter()
                .map(|at| naive::LABEL_NAMES[*at])
                .collect();
            (
                counters.by(&by).total().rows(),
                gauges.by(&by).current().rows(),
            )
        };
        let (total, current) = (self.model.total(question), self.model.current(question));
        self.assert_same("total()", Allowed::Nothing, question, &totals, &total);
        self.assert_same("current()", Allowed::Nothing, question, &values, &current);
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_answer_is_what_a_list_of_everything_says(
        setup in setup(),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        Pair::new(&setup).run(&ops);
    }

    #[test]
    fn equal_ticks_give_equal_answers_to_the_bit(
        setup in setup(),
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let said = || {
            let mut pair = Pair::new(&setup);
            pair.run(&ops);
            pair.said
        };
        prop_assert_eq!(said(), said());
    }
}
