//! Probes, against servers that the tests start: each finds the right thing, or fails in time and says of what.
#![cfg(feature = "probes")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/refusing.rs"]
mod refusing;
#[path = "common/tls.rs"]
mod tls;

use metrics_recall::{
    AlertRule, AlertState, Cause, Clock, Condition, MetricKind, Recall,
    probes::{Phase, Probe},
    secs,
};
use rustls::{ServerConnection, StreamOwned};
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A server that does `answer` with each connection.
fn server(answer: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = move || {
        for connection in listener.incoming() {
            answer(connection.unwrap());
        }
    };
    #[expect(clippy::disallowed_methods, reason = "a server that outlives the test")]
    thread::spawn(serve);
    address
}

/// Reads a request to its empty line; gives its first line.
fn request(stream: &mut impl Read) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            break;
        }
        read.push(byte[0]);
    }
    let text = String::from_utf8(read).unwrap();
    text.lines().next().unwrap_or_default().to_owned()
}

/// A server that says `answer` to every request.
fn says(answer: &'static str) -> String {
    server(move |mut stream| {
        request(&mut stream);
        let _ = stream.write_all(answer.as_bytes());
    })
}

fn http(address: &str) -> Probe {
    Probe::http(format!("http://{address}/")).unwrap()
}

/// Enough to connect on a busy machine.
const SHORT: Duration = secs(2);

#[test]
fn a_page_that_comes_has_its_phases() {
    let address = says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let report = http(&address).run().unwrap();
    assert_eq!(
        (report.status, report.body_bytes, report.redirects),
        (Some(200), 5, 0)
    );
    assert_eq!(
        (report.resolve, report.tls),
        (Duration::ZERO, Duration::ZERO)
    );
    assert!(report.connect > Duration::ZERO && report.processing > Duration::ZERO);
    let parts = report.connect + report.processing + report.transfer;
    assert!(parts <= report.total, "{report:?}");
    let chunked =
        says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(http(&chunked).run().unwrap().body_bytes, 13);
    let until_end = says("HTTP/1.0 200 OK\r\n\r\nabc");
    assert_eq!(http(&until_end).run().unwrap().body_bytes, 3);
}

