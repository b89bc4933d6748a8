//! A batch job that ends with a report of itself: how much, how fast, what was slow, what failed, and how the pace changed.
//! Run it with `cargo run --release --example batch_report`.
#![expect(clippy::disallowed_methods, reason = "a batch job takes real time")]

mod sparkline;

use metrics::{counter, histogram};
use metrics_recall::{Recall, secs};
use sparkline::sparkline;
use std::{
    error::Error,
    thread,
    time::{Duration, Instant},
};

fn main() -> Result<(), Box<dyn Error>> {
    // A job of seconds: tenths of a second say more than whole ones.
    let recall = Recall::builder()
        .resolution(Duration::from_millis(100))
        .install()?;

    let workers = (0..2).map(|worker| thread::spawn(move || run(worker)));
    for worker in workers.collect::<Vec<_>>() {
        worker.join().map_err(|_| "a worker panicked")?;
    }
    recall.shutdown(); // commits what came since the last tick; answers go on working

    report(&recall)?;
    Ok(())
}

fn report(recall: &Recall) -> Result<(), Box<dyn Error>> {
    let files = recall.counters("files_total").over(Duration::MAX);
    let done = files.increase().ok_or("no file was read")?;
    println!("{done} files");
    println!("  stage      files    p50 ms    p99 ms    max ms   share of time");
    let stages = recall
        .histograms("stage_seconds")
        .by("stage")
        .over(Duration::MAX)
        .stats();
    let whole: f64 = stages.iter().map(|(_, stats)| stats.sum).sum();
    for (labels, stats) in &stages {
        println!(
            "  {:<8} {:>7} {:>9.1} {:>9.1} {:>9.1} {:>13.0} %",
            labels.get("stage").unwrap_or("(none)"),
            stats.count,
            stats.median * 1e3,
            stats.p99 * 1e3,
            stats.max * 1e3,
            100.0 * stats.sum / whole,
        );
    }
    for (labels, n) in recall.counters("failures_total").by("reason").total() {
        println!(
            "  {n} failed: {}",
            labels.get("reason").unwrap_or("(no reason)")
        );
    }
    let pace = files.every(Duration::from_millis(200)).rate();
    println!(
        "  pace     {}  files/s, a column each 200 ms",
        sparkline(&pace)
    );
    Ok(())
}

/// What the job does anyway: nothing from here on knows of `metrics_recall`.
fn run(worker: u64) {
    let deadline = Instant::now() + secs(3);
    for file in 0.. {
        if Instant::now() > deadline {
            return;
        }
        timed("read", 2 + (file + worker) % 3);
        timed("parse", if file % 40 == 0 { 60 } else { 1 });
        if file % 33 == 7 {
            counter!("failures_total", "reason" => "truncated").increment(1);
        }
        timed("store", 3);
        counter!("files_total").increment(1);
    }
}

fn timed(stage: &'static str, ms: u64) {
    let started = Instant::now();
    thread::sleep(Duration::from_millis(ms));
    histogram!("stage_seconds", "stage" => stage).record(started.elapsed());
}
