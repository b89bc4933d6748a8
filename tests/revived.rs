//! What lives through a shutdown, and an `install` after it: one test, since there is one installed store in a process.
#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test fails by panicking, and numbers are whole ones"
)]

use metrics_recall::{Clock, ManualClock, RateMetric, Recall, secs};
use std::{sync::mpsc, time::Duration};

fn names(recall: &Recall) -> Vec<String> {
    let all = recall.collectors().into_iter();
    all.map(|collector| collector.name).collect()
}

/// `n` events a second for two minutes; gives the gauge of the last one.
fn often(recall: &Recall, hands: &ManualClock, rate: &RateMetric, name: &str, n: u64) -> f64 {
    for _ in 0..120 {
        rate.increment(n);
        hands.advance(secs(1));
        recall.tick();
    }
    // On this thread; a run of the last tick may be under way on another, and is not waited for.
    let (_never, wakes) = mpsc::channel::<()>();
    let mut shown = None;
    for _ in 0..60_000 {
        recall.collect_now();
        shown = recall.gauges(name).label("window", "1m").current();
        if shown == rate.one_minute() {
            break;
        }
        let _ = wakes.recv_timeout(Duration::from_millis(1));
    }
    assert_eq!(shown, rate.one_minute());
    shown.unwrap()
}

/// The collector of all rate metrics ended with the shutdown, and was never begun again as long as one of them lived: a dashboard
/// showed the rates of the last minute before it for ever, also of metrics that were made after it.
#[test]
fn rate_metrics_are_shown_again() {
    let (clock, hands) = Clock::manual();
    let recall = Recall::builder().clock(clock).install().unwrap();
    let orders = recall.rate_metric("orders").unwrap();
    assert_eq!(often(&recall, &hands, &orders, "orders_per_second", 5), 5.0);
    recall.shutdown();
    assert!(names(&recall).is_empty());
    let error = recall.rate_metric("mails").unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
    // What a builder asks for comes beside it.
    let again = Recall::builder().collect_process();
    let recall = again.install().unwrap();
    assert_eq!(names(&recall).len(), 2, "{:?}", names(&recall));
    assert!(names(&recall).contains(&"rates".to_owned()));
    assert_eq!(orders.meter().total(), Some(600));
    assert_eq!(often(&recall, &hands, &orders, "orders_per_second", 7), 7.0);
    let mails = recall.rate_metric("mails").unwrap();
    assert_eq!(often(&recall, &hands, &mails, "mails_per_second", 3), 3.0);
    assert_eq!(names(&recall).len(), 2, "they share one");
    drop((orders, mails));
    assert_eq!(names(&recall).len(), 1);
    // Nothing is begun for what is gone.
    recall.shutdown();
    let recall = Recall::builder().install().unwrap();
    assert!(names(&recall).is_empty());
    recall.shutdown();
}
