//! How good are insights? Generates weeks of metrics in which nothing happens, and days in which something does, and says what
//! was found, missed, and cried for nothing.
//!
//! `cargo run --release --example insight_quality -- --seed 7 [--metrics 4] [--weeks 1]`

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "generated numbers, and shares of them"
)]
#[allow(dead_code, reason = "a test uses it, too")]
#[path = "../tests/common/signals.rs"]
mod signals;

use signals::{CASES, NOISES, SIGNALS, cried, found};

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

fn main() {
    let (seed, n, weeks) = (flag("--seed", 1), flag("--metrics", 2), flag("--weeks", 1));
    println!("seed {seed}: {n} metrics of each kind and noise");

    let results = found(seed, n);
    println!("\nfound within two hours, of what happened:");
    for (signal, event) in CASES {
        for noise in NOISES {
            let these = results
                .iter()
                .filter(|r| (r.0, r.1, r.2) == (signal, event, noise));
            let (mut hit, mut all) = (0, 0);
            for result in these {
                all += 1;
                hit += u64::from(result.3);
            }
            println!("  {signal:?} {event:?}, {noise:?}: {hit} of {all}");
        }
    }
    let hit = results.iter().filter(|result| result.3).count();
    let share = 100.0 * hit as f64 / results.len() as f64;
    println!(
        "  together {hit} of {}: {share:.1} % (at least 95)",
        results.len()
    );

    let days = 7 * weeks as u32;
    let all = cried(seed, n, days);
    println!("\nfound in {weeks} weeks in which nothing happened, per metric and week:");
    let mut worst = 0.0_f64;
    for signal in SIGNALS {
        for noise in NOISES {
            let these = all.iter().filter(|(s, m, _)| (*s, *m) == (signal, noise));
            let findings: Vec<_> = these.flat_map(|(_, _, findings)| findings).collect();
            let rate = findings.len() as f64 / (n * weeks) as f64;
            worst = worst.max(rate);
            println!("  {signal:?}, {noise:?}: {rate:.2}");
            for insight in findings.iter().take(3) {
                println!("      {insight}");
            }
        }
    }
    println!("  the worst: {worst:.2} (at most 1)");
    if share < 95.0 || worst > 1.0 {
        std::process::exit(1);
    }
}
