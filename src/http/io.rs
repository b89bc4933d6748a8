//! A socket as hyper wants it, which tells its slot when bytes come.

use super::connections::Slot;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read at once: more than most requests have.
const CHUNK: usize = 4 << 10;

pub(super) struct Io<S> {
    socket: S,
    slot: Arc<Slot>,
}

impl<S> Io<S> {
    pub(super) fn new(socket: S, slot: Arc<Slot>) -> Self {
        Self { socket, slot }
    }
}

impl<S: AsyncRead + Unpin> Read for Io<S> {
    /// Through a buffer on the stack: without it, what hyper's holds uninitialized could not be filled in safe code.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; CHUNK];
        let most = buffer.remaining().min(CHUNK);
        let mut read = ReadBuf::new(bytes.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read))?;
        if !read.filled().is_empty() {
            buffer.put_slice(read.filled());
            self.slot.has_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Write for Io<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bytes)
    }
}
