//! A question in the making, built word by word.

use super::{
    aggregation::Aggregation,
    answer::Answer,
    ask::{Ask, Missing, Query, Range},
    label_names::LabelNames,
    matcher::{Matcher, Wanted},
    question::Question,
    shape::{Answers, Kind, Now, Rows, Rule, Shape, Steps, Window, Word},
};
use crate::{
    error::Error,
    model::{MetricKind, Timestamp},
    util::text::Brief,
};
use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

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
    /// `None`: the selection is a rule's.
    pub(super) from: Option<Arc<dyn Ask>>,
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
            query: Query::of(K::KIND, name),
            from: Some(from),
            kind: PhantomData,
        }
    }
}

impl<K: Kind> Selection<K, Rule> {
    /// A question of a rule, without a store.
    pub(crate) fn of_rule(name: &str) -> Self {
        Self {
            query: Query::of(K::KIND, name),
            from: None,
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

    fn matching(mut self, name: &str, value: Wanted, is: bool) -> Self {
        let name = name.into();
        self.query.matchers.push(Matcher { name, value, is });
        self
    }

    /// Says the last word.
    pub(super) fn say<T>(
        &self,
        aggregation: Aggregation,
        ask: impl FnOnce(&Question<'_>) -> Answers<T>,
    ) -> S::Of<T> {
        S::of(self.word(aggregation), ask)
    }

    fn word(&self, aggregation: Aggregation) -> Word<'_> {
        Word {
            query: &self.query,
            from: self.from.as_deref(),
            aggregation,
        }
    }

    /// Only series whose label `name` has this value. An absent label has the value `""`.
    pub fn label(self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.matching(name.as_ref(), Wanted::Text(value.as_ref().into()), true)
    }

    /// Only series whose label `name` has another value, or which have no such label.
    pub fn label_not(self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.matching(name.as_ref(), Wanted::Text(value.as_ref().into()), false)
    }

    /// Only series whose label `name` fits this regular expression, from its first character to its last. An absent label
    /// has the value `""`. Syntax: that of the `regex` crate, which is nearly that of Prometheus.
    ///
    /// # Errors
    ///
    /// For what is no regular expression, and for one that is larger than 1 MiB when compiled.
    ///
    /// ```
    /// # let (recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// # recorder.scope(|| {
    /// #     metrics::counter!("requests_total", "code" => "404").increment(2);
    /// #     metrics::counter!("requests_total", "code" => "200").increment(5);
    /// # });
    /// let failed = recall.counters("requests_total").label_matches("code", "4..|5..")?;
    /// assert_eq!(failed.total(), Some(2));
    /// assert!(recall.counters("requests_total").label_matches("code", "4(").is_err());
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn label_matches(
        self,
        name: impl AsRef<str>,
        pattern: impl AsRef<str>,
    ) -> Result<Self, Error> {
        let pattern = Wanted::pattern(pattern.as_ref())?;
        Ok(self.matching(name.as_ref(), pattern, true))
    }

    /// Only series whose label `name` does not fit this regular expression from end to end.
    ///
    /// # Errors
    ///
    /// As [`label_matches`](Self::label_matches).
    ///
    /// ```
    /// # let (recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// # recorder.scope(|| {
    /// #     metrics::counter!("requests_total", "code" => "404").increment(2);
    /// #     metrics::counter!("requests_total", "code" => "200").increment(5);
    /// # });
    /// let good = recall.counters("requests_total").label_not_matches("code", "[45]..")?;
    /// assert_eq!(good.total(), Some(5));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn label_not_matches(
        self,
        name: impl AsRef<str>,
        pattern: impl AsRef<str>,
    ) -> Result<Self, Error> {
        let pattern = Wanted::pattern(pattern.as_ref())?;
        Ok(self.matching(name.as_ref(), pattern, false))
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
    /// the window that history covers has its point, and none that is still to come. A step of zero is taken as one tick.
    pub fn every(mut self, step: Duration) -> Selection<K, S::Stepped>
    where
        S: Steps,
    {
        self.query.step = Some(step);
        self.with()
    }

    /// Asks what an [`Aggregation`] says, and answers with coverage and bound, or with the reason why there is no answer.
    ///
    /// # Errors
    ///
    /// For a quantile outside of 0 to 1; an aggregation that the kind does not have, or that is live; a metric that was never
    /// seen, with the nearest names; one that is of another kind; a window without any covered tick, with what history
    /// covers; and when there is no working memory.
    ///
    /// ```
    /// use metrics_recall::{Aggregation, Clock, Recall, secs};
    ///
    /// let (clock, hands) = Clock::manual();
    /// let (recorder, recall) = Recall::builder().clock(clock).build()?;
    /// recorder.scope(|| metrics::histogram!("checkout_seconds").record(0.2));
    /// hands.advance(secs(15));
    /// recall.tick();
    ///
    /// let checkout = recall.histograms("checkout_seconds").over(secs(60));
    /// let answer = checkout.eval(Aggregation::Quantile(0.99))?;
    /// assert_eq!(answer.value, Some(0.2));
    /// assert_eq!(answer.coverage, 0.25);
    ///
    /// let typo = recall.histograms("chekout_seconds").over(secs(60));
    /// let error = typo.eval(Aggregation::Max).unwrap_err();
    /// assert!(error.is_unknown_metric() && error.to_string().contains("`checkout_seconds`"));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn eval(&self, aggregation: Aggregation) -> Result<S::Answer, Error>
    where
        S: Window,
    {
        let word = self.word(aggregation);
        aggregation.check(&self.query)?;
        let Some(from) = word.from else {
            return Ok(S::answers(word, Vec::new()));
        };
        let rows = Question {
            query: &self.query,
            from,
        }
        .evaluate(aggregation)?;
        Ok(S::answers(word, rows))
    }

    /// The same question for an alert rule, which asks it of the store that it is added to.
    ///
    /// ```
    /// # let (_recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// use metrics_recall::mins;
    ///
    /// let errors = recall.counters("errors_total").over(mins(5));
    /// let measure = errors.condition().rate(); // `.above(1.0)` makes it a condition
    /// # let _ = measure;
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn condition(self) -> Selection<K, S::Rule> {
        let mut query = self.query;
        query.step = None;
        Selection {
            query,
            from: None,
            kind: PhantomData,
        }
    }
}

impl<K: Kind> Selection<K, Now> {
    /// The totals of these series start again at zero; gauges have no value until they are set. Windows keep what they have:
    /// an increase over a reset counts what was before and after it. Handles stay valid. Cost: two ticks.
    ///
    /// # Errors
    ///
    /// For a metric that was never seen, with the nearest names; when no series has these labels; and inside of a tick.
    ///
    /// ```
    /// # let (recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// # recorder.scope(|| metrics::counter!("orders_total", "region" => "eu").increment(3));
    /// let europe = recall.counters("orders_total").label("region", "eu");
    /// europe.reset()?;
    /// assert_eq!(europe.total(), Some(0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn reset(&self) -> Result<(), Error> {
        self.from
            .as_ref()
            .map_or(Ok(()), |from| from.reset(&self.query))
    }

    /// These series are gone, with all that history has of them. A handle that somebody holds stays valid: what is recorded
    /// through it from now on is a new series that starts at zero. Cost: two ticks.
    ///
    /// # Errors
    ///
    /// As [`reset`](Self::reset), and when there is no memory for the new series of handles that are held.
    ///
    /// ```
    /// # let (recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// # recorder.scope(|| {
    /// #     metrics::counter!("orders_total", "region" => "eu").increment(3);
    /// #     metrics::counter!("orders_total", "region" => "us").increment(4);
    /// # });
    /// recall.counters("orders_total").label("region", "eu").delete()?;
    /// assert_eq!(recall.counters("orders_total").total(), Some(4));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn delete(&self) -> Result<(), Error> {
        self.from
            .as_ref()
            .map_or(Ok(()), |from| from.delete(&self.query))
    }
}

