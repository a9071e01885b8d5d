//! Errors as callers see them: `application/problem+json` (RFC 9457), and the JSON errors of the token endpoints (RFC 6749).
//!
//! | file | owns |
//! | --- | --- |
//! | `kind` | what kinds of problem there are, with their status, name and title |
//! | `rooms`, `accounts` | which error of which room is which problem |
//! | `oauth` | the errors of the token endpoints |
//!
//! Nothing else knows which error is which status; the mappings are exhaustive, so a new error does not compile until it
//! has one. Invariant: an answer never carries a stack, a path on disk or a secret; what a
//! caller can't mend is logged here and told in one general sentence.

mod accounts;
mod kind;
mod oauth;
mod rooms;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use self::kind::Kind;
pub(crate) use self::oauth::{OAuthErrorDocument, OAuthProblem};
use crate::model::Permission;

/// The media type of every problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// Seconds after which a caller that was turned away for load may try again.
const RETRY_AFTER_S: &str = "1";

/// One bad place of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ProblemPlace {
    /// A JSON pointer into the body; empty: the whole of it.
    pub(crate) pointer: String,
    /// A short stable code for machines.
    pub(crate) code: String,
    /// What is wrong and how to mend it.
    pub(crate) detail: String,
}

/// A problem as it is sent (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument<'a> {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// What kind of problem it is, in words.
    title: &'static str,
    /// The answer's status.
    status: u16,
    /// What went wrong this time, and how to mend it.
    detail: &'a str,
    /// Every bad place.
    errors: &'a [ProblemPlace],
}

/// An answer that says why a request was not done.
#[derive(Debug)]
pub(crate) struct Problem(Box<Contents>);

#[derive(Debug)]
struct Contents {
    kind: Kind,
    detail: String,
    errors: Vec<ProblemPlace>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of a kind; `detail` says what went wrong this time.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let headers = match kind {
            Kind::Unavailable | Kind::TooManyRequests => {
                vec![(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S))]
            }
            _ => Vec::new(),
        };
        Self(Box::new(Contents { kind, detail: detail.into(), errors: Vec::new(), headers }))
    }

    /// 404 for a thing that is not there.
    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, what)
    }

    /// 404 for a path that is no route.
    pub(crate) fn no_route() -> Self {
        Self::not_found("there is nothing at this path; /docs lists what there is")
    }

    /// 401: with `error="invalid_token"` when a token was sent and is no good.
    pub(crate) fn unauthenticated(token_was_sent: bool) -> Self {
        let (challenge, detail) = if token_was_sent {
            (
                r#"Bearer realm="rollcall", error="invalid_token""#,
                "the access token is not genuine, has expired, or was revoked: get a new one from the token endpoint",
            )
        } else {
            (
                r#"Bearer realm="rollcall""#,
                "send `Authorization: Bearer <access token>`, with a token from the token endpoint",
            )
        };
        let mut problem = Self::new(Kind::Unauthenticated, detail);
        problem.0.headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        problem
    }

    /// 401 for a page without a publishable key of the system, or for a system that there is not.
    pub(crate) fn no_publishable_key() -> Self {
        let detail =
            "send `X-Rollcall-Key: pk_…` with the publishable key of this system, as the system's `browser` shows it";
        let challenge = HeaderValue::from_static(r#"X-Rollcall-Key realm="rollcall""#);
        Self::new(Kind::NoPublishableKey, detail).with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// 401 where a session is needed.
    pub(crate) fn logged_out() -> Self {
        Self::unauthenticated(false).with_detail("you are not logged in, or your session has ended: log in (again)")
    }

    /// 403 for a request with a session's cookie that another site's page may have sent.
    pub(crate) fn foreign_origin() -> Self {
        Self::new(
            Kind::Forbidden,
            "with a session's cookie, a request that changes something needs an `Origin` that is the server's public_url",
        )
    }

    /// 403 for want of a permission.
    pub(crate) fn lacking(permission: Permission) -> Self {
        Self::new(Kind::Forbidden, format!("this needs the permission `{permission}` here"))
    }

    /// Says after how many seconds the request may be tried again.
    fn retry_after(mut self, seconds: u64) -> Self {
        self.0.headers.retain(|(name, _)| *name != header::RETRY_AFTER);
        self.with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// 500; `reason` goes to the log and not to the caller.
    pub(crate) fn internal(reason: &str) -> Self {
        tracing::error!(reason, "a request failed inside the server");
        Self::new(Kind::Internal, "the server failed to do this; its log says why (see the answer's X-Request-Id)")
    }

    /// Says something else about what went wrong this time.
    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// Adds bad places.
    pub(crate) fn with_errors(mut self, errors: impl IntoIterator<Item = ProblemPlace>) -> Self {
        self.0.errors.extend(errors);
        self
    }

    /// Adds a header to the answer.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The answer's status.
    pub(crate) fn status(&self) -> StatusCode {
        self.0.kind.status()
    }

    /// The kind of problem.
    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What kind of problem it is, in words.
    pub(crate) fn title(&self) -> &'static str {
        self.0.kind.title()
    }

    /// What went wrong this time.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The bad places.
    pub(crate) fn errors(&self) -> &[ProblemPlace] {
        &self.0.errors
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Contents { kind, detail, errors, headers } = *self.0;
        let document = ProblemDocument {
            kind: format!("urn:rollcall:problem:{}", kind.slug()),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail: &detail,
            errors: &errors,
        };
        // Strings and numbers always serialize; an empty body with the right status is the answer if not.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response =
            (kind.status(), [(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON))], body).into_response();
        for (name, value) in headers {
            response.headers_mut().append(name, value);
        }
        if matches!(kind, Kind::TooLarge | Kind::RequestTimeout) {
            // What is left of the body is not read, so the connection can't take another request: say so.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// An `ETag` header's value.
pub(crate) fn quoted_etag(etag: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{etag}\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{BadPlace, IntakeError};
    use http_body_util::BodyExt;

    pub(super) async fn sent(response: Response) -> (StatusCode, axum::http::HeaderMap, serde_json::Value) {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_problem_is_sent_as_rfc_9457_has_it() {
        let problem = Problem::from(IntakeError::Refused(vec![BadPlace {
            pointer: "/data/2/Seats".to_owned(),
            code: "not_a_number".to_owned(),
            detail: "`x` is no number".to_owned(),
        }]));
        let (status, headers, body) = sent(problem.into_response()).await;
        assert_eq!(status, 422);
        assert_eq!(headers[header::CONTENT_TYPE], PROBLEM_JSON);
        assert_eq!(
            body,
            serde_json::json!({
                "type": "urn:rollcall:problem:refused", "title": "Refused", "status": 422,
                "detail": "one place of the call is bad; nothing of it was stored",
                "errors": [{"pointer": "/data/2/Seats", "code": "not_a_number", "detail": "`x` is no number"}],
            })
        );
    }

    #[test]
    fn a_refused_token_is_told_from_a_missing_one() {
        let challenge = |sent: bool| {
            let response = Problem::unauthenticated(sent).into_response();
            response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().to_owned()
        };
        assert_eq!(challenge(false), r#"Bearer realm="rollcall""#);
        assert!(challenge(true).contains(r#"error="invalid_token""#));
    }
}
