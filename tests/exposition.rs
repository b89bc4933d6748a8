//! What a scraper reads: judged by a parser of its own, by `promtool`, and by what `metrics-exporter-prometheus` makes of
//! the same recording, with a test for each thing that it gets wrong.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/openmetrics.rs"]
mod openmetrics;
#[path = "common/promtool.rs"]
mod promtool;
#[path = "common/text.rs"]
mod text;

use common::Store;
use metrics::{
    Key, Label, Recorder, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram, with_local_recorder,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_recall::{AlertRule, Condition, Format, HistogramRule, Recall, secs};
use openmetrics::openmetrics;
use promtool::promtool;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use text::{Sample, get, parse};

/// A program with all kinds, described.
fn shop() -> Store {
    let store = Store::from(
        Recall::builder()
            .expose(HistogramRule::named("db_seconds").buckets([0.01, 0.1, 1.0]))
            .expose(HistogramRule::named("queue_seconds").summary(secs(60))),
    );
    store.recorder.scope(|| {
        describe_counter!("orders", Unit::Count, "Orders, as \"paid\"\nby C:\\shop.");
        describe_gauge!("cache", Unit::Bytes, "Bytes in the cache.");
        describe_histogram!("checkout", Unit::Seconds, "Time of a checkout.");
        describe_histogram!("db_seconds", Unit::Seconds, "Time of a query.");
        describe_histogram!("queue_seconds", "Time in the queue.");
        counter!("orders", "region" => "eu").increment(12);
        counter!("orders", "region" => "us \"north\"\\\n").increment(3);
        gauge!("cache").set(1.5);
        for n in 1..=1000u32 {
            let seconds = f64::from(n) / 1000.0;
            histogram!("checkout", "route" => "/pay").record(seconds);
            histogram!("db_seconds").record(seconds);
            histogram!("queue_seconds", "queue" => "mail").record(seconds);
        }
    });
    store.tick(secs(1));
    store
}

#[test]
fn a_shop_is_read_as_it_was_recorded() {
    let text = shop().recall.render();
    let samples = parse(&text);
    assert_eq!(
        get(&samples, "orders_total", &[("region", "eu")]),
        Some(12.0)
    );
    let odd = [("region", "us \"north\"\\\n")];
    assert_eq!(get(&samples, "orders_total", &odd), Some(3.0));
    assert_eq!(get(&samples, "cache_bytes", &[]), Some(1.5));
    let pay = ("route", "/pay");
    for (le, expected) in [
        ("0.5", 500.0),
        ("0.25", 250.0),
        ("1.0", 1000.0),
        ("+Inf", 1000.0),
    ] {
        let count = get(&samples, "checkout_seconds_bucket", &[("le", le), pay]);
        assert_eq!(count, Some(expected), "{le}");
    }
    assert_eq!(
        get(&samples, "checkout_seconds_count", &[pay]),
        Some(1000.0)
    );
    let sum = get(&samples, "checkout_seconds_sum", &[pay]).unwrap();
    assert!((sum - 500.5).abs() < 1e-9, "{sum}");
    let count = get(&samples, "db_seconds_bucket", &[("le", "0.1")]).unwrap();
    assert!((100.0..=105.0).contains(&count), "{count}");
    let p99 = get(
        &samples,
        "queue_seconds",
        &[("queue", "mail"), ("quantile", "0.99")],
    );
    assert!((p99.unwrap() - 0.99).abs() < 0.05, "{p99:?}");
}

#[test]
fn promtool_has_nothing_to_say() {
    let text = shop().recall.render();
    if let Some((code, said)) = promtool(&text) {
        assert_eq!(code, 0, "{said}\n{text}");
    }
}

/// What is pending or firing is exposed as Prometheus writes it, and is gone when it is over.
#[test]
fn alerts_are_exposed_as_prometheus_writes_them() {
    let store = shop();
    let many = Condition::counters("orders").by(["region"]).total();
    let rule = AlertRule::new("ManyOrders").when(many.above(10.0));
    let rule = rule.label("team", "a \"b\"\\").for_at_least(secs(5));
    store.recall.alerts().add(rule).unwrap();
    let labels = "alertname=\"ManyOrders\"";
    let after = "region=\"eu\",team=\"a \\\"b\\\"\\\\\"";
    let mut since = None;
    for (second, state) in [(0, "pending"), (4, "pending"), (6, "firing")] {
        store.hands.advance(secs(second));
        let text = store.recall.render();
        let alert = format!("ALERTS{{{labels},alertstate=\"{state}\",{after}}} 1\n");
        assert!(text.contains(&alert), "{alert}\n{text}");
        assert_eq!(text.matches("\nALERTS{").count(), 1, "{text}");
        let samples = parse(&text);
        let of_state = samples
            .iter()
            .find(|((name, _), _)| name == "ALERTS_FOR_STATE");
        let began = of_state.map(|(_, value)| *value);
        assert!(began.is_some(), "{text}");
        assert_eq!(*since.get_or_insert(began), began);
        if let Some((code, said)) = promtool(&text) {
            assert_eq!(code, 0, "{said}\n{text}");
        }
    }
    store.recall.alerts().disable("ManyOrders").unwrap();
    assert!(!store.recall.render().contains("ALERTS"));
}

/// A program's own metric of that name comes first.
#[test]
fn a_metric_called_alerts_keeps_its_name() {
    let store = shop();
    store.recorder.scope(|| gauge!("ALERTS").set(7.0));
    let many = Condition::counters("orders").total().above(0.0);
    let rule = AlertRule::new("Orders").when(many);
    store.recall.alerts().add(rule).unwrap();
    let text = store.recall.render();
    assert!(text.contains("\nALERTS 7\n"), "{text}");
    assert!(text.contains("\nALERTS_gauge{"), "{text}");
}

#[test]
fn help_and_type_stand_once_before_their_samples() {
    let text = shop().recall.render();
    let orders = "# HELP orders_total Orders, as \"paid\"\\nby C:\\\\shop.\n# TYPE orders_total counter\norders_total{";
    assert!(text.contains(orders), "{text}");
    assert_eq!(
        text.matches("# TYPE checkout_seconds histogram\n").count(),
        1
    );
}

/// The end of the name is no suffix that is there already.
#[test]
fn names_that_look_like_suffixes_get_theirs() {
    let store = Store::default();
    store.recorder.scope(|| {
        counter!("subtotal").increment(1);
        for name in ["checksum", "request_count", "bucket"] {
            histogram!(name).record(1.0);
        }
    });
    let samples = parse(&store.recall.render());
    let expected = ["checksum_sum", "checksum_count", "request_count_sum"];
    let expected = expected
        .into_iter()
        .chain(["request_count_count", "bucket_sum"]);
    for name in expected.chain(["bucket_count", "subtotal_total"]) {
        assert_eq!(get(&samples, name, &[]), Some(1.0), "{name}");
    }
}

/// A counter of a program that runs for a minute, reset after half of it.
#[test]
fn what_counts_says_since_when() {
    let rule = HistogramRule::named("waited").summary(secs(60));
    let store = Store::from(Recall::builder().openmetrics_created().expose(rule));
    let start_ms = store.recall.now().as_millis();
    let record = || {
        counter!("orders", "region" => "eu").increment(1);
        histogram!("took").record(1.0);
        histogram!("waited").record(1.0);
        gauge!("depth").set(1.0);
    };
    let samples =
        || parse(&String::from_utf8(store.recall.render_as(Format::OpenMetrics)).unwrap());
    let since = |samples: &HashMap<Sample, f64>, name: &str, labels: &[(&str, &str)]| {
        let seconds = get(samples, &format!("{name}_created"), labels)?;
        let start: f64 = start_ms.to_string().parse().unwrap();
        Some((seconds * 1000.0).round() - start)
    };
    let eu = [("region", "eu")];
    store.tick(secs(10));
    store.recorder.scope(record);
    // Recorded some time after a tick: since that tick.
    store.hands.advance(secs(5));
    let first = samples();
    for (name, labels) in [("orders", &eu[..]), ("took", &[]), ("waited", &[])] {
        assert_eq!(since(&first, name, labels), Some(10_000.0), "{name}");
    }
    assert_eq!(since(&first, "depth", &[]), None);
    store.tick(secs(15));
    store.recorder.scope(record);
    store.recall.reset("orders").unwrap();
    store.recall.delete("took").unwrap();
    store.tick(secs(10));
    store.recorder.scope(record);
    let second = samples();
    assert_eq!(since(&second, "orders", &eu), Some(30_000.0));
    assert_eq!(since(&second, "waited", &[]), Some(10_000.0));
    // Nobody held a handle of it, so it is a new series of the tick before.
    assert_eq!(since(&second, "took", &[]), Some(40_000.0));
    assert!(
        !String::from_utf8(store.recall.render_as(Format::Text))
            .unwrap()
            .contains("_created")
    );
    let silent = shop().recall.render_as(Format::OpenMetrics);
    assert!(!String::from_utf8(silent).unwrap().contains("_created"));
}

#[test]
fn openmetrics_has_units_totals_and_an_end() {
    let text = String::from_utf8(shop().recall.render_as(Format::OpenMetrics)).unwrap();
    assert!(text.ends_with("\n# EOF\n"));
    assert!(text.contains("# TYPE orders counter\n# HELP orders Orders, as \\\"paid\\\"\\nby"));
    assert!(text.contains("# TYPE cache_bytes gauge\n# UNIT cache_bytes bytes\n# HELP"));
    let samples = parse(&text);
    assert_eq!(samples, parse(&shop().recall.render()));
}

#[test]
fn json_has_the_same_numbers() {
    let json = shop().recall.render_as(Format::Json);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let family = |name: &str| {
        let mut families = json.as_array().unwrap().iter();
        families.find(|f| f["name"] == name).unwrap().clone()
    };
    let orders = family("orders_total");
    assert_eq!(orders["type"], "counter");
    assert_eq!(orders["series"][1]["labels"]["region"], "us \"north\"\\\n");
    assert_eq!(orders["series"][1]["value"], 3);
    let checkout = &family("checkout_seconds")["series"][0];
    assert_eq!(checkout["count"], 1000);
    let buckets = checkout["buckets"].as_array().unwrap();
    assert!(
        buckets.contains(&serde_json::json!([0.5, 500])),
        "{buckets:?}"
    );
}

#[test]
fn rendering_changes_nothing() {
    let store = shop();
    let before = store.recall.render();
    let ticks = store.recall.retention()[0].points;
    for format in [
        Format::Text,
        Format::TextUtf8,
        Format::OpenMetrics,
        Format::Json,
    ] {
        assert_eq!(
            store.recall.render_as(format),
            store.recall.render_as(format)
        );
    }
    assert_eq!(store.recall.render(), before);
    assert_eq!(store.recall.retention()[0].points, ticks);
    let mut written = Vec::new();
    store.recall.render_to(Format::Text, &mut written).unwrap();
    assert_eq!(written, before.as_bytes());
}

#[test]
fn names_that_meet_stay_apart_and_health_says_so() {
    let store = Store::default();
    store.recorder.scope(|| {
        gauge!("a.b").set(1.0);
        gauge!("a_b").set(2.0);
        histogram!("a_b").record(3.0);
        counter!("jobs", "a.b" => "1", "a_b" => "2").increment(4);
    });
    let samples = parse(&store.recall.render());
    assert_eq!(get(&samples, "a_b", &[]), Some(2.0));
    assert_eq!(get(&samples, "U__a_2e_b", &[]), Some(1.0));
    assert_eq!(get(&samples, "a_b_histogram_count", &[]), Some(1.0));
    let labels = [("U__a_2e_b", "1"), ("a_b", "2")];
    assert_eq!(get(&samples, "jobs_total", &labels), Some(4.0));
    let health = store.recall.health().to_string();
    let expected = "gauge `a.b` is exposed as `U__a_2e_b`, since `a_b` is the gauge `a_b`";
    assert!(health.contains(expected), "{health}");
    let utf8 = String::from_utf8(store.recall.render_as(Format::TextUtf8)).unwrap();
    assert!(
        utf8.contains("# TYPE \"a.b\" gauge\n{\"a.b\"} 1\n"),
        "{utf8}"
    );
    assert!(
        utf8.contains("jobs_total{\"a.b\"=\"1\",a_b=\"2\"} 4\n"),
        "{utf8}"
    );
}

/// A label that the format has for itself would have been there twice.
#[test]
fn labels_that_a_format_needs_are_exported() {
    let store = Store::default();
    store.recorder.scope(|| {
        histogram!("h", "le" => "mine", "__name__" => "x").record(1.0);
        gauge!("g", "le" => "mine").set(1.0);
    });
    let samples = parse(&store.recall.render());
    let labels = [("exported___name__", "x"), ("exported_le", "mine")];
    assert_eq!(get(&samples, "h_count", &labels), Some(1.0));
    assert_eq!(get(&samples, "g", &[("le", "mine")]), Some(1.0));
}

#[test]
fn overflow_series_are_there() {
    let builder = Recall::builder().max_series_per_metric(2);
    let store = Store::from(builder.own_alerts(false));
    store.recorder.scope(|| {
        for user in 0..5 {
            counter!("logins", "user" => user.to_string()).increment(1);
        }
    });
    let samples = parse(&store.recall.render());
    assert_eq!(
        get(&samples, "logins_total", &[("overflow", "true")]),
        Some(3.0)
    );
    assert_eq!(Some(samples.values().sum()), Some(5.0));
}

/// Buckets count since the start, through threads that end and through resets; a counter never dips.
#[test]
fn buckets_stay_cumulative_when_threads_end() {
    let store = Store::default();
    for n in 1..=20 {
        std::thread::scope(|scope| {
            scope.spawn(|| store.recorder.scope(|| histogram!("h").record(0.3)));
        });
        store.tick(secs(1));
        let samples = parse(&store.recall.render());
        for (le, expected) in [("0.25", 0), ("0.5", n), ("+Inf", n)] {
            let count = get(&samples, "h_bucket", &[("le", le)]);
            assert_eq!(count, Some(f64::from(expected)), "{le}");
        }
    }
    store.recall.reset("h").unwrap();
    let samples = parse(&store.recall.render());
    assert_eq!(get(&samples, "h_bucket", &[("le", "+Inf")]), Some(0.0));
}

#[test]
fn values_of_both_signs_and_zeros_are_where_they_belong() {
    let store = Store::default();
    store.recorder.scope(|| {
        for value in [-3.0, -1.5, 0.0, 0.0, 0.75, 1e9] {
            histogram!("h").record(value);
        }
    });
    let samples = parse(&store.recall.render());
    let expected = [
        ("-2.0", 1),
        ("-1.0", 2),
        ("0.0", 4),
        ("0.5", 4),
        ("1.0", 5),
        ("+Inf", 6),
    ];
    for (le, expected) in expected {
        let count = get(&samples, "h_bucket", &[("le", le)]);
        assert_eq!(count, Some(f64::from(expected)), "{le}");
    }
    assert!(samples.len() < 20, "{samples:?}");
}

#[test]
fn values_at_all_magnitudes_have_few_buckets() {
    let store = Store::default();
    store.recorder.scope(|| {
        for exponent in -300..300 {
            histogram!("h").record(2f64.powi(exponent));
        }
    });
    let samples = parse(&store.recall.render());
    let buckets = samples
        .keys()
        .filter(|(name, _)| name == "h_bucket")
        .count();
    assert!((10..=43).contains(&buckets), "{buckets}");
}

#[test]
fn wrong_rules_are_refused_with_the_value() {
    for (rule, part) in [
        (
            HistogramRule::named("h").buckets([2.0, 1.0]),
            "bounds 2 and 1",
        ),
        (HistogramRule::named("h").buckets([f64::NAN]), "bound NaN"),
        (HistogramRule::named("h").buckets([]), "0 bounds"),
        (HistogramRule::named("").native(), "of 0 bytes"),
        (HistogramRule::named("h").summary(secs(0)), "over 0ns"),
    ] {
        let error = Recall::builder()
            .expose(rule)
            .build()
            .unwrap_err()
            .to_string();
        assert!(error.contains(part) && error.contains("allowed"), "{error}");
    }
}

/// The same recording through both.
fn beside(record: impl Fn()) -> (HashMap<Sample, f64>, HashMap<Sample, f64>) {
    let store = Store::from(Recall::builder().plain_names());
    let theirs = PrometheusBuilder::new()
        .set_buckets(&[0.25, 0.5, 1.0, 2.0])
        .unwrap()
        .build_recorder();
    store.recorder.scope(&record);
    with_local_recorder(&theirs, &record);
    (
        parse(&store.recall.render()),
        parse_loosely(&theirs.handle().render()),
    )
}

/// Without the checks: the exporter's text has empty lines, and repeats.
fn parse_loosely(text: &str) -> HashMap<Sample, f64> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(parse).collect()
}

