//! Bodies: of requests their media type, size and pace, and JSON bodies as types; of answers JSON that is written already.

use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::auth::Gate;
use super::edge::within;
use super::problem::{Kind, Problem, ProblemPlace};

/// How long a body may take to arrive.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
/// How long a body that may take its time may go without a piece.
const PATIENCE: Duration = Duration::from_secs(60);
/// Largest body of an administrative call, in bytes; a rule file is far smaller.
pub(crate) const ADMIN_LIMIT: usize = 1 << 20;

/// Bytes of bodies that may be in memory at once, but for small ones.
const IN_FLIGHT: usize = 256 << 20;
/// Bytes of a body that are not counted: connections are limited, and a connection buffers more than that anyway.
const SMALL: usize = 16 * 1024;

/// What is left of [`IN_FLIGHT`].
static BUDGET: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(IN_FLIGHT)));

/// A body with its share of the budget, which is given back when the last of it is dropped.
struct Counted {
    bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Refuses everything but `Content-Type: application/json`, with or without parameters (415).
pub(crate) fn demand_json(headers: &HeaderMap) -> Result<(), Problem> {
    if media_type(headers).is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    Err(Problem::new(Kind::UnsupportedMediaType, "send the body as `Content-Type: application/json`"))
}

/// The request's media type without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim())
}

/// Reads the whole body: 413 over `limit` bytes (at once, when its length is announced), 408 when it takes too long,
/// 400 when it breaks off, 503 when too much is being read already.
pub(crate) async fn read(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    read_all(&parts.headers, body, limit).await
}

/// [`read`] for a request that was taken apart.
pub(crate) async fn read_all<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Bytes, Problem>
where
    B: hyper::body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    read_within(DEADLINE, headers, body, limit).await
}

async fn read_within<B>(deadline: Duration, headers: &HeaderMap, body: B, limit: usize) -> Result<Bytes, Problem>
where
    B: hyper::body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let too_large = || Problem::new(Kind::TooLarge, format!("the body is over {limit} bytes, which is the limit here"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large());
    }
    match within(deadline, pin!(collect(Limited::new(body, limit), &BUDGET))).await {
        Some(Ok(whole)) => Ok(whole),
        Some(Err(Broken::TooLarge)) => Err(too_large()),
        Some(Err(Broken::Off)) => Err(Problem::new(Kind::Malformed, "the body broke off")),
        Some(Err(Broken::NoRoom)) => Err(Problem::new(
            Kind::Unavailable,
            "too much is being sent to the server at once: send this again in a moment",
        )),
        None => {
            let seconds = deadline.as_secs();
            Err(Problem::new(Kind::RequestTimeout, format!("the body was not there within {seconds} seconds")))
        }
    }
}

/// Why a body could not be collected.
enum Broken {
    TooLarge,
    Off,
    NoRoom,
}

/// All of a body. One that came in one piece is not copied.
async fn collect<B>(mut body: Limited<B>, budget: &Arc<Semaphore>) -> Result<Bytes, Broken>
where
    B: hyper::body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let (mut only, mut whole, mut share) = (Bytes::new(), Vec::new(), None::<OwnedSemaphorePermit>);
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| if error.is::<LengthLimitError>() { Broken::TooLarge } else { Broken::Off })?;
        // Trailers are no part of the body.
        let Ok(piece) = frame.into_data() else { continue };
        if only.is_empty() && whole.is_empty() {
            only = piece;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut only));
            whole.extend_from_slice(&piece);
        }
        let counted = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = (only.len() + whole.len()).saturating_sub(SMALL + counted);
        if more > 0 {
            let more = u32::try_from(more).map_err(|_| Broken::TooLarge)?;
            let more = Arc::clone(budget).try_acquire_many_owned(more).map_err(|_| Broken::NoRoom)?;
            match &mut share {
                Some(share) => share.merge(more),
                None => share = Some(more),
            }
        }
    }
    let bytes = if whole.is_empty() { only } else { Bytes::from(whole) };
    Ok(match share {
        Some(share) => Bytes::from_owner(Counted { bytes, _share: share }),
        None => bytes,
    })
}

/// A body of any length, piece by piece: it may take its time as long as something comes.
pub(crate) struct Pieces {
    body: Body,
    patience: Duration,
}

impl Pieces {
    /// The request's body.
    pub(crate) fn of(request: Request) -> Self {
        Self { body: request.into_body(), patience: PATIENCE }
    }

    /// The next piece; `None` at the end. 408 when nothing comes for a minute, 400 when it breaks off.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            match tokio::time::timeout(self.patience, self.body.frame()).await {
                Ok(None) => return Ok(None),
                // Trailers are no part of the body.
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => return Ok(Some(piece)),
                    Err(_trailers) => continue,
                },
                Ok(Some(Err(_broken_off))) => return Err(Problem::new(Kind::Malformed, "the body broke off")),
                Err(_elapsed) => {
                    let seconds = self.patience.as_secs();
                    let detail = format!("nothing more of the body came for {seconds} seconds");
                    return Err(Problem::new(Kind::RequestTimeout, detail));
                }
            }
        }
    }
}

/// A JSON body of an administrative call: 415, 413, 400 when it is not JSON of that shape.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Gate> for JsonBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &Gate) -> Result<Self, Problem> {
        demand_json(request.headers())?;
        from_slice(&read(request, ADMIN_LIMIT).await?).map(Self)
    }
}

/// An answer with a JSON body.
pub(crate) fn json(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Parses a JSON body.
pub(crate) fn from_slice<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    // Every body is an object; a list would be taken for an object's members in their order.
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first.is_some_and(|first| matches!(first, b'[' | b'"')) {
        return Err(misshapen("expected an object, such as {}".to_owned()));
    }
    part(body)
}

