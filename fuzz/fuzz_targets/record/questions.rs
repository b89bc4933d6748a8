//! Questions to a store: that any has an answer of sense, and that those about everything agree with the model.

use crate::{
    input::{KindOf, Question, Step, Value, Window},
    model::{Model, Values},
};
use metrics_recall::{
    Labels, MetricKind, Point, Recall, Selection, Timestamp,
    query::{Counters, Gauges, Histograms, Over},
};
use std::time::Duration;

/// Questions that had no answer for want of memory.
fn refused(recall: &Recall) -> u64 {
    let health = recall.health();
    let mut reasons = health.reasons().iter();
    let found = reasons.find(|reason| reason.contains("questions had no answer"));
    let number = found.and_then(|reason| reason.split(' ').next()?.parse().ok());
    number.unwrap_or(0)
}

/// Whether two floats are the same but for rounding.
fn near(a: f64, b: f64, size: f64) -> bool {
    (a - b).abs() <= 1e-9 * size + f64::MIN_POSITIVE
}

fn is_share(q: f64) -> bool {
    (0.0..=1.0).contains(&q)
}

/// `low <= value <= high`, but for rounding and for subnormal values, which are taken for zero.
fn between(low: Option<f64>, value: Option<f64>, high: Option<f64>, what: &str) {
    let (Some(low), Some(value), Some(high)) = (low, value, high) else {
        return;
    };
    let slack = 1e-9 * low.abs().max(high.abs()) + f64::MIN_POSITIVE;
    let inside = low - slack <= value && value <= high + slack;
    assert!(inside, "{what}: {value:e} is not in {low:e}..={high:e}");
}

fn ascend<T>(points: &[Point<T>]) {
    assert!(points.is_sorted_by(|a, b| a.at <= b.at));
}

fn ordered<T>(groups: &[(Labels, T)]) {
    assert!(groups.is_sorted_by(|a, b| a.0 < b.0), "groups out of order");
    for (labels, _) in groups {
        assert!(labels.iter().is_sorted_by(|a, b| a.0 < b.0));
        assert!(
            labels
                .iter()
                .all(|(name, value)| labels.get(name) == Some(value))
        );
        assert!(labels.to_string().starts_with('{'));
    }
}

/// A question, prepared.
struct Asked<'a> {
    recall: &'a Recall,
    name: String,
    by: Vec<String>,
    step: Option<Duration>,
    q: f64,
    /// The window reaches over all that is kept.
    all: bool,
    /// Nothing but a name is asked for.
    plain: bool,
    /// Gauges of this name hold numbers that can be added up.
    tame: bool,
}

/// Asks for everything at once; `points` is what steps may still cost.
pub fn ask(recall: &Recall, model: &Model, question: &Question<'_>, points: &mut u64) {
    let name = question.name.shared().to_string();
    let by: Vec<String> = question.by.iter().map(|t| t.shared().to_string()).collect();
    let covered = model.covered_ns();
    let step = match question.step {
        Step::Each(advance) => advance.get(),
        Step::Parts(n) => Duration::from_nanos(covered / (1 + u64::from(n)) + 1),
    };
    let step_ns = match u64::try_from(step.as_nanos()).unwrap_or(u64::MAX) {
        0 => model.newest_ns().max(1),
        ns => ns,
    };
    let steps = (covered / step_ns + 1).saturating_mul(1 + model.series());
    // A step of no length is as long as the newest tick, which is another one if that was lost.
    let known = !step.is_zero() || !model.broken;
    let affordable = known && steps <= *points;
    if affordable {
        *points -= steps;
    }
    let asked = Asked {
        recall,
        tame: model.is_tame(&name),
        all: matches!(
            question.window,
            Window::Over(crate::input::Advance::Longest)
        ),
        plain: question.matchers.is_empty(),
        step: affordable.then_some(step),
        q: question.q.get(),
        name,
        by,
    };
    match question.kind {
        KindOf::Counter => {
            let selection = asked.recall.counters(&asked.name);
            let selection = matching(selection, question);
            asked.live_counters(&selection);
            asked.counters(&window(recall, selection, question.window));
        }
        KindOf::Gauge => {
            let selection = matching(recall.gauges(&asked.name), question);
            asked.live_gauges(&selection);
            asked.gauges(&window(recall, selection, question.window));
        }
        KindOf::Histogram => {
            let selection = matching(recall.histograms(&asked.name), question);
            asked.histograms(&window(recall, selection, question.window));
        }
    }
}

