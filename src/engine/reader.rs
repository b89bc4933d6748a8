//! Frames for whoever wants each tick once: to forward, to log, to show.

use super::{core::Core, holds::Hold};
use crate::{
    history::{Kept, Progress},
    live::{Busy, Grain, Kind, Live, Name, registry::Registry},
    model::{Labels, Timestamp, frame::SeriesId},
    query::{GaugeSample, HistogramSample},
};
use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

/// Follows the ticks of a store: each [`poll`](Self::poll) gives the frames that it has not given yet.
///
/// A new reader begins with the oldest frame that the store keeps. A reader holds nothing between polls, neither frames
/// nor the store, so what it has not polled may be gone when it comes: the store seals its frames some hundred ticks
/// later, or sooner when memory is short, but never the newest two before the next tick. Those are counted by
/// [`lost`](Self::lost). Whoever polls once a tick loses none.
///
/// A tick without clock progress joins the newest frame. If the reader has that frame already, it gets what joined it as a
/// frame of its own, of no length, at the same instant: nothing is given twice, and nothing is left out.
///
/// ```
/// use metrics_recall::{Clock, Recall, secs};
///
/// let (clock, hands) = Clock::manual();
/// let (recorder, recall) = Recall::builder().clock(clock).build()?;
/// let mut reader = recall.reader();
/// recorder.scope(|| metrics::counter!("orders_total", "region" => "eu").increment(12));
/// hands.advance(secs(1));
/// recall.tick();
///
/// for frame in reader.poll() {
///     for (name, labels, increment) in frame.counters() {
///         assert_eq!(format!("{name}{labels} +{increment}"), r#"orders_total{region="eu"} +12"#);
///     }
/// }
/// assert!(reader.poll().is_empty());
/// assert_eq!(reader.lost(), 0);
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    store: Weak<Core>,
    progress: Progress,
}

impl Reader {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        Self {
            store: Arc::downgrade(core),
            progress: Progress::before(&core.timeline()),
        }
    }

    /// The frames that were committed since the last poll, oldest first. None once the store is gone, and while a tick
    /// runs that joins the newest frame; that one comes with the next poll then.
    ///
    /// Cost: a look at each frame that is not sealed yet. Nothing is copied.
    pub fn poll(&mut self) -> Vec<Frame> {
        let Some(core) = self.store.upgrade() else {
            return Vec::new();
        };
        // While it is held, so is every id that it mentions.
        let timeline = core.timeline();
        let mut new = Vec::new();
        self.progress
            .follow(&timeline, |kept| new.push(kept.clone()));
        let Some(oldest) = new.iter().map(|kept| kept.tick).min() else {
            return Vec::new();
        };
        let hold = core.holds.hold(Some(oldest));
        let scale = core.plan.schema;
        let frames = new.into_iter().map(|kept| Frame {
            at: Timestamp::from_millis(kept.frame.span.wall_ms),
            kept,
            scale,
            live: core.live.clone(),
            _hold: hold.clone(),
        });
        frames.collect()
    }

    /// How many frames were gone before this reader saw them, since it was made. A tick for which there was no memory at
    /// all counts as well. Known with the next poll that gives a later frame.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.progress.lost
    }
}

/// What one tick committed: the series that changed in it, and what they did.
///
/// A frame keeps its part of history in memory, charged to the store's budget, and the keys of the series in it. So keep
/// what it says, not the frame.
#[derive(Clone)]
pub struct Frame {
    at: Timestamp,
    scale: u8,
    // Before the hold: the ids in it are not to be anybody's else.
    kept: Arc<Kept>,
    live: Arc<Live>,
    _hold: Arc<Hold>,
}

impl Frame {
    /// The end of the tick.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// How long the tick was; zero if the clock had not moved.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.kept.frame.span.duration_ns())
    }

    /// Increments of the counters that rose, by name and labels. Those of a
    /// [`FractionalCounter`](crate::FractionalCounter) are in [`fractions`](Self::fractions).
    ///
    /// Cost: a look at each, and sorting.
    pub fn counters(&self) -> impl Iterator<Item = (Arc<str>, Labels, u64)> + use<> {
        self.rises(Grain::Whole)
    }

    /// Increments of the [fractional counters](crate::FractionalCounter) that rose, by name and labels.
    ///
    /// Cost: a look at each counter, and sorting.
    pub fn fractions(&self) -> impl Iterator<Item = (Arc<str>, Labels, f64)> + use<> {
        let grain = Grain::Millionth;
        let rises = self.rises(grain);
        rises.map(move |(name, labels, grains)| (name, labels, grain.of(grains)))
    }

    /// Increments of the counters that count in these grains.
    fn rises(&self, grain: Grain) -> std::vec::IntoIter<(Arc<str>, Labels, u64)> {
        let (ids, values) = &self.kept.frame.counters;
        let counters = &self.live.counters;
        named(counters, ids, values.iter(), |name| name.grain == grain)
    }

    /// What gauges did that were set to another value, by name and labels.
    ///
    /// Cost: a look at each, and sorting.
    pub fn gauges(&self) -> impl Iterator<Item = (Arc<str>, Labels, GaugeSample)> + use<> {
        let (ids, points) = &self.kept.frame.gauges;
        let values = points.iter().copied().map(GaugeSample::from);
        named(&self.live.gauges, ids, values, |_| true)
    }

    /// What histograms received, by name and labels.
    ///
    /// Cost: a look at each bucket, and sorting.
    pub fn histograms(&self) -> impl Iterator<Item = (Arc<str>, Labels, HistogramSample)> + use<> {
        let frame = &self.kept.frame;
        let ids = &frame.histograms.0;
        let values = (0..ids.len()).map(|at| match frame.histogram_at(at) {
            Some((point, packed)) => HistogramSample::of(point, packed, self.scale),
            None => HistogramSample::new(self.scale),
        });
        named(&self.live.histograms, ids, values, |_| true)
    }
}

/// Values of metrics that are `wanted`, with the names and labels of their series, in order of these.
fn named<K: Kind, T>(
    registry: &Registry<K>,
    ids: &[SeriesId],
    values: impl Iterator<Item = T>,
    wanted: impl Fn(&Name) -> bool,
) -> std::vec::IntoIter<(Arc<str>, Labels, T)> {
    let mut named = Vec::with_capacity(ids.len());
    named.extend(ids.iter().zip(values).filter_map(|(id, value)| {
        let (name, labels) = key_of(registry, *id, &wanted)?;
        Some((name, labels, value))
    }));
    named.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    named.into_iter()
}

/// Name and labels of a series.
fn key_of<K: Kind>(
    registry: &Registry<K>,
    id: SeriesId,
    wanted: impl Fn(&Name) -> bool,
) -> Option<(Arc<str>, Labels)> {
    // What an allocation emits while a shard is locked must not look for that lock.
    let _busy = Busy::enter()?;
    let key = registry.with(id, |entry| {
        let series = entry.cells.series().filter(|series| wanted(&series.name))?;
        Some((Arc::from(&*series.name.text), Labels::all(&series.labels)))
    });
    key.flatten()
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({self})")
    }
}

/// As `1767225601.000: 1s, 3 counters, 1 gauge, 0 histograms`.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = &self.kept.frame;
        let parts = [
            (frame.counters.0.len(), "counter"),
            (frame.gauges.0.len(), "gauge"),
            (frame.histograms.0.len(), "histogram"),
        ];
        write!(f, "{}: {:?}", self.at, self.duration())?;
        for (n, word) in parts {
            let s = if n == 1 { "" } else { "s" };
            write!(f, ", {n} {word}{s}")?;
        }
        Ok(())
    }
}
