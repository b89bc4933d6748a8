//! The only reader of the operating system's time.
//!
//! A clock answers two things: how much time has passed since it was made (monotonic, suspension included) and what
//! the wall says. Everything else in the crate takes time as an argument.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// `n` seconds: `over(secs(30))`.
#[must_use]
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` minutes: `over(mins(5))`.
#[must_use]
pub const fn mins(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(60))
}

/// Where the store takes its time from: the machine, or a hand-driven clock in tests.
///
/// ```
/// use metrics_recall::{Clock, Recall, secs};
///
/// let (clock, hands) = Clock::manual();
/// let (_recorder, recall) = Recall::builder().clock(clock).build()?;
/// hands.advance(secs(1));
/// recall.tick();
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Machine { start: u64 },
    Hands(Arc<Hands>),
}

#[derive(Debug, Default)]
struct Hands {
    /// Nanoseconds since the clock was made, suspension included.
    elapsed: AtomicU64,
    /// Wall clock at the start plus all steps, in milliseconds since the Unix epoch.
    wall_base: AtomicI64,
}

/// Moves a manual [`Clock`]. Clones move the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

/// 2026-01-01T00:00:00Z, where manual clocks start, so that tests are alike everywhere.
const MANUAL_START_MS: i64 = 1_767_225_600_000;

impl Default for Clock {
    fn default() -> Self {
        Self(Source::Machine {
            start: machine::elapsed_ns(),
        })
    }
}

impl Clock {
    /// A clock that stands still until its hands are moved. It starts at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn manual() -> (Clock, ManualClock) {
        let hands = Arc::new(Hands {
            elapsed: AtomicU64::new(0),
            wall_base: AtomicI64::new(MANUAL_START_MS),
        });
        (Clock(Source::Hands(hands.clone())), ManualClock(hands))
    }

    /// Nanoseconds since this clock was made; never steps back, and counts the time of a suspended machine.
    pub(crate) fn elapsed_ns(&self) -> u64 {
        match &self.0 {
            Source::Machine { start } => machine::elapsed_ns().saturating_sub(*start),
            Source::Hands(hands) => hands.elapsed.load(Relaxed),
        }
    }

    /// Milliseconds since the Unix epoch, as the wall has it now.
    pub(crate) fn wall_ms(&self) -> i64 {
        match &self.0 {
            Source::Machine { .. } => machine::wall_ms(),
            Source::Hands(hands) => {
                let elapsed = hands.elapsed.load(Relaxed) / 1_000_000;
                let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX);
                hands.wall_base.load(Relaxed).saturating_add(elapsed)
            }
        }
    }
}

impl ManualClock {
    /// Lets `by` pass.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let _ = self
            .0
            .elapsed
            .fetch_update(Relaxed, Relaxed, |now| Some(now.saturating_add(by)));
    }

    /// The machine sleeps for `time`: nothing runs, and the time passes all the same.
    pub fn suspend(&self, time: Duration) {
        self.advance(time);
    }

    /// Steps the wall clock, as an operator or NTP would. No time passes.
    pub fn step_wall(&self, seconds: i64) {
        let ms = seconds.saturating_mul(1_000);
        let _ = self
            .0
            .wall_base
            .fetch_update(Relaxed, Relaxed, |wall| Some(wall.saturating_add(ms)));
    }
}

/// A moment of the processor's counter, for durations within the process: two of these cost what one `Instant` does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(u64);

/// The first reading in a process compares the counter with the system's clock, for about a millisecond.
static COUNTER: LazyLock<quanta::Clock> = LazyLock::new(quanta::Clock::new);

#[cfg(test)]
thread_local! {
    static READINGS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

impl Moment {
    #[inline]
    pub(crate) fn now() -> Self {
        #[cfg(test)]
        READINGS.set(READINGS.get() + 1);
        Self(COUNTER.raw())
    }

    /// How often this thread has read the counter.
    #[cfg(test)]
    pub(crate) fn readings() -> u64 {
        READINGS.get()
    }

    /// Nanoseconds from this moment to `end`; zero if that is earlier, as it may be on another core.
    #[inline]
    pub(crate) fn nanos_to(self, end: Self) -> u64 {
        COUNTER.delta_as_nanos(self.0, end.0)
    }
}

mod machine {
    //! What the operating system says.
    #![expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clocks of the machine"
    )]

    use std::time::SystemTime;

    #[cfg(target_os = "linux")]
    pub(super) fn elapsed_ns() -> u64 {
        use rustix::time::{ClockId, clock_gettime};
        let now = clock_gettime(ClockId::Boottime);
        let secs = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
        secs.saturating_mul(1_000_000_000).saturating_add(nanos)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn elapsed_ns() -> u64 {
        use std::{sync::OnceLock, time::Instant};
        static START: OnceLock<Instant> = OnceLock::new();
        let start = START.get_or_init(Instant::now);
        u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn wall_ms() -> i64 {
        let ms = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i128::try_from(after.as_millis()).unwrap_or(i128::MAX),
            Err(before) => -i128::try_from(before.duration().as_millis()).unwrap_or(i128::MAX),
        };
        i64::try_from(ms).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_steps_do_not_move_the_axis() {
        let (clock, hands) = Clock::manual();
        hands.advance(secs(5));
        hands.step_wall(-3600);
        assert_eq!(clock.elapsed_ns(), 5_000_000_000);
        assert_eq!(clock.wall_ms(), MANUAL_START_MS + 5_000 - 3_600_000);
    }

    #[test]
    fn suspension_counts_as_time() {
        let (clock, hands) = Clock::manual();
        hands.suspend(secs(90));
        assert_eq!(clock.elapsed_ns(), 90_000_000_000);
    }

    #[test]
    fn the_machine_clock_does_not_step_back() {
        let clock = Clock::default();
        let first = clock.elapsed_ns();
        assert!(clock.elapsed_ns() >= first);
        assert!(clock.wall_ms() > MANUAL_START_MS);
    }
}
