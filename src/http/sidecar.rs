//! The life of a server: its thread, its handles, and how it ends with the store.

use super::{
    connections::Connections,
    flow::{Flow, MAKERS},
    listen::Listener,
    options::ServeOptions,
    server::{self, Server},
};
use crate::{
    engine::Attached,
    error::Error,
    handle::Recall,
    util::{recent::Recent, thread},
};
use parking_lot::{Condvar, Mutex};
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread::ThreadId,
    time::Duration,
};
use tokio::{runtime, sync::Notify};

/// How long an end waits for the thread: its own grace, and a little more.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long the runtime waits for answers that are being made.
const LAST: Duration = Duration::from_secs(1);

/// A server of the store. Dropping it stops it: it takes no more connections at once, answers that are under way have two
/// seconds, and then its port is free. It ends by itself when the store is shut down or its last handle is gone.
///
/// ```
/// let (_recorder, recall) = metrics_recall::Recall::builder().build()?;
/// let sidecar = recall.serve("127.0.0.1:0")?;
/// assert!(sidecar.local_addr().port() > 0);
/// sidecar.detach(); // now it lives as long as the store
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[must_use = "dropping it stops the server, `let _ =` does so at once; keep it or call `.detach()`"]
pub struct Sidecar {
    at: SocketAddr,
    running: Running,
}

impl Sidecar {
    pub(super) fn start(
        recall: &Recall,
        (listener, at): (Listener, SocketAddr),
        options: ServeOptions,
    ) -> Result<Self, Error> {
        let is_open =
            !at.ip().is_loopback() && options.secrets.is_empty() && !options.is_for_anyone;
        let open = is_open.then(|| {
            format!(
                "the sidecar at {at} answers everybody who reaches it: `ServeOptions` take a `bearer_token` or `basic_auth`, or `allow_anyone` if that is meant"
            )
        });
        let running = Running::start(recall, listener, options, open)?;
        Ok(Self { at, running })
    }

    /// Where it listens; with the port that the system chose, if it was asked to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.at
    }

    /// Leaves it to the store, with which it ends.
    pub fn detach(mut self) {
        self.running.is_detached = true;
    }
}

impl fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sidecar({})", self.at)
    }
}

/// A [`Sidecar`] on a Unix domain socket; what is said there holds here, too.
#[cfg(unix)]
#[must_use = "dropping it stops the server, `let _ =` does so at once; keep it or call `.detach()`"]
pub struct UnixSidecar {
    path: PathBuf,
    running: Running,
}

#[cfg(unix)]
impl UnixSidecar {
    pub(super) fn start(
        recall: &Recall,
        listener: Listener,
        path: &Path,
        options: ServeOptions,
    ) -> Result<Self, Error> {
        let running = Running::start(recall, listener, options, None)?;
        let path = path.to_owned();
        Ok(Self { path, running })
    }

    /// The file of the socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it to the store, with which it ends.
    pub fn detach(mut self) {
        self.running.is_detached = true;
    }
}

#[cfg(unix)]
impl fmt::Debug for UnixSidecar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnixSidecar({})", self.path().display())
    }
}

/// What a server's thread, its handle and the store have in common.
pub(super) struct Shared {
    phase: Mutex<Phase>,
    changed: Condvar,
    stop: Notify,
    thread: Mutex<Option<ThreadId>>,
    /// The process that the thread is in: a fork takes this along, and not the thread.
    process: u32,
    /// Why it is worth a word in `health()` that it runs.
    open: Option<String>,
    /// Answers that broke, which never should.
    failures: Recent,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Stopping,
    Over,
}

impl Shared {
    fn new(open: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            phase: Mutex::new(Phase::Running),
            changed: Condvar::new(),
            stop: Notify::new(),
            thread: Mutex::default(),
            process: std::process::id(),
            open,
            failures: Recent::new(),
        })
    }

    /// Until the server is to stop.
    pub(super) async fn stopping(&self) {
        while *self.phase.lock() == Phase::Running {
            self.stop.notified().await;
        }
    }

    pub(super) fn count_failure(&self) {
        self.failures.add(1);
    }

    fn is_elsewhere(&self) -> bool {
        self.process != std::process::id()
    }

    fn stop(&self) {
        // In a forked child there is nothing to stop; and its locks may be ones that nobody there will ever open.
        if !self.is_elsewhere() {
            self.enter(Phase::Stopping);
            self.stop.notify_one();
        }
    }

    fn enter(&self, phase: Phase) {
        let mut now = self.phase.lock();
        *now = phase.max(*now);
        self.changed.notify_all();
    }

    /// Waits for a bounded time, unless it is the thread itself that asks.
    fn stop_and_wait(&self) {
        self.stop();
        let is_me = *self.thread.lock() == Some(std::thread::current().id());
        if self.is_elsewhere() || is_me {
            return;
        }
        let mut phase = self.phase.lock();
        let still = |phase: &mut Phase| *phase != Phase::Over;
        self.changed.wait_while_for(&mut phase, still, PATIENCE);
    }
}

