//! Names the labels that explode, in a fixed number of bytes.
//!
//! A Space-Saving table of (metric, label) pairs that keys were denied for; each pair estimates by a small `HyperLogLog`
//! how many values of that label it has seen. (Metwally et al., "Efficient computation of frequent and top-k elements
//! in data streams", 2005; Flajolet et al., "`HyperLogLog`", 2007.)

use crate::{
    model::MetricKind,
    util::{
        bits::low,
        fork,
        sync::Mutex,
        text::{Text, clip},
    },
};
use metrics::Key;
use std::hash::{BuildHasher, RandomState};

const PAIRS: usize = 24;
/// Labels of one key that are looked at.
const LABELS: usize = 8;
const REGISTERS: usize = 64;

/// A metric and one of its labels whose values are too many.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Offender {
    pub(crate) kind: MetricKind,
    pub(crate) metric: String,
    pub(crate) label: String,
    /// Estimated number of values among the denied keys, within about 15 %.
    pub(crate) values: u64,
}

impl Offender {
    /// Whether this is about the metric `name`, of which only the beginning is kept.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        clip(name, METRIC) == self.metric
    }
}

/// Bytes of a metric's name that are kept.
const METRIC: usize = 64;

#[derive(Clone, Copy)]
struct Pair {
    kind: MetricKind,
    metric: Text<METRIC>,
    label: Text<40>,
    /// Times met, plus those of the pair that it replaced; 0: empty.
    weight: u64,
    registers: [u8; REGISTERS],
}

/// The table.
pub(crate) struct Offenders {
    pairs: Mutex<[Pair; PAIRS]>,
    hasher: RandomState,
}

impl Offenders {
    pub(crate) fn new() -> Self {
        let empty = Pair {
            kind: MetricKind::Counter,
            metric: Text::new(""),
            label: Text::new(""),
            weight: 0,
            registers: [0; REGISTERS],
        };
        Self {
            pairs: Mutex::new([empty; PAIRS]),
            hasher: RandomState::new(),
        }
    }

    /// A key of a metric was denied. Skipped when another thread is at it: this is a sample, not a count.
    pub(crate) fn note(&self, kind: MetricKind, key: &Key) {
        let Some(mut pairs) = self.pairs.try_lock() else {
            return;
        };
        for label in key.labels().take(LABELS) {
            let hash = self.hasher.hash_one(label.value());
            let found = pairs.iter_mut().find(|pair| {
                pair.weight > 0
                    && pair.kind == kind
                    && pair.label.is(label.key())
                    && pair.metric.is(key.name())
            });
            if let Some(pair) = found {
                pair.count(hash);
                continue;
            }
            let Some(least) = pairs.iter_mut().min_by_key(|pair| pair.weight) else {
                continue;
            };
            *least = Pair {
                kind,
                metric: Text::new(key.name()),
                label: Text::new(label.key()),
                weight: least.weight,
                registers: [0; REGISTERS],
            };
            least.count(hash);
        }
    }

    /// The label with the most values of each metric, most values first.
    pub(crate) fn list(&self) -> Vec<Offender> {
        let Some(pairs) = fork::lock(&self.pairs).map(|pairs| *pairs) else {
            return Vec::new();
        };
        let mut all: Vec<Offender> = pairs
            .iter()
            .filter(|pair| pair.weight > 0)
            .map(Pair::report)
            .collect();
        all.sort_by(|a, b| b.values.cmp(&a.values).then_with(|| a.label.cmp(&b.label)));
        let mut worst: Vec<Offender> = Vec::new();
        for offender in all {
            let known = |w: &Offender| w.kind == offender.kind && w.metric == offender.metric;
            if !worst.iter().any(known) {
                worst.push(offender);
            }
        }
        worst
    }
}

impl Pair {
    fn count(&mut self, hash: u64) {
        self.weight = self.weight.saturating_add(1);
        let at = low(hash) as usize % REGISTERS;
        let zeros = (hash >> 6).trailing_zeros().min(57);
        let rank = u8::try_from(zeros + 1).unwrap_or(u8::MAX);
        if let Some(register) = self.registers.get_mut(at) {
            *register = rank.max(*register);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an estimate; floats saturate when they become integers"
    )]
    fn report(&self) -> Offender {
        let m = REGISTERS as f64;
        let sum: f64 = self.registers.iter().map(|r| (-f64::from(*r)).exp2()).sum();
        let raw = 0.709 * m * m / sum;
        let zeros = REGISTERS - self.registers.iter().filter(|r| **r > 0).count();
        let values = if raw < 2.5 * m && zeros > 0 {
            m * (m / zeros as f64).ln()
        } else {
            raw
        };
        Offender {
            kind: self.kind,
            metric: self.metric.read(),
            label: self.label.read(),
            values: values.round() as u64,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use metrics::Label;

    #[test]
    fn the_label_with_many_values_is_named_and_not_the_steady_one() {
        let offenders = Offenders::new();
        for i in 0..20_000 {
            let labels = vec![
                Label::new("region", if i % 2 == 0 { "eu" } else { "us" }),
                Label::new("user", format!("u{i}")),
            ];
            offenders.note(MetricKind::Counter, &Key::from_parts("orders", labels));
        }
        let list = offenders.list();
        assert_eq!(list.len(), 1);
        assert_eq!((&*list[0].metric, &*list[0].label), ("orders", "user"));
        // Sixty-four registers are off by an eighth in the mean: this is more than four times that.
        assert!((9_000..45_000).contains(&list[0].values), "{list:?}");
    }

    #[test]
    fn more_metrics_than_the_table_holds_keep_the_heavy_one() {
        let offenders = Offenders::new();
        for i in 0..2_000 {
            let heavy = Key::from_parts("heavy", vec![Label::new("id", i.to_string())]);
            offenders.note(MetricKind::Gauge, &heavy);
            let light = Key::from_parts(format!("light{i}"), vec![Label::new("a", "b")]);
            offenders.note(MetricKind::Gauge, &light);
        }
        assert_eq!(offenders.list()[0].metric, "heavy");
    }
}
