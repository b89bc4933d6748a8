//! A body on its way: pieces that the maker's thread writes and that the server's sends.

use super::{
    connections::Turn,
    flow::{Lease, Outlet},
};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    io::{self, Write},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// Bytes of a piece.
const PIECE: usize = 64 << 10;

/// What a maker sends. Without an end the answer is broken, and must look so to the client.
pub(super) enum Message {
    Piece(Bytes),
    End,
}

/// Bytes that hold what is to end when they are sent.
struct Held {
    bytes: Vec<u8>,
    _lease: Option<Lease>,
    _turn: Arc<Turn>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body, as the server sends it.
pub(super) struct Outgoing {
    /// Go out first, in their order.
    ready: [Option<Bytes>; 2],
    /// And then these, if there are more.
    rest: Option<UnboundedReceiver<Message>>,
    _turn: Arc<Turn>,
}

impl Outgoing {
    pub(super) fn nothing(turn: Arc<Turn>) -> Self {
        Self {
            ready: [None, None],
            rest: None,
            _turn: turn,
        }
    }

    pub(super) fn bytes(bytes: Vec<u8>, turn: Arc<Turn>) -> Self {
        if bytes.is_empty() {
            return Self::nothing(turn);
        }
        let held = Held {
            bytes,
            _lease: None,
            _turn: turn.clone(),
        };
        Self {
            ready: [Some(Bytes::from_owner(held)), None],
            rest: None,
            _turn: turn,
        }
    }

    /// Waits for the first two messages: an answer of one piece has a known length. `None`: it broke before that.
    pub(super) async fn stream(
        mut messages: UnboundedReceiver<Message>,
        turn: Arc<Turn>,
    ) -> Option<Self> {
        let first = match messages.recv().await? {
            Message::Piece(bytes) => bytes,
            Message::End => return Some(Self::nothing(turn)),
        };
        let (second, rest) = match messages.recv().await? {
            Message::Piece(bytes) => (Some(bytes), Some(messages)),
            Message::End => (None, None),
        };
        Some(Self {
            ready: [Some(first), second],
            rest,
            _turn: turn,
        })
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(next) = self.ready.iter_mut().find_map(Option::take) {
            return Poll::Ready(Some(Ok(Frame::data(next))));
        }
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        rest.poll_recv(cx).map(|message| match message {
            Some(Message::Piece(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Message::End) => {
                self.rest = None;
                None
            }
            // The connection breaks off, so that nobody takes the part for the whole.
            None => Some(Err(io::ErrorKind::BrokenPipe.into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ready.iter().all(Option::is_none) && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let ready = self.ready.iter().flatten();
        match self.rest {
            None => SizeHint::with_exact(ready.map(|bytes| bytes.len() as u64).sum()),
            Some(_) => SizeHint::default(),
        }
    }
}

/// Where a maker writes.
pub(super) struct Pieces {
    buffer: Vec<u8>,
    outlet: Outlet,
    to: UnboundedSender<Message>,
    turn: Arc<Turn>,
}

impl Pieces {
    pub(super) fn new(outlet: Outlet, to: UnboundedSender<Message>, turn: Arc<Turn>) -> Self {
        Self {
            buffer: Vec::new(),
            outlet,
            to,
            turn,
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.buffer);
        let lease = self.outlet.take(bytes.capacity(), || self.to.is_closed())?;
        let held = Held {
            bytes,
            _lease: Some(lease),
            _turn: self.turn.clone(),
        };
        let piece = Message::Piece(Bytes::from_owner(held));
        self.to
            .send(piece)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Sends what is left, and the end.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.buffer.shrink_to_fit();
            self.send()?;
        }
        self.to
            .send(Message::End)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(PIECE.max(bytes.len()));
        }
        if self.buffer.len() + bytes.len() > self.buffer.capacity() {
            self.send()?;
            self.buffer.reserve_exact(PIECE.max(bytes.len()));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
