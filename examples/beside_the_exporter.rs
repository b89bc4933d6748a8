//! The exporter that a program has, and us beside it: one recorder, one scrape as before, and the process's own past.
//! Run it with `cargo run --features prometheus-exporter --example beside_the_exporter`.

use metrics::{counter, histogram};
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_recall::{Clock, Recall, mins, secs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A program says `install()`; the clock is moved by hand so that this ends at once.
    let (clock, hands) = Clock::manual();
    let (builder, handle) = Recall::builder()
        .clock(clock)
        .prometheus_exporter(PrometheusBuilder::new())?;
    let (recorder, recall) = builder.build()?;

    for second in 0..300u32 {
        recorder.scope(|| {
            counter!("orders_total", "region" => "eu").increment(2);
            for n in 0..20u32 {
                let slow = if second > 240 { 10.0 } else { 1.0 };
                histogram!("checkout_seconds").record(slow * f64::from(n + 1) * 0.005);
            }
        });
        hands.advance(secs(1));
        recall.tick(); // every five seconds also the exporter's upkeep
    }

    println!("what Prometheus scrapes, from the exporter:");
    for line in handle
        .render()
        .lines()
        .filter(|line| line.starts_with("orders"))
    {
        println!("  {line}");
    }
    println!("what only this process knows:");
    let p99 = recall.histograms("checkout_seconds");
    let p99_of = |window| p99.clone().over(window).quantile(0.99);
    println!(
        "  p99 of the last minute  {:.3} s",
        p99_of(mins(1)).unwrap_or(f64::NAN)
    );
    println!(
        "  p99 of all five minutes {:.3} s",
        p99_of(mins(5)).unwrap_or(f64::NAN)
    );
    let (total, rate) = (
        recall.counters("orders_total").total(),
        recall.counters("orders_total").over(mins(5)).rate(),
    );
    println!("  orders {total:?}, {rate:?} a second");
    Ok(())
}
