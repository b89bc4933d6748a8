//! What a real Prometheus stores of us is what we hold: of version 2 and 3, in each format that they take. A test takes some
//! seconds, since a server looks once a second, and not before it has started.
#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test fails by panicking, and numbers are the same ones"
)]

mod common;
#[path = "common/http.rs"]
mod http;
#[path = "common/prometheus.rs"]
mod prometheus;
#[path = "common/started.rs"]
mod started;
#[path = "common/text.rs"]
mod text;

use common::Store;
use metrics::{Label, Unit, counter, describe_counter, describe_histogram, gauge, histogram};
use metrics_recall::{Format, HistogramRule, Recall, Sidecar, secs};
use prometheus::{Between, Prometheus, three, two};
use proptest::{
    prelude::any,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use std::{collections::HashMap, path::Path};
use text::{Sample, get, parse};

/// Values over five orders of magnitude.
fn durations() -> impl Iterator<Item = f64> {
    (0..5000u32).map(|n| 1e-4 * 1.0023f64.powi(i32::try_from(n).unwrap()))
}

/// What `histogram_quantile` is to find, within its bucket.
fn exact(quantile: f64) -> f64 {
    let all: Vec<_> = durations().collect();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank of some thousands"
    )]
    let rank = (quantile * all.len() as f64).ceil() as usize;
    all[rank - 1]
}

/// Any name, any label, any float: the parsers of Prometheus judge what we make of them.
fn anything() {
    let labels = proptest::collection::btree_map(".{1,8}", ".{1,12}", 0..4);
    let series = (".{1,12}", labels, any::<f64>());
    let mut runner = TestRunner::deterministic();
    for _ in 0..200 {
        let (name, labels, value) = series.new_tree(&mut runner).unwrap().current();
        let labels: Vec<_> = labels.iter().map(Label::from).collect();
        gauge!(name.clone(), labels.clone()).set(value);
        counter!(name.clone(), labels.clone()).increment(value.to_bits() >> 12);
        histogram!(name, labels).record(value);
    }
}

/// A program with all kinds and shapes, and what is hard to escape.
fn program_to_scrape() -> Store {
    let store = Store::from(
        Recall::builder()
            .expose(HistogramRule::named("native_*").native())
            .expose(HistogramRule::named("bounded_*").buckets([0.001, 0.5, 1.0, 7.0]))
            .expose(HistogramRule::named("windowed_*").summary(secs(60)))
            .global_label("service", "shop"),
    );
    store.recorder.scope(|| {
        describe_counter!("orders", Unit::Count, "Orders, as \"paid\"\nby C:\\shop.");
        describe_histogram!("took_seconds", Unit::Seconds, "Time of a checkout.");
        for n in 0..100u64 {
            counter!("orders", "user" => n.to_string()).increment(n * n + 1);
        }
        counter!("orders", "region" => "us \"north\"\\\n", "größe" => "ü{},=").increment(3);
        counter!("huge_total").increment((1 << 53) - 1);
        gauge!("cache.bytes").set(-1.5e-300);
        gauge!("cache_bytes").set(0.1);
        gauge!("limit").set(f64::INFINITY);
        for value in durations() {
            for name in [
                "took_seconds",
                "native_seconds",
                "bounded_seconds",
                "windowed_seconds",
            ] {
                histogram!(name, "route" => "/pay").record(value);
            }
        }
        for value in [-3.0, -1.5, 0.0, 0.0, 0.75, 1e9] {
            histogram!("native_change").record(value);
            histogram!("change").record(value);
        }
    });
    store.recorder.scope(anything);
    store
        .recall
        .fractional_counter("energy_joules_total")
        .increment(0.625);
    store.tick(secs(1));
    store
}

fn same(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan()
}

/// Of which format is told, and of the store's own numbers nothing: they move.
fn compare(
    stored: &HashMap<Sample, f64>,
    held: &HashMap<Sample, f64>,
    is_asked: impl Fn(&str) -> bool,
) {
    let of_store = |sample: &Sample| !sample.0.starts_with("recall_") && is_asked(&sample.0);
    let mut compared = 0;
    for (sample, value) in held.iter().filter(|(sample, _)| of_store(sample)) {
        let found = stored.get(sample);
        assert!(
            found.is_some_and(|found| same(*found, *value)),
            "{sample:?}: {found:?}, not {value}"
        );
        compared += 1;
    }
    assert!(compared > 150, "{compared} series");
    let more: Vec<_> = stored
        .keys()
        .filter(|sample| of_store(sample) && !held.contains_key(*sample))
        .collect();
    assert!(more.is_empty(), "{more:?}");
}

fn text_of(store: &Store, format: Format) -> HashMap<Sample, f64> {
    parse(&String::from_utf8(store.recall.render_as(format)).unwrap())
}

