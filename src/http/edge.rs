//! What every request goes through, in one layer: request id, deadline, panics, security headers, metrics, access log.
//!
//! One hand-written layer instead of a stack, because each layer of a router costs a box a request. It sits around
//! every endpoint, after the route was found, so metrics and log name the route and never the path, which may hold an
//! end user's identifier. Invariant: every answer has its `X-Request-Id` and the security headers, also one that
//! follows a panic.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use metrics::{Counter, Histogram};
use tower::{Layer, Service};
use tracing::{Instrument, Level};

use super::problem::{Kind, Problem};

/// How long a handler may take, its body included, before the caller gets 503.
const HANDLER_DEADLINE: Duration = Duration::from_secs(60);
/// Routes whose body may take its time: [`Pieces`](super::body::Pieces) ends one that makes no progress.
const UNHURRIED: [&str; 1] = ["/admin/v1/systems/{s}/integrations/{i}/imports"];
/// How long a handler of theirs may take.
const UNHURRIED_DEADLINE: Duration = Duration::from_secs(24 * 3600);
/// For how long a browser is to come by https alone. Not for other hosts below this one, which are not ours to speak for.
static A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// The policy of what is no page.
static NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// The header that carries a request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken from a caller.
const MAX_REQUEST_ID: usize = 128;
/// The label of a request that met no route.
const NO_ROUTE: &str = "none";

/// A request's id: the caller's, if it sent a sane one, else one of ours.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    fn of(headers: &HeaderMap) -> Self {
        let sane = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=MAX_REQUEST_ID).contains(&bytes.len())
                && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(b))
        };
        headers.get(REQUEST_ID).filter(sane).map_or_else(Self::fresh, |value| Self(value.clone()))
    }

    /// Unique within the process by its count, and among processes by a random start.
    fn fresh() -> Self {
        static START: LazyLock<String> = LazyLock::new(|| {
            let mut bytes = [0_u8; 8];
            // Without randomness ids are unique within the process still.
            let _ = getrandom::fill(&mut bytes);
            format!("{:016x}-", u64::from_le_bytes(bytes))
        });
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let digits = (u64::BITS - count.leading_zeros()).div_ceil(4).max(1);
        let mut text = Vec::with_capacity(START.len() + digits as usize);
        text.extend_from_slice(START.as_bytes());
        text.extend((0..digits).rev().map(|digit| match (count >> (4 * digit)) as u8 & 15 {
            digit @ ..10 => b'0' + digit,
            digit => b'a' + digit - 10,
        }));
        Self(HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static("none")))
    }
}

/// Puts an [`Edge`] around every endpoint.
#[derive(Clone)]
pub(crate) struct EdgeLayer {
    /// Whether callers reach the server by https, and are to stay with it.
    pub(crate) secure: bool,
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;
    fn layer(&self, inner: S) -> Edge<S> {
        Edge { inner, secure: self.secure, meter: Arc::default() }
    }
}

/// One endpoint with what every request goes through.
#[derive(Clone)]
pub(crate) struct Edge<S> {
    inner: S,
    secure: bool,
    /// The endpoint's metrics, known from its first request on.
    meter: Arc<OnceLock<Meter>>,
}

impl<S> Service<Request> for Edge<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let passage = Passage::begin(request.method(), request.headers(), self.secure);
        let route = request.extensions().get::<MatchedPath>().cloned();
        request.extensions_mut().insert(passage.id.clone());
        let meter = Arc::clone(&self.meter);
        let deadline = deadline(route.as_ref());
        let inner = self.inner.call(request);
        Box::pin(async move {
            let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
            let handler = pin!(async { inner.await.unwrap_or_else(|never| match never {}) });
            Ok(passage.within(deadline).through(route, &meter, handler).await)
        })
    }
}

/// One request on its way through the edge.
pub(super) struct Passage {
    started: Instant,
    deadline: Duration,
    /// Whether callers reach the server by https.
    secure: bool,
    id: RequestId,
    method: Method,
}

impl Passage {
    /// The request has come in.
    pub(super) fn begin(method: &Method, headers: &HeaderMap, secure: bool) -> Self {
        let (started, deadline) = (Instant::now(), HANDLER_DEADLINE);
        Self { started, deadline, secure, id: RequestId::of(headers), method: method.clone() }
    }

    /// Gives the handler another time.
    fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The request's id.
    pub(super) fn id(&self) -> &RequestId {
        &self.id
    }

    /// Sees the handler through to its answer, and completes that. `meter` is the route's. The handler comes pinned, so
    /// that the futures around it, of which every connection holds one, don't each have room for it.
    pub(super) async fn through(
        &self,
        route: &str,
        meter: &OnceLock<Meter>,
        handler: Pin<&mut impl Future<Output = Response>>,
    ) -> Response {
        let whole = async {
            let mut response = guarded(self.deadline, handler).await;
            finish(response.headers_mut(), &self.id, self.secure);
            let (status, took) = (response.status(), self.started.elapsed());
            Meter::observe(meter, route, &self.method, status, took);
            log(&self.id, route, &self.method, status, took);
            response
        };
        if tracing::enabled!(Level::DEBUG) {
            let span = tracing::debug_span!("request", request_id = self.id.as_str());
            whole.instrument(span).await
        } else {
            whole.await
        }
    }
}

