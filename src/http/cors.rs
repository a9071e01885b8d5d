//! Cross-origin calls (the CORS protocol of the Fetch standard): which page may read an answer.
//!
//! Owns the headers; `server.cors_origins` says who. A browser keeps an answer from a page whose origin is not named in it, so
//! an origin that is not listed gets none of these headers, and everything else is answered as ever: this guards the person
//! in front of the browser, and authenticates nobody. Invariant: no answer here allows credentials, so that a page never asks
//! with a cookie, and `*` gives nothing away.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::auth::{Gate, Public};

/// In `server.cors_origins`: any origin.
const ANY: &str = "*";
/// Seconds for which a browser may remember what a preflight said: a day, of which browsers take what they see fit.
const MAX_AGE_S: &str = "86400";

/// What the page that asks may do: whether it may read the answer.
pub(crate) struct Cors {
    /// The origin that the answer names.
    allowed: Option<HeaderValue>,
}

impl FromRequestParts<Gate> for Cors {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Infallible> {
        let listed = match Public::from_request_parts(parts, gate).await {
            Ok(Public { state, .. }) => allowed(&state.config.server.cors_origins, &parts.headers),
            Err(_) => None,
        };
        Ok(Self { allowed: listed })
    }
}

impl Cors {
    /// The answer, readable for the page that asked if that is allowed.
    pub(crate) fn dress(self, answer: impl IntoResponse) -> Response {
        let mut answer = answer.into_response();
        let headers = answer.headers_mut();
        // Said to every caller, or a cache would give one origin what another was told.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        answer
    }

    /// The answer to a preflight: what the page may send.
    pub(crate) fn preflight(self, method: &'static str, headers: &'static str) -> Response {
        let is_allowed = self.allowed.is_some();
        let mut answer = self.dress(StatusCode::NO_CONTENT);
        if is_allowed {
            let mut say = |name, value| answer.headers_mut().insert(name, HeaderValue::from_static(value));
            say(header::ACCESS_CONTROL_ALLOW_METHODS, method);
            say(header::ACCESS_CONTROL_ALLOW_HEADERS, headers);
            say(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
        }
        answer
    }
}

/// The origin that an answer to this request names: that of the request if it is listed.
fn allowed(listed: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    if listed.iter().any(|one| one == ANY) {
        return Some(HeaderValue::from_static(ANY));
    }
    listed.iter().any(|one| one.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_from(origin: &str, listed: &[&str]) -> Option<String> {
        let listed: Vec<String> = listed.iter().map(|&one| one.to_owned()).collect();
        let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_str(origin).unwrap())]);
        allowed(&listed, &headers).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_listed_origin_is_named_and_another_is_not() {
        let listed = ["https://a.example", "http://b.example:8080"];
        for good in listed {
            assert_eq!(asked_from(good, &listed).as_deref(), Some(good));
        }
        for bad in
            ["https://a.example:8443", "http://a.example", "https://a.example.evil", "https://A.example", "null", ""]
        {
            assert_eq!(asked_from(bad, &listed), None, "{bad}");
        }
        assert_eq!(asked_from("https://a.example", &[]), None);
        assert_eq!(allowed(&["https://a.example".to_owned()], &HeaderMap::new()), None, "no page asks");
    }

    #[test]
    fn any_origin_is_answered_with_a_star() {
        for origin in ["https://a.example", "null"] {
            assert_eq!(asked_from(origin, &["*"]).as_deref(), Some("*"));
        }
    }

    #[test]
    fn only_a_listed_origin_learns_what_it_may_send() {
        let told = Cors { allowed: Some(HeaderValue::from_static("https://a.example")) }.preflight("POST", "X-A");
        let header = |answer: &Response, name: &str| answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(told.status(), 204);
        for (name, value) in [
            ("access-control-allow-origin", "https://a.example"),
            ("access-control-allow-methods", "POST"),
            ("access-control-allow-headers", "X-A"),
            ("access-control-max-age", "86400"),
            ("vary", "Origin"),
        ] {
            assert_eq!(header(&told, name).as_deref(), Some(value), "{name}");
        }
        let untold = Cors { allowed: None }.preflight("POST", "X-A");
        assert_eq!(untold.status(), 204);
        assert_eq!(untold.headers().keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["vary"]);
    }
}