fn matching<K: metrics_recall::query::Kind>(
    mut selection: Selection<K>,
    question: &Question<'_>,
) -> Selection<K> {
    for (name, value, is) in &question.matchers {
        let (name, value) = (name.shared(), value.shared());
        selection = match is {
            true => selection.label(&*name, &*value),
            false => selection.label_not(&*name, &*value),
        };
    }
    selection
}

fn window<K: metrics_recall::query::Kind>(
    recall: &Recall,
    selection: Selection<K>,
    window: Window,
) -> Selection<K, Over> {
    let ago = |ms: u16| recall.now() - Duration::from_millis(ms.into());
    match window {
        Window::Over(length) => selection.over(length.get()),
        Window::Between(from, to) => {
            selection.between(Timestamp::from_millis(from), Timestamp::from_millis(to))
        }
        Window::Ago(from, to) => selection.between(ago(from), ago(to)),
    }
}

impl Asked<'_> {
    /// Runs `compare` if no question that `ask` asks is refused.
    fn settled<T>(&self, ask: impl FnOnce() -> T, compare: impl FnOnce(T)) {
        let before = refused(self.recall);
        let answers = ask();
        if refused(self.recall) == before {
            compare(answers);
        }
    }

    /// Groups are of series; a name has an answer even when all of its series are gone.
    fn both_or_none(&self, groups: &[(Labels, u64)], answer: Option<u64>) {
        if !self.plain || !groups.is_empty() {
            assert_eq!(groups.is_empty(), answer.is_none());
        }
    }

    fn live_counters(&self, selection: &Selection<Counters>) {
        let groups = selection.clone().by(&self.by).total();
        ordered(&groups);
        self.settled(
            || (selection.clone().by("").total(), selection.total()),
            |(groups, total)| self.both_or_none(&groups, total),
        );
    }

    fn counters(&self, over: &Selection<Counters, Over>) {
        let groups = || over.clone().by(&self.by).increase();
        self.settled(
            || (groups(), over.increase()),
            |(groups, increase)| {
                ordered(&groups);
                let sum = groups.iter().fold(0u64, |sum, g| sum.wrapping_add(g.1));
                self.both_or_none(&groups, increase);
                assert_eq!(sum, increase.unwrap_or(0), "groups of {over:?}");
            },
        );
        let (low, high) = (over.min(), over.max());
        between(low, over.quantile(self.q), high, "quantile of rates");
        between(low, over.quantile(0.5), high, "median of rates");
        if !is_share(self.q) {
            assert_eq!(over.quantile(self.q), None);
        }
        for answer in [low, high, over.rate(), over.avg()] {
            assert!(answer.is_none_or(|rate| rate.is_finite() && rate >= 0.0));
        }
        let Some(step) = self.step else {
            return;
        };
        self.settled(
            || (over.clone().every(step).increase(), over.increase()),
            |(points, increase)| {
                ascend(&points);
                let values = points.iter().filter_map(|point| point.value);
                let sum = values.fold(0u64, u64::wrapping_add);
                if self.all && !points.is_empty() {
                    assert_eq!(Some(sum), increase, "steps of {over:?}");
                }
            },
        );
        let both = over.clone().by(&self.by).every(step).rate();
        ordered(&both);
        both.iter().for_each(|(_, points)| ascend(points));
    }

    fn live_gauges(&self, selection: &Selection<Gauges>) {
        let groups = selection.clone().by(&self.by).current();
        ordered(&groups);
        if self.tame {
            assert!(groups.iter().all(|group| !group.1.is_nan()));
            assert!(selection.current().is_none_or(|value| !value.is_nan()));
        }
    }

    fn gauges(&self, over: &Selection<Gauges, Over>) {
        let (low, high) = (over.min(), over.max());
        assert!(low.zip(high).is_none_or(|(low, high)| low <= high));
        let quantile = over.quantile(self.q);
        if !is_share(self.q) {
            assert_eq!(quantile, None);
        }
        if self.tame {
            between(low, quantile, high, "quantile of a gauge");
            between(low, over.quantile(0.5), high, "median of a gauge");
            between(low, over.avg(), high, "mean of a gauge");
            assert!(over.sum().is_none_or(f64::is_finite));
        }
        let groups = || over.clone().by(&self.by).count();
        self.settled(
            || (groups(), over.count()),
            |(groups, count)| {
                ordered(&groups);
                let sum = groups.iter().map(|group| group.1).sum::<u64>();
                assert_eq!(sum, count.unwrap_or(0), "groups of {over:?}");
            },
        );
        if let Some(step) = self.step {
            let points = over.clone().every(step).avg();
            ascend(&points);
            if self.tame {
                for point in points {
                    between(low, point.value, high, "a step's mean of a gauge");
                }
            }
            ordered(&over.clone().by(&self.by).every(step).max());
        }
    }

    fn histograms(&self, over: &Selection<Histograms, Over>) {
        let (low, high) = (over.min(), over.max());
        assert!(low.zip(high).is_none_or(|(low, high)| low <= high));
        let (some, half) = (over.quantile(self.q), over.quantile(0.5));
        between(low, some, high, "quantile");
        between(low, half, high, "median");
        match self.q {
            q if !is_share(q) => assert_eq!(some, None),
            q if q <= 0.5 => between(low, some, half, "quantiles in order"),
            _ => between(half, some, high, "quantiles in order"),
        }
        for answer in [low, high, some, half, over.sum(), over.avg(), over.rate()] {
            assert!(
                answer.is_none_or(f64::is_finite),
                "{answer:?} from {over:?}"
            );
        }
        let groups = || over.clone().by(&self.by).count();
        self.settled(
            || (groups(), over.count()),
            |(groups, count)| {
                ordered(&groups);
                let sum = groups.iter().fold(0u64, |sum, g| sum.wrapping_add(g.1));
                assert_eq!(sum, count.unwrap_or(0), "groups of {over:?}");
            },
        );
        let Some(step) = self.step else {
            return;
        };
        self.settled(
            || (over.clone().every(step).count(), over.count()),
            |(points, count)| {
                ascend(&points);
                let values = points.iter().filter_map(|point| point.value);
                let sum = values.fold(0u64, u64::wrapping_add);
                if self.all && !points.is_empty() {
                    assert_eq!(Some(sum), count, "steps of {over:?}");
                }
            },
        );
        ordered(&over.clone().by(&self.by).every(step).quantile(self.q));
    }
}

