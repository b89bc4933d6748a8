//! A global allocator that emits metrics from inside every allocation, also from those that the recorder itself makes.
//!
//! It must not deadlock, and it must not lose an increment: what cannot reach its series is in `recall_overflow`.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics::{counter, gauge, histogram};
use metrics_recall::{Clock, ManualClock, MemoryProfile, Recall, RecallRecorder, secs};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::{Cell, RefCell},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

/// Emits on every allocation and every release.
struct Emitting;

#[global_allocator]
static ALLOCATOR: Emitting = Emitting;

thread_local! {
    /// Threads emit only while a test on them says so.
    static EMITS: Cell<bool> = const { Cell::new(false) };
    /// What an emission allocates emits nothing.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Ticked from inside of every allocation.
    static TICKS: RefCell<Option<Recall>> = const { RefCell::new(None) };
    /// Shut down from inside of the next allocation.
    static SHUTS: RefCell<Option<Recall>> = const { RefCell::new(None) };
    /// How often this thread incremented `memory_events_total`.
    static EMITTED: Cell<u64> = const { Cell::new(0) };
}

fn emit(size: usize) {
    if !EMITS.get() || INSIDE.replace(true) {
        return;
    }
    EMITTED.set(EMITTED.get() + 1);
    counter!("memory_events_total").increment(1);
    gauge!("memory_event_bytes").set(f64::from(u32::try_from(size).unwrap_or(u32::MAX)));
    histogram!("memory_event_sizes", "k" => "v").record(1.0);
    // None while it is being replaced.
    let ticks = TICKS.try_with(|ticks| ticks.try_borrow().ok().and_then(|ticks| ticks.clone()));
    if let Ok(Some(recall)) = ticks {
        recall.tick();
    }
    let shuts = SHUTS.try_with(|shuts| {
        shuts
            .try_borrow_mut()
            .ok()
            .and_then(|mut shuts| shuts.take())
    });
    if let Ok(Some(recall)) = shuts {
        recall.shutdown();
    }
    INSIDE.set(false);
}

/// Shut down by the first allocation of a tick of its worker.
static OF_WORKER: Mutex<Option<Recall>> = Mutex::new(None);
static IS_ARMED: AtomicBool = AtomicBool::new(false);

fn shut_down_on_the_worker() {
    if !IS_ARMED.load(Relaxed) || INSIDE.replace(true) {
        return;
    }
    if std::thread::current().name() == Some("recall-tick") && IS_ARMED.swap(false, Relaxed) {
        let recall = OF_WORKER.lock().unwrap().take();
        recall.unwrap().shutdown();
    }
    INSIDE.set(false);
}

// SAFETY: every call goes to `System` as it came; emitting a metric does not touch the memory in question.
unsafe impl GlobalAlloc for Emitting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        emit(layout.size());
        shut_down_on_the_worker();
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { System.dealloc(at, layout) };
        emit(layout.size());
    }
}

/// Runs `f` on a thread of its own, with this recorder and an emitting allocator; gives how often that emitted. Fails
/// when it takes half a minute: it hangs.
fn emitting(what: &str, recorder: &RecallRecorder, f: impl FnOnce() + Send) -> u64 {
    std::thread::scope(|scope| {
        let (done, wait) = mpsc::channel();
        scope.spawn(move || {
            recorder.scope(|| {
                EMITS.set(true);
                f();
                EMITS.set(false);
            });
            done.send(EMITTED.get()).unwrap();
        });
        wait.recv_timeout(secs(30)).unwrap_or_else(|_| {
            // Joining it would hang as well.
            eprintln!("{what}: the thread hangs or has panicked");
            std::process::abort();
        })
    })
}

fn store(profile: MemoryProfile) -> (RecallRecorder, Recall, ManualClock) {
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder()
        .profile(profile)
        .max_series_per_metric(100);
    let (recorder, recall) = builder.idle_timeout(secs(1)).clock(clock).build().unwrap();
    (recorder, recall, hands)
}

