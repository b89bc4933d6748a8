//! The answer to each route: a status, headers, and a body that is written wherever it is to go.

use super::{
    accept::{self, Encoding},
    deflate::Deflate,
    page,
    request::{HttpRequest, HttpResponse},
    route::{PATHS, Route},
};
use crate::{
    exposition::{Format, json_string},
    handle::Recall,
};
use std::{
    io::{self, Write},
    time::Duration,
};

/// Everything but the body, and what that is made of.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) content: Content,
    pub(super) encoding: Encoding,
}

/// What a body is made of.
pub(super) enum Content {
    None,
    Text(String),
    Metrics(Recall, Format),
    Dump(Recall, Duration),
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// Bodies below this are not worth compressing.
const LEAST_GZIP: usize = 256;

impl Answer {
    pub(super) fn new(status: u16, content_type: &str, content: Content) -> Self {
        let headers = vec![
            ("content-type", content_type.to_owned()),
            // It is another one in the next second, and says what this process does.
            ("cache-control", "no-store".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ];
        Self {
            status,
            headers,
            content,
            encoding: Encoding::Identity,
        }
    }

    /// A sentence, on a line.
    pub(super) fn plain(status: u16, text: &str) -> Self {
        Self::new(status, PLAIN, Content::Text(format!("{text}\n")))
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Looks at the store as far as the route needs it; `None`: there is none any more.
    pub(super) fn of(route: &Route, request: &HttpRequest, recall: Option<Recall>) -> Self {
        let answer = match (route, recall) {
            (Route::Unknown, _) => {
                let path: String = request.path.chars().take(100).collect();
                let text = format!("nothing is at `{}`: there are {PATHS}", path.escape_debug());
                Self::plain(404, &text)
            }
            (Route::WrongMethod, _) => {
                let method: String = request.method.chars().take(20).collect();
                let text = format!(
                    "`{}` is not allowed: only GET and HEAD are",
                    method.escape_debug()
                );
                Self::plain(405, &text).header("allow", "GET, HEAD")
            }
            (Route::WrongWindow(window), _) => {
                let window: String = window.chars().take(20).collect();
                let text = format!(
                    "the window `{}` is none: allowed are 1s to 366d, as in `90s`, `5m`, `2h` or `1d`",
                    window.escape_debug()
                );
                Self::plain(400, &text)
            }
            (Route::Alive, _) => Self::plain(200, "healthy"),
            (_, None) => Self::plain(503, "the store of this process is gone"),
            (Route::Ready, Some(recall)) if recall.is_shut() => Self::plain(503, "shut down"),
            (Route::Ready, Some(_)) => Self::plain(200, "ready"),
            (Route::Text(window), Some(recall)) => {
                let text = page::text(&recall, *window);
                Self::new(200, PLAIN, Content::Text(text)).header("vary", "accept, accept-encoding")
            }
            (Route::Html(window), Some(recall)) => {
                let html = page::html(&recall, *window);
                Self::new(200, "text/html; charset=utf-8", Content::Text(html))
                    .header("vary", "accept, accept-encoding")
                    .header("content-security-policy", page::POLICY)
                    .header("referrer-policy", "no-referrer")
            }
            (Route::Dump(window), Some(recall)) => {
                let content = Content::Dump(recall, *window);
                Self::new(200, "application/json", content).header("vary", "accept-encoding")
            }
            (Route::Health, Some(recall)) => health(&recall),
            (Route::Metrics(format), Some(recall)) => {
                let content = Content::Metrics(recall, *format);
                Self::new(200, format.content_type(), content)
                    .header("vary", "accept, accept-encoding")
            }
        };
        answer.encoded(request)
    }

    /// Chooses how the body goes over the wire, and leaves it out for `HEAD`.
    fn encoded(mut self, request: &HttpRequest) -> Self {
        let is_large = match &self.content {
            Content::None => false,
            Content::Text(text) => text.len() >= LEAST_GZIP,
            Content::Metrics(..) | Content::Dump(..) => true,
        };
        if is_large && accept::encoding(&request.accept_encoding) == Encoding::Gzip {
            self.encoding = Encoding::Gzip;
            self.headers.push(("content-encoding", "gzip".to_owned()));
        }
        if request.method == "HEAD" {
            self.content = Content::None;
        }
        self
    }

    /// Writes the body, piece by piece as it comes into being.
    pub(super) fn write(
        content: Content,
        encoding: Encoding,
        to: &mut impl Write,
    ) -> io::Result<()> {
        match encoding {
            // No bytes at all, where nothing compressed would be some.
            _ if matches!(content, Content::None) => Ok(()),
            Encoding::Identity => content.write(to),
            Encoding::Gzip => {
                let mut deflate = Deflate::new(to);
                content.write(&mut deflate)?;
                deflate.finish()
            }
        }
    }

    /// All of it, in memory.
    pub(super) fn whole(self) -> HttpResponse {
        let mut body = Vec::new();
        // A vector is a writer that never fails.
        let _ = Self::write(self.content, self.encoding, &mut body);
        HttpResponse {
            status: self.status,
            headers: self.headers,
            body,
        }
    }
}

impl Content {
    fn write(self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Text(text) => to.write_all(text.as_bytes()),
            Self::Metrics(recall, format) => recall.render_to(format, to),
            Self::Dump(recall, window) => recall.dump_to(window, to),
        }
    }
}

/// `{"status": "degraded", "reasons": [..]}`
fn health(recall: &Recall) -> Answer {
    let health = recall.health();
    let (status, word) = if health.is_healthy() {
        (200, "healthy")
    } else {
        (503, "degraded")
    };
    let mut json = Vec::new();
    json.extend_from_slice(b"{\"status\":\"");
    json.extend_from_slice(word.as_bytes());
    json.extend_from_slice(b"\",\"reasons\":[");
    for (at, reason) in health.reasons().iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        json_string(reason, &mut json);
    }
    json.extend_from_slice(b"]}\n");
    let text = String::from_utf8_lossy(&json).into_owned();
    Answer::new(status, "application/json", Content::Text(text))
}
