//! What it costs in heap: allocations per call, a fresh recorder, counter series, histogram series.

use metrics::{counter, gauge, histogram};

use crate::alloc;
use crate::measure::{note, report, unit};
use crate::subject::{Rig, Setup, Subject};

const SERIES: usize = 20_000;
const HISTOGRAMS: usize = 10_000;
const BUDGET: usize = 1 << 30;

/// Group `allocations`: per macro call on a series that is known already.
pub fn allocations(subject: Subject) {
    let rig = subject.install(Setup::default());
    alloc::start_counting();
    per_call(&rig, "calls_counter", || counter!("static").increment(1));
    per_call(&rig, "calls_gauge", || gauge!("gauge").set(1.0));
    per_call(&rig, "calls_histogram", || {
        histogram!("histogram").record(1.0);
    });
    per_call(&rig, "calls_dynamic", || {
        counter!("dynamic", "k" => String::from("v")).increment(1);
    });
}

/// Group `fresh`: the recorder itself.
pub fn fresh(subject: Subject) {
    alloc::start_counting();
    let before = alloc::live();
    let _rig = subject.install(Setup::default());
    report("heap_fresh", (alloc::live() - before) as f64);
}

/// Group `counters`: series with three labels, one of them made at run time, that no tick has seen.
pub fn counters(subject: Subject) {
    let setup = Setup {
        budget: Some(BUDGET),
        series: Some(2 * SERIES),
        ..Setup::default()
    };
    let _rig = subject.install(setup);
    alloc::start_counting();
    let before = alloc::live();
    for i in 0..SERIES {
        let route = format!("/route/{i}");
        counter!("requests_total", "method" => "GET", "route" => route, "status" => "200")
            .increment(1);
    }
    report(
        "heap_counter",
        (alloc::live() - before) as f64 / SERIES as f64,
    );
}

/// Group `histograms`: 100 samples each, 10 per tick, log-uniform over 1 ms to 10 s.
pub fn histograms(subject: Subject) {
    let setup = Setup {
        budget: Some(BUDGET),
        series: Some(2 * HISTOGRAMS),
        ..Setup::default()
    };
    let rig = subject.install(setup);
    // One summary of the peer takes 368 KB; a tenth of them, times ten, tells the same.
    let count = if subject == Subject::Mep {
        HISTOGRAMS / 10
    } else {
        HISTOGRAMS
    };
    alloc::start_counting();
    let before = alloc::live();
    let mut state = 7;
    for _ in 0..10 {
        for i in 0..count {
            let handle = histogram!("latency_seconds", "route" => i.to_string());
            (0..10).for_each(|_| handle.record(0.001 * 10_000_f64.powf(unit(&mut state))));
        }
        rig.upkeep();
    }
    let scale = HISTOGRAMS / count;
    report(
        "heap_histograms",
        (alloc::live() - before) as f64 * scale as f64,
    );
    if let Rig::Recall(recall, _) = &rig {
        let used = recall.memory().used;
        note(&format!(
            "10,000 histograms: the ledger says {used} bytes used"
        ));
    }
}

fn per_call(rig: &Rig, id: &str, call: impl Fn()) {
    const CALLS: u64 = 1_000;
    (0..CALLS).for_each(|_| call());
    rig.upkeep();
    // One call may find out that the tick has moved something; known series are what comes after.
    call();
    let before = alloc::calls();
    (0..CALLS).for_each(|_| call());
    report(id, (alloc::calls() - before) as f64 / CALLS as f64);
}
