//! Clients that mean harm or have bad lines: others are answered long before these are given up, memory stays within what is promised, and
//! nobody who records notices.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "it is about real time: that of sockets"
)]

mod common;
#[path = "common/http.rs"]
mod http;
#[path = "common/peak.rs"]
mod peak;

use common::Store;
use http::{connect, get, read};
use metrics::counter;
use metrics_recall::{Recall, ServeOptions, Sidecar, secs};
use peak::Peak;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

#[global_allocator]
static ALLOCATOR: Peak = Peak;

/// The heap is one for all tests of a process, and so is the machine's patience.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

const MIB: usize = 1 << 20;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A store whose exposition has some `mib` mebibytes.
fn large(mib: u64) -> Store {
    let builder = Recall::builder()
        .memory_budget(64 << 20)
        .max_series_per_metric(1_000_000);
    let store = Store::from(builder);
    store.recorder.scope(|| {
        for n in 0..mib << 12 {
            counter!("orders_total", "customer" => format!("{n:06}-{}", "x".repeat(220)))
                .increment(n);
        }
    });
    store.tick(secs(1));
    store
}

fn serve(store: &Store, options: ServeOptions) -> (Sidecar, SocketAddr) {
    let sidecar = store.recall.serve_with("127.0.0.1:0", options).unwrap();
    let at = sidecar.local_addr();
    (sidecar, at)
}

/// The time that a scrape takes.
fn scrape(at: SocketAddr, least: usize) -> Duration {
    let start = Instant::now();
    let reply = get(at, "/metrics");
    assert!(
        reply.status == 200 && reply.body.len() >= least,
        "{} of {least}",
        reply.body.len()
    );
    start.elapsed()
}

/// As [`scrape`], by a reader who comes again when he was cut off: on a machine that stands still for as long as the
/// sidecar is patient, he looks like one who does not read.
fn scrape_again(at: SocketAddr, least: usize) -> Duration {
    let start = Instant::now();
    for _ in 0..4 {
        let mut stream = connect(at);
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        if let Some(reply) = read(&mut stream, false) {
            assert!(reply.status == 200 && reply.body.len() >= least);
            return start.elapsed();
        }
    }
    panic!("cut off four times in {:?}", start.elapsed());
}

