//! The accept loop: connections, their limits and deadlines, and the graceful stop.
//!
//! Knows nothing of routes. Why not `axum::serve`: it sets no timer, so a client that sends half a header holds its
//! connection for ever. Invariants: a connection that makes no progress ends; an error of `accept` neither ends the
//! loop nor spins it; after the stop was asked for, the function returns within `Timing::drain`.
//!
//! | a client that | is cut off after |
//! | --- | --- |
//! | sends nothing, or its header slowly, or leaves a kept-alive connection idle | `Timing::header` |
//! | sends its body slowly | `body::DEADLINE` |
//! | sends nothing more of a file that it uploads | `body::PATIENCE` |
//! | does not read its answer | `Timing::write_stall` |

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::Service;

use super::edge::answer_unparsed;
use super::problem::{Kind, Problem};
use super::socket::{Refusal, Socket, Stream};
use super::timer::OneTimer;
use super::tls::Tls;

/// Most connections at once; further ones wait in the kernel's queue. An idle one costs some 10 KiB.
const MAX_CONNECTIONS: usize = 20_000;
/// File descriptors left for the store, the rules and the log.
const SPARE_FILES: usize = 256;
/// Largest request header in all, in bytes.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Most lines of a request header: hyper's own bound. Setting it, even to this, costs every request an allocation.
const MAX_HEADER_LINES: usize = 100;
/// How much of a connection is buffered, in bytes.
const MAX_BUFFER: usize = 64 * 1024;
/// Bytes of a body that nobody read which are read on, so that the connection can be used again.
const READ_ON: u64 = 64 * 1024;
/// How long they may take.
const READ_ON_FOR: Duration = Duration::from_secs(5);
/// Pause after an `accept` that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The deadlines of a connection.
#[derive(Debug, Clone, Copy)]
struct Timing {
    /// From the moment a request may begin until its header is there. Longer than the 60 s for which common load
    /// balancers keep a connection, so that they and not we end it.
    header: Duration,
    /// For the handshake of TLS.
    handshake: Duration,
    /// For which a client may leave us unable to write.
    write_stall: Duration,
    /// From the stop on until the last connection is cut off.
    drain: Duration,
    /// From the stop on, for connections that never sent a request, and for clients to close theirs.
    drain_unused: Duration,
    /// For which a connection that we have ended is read on, so that the client gets our last answer.
    linger: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(65),
            handshake: Duration::from_secs(10),
            write_stall: Duration::from_secs(30),
            drain: Duration::from_secs(7),
            drain_unused: Duration::from_millis(250),
            linger: Duration::from_secs(2),
        }
    }
}

/// What answers the requests.
pub trait Front: Clone + Send + Sync + 'static {
    /// The answer to a request of that peer's.
    fn answer(
        &self,
        request: Request<ReadOn>,
        peer: SocketAddr,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send;
}

impl Front for Router {
    async fn answer(&self, request: Request<ReadOn>, peer: SocketAddr) -> Result<Response, Infallible> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        self.clone().call(request).await
    }
}

/// Serves, over TLS if there is a certificate, until `shutdown` completes, then answers what it has taken and returns, within 7 seconds
/// whatever clients do.
///
/// # Errors
/// None at present: errors of single connections end those connections only.
pub async fn serve(
    listener: TcpListener,
    front: impl Front,
    tls: Option<Arc<Tls>>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let acceptor = tls.as_ref().map(Tls::acceptor).transpose().map_err(io::Error::other)?;
    if let Some(tls) = tls {
        tokio::spawn(tls.follow());
    }
    serve_with(listener, front, acceptor, Timing::default(), shutdown).await
}

