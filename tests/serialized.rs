//! Questions come from configurations, and answers go out, as text that stays what it is.
#![cfg(feature = "serde")]

mod common;

use common::Store;
use metrics::{counter, histogram};
use metrics_recall::{Aggregation, AlertRule, Condition, Severity, mins, secs};

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
    let wrong = serde_json::from_str::<Aggregation>(r#""mean""#).unwrap_err();
    let wrong = wrong.to_string();
    assert!(
        wrong.starts_with("unknown variant `mean`, expected"),
        "{wrong}"
    );
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

#[test]
fn a_rule_is_read_as_it_is_written() {
    let text = r#"{
        "name": "SlowCheckout",
        "condition": "p99(checkout_seconds) by (route) over 5m > 0.5",
        "for": "1m30s",
        "severity": "critical",
        "labels": {"team": "shop"},
        "annotations": {"summary": "p99 of {{ $labels.route }} is {{ $value }}"}
    }"#;
    let rule: AlertRule = serde_json::from_str(text).unwrap();
    let p99 = Condition::histograms("checkout_seconds")
        .by(["route"])
        .over(mins(5));
    let same = AlertRule::new("SlowCheckout")
        .when(p99.quantile(0.99).above(0.5))
        .for_at_least(secs(90))
        .severity(Severity::Critical)
        .label("team", "shop")
        .annotation("summary", "p99 of {{ $labels.route }} is {{ $value }}");
    assert_eq!(rule, same);
    let written = serde_json::to_string(&rule).unwrap();
    assert_eq!(serde_json::from_str::<AlertRule>(&written).unwrap(), rule);
    let alerts = Store::default().recall.alerts();
    alerts.add(rule).unwrap();
    let rules = alerts.rules();
    let added = rules.iter().find(|known| known.name == "SlowCheckout");
    let added = added.map(|rule| (&*rule.condition, rule.severity, rule.is_enabled));
    let condition = "p99(checkout_seconds) by (route) over 5m > 0.5";
    assert_eq!(added, Some((condition, Severity::Critical, true)));
    for (wrong, why) in [
        (
            r#"{"name": "a", "condition": "p99(x) over 5m >"}"#,
            "condition",
        ),
        (
            r#"{"name": "a", "for": "5 minutes"}"#,
            "duration \"5 minutes\": allowed are",
        ),
        (
            r#"{"name": "a", "for": "-5m"}"#,
            "duration \"-5m\": allowed are",
        ),
        (
            r#"{"name": "a", "condition": "current(x) > NaN"}"#,
            "at character 14: NaN is no threshold",
        ),
        (
            r#"{"name": "a", "condition": "current(x) > -1e999"}"#,
            "`-1e999` is beyond all numbers",
        ),
        (r#"{"name": "a", "fro": "5m"}"#, "unknown field `fro`"),
        (
            r#"{"name": "a", "severity": "bad"}"#,
            "unknown variant `bad`",
        ),
    ] {
        let error = serde_json::from_str::<AlertRule>(wrong)
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn events_alerts_and_insights_are_written_with_all_that_is_known_of_them() {
    let store = Store::default();
    let deep = Condition::gauges("queue_depth").current().above(10.0);
    let rule = AlertRule::new("Deep")
        .when(deep)
        .annotation("summary", "{{ $value }} wait");
    store.recall.alerts().add(rule).unwrap();
    store
        .recorder
        .scope(|| metrics::gauge!("queue_depth").set(12.0));
    store.tick(secs(1));
    let event = serde_json::to_value(store.recall.alerts().recent().last().unwrap()).unwrap();
    assert_eq!(event["rule"], "Deep");
    assert_eq!(
        (&event["state"], &event["from"]),
        (&"firing".into(), &"inactive".into())
    );
    assert_eq!(
        (event["value"].as_f64(), event["threshold"].as_f64()),
        (Some(12.0), Some(10.0))
    );
    assert_eq!(event["annotations"]["summary"], "12 wait");
    let active = serde_json::to_value(store.recall.alerts().active()).unwrap();
    assert_eq!(
        (&active[0]["rule"], &active[0]["state"]),
        (&"Deep".into(), &"firing".into())
    );
    let rules = serde_json::to_value(store.recall.alerts().rules()).unwrap();
    assert!(
        rules.to_string().contains("current(queue_depth) > 10"),
        "{rules}"
    );
    assert_eq!(
        serde_json::to_value(store.recall.insights())
            .unwrap()
            .to_string(),
        "[]"
    );
}
