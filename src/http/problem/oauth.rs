//! Errors of the token endpoints (RFC 6749), which are no problems: OAuth lays their form down.
//!
//! Invariant: an answer is kept by no cache, and its description has only the characters that the RFC allows.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::RETRY_AFTER_S;
use crate::accounts::{Throttled, TokenError};

/// An error of the token endpoints (RFC 6749, section 5.2).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OAuthProblem {
    /// 400: a parameter is missing, repeated, or not to be read.
    InvalidRequest(String),
    /// 401: unknown client or wrong secret.
    InvalidClient,
    /// 400: the client may not do this.
    UnauthorizedClient,
    /// 400: a grant other than `client_credentials`.
    UnsupportedGrantType,
    /// 400: a scope that the client does not have.
    InvalidScope(String),
    /// 503: the store takes no writes at the moment.
    Unavailable,
    /// 429: too many wrong secrets before; the seconds after which the next one is judged.
    SlowDown(u64),
}

/// The body of such an error.
#[derive(Serialize, ToSchema)]
#[schema(as = OAuthError)]
pub(crate) struct OAuthErrorDocument<'a> {
    /// The error's code.
    error: &'a str,
    /// What is wrong and how to mend it.
    error_description: &'a str,
}

impl IntoResponse for OAuthProblem {
    fn into_response(self) -> Response {
        let (status, error, description) = match &self {
            Self::InvalidRequest(what) => (StatusCode::BAD_REQUEST, "invalid_request", what.as_str()),
            Self::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client", "unknown client or wrong secret"),
            Self::UnauthorizedClient => {
                (StatusCode::BAD_REQUEST, "unauthorized_client", "the token was issued to another client")
            }
            Self::UnsupportedGrantType => {
                (StatusCode::BAD_REQUEST, "unsupported_grant_type", "the grant_type must be client_credentials")
            }
            Self::InvalidScope(what) => (StatusCode::BAD_REQUEST, "invalid_scope", what.as_str()),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "try again in a moment"),
            Self::SlowDown(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "temporarily_unavailable",
                "too many wrong secrets: wait as long as Retry-After says, and mend the secret",
            ),
        };
        // RFC 6749 allows printable ASCII without quotes and backslashes in a description.
        let description: String =
            description.chars().filter(|c| matches!(c, ' '..='~') && *c != '"' && *c != '\\').collect();
        let body = serde_json::to_vec(&OAuthErrorDocument { error, error_description: &description });
        let mut response = (status, body.unwrap_or_default()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        match self {
            Self::InvalidClient => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="rollcall""#));
            }
            Self::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
            }
            Self::SlowDown(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ => {}
        }
        response
    }
}

impl From<Throttled> for OAuthProblem {
    fn from(error: Throttled) -> Self {
        Self::SlowDown(error.retry_after_s)
    }
}

impl From<TokenError> for OAuthProblem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::InvalidClient => Self::InvalidClient,
            TokenError::InvalidScope(what) => Self::InvalidScope(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sent;
    use super::*;

    #[tokio::test]
    async fn token_errors_are_as_rfc_6749_has_them() {
        let (status, headers, body) = sent(OAuthProblem::InvalidClient.into_response()).await;
        assert_eq!((status.as_u16(), body["error"].as_str().unwrap()), (401, "invalid_client"));
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert!(headers.contains_key(header::WWW_AUTHENTICATE));
        let scope = OAuthProblem::from(TokenError::InvalidScope("a\"é".to_owned()));
        let (status, _, body) = sent(scope.into_response()).await;
        assert_eq!((status.as_u16(), body["error"].as_str().unwrap()), (400, "invalid_scope"));
        assert_eq!(body["error_description"], "a", "only what RFC 6749 allows in a description");
    }
}
