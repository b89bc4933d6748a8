//! What a request is for: decided from its method, path and headers alone.

use super::{accept, request::HttpRequest};
use crate::exposition::Format;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Route {
    Metrics(Format),
    /// `health()`, as JSON and as a status.
    Health,
    /// The process lives, and so does this thread.
    Alive,
    /// The store takes what is recorded.
    Ready,
    /// Nothing is there; says what is.
    Unknown,
    /// Reading is all that can be done.
    WrongMethod,
}

/// Paths that there are, for those who asked for another.
pub(super) const PATHS: &str = "/metrics, /healthz, /-/healthy, /-/ready";

impl Route {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let route = match request.path.as_str() {
            "/metrics" => Self::Metrics(accept::format(&request.accept)),
            "/healthz" => Self::Health,
            "/-/healthy" => Self::Alive,
            "/-/ready" => Self::Ready,
            _ => return Self::Unknown,
        };
        match request.method.as_str() {
            "GET" | "HEAD" => route,
            _ => Self::WrongMethod,
        }
    }

    /// Whether anybody may ask: it says nothing of the store.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Alive | Self::Ready)
    }

    /// Whether the answer is known without a look at the store.
    pub(super) fn is_quick(&self) -> bool {
        matches!(
            self,
            Self::Alive | Self::Ready | Self::Unknown | Self::WrongMethod
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_are_what_they_are() {
        let of = |method: &str, target: &str| Route::of(&HttpRequest::new(method, target));
        assert_eq!(of("GET", "/metrics"), Route::Metrics(Format::Text));
        assert_eq!(
            of("HEAD", "/metrics?x=/healthz"),
            Route::Metrics(Format::Text)
        );
        assert_eq!(of("GET", "/healthz"), Route::Health);
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "", "GET "] {
            assert_eq!(of(method, "/metrics"), Route::WrongMethod, "{method}");
            assert_eq!(of(method, "/nowhere"), Route::Unknown, "{method}");
        }
        for path in [
            "",
            "/metrics/",
            "//metrics",
            "/Metrics",
            "/metrics/../healthz",
            "/%6detrics",
            "metrics",
            "/-/",
            "/..",
            "*",
            "/metrics\0",
            "http://localhost/metrics",
        ] {
            assert_eq!(of("GET", path), Route::Unknown, "{path}");
        }
    }
}
