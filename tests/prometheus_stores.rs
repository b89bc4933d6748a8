//! What a real Prometheus stores of us is what we hold: of version 2 and 3, in each format that they take. A test takes some
//! seconds, since a server looks once a second, and not before it has started.
#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, numbers are the same ones, and a server of others is waited for"
)]

mod common;
#[path = "common/http.rs"]
mod http;
#[path = "common/started.rs"]
mod started;
#[path = "common/text.rs"]
mod text;

use common::Store;
use metrics::{Label, Unit, counter, describe_counter, describe_histogram, gauge, histogram};
use metrics_recall::{Format, HistogramRule, Recall, Sidecar, secs};
use proptest::{
    prelude::any,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::Value;
use started::{Started, start};
use std::{
    collections::HashMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
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

/// Stands between a Prometheus and a sidecar: asks for what it is told to, and remembers in which format the answers came.
struct Between {
    address: SocketAddr,
    formats: Arc<Mutex<Vec<String>>>,
}

impl Between {
    /// `accept`: in place of what the scraper would like.
    fn new(sidecar: SocketAddr, accept: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let formats = Arc::<Mutex<Vec<String>>>::default();
        let seen = formats.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A scraper that went away.
                let _ = forward(stream.unwrap(), sidecar, accept, &seen);
            }
        });
        Self { address, formats }
    }
}

fn forward(
    mut scraper: TcpStream,
    sidecar: SocketAddr,
    accept: Option<&str>,
    formats: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        scraper.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let lines = head.trim_end().split("\r\n").map(|line| {
        let is_accept = line.to_ascii_lowercase().starts_with("accept:");
        match accept.filter(|_| is_accept) {
            Some(accept) => format!("Accept: {accept}\r\n"),
            None => format!("{line}\r\n"),
        }
    });
    let mut stream = http::connect(sidecar);
    let asked: String = lines
        .chain(["Connection: close\r\n\r\n".to_owned()])
        .collect();
    stream.write_all(asked.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let shown = String::from_utf8_lossy(&answer).into_owned();
    let of_type = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-type")
            .then(|| value.to_owned())
    };
    formats
        .lock()
        .unwrap()
        .extend(shown.lines().take(20).find_map(of_type));
    scraper.write_all(&answer)
}

/// A server that scrapes `target` once a second.
struct Prometheus {
    started: Started,
    directory: PathBuf,
}

impl Prometheus {
    /// `None` if there is no such program. `scrape`: a line of the configuration.
    fn new(
        program: &Path,
        called: &str,
        flags: &[&str],
        scrape: &str,
        target: SocketAddr,
    ) -> Option<Self> {
        let directory =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{called}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let configuration = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: recall\n{scrape}  static_configs: [{{targets: ['{target}']}}]\n"
        );
        let file = directory.join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .args(flags);
        let started = start(command)?;
        Some(Self { started, directory })
    }

    /// An instant query's samples, without what Prometheus itself says of the target.
    fn ask(&self, query: &str) -> HashMap<Sample, f64> {
        let coded: Vec<_> = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let coded = coded.concat();
        let reply = http::get(
            self.started.address,
            &format!("/api/v1/query?query={coded}"),
        );
        let json: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        assert!(
            reply.status == 503 || json["status"] == "success",
            "{query}: {}",
            reply.text()
        );
        let result = json["data"]["result"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let samples = result.iter().filter_map(|sample| {
            let mut labels: std::collections::BTreeMap<String, String> =
                serde_json::from_value(sample["metric"].clone()).unwrap();
            let name = labels.remove("__name__").unwrap_or_default();
            let is_ours = !name.starts_with("scrape_") && name != "up";
            assert_eq!(labels.remove("job").as_deref(), Some("recall"), "{sample}");
            labels.remove("instance");
            // A native histogram has no value.
            let value = sample["value"][1].as_str()?.replace("Inf", "inf");
            is_ours.then(|| ((name, labels), value.parse().unwrap()))
        });
        samples.collect()
    }

    /// Everything, as soon as there is anything.
    fn everything(&self) -> HashMap<Sample, f64> {
        let began = Instant::now();
        loop {
            let all = self.ask("{job=\"recall\"}");
            if !all.is_empty() {
                return all;
            }
            if began.elapsed() > Duration::from_secs(20) {
                let targets = http::get(self.started.address, "/api/v1/targets");
                panic!("nothing was scraped: {}", targets.text());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // The process ends after this, and what it writes till then goes with the next run.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Debian's, of version 2.
fn two() -> PathBuf {
    "prometheus".into()
}

/// `None`: there is none, which `.ci/run` says why.
fn three() -> Option<PathBuf> {
    let path = std::env::var_os("PROMETHEUS_3").map(PathBuf::from)?;
    assert!(
        path.is_file(),
        "PROMETHEUS_3 is {}, which is no file",
        path.display()
    );
    Some(path)
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
    let Some(prometheus) = Prometheus::new(program, called, flags, scrape, between.address) else {
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
    let formats = between.formats.lock().unwrap();
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
