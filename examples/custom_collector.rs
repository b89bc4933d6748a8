//! How do I record what nobody tells me of: a queue's depth, a pool's connections, a sensor that fails now and then?
//!
//! `cargo run --example custom_collector`

use metrics::{counter, gauge};
use metrics_recall::{Clock, CollectError, Collector, Error, Recall, mins, secs};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

type Queue = Arc<Mutex<VecDeque<u32>>>;

/// A sensor that does not answer at first.
struct Sensor {
    asked: u32,
}

impl Collector for Sensor {
    fn name(&self) -> &'static str {
        "sensor"
    }

    fn interval(&self) -> Duration {
        secs(1)
    }

    fn collect(&mut self) -> Result<(), CollectError> {
        self.asked += 1;
        let answer = match self.asked {
            1 | 2 => return Err(CollectError::timeout("no answer within 100 ms")),
            3 => "21.5 C",
            _ => "21.5",
        };
        // An answer that does not parse is an error of its own class.
        gauge!("room_temperature_celsius").set(answer.parse::<f64>()?);
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    // A program says `install()`, and each collector has a thread; an example moves its clock by hand.
    let (clock, hands) = Clock::manual();
    let (_recorder, recall) = Recall::builder().clock(clock).build()?;

    let queue = Queue::default();
    let observed = queue.clone();
    let _depth = recall.collect_as("queue", secs(1), move || {
        let queue = observed.lock().unwrap_or_else(PoisonError::into_inner);
        gauge!("queue_depth").set(f64::from(u32::try_from(queue.len()).unwrap_or(u32::MAX)));
        counter!("queue_reads_total").increment(1);
    })?;
    let _sensor = recall.collect(Sensor { asked: 0 })?;

    for second in 1..=12 {
        let mut jobs = queue.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.extend(0..second);
        let done = jobs.len() / 2;
        jobs.drain(..done);
        drop(jobs);
        hands.advance(secs(1));
        recall.tick();
        if second % 3 == 0 {
            println!("after {second} s");
            for status in recall.collectors() {
                println!("  {status}");
            }
        }
    }

    let depth = recall.gauges("queue_depth").over(mins(1));
    println!(
        "deepest queue: {:?}, on average {:?}",
        depth.max(),
        depth.avg()
    );
    let temperature = recall.gauges("room_temperature_celsius").current();
    println!("temperature: {temperature:?}");
    println!("{}", recall.health());
    Ok(())
}
