//! Pushes, judged by a real Pushgateway; and what a job gets to know when there is none, or one that is no help.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and servers have threads"
)]

#[path = "common/http.rs"]
mod http;
#[path = "common/refusing.rs"]
mod refusing;
#[path = "common/started.rs"]
mod started;
#[path = "common/tls.rs"]
mod tls;

use metrics::{Unit, counter, describe_counter, describe_histogram, gauge, histogram};
use metrics_recall::{Error, HistogramRule, PushGateway, Recall, RecallRecorder, secs};
use started::{Started, start};
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::Duration,
};

fn gateway() -> Option<Started> {
    let mut command = Command::new("prometheus-pushgateway");
    command.arg("--web.listen-address=127.0.0.1:0");
    // Debian's would begin with what another one has kept.
    command.arg("--persistence.file=");
    start(command)
}

fn job() -> (RecallRecorder, Recall) {
    let rule = HistogramRule::named("row_seconds").buckets([0.1, 1.0]);
    let (recorder, recall) = Recall::builder().expose(rule).build().unwrap();
    recorder.scope(|| {
        describe_counter!("rows", Unit::Count, "Rows, \"all\"\nof them\\.");
        describe_histogram!("row_seconds", Unit::Seconds, "Time for a row.");
        counter!("rows", "result" => "a \"b\"\\\n").increment(12);
        counter!("rows", "result" => "ok").increment(3);
        gauge!("last.success").set(1.5);
        histogram!("row_seconds").record_many(0.25, 4);
    });
    (recorder, recall)
}

/// What a gateway would give to Prometheus of a job, sorted as it sorts; without its own metrics.
fn kept(gateway: &Started) -> BTreeSet<String> {
    let reply = http::get(gateway.address, "/metrics");
    assert_eq!(reply.status, 200);
    let lines = reply.text().lines().filter(|line| line.contains("job=\""));
    let own = |line: &&str| line.starts_with("push_");
    lines.filter(|line| !own(line)).map(str::to_owned).collect()
}

/// Fails if the gateway does not keep `right` within half a minute: it says yes to a deletion before it is done.
fn assert_kept_soon(gateway: &Started, right: &BTreeSet<String>) {
    for _ in 0..600 {
        if kept(gateway) == *right {
            return;
        }
        thread::park_timeout(Duration::from_millis(50));
    }
    assert_eq!(kept(gateway), *right);
}

/// What we hold, with the labels of the group as the gateway gives them.
fn expected(recall: &Recall, group: &[(&str, &str)]) -> BTreeSet<String> {
    let text = recall.render();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let with_group = samples.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let inner = labels.strip_suffix('}').unwrap();
        let inner = inner.replace("le=\"1.0\"", "le=\"1\"");
        let le = inner.find("le=\"").filter(|at| *at == 0);
        let mut parts: Vec<String> = group.iter().map(|(n, v)| format!("{n}=\"{v}\"")).collect();
        if le.is_none() && !inner.is_empty() {
            parts.push(inner.clone());
        }
        parts.sort();
        // Theirs has `le` last.
        parts.extend(le.map(|_| inner.clone()));
        format!("{name}{{{}}} {value}", parts.join(","))
    });
    with_group.collect()
}

#[test]
fn a_gateway_keeps_what_we_hold_under_its_group() {
    let Some(gateway) = gateway() else { return };
    let (recorder, recall) = job();
    let url = format!("http://{}/", gateway.address);
    let to = PushGateway::new(url.as_str(), "night/ly")
        .group_by("instance", "")
        .group_by("source", "größe/..?#%2F \"x\"");
    recall.push(&to).unwrap();
    let group = [
        ("job", "night/ly"),
        ("instance", ""),
        ("source", "größe/..?#%2F \\\"x\\\""),
    ];
    assert_eq!(kept(&gateway), expected(&recall, &group));

    // A push replaces the group, an addition only what it has.
    let (other, few) = Recall::builder().build().unwrap();
    other.scope(|| gauge!("last.success").set(2.5));
    few.push_add(&to).unwrap();
    recorder.scope(|| gauge!("last.success").set(2.5));
    assert_eq!(kept(&gateway), expected(&recall, &group));
    few.push(&to).unwrap();
    assert_eq!(kept(&gateway), expected(&few, &group));

    // Another group is none of its business.
    let second = PushGateway::new(url.as_str(), "other");
    few.push(&second).unwrap();
    to.delete().unwrap();
    assert_kept_soon(
        &gateway,
        &expected(&few, &[("job", "other"), ("instance", "")]),
    );
    second.delete().unwrap();
    second.delete().unwrap();
    assert_kept_soon(&gateway, &BTreeSet::new());
}

/// The first line of the gateway's own words is in the error.
#[test]
fn a_refusal_is_told_in_the_words_of_the_gateway() {
    let Some(gateway) = gateway() else { return };
    let url = format!("http://{}", gateway.address);
    let (recorder, recall) = Recall::builder().build().unwrap();
    recorder.scope(|| {
        counter!("rows", "job" => "a").increment(1);
        counter!("rows", "job" => "b").increment(1);
    });
    let error = recall
        .push(&PushGateway::new(url.as_str(), "nightly"))
        .unwrap_err();
    assert!(error.is_remote());
    let said = error.to_string();
    assert!(
        said.starts_with(&format!(
            "push to `{url}/metrics/job/nightly`: status 400 Bad Request: "
        )),
        "{said}"
    );
    assert!(
        said.contains("rows_total") && !said.contains('\n'),
        "{said}"
    );
    let lost = format!("{url}/nowhere");
    let error = recall.push(&PushGateway::new(lost, "nightly")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("status 404 Not Found: 404 page not found"),
        "{error}"
    );
}

