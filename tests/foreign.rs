//! Code that no one here wrote, above us and emitting into us.

mod common;

use common::Store;
use metrics::{Key, Recorder, Unit, counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_recall::{Labels, MetricKind, secs};
use metrics_tracing_context::{MetricsLayer, TracingContextLayer};
use metrics_util::{
    MetricKindMask,
    layers::{FanoutBuilder, FilterLayer, Layer, PrefixLayer, RouterBuilder, Stack},
};
use std::time::Duration;
use tracing_subscriber::layer::SubscriberExt;

/// Emits some of every kind.
fn emit() {
    counter!(description: "orders", unit: Unit::Count, "orders_total", "region" => "eu")
        .increment(3);
    gauge!("queue_depth", "region" => String::from("eu")).set(-4.5);
    for i in 1..=100 {
        histogram!("pay_seconds", "region" => "eu").record(f64::from(i) / 8.0);
    }
    histogram!("pay_seconds", "region" => "eu").record_many(2.0, 11);
}

fn assert_received(store: &Store, prefix: &str, labels: &[(&str, &str)]) {
    store.tick(secs(1));
    let name = |name: &str| format!("{prefix}{name}");
    let (mut orders, mut depth, mut seconds) = (
        store.recall.counters(name("orders_total")),
        store.recall.gauges(name("queue_depth")),
        store.recall.histograms(name("pay_seconds")),
    );
    for (label, value) in labels {
        orders = orders.label(label, value);
        depth = depth.label(label, value);
        seconds = seconds.label(label, value);
    }
    assert_eq!(
        (orders.total(), orders.over(secs(1)).increase()),
        (Some(3), Some(3))
    );
    assert_eq!(
        (depth.current(), depth.over(secs(1)).max()),
        (Some(-4.5), Some(-4.5))
    );
    let seconds = seconds.over(secs(1));
    assert_eq!(
        (seconds.count(), seconds.sum()),
        (Some(111), Some(5_050.0 / 8.0 + 22.0))
    );
    assert_eq!((seconds.min(), seconds.max()), (Some(0.125), Some(12.5)));
    let health = store.recall.health();
    assert!(health.is_healthy(), "{health}");
}

#[test]
fn we_work_under_a_prefix() {
    let store = Store::default();
    let layered = PrefixLayer::new("shop").layer(store.recorder.clone());
    with_local_recorder(&layered, emit);
    assert_received(&store, "shop.", &[("region", "eu")]);
    let metrics = store.recall.metrics();
    let orders = metrics
        .iter()
        .find(|m| m.kind == MetricKind::Counter)
        .unwrap();
    assert_eq!(
        (orders.description.as_deref(), orders.unit),
        (Some("orders"), Some("count"))
    );
}

#[test]
fn we_work_under_a_filter() {
    let store = Store::default();
    let layered = FilterLayer::from_patterns(["secret"]).layer(store.recorder.clone());
    with_local_recorder(&layered, || {
        emit();
        counter!("secret_total").increment(1);
        gauge!("a_secret").set(1.0);
    });
    assert_received(&store, "", &[("region", "eu")]);
    assert_eq!(store.recall.metrics().len(), 3);
}

#[test]
fn we_work_under_a_stack_of_layers() {
    let store = Store::default();
    let stack = Stack::new(store.recorder.clone())
        .push(PrefixLayer::new("inner"))
        .push(FilterLayer::from_patterns(["secret"]))
        .push(PrefixLayer::new("outer"));
    with_local_recorder(&stack, emit);
    assert_received(&store, "inner.outer.", &[("region", "eu")]);
}

#[test]
fn a_fanout_feeds_us_and_an_exporter_alike() {
    let store = Store::default();
    let exporter = PrometheusBuilder::new().build_recorder();
    let handle = exporter.handle();
    let fanout = FanoutBuilder::default()
        .add_recorder(store.recorder.clone())
        .add_recorder(exporter)
        .build();
    with_local_recorder(&fanout, emit);
    assert_received(&store, "", &[("region", "eu")]);
    let text = handle.render();
    for line in [
        "orders_total{region=\"eu\"} 3",
        "queue_depth{region=\"eu\"} -4.5",
        "pay_seconds_count{region=\"eu\"} 111",
        "pay_seconds_sum{region=\"eu\"} 653.25",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[test]
fn two_of_our_stores_under_one_fanout_agree() {
    let (one, other) = (Store::default(), Store::default());
    let fanout = FanoutBuilder::default()
        .add_recorder(one.recorder.clone())
        .add_recorder(other.recorder.clone())
        .build();
    with_local_recorder(&fanout, emit);
    assert_received(&one, "", &[]);
    assert_received(&other, "", &[]);
}

#[test]
fn a_router_sends_each_metric_where_it_belongs() {
    let (default, billing) = (Store::default(), Store::default());
    let mut router = RouterBuilder::from_recorder(default.recorder.clone());
    router.add_route(MetricKindMask::COUNTER, "billing", billing.recorder.clone());
    let router = router.build();
    with_local_recorder(&router, || {
        emit();
        counter!("billing_total").increment(5);
        gauge!("billing_depth").set(1.0);
    });
    assert_received(&default, "", &[("region", "eu")]);
    billing.tick(secs(1));
    assert_eq!(billing.recall.counters("billing_total").total(), Some(5));
    assert_eq!(billing.recall.metrics().len(), 1);
    assert_eq!(default.recall.counters("billing_total").total(), None);
    assert_eq!(default.recall.gauges("billing_depth").current(), Some(1.0));
}

#[test]
fn fields_of_spans_become_labels() {
    let store = Store::default();
    let layered = TracingContextLayer::all().layer(store.recorder.clone());
    let subscriber = tracing_subscriber::registry().with(MetricsLayer::new());
    tracing::subscriber::with_default(subscriber, || {
        with_local_recorder(&layered, || {
            let outer = tracing::info_span!("request", user = "ferris", attempt = 7);
            let _outer = outer.enter();
            let inner = tracing::info_span!("login", route = "/login", attempt = 8);
            let _inner = inner.enter();
            emit();
            // The same series again, once more from another order of labels.
            counter!("orders_total", "route" => "/login", "region" => "eu").increment(0);
        });
    });
    let labels = [
        ("region", "eu"),
        ("user", "ferris"),
        ("route", "/login"),
        ("attempt", "8"),
    ];
    assert_received(&store, "", &labels);
    let by = store
        .recall
        .counters("orders_total")
        .by(["region", "user", "route", "attempt"])
        .total();
    assert_eq!(by, [(Labels::from(labels), 3)]);
}

#[test]
fn only_the_allowed_fields_become_labels() {
    let store = Store::default();
    let layered = TracingContextLayer::only_allow(["route"]).layer(store.recorder.clone());
    let subscriber = tracing_subscriber::registry().with(MetricsLayer::new());
    tracing::subscriber::with_default(subscriber, || {
        with_local_recorder(&layered, || {
            for user in 0..50 {
                let span = tracing::info_span!("request", user, route = "/pay");
                let _entered = span.enter();
                counter!("requests_total").increment(1);
            }
        });
    });
    let by = store
        .recall
        .counters("requests_total")
        .by(["route", "user"])
        .total();
    assert_eq!(by, [(Labels::from([("route", "/pay")]), 50)]);
}

#[test]
fn a_process_collector_fills_gauges_and_an_absolute_counter() {
    let store = Store::default();
    let collector = metrics_process::Collector::new("me_");
    store.recorder.scope(|| {
        collector.describe();
        collector.collect();
    });
    store.tick(secs(1));
    store.recorder.scope(|| collector.collect());
    store.tick(secs(1));
    let metrics = store.recall.metrics();
    let find = |name: &str| metrics.iter().find(|m| m.name == name);
    #[cfg(target_os = "linux")]
    {
        let cpu = find("me_process_cpu_seconds_total").unwrap();
        assert_eq!((cpu.kind, cpu.unit), (MetricKind::Counter, Some("seconds")));
        assert!(store.recall.counters(&cpu.name).total().is_some());
        let increase = store
            .recall
            .counters(&cpu.name)
            .over(Duration::MAX)
            .increase();
        assert!(
            increase < Some(60),
            "what came before the first look is in no increase: {increase:?}"
        );
        let memory = store.recall.gauges("me_process_resident_memory_bytes");
        assert!(memory.current() > Some(100_000.0));
        assert!(memory.over(secs(1)).min() > Some(100_000.0));
        assert!(store.recall.gauges("me_process_open_fds").current() >= Some(3.0));
        assert!(store.recall.summary().to_string().contains("MiB"));
    }
    assert!(find("me_process_cpu_seconds_total").is_none_or(|m| m.description.is_some()));
}

#[test]
fn tokio_reports_its_runtime_and_tasks() {
    let store = Store::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let monitor = tokio_metrics::TaskMonitor::new();
    let entered = runtime.enter();
    let (mut of_runtime, mut of_tasks) = with_local_recorder(&store.recorder, || {
        let runtime = tokio_metrics::RuntimeMetricsReporterBuilder::default()
            .describe()
            .build();
        let tasks = tokio_metrics::TaskMetricsReporterBuilder::new(|name| {
            Key::from_parts(name, &[("task", "orders")])
        });
        (
            runtime,
            tasks.describe().build_with_monitor(monitor.clone()),
        )
    });
    drop(entered);
    runtime.block_on(async {
        let tasks = (0..10).map(|_| tokio::spawn(monitor.instrument(tokio::task::yield_now())));
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        // The reporters hold handles, and no recorder is in scope here.
        of_runtime.run_once();
        of_tasks.run_once();
    });
    store.tick(secs(1));
    let of = |name: &str| store.recall.gauges(name).label("task", "orders").current();
    assert_eq!(of("tokio_instrumented_count"), Some(10.0));
    assert_eq!(of("tokio_dropped_count"), Some(10.0));
    assert_eq!(of("tokio_total_poll_count"), Some(20.0));
    assert_eq!(
        store.recall.gauges("tokio_workers_count").current(),
        Some(1.0)
    );
    assert_eq!(
        store.recall.gauges("tokio_live_tasks_count").current(),
        Some(0.0)
    );
    let health = store.recall.health();
    assert!(health.is_healthy(), "{health}");
    let described = store
        .recall
        .metrics()
        .into_iter()
        .filter(|m| m.name.starts_with("tokio_"));
    assert!(described.count() > 20);
}

#[test]
fn a_boxed_or_shared_recorder_is_a_recorder() {
    let store = Store::default();
    let boxed: Box<dyn Recorder + Sync> = Box::new(store.recorder.clone());
    let shared: std::sync::Arc<dyn Recorder + Send + Sync> =
        std::sync::Arc::new(store.recorder.clone());
    with_local_recorder(&boxed, || counter!("n").increment(1));
    with_local_recorder(&shared, || counter!("n").increment(2));
    assert_eq!(store.recall.counters("n").total(), Some(3));
}