#[test]
fn where_the_exporter_is_right_both_are_equal() {
    let (ours, theirs) = beside(|| {
        counter!("orders_total", "region" => "eu", "path" => "a\"b\nc").increment(7);
        gauge!("depth", "queue" => "mail").set(-2.5);
        gauge!("depth", "queue" => "sms").set(f64::INFINITY);
        for value in [0.1, 0.25, 0.3, 0.7, 1.0, 1.5] {
            histogram!("checkout_seconds", "route" => "/pay").record(value);
        }
    });
    for (sample, value) in &theirs {
        let mut sample = sample.clone();
        if let Some(le) = sample
            .1
            .get_mut("le")
            .filter(|le| matches!(&***le, "1" | "2"))
        {
            le.push_str(".0");
        }
        let own = ours
            .get(&sample)
            .unwrap_or_else(|| panic!("{sample:?} of {ours:?}"));
        assert!(
            own.to_bits() == value.to_bits() || (own - value).abs() < 1e-12,
            "{sample:?}: {own}, not {value}"
        );
    }
}

/// The exporter gives 0 as the quantiles of an empty window.
#[test]
fn a_summary_of_nothing_is_not_a_number() {
    let store = Store::from(Recall::builder().expose(HistogramRule::named("h").summary(secs(10))));
    store.recorder.scope(|| histogram!("h").record(5.0));
    store.tick(secs(1));
    for _ in 0..20 {
        store.tick(secs(1));
    }
    let samples = parse(&store.recall.render());
    let median = get(&samples, "h", &[("quantile", "0.5")]).unwrap();
    assert!(median.is_nan(), "{median}");
    assert_eq!(get(&samples, "h_sum", &[]), Some(5.0));
}

