//! A program whose macros are of another version of the facade is told why nothing arrives; a process of its own.

use metrics_recall::{Clock, Recall, secs};

#[test]
fn a_store_that_hears_nothing_says_what_the_reasons_may_be() {
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build().unwrap();
    hands.advance(secs(100));
    recall.tick();
    assert!(recall.health().is_healthy(), "nobody has made it global");

    recall.make_global().unwrap();
    metrics_other_version::counter!("orders_total").increment(1);
    hands.advance(secs(10));
    recall.tick();
    assert!(recall.health().is_healthy(), "ten seconds may be quiet");

    hands.advance(secs(35));
    recall.tick();
    let health = recall.health().to_string();
    for part in [
        "45 s",
        "another version",
        "`cargo tree -i metrics`",
        "`metrics` 0.24",
        "`install()`",
    ] {
        assert!(health.contains(part), "{part} is not in {health}");
    }
    assert!(recall.summary().to_string().contains("another version"));

    recorder.scope(|| metrics::counter!("orders_total").increment(1));
    assert!(recall.health().is_healthy(), "{}", recall.health());
    assert!(!recall.summary().to_string().contains("another version"));
}
