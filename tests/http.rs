//! What the sidecar answers: formats, encodings, health; who is refused, and how that is said.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/http.rs"]
mod http;
#[path = "common/promtool.rs"]
mod promtool;

use common::Store;
use http::{Reply, ask, connect, get, read};
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_recall::{AlertRule, Format, HttpRequest, Recall, ServeOptions, Sidecar, secs};
use promtool::promtool;
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr},
    process::{Command, Stdio},
};

fn store() -> Store {
    let store = Store::default();
    store.recorder.scope(|| {
        counter!("orders_total", "region" => "eu").increment(12);
        histogram!("checkout_seconds").record(0.125);
    });
    store
}

fn serve(store: &Store) -> (Sidecar, SocketAddr) {
    serve_with(store, ServeOptions::new())
}

fn serve_with(store: &Store, options: ServeOptions) -> (Sidecar, SocketAddr) {
    let sidecar = store.recall.serve_with("127.0.0.1:0", options).unwrap();
    let at = sidecar.local_addr();
    (sidecar, at)
}

#[test]
fn metrics_are_the_exposition() {
    let store = store();
    let (_sidecar, at) = serve(&store);
    let reply = get(at, "/metrics");
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        Some(Format::Text.content_type())
    );
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(
        reply.header("content-length").map(str::to_owned),
        Some(reply.body.len().to_string())
    );
    assert_eq!(reply.text(), store.recall.render());
    // What is recorded now is in the next scrape.
    store
        .recorder
        .scope(|| counter!("orders_total", "region" => "eu").increment(1));
    assert!(
        get(at, "/metrics")
            .text()
            .contains("orders_total{region=\"eu\"} 13\n")
    );
}

#[test]
fn a_scraper_gets_the_format_that_it_weighs_most() {
    let store = store();
    let (_sidecar, at) = serve(&store);
    let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for (accept, format) in [
        (prometheus_3, Format::OpenMetrics),
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            Format::TextUtf8,
        ),
        ("application/json", Format::Json),
        ("image/png", Format::Text),
        ("text/plain;q=0", Format::Text),
        ("\u{1}", Format::Text),
    ] {
        let lines = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n");
        if accept == "\u{1}" {
            // Hyper itself refuses control characters.
            assert_eq!(ask(at, &lines).status, 400);
            continue;
        }
        let reply = ask(at, &lines);
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some(format.content_type())),
            "{accept}"
        );
        assert_eq!(reply.header("vary"), Some("accept, accept-encoding"));
        assert_eq!(reply.body, store.recall.render_as(format), "{accept}");
    }
    // Two headers are one list.
    let two = ask(
        at,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain;q=0.1\r\nAccept: application/json\r\n",
    );
    assert_eq!(two.header("content-type"), Some("application/json"));
}

/// What `gzip -dc` makes of it.
fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = gzip.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::scope(|scope| {
        scope.spawn(move || to.write_all(&bytes).unwrap());
        gzip.wait_with_output().unwrap()
    });
    assert!(writer.status.success());
    writer.stdout
}

#[test]
fn what_is_compressed_is_what_gzip_reads() {
    let store = Store::from(Recall::builder().max_series_per_metric(20_000));
    store.recorder.scope(|| {
        for n in 0..10_000u64 {
            counter!("orders_total", "customer" => n.to_string()).increment(n);
        }
    });
    let (_sidecar, at) = serve(&store);
    let whole = get(at, "/metrics");
    assert!(whole.body.len() > 300_000 && whole.header("content-encoding").is_none());
    // Longer than a piece, so that its length is not known in advance.
    assert_eq!(whole.header("transfer-encoding"), Some("chunked"));
    let lines =
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: deflate, gzip;q=0.9, br\r\n";
    let packed = ask(at, lines);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(
        packed.body.len() * 4 < whole.body.len(),
        "{} of {}",
        packed.body.len(),
        whole.body.len()
    );
    assert!(
        gunzip(&packed.body) == whole.body,
        "gzip reads something else"
    );
    let plain = ask(
        at,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip;q=0\r\n",
    );
    assert_eq!(
        (plain.header("content-encoding"), plain.body.len()),
        (None, whole.body.len())
    );
    let head = ask(
        at,
        "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n",
    );
    assert_eq!(
        (head.status, head.header("content-encoding")),
        (200, Some("gzip"))
    );
}