/// The exporter takes `\\` for an escape that somebody made already: two values become one.
#[test]
fn backslashes_are_escaped_whatever_follows() {
    let (ours, _) = beside(|| {
        for path in ["a\\n", "a\n", "a\\\\n", "a\\\"", "\\"] {
            counter!("reads_total", "path" => path).increment(1);
        }
    });
    for path in ["a\\n", "a\n", "a\\\\n", "a\\\"", "\\"] {
        assert_eq!(
            get(&ours, "reads_total", &[("path", path)]),
            Some(1.0),
            "{path:?}"
        );
    }
}

#[test]
fn the_reference_parser_reads_all_shapes_of_openmetrics() {
    for created in [false, true] {
        let mut builder = Recall::builder()
            .expose(HistogramRule::named("db_seconds").buckets([-1.0, 0.01, 0.1, 1.0]))
            .expose(HistogramRule::named("queue_seconds").summary(secs(60)))
            .expose(HistogramRule::named("drift_celsius").summary(secs(60)));
        if created {
            builder = builder.openmetrics_created();
        }
        let store = Store::from(builder);
        store.recorder.scope(|| {
            describe_histogram!("checkout_seconds", Unit::Seconds, "Time of a \"checkout\".");
            describe_gauge!("cache", Unit::Bytes, "Bytes\\ in\nthe cache.");
            counter!("orders", "region" => "us \"north\"\\\n").increment(3);
            gauge!("cache").set(f64::NEG_INFINITY);
            for n in -3..1000 {
                let seconds = f64::from(n) / 1000.0;
                histogram!("checkout_seconds", "route" => "/pay").record(seconds);
                histogram!("db_seconds").record(seconds);
                histogram!("queue_seconds", "queue" => "mail").record(seconds.abs());
                histogram!("drift_celsius").record(10.0 * seconds - 8.0);
            }
        });
        store.tick(secs(1));
        let text = String::from_utf8(store.recall.render_as(Format::OpenMetrics)).unwrap();
        if let Some(read) = openmetrics(&text) {
            let read = read.unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
            let made = read
                .iter()
                .filter(|((name, _), _)| name.ends_with("_created"));
            assert_eq!(made.count(), if created { 5 } else { 0 }, "{text}");
            assert_eq!(read.len(), parse(&text).len());
            // Nothing of a summary is below zero here; other formats have all of it.
            let read: HashMap<Sample, f64> = read.into_iter().collect();
            let classic = parse(&store.recall.render());
            let drift = |samples: &HashMap<Sample, f64>, end: &str, quantile: Option<&str>| {
                let labels: Vec<_> = quantile.map(|q| ("quantile", q)).into_iter().collect();
                get(samples, &format!("drift_celsius{end}"), &labels)
            };
            assert_eq!(drift(&read, "_count", None), Some(1003.0), "{text}");
            assert_eq!(drift(&read, "_sum", None), None, "{text}");
            assert!(drift(&classic, "_sum", None).unwrap() < -3_000.0);
            for (quantile, exact) in [("0.5", -3.02), ("0.9", 1.0), ("0.95", 1.49), ("0.99", 1.89)]
            {
                let all = drift(&classic, "", Some(quantile)).unwrap();
                assert!((all / exact - 1.0).abs() < 0.04, "{quantile}: {all}");
                let told = drift(&read, "", Some(quantile));
                assert_eq!(told, (exact > 0.0).then_some(all), "{quantile}: {text}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_name_label_and_value_is_read_back(
        list in proptest::collection::vec(
            (".{1,12}", proptest::collection::btree_map(".{1,8}", ".{1,12}", 0..4), any::<f64>()),
            1..12,
        )
    ) {
        let store = Store::default();
        let metadata = metrics::Metadata::new("test", metrics::Level::INFO, None);
        let mut last = BTreeMap::new();
        for (name, labels, value) in &list {
            let labels: Vec<_> = labels.iter().map(|(n, v)| Label::new(n.clone(), v.clone())).collect();
            let key = Key::from_parts(name.clone(), labels.clone());
            store.recorder.register_gauge(&key, &metadata).set(*value);
            store.recorder.register_counter(&key, &metadata).increment(2);
            store.recorder.register_histogram(&key, &metadata).record(*value);
            let labels: Vec<_> = labels.iter().map(|l| (l.key().to_owned(), l.value().to_owned())).collect();
            if !value.is_nan() {
                last.insert((name.clone(), labels), *value);
            }
        }
        for format in [Format::Text, Format::OpenMetrics, Format::TextUtf8] {
            let text = String::from_utf8(store.recall.render_as(format)).unwrap();
            let samples = parse(&text);
            let counters = samples.iter().filter(|((n, _), _)| n.ends_with("_total"));
            let counted: f64 = counters.map(|s| s.1 / 2.0).sum();
            prop_assert!(counted > f64::from(u32::try_from(list.len()).unwrap()) - 0.5, "{text}");
            for value in last.values() {
                let found = samples.values().any(|x| x.to_bits() == value.to_bits());
                prop_assert!(found, "{value} in {text}");
            }
            if format == Format::Text && let Some((code, said)) = promtool(&text) {
                prop_assert!(code == 0 || code == 3, "{said}\n{text}");
            }
            if format == Format::OpenMetrics && let Some(read) = openmetrics(&text) {
                prop_assert_eq!(read.as_ref().err(), None, "{}", text);
                let read = read.unwrap();
                prop_assert_eq!(read.len(), samples.len());
                for (sample, value) in read {
                    // It reads -0 as a whole number.
                    prop_assert_eq!(samples.get(&sample), Some(&value), "{:?} in {}", sample, text);
                }
            }
        }
        let json = store.recall.render_as(Format::Json);
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let sum = |kind: &str, what: &str| -> u64 {
            let families = json.as_array().unwrap().iter().filter(|f| f["type"] == kind);
            let series = families.flat_map(|f| f["series"].as_array().unwrap());
            series.map(|s| s[what].as_u64().unwrap()).sum()
        };
        let finite = list.iter().filter(|(_, _, value)| value.is_finite()).count();
        prop_assert_eq!(sum("counter", "value"), 2 * list.len() as u64, "{}", json);
        prop_assert_eq!(sum("histogram", "count"), finite as u64, "{}", json);
    }
}

/// Fields of a protobuf message, by number: varints and fixed numbers as they are, and bytes.
#[cfg(feature = "protobuf")]
fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let (number, inner) = match tag & 7 {
            0 => (varint(&mut bytes), &[][..]),
            1 => {
                let (fixed, rest) = bytes.split_first_chunk::<8>().unwrap();
                bytes = rest;
                (u64::from_le_bytes(*fixed), &[][..])
            }
            2 => {
                let len = usize::try_from(varint(&mut bytes)).unwrap();
                let (inner, rest) = bytes.split_at(len);
                bytes = rest;
                (0, inner)
            }
            wire => panic!("wire type {wire}"),
        };
        fields.push((tag >> 3, number, inner));
    }
    fields
}

#[cfg(feature = "protobuf")]
fn varint(bytes: &mut &[u8]) -> u64 {
    let mut n = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    n
}

#[cfg(feature = "protobuf")]
fn signed(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -((n & 1).cast_signed())
}

/// Every value lies in the native bucket that the Prometheus definition gives it: `(base^(i-1), base^i]`.
#[cfg(feature = "protobuf")]
#[test]
fn native_buckets_hold_the_values_that_they_say() {
    let values = [0.001, 0.0011, 0.5, 1.0, 1.0, 1.03, 700.0, -4.0, 0.0];
    let store = Store::from(Recall::builder().expose(HistogramRule::named("h").native()));
    let record = || {
        for value in values {
            histogram!("h", "le" => "x").record(value);
        }
    };
    store.recorder.scope(record);
    let bytes = store.recall.render_as(Format::Protobuf);
    let mut rest = &bytes[..];
    let len = usize::try_from(varint(&mut rest)).unwrap();
    assert_eq!(rest.len(), len);
    let family = fields(rest);
    assert_eq!(family[0].2, b"h");
    let metric = fields(family.iter().find(|field| field.0 == 4).unwrap().2);
    let label = fields(metric[0].2);
    assert_eq!((label[0].2, label[1].2), (&b"exported_le"[..], &b"x"[..]));
    let histogram = fields(metric.iter().find(|field| field.0 == 7).unwrap().2);
    let number = |field: u64| histogram.iter().find(|f| f.0 == field).unwrap().1;
    assert_eq!(number(1), 9);
    let sum = f64::from_bits(number(2));
    assert!((sum - values.iter().sum::<f64>()).abs() < 1e-9, "{sum}");
    assert_eq!(number(7), 1);
    let base = 2f64.powf(0.5f64.powi(i32::try_from(signed(number(5))).unwrap()));
    for (spans, deltas, sign) in [(9, 10, -1.0), (12, 13, 1.0)] {
        let mut rest = histogram.iter().find(|f| f.0 == deltas).unwrap().2;
        let (mut index, mut count, mut seen) = (0i64, 0i64, 0);
        for span in histogram.iter().filter(|f| f.0 == spans) {
            let span = fields(span.2);
            index += signed(span[0].1);
            for _ in 0..span[1].1 {
                count += signed(varint(&mut rest));
                let power = |n: i64| base.powi(i32::try_from(n).unwrap());
                let (from, to) = (power(index - 1), power(index) * (1.0 + 1e-12));
                let inside =
                    |value: &&f64| **value * sign > from * (1.0 + 1e-12) && **value * sign <= to;
                let expected = values.iter().filter(inside).count();
                assert_eq!(usize::try_from(count).unwrap(), expected, "{from} to {to}");
                seen += expected;
                index += 1;
            }
        }
        let expected = values.iter().filter(|value| **value * sign > 0.0).count();
        assert_eq!(seen, expected);
        assert!(rest.is_empty());
    }
}
