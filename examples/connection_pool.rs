//! How full is a connection pool, who waits, and who has waited in vain? `r2d2`, with connections that do nothing.
//!
//! `cargo run --example connection_pool`

use metrics_recall::{Clock, PoolStatus, Recall, mins, secs};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

struct Manager;

impl r2d2::ManageConnection for Manager {
    type Connection = ();
    type Error = Infallible;

    fn connect(&self) -> Result<(), Infallible> {
        Ok(())
    }

    fn is_valid(&self, (): &mut ()) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, (): &mut ()) -> bool {
        false
    }
}

/// What the pool tells of as it happens, and does not keep.
#[derive(Clone, Debug, Default)]
struct Timeouts(Arc<AtomicU64>);

impl r2d2::HandleEvent for Timeouts {
    fn handle_timeout(&self, _: r2d2::event::TimeoutEvent) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A program says `install()`; an example moves its clock by hand.
    let (clock, hands) = Clock::manual();
    let (_recorder, recall) = Recall::builder().clock(clock).build()?;
    let (timeouts, waiters) = (Timeouts::default(), Arc::new(AtomicU64::new(0)));
    let pool = r2d2::Pool::builder()
        .max_size(5)
        .connection_timeout(Duration::from_millis(250))
        .event_handler(Box::new(timeouts.clone()))
        .build(Manager)?;
    let (observed, waiting) = (pool.clone(), waiters.clone());
    recall
        .collect_pool("orders", secs(1), move || {
            let state = observed.state();
            PoolStatus::new(state.connections.into(), state.idle_connections.into())
                .waiters(waiting.load(Relaxed))
                .timeouts(timeouts.0.load(Relaxed))
        })?
        .detach();

    // Who waits, the pool does not tell: whoever asks it counts.
    let get = || {
        waiters.fetch_add(1, Relaxed);
        let connection = pool.get();
        waiters.fetch_sub(1, Relaxed);
        connection
    };
    for wanted in [0, 2, 5, 7, 1] {
        let held: Vec<_> = (0..wanted).filter_map(|_| get().ok()).collect();
        hands.advance(secs(1));
        recall.tick();
        let of = |state| recall.gauges("pool_connections").label("state", state);
        println!(
            "{wanted} wanted, {} got: {:?} in use, {:?} idle, {:?} waiting, {:?} in vain",
            held.len(),
            of("in_use").current().unwrap_or(0.0),
            of("idle").current().unwrap_or(0.0),
            recall.gauges("pool_waiters").current().unwrap_or(0.0),
            recall.counters("pool_timeouts_total").total().unwrap_or(0),
        );
    }
    let in_use = recall.gauges("pool_connections").label("state", "in_use");
    let most = in_use.over(mins(1)).max().unwrap_or(0.0);
    println!("at most {most} in use at once");
    Ok(())
}
