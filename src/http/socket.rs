//! A stream that does not wait for ever: for a peer that does not read, nor for one that still sends when we close.
//!
//! **Bare refusals.** What can't be parsed as a request never gets to the router: hyper answers it itself, without a body.
//! That answer is kept back and its status noted, so that the server can send a problem instead.
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
use tokio::time::{Instant, Sleep};

/// How much is thrown away of what a peer sends after the end, in bytes.
const LINGER_BYTES: usize = 64 << 20;

/// Bytes up to which head and body of an answer are joined before they are written: copying so few is cheaper than
/// having the system collect them.
const SMALL: usize = 1024;

/// The buffers joined, if they are small together.
fn join<'a>(bufs: &[io::IoSlice<'_>], whole: &'a mut [u8; SMALL]) -> Option<&'a [u8]> {
    let mut length = 0;
    for buf in bufs {
        whole.get_mut(length..)?.get_mut(..buf.len())?.copy_from_slice(buf);
        length += buf.len();
    }
    whole.get(..length)
}

/// What bytes go over: TCP, or TLS on it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A stream with a deadline for stalled writes and a lingering close.
pub(super) struct Socket<S> {
    stream: S,
    write_stall: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    /// The refusal that was kept back.
    refused: Option<Refusal>,
}

/// Why a request could not be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no HTTP.
    Malformed,
    /// Its header is over the bound.
    HeaderTooLarge,
}

impl Refusal {
    /// Which one these bytes are, if they are hyper's own answer. Every answer of ours has a body and a request id.
    fn read(bytes: &[u8]) -> Option<Self> {
        let refusal = match bytes.get(..13)? {
            b"HTTP/1.1 400 " => Self::Malformed,
            b"HTTP/1.1 431 " => Self::HeaderTooLarge,
            _ => return None,
        };
        let head = std::str::from_utf8(bytes).ok()?;
        let bare = head.ends_with("\r\n\r\n")
            && head.contains("\r\nconnection: close\r\ncontent-length: 0\r\n")
            && !head.contains("\r\nx-request-id: ");
        bare.then_some(refusal)
    }
}

impl<S: Stream> Socket<S> {
    /// Wraps the stream; a write that waits longer than `write_stall` fails.
    pub(super) fn new(stream: S, write_stall: Duration) -> Self {
        Self { stream, write_stall, stalled: None, refused: None }
    }

    /// The refusal that was kept back and is to be sent as a problem, once.
    pub(super) fn take_refusal(&mut self) -> Option<Refusal> {
        self.refused.take()
    }

    /// Whether the bytes are a refusal, which is kept back.
    fn keeps_back(&mut self, bytes: &[u8]) -> bool {
        let refusal = Refusal::read(bytes);
        self.refused = refusal.or(self.refused);
        refusal.is_some()
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

impl<S: Stream> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: Stream> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.keeps_back(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watched(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        let mut whole = [0; SMALL];
        let wrote = match join(bufs, &mut whole) {
            Some(whole) => Pin::new(&mut self.stream).poll_write(cx, whole),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        };
        self.watched(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What takes the refusal's place is still to be sent; [`Socket::close`] shuts down then.
        if self.refused.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
