//! A child after a fork: recording is harmless, health says that nobody ticks, and `install()` gives it a worker.
#![cfg(target_os = "linux")]

use metrics::counter;
use metrics_recall::{Aggregation, Recall, RecallBuilder, mins, secs};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

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
                // A panic must not make a second test of the child.
                let done = catch_unwind(AssertUnwindSafe(child));
                let done = done.unwrap_or_else(|_| Err("a panic".to_owned()));
                let status = match done {
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

/// Series of a metric, so many that some are in every shard.
const SPREAD: u32 = 200;

/// Waits for a child, for half a minute at most; `None`: it hung, and is no more.
#[expect(unsafe_code, reason = "as `in_a_fork`")]
fn wait_for(pid: libc::pid_t) -> Option<i32> {
    let (_never, wakes) = std::sync::mpsc::channel::<()>();
    let mut status = 0;
    for _ in 0..30_000 {
        // SAFETY: `pid` is a child of this process that nobody else waits for.
        if unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } == pid {
            return Some(status);
        }
        let _ = wakes.recv_timeout(Duration::from_millis(1));
    }
    // SAFETY: as above.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, &raw mut status, 0);
    }
    None
}

/// What a child does when others were at work as it was forked: all that a program does, and none of it for ever.
fn in_a_child_of_a_busy_parent(recall: &Recall, held: &metrics::Counter) -> Result<(), String> {
    let before = recall.counters("held").total();
    held.increment(5);
    nothing_locked_counts_as_zero(recall)?;
    for i in 0..200_u32 {
        counter!("new", "i" => i.to_string()).increment(1);
        metrics::gauge!(format!("name_{i}")).set(1.0);
        metrics::histogram!("seconds", "i" => i.to_string()).record(1.0);
    }
    metrics::describe_counter!("new", "what a child counts");
    let health = recall.health().to_string();
    expect(health.contains("forked"), &health)?;
    recall.tick();
    let _ = recall.counters("new").by("i").over(Duration::MAX).rate();
    let seconds = recall.histograms("seconds").over(Duration::MAX);
    let _ = seconds.quantile(0.5);
    let _ = recall.snapshot().counters("new").total();
    let (_, _) = (recall.metrics(), recall.summary().to_string());
    let _ = recall.health().to_string();
    // A series whose shard was locked is out of sight; what is seen is right.
    let now = recall.counters("held").total();
    let are_right = before.is_none_or(|n| n == 1) && now.is_none_or(|n| n == 6);
    expect(are_right, &format!("{before:?}, {now:?}"))
}

/// The total of a counter behind a lock that nobody opens was zero, and the sum of a metric that of the other ones.
fn nothing_locked_counts_as_zero(recall: &Recall) -> Result<(), String> {
    let mut hidden = 0;
    for i in 0..SPREAD {
        let one = recall.counters("spread").label("i", i.to_string());
        match one.total() {
            Some(1) => continue,
            None => hidden += 1,
            other => return Err(format!("series {i}: {other:?}")),
        }
        let error = one.over(Duration::MAX).eval(Aggregation::Increase);
        let error = error.map_or_else(|error| error.to_string(), |_| "an answer".to_owned());
        let is_told = error.contains("some of `spread` cannot be seen: this process was forked");
        expect(is_told, &error)?;
    }
    let all = recall.counters("spread").total();
    let expected = (hidden == 0).then_some(u64::from(SPREAD));
    expect(all == expected, &format!("{all:?} with {hidden} hidden"))
}

/// A child waited for ever for a lock that a thread of its parent held, and that no thread of its own ever opens.
#[expect(unsafe_code, reason = "as `in_a_fork`")]
fn children_of_a_busy_parent_do_not_hang(recall: &Recall) {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let done = AtomicBool::new(false);
    let held = counter!("held");
    held.increment(1);
    for i in 0..SPREAD {
        counter!("spread", "i" => i.to_string()).increment(1);
    }
    let hung = std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0_u64.. {
                counter!("registered", "i" => (i % 5_000).to_string()).increment(1);
                metrics::gauge!(format!("registered_{}", i % 2_000)).set(1.0);
                metrics::describe_gauge!("registered_0", format!("for the {i}th time"));
                if done.load(Relaxed) {
                    break;
                }
            }
        });
        scope.spawn(|| {
            while !done.load(Relaxed) {
                recall.tick();
                let _ = recall.delete("registered");
            }
        });
        let (mut hung, mut wrong) = (0, 0);
        for _ in 0..30 {
            // SAFETY: the child runs only code that is to work in a child, and ends by `_exit`. Its allocator is the C
            // library's, which a fork leaves in order.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                let child = || in_a_child_of_a_busy_parent(recall, &held);
                let done = catch_unwind(AssertUnwindSafe(child));
                let done = done.unwrap_or_else(|_| Err("a panic".to_owned()));
                if let Err(wrong) = &done {
                    eprintln!("in the child: {wrong}");
                }
                // SAFETY: it ends this process.
                unsafe { libc::_exit(i32::from(done.is_err())) }
            }
            assert!(pid > 0, "no fork");
            match wait_for(pid) {
                Some(status) => wrong += i32::from(status != 0),
                None => hung += 1,
            }
        }
        done.store(true, Relaxed);
        (hung, wrong)
    });
    assert_eq!(hung, (0, 0), "of 30 children");
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
        // Whoever ticks by hand was told to for ever.
        let health = recall.health();
        expect(health.is_healthy(), &health.to_string())?;
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
    recall.shutdown();

    let recall = slow().install().unwrap();
    children_of_a_busy_parent_do_not_hang(&recall);
    recall.shutdown();
}
