//! Declared by hand and by the macro; what is refused.

use super::*;

crate::catalogue! {
    /// What the shop counts.
    Shop {
        /// Orders that
        /// were paid.
        counter orders_total: Count,
        /// What an order was worth.
        histogram order_value: "eur",
        /// Baskets.
        gauge open_baskets = "shop.open_baskets": Count,
    }
}

#[test]
fn the_macro_declares_what_it_says() {
    let by_hand = Catalogue::new()
        .counter("orders_total", Unit::Count, "Orders that were paid")
        .and_then(|all| {
            let eur = MetricUnit::own("eur")?;
            all.histogram("order_value", eur, "What an order was worth")
        })
        .and_then(|all| all.gauge("shop.open_baskets", Unit::Count, "Baskets"));
    assert_eq!(by_hand.unwrap(), Shop::catalogue());
}

#[test]
fn names_that_expositions_would_change_are_refused_with_what_is_allowed() {
    for name in [
        "",
        "orders total",
        "1st",
        "münze",
        "a{b}",
        "a\nb",
        "recall_orders",
    ] {
        let error = Catalogue::new().gauge(name, Unit::Count, "").unwrap_err();
        assert!(error.is_invalid());
        let text = error.to_string();
        assert!(
            text.contains(&format!("{name:?}")) && text.contains("letters"),
            "{text}"
        );
        assert!(!text.contains('\n'));
    }
}

#[test]
fn a_name_is_declared_once() {
    let all = Catalogue::new().counter("n", Unit::Count, "").unwrap();
    let error = all.gauge("n", Unit::Bytes, "").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`n` is declared twice: as a counter and as a gauge"
    );
}

#[test]
fn every_unit_of_the_facade_is_known_by_its_name_and_no_other_is() {
    for unit in ["count", "bytes", "count_per_second", "gigabits_per_second"] {
        assert_eq!(unit.parse::<MetricUnit>().unwrap().as_str(), unit);
        assert!(Unit::from_string(unit).is_some());
    }
    for unit in ["", "secs", "Seconds", "eur", "a\nb"] {
        let text = unit.parse::<MetricUnit>().unwrap_err().to_string();
        assert!(
            text.contains("is no unit") && text.contains("seconds"),
            "{text}"
        );
        assert!(!text.contains('\n'));
    }
    assert!(MetricUnit::own("").is_err() && MetricUnit::own("a\nb").is_err());
}

#[test]
fn a_context_adds_labels_and_the_later_value_counts() {
    let eu = Shop::new()
        .with("region", "us")
        .with("tenant", 7)
        .with("region", "eu");
    let labels: Vec<_> = eu
        .labels
        .iter()
        .map(|label| (label.key(), label.value()))
        .collect();
    assert_eq!(labels, [("tenant", "7"), ("region", "eu")]);
    assert!(
        Shop::new().labels.is_empty(),
        "a context is not changed by those made of it"
    );
}

/// What a program declares it may use before there is a recorder, and without one.
#[test]
fn without_a_recorder_all_of_it_may_be_called() {
    Shop::register();
    for shop in [Shop::new(), Shop::new().with("region", "eu")] {
        shop.orders_total().increment(1);
        shop.order_value().record(25.0);
        shop.open_baskets().set(3.0);
    }
}
