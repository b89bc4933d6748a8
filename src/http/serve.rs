//! What the handle gains: to be served, and to answer a request by itself.

#[cfg(unix)]
use super::sidecar::UnixSidecar;
use super::{
    answer::Answer,
    listen,
    options::ServeOptions,
    request::{HttpRequest, HttpResponse},
    route::Route,
    sidecar::Sidecar,
};
use crate::{error::Error, handle::Recall};
use std::net::ToSocketAddrs;
#[cfg(unix)]
use std::path::Path;

/// The sidecar: the store over HTTP.
///
/// | path | answer |
/// |---|---|
/// | `/metrics` | the exposition, in the format that `Accept` weighs most: text 0.0.4, text 1.0.0, OpenMetrics, JSON, and with feature `protobuf` protobuf; text 0.0.4 if none of them is wanted |
/// | `/` | for people, the last minutes: health, active alerts, and what happens most, with sparklines; text for `curl`, a page for browsers. `?window=1h` looks further back |
/// | `/healthz` | [`health`](Self::health) as JSON: status 200 if healthy, and 503 if not |
/// | `/api/dump` | the JSON document of [`dump`](Self::dump), over the last 5 minutes or `?window=1h` |
/// | `/-/healthy` | 200: the process lives. Open to all |
/// | `/-/ready` | 200, and 503 after a [`shutdown`](Self::shutdown). Open to all |
///
/// `GET` and `HEAD`; gzip for those who accept it. Needs feature `http`, which is on by default.
impl Recall {
    /// Serves the store on `addr`, until the [`Sidecar`] is dropped, the store is shut down, or its last handle is gone.
    ///
    /// The server has a thread and a runtime of its own, `recall-http`: it needs none of the caller's, and neither can
    /// hold up the other. `127.0.0.1` is this machine's alone; any other address is open to whoever reaches it, and
    /// [`health`](Self::health) says so unless [`serve_with`](Self::serve_with) asks for authentication. Port 0 is any
    /// free one, which [`Sidecar::local_addr`] tells.
    ///
    /// # Errors
    ///
    /// For an address that is none, cannot be resolved or is not this machine's; for a port that is in use or not allowed;
    /// and when no thread can be started.
    ///
    /// ```
    /// let (_recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// let sidecar = recall.serve("127.0.0.1:0")?;
    /// println!("curl http://{}/metrics", sidecar.local_addr());
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn serve(&self, addr: impl ToSocketAddrs) -> Result<Sidecar, Error> {
        self.serve_with(addr, ServeOptions::new())
    }

    /// As [`serve`](Self::serve), with authentication or with other limits.
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve), and for options outside of their ranges, all of them at once.
    pub fn serve_with(
        &self,
        addr: impl ToSocketAddrs,
        options: ServeOptions,
    ) -> Result<Sidecar, Error> {
        options.check()?;
        listen::tcp(addr).and_then(|listener| Sidecar::start(self, listener, options))
    }

    /// As [`serve_with`](Self::serve_with), on a Unix domain socket that only this user may open: change the permissions
    /// of the file for others. Any `Host` is answered there. A socket that nobody listens at any more is replaced; the file
    /// is removed when the server stops.
    ///
    /// # Errors
    ///
    /// As [`serve_with`](Self::serve_with), and when there is a file that is no socket.
    ///
    /// ```no_run
    /// use metrics_recall::{Recall, ServeOptions};
    ///
    /// let recall = Recall::builder().install()?;
    /// let sidecar = recall.serve_unix("/run/shop/metrics.sock", ServeOptions::new())?;
    /// // curl --unix-socket /run/shop/metrics.sock http://localhost/metrics
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[cfg(unix)]
    pub fn serve_unix(
        &self,
        path: impl AsRef<Path>,
        options: ServeOptions,
    ) -> Result<UnixSidecar, Error> {
        options.check()?;
        let path = path.as_ref();
        listen::unix(path).and_then(|listener| UnixSidecar::start(self, listener, path, options))
    }

    /// Answers a request as a sidecar does, but for a server of yours, whose routes, authentication and limits apply: paths
    /// are those of the table above, without whatever prefix they are mounted below.
    ///
    /// Cost: that of [`render_as`](Self::render_as) or [`health`](Self::health), so an asynchronous server calls it where
    /// blocking is allowed (`tokio::task::spawn_blocking`). `examples/mount_in_axum` shows how.
    ///
    /// ```
    /// use metrics_recall::{HttpRequest, Recall};
    ///
    /// let (recorder, recall) = Recall::builder().build()?;
    /// recorder.scope(|| metrics::counter!("orders_total").increment(2));
    /// let response = recall.respond(&HttpRequest::new("GET", "/metrics").header("accept", "text/plain"));
    /// assert_eq!(response.status, 200);
    /// assert!(response.body.ends_with(b"orders_total 2\n"));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let route = Route::of(request);
        Answer::of(&route, request, Some(self.clone())).whole()
    }
}
