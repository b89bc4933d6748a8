//! The hot path: macros on known series, and handles; on one thread, on two, on 256.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use metrics::{Histogram, Key, Label, counter, gauge, histogram};

use crate::measure::{SAMPLES, Samples, WARM, duo, lognormal, pin, solo, yard};
use crate::subject::{Rig, Setup, Subject};

/// Operations per sample: some milliseconds.
const N: usize = 250_000;
const CROWD: usize = 256;
const CROWD_PASSES: usize = 4;

/// Group `macros`: static keys, one thread.
pub fn macros(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup::default());
    let values = lognormal(1, 1024, 1.0);
    solo(&rig, "counter_static", N, |_| {
        counter!("static").increment(1);
    });
    solo(&rig, "gauge_static", N, |i| gauge!("gauge").set(i as f64));
    solo(&rig, "histogram_static", N, |i| {
        histogram!("histogram").record(values[i % 1024]);
    });
}

/// Group `tee`: the same, with the peer's recorder fed beside ours; the peer has it alone.
pub fn tee(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup {
        tee: true,
        ..Setup::default()
    });
    solo(&rig, "counter_tee", N, |_| {
        counter!("static").increment(1);
    });
}

/// Group `pairs`: static keys, two threads.
pub fn pairs(subject: Subject) {
    let rig = subject.install(Setup::default());
    duo(&rig, "counter_pair_same", N, |_, _| {
        counter!("same").increment(1);
    });
    duo(&rig, "counter_pair_apart", N, |thread, _| {
        if thread == 0 {
            counter!("apart_a").increment(1);
        } else {
            counter!("apart_b").increment(1);
        }
    });
}

/// Group `dynamic`: a label value made at run time, as a `String`; few, many, and colliding ones.
pub fn dynamic(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup {
        series: Some(20_000),
        ..Setup::default()
    });
    in_turn(&rig, "dynamic_1000", &values(1_000));
    in_turn(&rig, "dynamic_10000", &values(10_000));
    for (id, shift) in [("collide_0", 0), ("collide_40", 40), ("collide_52", 52)] {
        in_turn(&rig, id, &colliding(shift));
    }
}

/// Group `crowd`: 256 live threads, each with the same 1,000 series, as many at a time as there are cores.
pub fn crowd(subject: Subject) {
    let rig = subject.install(Setup::default());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let labels = &values(1_000);
    let gate = &Barrier::new(CROWD + 1);
    let calls = CROWD * CROWD_PASSES * labels.len();
    let mut samples = Samples::default();
    thread::scope(|scope| {
        for index in 0..CROWD {
            scope.spawn(move || crowd_member(index, labels, gate));
        }
        for round in 0..WARM + SAMPLES {
            let yard = yard();
            gate.wait();
            let start = Instant::now();
            gate.wait();
            let core_time = start.elapsed().as_nanos() as f64 * cores as f64;
            if round >= WARM {
                samples.push(yard, core_time / calls as f64);
            }
            rig.upkeep();
        }
    });
    samples.report("crowd_256");
}

/// Group `handles`: no lookup, only the cells.
pub fn handles(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup::default());
    counter_handles(&rig);
    let set = gauge!("handle");
    solo(&rig, "gauge_own", N, |i| black_box(&set).set(i as f64));
    histogram_handles(&rig);
}

fn counter_handles(rig: &Rig) {
    let own = counter!("own");
    solo(rig, "counter_own", N, |_| black_box(&own).increment(1));
    made_elsewhere(
        || counter!("other"),
        |other| solo(rig, "counter_other", N, |_| black_box(other).increment(1)),
    );
    let shared = counter!("shared");
    duo(rig, "counter_shared", N, |_, _| {
        black_box(&shared).increment(1);
    });
}

fn histogram_handles(rig: &Rig) {
    let values = lognormal(2, 1024, 1.0);
    let record = |handle: &Histogram, i: usize| black_box(handle).record(values[i % 1024]);
    let own = histogram!("own");
    solo(rig, "histogram_own", N, |i| record(&own, i));
    drain(rig, |i| record(&own, i));
    made_elsewhere(
        || histogram!("other"),
        |other| solo(rig, "histogram_other", N, |i| record(other, i)),
    );
    let shared = histogram!("shared");
    duo(rig, "histogram_shared", N, |_, i| record(&shared, i));
}

/// What the recorder puts off until its tick or upkeep.
fn drain(rig: &Rig, record: impl Fn(usize)) {
    let mut samples = Samples::default();
    for _ in 0..SAMPLES {
        (0..N).for_each(&record);
        let yard = yard();
        let start = Instant::now();
        rig.upkeep();
        samples.push(yard, start.elapsed().as_nanos() as f64 / N as f64);
    }
    samples.report("histogram_drain");
}

/// Runs `measure` with a handle made by another thread, which stays alive meanwhile.
fn made_elsewhere<H: Send + Sync>(make: impl FnOnce() -> H + Send, measure: impl FnOnce(&H)) {
    let (hand_over, take) = std::sync::mpsc::sync_channel(0);
    let done = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            hand_over.send(make()).expect("the measuring thread waits");
            done.wait();
        });
        measure(&take.recv().expect("the maker sends one"));
        done.wait();
    });
}

fn in_turn(rig: &Rig, id: &str, labels: &[String]) {
    let mut next = labels.iter().cycle();
    solo(rig, id, N, |_| {
        if let Some(label) = next.next() {
            count(label);
        }
    });
}

fn crowd_member(index: usize, labels: &[String], gate: &Barrier) {
    pin(index);
    for _ in 0..WARM + SAMPLES {
        gate.wait();
        for label in (0..CROWD_PASSES).flat_map(|_| labels) {
            count(label);
        }
        gate.wait();
    }
}

fn count(label: &str) {
    counter!("dynamic", "label" => label.to_owned()).increment(1);
}

fn values(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("value{i}")).collect()
}

/// Sixteen label values whose keys' hashes agree in the twelve bits from `shift` on.
fn colliding(shift: u32) -> Vec<String> {
    let bits = |value: &String| {
        let label = Label::new("label", value.clone());
        Key::from_parts("dynamic", vec![label]).get_hash() >> shift & 0xfff
    };
    let first = bits(&"collide0".to_owned());
    let candidates = (0..).map(|i| format!("collide{i}"));
    candidates
        .filter(|value| bits(value) == first)
        .take(16)
        .collect()
}