/// A server, as its handle holds it.
struct Running {
    shared: Arc<Shared>,
    is_detached: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_detached {
            self.shared.stop_and_wait();
        }
    }
}

/// A server, as the store holds it: with the store, it ends.
struct Tie(Arc<Shared>);

impl Attached for Tie {
    fn reasons(&self, reasons: &mut Vec<String>) {
        reasons.extend(self.0.open.clone());
        match self.0.failures.recent() {
            0 => {}
            n => reasons.push(format!(
                "{n} answers of the sidecar broke, which is a mistake in this crate: please report it"
            )),
        }
    }

    fn turn(&self) {
        self.0.failures.turn();
    }

    fn is_over(&self) -> bool {
        self.0.is_elsewhere() || *self.0.phase.lock() == Phase::Over
    }

    fn end(&self) {
        self.0.stop_and_wait();
    }
}

impl Drop for Tie {
    /// Whoever drops the store does not wait: it may be the server's own thread.
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Running {
    /// Starts the thread, and waits until it serves.
    fn start(
        recall: &Recall,
        listener: Listener,
        options: ServeOptions,
        open: Option<String>,
    ) -> Result<Self, Error> {
        let shared = Shared::new(open);
        let server = Arc::new(Server {
            store: recall.downgrade(),
            is_unix: !matches!(listener, Listener::Tcp(_)),
            shared: shared.clone(),
            connections: Connections::new(options.limits.connections),
            flow: Flow::new(options.limits.in_flight),
            options,
        });
        let (to, started) = mpsc::sync_channel(1);
        thread::spawn("recall-http", move || run(server, listener, &to)).map_err(|e| {
            Error::system(format!("the sidecar's thread could not be started: {e}"))
        })?;
        match started.recv() {
            Ok(Ok(())) => {}
            Ok(Err(e)) => {
                return Err(Error::system(format!(
                    "the sidecar could not be started: {e}"
                )));
            }
            Err(_) => return Err(Error::system("the sidecar's thread ended before it began")),
        }
        recall.attach(Box::new(Tie(shared.clone())));
        Ok(Self {
            shared,
            is_detached: false,
        })
    }
}

/// The thread.
fn run(server: Arc<Server>, listener: Listener, started: &mpsc::SyncSender<std::io::Result<()>>) {
    let shared = server.shared.clone();
    *shared.thread.lock() = Some(std::thread::current().id());
    let built = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(MAKERS)
        .thread_name("recall-answer")
        .build();
    let ready = built.and_then(|runtime| {
        let context = runtime.enter();
        let socket = listener.into_socket()?;
        drop(context);
        Ok((runtime, socket))
    });
    // Whoever asked waits for this, and holds the other end meanwhile.
    match ready {
        Ok((runtime, socket)) => {
            let _over = Over(&shared);
            let _ = started.send(Ok(()));
            runtime.block_on(server::run(server, socket));
            runtime.shutdown_timeout(LAST);
        }
        Err(e) => {
            let _ = started.send(Err(e));
        }
    }
}

/// Says that the thread is done, however it ends.
struct Over<'a>(&'a Shared);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.enter(Phase::Over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One answer that broke made a process degraded for the rest of its life. None breaks on purpose, so the sidecar is told
    /// of two, as by the handler that could not make them.
    #[test]
    fn answers_that_broke_are_named_until_they_are_forgotten() {
        let (_recorder, recall) = Recall::builder().build().unwrap();
        let sidecar = recall.serve("127.0.0.1:0").unwrap();
        let tie = Tie(sidecar.running.shared.clone());
        tie.0.count_failure();
        tie.0.count_failure();
        let health = recall.health();
        let [reason] = health.reasons() else {
            panic!("{health}");
        };
        assert!(
            reason.starts_with("2 answers of the sidecar broke") && reason.contains("report it"),
            "{reason}"
        );
        tie.turn();
        assert!(!recall.health().is_healthy());
        tie.turn();
        assert!(recall.health().is_healthy(), "{}", recall.health());
    }
}