/// Parses a part of a JSON body, of whatever form.
pub(crate) fn part<'a, T: serde::Deserialize<'a>>(json: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(json).map_err(|error| misshapen(in_words(&error.to_string())))
}

fn misshapen(detail: String) -> Problem {
    Problem::new(Kind::Malformed, format!("the body is not the JSON that this call takes: {detail}"))
        .with_errors([ProblemPlace { pointer: String::new(), code: "shape".to_owned(), detail }])
}

/// A parser's message without the names that types have in this program.
fn in_words(message: &str) -> String {
    let mut words = String::new();
    let mut rest = message.split(' ').peekable();
    while let Some(word) = rest.next() {
        let word = match word {
            // Its name follows.
            "struct" if words.ends_with("expected ") => {
                rest.next();
                "an object"
            }
            "usize" | "u64" | "u32" if words.ends_with("expected ") => "a whole number",
            word => word,
        };
        words.push_str(word);
        if rest.peek().is_some() {
            words.push(' ');
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())])
    }

    #[test]
    fn json_is_told_by_its_media_type() {
        for good in ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json ;x=y"]
        {
            assert!(demand_json(&typed(good)).is_ok(), "{good:?}");
        }
        for bad in ["text/plain", "application/jsonp", "application/x-www-form-urlencoded", "json", ""] {
            assert_eq!(demand_json(&typed(bad)).unwrap_err().status(), 415, "{bad:?}");
        }
        assert_eq!(demand_json(&HeaderMap::new()).unwrap_err().status(), 415);
    }

    #[tokio::test]
    async fn large_bodies_share_a_budget_and_give_it_back() {
        let budget = Arc::new(Semaphore::new(100_000));
        let body = |pieces: usize| {
            let piece = |_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 10_000]));
            Limited::new(Body::from_stream(futures_util::stream::iter((0..pieces).map(piece))), usize::MAX)
        };
        let held = collect(body(8), &budget).await.ok().unwrap();
        assert_eq!((held.len(), budget.available_permits()), (80_000, 100_000 - 80_000 + SMALL));
        assert!(matches!(collect(body(8), &budget).await, Err(Broken::NoRoom)));
        assert_eq!(collect(body(1), &budget).await.ok().unwrap().len(), 10_000, "a small one always comes in");
        drop(held);
        assert_eq!(budget.available_permits(), 100_000);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_announced_or_not() {
        let announced = Request::builder().header("content-length", "6").body(Body::from("123456")).unwrap();
        assert_eq!(read(announced, 5).await.unwrap_err().status(), 413);
        let streamed = futures_util::stream::iter(["123", "456"].map(Ok::<_, std::io::Error>));
        let unannounced = Request::new(Body::from_stream(streamed));
        assert_eq!(read(unannounced, 5).await.unwrap_err().status(), 413);
        assert_eq!(read(Request::new(Body::from("12345")), 5).await.unwrap(), "12345");
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let silent = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let silent = Body::from_stream(silent);
        let refused = read_within(Duration::from_millis(5), &HeaderMap::new(), silent, 5).await.unwrap_err();
        assert_eq!(refused.status(), 408);
    }

    #[tokio::test]
    async fn a_long_body_may_take_its_time_as_long_as_something_comes() {
        let patience = Duration::from_millis(500);
        let slow = futures_util::stream::unfold(0, |sent| async move {
            tokio::time::sleep(Duration::from_millis(60)).await;
            (sent < 10).then(|| (Ok::<_, std::io::Error>(Bytes::from_static(b"x")), sent + 1))
        });
        let mut pieces = Pieces { body: Body::from_stream(slow), patience };
        let mut read = 0;
        while pieces.next().await.unwrap().is_some() {
            read += 1;
        }
        assert_eq!(read, 10, "longer than the patience in all");
        let silent = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let mut pieces = Pieces { body: Body::from_stream(silent), patience: Duration::from_millis(5) };
        assert_eq!(pieces.next().await.unwrap_err().status(), 408);
        let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]);
        let mut pieces = Pieces { body: Body::from_stream(broken), patience };
        assert_eq!(pieces.next().await.unwrap_err().status(), 400);
    }

    #[test]
    fn what_is_wrong_with_json_is_said() {
        let refused = part::<Vec<u8>>(b"[1,").unwrap_err();
        assert_eq!(refused.status(), 400);
        assert!(refused.errors()[0].detail.contains("line 1 column 3"), "{:?}", refused.errors());
    }

    #[test]
    fn a_list_is_no_object_and_no_type_of_ours_is_named() {
        #[derive(Debug, serde::Deserialize)]
        struct Inner {
            _a: usize,
        }
        #[derive(Debug, serde::Deserialize)]
        struct Outer {
            _inner: Inner,
        }
        for list in [&b"[[1]]"[..], b" [[1]]", b"[]", b"\"x\""] {
            let refused = from_slice::<Outer>(list).unwrap_err();
            assert_eq!((refused.status().as_u16(), refused.errors().len()), (400, 1));
            assert!(refused.errors()[0].detail.starts_with("expected an object"), "{refused:?}");
        }
        assert!(from_slice::<Outer>(br#" {"_inner": {"_a": 1}}"#).is_ok());
        let detail = |body: &[u8]| from_slice::<Outer>(body).unwrap_err().errors()[0].detail.clone();
        assert!(detail(br#"{"_inner": 5}"#).contains("expected an object at line"), "{}", detail(br#"{"_inner": 5}"#));
        let number = detail(br#"{"_inner": {"_a": "1"}}"#);
        assert!(number.contains("expected a whole number at line 1"), "{number}");
    }
}
