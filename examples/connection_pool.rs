//! How full is a connection pool, and who waits? `r2d2`, with connections that do nothing.
//!
//! `cargo run --example connection_pool`

use metrics_recall::{Clock, PoolStatus, Recall, mins, secs};
use std::convert::Infallible;

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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A program says `install()`; an example moves its clock by hand.
    let (clock, hands) = Clock::manual();
    let (_recorder, recall) = Recall::builder().clock(clock).build()?;
    let pool = r2d2::Pool::builder().max_size(5).build(Manager)?;
    let observed = pool.clone();
    recall
        .collect_pool("orders", secs(1), move || {
            let state = observed.state();
            PoolStatus::new(state.connections.into(), state.idle_connections.into())
        })?
        .detach();

    for wanted in [0, 2, 5, 1] {
        let held: Result<Vec<_>, _> = (0..wanted).map(|_| pool.get()).collect();
        let held = held?;
        hands.advance(secs(1));
        recall.tick();
        let states = recall.gauges("pool_connections").by(["state"]).current();
        println!("{} held: {states:?}", held.len());
    }
    let in_use = recall.gauges("pool_connections").label("state", "in_use");
    println!("at most {:?} in use", in_use.over(mins(1)).max());
    Ok(())
}
