//! A future, and how long it took: by the clock on the wall, and while it was being polled.

use super::seconds;
use crate::clock::Moment;
use metrics::Histogram;
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Records into `histogram`, in seconds, how long `future` takes from its first poll to its end, waiting included.
///
/// A future that is dropped before its end is recorded where [`TimedFuture::cancelled_to`] says, and in `histogram` if
/// nothing was said; one that was never polled took no time, and is not recorded at all.
///
/// ```
/// use metrics::histogram;
/// use metrics_recall::timed_future;
///
/// async fn page() -> String {
///     timed_future(histogram!("page_seconds"), async { String::from("hello") }).await
/// }
/// ```
pub fn timed_future<F: Future>(histogram: Histogram, future: F) -> TimedFuture<F> {
    TimedFuture {
        future,
        clocks: Clocks {
            started: None,
            polled: 0,
            wall: Some(histogram),
            cancelled: None,
            busy: None,
        },
    }
}

/// Times a future where it stands: `fetch().timed(histogram!("fetch_seconds")).await`.
///
/// ```
/// use metrics::histogram;
/// use metrics_recall::Timed;
///
/// async fn page() -> String {
///     async { String::from("hello") }
///         .timed(histogram!("page_seconds", "result" => "done"))
///         .cancelled_to(histogram!("page_seconds", "result" => "cancelled"))
///         .busy_to(histogram!("page_busy_seconds"))
///         .await
/// }
/// ```
pub trait Timed: Future + Sized {
    /// As [`timed_future`].
    fn timed(self, histogram: Histogram) -> TimedFuture<Self> {
        timed_future(histogram, self)
    }
}

impl<F: Future> Timed for F {}

pin_project! {
    /// A future that records how long it took. [`timed_future`] and [`Timed::timed`] make it.
    ///
    /// # Cost
    ///
    /// Two readings of the processor's counter and one record, however often it is polled; with
    /// [`busy_to`](Self::busy_to) two readings a poll and one record more. No allocation.
    #[must_use = "futures do nothing unless polled"]
    pub struct TimedFuture<F> {
        #[pin]
        future: F,
        clocks: Clocks,
    }
}

struct Clocks {
    started: Option<Moment>,
    /// Nanoseconds in `poll`; stays 0 without `busy`.
    polled: u64,
    /// None once it is recorded.
    wall: Option<Histogram>,
    cancelled: Option<Histogram>,
    busy: Option<Histogram>,
}

impl<F> TimedFuture<F> {
    /// Where the time of a future goes that is dropped before its end, or whose poll panics: into another series, usually
    /// of the same metric, so that what was given up does not look like what was done.
    pub fn cancelled_to(mut self, histogram: Histogram) -> Self {
        self.clocks.cancelled = Some(histogram);
        self
    }

    /// Where the time goes that was spent in `poll` alone, without the waiting between; cancelled or not.
    pub fn busy_to(mut self, histogram: Histogram) -> Self {
        self.clocks.busy = Some(histogram);
        self
    }
}

impl<F: Future> Future for TimedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let clocks = this.clocks;
        if clocks.busy.is_none() {
            clocks.started.get_or_insert_with(Moment::now);
            let output = ready!(this.future.poll(context));
            clocks.end(Moment::now(), End::Done);
            return Poll::Ready(output);
        }
        let start = Moment::now();
        clocks.started.get_or_insert(start);
        let polling = Polling { clocks, start };
        let output = ready!(this.future.poll(context));
        let end = polling.stop();
        clocks.end(end, End::Done);
        Poll::Ready(output)
    }
}

#[derive(Clone, Copy)]
enum End {
    Done,
    Cancelled,
}

impl Clocks {
    fn end(&mut self, now: Moment, end: End) {
        let (Some(start), Some(wall)) = (self.started, self.wall.take()) else {
            return;
        };
        let cancelled = self.cancelled.take();
        let to = match end {
            End::Done => wall,
            End::Cancelled => cancelled.unwrap_or(wall),
        };
        to.record(seconds(start.nanos_to(now)));
        if let Some(busy) = self.busy.take() {
            busy.record(seconds(self.polled));
        }
    }
}

impl Drop for Clocks {
    fn drop(&mut self) {
        if self.started.is_some() && self.wall.is_some() {
            self.end(Moment::now(), End::Cancelled);
        }
    }
}

/// Adds up the time of a poll, also of one that panics.
struct Polling<'a> {
    clocks: &'a mut Clocks,
    start: Moment,
}

impl Polling<'_> {
    fn stop(self) -> Moment {
        let end = Moment::now();
        self.clocks.polled += self.start.nanos_to(end);
        std::mem::forget(self);
        end
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.clocks.polled += self.start.nanos_to(Moment::now());
    }
}

impl<F> fmt::Debug for TimedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedFuture").finish_non_exhaustive()
    }
}
