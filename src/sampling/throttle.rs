//! So many a second, and no more, over all threads.

use super::now_ns;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SECOND: u64 = 1_000_000_000;

/// Lets through `n` a second: a full second's worth at once after a pause, then one at a time.
#[derive(Debug)]
pub struct Throttle {
    /// Nanoseconds that one record stands for.
    interval: u64,
    /// When all that was let through would have come, had it come evenly, in nanoseconds since the first use in the process.
    due: AtomicU64,
}

impl Throttle {
    /// # Panics
    ///
    /// While the program compiles, if `n` is 0.
    #[must_use]
    pub const fn new(n: u32) -> Self {
        assert!(
            n > 0,
            "`throttled!(0 per second, ..)` would let nothing through: at least 1"
        );
        Self {
            interval: SECOND / n as u64,
            due: AtomicU64::new(0),
        }
    }

    /// Whether this one may pass.
    #[must_use]
    pub fn lets_through(&self) -> bool {
        self.lets_through_at(now_ns())
    }

    fn lets_through_at(&self, now: u64) -> bool {
        let admit = |due| admit(due, now, self.interval);
        self.due.fetch_update(Relaxed, Relaxed, admit).is_ok()
    }
}

/// When the next record is due after one at `now`; `None`: there were too many before it.
fn admit(due: u64, now: u64, interval: u64) -> Option<u64> {
    let due = due.max(now) + interval;
    (due <= now + SECOND).then_some(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lets_through_what_it_says_and_no_more() {
        let throttle = Throttle::new(100);
        let passed = |at| (0..1_000).filter(|_| throttle.lets_through_at(at)).count();
        assert_eq!(passed(0), 100, "a full second's worth at once");
        assert_eq!(passed(SECOND / 100), 1);
        assert_eq!(passed(SECOND / 2), 49);
        assert_eq!(passed(10 * SECOND), 100, "a pause does not save up");
    }

    #[test]
    fn an_even_stream_below_the_limit_passes_whole() {
        let throttle = Throttle::new(100);
        assert!((0..10_000).all(|i| throttle.lets_through_at(i * SECOND / 99)));
        let fast = Throttle::new(u32::MAX);
        assert!((0..10_000).all(|_| fast.lets_through_at(0)));
    }

    #[test]
    fn threads_share_one_limit() {
        let throttle = Throttle::new(1_000);
        let passed = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        passed.fetch_add(u64::from(throttle.lets_through_at(0)), Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 1_000);
    }
}
