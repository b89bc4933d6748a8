//! What history costs: questions over minutes and a day, ticks beside a day of history, readers in a loop, bytes a point.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use metrics::{Counter, counter, gauge, histogram};
use metrics_recall::{Clock, MemoryProfile, Recall, mins, secs};

use crate::measure::{
    SAMPLES, Samples, lognormal, median, nanos_each, note, pin, report, unit, yard,
};
use crate::subject::{Rig, Setup, Subject};

const DAY: u64 = 86_400;
/// Series in all of them.
pub const SERIES: usize = 1_000;

pub fn store(rig: &Rig) -> &Recall {
    match rig {
        Rig::Recall(recall, _) => recall,
        _ => unreachable!("only we have history"),
    }
}

/// Group `query`: a busy histogram, 500 log-normal samples in some 100 buckets a tick, for a day.
pub fn query(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup::default());
    let busy = histogram!("busy_seconds");
    let values: Vec<Vec<f64>> = (0..97).map(|tick| lognormal(tick, 500, 1.0)).collect();
    for tick in 0..DAY {
        for value in &values[(tick % 97) as usize] {
            busy.record(*value);
        }
        rig.upkeep();
    }
    let recall = store(&rig);
    for (id, window) in [("query_p99", mins(5)), ("query_day", secs(DAY))] {
        note(&format!(
            "p99 over {window:?} answers {:?} (about 0.05 expected)",
            p99(recall, window)
        ));
        let mut samples = Samples::default();
        for _ in 0..SAMPLES {
            let yard = yard();
            samples.push(
                yard,
                nanos_each(50, |_| {
                    black_box(p99(recall, window));
                }),
            );
        }
        samples.report(id);
    }
}

fn p99(recall: &Recall, window: Duration) -> Option<f64> {
    let busy = recall.histograms("busy_seconds");
    busy.over(window).quantile(0.99)
}

/// Group `day`: what a tick of a thousand active counters takes at the start of a day, and at its end.
pub fn day(subject: Subject) {
    pin(0);
    let setup = Setup {
        budget: Some(1 << 30),
        ..Setup::default()
    };
    let rig = subject.install(setup);
    let held = counters();
    let mut medians = Vec::new();
    for _ in 0..DAY / 900 {
        let ticks = (0..900).map(|tick| {
            rise(&held, tick);
            nanos_each(1, |_| rig.upkeep())
        });
        medians.push(median(ticks));
    }
    let (first, last) = (medians[0], median(medians.iter().rev().take(8).copied()));
    note(&format!(
        "a tick takes {first:.0} ns at first, and {last:.0} ns after a day"
    ));
    report("day_tick", last / first);
}

fn counters() -> Vec<Counter> {
    let counter = |i: usize| counter!("ticked", "i" => i.to_string());
    (0..SERIES).map(counter).collect()
}

fn rise(held: &[Counter], tick: u64) {
    for (i, counter) in held.iter().enumerate() {
        counter.increment(40 + (tick * 31 + i as u64 * 17) % 23);
    }
}

/// Which time of a round: of recording, or of the tick.
type Which = fn(&(f64, f64)) -> f64;

/// Group `readers`: recording and ticking on one core, while the other asks without pause.
pub fn readers(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup::default());
    let held = counters();
    let busy = histogram!("busy_seconds");
    let values = lognormal(1, 100, 1.0);
    let round = |tick: u64| {
        let record = nanos_each(1, |_| {
            rise(&held, tick);
            for value in &values {
                busy.record(*value);
            }
        });
        (record, nanos_each(1, |_| rig.upkeep()))
    };
    (0..1_200).for_each(|tick| {
        round(tick);
    });
    // A round counts beside a reader only if an answer came in it: this core may run while that one is another's.
    let measure = |answers: Option<&Answers>| {
        let count = || answers.map_or(0, |answers| answers.0.load(Relaxed));
        let mut rounds = Vec::new();
        while rounds.len() < 600 {
            let before = count();
            let measured = round(rounds.len() as u64);
            if answers.is_none() || count() != before {
                rounds.push(measured);
            }
        }
        let records = median(rounds.iter().map(|round| round.0));
        (records, median(rounds.iter().map(|round| round.1)))
    };
    let (mut alone, mut stranger, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    let other = another_store();
    for _ in 0..5 {
        alone.push(measure(None));
        let (answers, stop) = (Answers::default(), AtomicBool::new(false));
        stranger.push(thread::scope(|scope| {
            scope.spawn(|| ask(&other, &answers, &stop));
            let measured = measure(Some(&answers));
            stop.store(true, Relaxed);
            measured
        }));
        let (answers, stop) = (Answers::default(), AtomicBool::new(false));
        beside.push(thread::scope(|scope| {
            scope.spawn(|| ask(store(&rig), &answers, &stop));
            let measured = measure(Some(&answers));
            stop.store(true, Relaxed);
            measured
        }));
    }
    let of = |all: &[(f64, f64)], which: fn(&(f64, f64)) -> f64| median(all.iter().map(which));
    let (record, tick): (Which, Which) = (|m| m.0, |m| m.1);
    for (which, ids) in [
        (
            record,
            ["readers_stranger", "readers_alone", "readers_record"],
        ),
        (
            tick,
            [
                "readers_tick_stranger",
                "readers_tick_alone",
                "readers_tick",
            ],
        ),
    ] {
        let [alone, stranger, beside] = [&alone, &stranger, &beside].map(|all| of(all, which));
        report(ids[0], stranger / alone);
        report(ids[1], beside / alone);
        report(ids[2], beside / stranger);
    }
}

