//! Other services, tried from outside: does a name resolve, does a port accept, does a page come, and how long does each take?
//!
//! [`Probe::run`] tries once and gives a typed [`Report`] or [`Failure`]; [`Recall::probe`] tries from time to time and records,
//! under the names of `blackbox_exporter`, whose dashboards and rules so fit:
//!
//! | metric | kind | what it is |
//! |---|---|---|
//! | `probe_success{target}` | gauge | 1, or 0 |
//! | `probe_duration_seconds{target}` | gauge | all of it |
//! | `probe_dns_lookup_time_seconds{target}` | gauge | until the name was an address |
//! | `probe_http_duration_seconds{target,phase}` | gauge | `resolve`, `connect`, `tls`, `processing` and `transfer`, those of redirects added up |
//! | `probe_http_status_code{target}` | gauge | of the last answer; 0: there was none |
//! | `probe_http_redirects{target}` | gauge | redirects that were followed |
//! | `probe_http_ssl{target}` | gauge | 1, if the last answer came through TLS |
//! | `probe_ssl_earliest_cert_expiry{target}` | gauge | when the first certificate of the chain expires, since the Unix epoch |
//! | `probe_failures_total{target,cause}` | counter | of ours: `connection`, `timeout`, `decode`, `other` |
//!
//! Each target has a thread, a schedule and a time-out of its own: one that hangs costs itself, for as long as the time-out, and
//! nobody else. Connections are new ones each time, and TLS certificates are judged by the roots of Mozilla.

mod answer;
mod certificate;
mod chunked;
mod connect;
#[cfg(fuzzing)]
pub(crate) mod doors;
mod http;
mod url;

use self::{connect::Deadline, url::Url};
use crate::{
    clock::{Clock, secs},
    collectors::Collecting,
    error::Error,
    handle::Recall,
    intake::{Cause, CollectError, Collector},
    util::text::Shown,
};
use metrics::{counter, gauge};
use std::{fmt, time::Duration};

/// What is tried, and for how long.
#[derive(Clone, Debug)]
#[must_use = "a probe does nothing until `run()` or `Recall::probe`"]
pub struct Probe {
    target: String,
    what: What,
    interval: Duration,
    timeout: Duration,
    roots: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
enum What {
    Dns(String),
    Tcp(String, u16),
    Http(Url),
}

/// What a probe found, phase by phase. Phases that there were none of are zero.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// All of it.
    pub total: Duration,
    /// Until the name was an address.
    pub resolve: Duration,
    /// Until the other side had accepted.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// From the request to the head of the answer.
    pub processing: Duration,
    /// The body of the answer.
    pub transfer: Duration,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// Redirects that were followed.
    pub redirects: u32,
    /// Bytes of the last answer's body; not more than 16 MiB are read.
    pub body_bytes: u64,
    /// When the first certificate of the last chain expires, in seconds since the Unix epoch.
    pub certificate_expiry: Option<u64>,
}

impl Report {
    /// Bytes of the body a second of its transfer; `None` for a transfer that took no time.
    #[must_use]
    pub fn throughput(&self) -> Option<f64> {
        throughput(self.body_bytes, self.transfer)
    }
}

/// Bytes a second; `None` for a duration of zero.
///
/// ```
/// use metrics_recall::{probes::throughput, secs};
///
/// assert_eq!(throughput(3_000, secs(2)), Some(1_500.0));
/// ```
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a rate is a float")]
pub fn throughput(bytes: u64, duration: Duration) -> Option<f64> {
    (!duration.is_zero()).then(|| bytes as f64 / duration.as_secs_f64())
}

/// How far a probe had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The name was to become an address.
    Resolve,
    /// The other side was to accept.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The head of the answer was to come.
    Processing,
    /// The body of the answer was to come.
    Transfer,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Processing => "processing",
            Self::Transfer => "transfer",
        })
    }
}

/// Why a probe failed, where, and what it found until then. An answer with a status that is not 2xx is a failure, too.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    cause: Cause,
    phase: Phase,
    message: String,
    report: Box<Report>,
}

impl Failure {
    fn new(cause: Cause, phase: Phase, message: impl fmt::Display) -> Self {
        Self {
            cause,
            phase,
            message: message.to_string(),
            report: Box::default(),
        }
    }

    /// Its class.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// How far the probe had come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What was found until then.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}): {}",
            self.phase,
            self.cause,
            Shown(&self.message)
        )
    }
}

impl std::error::Error for Failure {}

impl Probe {
    /// Resolves a name.
    ///
    /// # Errors
    ///
    /// When `host` is empty, or no name.
    pub fn dns(host: impl Into<String>) -> Result<Self, Error> {
        let host = host.into();
        url::check_host(&host)?;
        Ok(Self::new(host.clone(), What::Dns(host)))
    }

