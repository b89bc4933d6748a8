//! Whether there is a metric of a name, and what to say if there is none.

use super::{asked::Asked, core::Core};
use crate::{
    error::Error,
    live::{Busy, Counter, Gauge, Histogram, Name},
    model::MetricKind,
    util::{near::Nearest, text::Brief},
};

impl Core {
    /// The error for a metric that was never seen; with a kind, of that kind.
    pub(crate) fn unknown_metric(&self, name: &str, kind: Option<MetricKind>) -> Error {
        // What an allocation emits while names are locked must not look for that lock.
        let _busy = Busy::enter();
        let others: Vec<MetricKind> = KINDS
            .into_iter()
            .filter(|other| Some(*other) != kind && self.has(*other, name))
            .collect();
        if let (Some(kind), Some(other)) = (kind, others.first()) {
            return Error::unknown_metric(format!(
                "`{}` is no {kind} but a {other}: ask `{other}s({:?})`",
                Brief(name),
                Brief(name)
            ));
        }
        let mut nearest = Nearest::to(name);
        let wanted = |other: MetricKind| kind.is_none_or(|kind| kind == other);
        if wanted(MetricKind::Counter) {
            self.live
                .counters
                .for_each_name(|name| look_at(name, &mut nearest));
        }
        if wanted(MetricKind::Gauge) {
            self.live
                .gauges
                .for_each_name(|name| look_at(name, &mut nearest));
        }
        if wanted(MetricKind::Histogram) {
            self.live
                .histograms
                .for_each_name(|name| look_at(name, &mut nearest));
        }
        let what = kind.map_or("metric", MetricKind::as_str);
        Error::unknown_metric(format!(
            "no {what} `{}` was ever seen{}",
            Brief(name),
            nearest.hint()
        ))
    }

    /// Whether there is a metric of this kind and name.
    pub(crate) fn has(&self, kind: MetricKind, name: &str) -> bool {
        match kind {
            MetricKind::Counter => self.has_in::<Counter>(name),
            MetricKind::Gauge => self.has_in::<Gauge>(name),
            MetricKind::Histogram => self.has_in::<Histogram>(name),
        }
    }

    fn has_in<K: Asked>(&self, name: &str) -> bool {
        let registry = K::registry(&self.live);
        let found = registry.find_name(name);
        found.is_some_and(|name| registry.shows(&name))
    }
}

const KINDS: [MetricKind; 3] = [
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
];

fn look_at(name: &Name, nearest: &mut Nearest<'_>) {
    if !name.is_unused() && !name.is_gone() {
        nearest.look_at(&name.text);
    }
}
