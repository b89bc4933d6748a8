//! What it costs to collect, and to count allocations.

use crate::measure::{SAMPLES, median, nanos_each, pin, report};
use crate::subject::Subject;
use metrics_recall::Recall;

/// Runs a sample.
const N: usize = 50;

/// Group `collect`: one run of the collectors, which at 1 Hz is what they cost in a second.
pub fn collect(_: Subject) {
    pin(0);
    let (_recorder, recall) = Recall::builder().build().expect("the defaults are fine");
    let process = recall.collect_process().expect("nothing is collected yet");
    each_run("collect_process", || process.collect_now());
    drop(process);
    #[cfg(feature = "system")]
    {
        let all = recall.collect_system().expect("nothing is collected now");
        each_run("collect_all", || all.collect_now());
    }
}

fn each_run(id: &str, mut run: impl FnMut()) {
    run();
    let samples: Vec<f64> = (0..SAMPLES).map(|_| nanos_each(N, |_| run())).collect();
    report(id, median(samples.into_iter()));
}

/// Group `counted`: 64 bytes, allocated and freed.
#[cfg(feature = "alloc")]
pub fn counted(subject: Subject) {
    use crate::measure::solo;
    use crate::subject::Setup;
    use metrics_recall::alloc::CountingAllocator;
    use std::alloc::System;
    pin(0);
    let rig = subject.install(Setup::default());
    solo(&rig, "alloc_system", 100_000, |_| block(&System));
    let counting = CountingAllocator::system();
    solo(&rig, "alloc_counted", 100_000, |_| block(&counting));
}

#[cfg(feature = "alloc")]
#[expect(unsafe_code, reason = "an allocator is called past the global one")]
fn block(allocator: &impl std::alloc::GlobalAlloc) {
    let layout = std::alloc::Layout::new::<[u64; 8]>();
    // SAFETY: the layout is not empty, and what is freed is what was given, with the same layout.
    unsafe {
        let block = std::hint::black_box(allocator.alloc(layout));
        allocator.dealloc(block, layout);
    }
}
