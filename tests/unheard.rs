//! Another recorder is the process's, and does not pass on what it hears: one test, since there is one in a process.

use metrics::{NoopRecorder, counter};
use metrics_recall::{Clock, Recall, secs};

#[test]
fn a_store_that_macros_do_not_reach_says_so_until_it_hears_something() {
    metrics::set_global_recorder(NoopRecorder).unwrap();
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder().resolution(secs(60)).clock(clock);
    let (recorder, recall) = builder.build().unwrap();
    recall.make_global().unwrap();
    assert!(recall.health().is_healthy(), "{}", recall.health());

    // Whoever installs it again finds out.
    let again = Recall::builder().resolution(secs(60)).install().unwrap();
    counter!("orders_total").increment(1);
    assert_eq!(again.counters("orders_total").total(), None);
    let health = again.health().to_string();
    for part in [
        "what macros emit does not arrive",
        "another recorder",
        "`make_global`",
        "`start()`",
    ] {
        assert!(health.contains(part), "{part} is not in {health}");
    }

    recorder.scope(|| counter!("orders_total").increment(1));
    hands.advance(secs(60));
    recall.tick();
    let health = recall.health().to_string();
    assert!(!health.contains("does not arrive"), "{health}");
    recall.shutdown();
}
