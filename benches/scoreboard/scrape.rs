//! A scrape from end to end: a request over loopback, the render, the wire, and a client that reads all of it.

use metrics::{Counter, counter};
use std::{
    hint::black_box,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use crate::measure::{median, report};
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
