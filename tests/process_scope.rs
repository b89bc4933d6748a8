//! Tests of users: a scope of the process reaches threads that nobody wrapped. A process of its own.
#![expect(clippy::disallowed_methods, reason = "code under test starts threads")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics::{counter, describe_counter, gauge, histogram};
use metrics_recall::Recall;
use std::thread;

/// Starts a thread and emits there, as a library does of which nobody knows how.
fn library() {
    let emit = || {
        describe_counter!("jobs_total", "jobs that are done");
        counter!("jobs_total").increment(1);
        gauge!("depth").set(2.0);
        histogram!("seconds").record(1.0);
    };
    thread::spawn(emit).join().unwrap();
}

#[test]
fn scopes_of_the_process_follow_one_another_and_reach_all_threads() {
    let tests: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                let (recorder, recall) = Recall::builder().build().unwrap();
                recorder
                    .scope_process(|| (0..10).for_each(|_| library()))
                    .unwrap();
                assert_eq!(recall.counters("jobs_total").total(), Some(10));
                let info = recall.metrics();
                assert!(
                    info.iter().any(|metric| metric.description.is_some()),
                    "{info:?}"
                );
            })
        })
        .collect();
    for test in tests {
        test.join().unwrap();
    }

    // A panic ends its scope.
    let (recorder, recall) = Recall::builder().build().unwrap();
    let panicked = thread::spawn({
        let recorder = recorder.clone();
        move || recorder.scope_process(|| panic!("a test fails"))
    });
    assert!(panicked.join().is_err());
    library();
    assert_eq!(recall.counters("jobs_total").total(), None);
    recorder.scope_process(library).unwrap();
    assert_eq!(recall.counters("jobs_total").total(), Some(1));

    // A thread's own recorder goes before it.
    let (local, of_thread) = Recall::builder().build().unwrap();
    recorder
        .scope_process(|| local.scope(|| counter!("jobs_total").increment(1)))
        .unwrap();
    assert_eq!(of_thread.counters("jobs_total").total(), Some(1));
    assert_eq!(recall.counters("jobs_total").total(), Some(1));

    // A scope inside of a scope waited for itself, for ever.
    let inner = recorder.scope_process(|| {
        let refused = recorder.scope_process(library).unwrap_err();
        library();
        refused
    });
    let refused = inner.unwrap();
    assert!(refused.is_reentrant(), "{refused}");
    assert_eq!(recall.counters("jobs_total").total(), Some(2));
    // Neither the refused one nor a panic inside leaves a mark on the thread.
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        recorder.scope_process(|| panic!("a test fails"))
    }));
    assert!(panicked.is_err());
    recorder.scope_process(library).unwrap();
    assert_eq!(recall.counters("jobs_total").total(), Some(3));

    // The process has a recorder now, and it is not to be replaced.
    assert!(Recall::builder().install().unwrap_err().is_installed());
}
