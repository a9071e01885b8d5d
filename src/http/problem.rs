//! Errors as callers see them: `application/problem+json` (RFC 9457), and the JSON errors of the token endpoints (RFC 6749).
//!
//! The only file that knows which error of which room is which status; the mappings are exhaustive, so a new error
//! does not compile until it has one. Invariant: an answer never carries a stack, a path on disk or a secret; what a
//! caller can't mend is logged here and told in one general sentence.

mod accounts;

use axum::extract::rejection::{PathRejection, QueryRejection, RawPathParamsRejection};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::{LinkError, PasswordError, ProfileError, SignInError, Throttled, TokenError};
use crate::engine::{OutOfTime, WriteError};
use crate::filters::FilterError;
use crate::intake::imports::{TargetError, UploadError};
use crate::intake::{BadPlace, IntakeError};
use crate::model::{IdError, Permission};
use crate::ruleset::{FileError, RuleWriteError};

/// The media type of every problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// Seconds after which a caller that was turned away for load may try again.
const RETRY_AFTER_S: &str = "1";

/// What kind of problem: fixes status, type and title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Malformed,
    Unauthenticated,
    NoPublishableKey,
    LogInRefused,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    RequestTimeout,
    Conflict,
    EditConflict,
    TooLarge,
    HeaderTooLarge,
    UnsupportedMediaType,
    Refused,
    KeyReused,
    TooManyRequests,
    Internal,
    Unavailable,
    DiskFull,
}

impl Kind {
    /// The status that the kind answers with.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthenticated | Self::NoPublishableKey | Self::LogInRefused => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::EditConflict => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeaderTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Refused | Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    /// A short stable name, the last part of the problem's `type`.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthenticated => "unauthenticated",
            Self::NoPublishableKey => "no-publishable-key",
            Self::LogInRefused => "log-in-refused",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::NotAcceptable => "not-acceptable",
            Self::RequestTimeout => "request-timeout",
            Self::Conflict => "conflict",
            Self::EditConflict => "edit-conflict",
            Self::TooLarge => "too-large",
            Self::HeaderTooLarge => "header-too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::Refused => "refused",
            Self::KeyReused => "idempotency-key-reused",
            Self::TooManyRequests => "too-many-requests",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::DiskFull => "disk-full",
        }
    }

    /// The problem's title: the same for every problem of the kind.
    fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request is malformed",
            Self::Unauthenticated => "An access token is needed",
            Self::NoPublishableKey => "A publishable key is needed",
            Self::LogInRefused => "Log-in refused",
            Self::Forbidden => "Not allowed",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::NotAcceptable => "No such form",
            Self::RequestTimeout => "The request took too long to arrive",
            Self::Conflict => "Conflict",
            Self::EditConflict => "The file was changed meanwhile",
            Self::TooLarge => "Too large",
            Self::HeaderTooLarge => "The request's header is too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::Refused => "Refused",
            Self::KeyReused => "The Idempotency-Key was used before",
            Self::TooManyRequests => "Too many requests",
            Self::Internal => "Internal error",
            Self::Unavailable => "Unavailable at the moment",
            Self::DiskFull => "The disk is full",
        }
    }
}

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

    /// 422 for a new password that is not taken.
    fn password(error: &PasswordError) -> Self {
        let detail = error.to_string();
        match error.code() {
            Some(code) => Self::new(Kind::Refused, detail.clone()).with_errors([ProblemPlace {
                pointer: "/password".to_owned(),
                code: code.to_owned(),
                detail,
            }]),
            None => Self::internal(&detail),
        }
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

impl From<BadPlace> for ProblemPlace {
    fn from(place: BadPlace) -> Self {
        Self { pointer: place.pointer, code: place.code, detail: place.detail }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Busy => Self::new(Kind::Unavailable, "the write queue is full: send this again in a moment"),
            WriteError::DiskFull => {
                Self::new(Kind::DiskFull, "free disk is below the server's floor: updates are refused, reads go on")
            }
            WriteError::Failed(reason) => {
                tracing::error!(reason, "a write was refused because the store has failed");
                Self::new(Kind::Unavailable, "the store has failed and takes no more writes until the server restarts")
            }
            WriteError::KeyReused => Self::new(
                Kind::KeyReused,
                "this Idempotency-Key came with another call before: use a new key for a new call",
            ),
            WriteError::Stopping => Self::new(Kind::Unavailable, "the server is stopping: send this again in a moment"),
        }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Shape { pointer, detail } => Self::new(Kind::Malformed, detail.clone())
                .with_errors([ProblemPlace { pointer, code: "shape".to_owned(), detail }]),
            IntakeError::TooManyRecords { .. } => {
                let detail = error.to_string();
                Self::new(Kind::TooLarge, detail.clone()).with_errors([ProblemPlace {
                    pointer: "/data".to_owned(),
                    code: "too_many_records".to_owned(),
                    detail,
                }])
            }
            IntakeError::Refused(places) => {
                let places: Vec<_> = places.into_iter().map(ProblemPlace::from).collect();
                let detail = match places.len() {
                    1 => "one place of the call is bad; nothing of it was stored".to_owned(),
                    count => format!("{count} places of the call are bad; nothing of it was stored"),
                };
                Self::new(Kind::Refused, detail).with_errors(places)
            }
        }
    }
}

