//! How a number is taken: the yardstick, pinning, medians, one and two threads; and how a child reports it.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::Instant;

use core_affinity::CoreId;

use crate::subject::Rig;

/// Rounds before the first sample: caches fill, cells are promoted, hot handles get their stripes.
pub const WARM: usize = 4;
pub const SAMPLES: usize = 15;
const YARD_ADDS: u32 = 1 << 19;

/// Medians over the samples of one measurement.
struct Timing {
    yard: f64,
    nanos: f64,
    ratio: f64,
}

/// Collects (yardstick, nanoseconds per operation) pairs.
#[derive(Default)]
pub struct Samples(Vec<(f64, f64)>);

impl Samples {
    pub fn push(&mut self, yard: f64, nanos: f64) {
        self.0.push((yard, nanos));
    }

    /// Prints the medians as the measurement of row `id`.
    pub fn report(&self, id: &str) {
        let timing = self.medians();
        println!(
            "row\t{id}\t{}\t{}\t{}",
            timing.nanos, timing.yard, timing.ratio
        );
    }

    fn medians(&self) -> Timing {
        Timing {
            yard: median(self.0.iter().map(|(yard, _)| *yard)),
            nanos: median(self.0.iter().map(|(_, nanos)| *nanos)),
            ratio: median(self.0.iter().map(|(yard, nanos)| nanos / yard)),
        }
    }
}

/// Prints a measurement that has no yardstick: bytes, counts, extremes.
pub fn report(id: &str, value: f64) {
    println!("row\t{id}\t{value}\tNaN\tNaN");
}

/// Prints a remark for the foot of the table.
pub fn note(text: &str) {
    println!("note\t{text}");
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Pins this thread to the `index`th core, counted round and round.
pub fn pin(index: usize) {
    // Asked once: a pinned thread, and whatever it spawns, sees one core only.
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    let cores = CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default());
    if !cores.is_empty() {
        core_affinity::set_for_current(cores[index % cores.len()]);
    }
}

/// Nanoseconds of one uncontended relaxed `fetch_add` right now.
pub fn yard() -> f64 {
    let cell = AtomicU64::new(0);
    let start = Instant::now();
    for _ in 0..YARD_ADDS {
        black_box(&cell).fetch_add(1, Relaxed);
    }
    start.elapsed().as_nanos() as f64 / f64::from(YARD_ADDS)
}

/// Nanoseconds per operation of `n` calls of `operation`, which is told its number.
pub fn nanos_each(n: usize, mut operation: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    for i in 0..n {
        operation(i);
    }
    start.elapsed().as_nanos() as f64 / n as f64
}

/// Measures `operation` on this thread, `n` times per sample, with upkeep between samples.
pub fn solo(rig: &Rig, id: &str, n: usize, operation: impl FnMut(usize)) {
    batches(rig, id, n, 1, operation);
}

/// Measures a `batch` that holds `size` operations, `n` times per sample, with upkeep between samples.
pub fn batches(rig: &Rig, id: &str, n: usize, size: usize, mut batch: impl FnMut(usize)) {
    let mut samples = Samples::default();
    for round in 0..WARM + SAMPLES {
        let yard = yard();
        let nanos = nanos_each(n, &mut batch) / size as f64;
        if round >= WARM {
            samples.push(yard, nanos);
        }
        rig.upkeep();
    }
    samples.report(id);
}

/// Measures `operation(thread, i)` on two threads at once, each on its own core; a sample is their mean.
pub fn duo(rig: &Rig, id: &str, n: usize, operation: impl Fn(usize, usize) + Sync) {
    let gate = Gate::new(2);
    let on = |thread| gate.timed(n, |i| operation(thread, i));
    let rounds = 0..WARM + SAMPLES;
    let (ours, theirs) = thread::scope(|scope| {
        let other = scope.spawn(|| {
            pin(1);
            rounds.clone().map(|_| on(1)).collect::<Vec<_>>()
        });
        pin(0);
        let round = |_| {
            rig.upkeep();
            (yard(), on(0))
        };
        let ours: Vec<_> = rounds.clone().map(round).collect();
        (ours, other.join().expect("the other thread finishes"))
    });
    let mut samples = Samples::default();
    for ((yard, mine), other) in ours.into_iter().zip(theirs).skip(WARM) {
        samples.push(yard, f64::midpoint(mine, other));
    }
    samples.report(id);
}

/// Starts threads together: a barrier that sleeps, then a short spin, since a barrier wakes them one after another.
struct Gate {
    barrier: Barrier,
    arrived: AtomicUsize,
    threads: usize,
}

impl Gate {
    fn new(threads: usize) -> Self {
        Self {
            barrier: Barrier::new(threads),
            arrived: AtomicUsize::new(0),
            threads,
        }
    }

    fn timed(&self, n: usize, operation: impl FnMut(usize)) -> f64 {
        self.barrier.wait();
        // ORDERING: pairs with the load below on the other threads; nothing else is passed along.
        let mine = self.arrived.fetch_add(1, AcqRel);
        let all = (mine / self.threads + 1) * self.threads;
        while self.arrived.load(Acquire) < all {
            spin_loop();
        }
        nanos_each(n, operation)
    }
}

/// Reproducible values of a log-normal distribution around 5 ms.
pub fn lognormal(seed: u64, count: usize, sigma: f64) -> Vec<f64> {
    let mut state = seed;
    let mut normal = || (0..12).map(|_| unit(&mut state)).sum::<f64>() - 6.0;
    (0..count)
        .map(|_| 0.005 * (sigma * normal()).exp())
        .collect()
}

/// The next number in 0..1 of a `SplitMix64` sequence.
pub fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
