//! Prints a dump for a person: what was wrong, what fired, and what each series did, with a sparkline for each.
//!
//! `cargo run --example recall_dump -- incident.json`; without a file it writes one of a made-up incident and prints that.

use metrics::{counter, gauge, histogram};
use metrics_recall::{AlertRule, Clock, Condition, Recall, mins, secs};
use serde_json::Value;
use std::{env, error::Error, fs, path::PathBuf};

/// Columns of a sparkline.
const WIDTH: usize = 40;
/// Series of a metric that are shown; the others are counted.
const MOST: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let path = match env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => incident()?,
    };
    let name = path.display();
    let text = fs::read_to_string(&path).map_err(|e| format!("`{name}`: {e}"))?;
    let dump: Value = serde_json::from_str(&text).map_err(|e| format!("`{name}`: {e}"))?;
    if dump["dump"] != "metrics-recall" || dump["version"] != 1 {
        return Err(format!("`{name}` is no dump of metrics-recall, version 1").into());
    }
    head(&dump);
    for metric in list(&dump["metrics"]) {
        show(metric);
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// What there is to say of the whole.
fn head(dump: &Value) {
    let minutes = dump["window_seconds"].as_f64().unwrap_or(0.0) / 60.0;
    println!(
        "process {}, the {minutes:.1} minutes up to {} ms since 1970",
        dump["process_id"], dump["at_ms"]
    );
    if let Some(panic) = dump.get("panic") {
        let (thread, place) = (text(&panic["thread"]), text(&panic["location"]));
        println!(
            "PANIC in `{thread}` at {place}: {}",
            text(&panic["message"])
        );
    }
    for reason in list(&dump["health"]) {
        println!("degraded: {}", text(reason));
    }
    for alert in list(&dump["alerts"]["active"]) {
        println!("alert: {}", text(&alert["text"]));
    }
    for event in list(&dump["alerts"]["recent"]) {
        println!("event: {}", text(&event["text"]));
    }
    println!();
}

fn show(metric: &Value) {
    let unit = metric
        .get("unit")
        .map_or(String::new(), |unit| format!(", {}", text(unit)));
    println!(
        "{} ({}{unit})",
        text(&metric["name"]),
        text(&metric["kind"])
    );
    if let Some(error) = metric.get("error") {
        println!("  not step by step: {}", text(error));
    }
    // Which row of the steps tells most of a kind.
    let row = match text(&metric["kind"]) {
        "counter" => "rate",
        "gauge" => "avg",
        _ => "p99",
    };
    let series = list(&metric["series"]);
    for one in series.iter().take(MOST) {
        let points: Vec<Option<f64>> = list(&one["steps"][row]).iter().map(Value::as_f64).collect();
        let labels = one["labels"].as_object().into_iter().flatten();
        let labels: Vec<String> = labels
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let window = one["window"].as_object().into_iter().flatten();
        let numbers: Vec<String> = window
            .filter_map(|(name, value)| Some(format!("{name} {}", short(value.as_f64()?))))
            .collect();
        println!(
            "  {row} {}  {{{}}}  {}",
            bars(&points),
            labels.join(","),
            numbers.join(", ")
        );
    }
    if series.len() > MOST {
        println!("  and {} more series", series.len() - MOST);
    }
}

/// Four decimals at most.
fn short(x: f64) -> String {
    let text = format!("{x:.4}");
    let text = text.trim_end_matches('0');
    text.trim_end_matches('.').to_owned()
}

/// A column for some neighbouring steps each, the greatest of them; a gap where nothing is known.
fn bars(points: &[Option<f64>]) -> String {
    let each = points.len().div_ceil(WIDTH).max(1);
    let most = points.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |part: &[Option<f64>]| match part.iter().flatten().copied().reduce(f64::max) {
        None => ' ',
        Some(x) if most <= 0.0 || x <= 0.0 => '▁',
        Some(x) => {
            let levels = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
            let at = (1..8)
                .filter(|level| x / most * 8.0 > f64::from(*level))
                .count();
            levels.get(at).copied().unwrap_or('█')
        }
    };
    let bars: String = points.chunks(each).map(bar).collect();
    format!("{bars:<WIDTH$}")
}

/// Ten minutes of a shop, of which two went badly, in a file.
fn incident() -> Result<PathBuf, Box<dyn Error>> {
    let (clock, hands) = Clock::manual();
    let slow = Condition::histograms("checkout_seconds")
        .over(mins(1))
        .quantile(0.99)
        .above(0.5);
    let (recorder, recall) = Recall::builder()
        .clock(clock)
        .alert(
            AlertRule::new("SlowCheckout")
                .when(slow)
                .for_at_least(secs(10)),
        )
        .build()?;
    for second in 0..600u32 {
        let is_bad = (420..540).contains(&second);
        recorder.scope(|| {
            counter!("orders_total", "region" => "eu").increment(if is_bad { 4 } else { 20 });
            counter!("orders_total", "region" => "us").increment(9);
            gauge!("queue_depth").set(if is_bad { f64::from(second - 400) } else { 3.0 });
            for n in 1..=10u32 {
                let usual = f64::from(n) * 0.01;
                histogram!("checkout_seconds").record(if is_bad { usual * 10.0 } else { usual });
            }
        });
        hands.advance(secs(1));
        recall.tick();
    }
    let path = env::temp_dir().join("recall_dump_example.json");
    recall.dump(&path, mins(10))?;
    println!("{} is what follows", path.display());
    Ok(path)
}
