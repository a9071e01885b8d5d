//! A TCP stream that does not wait for ever: for a peer that does not read, nor for one that still sends when we close.
//!
//! **Stalled writes.** When nothing could be written for the allowed time, writing fails and the connection ends.
//! **Lingering close.** When an answer is sent before its request was read to the end (413, 401), closing at once
//! would make the kernel reset the connection, and the peer, still sending, might lose the answer. So after our end is
//! closed, what still comes is read and thrown away until the peer closes, for a short time and up to a bound.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// How long a closed connection is read on.
const LINGER: Duration = Duration::from_secs(2);
/// How much of it is thrown away, in bytes.
const LINGER_BYTES: usize = 64 << 20;

/// A TCP stream with a deadline for stalled writes and a lingering close.
pub(super) struct Socket {
    stream: TcpStream,
    write_stall: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    closing: Closing,
}

enum Closing {
    Not,
    Lingering { until: Pin<Box<Sleep>>, bytes: usize },
}

impl Socket {
    /// Wraps the stream; a write that waits longer than `write_stall` fails.
    pub(super) fn new(stream: TcpStream, write_stall: Duration) -> Self {
        Self { stream, write_stall, stalled: None, closing: Closing::Not }
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
        let this = &mut *self;
        loop {
            match &mut this.closing {
                Closing::Not => {
                    ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                    this.closing = Closing::Lingering { until: Box::pin(tokio::time::sleep(LINGER)), bytes: 0 };
                }
                Closing::Lingering { until, bytes } => {
                    let mut scrap = [std::mem::MaybeUninit::uninit(); 16 * 1024];
                    let mut buf = ReadBuf::uninit(&mut scrap);
                    match Pin::new(&mut this.stream).poll_read(cx, &mut buf) {
                        Poll::Ready(Ok(())) if !buf.filled().is_empty() && *bytes < LINGER_BYTES => {
                            *bytes += buf.filled().len();
                        }
                        // The peer has closed, broke off, or will not stop.
                        Poll::Ready(_) => return Poll::Ready(Ok(())),
                        Poll::Pending => return until.as_mut().poll(cx).map(Ok),
                    }
                }
            }
        }
    }
}
