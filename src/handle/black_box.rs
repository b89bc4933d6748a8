//! The dump that a panic leaves behind.
//!
//! The thread that panics may be inside of a tick or of a registration and hold a lock of the store. So it asks nothing
//! itself: another thread writes the file, and it waits for that for a bounded time. If the file cannot be written before
//! the lock is free, it is written right after.

use super::{Recall, dump::Panic};
use crate::{engine::Core, error::Error, util::thread};
use std::{
    any::Any,
    panic::{self, PanicHookInfo},
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

/// How long a panic waits for its file.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the writer waits for a tick that is under way, before it does without.
const TICK: Duration = Duration::from_millis(200);

/// Programs that survive their panics may have many: one file in so many nanoseconds.
const PAUSE_NS: u64 = 60_000_000_000;

/// What a panic hook knows of a store.
struct BlackBox {
    core: Weak<Core>,
    path: PathBuf,
    patience: Duration,
    /// When the last file was begun, on the store's clock; [`u64::MAX`]: never.
    last_ns: AtomicU64,
    /// A file is being written.
    is_busy: Arc<AtomicBool>,
}

/// Clears the mark, however the writer ends.
struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

impl Recall {
    /// Chains a panic hook that writes a dump.
    pub(crate) fn dump_on_panic(&self, path: &Path) -> Result<(), Error> {
        self.dump_on_panic_within(path, PATIENCE)
    }

    fn dump_on_panic_within(&self, path: &Path, patience: Duration) -> Result<(), Error> {
        // The program may change its directory.
        let absolute = std::path::absolute(path)
            .map_err(|e| Error::invalid(format!("dump_on_panic `{}`: {e}", path.display())))?;
        let directory = absolute.parent().filter(|directory| directory.is_dir());
        if directory.is_none() || absolute.is_dir() {
            return Err(Error::invalid(format!(
                "dump_on_panic `{}`: allowed is a file in a directory that exists",
                path.display()
            )));
        }
        if std::thread::panicking() {
            return Err(Error::system(
                "dump_on_panic: no hook can be set while the thread panics",
            ));
        }
        let black_box = BlackBox {
            core: Arc::downgrade(&self.0),
            path: absolute,
            patience,
            last_ns: AtomicU64::new(u64::MAX),
            is_busy: Arc::default(),
        };
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            before(info);
            black_box.write(info);
        }));
        Ok(())
    }
}

impl BlackBox {
    fn write(&self, info: &PanicHookInfo<'_>) {
        let Some(core) = self.core.upgrade() else {
            return;
        };
        let now = core.clock.elapsed_ns();
        let last = self.last_ns.load(Relaxed);
        if last != u64::MAX && now.saturating_sub(last) < PAUSE_NS
            || self.is_busy.swap(true, Relaxed)
        {
            return;
        }
        self.last_ns.store(now, Relaxed);
        let busy = Busy(self.is_busy.clone());
        let panic = describe(info);
        let path = self.path.clone();
        let (done, wait) = mpsc::sync_channel(1);
        let writer = thread::spawn("recall-dump", move || {
            let _busy = busy;
            let recall = Recall(core);
            recall.tick_if_free();
            let window = recall.plan().retention;
            // Nobody listens when the time is over.
            let _ = done.send(recall.dump_file(&path, window, Some(&panic)));
        });
        let problem = match writer {
            Err(e) => Some(format!("no thread could be started: {e}")),
            Ok(_) => match wait.recv_timeout(self.patience) {
                Ok(result) => result.err().map(|error| error.to_string()),
                Err(RecvTimeoutError::Timeout) => Some(format!(
                    "it was not written within {:?}, and may be later",
                    self.patience
                )),
                Err(RecvTimeoutError::Disconnected) => Some("its writer panicked".to_owned()),
            },
        };
        if let Some(problem) = problem {
            let path = self.path.display();
            eprintln!("metrics-recall: no dump of this panic in `{path}`: {problem}");
        }
    }
}

