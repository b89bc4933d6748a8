//! Names, connections, and the time that is left for them.

use super::{Failure, Phase, Report};
use crate::{clock::Clock, intake::Cause, util::thread};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs},
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

/// How long all of a probe may take.
#[derive(Clone)]
pub(super) struct Deadline {
    clock: Clock,
    begin_ns: u64,
    timeout: Duration,
}

impl Deadline {
    pub(super) fn new(clock: &Clock, timeout: Duration) -> Self {
        Self {
            clock: clock.clone(),
            begin_ns: clock.elapsed_ns(),
            timeout,
        }
    }

    pub(super) fn passed(&self) -> Duration {
        Duration::from_nanos(self.clock.elapsed_ns().saturating_sub(self.begin_ns))
    }

    /// `None`: it has passed. Never so little that a socket takes it for nothing.
    fn left(&self) -> Option<Duration> {
        let left = self.timeout.checked_sub(self.passed())?;
        (!left.is_zero()).then(|| left.max(Duration::from_millis(1)))
    }

    fn left_in(&self, phase: Phase) -> Result<Duration, Failure> {
        self.left().ok_or_else(|| self.late(phase))
    }

    fn late(&self, phase: Phase) -> Failure {
        Failure::new(
            Cause::Timeout,
            phase,
            format_args!("not done within {:?}", self.timeout),
        )
    }

    /// An error of a socket.
    pub(super) fn failed(&self, phase: Phase, error: &io::Error) -> Failure {
        match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => self.late(phase),
            ErrorKind::InvalidData => Failure::new(Cause::Decode, phase, error),
            _ => Failure::new(Cause::Connection, phase, error),
        }
    }
}

/// Names that may be asked for at a time, by all probes of the process.
const MOST_RESOLVING: usize = 64;

static RESOLVING: AtomicUsize = AtomicUsize::new(0);

/// A name that the system's resolver is at. A resolver that hangs for ever would else have a thread more each time.
struct Resolving(&'static AtomicUsize);

impl Resolving {
    /// `None`: there are too many.
    fn begin(now: &'static AtomicUsize) -> Option<Self> {
        let more = |n| (n < MOST_RESOLVING).then_some(n + 1);
        now.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Self(now))
    }
}

impl Drop for Resolving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Addresses of a host. The system's resolver has no time-out of ours, so it runs on a thread that is left to itself.
pub(super) fn resolve(
    host: &str,
    port: u16,
    deadline: &Deadline,
    report: &mut Report,
) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let phase = Phase::Resolve;
    let before = deadline.passed();
    let left = deadline.left_in(phase)?;
    let resolving = Resolving::begin(&RESOLVING).ok_or_else(|| {
        let message = format_args!("the system's resolver is at {MOST_RESOLVING} names already");
        Failure::new(Cause::Timeout, phase, message)
    })?;
    let (send, receive) = mpsc::channel();
    let name = host.to_owned();
    let spawned = thread::spawn("recall-resolve", move || {
        let _resolving = resolving;
        let found = (name.as_str(), port).to_socket_addrs();
        let _ = send.send(found.map(Vec::from_iter));
    });
    spawned.map_err(|error| Failure::new(Cause::Other, phase, error))?;
    let found = receive.recv_timeout(left);
    report.resolve += deadline.passed().saturating_sub(before);
    match found {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        Ok(Ok(_)) => Err(Failure::new(
            Cause::Other,
            phase,
            format_args!("`{host}` has no address"),
        )),
        Ok(Err(error)) => Err(Failure::new(Cause::Other, phase, error)),
        Err(RecvTimeoutError::Timeout) => Err(deadline.late(phase)),
        Err(RecvTimeoutError::Disconnected) => {
            Err(Failure::new(Cause::Other, phase, "the resolver panicked"))
        }
    }
}

/// A connection to the first address that accepts.
pub(super) fn connect(
    host: &str,
    port: u16,
    deadline: &Deadline,
    report: &mut Report,
) -> Result<Connection, Failure> {
    let addresses = resolve(host, port, deadline, report)?;
    let before = deadline.passed();
    let stream = connect_to(&addresses, deadline);
    report.connect += deadline.passed().saturating_sub(before);
    Ok(Connection {
        stream: stream?,
        deadline: deadline.clone(),
    })
}

/// Each address has its share of the time that is left, so that the first one, of a network that swallows everything, leaves some for
/// the others.
fn connect_to(addresses: &[SocketAddr], deadline: &Deadline) -> Result<TcpStream, Failure> {
    let mut last = None;
    for (address, others) in addresses.iter().zip((0..addresses.len()).rev()) {
        let left = deadline.left_in(Phase::Connect)?;
        let to_come = u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1);
        let share = (left / to_come).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(deadline.failed(Phase::Connect, &error)),
        }
    }
    Err(last.unwrap_or_else(|| Failure::new(Cause::Other, Phase::Connect, "no address")))
}

/// A connection that has no more time than there is, however little of it each read takes.
pub(super) struct Connection {
    stream: TcpStream,
    deadline: Deadline,
}

impl Connection {
    fn left(&self) -> io::Result<Duration> {
        self.deadline
            .left()
            .ok_or_else(|| ErrorKind::TimedOut.into())
    }
}

/// A signal came, such as those of a profiler. A socket with a time-out is not waited for again by the system, whatever the handler
/// asks for.
fn is_interruption(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Interrupted
}

impl Read for Connection {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(to) {
                Err(error) if is_interruption(&error) => {}
                done => return done,
            }
        }
    }
}

impl Write for Connection {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        loop {
            self.stream.set_write_timeout(Some(self.left()?))?;
            match self.stream.write(from) {
                Err(error) if is_interruption(&error) => {}
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first one had all of the time: a service with an address of each family was down where one of them leads nowhere.
    #[test]
    fn an_address_that_leads_nowhere_leaves_time_for_the_next() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        // For documentation: nobody answers, if it is not refused at once.
        let nowhere = SocketAddr::from(([192, 0, 2, 1], 9));
        let addresses = [nowhere, listener.local_addr().unwrap()];
        let deadline = Deadline::new(&Clock::default(), Duration::from_secs(20));
        let stream = connect_to(&addresses, &deadline).unwrap();
        // Some networks have a proxy that accepts in everybody's name.
        assert!(addresses.contains(&stream.peer_addr().unwrap()));
        assert!(connect_to(&[], &deadline).is_err());
    }

    #[test]
    fn a_resolver_that_hangs_has_no_more_than_so_many_threads() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        let mut all: Vec<_> = (0..MOST_RESOLVING)
            .map(|_| Resolving::begin(&NOW).unwrap())
            .collect();
        assert!(Resolving::begin(&NOW).is_none());
        all.pop();
        assert!(Resolving::begin(&NOW).is_some());
        drop(all);
        assert_eq!(NOW.load(Relaxed), 0);
    }
}
