//! What a sidecar may be told: who may ask, and its limits.

use super::{auth::Secret, host::Hosts};
use crate::error::Error;
use std::{fmt, time::Duration};

/// Who may ask a sidecar, and its limits. Setters only set; `serve_with` checks everything and reports every problem at once.
///
/// ```
/// use metrics_recall::{Recall, ServeOptions, secs};
///
/// let (_recorder, recall) = Recall::builder().build()?;
/// let options = ServeOptions::new().bearer_token("c2VjcmV0").max_connections(16).request_timeout(secs(5));
/// let sidecar = recall.serve_with("127.0.0.1:0", options)?;
/// println!("curl -H 'Authorization: Bearer c2VjcmV0' http://{}/", sidecar.local_addr());
/// # Ok::<(), metrics_recall::Error>(())
/// ```
///
/// Memory of a sidecar beside the store's budget, at most: [`max_bytes_in_flight`](Self::max_bytes_in_flight), 1 MiB for each of
/// four answers that are being written, and for each connection 128 KiB and twice
/// [`max_header_bytes`](Self::max_header_bytes). With the defaults that is 46 MiB under attack, and below 1 MiB with one
/// scraper of a small store.
#[derive(Clone)]
#[must_use = "options do nothing until `serve_with` gets them"]
pub struct ServeOptions {
    pub(super) secrets: Vec<Secret>,
    pub(super) hosts: Hosts,
    pub(super) limits: Limits,
    /// That there is no authentication is no oversight.
    pub(super) is_for_anyone: bool,
    problems: Vec<String>,
}

const HOUR: Duration = Duration::from_secs(3600);

/// Bounds of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) header_bytes: usize,
    /// From the first byte of a request to the end of its headers.
    pub(super) header: Duration,
    /// Between two requests, and before the first.
    pub(super) idle: Duration,
    /// From the end of the headers until the client has everything.
    pub(super) request: Duration,
    pub(super) connection: Duration,
    pub(super) in_flight: usize,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            hosts: Hosts::default(),
            limits: Limits {
                connections: 64,
                header_bytes: 16 << 10,
                header: Duration::from_secs(5),
                idle: Duration::from_secs(120),
                request: Duration::from_secs(30),
                connection: Duration::from_secs(3600),
                in_flight: 32 << 20,
            },
            is_for_anyone: false,
            problems: Vec::new(),
        }
    }
}

impl ServeOptions {
    /// The defaults: no authentication, loopback names and IP addresses as `Host`, and the limits as their setters say.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only who sends `Authorization: Bearer` with this token is answered; but `/-/healthy` and `/-/ready`, which say nothing
    /// of the store, are open to all. Called again, or beside [`basic_auth`](Self::basic_auth): any one of them will do.
    /// Printable ASCII without spaces. Default: nobody needs to.
    pub fn bearer_token(mut self, token: impl AsRef<str>) -> Self {
        match Secret::bearer(token.as_ref()) {
            Ok(secret) => self.secrets.push(secret),
            Err(problem) => self.problems.push(problem),
        }
        self
    }

