//! One request, and its redirects.

use super::{
    Failure, Phase, Report, certificate,
    connect::{Connection, Deadline, connect},
    url::Url,
};
use crate::intake::Cause;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName},
};
use std::{
    io::{self, ErrorKind, Read, Write},
    sync::Arc,
};

const MOST_REDIRECTS: u32 = 10;

/// Bytes of the head of an answer, and of a body.
const LONGEST_HEAD: usize = 64 << 10;
const LONGEST_BODY: u64 = 16 << 20;

pub(super) fn tls_config(roots: &[Vec<u8>]) -> Result<ClientConfig, Failure> {
    let wrong = |error: rustls::Error| Failure::new(Cause::Other, Phase::Tls, error);
    let mut store = RootCertStore::empty();
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for root in roots {
        store.add(CertificateDer::from_slice(root)).map_err(wrong)?;
    }
    // A provider of its own: which one the process has chosen, if any, is none of a probe's business.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(wrong)?;
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

pub(super) fn get(
    url: &Url,
    tls: &Arc<ClientConfig>,
    deadline: &Deadline,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut url = url.clone();
    loop {
        let head = get_once(&url, tls, deadline, report)?;
        match (head.status, head.location) {
            (301 | 302 | 303 | 307 | 308, Some(location)) => {
                if report.redirects == MOST_REDIRECTS {
                    let message = format!("more than {MOST_REDIRECTS} redirects");
                    return Err(Failure::new(Cause::Other, Phase::Processing, message));
                }
                report.redirects += 1;
                let next = url.join(&location);
                url = next.map_err(|e| Failure::new(Cause::Decode, Phase::Processing, e))?;
            }
            (200..=299, _) => return Ok(()),
            (status, _) => {
                let message = format!("status {status}");
                return Err(Failure::new(Cause::Other, Phase::Processing, message));
            }
        }
    }
}

trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

fn get_once(
    url: &Url,
    tls: &Arc<ClientConfig>,
    deadline: &Deadline,
    report: &mut Report,
) -> Result<Head, Failure> {
    report.status = None;
    report.certificate_expiry = None;
    let connection = connect(&url.host, url.port, deadline, report)?;
    let mut stream: Box<dyn Duplex> = if url.is_tls {
        let before = deadline.passed();
        let secured = secure(url, connection, tls, deadline);
        report.tls += deadline.passed().saturating_sub(before);
        let (stream, expiry) = secured?;
        report.certificate_expiry = expiry;
        Box::new(stream)
    } else {
        Box::new(connection)
    };
    let before = deadline.passed();
    let answer = ask(url, &mut *stream, deadline);
    report.processing += deadline.passed().saturating_sub(before);
    let (head, rest) = answer?;
    report.status = Some(head.status);
    let before = deadline.passed();
    let body = body(&head, rest, &mut *stream);
    report.transfer += deadline.passed().saturating_sub(before);
    report.body_bytes = body.map_err(|error| deadline.failed(Phase::Transfer, &error))?;
    Ok(head)
}

type Secured = (StreamOwned<ClientConnection, Connection>, Option<u64>);

fn secure(
    url: &Url,
    mut connection: Connection,
    tls: &Arc<ClientConfig>,
    deadline: &Deadline,
) -> Result<Secured, Failure> {
    let other = |error: &dyn std::fmt::Display| Failure::new(Cause::Other, Phase::Tls, error);
    let name = ServerName::try_from(url.host.clone()).map_err(|error| other(&error))?;
    let client = ClientConnection::new(tls.clone(), name);
    let mut client = client.map_err(|error| other(&error))?;
    while client.is_handshaking() {
        let done = client.complete_io(&mut connection);
        done.map_err(|error| deadline.failed(Phase::Tls, &error))?;
    }
    let chain = client.peer_certificates().unwrap_or_default();
    let expiry = chain
        .iter()
        .filter_map(|der| certificate::not_after(der))
        .min();
    Ok((StreamOwned::new(client, connection), expiry))
}

/// What the head of an answer says.
#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    location: Option<String>,
    length: Option<u64>,
    is_chunked: bool,
}

/// Sends the request and reads the head of the answer, and perhaps some of its body.
fn ask(
    url: &Url,
    stream: &mut dyn Duplex,
    deadline: &Deadline,
) -> Result<(Head, Vec<u8>), Failure> {
    let failed = |error: io::Error| deadline.failed(Phase::Processing, &error);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: metrics-recall/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        url.path,
        url.authority,
        env!("CARGO_PKG_VERSION")
    );
    stream.write_all(request.as_bytes()).map_err(failed)?;
    stream.flush().map_err(failed)?;
    let mut read = Vec::new();
    let mut block = [0; 4096];
    loop {
        let from = read.len().saturating_sub(3);
        let n = stream.read(&mut block).map_err(failed)?;
        if n == 0 {
            return Err(failed(ErrorKind::UnexpectedEof.into()));
        }
        read.extend_from_slice(block.get(..n).unwrap_or_default());
        let unseen = read.get(from..).unwrap_or_default();
        if let Some(at) = unseen.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(from + at + 4);
            let head = Head::parse(&read);
            let wrong = || {
                Failure::new(
                    Cause::Decode,
                    Phase::Processing,
                    "the answer is not HTTP/1.1",
                )
            };
            return Ok((head.ok_or_else(wrong)?, rest));
        }
        if read.len() > LONGEST_HEAD {
            let message = format!("the head of the answer is longer than {LONGEST_HEAD} bytes");
            return Err(Failure::new(Cause::Decode, Phase::Processing, message));
        }
    }
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines();
        let mut first = lines.next()?.split(' ');
        first
            .next()
            .filter(|version| version.starts_with("HTTP/1."))?;
        let status = first.next()?.parse().ok()?;
        let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
        let header = |wanted: &str| {
            let found = headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.trim())
        };
        let coding = header("transfer-encoding").map(str::to_ascii_lowercase);
        Some(Self {
            status,
            location: header("location").map(str::to_owned),
            length: header("content-length").and_then(|length| length.parse().ok()),
            is_chunked: coding.is_some_and(|coding| coding.ends_with("chunked")),
        })
    }
}

/// Reads the body to its end and gives its length on the wire.
fn body(head: &Head, mut tail: Vec<u8>, stream: &mut dyn Duplex) -> io::Result<u64> {
    let mut bytes = tail.len() as u64;
    let mut block = [0; 16 << 10];
    loop {
        let is_done = match head.length {
            _ if matches!(head.status, 204 | 304) || bytes >= LONGEST_BODY => true,
            _ if head.is_chunked => tail == b"0\r\n\r\n" || tail.ends_with(b"\r\n0\r\n\r\n"),
            Some(length) => bytes >= length,
            None => false,
        };
        if is_done {
            return Ok(bytes);
        }
        let n = match stream.read(&mut block) {
            Ok(n) => n,
            // Many servers end TLS without saying so.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error),
        };
        if n == 0 {
            let may_end = head.length.is_none() && !head.is_chunked;
            let cut = || {
                io::Error::new(
                    ErrorKind::UnexpectedEof,
                    format!("the body ends after {bytes} bytes"),
                )
            };
            return may_end.then_some(bytes).ok_or_else(cut);
        }
        bytes += n as u64;
        tail.extend_from_slice(block.get(..n).unwrap_or_default());
        let keep = tail.len().saturating_sub(7);
        tail.drain(..keep);
    }
}