/// What is known of a store besides the model.
#[derive(Clone, Copy)]
struct State {
    /// Windows have everything.
    unbroken: bool,
    /// Nothing has gone to the series of those that have not even a name of their own.
    named: bool,
    /// Memory was never short, and no limit was met.
    calm: bool,
}

/// Asks about everything, and compares with the model.
pub fn check(recall: &Recall, model: &Model, unbroken: bool) {
    let before = refused(recall);
    let memory = recall.memory();
    let health = recall.health().to_string();
    let metrics = recall.metrics();
    let roomy = memory.peak < memory.budget / 2;
    let state = State {
        unbroken: unbroken && !model.ends_with_retention() && !model.is_blurred(),
        // The name of a key that is too long may be refused, too.
        named: !model.nameless && (!model.unread || roomy && !model.limited),
        calm: roomy && metrics.iter().all(|m| m.overflowed == 0),
    };
    for (name, total) in &model.totals {
        let answer = recall.counters(name).total();
        let increase = recall.counters(name).over(model.retention()).increase();
        if refused(recall) != before {
            return;
        }
        if !state.named || model.raised.contains(name) || model.unseen.contains(name) {
            continue;
        }
        // What was deleted may not have come back yet.
        if *total == 0 && answer.is_none() && model.deleted.contains(name) {
            continue;
        }
        assert_eq!(answer, Some(*total), "total of {name:?}; {health}");
        if state.unbroken && model.has_frames() {
            assert_eq!(increase, Some(model.increase(name)), "increase of {name:?}");
        }
    }
    for name in model.deleted.difference(&model.unseen) {
        if state.named && !model.totals.contains_key(name) {
            // A handle that was made since is of a new series.
            let total = recall.counters(name).total().unwrap_or(0);
            assert_eq!(total, 0, "{name:?} is deleted");
        }
    }
    // What went to other names was neither reset nor deleted with its own.
    let is_whole = !model.settled || state.named && model.unseen.is_empty();
    if model.raised.is_empty() && is_whole {
        let mut names: Vec<&str> = metrics
            .iter()
            .filter(|metric| metric.kind == MetricKind::Counter)
            .map(|metric| &*metric.name)
            .chain(["recall_overflow"])
            .collect();
        names.sort_unstable();
        names.dedup();
        let totals = names
            .iter()
            .filter_map(|name| recall.counters(name).total());
        let sum = totals.fold(0u64, u64::wrapping_add);
        let meant = model
            .totals
            .values()
            .fold(0u64, |sum, n| sum.wrapping_add(*n));
        if refused(recall) == before {
            assert_eq!(sum, meant, "sum of all totals; {health}");
        }
    }
    // Gauges whose keys are too long share a series.
    if state.calm && state.named && !model.unread {
        gauges(recall, model);
    }
    if state.unbroken && state.named && model.has_frames() {
        for name in model.observed.difference(&model.unseen) {
            histogram(recall, model, name, state);
        }
    }
}

