//! Which function takes the time? `#[timed]` on three of them, a second of work, and what the process knows of itself then.
//!
//! ```text
//! cargo run --example timed_functions --features macros
//! ```

#![expect(
    clippy::disallowed_methods,
    reason = "an example that works for a second"
)]

use metrics_recall::{Error, Recall, mins, timed};
use std::time::{Duration, Instant};

/// Asks a price; some articles have none.
#[timed(name = "price_seconds", labels(source = "catalogue"), result)]
fn price(article: u32) -> Result<u32, String> {
    if article.is_multiple_of(7) {
        return Err(format!("article {article} has no price"));
    }
    work_for(Duration::from_micros(50));
    Ok(article * 3)
}

/// By its path, and how many run at once.
#[timed(in_flight)]
fn tax(price: u32) -> u32 {
    work_for(Duration::from_micros(u64::from(price % 40) * 10));
    price / 5
}

/// Waits for the bank, with a time-out that gives up the slow ones.
#[timed(result)]
async fn pay(amount: u32) -> Result<(), String> {
    tokio::time::sleep(Duration::from_millis(u64::from(amount % 8))).await;
    if amount.is_multiple_of(11) {
        Err("declined".to_owned())
    } else {
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let recall = Recall::builder().install()?;
    let start = Instant::now();
    for article in (0..).take_while(|_| start.elapsed() < Duration::from_secs(1)) {
        let Ok(price) = price(article) else { continue };
        let pay = pay(price + tax(price));
        // Who is given up shows as `cancelled`, and who is declined as `err`.
        let _ = tokio::time::timeout(Duration::from_millis(4), pay).await;
    }
    recall.tick();

    println!(
        "{:<58} {:>6} {:>9} {:>9} {:>9}",
        "function", "calls", "mean ms", "p99 ms", "all ms"
    );
    for metric in ["function_duration_seconds", "price_seconds"] {
        let by_end = recall
            .histograms(metric)
            .by(["function", "source", "result"]);
        for (labels, stats) in by_end.over(mins(1)).stats() {
            let name = format!("{metric}{labels}").replace("function_duration_seconds", "");
            let [mean, p99, all] =
                [stats.avg, stats.p99, stats.sum].map(|seconds| seconds * 1_000.0);
            println!(
                "{name:<58} {:>6} {mean:>9.3} {p99:>9.3} {all:>9.1}",
                stats.count
            );
        }
    }
    println!("\ncalls of functions without a name of their own:");
    for (function, calls) in recall.call_counts() {
        println!("{calls:>7}  {function}");
    }
    let at_once = recall.gauges("function_in_flight").over(mins(1)).max();
    println!(
        "taxes reckoned at once, at most: {}",
        at_once.unwrap_or(0.0)
    );
    recall.shutdown();
    Ok(())
}

fn work_for(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}
