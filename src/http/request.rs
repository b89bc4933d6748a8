//! A request and its response without any server: what an application's own routes hand over and get back.

/// What a request says, as far as it matters here.
///
/// ```
/// use metrics_recall::HttpRequest;
///
/// let request = HttpRequest::new("GET", "/metrics?from=prometheus").header("Accept-Encoding", "gzip");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a request does nothing until `respond` gets it"]
pub struct HttpRequest {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) accept: String,
    pub(super) accept_encoding: String,
}

impl HttpRequest {
    /// A request with a method and a path, with its query if it has one.
    pub fn new(method: impl Into<String>, target: impl AsRef<str>) -> Self {
        let target = target.as_ref();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.into(),
            path: path.to_owned(),
            query: query.to_owned(),
            accept: String::new(),
            accept_encoding: String::new(),
        }
    }

    /// A header. `Accept` and `Accept-Encoding` matter; all others may be given, and are ignored. Of a name that comes
    /// twice, both count.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let name = name.as_ref();
        let place = if name.eq_ignore_ascii_case("accept") {
            &mut self.accept
        } else if name.eq_ignore_ascii_case("accept-encoding") {
            &mut self.accept_encoding
        } else {
            return self;
        };
        if !place.is_empty() {
            place.push(',');
        }
        place.push_str(value.as_ref());
        self
    }

    /// The value of a query's parameter, as it is written.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpResponse {
    /// `200`.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// Empty for `HEAD`.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The value of a header.
    ///
    /// ```
    /// use metrics_recall::{HttpRequest, Recall};
    ///
    /// let (_recorder, recall) = Recall::builder().build()?;
    /// let response = recall.respond(&HttpRequest::new("GET", "/-/healthy"));
    /// assert_eq!(response.header("Content-Type"), Some("text/plain; charset=utf-8"));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}
