//! Whatever a server answers a probe, reading it ends, and comes to the same however the bytes are cut; and an answer that is one ends
//! where it ends: behind interim answers, in whichever way its length is told, and whatever is behind it.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use metrics_recall::fuzzing::probed_answer;

#[derive(Arbitrary, Debug)]
enum Length {
    Told,
    Chunked,
    ToEnd,
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    raw: &'a [u8],
    interim: Vec<(u8, &'a str)>,
    status: u16,
    length: Length,
    chunks: Vec<(&'a [u8], &'a str)>,
    trailers: Vec<(&'a str, &'a str)>,
    has_returns: bool,
    behind: &'a [u8],
    most: u8,
}

/// One line, without what ends one.
fn line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The body on the wire.
fn body(input: &Input, end: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (chunk, extension) in &input.chunks {
        match input.length {
            Length::Chunked if !chunk.is_empty() => {
                let size = format!("{:x};{}{end}", chunk.len(), line(extension));
                body.extend([size.as_bytes(), chunk, end.as_bytes()].concat());
            }
            Length::Chunked => {}
            _ => body.extend_from_slice(chunk),
        }
    }
    if matches!(input.length, Length::Chunked) {
        body.extend(format!("0{end}").as_bytes());
        for (name, value) in &input.trailers {
            body.extend(format!("T{}:{}{end}", line(name), line(value)).as_bytes());
        }
        body.extend(end.as_bytes());
    }
    body
}

fuzz_target!(|input: Input| {
    let most = usize::from(input.most).max(1);
    let whole = probed_answer(input.raw, usize::MAX);
    assert_eq!(probed_answer(input.raw, most), whole, "{:?}", input.raw);

    let end = if input.has_returns { "\r\n" } else { "\n" };
    let mut answer = Vec::new();
    for (status, header) in &input.interim {
        let status = 102 + status % 98;
        answer
            .extend(format!("HTTP/1.1 {status} Wait{end}X:{}{end}{end}", line(header)).as_bytes());
    }
    let status = 200 + input.status % 800;
    let body = body(&input, end);
    let length = match input.length {
        Length::Told => format!("Content-Length: {}{end}", body.len()),
        Length::Chunked => format!("Transfer-Encoding: chunked{end}Content-Length: 1{end}"),
        Length::ToEnd => String::new(),
    };
    answer.extend(format!("HTTP/1.0 {status}{end}{length}{end}").as_bytes());
    let has_body = !matches!(status, 204 | 304);
    let expected = if has_body { body.len() } else { 0 };
    answer.extend(&body);
    let cut = answer.len() - 1;
    if !matches!(input.length, Length::ToEnd) {
        answer.extend_from_slice(input.behind);
    }
    let expected = Ok((status, expected as u64));
    for most in [most, usize::MAX] {
        assert_eq!(probed_answer(&answer, most), expected, "{input:?}");
    }
    let is_told = !matches!(input.length, Length::ToEnd);
    if is_told && has_body && !body.is_empty() {
        assert!(probed_answer(&answer[..cut], most).is_err(), "{input:?}");
    }
});
