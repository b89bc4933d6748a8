//! What a request is for: decided from its method, path and headers alone.

use super::{accept, request::HttpRequest};
use crate::exposition::Format;
use std::time::Duration;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Route {
    Metrics(Format),
    /// `health()`, as JSON and as a status.
    Health,
    /// The last so much, for a person.
    Text(Duration),
    Html(Duration),
    /// The same dump as goes to files.
    Dump(Duration),
    /// A window that is none.
    WrongWindow(String),
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
pub(super) const PATHS: &str = "/, /metrics, /healthz, /api/dump, /-/healthy, /-/ready";

impl Route {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let route = match request.path.as_str() {
            "/metrics" => Self::Metrics(accept::format(&request.accept)),
            "/healthz" => Self::Health,
            "/api/dump" => window(request).map_or_else(Self::WrongWindow, Self::Dump),
            "/" => match window(request) {
                Ok(window) if accept::wants_html(&request.accept) => Self::Html(window),
                Ok(window) => Self::Text(window),
                Err(wrong) => Self::WrongWindow(wrong),
            },
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
            Self::Alive | Self::Ready | Self::Unknown | Self::WrongMethod | Self::WrongWindow(_)
        )
    }
}

/// The window that is looked at without another word.
const WINDOW: Duration = Duration::from_secs(300);

/// The longest one: a year.
const LONGEST: u64 = 366 * 86_400;

/// `?window=90s`, `5m`, `2h`, `1d`.
///
/// # Errors
///
/// With what was given instead.
fn window(request: &HttpRequest) -> Result<Duration, String> {
    let Some(text) = request.parameter("window") else {
        return Ok(WINDOW);
    };
    seconds(text)
        .filter(|seconds| (1..=LONGEST).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| text.to_owned())
}

fn seconds(text: &str) -> Option<u64> {
    let unit = match text.bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        b'd' => 86_400,
        _ => return None,
    };
    let number = text.get(..text.len() - 1)?;
    let is_number =
        !number.is_empty() && number.len() <= 9 && number.bytes().all(|b| b.is_ascii_digit());
    is_number
        .then(|| number.parse::<u64>().ok()?.checked_mul(unit))
        .flatten()
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
        assert_eq!(
            of("GET", "/api/dump?window=2m"),
            Route::Dump(Duration::from_secs(120))
        );
        assert_eq!(
            of("GET", "/api/dump?window=x"),
            Route::WrongWindow("x".to_owned())
        );
        assert_eq!(of("GET", "/"), Route::Text(Duration::from_secs(300)));
        for (text, seconds) in [
            ("90s", 90),
            ("5m", 300),
            ("2h", 7200),
            ("1d", 86_400),
            ("366d", LONGEST),
        ] {
            assert_eq!(
                of("GET", &format!("/?a=b&window={text}&c")),
                Route::Text(Duration::from_secs(seconds))
            );
        }
        for text in [
            "",
            "5",
            "m",
            "0s",
            "-5m",
            "+5m",
            "5M",
            "1.5h",
            "367d",
            "999999999d",
            "9999999999s",
            "5 m",
            "ö",
            "%35m",
        ] {
            assert_eq!(
                of("GET", &format!("/?window={text}")),
                Route::WrongWindow(text.to_owned())
            );
        }
        let browser =
            HttpRequest::new("GET", "/?window=1m").header("accept", "text/html,*/*;q=0.8");
        assert_eq!(Route::of(&browser), Route::Html(Duration::from_secs(60)));
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
