//! The sidecar: what the store knows, over HTTP. On a thread and a runtime of its own, bounded in connections, time and bytes.
//!
//! `Request -> Route -> Response` is plain code without sockets ([`Recall::respond`](crate::Recall::respond)); the server only carries its answers.
//! It talks to the handle alone, and holds the store weakly.

mod accept;
mod answer;
mod auth;
mod body;
mod connections;
mod deflate;
mod flow;
mod host;
mod io;
mod listen;
mod options;
mod page;
mod request;
mod route;
mod serve;
mod server;
mod sidecar;

#[cfg(unix)]
pub use self::sidecar::UnixSidecar;
pub use self::{
    options::ServeOptions,
    request::{HttpRequest, HttpResponse},
    sidecar::Sidecar,
};

#[cfg(fuzzing)]
pub(crate) use self::accept::{Encoding, encoding, format};
