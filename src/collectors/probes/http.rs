//! One request, and its redirects.

use super::{
    Failure, Phase, Report,
    answer::{Head, read_body, read_head},
    certificate,
    connect::{Connection, Deadline, connect},
    url::Url,
};
use crate::intake::Cause;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName},
};
use std::{
    io::{self, Read, Write},
    sync::Arc,
};

const MOST_REDIRECTS: u32 = 10;

/// Whether a certificate can be a root.
pub(super) fn check_root(der: &[u8]) -> Result<(), rustls::Error> {
    RootCertStore::empty().add(CertificateDer::from_slice(der))
}

fn tls_config(roots: &[Vec<u8>]) -> Result<ClientConfig, Failure> {
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
    roots: &[Vec<u8>],
    deadline: &Deadline,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut url = url.clone();
    // Made for the first that needs it: of most targets nobody does.
    let mut tls = None;
    loop {
        let tls = match &mut tls {
            _ if !url.is_tls => None,
            Some(tls) => Some(&*tls),
            none => Some(&*none.insert(Arc::new(tls_config(roots)?))),
        };
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

pub(super) trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

fn get_once(
    url: &Url,
    tls: Option<&Arc<ClientConfig>>,
    deadline: &Deadline,
    report: &mut Report,
) -> Result<Head, Failure> {
    report.status = None;
    report.certificate_expiry = None;
    let connection = connect(&url.host, url.port, deadline, report)?;
    let mut stream: Box<dyn Duplex> = if let Some(tls) = tls {
        let before = deadline.passed();
        let secured = secure(url, connection, tls, deadline);
        report.tls += deadline.passed().saturating_sub(before);
        let (stream, expiry) = secured?;
        report.certificate_expiry = expiry;
        Box::new(stream)
    } else {
        Box::new(connection)
    };
    exchange(url, &mut *stream, deadline, report)
}

/// A request and its answer.
pub(super) fn exchange(
    url: &Url,
    mut stream: &mut dyn Duplex,
    deadline: &Deadline,
    report: &mut Report,
) -> Result<Head, Failure> {
    let before = deadline.passed();
    let answer = ask(url, stream).and_then(|()| read_head(&mut stream));
    report.processing += deadline.passed().saturating_sub(before);
    let (head, first) = answer.map_err(|error| deadline.failed(Phase::Processing, &error))?;
    report.status = Some(head.status);
    let before = deadline.passed();
    let body = read_body(&head, &first, &mut stream);
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

fn ask(url: &Url, stream: &mut dyn Duplex) -> io::Result<()> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: metrics-recall/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        url.path,
        url.authority,
        env!("CARGO_PKG_VERSION")
    );
    stream.write_all(request.as_bytes())?;
    stream.flush()
}
