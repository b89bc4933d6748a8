//! What is wrong, with the metric, the number and the knob.

use super::{
    core::Core,
    info::Bytes,
    report::{HealthLevel, HealthReport, limit_reason},
};
use crate::{
    live::{Busy, Kind, registry::Registry},
    util::{fork, machine, text::Shown},
};
use std::{fmt, sync::atomic::Ordering::Relaxed, time::Duration};

/// Whether anything was dropped, shortened or refused, and what to do about it.
///
/// Each reason is a sentence that names the metric, the number and the setting to change. Counts are of the last five to
/// ten minutes, so what has ended is forgotten; only what a fork left locked may be in the way of a child for ever, and is
/// named for as long as it is: such a program forks before `install()`, or runs another program right after. Shown as `healthy`, or as `degraded` or `critical` with a reason a line; with
/// `{:#}`, the numbers follow. With feature `serde`, all of it for machines.
///
/// ```
/// let (_recorder, recall) = metrics_recall::Recall::builder().build()?;
/// let health = recall.health();
/// assert!(health.is_healthy());
/// assert!(format!("{health:#}").contains("\nmemory: "));
/// assert_eq!(health.report().ticks.lost, 0);
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Health {
    level: HealthLevel,
    reasons: Vec<String>,
    report: HealthReport,
}

impl Health {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.reasons.is_empty()
    }

    /// How bad it is, all in all.
    #[must_use]
    pub fn level(&self) -> HealthLevel {
        self.level
    }

    /// The numbers.
    #[must_use]
    pub fn report(&self) -> &HealthReport {
        &self.report
    }

    /// What is wrong, a sentence each.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// Adds sentences, and of many only some, with how many more there are.
    pub(crate) fn add_some(&mut self, sentences: Vec<String>, what: &str) {
        if !sentences.is_empty() {
            self.level = self.level.max(HealthLevel::Degraded);
        }
        let more = sentences.len().saturating_sub(NAMED);
        self.reasons.extend(sentences.into_iter().take(NAMED));
        if more > 0 {
            self.reasons.push(format!("{more} more metrics are {what}"));
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.level)?;
        for reason in &self.reasons {
            write!(f, "\n  - {reason}")?;
        }
        if f.alternate() {
            write!(f, "\n{}", self.report)?;
        }
        Ok(())
    }
}

/// A program that has recorded nothing for so long may be one that cannot.
const PATIENCE: Duration = Duration::from_secs(30);

/// The facade that this store records for.
const FACADE: &str = "`metrics` 0.24";

/// Metrics that are named one by one when they overflow.
const NAMED: usize = 10;

impl Core {
    pub(crate) fn health(&self) -> Health {
        self.health_within(machine::limit_bytes())
    }

    /// In a control group that may have so many bytes of memory.
    fn health_within(&self, limit: Option<usize>) -> Health {
        // What an allocation emits while names are locked must not look for that lock.
        let busy = Busy::enter();
        let mut reasons = Vec::new();
        self.overflow(&self.live.counters, &mut reasons);
        self.overflow(&self.live.gauges, &mut reasons);
        self.overflow(&self.live.histograms, &mut reasons);
        self.memory_reasons(&mut reasons);
        self.tick_reasons(&mut reasons);
        reasons.extend(self.alerts.reasons());
        self.attached.reasons(&mut reasons);
        reasons.extend(self.schedule.reasons(self.clock.elapsed_ns()));
        self.strange_questions(&mut reasons);
        reasons.extend(self.deaf());
        if self.is_deaf.load(Relaxed) {
            reasons.push(
                "what macros emit does not arrive: another recorder is installed in this process, which does not pass on to the store that `make_global` named (put `start()`'s recorder below it)"
                    .to_owned(),
            );
        }
        drop(busy);
        let report = self.report(limit);
        reasons.extend(limit_reason(report.memory.budget, report.memory.limit));
        let level = match reasons.is_empty() {
            true => HealthLevel::Healthy,
            false if self.is_critical(&report) => HealthLevel::Critical,
            false => HealthLevel::Degraded,
        };
        Health {
            level,
            reasons,
            report,
        }
    }

