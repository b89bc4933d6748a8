//! A service that watches its own p99 and sheds load while it is too slow: `cargo run --example load_shedding`.
//!
//! The watch is kept by the tick; deciding about a request is one atomic load. Here the clock is moved by hand, so that an
//! hour's incident takes a moment.

use metrics::{counter, gauge, histogram};
use metrics_recall::{Aggregation, Clock, Recall, Watch, secs};

/// Above this the service sheds, and below that it takes everything again.
const TOO_SLOW: f64 = 0.250;
const FINE: f64 = 0.150;

/// Takes requests, or sheds some of them.
struct Door {
    p99: Watch,
    is_shedding: bool,
}

impl Door {
    /// Whether to take request `n`. While it sheds, one in four is let in, to see how it goes.
    fn lets_in(&mut self, n: u64) -> bool {
        self.is_shedding = match self.p99.get() {
            Some(p99) if p99 > TOO_SLOW => true,
            Some(p99) if p99 < FINE => false,
            _ => self.is_shedding,
        };
        !self.is_shedding || n.is_multiple_of(4)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build()?;
    let p99 = recall
        .histograms("request_seconds")
        .over(secs(10))
        .watch(Aggregation::Quantile(0.99));
    let mut door = Door {
        p99,
        is_shedding: false,
    };
    println!("second  taken  shed  p99 of 10 s");
    for second in 0..60_u64 {
        // From second 20 to 40 three times as many requests come, and each makes the others wait.
        let come = if (20..40).contains(&second) { 300 } else { 100 };
        let (mut taken, mut shed) = (0_u32, 0_u32);
        recorder.scope(|| {
            for n in 0..come {
                if door.lets_in(n) {
                    taken += 1;
                    let wait = f64::from(taken.saturating_sub(100)) * 0.003;
                    histogram!("request_seconds").record(0.020 + wait);
                    counter!("requests_total").increment(1);
                } else {
                    shed += 1;
                    counter!("requests_shed_total").increment(1);
                }
            }
            gauge!("shedding").set(f64::from(u8::from(door.is_shedding)));
        });
        hands.advance(secs(1));
        recall.tick();
        if second % 5 == 4 || (18..26).contains(&second) {
            let p99 = door.p99.get().unwrap_or(0.0);
            println!("{second:>6}  {taken:>5}  {shed:>4}  {:>6.0} ms", 1e3 * p99);
        }
    }
    let minute = secs(60);
    println!(
        "\nof {} requests {} were shed; the p99 of those taken was {:.0} ms",
        recall
            .counters("requests_total")
            .over(minute)
            .increase()
            .unwrap_or(0)
            + recall
                .counters("requests_shed_total")
                .over(minute)
                .increase()
                .unwrap_or(0),
        recall
            .counters("requests_shed_total")
            .over(minute)
            .increase()
            .unwrap_or(0),
        1e3 * recall
            .histograms("request_seconds")
            .over(minute)
            .quantile(0.99)
            .unwrap_or(0.0)
    );
    Ok(())
}