fn gauges(recall: &Recall, model: &Model) {
    let tame = |name: &&String| model.is_tame(name);
    for name in model.gauges.keys().filter(tame) {
        if model.unseen.contains(name) {
            continue;
        }
        let shown = || model.gauges[name].values().filter(|level| !level.hidden);
        let levels = || shown().map(|level| level.last);
        let size: f64 = levels().map(f64::abs).sum();
        let current = recall.gauges(name).current();
        if shown().next().is_none() {
            // One that was made since, and not set, is at zero.
            assert!(current.unwrap_or(0.0) == 0.0, "{name:?} is at {current:?}");
            continue;
        }
        let is = |value: f64| near(value, levels().sum(), size);
        assert!(
            current.is_some_and(is),
            "{name:?} is at {current:?}, not {:e}",
            levels().sum::<f64>()
        );
    }
}

fn histogram(recall: &Recall, model: &Model, name: &str, state: State) {
    let over = recall.histograms(name).over(model.retention());
    let values = model.values(name);
    let before = refused(recall);
    let (count, sum) = (over.count(), over.sum());
    let (low, high) = (over.min(), over.max());
    let quantiles = Value::SHARES.map(|q| (q, over.quantile(q)));
    if refused(recall) != before {
        return;
    }
    if count.is_none() && values.list.is_empty() && model.deleted.contains(name) {
        return;
    }
    assert_eq!(count, Some(values.count()), "count of {name:?}");
    let sorted = values.sorted();
    let Some(((first, _), (last, _))) = sorted.first().zip(sorted.last()) else {
        return assert_eq!((low, high), (None, None));
    };
    assert_eq!(
        (low, high),
        (Some(*first), Some(*last)),
        "extremes of {name:?}"
    );
    let ever = model.sizes.get(name).copied().unwrap_or(0.0);
    if ever < 1e300 {
        let slack = 1e-12 * values.size() + 1e-28 * ever + f64::MIN_POSITIVE;
        let exact = values.sum();
        let is = |sum: f64| (sum - exact).abs() <= slack;
        assert!(
            sum.is_some_and(is),
            "sum of {name:?} is {sum:?}, not {exact:e}"
        );
    }
    if !values.is_countable() {
        return;
    }
    for (q, answer) in quantiles {
        between(low, answer, high, "quantile");
        let answer = answer.unwrap_or_else(|| panic!("no quantile {q} of {name:?}"));
        if state.calm {
            close(answer, exact(&values, &sorted, q), model.schema, q);
        }
    }
}

/// The value of rank `ceil(q n)`.
fn exact(values: &Values, sorted: &[(f64, u64)], q: f64) -> f64 {
    let rank = ((q * values.count() as f64).ceil() as u64).max(1);
    let mut below = 0;
    for (value, count) in sorted {
        below += count;
        if below >= rank {
            return *value;
        }
    }
    f64::NAN
}

/// An estimate is at most half a bucket off; what is too small for a bucket is zero.
fn close(answer: f64, exact: f64, schema: i32, q: f64) {
    if exact.abs() <= f64::MIN_POSITIVE {
        assert!(
            answer.abs() <= f64::MIN_POSITIVE,
            "quantile {q}: {answer:e}, not {exact:e}"
        );
        return;
    }
    let half = 2f64.powf(0.5f64.powi(schema + 1)) * (1.0 + 1e-9);
    let ratio = answer / exact;
    let is_close = ratio <= half && ratio >= 1.0 / half;
    assert!(is_close, "quantile {q}: {answer:e}, not {exact:e}");
}
