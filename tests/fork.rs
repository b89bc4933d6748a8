//! A child after a fork: recording is harmless, health says that nobody ticks, and `install()` gives it a worker.
#![cfg(target_os = "linux")]

use metrics::counter;
use metrics_recall::{Recall, RecallBuilder, mins, secs};
use std::time::Duration;

/// Its worker sleeps when the process is forked: it holds no lock.
fn slow() -> RecallBuilder {
    Recall::builder().resolution(secs(60)).retention(mins(10))
}

/// Runs `child` in a fork of this process, and gives what it says is wrong.
#[expect(unsafe_code, reason = "only the operating system can fork")]
fn in_a_fork(child: impl FnOnce() -> Result<(), String>) -> i32 {
    // SAFETY: the child calls nothing but `child` and `_exit`, and no other thread of this process holds a lock that it needs:
    // the store's worker sleeps, and this test is alone in its process.
    unsafe {
        match libc::fork() {
            0 => {
                let status = match child() {
                    Ok(()) => 0,
                    Err(wrong) => {
                        eprintln!("in the child: {wrong}");
                        1
                    }
                };
                libc::_exit(status)
            }
            pid => {
                assert!(pid > 0, "no fork");
                let mut status = 0;
                assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
                status
            }
        }
    }
}

fn expect(is: bool, what: &str) -> Result<(), String> {
    if is { Ok(()) } else { Err(what.to_owned()) }
}

#[test]
fn a_child_records_and_ticks_and_is_told_that_nobody_else_does() {
    let recall = slow().install().unwrap();
    counter!("n").increment(1);
    assert!(recall.health().is_healthy(), "{}", recall.health());
    let status = in_a_fork(|| {
        counter!("n").increment(2);
        expect(recall.counters("n").total() == Some(3), "recording")?;
        let health = recall.health().to_string();
        expect(health.contains("forked"), &health)?;
        recall.tick();
        let increase = recall.counters("n").over(Duration::MAX).increase();
        expect(increase == Some(3), "ticking")?;
        let again = slow().install().map_err(|error| error.to_string())?;
        expect(again.health().is_healthy(), &again.health().to_string())?;
        expect(slow().install().is_err(), "a second install")?;
        counter!("n").increment(1);
        again.shutdown();
        expect(again.counters("n").total() == Some(4), "after the shutdown")
    });
    assert_eq!(status, 0);
    // The parent does not notice.
    assert_eq!(recall.counters("n").total(), Some(1));
    assert!(recall.health().is_healthy());
    recall.shutdown();

    // A child that shuts down what it has no worker of waits for nobody.
    let recall = slow().install().unwrap();
    let status = in_a_fork(|| {
        recall.shutdown();
        expect(
            recall.counters("n").total() == Some(1),
            "after the shutdown",
        )
    });
    assert_eq!(status, 0);
}
