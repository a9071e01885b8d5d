//! The kinds of problem: what each is called, and its status.
//!
//! Knows no error of any room. Invariant: a kind says the same everywhere; what went wrong this time stands in the problem.

use axum::http::StatusCode;

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
    pub(super) fn title(self) -> &'static str {
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
