//! A sensor box with one MiB for its metrics: three hours of readings every second, asked afterwards as a technician would.
//! Time is moved by hand, so the three hours take a moment. Run it with `cargo run --release --example edge_device`.

use metrics::{counter, gauge, histogram};
use metrics_recall::{Clock, MemoryProfile, Recall, mins, secs};
use std::error::Error;

const HOURS: u64 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder().profile(MemoryProfile::Edge).clock(clock);
    let (recorder, recall) = builder.build()?; // on a device: `.install()?`, which ticks by itself

    for second in 0..HOURS * 3600 {
        recorder.scope(|| read_sensors(second));
        hands.advance(secs(1));
        recall.tick();
    }

    println!("After {HOURS} hours, in {}:\n", recall.memory());
    let temperature = recall.gauges("temperature_celsius");
    let last = temperature.current().ok_or("no temperature was read")?;
    println!("temperature now       {last:>7.1} °C");
    for (label, window) in [("last 2 minutes", mins(2)), ("last 2 hours", mins(120))] {
        let stats = temperature
            .clone()
            .over(window)
            .stats()
            .ok_or("no reading")?;
        println!(
            "  {label:<18}  {:>7.1} to {:.1} °C, {:.1} on average",
            stats.min, stats.max, stats.avg
        );
    }
    let trend = temperature
        .over(mins(10))
        .trend()
        .ok_or("too few readings")?;
    println!(
        "  trend of 10 minutes {:>+7.2} °C a minute",
        trend.slope * 60.0
    );

    let bus = recall.histograms("bus_read_seconds").over(mins(120));
    let p99 = bus.quantile(0.99).ok_or("no read was timed")?;
    let reads = bus.count().ok_or("no read was timed")?;
    println!("bus reads             {reads:>7}, p99 {:.1} ms", p99 * 1e3);
    for (labels, n) in recall.counters("sensor_errors_total").by("sensor").total() {
        let sensor = labels.get("sensor").unwrap_or("(none)");
        println!("errors of {sensor:<12}{n:>7}");
    }

    println!("\nHistory reaches back:");
    for tier in recall.retention() {
        println!("  {tier}");
    }
    println!("\n{}", recall.health());
    Ok(())
}

/// What the device does anyway.
#[expect(clippy::cast_precision_loss, reason = "seconds of some hours")]
fn read_sensors(second: u64) {
    let hour = second as f64 / 3600.0;
    // The door is open for half a minute, once an hour.
    let door = if second % 3600 >= 3570 { -9.0 } else { 0.0 };
    gauge!("temperature_celsius").set((210.0 + 30.0 * hour.sin()).round() / 10.0 + door);
    gauge!("battery_volts").set(12.6 - 0.1 * hour);
    for sensor in ["inside", "outside", "flow"] {
        let slow = if second.is_multiple_of(97) {
            0.020
        } else {
            0.0
        };
        let spread = (second * 7 % 13) as f64 * 1e-4;
        histogram!("bus_read_seconds", "sensor" => sensor).record(0.002 + spread + slow);
    }
    if second.is_multiple_of(611) {
        counter!("sensor_errors_total", "sensor" => "flow").increment(1);
    }
}
