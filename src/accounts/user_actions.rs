//! What is done with operators' accounts without changing what is said of them: enabling, disabling, the mails that their
//! owners need, and second factors that these have lost.
//!
//! Owns what an action does beside the state of one account. Knows nothing of what forbids it ([`super::users`]). Invariant:
//! several accounts are acted on in one commit, each with its letter and audit entry; what can't be done for one keeps no
//! other from it.

use std::collections::HashSet;
use std::sync::Arc;

use super::Accounts;
use super::access::powers_of;
use super::audit::{Act, Actor, By};
use super::directory::UserChange;
use super::mail::{LetterKind, letter};
use super::operators::{UserError, object};
use super::users::UserRecord;
use super::vault::Change;
use crate::ruleset::LiveRules;

/// What can be done with an account beside changing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserAction {
    /// Let it in again.
    Enable,
    /// Lock it out and end its sessions.
    Disable,
    /// Mail a link to choose a new password.
    ResetPassword,
    /// Mail another activation link in the place of the one before.
    ResendActivation,
}

/// What came of one account among several.
#[derive(Debug, Clone)]
pub enum BulkOutcome {
    /// It is done.
    Changed,
    /// It was so before.
    Unchanged,
    /// It could not be.
    Refused(UserError),
}

impl Accounts {
    /// Does one thing with an account.
    ///
    /// # Errors
    /// [`UserError`]: unknown user, its status forbids it, the last Admin, the change can't be written.
    pub async fn act_on_user(
        self: &Arc<Self>,
        actor: Actor,
        username: String,
        action: UserAction,
    ) -> Result<(), UserError> {
        let outcome = self.act_on_users(actor, vec![username], action).await?;
        match outcome.into_iter().next() {
            Some((_, BulkOutcome::Refused(error))) => Err(error),
            _ => Ok(()),
        }
    }

    /// Does one thing with several accounts, in one commit; what came of each, once, in the order in which they were named.
    ///
    /// # Errors
    /// [`UserError`] when it can't be written: then nothing was done.
    pub async fn act_on_users(
        self: &Arc<Self>,
        actor: Actor,
        usernames: Vec<String>,
        action: UserAction,
    ) -> Result<Vec<(String, BulkOutcome)>, UserError> {
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            let (mut outcomes, mut changes, mut beside) = (Vec::new(), Vec::new(), Vec::new());
            let (mut named, mut disabled) = (HashSet::new(), HashSet::new());
            for username in usernames {
                if !named.insert(username.clone()) {
                    continue;
                }
                let outcome = match accounts.acted(&actor, &username, action, &disabled) {
                    Ok(None) => BulkOutcome::Unchanged,
                    Ok(Some((user, records))) => {
                        if action == UserAction::Disable {
                            disabled.insert(username.clone());
                        }
                        changes.push(UserChange::Put(Arc::new(user)));
                        beside.extend(records);
                        BulkOutcome::Changed
                    }
                    Err(error) => BulkOutcome::Refused(error),
                };
                outcomes.push((username, outcome));
            }
            if !changes.is_empty() {
                accounts.commit_users(changes, beside)?;
            }
            Ok(outcomes)
        })
        .await
    }

    /// Takes an account's second factor off, for an owner who has lost it, and ends its sessions; the next log-in takes the
    /// password alone. Only who may all that the account may does so: without it the account is easier to get into.
    ///
    /// # Errors
    /// [`UserError`]: unknown user, more than the actor may, the change can't be written.
    pub async fn reset_second_factor(
        self: &Arc<Self>,
        actor: Actor,
        username: String,
        live: Arc<LiveRules>,
    ) -> Result<(), UserError> {
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            let old = accounts.users.get(&username).ok_or_else(|| UserError::Unknown(username.clone()))?;
            actor.principal.cover(&powers_of(&old, &accounts.roles, &live))?;
            let mut user = UserRecord::clone(&old);
            if user.totp.take().is_none() {
                return Ok(());
            }
            user.end_sessions()?;
            let act = Act::new("user.reset_second_factor", object(&username));
            let entry = accounts.audit.record(&By::from(&actor), act, accounts.clock.now())?;
            Ok(accounts.commit_users(vec![UserChange::Put(Arc::new(user))], vec![entry])?)
        })
        .await
    }

    /// An account after an action and what is to be written with it; `None` when nothing changes.
    fn acted(
        &self,
        actor: &Actor,
        username: &str,
        action: UserAction,
        disabled: &HashSet<String>,
    ) -> Result<Option<(UserRecord, Vec<Change>)>, UserError> {
        let old = self.users.get(username).ok_or_else(|| UserError::Unknown(username.to_owned()))?;
        let mut user = UserRecord::clone(&old);
        let now = self.clock.now();
        let status = |why| UserError::Status { username: username.to_owned(), why };
        let mail = |kind| letter(kind, username, actor.name(), now);
        let (name, mut beside) = match action {
            UserAction::Enable if !user.enable().map_err(status)? => return Ok(None),
            UserAction::Enable => ("user.enable", Vec::new()),
            UserAction::Disable if !user.disable()? => return Ok(None),
            UserAction::Disable => {
                self.keep_an_admin(&old, Some(&user), disabled)?;
                ("user.disable", Vec::new())
            }
            UserAction::ResetPassword => {
                user.check_reset().map_err(status)?;
                ("user.send_password_reset", vec![mail(LetterKind::Reset)?])
            }
            UserAction::ResendActivation => {
                user.begin_resend().map_err(status)?;
                ("user.send_activation", vec![mail(LetterKind::Activation)?])
            }
        };
        let mut act = Act::new(name, object(username));
        if user.status != old.status {
            (user.modified_on, user.modified_by) = (now, actor.name().to_owned());
            act = act.before(old.for_audit()).after(user.for_audit());
        }
        beside.push(self.audit.record(&By::from(actor), act, now)?);
        Ok(Some((user, beside)))
    }
}