/// Everything that a program does with a store, on known series and on new ones.
fn busy(recall: &Recall, hands: &ManualClock, round: u32) {
    for i in 0..200_u32 {
        let id = (i + round * 50).to_string();
        counter!("orders_total", "id" => id.clone()).increment(1);
        gauge!("depth", "id" => id.clone()).set(1.0);
        histogram!("seconds", "id" => id).record(f64::from(i).exp());
        counter!(format!("name_{i}_{round}")).increment(1);
    }
    metrics::describe_counter!("orders_total", format!("round {round}"));
    hands.advance(secs(1));
    recall.tick();
    recall.tick();
    assert!(!recall.metrics().is_empty());
    assert!(!recall.summary().to_string().is_empty());
    let _ = recall.health().to_string();
    let window = Duration::MAX;
    assert!(
        !recall
            .counters("orders_total")
            .by("id")
            .over(window)
            .rate()
            .is_empty()
    );
    assert!(
        recall
            .histograms("seconds")
            .over(window)
            .quantile(0.99)
            .is_some()
    );
    let depth = recall
        .gauges("depth")
        .by(["id"])
        .over(window)
        .every(secs(1))
        .max();
    assert!(!depth.is_empty());
}

/// Increments that arrived, on their own series or in overflow.
fn arrived(recall: &Recall) -> u64 {
    let total = |name: &str| recall.counters(name).total().unwrap_or(0);
    let others: u64 = (0..3)
        .flat_map(|round| (0..200).map(move |i| format!("name_{i}_{round}")))
        .map(|name| total(&name))
        .sum();
    total("memory_events_total") + total("recall_overflow") + total("orders_total") + others
}

#[test]
fn macros_in_an_allocator_neither_hang_nor_lose_anything() {
    for profile in [MemoryProfile::Production, MemoryProfile::Edge] {
        let (recorder, recall, hands) = store(profile);
        let mut expected = 0;
        for round in 0..3 {
            expected += emitting("busy", &recorder, || busy(&recall, &hands, round)) + 400;
        }
        assert_eq!(arrived(&recall), expected, "{profile}");
        assert!(recall.memory().peak <= recall.memory().budget);
    }
}

#[test]
fn the_first_thing_a_thread_does_may_be_any_question() {
    let (recorder, recall, hands) = store(MemoryProfile::Production);
    emitting("filling", &recorder, || busy(&recall, &hands, 0));
    let (recall, hands) = (&recall, &hands);
    emitting("metrics", &recorder, || {
        assert!(!recall.metrics().is_empty());
    });
    emitting("health", &recorder, || {
        assert!(!recall.health().to_string().is_empty());
    });
    emitting("summary", &recorder, || {
        assert!(!recall.summary().to_string().is_empty());
    });
    emitting("memory", &recorder, || {
        assert!(!recall.memory().to_string().is_empty());
    });
    emitting("total", &recorder, || {
        assert!(recall.counters("orders_total").total().is_some());
    });
    emitting("tick", &recorder, || {
        hands.advance(secs(1));
        recall.tick();
    });
    let describe = || metrics::describe_counter!("orders_total", String::from("how many"));
    emitting("describe", &recorder, describe);
    emitting("shutdown", &recorder, || recall.shutdown());
    let said = |words: &str| recall.health().to_string().contains(words);
    assert!(said("from inside the recorder") && said("went to `recall_overflow`"));
    // What has ended is forgotten.
    for _ in 0..11 {
        hands.advance(secs(60));
        recall.tick();
    }
    assert!(!said("from inside the recorder"), "{}", recall.health());
}

