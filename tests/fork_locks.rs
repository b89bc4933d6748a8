//! A child of a fork in whose parent a thread had a lock of the store: `health()` says so for as long as it is in the way.
//!
//! A thread of the parent is stopped where it holds the lock of all descriptions, by its allocator, which is why this is a
//! process of its own, with one test.
#![cfg(target_os = "linux")]
#![expect(
    unsafe_code,
    reason = "an allocator, and a fork: both are the system's"
)]

use metrics::{counter, describe_counter};
use metrics_recall::{Clock, Recall, mins, secs};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, Sender, channel},
};

struct Stops;

#[global_allocator]
static ALLOCATOR: Stops = Stops;

thread_local! {
    /// Whom to tell that an allocation of this size is about to be made, and what to wait for.
    static STOP: Cell<Option<(Sender<()>, Receiver<()>)>> = const { Cell::new(None) };
}

/// The size of the description that stops its thread; nothing else has it.
const LONG: usize = 777;

// SAFETY: all is the system's.
unsafe impl GlobalAlloc for Stops {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() == LONG && layout.align() == 1 {
            let stop = STOP.try_with(Cell::take).ok().flatten();
            if let Some((tell, wait)) = stop {
                let _ = tell.send(());
                let _ = wait.recv();
            }
        }
        // SAFETY: the caller keeps to the rules of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

fn expect(is: bool, what: &str) -> Result<(), String> {
    if is { Ok(()) } else { Err(what.to_owned()) }
}

/// What is asked of a child that finds the lock taken.
fn child(
    recorder: &metrics_recall::RecallRecorder,
    recall: &Recall,
    hands: &metrics_recall::ManualClock,
) -> Result<(), String> {
    let said = || {
        let health = recall.health();
        let mut reasons = health.reasons().iter();
        reasons.find(|reason| reason.contains("forked")).cloned()
    };
    expect(said().is_none(), "nothing was in the way yet")?;
    recorder.scope(|| describe_counter!("orders_total", "by child"));
    let reason = said().ok_or("nothing is said of the lock")?;
    for part in ["1 times", "what they had locked", "fork before `install()`"] {
        expect(reason.contains(part), &format!("{part}: {reason}"))?;
    }
    // Ticks need no description: what was in the way once is forgotten as all else.
    for _ in 0..11 {
        recorder.scope(|| counter!("orders_total").increment(1));
        hands.advance(mins(1));
        recall.tick();
    }
    let health = recall.health();
    expect(health.is_healthy(), &health.to_string())?;
    expect(recall.counters("orders_total").total() == Some(12), "total")?;
    // And it is said again when it is in the way again.
    recorder.scope(|| describe_counter!("orders_total", "by child"));
    expect(said().is_some(), "it is in the way again")
}

/// It was said for as long as the child lived, and of one that had never met the lock again.
#[test]
fn a_lock_that_nobody_opens_is_named_for_as_long_as_it_is_in_the_way() {
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build().unwrap();
    recorder.scope(|| counter!("orders_total").increment(1));
    hands.advance(secs(1));
    recall.tick();
    let (stopped, is_stopped) = channel();
    let (go_on, goes_on) = channel();
    std::thread::scope(|scope| {
        let describing = recorder.clone();
        scope.spawn(move || {
            let text = "x".repeat(LONG);
            STOP.set(Some((stopped, goes_on)));
            describing.scope(|| describe_counter!("orders_total", text));
        });
        is_stopped.recv().unwrap();
        // SAFETY: the child runs only code that is to work in a child, and ends by `_exit`. Its allocator is the C library's,
        // which a fork leaves in order.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let done = catch_unwind(AssertUnwindSafe(|| child(&recorder, &recall, &hands)));
            let done = done.unwrap_or_else(|_| Err("a panic".to_owned()));
            if let Err(wrong) = &done {
                eprintln!("in the child: {wrong}");
            }
            // SAFETY: it ends this process.
            unsafe { libc::_exit(i32::from(done.is_err())) }
        }
        assert!(pid > 0, "no fork");
        let mut status = 0;
        // SAFETY: `pid` is a child of this process.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        go_on.send(()).unwrap();
        assert_eq!(status, 0);
    });
    // The parent waits for its locks, and has nothing to say.
    assert!(recall.health().is_healthy(), "{}", recall.health());
}
