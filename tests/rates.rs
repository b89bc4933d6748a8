//! Metrics of how often something happens: what is counted is a counter, its rates are gauges, and an event costs one addition.

#[path = "common/counting.rs"]
mod counting;

mod common;

use common::Store;
use counting::Counting;
use metrics::counter;
use metrics_recall::{AlertRule, AlertState, Condition, Recall, mins, secs};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The gauge of a window.
fn shown(recall: &Recall, name: &str, window: &str) -> Option<f64> {
    recall.gauges(name).label("window", window).current()
}

/// What a list of all events says: those of the last `minutes`, by the seconds of them that there were.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn naive(events: &[u64], minutes: usize) -> f64 {
    let last = events.len().saturating_sub(minutes * 60);
    let window = &events[last..];
    window.iter().sum::<u64>() as f64 / window.len() as f64
}

/// It counted into the series of the last one, and asked for one that has both: it had no rates, and set no gauges.
#[test]
fn a_label_that_is_given_twice_is_the_last_one() {
    let store = Store::default();
    let twice = [("region", "us"), ("queue", ""), ("region", "eu")];
    let orders = store.recall.rate_metric(("orders", &twice)).unwrap();
    for _ in 0..60 {
        orders.increment(3);
        store.tick(secs(1));
    }
    assert_eq!(orders.one_minute(), Some(3.0));
    assert_eq!(orders.meter().total(), Some(180));
    let europe = store.recall.gauges("orders_per_second");
    let europe = europe.label("region", "eu").label("window", "1m");
    assert_eq!(europe.current(), Some(3.0));
    let total = store.recall.counters("orders_total").label("region", "eu");
    assert_eq!(total.total(), Some(180));
}

#[test]
fn rates_are_those_of_a_list_of_all_events() {
    let store = Store::default();
    let recall = &store.recall;
    let orders = recall.rate_metric("orders").unwrap();
    assert_eq!(orders.one_minute(), None, "nothing is known yet");
    let mut events = Vec::new();
    for second in 0..1_300_u64 {
        // A calm hour, a storm, and nothing at all.
        let n = match second {
            0..600 => second % 4,
            600..700 => 50,
            _ => 0,
        };
        orders.increment(n);
        events.push(n);
        store.tick(secs(1));
        if second % 97 == 0 || second > 1_290 {
            let near = |rate: Option<f64>, minutes| {
                let expected = naive(&events, minutes);
                // Windows end where ticks of the tier that answers do.
                assert!(
                    (rate.unwrap() - expected).abs() <= 0.02 * expected + 0.5,
                    "{second}: {rate:?}, {expected}"
                );
            };
            near(orders.one_minute(), 1);
            near(orders.five_minutes(), 5);
            near(orders.fifteen_minutes(), 15);
        }
    }
    assert_eq!(orders.one_minute(), Some(0.0));
    assert_eq!(
        recall.counters("orders_total").total(),
        orders.meter().total()
    );
    let total = events.iter().sum::<u64>();
    assert_eq!(orders.meter().total(), Some(total));
    assert!(
        orders
            .to_string()
            .starts_with(&format!("{total} in all, 0.00/s over 1 min"))
    );
}

#[test]
fn gauges_follow_a_tick_behind_and_are_heard_by_scrapers_and_rules() {
    let store = Store::default();
    let recall = &store.recall;
    let calls = recall
        .rate_metric(("calls_total", &[("route", "/pay")]))
        .unwrap();
    let often = Condition::gauges("calls_per_second")
        .label("window", "1m")
        .current();
    recall
        .alerts()
        .add(AlertRule::new("Busy").when(often.above(9.0)))
        .unwrap();
    store.tick(secs(1));
    assert_eq!(
        shown(recall, "calls_per_second", "1m"),
        None,
        "no zero that nobody counted"
    );
    for _ in 0..120 {
        calls.increment(10);
        store.tick(secs(1));
    }
    for window in ["1m", "5m", "15m"] {
        let value = shown(recall, "calls_per_second", window).unwrap();
        assert!((9.8..=10.0).contains(&value), "{window}: {value}");
    }
    let firing = recall.alerts().active();
    assert_eq!((firing.len(), firing[0].state), (1, AlertState::Firing));
    let text = recall.render();
    for line in [
        "# TYPE calls_total counter",
        r#"calls_total{route="/pay"} 1200"#,
        "# TYPE calls_per_second gauge",
        r#"calls_per_second{route="/pay",window="1m"} 10"#,
    ] {
        assert!(text.lines().any(|said| said == line), "{line}\n{text}");
    }
}

#[test]
fn all_of_a_store_share_one_collector_which_goes_with_the_last() {
    let store = Store::default();
    let recall = &store.recall;
    let many: Vec<_> = (0..200)
        .map(|n| {
            recall
                .rate_metric(("jobs", &[("queue", n.to_string())]))
                .unwrap()
        })
        .collect();
    let one = recall.rate_metric("mails").unwrap();
    let names = || -> Vec<String> {
        let all = recall.collectors().into_iter();
        all.map(|collector| collector.name).collect()
    };
    assert_eq!(names(), ["rates"]);
    for jobs in &many {
        jobs.increment(6);
    }
    // Others count into it, too; and a second one of the same key is the same.
    store
        .recorder
        .scope(|| counter!("mails_total").increment(30));
    recall.rate_metric("mails").unwrap().increment(30);
    store.tick(secs(1));
    store.tick(secs(1));
    assert_eq!(one.one_minute(), Some(30.0));
    let shown = recall.gauges("jobs_per_second").label("window", "5m");
    assert_eq!(shown.by("queue").current().len(), 200);
    assert!(recall.health().is_healthy(), "{}", recall.health());
    drop(many);
    one.clone().increment(60);
    assert_eq!(names(), ["rates"]);
    drop(one);
    assert!(names().is_empty());
    let again = recall.rate_metric("mails").unwrap();
    store.tick(mins(1));
    assert_eq!(again.meter().total(), Some(120));
    assert_eq!(names(), ["rates"]);
}

#[test]
fn an_event_allocates_nothing() {
    let store = Store::default();
    let orders = store.recall.rate_metric("orders").unwrap();
    orders.increment(1);
    assert_eq!(
        Counting::asked(|| (0..1_000).for_each(|_| orders.increment(1))),
        0
    );
    assert_eq!(orders.meter().total(), Some(1_001));
}

#[test]
fn bad_keys_are_refused_at_the_call() {
    let store = Store::default();
    let refused = |key: metrics::Key| store.recall.rate_metric(key).unwrap_err();
    for name in [
        "",
        "_total",
        "orders per hour",
        "1st",
        "münze",
        "recall_orders",
        "a\nb",
    ] {
        let error = refused(metrics::Key::from_name(name));
        if name == "_total" {
            assert!(error.to_string().contains("`_total`"), "{error}");
        }
        assert!(error.is_invalid(), "{name}: {error}");
        let text = error.to_string();
        assert!(
            text.contains("letters, digits") && !text.contains('\n'),
            "{text}"
        );
    }
    let error = refused(metrics::Key::from(("orders", &[("window", "1h")])));
    assert!(error.to_string().contains("a label `window`"), "{error}");
    assert!(store.recall.collectors().is_empty(), "nothing was begun");
    // One that lives does not keep the door open.
    let _living = store.recall.rate_metric("logins").unwrap();
    store.recall.shutdown();
    let error = refused(metrics::Key::from_name("orders"));
    assert!(error.to_string().contains("shut down"), "{error}");
}
