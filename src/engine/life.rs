//! The life of a store: who ticks, and what the last things are that it does.

use super::{
    core::Core,
    worker::{Asked, Worker},
};
use crate::{
    error::Error,
    live::{Busy, probe},
    util::{fork, thread},
};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

/// How long a shutdown waits for alert callbacks.
const DRAIN: Duration = Duration::from_secs(2);

impl Core {
    pub(crate) fn is_shut(&self) -> bool {
        self.is_shut.load(Relaxed)
    }

    /// Whether there is a worker, and in this process.
    pub(crate) fn has_worker(&self) -> bool {
        self.with_worker(|worker| !worker.is_elsewhere())
            .unwrap_or(false)
    }

    /// Asks the worker, if there is one. In a child of a fork it may be locked for ever: then there is none.
    pub(super) fn with_worker<T>(&self, ask: impl FnOnce(&Worker) -> T) -> Option<T> {
        fork::lock(&self.worker)?.as_ref().map(ask)
    }

    /// Starts the worker, if there is none here that goes on.
    pub(crate) fn start_worker(self: &Arc<Self>) -> Result<(), Error> {
        let _life = self.life.lock();
        let ending = self.worker.lock().take_if(|worker| worker.is_ending());
        if let Some(worker) = ending {
            worker.stop();
        }
        // What an allocation does while the worker is locked must not look for that lock.
        let _busy = Busy::enter();
        let mut worker = self.worker.lock();
        if worker.as_ref().is_none_or(Worker::is_elsewhere) {
            *worker = Some(Worker::start(self)?);
        }
        self.is_shut.store(false, Relaxed);
        Ok(())
    }

    /// Commits what was recorded, stops the worker, and ends subscriptions.
    ///
    /// Inside of a tick or a recording this thread may hold what the worker waits for: then the worker does all that by
    /// itself, and nobody waits.
    pub(crate) fn shutdown(&self) {
        if Self::is_inside() {
            self.is_shut.store(true, Relaxed);
            if let Some(worker) = self.worker.try_lock().as_deref().and_then(Option::as_ref) {
                worker.ask(Asked::Finish);
            }
            return;
        }
        // Whoever else shuts down waits until the worker is gone; an allocation in here that does, too, does not.
        let life = self.life.lock();
        let worker = self.worker.lock().take();
        if let Some(worker) = worker {
            worker.stop();
        }
        self.is_shut.store(true, Relaxed);
        drop(life);
        // Callbacks and what is attached may shut down as well: nobody waits for them with a lock.
        self.finish();
    }

    /// What is left to do when nobody ticks any more.
    pub(super) fn finish(&self) {
        self.attached.end();
        // Collectors may hold the store.
        self.schedule.clear();
        self.tick();
        self.alerts.hub.shut(DRAIN);
    }

    /// Finds out whether what macros emit on a new thread reaches this store, and has `health` say so if not.
    pub(crate) fn listen(&self) {
        let before = self.live.probed.load(Relaxed);
        // A new thread has no recorder of its own. If there is none to be had, nothing is known.
        let spoke = thread::spawn("recall-probe", probe).is_ok_and(|thread| thread.join().is_ok());
        let is_deaf = spoke && self.live.probed.load(Relaxed) == before;
        self.is_deaf.store(is_deaf, Relaxed);
    }
}
