//! Counters of fractions: seconds of CPU time, joules, currency.
//!
//! The facade's counters are whole. A counter of fractions is one of millionths to the live cells, to history and to
//! everything that adds up, and so as exact as any other; answers and formats divide.

use crate::live::{CounterCell, Live};
use metrics::{Key, Level, Metadata};
use std::{fmt, sync::Arc};

/// A counter that counts fractions, to a millionth: `process_cpu_seconds_total` is one.
///
/// [`Recall::fractional_counter`](crate::Recall::fractional_counter) gives it. It is a counter to everybody: questions,
/// alerts, and every format, where its `TYPE` is `counter`. Answers that are whole numbers, as
/// [`total`](crate::Selection::total) and [`increase`](crate::Selection::increase), are rounded down;
/// [`rate`](crate::Selection::rate) and [`eval`](crate::Selection::eval) have the fraction. Recording takes no lock.
///
/// The first call decides what a name counts: one that the facade's `counter!` had first goes on counting whole ones, and
/// fractions are rounded down; one that was fractional first takes `counter!` as well.
#[derive(Clone)]
pub struct FractionalCounter(Option<Arc<CounterCell>>);

static HERE: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

impl FractionalCounter {
    pub(crate) fn new(live: &Live, key: &Key) -> Self {
        Self(live.fine_cell(key, &HERE))
    }

    /// Adds `value`. What is negative, no number, or 2^64 millionths and more (1.8e13) adds nothing;
    /// [`health`](crate::Recall::health) says how often that was so.
    ///
    /// ```
    /// use metrics_recall::{Clock, Recall, mins, secs};
    ///
    /// let (clock, hands) = Clock::manual();
    /// let (_recorder, recall) = Recall::builder().clock(clock).build()?;
    /// let energy = recall.fractional_counter("energy_joules_total");
    /// energy.increment(0.75);
    /// energy.increment(0.5);
    /// hands.advance(secs(1));
    /// recall.tick();
    /// assert_eq!(recall.counters("energy_joules_total").over(mins(1)).rate(), Some(1.25));
    /// assert_eq!(recall.counters("energy_joules_total").total(), Some(1));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn increment(&self, value: f64) {
        if let Some(cell) = &self.0 {
            match cell.grain().grains(value) {
                Some(grains) => cell.add_grains(grains, crate::util::thread::me()),
                None => cell.count_odd(),
            }
        }
    }

    /// The total is at least `value`, as that of a counter that somebody else keeps. The first value is a baseline: part of
    /// the total, and of no increase. What [`increment`](Self::increment) does not take changes nothing.
    pub fn absolute(&self, value: f64) {
        if let Some(cell) = &self.0 {
            match cell.grain().grains(value) {
                Some(grains) => cell.raise_to(grains),
                None => cell.count_odd(),
            }
        }
    }
}

impl fmt::Debug for FractionalCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FractionalCounter")
    }
}
