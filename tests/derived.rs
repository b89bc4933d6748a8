//! Metrics that the crate `metrics-derive` keeps in a struct are heard, described, and stay heard however long they are idle.

mod common;

use common::Store;
use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;
use metrics_recall::{Recall, mins, secs};

#[derive(Metrics)]
#[metrics(scope = "shop", labels = [("service", "checkout")])]
struct Shop {
    /// Orders that were paid.
    orders_total: Counter,
    /// Baskets that are open.
    #[metric(rename = "baskets")]
    open: Gauge,
    /// How long it took to pay.
    #[metric(rename = "pay_seconds", labels = [("result", "ok")])]
    paid: Histogram,
    /// How long it took to fail.
    #[metric(rename = "pay_seconds", labels = [("result", "error")])]
    failed: Histogram,
}

/// The name of the metrics is given when they are made.
#[derive(Metrics)]
#[metrics(dynamic = true, separator = "_")]
struct Queue {
    /// Messages that wait.
    depth: Gauge,
}

#[test]
fn derived_metrics_have_names_labels_and_descriptions() {
    let store = Store::default();
    store.recorder.scope(|| {
        let shop = Shop::new_with_labels(&[("region", "eu")]);
        // They are described once a process, which another test of this one may have had.
        Shop::force_describe();
        shop.orders_total.increment(3);
        shop.open.set(2.0);
        shop.paid.record(0.25);
        shop.failed.record(0.5);
        Queue::new("mail").depth.set(7.0);
    });
    store.tick(secs(1));
    let recall = &store.recall;
    let orders = recall.counters("shop.orders_total");
    let orders = orders.label("service", "checkout").label("region", "eu");
    assert_eq!(orders.total(), Some(3));
    assert_eq!(recall.gauges("shop.baskets").current(), Some(2.0));
    assert_eq!(recall.gauges("mail_depth").current(), Some(7.0));
    let failed = recall.histograms("shop.pay_seconds");
    let failed = failed.label("result", "error").over(secs(1));
    assert_eq!((failed.count(), failed.max()), (Some(1), Some(0.5)));
    let text = recall.render();
    for line in [
        "# HELP shop_orders_total Orders that were paid.",
        "# TYPE shop_orders_total counter",
        r#"shop_orders_total{region="eu",service="checkout"} 3"#,
        "# HELP mail_depth Messages that wait.",
    ] {
        assert!(text.lines().any(|said| said == line), "{line}\n{text}");
    }
}

/// What such a struct holds is not a call of a macro: the store must not forget it while it is idle.
#[test]
fn a_derived_struct_outlives_the_idle_timeout() {
    let (clock, hands) = metrics_recall::Clock::manual();
    let builder = Recall::builder().clock(clock).idle_timeout(mins(1));
    let (recorder, recall) = builder.build().unwrap();
    let shop = recorder.scope(|| Shop::new_with_labels(&[("region", "us")]));
    shop.orders_total.increment(1);
    for _ in 0..10 {
        hands.advance(mins(1));
        recall.tick();
    }
    shop.orders_total.increment(1);
    hands.advance(secs(1));
    recall.tick();
    assert_eq!(recall.counters("shop.orders_total").total(), Some(2));
}

/// As with every handle: `default()` keeps the first struct of the process, so it has to come after the recorder.
#[test]
fn the_default_struct_hears_the_recorder_that_made_it() {
    let store = Store::default();
    store.recorder.scope(|| {
        Shop::default().orders_total.increment(1);
        Shop::default().orders_total.increment(1);
    });
    let later = Store::default();
    later
        .recorder
        .scope(|| Shop::default().orders_total.increment(1));
    assert_eq!(store.recall.counters("shop.orders_total").total(), Some(3));
    assert_eq!(later.recall.counters("shop.orders_total").total(), None);
}
