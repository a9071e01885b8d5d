//! How mails leave: as files in the outbox, or by an SMTP server.
//!
//! Knows nothing of what they say. Invariants: a file in the outbox is whole (written beside its place, synced, renamed);
//! with `starttls` and `tls` nothing, the password least of all, goes over an unencrypted connection.

use std::path::PathBuf;
use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::MailError;
use crate::accounts::private_file;
use crate::config::MailTransport;

/// How long the mail server may take for each step.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a whole mail may take.
const MAIL_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a mail did not leave.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The file can't be written.
    #[error("the mail can't be written into the outbox: {0}")]
    File(#[from] std::io::Error),
    /// The mail server can't be reached, or refuses.
    #[error("the mail server: {0}")]
    Smtp(String),
    /// The mail server takes too long.
    #[error("the mail server did not take the mail within {} s", MAIL_TIMEOUT.as_secs())]
    TooSlow,
}

/// Where mails go.
pub(crate) enum Transport {
    /// Files in this folder.
    Outbox(PathBuf),
    /// This server.
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
}

impl Transport {
    /// The configured one; `outbox` is where files go, `env` where the password is.
    pub(crate) fn open(
        configured: &MailTransport,
        outbox: PathBuf,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, MailError> {
        let MailTransport::Smtp { host, port, tls, user, password_env } = configured else {
            return Ok(Self::Outbox(outbox));
        };
        let parameters = || TlsParameters::new(host.clone()).map_err(|error| MailError::Tls(error.to_string()));
        let tls = match tls.as_str() {
            "none" => Tls::None,
            "tls" => Tls::Wrapper(parameters()?),
            _ => Tls::Required(parameters()?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(*port)
            .tls(tls)
            .timeout(Some(STEP_TIMEOUT));
        if let (Some(user), Some(variable)) = (user, password_env) {
            let password = env(variable).ok_or_else(|| MailError::NoPassword { variable: variable.clone() })?;
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self::Smtp(Box::new(builder.build())))
    }

    /// Sends a mail; `name` is its file's, without ending.
    pub(crate) async fn send(&self, message: Message, name: &str) -> Result<(), SendError> {
        match self {
            Self::Outbox(folder) => {
                let path = folder.join(format!("{name}.eml"));
                let written = tokio::task::spawn_blocking(move || private_file::write(&path, &message.formatted()));
                Ok(written.await.map_err(std::io::Error::other)??)
            }
            Self::Smtp(server) => match tokio::time::timeout(MAIL_TIMEOUT, server.send(message)).await {
                Ok(Ok(_accepted)) => Ok(()),
                Ok(Err(error)) => Err(SendError::Smtp(error.to_string())),
                Err(_elapsed) => Err(SendError::TooSlow),
            },
        }
    }
}