    /// Why a store that is the process's has not heard of any metric since it was installed.
    pub(crate) fn deaf(&self) -> Option<String> {
        let installed = self.installed_ns.load(Relaxed);
        let since = self.clock.elapsed_ns().checked_sub(installed)?;
        let since = Duration::from_nanos(since);
        let is_empty = self.live.is_unused();
        (is_empty && since >= PATIENCE).then(|| {
            format!(
                "nothing was recorded in the {:.0} s since the store was installed: either this program emits nothing, or its macros are those of another version of the facade than {FACADE} (`cargo tree -i metrics` shows them), or it keeps handles from before `install()`, which stay deaf",
                since.as_secs_f64()
            )
        })
    }

    /// Questions about metrics that were never seen, until they are, and with arguments that make no sense.
    fn strange_questions(&self, reasons: &mut Vec<String>) {
        let (list, more) = self.counts.strange.list();
        for asked in list {
            let (kind, name, n) = (asked.kind, &asked.name, asked.times);
            let shown = Shown(name);
            if !asked.is_unknown {
                reasons.push(format!(
                    "{n} questions about the {kind} `{shown}` had an argument that makes no sense: allowed are quantiles from 0 to 1, 1 to 10000 buckets, and bounds that ascend; `eval` says which"
                ));
            } else if !self.has(kind, name) {
                reasons.push(format!(
                    "{n} {} about the {kind} `{shown}`, which was never recorded: a typo, or not recorded yet",
                    one_or_many(n, "question was", "questions were")
                ));
            }
        }
        if more > 0 {
            reasons.push(format!(
                "{more} more {} about metrics that were never recorded",
                one_or_many(more, "question was", "questions were")
            ));
        }
    }

    /// Metrics with an overflow series in use, names that were refused, keys that were too long.
    fn overflow<K: Kind>(&self, registry: &Registry<K>, reasons: &mut Vec<String>) {
        let kind = K::KIND;
        let mut denied = Vec::new();
        let mut odd = Vec::new();
        registry.for_each_name(|name| {
            let live = fork::lock(&name.members).map_or(0, |members| members.live);
            match name.denied.recent() {
                0 => {}
                n => denied.push((n, live, name.text.to_string())),
            }
            match name.odd.recent() {
                0 => {}
                n => odd.push((n, name.text.to_string())),
            }
        });
        denied.sort_by(|a, b| b.cmp(a));
        let offenders = self.live.offenders.list();
        for (n, live, name) in denied.iter().take(NAMED) {
            let worst = offenders.iter().find(|o| o.kind == kind && o.is_of(name));
            let label = worst.map_or(String::new(), |o| {
                format!(
                    "; label `{}` has about {} values too many",
                    Shown(&o.label),
                    o.values
                )
            });
            let limit = self.plan.series_per_metric;
            let knob = if *live >= limit {
                format!("its limit is {limit} series (`max_series_per_metric`)")
            } else {
                "memory for new series is short (`memory_budget`)".to_owned()
            };
            reasons.push(format!(
                "{kind} `{}` sent {n} recordings to its overflow series: it has {live} series, and {knob}{label}",
                Shown(name)
            ));
        }
        if let Some(more) = denied.len().checked_sub(NAMED + 1) {
            let more = more + 1;
            reasons.push(format!(
                "{more} more {kind}s sent recordings to their overflow series"
            ));
        }
        for (n, name) in odd.iter().take(NAMED) {
            reasons.push(format!(
                "{kind} `{}` was given {n} values that are not numbers it can hold (NaN, infinite in a histogram, or what no total can be); they are counted here and nowhere else",
                Shown(name)
            ));
        }
        if let Some(more) = odd.len().checked_sub(NAMED).filter(|more| *more > 0) {
            reasons.push(format!(
                "{more} more {kind}s were given values that are not numbers they can hold"
            ));
        }
        match registry.nameless.recent() {
            0 => {}
            n => reasons.push(format!(
                "{n} recordings of {kind}s went to `recall_overflow`: there is no room for more names beside {} (`max_metrics` is {}, `memory_budget` {})",
                registry.name_count(), self.plan.metrics, Bytes(self.live.ledger.budget())
            )),
        }
        Self::too_long(registry, reasons);
    }

