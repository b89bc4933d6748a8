//! What is asked about, and in which shape the answer comes, as types: a question that makes no sense does not compile.

use super::{
    aggregation::Aggregation,
    answer::Answer,
    ask::{Ask, Query},
    measure::Measure,
    question::Question,
};
use crate::model::{Labels, MetricKind, Timestamp};

/// About counters.
#[derive(Debug)]
pub enum Counters {}
/// About gauges.
#[derive(Debug)]
pub enum Gauges {}
/// About histograms.
#[derive(Debug)]
pub enum Histograms {}

/// Live, no window: one answer.
#[derive(Debug)]
pub enum Now {}
/// Live, no window: an answer for each group of labels.
#[derive(Debug)]
pub enum NowBy {}
/// Over a window: one answer.
#[derive(Debug)]
pub enum Over {}
/// Over a window: an answer for each group of labels.
#[derive(Debug)]
pub enum OverBy {}
/// Over a window, cut into steps: a point a step.
#[derive(Debug)]
pub enum Every {}
/// Over a window, cut into steps, for each group of labels.
#[derive(Debug)]
pub enum EveryBy {}
/// Without a store, for a rule: live.
#[derive(Debug)]
pub enum Rule {}
/// Without a store, for a rule: over a window.
#[derive(Debug)]
pub enum RuleOver {}

mod sealed {
    pub trait Sealed {}
}
pub(crate) use sealed::Sealed;

/// What can be asked about: [`Counters`], [`Gauges`] or [`Histograms`].
pub trait Kind: Sealed + 'static {
    #[doc(hidden)]
    const KIND: MetricKind;
}

macro_rules! kinds {
    ($($kind:ident: $of:ident),*) => {$(
        impl Sealed for $kind {}
        impl Kind for $kind {
            const KIND: MetricKind = MetricKind::$of;
        }
    )*};
}

kinds! { Counters: Counter, Gauges: Gauge, Histograms: Histogram }

/// One step of a question with `every`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Point<T> {
    /// End of the step.
    pub at: Timestamp,
    /// The answer over the step; `None` where history has nothing.
    pub value: Option<T>,
}

impl<T> Point<T> {
    pub(crate) fn new(at: Timestamp, value: Option<T>) -> Self {
        Self { at, value }
    }
}

/// All points of each group, in order of their labels. One group, one point for the plain shapes.
pub(crate) type Rows<T> = Vec<(Labels, Vec<Point<T>>)>;

/// In which shape an answer comes.
pub trait Shape: Sealed + 'static {
    /// The answer: an `Option`, a list of groups, of points, or of both. For a rule, what it is to compare.
    type Of<T>;
    /// The shape after `by`.
    type By: Shape;
    /// The shape after `over` or `between`.
    type Windowed: Window;
    /// The shape after `every`.
    type Stepped: Window;
    /// The shape after `condition`.
    type Rule: Shape;

    #[doc(hidden)]
    fn of<T>(word: Word<'_>, ask: impl FnOnce(&Question<'_>) -> Answers<T>) -> Self::Of<T>;
}

/// The last word of a selection: what it says, and of whom it is asked.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Word<'a> {
    pub(super) query: &'a Query,
    /// `None`: the selection is a rule's.
    pub(super) from: Option<&'a dyn Ask>,
    pub(super) aggregation: Aggregation,
}

impl std::fmt::Debug for Word<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.query.fmt(f)
    }
}

impl Word<'_> {
    fn answers<T>(self, ask: impl FnOnce(&Question<'_>) -> Answers<T>) -> Answers<T> {
        let Some(from) = self.from else {
            return Answers(Vec::new());
        };
        let query = self.query;
        if let Some(q) = self.aggregation.quantile()
            && !(0.0..=1.0).contains(&q)
        {
            from.odd(query);
            return Answers(Vec::new());
        }
        ask(&Question { query, from })
    }

    fn measure(self) -> Measure {
        Measure::ask(self.query.clone(), self.aggregation)
    }
}

/// Rows on their way into a shape.
#[doc(hidden)]
#[derive(Debug)]
pub struct Answers<T>(pub(crate) Rows<T>);

impl<T> Answers<T> {
    fn one(self) -> Option<T> {
        let (_, points) = self.0.into_iter().next()?;
        points.into_iter().next()?.value
    }

    fn groups(self) -> Vec<(Labels, T)> {
        let value = |points: Vec<Point<T>>| points.into_iter().next()?.value;
        let rows = self.0.into_iter();
        rows.filter_map(|(labels, points)| Some((labels, value(points)?)))
            .collect()
    }
}

/// Shapes that have a window.
#[diagnostic::on_unimplemented(
    message = "this question needs a window",
    label = "add `.over(mins(5))` before this",
    note = "only `total()` and `current()` answer without a window"
)]
pub trait Window: Shape {
    /// What `eval` answers.
    type Answer;

