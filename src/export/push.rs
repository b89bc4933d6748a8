//! One push to a Pushgateway, for programs that end before anybody scrapes them.
//!
//! The client is `ureq`, on the thread that calls: a batch job has no runtime, and waits for this anyway.

use crate::{
    error::Error,
    exposition::Format,
    handle::Recall,
    util::{base64::base64, text::Brief},
};
use std::{
    collections::BTreeSet,
    fmt,
    io::{ErrorKind, Read},
    time::Duration,
};
use ureq::{
    Agent, Body,
    http::{Method, Request, Response, Uri, header},
    tls::{Certificate, RootCerts, TlsConfig},
};

/// Where a batch job leaves its metrics when it ends, for Prometheus to scrape: a
/// [Pushgateway](https://github.com/prometheus/pushgateway), and the group there that they are kept in.
///
/// Setters only set; a push checks everything and reports every problem at once.
///
/// ```no_run
/// use metrics_recall::{PushGateway, Recall, secs};
///
/// let recall = Recall::builder().install()?;
/// // ... the job, and at its end:
/// let gateway = PushGateway::new("http://pushgateway:9091", "nightly_import")
///     .group_by("instance", "eu/1")
///     .timeout(secs(5));
/// if let Err(error) = recall.push(&gateway) {
///     eprintln!("{error}"); // the job is done all the same
/// }
/// # Ok::<(), metrics_recall::Error>(())
/// ```
///
/// A gateway keeps a group until it is deleted. It gives the labels of the group to each series, in place of labels of
/// that name that they have; if two series are one then, or another group has a metric of that name with another help
/// text or kind, it refuses all of it.
#[derive(Clone)]
#[must_use = "a gateway gets nothing until `Recall::push`"]
pub struct PushGateway {
    url: String,
    job: String,
    group: Vec<(String, String)>,
    timeout: Duration,
    /// Of `Authorization`.
    credentials: Option<String>,
    /// Certificates in DER; with none, the roots of Mozilla.
    roots: Vec<Vec<u8>>,
    problems: Vec<String>,
}

/// Bytes of a refusal that are read.
const READ: u64 = 4096;

const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);

impl PushGateway {
    /// The gateway at `url`, `http://host:port` or `https://`, perhaps with a path in front of its own; `job` is the label
    /// `job` of all that is pushed, and not empty. Certificates are judged by the roots of Mozilla, or by one's
    /// own ([`root_certificate`](Self::root_certificate)); redirects are not
    /// followed, and proxies in the environment not asked.
    pub fn new(url: impl Into<String>, job: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            job: job.into(),
            group: Vec::new(),
            timeout: Duration::from_secs(10),
            credentials: None,
            roots: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// One more label of the group beside `job`; the value may be anything, also empty. Names are those that Prometheus
    /// allows: letters, digits and `_`, no digit first, not `__` in front.
    pub fn group_by(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.group.push((name.into(), value.into()));
        self
    }

    /// How long all of it may take, from the name's address to the end of the answer: 1 ms to 1 h. Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A root for TLS, as a certificate in DER: that of a gateway of one's own. With one or more, only these are trusted, and
    /// not the roots of Mozilla.
    pub fn root_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.roots.push(der.into());
        self
    }

