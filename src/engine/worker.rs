//! The thread that calls the tick: a loop that waits and nothing else.

use super::core::Core;
use crate::{error::Error, util::thread};
use parking_lot::{Condvar, Mutex};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    thread::{JoinHandle, ThreadId},
    time::Duration,
};

/// A running worker. Dropping it asks it to stop, without waiting.
pub(crate) struct Worker {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
    /// The process that the thread is in: a fork takes this along, and not the thread.
    process: u32,
}

#[derive(Default)]
struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn ask(&self) {
        *self.asked.lock() = true;
        self.changed.notify_all();
    }

    /// Waits until asked to stop, or for `time`; gives whether it was asked.
    fn wait(&self, time: Duration) -> bool {
        let mut asked = self.asked.lock();
        if !*asked {
            self.changed.wait_for(&mut asked, time);
        }
        *asked
    }
}

impl Worker {
    /// Starts ticking `core`, for as long as anybody else holds it.
    pub(crate) fn start(core: &Arc<Core>) -> Result<Self, Error> {
        let stop = Arc::new(Stop::default());
        let (weak, signal) = (Arc::downgrade(core), stop.clone());
        let thread = thread::spawn("recall-tick", move || run(&weak, &signal))
            .map_err(|e| Error::system(format!("the worker thread could not be started: {e}")))?;
        Ok(Self {
            stop,
            thread: Some(thread),
            process: std::process::id(),
        })
    }

    /// Whether the thread is in another process, from which this one was forked.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.process != std::process::id()
    }

    pub(crate) fn thread_id(&self) -> Option<ThreadId> {
        self.thread.as_ref().map(|thread| thread.thread().id())
    }

    /// Stops the thread and waits for it, unless it is the caller or in another process.
    pub(crate) fn stop(mut self) {
        if self.is_elsewhere() {
            // There is nothing to wait for; and its lock may be one that nobody here will ever open.
            return std::mem::forget(self);
        }
        self.stop.ask();
        let is_me = self.thread_id() == Some(std::thread::current().id());
        if let Some(thread) = self.thread.take().filter(|_| !is_me) {
            // Its ticks cannot panic out of it.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.is_elsewhere() {
            self.stop.ask();
        }
    }
}

fn run(core: &Weak<Core>, stop: &Stop) {
    loop {
        let Some(wait) = core.upgrade().map(|core| until_next(&core)) else {
            return;
        };
        if stop.wait(wait) {
            return;
        }
        let Some(core) = core.upgrade() else { return };
        // A panic of one tick must not be the last of all ticks.
        if catch_unwind(AssertUnwindSafe(|| core.tick())).is_err() {
            core.counts.panicked.add(1);
        }
    }
}

/// Time until the wall clock shows the next multiple of the resolution.
fn until_next(core: &Core) -> Duration {
    let resolution = core.plan.resolution;
    let ms = i64::try_from(resolution.as_millis())
        .unwrap_or(1_000)
        .max(1);
    let past = core.clock.wall_ms().rem_euclid(ms);
    let left = u64::try_from(ms - past).unwrap_or(1);
    let left = Duration::from_millis(left);
    // Woken a little early, the next multiple is this one: no two ticks within a quarter of the resolution.
    if left < resolution / 4 {
        left + resolution
    } else {
        left
    }
}
