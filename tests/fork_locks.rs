//! A child of a fork in whose parent a thread had a lock of the store: `health()` says so for as long as it is in the way.
//!
//! A thread of the parent is stopped by its allocator where it holds the lock of all descriptions, or that of a shard, which is
//! why this is a process of its own, whose tests run one after the other.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    unsafe_code,
    reason = "an allocator, and a fork: both are the system's"
)]

use metrics::{Key, Label, Metadata, Recorder, counter, describe_counter, gauge};
use metrics_recall::{Clock, Error, Format, MetricKind, Recall, mins, secs};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
};

static ALONE: Mutex<()> = Mutex::new(());

struct Stops;

#[global_allocator]
static ALLOCATOR: Stops = Stops;

thread_local! {
    /// Whom to tell that an allocation of this size is about to be made, and what to wait for.
    static STOP: Cell<Option<(Sender<()>, Receiver<()>)>> = const { Cell::new(None) };
}

/// The size of the description, or of the labels, that stop their thread; nothing else has it.
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

/// Runs `child` in a fork of this process, while a thread is stopped in `hold`, where it allocates [`LONG`] bytes.
fn in_a_fork_while(hold: impl FnOnce() + Send, child: impl FnOnce() -> Result<(), String>) {
    let (stopped, is_stopped) = channel();
    let (go_on, goes_on) = channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            STOP.set(Some((stopped, goes_on)));
            hold();
        });
        is_stopped.recv().unwrap();
        // SAFETY: the child runs only code that is to work in a child, and ends by `_exit`. Its allocator is the C library's,
        // which a fork leaves in order.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let done = catch_unwind(AssertUnwindSafe(child));
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
}

/// The sample of what is out of reach, in a text.
fn out_of_reach(text: &str) -> Option<f64> {
    let mut lines = text.lines();
    let said = lines.find_map(|line| line.strip_prefix("recall_out_of_reach "))?;
    said.parse().ok()
}

/// What a child is told when it lists, exposes, resets and deletes what it does not reach.
fn child_without_some(recall: &Recall) -> Result<(), String> {
    let text = recall.render();
    let shown = text
        .lines()
        .filter(|l| l.starts_with("hits_total{"))
        .count();
    expect(shown < 1_000, "all are shown")?;
    expect(
        out_of_reach(&text) > Some(0.0),
        &format!("nothing is said beside {shown} of 1000"),
    )?;
    for format in [Format::OpenMetrics, Format::Json] {
        let text = String::from_utf8(recall.render_as(format)).unwrap_or_default();
        expect(text.contains("recall_out_of_reach"), &format!("{format:?}"))?;
    }
    let health = recall.health().to_string();
    let part = "or lists, exposition, a reset or a delete went without some series";
    expect(health.contains(part), &health)?;
    let hits = recall.counters("hits_total");
    let says = |done: Result<(), Error>, begin: &str| {
        let error = done.err().ok_or_else(|| format!("{begin}: done"))?;
        let text = error.to_string();
        let end = "some are out of reach: this process was forked while a thread of its parent had them locked (fork before `install()`, or while nothing else runs)";
        let is_so = error.is_refused() && text.starts_with(begin) && text.ends_with(end);
        expect(is_so, &text)
    };
    says(hits.reset(), "reset of `hits_total`: ")?;
    says(recall.reset("hits_total"), "reset of `hits_total`: ")?;
    says(
        recall.reset_kind(MetricKind::Counter),
        "reset of all counters: ",
    )?;
    says(recall.reset_all(), "reset: ")?;
    says(recall.delete("hits_total"), "delete of `hits_total`: ")?;
    says(
        recall.delete_kind(MetricKind::Counter),
        "delete of all counters: ",
    )?;
    says(hits.delete(), "delete of `hits_total`: ")?;
    // Gauges are behind other locks.
    recall.reset("depth").map_err(|error| error.to_string())?;
    expect(recall.gauges("depth").current().is_none(), "depth is reset")?;
    recall
        .delete_kind(MetricKind::Gauge)
        .map_err(|error| error.to_string())
}

/// A delete said that it was done, and an exposition was as good as whole.
#[test]
fn what_does_not_reach_all_series_says_so() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build().unwrap();
    recorder.scope(|| {
        gauge!("depth").set(3.0);
        for id in 0..1_000 {
            counter!("hits_total", "id" => id.to_string()).increment(1);
        }
    });
    hands.advance(secs(1));
    recall.tick();
    // Name and value have their lengths before them.
    let label = Label::new("id", "x".repeat(LONG - 2 - 2 - 2));
    let key = Key::from_parts("hits_total", vec![label]);
    let registering = recorder.clone();
    let register = move || {
        let call = Metadata::new("test", metrics::Level::INFO, None);
        registering.register_counter(&key, &call).increment(1);
    };
    in_a_fork_while(register, || child_without_some(&recall));
    assert_eq!(out_of_reach(&recall.render()), None);
    assert!(recall.health().is_healthy(), "{}", recall.health());
    recall.delete("hits_total").unwrap();
    assert_eq!(recall.counters("hits_total").total(), None);
}

/// It was said for as long as the child lived, and of one that had never met the lock again.
#[test]
fn a_lock_that_nobody_opens_is_named_for_as_long_as_it_is_in_the_way() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build().unwrap();
    recorder.scope(|| counter!("orders_total").increment(1));
    hands.advance(secs(1));
    recall.tick();
    let describing = recorder.clone();
    // What is allocated before the thread may stop.
    let text = "x".repeat(LONG);
    let describe = move || {
        describing.scope(|| describe_counter!("orders_total", text));
    };
    in_a_fork_while(describe, || child(&recorder, &recall, &hands));
    // The parent waits for its locks, and has nothing to say.
    assert!(recall.health().is_healthy(), "{}", recall.health());
}
