//! Changes of operators' accounts.
//!
//! Owns who may change whom and what has to stay: nobody grants what they don't have, and one Admin who can log in stays.
//! Knows nothing of HTTP, nor how mail is sent. Invariant: a change, its letter and its audit entry are one commit.
//!
//! Changing how someone logs in (address, method, name at the identity provider) is granting: whoever could point an
//! Admin's account at their own mailbox would be an Admin. So it takes all that this user may do.

use std::collections::HashSet;
use std::sync::Arc;

use super::Accounts;
use super::access::{self, DataAccessDraft, gained, powers_of};
use super::audit::{Act, Actor, By};
use super::directory::{Taken, UserChange};
use super::drafts::{Checked, LogsIn, UserDraft};
use super::fault::{Fault, summary};
use super::grants::Lack;
use super::mail::{LetterKind, letter};
use super::secret::NoRandomness;
use super::users::{LoginMethod, StatusConflict, UserRecord, UserStatus, provisioned, session_number};
use super::vault::Change;
use crate::engine::WriteError;
use crate::model::Timestamp;
use crate::ruleset::LiveRules;

/// Why an account is not changed. Nothing of the change was stored then.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UserError {
    /// There is no such operator.
    #[error("there is no user `{0}`")]
    Unknown(String),
    /// Another account has what only one can have.
    #[error("{}", .0.detail)]
    Taken(Fault),
    /// Something that was sent is no good.
    #[error("{}", summary(.0))]
    Invalid(Vec<Fault>),
    /// The account's status forbids it.
    #[error("{username}: {why}")]
    Status {
        /// Whose account.
        username: String,
        /// Why.
        why: StatusConflict,
    },
    /// Nobody would be left to let the others in.
    #[error("`{0}` is the last Admin who can log in: make another one first")]
    LastAdmin(String),
    /// Who asks would grant what they don't have.
    #[error(transparent)]
    Beyond(#[from] Lack),
    /// There is nothing to make secrets of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The change can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Accounts {
    /// Every operator, by username.
    #[must_use]
    pub fn users(&self) -> Vec<Arc<UserRecord>> {
        self.users.all()
    }

    /// Makes an account; its owner gets the activation mail if `mail` says so.
    ///
    /// # Errors
    /// [`UserError`]: a bad draft, a name that is taken, more than the actor may grant, the change can't be written.
    pub async fn create_user(
        self: &Arc<Self>,
        actor: Actor,
        draft: UserDraft,
        mail: bool,
        live: Arc<LiveRules>,
    ) -> Result<Arc<UserRecord>, UserError> {
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            accounts.make_user(&actor, &draft, mail, &live)
        })
        .await
    }

    /// Replaces what is said of the account, or makes it as [`Self::create_user`] does.
    ///
    /// # Errors
    /// [`UserError`], as there; also when the last Admin would be demoted.
    pub async fn put_user(
        self: &Arc<Self>,
        actor: Actor,
        username: String,
        mut draft: UserDraft,
        mail: bool,
        live: Arc<LiveRules>,
    ) -> Result<Arc<UserRecord>, UserError> {
        if draft.username.as_ref().is_some_and(|sent| *sent != username) {
            let detail = format!("the path names `{username}`: a username can't be changed");
            return Err(UserError::Invalid(vec![Fault::new("/username", "other_username", detail)]));
        }
        draft.username = Some(username.clone());
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            match accounts.users.get(&username) {
                Some(old) => accounts.replace_user(&actor, &old, &draft, mail, &live),
                None => accounts.make_user(&actor, &draft, mail, &live),
            }
        })
        .await
    }

    /// Replaces an account's data access.
    ///
    /// # Errors
    /// [`UserError`]: unknown user, a bad entry, more than the actor may grant, the change can't be written.
    pub async fn put_data_access(
        self: &Arc<Self>,
        actor: Actor,
        username: String,
        entries: Vec<DataAccessDraft>,
        live: Arc<LiveRules>,
    ) -> Result<Arc<UserRecord>, UserError> {
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            let old = accounts.users.get(&username).ok_or(UserError::Unknown(username))?;
            let mut faults = Vec::new();
            let data_access = access::resolve(&entries, &old.roles, &live, "/organization", &mut faults);
            if !faults.is_empty() {
                return Err(UserError::Invalid(faults));
            }
            let user = UserRecord { data_access, ..UserRecord::clone(&old) };
            accounts.finish_change(&actor, "user.data_access", &old, user, Vec::new(), &live)
        })
        .await
    }

    /// Deletes an account, and with it its sessions.
    ///
    /// # Errors
    /// [`UserError`]: unknown user, the last Admin, the change can't be written.
    pub async fn delete_user(self: &Arc<Self>, actor: Actor, username: String) -> Result<(), UserError> {
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            let old = accounts.users.get(&username).ok_or_else(|| UserError::Unknown(username.clone()))?;
            accounts.keep_an_admin(&old, None, &HashSet::new())?;
            let act = Act::new("user.delete", object(&username)).before(old.for_audit());
            let entry = accounts.audit.record(&By::from(&actor), act, accounts.clock.now())?;
            Ok(accounts.commit_users(vec![UserChange::Gone(username)], vec![entry])?)
        })
        .await
    }

    /// Makes an account. The caller holds `changing`.
    pub(super) fn make_user(
        &self,
        actor: &Actor,
        draft: &UserDraft,
        mail: bool,
        live: &LiveRules,
    ) -> Result<Arc<UserRecord>, UserError> {
        let (user, beside) = self.draft_user(actor, draft, mail, live)?;
        let user = Arc::new(user);
        self.commit_users(vec![UserChange::Put(Arc::clone(&user))], beside)?;
        Ok(user)
    }

    /// A new account and what is to be written with it. The caller holds `changing`.
    pub(super) fn draft_user(
        &self,
        actor: &Actor,
        draft: &UserDraft,
        mail: bool,
        live: &LiveRules,
    ) -> Result<(UserRecord, Vec<Change>), UserError> {
        let until_now = LogsIn { method: LoginMethod::Password, sso_id: None };
        let checked = draft.check(&self.roles, live, until_now).map_err(UserError::Invalid)?;
        let now = self.clock.now();
        let user = new_user(draft, checked, actor.name(), now)?;
        self.check_free(&user, true)?;
        actor.principal.cover(&powers_of(&user, &self.roles, live))?;
        let mut beside = Vec::new();
        if mail {
            beside.push(letter(LetterKind::Activation, &user.username, actor.name(), now)?);
        }
        let act = Act::new("user.create", object(&user.username)).after(user.for_audit());
        beside.push(self.audit.record(&By::from(actor), act, now)?);
        Ok((user, beside))
    }

    fn replace_user(
        &self,
        actor: &Actor,
        old: &Arc<UserRecord>,
        draft: &UserDraft,
        mail: bool,
        live: &LiveRules,
    ) -> Result<Arc<UserRecord>, UserError> {
        let until_now = LogsIn { method: old.login_method, sso_id: old.sso_id.clone() };
        let checked = draft.check(&self.roles, live, until_now).map_err(UserError::Invalid)?;
        let mut user = UserRecord::clone(old);
        put_draft(&mut user, draft, checked);
        self.check_free(&user, false)?;
        if logs_in_otherwise(old, &user) {
            actor.principal.cover(&powers_of(old, &self.roles, live))?;
        }
        let mut beside = Vec::new();
        let is_blocked_now = user.login_blocked && !old.login_blocked;
        if is_blocked_now || (user.login_method, &user.sso_id) != (old.login_method, &old.sso_id) {
            user.end_sessions()?;
        }
        if user.email != old.email {
            // What was mailed to the old address opens nothing any more.
            user.reset = None;
            if user.status == UserStatus::Provisioned {
                user.activation = None;
                if mail {
                    beside.push(letter(LetterKind::Activation, &user.username, actor.name(), self.clock.now())?);
                }
            }
        }
        self.finish_change(actor, "user.update", old, user, beside, live)
    }

    /// Checks and writes a changed account with its audit entry; does nothing where nothing has changed.
    fn finish_change(
        &self,
        actor: &Actor,
        action: &'static str,
        old: &Arc<UserRecord>,
        mut user: UserRecord,
        mut beside: Vec<Change>,
        live: &LiveRules,
    ) -> Result<Arc<UserRecord>, UserError> {
        if user == **old {
            return Ok(Arc::clone(old));
        }
        actor.principal.cover(&gained(Some(old), &user, &self.roles, live))?;
        self.keep_an_admin(old, Some(&user), &HashSet::new())?;
        (user.modified_on, user.modified_by) = (self.clock.now(), actor.name().to_owned());
        let act = Act::new(action, object(&user.username)).before(old.for_audit()).after(user.for_audit());
        beside.push(self.audit.record(&By::from(actor), act, user.modified_on)?);
        let user = Arc::new(user);
        self.commit_users(vec![UserChange::Put(Arc::clone(&user))], beside)?;
        Ok(user)
    }

    fn check_free(&self, user: &UserRecord, is_new: bool) -> Result<(), UserError> {
        let (pointer, code, detail) = match self.users.taken(user, is_new) {
            None => return Ok(()),
            Some(Taken::Username) => ("/username", "username_taken", "another account has this username or address"),
            Some(Taken::Email) => ("/email", "email_taken", "another account has this address or username"),
            Some(Taken::SsoId) => ("/sso_id", "sso_id_taken", "another account has this `sso_id`"),
        };
        Err(UserError::Taken(Fault::new(pointer, code, detail)))
    }

    /// Refuses a change after which no Admin could log in, if it is this change that makes it so. Those in `disabled` go
    /// in the same commit.
    pub(super) fn keep_an_admin(
        &self,
        old: &UserRecord,
        new: Option<&UserRecord>,
        disabled: &HashSet<String>,
    ) -> Result<(), UserError> {
        let goes = old.is_working_admin() && !new.is_some_and(UserRecord::is_working_admin);
        let stays = |user: &Arc<UserRecord>| {
            user.username != old.username && !disabled.contains(&user.username) && user.is_working_admin()
        };
        if goes && !self.users.all().iter().any(stays) {
            return Err(UserError::LastAdmin(old.username.clone()));
        }
        Ok(())
    }
}

