//! Ten million label sets from two threads against a budget of 4 MiB: memory stays inside, totals
//! stay exact, and `health()` names the labels that explode. Exits with 1 if that is not so.
//! Run it with `cargo run --release --example cardinality_attack -- --labels 10_000_000`.
#![expect(clippy::disallowed_methods, reason = "an example lets real time pass")]

use std::{env, error::Error, fs, ops::Range, process::ExitCode, thread, time::Duration};

use metrics::{counter, gauge, histogram};
use metrics_recall::{Recall, secs};

const BUDGET: usize = 4 << 20;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some(labels) = labels_from(&arguments) else {
        let given = arguments.join(" ");
        eprintln!("expected `--labels N` with a whole number above 0, not `{given}`");
        return Ok(ExitCode::from(2));
    };
    let recall = Recall::builder().memory_budget(BUDGET).install()?;
    let half = labels / 2;
    let peak = thread::scope(|scope| {
        let threads = [0..half, half..labels].map(|ids| scope.spawn(|| attack(ids)));
        let finished = || threads.iter().all(thread::ScopedJoinHandle::is_finished);
        watch(&recall, labels, finished)
    });
    recall.tick(); // commits what came since the worker's last tick

    println!("\n{:>38}{:>14}", "recorded", "answered");
    let requests = (0..labels).filter(|n| n % 20 > 1).map(amount).sum();
    let seconds = (0..labels).filter(|n| n % 20 == 1).map(|_| 1).sum();
    let total = |name, recorded| compare(name, recorded, recall.counters(name).total());
    let exact = total("label_sets_total", labels) & total("attack_requests_total", requests);
    // Not in the verdict: pressure may shorten history, though never a total.
    let kept = recall.histograms("attack_seconds").over(Duration::MAX);
    compare("attack_seconds, count", seconds, kept.count());

    let peak = peak.max(recall.memory().used);
    let (most, budget) = (grouped(&peak), grouped(&BUDGET));
    println!("\nat most {most} of {budget} bytes in use\n");
    for reason in recall.health().reasons() {
        println!("health: {reason}");
    }
    Ok(ExitCode::from(u8::from(!exact || peak > BUDGET)))
}

fn labels_from(arguments: &[String]) -> Option<u64> {
    match arguments {
        [] => Some(10_000_000),
        [flag, n] if flag == "--labels" => n.replace('_', "").parse().ok().filter(|n| *n > 0),
        _ => None,
    }
}

/// Every id makes a label set that nobody has seen before; `region` is innocent.
fn attack(ids: Range<u64>) {
    let label_sets = counter!("label_sets_total");
    for n in ids {
        let id = format!("{n:012x}");
        let region = if n % 8 < 5 { "eu" } else { "us" };
        match n % 20 {
            0 => gauge!("attack_sessions", "session_id" => id).set(1.0),
            1 => histogram!("attack_seconds", "region" => region, "user_id" => id).record(0.012),
            _ => counter!("attack_requests_total", "region" => region, "request_id" => id)
                .increment(amount(n)),
        }
        label_sets.increment(1);
    }
}

fn amount(n: u64) -> u64 {
    1 + n % 7
}

/// Prints five lines on the way, and returns the most bytes that were seen in use.
fn watch(recall: &Recall, labels: u64, finished: impl Fn() -> bool) -> usize {
    println!("  label sets    per second      used KiB       RSS KiB");
    let sets = recall.counters("label_sets_total");
    let rate = recall.counters("label_sets_total").over(secs(10));
    let (mut peak, mut fifth) = (0, 1);
    while fifth <= 5 {
        let last = finished();
        let (so_far, used) = (sets.total().unwrap_or(0), recall.memory().used);
        peak = peak.max(used);
        if last || so_far / fifth >= labels / 5 {
            let rate = rate.rate().map_or("-".into(), |r| grouped(&r.round()));
            let (so_far, used) = (grouped(&so_far), grouped(&used.div_ceil(1024)));
            let resident = resident_kib().unwrap_or("-".into());
            println!("{so_far:>12}{rate:>14}{used:>14}{resident:>14}");
            fifth = if last { 6 } else { fifth + 1 };
        }
        thread::sleep(Duration::from_millis(2));
    }
    peak
}

fn compare(name: &str, recorded: u64, answered: Option<u64>) -> bool {
    let exact = answered == Some(recorded);
    let verdict = if exact { "exact" } else { "DIFFERS" };
    let answered = answered.map_or("nothing".into(), |n| grouped(&n));
    let recorded = grouped(&recorded);
    println!("{name:<24}{recorded:>14}{answered:>14}  {verdict}");
    exact
}

/// What the kernel says of the whole process; Linux only.
fn resident_kib() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    Some(grouped(&line.trim().trim_end_matches(" kB")))
}

/// `1234567` as `1,234,567`.
fn grouped(n: &impl ToString) -> String {
    let digits = n.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}