    /// Keys that were too long. Those whose very name is are of no metric.
    fn too_long<K: Kind>(registry: &Registry<K>, reasons: &mut Vec<String>) {
        let (mut all, mut found) = (registry.too_long.recent(), Vec::new());
        registry.for_each_name(|name| match name.too_long.recent() {
            0 => {}
            n => {
                all += n;
                found.push((n, name.text.to_string()));
            }
        });
        if all == 0 {
            return;
        }
        found.sort_by(|a, b| b.cmp(a));
        let shown = found.iter().take(NAMED);
        let mut names: Vec<String> = shown
            .map(|(_, name)| format!("`{}`", Shown(name)))
            .collect();
        if let Some(more) = found.len().checked_sub(NAMED).filter(|more| *more > 0) {
            names.push(format!("{more} more"));
        }
        let of = if names.is_empty() {
            String::new()
        } else {
            format!(" ({})", names.join(", "))
        };
        reasons.push(format!(
            "{all} recordings of {}s{of} went to overflow series: their keys are longer than 4096 bytes or have more than 128 labels",
            K::KIND
        ));
    }

    fn memory_reasons(&self, reasons: &mut Vec<String>) {
        let counts = &self.counts;
        for tier in self.retention() {
            if tier.shortened > 0 && tier.effective < tier.target {
                reasons.push(format!(
                    "history reaches back {:.0} s instead of {:.0} s at {:?}: {} are not enough for {} series (`memory_budget`)",
                    tier.effective.as_secs_f64(),
                    tier.target.as_secs_f64(),
                    tier.interval,
                    Bytes(self.live.ledger.budget()),
                    self.live.series()
                ));
            }
        }
        match counts.refused_questions.recent() {
            0 => {}
            n => reasons.push(format!(
                "{n} {} had no answer for want of working memory (`memory_budget`)",
                one_or_many(n, "question", "questions")
            )),
        }
        match self.live.descriptions.refused.recent() {
            0 => {}
            n => reasons.push(format!(
                "{n} descriptions were not kept: they may take an eighth of the budget, for twice as many metrics as are allowed (`memory_budget` is {}, `max_metrics` {})",
                Bytes(self.live.ledger.budget()), self.plan.metrics
            )),
        }
        match self.live.reentrant.recent() {
            0 => {}
            n => reasons.push(format!(
                "{n} recordings came from inside the recorder, as from an allocator that emits metrics, and went to `recall_overflow`"
            )),
        }
    }

    fn tick_reasons(&self, reasons: &mut Vec<String>) {
        let counts = &self.counts;
        match self.live.tee.as_ref().map_or(0, |tee| tee.panicked.recent()) {
            0 => {}
            n => reasons.push(format!(
                "the recorder beside this store panicked {n} times, and misses what it was told then (`tee`)"
            )),
        }
        match counts.lost.recent() {
            0 => {}
            n => reasons.push(format!(
                "{n} of {} ticks are missing in history for want of memory; totals have them (`memory_budget`)",
                counts.ticks.recent()
            )),
        }
        match counts.panicked.recent() {
            0 => {}
            n => reasons.push(format!(
                "{n} ticks panicked, which is a mistake in this crate: please report it"
            )),
        }
        reasons.extend(self.watches.reasons());
        match fork::given_up() {
            0 => {}
            n => reasons.push(format!(
                "this process was forked while threads of its parent were at work: {n} times what they had locked was in the way, and new series went to overflow, a question had no answer, or lists, exposition, a reset or a delete went without some series (fork before `install()`, or while nothing else runs)"
            )),
        }
        reasons.extend(self.idle_worker());
        match counts.waited.recent() {
            0 => {}
            n => reasons.push(format!(
                "{n} points came a tick late for want of working memory (`memory_budget`)"
            )),
        }
        match counts.nested.recent() {
            0 => {}
            n => reasons.push(format!(
                "`tick` was called {n} times from inside a tick, which does nothing"
            )),
        }
        let ticks = counts.ticks.recent();
        let late = counts.late.recent();
        let has_worker = || self.with_worker(|_| ()).is_some();
        if late * 10 > ticks && late > 3 && has_worker() {
            let slowest = Duration::from_nanos(counts.slowest_ns.load(Relaxed));
            reasons.push(format!(
                "{late} of {ticks} ticks were late; the slowest took {slowest:?} (`resolution` is {:?})",
                self.plan.resolution
            ));
        }
    }

