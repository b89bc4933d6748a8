//! The thread that calls the tick: a loop that waits and nothing else.

use super::core::Core;
use crate::{
    error::Error,
    util::{caught::caught, thread},
};
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

/// A running worker. Dropping it asks it to stop, without waiting.
pub(crate) struct Worker {
    asked: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
    /// The process that the thread is in: a fork takes this along, and not the thread.
    process: u32,
    /// The end of the newest tick in a process where the thread is not; 0: there was none.
    ticked_ns: AtomicU64,
}

/// What a worker is asked to do; what is asked later prevails if it stands below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Asked {
    /// To tick.
    Tick,
    /// To do what a shutdown does, and stop: nobody waits for it.
    Finish,
    /// To stop.
    Stop,
}

impl Worker {
    /// Starts ticking `core`, for as long as anybody else holds it.
    pub(crate) fn start(core: &Arc<Core>) -> Result<Self, Error> {
        let asked = Arc::new(AtomicU8::new(Asked::Tick as u8));
        let (weak, heard) = (Arc::downgrade(core), asked.clone());
        let thread = thread::spawn("recall-tick", move || run(&weak, &heard))
            .map_err(|e| Error::system(format!("the worker thread could not be started: {e}")))?;
        Ok(Self {
            asked,
            thread: Some(thread),
            process: std::process::id(),
            ticked_ns: AtomicU64::new(0),
        })
    }

    /// Whether the thread is in another process, from which this one was forked.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.process != std::process::id()
    }

    /// A tick has ended, whoever called it.
    pub(super) fn note_tick(&self, end_ns: u64) {
        if self.is_elsewhere() {
            self.ticked_ns.store(end_ns, Relaxed);
        }
    }

    /// When the newest tick ended that somebody called where the thread is not.
    pub(super) fn ticked_ns(&self) -> Option<u64> {
        let ns = self.ticked_ns.load(Relaxed);
        (ns > 0).then_some(ns)
    }

    /// Whether it was asked to stop.
    pub(super) fn is_ending(&self) -> bool {
        self.asked.load(Relaxed) != Asked::Tick as u8
    }

    /// Asks the worker, without waiting for it.
    pub(super) fn ask(&self, what: Asked) {
        if self.is_elsewhere() {
            return;
        }
        self.asked.fetch_max(what as u8, Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Stops the thread and waits for it, unless it is the caller or in another process.
    pub(crate) fn stop(mut self) {
        if self.is_elsewhere() {
            // There is nothing to wait for.
            return std::mem::forget(self);
        }
        self.ask(Asked::Stop);
        let me = std::thread::current().id();
        if let Some(thread) = self
            .thread
            .take()
            .filter(|worker| worker.thread().id() != me)
        {
            // Its ticks cannot panic out of it.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.is_elsewhere() {
            // Its handle would detach a thread of this process that was given the same place.
            return std::mem::forget(self.thread.take());
        }
        self.ask(Asked::Stop);
    }
}

fn run(core: &Weak<Core>, asked: &AtomicU8) {
    loop {
        let Some(wait) = core.upgrade().map(|core| until_next(&core)) else {
            return;
        };
        // Whoever asks for something wakes it; woken for nothing, it ticks once more than it has to.
        std::thread::park_timeout(wait);
        let Some(core) = core.upgrade() else { return };
        let asked = asked.load(Relaxed);
        if asked == Asked::Stop as u8 {
            return;
        }
        if asked == Asked::Finish as u8 {
            return attempt(&core, Core::finish);
        }
        attempt(&core, |core| {
            core.tick();
        });
    }
}

/// A panic of one tick must not be the last of all ticks.
pub(super) fn attempt(core: &Core, work: impl FnOnce(&Core)) {
    if caught(|| work(core)).is_err() {
        core.counts.panicked.add(1);
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