    /// Connects to `host:port`.
    ///
    /// # Errors
    ///
    /// When `address` is not of that form.
    ///
    /// ```
    /// use metrics_recall::{probes::Probe, secs};
    ///
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let address = listener.local_addr()?.to_string();
    /// let report = Probe::tcp(address)?.timeout(secs(5)).run()?;
    /// println!("connected in {:?}", report.connect);
    /// assert!(Probe::tcp("localhost").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tcp(address: impl Into<String>) -> Result<Self, Error> {
        let address = address.into();
        let (host, port) = url::host_and_port(&address)?;
        Ok(Self::new(address, What::Tcp(host, port)))
    }

    /// Gets `url`, which is `http://` or `https://`, and follows up to ten redirects. Success is a status of 2xx, and all of
    /// the body.
    ///
    /// # Errors
    ///
    /// When `url` is no such thing.
    pub fn http(url: impl Into<String>) -> Result<Self, Error> {
        let target = url.into();
        let url = Url::parse(&target)?;
        Ok(Self::new(target, What::Http(url)))
    }

    fn new(target: String, what: What) -> Self {
        Self {
            target,
            what,
            interval: secs(15),
            timeout: secs(5),
            roots: Vec::new(),
        }
    }

    /// How often [`Recall::probe`] tries; by default every 15 s.
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long all of it may take; by default 5 s. Longer than an hour is an hour; in no time nothing is done.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(secs(3600));
        self
    }

    /// One more root for TLS beside those of Mozilla: a certificate in DER.
    pub fn root_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.roots.push(der.into());
        self
    }

    /// Tries once, on this thread, for as long as the time-out at most.
    ///
    /// # Errors
    ///
    /// A [`Failure`]: of which class it is, how far the probe came, and what was found until then.
    pub fn run(&self) -> Result<Report, Failure> {
        self.run_at(&Clock::default())
    }

    fn run_at(&self, clock: &Clock) -> Result<Report, Failure> {
        let deadline = Deadline::new(clock, self.timeout);
        let mut report = Report::default();
        let result = self.attempt(&deadline, &mut report);
        report.total = deadline.passed();
        match result {
            Ok(()) => Ok(report),
            Err(failure) => Err(Failure {
                report: Box::new(report),
                ..failure
            }),
        }
    }

    fn attempt(&self, deadline: &Deadline, report: &mut Report) -> Result<(), Failure> {
        match &self.what {
            What::Dns(host) => connect::resolve(host, 0, deadline, report).map(drop),
            What::Tcp(host, port) => connect::connect(host, *port, deadline, report).map(drop),
            What::Http(url) => http::get(url, &self.roots, deadline, report),
        }
    }
}

impl Recall {
    /// Tries a target from time to time, for as long as the guard lives, and records the metrics of [`probes`](crate::probes).
    ///
    /// A target that fails does not make the store unhealthy, and is tried as often as one that does not.
    ///
    /// # Errors
    ///
    /// When the time-out is zero, or a [`root_certificate`](Probe::root_certificate) is none. Also as [`collect_as`](Recall::collect_as); the collector is
    /// called `probe` and the target.
    pub fn probe(&self, probe: Probe) -> Result<Collecting, Error> {
        if probe.timeout.is_zero() {
            return Err(Error::invalid(format!(
                "time-out of 0 s of the probe `{}`: allowed is more than that, and an hour at most",
                Shown(&probe.target)
            )));
        }
        for (nth, root) in (1..).zip(&probe.roots) {
            http::check_root(root).map_err(|error| {
                Error::invalid(format!(
                    "root certificate {nth} of the probe `{}`, of {} bytes: {error}; allowed is a certificate in DER",
                    Shown(&probe.target),
                    root.len()
                ))
            })?;
        }
        let name = format!("probe {}", probe.target);
        self.collect(Prober { name, probe })
    }
}

struct Prober {
    name: String,
    probe: Probe,
}

impl Collector for Prober {
    fn name(&self) -> &str {
        &self.name
    }

    fn interval(&self) -> Duration {
        self.probe.interval
    }

    fn collect(&mut self) -> Result<(), CollectError> {
        self.probe.record(self.probe.run());
        Ok(())
    }
}

impl Probe {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    fn record(&self, result: Result<Report, Failure>) {
        let target = || ("target", self.target.clone());
        let set = |name: &'static str, value: f64| gauge!(name, &[target()]).set(value);
        let (report, is_success) = match result {
            Ok(report) => (report, true),
            Err(failure) => {
                let cause = ("cause", failure.cause.as_str().to_owned());
                counter!("probe_failures_total", &[target(), cause]).increment(1);
                (*failure.report, false)
            }
        };
        set("probe_success", f64::from(u8::from(is_success)));
        set("probe_duration_seconds", report.total.as_secs_f64());
        set(
            "probe_dns_lookup_time_seconds",
            report.resolve.as_secs_f64(),
        );
        if let What::Http(_) = self.what {
            let phases = [
                ("resolve", report.resolve),
                ("connect", report.connect),
                ("tls", report.tls),
                ("processing", report.processing),
                ("transfer", report.transfer),
            ];
            for (phase, took) in phases {
                let labels = [target(), ("phase", phase.to_owned())];
                gauge!("probe_http_duration_seconds", &labels).set(took.as_secs_f64());
            }
            set(
                "probe_http_status_code",
                f64::from(report.status.unwrap_or(0)),
            );
            set("probe_http_redirects", f64::from(report.redirects));
            let is_tls = report.certificate_expiry.is_some();
            set("probe_http_ssl", f64::from(u8::from(is_tls)));
            if let Some(expiry) = report.certificate_expiry {
                set("probe_ssl_earliest_cert_expiry", expiry as f64);
            }
        }
    }
}