impl From<Throttled> for Problem {
    fn from(error: Throttled) -> Self {
        Self::new(Kind::TooManyRequests, error.to_string()).retry_after(error.retry_after_s)
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        let at_code = |code: &str| {
            let detail = error.to_string();
            let place = ProblemPlace { pointer: "/totp".to_owned(), code: code.to_owned(), detail: detail.clone() };
            Self::new(Kind::LogInRefused, detail).with_errors([place])
        };
        match error {
            SignInError::Refused => Self::new(Kind::LogInRefused, error.to_string()),
            SignInError::CodeNeeded => at_code("totp_needed"),
            SignInError::CodeWrong => at_code("totp_wrong"),
            SignInError::Throttled(error) => error.into(),
            SignInError::Busy(error) => Self::new(Kind::Unavailable, error.to_string()),
            SignInError::Write(error) => error.into(),
            SignInError::NoRandomness(error) => Self::internal(&error.to_string()),
        }
    }
}

impl From<LinkError> for Problem {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Ended => Self::not_found(error.to_string()),
            LinkError::Password(error) => Self::password(&error),
            LinkError::Throttled(error) => error.into(),
            LinkError::Busy(error) => Self::new(Kind::Unavailable, error.to_string()),
            LinkError::Write(error) => error.into(),
            LinkError::NoRandomness(error) => Self::internal(&error.to_string()),
        }
    }
}

impl From<ProfileError> for Problem {
    fn from(error: ProfileError) -> Self {
        let refused = |pointer: &str, code: &str| {
            let detail = error.to_string();
            let place = ProblemPlace { pointer: pointer.to_owned(), code: code.to_owned(), detail: detail.clone() };
            Self::new(Kind::Refused, detail).with_errors([place])
        };
        match error {
            ProfileError::WrongPassword => refused("/current_password", "wrong_password"),
            ProfileError::CodeNeeded => refused("/totp", "totp_needed"),
            ProfileError::CodeWrong => refused("/totp", "totp_wrong"),
            ProfileError::Password(error) => Self::password(&error),
            ProfileError::LogsInBySso
            | ProfileError::NothingToConfirm
            | ProfileError::NoSecondFactor
            | ProfileError::SecondFactorRequired => Self::new(Kind::Conflict, error.to_string()),
            ProfileError::UnknownSession(_) => Self::not_found(error.to_string()),
            ProfileError::Gone => Self::logged_out(),
            ProfileError::Throttled(error) => error.into(),
            ProfileError::Busy(error) => Self::new(Kind::Unavailable, error.to_string()),
            ProfileError::Write(error) => error.into(),
            ProfileError::Seal(error) => Self::internal(&error.to_string()),
            ProfileError::NoRandomness(error) => Self::internal(&error.to_string()),
        }
    }
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Target(TargetError::Unknown(..)) => Self::not_found(error.to_string()),
            UploadError::Target(TargetError::Api(_) | TargetError::Disabled(_)) => {
                Self::new(Kind::Conflict, error.to_string())
            }
            UploadError::TooMany => Self::new(Kind::Unavailable, error.to_string()),
            UploadError::BrokenOff => Self::new(Kind::Malformed, error.to_string()),
            UploadError::DiskFull => {
                Self::new(Kind::DiskFull, "free disk would fall below the server's floor: the file was not taken")
            }
            UploadError::Io(error) => Self::internal(&format!("an upload could not be kept: {error}")),
            UploadError::Write(error) => error.into(),
        }
    }
}

impl From<FilterError> for Problem {
    fn from(error: FilterError) -> Self {
        let kind = match error {
            FilterError::Unknown(_) => Kind::NotFound,
            FilterError::NotYours { .. } => Kind::Forbidden,
            FilterError::Taken(_) | FilterError::TooMany => Kind::Conflict,
            FilterError::Write(write) => return write.into(),
        };
        Self::new(kind, error.to_string())
    }
}

