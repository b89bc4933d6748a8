//! The kinds of metrics as questions see them: where their series are, and what a series says of itself.

use crate::{
    live::{Counter, Entry, Gauge, Histogram, Live, drain::Visit, registry::Registry},
    query::Values,
    util::prefetch::prefetch,
};

/// A kind as questions see it.
pub(super) trait Asked: Visit {
    fn registry(live: &Live) -> &Registry<Self>;

    /// Asks for what exposition reads and lies so many pointers behind an entry.
    fn prefetch_exposed(entry: &Entry<Self>, depth: usize) {
        entry.prefetch_key(depth);
    }

    /// What a series says of itself, live.
    fn values(entry: &Entry<Self>) -> Values;

    /// What the newest tick knew of a series.
    fn noted(entry: &Entry<Self>) -> Values {
        Self::remembered(entry)
    }

    /// What a question about a window needs of that. Cells are not touched: their writers would have to fetch them back.
    fn remembered(_: &Entry<Self>) -> Values {
        Values::default()
    }
}

impl Asked for Counter {
    fn registry(live: &Live) -> &Registry<Self> {
        &live.counters
    }

    fn prefetch_exposed(entry: &Entry<Self>, depth: usize) {
        entry.prefetch_key(depth);
        if let (Some(series), 1) = (entry.cells.series(), depth) {
            prefetch(&series.shared);
        }
    }

    fn values(entry: &Entry<Self>) -> Values {
        Values {
            total: entry.total(),
            ..Values::default()
        }
    }

    fn noted(entry: &Entry<Self>) -> Values {
        Values {
            total: entry.counted(),
            ..Values::default()
        }
    }
}

impl Asked for Gauge {
    fn registry(live: &Live) -> &Registry<Self> {
        &live.gauges
    }

    fn values(entry: &Entry<Self>) -> Values {
        Values {
            now: entry.now(),
            ..Values::default()
        }
    }

    fn remembered(entry: &Entry<Self>) -> Values {
        Values {
            held: entry.memory.last,
            ..Values::default()
        }
    }
}

impl Asked for Histogram {
    fn registry(live: &Live) -> &Registry<Self> {
        &live.histograms
    }

    fn values(_: &Entry<Self>) -> Values {
        Values::default()
    }

    fn prefetch_exposed(entry: &Entry<Self>, depth: usize) {
        entry.prefetch_key(depth);
        entry.memory.tally.prefetch(depth);
    }
}
