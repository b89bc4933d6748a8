//! A call site, as it shows in `recall_*` counters.
#![expect(missing_docs, reason = "hidden from the documentation")]

use metrics::{Key, Label, Level, Metadata};

/// The counters of one `sampled!` or `throttled!`.
#[derive(Debug)]
pub struct Site {
    taken: Key,
    weight: Key,
    throttled: Key,
}

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

impl Site {
    #[must_use]
    pub const fn new(labels: &'static [Label]) -> Self {
        Self {
            taken: Key::from_static_parts("recall_sampled_total", labels),
            weight: Key::from_static_parts("recall_sampled_weight_total", labels),
            throttled: Key::from_static_parts("recall_throttled_total", labels),
        }
    }

    /// A call was taken for `weight` of them.
    pub fn sampled(&self, weight: u32) {
        count(&self.taken, 1);
        count(&self.weight, u64::from(weight));
    }

    /// A call was held back.
    pub fn throttled(&self) {
        count(&self.throttled, 1);
    }
}

fn count(key: &Key, by: u64) {
    metrics::with_recorder(|recorder| recorder.register_counter(key, &METADATA)).increment(by);
}
