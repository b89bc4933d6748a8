//! How long things take: a guard, a closure, a future. Works with any recorder, and uses only the facade.
//!
//! A duration costs two readings of the processor's counter and one record, in seconds, and allocates nothing.

#[cfg(all(feature = "alloc", feature = "macros"))]
mod allocated;
#[cfg(feature = "macros")]
pub mod call;
mod closure;
mod future;
mod timer;

pub use self::{
    closure::time,
    future::{Timed, TimedFuture, timed_future},
    timer::Timer,
};

/// The facade's unit of time.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to 104 days, and to a part in 2^53 beyond"
)]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests;