impl Question<'_> {
    /// What an aggregation says, for each group and step.
    pub(crate) fn evaluate(&self, aggregation: Aggregation) -> Result<Rows<Answer>, Error> {
        aggregation.check(self.query)?;
        let rows = self.readings(aggregation);
        let rows = rows.map_err(|missing| self.from.explain(self.query, missing))?;
        let mut answers = rows.iter().flat_map(|(_, points)| points);
        let is_covered = answers.any(|point| point.value.is_some());
        let is_grouped = !self.query.by.is_empty();
        if is_covered || is_grouped && rows.is_empty() {
            return Ok(rows);
        }
        Err(self.uncovered())
    }

    /// The same, also where nothing is covered. The aggregation must suit the question.
    pub(super) fn readings(&self, aggregation: Aggregation) -> Result<Rows<Answer>, Missing> {
        match self.query.kind {
            MetricKind::Counter => self.counter_answers(aggregation),
            MetricKind::Gauge => self.gauge_answers(aggregation),
            MetricKind::Histogram => self.histogram_answers(aggregation),
        }
    }

    fn uncovered(&self) -> Error {
        let name = Brief(&self.query.name);
        let window = match self.query.window {
            Some(Range::Last(Duration::ZERO)) => {
                return Error::beyond_retention(format!(
                    "no tick in a window of 0 s over `{name}`: allowed are longer ones"
                ));
            }
            Some(Range::Between(from, to)) => format!("between {from} and {to}"),
            _ => "in the window".to_owned(),
        };
        Error::beyond_retention(match self.from.covered() {
            Some((from, to)) => format!(
                "no tick {window} of `{name}`: allowed are windows that meet the time from {from} to {to}"
            ),
            None => format!("no tick {window} of `{name}`: there was none yet"),
        })
    }
}
