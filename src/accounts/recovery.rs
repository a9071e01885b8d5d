//! A way back in when every Admin is locked out: for whoever runs the server's machine, with the server stopped.
//!
//! Owns what makes an account an Admin's again. Knows nothing of how its caller proved anything: who can open the store can
//! do this. Invariant: what is printed is a link that works once; nothing else of the account is told.

use std::sync::Arc;

use super::Accounts;
use super::audit::{Act, ActorKind, By};
use super::directory::UserChange;
use super::drafts::is_address;
use super::one_time::{LinkKind, make_token};
use super::operators::object;
use super::passwords::{PasswordError, PasswordHash};
use super::secret::{NoRandomness, Secret};
use super::users::{LoginMethod, PasswordNotSetReason, UserRecord, UserStatus, admin, session_number};
use crate::engine::WriteError;
use crate::model::BuiltInRole;

/// Who is put down as having done it.
const COMMAND: &str = "users recover";

/// Why nobody is let back in. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// It is not clear who is meant.
    #[error("name the account: {}", if .0.is_empty() { "there is no Admin, so a new one's e-mail address is needed".to_owned() } else { format!("there are several Admins: {}", .0.join(", ")) })]
    WhichOne(Vec<String>),
    /// There is no such account, and none can be made of the name.
    #[error("there is no user `{0}`; to make one, give an e-mail address")]
    Unknown(String),
    /// The password is not taken.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// There is nothing to make secrets of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// It can't be written.
    #[error("the account can't be written: {0}")]
    Write(#[from] WriteError),
}

/// An account that is an Admin's again.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Its username.
    pub username: String,
    /// Whether it was made now.
    pub is_new: bool,
    /// The token of the link by which its owner chooses a password; `None`: the password was given, and the account is
    /// ACTIVE.
    pub token: Option<Secret>,
}

impl Accounts {
    /// Makes an account an Admin's that can log in: with this password at once, else by an activation link. `name` is a
    /// username or an address; of an address that nobody has, a new account is made. `None`: the one Admin that there is.
    /// Its sessions end. Blocks.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn recover_admin(&self, name: Option<&str>, password: Option<&Secret>) -> Result<Recovered, RecoveryError> {
        let password = password.map(PasswordHash::of_new).transpose()?;
        let _changing = self.changing.lock();
        let now = self.clock.now();
        let (mut user, is_new) = match self.meant(name)? {
            Some(user) => (UserRecord::clone(&user), false),
            None => {
                let email = name.unwrap_or_default();
                let username = self.free_username(email, &std::collections::HashSet::new());
                (admin(username, email.to_owned(), COMMAND, now), true)
            }
        };
        let before = (!is_new).then(|| user.for_audit());
        let role = BuiltInRole::Admin.name();
        if !user.roles.contains(role) {
            user.roles.extra_roles.push(role.to_owned());
        }
        (user.login_method, user.login_blocked, user.reset) = (LoginMethod::Password, false, None);
        // Whoever lost the second factor is locked out as well.
        user.totp = None;
        (user.modified_on, user.modified_by) = (now, COMMAND.to_owned());
        user.sessions = session_number()?;
        let token = match &password {
            Some(_) => {
                (user.status, user.activated, user.activation) = (UserStatus::Active, true, None);
                user.password_not_set_reason = None;
                None
            }
            None => {
                let (token, kept) = make_token(&self.key, LinkKind::Activation, now)?;
                (user.status, user.activation) = (UserStatus::Provisioned, Some(kept));
                user.password_not_set_reason = Some(PasswordNotSetReason::NewAccount);
                Some(token)
            }
        };
        user.password = password;
        let mut act = Act::new("user.recover", object(&user.username)).after(user.for_audit());
        if let Some(before) = before {
            act = act.before(before);
        }
        let by = By { kind: ActorKind::Command, name: COMMAND.to_owned(), address: None };
        let entry = self.audit.record(&by, act, now)?;
        let username = user.username.clone();
        self.commit_users(vec![UserChange::Put(Arc::new(user))], vec![entry])?;
        Ok(Recovered { username, is_new, token })
    }

    /// The account that is meant; `None`: a new one of this address.
    fn meant(&self, name: Option<&str>) -> Result<Option<Arc<UserRecord>>, RecoveryError> {
        let Some(name) = name else {
            let admins = self.users.all().into_iter().filter(|user| user.roles.contains(BuiltInRole::Admin.name()));
            let admins: Vec<_> = admins.collect();
            return match admins.as_slice() {
                [one] => Ok(Some(Arc::clone(one))),
                several => Err(RecoveryError::WhichOne(several.iter().map(|user| user.username.clone()).collect())),
            };
        };
        match self.users.find(name) {
            None if !is_address(name) => Err(RecoveryError::Unknown(name.to_owned())),
            found => Ok(found),
        }
    }
}
