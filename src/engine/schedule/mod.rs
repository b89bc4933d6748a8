//! Which collectors there are, and what is due: the first step of a tick.
//!
//! With a worker each crew has a thread, and the tick only calls it. Without one the tick runs what is due itself, so
//! that whoever ticks by hand knows what has happened.

mod crew;
mod job;

pub(crate) use self::crew::Crew;
pub use self::job::CollectorStatus;
/// What collectors are charged, and what their sources share.
pub(crate) use crate::history::Charge;

use self::job::Job;
use super::core::Core;
use crate::{
    error::Error,
    intake::Collector,
    ledger::{Ledger, Part},
    util::{layout, text::Shown},
};
use parking_lot::Mutex;
use std::{
    any::Any,
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    time::Duration,
};

/// Crews on the schedule; each may have a thread.
const MOST: usize = 64;

/// Bytes of a name.
const LONGEST_NAME: usize = 200;

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(86_400);

/// All crews of a store.
pub(crate) struct Schedule {
    crews: Mutex<Vec<Arc<Crew>>>,
    ledger: Arc<Ledger>,
    /// What sources share that have one collector for all of theirs, if any is alive.
    pub(crate) shared: Mutex<Option<Weak<dyn Any + Send + Sync>>>,
}

/// Whether `name` and `interval` are those of a collector.
fn check(name: &str, interval: Duration) -> Result<(), Error> {
    if !(SHORTEST..=LONGEST).contains(&interval) {
        return Err(Error::invalid(format!(
            "interval of {interval:?} for the collector `{}`: allowed are 1 ms to 24 h",
            Shown(name)
        )));
    }
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(Error::invalid(format!(
            "collector name of {} bytes: allowed are 1 to {LONGEST_NAME}",
            name.len()
        )));
    }
    Ok(())
}

impl Schedule {
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            crews: Mutex::default(),
            ledger,
            shared: Mutex::default(),
        }
    }

    /// Puts collectors that share a thread on the schedule.
    pub(crate) fn add(
        &self,
        core: &Arc<Core>,
        collectors: Vec<Box<dyn Collector>>,
    ) -> Result<Arc<Crew>, Error> {
        job::describe(&core.live);
        let now_ns = core.clock.elapsed_ns();
        let mut bytes = layout::arc::<Crew>() + layout::vec::<Job>(collectors.len());
        let mut jobs = Vec::with_capacity(collectors.len());
        for collector in collectors {
            let (name, interval) = (collector.name().to_owned(), collector.interval());
            check(&name, interval)?;
            bytes += Job::bytes(&*collector, &name);
            jobs.push(Job::new(collector, &name, interval, now_ns));
        }
        let mut crews = self.crews.lock();
        if core.is_shut.load(Relaxed) {
            return Err(Error::invalid(
                "a collector for a store that was shut down: allowed is one for a store that ticks",
            ));
        }
        let known = |name: &str| crews.iter().any(|crew| crew.has(name));
        if let Some(twice) = jobs.iter().find(|job| known(&job.name)) {
            return Err(Error::invalid(format!(
                "a second collector called `{}`: allowed is one of a name",
                Shown(&twice.name)
            )));
        }
        if crews.len() >= MOST {
            return Err(Error::invalid(format!(
                "a collector more than {MOST}: allowed are {MOST} at a time"
            )));
        }
        let charge = self.charge("collector", bytes)?;
        if !self.ledger.room(Part::Collectors, &mut crews, 1) {
            return Err(self.full("collector", bytes));
        }
        let crew = Arc::new(Crew::new(jobs.into(), Arc::downgrade(core), charge));
        crews.push(crew.clone());
        Ok(crew)
    }

    /// Charges what somebody has who collects.
    ///
    /// # Errors
    ///
    /// When there is no room for a `what`.
    pub(crate) fn charge(&self, what: &str, bytes: usize) -> Result<Charge, Error> {
        Charge::new(&self.ledger, Part::Collectors, bytes).map_err(|_| self.full(what, bytes))
    }

    pub(crate) fn full(&self, what: &str, bytes: usize) -> Error {
        Error::refused(format!(
            "no memory for a {what}: it takes {bytes} bytes (`memory_budget` is {})",
            self.ledger.budget()
        ))
    }

    /// A name that no collector has: `wanted`, or that with a number.
    pub(crate) fn free_name(&self, wanted: &str) -> String {
        let crews = self.crews.lock();
        let is_free = |name: &String| !crews.iter().any(|crew| crew.has(name));
        let numbered = (2..).map(|n| format!("{wanted}#{n}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        names.find(is_free).unwrap_or_default()
    }

    pub(crate) fn remove(&self, crew: &Arc<Crew>) {
        crew.end();
        let mut crews = self.crews.lock();
        crews.retain(|other| !Arc::ptr_eq(other, crew));
    }

    /// Ends all crews and forgets them; closures may hold the store.
    pub(crate) fn clear(&self) {
        let crews = std::mem::take(&mut *self.crews.lock());
        let table = layout::vec::<Arc<Crew>>(crews.capacity());
        for crew in crews {
            crew.end();
        }
        self.ledger.release(Part::Collectors, table);
    }

    /// Calls `f` with each crew, without a lock: user code may run.
    fn each(&self, mut f: impl FnMut(&Arc<Crew>)) {
        let mut at = 0;
        loop {
            let crew = self.crews.lock().get(at).cloned();
            let Some(crew) = crew else { return };
            f(&crew);
            at += 1;
        }
    }

    pub(crate) fn statuses(&self) -> Vec<CollectorStatus> {
        let mut all = Vec::new();
        self.each(|crew| all.extend(crew.statuses()));
        all
    }

    pub(super) fn reasons(&self, now_ns: u64) -> Vec<String> {
        let mut reasons = Vec::new();
        self.each(|crew| {
            for job in &crew.jobs {
                job.reasons(now_ns, &mut reasons);
            }
        });
        reasons
    }

    pub(super) fn turn(&self) {
        self.each(|crew| crew.jobs.iter().for_each(Job::turn));
    }
}

impl Crew {
    fn has(&self, name: &str) -> bool {
        self.jobs.iter().any(|job| *job.name == *name)
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Core {
    /// Runs the collectors that are due, or has them run by their threads.
    pub(super) fn collect_due(&self) {
        let has_worker = self.has_worker();
        let now_ns = self.clock.elapsed_ns();
        self.schedule
            .each(|crew| match (crew.is_due(now_ns), has_worker) {
                (false, _) => {}
                (true, true) => crew.call(now_ns),
                (true, false) => crew.run_here(self, true),
            });
    }

    /// Runs all collectors on this thread, but for those that are running.
    pub(crate) fn collect_now(&self) {
        self.schedule.each(|crew| crew.run_here(self, false));
    }
}
