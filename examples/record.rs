//! Makes the recordings in `tests/data`, by which the codecs are judged: what a service under load, this machine, or a
//! bursty batch job emits through the facade, tick by tick, as text.
//! Run it with `cargo run --release --example record -- service 121 > tests/data/service.txt`.

mod recording;
#[allow(dead_code, reason = "an example of its own, too")]
#[path = "service.rs"]
mod service;

use metrics::{counter, gauge, histogram};
use metrics_recall::secs;
use recording::Recording;
use std::{collections::BTreeMap, error::Error, fs, io::Write, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

type Failure = Box<dyn Error + Send + Sync>;

const USAGE: &str =
    "expected `service N`, `machine N` or `batch N`: what is recorded, and for how many seconds";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, seconds] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    let seconds: u64 = seconds.parse().map_err(|_| USAGE)?;
    let recording = Recording::default();
    metrics::set_global_recorder(recording.clone())?;
    match what.as_str() {
        "service" => drop(tokio::spawn(service::work(secs(seconds + 3)))),
        "machine" => {}
        "batch" => drop(tokio::spawn(batches())),
        _ => return Err(USAGE.into()),
    }
    let mut ticks = interval(secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut out = std::io::stdout().lock();
    writeln!(out, "# {what}, {seconds} ticks of a second")?;
    for _ in 0..seconds {
        ticks.tick().await;
        if what == "machine" {
            read_machine()?;
        }
        out.write_all(recording.take_tick().as_bytes())?;
    }
    Ok(())
}

/// What Linux says of the machine.
fn read_machine() -> Result<(), Failure> {
    let stat = fs::read_to_string("/proc/stat")?;
    for line in stat.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(first)) = (words.next(), words.next()) else {
            continue;
        };
        match name {
            "ctxt" | "intr" | "processes" => {
                counter!(format!("system_{name}")).absolute(first.parse()?);
            }
            "procs_running" | "procs_blocked" => {
                gauge!(format!("system_{name}")).set(first.parse::<f64>()?);
            }
            cpu if cpu.starts_with("cpu") => {
                let rest: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
                cpu_percent(cpu, first.parse()?, &rest);
            }
            _ => {}
        }
    }
    let memory = fs::read_to_string("/proc/meminfo")?;
    for line in memory.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [
            "MemFree:" | "MemAvailable:" | "Cached:" | "Dirty:" | "AnonPages:" | "Slab:",
            kib,
            _,
        ] = words[..]
        {
            gauge!("system_memory_bytes", "of" => words[0].trim_end_matches(':').to_owned())
                .set(kib.parse::<f64>()? * 1024.0);
        }
    }
    let load = fs::read_to_string("/proc/loadavg")?;
    for (of, load) in ["1m", "5m", "15m"].into_iter().zip(load.split_whitespace()) {
        gauge!("system_load", "of" => of).set(load.parse::<f64>()?);
    }
    let network = fs::read_to_string("/proc/net/dev")?;
    for line in network.lines().skip(2) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [device, received, packets, _, _, _, _, _, _, sent, ..] = words[..] {
            for (name, n) in [
                ("received_bytes", received),
                ("received_packets", packets),
                ("sent_bytes", sent),
            ] {
                let device = device.trim_end_matches(':').to_owned();
                counter!(format!("network_{name}"), "device" => device).absolute(n.parse()?);
            }
        }
    }
    Ok(())
}

/// How busy a processor was since the last call, in percent with one decimal, as monitors show it.
fn cpu_percent(cpu: &str, user: u64, rest: &[u64]) {
    use std::cell::RefCell;
    thread_local!(static BEFORE: RefCell<BTreeMap<String, [u64; 2]>> = RefCell::default());
    let all = user + rest.iter().sum::<u64>();
    let idle = rest.get(2).copied().unwrap_or(0) + rest.get(3).copied().unwrap_or(0);
    let before = BEFORE.with_borrow_mut(|before| before.insert(cpu.to_owned(), [all, idle]));
    let [all_before, idle_before] = before.unwrap_or_default();
    let (all, idle) = (all - all_before, idle.saturating_sub(idle_before));
    #[expect(
        clippy::cast_precision_loss,
        reason = "ticks of a processor in a second"
    )]
    let percent = 100.0 * all.saturating_sub(idle) as f64 / all.max(1) as f64;
    gauge!("system_cpu_percent", "cpu" => cpu.to_owned()).set((percent * 10.0).round() / 10.0);
}

/// Every some seconds a batch of files is read, counted and sorted, as fast as it goes.
async fn batches() -> Result<(), Failure> {
    let mut next = 7_u64;
    loop {
        next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        sleep(Duration::from_millis(2_000 + (next >> 33) % 18_000)).await;
        let mut files = Vec::new();
        for dir in [
            "src",
            "src/live",
            "src/codec",
            "src/history",
            "src/query",
            "tests",
        ] {
            files.extend(
                fs::read_dir(dir)?
                    .flatten()
                    .map(|entry| entry.path())
                    .filter(|path| path.is_file()),
            );
        }
        counter!("batch_runs_total").increment(1);
        for (done, file) in files.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "some hundred files")]
            gauge!("batch_files_waiting").set((files.len() - done) as f64);
            let begin = Instant::now();
            let text = fs::read_to_string(file)?;
            histogram!("batch_step_seconds", "step" => "read").record(begin.elapsed());
            let begin = Instant::now();
            let mut words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
            words.sort_unstable();
            words.dedup();
            histogram!("batch_step_seconds", "step" => "sort").record(begin.elapsed());
            counter!("batch_bytes_total").increment(text.len() as u64);
            counter!("batch_words_total").increment(words.len() as u64);
            #[expect(clippy::cast_precision_loss, reason = "some thousand words")]
            gauge!("batch_words_in_file").set(words.len() as f64);
            sleep(Duration::from_millis(text.len() as u64 / 400)).await;
        }
        gauge!("batch_files_waiting").set(0.0);
    }
}