impl From<OutOfTime> for Problem {
    fn from(error: OutOfTime) -> Self {
        Self::new(Kind::Refused, error.to_string())
    }
}

impl From<RuleWriteError> for Problem {
    fn from(error: RuleWriteError) -> Self {
        match error {
            RuleWriteError::ReadOnly => Self::new(Kind::Conflict, error.to_string()),
            RuleWriteError::Conflict { ref current } => {
                let problem = Self::new(
                    Kind::EditConflict,
                    "the file is not what `If-Match` names any more: read it again and redo the change",
                );
                match current.as_deref().and_then(quoted_etag) {
                    Some(etag) => problem.with_header(header::ETAG, etag),
                    None => problem,
                }
            }
            RuleWriteError::NotFound => Self::not_found(error.to_string()),
            RuleWriteError::Invalid(errors) => {
                Self::new(Kind::Refused, "the rules would not load with this change; nothing was written")
                    .with_errors(errors.into_iter().map(file_place))
            }
            RuleWriteError::Io(reason) => Self::internal(&reason),
        }
    }
}

/// A mistake in a rule file, as a bad place of the body's text: `file:line:column: message (hint)`.
fn file_place(error: FileError) -> ProblemPlace {
    let FileError { file, line, column, message, hint } = error;
    let place = if line == 0 { file } else { format!("{file}:{line}:{column}") };
    let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
    ProblemPlace { pointer: "/text".to_owned(), code: "rule".to_owned(), detail: format!("{place}: {message}{hint}") }
}

/// An `ETag` header's value.
pub(crate) fn quoted_etag(etag: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{etag}\"")).ok()
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        Self::new(Kind::Refused, error.to_string())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(Kind::Malformed, rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(Kind::Malformed, rejection.body_text())
    }
}

impl From<RawPathParamsRejection> for Problem {
    fn from(rejection: RawPathParamsRejection) -> Self {
        Self::new(Kind::Malformed, rejection.body_text())
    }
}

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
    use super::*;
    use http_body_util::BodyExt;

    async fn sent(response: Response) -> (StatusCode, axum::http::HeaderMap, serde_json::Value) {
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
    fn every_error_of_the_writer_has_its_status() {
        let status = |error: WriteError| {
            let response = Problem::from(error).into_response();
            (response.status().as_u16(), response.headers().contains_key(header::RETRY_AFTER))
        };
        assert_eq!(status(WriteError::Busy), (503, true));
        assert_eq!(status(WriteError::DiskFull), (507, false));
        assert_eq!(status(WriteError::Failed("EIO at /var/lib/x".to_owned())), (503, true));
        assert_eq!(status(WriteError::Stopping), (503, true));
        assert_eq!(status(WriteError::KeyReused), (422, false));
    }

    #[test]
    fn every_error_of_the_intake_has_its_status() {
        let status = |error: IntakeError| Problem::from(error).status().as_u16();
        assert_eq!(status(IntakeError::Shape { pointer: String::new(), detail: "no JSON".to_owned() }), 400);
        assert_eq!(status(IntakeError::TooManyRecords { count: 2, limit: 1 }), 413);
        assert_eq!(status(IntakeError::Refused(Vec::new())), 422);
    }

    #[tokio::test]
    async fn rule_errors_name_file_line_and_hint_and_hide_the_disk() {
        let invalid = RuleWriteError::Invalid(vec![FileError {
            file: "default/segments/premium.rhai".to_owned(),
            line: 3,
            column: 7,
            message: "no such attribute".to_owned(),
            hint: Some("did you mean `crm.Seats`?".to_owned()),
        }]);
        let (status, _, body) = sent(Problem::from(invalid).into_response()).await;
        assert_eq!(status, 422);
        assert_eq!(body["errors"][0]["pointer"], "/text");
        assert_eq!(
            body["errors"][0]["detail"],
            "default/segments/premium.rhai:3:7: no such attribute (did you mean `crm.Seats`?)"
        );
        let (status, _, body) =
            sent(Problem::from(RuleWriteError::Io("/srv/rules: permission denied".to_owned())).into_response()).await;
        assert_eq!(status, 500);
        assert!(!body.to_string().contains("/srv"), "{body}");
        let (status, headers, _) =
            sent(Problem::from(RuleWriteError::Conflict { current: Some("abc".to_owned()) }).into_response()).await;
        assert_eq!((status.as_u16(), &headers[header::ETAG]), (412, &HeaderValue::from_static("\"abc\"")));
        assert_eq!(Problem::from(RuleWriteError::ReadOnly).status(), 409);
        assert_eq!(Problem::from(RuleWriteError::NotFound).status(), 404);
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
