//! Install, record for three seconds, and ask the process itself: order rates, checkout
//! percentiles, the deepest queue, and a summary of all that it keeps.
//! Run it with `cargo run --release --example quickstart`.
#![expect(clippy::disallowed_methods, reason = "an example lets real time pass")]

use std::{error::Error, f64::consts::TAU, thread, time::Duration};

use metrics::{counter, gauge, histogram};
use metrics_recall::{Recall, mins};

fn main() -> Result<(), Box<dyn Error>> {
    let recall = Recall::builder().install()?;

    for step in 0..300 {
        work(step);
        thread::sleep(Duration::from_millis(10));
    }
    recall.tick(); // the worker ticks every second; this commits what came since

    let orders = recall.counters("orders_total").over(mins(5));
    for (labels, rate) in orders.by(["region"]).rate() {
        let region = labels.get("region").unwrap_or("(none)");
        println!("orders    {region:<8} {rate:>8.1} /s");
    }
    let checkout = recall.histograms("checkout_seconds").over(mins(5));
    for (name, q) in [("p50", 0.50), ("p99", 0.99)] {
        let seconds = checkout.quantile(q).ok_or("no checkout was timed")?;
        println!("checkout  {name:<8} {:>8.1} ms", seconds * 1e3);
    }
    let queue = recall.gauges("queue_depth").over(mins(5));
    let deepest = queue.max().ok_or("no depth was set")?;
    println!("queue     deepest  {deepest:>8.0} jobs");

    println!("\n{}", recall.summary());
    Ok(())
}

/// What a service does anyway: nothing here knows of `metrics_recall`.
fn work(step: u32) {
    let region = if step % 4 < 3 { "eu" } else { "us" };
    counter!("orders_total", "region" => region).increment(1);

    let wave = (f64::from(step) / 300.0 * TAU).sin();
    gauge!("queue_depth").set((20.0 + 15.0 * wave).round());

    let stall = if step % 50 == 49 { 0.180 } else { 0.0 };
    histogram!("checkout_seconds").record(0.030 + 0.010 * wave + stall);
}