/// `histogram_quantile` lies in the same bucket as the exact quantile.
fn quantiles_are_in_their_buckets(
    prometheus: &Prometheus,
    held: &HashMap<Sample, f64>,
    name: &str,
) {
    let labels = [("route", "/pay"), ("service", "shop")];
    let mut bounds: Vec<f64> = held
        .keys()
        .filter(|(known, _)| *known == format!("{name}_bucket"))
        .map(|(_, labels)| labels["le"].replace("Inf", "inf").parse().unwrap())
        .collect();
    bounds.sort_by(f64::total_cmp);
    for quantile in [0.1, 0.5, 0.9, 0.99] {
        let found = prometheus.ask(&format!("histogram_quantile({quantile}, {name}_bucket)"));
        let found = get(&found, "", &labels).unwrap();
        let exact = exact(quantile);
        let at = bounds.partition_point(|bound| *bound < exact);
        // Of what is above all bounds Prometheus knows the last one.
        let upper = bounds[at].min(bounds[bounds.len() - 2]);
        let lower = if at == 0 { 0.0 } else { bounds[at - 1] };
        assert!(
            lower <= found && found <= upper,
            "{name} {quantile}: {found} is not in {lower}..={upper}, with {exact}"
        );
    }
}

/// The same for native histograms: a bucket is 4.4 % wide.
fn native_histograms_are_ours(prometheus: &Prometheus, store: &Store) {
    let labels = [("route", "/pay"), ("service", "shop")];
    let one = |query: &str, labels: &[(&str, &str)]| {
        let found = prometheus.ask(query);
        get(&found, "", labels).unwrap_or_else(|| panic!("{query}: {found:?}"))
    };
    let stats = store
        .recall
        .histograms("native_seconds")
        .over(secs(60))
        .stats()
        .unwrap();
    assert_eq!(one("histogram_count(native_seconds)", &labels), 5000.0);
    assert_eq!(one("histogram_sum(native_seconds)", &labels), stats.sum);
    for quantile in [0.1, 0.5, 0.9, 0.99] {
        let query = format!("histogram_quantile({quantile}, native_seconds)");
        let (found, exact) = (one(&query, &labels), exact(quantile));
        let off = (found / exact).ln().abs() / 2f64.ln();
        assert!(off <= 1.0 / 16.0 + 1e-9, "{quantile}: {found}, not {exact}");
    }
    let service = [("service", "shop")];
    assert_eq!(one("histogram_count(native_change)", &service), 6.0);
    let below_zero = one("histogram_quantile(0.2, native_change)", &service);
    assert!((-3.1..=-1.4).contains(&below_zero), "{below_zero}");
}

/// One server, one format.
fn stores(
    program: &Path,
    called: &str,
    flags: &[&str],
    scrape: &str,
    accept: Option<&'static str>,
    format: Format,
) {
    let store = program_to_scrape();
    let sidecar: Sidecar = store.recall.serve("127.0.0.1:0").unwrap();
    let between = Between::new(sidecar.local_addr(), accept);
    let Some(prometheus) = Prometheus::new(program, called, flags, scrape, between) else {
        return;
    };
    let stored = prometheus.everything();
    let is_protobuf = format == Format::Protobuf;
    // Names and numbers are as in the text, but for what only the protobuf has.
    let held = text_of(&store, if is_protobuf { Format::Text } else { format });
    compare(&stored, &held, |name| {
        !is_protobuf || !name.starts_with("native_")
    });
    for name in ["took_seconds", "bounded_seconds"] {
        quantiles_are_in_their_buckets(&prometheus, &held, name);
    }
    if is_protobuf {
        native_histograms_are_ours(&prometheus, &store);
    }
    let formats = prometheus.between.formats.lock().unwrap();
    let words = format
        .content_type()
        .split(';')
        .take(2)
        .collect::<Vec<_>>()
        .join(";");
    assert!(
        !formats.is_empty() && formats.iter().all(|format| format.starts_with(&words)),
        "{formats:?}, not {words}"
    );
}

#[test]
fn version_2_stores_text() {
    stores(
        &two(),
        "two-text",
        &[],
        "",
        Some("text/plain;version=0.0.4"),
        Format::Text,
    );
}

/// What it asks for by itself.
#[test]
fn version_2_stores_openmetrics() {
    stores(
        &two(),
        "two-openmetrics",
        &[],
        "",
        None,
        Format::OpenMetrics,
    );
}

#[test]
fn version_2_stores_native_histograms() {
    stores(
        &two(),
        "two-native",
        &["--enable-feature=native-histograms"],
        "",
        None,
        Format::Protobuf,
    );
}

#[test]
fn version_3_stores_text() {
    let Some(three) = three() else { return };
    let scrape = "  scrape_protocols: [PrometheusText0.0.4]\n";
    stores(&three, "three-text", &[], scrape, None, Format::Text);
}

#[test]
fn version_3_stores_text_with_all_names() {
    let Some(three) = three() else { return };
    let scrape = "  scrape_protocols: [PrometheusText1.0.0]\n";
    stores(&three, "three-utf8", &[], scrape, None, Format::TextUtf8);
}

#[test]
fn version_3_stores_openmetrics() {
    let Some(three) = three() else { return };
    let scrape = "  scrape_protocols: [OpenMetricsText1.0.0]\n";
    stores(
        &three,
        "three-openmetrics",
        &[],
        scrape,
        None,
        Format::OpenMetrics,
    );
}

#[test]
fn version_3_stores_native_histograms() {
    let Some(three) = three() else { return };
    let scrape = "  scrape_protocols: [PrometheusProto]\n";
    stores(
        &three,
        "three-native",
        &["--enable-feature=native-histograms"],
        scrape,
        None,
        Format::Protobuf,
    );
}
