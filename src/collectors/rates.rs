//! Metrics of how often something happens: a counter, and its moving rates as gauges.

use super::Collecting;
use crate::{
    catalogue::is_name,
    clock::{mins, secs},
    error::Error,
    handle::Recall,
    intake::{CollectError, Collector},
    query::{Aggregation, Meter, Watch},
    recorder::RecallRecorder,
    util::text::Shown,
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
/// When the last clone is dropped, the gauges are no longer set, and stay at what they were.
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
    _rates: Arc<Rates>,
}

/// The rate metrics of a store.
struct Rates {
    list: Mutex<Vec<Weak<Rate>>>,
    /// Set once, when the collector was accepted.
    collecting: Mutex<Option<Collecting>>,
}

const WINDOWS: [(&str, u64); 3] = [("1m", 1), ("5m", 5), ("15m", 15)];

impl Recall {
    /// A metric of how often something happens. `key` is a name, or a name and labels, as in `("orders", &[("region", "eu")])`; a
    /// `_total` at its end is left out, since the counter has it anyway.
    ///
    /// It counts for this store, whatever recorder the macros emit to. Others may count `NAME_total` through the facade: what they
    /// count with these labels is part of the rates. A second one with the same key counts into the same series.
    ///
    /// # Errors
    ///
    /// When the name has characters that no exposition takes, or is the store's own, and when there is a label `window`. Also as
    /// [`collect`](Self::collect): after a shutdown, and when there is no room for another collector.
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
        let rates = self.rates()?;
        let rate = Arc::new(self.rate(name, key.labels().cloned().collect(), rates.clone()));
        rates.list.lock().push(Arc::downgrade(&rate));
        Ok(RateMetric(rate))
    }

    fn rate(&self, name: &str, labels: Vec<Label>, rates: Arc<Rates>) -> Rate {
        let (total, shown) = (format!("{name}_total"), format!("{name}_per_second"));
        let recorder = RecallRecorder::new(self.live());
        let key = Key::from_parts(total.clone(), labels.clone());
        let counter = recorder.register_counter(&key, &HERE);
        recorder.scope(|| describe(&total, &shown));
        let selection = self.counters(&total);
        let selection = labels.iter().fold(selection, |selection, label| {
            selection.label(label.key(), label.value())
        });
        let watch = |(_, minutes)| {
            selection
                .clone()
                .over(mins(minutes))
                .watch(Aggregation::Rate)
        };
        Rate {
            counter,
            meter: selection.meter(),
            rates: WINDOWS.map(watch),
            shown,
            labels,
            _rates: rates,
        }
    }

    /// Those of this store, with a collector that runs.
    fn rates(&self) -> Result<Arc<Rates>, Error> {
        let mut shared = self.core().schedule.shared.lock();
        // After a shutdown their collector has ended, and no other will be accepted.
        let shared_rates = shared.as_ref().filter(|_| !self.is_shut());
        let known = shared_rates.and_then(Weak::upgrade);
        if let Some(rates) = known.and_then(|known| known.downcast::<Rates>().ok()) {
            return Ok(rates);
        }
        let rates = Arc::new(Rates {
            list: Mutex::default(),
            collecting: Mutex::default(),
        });
        let name = self.core().schedule.free_name("rates");
        let collector = Keeper {
            name,
            rates: Arc::downgrade(&rates),
        };
        *rates.collecting.lock() = Some(self.collect(collector)?);
        let weak: Weak<Rates> = Arc::downgrade(&rates);
        *shared = Some(weak);
        Ok(rates)
    }
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
        let live: Vec<Arc<Rate>> = {
            let mut list = rates.list.lock();
            list.retain(|rate| rate.strong_count() > 0);
            list.iter().filter_map(Weak::upgrade).collect()
        };
        // Recorders of others may hear of it, so no lock is held.
        for rate in &live {
            rate.show();
        }
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
