//! Durations against the system's own clock, on a recorder that is not ours.
#![expect(
    clippy::disallowed_methods,
    reason = "the system's clock judges what was recorded"
)]

use super::*;
use crate::clock::Moment;
use metrics::{Histogram, HistogramFn};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// Keeps all that is recorded.
#[derive(Default)]
struct Kept(Mutex<Vec<f64>>);

impl HistogramFn for Kept {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

impl Kept {
    fn new() -> (Arc<Self>, Histogram) {
        let kept = Arc::new(Self::default());
        (kept.clone(), Histogram::from_arc(kept))
    }

    fn values(&self) -> Vec<f64> {
        self.0.lock().unwrap().clone()
    }
}

/// Keeps this thread busy for `time`.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// What `f` records is one value, at least `least`, and no longer than `f` took; the counter may be off by a thousandth.
fn assert_took(least: Duration, kept: &Kept, f: impl FnOnce()) {
    let before = kept.values().len();
    let start = Instant::now();
    f();
    let most = start.elapsed().as_secs_f64() * 1.001;
    let all = kept.values();
    assert_eq!(all.len(), before + 1, "{all:?}");
    let least = least.as_secs_f64() * 0.999;
    let value = all[before];
    assert!((least..=most).contains(&value), "{least} {value} {most}");
}

const SHORT: Duration = Duration::from_millis(2);

/// Ready at the `n`th poll, each of which keeps the thread busy.
struct Polls(u32);

impl Future for Polls {
    type Output = &'static str;

