//! Questions come from configurations, and answers go out, as text that stays what it is.
#![cfg(feature = "serde")]

mod common;

use common::Store;
use metrics::{counter, histogram};
use metrics_recall::{Aggregation, mins, secs};

#[test]
fn an_aggregation_is_read_as_it_is_written() {
    let all = [
        (Aggregation::Rate, r#""rate""#),
        (Aggregation::StdDev, r#""std_dev""#),
        (Aggregation::Quantile(0.99), r#"{"quantile":0.99}"#),
    ];
    for (aggregation, text) in all {
        assert_eq!(serde_json::to_string(&aggregation).unwrap(), text);
        assert_eq!(
            serde_json::from_str::<Aggregation>(text).unwrap(),
            aggregation
        );
    }
    assert!(serde_json::from_str::<Aggregation>(r#""mean""#).is_err());
}

#[test]
fn answers_are_written_with_all_that_is_known_of_them() {
    let store = Store::default();
    store.recorder.scope(|| {
        counter!("orders_total", "region" => "eu").increment(30);
        histogram!("order_seconds").record(0.25);
    });
    store.tick(secs(15));
    let orders = store.recall.counters("orders_total").over(mins(1));
    let answer = serde_json::to_value(orders.eval(Aggregation::Rate).unwrap()).unwrap();
    let at = store.recall.now().as_millis();
    let expected =
        format!(r#"{{"at":{at},"value":2.0,"coverage":0.25,"bound":0.0,"partial":false}}"#);
    assert_eq!(
        answer,
        serde_json::from_str::<serde_json::Value>(&expected).unwrap()
    );
    let groups = store
        .recall
        .counters("orders_total")
        .by("region")
        .over(mins(1));
    let groups = serde_json::to_value(groups.increase()).unwrap();
    assert_eq!(groups.to_string(), r#"[[{"region":"eu"},30]]"#);
    let stats = store
        .recall
        .histograms("order_seconds")
        .over(mins(1))
        .stats();
    let stats = serde_json::to_value(stats.unwrap()).unwrap();
    assert_eq!(
        (stats["count"].as_u64(), stats["p99"].as_f64()),
        (Some(1), Some(0.25))
    );
}
