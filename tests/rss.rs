//! What the operating system sees: a process with the store is at most 1.3 x budget + 8 MiB larger than one without.
//!
//! Each attack runs twice, in processes of their own, with the allocator that programs have: once against the store, once
//! against a recorder that does nothing. What counts is the most memory that either was ever resident with.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "common/crowd.rs"]
mod crowd;

use crowd::crowd;
use metrics::{NoopRecorder, counter, gauge, histogram};
use metrics_recall::{Clock, MemoryProfile, Recall, RecallBuilder, secs};
use std::{env, fs, process::Command};

/// `attack/budget/against`, for the child process.
const TASK: &str = "RECALL_TEST_RSS";

const BUDGETS: [(&str, usize); 3] = [("edge", 1 << 20), ("4mib", 4 << 20), ("32mib", 32 << 20)];

/// A chunk of an attack: thread, number of the chunk.
type Attack = fn(usize, usize);

const ATTACKS: [(&str, usize, Attack); 4] = [
    ("labels", 2, labels),
    ("names", 1, names),
    ("octaves", 2, octaves),
    ("threads", 64, own_series),
];

const CHUNKS: usize = 20;

fn calls() -> usize {
    let long = env::var("RECALL_LONG").is_ok_and(|v| v == "1");
    if long { 200_000 } else { 2_000 }
}

fn labels(thread: usize, chunk: usize) {
    for i in 0..calls() {
        let id = format!("{thread}/{chunk}/{i}");
        counter!("attack", "id" => id.clone()).increment(1);
        gauge!("attack", "id" => id.clone()).set(1.0);
        histogram!("attack", "id" => id).record(1.0);
    }
}

fn names(thread: usize, chunk: usize) {
    for i in 0..calls() {
        let name = format!("attack_{thread}_{chunk}_{i}");
        counter!(name.clone()).increment(1);
        gauge!(name.clone()).set(1.0);
        histogram!(name).record(1.0);
    }
}

fn octaves(thread: usize, chunk: usize) {
    for i in 0..calls() {
        let octave = i32::try_from(i % 200).unwrap() - 100;
        let id = (i / 200 + chunk * thread).to_string();
        histogram!("attack", "id" => id).record(f64::from(octave).exp2());
    }
}

fn own_series(thread: usize, _: usize) {
    for i in 0..calls() / 10 {
        counter!("attack", "id" => format!("{thread}/{i}")).increment(1);
        counter!("shared", "id" => (i % 50).to_string()).increment(1);
    }
}

fn builder(budget: &str) -> RecallBuilder {
    let builder = match budget {
        "edge" => Recall::builder().profile(MemoryProfile::Edge),
        "4mib" => Recall::builder().memory_budget(4 << 20),
        _ => Recall::builder(),
    };
    // No limit but memory.
    builder.max_series_per_metric(1 << 30).max_metrics(1 << 30)
}

/// Runs all chunks on so many threads at once, which live as long as the attack; `rest` after each.
fn run(
    threads: usize,
    recorder: &(impl metrics::Recorder + Sync),
    attack: Attack,
    rest: impl Fn(),
) {
    let work = |thread, chunk| metrics::with_local_recorder(recorder, || attack(thread, chunk));
    crowd(threads, work, |crowd| {
        crowd.run(0);
        for chunk in 1..CHUNKS {
            crowd.start_all(chunk);
            rest();
            crowd.wait_for_all();
        }
        rest();
    });
}

/// The child process: does what it is told, and says how large it was.
#[test]
fn child() {
    let Ok(task) = env::var(TASK) else { return };
    let words: Vec<&str> = task.split('/').collect();
    let [attack, budget, against] = words[..] else {
        panic!("unknown task {task}")
    };
    let (_, threads, attack) = ATTACKS
        .into_iter()
        .find(|(name, ..)| *name == attack)
        .unwrap();
    if against == "nothing" {
        run(threads, &NoopRecorder, attack, || ());
    } else {
        let (clock, hands) = Clock::manual();
        let (recorder, recall) = builder(budget).clock(clock).build().unwrap();
        run(threads, &recorder, attack, || {
            hands.advance(secs(1));
            recall.tick();
        });
        let memory = recall.memory();
        assert!(memory.peak <= memory.budget);
        println!("used {}", memory.peak >> 10);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("resident {}", peak.unwrap().trim().trim_end_matches(" kB"));
}

/// The largest resident size of a child process, in KiB.
fn resident(attack: &str, budget: &str, against: &str) -> usize {
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(TASK, format!("{attack}/{budget}/{against}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{text}{errors}");
    let found = text.lines().find_map(|line| line.split("resident ").nth(1));
    found.unwrap().trim().parse().unwrap()
}

#[test]
fn a_process_under_attack_is_larger_by_the_budget_and_little_more() {
    for (attack, ..) in ATTACKS {
        let without = resident(attack, "any", "nothing");
        for (budget, bytes) in BUDGETS {
            let with = resident(attack, budget, "store");
            let most = without + ((bytes + bytes * 3 / 10) >> 10) + (8 << 10);
            println!("{attack} at {budget}: {with} KiB, {without} KiB without, allowed {most} KiB");
            assert!(
                with <= most,
                "{attack} at {budget}: {with} KiB > {most} KiB ({without} KiB without)"
            );
        }
    }
}
