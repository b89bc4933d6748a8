//! The server: takes connections, asks the answers for what they want, and ends both in time.

use super::{
    answer::Answer,
    auth,
    body::{Message, Outgoing, Pieces},
    connections::{Connections, Order, Slot, Turn, Verdict},
    flow::Flow,
    io::Io,
    listen::Socket,
    options::ServeOptions,
    request::HttpRequest,
    route::Route,
    sidecar::Shared,
};
use crate::handle::WeakRecall;
use hyper::{
    Request, Response, Version,
    body::{Body, Incoming},
    header::{self, HeaderMap, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use socket2::SockRef;
use std::{convert::Infallible, io, pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout},
};

/// Bytes of a request's body that are no reason to refuse it, although nobody reads them.
const MOST_BODY: u64 = 64 << 10;

/// How long answers that are under way may take when the server ends.
const GRACE: Duration = Duration::from_secs(2);

/// Bytes of an answer that the system holds for a client; by itself it would hold 4 MiB for each that does not read.
const SENDING: usize = 256 << 10;

/// Between two attempts to take a connection when the system has no room for it.
const BREATH: Duration = Duration::from_millis(50);

/// Everything that connections share.
pub(super) struct Server {
    pub(super) store: WeakRecall,
    pub(super) options: ServeOptions,
    /// The peers are of this machine by the nature of the socket: no name leads there.
    pub(super) is_unix: bool,
    pub(super) shared: Arc<Shared>,
    pub(super) connections: Arc<Connections>,
    pub(super) flow: Arc<Flow>,
}

/// Serves until it is told to stop, and then no longer than the grace.
pub(super) async fn run(server: Arc<Server>, socket: Socket) {
    let taking = async {
        match socket {
            Socket::Tcp(listener) => {
                take(&server, async || {
                    let (socket, _) = listener.accept().await?;
                    // Answers go out in whole; waiting for more to send would only delay them.
                    socket.set_nodelay(true)?;
                    SockRef::from(&socket).set_send_buffer_size(SENDING)?;
                    Ok(socket)
                })
                .await;
            }
            #[cfg(unix)]
            Socket::Unix(listener, _file) => {
                take(&server, async || Ok(listener.accept().await?.0)).await;
            }
        }
    };
    {
        let mut taking = pin!(taking);
        let mut stopping = pin!(server.shared.stopping());
        std::future::poll_fn(|cx| match stopping.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => taking.as_mut().poll(cx),
        })
        .await;
    }
    server.connections.order_all(Order::Finish);
    let finished = async {
        while !server.connections.is_empty() {
            server.connections.changed.notified().await;
        }
    };
    // What is not finished by then is dropped with the runtime.
    let _ = timeout(GRACE, finished).await;
}

/// Takes connections for ever.
async fn take<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    server: &Arc<Server>,
    accept: impl AsyncFn() -> io::Result<S>,
) {
    let mut crowd = 0;
    loop {
        if let Ok(socket) = accept().await {
            let slot = place(server, &mut crowd).await;
            tokio::spawn(serve(server.clone(), Io::new(socket, slot.clone()), slot));
        } else {
            // Of one connection, or of the whole process: too many open files.
            server.flow.cut(1);
            sleep(BREATH).await;
        }
        // Whoever was told to go does so before the next one comes.
        tokio::task::yield_now().await;
    }
}

/// A place for a connection; while all are being answered, the next one that is done. `crowd` have come who found none, one
/// after the other: of as many that read nothing the places are needed.
async fn place(server: &Server, crowd: &mut usize) -> Arc<Slot> {
    if let Some(slot) = server.connections.open() {
        *crowd = 0;
        return slot;
    }
    loop {
        *crowd += 1;
        server.flow.cut(*crowd);
        let _ = timeout(BREATH, server.connections.changed.notified()).await;
        if let Some(slot) = server.connections.open() {
            return slot;
        }
    }
}

/// What ends the wait of a connection's task.
enum Event {
    Over,
    Ordered(Order),
    Time,
}

/// One connection, from its first byte to its last.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    server: Arc<Server>,
    io: Io<S>,
    slot: Arc<Slot>,
) {
    let _closed = Closed(&server.connections, &slot);
    let limits = server.options.limits;
    let service = service_fn(|request| {
        let (server, slot) = (server.clone(), slot.clone());
        async move { Ok::<_, Infallible>(server.handle(&slot, request).await) }
    });
    let connection = http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes)
        .max_header_size(limits.header_bytes)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    loop {
        let at = match slot.verdict(&limits, Instant::now()) {
            Verdict::Close => return,
            Verdict::LookAgain(at) => at,
        };
        let mut time = pin!(sleep_until(at));
        let mut order = pin!(slot.next_order());
        let event = std::future::poll_fn(|cx| {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Over);
            }
            if let Poll::Ready(order) = order.as_mut().poll(cx) {
                return Poll::Ready(Event::Ordered(order));
            }
            time.as_mut().poll(cx).map(|()| Event::Time)
        });
        match event.await {
            Event::Over | Event::Ordered(Order::Close) => return,
            Event::Ordered(Order::Finish) if !slot.is_answering() => return,
            Event::Ordered(Order::Finish) => connection.as_mut().graceful_shutdown(),
            Event::Ordered(Order::None) | Event::Time => {}
        }
    }
}

