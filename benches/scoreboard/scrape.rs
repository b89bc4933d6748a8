//! A scrape from end to end: a request over loopback, the render, the wire, and a client that reads all of it.

use metrics::{Counter, counter};
use std::{
    hint::black_box,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Instant,
};

use crate::measure::{SAMPLES, WARM, median, nanos_each, pin, report};
use crate::render::{COUNTERS, label, setup};
use crate::subject::{Rig, Subject};

const SCRAPES: usize = 11;

/// Group `scrape`. Not pinned: the client and the server are two programs elsewhere.
pub fn scrape(subject: Subject) {
    let rig = subject.install(setup());
    let Rig::Recall(recall, _) = &rig else { return };
    let held: Vec<Counter> = (0..COUNTERS)
        .map(|i| counter!("requests_total", "method" => "GET", "route" => label(i)))
        .collect();
    let sidecar = recall.serve("127.0.0.1:0").expect("a port");
    let at = sidecar.local_addr();
    let mut buffer = vec![0; 1 << 20];
    let measure = |what: &mut dyn FnMut()| {
        let times = (0..SCRAPES).map(|_| {
            for counter in &held {
                counter.increment(7);
            }
            rig.upkeep();
            let start = Instant::now();
            what();
            start.elapsed().as_nanos() as f64
        });
        // The first one is cold.
        let times: Vec<f64> = times.collect();
        median(times.into_iter().skip(1))
    };
    let render = measure(&mut || drop(black_box(recall.render())));
    let plain = measure(&mut || get(at, "", &mut buffer));
    let gzip = measure(&mut || get(at, "Accept-Encoding: gzip\r\n", &mut buffer));
    report("scrape", plain);
    report("scrape_times", plain / render);
    report("scrape_gzip", gzip);
    report("scrape_gzip_times", gzip / render);
}

fn get(at: SocketAddr, header: &str, buffer: &mut [u8]) {
    let mut stream = TcpStream::connect(at).expect("a connection");
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut all = 0;
    loop {
        match stream.read(buffer).expect("an answer") {
            0 => break,
            n => all += n,
        }
    }
    assert!(all > COUNTERS, "{all} bytes");
}

/// Calls in a sample of [`scraped`]: longer than a render.
const RECORDS: usize = 4_000_000;

/// Group `scraped`: one thread records with macros, while another core scrapes 100,000 series as fast as it can, ours over HTTP.
/// Samples with and without take turns.
pub fn scraped(subject: Subject) {
    let rig = subject.install(setup());
    let held: Vec<Counter> = (0..COUNTERS)
        .map(|i| counter!("requests_total", "method" => "GET", "route" => label(i)))
        .collect();
    let (busy, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut pairs = Vec::with_capacity(SAMPLES);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            scrape_while(&rig, &busy, &done);
        });
        pin(0);
        for round in 0..WARM + SAMPLES {
            for counter in &held {
                counter.increment(7);
            }
            rig.upkeep();
            let alone = nanos_each(RECORDS, record);
            busy.store(true, Relaxed);
            let scraped = nanos_each(RECORDS, record);
            busy.store(false, Relaxed);
            if round >= WARM {
                pairs.push(scraped / alone);
            }
        }
        done.store(true, Relaxed);
    });
    report("scraped", median(pairs.into_iter()));
}

fn record(_: usize) {
    counter!("recorded_total").increment(1);
}

/// A server that this thread starts runs on its core.
fn scrape_while(rig: &Rig, busy: &AtomicBool, done: &AtomicBool) {
    let sidecar = match rig {
        Rig::Recall(recall, _) => Some(recall.serve("127.0.0.1:0").expect("a port")),
        Rig::Mep(_) | Rig::Facade => None,
    };
    let mut buffer = vec![0; 1 << 20];
    while !done.load(Relaxed) {
        match (rig, &sidecar) {
            _ if !busy.load(Relaxed) => thread::yield_now(),
            (Rig::Mep(handle), _) => drop(black_box(handle.render())),
            (_, Some(sidecar)) => get(sidecar.local_addr(), "", &mut buffer),
            _ => {}
        }
    }
}
