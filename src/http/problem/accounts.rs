//! Errors of accounts as callers see them.

use super::{Kind, Problem, ProblemPlace};
use crate::accounts::{
    AccessRequestError, ClientError, Fault, Lack, LinkError, PasswordError, ProfileError, RecordError, SealError,
    SignInError, Throttled, UserError,
};

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