async fn serve_with(
    listener: TcpListener,
    front: impl Front,
    acceptor: Option<TlsAcceptor>,
    timing: Timing,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(connection_limit()));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            // A slot first: at the limit, newcomers wait in the kernel's queue instead of being turned away.
            let slot = Arc::clone(&slots).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, peer)| (slot, stream, peer))
        };
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((slot, stream, peer)) => {
                let (front, acceptor, stopping) = (front.clone(), acceptor.clone(), stopping.clone());
                connections.spawn(async move {
                    accepted_one(stream, peer, front, acceptor, timing, stopping).await;
                    drop(slot);
                });
            }
            Err(error) => {
                if !is_of_one_connection(&error) {
                    tracing::error!(%error, "connections can't be accepted at the moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let _ = stop.send(true);
    let drained = tokio::time::timeout(timing.drain, async { while connections.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!(connections = connections.len(), "cutting off clients that did not finish");
        connections.shutdown().await;
    }
    Ok(())
}

/// Serves one connection to its end, behind the handshake of TLS where that is on.
async fn accepted_one(
    stream: TcpStream,
    peer: SocketAddr,
    front: impl Front,
    acceptor: Option<TlsAcceptor>,
    timing: Timing,
    mut stopping: watch::Receiver<bool>,
) {
    // Answers are small and written whole: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        return connection(stream, peer, front, timing, stopping).await;
    };
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(timing.handshake, acceptor.accept(stream)) => shaken,
        _ = stopping.wait_for(|stop| *stop) => return,
    };
    match shaken {
        Ok(Ok(stream)) => Box::pin(connection(stream, peer, front, timing, stopping)).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS handshake"),
        Err(_elapsed) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
}

async fn connection<S: Stream>(
    stream: S,
    peer: SocketAddr,
    front: impl Front,
    timing: Timing,
    mut stopping: watch::Receiver<bool>,
) {
    let mut socket = Socket::new(stream, timing.write_stall);
    let ended = requests(&mut socket, peer, &front, timing, &mut stopping).await;
    if let Some(refusal) = socket.take_refusal() {
        // Whoever sent it may be gone.
        let _ = socket.write_all(&refusal_bytes(refusal).await).await;
    }
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
    }
    let is_stopping = *stopping.borrow();
    socket.close(if is_stopping { timing.drain_unused } else { timing.linger }).await;
}

/// The whole answer to a request that could not be parsed, as it is sent.
async fn refusal_bytes(refusal: Refusal) -> Vec<u8> {
    let problem = match refusal {
        Refusal::Malformed => Problem::new(Kind::Malformed, "this can't be read as an HTTP/1.1 request"),
        Refusal::HeaderTooLarge => {
            let most = format!("the header is over {MAX_HEADER_BYTES} bytes or {MAX_HEADER_LINES} lines");
            Problem::new(Kind::HeaderTooLarge, most)
        }
    };
    let (head, body) = answer_unparsed(problem).into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut bytes =
        format!("HTTP/1.1 {}\r\nconnection: close\r\ncontent-length: {}\r\n", head.status, body.len()).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
}

/// Answers the requests of one connection.
async fn requests<S: Stream>(
    socket: &mut Socket<S>,
    peer: SocketAddr,
    front: &impl Front,
    timing: Timing,
    stopping: &mut watch::Receiver<bool>,
) -> hyper::Result<()> {
    let used = AtomicBool::new(false);
    let service = hyper::service::service_fn(|request| {
        used.store(true, Ordering::Relaxed);
        front.answer(request.map(|body: Incoming| ReadOn(Some(body))), peer)
    });
    // No `pipeline_flush`: with it, what answers a header that can't be parsed is never sent.
    let mut connection = pin!(
        http1::Builder::new()
            .timer(OneTimer::new(timing.header))
            .header_read_timeout(timing.header)
            .max_header_size(MAX_HEADER_BYTES)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(socket), service)
    );
    tokio::select! {
        biased;
        ended = &mut connection => return ended,
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    if used.load(Ordering::Relaxed) {
        connection.await
    } else {
        // Opened ahead of need, as browsers do: there may never come a request to answer.
        tokio::time::timeout(timing.drain_unused, connection).await.unwrap_or(Ok(()))
    }
}

/// A request's body. What a handler leaves of a small one is read on: hyper would end the connection under a caller that
/// has no reason to expect it and is about to send its next request.
#[derive(Debug)]
pub struct ReadOn(Option<Incoming>);

impl hyper::body::Body for ReadOn {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, hyper::Error>>> {
        self.0.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }
    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }
    fn size_hint(&self) -> hyper::body::SizeHint {
        self.0.as_ref().map(hyper::body::Body::size_hint).unwrap_or_default()
    }
}

impl Drop for ReadOn {
    fn drop(&mut self) {
        use hyper::body::Body as _;
        let Some(body) = self.0.take() else { return };
        if body.is_end_stream() || body.size_hint().upper().is_none_or(|left| left > READ_ON) {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Nobody wants it, and it is short; whoever dawdles has the connection ended after all.
            runtime.spawn(async move { drop(tokio::time::timeout(READ_ON_FOR, body.collect()).await) });
        }
    }
}

/// Whether an `accept` error is the newcomer's own, so that the next one may be taken at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// How many connections the process can hold: raises its limit of open files as far as it may.
fn connection_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = (MAX_CONNECTIONS + SPARE_FILES) as u64;
    let possible = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let now = match limit.current {
        Some(current) if current < possible => {
            let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum: limit.maximum });
            if raised.is_ok() { possible } else { current }
        }
        current => current.unwrap_or(wanted),
    };
    let files = usize::try_from(now).unwrap_or(MAX_CONNECTIONS);
    files.saturating_sub(SPARE_FILES).clamp(16, MAX_CONNECTIONS)
}

#[cfg(test)]
mod tests;
