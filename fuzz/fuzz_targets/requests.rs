//! Any request has an answer: a status that there is, headers that may be sent, and nothing of the request in its words but on
//! their line.
#![no_main]

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use metrics_recall::{HttpRequest, Recall, secs};
use std::sync::LazyLock;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    method: Method<'a>,
    path: Path<'a>,
    query: &'a str,
    headers: Vec<(Name<'a>, &'a str)>,
}

#[derive(Arbitrary, Debug)]
enum Method<'a> {
    Get,
    Head,
    Any(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Path<'a> {
    Metrics,
    Health,
    Page,
    Any(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Accept,
    Encoding,
    Any(&'a str),
}

static STORE: LazyLock<Recall> = LazyLock::new(|| {
    let (clock, hands) = metrics_recall::Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build().expect("a store");
    for n in 0..30u32 {
        recorder.scope(|| {
            use metrics_recall::metrics::{counter, gauge, histogram};
            counter!("orders_total", "region" => "<\"&'>\n").increment(1);
            gauge!("depth").set(f64::from(n));
            histogram!("seconds").record(f64::from(n));
        });
        hands.advance(secs(1));
        recall.tick();
    }
    recall
});

fuzz_target!(|input: Input<'_>| {
    let method = match input.method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Any(text) => text,
    };
    let path = match input.path {
        Path::Metrics => "/metrics",
        Path::Health => "/healthz",
        Path::Page => "/",
        Path::Any(text) => text,
    };
    let mut request = HttpRequest::new(method, format!("{path}?{}", input.query));
    for (name, value) in &input.headers {
        let name = match name {
            Name::Accept => "accept",
            Name::Encoding => "accept-encoding",
            Name::Any(text) => text,
        };
        request = request.header(name, value);
    }
    let answer = STORE.respond(&request);
    assert!(
        matches!(answer.status, 200 | 400 | 404 | 405 | 503),
        "{}",
        answer.status
    );
    for (name, value) in &answer.headers {
        assert!(
            value.bytes().all(|b| matches!(b, b' '..=b'~')),
            "{name}: {value:?}"
        );
    }
    assert!(method != "HEAD" || answer.body.is_empty());
    if answer.status >= 400
        && answer.status < 500
        && answer.header("content-encoding").is_none()
        && method != "HEAD"
    {
        let text = String::from_utf8(answer.body).expect("words");
        assert!(
            text.len() < 2_000 && text.matches('\n').count() == 1,
            "{text:?}"
        );
        assert!(text.trim_end().chars().all(|c| !c.is_control()), "{text:?}");
    }
});
