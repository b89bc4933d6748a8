//! Recording one call of many, with the weight of all, and no more than so many a second. Works with any recorder.
//!
//! A call is taken by chance, whatever its value: taken with probability `1/n` and counted `n` times, it contributes to counts and sums
//! what it would have without sampling, on average. A fixed stride would not: a period of the program would meet it.

mod auto;
mod chance;
mod sampled;
mod site;
mod throttle;

use crate::clock::Moment;
use std::sync::LazyLock;

pub use self::{auto::Auto, chance::chosen, sampled::Sampled, site::Site, throttle::Throttle};

/// Records one call in `n`, chosen by chance and counted `n` times: for call sites that are so hot that a record is too much.
///
/// Counts, rates and sums are right on average, and so are quantiles; extremes are those of the calls that were taken.
/// What is not taken does not look up the metric, nor compute the value in the first form.
///
/// ```
/// use metrics::{counter, histogram};
/// use metrics_recall::sampled;
///
/// # let (recorder, recall) = metrics_recall::Recall::builder().build()?;
/// # recorder.scope(|| {
/// for byte in 0..=255_u8 {
///     sampled!(1 in 64, histogram!("byte_value").record(byte));
///     sampled!(1 in 64, counter!("bytes_total")).increment(1);
///     sampled!(auto, histogram!("byte_value", "by" => "auto").record(byte));
/// }
/// # });
/// # Ok::<(), metrics_recall::Error>(())
/// ```
///
/// `auto` finds `n` by itself, for each call site and thread: so that about a thousand calls a second are taken, and all of them where there
/// are fewer.
///
/// The counters `recall_sampled_total{site}` and `recall_sampled_weight_total{site}` say how many calls were taken and how many they stand
/// for. A `gauge!` cannot be sampled, as its last value counts; `n` is a constant of at least 1.
///
/// # Cost
///
/// A few nanoseconds a call that is not taken, without touching memory of other threads; `auto` reads the processor's
/// counter once in 32 calls or fewer. No allocation.
#[macro_export]
macro_rules! sampled {
    (1 in $n:expr, $($metric:ident)::+ ! ($($arguments:tt)*) . $record:ident ($($value:tt)*)) => {
        match $crate::__sampling::chosen(const { $crate::__sampling::one_in($n) }) {
            ::core::option::Option::Some(weight) => {
                $crate::__sampling_site!().sampled(weight);
                $crate::__sampling::Sampled::new($($metric)::+!($($arguments)*), weight).$record($($value)*)
            }
            ::core::option::Option::None => {}
        }
    };
    (1 in $n:expr, $handle:expr) => {
        match $crate::__sampling::chosen(const { $crate::__sampling::one_in($n) }) {
            ::core::option::Option::Some(weight) => {
                $crate::__sampling_site!().sampled(weight);
                $crate::__sampling::Sampled::new($handle, weight)
            }
            ::core::option::Option::None => $crate::__sampling::Sampled::nothing(),
        }
    };
    (auto, $($metric:ident)::+ ! ($($arguments:tt)*) . $record:ident ($($value:tt)*)) => {
        match $crate::__sampling_auto!() {
            ::core::option::Option::Some(weight) => {
                $crate::__sampling_site!().sampled(weight);
                $crate::__sampling::Sampled::new($($metric)::+!($($arguments)*), weight).$record($($value)*)
            }
            ::core::option::Option::None => {}
        }
    };
    (auto, $handle:expr) => {
        match $crate::__sampling_auto!() {
            ::core::option::Option::Some(weight) => {
                $crate::__sampling_site!().sampled(weight);
                $crate::__sampling::Sampled::new($handle, weight)
            }
            ::core::option::Option::None => $crate::__sampling::Sampled::nothing(),
        }
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "write `sampled!(1 in 64, histogram!(..).record(value))` or `sampled!(auto, ..)`, with `counter!` or `histogram!`"
        )
    };
}

/// Lets through so many records a second, and counts the others: for what may come in floods, each of which is like the last.
///
/// It counts for the whole process and for this call site: at first as many at once as in a second, then evenly. What is held back is in
/// `recall_throttled_total{site}`, and nowhere else; where sums have to stay right, [`sampled!`](crate::sampled) is the one.
///
/// ```
/// use metrics::histogram;
/// use metrics_recall::throttled;
///
/// # let (recorder, recall) = metrics_recall::Recall::builder().build()?;
/// # recorder.scope(|| {
/// for attempt in 0..1_000_u32 {
///     throttled!(100 per second, histogram!("rejected_size").record(attempt));
/// }
/// # });
/// assert!(recall.counters("recall_throttled_total").total() >= Some(800));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
///
/// # Cost
///
/// One reading of the processor's counter; a shared word is written for what is let through, and a counter of the thread's own for the rest.
#[macro_export]
macro_rules! throttled {
    ($n:literal per second, $($metric:ident)::+ ! ($($arguments:tt)*) . $record:ident ($($value:tt)*)) => {{
        static THROTTLE: $crate::__sampling::Throttle = $crate::__sampling::Throttle::new($n);
        if THROTTLE.lets_through() {
            $($metric)::+!($($arguments)*).$record($($value)*)
        } else {
            $crate::__sampling_site!().throttled()
        }
    }};
    ($($other:tt)*) => {
        ::core::compile_error!("write `throttled!(100 per second, counter!(..).increment(1))`, with a number")
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __sampling_site {
    () => {{
        static LABELS: [$crate::metrics::Label; 1] = [$crate::metrics::Label::from_static_parts(
            "site",
            ::core::concat!(::core::module_path!(), ":", ::core::line!()),
        )];
        static SITE: $crate::__sampling::Site = $crate::__sampling::Site::new(&LABELS);
        &SITE
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __sampling_auto {
    () => {{
        ::std::thread_local! {
            static AUTO: $crate::__sampling::Auto = const { $crate::__sampling::Auto::new() };
        }
        AUTO.with($crate::__sampling::Auto::chosen)
    }};
}

/// `n`, where it is one that calls can be chosen by.
///
/// # Panics
///
/// While the program compiles, if `n` is 0.
#[must_use]
pub const fn one_in(n: u32) -> u32 {
    assert!(
        n > 0,
        "`sampled!(1 in 0, ..)` would record nothing: at least 1"
    );
    n
}

/// Nanoseconds since the first question in the process.
fn now_ns() -> u64 {
    static START: LazyLock<Moment> = LazyLock::new(Moment::now);
    let start = *START; // First, or the first answer would be from before the start.
    start.nanos_to(Moment::now())
}

#[cfg(test)]
mod tests;