#[test]
fn a_broken_store_says_503_and_why() {
    let store = Store::from(Recall::builder().max_series_per_metric(1));
    let (_sidecar, at) = serve(&store);
    let healthy = get(at, "/healthz");
    assert_eq!(
        (healthy.status, healthy.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(healthy.text(), "{\"status\":\"healthy\",\"reasons\":[]}\n");
    store.recorder.scope(|| {
        for n in 0..10 {
            counter!("orders\"\\\n_total", "customer" => n.to_string()).increment(1);
        }
    });
    store.tick(secs(1));
    let degraded = get(at, "/healthz");
    assert_eq!(degraded.status, 503);
    let json: serde_json::Value = serde_json::from_slice(&degraded.body).unwrap();
    assert_eq!(json["status"], "degraded");
    let reasons: Vec<&str> = json["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| reason.as_str().unwrap())
        .collect();
    assert_eq!(reasons, store.recall.health().reasons());
    assert!(reasons[0].contains("9 recordings"), "{reasons:?}");
    // Whether the process lives and takes what is recorded is another question.
    assert_eq!(
        (get(at, "/-/healthy").status, get(at, "/-/ready").status),
        (200, 200)
    );
}

#[test]
fn other_paths_and_methods_are_told_what_there_is() {
    let store = store();
    let (_sidecar, at) = serve(&store);
    for path in [
        "/nowhere",
        "/metrics/",
        "//metrics",
        "/%2e%2e/metrics",
        "/metrics%00",
        "/-/",
        "/favicon.ico",
    ] {
        let reply = get(at, path);
        assert_eq!(reply.status, 404, "{path}");
        assert!(
            reply.text().contains("/metrics, ") && reply.text().contains(path),
            "{}",
            reply.text()
        );
    }
    let long = get(at, &format!("/{}", "x".repeat(5_000)));
    assert!(
        long.status == 404 && long.body.len() < 400,
        "what is asked for is not sent back whole"
    );
    for method in [
        "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FROB", "get",
    ] {
        let reply = ask(
            at,
            &format!("{method} /metrics HTTP/1.1\r\nHost: localhost\r\n"),
        );
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some("GET, HEAD")),
            "{method}"
        );
    }
    let head = ask(at, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(get(at, "/metrics?format=other").status, 200);
}

#[test]
fn a_request_with_a_body_is_no_reason_to_read_it() {
    let store = store();
    let (_sidecar, at) = serve(&store);
    let large = ask(
        at,
        "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n",
    );
    assert_eq!(large.status, 413);
    assert!(large.text().contains("10000000"), "{}", large.text());
    let mut small = connect(at);
    small.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabcGET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(read(&mut small, false).unwrap().text(), "healthy\n");
    assert_eq!(read(&mut small, false).unwrap().text(), "ready\n");
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\r\n\r\n",
    ] {
        let mut stream = connect(at);
        stream.write_all(garbage.as_bytes()).unwrap();
        assert!(
            read(&mut stream, false).is_none_or(|reply| reply.status == 400),
            "{garbage:?}"
        );
    }
    assert_eq!(get(at, "/-/healthy").status, 200);
}

#[test]
fn who_has_no_secret_learns_nothing() {
    let store = store();
    let options = ServeOptions::new()
        .bearer_token("c2VjcmV0")
        .basic_auth("joe", "pass word:");
    let (_sidecar, at) = serve_with(&store, options);
    let with = |header: &str| {
        ask(
            at,
            &format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{header}"),
        )
    };
    for right in [
        "Authorization: Bearer c2VjcmV0\r\n",
        "authorization: basic am9lOnBhc3Mgd29yZDo=\r\n",
    ] {
        assert!(with(right).text().contains("orders_total"), "{right}");
    }
    for wrong in [
        "",
        "Authorization: Bearer c2VjcmV\r\n",
        "Authorization: Bearer c2VjcmV0x\r\n",
        "Authorization: c2VjcmV0\r\n",
        "Authorization: Basic c2VjcmV0\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Basic am9lOg==\r\n",
        "Proxy-Authorization: Bearer c2VjcmV0\r\n",
        "Cookie: Bearer c2VjcmV0\r\n",
        "Authorization: Bearer c2VjcmV0\r\nAuthorization: Bearer c2VjcmV0\r\n",
        "Authorization: Bearer \u{e9}\r\n",
    ] {
        for path in ["/metrics", "/healthz", "/", "/nowhere"] {
            let reply = ask(
                at,
                &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{wrong}"),
            );
            assert_eq!(reply.status, 401, "{path} {wrong}");
            assert!(
                !reply.text().contains("orders") && !reply.text().contains("c2Vj"),
                "{}",
                reply.text()
            );
            let challenges = reply
                .headers
                .iter()
                .filter(|(name, _)| name == "www-authenticate")
                .count();
            assert_eq!(challenges, 2);
        }
    }
    // A load balancer needs none.
    assert_eq!(
        (get(at, "/-/healthy").status, get(at, "/-/ready").status),
        (200, 200)
    );
}

#[test]
fn a_foreign_host_is_refused_wherever_it_stands() {
    let store = store();
    let (_sidecar, at) = serve_with(&store, ServeOptions::new().allow_host("shop.example.org"));
    let asked = |head: &str| ask(at, head).status;
    for host in [
        "localhost",
        "localhost:9100",
        "127.0.0.1",
        "[::1]:80",
        "shop.example.org",
        "SHOP.EXAMPLE.ORG.:80",
        "10.0.0.7:9100",
    ] {
        assert_eq!(
            asked(&format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n")),
            200,
            "{host}"
        );
    }
    for host in [
        "evil.example.org",
        "localhost.evil.org",
        "127.0.0.1.evil.org:9100",
        "",
        "evil.org:80:80",
        "[::1",
        "shop.example.org.evil.org",
    ] {
        let reply = ask(at, &format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n"));
        assert_eq!(reply.status, 421, "{host}");
        assert!(
            reply.text().contains("allow_host") && !reply.text().contains("orders"),
            "{}",
            reply.text()
        );
    }
    assert_eq!(
        asked("GET http://evil.org/metrics HTTP/1.1\r\nHost: localhost\r\n"),
        421
    );
    assert_eq!(
        asked("GET http://localhost/metrics HTTP/1.1\r\nHost: evil.org\r\n"),
        421
    );
    assert_eq!(
        asked("GET http://localhost/metrics HTTP/1.1\r\nHost: localhost\r\n"),
        200
    );
    assert_eq!(asked("GET /metrics HTTP/1.1\r\n"), 400);
    assert_eq!(
        asked("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.org\r\n"),
        400
    );
    assert_eq!(asked("GET /metrics HTTP/1.0\r\n"), 200);
    let (_sidecar, at) = serve_with(&store, ServeOptions::new().allow_any_host());
    assert_eq!(
        ask(at, "GET /metrics HTTP/1.1\r\nHost: any.org\r\n").status,
        200
    );
}

#[test]
fn connections_are_kept_and_a_client_may_shut_its_half() {
    let store = store();
    let (_sidecar, at) = serve(&store);
    let mut kept = connect(at);
    for path in ["/metrics", "/healthz", "/nowhere", "/-/ready"] {
        write!(kept, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let reply: Reply = read(&mut kept, false).unwrap();
        assert!(reply.status < 500 && !reply.body.is_empty(), "{path}");
    }
    let mut half = connect(at);
    half.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    let mut all = String::new();
    half.read_to_string(&mut all).unwrap();
    assert!(
        all.starts_with("HTTP/1.0 200 OK\r\n") && all.contains("orders_total"),
        "{all}"
    );
}

#[test]
fn an_application_answers_with_its_own_server() {
    let store = store();
    let respond =
        |method: &str, target: &str| store.recall.respond(&HttpRequest::new(method, target));
    let metrics = respond("GET", "/metrics");
    assert_eq!(
        (metrics.status, metrics.body),
        (200, store.recall.render().into_bytes())
    );
    assert_eq!(
        (
            respond("GET", "/nowhere").status,
            respond("POST", "/metrics").status
        ),
        (404, 405)
    );
    let head = respond("HEAD", "/healthz");
    assert_eq!(
        (head.status, head.header("Content-Type"), head.body.len()),
        (200, Some("application/json"), 0)
    );
    let request = HttpRequest::new("GET", "/metrics")
        .header("ACCEPT", "application/json")
        .header("accept-encoding", "gzip");
    let packed = store.recall.respond(&request.header("x-other", "\0"));
    assert_eq!(packed.header("content-type"), Some("application/json"));
    assert_eq!(gunzip(&packed.body), store.recall.render_as(Format::Json));
    store.recall.shutdown();
    assert_eq!(
        (
            respond("GET", "/-/ready").status,
            respond("GET", "/metrics").status
        ),
        (503, 200)
    );
}

/// A store with a minute of history, and with names that mean something to a browser or a terminal.
fn busy() -> Store {
    let store = Store::default();
    for second in 0..60u32 {
        store.recorder.scope(|| {
            counter!("orders_total", "region" => "eu").increment(u64::from(second));
            counter!("orders_total", "region" => "us").increment(2);
            for evil in ["", "\"><img src=x>\u{1b}[31m\n"] {
                counter!("<script>alert(1)</script>", "a" => evil).increment(1);
            }
            gauge!("queue_depth").set(f64::from(second));
            histogram!("checkout_seconds").record(0.125);
        });
        store.tick(secs(1));
    }
    store
}

#[test]
fn a_person_sees_health_alerts_and_what_happens_most() {
    let store = busy();
    let (_sidecar, at) = serve(&store);
    let reply = get(at, "/");
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("text/plain; charset=utf-8"))
    );
    let text = reply.text();
    let line = |word: &str| {
        text.lines()
            .find(|line| line.contains(word))
            .unwrap_or_else(|| panic!("no {word} in {text}"))
    };
    assert!(text.contains("\nhealthy\nno active alerts\n"), "{text}");
    assert!(
        line("checkout_seconds").contains("1/s  125 ms  125 ms  125 ms"),
        "{text}"
    );
    assert!(
        line("queue_depth").contains(" 59    0 ")
            && line("queue_depth").contains("▁▁▁▁▂▂▂▂▃▃▃▄▄▄▄▅▅▅▅▆▆▆▇▇▇▇████"),
        "{text}"
    );
    assert!(
        line("  {region=\"eu\"}").contains("1770") && line("  {region=\"us\"}").contains("120"),
        "{text}"
    );
    // Neither a line nor a colour of the application's.
    assert!(
        !text.contains('\u{1b}') && text.contains("\\u{1b}[31m\\n"),
        "{text}"
    );
    let rule = "sum(queue_depth) over 1m > 1".parse().unwrap();
    store
        .recall
        .alerts()
        .add(AlertRule::new("Deep").when(rule))
        .unwrap();
    store.tick(secs(1));
    let text = get(at, "/?window=1h");
    assert!(
        text.text()
            .contains("\ndegraded\n1 active alert\n  - firing Deep"),
        "{}",
        text.text()
    );
    let dump = get(at, "/api/dump?window=1m");
    let json: serde_json::Value = serde_json::from_slice(&dump.body).unwrap();
    assert!(
        dump.status == 200 && dump.text().contains("checkout_seconds") && json.is_object(),
        "{}",
        dump.text()
    );
    let wrong = get(at, "/?window=5y");
    assert!(
        wrong.status == 400 && wrong.text().contains("`5y`") && wrong.text().contains("366d"),
        "{}",
        wrong.text()
    );
    let none = get(serve(&Store::default()).1, "/");
    assert_eq!(none.status, 200);
}

#[test]
fn a_browser_gets_a_page_that_can_run_nothing() {
    let store = busy();
    let (_sidecar, at) = serve(&store);
    let lines = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    let page = ask(at, lines);
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("script-src"),
        "{policy}"
    );
    let text = page.text();
    assert!(
        text.starts_with("<!doctype html>")
            && text.contains("orders_total")
            && text.contains("125 ms")
    );
    for evil in ["<script", "<img", "\u{1b}", "src=x>"] {
        assert!(!text.contains(evil), "{evil}");
    }
    assert!(
        text.contains("&lt;script&gt;alert(1)&lt;/script&gt;")
            && !text.contains("http://")
            && !text.contains("https://")
    );
    // Every tag is closed by what it was opened with.
    let mut open = Vec::new();
    for tag in text
        .split('<')
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
    {
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
        match tag {
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "{tag}"),
            _ if tag.starts_with('!') || tag.ends_with('/') || matches!(name, "meta" | "link") => {}
            _ => open.push(name),
        }
    }
    assert_eq!(open, [""; 0]);
    let empty = Store::default();
    let (_sidecar, at) = serve(&empty);
    assert!(ask(at, lines).text().contains("Nothing was recorded yet"));
}

/// `promtool` comes with Prometheus; `.ci/run` installs it, and without it there is nothing to test.
#[test]
fn promtool_finds_nothing_to_say_about_what_is_served() {
    let store = Store::default();
    store.recorder.scope(|| {
        describe_counter!("orders_total", "Orders that were taken");
        describe_histogram!(
            "checkout_seconds",
            Unit::Seconds,
            "From the cart to the receipt"
        );
        describe_gauge!("queue_depth", "Orders that wait");
        counter!("orders_total", "region" => "eu").increment(12);
        histogram!("checkout_seconds").record(0.125);
        gauge!("queue_depth").set(3.0);
    });
    let (_sidecar, at) = serve(&store);
    let reply = get(at, "/metrics");
    if let Some(said) = promtool(reply.text()) {
        assert_eq!(said, (0, String::new()));
    }
}

/// An empty body was compressed all the same, into twenty bytes.
#[test]
fn head_has_no_body_also_when_it_would_be_compressed() {
    let (_recorder, recall) = Recall::builder().build().unwrap();
    for path in ["/metrics", "/", "/api/dump", "/healthz"] {
        let request = HttpRequest::new("HEAD", path);
        let answer = recall.respond(&request.header("accept-encoding", "gzip"));
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
    }
}
