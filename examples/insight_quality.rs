//! How good are insights? Generates weeks of metrics in which nothing happens, and days in which something does, and says in one
//! table what was found within two windows of an hour, and how often each metric was cried about for nothing in a week.
//!
//! `cargo run --release --example insight_quality -- --seed 7 [--seeds 1] [--metrics 2] [--weeks 1]`
//!
//! Seeds are counted on from the first. It fails when less than 95 % are found, or when a metric has more than one false finding a week.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "generated numbers, and shares of them"
)]
#[allow(dead_code, reason = "a test uses it, too")]
#[path = "../tests/common/signals.rs"]
mod signals;

use metrics_recall::Insight;
use signals::{CASES, Event, NOISES, Noise, SIGNALS, Signal, cried, found};

/// A number behind a flag.
fn flag(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args();
    let given = arguments.find(|argument| argument == name);
    let Some(value) = given.and_then(|_| arguments.next()) else {
        return default;
    };
    value.parse().unwrap_or_else(|_| {
        eprintln!("{name} {value:?}: allowed are whole numbers");
        std::process::exit(2);
    })
}

/// What happened, in which noise, and whether it was found.
type Case = (Signal, Event, Noise, bool);
type Found = Vec<Case>;

/// What was found where nothing happened, a metric each.
type Cried = Vec<(Signal, Noise, Vec<Insight>)>;

/// A row: what it is about, a cell for each noise, and their sum.
fn row(name: &str, cells: &[String], sum: &str) {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>12}")).collect();
    println!("{name:<18}{}{sum:>12}", cells.concat());
}

/// How many were found of how many; gives the share in percent.
fn findings(results: &Found) -> f64 {
    let count = |is_it: &dyn Fn(&Case) -> bool| {
        let these: Vec<bool> = results.iter().filter(|r| is_it(r)).map(|r| r.3).collect();
        (these.iter().filter(|hit| **hit).count(), these.len())
    };
    let cell = |(hit, all): (usize, usize)| format!("{hit}/{all}");
    println!("found within two hours");
    for (signal, event) in CASES {
        let cells = NOISES.map(|noise| cell(count(&|r| (r.0, r.1, r.2) == (signal, event, noise))));
        let sum = cell(count(&|r| (r.0, r.1) == (signal, event)));
        row(&format!("  {signal:?} {event:?}"), &cells, &sum);
    }
    let (hit, all) = count(&|_| true);
    let share = 100.0 * hit as f64 / all as f64;
    println!("  together {hit} of {all}: {share:.1} % (at least 95)");
    share
}

/// How often a metric was cried about in a week: on average, and at worst; gives the worst.
fn cries(all: &Cried, weeks: f64) -> f64 {
    println!(
        "found in a week in which nothing happened: a metric on average, and the worst metric"
    );
    let (mut worst, mut examples) = (0.0_f64, Vec::new());
    for signal in SIGNALS {
        let (mut sum, mut metrics) = (0.0, 0.0);
        let cells = NOISES.map(|noise| {
            let these = all.iter().filter(|(s, m, _)| (*s, *m) == (signal, noise));
            let rates: Vec<f64> = these
                .map(|(_, _, findings)| {
                    examples.extend(findings);
                    findings.len() as f64 / weeks
                })
                .collect();
            let most = rates.iter().copied().fold(0.0, f64::max);
            worst = worst.max(most);
            sum += rates.iter().sum::<f64>();
            metrics += rates.len() as f64;
            let mean = rates.iter().sum::<f64>() / rates.len() as f64;
            format!("{mean:.2} {most:.2}")
        });
        row(
            &format!("  {signal:?}"),
            &cells,
            &format!("{:.2}", sum / metrics),
        );
    }
    println!("  the worst metric: {worst:.2} (at most 1)");
    for insight in examples.into_iter().take(10) {
        println!("    {insight}");
    }
    worst
}

fn main() {
    let (first, seeds) = (flag("--seed", 1), flag("--seeds", 1).max(1));
    let (n, weeks) = (flag("--metrics", 2).max(1), flag("--weeks", 1).max(1));
    let seeds = first..first.saturating_add(seeds);
    println!("seeds {seeds:?}, {n} metrics of each kind and noise, {weeks} weeks\n");
    let noises = NOISES.map(|noise| format!("{noise:?}"));
    row("", &noises, "all");
    let results: Found = seeds.clone().flat_map(|seed| found(seed, n)).collect();
    let share = findings(&results);
    let all: Cried = seeds
        .flat_map(|seed| cried(seed, n, 7 * weeks as u32))
        .collect();
    let worst = cries(&all, weeks as f64);
    if share < 95.0 || worst > 1.0 {
        std::process::exit(1);
    }
}
