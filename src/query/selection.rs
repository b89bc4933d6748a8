//! A question as plain data, built word by word.

use super::shape::{Kind, Now, Sealed, Shape, Steps};
use crate::{
    history::{Charge, Timeline},
    model::{Labels, MetricKind, Timestamp, frame::SeriesId, labels, schema::Schema},
};
use std::{cmp::Ordering, fmt, marker::PhantomData, sync::Arc, time::Duration};

/// Which series, over which window, by which labels: everything but the question itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) kind: MetricKind,
    pub(crate) name: Box<str>,
    pub(crate) matchers: Vec<Matcher>,
    /// Sorted, unique; empty: all series are one group.
    pub(crate) by: Vec<Box<str>>,
    pub(crate) window: Option<Range>,
    pub(crate) step: Option<Duration>,
}

/// One condition on a label. A label that is absent has the value `""`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matcher {
    pub(crate) name: Box<str>,
    pub(crate) value: Box<str>,
    pub(crate) is: bool,
}

/// The window of a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Range {
    /// So long before the newest tick.
    Last(Duration),
    Between(Timestamp, Timestamp),
}

impl Query {
    /// Whether canonical labels fulfil every matcher.
    pub(crate) fn accepts(&self, canonical: &[u8]) -> bool {
        self.matchers.iter().all(|matcher| {
            let value = labels::value_of(canonical, &matcher.name).unwrap_or("");
            (*matcher.value == *value) == matcher.is
        })
    }

    /// Labels that a series must have for that.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (&str, &str)> {
        let matchers = self.matchers.iter();
        // The value of a label that is absent is empty.
        let wanted = matchers.filter(|matcher| matcher.is && !matcher.value.is_empty());
        wanted.map(|matcher| (&*matcher.name, &*matcher.value))
    }
}

/// A series that a question is about.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: SeriesId,
    /// Canonical; empty when the question does not group.
    pub(crate) labels: Box<[u8]>,
    pub(crate) values: Values,
}

/// What a series says of itself, without history.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Values {
    /// Counters: live total.
    pub(crate) total: u64,
    /// Gauges: live value, NaN after eviction.
    pub(crate) now: f64,
    /// Gauges: the value that the newest tick saw, NaN when absent.
    pub(crate) held: f64,
}

/// Live values of several series, added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) members: usize,
    /// Counters; with those that were evicted and forgotten, when the question has no matchers.
    pub(crate) total: u64,
    /// Gauges; `None`: none of them has a value.
    pub(crate) now: Option<f64>,
}

impl Sum {
    pub(crate) fn add(&mut self, values: Values) {
        self.members += 1;
        self.total = self.total.wrapping_add(values.total);
        if !values.now.is_nan() {
            self.now = Some(self.now.unwrap_or(0.0) + values.now);
        }
    }
}

/// What a store knows about a question.
#[derive(Debug)]
pub(crate) struct Found {
    /// In the order in which they were registered, so that equal questions add up in equal order.
    pub(crate) members: Vec<Member>,
    pub(crate) timeline: Arc<Timeline>,
    /// Schema of the metric, for histograms.
    pub(crate) schema: &'static Schema,
    /// Length of a usual tick.
    pub(crate) resolution_ns: u64,
    /// Working memory of this question; more is charged as it goes on.
    pub(crate) scratch: Charge,
}

/// How questions reach a store.
pub(crate) trait Ask: Send + Sync + 'static {
    /// `None`: no metric of that name and kind, or no room for the question.
    fn find(&self, query: &Query) -> Option<Found>;

    /// The live values of all series that `query` is about, however it groups them. `None`: no metric of that name and
    /// kind, or no such series.
    fn sum(&self, query: &Query) -> Option<Sum>;

    /// A question found no room on its way.
    fn refuse(&self);
}

/// A question in the making: which series, by which labels, over which window. Nothing is read until a terminal such
/// as `rate()` is called, and the selection can be asked again and again.
///
/// Plain owned data: it can be kept, cloned and sent to another thread; it holds the store, never a snapshot of it.
/// Words come in any order, except that `every` follows the window. Every question but `total()` and `current()` needs
/// a window, by type:
///
/// ```compile_fail
/// # let (_recorder, recall) = metrics_recall::Recall::builder().build().unwrap();
/// recall.counters("orders_total").rate(); // this question needs a window
/// ```
///
/// `over` ends at the newest tick. A window that is longer than history is clamped to it. Without any covered tick in
/// the window, or for a name that was never seen, the answer is `None`.
///
/// ```
/// use metrics_recall::{Clock, Recall, secs};
///
/// let (clock, hands) = Clock::manual();
/// let (recorder, recall) = Recall::builder().clock(clock).build()?;
/// recorder.scope(|| metrics::counter!("orders_total", "region" => "eu").increment(30));
/// hands.advance(secs(10));
/// recall.tick();
///
/// let orders = recall.counters("orders_total").label("region", "eu");
/// assert_eq!(orders.total(), Some(30));
/// assert_eq!(orders.over(secs(60)).rate(), Some(3.0));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[must_use = "a selection reads nothing until a question such as `.rate()` is asked"]
pub struct Selection<K, S = Now> {
    pub(super) query: Query,
    pub(super) from: Arc<dyn Ask>,
    kind: PhantomData<fn() -> (K, S)>,
}

