//! A store as a whole: live cells, history, a clock, and the lock that lets one tick run at a time.

use super::{
    attached::Attachments, durations::Durations, holds::Holds, schedule::Schedule,
    strange::Strange, tick::Engine, watches::Watches, worker::Worker,
};
use crate::{
    alerts::{Board, Now},
    clock::Clock,
    config::{MOST_TIERS, Plan, RetentionRule, TierPlan},
    error::Error,
    history::Timeline,
    ledger::{Full, Ledger},
    live::{Busy, Live, registry::Limits, tee::Tee},
    model::Timestamp,
    util::{fork, recent::Recent},
};
use parking_lot::{Mutex, ReentrantMutex};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64},
};

/// Everything behind a handle.
pub(crate) struct Core {
    pub(crate) live: Arc<Live>,
    pub(crate) clock: Clock,
    pub(crate) plan: Plan,
    pub(crate) engine: Mutex<Engine>,
    /// The plan's, with the retention classes of the newest rules.
    pub(crate) tiers: Mutex<Vec<TierPlan>>,
    pub(crate) counts: Counts,
    pub(super) worker: Mutex<Option<Worker>>,
    /// Held while the worker is started or stopped.
    pub(super) life: ReentrantMutex<()>,
    pub(super) is_shut: AtomicBool,
    /// What macros emit did not arrive when that was tried, nor has anything else since.
    pub(super) is_deaf: AtomicBool,
    /// When the store was made, on its clock.
    pub(super) born_ns: u64,
    /// When the store became the process's, on its clock; [`u64::MAX`]: it has not.
    pub(crate) installed_ns: AtomicU64,
    /// Somebody has asked for the exposition: only then does it matter what names meet in it.
    pub(crate) is_exposed: AtomicBool,
    pub(crate) alerts: Arc<Board>,
    pub(crate) attached: Attachments,
    pub(super) watches: Watches,
    pub(crate) schedule: Schedule,
    pub(crate) holds: Arc<Holds>,
    /// How often the engine's work began and ended: odd while it is at work.
    pub(super) turns: Mutex<u64>,
    published: Arc<Mutex<Arc<Timeline>>>,
    /// History before the first tick: for a child that was forked while the newest one was being published.
    nothing: Arc<Timeline>,
}

/// What the engine counts of itself.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) ticks: Recent,
    /// Ticks that took place more than half a resolution after their time.
    pub(crate) late: Recent,
    /// Ticks whose frame had no room; totals have them, windows do not.
    pub(crate) lost: Recent,
    /// Ticks of the worker that panicked, but for what watches did.
    pub(crate) panicked: Recent,
    /// Calls of `tick` from inside a tick.
    pub(crate) nested: Recent,
    /// Points that had to wait for a later tick for want of room.
    pub(crate) waited: Recent,
    /// By tier: points dropped before their retention was over.
    pub(crate) shortened: [AtomicU64; MOST_TIERS],
    pub(crate) slowest_ns: AtomicU64,
    /// Ticks that joined the frame of the one before.
    pub(crate) joined: AtomicU64,
    /// How long ticks took, and the points that they made.
    pub(crate) durations: Durations,
    pub(crate) recorded: AtomicU64,
    /// Questions that were refused for want of working memory.
    pub(crate) refused_questions: Recent,
    /// Questions about what does not exist, or with arguments that make no sense.
    pub(crate) strange: Strange,
}

impl Counts {
    fn new() -> Self {
        Self {
            ticks: Recent::new(),
            late: Recent::new(),
            lost: Recent::new(),
            panicked: Recent::new(),
            nested: Recent::new(),
            waited: Recent::new(),
            shortened: std::array::from_fn(|_| AtomicU64::new(0)),
            slowest_ns: AtomicU64::new(0),
            joined: AtomicU64::new(0),
            durations: Durations::new(),
            recorded: AtomicU64::new(0),
            refused_questions: Recent::new(),
            strange: Strange::default(),
        }
    }

    fn turn(&self) {
        for count in [
            &self.ticks,
            &self.late,
            &self.lost,
            &self.panicked,
            &self.nested,
            &self.waited,
            &self.refused_questions,
        ] {
            count.turn();
        }
    }
}

