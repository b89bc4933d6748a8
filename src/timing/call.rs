//! What `#[timed]` expands to. Public for the code that the macro writes, and for nobody else.
#![expect(missing_docs, reason = "hidden from the documentation")]

use super::{Timer, seconds};
use crate::clock::Moment;
use metrics::{Gauge, Histogram, Level, Metadata};
use pin_project_lite::pin_project;
use std::{
    fmt::Display,
    pin::Pin,
    task::{Context, Poll},
};

#[cfg(feature = "alloc")]
pub use super::allocated::Allocated;
pub use metrics::{Key, Label};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Ok,
    Err,
    Panicked,
    Cancelled,
}

/// The series that the calls of a function go to, one for each end.
pub trait Site {
    fn histogram(&self, end: End) -> Histogram;
}

/// What is recorded of a call beside its time: nothing, which is `()`, or what it allocated.
pub trait Also {
    /// Runs a part of the call: all of it, or one poll.
    fn part<T>(&mut self, f: impl FnOnce() -> T) -> T;

    /// The call is over.
    fn record(&self, end: End);
}

impl Also for () {
    #[inline]
    fn part<T>(&mut self, f: impl FnOnce() -> T) -> T {
        f()
    }

    #[inline]
    fn record(&self, _: End) {}
}

/// Series whose keys are made at compile time, by `End`.
#[derive(Debug)]
pub struct Fixed {
    keys: [Key; 4],
    metadata: Metadata<'static>,
}

/// Series with labels that were computed for this call.
#[derive(Debug)]
pub struct Computed {
    name: &'static str,
    module: &'static str,
    is_fallible: bool,
    labels: Vec<Label>,
}

/// What a call returns tells how it ended.
#[diagnostic::on_unimplemented(
    message = "`#[timed(result)]` needs a function that returns a `Result`, not `{Self}`",
    label = "this is not a `Result`",
    note = "without `result`, every return type will do"
)]
pub trait Outcome {
    fn end(&self) -> End;
}

#[must_use]
pub const fn label(name: &'static str, value: &'static str) -> Label {
    Label::from_static_parts(name, value)
}

#[must_use]
pub const fn key(name: &'static str, labels: &'static [Label]) -> Key {
    Key::from_static_parts(name, labels)
}

/// Copies what the value is shown as, so that the call can use the value itself.
#[must_use]
pub fn computed_label(name: &'static str, value: &(impl Display + ?Sized)) -> Label {
    Label::new(name, value.to_string())
}

#[must_use]
pub fn computed_key(name: &'static str, labels: Vec<Label>) -> Key {
    Key::from_parts(name, labels)
}

/// A timer of a function that does not say how it ends.
#[inline]
pub fn start(site: &impl Site) -> Timer {
    Timer::start(site.histogram(End::Ok))
}

/// Runs a function that says how it ends. A closure that is passed on may give back what it borrowed.
#[inline]
pub fn run<R: Outcome>(site: impl Site, also: impl Also, body: impl FnOnce() -> R) -> R {
    let mut call = Call::new(site, also, End::Panicked);
    let out = call.also.part(body);
    call.end = out.end();
    out
}

/// Runs a function that does not say how it ends.
#[inline]
pub fn run_any<R>(site: impl Site, also: impl Also, body: impl FnOnce() -> R) -> R {
    let mut call = Call::new(site, also, End::Ok);
    call.also.part(body)
}

/// Runs a future; how it ends is told only if it is given up.
#[inline]
pub fn run_future<F: Future>(
    site: impl Site,
    also: impl Also,
    future: F,
) -> impl Future<Output = F::Output> {
    Running {
        future,
        end_of: |_: &F::Output| End::Ok,
        call: Call::new(site, also, End::Cancelled),
    }
}

