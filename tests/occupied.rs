//! A process whose recorder somebody else has installed already: one test, since there is one in a process.

use metrics::{NoopRecorder, counter};
use metrics_recall::{Recall, secs};
use metrics_util::layers::{Layer, PrefixLayer};

#[test]
fn beside_another_recorder_a_store_can_still_be_the_global_one() {
    let (recorder, recall) = Recall::builder().start().unwrap();
    let layered = PrefixLayer::new("shop").layer(recorder);
    metrics::set_global_recorder(layered).unwrap();
    assert!(metrics::set_global_recorder(NoopRecorder).is_err());

    let error = Recall::builder().install().unwrap_err();
    assert!(error.is_installed(), "{error}");
    assert!(error.to_string().contains("installed already"), "{error}");
    assert!(
        Recall::global().is_none(),
        "a refused install leaves nothing behind"
    );

    recall.make_global().unwrap();
    counter!("orders_total").increment(2);
    let global = Recall::global().unwrap();
    assert_eq!(global.counters("shop.orders_total").total(), Some(2));

    let (_, other) = Recall::builder().build().unwrap();
    assert!(other.make_global().unwrap_err().is_installed());
    drop((recall, global));
    counter!("orders_total").increment(1);
    let global = Recall::global().unwrap();
    global.tick();
    assert_eq!(global.counters("shop.orders_total").total(), Some(3));
    assert_eq!(
        global
            .counters("shop.orders_total")
            .over(secs(60))
            .increase(),
        Some(3)
    );
    global.shutdown();
}
