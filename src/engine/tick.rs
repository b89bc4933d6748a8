//! The tick: one synchronous function that turns what was recorded into a frame of history.
//!
//! Always in this order: collectors that are due; read live cells into a draft; commit the draft to history; leave room for what comes; evaluate
//! alerts; report.
//! A tick at the same instant as the one before joins its frame, so calling it too often loses nothing.

use super::core::Core;
use crate::{
    clock::Clock,
    config::{Plan, TierPlan},
    history::{Commit, History, Tier, Timeline},
    ledger::{Full, Ledger, Part},
    live::{Busy, collect::Collector, drain::Sweep},
    model::{Timestamp, frame::Span},
    util::{bits::low, fork},
};
use parking_lot::Mutex;
use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// What one call of [`Recall::tick`](crate::Recall::tick) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// The end of the tick on the store's axis.
    pub at: Timestamp,
    /// The clock had not moved since the tick before, and what was recorded joined its frame. Also set when nothing
    /// was done at all, because the call came from inside a tick.
    pub merged: bool,
}

/// What became of a tick.
pub(super) struct Done {
    tick: Tick,
    end_ns: u64,
    /// How long it took, without watches and alerts.
    took_ns: u64,
    pub(super) evicted: u64,
}

/// What only the tick may touch.
pub(crate) struct Engine {
    pub(super) history: History,
    collector: Collector,
    last_end_ns: u64,
    wall_start_ms: i64,
    resolution_ns: u64,
    /// Number of the tick before: its end in resolutions.
    before: u64,
    refused: u64,
    denied: u64,
    /// Bytes that the next tick is thought to need.
    work: usize,
    /// When the counts of `health` last turned.
    turned_ns: u64,
    /// What the budget is to be lowered to.
    pub(super) wanted: Option<usize>,
}

/// The draft may keep a sixteenth of the budget between ticks; a larger one is given back.
const DRAFT_SHARE: usize = 16;
/// This share of the budget is left free after each tick, for series that are new until the next.
const FREE_SHARE: usize = 32;

/// Bytes that a tick needs for nothing, and the share of the budget that it is left at most.
const WORK: usize = 8 << 10;
const WORK_SHARE: usize = 6;

/// What `health` counts is forgotten after one to two times this.
pub(super) const TURN_NS: u64 = 300_000_000_000;
/// The same.
pub(crate) const TURN: std::time::Duration = std::time::Duration::from_nanos(TURN_NS);

thread_local! {
    static TICKING: Cell<bool> = const { Cell::new(false) };
}

/// This thread is inside a tick.
struct Ticking(());

impl Ticking {
    fn enter() -> Option<Self> {
        (!TICKING.replace(true)).then(|| Self(()))
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        TICKING.set(false);
    }
}

/// The engine is at work: what ticks know of series, and history, may not agree.
struct Turn<'a>(&'a Core);

impl<'a> Turn<'a> {
    fn begin(core: &'a Core) -> Self {
        core.turn_over();
        Self(core)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.turn_over();
    }
}

/// Tiers as history has them.
fn tiers(plan: &[TierPlan]) -> Vec<Tier> {
    let tier = |tier: &TierPlan| Tier {
        interval_ns: nanos(tier.interval),
        keep_ns: tier.keep.map(nanos),
        scale: tier.schema,
    };
    plan.iter().map(tier).collect()
}