/// Answers one request with `answer`, and gives what came; an empty answer is none, for as long as the client waits.
fn once(answer: &'static [u8]) -> (SocketAddr, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = request(&mut stream);
        stream.write_all(answer).unwrap();
        if answer.is_empty() {
            let _ = stream.read(&mut [0]);
        }
        request
    });
    (address, served)
}

/// A request with its body, or what came of it.
fn request(stream: &mut TcpStream) -> String {
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut text = Vec::new();
    loop {
        let mut block = [0; 4096];
        let n = stream.read(&mut block).unwrap();
        text.extend_from_slice(&block[..n]);
        let all = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = all.split_once("\r\n\r\n") else {
            if n == 0 {
                return all;
            }
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().unwrap())
        });
        if n == 0 || body.len() >= length.unwrap_or(0) {
            return all;
        }
    }
}

fn push_to(address: SocketAddr, with: impl Fn(PushGateway) -> PushGateway) -> Result<(), Error> {
    let (_recorder, recall) = job();
    recall.push(&with(PushGateway::new(
        format!("http://{address}"),
        "nightly",
    )))
}

#[test]
fn a_push_says_who_it_is_and_what_it_brings() {
    let (address, served) = once(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
    push_to(address, |gateway| {
        gateway.basic_auth("Aladdin", "open sesame")
    })
    .unwrap();
    let request = served.join().unwrap();
    let lower = request.to_ascii_lowercase();
    assert!(
        request.starts_with("PUT /metrics/job/nightly HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        lower.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{request}"
    );
    assert!(
        request.contains(": Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
        "{request}"
    );
    assert!(request.contains("\nlast_success 1.5\n"), "{request}");
    let (address, served) = once(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    push_to(address, |gateway| {
        gateway.basic_auth("a", "b").bearer_token("abc")
    })
    .unwrap();
    let request = served.join().unwrap();
    assert!(
        request.contains(": Bearer abc\r\n") && !request.contains("Basic"),
        "{request}"
    );
}

#[test]
fn whatever_goes_wrong_is_said_in_one_line() {
    let (_held, silent) = refusing::address();
    let refused = push_to(silent, |gateway| gateway).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("push to `http://{silent}/metrics/job/nightly`: connection refused")
    );

    // Where connecting took all of the time, this server waits for ever.
    let (address, _) = once(b"");
    let late = push_to(address, |gateway| gateway.timeout(secs(2))).unwrap_err();
    assert!(late.to_string().ends_with("not done within 2s"), "{late}");

    for (answer, words) in [
        (&b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"[..], "status 401 Unauthorized"),
        (b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", "status 307 Temporary Redirect to `http://x/`, and redirects are not followed"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 18\r\n\r\n\r\n\x1b[31m full\r\nmore", "status 503 Service Unavailable: \\u{1b}[31m full"),
        (b"HTTP/1.1 599 \r\nContent-Length: 900\r\n\r\ncut", "status 599: cut"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ""),
        (b"HTTP/1.1 200", ""),
    ] {
        let (address, served) = once(answer);
        let error = push_to(address, |gateway| gateway.timeout(secs(60))).unwrap_err();
        served.join().unwrap();
        assert!(error.is_remote());
        let said = error.to_string();
        assert!(said.ends_with(words) && !said.contains('\n'), "{said}");
        assert!(said.starts_with(&format!("push to `http://{address}/metrics/job/nightly`: ")), "{said}");
        println!("{said}");
    }
    let nowhere = PushGateway::new("http://gateway.invalid", "nightly");
    let error = nowhere.delete().unwrap_err();
    assert!(error.is_remote(), "{error}");
    println!("{error}");
}

/// What is wrong with the description is found before anything is sent.
#[test]
fn a_wrong_description_is_invalid() {
    let error = push_to(([127, 0, 0, 1], 1).into(), |gateway| {
        gateway.group_by("a b", "").timeout(Duration::ZERO)
    })
    .unwrap_err();
    assert!(error.is_invalid());
    assert!(
        error
            .to_string()
            .contains("grouping label `a b`: allowed are"),
        "{error}"
    );
}

/// A gateway behind TLS could be pushed to only with a certificate that the whole web trusts.
#[test]
fn a_gateway_with_a_root_of_its_own_is_trusted_by_who_names_it() {
    let (config, der) = tls::certified(2_524_521_600); // 2049-12-31
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                head.extend(byte);
            }
            let text = String::from_utf8_lossy(&head).to_lowercase();
            let length = text.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            let _ = stream.read_exact(&mut body);
            let answer: &[u8] = if head.starts_with(b"PUT /metrics/job/import ") {
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            } else {
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            };
            let _ = stream.write_all(answer);
        }
    });
    let (_, recall) = job();
    let gateway = PushGateway::new(format!("https://localhost:{port}"), "import");
    recall.push(&gateway.clone().root_certificate(der)).unwrap();
    let stranger = recall.push(&gateway).unwrap_err().to_string();
    assert!(stranger.contains("certificate"), "{stranger}");
    let broken = gateway.root_certificate(*b"no certificate");
    let broken = recall.push(&broken).unwrap_err().to_string();
    assert!(broken.contains("certificate"), "{broken}");
}
