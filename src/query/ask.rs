//! How a question reaches a store: as plain data, through one trait, and what the store knows about it.

use super::{aggregation::Aggregation, matcher::Matcher, watch::Watch};
use crate::{
    error::Error,
    history::{Charge, Timeline},
    model::{Labels, MetricKind, Timestamp, frame::SeriesId, labels, schema::Schema},
    util::layout,
};
use std::{cmp::Ordering, sync::Arc, time::Duration};

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

/// The window of a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Range {
    /// So long before the newest tick.
    Last(Duration),
    Between(Timestamp, Timestamp),
}

impl Query {
    /// About all series of a metric, live.
    pub(crate) fn of(kind: MetricKind, name: &str) -> Self {
        Self {
            kind,
            name: name.into(),
            matchers: Vec::new(),
            by: Vec::new(),
            window: None,
            step: None,
        }
    }

    /// Bytes on the heap of a copy, which has no slack.
    pub(crate) fn bytes(&self) -> usize {
        let matcher = |matcher: &Matcher| matcher.name.len() + matcher.bytes();
        self.name.len()
            + layout::vec::<Matcher>(self.matchers.len())
            + self.matchers.iter().map(matcher).sum::<usize>()
            + layout::vec::<Box<str>>(self.by.len())
            + self.by.iter().map(|name| name.len()).sum::<usize>()
    }

    /// Whether canonical labels fulfil every matcher.
    pub(crate) fn accepts(&self, canonical: &[u8]) -> bool {
        self.matchers.iter().all(|matcher| {
            matcher.accepts(labels::value_of(canonical, &matcher.name).unwrap_or(""))
        })
    }

    /// Whether the window is all that is kept.
    pub(crate) fn is_for_all(&self) -> bool {
        self.window == Some(Range::Last(Duration::MAX))
    }

    /// Labels that a series must have for that.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (&str, &str)> {
        let matchers = self.matchers.iter();
        matchers.filter_map(|matcher| Some((&*matcher.name, matcher.only()?)))
    }
}

/// A series that a question is about.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: SeriesId,
    /// Canonical; empty when the question does not group.
    pub(crate) labels: Box<[u8]>,
    pub(crate) values: Values,
    /// The series that a metric's limits send others to.
    pub(crate) is_overflow: bool,
    /// If it was evicted: in which tick.
    pub(crate) evicted: Option<u32>,
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
    /// As [`Found::per_one`].
    pub(crate) per_one: u64,
    /// Gauges; `None`: none of them has a value.
    pub(crate) now: Option<f64>,
}

impl Sum {
    pub(crate) fn of(per_one: u64) -> Self {
        Self {
            per_one,
            ..Self::default()
        }
    }

    /// The total of counters, in whole ones.
    pub(crate) fn whole(self) -> u64 {
        self.total / self.per_one.max(1)
    }

    /// The total of counters, with its fraction.
    #[expect(clippy::cast_precision_loss, reason = "a value to compare is a float")]
    pub(crate) fn exact(self) -> f64 {
        self.total as f64 / self.per_one.max(1) as f64
    }

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
    /// What the cells of its counters count in one.
    pub(crate) per_one: u64,
    /// Length of a usual tick.
    pub(crate) resolution_ns: u64,
    /// Working memory of this question; more is charged as it goes on.
    pub(crate) scratch: Charge,
}

/// Why a question has no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// No metric of that name and kind was ever seen.
    Unknown,
    /// No room for the question, or it comes from inside of a tick or a recording.
    Refused,
    /// Something of it is behind a lock that nobody in this process opens: see [`crate::util::fork`].
    Abandoned,
}

/// What a list of the series of a metric depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    /// Another number: look again; and when its upper half is another, what was added up is void, too.
    pub(crate) version: u64,
    /// The oldest tick that any point is made of, and the newest; wrapping.
    pub(crate) oldest: Option<u32>,
    pub(crate) now: u32,
}

impl Membership {
    /// Whether no point mentions a series that was evicted in this tick.
    pub(crate) fn is_past(&self, evicted: u32) -> bool {
        let age = |tick: u32| self.now.wrapping_sub(tick);
        self.oldest.is_none_or(|oldest| age(evicted) > age(oldest))
    }
}

/// How questions reach a store.
pub(crate) trait Ask: Send + Sync {
    /// Whether there is a metric of this kind and name. Not counted for `health` if there is none.
    fn knows(&self, kind: MetricKind, name: &str) -> bool;

    /// What the store knows of a question. What is missing is counted for `health`.
    fn find(&self, query: &Query) -> Result<Found, Missing>;

    /// The same over a window, with the labels of all series, and of counters the totals at the end of the newest tick in it.
    fn find_each(&self, query: &Query) -> Result<Found, Missing>;

    /// The live values of all series that `query` is about, however it groups them. `None`: no such series.
    fn sum(&self, query: &Query) -> Result<Option<Sum>, Missing>;

    /// A question found no room on its way.
    fn refuse(&self);

    /// A question has an argument that makes no sense.
    fn odd(&self, query: &Query);

    /// Why there is nothing, as an error.
    fn explain(&self, query: &Query, missing: Missing) -> Error;

    /// The totals of what `query` is about start again at zero.
    fn reset(&self, query: &Query) -> Result<(), Error>;

    /// What `query` is about is gone.
    fn delete(&self, query: &Query) -> Result<(), Error>;

    /// Keeps an answer up to date.
    fn watch(&self, query: &Query, aggregation: Aggregation) -> Watch;

    /// What a list of the series of a metric depends on; `None`: there is no such metric, or no list is to be kept.
    fn membership(&self, _: MetricKind, _: &str) -> Option<Membership> {
        None
    }

    /// History as it is, for those who keep such lists, and how often a tick joined the frame of the one before.
    fn history(&self) -> Option<(Arc<Timeline>, u64)> {
        None
    }

    /// The part of the axis that history covers, if there was a tick.
    fn covered(&self) -> Option<(Timestamp, Timestamp)>;
}
