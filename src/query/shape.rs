//! What is asked about, and in which shape the answer comes, as types: a question that makes no sense does not compile.

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
    /// The answer: an `Option`, a list of groups, of points, or of both.
    type Of<T>;
    /// The shape after `by`.
    type By: Shape;
    /// The shape after `over` or `between`.
    type Windowed: Window;
    /// The shape after `every`.
    type Stepped: Window;

    #[doc(hidden)]
    fn of<T>(rows: Answers<T>) -> Self::Of<T>;
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
pub trait Window: Shape {}

/// Shapes that are live.
#[diagnostic::on_unimplemented(
    message = "`total()` and `current()` are live and take no window",
    label = "drop `.over(..)`, or ask for `increase()`, `avg()`, `max()`"
)]
pub trait Live: Shape {}

/// Shapes whose window can be cut into steps.
#[diagnostic::on_unimplemented(
    message = "only a window can be cut into steps",
    label = "add `.over(mins(10))` before this"
)]
pub trait Steps: Window {}

macro_rules! shapes {
    ($($shape:ident<$t:ident> = $of:ty, by $by:ident, over $over:ident, every $every:ident, $take:expr;)*) => {$(
        impl Sealed for $shape {}
        impl Shape for $shape {
            type Of<$t> = $of;
            type By = $by;
            type Windowed = $over;
            type Stepped = $every;

            fn of<$t>(rows: Answers<$t>) -> $of {
                let take: fn(Answers<$t>) -> $of = $take;
                take(rows)
            }
        }
    )*};
}

shapes! {
    Now<T> = Option<T>, by NowBy, over Over, every Every, Answers::one;
    NowBy<T> = Vec<(Labels, T)>, by NowBy, over OverBy, every EveryBy, Answers::groups;
    Over<T> = Option<T>, by OverBy, over Over, every Every, Answers::one;
    OverBy<T> = Vec<(Labels, T)>, by OverBy, over OverBy, every EveryBy, Answers::groups;
    Every<T> = Vec<Point<T>>, by EveryBy, over Every, every Every,
        |rows| rows.0.into_iter().next().map(|(_, points)| points).unwrap_or_default();
    EveryBy<T> = Vec<(Labels, Vec<Point<T>>)>, by EveryBy, over EveryBy, every EveryBy, |rows| rows.0;
}

impl Live for Now {}
impl Live for NowBy {}
impl Window for Over {}
impl Window for OverBy {}
impl Window for Every {}
impl Window for EveryBy {}
impl Steps for Over {}
impl Steps for OverBy {}
impl Steps for Every {}
impl Steps for EveryBy {}
