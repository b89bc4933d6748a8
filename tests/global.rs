//! The recorder of the process: one test, since there is one in a process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Store;
use metrics::{counter, gauge, histogram};
use metrics_recall::{AlertRule, MemoryProfile, Recall, RecallBuilder, RetentionRule, mins, secs};
use std::{cell::RefCell, thread, time::Duration};

/// Its worker ticks once a minute: the test does.
fn settings() -> RecallBuilder {
    Recall::builder().resolution(secs(60)).retention(mins(30))
}

/// Records through the global recorder when it is dropped.
struct Emits;

impl Drop for Emits {
    fn drop(&mut self) {
        counter!("dropped_total").increment(1);
        histogram!("dropped_seconds", "k" => String::from("v")).record(0.5);
    }
}

thread_local! {
    static AT_EXIT: RefCell<Option<Emits>> = const { RefCell::new(None) };
}

fn total(recall: &Recall, name: &str) -> Option<u64> {
    recall.counters(name).total()
}

#[test]
fn one_store_is_the_processes_from_its_install_on() {
    nothing_is_there_before();
    let recall = settings().install().unwrap();
    macros_arrive(&recall);
    local_recorders_come_first(&recall);
    destructors_of_threads_arrive(&recall);
    a_second_install_is_refused(&recall);
    dropping_handles_stops_nothing(recall);
    shutdown_and_install_again();
}

fn nothing_is_there_before() {
    counter!("lost").increment(1);
    assert!(Recall::global().is_none());
    // Settings that are refused install nothing.
    let error = settings().memory_budget(0).install().unwrap_err();
    assert!(error.is_invalid());
    assert!(Recall::global().is_none());
}

fn macros_arrive(recall: &Recall) {
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    counter!("n", "k" => "v").increment(1);
                }
                gauge!("g").set(1.0);
            });
        }
    });
    assert_eq!(total(recall, "n"), Some(3_000));
    assert_eq!(recall.gauges("g").current(), Some(1.0));
    assert_eq!(total(recall, "lost"), None);
    recall.tick();
    assert_eq!(
        recall.counters("n").over(Duration::MAX).increase(),
        Some(3_000)
    );
}

fn local_recorders_come_first(recall: &Recall) {
    let local = Store::default();
    local.recorder.scope(|| {
        counter!("n", "k" => "v").increment(1);
        counter!("of_local").increment(1);
    });
    counter!("n", "k" => "v").increment(1);
    local.tick(secs(1));
    assert_eq!(
        (total(&local.recall, "n"), total(recall, "n")),
        (Some(1), Some(3_001))
    );
    assert_eq!(
        (total(&local.recall, "of_local"), total(recall, "of_local")),
        (Some(1), None)
    );
    assert!(local.recall.make_global().unwrap_err().is_installed());
}

fn destructors_of_threads_arrive(recall: &Recall) {
    for caches_first in [true, false] {
        let run = move || {
            if caches_first {
                counter!("n", "k" => "v").increment(0);
            }
            AT_EXIT.with(|at_exit| *at_exit.borrow_mut() = Some(Emits));
            counter!("n", "k" => "v").increment(0);
        };
        thread::scope(|scope| scope.spawn(run).join().unwrap());
    }
    assert_eq!(total(recall, "dropped_total"), Some(2));
    recall.tick();
    let seconds = recall.histograms("dropped_seconds").label("k", "v");
    assert_eq!(seconds.over(Duration::MAX).count(), Some(2));
}

fn a_second_install_is_refused(recall: &Recall) {
    for builder in [settings(), Recall::builder(), settings().max_metrics(3)] {
        let error = builder.install().unwrap_err();
        assert!(error.is_installed(), "{error}");
        assert!(error.to_string().contains("Recall::global()"), "{error}");
    }
    // Bad settings are bad first.
    assert!(
        settings()
            .max_metrics(0)
            .install()
            .unwrap_err()
            .is_invalid()
    );
    recall.make_global().unwrap();
    Recall::global().unwrap().make_global().unwrap();
}

fn dropping_handles_stops_nothing(recall: Recall) {
    drop(recall);
    counter!("n", "k" => "v").increment(1);
    let recall = Recall::global().unwrap();
    assert_eq!(total(&recall, "n"), Some(3_002));
}

fn shutdown_and_install_again() {
    let recall = Recall::global().unwrap();
    counter!("n", "k" => "v").increment(1);
    recall.shutdown();
    assert_eq!(
        recall.counters("n").over(Duration::MAX).increase(),
        Some(3_003)
    );
    counter!("n", "k" => "v").increment(1);
    histogram!("while_shut").record(1.0);
    assert_eq!(total(&recall, "n"), Some(3_004));
    assert!(Recall::global().is_some());

    // What cannot change is named.
    let error = settings()
        .profile(MemoryProfile::Edge)
        .install()
        .unwrap_err();
    assert!(error.is_installed(), "{error}");
    for part in ["cannot change", "1048576", "33554432"] {
        assert!(error.to_string().contains(part), "{part} is not in {error}");
    }

    let error = settings().own_alerts(false).install().unwrap_err();
    assert!(error.to_string().contains("own_alerts false"), "{error}");

    // What can change is applied.
    let rule = RetentionRule::new().name("x").keep([mins(5)]);
    let alert = AlertRule::new("Busy").when("rate(n) over 5m > 1e9".parse().unwrap());
    let again = settings().retain(rule).alert(alert).install().unwrap();
    assert!(
        again
            .alerts()
            .rules()
            .iter()
            .any(|rule| rule.name == "Busy")
    );
    assert_eq!(total(&again, "n"), Some(3_004));
    counter!("n", "k" => "v").increment(1);
    again.tick();
    assert_eq!(
        recall.counters("n").over(Duration::MAX).increase(),
        Some(3_005)
    );
    assert_eq!(
        again.histograms("while_shut").over(Duration::MAX).count(),
        Some(1)
    );
    assert!(settings().install().unwrap_err().is_installed());
    again.shutdown();
}