impl Core {
    pub(crate) fn new(
        mut plan: Plan,
        clock: Clock,
        tee: Option<Arc<Tee>>,
    ) -> Result<Arc<Self>, Error> {
        let budget = plan.budget;
        let build = || -> Result<Self, Full> {
            let ledger = Arc::new(Ledger::new(plan.budget));
            let limits = Limits {
                series_per_metric: plan.series_per_metric,
                metrics: plan.metrics,
                schema: plan.schema,
            };
            let live = Arc::new(Live::shaped(ledger.clone(), limits, &plan.shapes, tee)?);
            let rules = std::mem::take(&mut plan.rules);
            live.classes.change(|_| Ok::<_, Full>(rules))?;
            let engine = Engine::new(&plan, &clock, ledger.clone())?;
            let hands = clock.clone();
            let now = Now {
                ns: clock.elapsed_ns(),
                at: Timestamp::from_millis(clock.wall_ms()),
            };
            live.start(now.at.as_millis());
            let alerts = Board::new(ledger, now, move || hands.elapsed_ns())?;
            let nothing = engine.published().lock().clone();
            Ok(Self {
                nothing,
                alerts,
                attached: Attachments::default(),
                watches: Watches::new(&live.ledger),
                schedule: Schedule::new(live.ledger.clone()),
                turns: Mutex::new(0),
                holds: Arc::new(Holds::new(live.ledger.clone())),
                live,
                published: engine.published(),
                engine: Mutex::new(engine),
                tiers: Mutex::new(plan.tiers.clone()),
                clock,
                plan,
                counts: Counts::new(),
                worker: Mutex::new(None),
                life: ReentrantMutex::new(()),
                is_shut: AtomicBool::new(false),
                is_deaf: AtomicBool::new(false),
                born_ns: now.ns,
                installed_ns: AtomicU64::new(u64::MAX),
                is_exposed: AtomicBool::new(false),
            })
        };
        let full = |Full| {
            Error::invalid(format!(
                "memory budget of {budget} bytes cannot hold an empty store with its retention rules"
            ))
        };
        build().map(Arc::new).map_err(full)
    }

    /// Other retention rules for series that are new from now on.
    pub(crate) fn set_retention_rules(&self, rules: Vec<RetentionRule>) -> Result<(), Error> {
        // What an allocation emits while the rules are locked must not look for that lock.
        let Some(_busy) = Busy::enter() else {
            return Err(Error::invalid(
                "retention rules cannot change inside a tick or a recording, as from an allocator: allowed is anywhere else",
            ));
        };
        let n = rules.len();
        let mut engine = self.engine.lock();
        let mut tiers = self.tiers.lock();
        let mut new = tiers.clone();
        let budget = self.live.ledger.budget();
        let changed = self.live.classes.change(|in_use| {
            let rules = self.plan.retain(rules, in_use, &mut new, budget);
            let rules = rules.map_err(Refused::Wrong)?;
            // Before there is a series of a class that is new.
            engine.set_tiers(&new);
            Ok(rules)
        });
        if changed.is_err() {
            engine.set_tiers(&tiers);
        }
        match changed {
            Ok(()) => {
                *tiers = new;
                Ok(())
            }
            Err(Refused::Wrong(error)) => Err(error),
            Err(Refused::Full) => Err(Error::invalid(format!(
                "number of retention rules, {n}: allowed are as many as the memory budget of {budget} bytes has room for"
            ))),
        }
    }

    /// Some minutes have passed: what `health` counted before is old.
    pub(crate) fn turn(&self) {
        self.counts.turn();
        self.counts.strange.turn();
        self.watches.turn();
        self.live.turn();
        self.alerts.turn();
        self.schedule.turn();
    }

    /// Now, on the store's axis.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.clock.elapsed_ns() / 1_000_000).unwrap_or(i64::MAX);
        let start = self.timeline().wall_start_ms;
        Timestamp::from_millis(start.saturating_add(elapsed))
    }

    pub(crate) fn timeline(&self) -> Arc<Timeline> {
        let published = fork::lock(&self.published);
        published.map_or_else(|| self.nothing.clone(), |newest| newest.clone())
    }
}

/// Why retention rules stay what they are.
enum Refused {
    Wrong(Error),
    Full,
}

impl From<Full> for Refused {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}
