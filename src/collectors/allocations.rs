//! What the counting allocator has counted, as metrics.

use super::Collecting;
use crate::{alloc, clock::secs, error::Error, handle::Recall};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

impl Recall {
    /// Records what the [`CountingAllocator`](crate::alloc::CountingAllocator) has counted, once a second for as long as the guard
    /// lives: `process_allocations_total`, `process_allocated_bytes_total` and the gauge `process_heap_bytes`, what is allocated
    /// now.
    ///
    /// # Errors
    ///
    /// As [`collect`](Recall::collect); and when nothing was ever counted, since the allocator of the process is another one.
    pub fn collect_allocations(&self) -> Result<Collecting, Error> {
        if !alloc::is_counting() {
            return Err(Error::invalid(
                "no allocation was counted: allowed is a process whose `#[global_allocator]` is a `CountingAllocator`",
            ));
        }
        let mut is_described = false;
        self.collect_as("allocations", secs(1), move || {
            if !std::mem::replace(&mut is_described, true) {
                describe();
            }
            let now = alloc::process();
            counter!("process_allocations_total").absolute(now.allocations);
            counter!("process_allocated_bytes_total").absolute(now.bytes);
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            gauge!("process_heap_bytes").set(now.held_bytes() as f64);
        })
    }
}

fn describe() {
    describe_counter!(
        "process_allocations_total",
        "How often memory was asked for."
    );
    describe_counter!(
        "process_allocated_bytes_total",
        Unit::Bytes,
        "Memory that was asked for, also if it is freed by now."
    );
    describe_gauge!(
        "process_heap_bytes",
        Unit::Bytes,
        "Memory that was asked for and is not freed."
    );
}
