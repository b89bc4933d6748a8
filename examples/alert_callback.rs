//! An injected latency incident, and the alert that tells of it: pending, firing, resolved, with their times.
//!
//! The clock is moved by hand, so ten minutes pass at once: `cargo run --example alert_callback`

use metrics_recall::{AlertEvent, AlertRule, Clock, Condition, Recall, Severity, secs};

/// What a pager would do with an event.
fn page(event: &AlertEvent) {
    println!("{event}");
}

fn main() -> Result<(), metrics_recall::Error> {
    let slow = Condition::histograms("checkout_seconds")
        .by(["route"])
        .over(secs(60))
        .quantile(0.99)
        .above(0.5);
    println!("rule: {slow}, for 30 s, kept firing for 60 s\n");

    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder()
        .clock(clock)
        .alert(
            AlertRule::new("SlowCheckout")
                .when(slow)
                .for_at_least(secs(30))
                .keep_firing_for(secs(60))
                .severity(Severity::Critical)
                .label("team", "shop")
                .annotation(
                    "summary",
                    "p99 of {{ $labels.route }} is {{ $value | humanizeDuration }}",
                ),
        )
        .on_alert(page)
        .build()?;

    for second in 0..600 {
        // Between minute 3 and minute 6 the database behind /pay is slow.
        let incident = (180..360).contains(&second);
        recorder.scope(|| {
            for request in 0..20 {
                let usual = 0.020 + 0.004 * f64::from(request);
                let pay = if incident && request % 4 == 0 {
                    0.9
                } else {
                    usual
                };
                metrics::histogram!("checkout_seconds", "route" => "/pay").record(pay);
                metrics::histogram!("checkout_seconds", "route" => "/cart").record(usual);
            }
        });
        hands.advance(secs(1));
        recall.tick();
        if second == 300 {
            recall.alerts().drain(secs(5));
            println!("\nin the middle of it:");
            for alert in recall.alerts().active() {
                println!("  {alert}");
            }
            println!("  health: {}\n", recall.health());
        }
    }
    // Delivers what waits for callbacks.
    recall.shutdown();
    println!("\nten minutes later: {}", recall.health());
    Ok(())
}