    /// A worker that does not tick: it hangs, or it was left behind by a `fork`.
    pub(super) fn idle_worker(&self) -> Option<String> {
        let since = |ns| Duration::from_nanos(self.clock.elapsed_ns().saturating_sub(ns));
        let patience = (self.plan.resolution * 3).max(Duration::from_secs(5));
        let (is_elsewhere, ticked_ns) = self
            .with_worker(|worker| (worker.is_elsewhere(), worker.ticked_ns()))
            .unwrap_or_default();
        if is_elsewhere {
            let is_ticked = ticked_ns.is_some_and(|ns| since(ns) <= patience);
            return (!is_ticked).then(|| {
                "no worker ticks here: this process was forked from the one that has it (call `install()` again, or `tick()` from time to time)"
                    .to_owned()
            });
        }
        let last = self.timeline().last().map_or(0, |frame| frame.span.end_ns);
        let since = since(last);
        let is_stuck = self.has_worker() && !self.is_shut() && since > patience;
        is_stuck.then(|| {
            format!(
                "no tick for {:.0} s, with a `resolution` of {:?}: the worker is stuck",
                since.as_secs_f64(),
                self.plan.resolution
            )
        })
    }
}

fn one_or_many<'a>(n: u64, one: &'a str, many: &'a str) -> &'a str {
    if n == 1 { one } else { many }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, secs},
        config::Config,
        engine::worker::attempt,
    };
    use std::sync::Arc;

    fn store() -> (Arc<Core>, crate::clock::ManualClock) {
        let (clock, hands) = Clock::manual();
        let plan = Config::default().plan().expect("a plan");
        (Core::new(plan, clock, None).expect("a store"), hands)
    }

    fn said(core: &Core, words: &[&str]) -> bool {
        let health = core.health();
        let mut reasons = health.reasons().iter();
        reasons.any(|reason| words.iter().all(|word| reason.contains(word)))
    }

    fn minutes_pass(core: &Arc<Core>, hands: &crate::clock::ManualClock) {
        for _ in 0..11 {
            hands.advance(secs(60));
            core.tick();
        }
        assert!(core.health().is_healthy(), "{}", core.health());
    }

    /// Nothing of this crate panics on purpose. Here a tick of the worker does, in the middle of the engine's work; and the
    /// next one finds all locks open.
    #[test]
    fn a_tick_that_panicked_is_named_until_it_is_forgotten() {
        let (core, hands) = store();
        for _ in 0..2 {
            attempt(&core, |core| {
                core.with_engine(|_| -> () { std::panic::resume_unwind(Box::new("a mistake")) });
            });
        }
        assert!(said(&core, &["2 ticks panicked", "please report it"]));
        assert_eq!(core.health().level(), HealthLevel::Critical);
        hands.advance(secs(1));
        attempt(&core, |core| assert!(!core.tick().merged));
        assert!(said(&core, &["2 ticks panicked"]));
        minutes_pass(&core, &hands);
    }

    /// The warning was there for as long as the process, whatever the budget became.
    #[test]
    fn a_budget_above_a_tenth_of_the_control_groups_memory_is_named_until_it_is_not() {
        let (core, _hands) = store();
        let within = |mib: usize| core.health_within(Some(mib << 20));
        assert!(within(320).is_healthy(), "{}", within(320));
        let health = within(256);
        assert_eq!(health.level(), HealthLevel::Degraded);
        let [reason] = health.reasons() else {
            panic!("{health}");
        };
        let said = "32.0 MiB is more than a tenth of the 256.0 MiB";
        assert!(reason.contains(said) && reason.contains("`memory_budget`"));
        assert_eq!(health.report().memory.limit, Some(256 << 20));
        core.set_memory_budget(25 << 20).expect("there is room");
        assert!(within(256).is_healthy(), "{}", within(256));
    }

    /// A store that had been late for an hour was called so for ten.
    #[test]
    fn late_ticks_are_forgotten_as_all_else() {
        let (core, hands) = store();
        let tick = |n: u64, every: u64| {
            for _ in 0..n {
                hands.advance(secs(every));
                core.tick();
            }
            let counts = &core.counts;
            (counts.ticks.recent(), counts.late.recent())
        };
        assert_eq!(tick(40, 2), (40, 40));
        let (ticks, late) = tick(600, 1);
        assert_eq!(late, 0);
        assert!((300..=600).contains(&ticks), "{ticks} ticks");
    }
}