    fn poll(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        spin(SHORT);
        self.0 -= 1;
        if self.0 == 0 {
            Poll::Ready("done")
        } else {
            Poll::Pending
        }
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_timer_records_how_long_it_lived() {
    let (kept, histogram) = Kept::new();
    Moment::now(); // The first reading takes longer.
    assert_took(SHORT, &kept, || {
        let timer = Timer::start(histogram.clone());
        spin(SHORT);
        assert!(timer.elapsed() >= SHORT.mul_f64(0.999));
    });
    assert_took(SHORT, &kept, || time(histogram.clone(), || spin(SHORT)));
}

#[test]
fn a_stopped_timer_records_once_and_says_what() {
    let (kept, histogram) = Kept::new();
    let said = Timer::start(histogram).stop();
    assert_eq!(kept.values(), [said.as_secs_f64()]);
}

#[test]
fn a_cancelled_timer_records_nothing() {
    let (kept, histogram) = Kept::new();
    let (other, another) = Kept::new();
    Timer::start(histogram.clone()).cancel();
    let mut timer = Timer::start(histogram);
    timer.record_to(another);
    timer.cancel();
    assert_eq!((kept.values(), other.values()), (vec![], vec![]));
}

#[test]
fn a_timer_that_points_elsewhere_leaves_its_first_histogram_alone() {
    let (kept, histogram) = Kept::new();
    let (other, another) = Kept::new();
    assert_took(SHORT, &other, || {
        let mut timer = Timer::start(histogram);
        spin(SHORT);
        timer.record_to(another);
    });
    assert_eq!(kept.values(), []);
}

#[test]
fn a_panic_is_recorded() {
    let (kept, histogram) = Kept::new();
    let handle = histogram.clone();
    assert!(catch_unwind(AssertUnwindSafe(|| time(handle, || panic!("on purpose")))).is_err());
    let future = timed_future(histogram, async { panic!("on purpose") });
    let unwound = catch_unwind(AssertUnwindSafe(|| poll(pin!(future))));
    assert!(unwound.is_err());
    assert_eq!(kept.values().len(), 2);
}

#[test]
fn a_future_is_timed_from_its_first_poll_to_its_end() {
    let (kept, histogram) = Kept::new();
    let future = timed_future(histogram, Polls(2));
    spin(SHORT);
    assert_took(3 * SHORT, &kept, || {
        let mut future = pin!(future);
        assert!(poll(future.as_mut()).is_pending());
        spin(SHORT);
        assert_eq!(poll(future), Poll::Ready("done"));
    });
}

#[test]
fn busy_time_leaves_out_the_waiting() {
    let ((wall, one), (busy, two)) = (Kept::new(), Kept::new());
    let mut future = pin!(Polls(2).timed(one).busy_to(two));
    assert!(poll(future.as_mut()).is_pending());
    spin(10 * SHORT);
    assert!(poll(future).is_ready());
    let (wall, busy) = (wall.values(), busy.values());
    assert_eq!((wall.len(), busy.len()), (1, 1));
    let least = 2.0 * SHORT.as_secs_f64() * 0.999;
    let waited = 10.0 * SHORT.as_secs_f64() * 0.999;
    assert!(
        busy[0] >= least && wall[0] >= busy[0] + waited,
        "{wall:?} {busy:?}"
    );
}

#[test]
fn a_future_that_is_given_up_is_recorded_apart_if_that_was_asked_for() {
    let ((done, one), (cancelled, two), (busy, three)) = (Kept::new(), Kept::new(), Kept::new());
    let dropped = |future: TimedFuture<Polls>| assert!(poll(pin!(future)).is_pending());
    dropped(Polls(2).timed(one.clone()));
    assert_eq!(done.values().len(), 1);
    dropped(
        Polls(2)
            .timed(one.clone())
            .cancelled_to(two.clone())
            .busy_to(three),
    );
    assert_eq!((done.values().len(), cancelled.values().len()), (1, 1));
    assert!(busy.values()[0] >= SHORT.as_secs_f64() * 0.999);
    drop(Polls(2).timed(one).cancelled_to(two));
    let counts = (
        done.values().len(),
        cancelled.values().len(),
        busy.values().len(),
    );
    assert_eq!(
        counts,
        (1, 1, 1),
        "a future that was never polled took no time"
    );
}

#[test]
fn a_poll_that_panics_counts_as_busy_and_as_given_up() {
    let ((done, one), (cancelled, two), (busy, three)) = (Kept::new(), Kept::new(), Kept::new());
    let future = async {
        spin(SHORT);
        panic!("on purpose")
    };
    let future = future.timed(one).cancelled_to(two).busy_to(three);
    assert!(catch_unwind(AssertUnwindSafe(|| poll(pin!(future)))).is_err());
    let counts = (done.values().len(), cancelled.values().len());
    assert_eq!(counts, (0, 1));
    assert!(busy.values()[0] >= SHORT.as_secs_f64() * 0.999);
}

/// How often `f` reads the clock and records.
fn cost(kept: &Kept, f: impl FnOnce()) -> (u64, usize) {
    let (readings, records) = (Moment::readings(), kept.values().len());
    f();
    (Moment::readings() - readings, kept.values().len() - records)
}

#[test]
fn a_duration_is_two_readings_and_one_record() {
    let (kept, histogram) = Kept::new();
    let handle = || histogram.clone();
    let mut pending = Box::pin(timed_future(handle(), Polls(5)));
    for (what, cost) in [
        ("timer", cost(&kept, || drop(Timer::start(handle())))),
        ("stopped", cost(&kept, || _ = Timer::start(handle()).stop())),
        ("closure", cost(&kept, || time(handle(), || ()))),
        (
            "future",
            cost(&kept, || while poll(pending.as_mut()).is_pending() {}),
        ),
    ] {
        assert_eq!(cost, (2, 1), "{what}");
    }
    let cancelled = cost(&kept, || Timer::start(handle()).cancel());
    assert_eq!(cancelled, (1, 0));
    let busy = Polls(3).timed(handle()).busy_to(handle());
    let mut busy = Box::pin(busy);
    let busy = cost(&kept, || while poll(busy.as_mut()).is_pending() {});
    assert_eq!(busy, (6, 2), "two a poll, and one record more");
}

#[cfg(feature = "macros")]
#[test]
fn what_the_attribute_writes_reads_the_clock_twice() {
    static LABELS: &[call::Label] = &[];
    static SITE: call::Fixed = call::Fixed::new(
        [const { call::key("calls_seconds", LABELS) }; 4],
        module_path!(),
    );
    let (kept, _) = Kept::new();
    let readings = |f: &dyn Fn()| cost(&kept, f).0;
    assert_eq!(readings(&|| drop(call::start(&&SITE))), 2);
    let fallible = || call::run(&SITE, (), || Ok::<_, ()>(1));
    assert_eq!(readings(&|| assert_eq!(fallible(), Ok(1))), 2);
    let polled = || {
        let mut future = Box::pin(call::run_future(&SITE, (), Polls(4)));
        while poll(future.as_mut()).is_pending() {}
    };
    assert_eq!(readings(&polled), 2);
}
