//! Room by hand: clean up now, and another budget while the store runs.

use super::{
    core::Core,
    info::Bytes,
    tick::{Engine, nanos},
};
use crate::{
    config::LARGEST,
    error::Error,
    ledger::{Ledger, SMALLEST},
    util::bits::low,
};
use std::fmt;

/// What a cleanup made free. Shown as `1.2 MiB: 600 points, 20 series`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freed {
    /// Points of all tiers that were dropped. A point is one tick, or one interval of a coarse tier, of all series.
    pub points: u64,
    /// Series that were evicted.
    pub series: u64,
    /// Bytes that are in use no more. What a reader still holds is not among them.
    pub bytes: usize,
}

impl fmt::Display for Freed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            points,
            series,
            bytes,
        } = self;
        write!(f, "{}: {points} points, {series} series", Bytes(*bytes))
    }
}

impl Core {
    /// Drops what is past its retention, and evicts what nobody holds and has been idle for the idle timeout.
    pub(crate) fn cleanup(&self) -> Freed {
        let idle = nanos(self.plan.idle_timeout) / nanos(self.plan.resolution).max(1);
        let idle = low(idle.min(u64::from(u32::MAX)));
        self.clean(idle, |_| ())
    }

    /// Drops all points but the newest `keep` of each tier, and evicts what nobody holds and did not change in the newest
    /// `keep` ticks.
    pub(crate) fn force_cleanup(&self, keep: usize) -> Freed {
        let idle = u32::try_from(keep).unwrap_or(u32::MAX);
        self.clean(idle, |engine| engine.history.keep_newest(keep))
    }

    fn clean(&self, idle: u32, more: impl Fn(&mut Engine)) -> Freed {
        let freed = self.with_engine(|engine| {
            let ledger = &self.live.ledger;
            let used = ledger.used_of().0;
            let points = engine.history.points();
            let now_ns = self.clock.elapsed_ns();
            let done = engine.run(self, now_ns, Some(idle));
            more(engine);
            // What was evicted is forgotten when no point mentions it any more: that is now, if points were dropped.
            let again = engine.run(self, now_ns, Some(idle));
            let left = engine.history.points();
            Freed {
                points: points.saturating_sub(left),
                series: done.evicted + again.evicted,
                bytes: used.saturating_sub(ledger.used_of().0),
            }
        });
        freed.unwrap_or_else(|| {
            self.counts.nested.add(1);
            Freed::default()
        })
    }

    pub(crate) fn set_memory_budget(&self, bytes: usize) -> Result<(), Error> {
        if !(SMALLEST..=LARGEST).contains(&bytes) {
            return Err(Error::invalid(format!(
                "memory budget of {bytes} bytes: allowed are {SMALLEST} (128 KiB) to {LARGEST} (64 TiB)"
            )));
        }
        let idle = nanos(self.plan.idle_timeout) / nanos(self.plan.resolution).max(1);
        let idle = low(idle.min(u64::from(u32::MAX)));
        let set = self.with_engine(|engine| {
            let ledger = &self.live.ledger;
            engine.wanted = Some(bytes);
            engine.lower_budget(self);
            if engine.wanted.is_some() {
                // Live data may be in the way, too.
                engine.run(self, self.clock.elapsed_ns(), Some(idle));
            }
            let live = ledger.live();
            if engine.wanted.is_some() && live > Ledger::live_share(bytes) {
                engine.wanted = None;
                let least = Ledger::least_budget(live);
                return Err(Error::invalid(format!(
                    "memory budget of {bytes} bytes: live series take {live} bytes, and history needs its quarter; allowed are {least} bytes or more now"
                )));
            }
            Ok(())
        });
        set.unwrap_or_else(|| {
            Err(Error::invalid(
                "the memory budget cannot change inside a tick: allowed is anywhere else",
            ))
        })
    }
}

impl Engine {
    /// Changes the budget to what is wanted, making room for it first. What a reader holds may be in the way: then it is
    /// tried again with the next tick.
    pub(super) fn lower_budget(&mut self, core: &Core) {
        let Some(wanted) = self.wanted else {
            return;
        };
        let ledger = &core.live.ledger;
        if wanted < ledger.budget() {
            // As much stays free as after any tick.
            let free = ledger.budget() - wanted + wanted / 16;
            self.history.leave_free(free);
        }
        if ledger.live() <= Ledger::live_share(wanted) && ledger.set_budget(wanted).is_ok() {
            self.wanted = None;
        }
    }
}