/// Trailers, as gRPC gateways send them, were waited for until the time-out, since the body was thought to end with the last chunk.
#[test]
fn a_chunked_page_ends_behind_its_trailers() {
    let (keep, kept) = mpsc::channel();
    let body = "4;name=value\r\nwiki\r\n0\r\nExpires: never\r\nX-Sum: 1\r\n\r\n";
    let address = server(move |mut stream| {
        request(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n";
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .unwrap();
        // It leaves the connection open.
        keep.send(stream).unwrap();
    });
    let report = http(&address).timeout(secs(60)).run().unwrap();
    assert_eq!(report.body_bytes, u64::try_from(body.len()).unwrap());
    drop(kept);
    // The end of a body is not what looks like it.
    let inner =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nx\r\n0\r\n\r\ny\r\n0\r\n\r\n";
    assert_eq!(http(&says(inner)).run().unwrap().body_bytes, 19);
    let failure = http(&says(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n<html>",
    ));
    let failure = failure.run().unwrap_err();
    assert_eq!(
        (failure.cause(), failure.phase()),
        (Cause::Decode, Phase::Transfer)
    );
    assert!(failure.to_string().contains("hexadecimal"), "{failure}");
    let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc";
    let failure = http(&says(cut)).run().unwrap_err();
    assert_eq!(
        (failure.cause(), failure.phase()),
        (Cause::Connection, Phase::Transfer)
    );
}

/// A page behind early hints was a failure with status 103.
#[test]
fn interim_answers_are_no_answers() {
    let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\nContent-Length: 7\r\n\r\n";
    let (go_on, wait) = mpsc::channel::<()>();
    let address = server(move |mut stream| {
        request(&mut stream);
        stream.write_all(early.as_bytes()).unwrap();
        // Each comes in a packet of its own.
        let _ = wait.recv_timeout(Duration::from_millis(20));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let report = http(&address).timeout(secs(60)).run().unwrap();
    assert_eq!((report.status, report.body_bytes), (Some(200), 2));
    drop(go_on);
    for (answer, status) in [
        ("HTTP/1.1 103\r\n\r\nHTTP/1.1 204 None\r\n\r\n", Some(204)),
        ("HTTP/1.1 103\r\n\r\nHTTP/1.1 404 No\r\n\r\n", Some(404)),
        // Nobody asked for it.
        ("HTTP/1.1 101 Switch\r\n\r\n", Some(101)),
        ("HTTP/1.1 103 Early\r\n\r\n", None),
    ] {
        let status_of = match http(&says(answer)).run() {
            Ok(report) => report.status,
            Err(failure) => failure.report().status,
        };
        assert_eq!(status_of, status, "{answer:?}");
    }
}

/// One that says first what it is, and waits, was waited for until the time-out.
#[test]
fn one_that_speaks_something_else_is_told_at_once() {
    let (keep, kept) = mpsc::channel();
    let address = server(move |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n");
        keep.send(stream).unwrap();
    });
    let failure = http(&address).timeout(secs(60)).run().unwrap_err();
    assert_eq!(
        (failure.cause(), failure.phase()),
        (Cause::Decode, Phase::Processing)
    );
    assert!(failure.report().total < secs(30));
    drop(kept);
}

/// Under a profiler, which has a signal sent to a thread that waits, probes failed of "interrupted system call".
#[cfg(target_os = "linux")]
#[test]
#[expect(unsafe_code, reason = "signals")]
fn signals_do_not_make_a_probe_fail() {
    extern "C" fn ignore(_: libc::c_int) {}
    // SAFETY: the handler does nothing, and the struct is all zeros but for it: no flags, so that calls are interrupted.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as *const () as usize;
        assert_eq!(
            libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut()),
            0
        );
    }
    let (asked, asks) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let address = server(move |mut stream| {
        request(&mut stream);
        asked.send(()).unwrap();
        wait.recv().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let (me, who) = mpsc::channel();
    thread::scope(|threads| {
        let probing = threads.spawn(move || {
            // SAFETY: no arguments.
            me.send(unsafe { libc::pthread_self() }).unwrap();
            http(&address).timeout(secs(60)).run()
        });
        let thread = who.recv().unwrap();
        asks.recv().unwrap();
        for _ in 0..200 {
            // SAFETY: the thread waits for an answer that has not been given.
            assert_eq!(unsafe { libc::pthread_kill(thread, libc::SIGUSR2) }, 0);
            thread::yield_now();
        }
        go_on.send(()).unwrap();
        assert_eq!(probing.join().unwrap().unwrap().status, Some(200));
    });
}

#[test]
fn one_that_refuses_is_a_connection_error() {
    let (_held, address) = refusing::address();
    let address = address.to_string();
    for probe in [Probe::tcp(&address).unwrap(), http(&address)] {
        let failure = probe.run().unwrap_err();
        assert_eq!(
            (failure.cause(), failure.phase()),
            (Cause::Connection, Phase::Connect)
        );
    }
}

#[test]
fn one_that_is_silent_is_late() {
    let (keep, kept) = mpsc::channel();
    let address = server(move |stream| keep.send(stream).unwrap());
    let failure = http(&address).timeout(SHORT).run().unwrap_err();
    assert_eq!(
        (failure.cause(), failure.phase()),
        (Cause::Timeout, Phase::Processing)
    );
    let total = failure.report().total;
    assert!(total >= SHORT && total < secs(20), "{total:?}");
    assert!(failure.to_string().contains("2s"), "{failure}");
    // The connection itself was fine.
    assert!(Probe::tcp(&address).unwrap().run().unwrap().connect > Duration::ZERO);
    drop(kept);
}

/// Each byte came in time, and all of them together never would.
#[test]
fn one_that_gives_a_byte_at_a_time_is_late_in_the_end() {
    let address = server(|mut stream| {
        request(&mut stream);
        let (_never, tick) = mpsc::channel::<()>();
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"
            .iter()
            .copied();
        for byte in head.chain(std::iter::repeat(b'x')) {
            if stream.write_all(&[byte]).is_err() {
                break;
            }
            let _ = tick.recv_timeout(Duration::from_millis(1));
        }
    });
    let failure = http(&address).timeout(SHORT).run().unwrap_err();
    assert_eq!(failure.cause(), Cause::Timeout);
    assert!(failure.report().total < secs(20));
}

#[test]
fn one_that_fails_has_a_status() {
    let address = says("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
    let failure = http(&address).run().unwrap_err();
    assert_eq!(
        (failure.cause(), failure.report().status),
        (Cause::Other, Some(500))
    );
    let garbage = says("SSH-2.0-x\r\n\r\n");
    assert_eq!(http(&garbage).run().unwrap_err().cause(), Cause::Decode);
}

#[test]
fn one_that_closes_half_way_is_a_connection_error() {
    let address = says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    let failure = http(&address).run().unwrap_err();
    assert_eq!(
        (failure.cause(), failure.phase()),
        (Cause::Connection, Phase::Transfer)
    );
    assert!(failure.to_string().contains("after 4 bytes"), "{failure}");
    let at_once = server(drop);
    let failure = http(&at_once).run().unwrap_err();
    assert_eq!(
        (failure.cause(), failure.phase()),
        (Cause::Connection, Phase::Processing)
    );
}

#[test]
fn redirects_are_followed_and_not_for_ever() {
    let address = server(|mut stream| {
        let answer = match request(&mut stream).split(' ').nth(1) {
            Some("/a/c/d") => "HTTP/1.1 302 Found\r\nLocation: ../.\r\nContent-Length: 0\r\n\r\n",
            Some("/a/") => "HTTP/1.1 302 Found\r\nLocation: b\r\nContent-Length: 0\r\n\r\n",
            Some("/a/b") => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            _ => "HTTP/1.1 301 Moved\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n",
        };
        let _ = stream.write_all(answer.as_bytes());
    });
    for (path, redirects) in [("/a/", 1), ("/a/c/d", 2)] {
        let probe = Probe::http(format!("http://{address}{path}")).unwrap();
        let report = probe.run().unwrap();
        assert_eq!((report.redirects, report.status), (redirects, Some(200)));
    }
    let failure = http(&address).run().unwrap_err();
    assert_eq!(failure.report().redirects, 10);
    assert!(
        failure.to_string().contains("more than 10 redirects"),
        "{failure}"
    );
}

/// A server with a certificate of its own, and that in DER.
fn tls_server() -> (String, Vec<u8>) {
    tls_server_until(2_524_521_600) // 2049-12-31
}

/// One whose certificate expires then, in seconds since the Unix epoch.
fn tls_server_until(expiry: u64) -> (String, Vec<u8>) {
    let (config, der) = tls::certified(expiry);
    let address = server(move |stream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    (address.replace("127.0.0.1", "localhost"), der)
}

#[test]
fn tls_has_its_phase_and_its_expiry() {
    let (address, der) = tls_server();
    let probe = Probe::http(format!("https://{address}/")).unwrap();
    let report = probe.clone().root_certificate(der).run().unwrap();
    assert!(report.tls > Duration::ZERO);
    // 2049-12-31T00:00:00Z.
    assert_eq!(report.certificate_expiry, Some(2_524_521_600));
    // Nobody has vouched for it.
    let failure = probe.run().unwrap_err();
    assert_eq!(failure.phase(), Phase::Tls);
    let silent = server(|stream| {
        thread::park();
        drop(stream);
    });
    let silent = Probe::http(format!("https://{silent}/")).unwrap();
    let failure = silent.timeout(SHORT).run().unwrap_err();
    assert_eq!(
        (failure.cause(), failure.phase()),
        (Cause::Timeout, Phase::Tls)
    );
}

const DAY: u64 = 86_400;

/// Whoever is on call hears of it while there is time, and with how many days are left.
#[test]
fn a_certificate_that_expires_soon_can_be_told_of() {
    let (clock, hands) = Clock::manual();
    let (_recorder, recall) = Recall::builder().clock(clock).build().unwrap();
    #[expect(clippy::disallowed_methods, reason = "certificates are of today")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let soon = now.as_secs() + 10 * DAY;
    let (address, der) = tls_server_until(soon);
    let probe = Probe::http(format!("https://{address}/")).unwrap();
    let probe = probe.root_certificate(der);
    let report = probe.clone().run().unwrap();
    assert_eq!(report.certificate_expiry, Some(soon));
    let _probe = recall.probe(probe).unwrap();
    // In 14 days from now.
    let limit = soon + 4 * DAY;
    let expiry = Condition::gauges("probe_ssl_earliest_cert_expiry").by("target");
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
    let rule = AlertRule::new("CertificateExpires").when(expiry.current().below(limit as f64));
    recall.alerts().add(rule).unwrap();
    hands.advance(secs(1));
    recall.tick();
    let active = recall.alerts().active();
    assert_eq!((active.len(), active[0].state), (1, AlertState::Firing));
}

/// One that is over is refused by the handshake, and says so.
#[test]
fn a_certificate_that_has_expired_is_a_failure_of_tls() {
    let (address, der) = tls_server_until(1_704_067_200);
    let probe = Probe::http(format!("https://{address}/")).unwrap();
    let failure = probe.root_certificate(der).run().unwrap_err();
    assert_eq!(failure.phase(), Phase::Tls);
    assert!(failure.to_string().contains("xpired"), "{failure}");
}

/// The table in the documentation is what is emitted.
#[test]
fn what_is_emitted_is_what_the_table_says() {
    let text = include_str!("../src/collectors/probes/mod.rs");
    let rows = text.lines().filter_map(|line| {
        let mut columns = line.strip_prefix("//! | `")?.split(" | ");
        let name = columns.next()?.trim_end_matches('`');
        Some(format!("{} {name}", columns.next()?))
    });
    let documented: BTreeSet<String> = rows.collect();
    assert_eq!(documented.len(), 9);
    let (_recorder, recall) = Recall::builder().build().unwrap();
    let (address, der) = tls_server();
    let page = Probe::http(format!("https://{address}/")).unwrap();
    let failing = says("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    let _all = [
        recall.probe(page.root_certificate(der)).unwrap(),
        recall.probe(http(&failing)).unwrap(),
        recall.probe(Probe::tcp(&failing).unwrap()).unwrap(),
        recall.probe(Probe::dns("localhost").unwrap()).unwrap(),
    ];
    recall.tick();
    let mut emitted = BTreeSet::new();
    for (kind, word) in [
        (MetricKind::Counter, "counter"),
        (MetricKind::Gauge, "gauge"),
    ] {
        let series = recall.values(kind).into_iter();
        for series in series.filter(|series| series.name.starts_with("probe_")) {
            let mut labels: Vec<_> = series.labels.iter().map(|(name, _)| name).collect();
            labels.sort_by_key(|name| *name != "target");
            emitted.insert(format!("{word} {}{{{}}}", series.name, labels.join(",")));
        }
    }
    assert_eq!(emitted, documented);
}

#[test]
fn what_is_recorded_has_the_names_of_blackbox_exporter() {
    let (clock, hands) = Clock::manual();
    let (_recorder, recall) = Recall::builder().clock(clock).build().unwrap();
    let (address, der) = tls_server();
    let url = format!("https://{address}/");
    let probe = Probe::http(&url).unwrap().root_certificate(der);
    let _probe = recall.probe(probe).unwrap();
    let failing = says("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    let _failing = recall.probe(http(&failing)).unwrap();
    hands.advance(secs(1));
    recall.tick();
    let of = |name: &str| recall.gauges(name).label("target", &url).current();
    assert_eq!(of("probe_success"), Some(1.0));
    assert_eq!(of("probe_http_status_code"), Some(200.0));
    assert_eq!(of("probe_http_ssl"), Some(1.0));
    assert_eq!(of("probe_ssl_earliest_cert_expiry"), Some(2_524_521_600.0));
    assert!(of("probe_duration_seconds") > Some(0.0));
    assert!(of("probe_dns_lookup_time_seconds") > Some(0.0));
    let phases = recall
        .gauges("probe_http_duration_seconds")
        .label("target", &url);
    let phases = phases.by(["phase"]).current();
    let names: Vec<_> = phases
        .iter()
        .filter_map(|(labels, _)| labels.get("phase"))
        .collect();
    assert_eq!(
        names,
        ["connect", "processing", "resolve", "tls", "transfer"]
    );
    let failing = format!("http://{failing}/");
    let of = |name: &str| recall.gauges(name).label("target", &failing).current();
    assert_eq!(
        (of("probe_success"), of("probe_http_status_code")),
        (Some(0.0), Some(503.0))
    );
    let failures = recall
        .counters("probe_failures_total")
        .label("cause", "other");
    assert_eq!(failures.label("target", &failing).total(), Some(1));
    // That a target fails is none of the store's faults.
    assert!(recall.health().is_healthy(), "{}", recall.health());
}

#[test]
fn names_resolve_or_do_not() {
    let report = Probe::dns("localhost").unwrap().run().unwrap();
    assert!(report.resolve > Duration::ZERO);
    let nowhere = Probe::dns("no-such-host.invalid").unwrap();
    let failure = nowhere.timeout(secs(20)).run().unwrap_err();
    assert_eq!(failure.phase(), Phase::Resolve);
}

#[test]
fn bad_targets_are_refused_at_the_call() {
    for (error, part) in [
        (Probe::tcp("localhost").unwrap_err(), "`localhost`"),
        (Probe::tcp("localhost:0").unwrap_err(), "`localhost:0`"),
        (Probe::tcp("a b:1").unwrap_err(), "`a b`"),
        (Probe::http("ftp://x/").unwrap_err(), "`ftp://x/`"),
        (Probe::http("http://x/\r\nX: y").unwrap_err(), "\\r\\n"),
        (Probe::dns("").unwrap_err(), "host"),
        (Probe::dns("h:80").unwrap_err(), "`h:80`"),
        (Probe::tcp("h:80:80").unwrap_err(), "`h:80:80`"),
    ] {
        assert!(
            error.is_invalid() && error.to_string().contains(part),
            "{error}"
        );
    }
    let (_recorder, recall) = Recall::builder().build().unwrap();
    // In the text form, as it comes in files: it failed at each try, and of a target without TLS, too.
    let pem = "-----BEGIN CERTIFICATE-----\n";
    let plain = http(&says("HTTP/1.1 204 None\r\n\r\n")).root_certificate(pem);
    assert_eq!(plain.run().unwrap().status, Some(204));
    let error = recall.probe(plain).unwrap_err();
    assert!(error.is_invalid(), "{error}");
    for part in ["root certificate 1", "of 28 bytes", "DER"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let probe = Probe::tcp("localhost:1").unwrap().every(Duration::ZERO);
    assert!(recall.probe(probe).unwrap_err().to_string().contains("0ns"));
    let probe = Probe::tcp("localhost:1").unwrap().timeout(Duration::ZERO);
    let error = recall.probe(probe).unwrap_err();
    assert!(error.is_invalid(), "{error}");
    for part in ["time-out of 0 s", "`localhost:1`", "an hour"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}
