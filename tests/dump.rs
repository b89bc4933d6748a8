//! A dump is one JSON document of everything, and a file is a whole one or none.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics::{counter, describe_counter, gauge, histogram};
use metrics_recall::{
    AlertRule, Clock, Condition, ManualClock, Recall, RecallRecorder, mins, secs,
};
use serde_json::Value;
use std::{fs, io, path::PathBuf, time::Duration};

fn store() -> (RecallRecorder, Recall, ManualClock) {
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build().unwrap();
    (recorder, recall, hands)
}

fn document(recall: &Recall, window: Duration) -> Value {
    let mut text = Vec::new();
    recall.dump_to(window, &mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("recall-{}-{name}.json", std::process::id()))
}

#[test]
fn it_has_every_series_with_what_it_did_step_by_step() {
    let (recorder, recall, hands) = store();
    for second in 1..=4u32 {
        recorder.scope(|| {
            describe_counter!("orders_total", metrics::Unit::Count, "Orders \"paid\"");
            counter!("orders_total", "region" => "eu\n\"1\"\u{1}").increment(u64::from(second));
            counter!("orders_total").increment(10);
            gauge!("depth", "queue" => "a").set(f64::from(second));
            histogram!("took_seconds").record(f64::from(second));
        });
        hands.advance(secs(1));
        recall.tick();
    }
    let dump = document(&recall, mins(5));
    assert_eq!(dump["dump"], "metrics-recall");
    assert_eq!(dump["at_ms"], 1_767_225_604_000_i64);
    assert_eq!(dump["window_seconds"], 4);
    assert_eq!(dump["health"], Value::Array(Vec::new()));
    assert_eq!(dump["retention"][0]["interval_seconds"], 1);
    assert!(dump["memory"]["used"].as_u64().unwrap() > 1000);
    let names: Vec<_> = dump["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["name"])
        .collect();
    assert_eq!(names, ["depth", "orders_total", "took_seconds"]);

    let orders = &dump["metrics"][1];
    assert_eq!(
        (&orders["kind"], &orders["unit"]),
        (&"counter".into(), &"count".into())
    );
    assert_eq!(orders["description"], "Orders \"paid\"");
    assert_eq!(orders["step_seconds"], 1);
    assert_eq!(orders["series"].as_array().unwrap().len(), 2);
    let europe = &orders["series"][1];
    assert_eq!(europe["labels"]["region"], "eu\n\"1\"\u{1}");
    assert_eq!(
        (&europe["total"], &europe["window"]["increase"]),
        (&10.into(), &10.into())
    );
    assert_eq!(europe["steps"]["rate"], serde_json::json!([1, 2, 3, 4]));
    assert_eq!(
        orders["series"][0]["steps"]["rate"],
        serde_json::json!([10, 10, 10, 10])
    );

    let depth = &dump["metrics"][0]["series"][0];
    assert_eq!(
        (&depth["value"], &depth["window"]["max"]),
        (&4.into(), &4.into())
    );
    assert_eq!(depth["steps"]["avg"], serde_json::json!([1, 2, 3, 4]));
    let took = &dump["metrics"][2]["series"][0];
    assert_eq!((&took["count"], &took["sum"]), (&4.into(), &10.into()));
    assert_eq!(
        (&took["window"]["max"], &took["window"]["count"]),
        (&4.into(), &4.into())
    );
    assert_eq!(took["steps"]["max"], serde_json::json!([1, 2, 3, 4]));
}

/// Steps that are not covered are null; a long window has longer steps, and few enough of them.
#[test]
fn a_window_has_no_more_steps_than_can_be_looked_at() {
    let (recorder, recall, hands) = store();
    for second in 0..1500u32 {
        if second % 400 < 200 {
            recorder.scope(|| histogram!("took_seconds").record(1.0));
        }
        hands.advance(secs(1));
        recall.tick();
    }
    let dump = document(&recall, Duration::MAX);
    let metric = &dump["metrics"][0];
    let step = metric["step_seconds"].as_f64().unwrap();
    let points = metric["series"][0]["steps"]["p99"].as_array().unwrap();
    assert!((step - 3.0).abs() < 1e-9, "{step}");
    assert!(
        points.len() <= 600 && points.len() > 400,
        "{}",
        points.len()
    );
    assert!(points.iter().any(Value::is_null));
    assert!(points.iter().any(|p| *p == 1));
}

#[test]
fn alerts_and_what_is_wrong_are_in_it() {
    let (recorder, recall, hands) = store();
    let deep = Condition::gauges("depth").over(mins(1)).max().above(3.0);
    recall
        .alerts()
        .add(AlertRule::new("Deep").when(deep))
        .unwrap();
    recorder.scope(|| {
        gauge!("depth").set(7.0);
        gauge!("depth").set(f64::NAN);
    });
    hands.advance(secs(1));
    recall.tick();
    let dump = document(&recall, mins(1));
    let active = &dump["alerts"]["active"][0];
    assert_eq!(
        (&active["rule"], &active["state"]),
        (&"Deep".into(), &"firing".into())
    );
    assert_eq!(active["value"], 7);
    let recent = dump["alerts"]["recent"].as_array().unwrap();
    assert!(recent[0]["text"].as_str().unwrap().contains("Deep"));
    assert!(dump["health"][0].as_str().unwrap().contains("`depth`"));
}

/// Nothing is recorded yet, nothing ticked.
#[test]
fn an_empty_store_has_a_document_too() {
    let (_recorder, recall, _) = store();
    assert_eq!(
        document(&recall, mins(1))["metrics"],
        Value::Array(Vec::new())
    );
}

/// Answers by step of a large metric may have no room; then there are fewer steps, or the document says what is missing.
#[test]
fn a_metric_that_is_too_large_for_all_steps_has_fewer() {
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder().memory_budget(4 << 20).clock(clock);
    let (recorder, recall) = builder.build().unwrap();
    for _ in 0..300 {
        recorder.scope(|| {
            for n in 0..900 {
                counter!("hits_total", "n" => n.to_string()).increment(1);
            }
        });
        hands.advance(secs(1));
        recall.tick();
    }
    let dump = document(&recall, mins(5));
    let metric = &dump["metrics"][0];
    assert_eq!(metric["series"].as_array().unwrap().len(), 900);
    assert_eq!(metric["error"], Value::Null);
    let steps = metric["series"][7]["steps"]["rate"].as_array().unwrap();
    assert!(!steps.is_empty());
    assert!(recall.memory().peak <= 4 << 20);
}

#[test]
fn a_file_is_replaced_as_a_whole_and_errors_name_it() {
    let (recorder, recall, hands) = store();
    let path = file("whole");
    fs::write(&path, "old").unwrap();
    recorder.scope(|| counter!("orders_total").increment(1));
    hands.advance(secs(1));
    recall.dump(&path, mins(1)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        document(&recall, mins(1))
    );
    assert!(text.contains(r#""orders_total""#), "{text}");
    let in_directory = fs::read_dir(path.parent().unwrap()).unwrap();
    let beside = in_directory.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("-whole.json.")
    });
    assert_eq!(beside.count(), 0);
    fs::remove_file(&path).unwrap();

    let error = recall
        .dump("/no/such/place/incident.json", mins(1))
        .unwrap_err();
    assert!(error.is_system());
    assert!(
        error.to_string().contains("`/no/such/place/incident.json`"),
        "{error}"
    );
    let error = recall.dump(std::env::temp_dir(), mins(1)).unwrap_err();
    assert!(error.is_system());
}

#[test]
fn a_black_box_in_no_directory_is_refused_at_the_start() {
    for path in ["/no/such/place/incident.json", "/", "", "/tmp"] {
        let error = Recall::builder().dump_on_panic(path).build().unwrap_err();
        assert!(error.to_string().contains(&format!("`{path}`")), "{error}");
    }
}

/// A writer that fails is asked no further.
#[test]
fn errors_of_the_writer_are_given_back() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("no space"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (_recorder, recall, _) = store();
    let error = recall.dump_to(mins(1), &mut Full).unwrap_err();
    assert_eq!(error.to_string(), "no space");
}