pub(super) fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Engine {
    pub(crate) fn new(plan: &Plan, clock: &Clock, ledger: Arc<Ledger>) -> Result<Self, Full> {
        let elapsed = clock.elapsed_ns();
        let since_start = i64::try_from(elapsed / 1_000_000).unwrap_or(i64::MAX);
        let wall_start_ms = clock.wall_ms().saturating_sub(since_start);
        ledger.reserve(Part::Tick, Collector::BYTES)?;
        let tiers = tiers(&plan.tiers);
        Ok(Self {
            history: History::new(ledger.clone(), &tiers, wall_start_ms)?,
            collector: Collector::new(ledger),
            last_end_ns: elapsed,
            wall_start_ms,
            resolution_ns: nanos(plan.resolution),
            before: elapsed / nanos(plan.resolution),
            refused: 0,
            denied: 0,
            work: WORK,
            turned_ns: elapsed,
            wanted: None,
        })
    }

    pub(crate) fn published(&self) -> Arc<Mutex<Arc<Timeline>>> {
        self.history.published()
    }

    /// From now on history is kept for as long as these tiers say, which differ in nothing else.
    pub(super) fn set_tiers(&mut self, plan: &[TierPlan]) {
        self.history.set_tiers(&tiers(plan));
    }

    /// The axis at `ns`, in wall milliseconds.
    fn wall_at(&self, ns: u64) -> i64 {
        let ms = i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX);
        self.wall_start_ms.saturating_add(ms)
    }

    /// `evict`: series that nobody holds go when they have been idle for more than so many ticks. Without it they go when
    /// there is no room for others.
    pub(super) fn run(&mut self, core: &Core, now_ns: u64, evict: Option<u32>) -> Done {
        let ledger = &core.live.ledger;
        let end_ns = now_ns.max(self.last_end_ns);
        let span = Span {
            start_ns: self.last_end_ns,
            end_ns,
            wall_ms: self.wall_at(end_ns),
        };
        let number = end_ns / self.resolution_ns;
        // What is left free is for new series, as far as there may be any, and for the next tick's draft and frame.
        let budget = ledger.budget();
        let free = (budget / FREE_SHARE).min(ledger.live_room());
        self.history.leave_free(self.work);
        let refused = ledger.refused() != self.refused;
        let sweep = self.plan_sweep(core, (number, span.wall_ms), evict);
        let swept = core.live.sweep(sweep, &mut self.collector);
        if swept.points > 0 && core.is_deaf.load(Relaxed) {
            core.is_deaf.store(false, Relaxed);
        }
        let draft = &self.collector.draft;
        let recorded = draft.counters.0.len() + draft.gauges.0.len() + draft.histograms.0.len();
        core.counts.recorded.fetch_add(recorded as u64, Relaxed);
        let points = self.collector.draft.len_bytes();
        self.work = (WORK + 6 * points).min(budget / WORK_SHARE);
        let commit = self.history.commit(&mut self.collector.draft, span, number);
        self.collector.shrink(budget / DRAFT_SHARE);
        self.history.seal();
        if refused && swept.ghosts > 0 {
            self.history.give_way();
        }
        self.history.leave_free(free + self.work);
        let late = span.duration_ns() > self.resolution_ns + self.resolution_ns / 2;
        self.before = number;
        self.last_end_ns = end_ns;
        let counts = &core.counts;
        counts.ticks.add(1);
        counts.late.add(u64::from(late));
        counts.waited.add(swept.waiting);
        for (count, shortened) in counts.shortened.iter().zip(&self.history.shortened) {
            count.store(*shortened, Relaxed);
        }
        if commit == Commit::Merged {
            counts.joined.fetch_add(1, Relaxed);
        }
        if commit == Commit::Lost {
            counts.lost.add(1);
        }
        if end_ns.saturating_sub(self.turned_ns) >= TURN_NS {
            self.turned_ns = end_ns;
            core.turn();
            core.attached.turn();
            fork::turn();
        }
        self.lower_budget(core);
        if let Some(tee) = &core.live.tee {
            tee.turn(end_ns);
        }
        Done {
            tick: Tick {
                at: Timestamp::from_millis(span.wall_ms),
                merged: commit == Commit::Merged,
            },
            end_ns,
            took_ns: 0,
            evicted: swept.evicted,
        }
    }

    /// What this sweep may evict: idle series only when something was refused since the last tick, or when told so.
    fn plan_sweep(
        &mut self,
        core: &Core,
        (number, now_ms): (u64, i64),
        evict: Option<u32>,
    ) -> Sweep {
        let refused = core.live.ledger.refused();
        let denied = core.live.denied();
        let pressed = refused != self.refused || denied != self.denied;
        self.refused = refused;
        self.denied = denied;
        let idle = nanos(core.plan.idle_timeout) / self.resolution_ns;
        let held = core.holds.oldest();
        let forget_after = self.history.oldest_ticks().map(|oldest| {
            let oldest = oldest.into_iter().chain(held).min().unwrap_or(number);
            low(number.saturating_sub(oldest).min(u32::MAX.into()))
        });
        Sweep {
            tick: low(number),
            now_ms,
            before: low(self.before),
            forget_after,
            evict_after: evict.or(pressed.then(|| low(idle.min(u64::from(u32::MAX))))),
        }
    }
}

impl Core {
    /// Runs a tick at the clock's now.
    pub(crate) fn tick(&self) -> Tick {
        let is_nested = Self::is_inside();
        // Without any lock, since collectors are user code. It is the tick already: one that ticks does nothing.
        if !is_nested && let Some(_ticking) = Ticking::enter() {
            self.collect_due();
        }
        let tick = self.with_engine(|engine| {
            let begin_ns = self.clock.elapsed_ns();
            let done = engine.run(self, begin_ns, None);
            let took = self.clock.elapsed_ns().saturating_sub(begin_ns);
            self.counts.slowest_ns.fetch_max(took, Relaxed);
            Done {
                took_ns: took,
                ..done
            }
        });
        let tick = tick.map(|done| {
            // Without the engine's lock, and without the mark of a recording: rules ask questions. It is still the tick.
            if let Some(_ticking) = Ticking::enter() {
                let begin_ns = self.clock.elapsed_ns();
                self.update_watches();
                self.evaluate_alerts(done.end_ns, done.tick.at);
                let took = self.clock.elapsed_ns().saturating_sub(begin_ns);
                self.counts.durations.add(took.saturating_add(done.took_ns));
            }
            if let Some(tee) = &self.live.tee {
                tee.do_chores(done.end_ns);
            }
            self.with_worker(|worker| worker.note_tick(done.end_ns));
            done.tick
        });
        tick.unwrap_or_else(|| {
            self.counts.nested.add(u64::from(is_nested));
            let last = self.timeline().last().map_or(0, |frame| frame.span.wall_ms);
            Tick {
                at: Timestamp::from_millis(last),
                merged: true,
            }
        })
    }

    /// The engine's work begins or ends.
    fn turn_over(&self) {
        if let Some(mut turns) = fork::lock(&self.turns) {
            *turns += 1;
        }
    }

    /// Whether this thread is inside of a tick or a recording, as in an allocator, and may hold locks.
    pub(super) fn is_inside() -> bool {
        TICKING.get() || Busy::enter().is_none()
    }

    /// Has the engine for itself; `None` inside of a tick, and in a child that was forked in the middle of one.
    pub(super) fn with_engine<T>(&self, work: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        // An allocator that emits metrics must not find this thread in the slow path while a shard is locked; and one
        // that ticks must not find itself waiting for a lock that this thread holds.
        let (_ticking, _busy) = (Ticking::enter()?, Busy::enter()?);
        let mut engine = fork::lock(&self.engine)?;
        let _turn = Turn::begin(self);
        Some(work(&mut engine))
    }
}