impl Recall {
    /// What was recorded until now is in history, unless a tick is under way, which may never end.
    fn tick_if_free(&self) {
        let engine = self.0.engine.try_lock_for(TICK);
        if engine.is_some() {
            drop(engine);
            self.0.tick();
        }
    }
}

fn describe(info: &PanicHookInfo<'_>) -> Panic {
    let thread = std::thread::current();
    Panic {
        message: message(info.payload()).to_owned(),
        location: info.location().map(ToString::to_string).unwrap_or_default(),
        thread: thread.name().unwrap_or("unnamed").to_owned(),
    }
}

fn message(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, secs},
        live::Busy as Recording,
    };
    use parking_lot::Mutex;
    use std::{fs, panic::AssertUnwindSafe};

    /// There is one hook in a process.
    static ONE: Mutex<()> = Mutex::new(());

    fn file(name: &str) -> PathBuf {
        let file = std::env::temp_dir().join(format!("recall-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&file);
        file
    }

    /// Runs `panics` with a hook of a store, and gives the document. Again with another store, where a test beside this one panicked
    /// on purpose and had the hook first.
    fn dump_of(name: &str, patience: Duration, panics: impl Fn(&Recall)) -> String {
        let _one = ONE.lock();
        let thread = std::thread::current();
        let ours = format!(r#""thread":"{}""#, thread.name().expect("a test's name"));
        let mut texts = (0..100).map(|_| dump_of_anybody(name, patience, &panics));
        texts.find(|text| text.contains(&ours)).expect("ours")
    }

    fn dump_of_anybody(name: &str, patience: Duration, panics: impl Fn(&Recall)) -> String {
        let (clock, hands) = Clock::manual();
        let (recorder, recall) = Recall::builder().clock(clock).build().expect("a store");
        recorder.scope(|| metrics::counter!("orders_total").increment(3));
        hands.advance(secs(1));
        recall.tick();
        recorder.scope(|| metrics::counter!("orders_total").increment(4));
        hands.advance(secs(1));
        let path = file(name);
        let before = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        recall
            .dump_on_panic_within(&path, patience)
            .expect("a directory");
        let caught = panic::catch_unwind(AssertUnwindSafe(|| panics(&recall)));
        panic::set_hook(before);
        assert!(caught.is_err());
        // Where a lock was held, the file comes after the panic.
        let begin = Clock::default();
        loop {
            if let Ok(text) = fs::read_to_string(&path) {
                fs::remove_file(&path).expect("it exists");
                return text;
            }
            assert!(begin.elapsed_ns() < 20_000_000_000, "no file");
            std::thread::yield_now();
        }
    }

    /// Longer than any machine takes to write the file.
    const LONG: Duration = secs(5);

    #[test]
    fn a_panic_leaves_what_was_recorded_up_to_it() {
        let text = dump_of("plain", LONG, |_| panic!("the \"till\" is\non fire"));
        assert!(text.contains(r#""panic":{"message":"the \"till\" is\non fire""#));
        assert!(text.contains(r#","location":"src/handle/black_box.rs:"#));
        assert!(
            text.contains(r#""total":7,"window":{"increase":7,"#),
            "{text}"
        );
    }

    #[test]
    fn a_panic_inside_of_a_tick_does_not_wait_for_its_lock() {
        let text = dump_of("tick", LONG, |recall| {
            let _engine = recall.0.engine.lock();
            panic!("in a tick");
        });
        // Live totals, and the history of the tick before.
        assert!(
            text.contains(r#""total":7,"window":{"increase":3,"#),
            "{text}"
        );
    }

    #[test]
    fn a_panic_under_a_lock_of_a_shard_waits_for_a_bounded_time() {
        let text = dump_of("shard", Duration::from_millis(700), |recall| {
            let _recording = Recording::enter();
            let counters = &recall.0.live.counters;
            counters.visit(|_, _, _| panic!("in a registration"));
        });
        assert!(text.contains(r#""message":"in a registration""#));
        assert!(text.contains(r#""total":7,"#), "{text}");
    }
}