/// What an account is called in the audit.
pub(super) fn object(username: &str) -> String {
    format!("users/{username}")
}

fn new_user(draft: &UserDraft, checked: Checked, by: &str, now: Timestamp) -> Result<UserRecord, NoRandomness> {
    let (username, email) = (checked.username.clone(), checked.email.clone());
    let mut user = provisioned(username, email, checked.roles.clone(), by, now);
    user.sessions = session_number()?;
    put_draft(&mut user, draft, checked);
    Ok(user)
}

fn put_draft(user: &mut UserRecord, draft: &UserDraft, checked: Checked) {
    let Checked { username: _, email, roles, data_access, login_method, sso_id } = checked;
    user.first_name.clone_from(&draft.first_name);
    user.last_name.clone_from(&draft.last_name);
    user.email = email;
    user.automatic_update = draft.automatic_update;
    user.excluded_from_user_activity = draft.excluded_from_user_activity;
    user.login_blocked = draft.login_blocked;
    user.roles = roles;
    user.data_access = data_access;
    user.login_method = login_method;
    user.sso_id = sso_id;
}

/// Whether a change decides who gets into the account.
fn logs_in_otherwise(old: &UserRecord, new: &UserRecord) -> bool {
    (&old.email, old.login_method, &old.sso_id) != (&new.email, new.login_method, &new.sso_id)
}
