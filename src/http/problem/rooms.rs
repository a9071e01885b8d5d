//! Errors of rooms as callers see them: writes, intake, uploads, saved filters, rules, and what a path or a query may hold.
//!
//! Those of accounts have a file of their own. Invariant: what is wrong with the disk goes to the log, never to a caller.

use axum::extract::rejection::{PathRejection, QueryRejection, RawPathParamsRejection};
use axum::http::header;

use super::{Kind, Problem, ProblemPlace, quoted_etag};
use crate::engine::{OutOfTime, WriteError};
use crate::filters::FilterError;
use crate::intake::imports::{TargetError, UploadError};
use crate::intake::{BadPlace, IntakeError};
use crate::model::IdError;
use crate::ruleset::{FileError, RuleWriteError};

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
            FilterError::NotYours(_) => Kind::Forbidden,
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::response::IntoResponse;

    use super::super::tests::sent;
    use super::*;

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
}
