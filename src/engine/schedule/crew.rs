//! Collectors that share a thread, so that one that blocks costs no other crew anything.

use super::{Charge, job::Job};
use crate::{engine::core::Core, intake::CollectError, util::thread};
use parking_lot::{Condvar, Mutex};
use std::sync::{Arc, Weak};

/// Some collectors and, while the store has a worker, their thread.
pub(crate) struct Crew {
    pub(super) jobs: Box<[Job]>,
    pub(super) core: Weak<Core>,
    call: Mutex<Call>,
    called: Condvar,
    /// Behind everything that it is for.
    _charge: Charge,
}

#[derive(Default)]
struct Call {
    /// Some job may be due.
    go: bool,
    /// The crew is off the schedule: no further run begins.
    over: bool,
    /// The process that its thread is in: a fork takes this along, and not the thread.
    process: Option<u32>,
}

impl Crew {
    pub(super) fn new(jobs: Box<[Job]>, core: Weak<Core>, charge: Charge) -> Self {
        Self {
            jobs,
            core,
            call: Mutex::default(),
            called: Condvar::new(),
            _charge: charge,
        }
    }

    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        self.jobs.iter().any(|job| job.is_due(now_ns))
    }

    /// Lets its thread run what is due; waits for nothing.
    pub(super) fn call(self: &Arc<Self>, now_ns: u64) {
        let mut call = self.call.lock();
        if call.over {
            return;
        }
        let here = std::process::id();
        if call.process != Some(here) {
            let crew = self.clone();
            if let Err(error) = thread::spawn("recall-collect", move || {
                crew.serve();
                crew.discard();
            }) {
                drop(call);
                return self.give_up(now_ns, &error);
            }
            call.process = Some(here);
        }
        call.go = true;
        self.called.notify_one();
    }

    fn give_up(&self, now_ns: u64, error: &std::io::Error) {
        for job in self.jobs.iter().filter(|job| job.is_due(now_ns)) {
            let message = format!("its thread could not be started: {error}");
            job.fail(now_ns, CollectError::other(message));
        }
    }

    /// No further run begins, and its thread ends as soon as it is done with the run that it is at.
    pub(crate) fn end(&self) {
        self.call.lock().over = true;
        self.called.notify_all();
        self.discard();
    }

    /// Drops the collectors, which may hold the store, but for one that is running: whoever runs it does so then.
    fn discard(&self) {
        self.jobs.iter().for_each(Job::discard);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.call.lock().over
    }

    fn serve(&self) {
        loop {
            let mut call = self.call.lock();
            while !call.go && !call.over {
                self.called.wait(&mut call);
            }
            call.go = false;
            drop(call);
            for job in &self.jobs {
                let now = || self.core.upgrade().map(|core| core.clock.elapsed_ns());
                match now() {
                    Some(now_ns) if !self.is_over() => {
                        if job.is_due(now_ns) {
                            job.run(|| self.core.upgrade());
                        }
                    }
                    _ => return,
                }
            }
        }
    }

    /// Runs what is due, or all of it, on this thread.
    pub(super) fn run_here(&self, core: &Core, only_due: bool) {
        for job in &self.jobs {
            if !self.is_over() && (!only_due || job.is_due(core.clock.elapsed_ns())) {
                job.run(|| Some(core));
            }
        }
        if self.is_over() {
            self.discard();
        }
    }

    /// Leaves the schedule.
    pub(crate) fn leave(self: &Arc<Self>) {
        match self.core.upgrade() {
            Some(core) => core.schedule.remove(self),
            None => self.end(),
        }
    }

    pub(crate) fn stop(&self) {
        self.jobs.iter().for_each(Job::stop);
    }

    pub(crate) fn start(&self) {
        if let Some(core) = self.core.upgrade() {
            let now_ns = core.clock.elapsed_ns();
            self.jobs.iter().for_each(|job| job.start(now_ns));
        }
    }

    pub(crate) fn collect_now(&self) {
        if let Some(core) = self.core.upgrade() {
            self.run_here(&core, false);
        }
    }

    pub(crate) fn statuses(&self) -> Vec<super::CollectorStatus> {
        let now_ns = self
            .core
            .upgrade()
            .map_or(0, |core| core.clock.elapsed_ns());
        self.jobs.iter().map(|job| job.status(now_ns)).collect()
    }
}