/// A store of the same shape that shares nothing with the one that is measured: whoever asks it does the same work beside
/// us, and what it costs is what any such neighbour costs on this machine.
fn another_store() -> Recall {
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder()
        .profile(MemoryProfile::Production)
        .clock(clock)
        .build()
        .expect("a valid setup");
    let values = lognormal(1, 100, 1.0);
    recorder.scope(|| {
        let (held, busy) = (counters(), histogram!("busy_seconds"));
        for tick in 0..1_200 {
            rise(&held, tick);
            for value in &values {
                busy.record(*value);
            }
            hands.advance(secs(1));
            recall.tick();
        }
    });
    recall
}

/// How many answers came, on a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Answers(AtomicU64);

fn ask(recall: &Recall, answers: &Answers, stop: &AtomicBool) {
    pin(1);
    while !stop.load(Relaxed) {
        black_box(p99(recall, mins(5)));
        answers.0.fetch_add(1, Relaxed);
        black_box(
            recall
                .counters("ticked")
                .label("i", "7")
                .over(mins(10))
                .rate(),
        );
        answers.0.fetch_add(1, Relaxed);
    }
}

/// Group `points`: bytes of history a point and series, at the finest resolution.
pub fn points(subject: Subject) {
    let setup = Setup {
        budget: Some(1 << 30),
        ..Setup::default()
    };
    let rig = subject.install(setup);
    let mut state = 11;
    let mut empty = 0.0;
    let mut measure = |id: &str, record: &mut dyn FnMut(&mut u64, usize)| {
        let recall = store(&rig);
        recall.force_cleanup(0);
        for _ in 0..601 {
            (0..SERIES).for_each(|i| record(&mut state, i));
            rig.upkeep();
        }
        // What is not sealed yet is not what history costs in the end.
        let sealed = sealed_bytes_per_point(recall) / SERIES as f64;
        if id == "points_idle" {
            empty = sealed;
        }
        report(id, sealed);
    };
    // A gauge that keeps its value takes room, too, which the next row is not to pay for.
    let forget = |name| store(&rig).delete(name).expect("room");
    let counters = counters();
    measure("points_idle", &mut |_, _| {});
    measure("points_poisson", &mut |state, i| {
        counters[i].increment(poisson(state, 50.0));
    });
    measure("points_sparse", &mut |state, i| {
        if unit(state) < 0.05 {
            counters[i].increment(1 + poisson(state, 50.0));
        }
    });
    let gauges = |name: &'static str| {
        (0..SERIES)
            .map(|i| gauge!(name, "i" => i.to_string()))
            .collect::<Vec<_>>()
    };
    let (memory, mut used) = (gauges("memory"), vec![4_000_000_000_u64; SERIES]);
    measure("points_memory", &mut |state, i| {
        // Pages come and go in bursts.
        if unit(state) < 0.3 {
            let pages = poisson(state, 20.0) * 4_096;
            used[i] = if unit(state) < 0.5 {
                used[i] + pages
            } else {
                used[i].saturating_sub(pages)
            };
        }
        memory[i].set(used[i] as f64);
    });
    forget("memory");
    let percent = gauges("percent");
    measure("points_percent", &mut |state, i| {
        percent[i].set((unit(state) * 200.0).round() / 10.0 + 30.0);
    });
    forget("percent");
    let (walk, mut at) = (gauges("walk"), vec![100.0; SERIES]);
    measure("points_walk", &mut |state, i| {
        at[i] += unit(state) - 0.5;
        walk[i].set(at[i]);
    });
    forget("walk");
    let values = lognormal(9, 4_099, 0.7);
    let histograms: Vec<_> = (0..SERIES)
        .map(|i| histogram!("took", "i" => i.to_string()))
        .collect();
    let mut next = 0;
    measure("points_busy", &mut |_, i| {
        for _ in 0..100 {
            histograms[i].record(values[next % values.len()]);
            next += 1;
        }
    });
}

/// What a sealed point of the finest tier takes, all series together.
fn sealed_bytes_per_point(recall: &Recall) -> f64 {
    let tier = &recall.retention()[0];
    tier.sealed_bytes as f64 / tier.sealed_points as f64
}

/// Knuth's, in pieces that do not run out of a float.
fn poisson(state: &mut u64, mean: f64) -> u64 {
    let (limit, mut product, mut n) = ((-mean).exp(), 1.0, 0);
    loop {
        product *= unit(state);
        if product <= limit {
            return n;
        }
        n += 1;
    }
}