/// Gives a connection's place free, however its task ends.
struct Closed<'a>(&'a Connections, &'a Arc<Slot>);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.closed(self.1);
    }
}

impl Server {
    async fn handle(
        self: Arc<Self>,
        slot: &Arc<Slot>,
        request: Request<Incoming>,
    ) -> Response<Outgoing> {
        let turn = slot.answering();
        let asked = plain(&request);
        let route = Route::of(&asked);
        if let Some(refusal) = self.refusal(&request, &route) {
            return short(refusal, turn);
        }
        // Nobody reads a body; with it the connection ends, unless it is there already.
        drop(request);
        if route.is_quick() {
            return short(Answer::of(&route, &asked, self.store.upgrade()), turn);
        }
        let answer = self.make(slot.clone(), route, asked, turn.clone()).await;
        answer.unwrap_or_else(|| {
            self.shared.count_failure();
            let text = "the answer could not be made, which is a mistake in metrics-recall: please report it";
            short(Answer::plain(500, text), turn)
        })
    }

    /// Why a request is not answered, if it is not.
    fn refusal(&self, request: &Request<Incoming>, route: &Route) -> Option<Answer> {
        if request.body().size_hint().lower() > MOST_BODY {
            let text = format!(
                "the body has {} bytes: at most {MOST_BODY} are allowed, and none is read",
                request.body().size_hint().lower()
            );
            return Some(Answer::plain(413, &text).header("connection", "close"));
        }
        if let Some(refusal) = self.wrong_host(request) {
            return Some(refusal);
        }
        let secrets = &self.options.secrets;
        let authorization = text(request.headers(), &header::AUTHORIZATION);
        if route.is_open() || auth::is_allowed(secrets, authorization) {
            return None;
        }
        let refusal = Answer::plain(401, "authentication is needed, and was missing or wrong");
        let challenges = auth::challenges(secrets).into_iter();
        Some(challenges.fold(refusal, |refusal, challenge| {
            refusal.header("www-authenticate", challenge)
        }))
    }

    /// All that say where the request is for must be right: the header, and a target with an authority.
    fn wrong_host(&self, request: &Request<Incoming>) -> Option<Answer> {
        let mut headers = request.headers().get_all(header::HOST).iter();
        let (host, more) = (headers.next(), headers.next());
        if more.is_some() || (host.is_none() && request.version() == Version::HTTP_11) {
            return Some(Answer::plain(400, "one `Host` is needed"));
        }
        if self.is_unix {
            return None;
        }
        let header = host.map(|host| String::from_utf8_lossy(host.as_bytes()));
        let target = request
            .uri()
            .authority()
            .map(|authority| authority.as_str().into());
        let wrong = [header, target]
            .into_iter()
            .flatten()
            .find(|host| !self.options.hosts.has(host));
        wrong.map(|host| {
            let shown: String = host.chars().take(100).collect();
            let text = format!(
                "the host `{}` is not one of this server: allowed are addresses, `localhost`, and what `ServeOptions::allow_host` lists",
                shown.escape_debug()
            );
            Answer::plain(421, &text)
        })
    }

    /// Makes an answer where it may block. `None`: it broke before its first piece.
    async fn make(
        self: &Arc<Self>,
        slot: Arc<Slot>,
        route: Route,
        asked: HttpRequest,
        turn: Arc<Turn>,
    ) -> Option<Response<Outgoing>> {
        slot.set_in_line(true);
        let maker = self.flow.maker().await;
        slot.set_in_line(false);
        let (head_to, head) = oneshot::channel();
        let (to, pieces) = mpsc::unbounded_channel::<Message>();
        let (server, turn_too) = (self.clone(), turn.clone());
        tokio::task::spawn_blocking(move || {
            let _maker = maker;
            let answer = Answer::of(&route, &asked, server.store.upgrade());
            if head_to.send((answer.status, answer.headers)).is_err() {
                return;
            }
            let outlet = server.flow.begin(slot);
            let mut pieces = Pieces::new(outlet, to, turn_too);
            // A client that is gone, or that was cut off, needs no more.
            let _ = Answer::write(answer.content, answer.encoding, &mut pieces)
                .and_then(|()| pieces.finish());
        });
        let (status, headers) = head.await.ok()?;
        let body = Outgoing::stream(pieces, turn).await?;
        Some(response(status, &headers, body))
    }
}

/// An answer that is there already.
fn short(answer: Answer, turn: Arc<Turn>) -> Response<Outgoing> {
    let (status, headers) = (answer.status, answer.headers.clone());
    let whole = answer.whole().body;
    response(status, &headers, Outgoing::bytes(whole, turn))
}

fn response(status: u16, headers: &[(&'static str, String)], body: Outgoing) -> Response<Outgoing> {
    let mut response = Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(*name, value);
        }
    }
    response
}

/// Without what belongs to the connection.
fn plain(request: &Request<Incoming>) -> HttpRequest {
    let target = request
        .uri()
        .path_and_query()
        .map_or("", |target| target.as_str());
    let mut plain = HttpRequest::new(request.method().as_str(), target);
    for name in [header::ACCEPT, header::ACCEPT_ENCODING] {
        for value in request.headers().get_all(&name) {
            plain = plain.header(&name, value.to_str().unwrap_or_default());
        }
    }
    plain
}

/// The text of a header that comes once.
fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}