impl<K, S> Clone for Selection<K, S> {
    fn clone(&self) -> Self {
        Self {
            query: self.query.clone(),
            from: self.from.clone(),
            kind: PhantomData,
        }
    }
}

impl<K, S> fmt::Debug for Selection<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.query.fmt(f)
    }
}

impl<K: Kind> Selection<K> {
    pub(crate) fn new(from: Arc<dyn Ask>, name: &str) -> Self {
        Self {
            query: Query {
                kind: K::KIND,
                name: name.into(),
                matchers: Vec::new(),
                by: Vec::new(),
                window: None,
                step: None,
            },
            from,
            kind: PhantomData,
        }
    }
}

impl<K: Kind, S: Shape> Selection<K, S> {
    fn with<T>(self) -> Selection<K, T> {
        Selection {
            query: self.query,
            from: self.from,
            kind: PhantomData,
        }
    }

    fn matching(mut self, name: &str, value: &str, is: bool) -> Self {
        self.query.matchers.push(Matcher {
            name: name.into(),
            value: value.into(),
            is,
        });
        self
    }

    /// Only series whose label `name` has this value. An absent label has the value `""`.
    pub fn label(self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.matching(name.as_ref(), value.as_ref(), true)
    }

    /// Only series whose label `name` has another value, or which have no such label.
    pub fn label_not(self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.matching(name.as_ref(), value.as_ref(), false)
    }

    /// An answer for each combination of these labels' values, sorted by labels. A second `by` adds to the first.
    pub fn by(mut self, names: impl LabelNames) -> Selection<K, S::By> {
        self.query.by.extend(names.names());
        self.query.by.sort();
        self.query.by.dedup();
        self.with()
    }

    /// Over the last `window` before the newest tick; `Duration::MAX` is all that is kept.
    ///
    /// A tick belongs to the window if its middle does.
    pub fn over(mut self, window: Duration) -> Selection<K, S::Windowed> {
        self.query.window = Some(Range::Last(window));
        self.with()
    }

    /// Between two points of the axis; a tick belongs to the window if its middle does.
    pub fn between(mut self, from: Timestamp, to: Timestamp) -> Selection<K, S::Windowed> {
        self.query.window = Some(Range::Between(from, to));
        self.with()
    }

    /// Cuts the window into steps that end where the window ends; the first may be shorter. Every step of the part of
    /// the window that history covers has its point. A step of zero is taken as one tick.
    pub fn every(mut self, step: Duration) -> Selection<K, S::Stepped>
    where
        S: Steps,
    {
        self.query.step = Some(step);
        self.with()
    }
}

/// What names labels in [`Selection::by`]: a name, or an array, slice or vector of names.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name labels",
    label = "expected `\"route\"`, `[\"route\", \"code\"]`, a slice or a `Vec` of names"
)]
pub trait LabelNames: Sealed {
    #[doc(hidden)]
    fn names(self) -> Vec<Box<str>>;
}

macro_rules! names {
    ($([$($generics:tt)*] $type:ty, $self:ident => $names:expr;)*) => {$(
        impl<$($generics)*> Sealed for $type {}
        impl<$($generics)*> LabelNames for $type {
            fn names($self) -> Vec<Box<str>> {
                $names
            }
        }
    )*};
}

fn boxed<N: AsRef<str>>(names: &[N]) -> Vec<Box<str>> {
    names.iter().map(|n| n.as_ref().into()).collect()
}

names! {
    [] &str, self => vec![self.into()];
    [] String, self => vec![self.into()];
    [] &String, self => vec![self.as_str().into()];
    [N: AsRef<str>, const C: usize] [N; C], self => boxed(&self);
    [N: AsRef<str>, const C: usize] &[N; C], self => boxed(self);
    [N: AsRef<str>] &[N], self => boxed(self);
    [N: AsRef<str>] Vec<N>, self => boxed(&self);
    [N: AsRef<str>] &Vec<N>, self => boxed(self);
}

impl Member {
    /// The group of a series.
    pub(crate) fn group(&self, by: &[Box<str>]) -> Labels {
        Labels::select(&self.labels, by)
    }

    /// The same as comparing the groups, without making them.
    pub(crate) fn cmp_group(&self, other: &Self, by: &[Box<str>]) -> Ordering {
        labels::selected(&self.labels, by).cmp(labels::selected(&other.labels, by))
    }
}
