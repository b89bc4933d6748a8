//! What health says when things go wrong, and when they are over: `cargo run --example health_report`.

use metrics::{counter, gauge, histogram};
use metrics_recall::{AlertRule, Clock, Condition, Recall, Severity, mins, secs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder()
        .clock(clock)
        .max_series_per_metric(100)
        .build()?;
    let slow = Condition::histograms("checkout_seconds")
        .over(mins(1))
        .quantile(0.99);
    recall.alerts().add(
        AlertRule::new("SlowCheckout")
            .when(slow.above(0.5))
            .severity(Severity::Critical),
    )?;
    let minute = |is_bad: bool| {
        for second in 0..60_u32 {
            recorder.scope(|| {
                let seconds = if is_bad { 0.9 } else { 0.1 };
                histogram!("checkout_seconds").record(seconds + f64::from(second) / 1000.0);
                if is_bad {
                    // A user's id is no label.
                    let user = format!("user-{}", recall.now().as_millis());
                    counter!("checkouts_total", "user" => user).increment(1);
                    gauge!("cart_value").set(f64::NAN);
                }
            });
            hands.advance(secs(1));
            recall.tick();
        }
    };

    minute(false);
    println!("== after a good minute\n{:#}\n", recall.health());
    for _ in 0..3 {
        minute(true);
    }
    let _ = recall.counters("chekouts_total").over(mins(1)).rate();
    println!("== after three bad ones\n{:#}\n", recall.health());
    for _ in 0..11 {
        minute(false);
    }
    println!("== eleven minutes later\n{}", recall.health());
    Ok(())
}
