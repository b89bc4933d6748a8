//! Metrics of how often something happens: a counter, and its moving rates as gauges.

use super::Collecting;
use crate::{
    catalogue::is_name,
    clock::{mins, secs},
    engine::Charge,
    error::Error,
    handle::Recall,
    intake::{CollectError, Collector},
    query::{Aggregation, Meter, Watch},
    recorder::RecallRecorder,
    util::{layout, text::Shown},
};
use metrics::{
    Counter, Key, Label, Level, Metadata, Recorder, Unit, describe_counter, describe_gauge, gauge,
};
use parking_lot::Mutex;
use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

/// Events, counted, and how often they happen: over one, five and fifteen minutes.
///
/// [`Recall::rate_metric`] makes one. What is counted is the counter `NAME_total`; the gauges `NAME_per_second{window}`, with the windows `1m`,
/// `5m` and `15m`, show its rates to scrapers, alerts and history. Clones count into the same series.
///
/// # Cost
///
/// An event is one addition, as with any counter: no clock, no lock. Each tick moves the three windows on; a collector called `rates`, for all
/// of a store's together, sets the gauges once a second. Reading a rate is one load.
///
/// ```
/// use metrics_recall::{Clock, Recall, secs};
///
/// let (clock, hands) = Clock::manual();
/// let (_recorder, recall) = Recall::builder().clock(clock).build()?;
/// let orders = recall.rate_metric(("orders", &[("region", "eu")]))?;
/// for _ in 0..120 {
///     orders.increment(5);
///     hands.advance(secs(1));
///     recall.tick();
/// }
/// assert_eq!(orders.one_minute(), Some(5.0));
/// assert_eq!(recall.counters("orders_total").total(), Some(600));
/// let shown = recall.gauges("orders_per_second").label("region", "eu").label("window", "5m");
/// assert_eq!(shown.current(), Some(5.0));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
///
/// When the last clone is dropped, the gauges are no longer set, and stay at what they were. A shutdown ends that, too; an
/// [`install`](crate::RecallBuilder::install) after it sets them again, of all that live.
#[derive(Clone)]
#[must_use = "its gauges are kept up only while it lives"]
pub struct RateMetric(Arc<Rate>);

struct Rate {
    counter: Counter,
    meter: Meter,
    /// Name of the gauges.
    shown: String,
    labels: Vec<Label>,
    /// By window: one, five and fifteen minutes.
    rates: [Watch; 3],
    /// Keeps the collector that they share.
    all: Arc<Rates>,
    /// Behind everything that it is for.
    _charge: Charge,
}

/// The rate metrics of a store.
struct Rates {
    list: Mutex<List>,
    /// `None` until the collector was accepted. A shutdown ends it.
    collecting: Mutex<Option<Collecting>>,
}

struct List {
    /// Each leaves by itself.
    rates: Vec<Weak<Rate>>,
    /// Of the list, and of [`Rates`].
    charge: Charge,
}

const WINDOWS: [(&str, u64); 3] = [("1m", 1), ("5m", 5), ("15m", 15)];

impl Recall {
    /// A metric of how often something happens. `key` is a name, or a name and labels, as in `("orders", &[("region", "eu")])`; a
    /// `_total` at its end is left out, since the counter has it anyway. Of a label that is given twice, the last one stays.
    ///
    /// It counts for this store, whatever recorder the macros emit to. Others may count `NAME_total` through the facade: what they
    /// count with these labels is part of the rates. A second one with the same key counts into the same series.
    ///
    /// # Errors
    ///
    /// When the name has characters that no exposition takes, or is the store's own, when there is a label `window`, and when
    /// there is no memory. Also as [`collect`](Self::collect): after a shutdown, and when there is no room for another collector.
    pub fn rate_metric(&self, key: impl Into<Key>) -> Result<RateMetric, Error> {
        let key = key.into();
        let name = key.name().strip_suffix("_total").unwrap_or(key.name());
        if !is_name(name) {
            return Err(Error::invalid(format!(
                "rate metric `{}`: allowed are names of letters, digits, `_`, `:` and `.`, which begin neither with a digit nor with \
                 `recall_`",
                Shown(crate::util::text::clip(key.name(), 200))
            )));
        }
        if key.labels().any(|label| label.key() == "window") {
            return Err(Error::invalid(format!(
                "rate metric `{name}` with a label `window`: allowed is any other, since that one tells its rates apart"
            )));
        }
        let all = self.rates()?;
        let rate = self.rate(name, last_of_each(&key), all)?;
        Ok(RateMetric(rate))
    }

    fn rate(&self, name: &str, labels: Vec<Label>, all: Arc<Rates>) -> Result<Arc<Rate>, Error> {
        let (total, shown) = (format!("{name}_total"), format!("{name}_per_second"));
        let selection = labels.iter().fold(self.counters(&total), |all, label| {
            all.label(label.key(), label.value())
        });
        let meter = selection.meter();
        let text = |label: &Label| label.key().len() + label.value().len();
        let bytes = layout::arc::<Rate>()
            + meter.bytes()
            + shown.capacity()
            + layout::vec::<Label>(labels.capacity())
            + labels.iter().map(text).sum::<usize>();
        let charge = self.core().schedule.charge("rate metric", bytes)?;
        let recorder = RecallRecorder::new(self.live());
        let key = Key::from_parts(total.clone(), labels.clone());
        let counter = recorder.register_counter(&key, &HERE);
        recorder.scope(|| describe(&total, &shown));
        let watch = |(_, minutes)| {
            selection
                .clone()
                .over(mins(minutes))
                .watch(Aggregation::Rate)
        };
        let rate = Arc::new(Rate {
            counter,
            meter,
            rates: WINDOWS.map(watch),
            shown,
            labels,
            all,
            _charge: charge,
        });
        let is_listed = rate.all.list.lock().add(&rate);
        if !is_listed {
            return Err(self.core().schedule.full("rate metric", bytes));
        }
        Ok(rate)
    }