    #[doc(hidden)]
    fn answers(word: Word<'_>, rows: Rows<Answer>) -> Self::Answer;
}

/// Shapes that are live.
#[diagnostic::on_unimplemented(
    message = "`total()` and `current()` are live and take no window",
    label = "drop `.over(..)`, or ask for `increase()`, `avg()`, `max()`"
)]
pub trait Live: Shape {}

/// Shapes whose window can be cut into steps.
#[diagnostic::on_unimplemented(
    message = "only a window can be cut into steps",
    label = "add `.over(mins(10))` before this",
    note = "an alert condition has no steps"
)]
pub trait Steps: Window {}

/// Shapes that are read at once: all but those of rules.
#[diagnostic::on_unimplemented(
    message = "a rule compares one number",
    label = "ask for one, such as `quantile(0.99)` or `avg()`"
)]
pub trait Read: Window {}

macro_rules! shapes {
    ($($shape:ident<$t:ident> = $of:ty, by $by:ident, over $over:ident, every $every:ident, rule $rule:ident, $take:expr;)*) => {$(
        impl Sealed for $shape {}
        impl Shape for $shape {
            type Of<$t> = $of;
            type By = $by;
            type Windowed = $over;
            type Stepped = $every;
            type Rule = $rule;

            fn of<$t>(word: Word<'_>, ask: impl FnOnce(&Question<'_>) -> Answers<$t>) -> $of {
                let take: fn(Answers<$t>) -> $of = $take;
                take(word.answers(ask))
            }
        }
    )*};
}

shapes! {
    Now<T> = Option<T>, by NowBy, over Over, every Every, rule Rule, Answers::one;
    NowBy<T> = Vec<(Labels, T)>, by NowBy, over OverBy, every EveryBy, rule Rule, Answers::groups;
    Over<T> = Option<T>, by OverBy, over Over, every Every, rule RuleOver, Answers::one;
    OverBy<T> = Vec<(Labels, T)>, by OverBy, over OverBy, every EveryBy, rule RuleOver, Answers::groups;
    Every<T> = Vec<Point<T>>, by EveryBy, over Every, every Every, rule RuleOver, |rows| first(rows.0);
    EveryBy<T> = Vec<(Labels, Vec<Point<T>>)>, by EveryBy, over EveryBy, every EveryBy, rule RuleOver, |rows| rows.0;
}

macro_rules! rules {
    ($($shape:ident, over $over:ident;)*) => {$(
        impl Sealed for $shape {}
        impl Shape for $shape {
            type Of<T> = Measure;
            type By = $shape;
            type Windowed = $over;
            type Stepped = $over;
            type Rule = $shape;

            fn of<T>(word: Word<'_>, _: impl FnOnce(&Question<'_>) -> Answers<T>) -> Measure {
                word.measure()
            }
        }
    )*};
}

rules! {
    Rule, over RuleOver;
    RuleOver, over RuleOver;
}

fn first<T>(rows: Rows<T>) -> Vec<Point<T>> {
    rows.into_iter()
        .next()
        .map(|(_, points)| points)
        .unwrap_or_default()
}

/// Every step of an answer has its `Answer`, those without data too.
fn each(points: Vec<Point<Answer>>) -> Vec<Answer> {
    let answer = |point: Point<Answer>| point.value.unwrap_or(Answer::nothing(point.at));
    points.into_iter().map(answer).collect()
}

impl Window for Over {
    type Answer = Answer;

    fn answers(_: Word<'_>, rows: Rows<Answer>) -> Answer {
        let answer = each(first(rows)).into_iter().next();
        answer.unwrap_or(Answer::nothing(Timestamp::from_millis(0)))
    }
}

impl Window for OverBy {
    type Answer = Vec<(Labels, Answer)>;

    fn answers(_: Word<'_>, rows: Rows<Answer>) -> Self::Answer {
        let rows = rows.into_iter();
        rows.filter_map(|(labels, points)| Some((labels, each(points).into_iter().next()?)))
            .collect()
    }
}

impl Window for Every {
    type Answer = Vec<Answer>;

    fn answers(_: Word<'_>, rows: Rows<Answer>) -> Vec<Answer> {
        each(first(rows))
    }
}

impl Window for EveryBy {
    type Answer = Vec<(Labels, Vec<Answer>)>;

    fn answers(_: Word<'_>, rows: Rows<Answer>) -> Self::Answer {
        let rows = rows.into_iter();
        rows.map(|(labels, points)| (labels, each(points)))
            .collect()
    }
}

impl Window for RuleOver {
    type Answer = Measure;

    fn answers(word: Word<'_>, _: Rows<Answer>) -> Measure {
        word.measure()
    }
}

impl Live for Now {}
impl Live for NowBy {}
impl Live for Rule {}
impl Steps for Over {}
impl Steps for OverBy {}
impl Steps for Every {}
impl Steps for EveryBy {}
impl Read for Over {}
impl Read for OverBy {}
impl Read for Every {}
impl Read for EveryBy {}