/// How long a handler of that route may take.
fn deadline(route: Option<&MatchedPath>) -> Duration {
    let unhurried = route.is_some_and(|route| UNHURRIED.contains(&route.as_str()));
    if unhurried { UNHURRIED_DEADLINE } else { HANDLER_DEADLINE }
}

/// The handler's answer, or what takes its place when it is late or panics.
async fn guarded(deadline: Duration, handler: Pin<&mut impl Future<Output = Response>>) -> Response {
    match AssertUnwindSafe(within(deadline, handler)).catch_unwind().await {
        Ok(Some(response)) => response,
        Ok(None) => Problem::new(Kind::Unavailable, "the server took too long to do this: try again").into_response(),
        // The panic hook has logged the place; the caller learns nothing of it.
        Err(_panic) => Problem::internal("a handler panicked").into_response(),
    }
}

/// What comes of a future in that time; `None` if nothing does. Unlike `tokio::time::timeout` alone it makes no timer for
/// what is done at once.
pub(super) async fn within<T>(deadline: Duration, mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        Poll::Ready(done) => Some(done),
        Poll::Pending => tokio::time::timeout(deadline, future).await.ok(),
    }
}

/// Completes the answer to what could not be parsed as a request, and so went through no [`Edge`].
pub(super) fn answer_unparsed(problem: Problem) -> Response {
    let id = RequestId::fresh();
    let mut response = problem.into_response();
    finish(response.headers_mut(), &id, false);
    tracing::debug!(target: "rollcall::access", request_id = id.as_str(), status = response.status().as_u16(), "not parsed");
    response
}

/// The headers that every answer has.
fn finish(headers: &mut HeaderMap, id: &RequestId, secure: bool) {
    if secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, A_YEAR.clone());
    }
    headers.insert(REQUEST_ID, id.0.clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Answers are about people, or hold secrets; what may be kept says so itself.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    // A page with a form has another one: see `console`.
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Whatever a browser takes for a page runs nothing; real pages have policies of their own.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NOTHING.clone());
}

fn log(id: &RequestId, route: &str, method: &Method, status: StatusCode, took: Duration) {
    let (request_id, status, took_us) = (id.as_str(), status.as_u16(), took.as_micros());
    if status >= 500 {
        tracing::info!(target: "rollcall::access", request_id, %method, route, status, took_us, "answered");
    } else {
        tracing::debug!(target: "rollcall::access", request_id, %method, route, status, took_us, "answered");
    }
}

/// The metrics of one route and method.
pub(super) struct Meter {
    method: Method,
    /// Answers by the first digit of their status, from 2 on.
    answers: [Counter; 4],
    seconds: Histogram,
}

impl Meter {
    fn new(route: &str, method: &Method) -> Self {
        let verb = match *method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::DELETE => "DELETE",
            Method::PATCH => "PATCH",
            Method::OPTIONS => "OPTIONS",
            // A caller may make up methods; labels must stay few.
            _ => "other",
        };
        let answers = ["2xx", "3xx", "4xx", "5xx"].map(
            |status| metrics::counter!("rollcall_http_requests_total", "route" => route.to_owned(), "method" => verb, "status" => status),
        );
        let seconds =
            metrics::histogram!("rollcall_http_request_seconds", "route" => route.to_owned(), "method" => verb);
        Self { method: method.clone(), answers, seconds }
    }

    /// Counts one answer. An endpoint nearly always sees one method, whose handles are kept; another one (`HEAD` at a
    /// `GET` endpoint) looks them up.
    fn observe(kept: &OnceLock<Self>, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let meter = kept.get_or_init(|| Self::new(route, method));
        if meter.method == *method {
            meter.count(status, took);
        } else {
            Self::new(route, method).count(status, took);
        }
    }

    fn count(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2);
        if let Some(counter) = self.answers.get(class) {
            counter.increment(1);
        }
        self.seconds.record(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn id_of(value: &str) -> String {
        let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(value).unwrap())]);
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_sane_request_id_is_kept_and_another_replaced() {
        assert_eq!(id_of("abc-1_2.3"), "abc-1_2.3");
        assert_ne!(id_of("a b"), "a b");
        assert_ne!(id_of("<script>"), "<script>");
        assert_ne!(id_of(&"a".repeat(129)), "a".repeat(129));
        let fresh: Vec<RequestId> = (0..300).map(|_| RequestId::fresh()).collect();
        let (starts, counts): (BTreeSet<_>, BTreeSet<_>) =
            fresh.iter().filter_map(|id| id.as_str().split_once('-')).unzip();
        assert_eq!((starts.len(), counts.len()), (1, 300), "{fresh:?}");
        assert!(counts.iter().all(|count| u64::from_str_radix(count, 16).is_ok()), "{counts:?}");
    }
}
