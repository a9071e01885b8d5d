//! A TCP stream that does not wait for ever: for a peer that does not read, nor for one that still sends when we close.
//!
//! **Stalled writes.** When nothing could be written for the allowed time, writing fails and the connection ends.
//! **Lingering close.** When an answer is sent before its request was read to the end (413, 401, 431), closing at once
//! would make the kernel reset the connection, and the peer, still sending, might lose the answer. So after our end is
//! closed, what still comes is read and thrown away until the peer closes, for a short time and up to a bound.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// How much is thrown away of what a peer sends after the end, in bytes.
const LINGER_BYTES: usize = 64 << 20;

/// A TCP stream with a deadline for stalled writes and a lingering close.
pub(super) struct Socket {
    stream: TcpStream,
    write_stall: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Wraps the stream; a write that waits longer than `write_stall` fails.
    pub(super) fn new(stream: TcpStream, write_stall: Duration) -> Self {
        Self { stream, write_stall, stalled: None }
    }

    /// Closes our end, and reads on until the peer has closed its own, but no longer than `patience`.
    pub(super) async fn close(mut self, patience: Duration) {
        let farewell = async {
            self.stream.shutdown().await?;
            let mut scrap = vec![0; 16 * 1024];
            let mut left = LINGER_BYTES;
            while left > 0 {
                match self.stream.read(&mut scrap).await? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
            io::Result::Ok(())
        };
        // However it went, the connection is over.
        let _ = tokio::time::timeout(patience, farewell).await;
    }

    /// Ends the wait when a write went through, else lets it run.
    fn watched<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stalled = None;
            return wrote;
        }
        let deadline = Instant::now() + self.write_stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watched(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watched(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
