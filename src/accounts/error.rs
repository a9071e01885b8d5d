//! Why accounts can't be opened.
//!
//! Says it for people at the start; no caller ever sees it.

use std::path::PathBuf;

use super::{BootstrapError, KeyError, NoRandomness, RecordError};
use crate::engine::WriteError;

/// Why accounts can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// There is no usable secret key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The bootstrap variables can't be followed.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// A stored record can't be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Records can't be written.
    #[error("records of accounts can't be written: {0}")]
    Write(#[from] WriteError),
    /// The first start's note can't be written.
    #[error("the first start's credentials can't be written to `{}`: {reason}; nothing was stored", path.display())]
    Note {
        /// The note's file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// The variable with the secret for single sign-on is not set.
    #[error(
        "sso.client_secret_env names {variable}, which is not set: set it to the client secret that the identity provider gave"
    )]
    NoSsoSecret {
        /// The variable.
        variable: String,
    },
    /// Single sign-on can't be set up.
    #[error("single sign-on can't be set up: {0}")]
    Sso(String),
    /// There is nothing to make secrets of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}