/// Lists of names grow while a shard of names is locked, and in one of sixteen stores that is the shard in which an
/// emission looks for its own name: the thread waited for itself. A first emission in there took the flag away that
/// keeps the others out.
#[test]
fn listing_names_does_not_wait_for_itself() {
    for _ in 0..80 {
        let (recorder, recall, _hands) = store(MemoryProfile::Edge);
        recorder.scope(|| (0..100).for_each(|i| counter!(format!("name_{i}")).increment(1)));
        recorder.scope(|| (0..200).for_each(|i| counter!("n", "i" => i.to_string()).increment(1)));
        let recall = &recall;
        emitting("metrics", &recorder, || {
            assert!(recall.metrics().len() > 100);
        });
        emitting("health", &recorder, || {
            assert!(!recall.health().is_healthy());
        });
    }
}

/// The second one inside found no sign of the first, and waited for it.
#[test]
fn ticks_inside_a_tick_do_nothing_and_are_named() {
    let (recorder, recall, hands) = store(MemoryProfile::Production);
    emitting("ticking", &recorder, || {
        for i in 0..500 {
            counter!("n", "i" => i.to_string()).increment(1);
        }
        hands.advance(secs(1));
        TICKS.set(Some(recall.clone()));
        let tick = recall.tick();
        TICKS.set(None);
        assert!(!tick.merged);
    });
    assert_eq!(recall.counters("n").over(secs(1)).increase(), Some(500));
    let said = |words: &str| recall.health().to_string().contains(words);
    assert!(said("times from inside a tick, which does nothing"));
    for _ in 0..11 {
        hands.advance(secs(60));
        recall.tick();
    }
    assert!(!said("from inside a tick"), "{}", recall.health());
}

#[test]
fn a_store_may_be_built_and_dropped_by_a_thread_whose_allocator_emits() {
    let (recorder, recall, _hands) = store(MemoryProfile::Production);
    emitting("building", &recorder, || {
        for _ in 0..5 {
            let (inner, other, hands) = store(MemoryProfile::Edge);
            inner.scope(|| busy(&other, &hands, 0));
            assert!(other.counters("orders_total").total() >= Some(200));
        }
    });
    assert!(arrived(&recall) > 0);
}

/// It waited for the worker, which waited for the tick that it was called from.
#[test]
fn a_shutdown_inside_of_a_tick_is_done_by_the_worker() {
    let slow = || Recall::builder().resolution(secs(60)).retention(secs(600));
    let (recorder, recall) = slow().start().unwrap();
    let (told, hears) = mpsc::channel();
    recall
        .alerts()
        .subscribe(move |_| told.send(()).unwrap_or_default())
        .detach();
    emitting("shutting down", &recorder, || {
        counter!("n").increment(1);
        SHUTS.set(Some(recall.clone()));
        recall.tick();
        assert!(SHUTS.take().is_none(), "no allocation in the tick");
    });
    // The worker ends what is left to end, the subscription among it.
    assert_eq!(
        hears.recv_timeout(secs(30)),
        Err(mpsc::RecvTimeoutError::Disconnected)
    );
    assert_eq!(recall.counters("n").over(Duration::MAX).increase(), Some(1));
    recall.shutdown();
    recall.shutdown();
    assert_eq!(recall.counters("n").total(), Some(1));

    // On the worker itself.
    let fast = Recall::builder().resolution(Duration::from_millis(10));
    let (recorder, recall) = fast.start().unwrap();
    let (told, hears) = mpsc::channel();
    recall
        .alerts()
        .subscribe(move |_| told.send(()).unwrap_or_default())
        .detach();
    *OF_WORKER.lock().unwrap() = Some(recall.clone());
    IS_ARMED.store(true, Relaxed);
    // What is new makes the tick allocate.
    for i in 0.. {
        recorder.scope(|| counter!("n", "i" => i.to_string()).increment(1));
        match hears.recv_timeout(Duration::from_millis(1)) {
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            _ => assert!(i < 30_000, "no shutdown"),
        }
    }
    recall.shutdown();
    let increase = recall.counters("n").over(Duration::MAX).increase();
    assert_eq!(increase, recall.counters("n").total());
}