/// Runs a future that says how it ends.
#[inline]
pub fn run_fallible<F>(
    site: impl Site,
    also: impl Also,
    future: F,
) -> impl Future<Output = F::Output>
where
    F: Future<Output: Outcome>,
{
    Running {
        future,
        end_of: F::Output::end,
        call: Call::new(site, also, End::Cancelled),
    }
}

/// Counts a call as in flight as long as it lives.
pub fn in_flight(key: &Key, module: &'static str) -> InFlight {
    let metadata = metadata(module);
    let gauge = metrics::with_recorder(|recorder| recorder.register_gauge(key, &metadata));
    gauge.increment(1);
    InFlight(gauge)
}

/// Holds its handle for the call, so that it goes down where it went up.
#[must_use]
#[expect(missing_debug_implementations, reason = "a macro's guard")]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

impl Fixed {
    #[must_use]
    pub const fn new(keys: [Key; 4], module: &'static str) -> Self {
        Self {
            keys,
            metadata: metadata(module),
        }
    }
}

impl Computed {
    #[must_use]
    pub fn new(
        name: &'static str,
        module: &'static str,
        is_fallible: bool,
        labels: Vec<Label>,
    ) -> Self {
        Self {
            name,
            module,
            is_fallible,
            labels,
        }
    }

    /// Another metric with the same labels.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn renamed(&self, name: &'static str) -> Self {
        let labels = self.labels.clone();
        Self::new(name, self.module, self.is_fallible, labels)
    }
}

impl Site for &'static Fixed {
    #[inline]
    fn histogram(&self, end: End) -> Histogram {
        let key = &self.keys[end as usize];
        metrics::with_recorder(|recorder| recorder.register_histogram(key, &self.metadata))
    }
}

impl Site for Computed {
    fn histogram(&self, end: End) -> Histogram {
        let end = match end {
            End::Cancelled => Some("cancelled"),
            _ if !self.is_fallible => None,
            End::Ok => Some("ok"),
            End::Err => Some("err"),
            End::Panicked => Some("panic"),
        };
        let mut labels = self.labels.clone();
        labels.extend(end.map(|end| label("result", end)));
        let key = Key::from_parts(self.name, labels);
        let metadata = metadata(self.module);
        metrics::with_recorder(|recorder| recorder.register_histogram(&key, &metadata))
    }
}

impl<T, E> Outcome for Result<T, E> {
    #[inline]
    fn end(&self) -> End {
        match self {
            Ok(_) => End::Ok,
            Err(_) => End::Err,
        }
    }
}

/// Records when it is dropped, as the end that it has then.
struct Call<S: Site, A: Also> {
    start: Moment,
    end: End,
    site: S,
    also: A,
}

impl<S: Site, A: Also> Call<S, A> {
    /// Begins now; `end` is the one that it has if nobody says another.
    #[inline]
    fn new(site: S, also: A, end: End) -> Self {
        Self {
            start: Moment::now(),
            end,
            site,
            also,
        }
    }
}

impl<S: Site, A: Also> Drop for Call<S, A> {
    #[inline]
    fn drop(&mut self) {
        let nanos = self.start.nanos_to(Moment::now());
        self.site.histogram(self.end).record(seconds(nanos));
        self.also.record(self.end);
    }
}

pin_project! {
    struct Running<F, E, S: Site, A: Also> {
        #[pin]
        future: F,
        end_of: E,
        call: Call<S, A>,
    }
}

impl<F, E, S, A> Future for Running<F, E, S, A>
where
    F: Future,
    E: Fn(&F::Output) -> End,
    S: Site,
    A: Also,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // What a poll leaves behind that does not come back.
        this.call.end = End::Panicked;
        let polled = this.call.also.part(|| this.future.poll(context));
        this.call.end = match &polled {
            Poll::Ready(output) => (this.end_of)(output),
            Poll::Pending => End::Cancelled,
        };
        polled
    }
}

const fn metadata(module: &'static str) -> Metadata<'static> {
    Metadata::new(module, Level::INFO, Some(module))
}
