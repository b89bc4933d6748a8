//! A handle that was taken, or was not.
#![expect(missing_docs, reason = "hidden from the documentation")]

use metrics::{Counter, Histogram, IntoF64};

/// What `sampled!` gives for a handle: records with the weight of the calls that were not taken, or nothing.
#[derive(Clone, Debug)]
#[must_use = "nothing is recorded until `.record(..)` or `.increment(..)`"]
pub struct Sampled<H>(Option<(H, u32)>);

/// What can be counted several times.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sampled",
    label = "only `counter!` and `histogram!` can be",
    note = "the last value of a gauge is what counts, and it may be one that is not taken"
)]
pub trait Weighted {}

impl Weighted for Counter {}
impl Weighted for Histogram {}

impl<H: Weighted> Sampled<H> {
    pub fn new(handle: H, weight: u32) -> Self {
        Self(Some((handle, weight)))
    }

    pub const fn nothing() -> Self {
        Self(None)
    }
}

impl Sampled<Histogram> {
    /// Records `value`, as often as there were calls for it.
    #[inline]
    pub fn record(&self, value: impl IntoF64) {
        if let Some((histogram, weight)) = &self.0 {
            histogram.record_many(value, *weight as usize);
        }
    }
}

impl Sampled<Counter> {
    /// Counts `by`, as often as there were calls for it.
    #[inline]
    pub fn increment(&self, by: u64) {
        if let Some((counter, weight)) = &self.0 {
            counter.increment(by.saturating_mul(u64::from(*weight)));
        }
    }
}