    /// Those of this store, with a collector that runs.
    fn rates(&self) -> Result<Arc<Rates>, Error> {
        let mut shared = self.core().schedule.shared.lock();
        let known = shared.as_ref().and_then(Weak::upgrade);
        if let Some(rates) = known.and_then(|known| known.downcast::<Rates>().ok()) {
            rates.collect(self)?;
            return Ok(rates);
        }
        let bytes = layout::arc::<Rates>();
        let list = List {
            rates: Vec::new(),
            charge: self.core().schedule.charge("rate metric", bytes)?,
        };
        let rates = Arc::new(Rates {
            list: Mutex::new(list),
            collecting: Mutex::default(),
        });
        rates.collect(self)?;
        let weak: Weak<Rates> = Arc::downgrade(&rates);
        *shared = Some(weak);
        Ok(rates)
    }

    /// Shows those again that have outlived a shutdown.
    pub(crate) fn resume_rates(&self) -> Result<(), Error> {
        let shared = self.core().schedule.shared.lock();
        let known = shared.as_ref().and_then(Weak::upgrade);
        match known.and_then(|known| known.downcast::<Rates>().ok()) {
            Some(rates) => rates.collect(self),
            None => Ok(()),
        }
    }
}

impl List {
    /// False: there is no room.
    fn add(&mut self, rate: &Arc<Rate>) -> bool {
        let has_room = self.charge.room(&mut self.rates).is_ok();
        if has_room {
            self.rates.push(Arc::downgrade(rate));
        }
        has_room
    }
}

impl Rates {
    /// Sees to it that the collector runs.
    fn collect(self: &Arc<Self>, recall: &Recall) -> Result<(), Error> {
        let mut collecting = self.collecting.lock();
        let is_over = collecting.as_ref().is_none_or(Collecting::is_over);
        if is_over || recall.is_shut() {
            let collector = Keeper {
                name: recall.core().schedule.free_name("rates"),
                rates: Arc::downgrade(self),
            };
            *collecting = Some(recall.collect(collector)?);
        }
        Ok(())
    }
}

/// Labels as the recorder takes them: of a name that is given twice the last one. A selection with both would find nothing.
fn last_of_each(key: &Key) -> Vec<Label> {
    let labels = key.labels().as_slice();
    let is_last = |(at, label): &(usize, &Label)| {
        let mut later = labels.iter().skip(at + 1);
        later.all(|other| other.key() != label.key())
    };
    let last = labels.iter().enumerate().filter(is_last);
    last.map(|(_, label)| label.clone()).collect()
}

static HERE: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

fn describe(total: &str, shown: &str) {
    describe_counter!(total.to_owned(), Unit::Count, "Events.");
    describe_gauge!(
        shown.to_owned(),
        Unit::CountPerSecond,
        "Events a second, over the window."
    );
}

impl RateMetric {
    /// It happened `n` times.
    pub fn increment(&self, n: u64) {
        self.0.counter.increment(n);
    }

    /// A second, over the last minute, as of the newest tick; `None`: there was none, or there is no memory to keep the rate.
    #[must_use]
    pub fn one_minute(&self) -> Option<f64> {
        self.0.rates[0].get()
    }

    /// A second, over the last five minutes.
    #[must_use]
    pub fn five_minutes(&self) -> Option<f64> {
        self.0.rates[1].get()
    }

    /// A second, over the last fifteen minutes, or as many of them as history has.
    #[must_use]
    pub fn fifteen_minutes(&self) -> Option<f64> {
        self.0.rates[2].get()
    }

    /// The same from history, as of now, and the total.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }
}

impl Drop for Rate {
    fn drop(&mut self) {
        let this: *const Self = self;
        let mut list = self.all.list.lock();
        let at = list.rates.iter().position(|rate| rate.as_ptr() == this);
        if let Some(at) = at {
            list.rates.remove(at);
        }
    }
}

impl Rate {
    fn show(&self) {
        for ((window, _), rate) in WINDOWS.iter().zip(&self.rates) {
            if let Some(rate) = rate.get() {
                let window = Label::from_static_parts("window", window);
                let labels = self.labels.iter().cloned().chain([window]);
                let labels: Vec<Label> = labels.collect();
                gauge!(self.shown.clone(), labels).set(rate);
            }
        }
    }
}

/// The collector: sets the gauges of what still lives.
struct Keeper {
    name: String,
    rates: Weak<Rates>,
}

impl Collector for Keeper {
    fn name(&self) -> &str {
        &self.name
    }

    fn interval(&self) -> Duration {
        secs(1)
    }

    fn collect(&mut self) -> Result<(), CollectError> {
        let Some(rates) = self.rates.upgrade() else {
            return Ok(());
        };
        // Recorders of others may hear of it, so no lock is held. If one goes meanwhile, another is left out for once.
        let nth = |n: usize| rates.list.lock().rates.get(n).map(Weak::upgrade);
        (0..).map_while(nth).flatten().for_each(|rate| rate.show());
        Ok(())
    }
}

impl fmt::Display for RateMetric {
    /// As its [`Meter`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.meter.fmt(f)
    }
}

impl fmt::Debug for RateMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RateMetric").field(&self.0.meter).finish()
    }
}