    /// As [`bearer_token`](Self::bearer_token), with a user and a password that a browser asks for. The user has no colon, the
    /// password is not empty, and neither has control characters.
    pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        match Secret::basic(user.as_ref(), password.as_ref()) {
            Ok(secret) => self.secrets.push(secret),
            Err(problem) => self.problems.push(problem),
        }
        self
    }

    /// Whoever reaches the address may ask, and [`health`](crate::Recall::health) need not say so: for an address that is not
    /// loopback, without authentication, behind a firewall or in a network of one's own.
    pub fn allow_anyone(mut self) -> Self {
        self.is_for_anyone = true;
        self
    }

    /// Also answers requests for this host name, without a port; called again, one more. A request for a name that is neither
    /// listed nor of loopback is refused with status 421, or any web page could read the metrics of whoever visits it, by a
    /// name of its own that leads to 127.0.0.1. Default: `localhost`, names below it, and all IP addresses.
    pub fn allow_host(mut self, name: impl AsRef<str>) -> Self {
        let name = name.as_ref();
        if let Err(problem) = self.hosts.allow(name) {
            self.problems.push(problem);
        }
        self
    }

    /// Answers requests for any host name: for a sidecar behind authentication, or behind a proxy that looks at names.
    pub fn allow_any_host(mut self) -> Self {
        self.hosts = Hosts::any();
        self
    }

    /// Connections that are open at once: 1 to 4,096. One more closes the one that has waited longest for a request, those
    /// first that never had an answer, and those last that are in line for theirs, after a tenth of a second; while all are being
    /// answered it waits itself. Default: 64.
    pub fn max_connections(mut self, n: usize) -> Self {
        self.limits.connections = n;
        self
    }

    /// Bytes that the headers of a request may have: 8 KiB to 1 MiB; more is answered with status 431. Default: 16 KiB.
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.limits.header_bytes = bytes;
        self
    }

    /// Time from the first byte of a request to the end of its headers, 10 ms to 1 h; then the connection is closed.
    /// Default: 5 s.
    pub fn header_timeout(mut self, time: Duration) -> Self {
        self.limits.header = time;
        self
    }

    /// Time that a connection may wait for its next request, 10 ms to 24 h. Default: 2 min.
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.limits.idle = time;
        self
    }

    /// Time from the end of a request's headers until the client has read the answer, 10 ms to 1 h; then the connection is
    /// closed. Default: 30 s.
    pub fn request_timeout(mut self, time: Duration) -> Self {
        self.limits.request = time;
        self
    }

    /// Time that a connection may be open at all, 10 ms to 24 h. Default: 1 h.
    pub fn connection_timeout(mut self, time: Duration) -> Self {
        self.limits.connection = time;
        self
    }

    /// Bytes of answers that were made and that their clients have not read yet, all together: 1 MiB to 1 GiB. An answer that
    /// finds no room ends one whose client did not read 64 KiB in the last half second, or waits. A single answer may
    /// be larger: it is made while it is read. Default: 32 MiB.
    pub fn max_bytes_in_flight(mut self, bytes: usize) -> Self {
        self.limits.in_flight = bytes;
        self
    }

    /// All problems at once.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut problems = self.problems.clone();
        let limits = &self.limits;
        for (what, n, least, most) in [
            ("max_connections", limits.connections, 1, 4096),
            ("max_header_bytes", limits.header_bytes, 8 << 10, 1 << 20),
            ("max_bytes_in_flight", limits.in_flight, 1 << 20, 1 << 30),
        ] {
            if !(least..=most).contains(&n) {
                problems.push(format!("`{what}` of {n}: allowed are {least} to {most}"));
            }
        }
        for (what, time, most) in [
            ("header_timeout", limits.header, HOUR),
            ("idle_timeout", limits.idle, 24 * HOUR),
            ("request_timeout", limits.request, HOUR),
            ("connection_timeout", limits.connection, 24 * HOUR),
        ] {
            if !(Duration::from_millis(10)..=most).contains(&time) {
                problems.push(format!(
                    "`{what}` of {time:?}: allowed are 10ms to {most:?}"
                ));
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid(problems.join("; ")))
        }
    }
}

impl fmt::Debug for ServeOptions {
    /// Without any secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeOptions")
            .field("secrets", &self.secrets.len())
            .field("hosts", &self.hosts)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_and_no_secret() {
        let options = ServeOptions::new()
            .bearer_token("to ken")
            .basic_auth("a:b", "hidden")
            .basic_auth("a", "")
            .allow_host("http://shop/")
            .max_connections(0)
            .max_header_bytes(100)
            .max_bytes_in_flight(0)
            .header_timeout(Duration::ZERO)
            .request_timeout(Duration::from_secs(7200));
        let message = options.check().unwrap_err().to_string();
        for part in [
            "bearer token",
            "user `a:b`",
            "password",
            "`http://shop/`",
            "`max_connections` of 0",
            "8192 to 1048576",
            "`max_bytes_in_flight` of 0",
            "`header_timeout` of 0ns",
            "`request_timeout` of 7200s",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(
            !message.contains("to ken") && !message.contains("hidden"),
            "{message}"
        );
        let options = ServeOptions::new()
            .bearer_token("hidden1")
            .basic_auth("joe", "hidden2");
        assert_eq!(options.check().map_err(|e| e.to_string()), Ok(()));
        let shown = format!("{options:?}");
        assert!(
            !shown.contains("hidden") && shown.contains("secrets: 2"),
            "{shown}"
        );
    }
}
