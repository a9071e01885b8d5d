//! Errors of accounts as callers see them.

use super::{Kind, Problem, ProblemPlace};
use crate::accounts::{AccessRequestError, ClientError, Fault, Lack, RecordError, SealError, UserError};

impl From<Fault> for ProblemPlace {
    fn from(fault: Fault) -> Self {
        Self { pointer: fault.pointer, code: fault.code.to_owned(), detail: fault.detail }
    }
}

impl Problem {
    /// 422 with every bad place.
    pub(crate) fn refused(faults: Vec<Fault>) -> Self {
        let detail = match faults.len() {
            1 => "one place of the call is bad; nothing was changed".to_owned(),
            count => format!("{count} places of the call are bad; nothing was changed"),
        };
        Self::new(Kind::Refused, detail).with_errors(faults.into_iter().map(ProblemPlace::from))
    }
}

impl From<Lack> for Problem {
    fn from(lack: Lack) -> Self {
        Self::new(Kind::Forbidden, lack.to_string())
    }
}

impl From<SealError> for Problem {
    fn from(error: SealError) -> Self {
        Self::internal(&error.to_string())
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        Self::internal(&error.to_string())
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Unknown(_) => Self::not_found(error.to_string()),
            UserError::Taken(fault) => {
                Self::new(Kind::Conflict, fault.detail.clone()).with_errors([ProblemPlace::from(fault)])
            }
            UserError::Invalid(faults) => Self::refused(faults),
            UserError::Status { .. } | UserError::LastAdmin(_) => Self::new(Kind::Conflict, error.to_string()),
            UserError::Beyond(lack) => lack.into(),
            UserError::NoRandomness(error) => Self::internal(&error.to_string()),
            UserError::Write(error) => error.into(),
        }
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unknown(_) => Self::not_found(error.to_string()),
            ClientError::Exists(_) => Self::new(Kind::Conflict, error.to_string()),
            ClientError::Invalid(faults) => Self::refused(faults),
            ClientError::Beyond(lack) => lack.into(),
            ClientError::Write(error) => error.into(),
            ClientError::NoRandomness(error) => Self::internal(&error.to_string()),
        }
    }
}

impl From<AccessRequestError> for Problem {
    fn from(error: AccessRequestError) -> Self {
        match error {
            AccessRequestError::Invalid(faults) => Self::refused(faults),
            AccessRequestError::Unknown(_) => Self::not_found(error.to_string()),
            AccessRequestError::Decided(_) => Self::new(Kind::Conflict, error.to_string()),
            AccessRequestError::User(error) => error.into(),
            AccessRequestError::Record(error) => error.into(),
            AccessRequestError::NoRandomness(error) => Self::internal(&error.to_string()),
            AccessRequestError::Write(error) => error.into(),
        }
    }
}