/// Whether the other side closes within `most`.
fn is_closed_within(stream: &mut TcpStream, most: Duration) -> bool {
    stream.set_read_timeout(Some(most)).unwrap();
    match stream.read(&mut [0; 512]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(e) => e.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// What the docs promise at most, beside the store.
fn bound(connections: usize, header: usize, in_flight: usize) -> usize {
    in_flight + 4 * MIB + connections * (128 << 10) + connections * 2 * header
}

#[test]
fn five_hundred_that_send_a_byte_now_and_then_disturb_nobody() {
    let _alone = alone();
    let store = large(1);
    // Without a place that is made for them, scrapes would wait for as long.
    let options = ServeOptions::new().header_timeout(secs(60));
    let (_sidecar, at) = serve(&store, options);
    let is_over = AtomicBool::new(false);
    let closed = AtomicUsize::new(0);
    let before = Peak::start();
    let (slowest, recorded) = thread::scope(|scope| {
        let recording = scope.spawn(|| {
            let mut n = 0u64;
            store.recorder.scope(|| {
                let counter = counter!("recorded_total");
                while !is_over.load(Relaxed) {
                    counter.increment(1);
                    n += 1;
                }
            });
            n
        });
        let attack = scope.spawn(|| {
            let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
            let mut all: Vec<(TcpStream, usize)> = (0..500).map(|_| (connect(at), 0)).collect();
            while !is_over.load(Relaxed) {
                for (stream, sent) in &mut all {
                    let byte = request.get(*sent).copied().unwrap_or(b'x');
                    if stream.write_all(&[byte]).is_err() {
                        // Whoever was thrown out comes again.
                        *stream = connect(at);
                        *sent = 0;
                        closed.fetch_add(1, Relaxed);
                    }
                    *sent += 1;
                }
                thread::park_timeout(ms(200));
            }
        });
        thread::park_timeout(ms(300));
        let slowest = (0..12).map(|_| {
            thread::park_timeout(ms(100));
            scrape(at, MIB)
        });
        let slowest = slowest.max().unwrap();
        // Two rounds of theirs, each with five hundred sockets.
        for _ in 0..600 {
            if closed.load(Relaxed) >= 400 {
                break;
            }
            thread::park_timeout(ms(100));
        }
        is_over.store(true, Relaxed);
        attack.join().unwrap();
        let closed = closed.load(Relaxed);
        assert!(closed >= 400, "only {closed} were thrown out");
        (slowest, recording.join().unwrap())
    });
    assert!(slowest < secs(20), "a scrape took {slowest:?}");
    assert!(
        Peak::most() - before < bound(64, 16 << 10, 4 * MIB),
        "{} bytes",
        Peak::most() - before
    );
    store.tick(secs(1));
    assert_eq!(
        store.recall.counters("recorded_total").total(),
        Some(recorded)
    );
    assert!(
        store.recall.health().is_healthy(),
        "{}",
        store.recall.health()
    );
}

#[test]
fn readers_that_never_read_give_way_to_those_who_do() {
    let _alone = alone();
    let store = large(6);
    let options = ServeOptions::new()
        .max_bytes_in_flight(16 * MIB)
        .request_timeout(secs(60));
    let (sidecar, at) = serve(&store, options);
    scrape(at, 6 * MIB);
    let before = Peak::start();
    let stuck: Vec<TcpStream> = (0..40)
        .map(|n| {
            let mut stream = connect(at);
            let gzip = if n % 4 == 0 {
                "Accept-Encoding: gzip\r\n"
            } else {
                ""
            };
            write!(
                stream,
                "GET /metrics HTTP/1.1\r\nHost: localhost\r\n{gzip}\r\n"
            )
            .unwrap();
            stream
        })
        .collect();
    // They have sat there for as long as the sidecar is patient.
    thread::park_timeout(ms(600));
    let read = 6 * MIB;
    let slowest = (0..5).map(|_| scrape_again(at, read)).max().unwrap();
    assert!(slowest < secs(20), "a scrape took {slowest:?}");
    // The reader's own copy is in the same heap, and so is what it grows from.
    let most = bound(64, 16 << 10, 16 * MIB) + 3 * read;
    assert!(
        Peak::most() - before < most,
        "{} bytes",
        Peak::most() - before
    );
    // Nobody is left with what looks whole.
    drop(sidecar);
    for (n, mut stream) in stuck.into_iter().enumerate() {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(
            n % 4 == 0 || !rest.ends_with(b"\r\n0\r\n\r\n"),
            "{n} had the end of its answer"
        );
    }
    assert!(
        store.recall.health().is_healthy(),
        "{}",
        store.recall.health()
    );
}

/// They stood in line for all places, and who came then waited until the last of them had had its answer made.
#[test]
fn five_hundred_that_never_read_do_not_keep_others_out() {
    let _alone = alone();
    let store = large(6);
    let (_sidecar, at) = serve(&store, ServeOptions::new());
    let stuck: Vec<TcpStream> = (0..500)
        .map(|_| {
            let mut stream = connect(at);
            write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let start = Instant::now();
    let reply = get(at, "/-/ready");
    assert_eq!(reply.status, 200);
    let ready = start.elapsed();
    let scraped = scrape_again(at, 6 * MIB);
    assert!(ready < secs(4), "ready after {ready:?}");
    assert!(scraped < secs(10), "scraped in {scraped:?}");
    drop(stuck);
}

#[test]
fn a_single_reader_that_never_reads_is_cut_off_in_time() {
    let _alone = alone();
    let store = large(6);
    let options = ServeOptions::new()
        .max_connections(1)
        .max_bytes_in_flight(MIB)
        .request_timeout(secs(60));
    let (_sidecar, at) = serve(&store, options.clone());
    let mut stuck = connect(at);
    stuck
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    // The only place is taken, by somebody who is being answered: he loses it.
    let start = Instant::now();
    assert_eq!(get(at, "/-/healthy").status, 200);
    assert!(start.elapsed() < secs(20), "{:?}", start.elapsed());
    assert!(
        read(&mut stuck, false).is_none(),
        "what was cut off looks whole"
    );
    // An answer larger than all that may be in flight is made while it is read.
    scrape(at, 6 * MIB);
    // And without anybody who needs it, when its time is over.
    let (_sidecar, at) = serve(&store, options.request_timeout(ms(1500)));
    let mut stuck = connect(at);
    stuck
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    thread::park_timeout(ms(2500));
    assert!(
        read(&mut stuck, false).is_none(),
        "what was cut off looks whole"
    );
}

#[test]
fn half_a_request_has_its_time_and_no_more() {
    let _alone = alone();
    let store = Store::default();
    let options = ServeOptions::new()
        .header_timeout(ms(300))
        .idle_timeout(secs(60));
    let (_sidecar, at) = serve(&store, options);
    let mut start = Instant::now();
    let mut half: Vec<TcpStream> = (0..50)
        .map(|_| {
            start = Instant::now();
            let mut stream = connect(at);
            stream
                .write_all(b"GET /metrics HTTP/1.1\r\nHost: loc")
                .unwrap();
            stream
        })
        .collect();
    let mut idle = connect(at);
    for stream in &mut half {
        assert!(is_closed_within(stream, secs(20)));
    }
    let took = start.elapsed();
    assert!((ms(200)..secs(20)).contains(&took), "{took:?}");
    assert!(
        !is_closed_within(&mut idle, ms(100)),
        "it may wait longer than a half request"
    );
    let long = ServeOptions::new().header_timeout(secs(60));
    let options = long.clone().idle_timeout(ms(900));
    let (_sidecar, at) = serve(&store, options);
    assert!(is_closed_within(&mut connect(at), secs(20)));
    // Who goes on asking may, until the connection is too old.
    let options = long.idle_timeout(secs(60)).connection_timeout(ms(1800));
    let (_sidecar, at) = serve(&store, options);
    let start = Instant::now();
    let mut kept = connect(at);
    let mut answers = 0;
    while kept
        .write_all(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .is_ok()
    {
        match read(&mut kept, false) {
            Some(_) => answers += 1,
            None => break,
        }
        thread::park_timeout(ms(100));
    }
    let took = start.elapsed();
    assert!(
        answers >= 3 && (ms(1500)..secs(20)).contains(&took),
        "{answers} in {took:?}"
    );
}

#[test]
fn a_header_of_ten_megabytes_is_refused_without_being_kept() {
    let _alone = alone();
    let store = Store::default();
    let (_sidecar, at) = serve(&store, ServeOptions::new());
    get(at, "/metrics");
    let before = Peak::start();
    let mut stream = connect(at);
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        .unwrap();
    let block = [b'x'; 16 << 10];
    // The server may close in the midst of it.
    let sent = (0..640)
        .take_while(|_| stream.write_all(&block).is_ok())
        .count();
    assert!(sent < 640, "all of it was taken");
    if let Some(reply) = read(&mut stream, false) {
        assert_eq!(reply.status, 431);
    }
    let used = Peak::most() - before;
    assert!(used < 256 << 10, "{used} bytes");
    // Many small ones are as bad as a long one.
    let mut stream = connect(at);
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n")
        .unwrap();
    let lines = "a: b\r\n".repeat(2_000);
    let _ = stream
        .write_all(lines.as_bytes())
        .and_then(|()| stream.write_all(b"\r\n"));
    assert!(read(&mut stream, false).is_none_or(|reply| reply.status == 431));
    assert_eq!(get(at, "/metrics").status, 200);
}

#[test]
fn a_new_connection_takes_the_place_of_the_one_that_waits_longest() {
    let _alone = alone();
    let store = Store::default();
    let (_sidecar, at) = serve(&store, ServeOptions::new().max_connections(3));
    let ask = |stream: &mut TcpStream| {
        stream
            .write_all(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        read(stream, false).is_some()
    };
    let mut scraper = connect(at);
    assert!(ask(&mut scraper));
    let mut silent: Vec<TcpStream> = (0..10).map(|_| connect(at)).collect();
    assert_eq!(get(at, "/-/ready").status, 200);
    for stream in &mut silent[..8] {
        assert!(is_closed_within(stream, secs(5)));
    }
    // It had an answer before, and they had none.
    assert!(ask(&mut scraper));
}