    /// Sends `Authorization: Basic`. The user has no colon, and neither has control characters. Over `http://` whoever is
    /// between reads it.
    pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let (user, password) = (user.as_ref(), password.as_ref());
        if user.contains(':') || user.chars().any(char::is_control) {
            self.problems.push(format!(
                "user `{}`: allowed is text without a colon and without control characters",
                Brief(user)
            ));
        }
        if password.chars().any(char::is_control) {
            self.problems.push(format!(
                "a password of {} bytes: allowed is text without control characters",
                password.len()
            ));
        }
        self.credentials = Some(format!(
            "Basic {}",
            base64(format!("{user}:{password}").as_bytes())
        ));
        self
    }

    /// Sends `Authorization: Bearer`, in place of [`basic_auth`](Self::basic_auth). Printable ASCII without spaces, at least
    /// one character.
    pub fn bearer_token(mut self, token: impl AsRef<str>) -> Self {
        let token = token.as_ref();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.problems.push(format!(
                "a bearer token of {} bytes: allowed is printable ASCII without spaces, at least one character",
                token.len()
            ));
        }
        self.credentials = Some(format!("Bearer {token}"));
        self
    }

    /// Deletes the group at the gateway, and so its series in Prometheus from the next scrape on; a group that there is
    /// not is deleted, too.
    ///
    /// # Errors
    ///
    /// As [`Recall::push`].
    ///
    /// ```
    /// use metrics_recall::PushGateway;
    ///
    /// let error = PushGateway::new("pushgateway:9091", "nightly").delete().unwrap_err();
    /// assert!(error.is_invalid());
    /// assert!(error.to_string().contains("`pushgateway:9091`"));
    /// ```
    pub fn delete(&self) -> Result<(), Error> {
        let target = self.target()?;
        self.send(Method::DELETE, &target, Vec::new())
    }

    /// The address of the group, or all that is wrong.
    fn target(&self) -> Result<String, Error> {
        let mut problems = self.problems.clone();
        let base = base(&self.url).unwrap_or_else(|problem| {
            problems.push(problem);
            String::new()
        });
        if self.job.is_empty() {
            problems.push("job ``: allowed is any text that is not empty".to_owned());
        }
        let mut known = BTreeSet::from(["job"]);
        for (name, _) in &self.group {
            if !is_label_name(name) {
                problems.push(format!(
                    "grouping label `{}`: allowed are letters, digits and `_`, no digit first, not `__` in front",
                    Brief(name)
                ));
            } else if !known.insert(name) {
                problems.push(format!(
                    "grouping label `{}` twice: allowed is each name once, and `job` as the job only",
                    Brief(name)
                ));
            }
        }
        if !(Duration::from_millis(1)..=LONGEST_TIMEOUT).contains(&self.timeout) {
            problems.push(format!(
                "a time-out of {:?}: allowed are 1ms to {LONGEST_TIMEOUT:?}",
                self.timeout
            ));
        }
        if !problems.is_empty() {
            return Err(Error::invalid(problems.join("; ")));
        }
        let job = ("job", &*self.job);
        let group = self.group.iter().map(|(name, value)| (&**name, &**value));
        let parts = std::iter::once(job).chain(group).map(segment);
        Ok(format!("{base}/metrics{}", parts.collect::<String>()))
    }

    fn send(&self, method: Method, target: &str, body: Vec<u8>) -> Result<(), Error> {
        let agent: Agent = Agent::config_builder()
            .timeout_global(Some(self.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .tls_config(TlsConfig::builder().root_certs(self.root_certs()).build())
            .user_agent(concat!("metrics-recall/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::CONTENT_TYPE, Format::Text.content_type());
        if let Some(credentials) = &self.credentials {
            request = request.header(header::AUTHORIZATION, credentials);
        }
        // What is wrong with the parts was found before: this has no problem left to tell.
        let request = request
            .body(body)
            .map_err(|error| Error::invalid(format!("push to `{}`: {error}", Brief(target))))?;
        let answer = agent.run(request).map_err(|error| {
            Error::remote(format!(
                "push to `{}`: {}",
                Brief(target),
                self.failed(&error)
            ))
        })?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(Error::remote(format!(
            "push to `{}`: {}",
            Brief(target),
            refused(answer)
        )))
    }

    fn root_certs(&self) -> RootCerts {
        if self.roots.is_empty() {
            return RootCerts::WebPki;
        }
        let of = |der: &Vec<u8>| Certificate::from_der(der).to_owned();
        self.roots.iter().map(of).into()
    }

    fn failed(&self, error: &ureq::Error) -> String {
        let late = || format!("not done within {:?}", self.timeout);
        match error {
            ureq::Error::Timeout(_) => late(),
            ureq::Error::Io(error) if error.kind() == ErrorKind::TimedOut => late(),
            ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
                "connection refused".to_owned()
            }
            ureq::Error::Io(error) => error.to_string(),
            ureq::Error::HostNotFound => "the host has no address".to_owned(),
            error => error.to_string(),
        }
    }
}

/// A status, and the first line of what it comes with.
fn refused(mut answer: Response<Body>) -> String {
    let status = answer.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut said = format!("status {} {reason}", status.as_u16());
    said.truncate(said.trim_end().len());
    if let Some(to) = answer.headers().get(header::LOCATION) {
        let to = String::from_utf8_lossy(to.as_bytes());
        return format!("{said} to `{}`, and redirects are not followed", Brief(&to));
    }
    // What had come until an error is enough.
    let mut body = Vec::new();
    let _ = answer
        .body_mut()
        .as_reader()
        .take(READ)
        .read_to_end(&mut body);
    let body = String::from_utf8_lossy(&body);
    let line = body.lines().map(str::trim).find(|line| !line.is_empty());
    match line {
        Some(line) => format!("{said}: {}", Brief(line)),
        None => said,
    }
}

/// The gateway's address without a slash at its end.
fn base(url: &str) -> Result<String, String> {
    let wrong = |allowed: &str| format!("url `{}`: allowed is {allowed}", Brief(url));
    let form = "`http://host[:port]` or `https://`, perhaps with a path";
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains('#');
    let uri = url.parse::<Uri>().ok().filter(|_| is_plain);
    let uri = uri.ok_or_else(|| wrong(form))?;
    let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().filter(|_| is_known);
    let authority = authority.ok_or_else(|| wrong(form))?;
    if authority.as_str().contains('@') {
        // Not even in the message: it has the password.
        return Err(
            "a url with a user: allowed is one without, and `basic_auth` beside it".to_owned(),
        );
    }
    let has_port = authority.as_str().len() > authority.host().len();
    let is_wrong = authority.host().is_empty() || has_port && authority.port_u16().is_none();
    if is_wrong || authority.port_u16() == Some(0) || uri.query().is_some() {
        return Err(wrong(form));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// As the gateway allows it in a path; the name `job` is taken by the job.
fn is_label_name(name: &str) -> bool {
    let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let mut bytes = name.bytes();
    bytes.next().is_some_and(is_start)
        && bytes.all(|byte| is_start(byte) || byte.is_ascii_digit())
        && !name.starts_with("__")
}

/// A label as two segments of the path. Values that a path does not take as they are, such as empty ones, those with a slash,
/// or `..`, are in base64.
fn segment((name, value): (&str, &str)) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let is_path = !value.is_empty() && value.bytes().all(is_plain) && value != "." && value != "..";
    if is_path {
        return format!("/{name}/{value}");
    }
    if value.is_empty() {
        return format!("/{name}@base64/=");
    }
    let coded = base64(value.as_bytes()).replace('+', "-").replace('/', "_");
    format!("/{name}@base64/{coded}")
}

impl Recall {
    /// Sends all metrics to a Pushgateway, as text 0.0.4, in place of all that the group had there (`PUT`): what a batch job does
    /// at its end. What was recorded until now is in it, as in [`render`](Self::render).
    ///
    /// Tries once, on this thread, for as long as the gateway's time-out at most; in an asynchronous program it belongs into
    /// what may block. Memory: that of the text.
    ///
    /// # Errors
    ///
    /// [`is_invalid`](Error::is_invalid), before anything is sent, for a gateway that was wrongly described, with every problem;
    /// [`is_remote`](Error::is_remote) when it cannot be reached, is not done in time, or answers with another status than 2xx: then
    /// with the first line of what it says.
    pub fn push(&self, to: &PushGateway) -> Result<(), Error> {
        let target = to.target()?;
        to.send(Method::PUT, &target, self.render_as(Format::Text))
    }

    /// As [`push`](Self::push), in place of those metrics of the group that have the same names; it keeps the others (`POST`).
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn push_add(&self, to: &PushGateway) -> Result<(), Error> {
        let target = to.target()?;
        to.send(Method::POST, &target, self.render_as(Format::Text))
    }
}

impl fmt::Debug for PushGateway {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushGateway")
            .field("url", &base(&self.url).unwrap_or_default())
            .field("job", &self.job)
            .field("group", &self.group)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_paths() {
        let gateway = PushGateway::new("http://gateway:9091/behind/", "night/ly")
            .group_by("instance", "eu-1.example")
            .group_by("empty", "")
            .group_by("parent", "..")
            .group_by("odd", "größe?")
            .group_by("sign", "\u{ff}\u{ff}\u{ff}~~>");
        let path = "http://gateway:9091/behind/metrics/job@base64/bmlnaHQvbHk=/instance/eu-1.example\
                    /empty@base64/=/parent@base64/Li4=/odd@base64/Z3LDtsOfZT8=/sign@base64/w7_Dv8O_fn4-";
        assert_eq!(gateway.target().unwrap(), path);
    }

    #[test]
    fn every_problem_is_told_and_no_secret() {
        let gateway = PushGateway::new("http://joe:hidden1@gateway", "")
            .group_by("job", "other")
            .group_by("a", "1")
            .group_by("a", "2")
            .group_by("a@base64", "")
            .group_by("__name__", "x")
            .basic_auth("a:b", "hid\nden2")
            .bearer_token("hid den3")
            .timeout(Duration::ZERO);
        let shown = format!("{gateway:?}");
        let error = gateway.target().unwrap_err();
        assert!(error.is_invalid());
        let message = error.to_string();
        for part in [
            "a url with a user",
            "job ``",
            "`job` twice",
            "`a` twice",
            "`a@base64`",
            "`__name__`",
            "user `a:b`",
            "password of 8 bytes",
            "token of 8 bytes",
            "time-out of 0ns",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        for text in [message, shown] {
            assert!(!text.contains("hid"), "{text}");
        }
    }

    #[test]
    fn urls_that_are_none_are_named() {
        for wrong in [
            "",
            "gateway:9091",
            "ftp://gateway/",
            "http://",
            "http:///metrics",
            "http://a b/",
            "http://a:0/",
            "http://a:99999/",
            "http://a:/",
            "http://a:x/",
            "http://a/?b=c",
            "http://a/#b",
            "http://a\r\n/",
            "http://größe/",
        ] {
            let error = PushGateway::new(wrong, "job").target().unwrap_err();
            let quoted = format!("`{}`", Brief(wrong));
            assert!(error.to_string().contains(&quoted), "{wrong:?}: {error}");
        }
        for right in [
            "http://a",
            "https://a:443/",
            "http://[::1]:9091/x/y",
            "HTTP://a",
        ] {
            let target = PushGateway::new(right, "job").target();
            assert!(target.unwrap().ends_with("/metrics/job/job"), "{right}");
        }
    }
}
